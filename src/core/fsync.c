#include "core/fsync.h"

#include <semaphore.h>
#include <utlist.h>

#include "core/internal.h"

/* The batch that holds the newest change of an inode, or the last one before it: what fsync waits
 * for. */
static int newest_batch(struct cairn_core *core, uint64_t ino, uint64_t *ret)
{
	_cleanup_(cairn_inode_viewp) struct cairn_inode_view view = { 0 };
	int r;

	r = cairn_inode_view(core, ino, &view);
	if (r < 0)
		return r;
	*ret = view.inode->delta[core->seq & 1] ? core->seq : core->seq - 1;
	return 0;
}

static int batch_to_sync(struct cairn_core *core, uint64_t ino, uint64_t *ret)
{
	int r;

	cairn_rwlock_rdlock(&core->gate);
	r = newest_batch(core, ino, ret);
	cairn_rwlock_unlock(&core->gate);
	return r;
}

/* Whether an fsync has its result. */
static bool has_result_locked(const struct cairn_writer *w, const struct cairn_fsync *fsync,
			      int *ret)
{
	if (w->synced >= fsync->seq)
		*ret = 0;
	else if (w->failures != fsync->failures)
		*ret = w->failure;
	else
		return false;
	return true;
}

/* In the order in which they came; a later one may need an earlier batch. */
static struct cairn_fsync *next_with_result_locked(struct cairn_writer *w, int *ret)
{
	struct cairn_fsync *fsync;

	DL_FOREACH (w->fsyncs, fsync)
		if (has_result_locked(w, fsync, ret))
			break;
	if (fsync)
		DL_DELETE(w->fsyncs, fsync);
	return fsync;
}

void cairn_fsync_answer(struct cairn_core *core)
{
	struct cairn_writer *w = &core->writer;
	struct cairn_fsync *fsync;
	int r;

	cairn_mutex_lock(&w->lock);
	while ((fsync = next_with_result_locked(w, &r))) {
		w->answering = true;
		cairn_mutex_unlock(&w->lock);
		cairn_lock_expect_none();
		fsync->done(fsync, r);
		cairn_mutex_lock(&w->lock);
	}
	if (w->answering) {
		w->answering = false;
		pthread_cond_broadcast(&w->synced_moved);
	}
	cairn_mutex_unlock(&w->lock);
}

static void answer_when_synced(struct cairn_core *core, uint64_t seq, struct cairn_fsync *fsync)
{
	struct cairn_writer *w = &core->writer;
	bool synced;

	cairn_stats_count(&core->stats, CAIRN_COUNT_SYNC_CALLERS, 1);
	cairn_mutex_lock(&w->lock);
	synced = w->synced >= seq;
	if (!synced) {
		fsync->seq = seq;
		fsync->failures = w->failures;
		DL_APPEND(w->fsyncs, fsync);
		w->want_commit = MAX(w->want_commit, seq);
		w->want_sync = MAX(w->want_sync, seq);
		pthread_cond_signal(&w->work);
	}
	cairn_mutex_unlock(&w->lock);
	if (synced)
		fsync->done(fsync, 0);
}

void cairn_core_fsync_begin(struct cairn_core *core, uint64_t ino, struct cairn_fsync *fsync)
{
	uint64_t seq;
	int r = 0;

	if (!core->options.read_only)
		r = batch_to_sync(core, ino, &seq);
	if (core->options.read_only || r < 0)
		fsync->done(fsync, r);
	else
		answer_when_synced(core, seq, fsync);
}

struct waiting {
	struct cairn_fsync fsync;
	sem_t done;
	int r;
};

static void wake(struct cairn_fsync *fsync, int r)
{
	struct waiting *waiting = CONTAINER_OF(fsync, struct waiting, fsync);

	waiting->r = r;
	sem_post(&waiting->done);
}

int cairn_core_fsync(struct cairn_core *core, uint64_t ino)
{
	struct waiting waiting = { .fsync.done = wake };

	cairn_lock_expect_none();
	sem_init(&waiting.done, 0, 0);
	cairn_core_fsync_begin(core, ino, &waiting.fsync);
	while (sem_wait(&waiting.done) < 0)
		; /* interrupted by a signal */
	sem_destroy(&waiting.done);
	return waiting.r;
}

void cairn_core_fsync_drain(struct cairn_core *core)
{
	struct cairn_writer *w = &core->writer;

	cairn_mutex_lock(&w->lock);
	while (w->fsyncs || w->answering)
		cairn_mutex_wait(&w->lock, &w->synced_moved);
	cairn_mutex_unlock(&w->lock);
}
