#include "core/core.h"

#include <errno.h>
#include <stdlib.h>

#include "core/attr.h"
#include "core/internal.h"

static int batch_init(struct cairn_batch *batch)
{
	return cairn_mutex_init(&batch->lock, CAIRN_LOCK_LEAF);
}

/* Parts in the order they are built; a core that failed half way is taken down from there. */
static int core_init(struct cairn_core *core)
{
	int r;

	r = cairn_stats_init(&core->stats, &cairn_core_stats_names);
	r = r ?: cairn_rwlock_init(&core->gate, CAIRN_LOCK_GATE, 0);
	r = r ?: batch_init(&core->batch[0]) ?: batch_init(&core->batch[1]);
	r = r ?: cairn_icache_init(&core->icache);
	r = r ?: cairn_listings_init(&core->listings);
	r = r ?: cairn_pins_init(&core->pins);
	r = r ?: cairn_forgets_init(&core->forgets);
	r = r ?: cairn_readers_init(&core->readers, core->store);
	r = r ?: cairn_lease_init(&core->lease[CAIRN_SEQUENCE_INODE]);
	r = r ?: cairn_lease_init(&core->lease[CAIRN_SEQUENCE_DENTRY]);
	return r ?: cairn_writer_init(core);
}

static void core_free(struct cairn_core *core)
{
	cairn_writer_destroy(core);
	for (int i = 0; i < CAIRN_SEQUENCE_COUNT; i++)
		cairn_lease_destroy(&core->lease[i]);
	cairn_icache_destroy(&core->icache);
	cairn_listings_destroy(&core->listings);
	cairn_pins_destroy(&core->pins);
	cairn_forgets_destroy(&core->forgets);
	cairn_readers_destroy(&core->readers);
	for (int i = 0; i < 2; i++)
		cairn_mutex_destroy(&core->batch[i].lock);
	cairn_rwlock_destroy(&core->gate);
	cairn_stats_destroy(&core->stats);
	core->store->ops->close(core->store);
	free(core);
}

/* Orphans found in the store, collected before any is destroyed: a scan is one long read. */
struct orphans {
	uint64_t *inos;
	size_t count, capacity;
};

static int collect_orphan(void *arg, uint64_t ino)
{
	struct orphans *orphans = arg;

	if (orphans->count == orphans->capacity) {
		size_t capacity = orphans->capacity ? 2 * orphans->capacity : 64;
		void *inos = reallocarray(orphans->inos, capacity, sizeof(ino));

		if (!inos)
			return -ENOMEM;
		orphans->inos = inos;
		orphans->capacity = capacity;
	}
	orphans->inos[orphans->count++] = ino;
	return 0;
}

/* Destroys what a mount that was killed left unlinked but in use. */
static int reap_orphans(struct cairn_core *core)
{
	_cleanup_(cairn_readingp) struct cairn_reading reading = { 0 };
	struct orphans orphans = { 0 };
	int r;

	if (core->options.read_only || core->options.keep_orphans)
		return 0;
	r = cairn_reading(&core->readers, &reading);
	if (r < 0)
		return r;
	r = core->store->ops->orphan_scan(reading.reader, collect_orphan, &orphans);
	for (size_t i = 0; r == 0 && i < orphans.count; i++)
		cairn_inode_destroy(core, orphans.inos[i]);
	if (r == 0 && orphans.count > 0)
		cairn_info(core->log,
			   "freed %zu files that were unlinked but open when the last "
			   "mount ended",
			   orphans.count);
	free(orphans.inos);
	return r;
}

static void rest_readers(void *arg)
{
	struct cairn_core *core = arg;

	cairn_readers_rest(&core->readers);
}

int cairn_core_open(struct cairn_store *store, const struct cairn_core_options *options,
		    const struct cairn_log *log, struct cairn_core **ret)
{
	struct cairn_core *core = calloc(1, sizeof(*core));
	int r;

	if (!core) {
		store->ops->close(store);
		return -ENOMEM;
	}
	core->store = store;
	core->options = *options;
	core->options.read_only |= store->read_only;
	core->options.max_dirty = MAX(core->options.max_dirty, CAIRN_MAX_DIRTY_LEAST);
	core->options.wal_limit = MAX(core->options.wal_limit, CAIRN_WAL_LIMIT_LEAST);
	core->log = log;
	r = core_init(core);
	store->on_busy = rest_readers;
	store->on_busy_arg = core;
	if (r == 0)
		r = cairn_writer_start(core);
	if (r == 0)
		r = reap_orphans(core);
	if (r < 0) {
		cairn_writer_stop(core);
		core_free(core);
		return r;
	}
	*ret = core;
	return 0;
}

void cairn_core_each_pinned(struct cairn_core *core, void (*fn)(void *arg, uint64_t ino), void *arg)
{
	_cleanup_(cairn_freep) uint64_t *inos = NULL;
	size_t count;

	if (cairn_pins_list(&core->pins, &inos, &count) < 0)
		return;
	fn(arg, CAIRN_ROOT_INO); /* in use without ever being looked up */
	for (size_t i = 0; i < count; i++)
		fn(arg, inos[i]);
}

static void destroy_orphan(void *arg, uint64_t ino)
{
	cairn_inode_destroy(arg, ino);
}

int cairn_core_close(struct cairn_core *core)
{
	int r;

	cairn_pins_drain(&core->pins, destroy_orphan, core);
	r = cairn_writer_stop(core);
	core_free(core);
	return r;
}
