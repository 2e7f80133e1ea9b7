/* Opening a workspace: what is refused, in which words, and what a refused file looks like after.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_fixture.h"

#define NOBODY 65534

TestSuite(store_open, .init = sx_setup, .fini = sx_teardown);
TestSuite(store_open_made, .init = sx_setup_made, .fini = sx_teardown);

static void write_file(const char *path, const void *data, size_t len, off_t offset)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	cr_assert_eq(pwrite(fd, data, len, offset), (ssize_t)len);
	close(fd);
}

/* Root may write anywhere, so a test of permissions goes on as somebody else. */
static void drop_root(void)
{
	if (geteuid() == 0)
		cr_assert_eq(seteuid(NOBODY), 0);
}

static void regain_root(void)
{
	if (getuid() == 0)
		cr_assert_eq(seteuid(0), 0);
}

static int try_open_as_nobody(bool read_only)
{
	int r;

	drop_root();
	r = sx_try_open(read_only);
	if (r < 0)
		regain_root();
	return r;
}

Test(store_open, missing_file_is_enoent_and_names_init)
{
	cr_assert_eq(sx_try_open(false), -ENOENT);
	cr_assert(sx_err_has("cairnfs init"));
	cr_assert(sx_err_has(sx.db));
	cr_assert_not(sx_exists("work.db"));
}

Test(store_open, directory_is_einval)
{
	mkdir(sx.db, 0755);
	cr_assert_eq(sx_try_open(false), -EINVAL);
	cr_assert(sx_err_has("directory"));
}

Test(store_open, fifo_is_einval)
{
	mkfifo(sx.db, 0644);
	cr_assert_eq(sx_try_open(false), -EINVAL);
	cr_assert(sx_err_has("regular file"));
}

Test(store_open, empty_file_is_einval_and_stays_empty)
{
	write_file(sx.db, "", 0, 0);
	cr_assert_eq(sx_try_open(false), -EINVAL);
	cr_assert(sx_err_has("empty"));
	cr_assert_eq(sx_size(sx.db), 0);
}

Test(store_open, encrypted_agentfs_file_is_refused_by_name)
{
	write_file(sx.db, "Turso\0\1\2", 8, 0);
	cr_assert_eq(sx_try_open(false), -EINVAL);
	cr_assert(sx_err_has("encrypted AgentFS file"));
}

Test(store_open, file_that_is_no_database_is_einval)
{
	write_file(sx.db, "#!/bin/sh\necho hello\n", 21, 0);
	cr_assert_eq(sx_try_open(false), -EINVAL);
	cr_assert(sx_err_has("no SQLite file"));
	cr_assert_eq(sx_try_open(true), -EINVAL);
}

Test(store_open, header_cut_short_is_einval)
{
	write_file(sx.db, "SQLite format 3", 16, 0);
	cr_assert_eq(sx_try_open(false), -EINVAL);
}

Test(store_open, database_of_another_kind_is_einval_and_unchanged)
{
	sx_sql(NULL, "CREATE TABLE notes (text TEXT)");
	cr_assert_eq(sx_try_open(false), -EINVAL);
	cr_assert(sx_err_has("no table fs_config"));
	cr_assert_str_eq(sx_text("PRAGMA journal_mode"), "delete");
	cr_assert_not(sx_exists("work.db-wal"));
	cr_assert_not(sx_exists("work.db-shm"));
}

Test(store_open, utf16_database_is_einval)
{
	sx_sql(NULL, "PRAGMA encoding = 'UTF-16le'; CREATE TABLE fs_config (key, value)");
	cr_assert_eq(sx_try_open(false), -EINVAL);
	cr_assert(sx_err_has("UTF-16"));
}

Test(store_open_made, first_error_of_the_caller_is_kept)
{
	cairn_error_set(&sx.err, 0, "earlier");
	unlink(sx.db);
	cr_assert_eq(cairn_sqlite_store_open(sx.db, &sx.options, &sx.store, &sx.err), -ENOENT);
	cr_assert_str_eq(sx.err.text, "earlier");
}

