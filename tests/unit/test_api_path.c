/* libcairnfs: what a path stands for. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fixture.h"

static void set_up(void)
{
	ax_setup_open();
	ax_ok(cairnfs_mkdir(ax.ws, "/d/e", 0755, CAIRNFS_PARENTS));
	ax_ok(cairnfs_write_file(ax.ws, "/d/e/f", "found", 5));
}

TestSuite(api_path, .init = set_up, .fini = ax_teardown);

static void leads(const char *path)
{
	cr_assert(ax_holds(ax.ws, path, "found"), "'%s' does not lead to the file: %s", path,
		  cairnfs_last_error());
}

static void fails(const char *path, int error)
{
	struct cairnfs_stat st;
	int r = cairnfs_stat(ax.ws, path, &st);

	cr_assert_eq(r, -error, "stat of '%s' says %d", path, r);
}

Test(api_path, begins_at_the_root_with_or_without_a_slash)
{
	leads("/d/e/f");
	leads("d/e/f");
	leads("///d///e//f");
}

Test(api_path, dots_mean_what_they_mean)
{
	leads("./d/./e/../e/f");
	leads("/../../d/e/f");
	leads("d/e/../../d/e/f");
	fails("d/e/f/.", ENOTDIR);
	fails("d/e/f/..", ENOTDIR);
	fails("none/../d", ENOENT);
	fails("d/...", ENOENT);
}

Test(api_path, a_slash_at_the_end_asks_for_a_directory)
{
	struct cairnfs_stat st;

	ax_ok(cairnfs_stat(ax.ws, "/d/e/", &st));
	ax_ok(cairnfs_stat(ax.ws, "/d/e//", &st));
	fails("/d/e/f/", ENOTDIR);
	fails("/d/none/", ENOENT);
}

Test(api_path, links_are_followed)
{
	struct cairnfs_stat st;

	ax_ok(cairnfs_symlink(ax.ws, "e", "/d/rel"));
	ax_ok(cairnfs_symlink(ax.ws, "/d", "/abs"));
	ax_ok(cairnfs_symlink(ax.ws, "../d/./rel/f", "/d/far"));
	ax_ok(cairnfs_symlink(ax.ws, "/", "/d/root"));
	leads("/d/rel/f");
	leads("/abs/rel/f");
	leads("/d/far");
	leads("/abs/far");
	leads("/d/root/d/root/abs/e/f");
	/* ".." after a link is the parent of where it led. */
	leads("/d/root/../d/e/f");
	leads("/abs/../d/e/f");
	ax_ok(cairnfs_lstat(ax.ws, "/d/rel", &st));
	cr_assert(S_ISLNK(st.mode));
	ax_ok(cairnfs_lstat(ax.ws, "/d/rel/", &st));
	cr_assert(S_ISDIR(st.mode));
	ax_ok(cairnfs_lstat(ax.ws, "/d/root", &st));
	cr_assert(S_ISLNK(st.mode));
	fails("/d/far/", ENOTDIR);
	fails("/d/far/x", ENOTDIR);
}

Test(api_path, forty_links_and_no_more)
{
	char from[16], to[16];

	ax_ok(cairnfs_symlink(ax.ws, "d/e/f", "/l1"));
	for (int i = 2; i <= 41; i++) {
		snprintf(to, sizeof(to), "l%d", i - 1);
		snprintf(from, sizeof(from), "/l%d", i);
		ax_ok(cairnfs_symlink(ax.ws, to, from));
	}
	leads("/l40");
	fails("/l41", ELOOP);
	ax_ok(cairnfs_symlink(ax.ws, "a", "/b"));
	ax_ok(cairnfs_symlink(ax.ws, "b", "/a"));
	fails("/a", ELOOP);
	fails("/a/x", ELOOP);
}

Test(api_path, lengths_have_limits)
{
	char name[300], path[5000] = "";

	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	ax_ok(cairnfs_write_file(ax.ws, name, "x", 1));
	name[255] = 'n';
	name[256] = '\0';
	fails(name, ENAMETOOLONG);
	ax_fails(cairnfs_write_file(ax.ws, name, "x", 1), ENAMETOOLONG);
	/* 4095 bytes, and one more. */
	memset(path, '/', 4096);
	strcpy(path + 4091, "d/e/f");
	leads(path + 1);
	fails(path, ENAMETOOLONG);
}

Test(api_path, the_empty_path_leads_nowhere)
{
	fails("", ENOENT);
}

Test(api_path, names_are_bytes)
{
	ax_ok(cairnfs_write_file(ax.ws, "/\xff\xfe", "x", 1));
	cr_assert(ax_holds(ax.ws, "\xff\xfe", "x"));
	ax_close();
	ax_open();
	cr_assert(ax_holds(ax.ws, "\xff\xfe", "x"));
}

Test(api_path, errors_name_the_path)
{
	fails("/d/none", ENOENT);
	cr_assert_str_eq(cairnfs_last_error(), "cannot stat '/d/none': No such file or directory");
}
