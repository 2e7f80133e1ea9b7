/* Writes that are gathered: fewer calls, and nobody sees a difference. */
#include "store/gather.h"

#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fault_vfs.h"

/* Rows that fill a page of 4096 bytes each, and the pages of a cache that cannot hold them. */
#define ROWS      200
#define ROW_BYTES 3000

static char dir[] = "/tmp/cairnfs-gather.XXXXXX";
static char path[sizeof(dir) + sizeof("/db")];

static void run(sqlite3 *db, const char *sql)
{
	char *message = NULL;
	int rc = sqlite3_exec(db, sql, NULL, NULL, &message);

	cr_assert_eq(rc, SQLITE_OK, "%s: %s", sql, message);
}

static sqlite3 *opened(const char *vfs)
{
	sqlite3 *db = NULL;

	cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs),
		     SQLITE_OK);
	run(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = 10;"
		"PRAGMA wal_autocheckpoint = 0");
	return db;
}

static int number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	int value;

	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK, "%s: %s", sql,
		     sqlite3_errmsg(db));
	cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW, "%s: %s", sql, sqlite3_errmsg(db));
	value = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

static int rows_of(sqlite3 *db, const char *kind)
{
	char sql[80];

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM t WHERE kind = '%s'", kind);
	return number(db, sql);
}

static int put(sqlite3 *db, const char *kind)
{
	char sql[256];

	snprintf(sql, sizeof(sql),
		 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
		 "INSERT INTO t (kind, bytes) SELECT '%s', randomblob(%d) FROM n",
		 ROWS, kind, ROW_BYTES);
	return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static void is_whole(sqlite3 *db)
{
	cr_assert_eq(number(db, "SELECT count(*) FROM pragma_integrity_check() "
				"WHERE integrity_check = 'ok'"),
		     1);
}

static sqlite3 *ours, *other;

static void setup(void)
{
	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/db", dir);
	fault_vfs_register();
	ours = opened(cairn_gather_vfs());
	other = opened(NULL);
	run(ours, "CREATE TABLE t (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, bytes BLOB)");
}

static void teardown(void)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	char name[sizeof(path) + 4];

	fault_vfs_clear();
	sqlite3_close(other);
	sqlite3_close(ours);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		unlink(name);
	}
	rmdir(dir);
}

TestSuite(gather, .init = setup, .fini = teardown);

Test(gather, is_not_the_default)
{
	cr_assert_not_null(cairn_gather_vfs());
	cr_assert_neq(sqlite3_vfs_find(NULL), sqlite3_vfs_find(cairn_gather_vfs()));
}

/* Two calls a page without it. */
Test(gather, many_pages_are_few_writes)
{
	unsigned long before = fault_vfs_calls(FAULT_WRITE);

	cr_assert_eq(put(ours, "a"), SQLITE_OK);
	cr_assert_lt(fault_vfs_calls(FAULT_WRITE) - before, ROWS / 4);
}

Test(gather, others_see_what_is_committed)
{
	for (int i = 1; i <= 5; i++) {
		cr_assert_eq(put(ours, "a"), SQLITE_OK);
		cr_assert_eq(rows_of(other, "a"), i * ROWS);
		is_whole(other);
		run(ours, "PRAGMA wal_checkpoint");
		is_whole(other);
	}
	/* Nor does it hang on the log. */
	sqlite3_close(other);
	run(ours, "PRAGMA wal_checkpoint(TRUNCATE)");
	other = opened(NULL);
	cr_assert_eq(rows_of(other, "a"), 5 * ROWS);
	is_whole(other);
}

/* A cache that is too small has pages written before the transaction ends. Where they lay, another
 * connection's lie after it was taken back. */
Test(gather, what_is_rolled_back_is_never_written_over_what_came_after)
{
	/* What rolls back reads nothing from a log that is empty. */
	run(ours, "PRAGMA wal_checkpoint(TRUNCATE); BEGIN");
	cr_assert_eq(put(ours, "a"), SQLITE_OK);
	run(ours, "ROLLBACK");
	cr_assert_eq(put(other, "b"), SQLITE_OK);
	cr_assert_eq(rows_of(ours, "a"), 0);
	cr_assert_eq(rows_of(ours, "b"), ROWS);
	cr_assert_eq(put(ours, "c"), SQLITE_OK);
	is_whole(other);
	cr_assert_eq(rows_of(other, "b"), ROWS);
	cr_assert_eq(rows_of(other, "c"), ROWS);
}

