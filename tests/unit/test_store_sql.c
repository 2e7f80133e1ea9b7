/* The connection wrapper: results to errno, kept statements, retries of lock errors. */
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "store/sql.h"
#include "store_fixture.h"

static struct cairn_sql sql;

enum { GET, PUT, BROKEN, STATEMENTS };

static const char *const texts[STATEMENTS] = {
	[GET] = "SELECT v FROM t WHERE k = ?1",
	[PUT] = "INSERT INTO t (k, v) VALUES (?1, ?2)",
	[BROKEN] = "SELECT * FROM nowhere",
};

/* A database with a rollback journal: there a writer locks readers out. */
static void setup_sql(void)
{
	struct cairn_sql_target target = { 0 };

	sx_setup();
	sx_sql(NULL, "CREATE TABLE t (k, v); INSERT INTO t VALUES (1, 'one')");
	cr_assert_eq(cairn_sql_target_set(&target, sx.db, false, false, 0), 0);
	cr_assert_eq(cairn_sql_open(&sql, &target, &sx.log), 0);
	cairn_sql_target_clear(&target);
	cr_assert_eq(cairn_sql_use(&sql, texts, STATEMENTS), 0);
}

static void teardown_sql(void)
{
	cairn_sql_close(&sql);
	sx_teardown();
}

TestSuite(store_sql, .init = setup_sql, .fini = teardown_sql);

static int get_one(void)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_query_begin(&q, &sql, GET);
	cairn_query_int(&q, 1);
	return cairn_query_step(&q);
}

Test(store_errno, every_result_has_its_errno)
{
	static const struct {
		int rc, r;
	} table[] = {
		{ SQLITE_OK, 0 },
		{ SQLITE_ROW, 0 },
		{ SQLITE_DONE, 0 },
		{ SQLITE_BUSY, -EAGAIN },
		{ SQLITE_BUSY_SNAPSHOT, -EAGAIN },
		{ SQLITE_BUSY_RECOVERY, -EAGAIN },
		{ SQLITE_BUSY_TIMEOUT, -EAGAIN },
		{ SQLITE_LOCKED, -EAGAIN },
		{ SQLITE_LOCKED_SHAREDCACHE, -EAGAIN },
		{ SQLITE_PROTOCOL, -EAGAIN },
		{ SQLITE_FULL, -ENOSPC },
		{ SQLITE_READONLY, -EROFS },
		{ SQLITE_READONLY_DBMOVED, -EROFS },
		{ SQLITE_TOOBIG, -EFBIG },
		{ SQLITE_NOMEM, -ENOMEM },
		{ SQLITE_IOERR_NOMEM, -ENOMEM },
		{ SQLITE_INTERRUPT, -EINTR },
		{ SQLITE_CORRUPT, -EIO },
		{ SQLITE_CORRUPT_VTAB, -EIO },
		{ SQLITE_NOTADB, -EIO },
		{ SQLITE_IOERR, -EIO },
		{ SQLITE_IOERR_READ, -EIO },
		{ SQLITE_CANTOPEN, -EIO },
		{ SQLITE_CONSTRAINT_UNIQUE, -EIO },
		{ SQLITE_ERROR, -EIO },
		{ SQLITE_MISUSE, -EIO },
		{ SQLITE_NOTFOUND, -EIO },
		{ SQLITE_EMPTY, -EIO },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		cr_expect_eq(cairn_sql_errno(table[i].rc), table[i].r, "SQLite result %d",
			     table[i].rc);
}

Test(store_errno, no_result_says_that_a_row_is_missing)
{
	for (int rc = 0; rc < 0x4000; rc++)
		cr_assert_neq(cairn_sql_errno(rc), -ENOENT, "SQLite result %d", rc);
}

Test(store_sql, eio_is_logged_with_code_and_words)
{
	cr_assert_eq(cairn_sql_failed(&sql, SQLITE_IOERR_FSYNC, "the call"), -EIO);
	cr_assert(sx_log_has("1034"));
	cr_assert(sx_log_has("the call"));
}

Test(store_sql, other_errors_are_not_logged)
{
	cr_assert_eq(cairn_sql_failed(&sql, SQLITE_BUSY, "the call"), -EAGAIN);
	cr_assert_eq(cairn_sql_failed(&sql, SQLITE_FULL, "the call"), -ENOSPC);
	cr_assert_not(sx_log_has("the call"));
}

Test(store_sql, statement_is_prepared_once)
{
	sqlite3_stmt *stmt;

	cr_assert_null(sql.stmts[GET]);
	cr_assert_eq(get_one(), 1);
	stmt = sql.stmts[GET];
	cr_assert_not_null(stmt);
	cr_assert_eq(get_one(), 1);
	cr_assert_eq(sql.stmts[GET], stmt);
}

Test(store_sql, broken_statement_fails_at_its_first_step)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_query_begin(&q, &sql, BROKEN);
	cairn_query_int(&q, 1);
	cairn_query_text(&q, "x", 1);
	cr_assert_eq(cairn_query_step(&q), -EIO);
	cr_assert_eq(cairn_query_step(&q), -EIO);
	cr_assert(sx_log_has("nowhere"));
	cr_assert_eq(cairn_sql_prepare_all(&sql), -EIO);
}

