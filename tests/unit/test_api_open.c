/* libcairnfs: opening and closing, options, durability, what is seen of other handles. */
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault_system.h"
#include "fixture.h"

TestSuite(api_open, .init = ax_setup, .fini = ax_teardown);

static const char *beside(const char *suffix)
{
	static char path[600];

	snprintf(path, sizeof(path), "%s%s", ax.db, suffix);
	return path;
}

Test(api_open, makes_a_missing_workspace_only_where_asked)
{
	struct cairnfs *ws;

	ax.options.create = false;
	ax_fails(cairnfs_open(ax.db, &ax.options, &ws), ENOENT);
	cr_assert_not_null(strstr(cairnfs_last_error(), ax.db));
	ax.options.create = true;
	ax_open();
	ax_ok(cairnfs_write_file(ax.ws, "/a", "1", 1));
	ax_close();
	ax_open();
	cr_assert(ax_holds(ax.ws, "/a", "1"));
}

Test(api_open, takes_defaults_without_options)
{
	ax_open();
	ax_close();
	ax_ok(cairnfs_open(ax.db, NULL, &ax.ws));
	ax_ok(cairnfs_write_file(ax.ws, "/a", "1", 1));
}

Test(api_open, refuses_options_it_does_not_know)
{
	struct {
		struct cairnfs_options known;
		uint64_t more; /* as wide as its alignment: no padding */
	} newer = { CAIRNFS_OPTIONS_INIT, 1 };
	struct cairnfs *ws;

	newer.known.create = true;
	newer.known.size = sizeof(newer);
	ax_fails(cairnfs_open(ax.db, &newer.known, &ws), E2BIG);
	newer.more = 0;
	ax_ok(cairnfs_open(ax.db, &newer.known, &ws));
	ax_ok(cairnfs_close(ws));
	newer.known.size = 8;
	ax_fails(cairnfs_open(ax.db, &newer.known, &ws), EINVAL);
	ax.options.durability = 7;
	ax_fails(cairnfs_open(ax.db, &ax.options, &ws), EINVAL);
	ax.options.durability = CAIRNFS_DURABILITY_COMMIT;
	ax.options.concurrency = 7;
	ax_fails(cairnfs_open(ax.db, &ax.options, &ws), EINVAL);
	ax_fails(cairnfs_open(NULL, NULL, &ws), EINVAL);
	ax_fails(cairnfs_open(ax.db, NULL, NULL), EINVAL);
}

Test(api_open, refuses_what_is_no_workspace)
{
	struct cairnfs *ws;
	FILE *f = fopen(ax.db, "w");

	fputs("no database at all, but long enough to have been one", f);
	fclose(f);
	ax_fails(cairnfs_open(ax.db, &ax.options, &ws), EINVAL);
	ax_fails(cairnfs_open(ax.dir, &ax.options, &ws), EINVAL);
	ax_fails(cairnfs_open("/no/such/directory/work.db", &ax.options, &ws), ENOENT);
	ax.options.log_file = "/no/such/directory/log";
	ax_fails(cairnfs_open(ax.db, &ax.options, &ws), ENOENT);
}

Test(api_open, makes_nothing_where_no_memory_can_be_shared)
{
	struct cairnfs *ws;

	fault_system_be(FAULT_PLACE_NO_MAPPING);
	ax_fails(cairnfs_open(ax.db, &ax.options, &ws), EIO);
	cr_assert_not_null(strstr(cairnfs_last_error(), "local disk"), "%s", cairnfs_last_error());
	fault_system_be(FAULT_PLACE_SOUND);
	cr_assert_eq(rmdir(ax.dir), 0, "it is empty");
}

Test(api_open, close_takes_null)
{
	ax_ok(cairnfs_close(NULL));
}

Test(api_open, a_null_workspace_is_an_error_and_no_crash)
{
	char byte;

	ax_fails(cairnfs_read(NULL, "/", &byte, 1, 0), EINVAL);
	ax_fails(cairnfs_write_file(NULL, "/a", "x", 1), EINVAL);
	ax_fails(cairnfs_kv_set(NULL, "a", "b"), EINVAL);
	ax_fails(cairnfs_sync(NULL), EINVAL);
}

Test(api_open, has_a_version)
{
	cr_assert_eq(strspn(cairnfs_version(), "0123456789."), strlen(cairnfs_version()));
}

Test(api_open, closing_leaves_one_file)
{
	ax_open();
	ax_ok(cairnfs_write_file(ax.ws, "/a", "1", 1));
	cr_assert_eq(access(beside("-api"), F_OK), 0);
	ax_close();
	cr_assert_neq(access(beside("-api"), F_OK), 0);
	cr_assert_neq(access(beside("-wal"), F_OK), 0);
	cr_assert_neq(access(beside("-shm"), F_OK), 0);
}

