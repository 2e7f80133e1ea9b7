/* The write-ahead log: its size, its sync, and the checkpoints that empty it.
 *
 * SQLite before 3.51.3 may lose a commit when one connection checkpoints a WAL that is copied
 * already while another connection starts it over ("The WAL-Reset Bug" at sqlite.org/wal.html).
 * So a checkpoint of ours holds the write lock, by means of a second connection: while it copies,
 * nobody writes, in this process or another. For the same reason no connection of ours checkpoints
 * by itself (sql.c), and the modes of SQLite that wait for readers are not used: when they do not
 * get the write lock in time they go on without it. */
#include <string.h>
#include <time.h>

#include "store/sqlite_store.h"
#include "util/clock.h"

#define GUARD_CACHE_KIB 64U

/* The locks of the WAL index that readers of the WAL hold, one of them each: WAL_READ_LOCK(1) to
 * (4) in "WAL-mode File Format" at sqlite.org. Who holds (0) reads the database alone. */
#define READ_LOCK_FIRST 4
#define READ_LOCKS      4

/* Where the header of the WAL index has the number of frames and how many of them are copied, in
 * words of 32 bits; and the size of the block it lies in (the same document). */
#define INDEX_FRAMES 4
#define INDEX_COPIED 24
#define INDEX_BLOCK  32768

/* How long the write lock is waited for: a program that takes it again and again must not keep a
 * checkpoint from ever being made. */
#define GUARD_WAIT_MS 100U

/* Pauses between the attempts at a checkpoint that readers are in the way of, and how long those of
 * one query are waited for: no new ones come after the first attempt. */
#define PAUSE_NS        1000000L
#define RESTART_WAIT_MS 100U

static struct sqlite_store *from_base(struct cairn_store *base)
{
	return CONTAINER_OF(base, struct sqlite_store, base);
}

int cairn_sqlite_guard_open(struct sqlite_store *store)
{
	int r;

	r = cairn_sqlite_connect(&store->guard, &store->target, store);
	if (r < 0)
		return r;
	sqlite3_busy_timeout(store->guard.db,
			     (int)MIN(store->target.busy_timeout_ms, GUARD_WAIT_MS));
	return cairn_sql_configure(&store->guard, GUARD_CACHE_KIB, false);
}

sqlite3_file *cairn_sqlite_wal_file(struct sqlite_store *store)
{
	sqlite3_file *wal = NULL;

	if (sqlite3_file_control(store->sql.db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) !=
		    SQLITE_OK ||
	    !wal || !wal->pMethods)
		return NULL;
	return wal;
}

uint64_t cairn_sqlite_wal_bytes(const struct sqlite_store *store, uint32_t frames)
{
	if (frames == 0)
		return 0;
	return CAIRN_WAL_HEADER_SIZE + frames * (store->page_size + CAIRN_WAL_FRAME_HEADER_SIZE);
}

uint64_t cairn_sqlite_wal_size(struct cairn_store *base)
{
	return from_base(base)->wal_size;
}

void cairn_sqlite_wal_readers(struct cairn_store *base, char *buf, size_t size)
{
	cairn_probe_wal_readers(from_base(base)->probe.real_path, buf, size);
}

/* Copies what can be copied; all of it is, unless a reader needs what the database holds now.
 * -EAGAIN while another connection writes or checkpoints. */
static int copy_home(struct sqlite_store *store, bool *ret_all)
{
	_cleanup_(cairn_timing_endp) struct cairn_timing timing =
		cairn_timing_begin(&store->stats, CAIRN_SQL_CHECKPOINT);
	_cleanup_(cairn_sql_rollbackp) struct cairn_sql *guard = &store->guard;
	int frames = 0, copied = 0, rc, r;

	cairn_sql_rollback(guard);
	r = cairn_sql_exec(guard, "BEGIN IMMEDIATE");
	if (r < 0)
		return r;
	rc = sqlite3_wal_checkpoint_v2(store->sql.db, "main", SQLITE_CHECKPOINT_PASSIVE, &frames,
				       &copied);
	if (rc != SQLITE_OK)
		return cairn_sql_failed(&store->sql, rc, "checkpoint");
	*ret_all = frames == copied;
	return 0;
}

/* The database as the write connection has it open, which has the calls for the WAL index; or
 * NULL. */
static sqlite3_file *shared_file(struct sqlite_store *store)
{
	sqlite3_file *file = NULL;

	if (sqlite3_file_control(store->sql.db, "main", SQLITE_FCNTL_FILE_POINTER, &file) !=
		    SQLITE_OK ||
	    !file || !file->pMethods || file->pMethods->iVersion < 2)
		return NULL;
	return file;
}

