/* libcairnfs: a branch is a workspace as any other. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

TestSuite(api_overlay, .init = ax_setup, .fini = ax_teardown);

/* A branch at ax.db of the workspace or directory `base`, open. */
static void open_branch(const char *base)
{
	char sql[1024];

	ax_open();
	ax_close();
	snprintf(sql, sizeof(sql),
		 "CREATE TABLE fs_overlay_config (key TEXT PRIMARY KEY, value TEXT NOT NULL);"
		 "INSERT INTO fs_overlay_config VALUES ('base_path', '%s');"
		 "CREATE TABLE fs_whiteout (path TEXT PRIMARY KEY, parent_path TEXT NOT NULL,"
		 " created_at INTEGER NOT NULL);"
		 "CREATE TABLE fs_origin (delta_ino INTEGER PRIMARY KEY,"
		 " base_ino INTEGER NOT NULL);",
		 base);
	ax_sql(sql);
	ax_open();
}

/* A workspace with /d/f, "base", that is open in *ret, and a branch of it. */
static void branch_of_workspace(struct cairnfs **ret)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/base.db", ax.dir);
	ax_ok(cairnfs_open(path, &ax.options, ret));
	ax_ok(cairnfs_mkdir(*ret, "/d", 0755, 0));
	ax_ok(cairnfs_write_file(*ret, "/d/f", "base", 4));
	open_branch(path);
}

static void branch_of_directory(char *ret, size_t size)
{
	char path[600];
	int fd;

	snprintf(ret, size, "%s/base", ax.dir);
	cr_assert_eq(mkdir(ret, 0755), 0);
	snprintf(path, sizeof(path), "%s/f", ret);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	cr_assert_eq(write(fd, "base", 4), 4);
	close(fd);
	open_branch(ret);
}

static int count_entry(void *arg, const struct cairnfs_entry *entry)
{
	++*(int *)arg;
	return 0;
}

static int count(const char *path)
{
	int n = 0;

	ax_ok(cairnfs_list(ax.ws, path, count_entry, &n));
	return n;
}

Test(api_overlay, shows_the_base_and_keeps_its_changes_to_itself)
{
	struct cairnfs *base;

	branch_of_workspace(&base);
	cr_assert(ax_holds(ax.ws, "/d/f", "base"));
	ax_ok(cairnfs_append(ax.ws, "/d/f", "+", 1));
	ax_ok(cairnfs_write_file(ax.ws, "/d/g", "new", 3));
	cr_assert(ax_holds(ax.ws, "/d/f", "base+"));
	cr_assert_eq(count("/d"), 2);
	cr_assert(ax_holds(base, "/d/f", "base"));
	cr_assert_eq(cairnfs_exists(base, "/d/g"), 0);
	ax_close();
	ax_open();
	cr_assert(ax_holds(ax.ws, "/d/f", "base+"));
	ax_ok(cairnfs_close(base));
}

Test(api_overlay, what_is_removed_stays_removed)
{
	struct cairnfs *base;

	branch_of_workspace(&base);
	ax_ok(cairnfs_remove(ax.ws, "/d", CAIRNFS_RECURSIVE));
	cr_assert_eq(cairnfs_exists(ax.ws, "/d"), 0);
	ax_ok(cairnfs_mkdir(ax.ws, "/d", 0700, 0));
	cr_assert_eq(count("/d"), 0);
	ax_close();
	ax_open();
	cr_assert_eq(count("/d"), 0);
	cr_assert_eq(cairnfs_exists(base, "/d/f"), 1);
	ax_ok(cairnfs_close(base));
}

