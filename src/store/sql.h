/* One SQLite connection as the store uses it: hardened against what the file may hold, with
 * statements prepared once and kept, lock errors retried, and every result turned into an errno.
 *
 * A connection belongs to one thread at a time (it is opened SQLITE_OPEN_NOMUTEX). Statements live
 * in a static table of SQL texts, indexed by an enum, beside the code that runs them; a
 * `struct cairn_query` is one run of one statement:
 *
 *	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
 *
 *	cairn_query_begin(&q, sql, READ_INODE_GET);
 *	cairn_query_number(&q, ino);
 *	r = cairn_query_step(&q);
 *
 * A failure to prepare or bind is kept in the query and comes out of the first step. */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/log.h"
#include "util/macro.h"
#include "util/stats.h"

struct cairn_sql {
	sqlite3 *db;
	const char *const *texts;
	/* A slot for each text, filled at its first use. NULL for the connection of a read-only
	 * store, which has no table: cairn_query_begin() answers -EROFS there. */
	sqlite3_stmt **stmts;
	size_t count;
	/* Prepared with the configuration: what takes back what failed must not itself fail for
	 * want of memory. */
	sqlite3_stmt *rollback;
	/* How often a lock error is retried after the busy timeout has passed, each time with the
	 * whole timeout again and a pause before it. */
	unsigned int busy_rounds;
	unsigned int busy_timeout_ms;
	uint64_t busy_since; /* when SQLite's present wait for a lock began, monotonic ns */
	/* Called at each look at a lock that is waited for. May be NULL; must not use this
	 * connection. */
	void (*on_busy)(void *arg);
	void *on_busy_arg;
	bool read_only;
	struct cairn_stats *stats;   /* may be NULL */
	const struct cairn_log *log; /* may be NULL */
};

/* What connections count, all of a store together. */
enum {
	CAIRN_SQL_READS,        /* statements run by connections that only read */
	CAIRN_SQL_ROWS,         /* rows that they delivered */
	CAIRN_SQL_WRITES,       /* statements run by connections that may write */
	CAIRN_SQL_BUSY_RETRIES, /* how often a lock was found taken, waited for and tried again */
	CAIRN_SQL_BUSY_TIME,    /* ns of these waits */
	CAIRN_SQL_COUNTERS,
};
enum {
	CAIRN_SQL_CHECKPOINT,
	CAIRN_SQL_SPREADS,
};
extern const struct cairn_stats_names cairn_sql_stats_names;

/* Which file a connection opens, and how. */
struct cairn_sql_target {
	char *file; /* an absolute path, or a URI where `immutable`; owned */
	bool read_only;
	bool immutable; /* no other process can change the file: no locks, no -wal, no -shm */
	bool gather;    /* writes of what has a write-ahead log are gathered (gather.h) */
	bool shared;    /* several threads use the connection, each with statements of its own */
	unsigned int busy_timeout_ms;
	struct cairn_stats *stats; /* what its connections count in; may be NULL */
};

/* Fills `ret` for a path without symlinks. -ENOMEM. */
int cairn_sql_target_set(struct cairn_sql_target *ret, const char *real_path, bool read_only,
			 bool immutable, unsigned int busy_timeout_ms);
void cairn_sql_target_clear(struct cairn_sql_target *target);

/* Opens the connection without reading the file yet: mutexes off, busy timeout and extended
 * result codes on, nothing in the file's schema trusted. `log` must outlive the connection; `ret`
 * stays where it is until it is closed. */
int cairn_sql_open(struct cairn_sql *ret, const struct cairn_sql_target *target,
		   const struct cairn_log *log);

/* The same for a file that nobody else has, at its path as it is: no lock is waited for. */
int cairn_sql_open_draft(struct cairn_sql *ret, const char *path);

/* What needs the file: page checks, cache of `cache_kib`, `query_only` for readers. Comes before
 * any transaction. */
int cairn_sql_configure(struct cairn_sql *sql, unsigned int cache_kib, bool query_only);