Test(store_open_made, error_text_may_be_null)
{
	unlink(sx.db);
	cr_assert_eq(cairn_sqlite_store_open(sx.db, &sx.options, &sx.store, NULL), -ENOENT);
}

Test(store_open_made, tells_chunk_size_and_mode)
{
	sx_open(false);
	cr_assert_eq(sx.store->chunk_size, CAIRN_DEFAULT_CHUNK_SIZE);
	cr_assert_not(sx.store->read_only);
	sx_close();
	sx_open(true);
	cr_assert(sx.store->read_only);
}

Test(store_open_made, writable_open_leaves_one_file_after_close)
{
	struct cairn_attr attr = sx_attr(2, S_IFREG | 0644);

	sx_open(false);
	sx_commit(cr_assert_eq(sx.store->ops->inode_insert(sx.store, &attr), 0));
	cr_assert(sx_exists("work.db-wal"));
	sx_close();
	cr_assert_not(sx_exists("work.db-wal"));
	cr_assert_not(sx_exists("work.db-shm"));
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM fs_inode"), 2);
}

Test(store_open_made, file_in_rollback_mode_is_brought_to_wal)
{
	sx_sql(NULL, "PRAGMA journal_mode = DELETE");
	sx_open(false);
	cr_assert_str_eq(sx_text("PRAGMA journal_mode"), "wal");
}

Test(store_open_made, file_in_rollback_mode_opens_read_only_as_it_is)
{
	sx_sql(NULL, "PRAGMA journal_mode = DELETE");
	sx_open(true);
	sx_close();
	cr_assert_str_eq(sx_text("PRAGMA journal_mode"), "delete");
}

Test(store_open_made, read_only_open_leaves_nothing_behind)
{
	struct cairn_attr attr;

	sx_open(true);
	cr_assert_eq(sx.store->ops->inode_get(sx.reader, 1, &attr), 0);
	sx_close();
	cr_assert_not(sx_exists("work.db-wal"));
	cr_assert_not(sx_exists("work.db-shm"));
}

Test(store_open_made, read_only_close_keeps_the_wal_of_others)
{
	sqlite3 *other;

	sx_open(true);
	other = sx_connect();
	sx_sql(other, "PRAGMA wal_autocheckpoint = 0; INSERT INTO kv_store (key, value) "
		      "VALUES ('k', 'v')");
	sx_close();
	cr_assert_gt(sx_size(sx_path("work.db-wal")), 0);
	sqlite3_close(other);
	cr_assert_str_eq(sx_text("SELECT value FROM kv_store"), "v");
}

Test(store_open_made, read_only_close_keeps_a_wal_that_nobody_has_open)
{
	sqlite3 *other;

	sx_open(true);
	other = sx_connect();
	cr_assert_eq(sqlite3_db_config(other, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL), 0);
	sx_sql(other, "INSERT INTO kv_store (key, value) VALUES ('k', 'v')");
	sqlite3_close(other);
	sx_close();
	cr_assert_gt(sx_size(sx_path("work.db-wal")), 0);
}

Test(store_open_made, read_only_store_refuses_every_change)
{
	struct cairn_attr attr = sx_attr(2, S_IFREG | 0644);
	const struct cairn_store_ops *ops;
	uint64_t first = 0;

	sx_open(true);
	ops = sx.store->ops;
	cr_assert_eq(ops->begin(sx.store), -EROFS);
	cr_assert_eq(ops->inode_insert(sx.store, &attr), -EROFS);
	cr_assert_eq(ops->lease(sx.store, CAIRN_SEQUENCE_INODE, 1, &first), -EROFS);
	cr_assert_eq(ops->commit(sx.store), -EROFS);
	cr_assert_eq(ops->sync(sx.store), -EROFS);
	cr_assert_eq(ops->checkpoint(sx.store, CAIRN_CHECKPOINT_PASSIVE), -EROFS);
	ops->rollback(sx.store);
	cr_assert_eq(ops->wal_size(sx.store), 0);
}

