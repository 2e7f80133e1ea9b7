/* Histograms: what a percentile of them may be off, whatever the values. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "util/histogram.h"
#include "util/macro.h"

static struct cairn_histogram histogram;

static struct cairn_distribution reading(void)
{
	struct cairn_distribution d = { 0 };

	cairn_histogram_read(&histogram, &d);
	return d;
}

static void add_times(uint64_t value, unsigned int times)
{
	while (times-- > 0)
		cairn_histogram_add(&histogram, value);
}

Test(histogram, empty_one_is_all_zero)
{
	struct cairn_distribution d = reading();

	cr_expect_eq(d.count, 0);
	cr_expect_eq(d.max, 0);
	cr_expect_eq(cairn_distribution_percentile(&d, 50), 0);
	cr_expect_eq(cairn_distribution_percentile(&d, 100), 0);
	cr_expect_eq(cairn_distribution_mean(&d), 0);
}

Test(histogram, small_values_are_kept_exactly)
{
	for (uint64_t v = 0; v < 16; v++) {
		struct cairn_distribution d;

		memset(&histogram, 0, sizeof(histogram));
		cairn_histogram_add(&histogram, v);
		cairn_histogram_add(&histogram, 1000);
		d = reading();
		cr_expect_eq(cairn_distribution_percentile(&d, 50), v, "%lu", v);
	}
}

/* A value alone, below a larger one so that the maximum does not help. */
static void expect_close(uint64_t value)
{
	struct cairn_distribution d;
	uint64_t got;

	memset(&histogram, 0, sizeof(histogram));
	cairn_histogram_add(&histogram, value);
	cairn_histogram_add(&histogram, UINT64_MAX);
	d = reading();
	got = cairn_distribution_percentile(&d, 50);
	cr_expect_leq(MAX(got, value) - MIN(got, value), value / 16, "%lu is told as %lu", value,
		      got);
}

Test(histogram, every_size_of_value_is_told_to_a_sixteenth)
{
	for (unsigned int bit = 3; bit < CAIRN_HISTOGRAM_BITS; bit++) {
		uint64_t power = UINT64_C(1) << bit;

		for (uint64_t eighth = 0; eighth < 8; eighth++) {
			expect_close(power + eighth * (power / 8));
			expect_close(power + (eighth + 1) * (power / 8) - 1);
		}
	}
}

Test(histogram, larger_values_than_it_can_tell_land_in_the_last_bucket)
{
	struct cairn_distribution d;

	add_times(UINT64_C(1) << CAIRN_HISTOGRAM_BITS, 1);
	add_times(UINT64_MAX, 1);
	d = reading();
	cr_expect_eq(d.bucket[CAIRN_HISTOGRAM_BUCKETS - 1], 2);
	cr_expect_eq(d.count, 2);
	cr_expect_eq(d.max, UINT64_MAX);
}

Test(histogram, percentiles_are_the_nearest_rank)
{
	struct cairn_distribution d;

	add_times(1, 50);
	add_times(3, 40);
	add_times(5, 9);
	add_times(7, 1);
	d = reading();
	cr_expect_eq(cairn_distribution_percentile(&d, 0.1), 1);
	cr_expect_eq(cairn_distribution_percentile(&d, 50), 1);
	cr_expect_eq(cairn_distribution_percentile(&d, 50.1), 3);
	cr_expect_eq(cairn_distribution_percentile(&d, 90), 3);
	cr_expect_eq(cairn_distribution_percentile(&d, 99), 5);
	cr_expect_eq(cairn_distribution_percentile(&d, 99.5), 7);
	cr_expect_eq(cairn_distribution_percentile(&d, 100), 7);
	cr_expect_eq(cairn_distribution_mean(&d), (50 + 120 + 45 + 7) / 100);
}

Test(histogram, no_percentile_is_above_the_maximum)
{
	struct cairn_distribution d;

	add_times(1000001, 3);
	d = reading();
	cr_expect_eq(d.max, 1000001);
	cr_expect_leq(cairn_distribution_percentile(&d, 99), 1000001);
}

Test(histogram, readings_of_several_add_up)
{
	struct cairn_distribution d = { 0 };

	add_times(2, 3);
	cairn_histogram_read(&histogram, &d);
	memset(&histogram, 0, sizeof(histogram));
	add_times(9, 1);
	cairn_histogram_read(&histogram, &d);
	cr_expect_eq(d.count, 4);
	cr_expect_eq(d.sum, 15);
	cr_expect_eq(d.max, 9);
	cr_expect_eq(cairn_distribution_percentile(&d, 75), 2);
	cr_expect_eq(cairn_distribution_percentile(&d, 76), 9);
}

Test(histogram, since_leaves_what_came_later)
{
	struct cairn_distribution before, now;

	add_times(1000000, 5);
	add_times(4, 1);
	before = reading();
	add_times(4, 2);
	add_times(6, 2);
	now = reading();
	cairn_distribution_since(&now, &before);
	cr_expect_eq(now.count, 4);
	cr_expect_eq(now.sum, 20);
	cr_expect_eq(now.max, 6, "the largest value before is not of this time");
	cr_expect_eq(cairn_distribution_percentile(&now, 50), 4);
	cr_expect_eq(cairn_distribution_percentile(&now, 51), 6);
}

Test(histogram, since_a_reading_with_more_in_it_is_nothing)
{
	struct cairn_distribution before, now = { 0 };

	add_times(4, 2);
	before = reading();
	cairn_distribution_since(&now, &before);
	cr_expect_eq(now.count, 0);
	cr_expect_eq(now.sum, 0);
	cr_expect_eq(now.max, 0);
}

Test(histogram, nonsense_in_a_reading_is_survived)
{
	struct cairn_distribution d = { .count = UINT64_MAX, .max = 9 }, before;

	cr_expect_eq(cairn_distribution_percentile(&d, 100), 9);
	memset(&d, 0xff, sizeof(d));
	cairn_distribution_percentile(&d, 99);
	memset(&before, 0x7f, sizeof(before));
	cairn_distribution_since(&d, &before);
	cairn_distribution_percentile(&d, 99);
	cr_expect_eq(cairn_distribution_mean(&d), d.sum / d.count);
}

static void *add_many(void *arg)
{
	for (uint64_t i = 0; i < 100000; i++)
		cairn_histogram_add(&histogram, i);
	return arg;
}

Test(histogram, threads_lose_nothing)
{
	struct cairn_distribution d;
	pthread_t threads[4];

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, add_many, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	d = reading();
	cr_expect_eq(d.count, 400000);
	cr_expect_eq(d.sum, UINT64_C(4) * 99999 * 100000 / 2);
	cr_expect_eq(d.max, 99999);
}
