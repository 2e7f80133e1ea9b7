/* The tree of an overlay over both kinds of base: names, directories, links, and what of it is
 * still so after a remount. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "overlay_base.h"

BOTH_SUITES(ob_setup);

enum { MANY = 5000 };

/* What a rename or a deletion may add to the file, whatever lies below: some rows and pages. */
#define ROWS_ONLY (256 << 10)

BOTH(tree_is_that_of_the_base)
{
	struct output o;

	ob_open_base();
	fx_run(&o, (char *const[]){ "diff", "-r", "--no-dereference", "--exclude=large",
				    (char *)ob_in_base("."), fx.mnt, NULL });
	cr_expect_eq(o.status, 0, "%s", o.out);
	for (const char *const *name = (const char *const[]){ "file", "one", "large", "dir/a",
							      "link", "nowhere", NULL };
	     *name; name++) {
		struct stat here = stat_of(*name), there = stat_of(ob_in_base(*name));

		cr_expect_eq(here.st_mode, there.st_mode, "%s", *name);
		cr_expect_eq(here.st_uid, there.st_uid, "%s", *name);
		cr_expect_eq(here.st_gid, there.st_gid, "%s", *name);
		cr_expect_eq(here.st_nlink, there.st_nlink, "%s", *name);
		cr_expect_eq(here.st_size, there.st_size, "%s", *name);
		cr_expect(same_time(here.st_mtim, there.st_mtim), "%s", *name);
	}
	ob_close_base();
}

BOTH(reading_changes_no_byte_of_the_workspace)
{
	struct output before, after, o;
	char *sum[] = { "sha256sum", fx.db, NULL };

	fx_umount();
	fx_run(&before, sum);
	fx_mount("xattr");
	fx_run(&o, (char *const[]){ "sh", "-c",
				    "find . -ls >/dev/null && tar c --exclude=large . "
				    "| cat >/dev/null && head -c 400000 large && "
				    "stat nothing 2>/dev/null; true",
				    NULL });
	cr_assert_eq(o.status, 0, "%s", o.err);
	fx_umount();
	fx_run(&after, sum);
	cr_expect_str_eq(before.out, after.out);
	cr_expect_eq(ob_number("SELECT COUNT(*) FROM fs_inode"), 1);
}

BOTH(new_files_are_in_the_workspace_alone)
{
	char *sum;

	fx_umount();
	sum = strdup(ob_sum_of_base());
	fx_mount("xattr");
	must(put_text("new", "mine\n"));
	must(put_text("dir/new", "mine\n"));
	must(mkdir("dir/more", 0700));
	must(put_text("dir/more/deeper", "mine\n"));
	fx_remount();
	cr_expect(holds_text("new", "mine\n"));
	cr_expect(holds_text("dir/new", "mine\n"));
	cr_expect(holds_text("dir/more/deeper", "mine\n"));
	cr_expect_eq(count_entries("dir"), 5);
	fx_umount();
	cr_expect_str_eq(ob_sum_of_base(), sum);
	free(sum);
}

BOTH(deleted_files_and_trees_stay_deleted)
{
	struct output o;
	char *sum;

	fx_umount();
	sum = strdup(ob_sum_of_base());
	fx_mount("xattr");
	must(unlink("file"));
	fails_with(ENOENT, open("file", O_RDONLY));
	fails_with(ENOENT, open("link", O_RDONLY));
	fx_run(&o, (char *const[]){ "rm", "-r", "tree", NULL });
	cr_assert_eq(o.status, 0, "%s", o.err);
	for (int i = 0; i < 2; i++) {
		cr_expect(!exists("file"));
		cr_expect(!exists("tree"));
		fails_with(ENOENT, open("tree/f1", O_RDONLY));
		cr_expect_eq(count_entries("."), 7);
		fx_remount();
	}
	fx_umount();
	cr_expect_str_eq(ob_sum_of_base(), sum);
	free(sum);
}

