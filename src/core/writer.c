#include "core/writer.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/flush.h"
#include "core/foreign.h"
#include "core/fsync.h"
#include "core/internal.h"
#include "core/wal.h"
#include "util/backoff.h"
#include "util/clock.h"

/* The running batch is committed early when it holds this share of max_dirty, so that callers
 * fill the next one meanwhile and seldom wait. */
#define EARLY_SHARE 4U

/* Waits between attempts at a batch that cannot be written. */
#define RETRY_MIN_NS UINT64_C(10000000)
#define RETRY_MAX_NS UINT64_C(1000000000)

/* At the end of a mount: how long a busy database is waited for, and how often another failure is
 * tried again, before the changes are given up. */
#define STOP_BUSY_MS  120000U
#define STOP_ATTEMPTS 5U

int cairn_writer_init(struct cairn_core *core)
{
	struct cairn_writer *w = &core->writer;
	pthread_condattr_t attr;

	*w = (struct cairn_writer){ 0 };
	w->scratch = malloc(core->store->chunk_size);
	if (!w->scratch)
		return -ENOMEM;
	cairn_mutex_init(&w->lock, CAIRN_LOCK_WRITER);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->work, &attr);
	pthread_cond_init(&w->committed_moved, &attr);
	pthread_cond_init(&w->synced_moved, &attr);
	pthread_cond_init(&w->room, &attr);
	pthread_cond_init(&w->looked, &attr);
	pthread_condattr_destroy(&attr);
	return 0;
}

void cairn_writer_destroy(struct cairn_core *core)
{
	struct cairn_writer *w = &core->writer;

	free(w->scratch);
	pthread_cond_destroy(&w->work);
	pthread_cond_destroy(&w->committed_moved);
	pthread_cond_destroy(&w->synced_moved);
	pthread_cond_destroy(&w->room);
	pthread_cond_destroy(&w->looked);
	cairn_mutex_destroy(&w->lock);
}

static bool lease_wanted(struct cairn_core *core)
{
	for (int i = 0; i < CAIRN_SEQUENCE_COUNT; i++) {
		uint64_t left = cairn_lease_left(&core->lease[i]);

		/* A mount that made nothing yet has no lease and needs none. */
		if (left > 0 && left < CAIRN_LEASE_LOW)
			return true;
	}
	return false;
}

