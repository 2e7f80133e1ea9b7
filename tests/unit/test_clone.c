/* Copies of workspaces that others write to, and putting one back. */
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/restore.h"
#include "store_fixture.h"

TestSuite(clone, .init = sx_setup_made, .fini = sx_teardown);
TestSuite(restore, .init = sx_setup_made, .fini = sx_teardown);

enum {
	ROWS = 40,
	CLONES = 40,
	LOGGED = 50,
};

static const struct cairn_clone_options plain = { .busy_timeout_ms = 5000 };

static int clone_to(const char *name, struct cairn_clone_result *ret)
{
	sx.err.text[0] = '\0';
	return cairn_clone(sx.db, sx_path(name), &plain, ret, &sx.err);
}

/* The first column of the first row of a database in the directory. */
static sqlite3_int64 ask(const char *name, const char *sql)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;
	sqlite3_int64 answer = -1;

	cr_assert_eq(sqlite3_open_v2(sx_path(name), &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK, "%s: %s", sql,
		     sqlite3_errmsg(db));
	if (sqlite3_step(stmt) == SQLITE_ROW)
		answer = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	cr_assert_eq(sqlite3_close(db), SQLITE_OK);
	return answer;
}

static bool is_sound(const char *name)
{
	return ask(name, "SELECT integrity_check = 'ok' FROM pragma_integrity_check") == 1;
}

/* Rows on pages of their own, which every transaction of the writer sets to one value. */
static void make_rows(void)
{
	char sql[256];

	snprintf(sql, sizeof(sql),
		 "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, pad BLOB); "
		 "CREATE TABLE log (n INTEGER PRIMARY KEY, pad BLOB); "
		 "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < %d) "
		 "INSERT INTO t SELECT x, 0, randomblob(3000) FROM c",
		 ROWS);
	sx_sql(NULL, sql);
}

/* Commits as fast as it can, and checkpoints every so many pages, so that the WAL starts over all
 * the time; or at 0 seldom, so that it grows. The file grows and leaves pages free meanwhile. */
static _Noreturn void write_for_ever(int checkpoint_pages)
{
	sqlite3 *db = NULL;
	char sql[256];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sqlite3_open(sx.db, &db) != SQLITE_OK)
		_exit(1);
	sqlite3_busy_timeout(db, 10000);
	sqlite3_wal_autocheckpoint(db, checkpoint_pages);
	for (int n = 1;; n++) {
		snprintf(sql, sizeof(sql),
			 "BEGIN; UPDATE t SET n = %d WHERE id %% 7 < 4; UPDATE t SET n = %d; "
			 "INSERT INTO log VALUES (%d, randomblob(%d)); "
			 "DELETE FROM log WHERE n <= %d; COMMIT",
			 -n, n, n, 300 * (n % 100), n - LOGGED);
		if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
			_exit(2);
		if (checkpoint_pages == 0 && n % 200 == 0)
			sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	}
}

static pid_t start_writer(int checkpoint_pages)
{
	pid_t child = fork();

	if (child == 0)
		write_for_ever(checkpoint_pages);
	cr_assert_gt(child, 0);
	return child;
}

static void stop_writer(pid_t child)
{
	int status;

	cr_assert_eq(waitpid(child, &status, WNOHANG), 0, "the writer has failed");
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
}

