/* libcairnfs: directories, names, links. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fixture.h"

TestSuite(api_tree, .init = ax_setup_open, .fini = ax_teardown);

static void make(const char *path)
{
	ax_ok(cairnfs_write_file(ax.ws, path, path, strlen(path)));
}

static void make_dir(const char *path)
{
	ax_ok(cairnfs_mkdir(ax.ws, path, 0755, CAIRNFS_PARENTS));
}

static bool is_there(const char *path)
{
	int r = cairnfs_exists(ax.ws, path);

	cr_assert_geq(r, 0, "%s", cairnfs_last_error());
	return r;
}

Test(api_tree, stat_tells_kind_and_size)
{
	struct cairnfs_stat st;

	make("/a");
	ax_ok(cairnfs_symlink(ax.ws, "a", "/l"));
	ax_ok(cairnfs_stat(ax.ws, "/", &st));
	cr_assert_eq(st.ino, 1);
	cr_assert(S_ISDIR(st.mode));
	ax_ok(cairnfs_stat(ax.ws, "l", &st));
	cr_assert(S_ISREG(st.mode));
	cr_assert_eq(st.size, 2);
	ax_ok(cairnfs_lstat(ax.ws, "l", &st));
	cr_assert(S_ISLNK(st.mode));
	cr_assert_eq(st.size, 1);
	ax_fails(cairnfs_stat(ax.ws, "/none", &st), ENOENT);
	ax_fails(cairnfs_stat(ax.ws, "/a", NULL), EINVAL);
}

Test(api_tree, exists_tells_no_from_could_not_tell)
{
	make("/a");
	ax_ok(cairnfs_symlink(ax.ws, "nowhere", "/dangling"));
	ax_ok(cairnfs_symlink(ax.ws, "loop", "/loop"));
	cr_assert_eq(cairnfs_exists(ax.ws, "/a"), 1);
	cr_assert_eq(cairnfs_exists(ax.ws, "/"), 1);
	cr_assert_eq(cairnfs_exists(ax.ws, "/b"), 0);
	cr_assert_eq(cairnfs_exists(ax.ws, "/b/c"), 0);
	cr_assert_eq(cairnfs_exists(ax.ws, "/a/c"), 0);
	cr_assert_eq(cairnfs_exists(ax.ws, "/dangling"), 0);
	ax_fails(cairnfs_exists(ax.ws, "/loop"), ELOOP);
	ax_fails(cairnfs_exists(ax.ws, NULL), EINVAL);
	/* An entry whose inode is missing is damage, and not absence. */
	ax_sql("DELETE FROM fs_inode WHERE mode & 61440 = 32768");
	ax_fails(cairnfs_exists(ax.ws, "/a"), EIO);
}

Test(api_tree, mkdir_makes_one_or_all)
{
	struct cairnfs_stat st;

	ax_ok(cairnfs_mkdir(ax.ws, "/d", 0700, 0));
	ax_ok(cairnfs_stat(ax.ws, "/d", &st));
	cr_assert_eq(st.mode, S_IFDIR | 0700);
	cr_assert_eq(st.nlink, 2);
	ax_fails(cairnfs_mkdir(ax.ws, "/d", 0700, 0), EEXIST);
	ax_fails(cairnfs_mkdir(ax.ws, "/", 0700, 0), EEXIST);
	ax_fails(cairnfs_mkdir(ax.ws, "/x/y", 0700, 0), ENOENT);
	ax_ok(cairnfs_mkdir(ax.ws, "/e/", 0755, 0));
	ax_ok(cairnfs_mkdir(ax.ws, "x//y/z/", 0755, CAIRNFS_PARENTS));
	ax_ok(cairnfs_mkdir(ax.ws, "/x/y/z", 0755, CAIRNFS_PARENTS));
	ax_ok(cairnfs_mkdir(ax.ws, "/", 0755, CAIRNFS_PARENTS));
	cr_assert(is_there("/x/y/z"));
	ax_fails(cairnfs_mkdir(ax.ws, "/q", 010000, 0), EINVAL);
	ax_fails(cairnfs_mkdir(ax.ws, "/q", 0755, 8), EINVAL);
	ax_fails(cairnfs_mkdir(ax.ws, "", 0755, CAIRNFS_PARENTS), ENOENT);
}

