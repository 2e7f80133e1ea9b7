#include "core/stats.h"

#include "core/internal.h"

const struct cairn_stats_names cairn_core_stats_names = {
	.counter =
		(const char *const[]){
			[CAIRN_COUNT_INODE_FOUND] = "cache.inode_hits",
			[CAIRN_COUNT_INODE_MISSED] = "cache.inode_misses",
			[CAIRN_COUNT_ENTRY_BATCHED] = "cache.entries_batched",
			[CAIRN_COUNT_ENTRY_STORED] = "cache.entries_stored",
			[CAIRN_COUNT_ENTRY_ABSENT] = "cache.entries_absent",
			[CAIRN_COUNT_LISTING_BUILT] = "cache.listings_built",
			[CAIRN_COUNT_DROPPED] = "cache.dropped",
			[CAIRN_COUNT_READ_BYTES] = "data.read",
			[CAIRN_COUNT_WRITTEN_BYTES] = "data.written",
			[CAIRN_COUNT_FAILURES] = "writer.failures",
			[CAIRN_COUNT_SYNC_CALLERS] = "writer.sync_callers",
		},
	.counter_count = CAIRN_COUNTERS,
	.spread =
		(const char *const[]){
			[CAIRN_SPREAD_COMMIT] = "writer.commit",
			[CAIRN_SPREAD_BATCH_INODES] = "writer.batch_inodes",
			[CAIRN_SPREAD_BATCH_BYTES] = "writer.batch_bytes",
			[CAIRN_SPREAD_SYNC] = "writer.sync",
			[CAIRN_SPREAD_THROTTLE] = "writer.throttle",
		},
	.spread_count = CAIRN_SPREADS,
};

void cairn_stats_committed(struct cairn_core *core, const struct cairn_batch *batch)
{
	if (batch->count == 0)
		return; /* new numbers alone */
	cairn_stats_value(&core->stats, CAIRN_SPREAD_BATCH_INODES, batch->count);
	cairn_stats_value(&core->stats, CAIRN_SPREAD_BATCH_BYTES, atomic_load(&batch->bytes));
}

const struct cairn_stats *cairn_core_stats(const struct cairn_core *core)
{
	return &core->stats;
}

const struct cairn_stats *cairn_core_store_stats(const struct cairn_core *core)
{
	return core->store->stats;
}

static uint64_t batched_inodes(struct cairn_core *core)
{
	uint64_t count = 0;

	for (int i = 0; i < 2; i++) {
		cairn_mutex_lock(&core->batch[i].lock);
		count += core->batch[i].count;
		cairn_mutex_unlock(&core->batch[i].lock);
	}
	return count;
}

static void tell_cache(struct cairn_core *core, cairn_level_fn fn, void *arg)
{
	uint64_t inodes, idle, listings;

	cairn_mutex_lock(&core->icache.lock);
	inodes = HASH_COUNT(core->icache.table);
	idle = core->icache.idle_count;
	cairn_mutex_unlock(&core->icache.lock);
	cairn_mutex_lock(&core->listings.lock);
	listings = core->listings.bytes;
	cairn_mutex_unlock(&core->listings.lock);

	fn(arg, "cache.inodes", inodes);
	fn(arg, "cache.inodes_idle", idle);
	fn(arg, "cache.listing_bytes", listings);
	fn(arg, "cache.pinned", cairn_pins_count(&core->pins));
}

static void tell_readers(struct cairn_core *core, cairn_level_fn fn, void *arg)
{
	uint64_t open, in_use, peak;

	pthread_mutex_lock(&core->readers.lock);
	in_use = core->readers.in_use;
	peak = core->readers.in_use_peak;
	open = core->readers.idle_count + in_use;
	pthread_mutex_unlock(&core->readers.lock);

	fn(arg, "readers.open", open);
	fn(arg, "readers.in_use", in_use);
	fn(arg, "readers.in_use_peak", peak);
}

void cairn_core_levels(struct cairn_core *core, cairn_level_fn fn, void *arg)
{
	tell_cache(core, fn, arg);
	tell_readers(core, fn, arg);
	fn(arg, "writer.dirty_bytes", cairn_core_dirty(core));
	fn(arg, "writer.dirty_inodes", batched_inodes(core));
	fn(arg, "writer.trouble", (uint64_t)-atomic_load(&core->writer.trouble));
	fn(arg, "store.used", atomic_load(&core->used));
	fn(arg, "store.wal_size", core->store->ops->wal_size(core->store));
}
