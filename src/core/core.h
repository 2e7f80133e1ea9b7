/* The file system: POSIX semantics over a store, with no FUSE type and no SQL in it.
 *
 * A mutation is checked and applied to the in-core state as part of the running batch and is
 * visible to every caller when its function returns. The writer thread commits batches to the
 * store (see batch.h and writer.h); what an operation waits for beyond that is the `durability`
 * option. Every function may be called from any thread. Results are 0 (or what the function
 * says) or a negative errno; outputs are untouched on failure.
 *
 * Errors that any function may return besides those it lists: -ENOENT for an inode that is gone,
 * -EIO for a damaged workspace, -ENOMEM, -EAGAIN when the database stayed locked beyond all
 * retries, and for mutations -EROFS on a read-only mount and the true errno (-ENOSPC, -EIO, ...)
 * while the writer cannot write.
 *
 * Lock order, outermost first:
 *
 *   1. core->gate        shared by a mutation from begin to end; exclusive for the batch swap
 *   2. inode->lock       several at once only through cairn_op_lock(), lowest number first
 *   3. writer.lock
 *   4. leaves            icache.lock, pins.lock, batch.lock, readers.lock, listings.lock,
 *                        lease.lock: nothing is taken while one of them is held
 *
 * A thread waits for the writer (back-pressure, fsync, a fresh lease) only with none of them held.
 * Builds with lock_check abort where either is broken (lock.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include "core/options.h"
#include "store/store.h"
#include "util/log.h"

struct cairn_core;

/* Who asks. `may_keep_setid` tells whether the caller holds CAP_FSETID; it is asked only when a
 * set-id bit is about to be cleared. NULL means no. */
struct cairn_caller {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	bool (*may_keep_setid)(const struct cairn_caller *caller);
};

enum cairn_set {
	CAIRN_SET_MODE = 1 << 0,
	CAIRN_SET_UID = 1 << 1,
	CAIRN_SET_GID = 1 << 2,
	CAIRN_SET_SIZE = 1 << 3,
	CAIRN_SET_ATIME = 1 << 4,
	CAIRN_SET_MTIME = 1 << 5,
	CAIRN_SET_ATIME_NOW = 1 << 6,
	CAIRN_SET_MTIME_NOW = 1 << 7,
	CAIRN_SET_CTIME = 1 << 8,
};

/* Starts the writer thread over `store`, which the core owns from here on, also on failure. */
int cairn_core_open(struct cairn_store *store, const struct cairn_core_options *options,
		    const struct cairn_log *log, struct cairn_core **ret);

/* Commits what is left, checkpoints, stops the writer and frees everything. Negative when changes
 * could not be written: they are lost, and the log has named the files. No other call may be under
 * way. */
int cairn_core_close(struct cairn_core *core);

/* Returns when the core knows what other processes had committed before the call; at once while a
 * commit of its own is under way, which looks at that first. (It looks by itself, too, a few times
 * a second.) */
int cairn_core_refresh(struct cairn_core *core);
/* The same, but what a commit that is under way has yet to drop is waited for, too: when it returns
 * the core shows nothing that others had made old before the call. -ETIMEDOUT after `timeout_ms`
 * (0: never). */
int cairn_core_refresh_fully(struct cairn_core *core, unsigned int timeout_ms);

/* Waits until all changes made before the call are committed, with `sync` on the disk. The errno of
 * an attempt that failed: the changes are kept then, and tried again. */
int cairn_core_settle(struct cairn_core *core, bool sync);
/* Whether nothing waits to be committed. */
bool cairn_core_is_clean(const struct cairn_core *core);

/* Lookups that the caller must give back with cairn_core_forget(): lookup, mknod, mkdir, symlink,
 * link and readdir with `plus` pin the inode they return. A pinned inode outlives its last name. */
void cairn_core_forget(struct cairn_core *core, uint64_t ino, uint64_t count);

/* Calls `fn` for the root and each inode that was pinned when the call began. No lock is held
 * meanwhile. */
void cairn_core_each_pinned(struct cairn_core *core, void (*fn)(void *arg, uint64_t ino),
			    void *arg);

/* -ENOENT only when there is no such entry; -ENAMETOOLONG, -ENOTDIR. */
int cairn_core_lookup(struct cairn_core *core, uint64_t parent, const char *name,
		      struct cairn_attr *ret);
int cairn_core_getattr(struct cairn_core *core, uint64_t ino, struct cairn_attr *ret);
/* Changes the attributes in `set` (CAIRN_SET_… bits) to those in `to`. No bit at all is chown(2)
 * with both ids -1, which clears set-id bits. -EFBIG, -EISDIR, -EINVAL for SIZE. */
int cairn_core_setattr(struct cairn_core *core, const struct cairn_caller *caller, uint64_t ino,
		       unsigned int set, const struct cairn_attr *to, struct cairn_attr *ret);
/* The target as a new string. -EINVAL if it is not a symbolic link. */
int cairn_core_readlink(struct cairn_core *core, uint64_t ino, char **ret);

/* Makes a regular file, fifo, socket or device. -EEXIST, -ENAMETOOLONG, -ENOTDIR, -EINVAL type. */
int cairn_core_mknod(struct cairn_core *core, const struct cairn_caller *caller, uint64_t parent,
		     const char *name, mode_t mode, dev_t rdev, struct cairn_attr *ret);
int cairn_core_mkdir(struct cairn_core *core, const struct cairn_caller *caller, uint64_t parent,
		     const char *name, mode_t mode, struct cairn_attr *ret);
int cairn_core_symlink(struct cairn_core *core, const struct cairn_caller *caller, uint64_t parent,
		       const char *name, const char *target, struct cairn_attr *ret);