/* Whether no connection reads from the WAL: when all of it is copied, the next commit starts it
 * over then. */
static bool is_unread(struct sqlite_store *store)
{
	sqlite3_file *file = shared_file(store);

	if (!file)
		return false;
	if (file->pMethods->xShmLock(file, READ_LOCK_FIRST, READ_LOCKS,
				     SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE) != SQLITE_OK)
		return false;
	file->pMethods->xShmLock(file, READ_LOCK_FIRST, READ_LOCKS,
				 SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
	return true;
}

/* Whether all of the WAL is copied, whoever did it. */
static bool is_copied(struct sqlite_store *store)
{
	sqlite3_file *file = shared_file(store);
	volatile void *index = NULL;
	volatile uint32_t *words;

	if (!file || file->pMethods->xShmMap(file, 0, INDEX_BLOCK, 0, &index) != SQLITE_OK ||
	    !index)
		return false;
	words = index;
	return words[INDEX_FRAMES] == words[INDEX_COPIED];
}

bool cairn_sqlite_must_yield(const struct sqlite_store *store)
{
	return store->yield_checkpoints && cairn_probe_is_marked(store->probe.real_path);
}

/* Readers of our own keep what they see until they are told to rest, also those that have begun
 * since the last time. */
static void rest_readers(struct sqlite_store *store)
{
	if (store->base.on_busy)
		store->base.on_busy(store->base.on_busy_arg);
}

static int checkpoint_once(struct sqlite_store *store, bool *ret_all)
{
	int r;

	r = copy_home(store, ret_all);
	rest_readers(store);
	if (r == 0 && *ret_all && is_unread(store))
		store->wal_size = 0;
	return r;
}

/* Tries again, until `wait_ms` have passed, until all is copied and, with `unread`, nobody reads
 * from the WAL any more. */
static int checkpoint_fully(struct sqlite_store *store, bool unread, unsigned int wait_ms)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	uint64_t until = cairn_mono_ns() + UINT64_C(1000000) * wait_ms;
	bool all = false;
	int r = 0;

	for (;;) {
		if (!all)
			r = checkpoint_once(store, &all);
		else if (is_unread(store))
			store->wal_size = 0;
		if (r < 0 && r != -EAGAIN)
			return r;
		if (all && (!unread || store->wal_size == 0))
			return 0;
		if (cairn_mono_ns() >= until)
			return -EAGAIN;
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
		rest_readers(store);
	}
}

static int checkpoint_all(struct sqlite_store *store)
{
	return checkpoint_fully(store, false, store->target.busy_timeout_ms);
}

int cairn_sqlite_checkpoint(struct cairn_store *base, enum cairn_checkpoint how)
{
	struct sqlite_store *store = from_base(base);
	bool all = false;
	int r;

	if (base->read_only)
		return -EROFS;
	if (store->one && how != CAIRN_CHECKPOINT_ALL)
		return 0; /* there is nothing to be moved yet */
	r = cairn_sqlite_end_one(store);
	if (r < 0)
		return r;
	if (cairn_sqlite_must_yield(store)) {
		rest_readers(store);
		if (is_copied(store) && is_unread(store))
			store->wal_size = 0;
		return how == CAIRN_CHECKPOINT_RESTART && store->wal_size > 0 ? -EAGAIN : 0;
	}
	switch (how) {
	case CAIRN_CHECKPOINT_ALL:
		return checkpoint_all(store);
	case CAIRN_CHECKPOINT_RESTART:
		return checkpoint_fully(store, true, RESTART_WAIT_MS);
	default:
		return checkpoint_once(store, &all);
	}
}

static int sync_wal(struct sqlite_store *store)
{
	sqlite3_file *wal = cairn_sqlite_wal_file(store);
	int rc;

	if (!wal)
		return 0;
	rc = wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL);
	return rc == SQLITE_OK
		       ? 0
		       : cairn_sql_file_failed(&store->sql, wal, rc, "syncing the write-ahead log");
}

/* What was committed is in the WAL, or was moved on by a checkpoint, which syncs the WAL before
 * it copies and the database before it gives the WAL free (synchronous = NORMAL). So the WAL is
 * all there is to sync; its first sync also syncs the directory.
 *
 * After a sync that failed, a second one may succeed although the kernel has dropped what it
 * could not write (fsync(2), Linux). What then helps is to write it all once more, elsewhere: a
 * checkpoint copies it into the database and syncs that. */
int cairn_sqlite_sync(struct cairn_store *base)
{
	struct sqlite_store *store = from_base(base);
	int r;

	if (base->read_only)
		return -EROFS;
	r = store->sync_failed ? checkpoint_all(store) : sync_wal(store);
	store->sync_failed = r < 0;
	return r;
}
