/* The write-ahead log: its size, checkpoints, syncs. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/kv.h"
#include "store/sqlite_store.h"
#include "store_fixture.h"
#include "util/filelock.h"

TestSuite(store_wal, .init = sx_setup_open, .fini = sx_teardown);

#define OPS (sx.store->ops)

Test(store_wal, wal_size_is_that_of_the_log)
{
	cr_assert_eq(OPS->wal_size(sx.store), 0);
	sx_commit(sx_put("a", 1));
	cr_assert_eq(OPS->wal_size(sx.store), (uint64_t)sx_size(sx_path("work.db-wal")));
	sx_commit(sx_put("b", 2));
	cr_assert_eq(OPS->wal_size(sx.store), (uint64_t)sx_size(sx_path("work.db-wal")));
}

Test(store_wal, wal_size_counts_what_others_commit)
{
	enum cairn_foreign found;
	sqlite3 *other = sx_connect();

	sx_commit(sx_put("a", 1));
	sx_sql(other, "PRAGMA wal_autocheckpoint = 0; "
		      "INSERT INTO kv_store (key, value) VALUES ('k', hex(zeroblob(100000)))");
	cr_assert_eq(OPS->foreign(sx.store, &found), 0);
	cr_assert_eq(OPS->wal_size(sx.store), (uint64_t)sx_size(sx_path("work.db-wal")));
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_RESTART), 0);
	sx_sql(other, "UPDATE fs_inode SET uid = 5 WHERE ino = 1");
	cr_assert_eq(OPS->foreign(sx.store, &found), 0);
	cr_assert_eq(found, CAIRN_FOREIGN_FILES);
	cr_assert_gt(OPS->wal_size(sx.store), 0);
	cr_assert_lt(OPS->wal_size(sx.store), 100000);
	sqlite3_close(other);
}

Test(store_wal, a_complete_checkpoint_leaves_a_whole_file)
{
	char command[2 * PATH_MAX];

	sx_commit(sx_put("a", 1));
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_ALL), 0);
	cr_assert_eq(OPS->wal_size(sx.store), 0);
	snprintf(command, sizeof(command), "cp '%s' '%s'", sx.db, sx_path("copy.db"));
	cr_assert_eq(system(command), 0);
	snprintf(sx.db, sizeof(sx.db), "%s", sx_path("copy.db"));
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM fs_dentry WHERE name = 'a'"), 1);
}

Test(store_wal, restarting_checkpoint_lets_the_log_start_over)
{
	uint64_t size;

	sx_commit(sx_put("a", 1));
	sx_commit(sx_put("b", 2));
	size = OPS->wal_size(sx.store);
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_RESTART), 0);
	cr_assert_eq(OPS->wal_size(sx.store), 0);
	sx_commit(sx_put("c", 3));
	cr_assert_gt(OPS->wal_size(sx.store), 0);
	cr_assert_lt(OPS->wal_size(sx.store), size);
}

Test(store_wal, passive_checkpoint_does_not_wait_for_a_reader)
{
	sqlite3 *other = sx_connect();

	sx_commit(sx_put("a", 1));
	sx_sql(other, "BEGIN; SELECT COUNT(*) FROM fs_dentry");
	sx_commit(sx_put("b", 2));
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_PASSIVE), 0);
	cr_assert_gt(OPS->wal_size(sx.store), 0);
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_RESTART), -EAGAIN);
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_ALL), -EAGAIN);
	cr_assert_gt(OPS->wal_size(sx.store), 0);
	sqlite3_close(other);
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_ALL), 0);
}

/* It has no need of what comes later, so all can be copied; but it reads from the WAL. */
Test(store_wal, a_reader_of_the_last_state_keeps_the_log_from_starting_over)
{
	sqlite3 *other = sx_connect();
	uint64_t size;

	sx_commit(sx_put("a", 1));
	sx_sql(other, "BEGIN; SELECT COUNT(*) FROM fs_dentry");
	size = OPS->wal_size(sx.store);
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_ALL), 0);
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_RESTART), -EAGAIN);
	sx_commit(sx_put("b", 2));
	cr_assert_gt(OPS->wal_size(sx.store), size);
	sqlite3_close(other);
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_RESTART), 0);
	sx_commit(sx_put("c", 3));
	cr_assert_leq(OPS->wal_size(sx.store), size);
}

