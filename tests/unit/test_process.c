/* Waiting for strangers, and finding who keeps a directory busy. */
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mount/json.h"
#include "mount/process.h"

static pid_t start_in(const char *directory)
{
	int ends[2];
	pid_t pid;
	char c;

	cr_assert_eq(pipe(ends), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		if (chdir(directory) < 0 || write(ends[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	cr_assert_eq(read(ends[0], &c, 1), 1);
	close(ends[0]);
	close(ends[1]);
	return pid;
}

Test(process, wait_times_out_while_it_lives_and_returns_when_it_ends)
{
	struct cairn_process process;
	pid_t pid = start_in("/");

	cr_assert_eq(cairn_process_open(pid, &process), 0);
	cr_expect_eq(cairn_process_wait(&process, 1), -ETIMEDOUT);
	kill(pid, SIGKILL);
	cr_expect_eq(cairn_process_wait(&process, 10000), 0);
	waitpid(pid, NULL, 0);
	cairn_process_done(&process);
	cr_expect_eq(process.pidfd, -1);
}

Test(process, one_that_is_gone_is_esrch)
{
	struct cairn_process process = { .pid = 7 };
	pid_t pid = start_in("/");

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cr_expect_eq(cairn_process_open(pid, &process), -ESRCH);
	cr_expect_eq(process.pid, 7);
}

Test(process, without_a_pidfd_the_wait_works_too)
{
	pid_t pid = start_in("/");
	struct cairn_process process = { .pid = pid, .pidfd = -1 };

	cr_expect_eq(cairn_process_wait(&process, 1), -ETIMEDOUT);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cr_expect_eq(cairn_process_wait(&process, 10000), 0);
}

Test(process, user_of_this_one_is_ours)
{
	uid_t uid;

	cr_assert_eq(cairn_process_user(getpid(), &uid), 0);
	cr_expect_eq(uid, geteuid());
}

Test(process, one_that_works_in_a_directory_is_found)
{
	char template[] = "/tmp/cairnfs-process-XXXXXX", dir[PATH_MAX];
	char name[CAIRN_PROCESS_NAME_MAX];
	int found;
	pid_t pid;

	cr_assert_not_null(mkdtemp(template));
	cr_assert_not_null(realpath(template, dir));
	cr_expect_eq(cairn_process_find_in(dir, &found, name), -ENOENT);
	pid = start_in(dir);
	cr_assert_eq(cairn_process_find_in(dir, &found, name), 0);
	cr_expect_eq(found, pid);
	cr_expect_neq(name[0], '\0');
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	rmdir(dir);
}

static void becomes(const char *bytes, const char *text)
{
	json_t *json = cairn_json_text(bytes);

	cr_assert_not_null(json);
	cr_expect_str_eq(json_string_value(json), text);
	json_decref(json);
}

Test(json, bytes_that_are_no_utf8_are_replaced_one_by_one)
{
	becomes("plain \xc3\xa9", "plain \xc3\xa9");
	becomes("a\xff\xfe z", "a\xef\xbf\xbd\xef\xbf\xbd z");
	becomes("\xc3", "\xef\xbf\xbd");
	becomes("\xe2\x82 \xe2\x82\xac", "\xef\xbf\xbd\xef\xbf\xbd \xe2\x82\xac");
}

Test(json, no_text_is_null)
{
	json_t *json = cairn_json_text(NULL);

	cr_expect(json_is_null(json));
	json_decref(json);
}