Test(api_open, the_lock_file_stays_for_who_still_has_it)
{
	struct cairnfs *other;

	ax_open();
	other = ax_open_other();
	ax_close();
	cr_assert_eq(access(beside("-api"), F_OK), 0);
	ax_ok(cairnfs_close(other));
	cr_assert_neq(access(beside("-api"), F_OK), 0);
}

Test(api_open, whoever_may_write_the_workspace_may_take_turns)
{
	struct stat st;

	umask(077);
	ax_open();
	cr_assert_eq(chmod(ax.db, 0664), 0);
	ax_close();
	ax_open();
	cr_assert_eq(stat(beside("-api"), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0664);
}

Test(api_open, read_only_reads_and_changes_nothing)
{
	char *value;

	ax_open();
	ax_ok(cairnfs_write_file(ax.ws, "/a", "1", 1));
	ax_ok(cairnfs_kv_set(ax.ws, "k", "v"));
	ax_close();
	ax.options.read_only = true;
	ax_open();
	cr_assert(ax_holds(ax.ws, "/a", "1"));
	cr_assert_neq(access(beside("-api"), F_OK), 0);
	ax_ok(cairnfs_kv_get(ax.ws, "k", &value, NULL));
	free(value);
	ax_fails(cairnfs_write_file(ax.ws, "/a", "2", 1), EROFS);
	ax_fails(cairnfs_mkdir(ax.ws, "/d", 0755, 0), EROFS);
	ax_fails(cairnfs_remove(ax.ws, "/a", 0), EROFS);
	ax_fails(cairnfs_kv_set(ax.ws, "k", "w"), EROFS);
	ax_fails(cairnfs_kv_increment(ax.ws, "n", 1, NULL), EROFS);
	ax_ok(cairnfs_sync(ax.ws));
	ax_ok(cairnfs_fsync(ax.ws, "/a"));
}

Test(api_open, a_read_only_handle_sees_what_others_commit)
{
	struct cairnfs *writer;

	ax_open();
	writer = ax.ws;
	ax_ok(cairnfs_write_file(writer, "/a", "1", 1));
	ax.options.read_only = true;
	ax.ws = ax_open_other();
	cr_assert(ax_holds(ax.ws, "/a", "1"));
	cr_assert_eq(cairnfs_exists(ax.ws, "/b"), 0);
	ax_ok(cairnfs_write_file(writer, "/a", "22", 2));
	ax_ok(cairnfs_write_file(writer, "/b", "3", 1));
	cr_assert(ax_holds(ax.ws, "/a", "22"));
	cr_assert_eq(cairnfs_exists(ax.ws, "/b"), 1);
	ax_ok(cairnfs_close(writer));
}

Test(api_open, each_handle_sees_the_changes_of_the_other_at_once)
{
	struct cairnfs *other;
	char text[16];

	ax_open();
	other = ax_open_other();
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "%d", i);
		ax_ok(cairnfs_write_file(i % 2 ? other : ax.ws, "/a", text, strlen(text)));
		cr_assert(ax_holds(i % 2 ? ax.ws : other, "/a", text), "round %d", i);
		ax_ok(cairnfs_append(i % 2 ? ax.ws : other, "/a", "+", 1));
		strcat(text, "+");
		cr_assert(ax_holds(i % 2 ? other : ax.ws, "/a", text), "round %d", i);
	}
	ax_ok(cairnfs_remove(other, "/a", 0));
	cr_assert_eq(cairnfs_exists(ax.ws, "/a"), 0);
	ax_ok(cairnfs_close(other));
}

Test(api_open, sees_what_plain_sqlite_changes)
{
	ax_open();
	ax_ok(cairnfs_write_file(ax.ws, "/a", "old", 3));
	cr_assert(ax_holds(ax.ws, "/a", "old"));
	ax_sql("UPDATE fs_data SET data = CAST('new' AS BLOB)");
	cr_assert(ax_holds(ax.ws, "/a", "new"));
	ax_sql("UPDATE fs_dentry SET name = 'b'");
	cr_assert_eq(cairnfs_exists(ax.ws, "/a"), 0);
	cr_assert(ax_holds(ax.ws, "/b", "new"));
}

static int64_t stored_files(void)
{
	return ax_number("SELECT COUNT(*) FROM fs_dentry");
}

Test(api_open, commit_and_full_have_committed_at_return)
{
	ax.options.durability = CAIRNFS_DURABILITY_COMMIT;
	ax_open();
	ax_ok(cairnfs_write_file(ax.ws, "/a", "1", 1));
	cr_assert_eq(stored_files(), 1);
	ax_close();
	ax.options.durability = CAIRNFS_DURABILITY_FULL;
	ax_open();
	ax_ok(cairnfs_write_file(ax.ws, "/b", "1", 1));
	ax_ok(cairnfs_kv_set(ax.ws, "k", "v"));
	cr_assert_eq(stored_files(), 2);
}