Test(store_wal, a_checkpoint_gives_way_to_another_writer)
{
	sqlite3 *other = sx_connect();
	long size;

	sx_commit(sx_put("a", 1));
	size = sx_size(sx.db);
	sx_sql(other, "BEGIN IMMEDIATE");
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_PASSIVE), -EAGAIN);
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_ALL), -EAGAIN);
	cr_assert_eq(sx_size(sx.db), size);
	sx_sql(other, "ROLLBACK");
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_PASSIVE), 0);
	sqlite3_close(other);
}

/* Reads from the WAL until its standard input ends, and says on `ready` that it does. */
static _Noreturn void read_forever(int stop, int ready)
{
	sqlite3 *db;
	char byte = 0;

	if (sqlite3_open(sx.db, &db) != SQLITE_OK ||
	    sqlite3_exec(db, "BEGIN; SELECT COUNT(*) FROM fs_dentry", NULL, NULL, NULL) !=
		    SQLITE_OK ||
	    write(ready, &byte, 1) != 1)
		_exit(1);
	_exit(read(stop, &byte, 1) == 0 ? 0 : 1);
}

Test(store_wal, the_processes_that_read_the_log_are_named)
{
	int stop[2], ready[2], status;
	char names[256], want[32], byte;
	sqlite3 *own;
	pid_t pid;

	sx_close(); /* a child must not inherit connections */
	cr_assert_eq(pipe2(stop, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	sx_open(false);
	sx_commit(sx_put("a", 1));
	own = sx_connect();
	sx_sql(own, "BEGIN; SELECT COUNT(*) FROM fs_dentry");
	OPS->wal_readers(sx.store, names, sizeof(names));
	cr_assert_str_eq(names, "");
	sqlite3_close(own);
	sx_close();

	pid = fork();
	if (pid == 0) {
		close(stop[1]);
		sx_open(false);
		sx_commit(sx_put("b", 2));
		read_forever(stop[0], ready[1]);
	}
	close(ready[1]);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	sx_open(false);
	OPS->wal_readers(sx.store, names, sizeof(names));
	snprintf(want, sizeof(want), "(pid %d)", pid);
	cr_expect(strstr(names, want), "%s", names);
	OPS->wal_readers(sx.store, names, 8); /* it does not fit, and is left out whole */
	cr_expect_str_eq(names, "");
	close(stop[1]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	OPS->wal_readers(sx.store, names, sizeof(names));
	cr_assert_str_eq(names, "");
}

Test(store_wal, commits_do_not_checkpoint_by_themselves)
{
	char *data = calloc(1, CAIRN_DEFAULT_CHUNK_SIZE);
	long size = sx_size(sx.db);

	for (int i = 0; i < 100; i++)
		sx_commit(OPS->data_put(sx.store, 7, i, data, CAIRN_DEFAULT_CHUNK_SIZE));
	cr_assert_eq(sx_size(sx.db), size);
	cr_assert_gt(OPS->wal_size(sx.store), 100 * CAIRN_DEFAULT_CHUNK_SIZE);
	free(data);
}

static void *set_key(void *arg)
{
	return (void *)(intptr_t)cairn_kv_set(arg, "k", "the last value");
}

/* Keys are written by a connection of their own, without the writer. */
Test(store_wal, keys_wait_at_the_limit_and_do_not_fail)
{
	static char value[60000];
	sqlite3 *reader = sx_connect();
	struct cairn_kv *kv;
	pthread_t thread;
	uint64_t size;
	void *r;

	sx_close();
	sx.options.wal_limit = 1 << 20;
	sx_open(false);
	cr_assert_eq(cairn_kv_open(sx.store, 100, false, &kv), 0);
	sx_sql(reader, "BEGIN; SELECT COUNT(*) FROM fs_dentry");
	for (int i = 0; OPS->wal_size(sx.store) < sx.options.wal_limit; i++) {
		memset(value, 'a' + i % 26, sizeof(value) - 1);
		cr_assert_eq(cairn_kv_set(kv, "k", value), 0);
	}
	size = OPS->wal_size(sx.store);
	cr_assert_eq(size, (uint64_t)sx_size(sx_path("work.db-wal")));
	cr_assert_eq(pthread_create(&thread, NULL, set_key, kv), 0);
	usleep(50000); /* it may be slow, but not go on */
	cr_expect_eq((uint64_t)sx_size(sx_path("work.db-wal")), size);
	sqlite3_close(reader);
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_RESTART), 0);
	pthread_join(thread, &r);
	cr_expect_null(r);
	cr_expect_lt(OPS->wal_size(sx.store), size);
	cairn_kv_close(kv);
	cr_expect_str_eq(sx_text("SELECT value FROM kv_store"), "the last value");
}

/* Holds the mark of the workspace, as a mount does. */
static int hold_mark(struct cairn_filerange range)
{
	int fd = open(sx_path("work.db-mount"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(cairn_filelock_set(fd, range, F_WRLCK), 0);
	return fd;
}

static void reopen_yielding(void)
{
	sx_close();
	sx.options.yield_checkpoints = true;
	sx_open(false);
}

Test(store_wal, checkpoints_are_left_to_who_holds_the_mark)
{
	static const struct cairn_filerange whole;
	long size = sx_size(sx.db);
	sqlite3 *mount;
	uint64_t wal;
	int mark;

	reopen_yielding();
	mark = hold_mark(whole);
	for (unsigned int i = 0; i < 50; i++)
		sx_commit(sx_put("a", 1 + i));
	wal = OPS->wal_size(sx.store);
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_PASSIVE), 0);
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_ALL), 0);
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_RESTART), -EAGAIN);
	cr_assert_eq(sx_size(sx.db), size);
	cr_assert_eq(OPS->wal_size(sx.store), wal);

	/* Who holds it makes one: then the log starts over. */
	mount = sx_connect();
	sx_sql(mount, "SELECT COUNT(*) FROM fs_dentry");
	cr_assert_eq(sqlite3_wal_checkpoint_v2(mount, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL),
		     SQLITE_OK);
	sqlite3_close(mount);
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_RESTART), 0);
	sx_commit(sx_put("b", 100));
	cr_assert_lt(OPS->wal_size(sx.store), wal);

	close(mark);
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_RESTART), 0);
}