Test(api_tree, mkdir_with_parents_does_not_take_files_for_directories)
{
	make("/f");
	ax_ok(cairnfs_mkdir(ax.ws, "/d", 0755, 0));
	ax_ok(cairnfs_symlink(ax.ws, "d", "/l"));
	ax_ok(cairnfs_symlink(ax.ws, "nowhere", "/dangling"));
	ax_fails(cairnfs_mkdir(ax.ws, "/f", 0755, CAIRNFS_PARENTS), EEXIST);
	ax_fails(cairnfs_mkdir(ax.ws, "/f/a", 0755, CAIRNFS_PARENTS), ENOTDIR);
	ax_fails(cairnfs_mkdir(ax.ws, "/dangling", 0755, CAIRNFS_PARENTS), EEXIST);
	ax_ok(cairnfs_mkdir(ax.ws, "/l/a/b", 0755, CAIRNFS_PARENTS));
	cr_assert(is_there("/d/a/b"));
}

struct names {
	unsigned int count, dirs;
	bool seen[1000];
	int stop_at;
};

static int note(void *arg, const struct cairnfs_entry *entry)
{
	struct names *names = arg;
	int n = atoi(entry->name);

	cr_assert(n >= 0 && n < 1000 && !names->seen[n]);
	names->seen[n] = true;
	names->dirs += S_ISDIR(entry->type);
	return (int)++names->count == names->stop_at ? 42 : 0;
}

Test(api_tree, list_has_each_entry_once)
{
	struct names names = { 0 };
	char path[32];

	make_dir("/d");
	ax_ok(cairnfs_list(ax.ws, "/d", note, &names));
	cr_assert_eq(names.count, 0);
	ax.options.durability = CAIRNFS_DURABILITY_ASYNC;
	ax_close();
	ax_open();
	for (int i = 0; i < 1000; i++) {
		snprintf(path, sizeof(path), "/d/%d", i);
		if (i % 10)
			make(path);
		else
			make_dir(path);
	}
	ax_ok(cairnfs_list(ax.ws, "/d/", note, &names));
	cr_assert_eq(names.count, 1000);
	cr_assert_eq(names.dirs, 100);
	names = (struct names){ .stop_at = 700 };
	cr_assert_eq(cairnfs_list(ax.ws, "/d", note, &names), 42);
	cr_assert_eq(names.count, 700);
	ax_fails(cairnfs_list(ax.ws, "/d/1", note, &names), ENOTDIR);
	ax_fails(cairnfs_list(ax.ws, "/none", note, &names), ENOENT);
	ax_fails(cairnfs_list(ax.ws, "/d", NULL, NULL), EINVAL);
}

static int remove_it(void *arg, const struct cairnfs_entry *entry)
{
	char path[64];

	snprintf(path, sizeof(path), "/d/%s", entry->name);
	return cairnfs_remove(ax.ws, path, 0);
}

Test(api_tree, a_callback_may_call_the_library)
{
	make_dir("/d/1");
	make("/d/2");
	ax_ok(cairnfs_list(ax.ws, "/d", remove_it, NULL));
	ax_ok(cairnfs_remove(ax.ws, "/d", 0));
}

Test(api_tree, remove_takes_files_links_and_empty_directories)
{
	make_dir("/d/e");
	make("/d/f");
	ax_ok(cairnfs_symlink(ax.ws, "d", "/l"));
	ax_fails(cairnfs_remove(ax.ws, "/d", 0), ENOTEMPTY);
	ax_fails(cairnfs_remove(ax.ws, "/d/f/", 0), ENOTDIR);
	ax_fails(cairnfs_remove(ax.ws, "/l/", 0), ENOTDIR);
	ax_fails(cairnfs_remove(ax.ws, "/l/", CAIRNFS_RECURSIVE), ENOTDIR);
	ax_fails(cairnfs_remove(ax.ws, "/none", CAIRNFS_RECURSIVE), ENOENT);
	ax_fails(cairnfs_remove(ax.ws, "/", CAIRNFS_RECURSIVE), EBUSY);
	ax_fails(cairnfs_remove(ax.ws, "/d/.", CAIRNFS_RECURSIVE), EINVAL);
	ax_fails(cairnfs_remove(ax.ws, "/d", 8), EINVAL);
	ax_ok(cairnfs_remove(ax.ws, "/l", 0));
	ax_ok(cairnfs_remove(ax.ws, "/d/e/", 0));
	ax_ok(cairnfs_remove(ax.ws, "/d/f", 0));
	ax_ok(cairnfs_remove(ax.ws, "/d", 0));
	cr_assert_eq(ax_number("SELECT COUNT(*) FROM fs_inode"), 1);
}