BOTH(directory_made_again_is_empty)
{
	struct output o;

	for (int i = 0; i < 2; i++) {
		fx_run(&o, (char *const[]){ "rm", "-r", "dir", NULL });
		cr_assert_eq(o.status, 0, "%s", o.err);
		if (i == 1)
			fx_remount();
		must(mkdir("dir", 0700));
		cr_expect_eq(count_entries("dir"), 0);
		fails_with(ENOENT, open("dir/a", O_RDONLY));
		must(put_text("dir/b", "mine\n"));
		fx_remount();
		cr_expect_eq(count_entries("dir"), 1);
		cr_expect(holds_text("dir/b", "mine\n"));
		must(unlink("dir/b"));
		must(mkdir("dir/sub", 0700));
		fx_remount();
		cr_expect_eq(count_entries("dir"), 1);
		cr_expect_eq(count_entries("dir/sub"), 0);
	}
	must(rmdir("dir/sub"));
	must(rmdir("dir"));
	fx_remount();
	cr_expect(!exists("dir"));
}

BOTH(one_kind_takes_the_place_of_another)
{
	struct output o;

	must(unlink("file"));
	must(mkdir("file", 0755));
	must(put_text("file/in", "mine\n"));
	fx_run(&o, (char *const[]){ "rm", "-r", "tree", NULL });
	must(put_text("tree", "a file\n"));
	must(unlink("link"));
	must(put_text("link", "no link\n"));
	must(unlink("one"));
	must(symlink("two", "one"));
	fx_remount();
	cr_expect(holds_text("file/in", "mine\n"));
	cr_expect(holds_text("tree", "a file\n"));
	cr_expect(S_ISREG(stat_of("link").st_mode));
	cr_expect(holds_text("one", "two names\n"));
	cr_expect_eq(nlink_of("two"), 1);
	must(unlink("tree"));
	fx_remount();
	cr_expect(!exists("tree"));
	must(mkdir("tree", 0755));
	fx_remount();
	cr_expect_eq(count_entries("tree"), 0);
}

BOTH(file_renamed_over_one_of_the_base)
{
	must(put_text("mine", "mine\n"));
	must(rename("mine", "file"));
	must(rename("dir/a", "dir/b"));
	must(rename("one", "dir/sub/one"));
	for (int i = 0; i < 2; i++) {
		cr_expect(holds_text("file", "mine\n"));
		cr_expect(holds_text("dir/b", "a\n"));
		cr_expect(!exists("dir/a"));
		cr_expect(!exists("one"));
		cr_expect_eq(ino_of("dir/sub/one"), ino_of("two"));
		cr_expect_eq(nlink_of("two"), 2);
		fx_remount();
	}
}

static void expect_tree(const char *dir)
{
	char name[64], text[64];

	cr_expect_eq(count_entries(dir), TREE_FILES + 10);
	for (int i = 0; i < TREE_FILES; i += 37) {
		snprintf(name, sizeof(name), "%s/f%d", dir, i);
		snprintf(text, sizeof(text), "tree/f%d", i);
		cr_expect(holds_text(name, text), "%s", name);
	}
	snprintf(name, sizeof(name), "%s/d9/g", dir);
	cr_expect(holds_text(name, "tree/d9/g"));
}

BOTH(renamed_directory_keeps_its_contents_and_copies_none)
{
	off_t before;

	fx_umount();
	before = ob_size();
	fx_mount("xattr");
	must(rename("tree", "moved"));
	expect_tree("moved");
	cr_expect(!exists("tree"));
	fx_remount();
	expect_tree("moved");
	cr_expect(!exists("tree"));
	must(rename("moved", "empty/moved"));
	must(rename("empty/moved/d9", "d9"));
	must(rename("d9", "empty/moved/d9"));
	fx_remount();
	expect_tree("empty/moved");
	/* Into itself, from another that was renamed. */
	must(rename("dir", "empty/moved/dir"));
	must(rename("empty", "full"));
	fx_remount();
	cr_expect(holds_text("full/moved/dir/sub/deep/c", "c\n"));
	cr_expect(!exists("dir"));
	cr_expect(!exists("empty"));
	fx_umount();
	cr_expect_lt(ob_size() - before, ROWS_ONLY);
	cr_expect_lt(ob_number("SELECT COUNT(*) FROM fs_inode"), 10);
}