Test(store_wal, the_last_to_close_leaves_the_log_to_who_holds_the_mark)
{
	static const struct cairn_filerange whole;
	int mark;

	reopen_yielding();
	mark = hold_mark(whole);
	sx_commit(sx_put("a", 1));
	sx_close();
	cr_assert_gt(sx_size(sx_path("work.db-wal")), 0);
	close(mark);
	reopen_yielding();
	cr_assert(sx_has_entry("a"));
	sx_close();
	cr_assert_not(sx_exists("work.db-wal"));
}

Test(store_wal, a_mark_without_writing_leaves_checkpoints_to_others)
{
	static const struct cairn_filerange byte = { 0, CAIRN_MARK_WRITE_BYTE };
	int mark;

	reopen_yielding();
	mark = hold_mark(byte);
	sx_commit(sx_put("a", 1));
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_RESTART), 0);
	close(mark);
}

/* SQLite's own VFS, but the syncs of the -wal and of the database are counted and may fail, and
 * another connection may try to write whenever something is written to the database. */
static struct {
	sqlite3_vfs vfs, *real;
	sqlite3_io_methods wal, main;
	const sqlite3_io_methods *wal_real, *main_real;
	unsigned int wal_syncs, main_syncs;
	bool fail;
	sqlite3 *rival;
	unsigned int tries, wins;
} shim;

static int wal_sync(sqlite3_file *file, int flags)
{
	shim.wal_syncs++;
	return shim.fail ? SQLITE_IOERR_FSYNC : shim.wal_real->xSync(file, flags);
}

static int main_sync(sqlite3_file *file, int flags)
{
	shim.main_syncs++;
	return shim.main_real->xSync(file, flags);
}

