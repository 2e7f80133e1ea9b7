/* The inside of base_dir.c, a host directory as a base, shared by its files:
 *
 *	base_dir.c	the functions of the base
 *	dir_open.c	opening below the root, whatever stands there
 *	dir_number.c	which number a file of the host has
 *	dir_mounts.c	the mounts that are not entered
 *	dir_watch.c	what others change
 *	dir_files.c	the files that are being read
 *	dir_xattr.c	extended attributes
 *
 * Nothing is opened by its path from "/": all is found from the root's descriptor, without
 *following a symbolic link. Everything is first opened with O_PATH, which asks no driver and waits
 *for nobody, and what turned out to be a directory or a regular file is opened for reading through
 * /proc/self/fd: so it is the same file that was looked at.
 *
 * Lock order: numbers.lock or watch.lock, then nodes.lock. The others are taken with no lock held.
 */
#pragma once

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/base.h"
#include "base/node.h"
#include "util/macro.h"

/* What the host knows a file by. */
struct cairn_dir_id {
	uint64_t ino;
	uint64_t mount; /* the kernel's id of the mount; 0 before Linux 5.8 */
	uint64_t dev;
};

/* Numbers that are not simply the host's. */
struct cairn_dir_odd;
struct cairn_dir_numbers {
	pthread_mutex_t lock;
	struct cairn_dir_odd *by_id, *by_number; /* guarded by lock */
	struct cairn_dir_id root;
};

/* Mounts of cairnfs below the root. */
struct cairn_dir_mounts {
	pthread_mutex_t lock;
	int table_fd;   /* /proc/self/mountinfo; the rest is guarded by lock */
	bool loaded;    /* what follows is what the table says */
	uint64_t *devs; /* of mounts of cairnfs */
	size_t dev_count;
	uint64_t below; /* a digest of all mounts below the root; 0: not known yet */
	bool changed;   /* that has become another one */
};

struct cairn_dir_watch_node;
struct cairn_dir_watch_wd;

/* Names beside the workspace of an overlay that are no change when they are written. */
struct cairn_dir_own {
	char *path; /* of the workspace */
	const char *name;
	struct cairn_dir_id file, dir;
	int wd; /* of its directory, -1 while that is not watched; guarded by watch.lock */
};

struct cairn_dir_watch {
	pthread_mutex_t lock;
	int fd;
	struct cairn_dir_watch_node *by_ino; /* guarded by lock */
	struct cairn_dir_watch_wd *by_wd;    /* guarded by lock */
	bool exhausted;                      /* something is not watched; guarded by lock */
	uint64_t told_ns; /* when a change was last told of because of that; of poll() */
};

struct cairn_dir_file;
struct cairn_dir_files {
	pthread_mutex_t lock;
	struct cairn_dir_file *table; /* by number; guarded by lock, as is the rest */
	struct cairn_dir_file *idle;  /* of these, without a user, most recently used first */
	struct cairn_dir_file *kept;  /* not in the table any more; see cairn_dir_file_get() */
	unsigned int idle_count;
};

struct dir_base {
	struct cairn_base base;
	const struct cairn_log *log;
	char *path;
	int root_fd; /* O_PATH */
	bool has_openat2;
	atomic_bool changed; /* noticed while answering something else; poll() tells */
	struct cairn_nodes nodes;
	struct cairn_dir_numbers numbers;
	struct cairn_dir_mounts mounts;
	struct cairn_dir_watch watch;
	struct cairn_dir_files files;
	struct cairn_dir_own *own;
	size_t own_count;
	char **ignore;
	size_t ignore_count;
};

/* A node that was opened with O_PATH. */
struct dir_node {
	int fd; /* -1: a mount that is not entered */
	uint64_t ino;
	bool careful;     /* there are mounts below the root that are not entered */
	struct statx stx; /* of such a mount, with the type of a directory, the id alone */
};
static inline void dir_nodep(const struct dir_node *node)
{
	cairn_closep(&node->fd);
}

/* What statx(2) is asked for everywhere. */
#define DIR_STATX_MASK (STATX_BASIC_STATS | STATX_MNT_ID)

struct cairn_dir_id cairn_dir_id(const struct statx *stx);
bool cairn_dir_id_equal(const struct cairn_dir_id *a, const struct cairn_dir_id *b);

