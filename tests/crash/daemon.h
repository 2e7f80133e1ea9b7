/* A mount whose daemon is a child of this process, so that it can be killed and nothing else. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct mount_daemon {
	const char *binary; /* cairnfs */
	const char *db, *dir, *log;
	const char *options; /* as after -o */
	pid_t pid;           /* 0: not running */
	dev_t below;         /* the device of `dir` while nothing is mounted there */
};

/* Starts the daemon and returns at once. It dies with this process. -errno. */
int daemon_start(struct mount_daemon *daemon);
/* Makes `db` a branch of the workspace `base`. -EIO: the program said no. */
int daemon_branch(const struct mount_daemon *daemon, const char *base);
/* Waits until the mount answers. -ECHILD if the daemon ended instead. */
int daemon_wait_ready(struct mount_daemon *daemon);
/* Sends a signal, which need not end it. */
void daemon_signal(const struct mount_daemon *daemon, int signal);
/* Waits until it has ended and removes what is left of the mount. The status is waitpid(2)'s. */
int daemon_end(struct mount_daemon *daemon);
