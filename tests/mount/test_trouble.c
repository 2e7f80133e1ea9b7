/* When the workspace cannot be written: what callers see, and that nothing is lost that could be
 * kept. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "other.h"

enum {
	HOLD_S = 2,
	BLOCK = 65536,
	BALLAST = 40 * BLOCK, /* of the 64 blocks of the small file system */
	BLOCKS_MAX = 200,
};

static void setup(void)
{
	fx_need_cairnfs();
	fx_prepare();
}

static void setup_for_root(void)
{
	fx_need_root();
	setup();
}

TestSuite(away, .init = setup, .fini = fx_teardown, .timeout = 90);
TestSuite(full, .init = setup_for_root, .fini = fx_teardown, .timeout = 90);
TestSuite(locked, .init = setup, .fini = fx_teardown, .timeout = 60);
TestSuite(read_only, .init = setup_for_root, .fini = fx_teardown, .timeout = 90);

static unsigned char *workspace_bytes(size_t *ret_len)
{
	int fd = must(open(fx.db, O_RDONLY | O_CLOEXEC));
	unsigned char *bytes;

	*ret_len = (size_t)fstat_of(fd).st_size;
	bytes = malloc(*ret_len + 1);
	cr_assert(bytes);
	cr_assert_eq(read_at(fd, 0, bytes, *ret_len), (ssize_t)*ret_len);
	must(close(fd));
	return bytes;
}

/* The workspace file is renamed. */

static void hide_workspace(void)
{
	must(rename(fx.db, fx_tmp_path("hidden.db")));
}

static void return_workspace(void)
{
	must(rename(fx_tmp_path("hidden.db"), fx.db));
}

static const char *numbered(int i)
{
	static char name[32];

	snprintf(name, sizeof(name), "f%d", i);
	return name;
}

/* Makes files until that fails with EIO; how many it has made. */
static int make_files_until_eio(void)
{
	for (int i = 0; i < PATIENCE; i++) {
		if (put_text(numbered(i), numbered(i)) < 0) {
			cr_assert_eq(errno, EIO, "%s", strerror(errno));
			return i;
		}
		tick();
	}
	cr_assert_fail("files can be made for ever");
	return 0;
}

Test(away, changes_fail_until_the_workspace_is_back)
{
	unsigned char *data = new_pattern(5 * BLOCK, 1);
	int made;

	fx_mount("commit_interval_ms=100");
	must(put_bytes("old", data, 5 * BLOCK));
	must(sync_file("old"));
	must(put_text("just-before", "x"));
	hide_workspace();
	made = make_files_until_eio();
	fails_with(EIO, mkdir("d", 0755));
	fails_with(EIO, chmod("old", 0600));
	fails_with(EIO, sync_file("just-before"));
	cr_assert(holds_bytes("old", data, 5 * BLOCK));
	cr_assert(holds_text("just-before", "x"));
	return_workspace();
	eventually(put_text("after", "y") == 0);
	must(sync_file("after"));
	must(sync_file("."));
	fx_remount();
	cr_assert(holds_bytes("old", data, 5 * BLOCK));
	cr_assert(holds_text("just-before", "x"));
	cr_assert(holds_text("after", "y"));
	for (int i = 0; i < made; i++)
		cr_assert(holds_text(numbered(i), numbered(i)), "%s of %d", numbered(i), made);
	fx_umount();
	assert_sound();
	free(data);
}

/* Whether a line of the log has both texts. */
static bool log_says(const char *path, const char *word, const char *text)
{
	char line[4096];
	FILE *f = fopen(path, "re");
	bool found = false;

	cr_assert(f, "%s: %s", path, strerror(errno));
	while (!found && fgets(line, sizeof(line), f))
		found = strstr(line, word) && strstr(line, text);
	fclose(f);
	return found;
}