/* dir_open.c */
bool cairn_dir_has_openat2(int fd);
/* Opens a node where it was found last. -ENOENT where nothing is there any more or something of
 * another type; that, and another file of the same type, is noted as a change. ret->fd is -1 for a
 * mount that is not entered. */
int cairn_dir_open_node(struct dir_base *b, uint64_t ino, struct dir_node *ret);
/* Looks at a name in an open directory. Does not give it out. -EXDEV with the id alone in ret for
 * a mount that is not entered. */
int cairn_dir_stat_at(struct dir_base *b, const struct dir_node *dir, const char *name,
		      struct statx *ret);
/* Opens for reading what is open with O_PATH, without moving its access time where that is allowed.
 */
int cairn_dir_reopen(int fd, int flags);
/* "/proc/self/fd/N", for what cannot work on a descriptor of O_PATH. */
struct cairn_dir_proc_path {
	char text[32];
};
struct cairn_dir_proc_path cairn_dir_proc_path(int fd);

/* dir_number.c */
void cairn_dir_numbers_init(struct cairn_dir_numbers *numbers);
void cairn_dir_numbers_destroy(struct cairn_dir_numbers *numbers);
uint64_t cairn_dir_number_root(const struct cairn_dir_numbers *numbers);
/* Gives out the file of this id, found as `name` in `dir`. As cairn_node_give(). */
int cairn_dir_number_give(struct dir_base *b, uint64_t dir, const char *name, size_t len,
			  const struct cairn_dir_id *id, uint32_t type, uint64_t *ret);
/* Whether `ino` is the number of the file of this id. */
bool cairn_dir_number_is(struct cairn_dir_numbers *numbers, uint64_t ino,
			 const struct cairn_dir_id *id);
void cairn_dir_number_forget(struct dir_base *b, uint64_t ino);

/* dir_mounts.c */
void cairn_dir_mounts_init(struct cairn_dir_mounts *mounts);
void cairn_dir_mounts_destroy(struct cairn_dir_mounts *mounts);
/* Whether there is a mount of cairnfs below the root now. */
bool cairn_dir_mounts_any(struct dir_base *b);
/* Whether a file system with this device is one of cairnfs. */
bool cairn_dir_mounts_hide(struct dir_base *b, uint64_t dev);
/* Whether the mounts below the root have changed since the last call. */
bool cairn_dir_mounts_changed(struct dir_base *b);

/* dir_watch.c */
void cairn_dir_watch_init(struct cairn_dir_watch *watch);
void cairn_dir_watch_destroy(struct cairn_dir_watch *watch);
/* Watches a directory, before something is read from it. Where that does not work, it is taken as
 * changed from time to time. */
void cairn_dir_watch_add(struct dir_base *b, const struct dir_node *dir);
void cairn_dir_watch_remove(struct cairn_dir_watch *watch, uint64_t ino);
/* Whether anything changed that is watched, or cannot be. */
bool cairn_dir_watch_changed(struct dir_base *b);

/* dir_files.c */
void cairn_dir_files_init(struct cairn_dir_files *files);
void cairn_dir_files_destroy(struct cairn_dir_files *files);
/* A regular file, open for reading; give it back. -EINVAL for another type.
 *
 * The workspace of the overlay may lie in its own base. SQLite locks it and its -shm, and closing
 * any descriptor of a file drops all locks that the process has on it (fcntl(2)): once such a file
 * was opened here it stays open until the base is closed. */
int cairn_dir_file_get(struct dir_base *b, uint64_t ino, struct cairn_dir_file **ret);
void cairn_dir_file_put(struct dir_base *b, struct cairn_dir_file *file);
int cairn_dir_file_fd(const struct cairn_dir_file *file);
/* Closes what nobody uses: all, or what has not been used since the last call but one. */
void cairn_dir_files_trim(struct dir_base *b, bool all);

/* base_dir.c: whether `name` in `dir` is not to be shown. */
bool cairn_dir_ignored(struct dir_base *b, uint64_t dir, const char *name);

/* dir_xattr.c */
int cairn_dir_xattr_get(struct cairn_base *base, uint64_t ino, const char *name, void **ret,
			size_t *ret_len);
int cairn_dir_xattr_scan(struct cairn_base *base, uint64_t ino, cairn_xattr_fn fn, void *arg);
