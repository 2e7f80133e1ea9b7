/* Another process at work on the database of a mounted workspace, by the sqlite3 library: what it
 * changes shows in the mount, what both change at once is lost on neither side. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "other.h"

enum {
	HOLD_S = 2,
	ROWS = 200,
	FILES = 200,
	BIG = 300000,
};

/* The other process's connection. */
static sqlite3 *other;

static void setup_unmounted(void)
{
	fx_need_cairnfs();
	fx_prepare();
}

static void setup(void)
{
	setup_unmounted();
	fx_mount(NULL);
}

TestSuite(foreign, .init = setup, .fini = fx_teardown, .timeout = 60);
TestSuite(conflict, .init = setup, .fini = fx_teardown, .timeout = 60);
TestSuite(reader, .init = setup_unmounted, .fini = fx_teardown, .timeout = 60);

static sqlite3 *open_db(void)
{
	sqlite3 *db = NULL;

	if (sqlite3_open_v2(fx.db, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		return NULL;
	sqlite3_busy_timeout(db, 10000);
	return db;
}

/* Runs a statement written like for sqlite3_mprintf(); its first value, 0 if there is none. */
static sqlite3_int64 sql(const char *format, ...)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3_int64 value = 0;
	va_list args;
	char *text;
	int r;

	if (!other)
		other = open_db();
	cr_assert(other, "%s", fx.db);
	va_start(args, format);
	text = sqlite3_vmprintf(format, args);
	va_end(args);
	r = sqlite3_prepare_v2(other, text, -1, &stmt, NULL);
	cr_assert_eq(r, SQLITE_OK, "%s: %s", text, sqlite3_errmsg(other));
	r = sqlite3_step(stmt);
	cr_assert(r == SQLITE_ROW || r == SQLITE_DONE, "%s: %s", text, sqlite3_errmsg(other));
	if (r == SQLITE_ROW)
		value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_free(text);
	return value;
}

static void close_other(void)
{
	cr_assert_eq(sqlite3_close(other), SQLITE_OK);
	other = NULL;
}

/* Unmounts and has the workspace checked. */
static void assert_sound_unmounted(void)
{
	close_other();
	fx_umount();
	assert_sound();
}

static bool is_listed(const char *dir, const char *name)
{
	struct listing listing;
	bool listed;

	must(list_dir(dir, &listing));
	listed = times_listed(&listing, name) == 1;
	free_listing(&listing);
	return listed;
}

/* A file that is on disk and in every cache. */
static void make_cached(const char *name, const char *text)
{
	must(put_text(name, text));
	must(sync_file(name));
	must(sync_file("."));
	cr_assert(holds_text(name, text));
	cr_assert(is_listed(".", name));
	must(read_through(name));
}

/* What the other process does to files, within a transaction. Names are of the root. */

static sqlite3_int64 other_inode(mode_t mode, int nlink, size_t size)
{
	sql("INSERT INTO fs_inode (mode, nlink, uid, gid, size, atime, mtime, ctime) "
	    "VALUES (%d, %d, %d, %d, %d, 1000, 1000, 1000)",
	    (int)mode, nlink, (int)geteuid(), (int)getegid(), (int)size);
	return sqlite3_last_insert_rowid(other);
}

static sqlite3_int64 other_content(const char *text)
{
	sqlite3_int64 ino = other_inode(S_IFREG | 0644, 1, strlen(text));

	sql("INSERT INTO fs_data VALUES (%lld, 0, CAST(%Q AS BLOB))", ino, text);
	return ino;
}

static sqlite3_int64 other_file(const char *name, const char *text)
{
	sqlite3_int64 ino = other_content(text);

	sql("INSERT INTO fs_dentry (name, parent_ino, ino) VALUES (%Q, 1, %lld)", name, ino);
	return ino;
}

static void other_directory(ino_t parent, const char *name)
{
	sqlite3_int64 ino = other_inode(S_IFDIR | 0755, 2, 0);

	sql("INSERT INTO fs_dentry (name, parent_ino, ino) VALUES (%Q, %lld, %lld)", name,
	    (sqlite3_int64)parent, ino);
	sql("UPDATE fs_inode SET nlink = nlink + 1, mtime = 1000, ctime = 1000 WHERE ino = %lld",
	    (sqlite3_int64)parent);
}

static void other_write(ino_t ino, const char *text)
{
	sql("DELETE FROM fs_data WHERE ino = %lld", (sqlite3_int64)ino);
	sql("INSERT INTO fs_data VALUES (%lld, 0, CAST(%Q AS BLOB))", (sqlite3_int64)ino, text);
	sql("UPDATE fs_inode SET size = %d, mtime = 1000, ctime = 1000 WHERE ino = %lld",
	    (int)strlen(text), (sqlite3_int64)ino);
}

static void other_chmod(ino_t ino, mode_t bits)
{
	sql("UPDATE fs_inode SET mode = (mode & 61440) | %d, ctime = 1000 WHERE ino = %lld",
	    (int)bits, (sqlite3_int64)ino);
}

static void other_delete_inode(ino_t ino)
{
	sql("DELETE FROM fs_data WHERE ino = %lld", (sqlite3_int64)ino);
	sql("DELETE FROM fs_inode WHERE ino = %lld", (sqlite3_int64)ino);
}

static void other_remove(ino_t ino)
{
	sql("DELETE FROM fs_dentry WHERE ino = %lld", (sqlite3_int64)ino);
	other_delete_inode(ino);
}

/* What it changes shows. */

Test(foreign, a_file_it_makes_shows)
{
	must(put_text("here", "x"));
	must(sync_file("here"));
	cr_assert(!exists("f"));
	cr_assert(!is_listed(".", "f"));
	sql("BEGIN IMMEDIATE");
	other_file("f", "made elsewhere");
	sql("COMMIT");
	eventually(exists("f"));
	cr_assert_eq(size_of("f"), 14);
	cr_assert_eq(mode_of("f"), 0644);
	cr_assert(holds_text("f", "made elsewhere"));
	cr_assert(is_listed(".", "f"));
	cr_assert_eq(count_entries("."), 2);
	must(put_text("f", "changed here"));
	fx_remount();
	cr_assert(holds_text("f", "changed here"));
	assert_sound_unmounted();
}

Test(foreign, a_directory_it_makes_shows)
{
	cr_assert(!exists("d"));
	cr_assert_eq(nlink_of("."), 2);
	sql("BEGIN IMMEDIATE");
	other_directory(1, "d");
	sql("COMMIT");
	eventually(exists("d"));
	cr_assert(S_ISDIR(stat_of("d").st_mode));
	eventually(nlink_of(".") == 3);
	must(put_text("d/f", "inside"));
	fx_remount();
	cr_assert(holds_text("d/f", "inside"));
	assert_sound_unmounted();
}

Test(foreign, a_mode_it_changes_shows)
{
	make_cached("f", "text");
	must(chmod("f", 0644));
	must(sync_file("f"));
	cr_assert_eq(mode_of("f"), 0644);
	other_chmod(ino_of("f"), 0604);
	eventually(mode_of("f") == 0604);
	cr_assert(holds_text("f", "text"));
	assert_sound_unmounted();
}

Test(foreign, data_it_writes_shows)
{
	int fd;

	make_cached("f", "written here");
	fd = must(open("f", O_RDONLY));
	cr_assert(range_holds(fd, 0, "written here", 12));
	sql("BEGIN IMMEDIATE");
	other_write(ino_of("f"), "written by somebody else");
	sql("COMMIT");
	eventually(size_of("f") == 24);
	eventually(holds_text("f", "written by somebody else"));
	eventually(range_holds(fd, 0, "written by somebody else", 24));
	cr_assert_eq(fstat_of(fd).st_size, 24);
	must(close(fd));
	sql("BEGIN IMMEDIATE");
	other_write(ino_of("f"), "short");
	sql("COMMIT");
	eventually(holds_text("f", "short"));
	assert_sound_unmounted();
}

Test(foreign, a_name_it_changes_shows)
{
	ino_t ino;

	make_cached("old", "text");
	cr_assert(!exists("new"));
	ino = ino_of("old");
	sql("UPDATE fs_dentry SET name = 'new' WHERE parent_ino = 1 AND name = 'old'");
	eventually(!exists("old"));
	eventually(exists("new"));
	cr_assert_eq(ino_of("new"), ino);
	cr_assert(holds_text("new", "text"));
	cr_assert(is_listed(".", "new"));
	cr_assert(!is_listed(".", "old"));
	assert_sound_unmounted();
}

Test(foreign, a_file_it_removes_is_gone)
{
	make_cached("f", "text");
	make_cached("stays", "other text");
	sql("BEGIN IMMEDIATE");
	other_remove(ino_of("f"));
	sql("COMMIT");
	eventually(!exists("f"));
	cr_assert(!is_listed(".", "f"));
	fails_with(ENOENT, open("f", O_RDONLY));
	cr_assert(holds_text("stays", "other text"));
	must(put_text("f", "again"));
	fx_remount();
	cr_assert(holds_text("f", "again"));
	assert_sound_unmounted();
}

Test(foreign, a_directory_listed_before_is_listed_anew)
{
	ino_t gone;

	make_cached("a", "a");
	make_cached("b", "b");
	gone = ino_of("a");
	cr_assert_eq(count_entries("."), 2);
	sql("BEGIN IMMEDIATE");
	other_remove(gone);
	other_file("c", "c");
	other_file("d", "d");
	sql("COMMIT");
	eventually(count_entries(".") == 3);
	cr_assert(!is_listed(".", "a"));
	cr_assert(is_listed(".", "b"));
	cr_assert(is_listed(".", "c"));
	cr_assert(is_listed(".", "d"));
	assert_sound_unmounted();
}

/* Side by side. */

/* In a child: rows one by one, each a transaction. */
static int add_rows(void)
{
	sqlite3 *db = open_db();
	int r = db ? SQLITE_OK : SQLITE_ERROR;

	for (int i = 0; i < ROWS && r == SQLITE_OK; i++) {
		char *text =
			sqlite3_mprintf("BEGIN IMMEDIATE;"
					"INSERT INTO kv_store (key, value) VALUES ('key-%d', '%d');"
					"INSERT INTO tool_calls (name, status, started_at) "
					"VALUES ('tool', 'success', %d);"
					"COMMIT",
					i, i, i);

		r = sqlite3_exec(db, text, NULL, NULL, NULL);
		sqlite3_free(text);
		if (i % 4 == 0)
			tick();
	}
	return sqlite3_close(db) == SQLITE_OK ? r : SQLITE_ERROR;
}

Test(foreign, rows_of_other_tables_and_files_are_written_side_by_side)
{
	pid_t child = fx_fork();
	char name[32], text[64];

	if (child == 0)
		_exit(add_rows() == SQLITE_OK ? 0 : 1);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		snprintf(text, sizeof(text), "content of %d", i);
		must(put_text(name, text));
		if (i % 8 == 0)
			must(sync_file(name));
	}
	cr_assert_eq(fx_wait(child), 0);
	fx_remount();
	cr_assert_eq(count_entries("."), FILES);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		snprintf(text, sizeof(text), "content of %d", i);
		cr_assert(holds_text(name, text), "%s", name);
	}
	cr_assert_eq(sql("SELECT count(*) FROM kv_store WHERE value = substr(key, 5)"), ROWS);
	cr_assert_eq(sql("SELECT count(*) FROM tool_calls"), ROWS);
	assert_sound_unmounted();
}

