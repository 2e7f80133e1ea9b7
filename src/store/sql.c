#include "store/sql.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "store/gather.h"
#include "store/store.h"
#include "util/backoff.h"
#include "util/clock.h"
#include "util/utf8.h"

/* The pauses between two attempts at a lock: from 1 ms to 128 ms. */
#define PAUSE_MIN_NS UINT64_C(1000000)
#define PAUSE_MAX_NS (PAUSE_MIN_NS << 7)

/* How often a lock error that SQLite does not wait at is retried, on every connection. */
#define NOT_WAITED_ROUNDS 10U

/* Whatever has changed the schema makes a statement be prepared again, which may find no memory. */
#define ROLLBACK_TRIES 3

/* No value we read or write is longer than a chunk; what is longer in a file is refused by SQLite
 * before it is loaded. */
#define VALUE_MAX ((int)(2 * CAIRN_CHUNK_MAX))

const struct cairn_stats_names cairn_sql_stats_names = {
	.counter =
		(const char *const[]){
			[CAIRN_SQL_READS] = "store.read_statements",
			[CAIRN_SQL_ROWS] = "store.rows_read",
			[CAIRN_SQL_WRITES] = "store.write_statements",
			[CAIRN_SQL_BUSY_RETRIES] = "store.busy_retries",
			[CAIRN_SQL_BUSY_TIME] = "store.busy_time",
		},
	.counter_count = CAIRN_SQL_COUNTERS,
	.spread =
		(const char *const[]){
			[CAIRN_SQL_CHECKPOINT] = "store.checkpoint",
		},
	.spread_count = CAIRN_SQL_SPREADS,
};

static void count(const struct cairn_sql *sql, unsigned int counter, uint64_t n)
{
	if (sql->stats)
		cairn_stats_count(sql->stats, counter, n);
}

static bool is_lock_error(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL: /* lost the race for the WAL's locks too often */
		return true;
	default:
		return false;
	}
}

int cairn_sql_errno(int rc)
{
	if (is_lock_error(rc))
		return -EAGAIN;
	if (rc == SQLITE_IOERR_NOMEM)
		return -ENOMEM;

	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_TOOBIG:
		return -EFBIG;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_INTERRUPT:
		return -EINTR;
	default:
		return -EIO;
	}
}

/* SQLite reports a disk that is full at fsync(2) or while growing the -shm, a quota at any time,
 * and a file system that has become read-only, as an I/O error: what the kernel said tells more. */
static int errno_below(int rc, int e)
{
	if ((rc & 0xff) == SQLITE_IOERR && (e == ENOSPC || e == EDQUOT))
		return -ENOSPC;
	if ((rc & 0xff) == SQLITE_IOERR && e == EROFS)
		return -EROFS;
	return cairn_sql_errno(rc);
}

static int last_errno(sqlite3_file *file)
{
	int e = 0;

	if (file && file->pMethods)
		file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &e);
	return e;
}

/* A COMMIT that cannot write leaves no system errno with the connection (SQLite 3.40.1). The log,
 * which is what it writes, remembers. */
static int errno_of_log(struct cairn_sql *sql, int rc)
{
	sqlite3_file *wal = NULL;

	if ((rc != SQLITE_IOERR_WRITE && rc != SQLITE_IOERR_TRUNCATE && rc != SQLITE_IOERR_FSYNC) ||
	    sqlite3_file_control(sql->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) != SQLITE_OK)
		return cairn_sql_errno(rc);
	return errno_below(rc, last_errno(wal));
}

/* `r` with a line in the log where it is -EIO. */
static int say(struct cairn_sql *sql, int r, int rc, const char *what)
{
	const char *file = NULL;

	if (r != -EIO)
		return r;
	if (sql->db)
		file = sqlite3_db_filename(sql->db, "main"); /* NULL where opening failed */
	cairn_err(sql->log, "%s: SQLite error %d (%s) in: %s", file ? file : "database", rc,
		  sql->db ? sqlite3_errmsg(sql->db) : sqlite3_errstr(rc), what);
	return r;
}

int cairn_sql_failed(struct cairn_sql *sql, int rc, const char *what)
{
	int r = errno_below(rc, sqlite3_system_errno(sql->db));

	if (r == -EIO && sql->db)
		r = errno_of_log(sql, rc);
	return say(sql, r, rc, what);
}

int cairn_sql_file_failed(struct cairn_sql *sql, sqlite3_file *file, int rc, const char *what)
{
	return say(sql, errno_below(rc, last_errno(file)), rc, what);
}

