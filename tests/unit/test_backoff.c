/* Pauses between attempts. What is asked for is looked at, not how long it takes. */
#include <criterion/criterion.h>
#include <time.h>

#include "util/backoff.h"
#include "util/macro.h"

#define MIN_NS UINT64_C(1000000)
#define MAX_NS UINT64_C(128000000)

enum { TRIES = 12, ROUNDS = 50 };

/* Stands before libc's: a pause that is asked for is noted and not made. */
static uint64_t last_pause;

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *pause, struct timespec *left)
{
	last_pause = (uint64_t)pause->tv_sec * 1000000000U + (uint64_t)pause->tv_nsec;
	return 0;
}

/* Between half of it and it. */
static uint64_t whole(unsigned int tries)
{
	return MIN(MIN_NS << tries, MAX_NS);
}

Test(backoff, pauses_double_up_to_the_limit)
{
	for (unsigned int tries = 0; tries < TRIES; tries++)
		for (int i = 0; i < ROUNDS; i++) {
			uint64_t ns = cairn_backoff_ns(tries, MIN_NS, MAX_NS);

			cr_assert_geq(ns, whole(tries) / 2, "try %u", tries);
			cr_assert_lt(ns, whole(tries), "try %u", tries);
		}
	cr_assert_lt(cairn_backoff_ns(~0U, MIN_NS, MAX_NS), MAX_NS);
}

Test(backoff, half_of_a_pause_is_chance)
{
	uint64_t first = cairn_backoff_ns(TRIES, MIN_NS, MAX_NS);
	bool differs = false;

	for (int i = 0; i < ROUNDS; i++)
		differs |= cairn_backoff_ns(TRIES, MIN_NS, MAX_NS) != first;
	cr_assert(differs);
}

Test(backoff, sleeps_as_long_as_that)
{
	for (unsigned int tries = 0; tries < TRIES; tries++) {
		cairn_backoff_sleep(tries, MIN_NS, MAX_NS);
		cr_assert_geq(last_pause, whole(tries) / 2, "try %u", tries);
		cr_assert_lt(last_pause, whole(tries), "try %u", tries);
	}
	cairn_backoff_sleep(0, UINT64_C(4000000000), UINT64_C(4000000000));
	cr_assert_geq(last_pause, UINT64_C(2000000000));
}