Test(away, an_unmount_meanwhile_fails_and_names_what_is_lost)
{
	const char *log = fx_tmp_path("log");
	char options[PATH_MAX];
	struct output o;

	snprintf(options, sizeof(options), "log=%s", log);
	fx_mount(options);
	must(mkdir("d", 0755));
	must(put_text("d/kept", "kept"));
	must(sync_file("d/kept"));
	must(sync_file("."));
	hide_workspace();
	must(put_text("d/gone", "never written"));
	must(chdir(fx.tmp));
	fx_cairnfs(&o, "umount", fx.mnt);
	cr_assert_neq(o.status, 0, "umount says that all is well");
	cr_assert_lt(o.status, 128, "umount died: status %d", o.status);
	cr_assert(!fx_is_mounted());
	cr_assert(log_says(log, "lost", "/d/gone"), "the log does not name /d/gone");
	cr_assert(!log_says(log, "lost", "/d/kept"), "the log names /d/kept");
	return_workspace();
	fx_mount(NULL);
	cr_assert(holds_text("d/kept", "kept"));
	fx_umount();
	assert_sound();
}

/* Another workspace takes its place, as by mv or by an editor that writes anew. */

static unsigned char *replace_workspace(size_t *ret_len)
{
	const char *stranger = fx_tmp_path("stranger.db");
	struct output o;

	fx_cairnfs(&o, "init", (char *)stranger);
	cr_assert_eq(o.status, 0, "%s", o.err);
	hide_workspace();
	must(rename(stranger, fx.db));
	return workspace_bytes(ret_len);
}

Test(away, another_file_in_its_place_is_not_written)
{
	unsigned char *data = new_pattern(5 * BLOCK, 1), *theirs;
	size_t len;
	int made;

	fx_mount("commit_interval_ms=100");
	must(put_bytes("old", data, 5 * BLOCK));
	must(sync_file("old"));
	must(put_text("just-before", "x"));
	theirs = replace_workspace(&len);
	made = make_files_until_eio();
	fails_with(EIO, mkdir("d", 0755));
	fails_with(EIO, sync_file("just-before"));
	cr_assert(holds_bytes("old", data, 5 * BLOCK));
	cr_assert(holds_text("just-before", "x"));
	cr_assert(holds_bytes(fx.db, theirs, len), "the other file was written");
	return_workspace();
	eventually(put_text("after", "y") == 0);
	must(sync_file("after"));
	fx_remount();
	cr_assert(holds_bytes("old", data, 5 * BLOCK));
	cr_assert(holds_text("just-before", "x"));
	cr_assert(holds_text("after", "y"));
	for (int i = 0; i < made; i++)
		cr_assert(holds_text(numbered(i), numbered(i)), "%s of %d", numbered(i), made);
	fx_umount();
	assert_sound();
	free(theirs);
	free(data);
}

Test(away, an_unmount_leaves_another_file_in_its_place_alone)
{
	unsigned char *theirs;
	struct output o;
	size_t len;

	fx_mount(NULL);
	must(put_text("kept", "kept"));
	must(sync_file("kept"));
	must(sync_file("."));
	theirs = replace_workspace(&len);
	must(put_text("gone", "never written"));
	must(chdir(fx.tmp));
	fx_cairnfs(&o, "umount", fx.mnt);
	cr_assert_neq(o.status, 0, "umount says that all is well");
	cr_assert_lt(o.status, 128, "umount died: status %d", o.status);
	cr_assert(holds_bytes(fx.db, theirs, len), "the other file was written");
	return_workspace();
	fx_mount(NULL);
	cr_assert(holds_text("kept", "kept"));
	cr_assert(!exists("gone"));
	fx_umount();
	assert_sound();
	free(theirs);
}

/* The file system of the workspace is full. */

static void make_small_workspace(void)
{
	const char *small = fx_tmp_path("small");
	unsigned char *ballast = new_pattern(BALLAST, 2);
	struct output o;

	must(mkdir(small, 0755));
	if (mount("tmpfs", small, "tmpfs", 0, "size=4m") < 0)
		cr_skip_test("no tmpfs");
	must(put_bytes(fx_tmp_path("small/ballast"), ballast, BALLAST));
	snprintf(fx.db, sizeof(fx.db), "%s/work.db", small);
	fx_cairnfs(&o, "init", fx.db);
	cr_assert_eq(o.status, 0, "%s", o.err);
	free(ballast);
}

static bool holds_block(int i)
{
	unsigned char *data = new_pattern(BLOCK, (unsigned)i);
	bool holds = holds_bytes(numbered(i), data, BLOCK);

	free(data);
	return holds;
}

static int put_block(int i)
{
	unsigned char *data = new_pattern(BLOCK, (unsigned)i);
	int r = put_bytes(numbered(i), data, BLOCK);

	if (r == 0)
		r = sync_file(numbered(i));
	if (r == 0)
		r = sync_file(".");
	free(data);
	return r;
}

