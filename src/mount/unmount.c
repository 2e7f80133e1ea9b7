#include "mount/unmount.h"

#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "mount/process.h"
#include "util/macro.h"

static int is_busy(const char *directory, struct cairn_error *err)
{
	char name[CAIRN_PROCESS_NAME_MAX];
	int pid;

	if (cairn_process_find_in(directory, &pid, name) < 0)
		return cairn_error_set(err, -EBUSY,
				       "%s is in use; end what works in it or has files open (lsof "
				       "%s or fuser -m %s list it) and unmount it again",
				       directory, directory, directory);
	return cairn_error_set(err, -EBUSY,
			       "%s is in use, by process %d (%s) for one; end what works in it or "
			       "has files open (fuser -m %s lists all) and unmount it again",
			       directory, pid, name, directory);
}

/* Starts a program whose standard error arrives at `*ret_fd`. */
static int spawn_reading(char *const argv[], pid_t *ret_pid, int *ret_fd)
{
	posix_spawn_file_actions_t actions;
	int r, ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	r = posix_spawn_file_actions_init(&actions);
	if (r == 0) {
		r = posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
		if (r == 0)
			r = posix_spawnp(ret_pid, argv[0], &actions, NULL, argv, environ);
		posix_spawn_file_actions_destroy(&actions);
	}
	close(ends[1]);
	if (r != 0) {
		close(ends[0]);
		return -r;
	}
	*ret_fd = ends[0];
	return 0;
}

/* Runs a program to its end; `text` gets the first line of its standard error. Returns its exit
 * status, -EINTR after a signal, or what posix_spawn(3) said. */
static int run(char *const argv[], char *text, size_t size)
{
	_cleanup_(cairn_closep) int fd = -1;
	size_t n = 0;
	ssize_t got;
	pid_t pid = 0;
	int r, status;

	r = spawn_reading(argv, &pid, &fd);
	if (r < 0)
		return r;
	while (n < size - 1 && (got = read(fd, text + n, size - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

static int unmount_by_helper(const char *directory, bool lazy, struct cairn_error *err)
{
	char *const argv[] = { "fusermount3", lazy ? "-uz" : "-u", "--", (char *)directory, NULL };
	char text[400];
	int r;

	r = run(argv, text, sizeof(text));
	if (r == -ENOENT)
		return cairn_error_set(err, r,
				       "%s cannot be unmounted: there is no fusermount3; install "
				       "package fuse3",
				       directory);
	if (r < 0)
		return cairn_error_set(err, r, "%s cannot be unmounted: fusermount3: %s", directory,
				       strerror(-r));
	if (r == 0)
		return 0;
	if (strstr(text, strerror(EBUSY)))
		return is_busy(directory, err);
	return cairn_error_set(err, -EPERM, "%s cannot be unmounted: %s", directory, text);
}

int cairn_unmount(const char *directory, bool lazy, struct cairn_error *err)
{
	int r;

	if (umount2(directory, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
		return 0;
	r = -errno;
	if (r == -EPERM)
		return unmount_by_helper(directory, lazy, err);
	if (r == -EBUSY)
		return is_busy(directory, err);
	return cairn_error_set(err, r, "%s cannot be unmounted: %s", directory, strerror(-r));
}
