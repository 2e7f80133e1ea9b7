/* What is refused before a mount is tried. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mount/checks.h"
#include "util/macro.h"

static char tmp[PATH_MAX];
static char workspace[PATH_MAX + 16];
static struct cairn_options options;
static struct cairn_error err;

static void setup(void)
{
	char template[] = "/tmp/cairnfs-checks-XXXXXX";
	int fd;

	cr_assert_not_null(mkdtemp(template));
	cr_assert_not_null(realpath(template, tmp));
	cr_assert_eq(chdir(tmp), 0);
	cr_assert_eq(mkdir("dir", 0700), 0);
	snprintf(workspace, sizeof(workspace), "%s/work.db", tmp);
	fd = open(workspace, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	close(fd);
	cairn_options_init(&options);
}

static void teardown(void)
{
	char command[PATH_MAX + 16];

	snprintf(command, sizeof(command), "rm -rf '%s'", tmp);
	cr_expect_eq(chdir("/"), 0);
	cr_expect_eq(system(command), 0);
}

TestSuite(checks, .init = setup, .fini = teardown);

static void dir_is_refused(const char *dir, int expected, const char *text)
{
	char *path = NULL;

	err.text[0] = '\0';
	cr_expect_eq(cairn_check_mount_point(dir, workspace, &options, &path, &err), expected);
	cr_expect_null(path);
	cr_expect(strstr(err.text, text), "'%s' says nothing of '%s'", err.text, text);
}

Test(checks, empty_directory_is_a_mount_point)
{
	_cleanup_(cairn_freep) char *path = NULL;
	char expected[PATH_MAX + 16];
	int r;

	r = cairn_check_mount_point("dir/", workspace, &options, &path, &err);
	cr_assert_eq(r, 0, "%s", err.text);
	snprintf(expected, sizeof(expected), "%s/dir", tmp);
	cr_expect_str_eq(path, expected);
}

Test(checks, missing_directory_is_refused)
{
	dir_is_refused("nowhere", -ENOENT, "mkdir nowhere");
}

Test(checks, file_is_no_mount_point)
{
	dir_is_refused("work.db", -ENOTDIR, "work.db");
}

Test(checks, directory_that_is_not_empty_takes_an_option)
{
	_cleanup_(cairn_freep) char *path = NULL;

	cr_assert_eq(mkdir("dir/.hidden", 0700), 0);
	dir_is_refused("dir", -ENOTEMPTY, "nonempty");
	options.nonempty = true;
	cr_expect_eq(cairn_check_mount_point("dir", workspace, &options, &path, &err), 0);
}

Test(checks, mount_point_must_not_hide_the_workspace)
{
	options.nonempty = true;
	dir_is_refused(".", -EINVAL, "work.db");
}

Test(checks, workspace_is_an_existing_file)
{
	cr_expect_eq(cairn_check_workspace(workspace, "work.db", &err), 0);
	cr_expect_eq(cairn_check_workspace("/nowhere/x.db", "x", &err), -ENOENT);
	cr_expect(strstr(err.text, "cairnfs init x"));
	err.text[0] = '\0';
	cr_expect_eq(cairn_check_workspace(tmp, "dir", &err), -EINVAL);
	cr_expect(strstr(err.text, tmp));
}
