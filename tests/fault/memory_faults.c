/* Each allocation of SQLite's fails once, or from then on. */
#include <errno.h>

#include "core_fixture.h"
#include "fault_memory.h"
#include "sweep.h"

static void arm(const struct sweep *sweep, unsigned long n)
{
	fault_memory_fail(n, sweep->stays > 0);
}

#define SWEEP(text, stays_)                                                                        \
	{                                                                                          \
		.name = text, .error = -ENOMEM, .stays = stays_, .arm = arm,                       \
		.disarm = fault_memory_clear, .fired = fault_memory_fired                          \
	}

static const struct sweep sweeps[] = {
	SWEEP("SQLite finds no memory once", 0),
	SWEEP("SQLite finds no memory for good", 97),
};

int main(void)
{
	fault_memory_install();
	return sweep_all(sweeps, ARRAY_SIZE(sweeps));
}