/* Writes and syncs blocks until there is no room; how many are on disk. */
static int fill_up(void)
{
	for (int i = 0; i < BLOCKS_MAX; i++) {
		if (put_block(i) < 0) {
			cr_assert_eq(errno, ENOSPC, "block %d: %s", i, strerror(errno));
			return i;
		}
	}
	cr_assert_fail("%d blocks fit in", BLOCKS_MAX);
	return 0;
}

static void assert_blocks(int n)
{
	for (int i = 0; i < n; i++)
		cr_assert(holds_block(i), "block %d of %d", i, n);
}

Test(full, changes_fail_until_there_is_room)
{
	int n;

	make_small_workspace();
	fx_mount(NULL);
	n = fill_up();
	cr_assert_gt(n, 0);
	fails_with(ENOSPC, put_block(BLOCKS_MAX));
	assert_blocks(n);
	must(unlink(fx_tmp_path("small/ballast")));
	eventually(sync_file(".") == 0);
	eventually(put_block(n) == 0);
	must(put_text("after", "room again"));
	must(sync_file("after"));
	assert_blocks(n + 1);
	fx_remount();
	assert_blocks(n + 1);
	cr_assert(holds_text("after", "room again"));
	fx_umount();
	assert_sound();
	must(umount2(fx_tmp_path("small"), 0));
}

Test(full, what_was_synced_survives_a_kill)
{
	int n;

	make_small_workspace();
	fx_mount(NULL);
	n = fill_up();
	cr_assert_gt(n, 0);
	must(unlink(fx_tmp_path("small/ballast")));
	fx_kill9_remount();
	assert_blocks(n);
	must(put_text("after", "room again"));
	must(sync_file("after"));
	fx_umount();
	assert_sound();
	must(umount2(fx_tmp_path("small"), 0));
}

/* The file system of the workspace becomes read-only: Linux lets nobody make it so while a file is
 * open for writing, but ext4 does it by itself when it finds damage. */

static void mount_image(void)
{
	struct output o;

	fx_run(&o, (char *const[]){ "mount", "-o", "loop", (char *)fx_tmp_path("image"),
				    (char *)fx_tmp_path("small"), NULL });
	if (o.status != 0)
		cr_skip_test("no loop device");
}

static void make_workspace_on_ext4(void)
{
	const char *image = fx_tmp_path("image");
	struct output o;

	must(mkdir(fx_tmp_path("small"), 0755));
	must(put_text(image, ""));
	must(truncate(image, 16 << 20));
	fx_run(&o, (char *const[]){ "mkfs.ext4", "-q", "-F", (char *)image, NULL });
	if (o.status != 0)
		cr_skip_test("no mkfs.ext4");
	mount_image();
	snprintf(fx.db, sizeof(fx.db), "%s/small/work.db", fx.tmp);
	fx_cairnfs(&o, "init", fx.db);
	cr_assert_eq(o.status, 0, "%s", o.err);
}

/* As ext4 does when it finds damage. */
static void abort_ext4(void)
{
	struct output o;

	fx_run(&o, (char *const[]){ "mount", "-o", "remount,abort", (char *)fx_tmp_path("small"),
				    NULL });
	cr_assert_eq(o.status, 0, "%s", o.err);
	fails_with(EROFS, put_text(fx_tmp_path("small/f"), "x"));
}

Test(read_only, changes_fail_reads_work_and_what_was_synced_is_kept)
{
	unsigned char *data = new_pattern(5 * BLOCK, 1);
	struct output o;

	make_workspace_on_ext4();
	fx_mount(NULL);
	must(put_bytes("kept", data, 5 * BLOCK));
	must(sync_file("kept"));
	must(sync_file("."));
	must(put_text("not-synced", "x"));
	abort_ext4();
	fails_with(EROFS, sync_file("not-synced"));
	fails_with(EROFS, mkdir("d", 0755));
	fails_with(EROFS, chmod("kept", 0600));
	cr_assert(holds_bytes("kept", data, 5 * BLOCK));
	cr_assert(holds_text("not-synced", "x"));
	cr_assert_eq(count_entries("."), 2);
	must(chdir(fx.tmp));
	fx_cairnfs(&o, "umount", fx.mnt);
	cr_assert_neq(o.status, 0, "umount says that all is well");
	cr_assert(!fx_is_mounted());
	must(umount2(fx_tmp_path("small"), 0));
	mount_image();
	fx_mount(NULL);
	cr_assert(holds_bytes("kept", data, 5 * BLOCK));
	must(put_text("after", "y"));
	must(sync_file("after"));
	fx_umount();
	assert_sound();
	must(umount2(fx_tmp_path("small"), 0));
	free(data);
}

