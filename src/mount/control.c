#include "mount/control.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "mount/mountinfo.h"
#include "mount/resolve.h"
#include "util/clock.h"
#include "util/macro.h"

enum { ANSWER_WAIT_MS = 3000 };

/* Asks an open root directory and fills `ret`. */
typedef int (*question_fn)(int fd, void *ret);

static int ask_info(int fd, void *ret)
{
	struct cairn_ioc_info *info = ret;

	if (ioctl(fd, CAIRN_IOC_INFO, info) < 0)
		return -errno;
	info->workspace[sizeof(info->workspace) - 1] = '\0';
	return 0;
}

static int ask_figures(int fd, struct cairn_mount_stats *stats)
{
	struct cairn_ioc_stats answer = { 0 };

	if (ioctl(fd, CAIRN_IOC_STATS, &answer) < 0)
		return -errno;
	return cairn_mount_stats_figures(stats, &answer);
}

/* -ENXIO behind the last one. */
static int ask_spread(int fd, unsigned int index, struct cairn_mount_stats *stats)
{
	struct cairn_ioc_spread answer = { .version = CAIRN_STATS_VERSION, .index = index };

	if (ioctl(fd, CAIRN_IOC_SPREAD, &answer) < 0)
		return -errno;
	return cairn_mount_stats_spread(stats, &answer);
}

static int ask_stats(int fd, void *ret)
{
	struct cairn_mount_stats *stats = ret;
	int r;

	r = ask_info(fd, &stats->info);
	if (r < 0)
		return r;
	r = ask_figures(fd, stats);
	for (unsigned int i = 0; r == 0; i++)
		r = ask_spread(fd, i, stats);
	if (r == -ENXIO)
		return 0;
	/* It answered the first question, but not this one: its others are not ours. */
	return r == -ENOTTY ? -EPROTO : r;
}

static int ask_commit(int fd, _unused_ void *ret)
{
	return syncfs(fd) < 0 || ioctl(fd, CAIRN_IOC_COMMIT) < 0 ? -errno : 0;
}

/* Becomes the user who mounted, for good. Other than by chance of options, the kernel lets nobody
 * else into a FUSE mount, root neither; fuse_allow_current_process() compares all of these. */
static int become_mounter(const char *directory)
{
	_cleanup_(cairn_mount_table_done) struct cairn_mount_table table = { 0 };
	_cleanup_(cairn_freep) char *path = NULL;
	const struct cairn_mount_entry *mount;
	uid_t uid;
	gid_t gid;
	int r;

	r = cairn_resolve_directory(directory, &path);
	if (r == 0)
		r = cairn_mount_table_read(NULL, &table);
	if (r < 0)
		return r;
	mount = cairn_mount_table_find(&table, path);
	if (!mount || !cairn_mount_is_ours(mount) || cairn_mount_owner(mount, &uid) < 0 ||
	    cairn_mount_group(mount, &gid) < 0)
		return -EACCES;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	return 0;
}

/* Opens `directory` for ioctl(2): an O_PATH descriptor will not do. */
static int open_root(const char *directory, int *ret)
{
	_cleanup_(cairn_closep) int at = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd, r;

	if (at < 0)
		return -errno;
	fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == EACCES && geteuid() == 0) {
		r = become_mounter(directory);
		if (r < 0)
			return r;
		/* The way to it may be closed to that user: `at` is beyond it. */
		fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

/* The child: its answer goes into memory that it shares with the parent, the result into a pipe. */
static void ask_in_child(const char *directory, question_fn question, void *answer, int pipe_fd)
{
	int r, fd = -1;

	r = open_root(directory, &fd);
	if (r == 0)
		r = question(fd, answer);
	if (write(pipe_fd, &r, sizeof(r)) < 0)
		_exit(1);
	_exit(0);
}

static int read_result(int fd, int timeout_ms, int *ret)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint64_t end = cairn_mono_ns() + (uint64_t)timeout_ms * 1000000U;
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
static int ask_with(const char *directory, question_fn question, void *answer, int timeout_ms)
{
	_cleanup_(cairn_closep) int read_end = -1, write_end = -1;
	int r, result = 0, ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	read_end = ends[0];
	write_end = ends[1];
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0)
		ask_in_child(directory, question, answer, write_end);
	close(TAKE_FD(write_end));

	r = read_result(read_end, timeout_ms, &result);
	if (r < 0)
		kill(child, SIGKILL);
	/* Once it has answered wait for its end, or its open directory keeps the mount busy. */
	while (waitpid(child, NULL, r == -ETIMEDOUT ? WNOHANG : 0) < 0 && errno == EINTR)
		;
	if (r == 0)
		r = result;
	return r == -ECONNABORTED ? -ENOTCONN : r;
}

static int ask(const char *directory, question_fn question, void *ret, size_t size)
{
	void *answer = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int r;

	if (answer == MAP_FAILED)
		return -errno;
	r = ask_with(directory, question, answer, ANSWER_WAIT_MS);
	if (r == 0)
		memcpy(ret, answer, size);
	munmap(answer, size);
	return r;
}

int cairn_control_info(const char *directory, struct cairn_ioc_info *ret)
{
	return ask(directory, ask_info, ret, sizeof(*ret));
}

int cairn_control_stats(const char *directory, struct cairn_mount_stats *ret)
{
	return ask(directory, ask_stats, ret, sizeof(*ret));
}

int cairn_control_commit(const char *directory, int timeout_ms)
{
	return ask_with(directory, ask_commit, NULL, timeout_ms);
}