Test(store_open_made, read_only_sees_what_lies_in_the_wal)
{
	sqlite3 *other = sx_connect();

	sx_sql(other, "PRAGMA wal_autocheckpoint = 0; UPDATE fs_inode SET uid = 77 WHERE ino = 1");
	sx_open(true);
	struct cairn_attr attr = { 0 };
	cr_assert_eq(sx.store->ops->inode_get(sx.reader, 1, &attr), 0);
	cr_assert_eq(attr.uid, 77);
	sqlite3_close(other);
}

Test(store_open_made, unwritable_file_is_erofs_and_suggests_ro)
{
	chmod(sx.dir, 0777);
	chmod(sx.db, 0444);
	cr_assert_eq(try_open_as_nobody(false), -EROFS);
	cr_assert(sx_err_has("-o ro"));
}

Test(store_open_made, unwritable_directory_is_erofs_and_suggests_ro)
{
	chmod(sx.db, 0666);
	chmod(sx.dir, 0555);
	cr_assert_eq(try_open_as_nobody(false), -EROFS);
	cr_assert(sx_err_has("directory"));
	cr_assert(sx_err_has("-o ro"));
	chmod(sx.dir, 0755);
}

Test(store_open_made, unreadable_file_is_eacces)
{
	chmod(sx.dir, 0755);
	chmod(sx.db, 0200);
	cr_assert_eq(try_open_as_nobody(true), -EACCES);
	cr_assert(sx_err_has("permissions"));
}

Test(store_open, read_only_open_works_in_an_unwritable_directory_of_an_odd_name)
{
	struct cairn_attr attr;

	snprintf(sx.db, sizeof(sx.db), "%s/50%% off?mode=rwc#x %%41.db", sx.dir);
	sx_make();
	chmod(sx.dir, 0555);
	cr_assert_eq(try_open_as_nobody(true), 0, "%s", sx.err.text);
	cr_assert_eq(sx.store->ops->inode_get(sx.reader, 1, &attr), 0);
	sx_close();
	regain_root();
	chmod(sx.dir, 0755);
}

Test(store_open_made, read_only_open_reads_a_wal_in_an_unwritable_directory)
{
	struct cairn_attr attr = { 0 };
	sqlite3 *other = sx_connect();

	sx_sql(other, "PRAGMA wal_autocheckpoint = 0; UPDATE fs_inode SET uid = 78 WHERE ino = 1");
	chmod(sx.dir, 0555);
	cr_assert_eq(try_open_as_nobody(true), 0, "%s", sx.err.text);
	cr_assert_eq(sx.store->ops->inode_get(sx.reader, 1, &attr), 0);
	cr_assert_eq(attr.uid, 78);
	sx_close();
	regain_root();
	chmod(sx.dir, 0755);
	sqlite3_close(other);
}

Test(store_open_made, symlink_opens_the_file_it_names)
{
	char target[sizeof(sx.db)];

	strcpy(target, sx.db);
	snprintf(sx.db, sizeof(sx.db), "%s/link", sx.dir);
	cr_assert_eq(symlink(target, sx.db), 0);
	sx_open(false);
	sx_commit(sx.store->ops->orphan_put(sx.store, 1));
	cr_assert(sx_exists("work.db-wal"));
	cr_assert_not(sx_exists("link-wal"));
}