/* Another process has the lock when a mount starts. */

static void assert_one_line(const char *text)
{
	const char *newline = strchr(text, '\n');

	cr_assert(newline && newline != text && newline[1] == '\0', "not one line: \"%s\"", text);
}

/* The mount waits for the lock, or says in one line why not and leaves the file as it is; the write
 * lock alone keeps it from nothing. */
static void assert_mount_copes_with(const char *lock, const char *options, bool only_writes)
{
	struct output o;
	unsigned char *before;
	size_t len;
	pid_t child;

	fx_mount(NULL);
	must(put_text("f", "kept"));
	fx_umount();
	before = workspace_bytes(&len);
	child = start_holder(lock, HOLD_S);
	fx_cairnfs(&o, "mount", fx.db, fx.mnt, "-o", (char *)options);
	cr_assert_eq(fx_wait(child), 0);
	cr_assert(!only_writes || o.status == 0, "%s", o.err);
	if (o.status == 0) {
		cr_assert(fx_is_mounted());
		cr_assert(holds_text(fx_path("f"), "kept"));
		must(put_text(fx_path("g"), "new"));
		must(sync_file(fx_path("g")));
		fx_umount();
	} else {
		cr_assert_lt(o.status, 128, "died: status %d", o.status);
		assert_one_line(o.err);
		cr_assert(strstr(o.err, fx.db), "no %s: %s", fx.db, o.err);
		cr_assert(!fx_is_mounted());
		cr_assert(holds_bytes(fx.db, before, len), "the workspace changed");
	}
	free(before);
	fx_mount(NULL);
	cr_assert(holds_text("f", "kept"));
	cr_assert_eq(exists("g"), o.status == 0);
	fx_umount();
	assert_sound();
}

Test(locked, by_a_transaction)
{
	assert_mount_copes_with("BEGIN EXCLUSIVE", "rw", true);
}

Test(locked, by_a_transaction_for_longer_than_it_waits)
{
	assert_mount_copes_with("BEGIN EXCLUSIVE", "busy_timeout_ms=100", true);
}

Test(locked, as_a_whole)
{
	assert_mount_copes_with("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE", "rw", false);
}

Test(locked, as_a_whole_for_longer_than_it_waits)
{
	assert_mount_copes_with("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE",
				"busy_timeout_ms=100", false);
}

/* Another process has the lock while callers change things: ten times as long as the mount waits
 * for it at once, by its own account, and more. */

enum { TRIES = 10, WAITERS = 4 };

static long figure(const char *name)
{
	struct output o;
	char key[64], *at;

	fx_cairnfs(&o, "stats", "--json", fx.mnt);
	cr_assert_eq(o.status, 0, "%s", o.err);
	snprintf(key, sizeof(key), "\"%s\": ", name);
	at = strstr(o.out, key);
	cr_assert(at, "no %s", name);
	return strtol(at + strlen(key), NULL, 10);
}

static int write_durably(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_SYNC | O_CLOEXEC, 0644);

	return fd >= 0 && write(fd, name, strlen(name)) == (ssize_t)strlen(name) ? 0 : -1;
}

/* Who cannot be answered before the lock is free. Linux keeps a directory locked while an fsync of
 * it waits: that one has a directory of its own. */
static void start_waiters(pid_t pids[WAITERS])
{
	for (int i = 0; i < WAITERS - 1; i++) {
		pids[i] = fx_fork();
		if (pids[i] == 0)
			_exit((i == 0   ? sync_file("new")
			       : i == 1 ? sync_file("e")
					: write_durably("durable")) == 0
				      ? 0
				      : 1);
	}
	pids[WAITERS - 1] = fx_spawn(
		(char *const[]){ (char *)fx_binary(), "kv", fx.db, "set", "key", "value", NULL });
}

