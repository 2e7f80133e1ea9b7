/* The base of an overlay from outside: it changes, it moves, it is used by many, it cannot be
 * opened; and overlays that AgentFS made. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>

#include "overlay_base.h"

BOTH_SUITES(ob_prepare);

static void setup_workspace_only(void)
{
	ob_prepare(BASE_WORKSPACE);
}

static void setup_directory_only(void)
{
	ob_prepare(BASE_DIRECTORY);
}

TestSuite(overlay_workspace, .init = setup_workspace_only, .fini = fx_teardown, .timeout = 60);
TestSuite(overlay_directory, .init = setup_directory_only, .fini = fx_teardown, .timeout = 60);

enum { AGENTS = 5 };

static void sql(const char *path, const char *text)
{
	char *message = NULL;
	sqlite3 *db;

	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, text, NULL, NULL, &message), SQLITE_OK, "%s: %s", text,
		     message);
	sqlite3_close(db);
}

/* The mount fails, with one line that has these words. */
static void expect_refused(const char *options, const char *a, const char *b)
{
	struct output o;

	fx_cairnfs(&o, "mount", fx.db, fx.mnt, "-o", (char *)options);
	cr_assert_neq(o.status, 0, "it mounts");
	cr_expect_eq(strchr(o.err, '\n'), o.err + strlen(o.err) - 1, "not one line: %s", o.err);
	cr_expect_not_null(strstr(o.err, a), "'%s' is not in: %s", a, o.err);
	cr_expect_not_null(strstr(o.err, b), "'%s' is not in: %s", b, o.err);
	cr_expect(!fx_is_mounted());
}

BOTH(changes_of_the_base_are_seen)
{
	ob_open_base();
	fx_mount("xattr");
	cr_expect(holds_text("dir/a", "a\n"));
	cr_expect(!exists("late"));
	must(put_text(ob_in_base("late"), "late\n"));
	must(put_text(ob_in_base("dir/a"), "changed in the base\n"));
	must(unlink(ob_in_base("dir/b")));
	must(rename(ob_in_base("dir/sub"), ob_in_base("empty/sub")));
	must(chmod(ob_in_base("file"), 0600));
	eventually(holds_text("late", "late\n"));
	eventually(holds_text("dir/a", "changed in the base\n"));
	eventually(!exists("dir/b"));
	eventually(exists("empty/sub/deep/c") && !exists("dir/sub"));
	eventually(mode_of("file") == 0600);
	eventually(count_entries("dir") == 1);
	ob_close_base();
}

BOTH(what_was_changed_is_kept_when_the_base_changes)
{
	struct output o;

	ob_open_base();
	fx_mount("xattr,commit_interval_ms=50");
	must(put_text("dir/a", "mine\n"));
	must(unlink("dir/b"));
	must(put_text("dir/mine", "mine\n"));
	must(put_text("both", "mine\n"));
	must(chmod("file", 0600));
	fx_remount();
	must(put_text(ob_in_base("dir/a"), "theirs\n"));
	must(put_text(ob_in_base("dir/b"), "theirs, longer\n"));
	must(put_text(ob_in_base("both"), "theirs\n"));
	must(put_text(ob_in_base("file"), "their new bytes\n"));
	must(put_text(ob_in_base("mark"), ""));
	eventually(exists("mark"));
	cr_expect(holds_text("dir/a", "mine\n"));
	cr_expect(!exists("dir/b"));
	cr_expect(holds_text("both", "mine\n"));
	/* Its mode is ours, its bytes are not. */
	eventually(holds_text("file", "their new bytes\n"));
	cr_expect_eq(mode_of("file"), 0600);
	fx_run(&o, (char *const[]){ "rm", "-r", (char *)ob_in_base("dir"), NULL });
	cr_assert_eq(o.status, 0, "%s", o.err);
	eventually(!exists("dir/sub"));
	cr_expect(holds_text("dir/a", "mine\n"));
	cr_expect(holds_text("dir/mine", "mine\n"));
	fx_remount();
	cr_expect(holds_text("dir/a", "mine\n"));
	cr_expect_eq(count_entries("dir"), 2);
	ob_close_base();
}

