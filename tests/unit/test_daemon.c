/* The fork of the daemon: whatever becomes of the child, the parent hears of it. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mount/daemon.h"

static struct cairn_error err;

/* Forks a daemon that runs `child`; the value is what the parent heard. */
static int start(void (*child)(struct cairn_daemon *daemon))
{
	struct cairn_daemon daemon;
	int r;

	err.text[0] = '\0';
	r = cairn_daemon_fork(&daemon, -1, &err);
	if (r == 0) {
		child(&daemon);
		_exit(0);
	}
	cr_assert_eq(r, 1);
	return cairn_daemon_wait(&daemon, "/mnt", &err);
}

static void fail_with(struct cairn_daemon *daemon, const char *text)
{
	struct cairn_error why = { 0 };

	cairn_error_set(&why, -ENOSPC, "%s", text);
	cairn_daemon_failed(daemon, -ENOSPC, &why);
}

Test(daemon, ready_child_is_success)
{
	cr_expect_eq(start(cairn_daemon_ready), 0);
	cr_expect_eq(err.text[0], '\0');
}

static void fails(struct cairn_daemon *daemon)
{
	fail_with(daemon, "no room");
}

Test(daemon, failure_of_the_child_arrives_with_its_text)
{
	cr_expect_eq(start(fails), -ENOSPC);
	cr_expect_str_eq(err.text, "no room");
}

static void helper_complains(struct cairn_daemon *daemon)
{
	fputs("fusermount3: not allowed\nand more\n", stderr);
	fail_with(daemon, "cannot mount");
}

Test(daemon, what_a_helper_wrote_explains_the_failure)
{
	cr_expect_eq(start(helper_complains), -ENOSPC);
	cr_expect_str_eq(err.text, "cannot mount: fusermount3: not allowed");
}

static void dies(struct cairn_daemon *daemon)
{
	raise(SIGKILL);
}

Test(daemon, child_that_is_killed_is_reported_with_the_signal)
{
	cr_expect_eq(start(dies), -EIO);
	cr_expect(strstr(err.text, "/mnt") && strstr(err.text, "signal 9"), "%s", err.text);
}

static void leaves(struct cairn_daemon *daemon)
{
	_exit(7);
}

Test(daemon, child_that_exits_without_a_word_is_reported_with_its_status)
{
	cr_expect_eq(start(leaves), -EIO);
	cr_expect(strstr(err.text, "status 7"), "%s", err.text);
}

static void ready_then_fails(struct cairn_daemon *daemon)
{
	cairn_daemon_ready(daemon);
	fail_with(daemon, "too late");
}

Test(daemon, first_report_counts)
{
	cr_expect_eq(start(ready_then_fails), 0);
}

static void checks_itself(struct cairn_daemon *daemon)
{
	char cwd[16];

	if (getsid(0) != getpid())
		fail_with(daemon, "no session of its own");
	if (!getcwd(cwd, sizeof(cwd)) || strcmp(cwd, "/") != 0)
		fail_with(daemon, "not in /");
	cairn_daemon_ready(daemon);
}

Test(daemon, child_is_detached)
{
	cr_expect_eq(start(checks_itself), 0, "%s", err.text);
}

static void lives_on(struct cairn_daemon *daemon)
{
	cairn_daemon_ready(daemon);
	pause();
}

/* A test's or a shell's pipe must see its end although a daemon was started with it. */
Test(daemon, child_keeps_no_pipe_of_its_parent_open)
{
	struct pollfd pfd = { .events = POLLIN };
	struct cairn_daemon daemon;
	int ends[2], r;

	cr_assert_eq(pipe(ends), 0);
	r = cairn_daemon_fork(&daemon, -1, &err);
	if (r == 0) {
		lives_on(&daemon);
		_exit(0);
	}
	cr_assert_eq(cairn_daemon_wait(&daemon, "/mnt", &err), 0);
	close(ends[1]);
	pfd.fd = ends[0];
	cr_expect_eq(poll(&pfd, 1, 5000), 1);
	cr_expect(pfd.revents & POLLHUP);
	kill(daemon.pid, SIGKILL);
	waitpid(daemon.pid, NULL, 0);
}

static void writes_to(int fd)
{
	if (write(fd, "x", 1) != 1)
		_exit(1);
}

Test(daemon, child_keeps_the_file_it_is_told_to)
{
	struct cairn_daemon daemon;
	int ends[2], r;
	char c;

	cr_assert_eq(pipe(ends), 0);
	r = cairn_daemon_fork(&daemon, ends[1], &err);
	if (r == 0) {
		writes_to(ends[1]);
		cairn_daemon_ready(&daemon);
		_exit(0);
	}
	cr_expect_eq(cairn_daemon_wait(&daemon, "/mnt", &err), 0);
	cr_expect_eq(read(ends[0], &c, 1), 1);
}