BOTH(changes_below_a_renamed_directory_stay_with_it)
{
	must(put_text("dir/a", "changed\n"));
	must(unlink("dir/b"));
	must(rename("dir", "moved"));
	must(mkdir("dir", 0755));
	must(put_text("dir/b", "mine\n"));
	must(put_text("moved/sub/deep/d", "new\n"));
	must(unlink("moved/sub/deep/c"));
	for (int i = 0; i < 2; i++) {
		cr_expect(holds_text("moved/a", "changed\n"));
		cr_expect(!exists("moved/b"));
		cr_expect(holds_text("moved/sub/deep/d", "new\n"));
		cr_expect_eq(count_entries("moved/sub/deep"), 1);
		cr_expect_eq(count_entries("dir"), 1);
		fx_remount();
	}
	must(rename("moved/sub", "dir/sub"));
	fx_remount();
	cr_expect_eq(count_entries("dir/sub/deep"), 1);
	cr_expect_eq(count_entries("moved"), 1);
}

BOTH(directory_renamed_over_an_empty_one_of_the_base)
{
	must(rename("dir", "empty"));
	fx_remount();
	cr_expect(holds_text("empty/sub/deep/c", "c\n"));
	cr_expect(!exists("dir"));
	must(mkdir("mine", 0755));
	must(put_text("mine/x", "x\n"));
	fails_with(ENOTEMPTY, rename("mine", "empty"));
	must(mkdir("dir", 0755));
	must(rename("mine", "dir"));
	fx_remount();
	cr_expect_eq(count_entries("dir"), 1);
	cr_expect(holds_text("dir/x", "x\n"));
}

BOTH(exchange)
{
	must(renameat2(AT_FDCWD, "dir", AT_FDCWD, "tree", RENAME_EXCHANGE));
	must(renameat2(AT_FDCWD, "file", AT_FDCWD, "empty", RENAME_EXCHANGE));
	for (int i = 0; i < 2; i++) {
		expect_tree("dir");
		cr_expect(holds_text("tree/sub/deep/c", "c\n"));
		cr_expect(holds_text("empty", "base file\n"));
		cr_expect_eq(count_entries("file"), 0);
		fx_remount();
	}
	must(renameat2(AT_FDCWD, "dir", AT_FDCWD, "tree", RENAME_EXCHANGE));
	fails_with(EEXIST, renameat2(AT_FDCWD, "dir", AT_FDCWD, "tree", RENAME_NOREPLACE));
	fx_remount();
	expect_tree("tree");
}

BOTH(rmdir_sees_both_layers)
{
	fails_with(ENOTEMPTY, rmdir("dir/sub/deep"));
	must(unlink("dir/sub/deep/c"));
	must(put_text("dir/sub/deep/mine", "mine\n"));
	fails_with(ENOTEMPTY, rmdir("dir/sub/deep"));
	fx_remount();
	fails_with(ENOTEMPTY, rmdir("dir/sub/deep"));
	must(unlink("dir/sub/deep/mine"));
	must(rmdir("dir/sub/deep"));
	must(rmdir("dir/sub"));
	must(rmdir("empty"));
	fx_remount();
	cr_expect_eq(count_entries("dir"), 2);
	cr_expect(!exists("empty"));
	fails_with(ENOTEMPTY, rmdir("dir"));
}

BOTH(hard_links_of_the_base_are_one_file)
{
	ino_t ino = ino_of("one");

	cr_expect_eq(ino_of("two"), ino);
	must(put_text("one", "changed\n"));
	cr_expect(holds_text("two", "changed\n"));
	must(link("two", "three"));
	for (int i = 0; i < 2; i++) {
		cr_expect_eq(ino_of("one"), ino);
		cr_expect_eq(ino_of("two"), ino);
		cr_expect_eq(ino_of("three"), ino);
		cr_expect_eq(nlink_of("two"), 3);
		cr_expect(holds_text("two", "changed\n"));
		fx_remount();
	}
	must(unlink("one"));
	must(unlink("three"));
	fx_remount();
	cr_expect_eq(nlink_of("two"), 1);
	cr_expect(holds_text("two", "changed\n"));
	must(unlink("two"));
	fx_umount();
	cr_expect_eq(ob_number("SELECT COUNT(*) FROM fs_data"), 0);
}