Test(api_overlay, sees_what_the_base_becomes)
{
	struct cairnfs *base;

	branch_of_workspace(&base);
	cr_assert(ax_holds(ax.ws, "/d/f", "base"));
	ax_ok(cairnfs_write_file(base, "/d/f", "changed", 7));
	ax_ok(cairnfs_write_file(base, "/d/h", "", 0));
	cr_assert(ax_holds(ax.ws, "/d/f", "changed"));
	cr_assert_eq(cairnfs_exists(ax.ws, "/d/h"), 1);
	ax_ok(cairnfs_remove(base, "/d/f", 0));
	cr_assert_eq(cairnfs_exists(ax.ws, "/d/f"), 0);
	ax_ok(cairnfs_close(base));
}

Test(api_overlay, two_handles_of_one_branch_agree)
{
	struct cairnfs *base, *other;

	branch_of_workspace(&base);
	other = ax_open_other();
	cr_assert(ax_holds(other, "/d/f", "base"));
	ax_ok(cairnfs_append(ax.ws, "/d/f", "1", 1));
	ax_ok(cairnfs_append(other, "/d/f", "2", 1));
	ax_ok(cairnfs_rename(ax.ws, "/d", "/e", 0));
	cr_assert(ax_holds(other, "/e/f", "base12"));
	ax_ok(cairnfs_remove(other, "/e/f", 0));
	cr_assert_eq(cairnfs_exists(ax.ws, "/e/f"), 0);
	ax_ok(cairnfs_close(other));
	ax_ok(cairnfs_close(base));
}

Test(api_overlay, directory_as_base)
{
	char base[512], path[600], text[8] = "";
	struct cairnfs_stat st;
	int fd;

	branch_of_directory(base, sizeof(base));
	ax_ok(cairnfs_stat(ax.ws, "/f", &st));
	cr_assert_eq(st.mode & 0777, 0640);
	ax_ok(cairnfs_write(ax.ws, "/f", "B", 1, 0));
	ax_ok(cairnfs_chmod(ax.ws, "/f", 0600));
	cr_assert(ax_holds(ax.ws, "/f", "Base"));
	snprintf(path, sizeof(path), "%s/f", base);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_eq(read(fd, text, sizeof(text)), 4);
	close(fd);
	cr_assert_str_eq(text, "base");
}

Test(api_overlay, keys_are_the_branches_own)
{
	struct cairnfs *base;
	char *value;

	branch_of_workspace(&base);
	ax_ok(cairnfs_kv_set(base, "k", "1"));
	ax_fails(cairnfs_kv_get(ax.ws, "k", &value, NULL), ENOENT);
	ax_ok(cairnfs_kv_set(ax.ws, "k", "2"));
	ax_ok(cairnfs_kv_get(base, "k", &value, NULL));
	cr_assert_str_eq(value, "1");
	free(value);
	ax_ok(cairnfs_close(base));
}

Test(api_overlay, read_only_writes_nothing)
{
	struct cairnfs *base;
	char *value;

	branch_of_workspace(&base);
	ax_close();
	ax.options.read_only = true;
	ax.options.create = false;
	ax_open();
	cr_assert(ax_holds(ax.ws, "/d/f", "base"));
	ax_fails(cairnfs_write_file(ax.ws, "/d/f", "x", 1), EROFS);
	ax_fails(cairnfs_kv_get(ax.ws, "none", &value, NULL), ENOENT);
	cr_assert_eq(ax_number("SELECT COUNT(*) FROM fs_inode"), 1);
	ax_ok(cairnfs_close(base));
}

Test(api_overlay, missing_base_is_said_in_a_line)
{
	char base[512], moved[600];
	struct cairnfs *ws = NULL;

	branch_of_directory(base, sizeof(base));
	ax_close();
	snprintf(moved, sizeof(moved), "%s-moved", base);
	cr_assert_eq(rename(base, moved), 0);
	ax_fails(cairnfs_open(ax.db, &ax.options, &ws), ENOENT);
	cr_assert_not_null(strstr(cairnfs_last_error(), base), "%s", cairnfs_last_error());
	cr_assert_null(strchr(cairnfs_last_error(), '\n'));
	cr_assert_null(ws);
}
