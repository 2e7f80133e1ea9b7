#include "util/stats.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/sysinfo.h>

#include "util/macro.h"

#define SHARDS_MAX 16U

static unsigned int shard_count(void)
{
	int cpus = get_nprocs_conf();
	unsigned int count = 1;

	while (count < SHARDS_MAX && (int)count < cpus)
		count *= 2;
	return count;
}

int cairn_stats_init(struct cairn_stats *stats, const struct cairn_stats_names *names)
{
	struct cairn_stats new = { .names = names, .shard_count = shard_count() };

	*stats = (struct cairn_stats){ 0 };
	new.shard = calloc(new.shard_count, sizeof(*new.shard));
	if (!new.shard)
		return -ENOMEM;
	for (unsigned int i = 0; i < new.shard_count; i++) {
		/* Each in memory of its own; pages that are never counted in are never touched. */
		new.shard[i].counter =
			calloc(names->counter_count + 1, sizeof(*new.shard[i].counter));
		new.shard[i].spread = calloc(names->spread_count + 1, sizeof(*new.shard[i].spread));
		if (!new.shard[i].counter || !new.shard[i].spread) {
			cairn_stats_destroy(&new);
			return -ENOMEM;
		}
	}
	*stats = new;
	return 0;
}

void cairn_stats_destroy(struct cairn_stats *stats)
{
	for (unsigned int i = 0; i < stats->shard_count; i++) {
		free(stats->shard[i].counter);
		free(stats->shard[i].spread);
	}
	free(stats->shard);
	*stats = (struct cairn_stats){ 0 };
}

uint64_t cairn_stats_counter(const struct cairn_stats *stats, unsigned int counter)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < stats->shard_count; i++)
		n += atomic_load_explicit(&stats->shard[i].counter[counter], memory_order_relaxed);
	return n;
}

void cairn_stats_spread(const struct cairn_stats *stats, unsigned int spread,
			struct cairn_distribution *ret, uint64_t *ret_begun)
{
	uint64_t begun = 0;

	*ret = (struct cairn_distribution){ 0 };
	for (unsigned int i = 0; i < stats->shard_count; i++)
		cairn_histogram_read(&stats->shard[i].spread[spread].histogram, ret);
	/* After those that ended, not to miss the beginning of one; a CPU may reorder it still. */
	for (unsigned int i = 0; i < stats->shard_count; i++)
		begun += atomic_load_explicit(&stats->shard[i].spread[spread].begun,
					      memory_order_relaxed);
	*ret_begun = MAX(begun, ret->count);
}
