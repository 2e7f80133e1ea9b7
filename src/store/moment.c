#include "store/moment.h"

#include <string.h>
#include <strings.h>
#include <time.h>

/* The header of the -shm, in the machine's byte order: "The WAL-Index File Format", the same text.
 */
#define INDEX_REGION     32768
#define INDEX_HEADER     48U /* it is there twice; while the two differ it is being written */
#define INDEX_FRAMES     16U /* mxFrame: frames up to the last commit */
#define INDEX_BACKFILLED 96U /* nBackfill: how many of them are in the database */

/* Commits and checkpoints come between two looks seldom, and never for long. */
#define TRIES_MAX 1000
#define PAUSE_NS  200000L

struct index {
	unsigned char header[INDEX_HEADER];
	uint32_t frames, backfilled;
};

static uint32_t number_at(const unsigned char *bytes, size_t at)
{
	uint32_t number;

	memcpy(&number, bytes + at, sizeof(number));
	return number;
}

/* Other processes write to it at any time. */
static void copy_shared(unsigned char *to, const volatile unsigned char *from, size_t size)
{
	for (size_t i = 0; i < size; i++)
		to[i] = from[i];
}

/* 1: it is being written just now. */
static int read_index(struct cairn_sql *sql, struct index *ret)
{
	unsigned char bytes[INDEX_BACKFILLED + sizeof(uint32_t)];
	sqlite3_file *file = NULL;
	volatile void *shared = NULL;
	int rc;

	rc = sqlite3_file_control(sql->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
	if (rc == SQLITE_OK && (!file || !file->pMethods || file->pMethods->iVersion < 2))
		rc = SQLITE_CANTOPEN;
	if (rc == SQLITE_OK)
		rc = file->pMethods->xShmMap(file, 0, INDEX_REGION, 0, &shared);
	/* SQLITE_READONLY_CANTINIT and the like come with a map that can be read. */
	if (!shared)
		return cairn_sql_failed(sql, rc == SQLITE_OK ? SQLITE_CANTOPEN : rc, "the -shm");
	copy_shared(bytes, shared, sizeof(bytes));
	if (memcmp(bytes, bytes + INDEX_HEADER, INDEX_HEADER) != 0)
		return 1;
	memcpy(ret->header, bytes, INDEX_HEADER);
	ret->frames = number_at(bytes, INDEX_FRAMES);
	ret->backfilled = number_at(bytes, INDEX_BACKFILLED);
	return 0;
}

/* Opens the transaction and reads, which fixes what it sees. */
static int begin_reading(struct cairn_sql *sql)
{
	int64_t schema;
	int r;

	r = cairn_sql_exec(sql, "BEGIN");
	if (r == 0)
		r = cairn_sql_get_int(sql, "SELECT COUNT(*) FROM sqlite_schema", &schema);
	return r;
}

static void end_reading(struct cairn_sql *sql)
{
	cairn_sql_rollbackp(&sql);
}

/* 1: others came in between.
 *
 * The transaction sees the header as it was when it began. That is known only where it was the same
 * before and after. And whether SQLite has it read the WAL at all depends on how much a checkpoint
 * had copied at that time, of which a number from before and one from after are known. */
static int try_begin(struct sqlite_store *store, uint64_t *ret_wal_bytes)
{
	struct cairn_sql *sql = &store->sql;
	struct index before = { 0 }, after = { 0 };
	int r;

	r = read_index(sql, &before);
	if (r != 0)
		return r;
	r = begin_reading(sql);
	if (r < 0)
		return r;
	r = read_index(sql, &after);
	if (r != 0)
		return r;
	if (memcmp(before.header, after.header, INDEX_HEADER) != 0)
		return 1;
	if (before.backfilled == before.frames) {
		*ret_wal_bytes = 0;
		return 0;
	}
	if (after.backfilled == after.frames)
		return 1;
	*ret_wal_bytes = CAIRN_WAL_HEADER_SIZE +
			 after.frames * (store->page_size + CAIRN_WAL_FRAME_HEADER_SIZE);
	return 0;
}

/* Without a WAL a reader keeps every writer out. */
static int has_wal(struct sqlite_store *store, bool *ret)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	const unsigned char *mode;
	int r;

	cairn_query_once(&q, &store->sql, "PRAGMA journal_mode");
	r = cairn_query_step(&q);
	if (r <= 0)
		return r < 0 ? r : -EIO;
	mode = sqlite3_column_text(q.stmt, 0);
	*ret = !store->target.immutable && mode && strcasecmp((const char *)mode, "wal") == 0;
	return 0;
}

int cairn_moment_begin(struct sqlite_store *store, struct cairn_moment *ret)
{
	static const struct timespec pause = { .tv_nsec = PAUSE_NS };
	bool wal = false;
	int r;

	*ret = (struct cairn_moment){ .sql = &store->sql };
	r = has_wal(store, &wal);
	if (r < 0 || !wal)
		return r < 0 ? r : begin_reading(&store->sql);
	for (int i = 0; i < TRIES_MAX; i++) {
		r = try_begin(store, &ret->wal_bytes);
		if (r <= 0)
			return r;
		end_reading(&store->sql);
		nanosleep(&pause, NULL);
	}
	return -EAGAIN;
}

void cairn_moment_end(struct cairn_moment *moment)
{
	if (moment->sql)
		end_reading(moment->sql);
}
