/* What lies under an overlay, read and never written: another workspace (base_store.c) or a
 * directory of the host (base_dir.c).
 *
 * A base numbers its inodes in 56 bits or, where it is an overlay itself, in steps above that (see
 * CAIRN_LAYER_STEP). It gives nodes out by name only: from the root, lookup by lookup. What it gave
 * out it remembers, with the directory and name where it was found last, until forget(). A number
 * that it does not know is -ENOENT; a workspace finds its inodes by number all the same.
 *
 * Functions may be called from any thread, but poll(), which belongs to one, the writer's. Every
 * one returns 0 (or what it says) or a negative errno, and leaves its outputs alone on failure:
 *
 *   -ENOENT  a definite "there is none", and nothing else
 *   -EACCES  the host does not let us read it
 *   others   as store.h has them, or what the host said
 *
 * What changes under us answers as it is now: a name that was given another file since answers for
 * the new one while that is of the same type, and is -ENOENT otherwise. Either way the next poll()
 * tells of a change. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/store.h"
#include "util/error.h"
#include "util/log.h"

/* Inode numbers of one layer lie below this; a layer above adds it to the numbers of its base. */
#define CAIRN_LAYER_STEP (UINT64_C(1) << 56)

/* The folder at the top of a base directory that is never shown: what takes accepts back is kept
 * there (branch/host.h). */
#define CAIRN_BASE_HIDDEN ".cairnfs"

/* How many overlays may lie one above another. */
#define CAIRN_BASE_DEPTH_MAX 16U

struct cairn_base;

/* A name of a directory; valid until the callback returns. */
struct cairn_base_entry {
	const char *name; /* not terminated */
	size_t name_len;
	uint64_t ino;
	uint32_t mode; /* at least the type; 0 where it cannot be told */
	bool has_attr;
	struct cairn_attr attr;
};
/* 0 goes on, anything else ends the listing and is returned. */
typedef int (*cairn_base_fn)(void *arg, const struct cairn_base_entry *entry);

enum cairn_base_change {
	CAIRN_BASE_SAME,
	CAIRN_BASE_CHANGED, /* somebody changed something since the last call, or may have */
};

struct cairn_base_ops {
	uint64_t (*root)(struct cairn_base *base);
	/* -ENOTDIR where `dir` is none. */
	int (*lookup)(struct cairn_base *base, uint64_t dir, const char *name, size_t len,
		      struct cairn_attr *ret);
	int (*getattr)(struct cairn_base *base, uint64_t ino, struct cairn_attr *ret);
	/* All entries but "." and "..", in no set order. What is listed is given out like what is
	 * looked up. */
	int (*list)(struct cairn_base *base, uint64_t dir, cairn_base_fn fn, void *arg);
	/* The target as a new string, free() it. -EINVAL where it is no symbolic link. */
	int (*readlink)(struct cairn_base *base, uint64_t ino, char **ret);
	/* Bytes read, short only at the end of the file. -EINVAL where it is no regular file. */
	ssize_t (*read)(struct cairn_base *base, uint64_t ino, void *buf, size_t size,
			int64_t offset);
	/* The next offset >= `offset` with data, and where that data ends, at any granularity that
	 * never calls data a hole. -ENXIO: only a hole until the end. */
	int (*next_data)(struct cairn_base *base, uint64_t ino, int64_t offset, int64_t *ret,
			 int64_t *ret_end);
	/* As the functions of the store. */
	int (*xattr_get)(struct cairn_base *base, uint64_t ino, const char *name, void **ret,
			 size_t *ret_len);
	int (*xattr_scan)(struct cairn_base *base, uint64_t ino, cairn_xattr_fn fn, void *arg);
	/* Where a node was found last, from the root of the base, as a new string: "/", "/a/b". */
	int (*path)(struct cairn_base *base, uint64_t ino, char **ret);
	/* The same, one step: its directory and its name there. -ENOENT for the root. */
	int (*place)(struct cairn_base *base, uint64_t ino, uint64_t *ret_dir,
		     char ret_name[CAIRN_NAME_MAX + 1]);
	/* Finds a node by its path from the root, and gives out all on the way. */
	int (*resolve)(struct cairn_base *base, const char *path, struct cairn_attr *ret);
	/* Neither the kernel nor a batch refers to the node any more. Not obeyed where the node was
	 * given out within the last seconds: who asked for it then may be about to use it. */
	void (*forget)(struct cairn_base *base, uint64_t ino);
	/* What is asked from here on is answered from the newest state. */
	void (*renew)(struct cairn_base *base);
	/* Whether anything changed since the last call. */
	int (*poll)(struct cairn_base *base, enum cairn_base_change *ret);
	/* Comes after the close of the workspace above it, whose file a directory may hold open. */
	void (*close)(struct cairn_base *base);
};

struct cairn_base {
	const struct cairn_base_ops *ops;
	const char *path; /* what it was opened as; owned by the base */
	bool has_xattrs;  /* some node is known to have extended attributes */
};

/* The overlays above a base, nearest first: the workspace files themselves. */
struct cairn_base_above {
	const char *workspace;
	const struct cairn_base_above *next;
};

struct cairn_base_options {
	unsigned int busy_timeout_ms;
	const struct cairn_log *log; /* may be NULL; must outlive the base */
	/* Host directories: what is not shown, as fnmatch(3) patterns against the path from the
	 * base's root (without a slash in front) or, in a pattern without a slash, against each
	 * name. Needed only during the call. */
	const char *const *ignore;
	size_t ignore_count;
	/* Needed only during the call. Writes to these files, where they lie in a base directory,
	 * are no change of the base. */
	const struct cairn_base_above *above;
	/* Where it will be mounted in this process's sight, NULL: nowhere. A workspace below that
	 * would be looked for in the mount itself. Needed only during the call. */
	const char *mount_point;
};

/* Whether an extended attribute of a file of the host means the same in a copy of it. */
bool cairn_base_xattr_is_shown(const char *name);

/* Opens whichever kind lies at `path`. -ENOENT, -EINVAL for what is neither a directory nor a
 * workspace, -ELOOP where it lies under itself or more than CAIRN_BASE_DEPTH_MAX overlays lie above
 * it, or what cairn_sqlite_store_open() and open(2) said; `err` says it in words. */
int cairn_base_open(const char *path, const struct cairn_base_options *options,
		    struct cairn_base **ret, struct cairn_error *err);
