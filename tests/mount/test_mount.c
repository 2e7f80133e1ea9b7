/* The commands: what mounting refuses and says, how a mount ends, what it leaves behind. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "fsutil.h"

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

TestSuite(mount, .init = setup, .fini = fx_teardown, .timeout = 60);
TestSuite(mount_root, .init = setup_for_root, .fini = fx_teardown, .timeout = 60);
TestSuite(refusal, .init = setup, .fini = fx_teardown, .timeout = 60);

/* A workspace file as it is on disk, to find out whether anything touched it. */
struct snapshot {
	size_t len;
	char *bytes;
	ssize_t neighbours; /* entries in its directory */
};

static struct snapshot take_snapshot(void)
{
	struct snapshot snap = { .len = (size_t)size_of(fx.db) };
	int fd = must(open(fx.db, O_RDONLY));

	snap.bytes = malloc(snap.len + 1);
	cr_assert(snap.bytes);
	cr_assert_eq(read_at(fd, 0, snap.bytes, snap.len), (ssize_t)snap.len);
	must(close(fd));
	snap.neighbours = must(count_entries(fx_tmp_path(".agentfs")));
	return snap;
}

static void assert_untouched(struct snapshot *snap)
{
	cr_assert(holds_bytes(fx.db, snap->bytes, snap->len), "the workspace changed");
	cr_assert_eq(count_entries(fx_tmp_path(".agentfs")), snap->neighbours,
		     "files appeared or vanished beside the workspace");
	free(snap->bytes);
}

static void assert_wal_is_empty(void)
{
	char wal[PATH_MAX];

	snprintf(wal, sizeof(wal), "%s-wal", fx.db);
	cr_assert(!exists(wal) || size_of(wal) == 0, "%ld bytes", (long)size_of(wal));
}

static void assert_one_line(const char *text)
{
	const char *newline = strchr(text, '\n');

	cr_assert(newline && newline != text && newline[1] == '\0', "not one line: \"%s\"", text);
}

/* Runs SQL on the workspace, unmounted; a single value goes into ret_text if that is given. */
static void run_sql(const char *sql, char *ret_text, size_t size)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = NULL;
	int r;

	cr_assert_eq(sqlite3_open(fx.db, &db), SQLITE_OK);
	r = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	cr_assert_eq(r, SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
	r = sqlite3_step(stmt);
	cr_assert(r == SQLITE_ROW || r == SQLITE_DONE, "%s: %s", sql, sqlite3_errmsg(db));
	if (ret_text)
		snprintf(ret_text, size, "%s", (const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	cr_assert_eq(sqlite3_close(db), SQLITE_OK);
}

static void assert_sql_gives(const char *sql, const char *wanted)
{
	char text[1024];

	run_sql(sql, text, sizeof(text));
	cr_assert_str_eq(text, wanted, "%s: %s, wanted %s", sql, text, wanted);
}

static bool is_json(const char *text)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = NULL;
	bool valid;

	cr_assert_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, "SELECT json_valid(?)", -1, &stmt, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_bind_text(stmt, 1, text, -1, SQLITE_STATIC), SQLITE_OK);
	cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
	valid = sqlite3_column_int(stmt, 0) == 1;
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return valid;
}

static void make_tree(void)
{
	unsigned char *data = new_pattern(500000, 1);

	must(mkdir("d", 0750));
	must(put_bytes("d/big", data, 500000));
	must(put_text("d/small", "small"));
	must(chmod("d/small", 0604));
	must(symlink("small", "d/link"));
	must(link("d/small", "hard"));
	must(mkfifo("fifo", 0600));
	free(data);
}

static void assert_tree(void)
{
	unsigned char *data = new_pattern(500000, 1);

	cr_assert_eq(count_entries("."), 3);
	cr_assert_eq(count_entries("d"), 3);
	cr_assert_eq(mode_of("d"), 0750);
	cr_assert(holds_bytes("d/big", data, 500000));
	cr_assert(holds_text("d/link", "small"));
	cr_assert_eq(mode_of("hard"), 0604);
	cr_assert_eq(nlink_of("hard"), 2);
	cr_assert(S_ISFIFO(stat_of("fifo").st_mode));
	free(data);
}