static int reserve_leases(struct cairn_core *core, uint64_t *first)
{
	int r;

	for (enum cairn_sequence i = 0; i < CAIRN_SEQUENCE_COUNT; i++) {
		if (!cairn_lease_wants_block(&core->lease[i]))
			continue;
		r = core->store->ops->lease(core->store, i, CAIRN_LEASE_BLOCK, &first[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Inside the transaction, others can commit no more: what they have done until now is final. It
 * counts until a commit of ours has dealt with it, however often that is tried. */
static int meet_foreign(struct cairn_core *core, struct cairn_batch *batch)
{
	enum cairn_foreign found;
	int r;

	r = core->store->ops->foreign(core->store, &found);
	if (r < 0)
		return r;
	core->writer.foreign |= found == CAIRN_FOREIGN_FILES;
	core->writer.foreign_base |= found == CAIRN_FOREIGN_BASE;
	return core->writer.foreign ? cairn_conflict_resolve(core, batch) : 0;
}

static bool is_stopping(struct cairn_writer *w)
{
	bool stop;

	cairn_mutex_lock(&w->lock);
	stop = w->stop;
	cairn_mutex_unlock(&w->lock);
	return stop;
}

/* One transaction: the batch, and new leases if `leases`. */
static int commit_once(struct cairn_core *core, struct cairn_batch *batch, bool leases)
{
	const struct cairn_store_ops *ops = core->store->ops;
	uint64_t first[CAIRN_SEQUENCE_COUNT] = { 0 };
	int r;

	r = ops->present(core->store);
	if (r < 0)
		return r;
	r = cairn_wal_admit(core, is_stopping(&core->writer));
	if (r < 0)
		return r;
	r = ops->begin(core->store);
	if (r < 0)
		return r;
	r = meet_foreign(core, batch);
	if (r == 0)
		r = cairn_flush_batch(core, batch);
	if (r == 0 && leases)
		r = reserve_leases(core, first);
	if (r == 0)
		r = ops->commit(core->store);
	if (r < 0) {
		ops->rollback(core->store);
		return r;
	}
	for (int i = 0; i < CAIRN_SEQUENCE_COUNT; i++)
		if (first[i])
			cairn_lease_add(&core->lease[i], first[i], CAIRN_LEASE_BLOCK);
	return 0;
}

static void refresh_space(struct cairn_core *core)
{
	_cleanup_(cairn_readingp) struct cairn_reading reading = { 0 };
	struct cairn_space space;

	if (cairn_reading(&core->readers, &reading) == 0 &&
	    core->store->ops->space(reading.reader, &space) == 0)
		atomic_store(&core->used, space.used);
}

/* Tells everyone how an attempt went. A database that is busy is no trouble: it will be free. */
static void report(struct cairn_core *core, int r)
{
	struct cairn_writer *w = &core->writer;
	int before = atomic_load(&w->trouble);

	if (r < 0)
		cairn_stats_count(&core->stats, CAIRN_COUNT_FAILURES, 1);
	if (r < 0 && r != -EAGAIN && before != r)
		cairn_err(core->log,
			  "cannot write to the workspace: %s; changes are kept in memory "
			  "and tried again",
			  strerror(-r));
	else if (r == 0 && before != 0)
		cairn_info(core->log, "the workspace can be written again");

	cairn_mutex_lock(&w->lock);
	if (r != -EAGAIN)
		atomic_store(&w->trouble, r);
	if (r < 0 && r != -EAGAIN) {
		w->failures++;
		w->failure = r;
	}
	if (r < 0) {
		pthread_cond_broadcast(&w->committed_moved);
		pthread_cond_broadcast(&w->synced_moved);
	}
	if (r != before)
		pthread_cond_broadcast(&w->room);
	cairn_mutex_unlock(&w->lock);
	if (r < 0)
		cairn_fsync_answer(core);
}

struct retry {
	unsigned int attempts;
	uint64_t since; /* monotonic ns */
};

/* Sleeps before the next attempt. False when the mount is ending and enough was tried. */
static bool retry_later(struct cairn_core *core, struct retry *retry, int r)
{
	struct cairn_writer *w = &core->writer;
	struct timespec until;
	bool give_up = false;

	until = cairn_mono_after_ms(
		cairn_backoff_ns(retry->attempts++, RETRY_MIN_NS, RETRY_MAX_NS) / 1000000U);
	cairn_mutex_lock(&w->lock);
	if (w->stop)
		give_up = r == -EAGAIN ? cairn_mono_ns() - retry->since >
						 UINT64_C(1000000) * STOP_BUSY_MS
				       : retry->attempts >= STOP_ATTEMPTS;
	if (!give_up)
		cairn_mutex_wait_until(&w->lock, &w->work, &until);
	cairn_mutex_unlock(&w->lock);
	return !give_up;
}

/* Nobody who only wants to read waits for a commit: another process may hold it up. */
static void set_committing(struct cairn_core *core, bool on)
{
	struct cairn_writer *w = &core->writer;

	cairn_mutex_lock(&w->lock);
	w->committing = on;
	pthread_cond_broadcast(&w->looked);
	cairn_mutex_unlock(&w->lock);
}

/* Looks what others did, and whether the file is still there. True when they have committed. */
static bool look_at_others(struct cairn_core *core)
{
	struct cairn_writer *w = &core->writer;
	uint64_t wal_size = core->store->ops->wal_size(core->store);
	int r;

	r = core->store->ops->present(core->store);
	if (r < 0 || w->absent)
		report(core, r);
	w->absent = r < 0;
	cairn_readers_rest(&core->readers);
	r = cairn_foreign_poll(core);
	if (r < 0 && r != -EAGAIN)
		cairn_warn(core->log, "looking for changes by others: %s", strerror(-r));
	w->next_poll = cairn_mono_ns() + UINT64_C(1000000) * CAIRN_FOREIGN_POLL_MS;
	return core->store->ops->wal_size(core->store) != wal_size;
}

static int commit_until_done(struct cairn_core *core, struct cairn_batch *batch, bool leases)
{
	_cleanup_(cairn_timing_endp) struct cairn_timing timing =
		cairn_timing_begin(&core->stats, CAIRN_SPREAD_COMMIT);
	struct retry retry = { .since = cairn_mono_ns() };
	int r;

	set_committing(core, true);
	do {
		r = commit_once(core, batch, leases);
		report(core, r);
		/* The wait may be long, and others may commit meanwhile. */
		if (r == -EAGAIN && cairn_mono_ns() >= core->writer.next_poll)
			look_at_others(core);
	} while (r < 0 && retry_later(core, &retry, r));
	set_committing(core, false);
	return r;
}

/* Ends the running batch: operations that begin from now on join the next. */
static struct cairn_batch *swap(struct cairn_core *core, uint64_t *ret_seq)
{
	struct cairn_batch *batch;

	cairn_rwlock_wrlock(&core->gate);
	*ret_seq = core->seq++;
	batch = &core->batch[*ret_seq & 1];
	cairn_rwlock_unlock(&core->gate);
	return batch;
}

static void note_done(struct cairn_core *core, uint64_t *what, uint64_t seq, pthread_cond_t *moved)
{
	struct cairn_writer *w = &core->writer;

	cairn_mutex_lock(&w->lock);
	*what = MAX(*what, seq);
	pthread_cond_broadcast(moved);
	cairn_mutex_unlock(&w->lock);
}

static int commit_running(struct cairn_core *core, bool leases)
{
	struct cairn_batch *batch;
	uint64_t seq;
	int r;

	batch = swap(core, &seq);
	if (batch->count > 0 || leases) {
		r = commit_until_done(core, batch, leases);
		if (r < 0) {
			cairn_flush_mourn(core, batch);
			cairn_flush_drop(core, batch);
			return r;
		}
		cairn_stats_committed(core, batch);
		atomic_fetch_add(&core->commits, 1);
		refresh_space(
			core); /* who waits for space that a deletion frees looks at it next */
	}
	/* Before the drop: fsync waits for it. */
	note_done(core, &core->writer.committed, seq, &core->writer.committed_moved);
	cairn_flush_drop(core, batch);
	if (core->writer.foreign || core->writer.foreign_base) {
		core->writer.foreign = core->writer.foreign_base = false;
		cairn_foreign_react(core);
	}

	cairn_mutex_lock(&core->writer.lock);
	pthread_cond_broadcast(&core->writer.room);
	cairn_mutex_unlock(&core->writer.lock);
	return 0;
}

static int sync_until_done(struct cairn_core *core)
{
	struct cairn_timing timing = cairn_timing_begin(&core->stats, CAIRN_SPREAD_SYNC);
	struct retry retry = { .since = cairn_mono_ns() };
	struct cairn_writer *w = &core->writer;
	uint64_t seq;
	int r;

	cairn_mutex_lock(&w->lock);
	seq = w->committed;
	cairn_mutex_unlock(&w->lock);
	do {
		r = core->store->ops->sync(core->store);
		report(core, r);
		if (r < 0)
			cairn_readers_rest(&core->readers); /* the next may be a checkpoint */
	} while (r < 0 && retry_later(core, &retry, r));
	cairn_timing_endp(&timing); /* before those who waited for it hear of it */
	if (r == 0) {
		note_done(core, &w->synced, seq, &w->synced_moved);
		cairn_fsync_answer(core);
	}
	return r;
}

/* What the writer should do next (only this thread moves core->seq); taken under its lock, done
 * without it. */
struct todo {
	bool stop;
	bool commit;
	bool lease;
	bool sync;
	bool poll;
	bool idle;
};

static bool batch_is_large(struct cairn_core *core, uint64_t seq)
{
	return atomic_load(&core->batch[seq & 1].bytes) >= core->options.max_dirty / EARLY_SHARE;
}

static struct todo look(struct cairn_core *core)
{
	struct cairn_writer *w = &core->writer;
	uint64_t now = cairn_mono_ns();

	return (struct todo){
		.stop = w->stop,
		.lease = w->want_lease || lease_wanted(core),
		.commit = w->stop || w->want_commit > w->committed ||
			  (w->deadline && (now >= w->deadline || batch_is_large(core, core->seq))),
		.sync = w->want_sync > w->synced,
		.poll = now >= w->next_poll || w->want_poll > w->polled,
	};
}

/* The earliest of the times that are set (not 0), in monotonic ns. */
static struct timespec earliest(uint64_t a, uint64_t b)
{
	uint64_t until = !a ? b : !b ? a : MIN(a, b);

	return (struct timespec){ .tv_sec = (time_t)(until / 1000000000U),
				  .tv_nsec = (long)(until % 1000000000U) };
}

/* Sleeps until there is something to do; an idle WAL that should be checkpointed is, too. */
static struct todo wait_for_work(struct cairn_core *core)
{
	struct cairn_writer *w = &core->writer;
	uint64_t wal_due = cairn_wal_due(core);
	struct timespec until;
	struct todo todo;

	cairn_mutex_lock(&w->lock);
	for (;;) {
		todo = look(core);
		todo.idle = wal_due && !w->deadline && cairn_mono_ns() >= wal_due;
		if (todo.stop || todo.commit || todo.lease || todo.sync || todo.poll || todo.idle)
			break;
		until = earliest(w->deadline, w->next_poll);
		cairn_mutex_wait_until(&w->lock, &w->work, &until);
	}
	if (todo.commit)
		w->deadline = 0;
	if (todo.lease)
		w->want_lease = false;
	cairn_mutex_unlock(&w->lock);
	return todo;
}

/* The same, and answers those who wait for it. */
static bool poll_foreign(struct cairn_core *core)
{
	struct cairn_writer *w = &core->writer;
	uint64_t wanted;
	bool grown;

	cairn_mutex_lock(&w->lock);
	wanted = w->want_poll;
	cairn_mutex_unlock(&w->lock);
	grown = look_at_others(core);
	cairn_forget_unused(core);
	note_done(core, &w->polled, wanted, &w->looked);
	return grown;
}

/* One round of work. Negative only when the mount ends with changes unwritten. */
static int work(struct cairn_core *core, const struct todo *todo)
{
	bool grown = todo->commit;
	int r;

	if (todo->poll)
		grown |= poll_foreign(core);
	if (todo->commit || todo->lease) {
		r = commit_running(core, todo->lease);
		if (r < 0)
			return r;
	}
	if (todo->sync) {
		r = sync_until_done(core);
		if (r < 0)
			return r;
	}
	if (grown || todo->sync)
		core->writer.idle_since = cairn_mono_ns();
	if (!core->options.read_only && (grown || todo->idle))
		cairn_wal_tend(core, todo->idle);
	return 0;
}

/* After a batch that is lost nothing newer may be written: the store holds a prefix. */
static void give_up(struct cairn_core *core)
{
	struct cairn_batch *batch;
	uint64_t seq;

	batch = swap(core, &seq);
	cairn_flush_mourn(core, batch);
	cairn_flush_drop(core, batch);
}

static void *run(void *arg)
{
	struct cairn_core *core = arg;
	struct todo todo;

	do {
		todo = wait_for_work(core);
		core->writer.result = work(core, &todo);
		if (core->writer.result < 0)
			give_up(core);
	} while (!todo.stop && core->writer.result == 0);
	return NULL;
}

int cairn_writer_start(struct cairn_core *core)
{
	sigset_t all, before;
	int r;

	refresh_space(core);
	core->seq = 1;
	/* Signals are for the threads of whoever opened the core. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&core->writer.thread, NULL, run, core);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	core->writer.started = r == 0;
	return -r;
}

int cairn_writer_stop(struct cairn_core *core)
{
	struct cairn_writer *w = &core->writer;
	int r;

	if (!w->started)
		return 0;
	cairn_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->work);
	cairn_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	w->started = false;
	if (w->result < 0)
		return w->result;

	if (core->options.read_only)
		return 0;
	cairn_readers_rest(&core->readers);
	r = core->store->ops->checkpoint(core->store, CAIRN_CHECKPOINT_ALL);
	if (r == -EAGAIN)
		r = 0; /* another process reads the WAL; the last one to close cleans up */
	return r;
}

void cairn_writer_dirty(struct cairn_core *core, uint64_t seq)
{
	struct cairn_writer *w = &core->writer;

	cairn_mutex_lock(&w->lock);
	if (!w->deadline) {
		w->deadline =
			cairn_mono_ns() + UINT64_C(1000000) * core->options.commit_interval_ms;
		pthread_cond_signal(&w->work);
	} else if (batch_is_large(core, seq)) {
		pthread_cond_signal(&w->work);
	}
	cairn_mutex_unlock(&w->lock);
}

/* A caller is about to wait: whoever serves it may send somebody else to work. */
static void say_waiting(struct cairn_core *core)
{
	cairn_lock_expect_none();
	if (core->options.on_wait)
		core->options.on_wait(core->options.hook_arg);
}

int cairn_writer_wait(struct cairn_core *core, uint64_t seq, bool sync)
{
	struct cairn_writer *w = &core->writer;
	uint64_t failures;
	int r = 0;

	if (sync)
		cairn_stats_count(&core->stats, CAIRN_COUNT_SYNC_CALLERS, 1);
	say_waiting(core);
	cairn_mutex_lock(&w->lock);
	failures = w->failures;
	w->want_commit = MAX(w->want_commit, seq);
	if (sync)
		w->want_sync = MAX(w->want_sync, seq);
	if ((sync ? w->synced : w->committed) < seq)
		pthread_cond_signal(&w->work);
	while ((sync ? w->synced : w->committed) < seq) {
		if (w->failures != failures) {
			r = w->failure;
			break;
		}
		cairn_mutex_wait(&w->lock, sync ? &w->synced_moved : &w->committed_moved);
	}
	cairn_mutex_unlock(&w->lock);
	return r;
}

/* Asks for a look at what others did; the value of `polled` that answers. */
static uint64_t ask_for_poll_locked(struct cairn_writer *w)
{
	pthread_cond_signal(&w->work);
	return ++w->want_poll;
}

int cairn_core_refresh(struct cairn_core *core)
{
	struct cairn_writer *w = &core->writer;
	uint64_t ticket;

	if (!w->started)
		return 0;
	say_waiting(core);
	cairn_mutex_lock(&w->lock);
	ticket = ask_for_poll_locked(w);
	while (w->polled < ticket && !w->committing)
		cairn_mutex_wait(&w->lock, &w->looked);
	cairn_mutex_unlock(&w->lock);
	return 0;
}

int cairn_core_refresh_fully(struct cairn_core *core, unsigned int timeout_ms)
{
	struct timespec until = cairn_mono_after_ms(timeout_ms);
	struct cairn_writer *w = &core->writer;
	uint64_t ticket;
	int r = 0;

	if (!w->started)
		return 0;
	say_waiting(core);
	cairn_mutex_lock(&w->lock);
	ticket = ask_for_poll_locked(w);
	while (w->polled < ticket && r == 0) {
		if (timeout_ms)
			r = cairn_mutex_wait_until(&w->lock, &w->looked, &until);
		else
			cairn_mutex_wait(&w->lock, &w->looked);
	}
	cairn_mutex_unlock(&w->lock);
	return r;
}

int cairn_core_settle(struct cairn_core *core, bool sync)
{
	uint64_t seq;

	if (core->options.read_only)
		return 0;
	cairn_rwlock_rdlock(&core->gate);
	seq = core->seq;
	if (atomic_load(&core->batch[seq & 1].bytes) == 0)
		seq--;
	cairn_rwlock_unlock(&core->gate);
	return cairn_writer_wait(core, seq, sync);
}

bool cairn_core_is_clean(const struct cairn_core *core)
{
	return cairn_core_dirty(core) == 0;
}

static bool lease_is_short(struct cairn_core *core)
{
	for (int i = 0; i < CAIRN_SEQUENCE_COUNT; i++)
		if (cairn_lease_left(&core->lease[i]) < CAIRN_LEASE_FLOOR)
			return true;
	return false;
}

int cairn_writer_admit(struct cairn_core *core, bool numbers)
{
	struct cairn_writer *w = &core->writer;
	int r = 0;

	say_waiting(core);
	cairn_mutex_lock(&w->lock);
	for (;;) {
		bool lease = numbers && lease_is_short(core);

		r = atomic_load(&w->trouble);
		if (r < 0)
			break;
		if (!lease && cairn_core_dirty(core) < core->options.max_dirty)
			break;
		w->want_lease |= lease;
		pthread_cond_signal(&w->work);
		cairn_mutex_wait(&w->lock, &w->room);
	}
	cairn_mutex_unlock(&w->lock);
	return r;
}
