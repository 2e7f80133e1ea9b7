/* Each call of the store fails once, with each errno that it may have. */
#include <errno.h>
#include <string.h>

#include "core_fixture.h"
#include "sweep.h"

static atomic_ulong count;

static void arm(const struct sweep *sweep, unsigned long n)
{
	atomic_store(&count, 0);
	fault_store_count_in(cf.fault, &count);
	fault_store_fail(cf.fault, sweep->what, n, sweep->error, sweep->stays > 0);
}

static void disarm(void)
{
	if (cf.fault)
		fault_store_clear(cf.fault);
}

static unsigned long fired(void)
{
	return atomic_load(&count);
}

#define SWEEP(text, calls, errno_, stays_)                                                         \
	{                                                                                          \
		.name = text, .error = errno_, .stays = stays_, .of_store = true, .arm = arm,      \
		.disarm = disarm, .fired = fired, .what = calls                                    \
	}

static const struct sweep sweeps[] = {
	SWEEP("any call is busy once", FAULT_ANY, -EAGAIN, 0),
	SWEEP("any call has an I/O error once", FAULT_ANY, -EIO, 0),
	SWEEP("a write finds the disk full once", FAULT_WRITES, -ENOSPC, 0),
	SWEEP("any call finds no memory once", FAULT_ANY, -ENOMEM, 0),
	SWEEP("a write finds the database read-only once", FAULT_WRITES, -EROFS, 0),
};

int main(void)
{
	return sweep_all(sweeps, ARRAY_SIZE(sweeps));
}
