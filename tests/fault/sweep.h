/* Runs the workload again and again, with one call more going well before the fault each time,
 * until there are no more calls; after each run the workspace must be what it should. Then the same
 * with the opening of what a crash has left, and with the close. All kinds of faults use this: of
 * the store, of SQLite's VFS and of its allocator. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sweep {
	const char *name;
	int error; /* what operations may get besides 0 */
	/* From the n-th call on, not only that one. These are not opened with, and only one n in
	 * so many is tried: they differ little from one to the next. 0: once, and every n. */
	unsigned int stays;
	bool of_store; /* it can be armed only when the store is open */
	bool no_close; /* a close makes no such calls */
	/* n is counted from 1. */
	void (*arm)(const struct sweep *sweep, unsigned long n);
	void (*disarm)(void);
	unsigned long (*fired)(void);
	/* So many steps of the workload make a base, over which the others run. */
	unsigned int base_steps;
	uint64_t what; /* for arm(): which calls */
	int code;      /* for arm(): with what they fail */
};

/* Announces the tests, runs them and returns the status of the process. */
int sweep_all(const struct sweep *sweeps, unsigned int count);