Test(foreign, nobody_but_fsync_waits_for_its_lock)
{
	unsigned char *data = new_pattern(BIG, 1);
	char name[32];
	pid_t child;

	must(put_bytes("old", data, BIG));
	must(sync_file("old"));
	sql("BEGIN IMMEDIATE");
	sql("INSERT INTO kv_store (key, value) VALUES ('held', '1')");
	must(put_bytes("new", data, BIG));
	must(mkdir("d", 0755));
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "d/f%d", i);
		must(put_text(name, name));
	}
	must(rename("d/f0", "d/g"));
	must(unlink("d/f1"));
	cr_assert(holds_bytes("old", data, BIG));
	cr_assert(holds_bytes("new", data, BIG));
	cr_assert_eq(count_entries("d"), FILES - 1);
	child = fx_fork();
	if (child == 0)
		_exit(sync_file("new") == 0 ? 0 : 1);
	sleep(HOLD_S);
	cr_assert_eq(waitpid(child, NULL, WNOHANG), 0, "fsync returned without a commit");
	cr_assert(holds_bytes("old", data, BIG));
	must(put_text("late", "x"));
	sql("COMMIT");
	cr_assert_eq(fx_wait(child), 0);
	fx_remount();
	cr_assert(holds_bytes("new", data, BIG));
	cr_assert(holds_text("late", "x"));
	cr_assert(holds_text("d/g", "d/f0"));
	cr_assert_eq(count_entries("d"), FILES - 1);
	assert_sound_unmounted();
	free(data);
}

