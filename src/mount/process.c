#include "mount/process.h"

#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "mount/number.h"
#include "mount/resolve.h"
#include "util/clock.h"
#include "util/macro.h"

enum { POLL_MS = 20 };

static bool is_gone(int pid)
{
	return kill(pid, 0) < 0 && errno == ESRCH;
}

int cairn_process_open(int pid, struct cairn_process *ret)
{
	int pidfd = pidfd_open(pid, 0);

	if (pidfd < 0 && errno != ENOSYS)
		return -errno;
	if (pidfd < 0 && is_gone(pid))
		return -ESRCH;
	*ret = (struct cairn_process){ .pid = pid, .pidfd = pidfd };
	return 0;
}

void cairn_process_done(struct cairn_process *process)
{
	cairn_closep(&process->pidfd);
	process->pidfd = -1;
}

static int wait_polling(int pid, int timeout_ms)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };

	for (int waited = 0; !is_gone(pid); waited += POLL_MS) {
		if (waited >= timeout_ms)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}

int cairn_process_wait(const struct cairn_process *process, int timeout_ms)
{
	struct pollfd pfd = { .fd = process->pidfd, .events = POLLIN };
	int r;

	if (process->pidfd < 0)
		return wait_polling(process->pid, timeout_ms);
	r = poll(&pfd, 1, timeout_ms);
	if (r < 0 && errno != EINTR)
		return -errno;
	return r > 0 ? 0 : -ETIMEDOUT;
}

int cairn_process_user(int pid, uid_t *ret)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (stat(path, &st) < 0)
		return -errno;
	*ret = st.st_uid;
	return 0;
}

static void dir_closep(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Whether a link of /proc leads into `directory`; reading it asks nothing of the file system there.
 */
static bool leads_into(int dir_fd, const char *name, const char *directory)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir_fd, name, target, sizeof(target) - 1);

	if (n < 0)
		return false;
	target[n] = '\0';
	return cairn_path_is_below(target, directory);
}

static bool process_is_in(int pid, const char *directory)
{
	static const char *const link[] = { "cwd", "root", "exe" };
	_cleanup_(dir_closep) DIR *fds = NULL;
	const struct dirent *entry;
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(link); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, link[i]);
		if (leads_into(AT_FDCWD, path, directory))
			return true;
	}
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	fds = opendir(path);
	while (fds && (entry = readdir(fds))) {
		if (leads_into(dirfd(fds), entry->d_name, directory))
			return true;
	}
	return false;
}

void cairn_process_name(int pid, char ret_name[CAIRN_PROCESS_NAME_MAX])
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	if (!file || !fgets(ret_name, CAIRN_PROCESS_NAME_MAX, file))
		strcpy(ret_name, "?");
	ret_name[strcspn(ret_name, "\n")] = '\0';
	if (file)
		fclose(file);
}

int cairn_process_find_in(const char *directory, int *ret_pid,
			  char ret_name[CAIRN_PROCESS_NAME_MAX])
{
	_cleanup_(dir_closep) DIR *proc = opendir("/proc");
	const struct dirent *entry;
	uint64_t pid;

	while (proc && (entry = readdir(proc))) {
		if (cairn_number_parse(entry->d_name, 1, INT_MAX, &pid) < 0 ||
		    (int)pid == getpid() || !process_is_in((int)pid, directory))
			continue;
		cairn_process_name((int)pid, ret_name);
		*ret_pid = (int)pid;
		return 0;
	}
	return -ENOENT;
}
