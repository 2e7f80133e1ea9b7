/* Runs the workload again and again, with one call more going well before the fault each time,
 * until there are no more calls; after each run the workspace must be what it should. Both kinds
 * of faults use this: of the store and of SQLite's VFS. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sweep {
	const char *name;
	int error;  /* what operations may get besides 0 */
	bool stays; /* from the n-th call on, not only that one */
	/* Called when the core is open, with n counted from 1. */
	void (*arm)(const struct sweep *sweep, unsigned long n);
	void (*disarm)(void);
	unsigned long (*fired)(void);
	/* So many steps of the workload make a base, over which the others run. */
	unsigned int base_steps;
	uint64_t what; /* for arm(): which calls */
	int code;      /* for arm(): with what they fail */
};

/* Announces `count` tests, runs them and returns the status of the process. */
int sweep_all(const struct sweep *sweeps, unsigned int count);
