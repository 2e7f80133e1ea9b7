/* Locks on files between processes: open file description locks, fcntl(2). Their owner is the open
 * file, so that two handles in one process are two owners; they end when it is closed, at the
 * latest with the process. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Bytes of a file, which need not have them; `count` 0: all from `first` on. */
struct cairn_filerange {
	int64_t first, count;
};

/* Takes or gives back a lock; `type` is F_RDLCK, F_WRLCK or F_UNLCK. -EAGAIN while another has it;
 * -ENOLCK where the file system knows no such locks. */
int cairn_filelock_set(int fd, struct cairn_filerange range, short type);
/* Whether another has any of it locked. */
int cairn_filelock_held(int fd, struct cairn_filerange range, bool *ret_held);
