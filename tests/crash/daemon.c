#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void redirect(const struct mount_daemon *daemon)
{
	int log = open(daemon->log, O_WRONLY | O_CREAT | O_APPEND, 0644);
	int null = open("/dev/null", O_RDWR);

	if (log < 0 || null < 0)
		_exit(127);
	dup2(null, 0);
	dup2(log, 1);
	dup2(log, 2);
}

static void become_daemon(const struct mount_daemon *daemon)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	redirect(daemon);
	execl(daemon->binary, daemon->binary, "mount", daemon->db, daemon->dir, "-f", "-o",
	      daemon->options, (char *)NULL);
	_exit(127);
}

int daemon_start(struct mount_daemon *daemon)
{
	struct stat st;

	if (stat(daemon->dir, &st) < 0)
		return -errno;
	daemon->below = st.st_dev;
	daemon->pid = fork();
	if (daemon->pid == 0)
		become_daemon(daemon);
	if (daemon->pid < 0) {
		daemon->pid = 0;
		return -errno;
	}
	return 0;
}

int daemon_branch(const struct mount_daemon *daemon, const char *base)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		redirect(daemon);
		execl(daemon->binary, daemon->binary, "init", daemon->db, "--base", base,
		      (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return status == 0 ? 0 : -EIO;
}

int daemon_wait_ready(struct mount_daemon *daemon)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	struct stat st;

	for (;;) {
		siginfo_t info = { 0 };

		if (stat(daemon->dir, &st) == 0 && st.st_dev != daemon->below)
			return 0;
		if (waitid(P_PID, (id_t)daemon->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		    info.si_pid != 0)
			return -ECHILD;
		nanosleep(&pause, NULL);
	}
}

void daemon_signal(const struct mount_daemon *daemon, int signal)
{
	if (daemon->pid > 0)
		kill(daemon->pid, signal);
}

static void detach_as_user(const char *dir)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("fusermount3", "fusermount3", "-u", "-z", "-q", dir, (char *)NULL);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* A dead mount answers ENOTCONN; where nothing is mounted, stat(2) tells the device below. */
static bool is_mounted(const struct mount_daemon *daemon)
{
	struct stat st;

	return stat(daemon->dir, &st) < 0 || st.st_dev != daemon->below;
}

int daemon_end(struct mount_daemon *daemon)
{
	int status = 0;

	if (daemon->pid > 0)
		waitpid(daemon->pid, &status, 0);
	daemon->pid = 0;
	if (is_mounted(daemon) && umount2(daemon->dir, MNT_DETACH) < 0)
		detach_as_user(daemon->dir);
	return status;
}
