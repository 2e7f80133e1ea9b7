#include "util/histogram.h"

#include "util/macro.h"

#define SUB_COUNT (1U << CAIRN_HISTOGRAM_SUB_BITS)
#define VALUE_MAX ((UINT64_C(1) << CAIRN_HISTOGRAM_BITS) - 1)

/* Small values have a bucket each. Above them the upper SUB_BITS + 1 bits of a value tell: the
 * first, which is always set, by its place, the others by themselves. */
static unsigned int bucket_of(uint64_t value)
{
	unsigned int shift;

	value = MIN(value, VALUE_MAX);
	if (value < SUB_COUNT)
		return (unsigned int)value;
	shift = 63U - (unsigned int)__builtin_clzll(value) - CAIRN_HISTOGRAM_SUB_BITS;
	return (shift << CAIRN_HISTOGRAM_SUB_BITS) + (unsigned int)(value >> shift);
}

/* The least value of a bucket. */
static uint64_t bucket_low(unsigned int index)
{
	unsigned int shift = index >> CAIRN_HISTOGRAM_SUB_BITS;

	if (shift < 2)
		return index;
	shift--;
	return (uint64_t)(index - (shift << CAIRN_HISTOGRAM_SUB_BITS)) << shift;
}

static uint64_t bucket_high(unsigned int index)
{
	return bucket_low(index + 1) - 1;
}

void cairn_histogram_add(struct cairn_histogram *histogram, uint64_t value)
{
	uint64_t max = atomic_load_explicit(&histogram->max, memory_order_relaxed);

	atomic_fetch_add_explicit(&histogram->bucket[bucket_of(value)], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&histogram->sum, value, memory_order_relaxed);
	while (value > max &&
	       !atomic_compare_exchange_weak_explicit(&histogram->max, &max, value,
						      memory_order_relaxed, memory_order_relaxed))
		;
}

void cairn_histogram_read(const struct cairn_histogram *histogram, struct cairn_distribution *total)
{
	uint64_t max = atomic_load_explicit(&histogram->max, memory_order_relaxed);

	total->sum += atomic_load_explicit(&histogram->sum, memory_order_relaxed);
	total->max = MAX(total->max, max);
	for (unsigned int i = 0; i < CAIRN_HISTOGRAM_BUCKETS; i++) {
		uint64_t n = atomic_load_explicit(&histogram->bucket[i], memory_order_relaxed);

		total->bucket[i] += n;
		total->count += n;
	}
}

uint64_t cairn_distribution_percentile(const struct cairn_distribution *d, double percent)
{
	double exact = (double)d->count * percent / 100.0;
	uint64_t rank, seen = 0;

	if (d->count == 0)
		return 0;
	/* A reading that somebody else gave us may hold any number. */
	rank = exact < 0x1p63 ? (uint64_t)exact : d->count;
	rank += (double)rank < exact;
	rank = MIN(MAX(rank, UINT64_C(1)), d->count);
	for (unsigned int i = 0; i < CAIRN_HISTOGRAM_BUCKETS; i++) {
		uint64_t low = bucket_low(i);

		seen += d->bucket[i];
		if (seen >= rank)
			return MIN(low + (bucket_high(i) - low) / 2, d->max);
	}
	return d->max;
}

uint64_t cairn_distribution_mean(const struct cairn_distribution *d)
{
	return d->count ? d->sum / d->count : 0;
}

/* Counts that went back are those of another mount, or nonsense: nothing is known then. */
static uint64_t less(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

void cairn_distribution_since(struct cairn_distribution *now,
			      const struct cairn_distribution *before)
{
	unsigned int last = 0;

	now->count = 0;
	now->sum = less(now->sum, before->sum);
	for (unsigned int i = 0; i < CAIRN_HISTOGRAM_BUCKETS; i++) {
		now->bucket[i] = less(now->bucket[i], before->bucket[i]);
		now->count += now->bucket[i];
		if (now->bucket[i])
			last = i;
	}
	now->max = now->count ? MIN(now->max, bucket_high(last)) : 0;
}