/* The pause after attempt number `round`, at most about `max`. */
static void pause_for_lock(const struct cairn_sql *sql, unsigned int round, uint64_t max)
{
	uint64_t before = cairn_mono_ns();

	max = MAX(MIN(max, PAUSE_MAX_NS), UINT64_C(2));
	cairn_backoff_sleep(round, MIN(PAUSE_MIN_NS, max), max);
	count(sql, CAIRN_SQL_BUSY_RETRIES, 1);
	count(sql, CAIRN_SQL_BUSY_TIME, cairn_mono_ns() - before);
}

/* SQLite's busy handler, called with the number of calls before it for the same lock: true to try
 * again, until the busy timeout has passed. (Its own does not tell how long it waited.) */
static int wait_for_lock(void *arg, int calls)
{
	struct cairn_sql *sql = arg;
	uint64_t timeout = UINT64_C(1000000) * sql->busy_timeout_ms, waited;

	if (calls == 0)
		sql->busy_since = cairn_mono_ns();
	waited = cairn_mono_ns() - sql->busy_since;
	if (waited >= timeout)
		return false;
	if (sql->on_busy)
		sql->on_busy(sql->on_busy_arg);
	pause_for_lock(sql, (unsigned int)calls, timeout - waited);
	return true;
}

/* SQLite asks its busy handler about a lock of another process alone. */
static unsigned int rounds_for(const struct cairn_sql *sql, int rc)
{
	bool not_waited = (rc & 0xff) == SQLITE_LOCKED || rc == SQLITE_BUSY_SNAPSHOT;

	return not_waited ? MAX(sql->busy_rounds, NOT_WAITED_ROUNDS) : sql->busy_rounds;
}

/* True after a pause when the call that said `rc` is to be tried again. */
static bool wait_for_retry(struct cairn_sql *sql, int rc, unsigned int *round)
{
	if (!is_lock_error(rc) || *round >= rounds_for(sql, rc))
		return false;
	pause_for_lock(sql, *round, UINT64_MAX);
	(*round)++;
	return true;
}

/* In a URI '%', '?' and '#' have a meaning of their own. */
static char *immutable_uri(const char *path)
{
	static const char scheme[] = "file:", query[] = "?immutable=1";
	char *uri = malloc(sizeof(scheme) + 3 * strlen(path) + sizeof(query));
	char *p;

	if (!uri)
		return NULL;
	p = stpcpy(uri, scheme);
	for (; *path; path++) {
		static const char hex[] = "0123456789abcdef";
		unsigned char c = (unsigned char)*path;

		if (c == '%' || c == '?' || c == '#') {
			*p++ = '%';
			*p++ = hex[c >> 4];
			*p++ = hex[c & 15];
		} else {
			*p++ = *path;
		}
	}
	strcpy(p, query);
	return uri;
}

int cairn_sql_target_set(struct cairn_sql_target *ret, const char *real_path, bool read_only,
			 bool immutable, unsigned int busy_timeout_ms)
{
	char *file = immutable ? immutable_uri(real_path) : strdup(real_path);

	if (!file)
		return -ENOMEM;
	*ret = (struct cairn_sql_target){
		.file = file,
		.read_only = read_only,
		.immutable = immutable,
		.busy_timeout_ms = busy_timeout_ms,
	};
	return 0;
}

void cairn_sql_target_clear(struct cairn_sql_target *target)
{
	free(target->file);
	target->file = NULL;
}

/* Nothing in the file may make SQLite run code of the file's choosing. */
static int distrust_schema(sqlite3 *db)
{
	static const struct {
		int option, value;
	} settings[] = {
		{ SQLITE_DBCONFIG_DEFENSIVE, 1 },      { SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
		{ SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 }, { SQLITE_DBCONFIG_ENABLE_VIEW, 0 },
		{ SQLITE_DBCONFIG_ENABLE_FKEY, 0 },
	};
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		rc = sqlite3_db_config(db, settings[i].option, settings[i].value, NULL);
		if (rc != SQLITE_OK)
			return rc;
	}
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
	return SQLITE_OK;
}