/* Ends of a mount. */

Test(mount, a_copy_of_an_unmounted_workspace_is_whole)
{
	struct output o;
	const char *copy = fx_tmp_path("copy.db");

	fx_mount(NULL);
	make_tree();
	fx_umount();
	assert_wal_is_empty();
	fx_run(&o, (char *const[]){ "cp", fx.db, (char *)copy, NULL });
	cr_assert_eq(o.status, 0, "%s", o.err);
	must(unlink(fx.db));
	snprintf(fx.db, sizeof(fx.db), "%s/copy.db", fx.tmp);
	fx_mount(NULL);
	assert_tree();
}

Test(mount, umount_returns_when_the_daemon_is_gone)
{
	char proc[64];
	pid_t daemon;

	fx_mount(NULL);
	daemon = fx_daemon_pid();
	cr_assert_gt(daemon, 1);
	snprintf(proc, sizeof(proc), "/proc/%d/exe", daemon);
	must(put_text("f", "x"));
	fx_umount();
	cr_assert_eq(readlink(proc, (char[8]){ 0 }, 8), -1, "daemon %d still runs", daemon);
	cr_assert(!fx_is_mounted());
	cr_assert_eq(count_entries(fx.mnt), 0);
}

Test(mount, umount_of_a_busy_mount_is_refused_and_harms_nothing)
{
	struct output o;
	int fd;

	fx_mount(NULL);
	fd = must(open("f", O_CREAT | O_RDWR, 0644));
	fx_cairnfs(&o, "umount", fx.mnt);
	cr_assert_neq(o.status, 0);
	assert_one_line(o.err);
	cr_assert(fx_is_mounted());
	must(write_at(fd, 0, "still here", 10));
	must(close(fd));
	fx_remount();
	cr_assert(holds_text("f", "still here"));
}

Test(mount, umount_of_what_is_not_mounted_is_refused)
{
	struct output o;

	fx_cairnfs(&o, "umount", fx.mnt);
	cr_assert_neq(o.status, 0);
	assert_one_line(o.err);
	cr_assert(strstr(o.err, fx.mnt), "%s", o.err);
}

static void end_daemon_by(int signal_number)
{
	pid_t daemon = fx_daemon_pid();

	cr_assert_gt(daemon, 1, "no pid beside the workspace");
	must(chdir(fx.tmp));
	must(kill(daemon, signal_number));
	cr_assert(fx_daemon_ends(daemon), "daemon %d survives signal %d", daemon, signal_number);
}

static void assert_signal_unmounts(int signal_number)
{
	fx_mount(NULL);
	make_tree();
	end_daemon_by(signal_number);
	cr_assert(!fx_is_mounted());
	assert_wal_is_empty();
	fx_mount(NULL);
	assert_tree();
}

Test(mount, sigterm_unmounts_cleanly)
{
	assert_signal_unmounts(SIGTERM);
}

Test(mount, sigint_unmounts_cleanly)
{
	assert_signal_unmounts(SIGINT);
}

Test(mount, sighup_unmounts_cleanly)
{
	assert_signal_unmounts(SIGHUP);
}

Test(mount, a_killed_daemon_leaves_a_workspace_that_mounts)
{
	struct output o;

	fx_mount(NULL);
	make_tree();
	must(sync_file("d/big"));
	must(sync_file("d"));
	must(sync_file("."));
	end_daemon_by(SIGKILL);
	fails_with(ENOTCONN, open(fx_path("no-such-name"), O_RDONLY));
	fx_run(&o, (char *const[]){ "fusermount3", "-uz", fx.mnt, NULL });
	cr_assert_eq(o.status, 0, "%s", o.err);
	fx_mount(NULL);
	assert_tree();
	must(put_text("new", "x"));
	fx_remount();
	cr_assert(holds_text("new", "x"));
}

Test(mount, umount_clears_up_after_a_killed_daemon)
{
	struct output o;

	fx_mount(NULL);
	end_daemon_by(SIGKILL);
	fx_cairnfs(&o, "umount", fx.mnt);
	cr_assert(!fx_is_mounted(), "%s", o.err);
	fx_mount(NULL);
	must(put_text("f", "x"));
}

