/* Copies of a mount: a mount namespace that was made of another (unshare(2), containers, cairnfs
 * exec) has copies of its mounts. A file system ends with the last of them. */
#pragma once

#include <limits.h>

#include "mount/mountinfo.h"
#include "mount/process.h"

struct cairn_copy {
	int pid; /* a process that lives in the namespace of the copy; 0: the caller's own */
	char name[CAIRN_PROCESS_NAME_MAX];
	char directory[PATH_MAX]; /* where it is mounted there, as that namespace has it */
};

/* Another mount of the file system of `mount`, which is away itself by now, in our namespace or in
 * that of another process, but for the one that serves it. -ENOENT: none that we may see. */
int cairn_copy_find(const struct cairn_mount_entry *mount, int server_pid, struct cairn_copy *ret);