BOTH(agents_over_one_base_do_not_see_each_other)
{
	char db[AGENTS][32], mnt[AGENTS][32], name[64];
	struct output o;
	char *sum = strdup(ob_sum_of_base());

	for (int i = 0; i < AGENTS; i++) {
		snprintf(db[i], sizeof(db[i]), "agent%d.db", i);
		snprintf(mnt[i], sizeof(mnt[i]), "agent%d", i);
		must(mkdir(mnt[i], 0755));
		fx_cairnfs(&o, "init", db[i], "--base", (char *)ob_base());
		cr_assert_eq(o.status, 0, "%s", o.err);
		fx_cairnfs(&o, "mount", db[i], mnt[i]);
		cr_assert_eq(o.status, 0, "%s", o.err);
	}
	for (int i = 0; i < AGENTS; i++) {
		snprintf(name, sizeof(name), "agent%d/shared", i);
		must(put_text(name, mnt[i]));
		snprintf(name, sizeof(name), "agent%d/own%d", i, i);
		must(put_text(name, mnt[i]));
		snprintf(name, sizeof(name), "agent%d/file", i);
		must(put_text(name, mnt[i]));
	}
	for (int i = 0; i < AGENTS; i++) {
		snprintf(name, sizeof(name), "agent%d/shared", i);
		cr_expect(holds_text(name, mnt[i]));
		snprintf(name, sizeof(name), "agent%d/file", i);
		cr_expect(holds_text(name, mnt[i]));
		cr_expect_eq(count_entries(mnt[i]), 11);
		fx_cairnfs(&o, "umount", mnt[i]);
		cr_assert_eq(o.status, 0, "%s", o.err);
	}
	cr_expect_str_eq(ob_sum_of_base(), sum);
	free(sum);
}

BOTH(base_that_was_moved)
{
	char moved[PATH_MAX], option[PATH_MAX + 16];

	strcpy(moved, fx_tmp_path("elsewhere"));
	must(rename(ob_base(), moved));
	expect_refused("rw", fx.db, ob_base());
	snprintf(option, sizeof(option), "base=%s", moved);
	fx_mount(option);
	cr_expect(holds_text("file", "base file\n"));
	must(put_text("file", "mine\n"));
	fx_umount();
	must(rename(moved, ob_base()));
	fx_mount(NULL);
	cr_expect(holds_text("file", "mine\n"));
}

BOTH(relative_base_is_stored_absolute)
{
	struct output o;
	char *name = strrchr(ob_base(), '/') + 1;

	unlink(fx.db);
	fx_cairnfs(&o, "init", fx.db, "--base", name);
	cr_assert_eq(o.status, 0, "%s", o.err);
	must(chdir("/"));
	fx_cairnfs(&o, "info", fx.db);
	cr_expect_not_null(strstr(o.out, ob_base()), "%s", o.out);
	fx_mount(NULL);
	cr_expect(holds_text("file", "base file\n"));
}

BOTH(read_only_mount_writes_nothing)
{
	struct output before, after;
	char *sum[] = { "sha256sum", fx.db, NULL };

	fx_run(&before, sum);
	fx_mount("ro");
	cr_expect(holds_text("dir/sub/deep/c", "c\n"));
	cr_expect_eq(count_entries("tree"), TREE_FILES + 10);
	fails_with(EROFS, open("file", O_WRONLY));
	fails_with(EROFS, mkdir("new", 0755));
	fx_umount();
	fx_run(&after, sum);
	cr_expect_str_eq(before.out, after.out);
}

BOTH(info_and_list_show_the_base)
{
	struct output o;

	fx_mount(NULL);
	fx_cairnfs(&o, "info", fx.db);
	cr_expect_not_null(strstr(o.out, ob_base()), "%s", o.out);
	fx_cairnfs(&o, "info", fx.db, "--json");
	cr_expect_not_null(strstr(o.out, ob_base()), "%s", o.out);
	fx_cairnfs(&o, "list");
	cr_expect_not_null(strstr(o.out, ob_base()), "%s", o.out);
	fx_cairnfs(&o, "list", "--json");
	cr_expect_not_null(strstr(o.out, ob_base()), "%s", o.out);
}

