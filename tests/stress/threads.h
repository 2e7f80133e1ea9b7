/* Threads that each draw one operation after the other, and what is said of how it went. For plain
 * programs that speak TAP and run under ThreadSanitizer. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct cairn_core;

struct worker {
	void (*step)(struct worker *w);
	unsigned long operations; /* to be done */
	/* Set by run_threads(). */
	pthread_t thread;
	uint64_t random;
	unsigned long done;
};

/* Runs them all to their end. `step` and `operations` are set. */
void run_threads(struct worker *workers, unsigned int count, unsigned long seed);
/* A number from 0 on. */
unsigned int draw(struct worker *w, unsigned int below);

/* Takes note of a result that nothing the other threads do can explain. */
void judge(const char *what, long r);
bool all_explained(void);

/* One line of TAP; 3 of what a core must have given back when nobody uses it any more. */
void tell(bool ok, const char *what);
void check_given_back(struct cairn_core *core);
int exit_status(void);
