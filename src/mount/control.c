#include "mount/control.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "util/clock.h"
#include "util/macro.h"

enum { ANSWER_WAIT_MS = 3000 };

struct answer {
	int r;
	struct cairn_ioc_info info;
};

static int ask(const char *directory, struct cairn_ioc_info *ret)
{
	_cleanup_(cairn_closep) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, CAIRN_IOC_INFO, ret) < 0)
		return -errno;
	ret->workspace[sizeof(ret->workspace) - 1] = '\0';
	return 0;
}

static void ask_in_child(const char *directory, int pipe_fd)
{
	struct answer answer = { 0 };

	answer.r = ask(directory, &answer.info);
	/* The size is below PIPE_BUF: it arrives whole or not at all. */
	if (write(pipe_fd, &answer, sizeof(answer)) < 0)
		_exit(1);
	_exit(0);
}

static int read_answer(int fd, struct answer *ret)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint64_t end = cairn_mono_ns() + (uint64_t)ANSWER_WAIT_MS * 1000000U;
	int r;

	do {
		uint64_t now = cairn_mono_ns();

		r = poll(&pfd, 1, now < end ? (int)((end - now) / 1000000U) : 0);
	} while (r < 0 && errno == EINTR);
	if (r <= 0)
		return r < 0 ? -errno : -ETIMEDOUT;
	return read(fd, ret, sizeof(*ret)) == (ssize_t)sizeof(*ret) ? 0 : -EIO;
}

/* A request that a daemon has taken and does not answer blocks its caller beyond every signal, so a
 * child does the asking and is left behind if need be. */
int cairn_control_info(const char *directory, struct cairn_ioc_info *ret)
{
	_cleanup_(cairn_closep) int read_end = -1, write_end = -1;
	struct answer answer = { 0 };
	int r, ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	read_end = ends[0];
	write_end = ends[1];
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0)
		ask_in_child(directory, write_end);
	close(TAKE_FD(write_end));

	r = read_answer(read_end, &answer);
	if (r < 0)
		kill(child, SIGKILL);
	/* Once it has answered wait for its end, or its open directory keeps the mount busy. */
	while (waitpid(child, NULL, r == -ETIMEDOUT ? WNOHANG : 0) < 0 && errno == EINTR)
		;
	if (r == 0)
		r = answer.r;
	if (r == 0)
		*ret = answer.info;
	return r == -ECONNABORTED ? -ENOTCONN : r;
}