BOTH(check_is_content_with_every_change)
{
	struct output o;

	fx_mount("xattr,copy_whole=1");
	must(truncate("large", 200000));
	must(put_text("file", "mine\n"));
	must(chmod("one", 0600));
	must(unlink("one"));
	must(rename("dir", "moved"));
	must(mkdir("dir", 0755));
	fx_run(&o, (char *const[]){ "rm", "-r", "tree", NULL });
	fx_umount();
	fx_cairnfs(&o, "check", fx.db);
	cr_expect_eq(o.status, 0, "%s%s", o.out, o.err);
	fx_cairnfs(&o, "check", "--dense", fx.db);
	cr_expect_eq(o.status, 0, "%s%s", o.out, o.err);
	fx_cairnfs(&o, "check", fx.db);
	cr_expect_eq(o.status, 0, "%s%s", o.out, o.err);
	fx_mount("xattr");
	cr_expect_eq(size_of("large"), 200000);
	cr_expect(holds_text("two", "two names\n"));
	cr_expect(holds_text("moved/sub/deep/c", "c\n"));
}

Test(overlay_workspace, overlay_over_an_overlay)
{
	struct output o;
	char *top = strdup(fx_tmp_path("top.db"));

	fx_mount(NULL);
	must(put_text("dir/a", "middle\n"));
	must(rename("tree", "moved"));
	must(unlink("dir/b"));
	fx_umount();
	fx_cairnfs(&o, "init", top, "--base", fx.db);
	cr_assert_eq(o.status, 0, "%s", o.err);
	strcpy(fx.db, top);
	free(top);
	fx_mount(NULL);
	cr_expect(holds_text("dir/a", "middle\n"));
	cr_expect(holds_text("moved/d1/g", "tree/d1/g"));
	cr_expect(!exists("dir/b"));
	must(rename("moved", "again"));
	must(put_text("dir/a", "top\n"));
	must(put_text("dir/b", "top\n"));
	must(chmod("one", 0600));
	fx_remount();
	cr_expect(holds_text("dir/a", "top\n"));
	cr_expect(holds_text("again/d1/g", "tree/d1/g"));
	cr_expect_eq(count_entries("again"), TREE_FILES + 10);
	cr_expect_eq(mode_of("two"), 0600);
	cr_expect(!exists("moved"));
}

Test(overlay_workspace, changes_made_through_a_mount_of_the_base)
{
	ob_open_base();
	fx_mount(NULL);
	cr_expect_eq(count_entries("dir"), 3);
	must(put_text(ob_in_base("dir/late"), "late\n"));
	cr_expect(holds_text(ob_in_base("dir/late"), "late\n"));
	eventually(holds_text("dir/late", "late\n"));
	must(put_text("dir/late", "mine\n"));
	cr_expect(holds_text(ob_in_base("dir/late"), "late\n"));
	ob_close_base();
}

Test(overlay_workspace, bases_in_a_circle_are_refused)
{
	struct output o;
	char *other = strdup(fx_tmp_path("other.db"));
	char text[PATH_MAX + 128];

	/* other -> work -> base; work must not come to lie over other. */
	fx_cairnfs(&o, "init", other, "--base", fx.db);
	cr_assert_eq(o.status, 0, "%s", o.err);
	fx_cairnfs(&o, "init", fx.db, "--base", other, "--force");
	cr_expect_neq(o.status, 0);
	cr_expect_not_null(strstr(o.err, "itself"), "%s", o.err);
	fx_cairnfs(&o, "init", fx.db, "--base", fx.db, "--force");
	cr_expect_neq(o.status, 0);
	snprintf(text, sizeof(text), "UPDATE fs_overlay_config SET value = '%s'", other);
	sql(fx.db, text);
	expect_refused("rw", "itself", fx.db);
	snprintf(text, sizeof(text), "UPDATE fs_overlay_config SET value = '%s'", fx.db);
	sql(fx.db, text);
	expect_refused("rw", "itself", fx.db);
	free(other);
}

Test(overlay_workspace, base_that_is_no_workspace)
{
	struct output o;

	must(put_text(ob_base(), "just text, and more of it than a header of SQLite has bytes: "
				 "............................................................"));
	expect_refused("rw", "base.db", fx.db);
	fx_cairnfs(&o, "init", "new.db", "--base", (char *)ob_base());
	cr_expect_neq(o.status, 0);
	cr_expect(!exists("new.db"));
	fx_cairnfs(&o, "init", "new.db", "--base", "nowhere");
	cr_expect_neq(o.status, 0);
	cr_expect_not_null(strstr(o.err, "nowhere"), "%s", o.err);
	cr_expect(!exists("new.db"));
}