Test(foreign, many_that_wait_for_its_lock_keep_nobody_from_reading)
{
	enum { WAITING = 40 };
	pid_t children[WAITING];

	must(put_text("old", "x"));
	must(sync_file("old"));
	sql("BEGIN IMMEDIATE");
	must(put_text("new", "y"));
	for (int i = 0; i < WAITING; i++) {
		children[i] = fx_fork();
		if (children[i] == 0)
			_exit(sync_file("new") == 0 ? 0 : 1);
	}
	for (int i = 0; i < 10; i++) {
		tick();
		cr_assert_eq(access("nothing", F_OK), -1);
		must(put_text("late", "z"));
		cr_assert(holds_text("late", "z"));
		must(unlink("late"));
	}
	for (int i = 0; i < WAITING; i++)
		cr_assert_eq(waitpid(children[i], NULL, WNOHANG), 0, "fsync without a commit");
	sql("COMMIT");
	for (int i = 0; i < WAITING; i++)
		cr_assert_eq(fx_wait(children[i]), 0);
	assert_sound_unmounted();
}

/* Conflicts: the other process has its change in an open transaction while the mount makes its
 * own, and commits first. */

static void conflict_name(char *buf, size_t size, const char *name, sqlite3_int64 ino)
{
	snprintf(buf, size, "%s.conflict-%lld", name, ino);
}

