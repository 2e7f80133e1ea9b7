/* cairnfs check as a person or a script sees it: output and exit status. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mount/mark.h"
#include "store_fixture.h"

static char output[1 << 16];

/* Runs `cairnfs check sx.db OPTIONS`; standard output and error go to `output`. */
static int run_check(const char *options)
{
	char command[4096];
	FILE *pipe;
	size_t n;
	int status;

	snprintf(command, sizeof(command), "'%s' check '%s' %s 2>&1", getenv("CAIRNFS_BIN"), sx.db,
		 options);
	pipe = popen(command, "r");
	cr_assert_not_null(pipe);
	n = fread(output, 1, sizeof(output) - 1, pipe);
	output[n] = 0;
	status = pclose(pipe);
	cr_assert(WIFEXITED(status), "%s", output);
	return WEXITSTATUS(status);
}

static bool says(const char *text)
{
	return strstr(output, text) != NULL;
}

static void leak(void)
{
	sx_sql(NULL,
	       "INSERT INTO fs_inode (ino, mode, nlink, size, atime, mtime, ctime) "
	       "VALUES (7, 33188, 1, 5, 1, 1, 1); INSERT INTO fs_data VALUES (7, 0, x'0102')");
}

TestSuite(check_cli, .init = sx_setup_made, .fini = sx_teardown);

Test(check_cli, clean_is_0)
{
	cr_assert_eq(run_check(""), 0, "%s", output);
	cr_assert(says("clean, 1 inodes, 0 entries"), "%s", output);
}

Test(check_cli, errors_left_are_4)
{
	leak();
	cr_assert_eq(run_check(""), 4, "%s", output);
	cr_assert(says("error leaked (1)"), "%s", output);
	cr_assert(says("inode 7, mode 100644, 5 bytes"), "%s", output);
	cr_assert(says("--repair would: name it #NUMBER in /lost+found"), "%s", output);
	cr_assert(says("nothing changed"), "%s", output);
}

Test(check_cli, errors_repaired_are_1_and_then_0)
{
	leak();
	cr_assert_eq(run_check("--repair"), 1, "%s", output);
	cr_assert(says("repair: name it #NUMBER in /lost+found"), "%s", output);
	cr_assert(says("1 errors repaired"), "%s", output);
	cr_assert_eq(run_check("--repair"), 0, "%s", output);
	cr_assert_not(sx_exists("work.db-mount"), "the mark is gone");
}

Test(check_cli, what_cannot_be_repaired_is_4)
{
	sx_sql(NULL, "PRAGMA auto_vacuum = FULL; VACUUM");
	leak();
	cr_assert_eq(run_check("--repair"), 4, "%s", output);
	cr_assert(says("left auto_vacuum (1)"), "%s", output);
	cr_assert(says("2 errors, 1 of them left"), "%s", output);
}

Test(check_cli, what_cannot_be_checked_is_8)
{
	int fd = open(sx.db, O_WRONLY | O_TRUNC | O_CLOEXEC);

	cr_assert_eq(write(fd, "no database", 11), 11);
	close(fd);
	cr_assert_eq(run_check(""), 8, "%s", output);
	cr_assert(says("it is no SQLite file"), "%s", output);
	unlink(sx.db);
	cr_assert_eq(run_check("--repair"), 8, "%s", output);
	cr_assert(says("there is no workspace"), "%s", output);
}

Test(check_cli, wrong_usage_is_16)
{
	cr_assert_eq(run_check("--mend"), 16, "%s", output);
	cr_assert_eq(run_check("second"), 16, "%s", output);
}

Test(check_cli, mounted_workspace_is_only_looked_at)
{
	struct cairn_mark *mark = NULL;

	cr_assert_eq(cairn_mark_take(sx.db, "/srv/work", false, &mark, &sx.err), 0);
	cr_assert_eq(run_check(""), 0, "%s", output);
	cr_assert(says("is mounted on /srv/work: this is its last commit"), "%s", output);
	cr_assert_eq(run_check("--repair"), 8, "%s", output);
	cr_assert(says("already mounted on /srv/work"), "%s", output);
	cr_assert_eq(run_check("--dense"), 8, "%s", output);
	cairn_mark_release(mark, NULL);
}

Test(check_cli, dense_says_how_much_it_filled)
{
	sx_sql(NULL, "INSERT INTO fs_inode (ino, mode, nlink, size, atime, mtime, ctime) "
		     "VALUES (7, 33188, 1, 70000, 1, 1, 1);"
		     "INSERT INTO fs_dentry (name, parent_ino, ino) VALUES ('sparse', 1, 7)");
	cr_assert_eq(run_check("--dense"), 0, "%s", output);
	cr_assert(says("2 holes filled with 70000 bytes of zeros"), "%s", output);
	sx_sql(NULL, "UPDATE fs_inode SET size = 9223372036854775807 WHERE ino = 7; "
		     "DELETE FROM fs_data WHERE chunk_index = 1");
	cr_assert_eq(run_check("--dense --repair"), 4, "%s", output);
	cr_assert(says("bytes of disk space"), "%s", output);
}

Test(check_cli, json_has_findings_and_summary)
{
	leak();
	cr_assert_eq(run_check("--json"), 4, "%s", output);
	cr_assert_eq(output[0], '{', "%s", output);
	cr_assert(says("\"code\": \"leaked\""), "%s", output);
	cr_assert(says("\"severity\": \"error\""), "%s", output);
	cr_assert(says("\"repairable\": true"), "%s", output);
	cr_assert(says("\"left\": 1"), "%s", output);
	cr_assert_eq(run_check("--json --repair"), 1, "%s", output);
	cr_assert(says("\"repaired\": true"), "%s", output);
}
