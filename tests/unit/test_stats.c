/* Counters and timings: that nothing is lost, whatever thread and CPU counts it. */
#include <criterion/criterion.h>
#include <pthread.h>

#include "util/macro.h"
#include "util/stats.h"

enum { APPLES, PEARS, COUNTERS };
enum { WAIT, SIZE, SPREADS };

static const struct cairn_stats_names names = {
	.counter = (const char *const[]){ "apples", "pears" },
	.counter_count = COUNTERS,
	.spread = (const char *const[]){ "wait", "size" },
	.spread_count = SPREADS,
};

static struct cairn_stats stats;

static void setup(void)
{
	cr_assert_eq(cairn_stats_init(&stats, &names), 0);
}

static void teardown(void)
{
	cairn_stats_destroy(&stats);
}

TestSuite(stats, .init = setup, .fini = teardown);

static struct cairn_distribution spread(unsigned int which, uint64_t *ret_begun)
{
	struct cairn_distribution d;

	cairn_stats_spread(&stats, which, &d, ret_begun);
	return d;
}

Test(stats, new_ones_are_zero)
{
	uint64_t begun;

	cr_expect_eq(cairn_stats_counter(&stats, APPLES), 0);
	cr_expect_eq(spread(WAIT, &begun).count, 0);
	cr_expect_eq(begun, 0);
}

Test(stats, counters_are_apart)
{
	cairn_stats_count(&stats, APPLES, 1);
	cairn_stats_count(&stats, PEARS, 5);
	cairn_stats_count(&stats, APPLES, 2);
	cr_expect_eq(cairn_stats_counter(&stats, APPLES), 3);
	cr_expect_eq(cairn_stats_counter(&stats, PEARS), 5);
}

Test(stats, values_are_spread)
{
	struct cairn_distribution d;
	uint64_t begun;

	cairn_stats_value(&stats, SIZE, 7);
	cairn_stats_value(&stats, SIZE, 9);
	d = spread(SIZE, &begun);
	cr_expect_eq(d.count, 2);
	cr_expect_eq(d.sum, 16);
	cr_expect_eq(d.max, 9);
	cr_expect_eq(begun, 2);
	cr_expect_eq(spread(WAIT, &begun).count, 0);
}

Test(stats, a_timing_counts_when_it_begins_and_is_measured_when_it_ends)
{
	struct cairn_timing timing = cairn_timing_begin(&stats, WAIT);
	struct cairn_distribution d;
	uint64_t begun, before = timing.since;

	cr_expect_eq(spread(WAIT, &begun).count, 0);
	cr_expect_eq(begun, 1);
	cairn_timing_endp(&timing);
	d = spread(WAIT, &begun);
	cr_expect_eq(d.count, 1);
	cr_expect_eq(begun, 1);
	cr_expect_leq(d.max, cairn_mono_ns() - before);
}

/* On one CPU after the other, as far as there are several. */
static void *count_everywhere(_unused_ void *arg)
{
	for (int i = 0; i < 10000; i++) {
		_cleanup_(cairn_timing_endp) struct cairn_timing timing =
			cairn_timing_begin(&stats, WAIT);

		cairn_stats_count(&stats, APPLES, 2);
		cairn_stats_value(&stats, SIZE, 3);
	}
	return NULL;
}

Test(stats, threads_lose_nothing)
{
	pthread_t threads[8];
	cpu_set_t cpu;
	uint64_t begun;

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		cr_assert_eq(pthread_create(&threads[i], NULL, count_everywhere, NULL), 0);
		CPU_ZERO(&cpu);
		CPU_SET(i % (size_t)sysconf(_SC_NPROCESSORS_ONLN), &cpu);
		pthread_setaffinity_np(threads[i], sizeof(cpu), &cpu);
	}
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(cairn_stats_counter(&stats, APPLES), 160000);
	cr_expect_eq(spread(WAIT, &begun).count, 80000);
	cr_expect_eq(begun, 80000);
	cr_expect_eq(spread(SIZE, &begun).sum, 240000);
}

Test(stats, destroying_twice_or_what_was_never_made_is_harmless)
{
	struct cairn_stats never = { 0 };

	cairn_stats_destroy(&never);
	cairn_stats_destroy(&stats);
}