Test(conflict, a_name_made_by_both_is_kept_by_the_mount)
{
	char aside[64];

	make_cached("before", "x");
	sql("BEGIN IMMEDIATE");
	conflict_name(aside, sizeof(aside), "f", other_file("f", "theirs"));
	must(put_text("f", "mine"));
	sql("COMMIT");
	must(sync_file("f"));
	cr_assert(holds_text("f", "mine"));
	eventually(holds_text(aside, "theirs"));
	fx_remount();
	cr_assert(holds_text("f", "mine"));
	cr_assert(holds_text(aside, "theirs"), "%s", aside);
	cr_assert_eq(count_entries("."), 3);
	assert_sound_unmounted();
}

Test(conflict, a_name_renamed_to_in_the_mount_is_kept_too)
{
	char aside[64];

	make_cached("g", "mine");
	sql("BEGIN IMMEDIATE");
	conflict_name(aside, sizeof(aside), "f", other_file("f", "theirs"));
	must(rename("g", "f"));
	sql("COMMIT");
	must(sync_file("f"));
	fx_remount();
	cr_assert(holds_text("f", "mine"));
	cr_assert(holds_text(aside, "theirs"), "%s", aside);
	cr_assert_eq(count_entries("."), 2);
	assert_sound_unmounted();
}

Test(conflict, a_long_name_made_by_both_leaves_room_for_the_suffix)
{
	char name[256], aside[300];
	sqlite3_int64 ino;

	memset(name, 'n', 255);
	name[255] = '\0';
	make_cached("before", "x");
	sql("BEGIN IMMEDIATE");
	ino = other_file(name, "theirs");
	must(put_text(name, "mine"));
	sql("COMMIT");
	must(sync_file(name));
	fx_remount();
	cr_assert(holds_text(name, "mine"));
	conflict_name(aside, sizeof(aside), "", ino);
	name[255 - strlen(aside)] = '\0';
	conflict_name(aside, sizeof(aside), name, ino);
	cr_assert(holds_text(aside, "theirs"), "%s", aside);
	assert_sound_unmounted();
}

Test(conflict, attributes_changed_by_both_are_those_of_the_mount)
{
	make_cached("f", "text");
	sql("BEGIN IMMEDIATE");
	other_chmod(ino_of("f"), 0600);
	must(chmod("f", 0640));
	sql("COMMIT");
	must(sync_file("f"));
	cr_assert_eq(mode_of("f"), 0640);
	fx_remount();
	cr_assert_eq(mode_of("f"), 0640);
	cr_assert(holds_text("f", "text"));
	assert_sound_unmounted();
}