/* Gives the connection its table of statements; `texts` must outlive it. */
int cairn_sql_use(struct cairn_sql *sql, const char *const *texts, size_t count);

/* Prepares every statement of the table now, so that a file whose tables do not suit them is
 * found out at once. */
int cairn_sql_prepare_all(struct cairn_sql *sql);

/* Finalizes the statements and closes. Accepts what was never opened. */
void cairn_sql_close(struct cairn_sql *sql);

/* A second table of statements on the connection of `of`, for the thread that has that (another,
 * where it was opened to be shared); it ends
 * before the connection, with cairn_sql_unshare(), which accepts what was never shared. */
int cairn_sql_share(struct cairn_sql *ret, const struct cairn_sql *of, const char *const *texts,
		    size_t count);
void cairn_sql_unshare(struct cairn_sql *sql);

/* Runs one statement for its effect; rows are passed over. */
int cairn_sql_exec(struct cairn_sql *sql, const char *text);

/* Runs one statement that answers one integer, such as a PRAGMA. -ENOENT: no row. */
int cairn_sql_get_int(struct cairn_sql *sql, const char *text, int64_t *ret);

/* Whether a transaction is open. SQLite ends one by itself after some errors. */
static inline bool cairn_sql_in_transaction(struct cairn_sql *sql)
{
	return sql->db && !sqlite3_get_autocommit(sql->db);
}

/* Rolls back what is open; harmless otherwise. Where even that fails, which is logged, the locks
 * stay until it is called again: whoever begins a transaction calls it first. */
void cairn_sql_rollback(struct cairn_sql *sql);
/* The same for _cleanup_, where NULL means "committed". */
void cairn_sql_rollbackp(struct cairn_sql **sql);

/* The errno of a SQLite result, extended or not: the table in docs/architecture.md. Never
 * -ENOENT. 0 for OK, ROW and DONE. */
int cairn_sql_errno(int rc);

/* The same for a result of this connection, and a line in the log where it is -EIO. `what` is
 * the statement or the call. A full disk and a read-only file system, which SQLite reports as I/O
 * errors, become -ENOSPC and -EROFS. */
int cairn_sql_failed(struct cairn_sql *sql, int rc, const char *what);
/* The same for a call of one of its files that did not go through SQLite. */
int cairn_sql_file_failed(struct cairn_sql *sql, sqlite3_file *file, int rc, const char *what);

struct cairn_query {
	struct cairn_sql *sql;
	sqlite3_stmt *stmt;
	int r;         /* the first failure */
	int bound;     /* parameters bound so far */
	bool once;     /* the statement is the query's own */
	uint64_t rows; /* delivered; after the first it is too late to start over */
};

void cairn_query_begin(struct cairn_query *q, struct cairn_sql *sql, unsigned int statement);
/* The same for a text outside the table, prepared for this one run. */
void cairn_query_once(struct cairn_query *q, struct cairn_sql *sql, const char *text);

/* Each binds the next parameter. Pointers stay the caller's and must live until the query ends. */
void cairn_query_int(struct cairn_query *q, int64_t value);
void cairn_query_number(struct cairn_query *q, uint64_t value); /* -EINVAL from 2^63 up */
void cairn_query_null(struct cairn_query *q);
void cairn_query_text(struct cairn_query *q, const char *text, size_t len);
void cairn_query_blob(struct cairn_query *q, const void *data, size_t len);
/* A name by the format's rule: TEXT when it is valid UTF-8, BLOB otherwise. */
void cairn_query_name(struct cairn_query *q, const char *name, size_t len);

/* 1: a row stands ready, 0: no more rows, or -errno. A lock error is retried as long as no row
 * was delivered; -EAGAIN when the budget is spent. */
int cairn_query_step(struct cairn_query *q);
/* Runs to the end; rows are passed over. 0 or -errno. */
int cairn_query_run(struct cairn_query *q);

/* Frees the statement for its next use, which ends an implicit read transaction. */
void cairn_query_endp(struct cairn_query *q);
