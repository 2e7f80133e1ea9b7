/* Runs a command and measures the whole of it by CLOCK_MONOTONIC.
 *
 *	timed FILE NAME LIMIT COMMAND...
 *
 * When the command has succeeded, the line "NAME s SECONDS" (with tabs) is appended to FILE. A
 * command that takes longer than LIMIT seconds is killed with all of its process group, as it is
 * when this program is told to end. The exit status is the command's, 124 after the limit, 128 + n
 * after signal n. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

/* The signals waited for; they must be blocked before the command starts. */
static sigset_t awaited(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	return set;
}

static pid_t start(char **command, const sigset_t *mask)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork for", command[0]);
	if (pid == 0) {
		setpgid(0, 0);
		sigprocmask(SIG_SETMASK, mask, NULL);
		execvp(command[0], command);
		fprintf(stderr, "timed: %s: %s\n", command[0], strerror(errno));
		_exit(127);
	}
	setpgid(pid, pid);
	return pid;
}

/* Waits until the command ends, the time is up, or a signal says so. 0, or the exit status for a
 * command that had to be killed. */
static int wait_for(pid_t pid, const sigset_t *set, long limit, int *ret_status)
{
	const uint64_t deadline = now_ns() + (uint64_t)limit * UINT64_C(1000000000);
	int sig = SIGCHLD;

	while (waitpid(pid, ret_status, WNOHANG) == 0) {
		const uint64_t now = now_ns(), left = deadline > now ? deadline - now : 0;
		const struct timespec t = { .tv_sec = (time_t)(left / 1000000000),
					    .tv_nsec = (long)(left % 1000000000) };

		sig = sigtimedwait(set, NULL, &t);
		if (sig == SIGCHLD || (sig < 0 && errno == EINTR))
			continue;
		kill(-pid, SIGKILL);
		waitpid(pid, ret_status, 0);
		return sig < 0 ? 124 : 128 + sig;
	}
	return 0;
}

static void append(const char *path, const char *name, uint64_t ns)
{
	FILE *file = fopen(path, "a");

	if (!file)
		die("opening", path);
	fprintf(file, "%s\ts\t%.6f\n", name, (double)ns / 1e9);
	if (fclose(file))
		die("writing", path);
}

int main(int argc, char **argv)
{
	const sigset_t set = awaited();
	uint64_t begin, end;
	int status, killed;
	sigset_t mask;
	long limit;

	if (argc < 5) {
		fprintf(stderr, "usage: timed FILE NAME LIMIT COMMAND...\n");
		return 2;
	}
	limit = number(argv[3], 1);
	sigprocmask(SIG_BLOCK, &set, &mask);
	begin = now_ns();
	killed = wait_for(start(argv + 4, &mask), &set, limit, &status);
	end = now_ns();
	if (killed) {
		if (killed == 124)
			fprintf(stderr, "timed: %s: not done after %ld s\n", argv[4], limit);
		return killed;
	}
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	if (WEXITSTATUS(status) == 0)
		append(argv[1], argv[2], end - begin);
	return WEXITSTATUS(status);
}
