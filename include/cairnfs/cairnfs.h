/* libcairnfs: the files and the key-value store of a workspace, for any number of threads and
 * processes at once. It is the same file system that `cairnfs mount` serves; no mount is needed,
 * and one may be there.
 *
 *	#include <cairnfs/cairnfs.h>
 *
 *	struct cairnfs_options options = CAIRNFS_OPTIONS_INIT;
 *	struct cairnfs *ws;
 *
 *	options.create = true;
 *	if (cairnfs_open("work.db", &options, &ws) < 0)
 *		errx(1, "%s", cairnfs_last_error());
 *	if (cairnfs_write_file(ws, "/notes/today", "hello\n", 6) < 0)
 *		warnx("%s", cairnfs_last_error());
 *	cairnfs_close(ws);
 *
 * Results. A function returns 0, or what it says, or a negative errno; cairnfs_last_error() has
 * the words. Outputs are untouched on failure. Any function may return, besides what it lists:
 * -EINVAL for a null pointer or an unknown flag, -ENOMEM, -EIO for a damaged workspace or a failing
 * disk, and one that changes something also -EROFS, -ENOSPC, or -EAGAIN when another process kept
 * the workspace to itself for more than 60 seconds. No function ever reports a lock as a missing
 * file, and none needs a lock of the caller's.
 *
 * Paths are bytes, resolved from the root of the workspace with or without a leading '/'. "." and
 * ".." mean what they mean in a path; symbolic links are followed, in the last component too unless
 * the function says otherwise; a trailing '/' asks for a directory. Common results: -ENOENT,
 * -ENOTDIR, -ELOOP after 40 links, -ENAMETOOLONG above 255 bytes for a name or 4095 for a path.
 *
 * Owners and permissions are stored (new things belong to the effective user and group of the
 * process) but not enforced: who can write the database file can do everything.
 *
 * Threads. Every function may be called from any thread at any time, except that cairnfs_close()
 * must be the last call on its workspace. A child of fork(2) must not use the workspaces of its
 * parent; it opens its own.
 *
 * Processes. A call sees everything that other processes had committed before it began, in a
 * branch also to its base. Unless
 * durability is async, calls that change files are also atomic between all processes that use this
 * library: two appends to one file both arrive, one of two mkdir of a name says -EEXIST. For the
 * time of its changes a process locks the file `<workspace>-api`, which the last to close removes.
 * A mount takes no part in that. What the library commits shows in a mount within a second, and
 *what is written in a mount shows here when the mount has committed it (fsync(2) makes it do so).
 * Where both change one file within that second, the later commit decides; that is logged, and
 * the workspace stays sound. The key-value functions are atomic everywhere. */
#ifndef CAIRNFS_CAIRNFS_H
#define CAIRNFS_CAIRNFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CAIRNFS_API __attribute__((visibility("default")))
#else
#define CAIRNFS_API
#endif

/* An open workspace. */
struct cairnfs;

/* How calls that meet are put in order. */
enum cairnfs_concurrency {
	/* Each call takes effect at one moment between its begin and its end, in one order that
	 * all threads agree on, and with durability commit or full all processes. */
	CAIRNFS_SERIALIZED = 0,
};

/* What a call that changed something waits for before it returns. cairnfs_fsync() and
 * cairnfs_sync() reach the disk whatever is chosen here. */
enum cairnfs_durability {
	/* Nothing: changes of files are committed within a second, or at cairnfs_close(). Other
	 * processes see them only then, and no order is kept with theirs: for workspaces that one
	 * process writes. Changes of keys are committed at once all the same. */
	CAIRNFS_DURABILITY_ASYNC = 0,
	/* The commit: it survives a crash of the process, and every process sees it. */
	CAIRNFS_DURABILITY_COMMIT = 1,
	/* The disk: it survives a power cut. */
	CAIRNFS_DURABILITY_FULL = 2,
};

/* How a workspace is opened. Start from CAIRNFS_OPTIONS_INIT, so that fields which a later version
 * adds have their defaults. */
struct cairnfs_options {
	size_t size; /* of this structure, as the program was compiled */
	enum cairnfs_concurrency concurrency;
	/* Milliseconds that one attempt at a lock of another process waits; further attempts
	 * follow, until 60 seconds have passed. */
	unsigned int busy_timeout_ms;
	enum cairnfs_durability durability;
	bool update_atime; /* a read moves atime as the mount option relatime does; reads then cost
			    * what changes cost */
	bool read_only;    /* nothing is written, not even a lock file */
	bool create;       /* make the workspace where there is no file */
	/* Where warnings go, one line each, appended. NULL: nowhere. */
	const char *log_file;
};

