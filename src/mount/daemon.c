#include "mount/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "util/macro.h"

/* Smaller than PIPE_BUF: it arrives whole or not at all. */
struct report {
	int r;
	struct cairn_error err;
};

static int compare_ints(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Closes what was inherited, which would keep someone's pipe or mount open. A kernel without
 * close_range(2) (before Linux 5.9) leaves it. */
static void close_all_but(int *keep, size_t n)
{
	unsigned int from = STDERR_FILENO + 1;

	qsort(keep, n, sizeof(*keep), compare_ints);
	for (size_t i = 0; i < n; i++) {
		unsigned int fd = (unsigned int)keep[i];

		if (keep[i] < 0 || fd < from)
			continue;
		if (fd > from)
			close_range(from, fd - 1, 0);
		from = fd + 1;
	}
	close_range(from, ~0U, 0);
}

static void redirect(int from, int to)
{
	if (from >= 0)
		dup2(from, to);
}

static void become_daemon(struct cairn_daemon *daemon, int keep_fd)
{
	_cleanup_(cairn_closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	(void)!chdir("/"); /* no reason to fail: at worst a file system is kept busy */
	daemon->capture_fd = memfd_create("stderr", MFD_CLOEXEC);
	redirect(null, STDIN_FILENO);
	redirect(null, STDOUT_FILENO);
	redirect(daemon->capture_fd >= 0 ? daemon->capture_fd : null, STDERR_FILENO);
	close_all_but((int[]){ daemon->report_fd, daemon->capture_fd, keep_fd, null }, 4);
}

int cairn_daemon_fork(struct cairn_daemon *ret, int keep_fd, struct cairn_error *err)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return cairn_error_set(err, -errno, "cannot start the daemon: %m");
	pid = fork();
	if (pid < 0) {
		int r = cairn_error_set(err, -errno, "cannot start the daemon: %m");

		close(ends[0]);
		close(ends[1]);
		return r;
	}
	*ret = (struct cairn_daemon){
		.pid = pid,
		.report_fd = ends[pid > 0 ? 0 : 1],
		.capture_fd = -1,
	};
	close(ends[pid > 0 ? 1 : 0]);
	if (pid > 0)
		return 1;
	/* Where nobody waits any more a report must not kill us. */
	signal(SIGPIPE, SIG_IGN);
	become_daemon(ret, keep_fd);
	return 0;
}

/* Says what became of a child that ended without a report. */
static int describe_end(pid_t pid, const char *name, struct cairn_error *err)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		return cairn_error_set(err, -EIO,
				       "the daemon of %s was killed by signal %d (%s) before it "
				       "was ready; its log may say more",
				       name, WTERMSIG(status), strsignal(WTERMSIG(status)));
	return cairn_error_set(err, -EIO,
			       "the daemon of %s ended with status %d before it was ready; its log "
			       "may say more",
			       name, WEXITSTATUS(status));
}

int cairn_daemon_wait(struct cairn_daemon *daemon, const char *name, struct cairn_error *err)
{
	_cleanup_(cairn_closep) int fd = TAKE_FD(daemon->report_fd);
	struct report report;
	ssize_t n;

	do {
		n = read(fd, &report, sizeof(report));
	} while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(report))
		return describe_end(daemon->pid, name, err);
	if (report.r == 0)
		return 0;
	return cairn_error_set(err, report.r, "%s",
			       report.err.text[0] ? report.err.text : strerror(-report.r));
}

/* Adds the first line that came to standard error, unless the text has it already. */
static void add_captured(int capture_fd, struct cairn_error *err)
{
	char line[300], text[sizeof(err->text)];
	ssize_t n = pread(capture_fd, line, sizeof(line) - 1, 0);

	if (n <= 0)
		return;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (!line[0] || strstr(err->text, line))
		return;
	snprintf(text, sizeof(text), "%.300s%s%s", err->text, err->text[0] ? ": " : "", line);
	memcpy(err->text, text, sizeof(text));
}

static void send_report(struct cairn_daemon *daemon, const struct report *report)
{
	_cleanup_(cairn_closep) int fd = TAKE_FD(daemon->report_fd);
	_cleanup_(cairn_closep) int capture_fd = TAKE_FD(daemon->capture_fd);
	_cleanup_(cairn_closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	redirect(null, STDERR_FILENO);
	/* A parent that was interrupted does not read it, which changes nothing here. */
	if (write(fd, report, sizeof(*report)) < 0)
		return;
}

void cairn_daemon_ready(struct cairn_daemon *daemon)
{
	struct report report = { 0 };

	if (daemon->report_fd >= 0)
		send_report(daemon, &report);
}

void cairn_daemon_failed(struct cairn_daemon *daemon, int r, const struct cairn_error *err)
{
	struct report report = { .r = r, .err = *err };

	if (daemon->report_fd < 0)
		return;
	add_captured(daemon->capture_fd, &report.err);
	send_report(daemon, &report);
}
