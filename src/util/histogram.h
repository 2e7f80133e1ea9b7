/* Distributions of durations and sizes, cheap enough to keep all the time.
 *
 * A `struct cairn_histogram` is written by any number of threads with relaxed atomics: two
 * additions and a comparison a value. Its buckets are eight to each power of two, so that a
 * percentile is off by a sixteenth of itself at most. Whoever wants to know reads it into a
 * `struct cairn_distribution`, a plain copy, and computes there. A copy taken while others write
 * may miss what is just being added, in one field or another. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define CAIRN_HISTOGRAM_SUB_BITS 3U
/* Values from 2^40 up count as 2^40 - 1: 18 minutes in nanoseconds, 1 TiB in bytes. */
#define CAIRN_HISTOGRAM_BITS 40U
#define CAIRN_HISTOGRAM_BUCKETS                                                                    \
	((CAIRN_HISTOGRAM_BITS - CAIRN_HISTOGRAM_SUB_BITS + 1U) << CAIRN_HISTOGRAM_SUB_BITS)

struct cairn_histogram {
	_Atomic uint64_t sum;
	_Atomic uint64_t max;
	_Atomic uint64_t bucket[CAIRN_HISTOGRAM_BUCKETS];
};

struct cairn_distribution {
	uint64_t count;
	uint64_t sum;
	uint64_t max;
	uint64_t bucket[CAIRN_HISTOGRAM_BUCKETS];
};

void cairn_histogram_add(struct cairn_histogram *histogram, uint64_t value);

/* Adds the values of `histogram` to those that `total` has already. */
void cairn_histogram_read(const struct cairn_histogram *histogram,
			  struct cairn_distribution *total);

/* The value that `percent` (above 0, up to 100) of all values do not exceed, by the middle of its
 * bucket; 0 where there is none. */
uint64_t cairn_distribution_percentile(const struct cairn_distribution *d, double percent);

/* The mean; 0 where there is no value. */
uint64_t cairn_distribution_mean(const struct cairn_distribution *d);

/* What came since `before`, an earlier reading of the same: takes its values away from `now`. The
 * largest value is then known by its bucket alone. */
void cairn_distribution_since(struct cairn_distribution *now,
			      const struct cairn_distribution *before);