Test(api_tree, remove_recursive_takes_all_below_and_nothing_else)
{
	char path[64];

	ax_close();
	ax.options.durability = CAIRNFS_DURABILITY_ASYNC;
	ax_open();
	make("/keep");
	make_dir("/t/a/b/c/d/e");
	for (int i = 0; i < 600; i++) {
		snprintf(path, sizeof(path), "/t/a/%d", i);
		make(path);
		snprintf(path, sizeof(path), "/t/%d/x", i);
		make_dir(path);
	}
	ax_ok(cairnfs_symlink(ax.ws, "/keep", "/t/a/link"));
	ax_ok(cairnfs_symlink(ax.ws, "/", "/t/a/root"));
	ax_ok(cairnfs_remove(ax.ws, "/t", CAIRNFS_RECURSIVE));
	cr_assert_not(is_there("/t"));
	cr_assert(ax_holds(ax.ws, "/keep", "/keep"));
	ax_ok(cairnfs_remove(ax.ws, "/keep", CAIRNFS_RECURSIVE));
	ax_close();
	cr_assert_eq(ax_number("SELECT COUNT(*) FROM fs_inode"), 1);
	cr_assert_eq(ax_number("SELECT COUNT(*) FROM fs_data"), 0);
	cr_assert_eq(ax_number("SELECT nlink FROM fs_inode"), 2);
}

Test(api_tree, rename_moves_and_replaces)
{
	make_dir("/d");
	make("/a");
	make("/b");
	ax_ok(cairnfs_rename(ax.ws, "/a", "/d/c", 0));
	cr_assert(ax_holds(ax.ws, "/d/c", "/a"));
	ax_ok(cairnfs_rename(ax.ws, "/b", "/d/c", 0));
	cr_assert(ax_holds(ax.ws, "/d/c", "/b"));
	cr_assert_not(is_there("/a") || is_there("/b"));
	ax_ok(cairnfs_rename(ax.ws, "/d/", "/e/", 0));
	cr_assert(is_there("/e/c"));
	ax_ok(cairnfs_rename(ax.ws, "/e/c", "/e/c", 0));
	make("/a");
	ax_fails(cairnfs_rename(ax.ws, "/a", "/e/c", CAIRNFS_NOREPLACE), EEXIST);
	ax_ok(cairnfs_rename(ax.ws, "/a", "/e/c", CAIRNFS_EXCHANGE));
	cr_assert(ax_holds(ax.ws, "/a", "/b"));
	cr_assert(ax_holds(ax.ws, "/e/c", "/a"));
	ax_ok(cairnfs_rename(ax.ws, "/a", "/z", CAIRNFS_NOREPLACE));
}