static void clone_while_writing(int checkpoint_pages)
{
	struct cairn_clone_result result;
	sqlite3_int64 last = 0, n;
	pid_t child;

	make_rows();
	child = start_writer(checkpoint_pages);
	for (int i = 0; i < CLONES; i++) {
		cr_assert_eq(clone_to("copy.db", &result), 0, "%s", sx.err.text);
		cr_assert_not(sx_exists("copy.db-wal"));
		cr_assert(is_sound("copy.db"), "copy %d", i);
		cr_assert_eq(ask("copy.db", "SELECT COUNT(DISTINCT n) FROM t"), 1, "copy %d", i);
		n = ask("copy.db", "SELECT MAX(n) FROM t");
		cr_assert_eq(ask("copy.db", "SELECT COUNT(*) FROM log"), n < LOGGED ? n : LOGGED);
		cr_assert_eq(ask("copy.db", "SELECT COALESCE(MAX(n), 0) FROM log"), n);
		cr_assert_geq(n, last, "time goes one way");
		last = n;
		unlink(sx_path("copy.db"));
	}
	stop_writer(child);
	cr_assert_gt(last, 0, "the writer has written");
}

Test(clone, while_checkpoints_follow_one_another)
{
	clone_while_writing(1);
}

Test(clone, while_the_wal_starts_over_now_and_then)
{
	clone_while_writing(1500);
}

Test(clone, while_the_wal_grows)
{
	clone_while_writing(0);
}

Test(clone, has_what_is_in_the_wal_alone)
{
	sqlite3 *db = sx_connect();
	struct cairn_clone_result result;

	sqlite3_wal_autocheckpoint(db, 0);
	sx_sql(db, "INSERT INTO kv_store (key, value) VALUES ('k', 'new')");
	cr_assert_gt(sx_size(sx_path("work.db-wal")), 0);
	cr_assert_eq(clone_to("copy.db", &result), 0, "%s", sx.err.text);
	cr_assert_eq(ask("copy.db", "SELECT COUNT(*) FROM kv_store WHERE value = 'new'"), 1);
	cr_assert_eq((long)result.size, sx_size(sx_path("copy.db")));
	cr_assert_gt(sx_size(sx_path("work.db-wal")), 0, "the original is as it was");
	sqlite3_close(db);
}

Test(clone, leaves_uncommitted_changes_out_and_waits_for_nobody)
{
	sqlite3 *db = sx_connect();
	struct cairn_clone_result result;

	sx_sql(db, "INSERT INTO kv_store (key, value) VALUES ('k', 'old')");
	sx_sql(db, "BEGIN IMMEDIATE; UPDATE kv_store SET value = 'new'");
	cr_assert_eq(clone_to("copy.db", &result), 0, "%s", sx.err.text);
	cr_assert_eq(ask("copy.db", "SELECT COUNT(*) FROM kv_store WHERE value = 'old'"), 1);
	sx_sql(db, "COMMIT");
	sqlite3_close(db);
}

Test(clone, keeps_the_locks_of_others)
{
	sqlite3 *db = sx_connect();
	struct cairn_clone_result result;

	/* Their -wal stays as long as they have it open. */
	sx_sql(db, "INSERT INTO kv_store (key, value) VALUES ('k', 'v')");
	cr_assert_eq(fork() ? 0 : (_exit(clone_to("copy.db", &result) != 0), 0), 0);
	wait(NULL);
	cr_assert(sx_exists("copy.db"));
	cr_assert(sx_exists("work.db-wal"));
	sqlite3_close(db);
}

Test(clone, of_a_rollback_journal_database)
{
	struct cairn_clone_result result;

	sx_sql(NULL, "PRAGMA journal_mode = DELETE; INSERT INTO kv_store VALUES ('k', 'v', 1, 1)");
	cr_assert_eq(clone_to("copy.db", &result), 0, "%s", sx.err.text);
	cr_assert_eq(ask("copy.db", "SELECT COUNT(*) FROM kv_store"), 1);
	cr_assert_not(sx_exists("work.db-shm"));
}