Test(mount, a_file_open_and_unlinked_when_the_daemon_dies_leaves_nothing)
{
	int fd;

	fx_mount(NULL);
	fd = must(open("f", O_CREAT | O_RDWR, 0644));
	must(write_at(fd, 0, "content", 7));
	must(fsync(fd));
	must(unlink("f"));
	must(sync_file("."));
	fx_kill9_remount();
	close(fd);
	cr_assert_eq(count_entries("."), 0);
	fx_umount();
	assert_sql_gives("SELECT count(*) FROM fs_inode", "1");
	assert_sql_gives("SELECT count(*) FROM fs_data", "0");
}

Test(mount, an_unmounted_workspace_is_consistent)
{
	fx_mount("xattr");
	make_tree();
	for (int i = 0; i < 200; i++) {
		char name[32], other[32];

		snprintf(name, sizeof(name), "d/f%d", i);
		snprintf(other, sizeof(other), "d/g%d", i);
		must(i % 3 ? put_text(name, "some content") : mkdir(name, 0755));
		if (i % 2)
			must(rename(name, other));
		else
			must(remove(name));
	}
	must(rename("d", "e"));
	must(truncate("e/big", 100));
	fx_umount();
	assert_sql_gives("PRAGMA integrity_check", "ok");
	assert_sql_gives("SELECT count(*) FROM fs_dentry WHERE ino NOT IN (SELECT ino FROM "
			 "fs_inode) OR parent_ino NOT IN (SELECT ino FROM fs_inode)",
			 "0");
	assert_sql_gives("SELECT count(*) FROM fs_inode WHERE ino <> 1 AND ino NOT IN "
			 "(SELECT ino FROM fs_dentry)",
			 "0");
	assert_sql_gives("SELECT count(*) FROM fs_data WHERE ino NOT IN (SELECT ino FROM "
			 "fs_inode)",
			 "0");
	assert_sql_gives("SELECT count(*) FROM fs_symlink WHERE ino NOT IN (SELECT ino FROM "
			 "fs_inode)",
			 "0");
	assert_sql_gives("SELECT count(*) FROM fs_inode i WHERE mode & 61440 <> 16384 AND nlink "
			 "<> (SELECT count(*) FROM fs_dentry d WHERE d.ino = i.ino)",
			 "0");
	assert_sql_gives("SELECT count(*) FROM fs_inode i WHERE mode & 61440 = 16384 AND nlink "
			 "<> 2 + (SELECT count(*) FROM fs_dentry d JOIN fs_inode c ON c.ino = "
			 "d.ino WHERE d.parent_ino = i.ino AND c.mode & 61440 = 16384)",
			 "0");
}

Test(mount, what_other_programs_refuse_is_not_in_the_file)
{
	fx_mount("xattr");
	make_tree();
	fx_umount();
	assert_sql_gives("SELECT value FROM fs_config WHERE key = 'schema_version'", "0.4");
	assert_sql_gives("PRAGMA auto_vacuum", "0");
	assert_sql_gives("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' OR sql LIKE "
			 "'%CHECK%(%' OR sql LIKE '%VIRTUAL TABLE%'",
			 "0");
	assert_sql_gives("SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name = "
			 "'idx_fs_dentry_parent'",
			 "0");
	assert_sql_gives("SELECT typeof(name) FROM fs_dentry WHERE name = 'hard'", "text");
}

/* A second mount. */

Test(mount, a_second_mount_is_refused_and_names_the_first)
{
	const char *second = fx_tmp_path("second");
	char pid[32];
	struct output o;

	fx_mount(NULL);
	must(put_text("f", "x"));
	must(mkdir(second, 0755));
	snprintf(pid, sizeof(pid), "%d", fx_daemon_pid());
	fx_cairnfs(&o, "mount", fx.db, (char *)second);
	cr_assert_neq(o.status, 0);
	assert_one_line(o.err);
	cr_assert(strstr(o.err, pid), "no pid %s: %s", pid, o.err);
	cr_assert(strstr(o.err, fx.mnt), "no %s: %s", fx.mnt, o.err);
	cr_assert_eq(count_entries(second), 0);
	cr_assert(holds_text("f", "x"));
	must(put_text("g", "y"));
}