Test(api_tree, rename_refuses_what_cannot_be)
{
	make_dir("/d/e/f");
	make_dir("/empty");
	make("/a");
	ax_fails(cairnfs_rename(ax.ws, "/none", "/b", 0), ENOENT);
	ax_fails(cairnfs_rename(ax.ws, "/a", "/none/b", 0), ENOENT);
	ax_fails(cairnfs_rename(ax.ws, "/a", "/b/", 0), ENOTDIR);
	ax_fails(cairnfs_rename(ax.ws, "/a/", "/b", 0), ENOTDIR);
	ax_fails(cairnfs_rename(ax.ws, "/a", "/empty", 0), EISDIR);
	ax_fails(cairnfs_rename(ax.ws, "/empty", "/a", 0), ENOTDIR);
	ax_fails(cairnfs_rename(ax.ws, "/empty", "/d", 0), ENOTEMPTY);
	ax_fails(cairnfs_rename(ax.ws, "/d", "/d/e/g", 0), EINVAL);
	ax_fails(cairnfs_rename(ax.ws, "/d", "/d/e/f/../../x", 0), EINVAL);
	ax_ok(cairnfs_symlink(ax.ws, "/d/e", "/empty/up"));
	ax_fails(cairnfs_rename(ax.ws, "/d", "/empty/up/x", 0), EINVAL);
	ax_fails(cairnfs_rename(ax.ws, "/d", "/d", CAIRNFS_NOREPLACE), EEXIST);
	ax_fails(cairnfs_rename(ax.ws, "/d/e", "/d", CAIRNFS_EXCHANGE), EINVAL);
	ax_fails(cairnfs_rename(ax.ws, "/a", "/none", CAIRNFS_EXCHANGE), ENOENT);
	ax_fails(cairnfs_rename(ax.ws, "/", "/x", 0), EBUSY);
	ax_fails(cairnfs_rename(ax.ws, "/a", "/", 0), EBUSY);
	ax_fails(cairnfs_rename(ax.ws, "/a", "/b", 3), EINVAL);
	ax_fails(cairnfs_rename(ax.ws, "/a", NULL, 0), EINVAL);
	ax_ok(cairnfs_rename(ax.ws, "/d/e/f", "/empty/f", 0));
}

Test(api_tree, links_lead_where_they_say)
{
	char *target = NULL, longest[4098];

	memset(longest, 'x', sizeof(longest));
	longest[4096] = '\0';
	ax_ok(cairnfs_symlink(ax.ws, "any/where", "/l"));
	ax_ok(cairnfs_readlink(ax.ws, "/l", &target));
	cr_assert_str_eq(target, "any/where");
	free(target);
	ax_fails(cairnfs_symlink(ax.ws, "x", "/l"), EEXIST);
	ax_fails(cairnfs_symlink(ax.ws, "x", "/"), EEXIST);
	ax_fails(cairnfs_symlink(ax.ws, "x", "/new/"), ENOENT);
	ax_fails(cairnfs_symlink(ax.ws, "", "/m"), ENOENT);
	ax_fails(cairnfs_symlink(ax.ws, longest, "/m"), ENAMETOOLONG);
	ax_fails(cairnfs_symlink(ax.ws, NULL, "/m"), EINVAL);
	ax_fails(cairnfs_readlink(ax.ws, "/", &target), EINVAL);
	ax_fails(cairnfs_readlink(ax.ws, "/none", &target), ENOENT);
	ax_fails(cairnfs_readlink(ax.ws, "/l", NULL), EINVAL);
}

Test(api_tree, a_file_may_have_two_names)
{
	struct cairnfs_stat a, b;

	make("/a");
	make_dir("/d");
	ax_ok(cairnfs_link(ax.ws, "/a", "/d/b"));
	ax_ok(cairnfs_stat(ax.ws, "/a", &a));
	ax_ok(cairnfs_stat(ax.ws, "/d/b", &b));
	cr_assert_eq(a.ino, b.ino);
	cr_assert_eq(a.nlink, 2);
	ax_ok(cairnfs_remove(ax.ws, "/a", 0));
	cr_assert(ax_holds(ax.ws, "/d/b", "/a"));
	ax_fails(cairnfs_link(ax.ws, "/d/b", "/d"), EEXIST);
	ax_fails(cairnfs_link(ax.ws, "/d", "/e"), EPERM);
	ax_fails(cairnfs_link(ax.ws, "/none", "/e"), ENOENT);
	ax_fails(cairnfs_link(ax.ws, "/d/b", "/e/"), ENOENT);
	ax_fails(cairnfs_link(ax.ws, "/d/b", NULL), EINVAL);
	/* The link itself, as link(2) has it. */
	ax_ok(cairnfs_symlink(ax.ws, "d/b", "/l"));
	ax_ok(cairnfs_link(ax.ws, "/l", "/m"));
	ax_ok(cairnfs_lstat(ax.ws, "/m", &b));
	cr_assert(S_ISLNK(b.mode));
}