Test(conflict, data_changed_by_both_is_that_of_the_mount)
{
	make_cached("f", "text");
	sql("BEGIN IMMEDIATE");
	other_write(ino_of("f"), "theirs, and longer than the other");
	must(put_text("f", "mine, short"));
	sql("COMMIT");
	must(sync_file("f"));
	cr_assert(holds_text("f", "mine, short"));
	fx_remount();
	cr_assert(holds_text("f", "mine, short"));
	assert_sound_unmounted();
}

Test(conflict, subdirectories_made_by_both_are_counted)
{
	ino_t dir;

	must(mkdir("d", 0755));
	must(mkdir("d/before", 0755));
	must(sync_file("d"));
	dir = ino_of("d");
	cr_assert_eq(nlink_of("d"), 3);
	sql("BEGIN IMMEDIATE");
	other_directory(dir, "theirs");
	must(mkdir("d/mine", 0755));
	must(mkdir("d/mine-too", 0755));
	sql("COMMIT");
	must(sync_file("d"));
	eventually(exists("d/theirs"));
	eventually(nlink_of("d") == 6);
	assert_sound_unmounted();
	cr_assert_eq(sql("SELECT nlink FROM fs_inode WHERE ino = %lld", (sqlite3_int64)dir), 6);
	cr_assert_eq(sql("SELECT 2 + count(*) FROM fs_dentry d JOIN fs_inode c ON c.ino = d.ino "
			 "WHERE d.parent_ino = %lld AND c.mode & 61440 = 16384",
			 (sqlite3_int64)dir),
		     6);
	close_other();
}

Test(conflict, a_name_removed_here_and_replaced_there_stays)
{
	ino_t old;

	make_cached("f", "old");
	old = ino_of("f");
	sql("BEGIN IMMEDIATE");
	sql("UPDATE fs_dentry SET ino = %lld WHERE parent_ino = 1 AND name = 'f'",
	    other_content("new"));
	other_delete_inode(old);
	must(unlink("f"));
	cr_assert(!exists("f"));
	sql("COMMIT");
	must(sync_file("."));
	eventually(exists("f"));
	cr_assert(holds_text("f", "new"));
	fx_remount();
	cr_assert(holds_text("f", "new"));
	cr_assert_eq(count_entries("."), 1);
	assert_sound_unmounted();
}

Test(conflict, a_file_deleted_while_it_is_written_is_recovered)
{
	unsigned char *data = new_pattern(BIG, 2);
	char recovered[64];
	ino_t ino;
	int fd;

	make_cached("f", "old");
	ino = ino_of("f");
	fd = must(open("f", O_RDWR));
	sql("BEGIN IMMEDIATE");
	other_remove(ino);
	must(write_at(fd, 0, data, BIG));
	sql("COMMIT");
	must(fsync(fd));
	cr_assert(range_holds(fd, 0, data, BIG));
	must(close(fd));
	fx_remount();
	snprintf(recovered, sizeof(recovered), "recovered-%lld", (long long)ino);
	cr_assert(exists(recovered), "no %s", recovered);
	cr_assert(holds_bytes(recovered, data, BIG));
	cr_assert_eq(nlink_of(recovered), 1);
	cr_assert(!exists("f"));
	assert_sound_unmounted();
	free(data);
}

/* Reading moves the atime here, and is no change that others would have to stand back for. */

static void read_moves_atime(const char *name)
{
	struct timespec before = stat_of(name).st_atim;

	tick();
	must(read_through(name));
	cr_assert(!same_time(stat_of(name).st_atim, before));
}

Test(reader, what_was_only_read_is_as_the_other_left_it)
{
	fx_mount("strictatime,commit_interval_ms=60000");
	make_cached("f", "text");
	sql("BEGIN IMMEDIATE");
	other_write(ino_of("f"), "theirs, and longer");
	read_moves_atime("f");
	sql("COMMIT");
	eventually(holds_text("f", "theirs, and longer"));
	cr_assert_gt(stat_of("f").st_atim.tv_sec, stat_of("f").st_mtim.tv_sec);
	sql("BEGIN IMMEDIATE");
	other_write(ino_of("f"), "theirs once more");
	read_moves_atime("f");
	sql("COMMIT");
	must(sync_file("f"));
	eventually(holds_text("f", "theirs once more"));
	fx_remount();
	cr_assert(holds_text("f", "theirs once more"));
	assert_sound_unmounted();
}

