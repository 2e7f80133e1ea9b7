/* Other processes: waiting for the end of one that is no child of ours, and what /proc tells. */
#pragma once

#include <sys/types.h>

#define CAIRN_PROCESS_NAME_MAX 32

struct cairn_process {
	int pid;
	int pidfd; /* -1 where the kernel has none (before Linux 5.3) */
};

/* Takes hold of a running process; cairn_process_done() lets go. -ESRCH when there is none. */
int cairn_process_open(int pid, struct cairn_process *ret);

void cairn_process_done(struct cairn_process *process);

/* Returns 0 once the process has ended, -ETIMEDOUT if that takes longer than `timeout_ms`. */
int cairn_process_wait(const struct cairn_process *process, int timeout_ms);

/* The user a process runs as. */
int cairn_process_user(int pid, uid_t *ret);

/* What ps(1) calls it; "?" where that cannot be known. */
void cairn_process_name(int pid, char ret_name[CAIRN_PROCESS_NAME_MAX]);

/* Another process that keeps the mount on `directory` busy: it works in it, runs from it or has a
 * file open there, as far as we may see. -ENOENT if none was found. */
int cairn_process_find_in(const char *directory, int *ret_pid,
			  char ret_name[CAIRN_PROCESS_NAME_MAX]);
