/* The same over an overlay: calls of the branch and of the base fail. */
#include <errno.h>
#include <string.h>

#include "core_fixture.h"
#include "sweep.h"

/* Steps of the workload that make the base: files, links, a hard link, attributes, directories. */
#define BASE_STEPS 14

static void arm(const struct sweep *sweep, unsigned long n)
{
	fault_store_fail(cf.fault, sweep->what, n, sweep->error, sweep->stays);
}

static void disarm(void)
{
	if (cf.fault)
		fault_store_clear(cf.fault);
}

static unsigned long fired(void)
{
	return cf.fault ? fault_store_fired(cf.fault) : 1;
}

#define SWEEP(text, calls, errno_)                                                                 \
	{                                                                                          \
		.name = text, .error = errno_, .arm = arm, .disarm = disarm, .fired = fired,       \
		.what = calls, .base_steps = BASE_STEPS                                            \
	}

static const struct sweep sweeps[] = {
	SWEEP("any call is busy once", FAULT_ANY, -EAGAIN),
	SWEEP("any call has an I/O error once", FAULT_ANY, -EIO),
	SWEEP("any call finds no memory once", FAULT_ANY, -ENOMEM),
	SWEEP("a write finds the disk full once", FAULT_WRITES, -ENOSPC),
};

int main(void)
{
	return sweep_all(sweeps, ARRAY_SIZE(sweeps));
}
