/* Each call of the store fails once, or from then on, with each errno that it may have. */
#include <errno.h>
#include <string.h>

#include "core_fixture.h"
#include "sweep.h"

static void arm(const struct sweep *sweep, unsigned long n)
{
	fault_store_fail(cf.fault, sweep->what, n, sweep->error, sweep->stays);
}

static void disarm(void)
{
	if (cf.fault)
		fault_store_clear(cf.fault);
}

/* After a close the store is gone, and its count. */
static unsigned long fired(void)
{
	return cf.fault ? fault_store_fired(cf.fault) : 1;
}

#define SWEEP(text, calls, errno_, stays_)                                                         \
	{                                                                                          \
		.name = text, .error = errno_, .stays = stays_, .arm = arm, .disarm = disarm,      \
		.fired = fired, .what = calls                                                      \
	}

static const struct sweep sweeps[] = {
	SWEEP("any call is busy once", FAULT_ANY, -EAGAIN, false),
	SWEEP("any call has an I/O error once", FAULT_ANY, -EIO, false),
	SWEEP("a write finds the disk full once", FAULT_WRITES, -ENOSPC, false),
	SWEEP("any call finds no memory once", FAULT_ANY, -ENOMEM, false),
	SWEEP("a write finds the database read-only once", FAULT_WRITES, -EROFS, false),
};

int main(void)
{
	return sweep_all(sweeps, ARRAY_SIZE(sweeps));
}