/* What never waits: nothing of it is in a cache the first time. */
static void assert_reads(const unsigned char *data)
{
	struct output o;

	cr_assert(holds_bytes("old", data, BLOCK));
	cr_assert(holds_text("d/f", "text"));
	cr_assert_eq(count_entries("d"), 1);
	cr_assert(!exists("nothing"));
	fx_cairnfs(&o, "kv", fx.db, "get", "before");
	cr_assert_eq(o.status, 0, "%s", o.err);
}

Test(locked, for_longer_than_it_waits_fails_nobody_and_keeps_nobody_from_reading)
{
	unsigned char *data = new_pattern(BLOCK, 3);
	pid_t holder, waiters[WAITERS];
	struct output o;

	fx_mount("busy_timeout_ms=20,commit_interval_ms=20");
	must(put_bytes("old", data, BLOCK));
	must(mkdir("d", 0755));
	must(put_text("d/f", "text"));
	must(mkdir("e", 0755));
	fx_cairnfs(&o, "kv", fx.db, "set", "before", "value");
	cr_assert_eq(o.status, 0, "%s", o.err);
	fx_remount();
	/* The first file that a mount makes brings numbers for many. */
	must(put_text("numbers", "x"));
	must(sync_file("numbers"));
	holder = start_holder("BEGIN IMMEDIATE", 0);
	must(put_text("new", "made meanwhile"));
	must(put_text("e/f", "text"));
	start_waiters(waiters);
	assert_reads(data);
	eventually(figure("failures") >= TRIES);
	assert_reads(data);
	must(rename("d/f", "d/g"));
	must(put_text("late", "made late"));
	cr_assert_eq(figure("trouble"), 0);
	for (int i = 0; i < WAITERS; i++)
		cr_assert_eq(waitpid(waiters[i], NULL, WNOHANG), 0, "waiter %d did not wait", i);
	cr_assert_eq(waitpid(holder, NULL, WNOHANG), 0, "the lock was let go");
	end_other(holder);
	for (int i = 0; i < WAITERS; i++)
		cr_assert_eq(fx_wait(waiters[i]), 0, "waiter %d failed", i);
	fx_cairnfs(&o, "kv", fx.db, "get", "key");
	cr_assert_str_eq(o.out, "value");
	fx_remount();
	cr_assert(holds_text("new", "made meanwhile"));
	cr_assert(holds_text("durable", "durable"));
	cr_assert(holds_text("late", "made late"));
	cr_assert(holds_text("d/g", "text"));
	fx_umount();
	assert_sound();
	free(data);
}

/* Another process reads the workspace without end. */

enum { LOG_LIMIT = 1 << 20, STREAM = 8 << 20 };

/* Writes and syncs a file that the write-ahead log has no room for. */
static pid_t start_stream(unsigned char *data)
{
	pid_t child = fx_fork();

	if (child == 0)
		_exit(put_bytes("stream", data, STREAM) == 0 && sync_file("stream") == 0 ? 0 : 1);
	return child;
}

Test(locked, a_long_reader_bounds_the_log_fails_nobody_and_is_named)
{
	const char *log = fx_tmp_path("log");
	unsigned char *data = new_pattern(STREAM, 4);
	char options[PATH_MAX], name[32], wal[PATH_MAX];
	pid_t reader, writer;
	struct stat st;

	snprintf(options, sizeof(options), "wal_limit=1M,max_dirty=1M,log=%s", log);
	fx_mount(options);
	must(put_text("old", "text"));
	must(sync_file("old"));
	reader = start_holder("BEGIN; SELECT COUNT(*) FROM fs_inode", 0);
	writer = start_stream(data);
	snprintf(name, sizeof(name), "(pid %d)", reader);
	eventually(log_says(log, "cannot start over", name));
	snprintf(wal, sizeof(wal), "%s-wal", fx.db);
	must(stat(wal, &st));
	cr_expect_leq(st.st_size, 3 * LOG_LIMIT);
	cr_expect(holds_text("old", "text"));
	cr_expect_eq(waitpid(writer, NULL, WNOHANG), 0, "the write did not wait");
	end_other(reader);
	cr_expect_eq(fx_wait(writer), 0, "the write failed");
	cr_expect(holds_bytes("stream", data, STREAM));
	fx_umount();
	assert_sound();
	free(data);
}