/* By position, for C++ before C++20. */
#define CAIRNFS_OPTIONS_INIT                                                                       \
	{                                                                                          \
		sizeof(struct cairnfs_options), CAIRNFS_SERIALIZED, 5000,                          \
			CAIRNFS_DURABILITY_COMMIT, false, false, false, NULL                       \
	}

/* Opens the workspace in the database file `path`; `options` may be NULL for the defaults. *ret is
 * closed with cairnfs_close(). -ENOENT no such file (and not `create`); -EINVAL it is no workspace,
 * or one of a newer version; -EBUSY a program that takes it for itself alone, such as AgentFS, has
 * it open, and did for 60 seconds; -EACCES; -E2BIG an option that this version does not know. */
CAIRNFS_API int cairnfs_open(const char *path, const struct cairnfs_options *options,
			     struct cairnfs **ret);

/* Commits what is not committed yet and frees `ws` (NULL is allowed), also when it fails: then
 * changes were lost, which cannot be with durability commit and full unless a call had failed
 * before. */
CAIRNFS_API int cairnfs_close(struct cairnfs *ws);

/* What went wrong in the last call of this thread that failed: one line, without a newline, valid
 * until the thread's next call of this library. Never NULL. */
CAIRNFS_API const char *cairnfs_last_error(void);

/* The version of the library, such as "0.1.0". */
CAIRNFS_API const char *cairnfs_version(void);

/* Files. Those that write make a missing file, with mode 0644; its directory must exist. -EISDIR
 * for a directory, -EINVAL for what is neither file nor directory, -EFBIG. Changes are kept in
 * memory until they are committed: write large files in pieces of some MiB. */

/* Reads up to `size` bytes from `offset` bytes on. Returns how many, fewer only at the end of the
 * file. */
CAIRNFS_API int64_t cairnfs_read(struct cairnfs *ws, const char *path, void *buf, size_t size,
				 int64_t offset);

/* Reads the whole file: *ret has *ret_size bytes and a NUL behind them; free(3) it. */
CAIRNFS_API int cairnfs_read_file(struct cairnfs *ws, const char *path, void **ret,
				  size_t *ret_size);

/* Writes all bytes at `offset`, or none. What lies between the old end and `offset` reads as
 * zeros. */
CAIRNFS_API int cairnfs_write(struct cairnfs *ws, const char *path, const void *buf, size_t size,
			      int64_t offset);

/* Makes these bytes the whole content, in one step: nobody ever sees, and no crash leaves, a part
 * of it. The file keeps its inode, mode and other names. */
CAIRNFS_API int cairnfs_write_file(struct cairnfs *ws, const char *path, const void *buf,
				   size_t size);

/* Writes all bytes at the end, wherever that is by then. */
CAIRNFS_API int cairnfs_append(struct cairnfs *ws, const char *path, const void *buf, size_t size);

/* Cuts or extends (with zeros) to `size` bytes. Does not make the file. */
CAIRNFS_API int cairnfs_truncate(struct cairnfs *ws, const char *path, int64_t size);

/* All that a call has changed of this file or directory is on the disk at return. */
CAIRNFS_API int cairnfs_fsync(struct cairnfs *ws, const char *path);

/* All that calls on `ws` have changed, keys too, is on the disk at return. */
CAIRNFS_API int cairnfs_sync(struct cairnfs *ws);

/* The tree. */

struct cairnfs_stat {
	uint64_t ino;
	uint32_t mode; /* type and permissions, as in stat(2) */
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint64_t size;      /* bytes */
	uint64_t allocated; /* bytes that are not holes */
	struct timespec atime;
	struct timespec mtime;
	struct timespec ctime;
};

CAIRNFS_API int cairnfs_stat(struct cairnfs *ws, const char *path, struct cairnfs_stat *ret);
/* The same of a symbolic link itself. */
CAIRNFS_API int cairnfs_lstat(struct cairnfs *ws, const char *path, struct cairnfs_stat *ret);

/* 1: it exists; 0: it does not, for certain (a link that leads nowhere does not); negative: that
 * could not be told. */
CAIRNFS_API int cairnfs_exists(struct cairnfs *ws, const char *path);

struct cairnfs_entry {
	const char *name; /* valid until the callback returns */
	uint64_t ino;
	uint32_t type; /* the S_IFMT bits of a mode; 0: not known */
};