Test(mount, a_second_mount_is_refused_by_another_path_too)
{
	const char *second = fx_tmp_path("second"), *link = fx_tmp_path("link.db");
	struct output o;

	fx_mount(NULL);
	must(mkdir(second, 0755));
	must(symlink(fx.db, link));
	fx_cairnfs(&o, "mount", (char *)link, (char *)second);
	cr_assert_neq(o.status, 0);
	cr_assert(strstr(o.err, fx.mnt), "no %s: %s", fx.mnt, o.err);
	cr_assert_eq(count_entries(second), 0);
}

Test(mount, an_id_names_a_workspace_below_the_working_directory)
{
	struct output o;

	must(chdir(fx.tmp));
	fx_cairnfs(&o, "mount", "work", fx.mnt);
	cr_assert_eq(o.status, 0, "%s", o.err);
	cr_assert(fx_is_mounted());
	must(put_text(fx_path("f"), "x"));
	fx_umount();
	fx_mount(NULL);
	cr_assert(holds_text("f", "x"));
}

Test(mount, init_leaves_an_existing_workspace_alone)
{
	struct snapshot snap = take_snapshot();
	struct output o;

	fx_cairnfs(&o, "init", fx.db);
	cr_assert_neq(o.status, 0);
	assert_one_line(o.err);
	assert_untouched(&snap);
}

/* Refusals: one line, a status that is not 0, and nothing changed. */

static void assert_mount_is_refused(const char *workspace, const char *dir, const char *because)
{
	struct output o;

	fx_cairnfs(&o, "mount", (char *)workspace, (char *)dir);
	cr_assert_neq(o.status, 0, "mounted");
	cr_assert_lt(o.status, 128, "died: status %d", o.status);
	assert_one_line(o.err);
	cr_assert_str_eq(o.out, "");
	cr_assert(strcasestr(o.err, because), "\"%s\" is not in: %s", because, o.err);
	cr_assert(!fx_is_mounted());
}

static void assert_workspace_is_refused(const char *because)
{
	struct snapshot snap = take_snapshot();

	assert_mount_is_refused(fx.db, fx.mnt, because);
	assert_untouched(&snap);
}

/* Nothing of the base could be reached any more but through the mount itself. */
Test(refusal, mount_point_that_holds_the_base)
{
	char *dir = strdup(fx_tmp_path("holds")), *base = strdup(fx_tmp_path("holds/base.db"));
	char *agent = strdup(fx_tmp_path("agent.db"));
	struct output out;

	must(mkdir(dir, 0755));
	fx_cairnfs(&out, "init", base);
	cr_assert_eq(out.status, 0, "%s", out.err);
	fx_cairnfs(&out, "init", "--base", base, agent);
	cr_assert_eq(out.status, 0, "%s", out.err);
	fx_cairnfs(&out, "mount", "-o", "nonempty", agent, dir);
	cr_expect_eq(out.status, 1);
	assert_one_line(out.err);
	cr_expect_not_null(strstr(out.err, base), "%s", out.err);
}

Test(refusal, of_a_missing_mount_point)
{
	struct snapshot snap = take_snapshot();
	const char *none = fx_tmp_path("none");

	assert_mount_is_refused(fx.db, none, none);
	cr_assert(!exists(none));
	assert_untouched(&snap);
}

Test(refusal, of_a_mount_point_with_entries)
{
	must(put_text(fx_path("in-the-way"), "kept"));
	assert_workspace_is_refused(fx.mnt);
	cr_assert(holds_text(fx_path("in-the-way"), "kept"));
}

Test(refusal, of_a_mount_point_that_is_a_file)
{
	must(rmdir(fx.mnt));
	must(put_text(fx.mnt, "kept"));
	assert_workspace_is_refused(fx.mnt);
	cr_assert(holds_text(fx.mnt, "kept"));
}

Test(refusal, of_a_missing_workspace)
{
	must(unlink(fx.db));
	assert_mount_is_refused(fx.db, fx.mnt, fx.db);
	cr_assert(!exists(fx.db));
}

