/* Time: the wall clock that stamps files, the monotonic clock that measures waits. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* The wall clock at the kernel's tick, the clock that disk file systems stamp inodes with
 * (Linux: current_time() uses the coarse clock). */
static inline struct timespec cairn_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return ts;
}

static inline bool cairn_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Whether `a` is later than `b`. */
static inline bool cairn_later_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

/* Monotonic nanoseconds. */
static inline uint64_t cairn_mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

/* The absolute CLOCK_MONOTONIC time `ms` milliseconds from now, for timed waits. */
static inline struct timespec cairn_mono_after_ms(uint64_t ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += (time_t)(ms / 1000);
	ts.tv_nsec += (long)(ms % 1000) * 1000000L;
	if (ts.tv_nsec >= 1000000000L) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000L;
	}
	return ts;
}