Test(reader, what_was_only_read_is_gone_when_the_other_deletes_it)
{
	for (int commit = 0; commit < 2; commit++) {
		if (commit)
			fx_umount();
		fx_mount("strictatime,commit_interval_ms=60000");
		make_cached("f", "text");
		sql("BEGIN IMMEDIATE");
		other_remove(ino_of("f"));
		read_moves_atime("f");
		sql("COMMIT");
		/* Either is the first to meet it: the look at others, or a commit. */
		if (commit)
			must(sync_file("."));
		eventually(!exists("f"));
		must(sync_file("."));
		cr_assert_eq(count_entries("."), 0);
		fx_remount();
		cr_assert_eq(count_entries("."), 0);
	}
	assert_sound_unmounted();
}

/* Mounts that only read. */

Test(reader, a_read_only_mount_sees_what_others_change)
{
	fx_mount(NULL);
	make_cached("f", "text");
	fx_umount();
	fx_mount("ro");
	cr_assert(holds_text("f", "text"));
	cr_assert(!exists("new"));
	cr_assert_eq(count_entries("."), 1);
	sql("BEGIN IMMEDIATE");
	other_file("new", "theirs");
	other_write(ino_of("f"), "another text");
	sql("COMMIT");
	eventually(holds_text("new", "theirs"));
	eventually(holds_text("f", "another text"));
	cr_assert_eq(count_entries("."), 2);
	sql("BEGIN IMMEDIATE");
	other_remove(ino_of("f"));
	sql("COMMIT");
	eventually(!exists("f"));
	assert_sound_unmounted();
}

struct bytes {
	unsigned char *data;
	size_t len;
};

/* A whole file, nothing if there is none. No connection of ours may be open: closing a descriptor
 * would drop its locks. */
static struct bytes bytes_of(const char *path)
{
	struct bytes bytes = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return bytes;
	bytes.len = (size_t)fstat_of(fd).st_size;
	bytes.data = malloc(bytes.len + 1);
	cr_assert(bytes.data);
	cr_assert_eq(read_at(fd, 0, bytes.data, bytes.len), (ssize_t)bytes.len);
	must(close(fd));
	return bytes;
}

static void assert_same_bytes(struct bytes *before, const char *path)
{
	struct bytes after = bytes_of(path);

	cr_assert_eq(after.len, before->len, "%s: %zu bytes, before %zu", path, after.len,
		     before->len);
	cr_assert(after.len == 0 || memcmp(after.data, before->data, after.len) == 0,
		  "%s has changed", path);
	free(after.data);
	free(before->data);
}

static void look_at_everything(const unsigned char *data)
{
	struct stat st;

	for (int round = 0; round < 3; round++) {
		cr_assert(holds_bytes("d/big", data, BIG));
		cr_assert(holds_text("d/link", "small text"));
		cr_assert(holds_text("d/small", "small text"));
		cr_assert_eq(count_entries("."), 1);
		cr_assert_eq(count_entries("d"), 3);
		must(stat("d/link", &st));
		cr_assert(!exists("d/none"));
		must(access("d/small", R_OK));
		tick();
	}
}

Test(reader, with_noatime_reading_changes_no_byte)
{
	unsigned char *data = new_pattern(BIG, 3);
	struct bytes db, wal;
	char wal_path[PATH_MAX];

	fx_mount(NULL);
	must(mkdir("d", 0755));
	must(put_bytes("d/big", data, BIG));
	must(put_text("d/small", "small text"));
	must(symlink("small", "d/link"));
	fx_umount();
	snprintf(wal_path, sizeof(wal_path), "%s-wal", fx.db);
	fx_mount("noatime,commit_interval_ms=50");
	db = bytes_of(fx.db);
	wal = bytes_of(wal_path);
	look_at_everything(data);
	sleep(1); /* whatever was put off is written by now */
	assert_same_bytes(&db, fx.db);
	assert_same_bytes(&wal, wal_path);
	fx_umount();
	free(data);
}