Test(api_open, async_commits_at_sync_and_at_close)
{
	ax.options.durability = CAIRNFS_DURABILITY_ASYNC;
	ax_open();
	ax_ok(cairnfs_write_file(ax.ws, "/a", "1", 1));
	ax_ok(cairnfs_sync(ax.ws));
	cr_assert_eq(stored_files(), 1);
	ax_ok(cairnfs_write_file(ax.ws, "/b", "1", 1));
	ax_ok(cairnfs_fsync(ax.ws, "/b"));
	cr_assert_eq(stored_files(), 2);
	ax_ok(cairnfs_write_file(ax.ws, "/c", "1", 1));
	ax_close();
	cr_assert_eq(stored_files(), 3);
}

/* A change that is acknowledged survives the process. */
Test(api_open, a_killed_process_has_lost_nothing)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (cairnfs_open(ax.db, &ax.options, &ax.ws) < 0 ||
		    cairnfs_write_file(ax.ws, "/a", "kept", 4) < 0)
			_exit(1);
		_exit(0); /* without closing */
	}
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	ax_open();
	cr_assert(ax_holds(ax.ws, "/a", "kept"));
}

Test(api_open, reads_move_the_atime_only_where_asked)
{
	struct cairnfs_stat before, after;

	ax_open();
	ax_ok(cairnfs_write_file(ax.ws, "/a", "1", 1));
	ax_sql("UPDATE fs_inode SET atime = 1000");
	ax_ok(cairnfs_stat(ax.ws, "/a", &before));
	cr_assert_eq(before.atime.tv_sec, 1000);
	cr_assert(ax_holds(ax.ws, "/a", "1"));
	ax_ok(cairnfs_stat(ax.ws, "/a", &after));
	cr_assert_eq(after.atime.tv_sec, 1000);
	ax_close();
	ax.options.update_atime = true;
	ax_open();
	cr_assert(ax_holds(ax.ws, "/a", "1"));
	cr_assert_gt(ax_number("SELECT atime FROM fs_inode WHERE mode & 61440 = 32768"), 1000);
}

static void *hold_write_lock(void *arg)
{
	int *ready = arg;
	sqlite3 *db;

	sqlite3_open(ax.db, &db);
	sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (write(ready[1], "x", 1) == 1)
		usleep(1500000);
	sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	sqlite3_close(db);
	return NULL;
}

/* With a busy timeout of nothing, so that the retries have to do it. */
Test(api_open, a_locked_database_delays_writers_and_fails_nobody)
{
	pthread_t thread;
	struct cairnfs *other;
	int ready[2];
	char byte;

	ax.options.busy_timeout_ms = 0;
	ax_open();
	ax_ok(cairnfs_write_file(ax.ws, "/a", "1", 1));
	cr_assert_eq(pipe(ready), 0);
	cr_assert_eq(pthread_create(&thread, NULL, hold_write_lock, ready), 0);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	cr_assert(ax_holds(ax.ws, "/a", "1"));
	cr_assert_eq(cairnfs_exists(ax.ws, "/b"), 0);
	other = ax_open_other();
	cr_assert(ax_holds(other, "/a", "1"));
	ax_ok(cairnfs_close(other));
	ax_ok(cairnfs_kv_increment(ax.ws, "n", 1, NULL));
	ax_ok(cairnfs_append(ax.ws, "/a", "2", 1));
	cr_assert(ax_holds(ax.ws, "/a", "12"));
	pthread_join(thread, NULL);
}

struct reader {
	_Atomic bool stop;
	unsigned int bad;
};

static void *read_again_and_again(void *arg)
{
	struct reader *reader = arg;
	size_t size;
	void *buf;

	while (!reader->stop) {
		if (cairnfs_read_file(ax.ws, "/a", &buf, &size) < 0) {
			reader->bad++;
			continue;
		}
		for (size_t i = 1; i < size; i++)
			reader->bad += ((char *)buf)[i] != ((char *)buf)[0];
		reader->bad += size != 1000 && size != 300000;
		free(buf);
	}
	return NULL;
}

Test(api_open, nobody_sees_half_a_replaced_file)
{
	static char content[300000];
	struct reader reader = { 0 };
	pthread_t thread;

	ax_open();
	ax_ok(cairnfs_write_file(ax.ws, "/a", content, sizeof(content)));
	cr_assert_eq(pthread_create(&thread, NULL, read_again_and_again, &reader), 0);
	for (int i = 1; i < 100; i++) {
		memset(content, i, sizeof(content));
		ax_ok(cairnfs_write_file(ax.ws, "/a", content, i % 2 ? 1000 : sizeof(content)));
	}
	reader.stop = true;
	pthread_join(thread, NULL);
	cr_assert_eq(reader.bad, 0);
}