Test(store_sql, binding_too_much_is_an_error)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_query_begin(&q, &sql, GET);
	cairn_query_int(&q, 1);
	cairn_query_int(&q, 2);
	cr_assert_eq(cairn_query_run(&q), -EIO);
}

Test(store_sql, ended_query_leaves_no_binding_and_no_transaction)
{
	cr_assert_eq(get_one(), 1);
	cr_assert_eq(sqlite3_stmt_busy(sql.stmts[GET]), 0);
	cr_assert_eq(sqlite3_txn_state(sql.db, "main"), SQLITE_TXN_NONE);
	cr_assert_eq(sqlite3_step(sql.stmts[GET]), SQLITE_DONE, "the old parameter is still bound");
	sqlite3_reset(sql.stmts[GET]);
}

struct blocker {
	sqlite3 *db;
	int calls;
	int release_at; /* 0: never */
};

/* SQLite asks once an attempt and is told not to wait, so the attempts are ours. */
static int count_attempt(void *arg, int n)
{
	struct blocker *blocker = arg;

	if (++blocker->calls == blocker->release_at)
		sx_sql(blocker->db, "COMMIT");
	return 0;
}

static struct blocker block(int release_at)
{
	struct blocker blocker = { .db = sx_connect(), .release_at = release_at };

	cr_assert_eq(get_one(), 1); /* the schema is read and the statement prepared */
	sx_sql(blocker.db, "BEGIN EXCLUSIVE; UPDATE t SET v = 'two'");
	return blocker;
}

Test(store_sql, lock_error_is_retried_until_the_lock_is_free)
{
	struct blocker blocker = block(3);
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	sql.busy_rounds = 10;
	sqlite3_busy_handler(sql.db, count_attempt, &blocker);
	cairn_query_begin(&q, &sql, GET);
	cairn_query_int(&q, 1);
	cr_assert_eq(cairn_query_step(&q), 1);
	cr_assert_str_eq((const char *)sqlite3_column_text(q.stmt, 0), "two");
	cr_assert_eq(blocker.calls, 3);
	sqlite3_close(blocker.db);
}

Test(store_sql, lock_error_is_eagain_when_the_budget_is_spent)
{
	struct blocker blocker = block(0);

	sql.busy_rounds = 4;
	sqlite3_busy_handler(sql.db, count_attempt, &blocker);
	cr_assert_eq(get_one(), -EAGAIN);
	cr_assert_eq(blocker.calls, 5);
	sx_sql(blocker.db, "COMMIT");
	cr_assert_eq(get_one(), 1);
	sqlite3_close(blocker.db);
}

/* Stands before libc's: pauses that are asked for are noted. */
static struct {
	uint64_t ns[16];
	unsigned int count;
} pauses;

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *pause, struct timespec *left)
{
	if (pauses.count < ARRAY_SIZE(pauses.ns))
		pauses.ns[pauses.count++] =
			(uint64_t)pause->tv_sec * 1000000000U + (uint64_t)pause->tv_nsec;
	return (int)syscall(SYS_clock_nanosleep, clock, flags, pause, left);
}

Test(store_sql, pauses_between_attempts_double_up_to_a_limit)
{
	struct blocker blocker = block(0);

	sql.busy_rounds = 9;
	sqlite3_busy_handler(sql.db, count_attempt, &blocker);
	pauses.count = 0;
	cr_assert_eq(get_one(), -EAGAIN);
	cr_assert_eq(pauses.count, 9);
	for (unsigned int i = 0; i < pauses.count; i++) {
		cr_expect_geq(pauses.ns[i], UINT64_C(500000) << MIN(i, 7U), "pause %u", i);
		cr_expect_lt(pauses.ns[i], UINT64_C(1000000) << MIN(i, 7U), "pause %u", i);
	}
	sqlite3_close(blocker.db);
}

Test(store_sql, lock_error_is_eagain_at_once_without_a_budget)
{
	struct blocker blocker = block(0);

	sqlite3_busy_handler(sql.db, count_attempt, &blocker);
	cr_assert_eq(get_one(), -EAGAIN);
	cr_assert_eq(blocker.calls, 1);
	sqlite3_close(blocker.db);
}

Test(store_sql, preparing_waits_for_a_lock_too)
{
	struct blocker blocker = { .db = sx_connect(), .release_at = 2 };

	sx_sql(blocker.db, "BEGIN EXCLUSIVE");
	sql.busy_rounds = 10;
	sqlite3_busy_handler(sql.db, count_attempt, &blocker);
	cr_assert_eq(get_one(), 1);
	sqlite3_close(blocker.db);
}

