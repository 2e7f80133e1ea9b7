/* Counters and timings of one part of the program, cheap enough to keep all the time.
 *
 * Whoever has something to tell declares its figures by name and makes a `struct cairn_stats` of
 * them; a figure is then known by its number, an enum beside the names. They are written with
 * relaxed atomics by any thread, in the copy that belongs to the CPU it runs on (one to each, or
 * to a few), so that threads do not take the cache line from each other; whoever reads adds the
 * copies up. A reading taken while others write may miss what is just being added. */
#pragma once

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

#include "util/clock.h"
#include "util/histogram.h"

/* The figures by name: counters, and spreads, of which a histogram is kept. The arrays must
 * outlive the figures. */
struct cairn_stats_names {
	const char *const *counter;
	unsigned int counter_count;
	const char *const *spread;
	unsigned int spread_count;
};

struct cairn_spread {
	_Atomic uint64_t begun;           /* of a timing: those under way, too */
	struct cairn_histogram histogram; /* values, or ns */
};

struct cairn_stats_shard {
	_Atomic uint64_t *counter;
	struct cairn_spread *spread;
};

struct cairn_stats {
	const struct cairn_stats_names *names;
	unsigned int shard_count; /* a power of two */
	struct cairn_stats_shard *shard;
};

/* -ENOMEM. Destroy accepts what was not made. */
int cairn_stats_init(struct cairn_stats *stats, const struct cairn_stats_names *names);
void cairn_stats_destroy(struct cairn_stats *stats);

/* What was counted so far. `*ret_begun` is how many timings began, never less than ended. */
uint64_t cairn_stats_counter(const struct cairn_stats *stats, unsigned int counter);
void cairn_stats_spread(const struct cairn_stats *stats, unsigned int spread,
			struct cairn_distribution *ret, uint64_t *ret_begun);

/* The copy for the CPU that we run on. The thread may move on at once: writes are atomic. */
static inline struct cairn_stats_shard *cairn_stats_here(const struct cairn_stats *stats)
{
	int cpu = sched_getcpu();

	return &stats->shard[cpu < 0 ? 0 : (unsigned int)cpu & (stats->shard_count - 1)];
}

static inline void cairn_stats_count(struct cairn_stats *stats, unsigned int counter, uint64_t n)
{
	atomic_fetch_add_explicit(&cairn_stats_here(stats)->counter[counter], n,
				  memory_order_relaxed);
}

static inline void cairn_stats_value(struct cairn_stats *stats, unsigned int spread, uint64_t value)
{
	struct cairn_spread *here = &cairn_stats_here(stats)->spread[spread];

	atomic_fetch_add_explicit(&here->begun, 1, memory_order_relaxed);
	cairn_histogram_add(&here->histogram, value);
}

/* Something that takes time. It is counted when it begins, its time when it ends. */
struct cairn_timing {
	struct cairn_stats *stats;
	unsigned int spread;
	uint64_t since; /* monotonic ns */
};

static inline struct cairn_timing cairn_timing_begin(struct cairn_stats *stats, unsigned int spread)
{
	atomic_fetch_add_explicit(&cairn_stats_here(stats)->spread[spread].begun, 1,
				  memory_order_relaxed);
	return (struct cairn_timing){ stats, spread, cairn_mono_ns() };
}

/* For _cleanup_, too. */
static inline void cairn_timing_endp(const struct cairn_timing *timing)
{
	cairn_histogram_add(&cairn_stats_here(timing->stats)->spread[timing->spread].histogram,
			    cairn_mono_ns() - timing->since);
}