/* Whichever write it is, also one of a statement before the one that fails. */
Test(gather, what_could_not_be_written_is_not_committed)
{
	unsigned int failed = 0;
	bool fired = true;

	for (unsigned long n = 1; fired; n++) {
		bool committed;

		run(ours, "BEGIN; SAVEPOINT s");
		cr_assert_eq(put(ours, "a"), SQLITE_OK);
		fault_vfs_fail(FAULT_WRITE, n, SQLITE_FULL, false);
		put(ours, "b");
		fired = fault_vfs_fired() > 0;
		put(ours, "c");
		committed = sqlite3_exec(ours, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
		fault_vfs_clear();
		failed += !committed;
		if (!sqlite3_get_autocommit(ours))
			run(ours, "ROLLBACK");
		is_whole(other);
		is_whole(ours);
		cr_assert_eq(rows_of(other, "a"), committed ? ROWS : 0, "write %lu", n);
		run(other, "DELETE FROM t");
	}
	cr_assert_gt(failed, 0);
	/* And the next one is as ever. */
	cr_assert_eq(put(ours, "d"), SQLITE_OK);
	cr_assert_eq(rows_of(other, "d"), ROWS);
}

Test(gather, a_checkpoint_that_fails_can_be_made_again)
{
	bool fired = true;

	for (unsigned long n = 1; fired; n++) {
		cr_assert_eq(put(ours, "a"), SQLITE_OK);
		fault_vfs_fail(FAULT_WRITE, n, SQLITE_IOERR_WRITE, false);
		sqlite3_wal_checkpoint_v2(ours, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
		fired = fault_vfs_fired() > 0;
		fault_vfs_clear();
		cr_assert_eq(put(other, "a"), SQLITE_OK);
		is_whole(ours);
		run(ours, "PRAGMA wal_checkpoint");
		is_whole(other);
		run(ours, "DELETE FROM t");
	}
}

static unsigned long written;

static void note_writes(void *arg)
{
	written = fault_vfs_calls(FAULT_WRITE);
}

/* SQLite syncs the header of a new log before its first frame. */
Test(gather, what_is_synced_is_written)
{
	unsigned long before;

	run(ours, "PRAGMA wal_checkpoint(TRUNCATE)");
	before = fault_vfs_calls(FAULT_WRITE);
	fault_vfs_meet(FAULT_FSYNC, 1, note_writes, NULL);
	cr_assert_eq(put(ours, "a"), SQLITE_OK);
	cr_assert_gt(written, before);
}

Test(gather, a_transaction_reads_what_it_wrote)
{
	run(ours, "BEGIN");
	cr_assert_eq(put(ours, "a"), SQLITE_OK);
	cr_assert_eq(rows_of(ours, "a"), ROWS);
	is_whole(ours);
	run(ours, "COMMIT");
}

/* Then no lock tells when a transaction ends. */
Test(gather, a_log_for_one_process_alone_is_left_as_it_is)
{
	sqlite3_close(other);
	sqlite3_close(ours);
	other = NULL;
	ours = NULL;
	cr_assert_eq(sqlite3_open_v2(path, &ours, SQLITE_OPEN_READWRITE, cairn_gather_vfs()),
		     SQLITE_OK);
	run(ours, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = 10");
	fault_vfs_fail(FAULT_WRITE, 20, SQLITE_FULL, false);
	cr_assert_neq(put(ours, "a"), SQLITE_OK);
	cr_assert_eq(put(ours, "b"), SQLITE_OK);
	cr_assert_eq(rows_of(ours, "b"), ROWS);
	is_whole(ours);
}

/* A database without write-ahead log has no locks that would tell. */
Test(gather, without_a_log_nothing_is_kept)
{
	sqlite3_close(other);
	run(ours, "PRAGMA journal_mode = DELETE");
	other = NULL;
	cr_assert_eq(put(ours, "a"), SQLITE_OK);
	cr_assert_eq(sqlite3_open_v2(path, &other, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	cr_assert_eq(rows_of(other, "a"), ROWS);
	is_whole(other);
}
