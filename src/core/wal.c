#include "core/wal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/internal.h"
#include "util/clock.h"

/* Bytes at which the log is copied home between commits, and at which it is to start over. SQLite's
 * own default is 4 MiB; a larger log takes more of a burst in sequential writes before pages are
 * copied home. With a small limit both come earlier. */
#define PASSIVE_AT (UINT64_C(64) << 20)
#define RESTART_AT (UINT64_C(256) << 20)

/* Attempts at starting over, in a row, before a log at its limit is worth a word: on a busy machine
 * the first may find a reader of our own amid its query. */
#define TELL_AT 3U

/* After this long without work a log that is not empty is copied home. */
#define IDLE_MS 2000U

static uint64_t size_of(const struct cairn_core *core)
{
	return core->store->ops->wal_size(core->store);
}

static void tell_full(struct cairn_core *core)
{
	char readers[256];

	core->store->ops->wal_readers(core->store, readers, sizeof(readers));
	cairn_warn(core->log,
		   "the write-ahead log has grown to %" PRIu64 " MiB (mount option wal_limit) and "
		   "cannot start over while %s reads the workspace; changes wait until that ends",
		   size_of(core) >> 20, readers[0] ? readers : "another process");
}

static int checkpoint(struct cairn_core *core, enum cairn_checkpoint how)
{
	cairn_readers_rest(&core->readers);
	return core->store->ops->checkpoint(core->store, how);
}

int cairn_wal_admit(struct cairn_core *core, bool last)
{
	struct cairn_writer *w = &core->writer;
	int r = 0;

	if (size_of(core) >= core->options.wal_limit)
		r = checkpoint(core, CAIRN_CHECKPOINT_RESTART);
	if (r == -EAGAIN && last)
		return 0;
	if (r == -EAGAIN && ++w->wal_full == TELL_AT)
		tell_full(core);
	if (r == 0 && w->wal_full >= TELL_AT)
		cairn_info(core->log, "the write-ahead log starts over; changes are written again");
	if (r == 0)
		w->wal_full = 0;
	return r;
}

void cairn_wal_tend(struct cairn_core *core, bool idle)
{
	struct cairn_writer *w = &core->writer;
	uint64_t size = size_of(core), limit = core->options.wal_limit;
	uint64_t passive_at = MIN(PASSIVE_AT, limit / 4);
	int r = 0;

	if (size >= MAX(MIN(RESTART_AT, limit / 2), w->wal_restart_at)) {
		r = checkpoint(core, CAIRN_CHECKPOINT_RESTART);
		/* Not with every commit: it waits a little. */
		w->wal_restart_at = r == 0 ? 0 : size + passive_at;
	} else if (idle || size >= passive_at) {
		r = checkpoint(core, CAIRN_CHECKPOINT_PASSIVE);
	}
	if (r < 0 && r != -EAGAIN)
		cairn_warn(core->log, "checkpoint: %s; tried again after the next commit",
			   strerror(-r));
	/* Somebody was in the way: again after a while. */
	w->wal_settled = idle && r != -EAGAIN;
	if (idle)
		w->idle_since = cairn_mono_ns();
}

uint64_t cairn_wal_due(const struct cairn_core *core)
{
	const struct cairn_writer *w = &core->writer;

	if (core->options.read_only || w->wal_settled || size_of(core) == 0)
		return 0;
	return w->idle_since + UINT64_C(1000000) * IDLE_MS;
}