Test(refusal, of_a_directory_for_a_workspace)
{
	must(unlink(fx.db));
	must(mkdir(fx.db, 0755));
	assert_mount_is_refused(fx.db, fx.mnt, fx.db);
	cr_assert_eq(count_entries(fx.db), 0);
}

Test(refusal, of_a_file_that_is_no_database)
{
	must(put_text(fx.db, "This is a text and no database, and it is long enough to be "
			     "mistaken for one by nobody who looks at its first bytes.\n"));
	assert_workspace_is_refused(fx.db);
}

Test(refusal, of_an_empty_file)
{
	must(truncate(fx.db, 0));
	assert_workspace_is_refused(fx.db);
}

Test(refusal, of_an_encrypted_file)
{
	unsigned char *data = new_pattern(8192, 2);

	memcpy(data, "Turso", 5);
	must(put_bytes(fx.db, data, 8192));
	assert_workspace_is_refused("encrypted");
	free(data);
}

Test(refusal, of_a_newer_format)
{
	run_sql("UPDATE fs_config SET value = '9.9' WHERE key = 'schema_version'", NULL, 0);
	assert_workspace_is_refused("9.9");
}

Test(refusal, of_a_database_without_the_tables)
{
	run_sql("DROP TABLE fs_dentry", NULL, 0);
	assert_workspace_is_refused("fs_dentry");
}

Test(refusal, of_a_database_of_something_else)
{
	must(truncate(fx.db, 0));
	run_sql("CREATE TABLE songs(title TEXT)", NULL, 0);
	assert_workspace_is_refused(fx.db);
}

Test(refusal, of_an_unknown_option_by_its_name)
{
	struct snapshot snap = take_snapshot();
	struct output o;

	fx_cairnfs(&o, "mount", fx.db, fx.mnt, "-o", "noatime,frobnicate=7");
	cr_assert_neq(o.status, 0);
	assert_one_line(o.err);
	cr_assert(strstr(o.err, "frobnicate"), "%s", o.err);
	cr_assert(!fx_is_mounted());
	assert_untouched(&snap);
}

Test(refusal, of_a_value_an_option_cannot_have)
{
	static const char *const options[] = { "durability=maybe", "quota=much", "max_file_size=-1",
					       "uid=nobody-at-all" };

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		char name[32];
		struct output o;

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(options[i], "="), options[i]);
		fx_cairnfs(&o, "mount", fx.db, fx.mnt, "-o", (char *)options[i]);
		cr_assert_neq(o.status, 0, "%s is taken", options[i]);
		assert_one_line(o.err);
		cr_assert(strstr(o.err, name), "no %s: %s", name, o.err);
		cr_assert(!fx_is_mounted());
	}
}

/* Options. */

Test(mount, ro_refuses_every_change_and_leaves_the_file_alone)
{
	struct snapshot snap;

	fx_mount(NULL);
	make_tree();
	fx_umount();
	snap = take_snapshot();
	fx_mount("ro");
	assert_tree();
	fails_with(EROFS, open("new", O_CREAT | O_WRONLY, 0644));
	fails_with(EROFS, open("hard", O_WRONLY));
	fails_with(EROFS, open("hard", O_RDONLY | O_TRUNC));
	fails_with(EROFS, mkdir("new", 0755));
	fails_with(EROFS, mknod("new", S_IFIFO | 0600, 0));
	fails_with(EROFS, symlink("x", "new"));
	fails_with(EROFS, link("hard", "new"));
	fails_with(EROFS, rename("hard", "new"));
	fails_with(EROFS, unlink("hard"));
	fails_with(EROFS, rmdir("d"));
	fails_with(EROFS, chmod("hard", 0600));
	fails_with(EROFS, chown("hard", geteuid(), getegid()));
	fails_with(EROFS, truncate("hard", 0));
	fails_with(EROFS, utimensat(AT_FDCWD, "hard", NULL, 0));
	must(sync_file("hard"));
	assert_tree();
	fx_umount();
	assert_untouched(&snap);
}