/* AgentFS's engine takes a lock on the whole file. */
Test(overlay_workspace, base_that_is_locked_by_agentfs)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = must(open(ob_base(), O_RDWR | O_CLOEXEC));

	must(fcntl(fd, F_OFD_SETLK, &lock));
	expect_refused("busy_timeout_ms=50", "locked", ob_base());
	close(fd);
	fx_mount(NULL);
	cr_expect(holds_text("file", "base file\n"));
}

Test(overlay_workspace, base_of_a_plain_workspace_is_refused)
{
	struct output o;
	char option[PATH_MAX + 16];

	fx_cairnfs(&o, "init", fx.db, "--force");
	cr_assert_eq(o.status, 0, "%s", o.err);
	snprintf(option, sizeof(option), "base=%s", ob_base());
	expect_refused(option, "no base", fx.db);
}

BOTH(base_on_a_read_only_file_system)
{
	char path[PATH_MAX], option[PATH_MAX + 16];

	fx_need_root();
	strcpy(path, fx_tmp_path("ro"));
	must(mkdir(path, 0755));
	must(rename(ob_base(), fx_tmp_path("ro/base")));
	must(mount(path, path, NULL, MS_BIND, NULL));
	must(mount(path, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
	snprintf(option, sizeof(option), "base=%s/base", path);
	fx_mount(option);
	cr_expect(holds_text("dir/sub/deep/c", "c\n"));
	must(put_text("dir/a", "mine\n"));
	fx_remount();
	cr_expect(holds_text("dir/a", "mine\n"));
	fx_umount();
	must(umount(path));
}

Test(overlay_directory, names_that_are_not_to_be_seen)
{
	fx_mount("base_ignore=f1*,base_ignore=dir/sub");
	cr_expect(!exists("tree/f1"));
	cr_expect(!exists("tree/f10"));
	cr_expect(exists("tree/f2"));
	cr_expect(!exists("dir/sub"));
	cr_expect_eq(count_entries("dir"), 2);
}

/* As AgentFS 0.6.4 makes one over the base directory: the tables of its SPEC.md, the overlay's as
 * its Rust SDK creates them. Here an agent has changed dir/a, made dir/sub/new and top, deleted
 * file and tree/d0, and made empty again after it had deleted it. */
static const char agentfs_overlay[] =
	"CREATE TABLE fs_config (key TEXT PRIMARY KEY, value TEXT NOT NULL);"
	"CREATE TABLE fs_inode (ino INTEGER PRIMARY KEY AUTOINCREMENT, mode INTEGER NOT NULL, "
	"nlink INTEGER NOT NULL DEFAULT 0, uid INTEGER NOT NULL DEFAULT 0, gid INTEGER NOT NULL "
	"DEFAULT 0, size INTEGER NOT NULL DEFAULT 0, atime INTEGER NOT NULL, mtime INTEGER NOT "
	"NULL, ctime INTEGER NOT NULL, rdev INTEGER NOT NULL DEFAULT 0, atime_nsec INTEGER NOT "
	"NULL DEFAULT 0, mtime_nsec INTEGER NOT NULL DEFAULT 0, ctime_nsec INTEGER NOT NULL "
	"DEFAULT 0);"
	"CREATE TABLE fs_dentry (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, "
	"parent_ino INTEGER NOT NULL, ino INTEGER NOT NULL, UNIQUE(parent_ino, name));"
	"CREATE INDEX idx_fs_dentry_parent ON fs_dentry(parent_ino, name);"
	"CREATE TABLE fs_data (ino INTEGER NOT NULL, chunk_index INTEGER NOT NULL, data BLOB NOT "
	"NULL, PRIMARY KEY (ino, chunk_index));"
	"CREATE TABLE fs_symlink (ino INTEGER PRIMARY KEY, target TEXT NOT NULL);"
	"CREATE TABLE kv_store (key TEXT PRIMARY KEY, value TEXT NOT NULL, created_at INTEGER "
	"DEFAULT (unixepoch()), updated_at INTEGER DEFAULT (unixepoch()));"
	"CREATE TABLE fs_whiteout (path TEXT PRIMARY KEY, created_at INTEGER NOT NULL);"
	"CREATE TABLE fs_overlay_config (key TEXT PRIMARY KEY, value TEXT NOT NULL);"
	"CREATE TABLE fs_origin (delta_ino INTEGER PRIMARY KEY, base_ino INTEGER NOT NULL);"
	"INSERT INTO fs_config VALUES ('chunk_size', '4096'), ('schema_version', '0.4');"
	"INSERT INTO fs_inode (ino, mode, nlink, size, atime, mtime, ctime) VALUES "
	"(1, 16877, 2, 0, 5, 5, 5), (2, 16877, 2, 0, 5, 5, 5), (3, 33188, 1, 8, 5, 5, 5), "
	"(4, 16877, 2, 0, 5, 5, 5), (5, 33188, 1, 4, 5, 5, 5), (6, 33188, 1, 4, 5, 5, 5), "
	"(7, 16877, 2, 0, 5, 5, 5);"
	"INSERT INTO fs_dentry (name, parent_ino, ino) VALUES ('dir', 1, 2), ('a', 2, 3), "
	"('sub', 2, 4), ('new', 4, 5), ('top', 1, 6), ('empty', 1, 7);"
	"INSERT INTO fs_data VALUES (3, 0, CAST('changed' || char(10) AS BLOB)), "
	"(5, 0, CAST('new' || char(10) AS BLOB)), (6, 0, CAST('top' || char(10) AS BLOB));"
	"INSERT INTO fs_origin VALUES (2, 12), (3, 13), (4, 14);"
	"INSERT INTO fs_whiteout VALUES ('/file', 6), ('/tree/d0/g', 6), ('/tree/d0', 6);";

static void expect_agentfs_tree(void)
{
	cr_expect(holds_text("dir/a", "changed\n"));
	cr_expect(holds_text("dir/b", "b\n"));
	cr_expect(holds_text("dir/sub/new", "new\n"));
	cr_expect(holds_text("dir/sub/deep/c", "c\n"));
	cr_expect(holds_text("top", "top\n"));
	cr_expect(holds_text("one", "two names\n"));
	cr_expect(!exists("file"));
	cr_expect(!exists("tree/d0"));
	cr_expect(exists("tree/d1/g"));
	cr_expect_eq(count_entries("."), 9);
	cr_expect_eq(count_entries("dir"), 3);
	cr_expect_eq(count_entries("empty"), 0);
	cr_expect_eq(count_entries("tree"), TREE_FILES + 9);
}

static void make_agentfs_overlay(void)
{
	char text[PATH_MAX + 128];

	must(unlink(fx.db));
	sql(fx.db, agentfs_overlay);
	snprintf(text, sizeof(text), "INSERT INTO fs_overlay_config VALUES ('base_path', '%s')",
		 ob_base());
	sql(fx.db, text);
}

Test(overlay_directory, overlay_made_by_agentfs_shows_the_same_tree)
{
	make_agentfs_overlay();
	fx_mount("ro");
	expect_agentfs_tree();
	fx_umount();
	cr_expect_eq(ob_number("SELECT COUNT(*) FROM sqlite_schema WHERE name = 'cairn_origin'"),
		     0);
	fx_mount(NULL);
	expect_agentfs_tree();
	fx_remount();
	expect_agentfs_tree();
}

Test(overlay_directory, overlay_made_by_agentfs_is_worked_on)
{
	struct output o;

	make_agentfs_overlay();
	fx_mount(NULL);
	must(put_text("dir/sub/deep/c", "mine\n"));
	must(unlink("dir/b"));
	must(rename("dir", "moved"));
	must(put_text("file", "mine\n"));
	must(mkdir("tree/d0", 0755));
	for (int i = 0; i < 2; i++) {
		cr_expect(holds_text("moved/sub/deep/c", "mine\n"));
		cr_expect(holds_text("moved/sub/new", "new\n"));
		cr_expect(holds_text("moved/a", "changed\n"));
		cr_expect_eq(count_entries("moved"), 2);
		cr_expect(!exists("dir"));
		cr_expect(holds_text("file", "mine\n"));
		cr_expect_eq(count_entries("tree/d0"), 0);
		fx_remount();
	}
	fx_umount();
	fx_cairnfs(&o, "check", fx.db);
	cr_expect_eq(o.status, 0, "%s%s", o.out, o.err);
}