BOTH(symbolic_links)
{
	char target[16] = "";

	cr_expect_eq(must(readlink("link", target, sizeof(target))), 4);
	cr_expect(holds_text("link", "base file\n"));
	must(put_text("link", "through it\n"));
	cr_expect(holds_text("file", "through it\n"));
	must(rename("nowhere", "dir/nowhere"));
	must(link("link", "hard"));
	fx_remount();
	cr_expect_eq(must(readlink("dir/nowhere", target, sizeof(target))), 4);
	cr_expect_eq(must(readlink("hard", target, sizeof(target))), 4);
	cr_expect_eq(memcmp(target, "file", 4), 0);
	cr_expect_eq(ino_of("hard"), ino_of("link"));
}

BOTH(whiteouts_hide_what_lies_below_them)
{
	struct output o;

	fx_umount();
	fx_run(&o,
	       (char *const[]){ "sqlite3", fx.db,
				"INSERT INTO fs_whiteout (path, parent_path, created_at) VALUES "
				"('/dir/sub', '/dir', 1), ('/tree', '/', 1), ('/dir/nothing', "
				"'/dir', 1)",
				NULL });
	cr_assert_eq(o.status, 0, "%s", o.err);
	fx_mount("xattr");
	fails_with(ENOENT, open("dir/sub", O_RDONLY));
	fails_with(ENOENT, open("dir/sub/deep/c", O_RDONLY));
	fails_with(ENOENT, open("tree/d1/g", O_RDONLY));
	cr_expect_eq(count_entries("dir"), 2);
}

/* Each entry that was there all the time is listed once, whatever happens to it and around it. */
BOTH(large_directory_is_listed_once_while_it_changes)
{
	static unsigned char seen[2 * MANY];
	char name[64];
	DIR *dir;
	int n = 0;

	fx_umount();
	ob_open_base();
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "empty/e%d", i);
		must(put_text(ob_in_base(name), ""));
	}
	ob_close_base();
	fx_mount("xattr");
	dir = opendir("empty");
	cr_assert(dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL; n++) {
		if (entry->d_name[0] == 'e')
			seen[strtoul(entry->d_name + 1, NULL, 10)]++;
		if (n % 10 != 0 || n / 10 >= MANY / 20)
			continue;
		/* Copied up, deleted, made, all around the reader. */
		snprintf(name, sizeof(name), "empty/e%d", 10 * (n / 10));
		must(chmod(name, 0600));
		snprintf(name, sizeof(name), "empty/e%d", 10 * (n / 10) + 1);
		must(unlink(name));
		snprintf(name, sizeof(name), "empty/e%d", MANY + n);
		must(put_text(name, ""));
		if (n % 1000 == 0) {
			int fd = must(open("empty", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

			must(fsync(fd));
			close(fd);
		}
	}
	closedir(dir);
	for (int i = 0; i < MANY; i++) {
		bool deleted = i % 10 == 1 && i / 10 < MANY / 20;

		if (deleted ? seen[i] > 1 : seen[i] != 1)
			cr_expect_fail("e%d is listed %u times", i, seen[i]);
	}
	for (int i = MANY; i < 2 * MANY; i++)
		cr_expect_leq(seen[i], 1, "e%d", i);
	cr_expect_eq(count_entries("empty"), MANY);
	fx_remount();
	cr_expect_eq(count_entries("empty"), MANY);
}

BOTH(what_was_synced_outlives_the_daemon)
{
	int fd;

	must(rename("dir", "moved"));
	must(unlink("file"));
	must(put_text("moved/a", "changed\n"));
	fd = must(open("moved/a", O_RDONLY | O_CLOEXEC));
	must(fsync(fd));
	close(fd);
	fx_kill9_remount();
	cr_expect(holds_text("moved/a", "changed\n"));
	cr_expect(holds_text("moved/b", "b\n"));
	cr_expect(!exists("file"));
	cr_expect(!exists("dir"));
	fx_umount();
}