Test(mount, minus_f_stays_in_front_until_told_to_end)
{
	pid_t pid = fx_spawn(
		(char *const[]){ (char *)fx_binary(), "mount", fx.db, fx.mnt, "-f", NULL });
	int status;

	while (!fx_is_mounted()) {
		cr_assert_eq(waitpid(pid, &status, WNOHANG), 0, "it ended: status %x", status);
		tick();
	}
	must(put_text(fx_path("f"), "x"));
	cr_assert_eq(waitpid(pid, &status, WNOHANG), 0, "it ended: status %x", status);
	cr_assert_eq(fx_daemon_pid(), pid);
	must(kill(pid, SIGTERM));
	cr_assert_eq(fx_wait(pid), 0);
	cr_assert(!fx_is_mounted());
	fx_mount(NULL);
	cr_assert(holds_text("f", "x"));
}

Test(mount_root, uid_and_gid_show_everything_as_theirs)
{
	fx_mount(NULL);
	make_tree();
	fx_umount();
	fx_mount("uid=12001,gid=12002");
	cr_assert_eq(stat_of(".").st_uid, ALICE);
	cr_assert_eq(stat_of(".").st_gid, BOB);
	cr_assert_eq(stat_of("d/small").st_uid, ALICE);
	cr_assert_eq(stat_of("d/small").st_gid, BOB);
	fx_umount();
	fx_mount(NULL);
	cr_assert_eq(stat_of("d/small").st_uid, 0);
	cr_assert_eq(stat_of("d/small").st_gid, 0);
}

Test(mount_root, others_see_nothing_without_allow_other)
{
	fx_mount(NULL);
	must(put_text("f", "x"));
	must(chmod("f", 0666));
	fails_as(ALICE, EACCES, open(fx_path("f"), O_RDONLY));
	fx_umount();
	fx_mount("allow_other");
	must_as(ALICE, open(fx_path("f"), O_RDONLY));
}

static void assert_writes_survive_without_sync(const char *options)
{
	unsigned char *data = new_pattern(200000, 3);
	int fd;

	fx_mount(options);
	must(mkdir("d", 0755));
	fd = must(open("d/f", O_CREAT | O_WRONLY, 0640));
	must(write_at(fd, 0, data, 200000));
	must(symlink("f", "d/l"));
	must(rename("d", "e"));
	fx_kill9_remount();
	close(fd);
	cr_assert(holds_bytes("e/l", data, 200000));
	cr_assert_eq(mode_of("e/f"), 0640);
	cr_assert(!exists("d"));
	free(data);
}

Test(mount, durability_commit_keeps_every_finished_call)
{
	assert_writes_survive_without_sync("durability=commit");
}

Test(mount, durability_full_keeps_every_finished_call)
{
	assert_writes_survive_without_sync("durability=full");
}

/* What the commands tell about a mount. */

Test(mount, info_shows_the_mount)
{
	struct output o;

	fx_mount(NULL);
	fx_cairnfs(&o, "info", fx.db);
	cr_assert_eq(o.status, 0, "%s", o.err);
	cr_assert(strstr(o.out, fx.mnt), "%s", o.out);
	fx_cairnfs(&o, "info", fx.db, "--json");
	cr_assert_eq(o.status, 0, "%s", o.err);
	cr_assert(is_json(o.out), "%s", o.out);
	cr_assert(strstr(o.out, fx.mnt), "%s", o.out);
	fx_umount();
	fx_cairnfs(&o, "info", fx.db, "--json");
	cr_assert_eq(o.status, 0, "%s", o.err);
	cr_assert(is_json(o.out), "%s", o.out);
	cr_assert(!strstr(o.out, fx.mnt), "still shown: %s", o.out);
}

Test(mount, list_shows_the_mount)
{
	struct output o;

	fx_mount(NULL);
	must(chdir(fx.tmp));
	fx_cairnfs(&o, "list");
	cr_assert_eq(o.status, 0, "%s", o.err);
	cr_assert(strstr(o.out, fx.mnt), "%s", o.out);
	fx_cairnfs(&o, "list", "--json");
	cr_assert_eq(o.status, 0, "%s", o.err);
	cr_assert(is_json(o.out), "%s", o.out);
	cr_assert(strstr(o.out, fx.mnt), "%s", o.out);
	fx_umount();
	fx_cairnfs(&o, "list");
	cr_assert(!strstr(o.out, fx.mnt), "still shown: %s", o.out);
}
