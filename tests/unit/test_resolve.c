/* Workspace arguments and directories become absolute paths. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mount/resolve.h"
#include "util/macro.h"

static char tmp[PATH_MAX];

static void setup(void)
{
	char template[] = "/tmp/cairnfs-resolve-XXXXXX";

	cr_assert_not_null(mkdtemp(template));
	cr_assert_not_null(realpath(template, tmp));
	cr_assert_eq(chdir(tmp), 0);
}

static void teardown(void)
{
	char command[PATH_MAX + 16];

	snprintf(command, sizeof(command), "rm -rf '%s'", tmp);
	cr_expect_eq(chdir("/"), 0);
	cr_expect_eq(system(command), 0);
}

TestSuite(resolve, .init = setup, .fini = teardown);

static void touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
	close(fd);
}

/* `argument` stands for `expected`, relative to the temporary directory unless absolute. */
static void resolves(const char *argument, const char *expected, bool expected_id)
{
	_cleanup_(cairn_freep) char *path = NULL;
	struct cairn_error err = { 0 };
	char absolute[PATH_MAX * 2];
	bool id;
	int r;

	r = cairn_resolve_workspace(argument, &path, &id, &err);
	cr_assert_eq(r, 0, "%s: %s", argument, err.text);
	snprintf(absolute, sizeof(absolute), "%s/%s", tmp, expected);
	cr_expect_str_eq(path, expected[0] == '/' ? expected : absolute);
	cr_expect_eq(id, expected_id, "%s", argument);
}

Test(resolve, id_means_a_file_below_agentfs)
{
	resolves("my-agent_7", ".agentfs/my-agent_7.db", true);
}

Test(resolve, dot_or_slash_makes_it_a_path)
{
	resolves("work.db", "work.db", false);
	resolves("./work", "work", false);
	resolves("/nowhere/work", "/nowhere/work", false);
	resolves("/work", "/work", false);
}

Test(resolve, existing_file_is_a_path_even_if_it_looks_like_an_id)
{
	touch("work");
	resolves("work", "work", false);
}

Test(resolve, existing_directory_does_not_hide_an_id)
{
	cr_assert_eq(mkdir("work", 0700), 0);
	resolves("work", ".agentfs/work.db", true);
}

Test(resolve, symbolic_links_are_followed)
{
	touch("real.db");
	cr_assert_eq(symlink("real.db", "link.db"), 0);
	cr_assert_eq(mkdir("dir", 0700), 0);
	cr_assert_eq(symlink("dir", "dirlink"), 0);
	resolves("link.db", "real.db", false);
	resolves("dirlink/new.db", "dir/new.db", false);
}

Test(resolve, other_words_are_refused)
{
	static const char *const words[] = { "", "two words", "a:b", "m\xc3\xbcll" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct cairn_error err = { 0 };
		char *path = NULL;

		cr_expect_eq(cairn_resolve_workspace(words[i], &path, NULL, &err), -EINVAL);
		cr_expect_null(path);
		cr_expect(strstr(err.text, words[i]));
	}
}

static void directory_resolves(const char *argument, const char *expected)
{
	_cleanup_(cairn_freep) char *path = NULL;
	char absolute[PATH_MAX * 2];

	cr_assert_eq(cairn_resolve_directory(argument, &path), 0, "%s", argument);
	snprintf(absolute, sizeof(absolute), "%s%s", tmp, expected);
	cr_expect_str_eq(path, absolute);
}

Test(resolve, directory_is_found_by_all_its_spellings)
{
	cr_assert_eq(mkdir("dir", 0700), 0);
	cr_assert_eq(symlink("dir", "link"), 0);
	directory_resolves("dir", "/dir");
	directory_resolves("dir///", "/dir");
	directory_resolves("link/", "/dir");
	directory_resolves("./dir/../link", "/dir");
	directory_resolves(".", "");
}

Test(resolve, root_directory_is_itself)
{
	_cleanup_(cairn_freep) char *path = NULL;

	cr_assert_eq(cairn_resolve_directory("//", &path), 0);
	cr_expect_str_eq(path, "/");
}

Test(resolve, missing_directory_is_enoent)
{
	char *path = NULL;

	cr_expect_eq(cairn_resolve_directory("nowhere", &path), -ENOENT);
	cr_expect_null(path);
}

Test(resolve, relative_paths_become_absolute)
{
	_cleanup_(cairn_freep) char *path = NULL;

	cr_assert_eq(chdir("/"), 0);
	cr_assert_eq(cairn_resolve_absolute("x/y", &path), 0);
	cr_expect_str_eq(path, "/x/y");
}

Test(resolve, below_means_whole_names)
{
	cr_expect(cairn_path_is_below("/a/b", "/a/b"));
	cr_expect(cairn_path_is_below("/a/b/c", "/a/b"));
	cr_expect(cairn_path_is_below("/a", "/"));
	cr_expect_not(cairn_path_is_below("/a/bc", "/a/b"));
	cr_expect_not(cairn_path_is_below("/a", "/a/b"));
}