/* Opens `sql` anew, with a busy timeout and with something to count in. */
static void reopen(unsigned int busy_timeout_ms, struct cairn_stats *stats)
{
	struct cairn_sql_target target = { 0 };

	cairn_sql_close(&sql);
	cr_assert_eq(cairn_stats_init(stats, &cairn_sql_stats_names), 0);
	cr_assert_eq(cairn_sql_target_set(&target, sx.db, false, false, busy_timeout_ms), 0);
	target.stats = stats;
	cr_assert_eq(cairn_sql_open(&sql, &target, &sx.log), 0);
	cairn_sql_target_clear(&target);
	cr_assert_eq(cairn_sql_use(&sql, texts, STATEMENTS), 0);
}

Test(store_sql, a_lock_is_waited_for_as_long_as_the_timeout_says)
{
	static struct cairn_stats stats;
	struct blocker blocker;
	uint64_t since;

	reopen(30, &stats);
	blocker = block(0);
	cr_expect_eq(cairn_stats_counter(&stats, CAIRN_SQL_BUSY_RETRIES), 0);
	since = cairn_mono_ns();
	cr_assert_eq(get_one(), -EAGAIN);
	since = cairn_mono_ns() - since;
	cr_expect_geq(since, 30 * UINT64_C(1000000));
	cr_expect_gt(cairn_stats_counter(&stats, CAIRN_SQL_BUSY_RETRIES), 2);
	cr_expect_geq(cairn_stats_counter(&stats, CAIRN_SQL_BUSY_TIME), 29 * UINT64_C(1000000));
	cr_expect_leq(cairn_stats_counter(&stats, CAIRN_SQL_BUSY_TIME), since);
	sx_sql(blocker.db, "COMMIT");
	cr_assert_eq(get_one(), 1);
	sqlite3_close(blocker.db);
	cairn_sql_close(&sql);
	cairn_stats_destroy(&stats);
}

static void *release_soon(void *arg)
{
	usleep(20000);
	sx_sql(arg, "COMMIT");
	return NULL;
}

Test(store_sql, a_lock_that_gets_free_in_time_is_taken)
{
	static struct cairn_stats stats;
	struct blocker blocker;
	pthread_t thread;

	reopen(60000, &stats);
	blocker = block(0);
	cr_assert_eq(pthread_create(&thread, NULL, release_soon, blocker.db), 0);
	cr_assert_eq(get_one(), 1);
	pthread_join(thread, NULL);
	cr_expect_gt(cairn_stats_counter(&stats, CAIRN_SQL_BUSY_RETRIES), 0);
	cr_expect_eq(cairn_stats_counter(&stats, CAIRN_SQL_WRITES), 2);
	sqlite3_close(blocker.db);
	cairn_sql_close(&sql);
	cairn_stats_destroy(&stats);
}

Test(store_sql, rollback_helper_ends_only_what_is_open)
{
	struct cairn_sql *open = &sql, *none = NULL;

	cairn_sql_rollbackp(&none);
	cairn_sql_rollbackp(&open);
	cr_assert_eq(cairn_sql_exec(&sql, "BEGIN"), 0);
	cr_assert(cairn_sql_in_transaction(&sql));
	cairn_sql_rollbackp(&open);
	cr_assert_not(cairn_sql_in_transaction(&sql));
}

Test(store_sql, integer_of_no_row_is_enoent)
{
	int64_t value = 5;

	cr_assert_eq(cairn_sql_get_int(&sql, "SELECT k FROM t WHERE k = 2", &value), -ENOENT);
	cr_assert_eq(value, 5);
	cr_assert_eq(cairn_sql_get_int(&sql, "SELECT COUNT(*) FROM t", &value), 0);
	cr_assert_eq(value, 1);
}

Test(store_sql, connection_uses_no_mapped_file_and_trusts_no_schema)
{
	int64_t value = -1;
	int on = -1;

	cr_assert_eq(cairn_sql_configure(&sql, 512, true), 0);
	cr_assert_eq(cairn_sql_get_int(&sql, "PRAGMA mmap_size", &value), 0);
	cr_assert_eq(value, 0);
	cr_assert_eq(cairn_sql_get_int(&sql, "PRAGMA cell_size_check", &value), 0);
	cr_assert_eq(value, 1);
	cr_assert_eq(cairn_sql_get_int(&sql, "PRAGMA cache_size", &value), 0);
	cr_assert_eq(value, -512);
	cr_assert_eq(cairn_sql_get_int(&sql, "PRAGMA trusted_schema", &value), 0);
	cr_assert_eq(value, 0);
	cr_assert_eq(cairn_sql_get_int(&sql, "PRAGMA query_only", &value), 0);
	cr_assert_eq(value, 1);
	cr_assert_eq(sqlite3_db_config(sql.db, SQLITE_DBCONFIG_ENABLE_TRIGGER, -1, &on), SQLITE_OK);
	cr_assert_eq(on, 0);
	cr_assert_eq(sqlite3_db_config(sql.db, SQLITE_DBCONFIG_DEFENSIVE, -1, &on), SQLITE_OK);
	cr_assert_eq(on, 1);
	cr_assert_eq(cairn_sql_exec(&sql, "DELETE FROM t"), -EROFS);
}