static int main_write(sqlite3_file *file, const void *buf, int size, sqlite3_int64 at)
{
	if (shim.rival) {
		shim.tries++;
		if (sqlite3_exec(shim.rival, "BEGIN IMMEDIATE; ROLLBACK", NULL, NULL, NULL) ==
		    SQLITE_OK)
			shim.wins++;
	}
	return shim.main_real->xWrite(file, buf, size, at);
}

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret)
{
	int rc = shim.real->xOpen(shim.real, name, file, flags, ret);

	if (rc != SQLITE_OK || !(flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_DB)))
		return rc;
	if (flags & SQLITE_OPEN_WAL) {
		shim.wal_real = file->pMethods;
		shim.wal = *file->pMethods;
		shim.wal.xSync = wal_sync;
		file->pMethods = &shim.wal;
	} else {
		shim.main_real = file->pMethods;
		shim.main = *file->pMethods;
		shim.main.xSync = main_sync;
		shim.main.xWrite = main_write;
		file->pMethods = &shim.main;
	}
	return rc;
}

static void setup_counted(void)
{
	sx_setup_made();
	shim.real = sqlite3_vfs_find(NULL);
	shim.vfs = *shim.real;
	shim.vfs.zName = "counted";
	shim.vfs.xOpen = shim_open;
	cr_assert_eq(sqlite3_vfs_register(&shim.vfs, 1), SQLITE_OK);
	sx_open(false);
}

TestSuite(store_sync, .init = setup_counted, .fini = sx_teardown);

Test(store_sync, nothing_written_is_nothing_to_sync)
{
	cr_assert_eq(OPS->sync(sx.store), 0);
}

Test(store_sync, sync_reaches_the_log)
{
	unsigned int before;

	sx_commit(sx_put("a", 1));
	before = shim.wal_syncs;
	sx_commit(sx_put("b", 2));
	cr_assert_eq(shim.wal_syncs, before, "a commit is not to sync");
	cr_assert_eq(OPS->sync(sx.store), 0);
	cr_assert_eq(shim.wal_syncs, before + 1);
}

Test(store_sync, checkpoint_syncs_the_log_and_the_file)
{
	unsigned int wal, db;

	sx_commit(sx_put("a", 1));
	wal = shim.wal_syncs;
	db = shim.main_syncs;
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_RESTART), 0);
	cr_assert_gt(shim.wal_syncs, wal);
	cr_assert_gt(shim.main_syncs, db);
	cr_assert_eq(OPS->sync(sx.store), 0);
}

/* A WAL that starts over under a checkpoint may lose a commit ("The WAL-Reset Bug"). */
Test(store_sync, nobody_can_write_while_a_checkpoint_copies)
{
	static const enum cairn_checkpoint how[] = {
		CAIRN_CHECKPOINT_PASSIVE,
		CAIRN_CHECKPOINT_RESTART,
		CAIRN_CHECKPOINT_ALL,
	};
	sqlite3 *rival = sx_connect();

	for (unsigned int i = 0; i < ARRAY_SIZE(how); i++) {
		sx_commit(sx_put((char[]){ (char)('a' + i), 0 }, i + 1));
		shim.rival = rival;
		shim.tries = 0;
		cr_assert_eq(OPS->checkpoint(sx.store, how[i]), 0);
		shim.rival = NULL;
		cr_assert_gt(shim.tries, 0);
		cr_assert_eq(shim.wins, 0);
		sx_sql(rival, "BEGIN IMMEDIATE; ROLLBACK");
	}
	sqlite3_close(rival);
}

/* The kernel forgets what it could not write; only writing it again helps. */
Test(store_sync, sync_after_a_failed_one_writes_everything_anew)
{
	unsigned int db;

	sx_commit(sx_put("a", 1));
	shim.fail = true;
	cr_assert_eq(OPS->sync(sx.store), -EIO);
	cr_assert(sx_log_has("syncing"));
	cr_assert_eq(OPS->sync(sx.store), -EIO);
	shim.fail = false;
	db = shim.main_syncs;
	cr_assert_eq(OPS->sync(sx.store), 0);
	cr_assert_gt(shim.main_syncs, db);
	cr_assert_eq(OPS->wal_size(sx.store), 0);
	db = shim.main_syncs;
	sx_commit(sx_put("b", 2));
	cr_assert_eq(OPS->sync(sx.store), 0);
	cr_assert_eq(shim.main_syncs, db);
}