/* Takes the lock that AgentFS holds on the whole file, in a process of its own. */
static pid_t hold_lock(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int ready[2];
	pid_t pid;
	char c;

	cr_assert_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		int fd = open(sx.db, O_RDWR);

		if (fcntl(fd, F_SETLK, &lock) == 0 && write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	cr_assert_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

Test(store_open_made, locked_file_is_ebusy_and_names_the_holder)
{
	pid_t holder = hold_lock();
	char text[32];

	snprintf(text, sizeof(text), "pid %d", holder);
	cr_assert_eq(sx_try_open(false), -EBUSY);
	cr_assert(sx_err_has(text), "%s", sx.err.text);
	cr_assert(sx_err_has("AgentFS"));
	cr_assert_eq(sx_try_open(true), -EBUSY);
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	sx_open(false);
}

static bool another_process_can_lock(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open(sx.db, O_RDWR);

		_exit(fcntl(fd, F_SETLK, &lock) < 0 ? 1 : 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status == 0;
}

/* While a read-only mount lives, AgentFS must not get the file to itself. */
Test(store_open_made, read_only_store_keeps_an_exclusive_lock_out)
{
	sx_open(true);
	cr_assert_not(another_process_can_lock());
}

/* A failed second open looks for a lock holder and must not lose this process's own locks. */
Test(store_open_made, failed_open_keeps_the_locks_of_a_store_of_the_same_process)
{
	struct cairn_store *second;

	sx_open(false);
	sx_sql(NULL, "DROP TABLE cairn_orphan"); /* which the second open wants to make */
	cr_assert_eq(sx.store->ops->begin(sx.store), 0);
	cr_assert_eq(cairn_sqlite_store_open(sx.db, &sx.options, &second, &sx.err), -EBUSY);
	cr_assert_not(another_process_can_lock());
	sx.store->ops->rollback(sx.store);
}

Test(store_open_made, auto_vacuum_is_warned_of)
{
	sx_sql(NULL, "PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = FULL; VACUUM");
	sx_open(false);
	cr_assert(sx_log_has("auto_vacuum"));
}

Test(store_open_made, foreign_views_and_indexes_do_not_matter)
{
	sx_sql(NULL, "CREATE VIEW files AS SELECT * FROM fs_dentry; "
		     "CREATE INDEX idx_fs_dentry_parent ON fs_dentry(parent_ino, name)");
	sx_open(false);
	sx_commit(cr_assert_eq(sx.store->ops->dentry_put(sx.store, 1, "a", 1, 1, 1), 0));
}

Test(store_open_made, triggers_of_the_file_do_not_run)
{
	sx_sql(NULL, "CREATE TRIGGER t AFTER INSERT ON fs_dentry BEGIN "
		     "DELETE FROM fs_inode; END");
	sx_open(false);
	sx_commit(cr_assert_eq(sx.store->ops->dentry_put(sx.store, 1, "a", 1, 1, 1), 0));
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM fs_inode"), 1);
}

Test(store_open_made, table_without_its_unique_index_is_einval)
{
	sx_sql(NULL, "DROP TABLE fs_dentry; CREATE TABLE fs_dentry "
		     "(id INTEGER PRIMARY KEY AUTOINCREMENT, name, parent_ino, ino)");
	cr_assert_eq(sx_try_open(false), -EINVAL);
	cr_assert(sx_err_has("not a workspace"));
}

/* Runs SQL whose changes stay in the WAL, and leaves a copy of file and WAL as sx.db that no
 * process has open: what a crash leaves behind. */
static void crash_after(const char *sql)
{
	char command[4 * PATH_MAX];
	sqlite3 *other = sx_connect();

	sx_sql(other, "PRAGMA wal_autocheckpoint = 0");
	sx_sql(other, sql);
	snprintf(command, sizeof(command),
		 "cd '%s' && cp work.db copy.db && cp work.db-wal copy.db-wal", sx.dir);
	cr_assert_eq(system(command), 0);
	sqlite3_close(other);
	snprintf(sx.db, sizeof(sx.db), "%s/copy.db", sx.dir);
}

Test(store_open_made, refused_file_keeps_its_wal)
{
	long size;

	crash_after("UPDATE fs_config SET value = '0.9' WHERE key = 'schema_version'");
	size = sx_size(sx_path("copy.db-wal"));
	cr_assert_gt(size, 0);
	cr_assert_eq(sx_try_open(false), -EINVAL);
	cr_assert(sx_err_has("newer"));
	cr_assert_eq(sx_size(sx_path("copy.db-wal")), size);
}

Test(store_open_made, wal_left_by_a_crash_is_taken_over)
{
	struct cairn_attr attr = { 0 };

	crash_after("UPDATE fs_inode SET uid = 79 WHERE ino = 1");
	sx_open(false);
	cr_assert_gt(sx.store->ops->wal_size(sx.store), 0);
	cr_assert_eq(sx.store->ops->inode_get(sx.reader, 1, &attr), 0);
	cr_assert_eq(attr.uid, 79);
	sx_close();
	cr_assert_not(sx_exists("copy.db-wal"));
	cr_assert_eq(sx_number("SELECT uid FROM fs_inode WHERE ino = 1"), 79);
}
