/* What callers did, and whether a state found after a crash is one they passed through.
 *
 * Each caller has a tree and a thread of its own. Before and after each operation it takes a ticket
 * from one counter, so tickets order the operations of all callers: an operation took effect at a
 * moment between its two. A state is right when there is one moment at which all trees were as
 * they are found, and when none of them lacks what was promised to be durable. */
#pragma once

#include <stdatomic.h>

#include "model.h"

#define HISTORY_CALLERS 8

struct caller {
	struct model *base; /* before operation 1 */
	struct model *now;  /* after all operations that succeeded; the thread's */
	struct rng rng;
	struct op *ops; /* ops[k - 1] is operation k; so with the tickets */
	uint64_t *begun, *ended;
	size_t capacity;
	_Atomic uint64_t started; /* operations begun */
	_Atomic uint64_t acked;   /* operations that succeeded */
	_Atomic uint64_t durable; /* those up to here must survive */
};

struct history {
	struct caller callers[HISTORY_CALLERS];
	unsigned int count;
	bool all_durable; /* every operation is durable once it has succeeded */
	bool aligned;     /* see model_draw() */
	bool no_sync;     /* no caller asks for anything to be durable */
	_Atomic uint64_t ticket;
};

/* What is known at the moment of a crash. */
struct moment {
	uint64_t ticket;
	uint64_t durable[HISTORY_CALLERS];
	uint64_t started[HISTORY_CALLERS];
};

void history_init(struct history *history, unsigned int callers, size_t capacity, uint64_t seed);
void history_clear(struct history *history);

/* Draws the next operation of a caller, runs it and notes how it went. Returns what `run` said, 1
 * when there is no room for more. After a failure the caller must stop. */
typedef int (*run_fn)(void *arg, const struct op *op);
int history_step(struct history *history, unsigned int caller, run_fn run, void *arg);

/* All that has succeeded is durable now. No caller may be at work. */
void history_all_durable(struct history *history);

/* `ret->durable` is read before, `ret->started` after what lies between these two. */
void history_before_crash(struct history *history, struct moment *ret);
void history_after_crash(struct history *history, struct moment *ret);

/* Finds the moment that the found trees, one a caller, are from: ret[i] is how many operations of
 * caller i it holds. False if there is none; `out` then has the words. */
bool history_match(struct history *history, const struct moment *moment, struct listing *found,
		   uint64_t *ret, FILE *out);

/* Starts over from that state. */
void history_restart(struct history *history, const uint64_t *held);