/* Calls `fn` for each entry of a directory but "." and "..", in no set order. No lock is held
 * meanwhile: `fn` may call any function. A value other than 0 ends the listing and is returned. An
 * entry that was there throughout is listed once. */
typedef int (*cairnfs_list_fn)(void *arg, const struct cairnfs_entry *entry);
CAIRNFS_API int cairnfs_list(struct cairnfs *ws, const char *path, cairnfs_list_fn fn, void *arg);

/* Missing parents are made, too, with the same mode; a directory that is there is no error. */
#define CAIRNFS_PARENTS 1U
/* -EEXIST. `mode` is the permissions; the umask does not count. */
CAIRNFS_API int cairnfs_mkdir(struct cairnfs *ws, const char *path, uint32_t mode,
			      unsigned int flags);

#define CAIRNFS_NOREPLACE 1U /* -EEXIST where `to` exists */
#define CAIRNFS_EXCHANGE  2U /* the two change places; both must exist */
/* Moves `from` to `to`, replacing a file, or an empty directory by a directory, in one step. Links
 * are not followed at the end of either. -EISDIR, -ENOTDIR, -ENOTEMPTY as rename(2); -EINVAL into
 * itself; -EBUSY for the root. */
CAIRNFS_API int cairnfs_rename(struct cairnfs *ws, const char *from, const char *to,
			       unsigned int flags);

#define CAIRNFS_RECURSIVE 1U /* with all that is below it; entry by entry, not in one step */
/* Removes a file, a link itself, or an empty directory. -ENOTEMPTY; -EBUSY for the root. */
CAIRNFS_API int cairnfs_remove(struct cairnfs *ws, const char *path, unsigned int flags);

/* Makes `path` a symbolic link to `target`, which is at most 4095 bytes and not empty. -EEXIST. */
CAIRNFS_API int cairnfs_symlink(struct cairnfs *ws, const char *target, const char *path);

/* The target of a symbolic link as a new string, free(3) it. -EINVAL where it is none. */
CAIRNFS_API int cairnfs_readlink(struct cairnfs *ws, const char *path, char **ret);

/* Gives the file `from`, which is not followed, a second name. -EEXIST; -EPERM for a directory. */
CAIRNFS_API int cairnfs_link(struct cairnfs *ws, const char *from, const char *to);

/* Sets the permission bits, 07777 at most. */
CAIRNFS_API int cairnfs_chmod(struct cairnfs *ws, const char *path, uint32_t mode);

/* Keys and values: the key-value store of the workspace, AgentFS's own table. Keys and values are
 * UTF-8 strings (-EINVAL otherwise) of at most 16 MiB (-EFBIG). AgentFS's libraries keep JSON text
 * as values: write JSON where they read. Each function is one transaction, atomic between all
 * threads and processes, mounts and other programs included. */

/* The value as a new string, free(3) it; its length in *ret_size (may be NULL) without the NUL
 * behind it. -ENOENT only when there is no such key. */
CAIRNFS_API int cairnfs_kv_get(struct cairnfs *ws, const char *key, char **ret, size_t *ret_size);

CAIRNFS_API int cairnfs_kv_set(struct cairnfs *ws, const char *key, const char *value);

/* -ENOENT when there is no such key. */
CAIRNFS_API int cairnfs_kv_delete(struct cairnfs *ws, const char *key);

/* Calls `fn` for each key that begins with `prefix`, in the order of their bytes, with the values
 * of one moment. No lock is held meanwhile. A value other than 0 ends the listing and is
 * returned. */
typedef int (*cairnfs_kv_list_fn)(void *arg, const char *key, const char *value);
CAIRNFS_API int cairnfs_kv_list(struct cairnfs *ws, const char *prefix, cairnfs_kv_list_fn fn,
				void *arg);

/* Adds `delta` to a decimal number and stores it; a missing key counts as 0. *ret (may be NULL) is
 * the new number. -EINVAL when the value is no whole number, -ERANGE beyond 64 bits: the value is
 * as it was then. */
CAIRNFS_API int cairnfs_kv_increment(struct cairnfs *ws, const char *key, int64_t delta,
				     int64_t *ret);

/* Sets `value` if the key has the value `expected`: 1 when it had, 0 when not. `expected` NULL
 * stands for "no such key", `value` NULL deletes the key. */
CAIRNFS_API int cairnfs_kv_compare_and_set(struct cairnfs *ws, const char *key,
					   const char *expected, const char *value);

#ifdef __cplusplus
}
#endif

#endif
