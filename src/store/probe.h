/* What can be said about a workspace file from outside: whether the path names one, whether it can
 * be written, and who holds a lock on it.
 *
 * Closing any descriptor of a file drops all POSIX locks that this process has on it, SQLite's
 * included (fcntl(2)). So nothing here opens the file in this process: the header is read through
 * SQLite's own descriptor, and a child process asks for the lock holder. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/sql.h"
#include "util/error.h"

struct cairn_probe {
	char real_path[PATH_MAX]; /* without symlinks: the -wal lies beside this one */
	dev_t device;             /* of the file */
	ino_t inode;
	uint64_t file_size;    /* bytes */
	bool has_wal, has_shm; /* the files beside it exist */
	uint64_t wal_size;     /* bytes, 0 where there is none */
	bool dir_writable;
};

/* Looks at the path without opening it. -ENOENT, -EINVAL (a directory, empty, no regular file),
 * -EACCES, -EROFS when `writable` is asked for and the file or its directory is not, each with
 * words. */
int cairn_probe_path(const char *path, bool writable, struct cairn_probe *ret,
		     struct cairn_error *err);

/* -EIO when the path no longer names that file: it was deleted or replaced. */
int cairn_probe_present(const struct cairn_probe *probe);

/* Reads the first bytes of the open database: -EINVAL with words unless it is an SQLite file with
 * UTF-8 text. `ret_auto_vacuum` tells of the mode that AgentFS cannot write. */
int cairn_probe_header(struct cairn_sql *sql, const char *path, bool *ret_auto_vacuum,
		       struct cairn_error *err);

/* Whether another process holds the mark of the workspace (store.h) for writing. */
bool cairn_probe_is_marked(const char *real_path);

/* The process with a write lock on the file, 0 if none is found. */
pid_t cairn_probe_lock_holder(const char *path);

/* Writes the names of the other processes that read from the WAL, such as "sqlite3 (pid 12)", with
 * commas between them; as many as find room, none where the kernel does not tell. */
void cairn_probe_wal_readers(const char *real_path, char *buf, size_t size);

/* The size of `<path><suffix>` in bytes, -ENOENT or another errno of stat(2). */
int64_t cairn_probe_beside(const char *path, const char *suffix);