int cairn_sql_open(struct cairn_sql *ret, const struct cairn_sql_target *target,
		   const struct cairn_log *log)
{
	struct cairn_sql sql = {
		.busy_timeout_ms = target->busy_timeout_ms,
		.read_only = target->read_only,
		.stats = target->stats,
		.log = log,
	};
	int flags, rc, r;

	flags = target->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	flags |= target->shared ? SQLITE_OPEN_FULLMUTEX : SQLITE_OPEN_NOMUTEX;
	flags |= SQLITE_OPEN_PRIVATECACHE;
	if (target->immutable)
		flags |= SQLITE_OPEN_URI;

	rc = sqlite3_open_v2(target->file, &sql.db, flags,
			     target->gather ? cairn_gather_vfs() : NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_extended_result_codes(sql.db, 1);
	if (rc == SQLITE_OK)
		rc = sqlite3_busy_handler(sql.db, wait_for_lock, ret);
	if (rc == SQLITE_OK)
		rc = distrust_schema(sql.db);
	/* Checkpoints are made in one place, see sqlite_wal.c. */
	if (rc == SQLITE_OK)
		rc = sqlite3_wal_autocheckpoint(sql.db, 0);
	if (rc != SQLITE_OK) {
		r = cairn_sql_failed(&sql, rc, "opening");
		cairn_sql_close(&sql);
		return r;
	}
	*ret = sql;
	return 0;
}

int cairn_sql_open_draft(struct cairn_sql *ret, const char *path)
{
	_cleanup_(cairn_sql_target_clear) struct cairn_sql_target target = { 0 };
	char real[PATH_MAX];
	int r;

	if (!realpath(path, real))
		return -errno;
	r = cairn_sql_target_set(&target, real, false, false, 0);
	return r < 0 ? r : cairn_sql_open(ret, &target, NULL);
}

int cairn_sql_use(struct cairn_sql *sql, const char *const *texts, size_t count)
{
	sqlite3_stmt **stmts = calloc(count, sizeof(*stmts));

	if (!stmts)
		return -ENOMEM;
	sql->texts = texts;
	sql->stmts = stmts;
	sql->count = count;
	return 0;
}

/* Preparing reads the schema, so it too can meet a lock. */
static int prepare(struct cairn_sql *sql, const char *text, unsigned int flags, sqlite3_stmt **ret)
{
	unsigned int round = 0;
	int rc;

	do
		rc = sqlite3_prepare_v3(sql->db, text, -1, flags, ret, NULL);
	while (wait_for_retry(sql, rc, &round));

	return rc == SQLITE_OK ? 0 : cairn_sql_failed(sql, rc, text);
}

static int prepare_rollback(struct cairn_sql *sql)
{
	if (sql->rollback)
		return 0;
	return prepare(sql, "ROLLBACK", SQLITE_PREPARE_PERSISTENT, &sql->rollback);
}

int cairn_sql_configure(struct cairn_sql *sql, unsigned int cache_kib, bool query_only)
{
	char cache[64];
	int r;

	/* With mmap a file that another process cuts short is a SIGBUS instead of an error. */
	r = cairn_sql_exec(sql, "PRAGMA mmap_size = 0");
	if (r < 0)
		return r;
	r = cairn_sql_exec(sql, "PRAGMA cell_size_check = ON");
	if (r < 0)
		return r;
	if (query_only) {
		r = cairn_sql_exec(sql, "PRAGMA query_only = ON");
		if (r < 0)
			return r;
	}
	sqlite3_snprintf(sizeof(cache), cache, "PRAGMA cache_size = -%u", cache_kib);
	r = cairn_sql_exec(sql, cache);
	if (r < 0)
		return r;
	/* Last: such pragmas make a statement that is there be prepared again. */
	return prepare_rollback(sql);
}

int cairn_sql_prepare_all(struct cairn_sql *sql)
{
	int r;

	for (size_t i = 0; i < sql->count; i++) {
		if (sql->stmts[i])
			continue;
		r = prepare(sql, sql->texts[i], SQLITE_PREPARE_PERSISTENT, &sql->stmts[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static void finalize_all(struct cairn_sql *sql)
{
	for (size_t i = 0; i < sql->count; i++)
		sqlite3_finalize(sql->stmts[i]);
	free(sql->stmts);
}

int cairn_sql_share(struct cairn_sql *ret, const struct cairn_sql *of, const char *const *texts,
		    size_t count)
{
	struct cairn_sql sql = { .db = of->db, .busy_rounds = of->busy_rounds, .log = of->log };
	int r;

	r = cairn_sql_use(&sql, texts, count);
	if (r < 0)
		return r;
	*ret = sql;
	return 0;
}

void cairn_sql_unshare(struct cairn_sql *sql)
{
	finalize_all(sql);
	*sql = (struct cairn_sql){ 0 };
}

void cairn_sql_close(struct cairn_sql *sql)
{
	int rc;

	finalize_all(sql);
	sqlite3_finalize(sql->rollback);
	rc = sqlite3_close(sql->db);
	if (rc != SQLITE_OK)
		cairn_sql_failed(sql, rc, "closing");
	*sql = (struct cairn_sql){ 0 };
}

int cairn_sql_exec(struct cairn_sql *sql, const char *text)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_query_once(&q, sql, text);
	return cairn_query_run(&q);
}

int cairn_sql_get_int(struct cairn_sql *sql, const char *text, int64_t *ret)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	cairn_query_once(&q, sql, text);
	r = cairn_query_step(&q);
	if (r < 0)
		return r;
	if (r == 0)
		return -ENOENT;
	*ret = sqlite3_column_int64(q.stmt, 0);
	return 0;
}

void cairn_sql_rollback(struct cairn_sql *sql)
{
	int rc = SQLITE_NOMEM;

	for (int i = 0; i < ROLLBACK_TRIES && cairn_sql_in_transaction(sql); i++) {
		if (prepare_rollback(sql) < 0)
			continue;
		rc = sqlite3_step(sql->rollback);
		sqlite3_reset(sql->rollback);
	}
	if (cairn_sql_in_transaction(sql))
		cairn_err(sql->log, "a transaction cannot be rolled back: SQLite error %d", rc);
}

void cairn_sql_rollbackp(struct cairn_sql **sql)
{
	if (*sql)
		cairn_sql_rollback(*sql);
}

void cairn_query_begin(struct cairn_query *q, struct cairn_sql *sql, unsigned int statement)
{
	*q = (struct cairn_query){ .sql = sql };
	if (!sql->stmts) {
		q->r = -EROFS;
		return;
	}
	if (!sql->stmts[statement])
		q->r = prepare(sql, sql->texts[statement], SQLITE_PREPARE_PERSISTENT,
			       &sql->stmts[statement]);
	q->stmt = sql->stmts[statement];
}

void cairn_query_once(struct cairn_query *q, struct cairn_sql *sql, const char *text)
{
	*q = (struct cairn_query){ .sql = sql, .once = true };
	q->r = prepare(sql, text, 0, &q->stmt);
}

static void bind_done(struct cairn_query *q, int rc)
{
	if (rc != SQLITE_OK)
		q->r = cairn_sql_failed(q->sql, rc, sqlite3_sql(q->stmt));
}

void cairn_query_int(struct cairn_query *q, int64_t value)
{
	if (q->r == 0)
		bind_done(q, sqlite3_bind_int64(q->stmt, ++q->bound, value));
}

void cairn_query_number(struct cairn_query *q, uint64_t value)
{
	if (q->r == 0 && value > INT64_MAX)
		q->r = -EINVAL;
	cairn_query_int(q, (int64_t)value);
}

void cairn_query_null(struct cairn_query *q)
{
	if (q->r == 0)
		bind_done(q, sqlite3_bind_null(q->stmt, ++q->bound));
}

void cairn_query_text(struct cairn_query *q, const char *text, size_t len)
{
	if (q->r == 0)
		bind_done(q, sqlite3_bind_text64(q->stmt, ++q->bound, text, len, SQLITE_STATIC,
						 SQLITE_UTF8));
}

void cairn_query_blob(struct cairn_query *q, const void *data, size_t len)
{
	/* SQLite binds a NULL pointer as NULL, which is no empty blob. */
	if (q->r == 0)
		bind_done(q, sqlite3_bind_blob64(q->stmt, ++q->bound, data ? data : "", len,
						 SQLITE_STATIC));
}

void cairn_query_name(struct cairn_query *q, const char *name, size_t len)
{
	if (cairn_utf8_valid(name, len))
		cairn_query_text(q, name, len);
	else
		cairn_query_blob(q, name, len);
}

int cairn_query_step(struct cairn_query *q)
{
	unsigned int round = 0;
	bool within;
	int rc;

	if (q->r < 0)
		return q->r;
	for (;;) {
		within = cairn_sql_in_transaction(q->sql);
		rc = sqlite3_step(q->stmt);
		if (rc == SQLITE_ROW) {
			q->rows++;
			return 1;
		}
		if (rc == SQLITE_DONE)
			return 0;
		/* A COMMIT that failed may have rolled back: there is nothing to try again then. */
		if (q->rows > 0 || cairn_sql_in_transaction(q->sql) != within ||
		    !wait_for_retry(q->sql, rc, &round))
			break;
		sqlite3_reset(q->stmt); /* a stale snapshot ends here */
	}
	q->r = cairn_sql_failed(q->sql, rc, sqlite3_sql(q->stmt));
	return q->r;
}

int cairn_query_run(struct cairn_query *q)
{
	int r;

	do
		r = cairn_query_step(q);
	while (r > 0);
	return r;
}

void cairn_query_endp(struct cairn_query *q)
{
	if (q->once) {
		sqlite3_finalize(q->stmt);
		return;
	}
	if (!q->stmt)
		return;
	count(q->sql, q->sql->read_only ? CAIRN_SQL_READS : CAIRN_SQL_WRITES, 1);
	if (q->sql->read_only && q->rows > 0)
		count(q->sql, CAIRN_SQL_ROWS, q->rows);
	sqlite3_reset(q->stmt);
	sqlite3_clear_bindings(q->stmt);
}