/* -EPERM for a directory, -EMLINK. */
int cairn_core_link(struct cairn_core *core, uint64_t ino, uint64_t parent, const char *name,
		    struct cairn_attr *ret);
int cairn_core_unlink(struct cairn_core *core, uint64_t parent, const char *name);
int cairn_core_rmdir(struct cairn_core *core, uint64_t parent, const char *name);
/* `flags` as renameat2(2): 0, RENAME_NOREPLACE or RENAME_EXCHANGE, else -EINVAL. The caller sees to
 * it that a directory does not move below itself (the kernel does, for a mount). */
int cairn_core_rename(struct cairn_core *core, uint64_t parent, const char *name,
		      uint64_t new_parent, const char *new_name, unsigned int flags);

/* Bytes read, short only at the end of the file. */
ssize_t cairn_core_read(struct cairn_core *core, uint64_t ino, void *buf, size_t size,
			off_t offset);
/* Writes all of it or nothing; `append` writes at the end whatever `offset` says. `sync` is
 * O_DSYNC. */
int cairn_core_write(struct cairn_core *core, const struct cairn_caller *caller, uint64_t ino,
		     const void *buf, size_t size, off_t offset, bool append, bool sync);
/* Makes `buf` the content of the file `name` in `dir`, all or nothing and in one operation; the
 * file is made with `mode` if it is missing. -EISDIR, -EINVAL for what is no regular file. No pin.
 */
int cairn_core_put(struct cairn_core *core, const struct cairn_caller *caller, uint64_t dir,
		   const char *name, mode_t mode, const void *buf, size_t size);
/* Everything the inode owes is on the disk at return: data, attributes, entries. */
int cairn_core_fsync(struct cairn_core *core, uint64_t ino);

/* An fsync that no thread waits for. */
struct cairn_fsync {
	/* Called once, with the result, by the writer or before cairn_core_fsync_begin() returns.
	 * Holds up all others: it must not wait for anything. */
	void (*done)(struct cairn_fsync *fsync, int r);
	/* The writer's own. */
	struct cairn_fsync *prev, *next;
	uint64_t seq;      /* the batch that is to be synced */
	uint64_t failures; /* of the writer when it began */
};
/* `fsync` stays the caller's until it is done. */
void cairn_core_fsync_begin(struct cairn_core *core, uint64_t ino, struct cairn_fsync *fsync);
/* Waits until all that have begun are done. */
void cairn_core_fsync_drain(struct cairn_core *core);
/* `mode` as fallocate(2): 0, KEEP_SIZE, PUNCH_HOLE|KEEP_SIZE, ZERO_RANGE[|KEEP_SIZE]; else
 * -EOPNOTSUPP. */
int cairn_core_fallocate(struct cairn_core *core, const struct cairn_caller *caller, uint64_t ino,
			 int mode, off_t offset, off_t length);
/* SEEK_DATA or SEEK_HOLE at the granularity of chunks. -ENXIO past the end. */
int cairn_core_lseek(struct cairn_core *core, uint64_t ino, off_t offset, int whence, off_t *ret);
/* Bytes copied: at most CAIRN_COPY_MAX a call, fewer at the end of the source. */
#define CAIRN_COPY_MAX (1U << 20)
ssize_t cairn_core_copy(struct cairn_core *core, const struct cairn_caller *caller, uint64_t in,
			off_t in_offset, uint64_t out, off_t out_offset, size_t size);

struct cairn_dirent {
	const char *name; /* NUL-terminated */
	uint64_t ino;
	mode_t type;                   /* S_IFMT bits */
	const struct cairn_attr *attr; /* with `plus` and not for "." and ".."; else NULL */
	off_t next;                    /* the position after this entry */
};
/* Returns true when the entry found no room: it is then not pinned, and the listing ends. */
typedef bool (*cairn_dirent_fn)(void *arg, const struct cairn_dirent *entry);
/* Lists from position `offset` (0: the start, else a `next` of any earlier call, however long ago).
 * An entry that was there throughout is listed once. */
int cairn_core_readdir(struct cairn_core *core, uint64_t ino, off_t offset, bool plus,
		       cairn_dirent_fn fn, void *arg);

/* -ENODATA, -ERANGE as getxattr(2). With size 0, the length that is there. */
ssize_t cairn_core_getxattr(struct cairn_core *core, uint64_t ino, const char *name, void *buf,
			    size_t size);
/* `flags`: XATTR_CREATE, XATTR_REPLACE. -E2BIG, -EEXIST, -ENODATA. */
int cairn_core_setxattr(struct cairn_core *core, uint64_t ino, const char *name, const void *value,
			size_t size, int flags);
ssize_t cairn_core_listxattr(struct cairn_core *core, uint64_t ino, char *buf, size_t size);
int cairn_core_removexattr(struct cairn_core *core, uint64_t ino, const char *name);

/* What the core, and the store below it, have counted since they were opened; the second is NULL
 * for a store that does not count. */
const struct cairn_stats *cairn_core_stats(const struct cairn_core *core);
const struct cairn_stats *cairn_core_store_stats(const struct cairn_core *core);
/* Calls `fn` for each level of this moment: what is in memory, waits or is in use. No lock is held
 * meanwhile, and no two levels need be of the same instant. */
typedef void (*cairn_level_fn)(void *arg, const char *name, uint64_t value);
void cairn_core_levels(struct cairn_core *core, cairn_level_fn fn, void *arg);

/* Block counts of the quota, or of the disk below where there is none; no scan. `disk` is what
 * statvfs(3) says of the file system that holds the workspace. */
int cairn_core_statfs(struct cairn_core *core, const struct statvfs *disk, struct statvfs *ret);