Test(clone, has_the_permissions_of_the_original)
{
	struct cairn_clone_result result;
	struct stat st;

	umask(0);
	chmod(sx.db, 0640);
	cr_assert_eq(clone_to("copy.db", &result), 0);
	cr_assert_eq(stat(sx_path("copy.db"), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0640);
}

Test(clone, of_no_workspace_leaves_nothing)
{
	struct cairn_clone_result result;
	int fd = open(sx.db, O_WRONLY | O_TRUNC);

	cr_assert_eq(write(fd, "no database", 11), 11);
	close(fd);
	cr_assert_eq(clone_to("copy.db", &result), -EINVAL);
	cr_assert(sx_err_has("no SQLite file"));
	cr_assert_not(sx_exists("copy.db"));
	unlink(sx.db);
	cr_assert_eq(clone_to("copy.db", &result), -ENOENT);
}

static int stop_half_way(void *arg, uint64_t done, uint64_t total)
{
	*(uint64_t *)arg = total;
	return done > 0 ? -EINTR : 0;
}

Test(clone, that_is_ended_leaves_nothing)
{
	struct cairn_clone_options options = plain;
	struct cairn_clone_result result;
	uint64_t total = 0;
	glob_t left = { 0 };

	options.progress = stop_half_way;
	options.arg = &total;
	cr_assert_eq(cairn_clone(sx.db, sx_path("copy.db"), &options, &result, &sx.err), -EINTR);
	cr_assert_eq((long)total, sx_size(sx.db));
	cr_assert_not(sx_exists("copy.db"));
	cr_assert_eq(glob(sx_path(".cairnfs-draft-*"), 0, NULL, &left), GLOB_NOMATCH);
}

/* Restoring. */

static struct cairn_restore_result restored;

static int restore_from(const char *name, bool force)
{
	struct cairn_clone_options options = plain;

	options.force = force;
	options.busy_timeout_ms = 50;
	restored = (struct cairn_restore_result){ 0 };
	sx.err.text[0] = '\0';
	return cairn_restore(sx_path(name), sx.db, &options, &restored, &sx.err);
}

/* copy.db has k = old, work.db k = new. */
static void make_two(void)
{
	struct cairn_clone_result result;

	sx_sql(NULL, "INSERT INTO kv_store (key, value) VALUES ('k', 'old')");
	cr_assert_eq(clone_to("copy.db", &result), 0);
	sx_sql(NULL, "UPDATE kv_store SET value = 'new'");
}

static bool has(const char *name, const char *value)
{
	char sql[128];

	snprintf(sql, sizeof(sql), "SELECT COUNT(*) FROM kv_store WHERE value = '%s'", value);
	return ask(name, sql) == 1;
}

Test(restore, keeps_what_was_there)
{
	make_two();
	cr_assert_eq(restore_from("copy.db", false), 0, "%s", sx.err.text);
	cr_assert(has("work.db", "old"));
	cr_assert(has("work.db.before-restore", "new"));
	cr_assert_str_eq(strrchr(restored.kept, '/'), "/work.db.before-restore");
	sx_sql(NULL, "UPDATE kv_store SET value = 'newer'");
	cr_assert_eq(restore_from("copy.db", false), 0, "%s", sx.err.text);
	cr_assert(has("work.db.before-restore", "new"));
	cr_assert(has("work.db.before-restore-2", "newer"));
	cr_assert(has("copy.db", "old"));
}

Test(restore, with_force_keeps_nothing)
{
	make_two();
	cr_assert_eq(restore_from("copy.db", true), 0, "%s", sx.err.text);
	cr_assert(has("work.db", "old"));
	cr_assert_not(sx_exists("work.db.before-restore"));
	cr_assert_eq(restored.kept[0], '\0');
}

Test(restore, where_nothing_is)
{
	make_two();
	unlink(sx.db);
	cr_assert_eq(restore_from("copy.db", false), 0, "%s", sx.err.text);
	cr_assert(has("work.db", "old"));
	cr_assert_eq(restored.kept[0], '\0');
}

Test(restore, owner_and_permissions_stay)
{
	struct stat st;

	make_two();
	chmod(sx.db, 0604);
	if (geteuid() == 0)
		cr_assert_eq(chown(sx.db, 12, 34), 0);
	cr_assert_eq(restore_from("copy.db", false), 0, "%s", sx.err.text);
	cr_assert_eq(stat(sx.db, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0604);
	if (geteuid() == 0)
		cr_assert(st.st_uid == 12 && st.st_gid == 34);
}

Test(restore, folds_in_the_wal_of_what_is_kept)
{
	pid_t child;

	make_two();
	child = fork();
	if (child == 0) {
		sqlite3 *db = sx_connect();

		sqlite3_wal_autocheckpoint(db, 0);
		sx_sql(db, "UPDATE kv_store SET value = 'in the wal'");
		_exit(kill(getpid(), SIGKILL));
	}
	waitpid(child, NULL, 0);
	cr_assert_gt(sx_size(sx_path("work.db-wal")), 0);
	cr_assert_eq(restore_from("copy.db", false), 0, "%s", sx.err.text);
	cr_assert_not(sx_exists("work.db-wal"));
	cr_assert_not(sx_exists("work.db.before-restore-wal"));
	cr_assert(has("work.db", "old"));
	cr_assert(has("work.db.before-restore", "in the wal"));
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

Test(restore, over_a_file_that_is_no_database_keeps_what_lies_beside_it)
{
	make_two();
	put(sx.db, "wrecked by hand, and long enough to be looked at as a database header would "
		   "be: 100 bytes are what SQLite reads first");
	put(sx_path("work.db-wal"), "its wal");
	cr_assert_eq(restore_from("copy.db", false), 0, "%s", sx.err.text);
	cr_assert(has("work.db", "old"));
	cr_assert_gt(sx_size(sx_path("work.db.before-restore")), 100);
	cr_assert_eq(sx_size(sx_path("work.db.before-restore-wal")), 7);
	cr_assert_not(sx_exists("work.db-wal"));
}

Test(restore, is_refused_while_another_process_has_it_open)
{
	pid_t child;
	int ends[2];
	char byte = 0;

	make_two();
	cr_assert_eq(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sx_sql(sx_connect(), "SELECT * FROM kv_store");
		_exit(write(ends[1], &byte, 1) == 1 ? pause() : 1);
	}
	cr_assert_eq(read(ends[0], &byte, 1), 1);
	cr_assert_eq(restore_from("copy.db", false), -EBUSY);
	cr_assert_eq(restore_from("copy.db", true), -EBUSY);
	cr_assert(sx_err_has("open in another process"));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	cr_assert(has("work.db", "new"));
	cr_assert_not(sx_exists("work.db.before-restore"));
}

Test(restore, from_itself_is_refused)
{
	cr_assert_eq(symlink(sx.db, sx_path("link")), 0);
	cr_assert_eq(restore_from("link", false), -EINVAL);
	cr_assert(sx_err_has("same file"));
}

Test(restore, check_tells_damage_from_broken_rules)
{
	uint64_t errors = 99;
	char zeros[4096] = { 0 };
	int fd;

	make_rows();
	cr_assert_eq(cairn_restore_check(sx.db, 5000, NULL, NULL, &errors, &sx.err), 0);
	cr_assert_eq(errors, 0);
	sx_sql(NULL, "INSERT INTO fs_inode (ino, mode, nlink, size, atime, mtime, ctime) "
		     "VALUES (7, 33188, 1, 0, 1, 1, 1)");
	cr_assert_eq(cairn_restore_check(sx.db, 5000, NULL, NULL, &errors, &sx.err), 0);
	cr_assert_eq(errors, 1);

	fd = open(sx.db, O_WRONLY);
	cr_assert_eq(pwrite(fd, zeros, sizeof(zeros), sx_size(sx.db) - 40960), 4096);
	close(fd);
	cr_assert_eq(cairn_restore_check(sx.db, 5000, NULL, NULL, &errors, &sx.err), -EIO);
	cr_assert(sx_err_has("is damaged"), "%s", sx.err.text);
}
