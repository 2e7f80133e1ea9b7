/* Names in directories, as the batches and the store know them together. */
#pragma once

#include "core/inode.h"
#include "core/op.h"

struct cairn_dentry {
	uint64_t id;
	uint64_t ino;
	uint32_t type;    /* S_IFMT bits; 0: not known (the entry dangles) */
	bool batched;     /* known from a batch, not from the store */
	uint64_t version; /* of the directory, when it was found */
	bool has_attr;    /* of the inode, as a hint */
	struct cairn_attr attr;
	unsigned long commits; /* count that goes with attr */
};

/* 0, or what is wrong with a name: -ENOENT empty, -ENAMETOOLONG, -EINVAL for what is no name. */
int cairn_dentry_check_name(const char *name, size_t *ret_len);

/* Looks a name up; the caller holds the lock of `dir`. -ENOENT when there is no such entry. */
int cairn_dentry_find(struct cairn_core *core, const struct cairn_inode *dir, const char *name,
		      size_t len, struct cairn_dentry *ret);
/* The same, taking the lock of directory `parent` for as long as it needs. -ENOTDIR, -ESTALE when
 * the directory itself is gone. With `pin`, the inode is pinned before the lock is released. On
 * -ENOENT, ret->version is set. */
int cairn_dentry_peek(struct cairn_core *core, uint64_t parent, const char *name, size_t len,
		      bool pin, struct cairn_dentry *ret);
/* Whether what a peek found still holds, now that the directory is locked. */
static inline bool cairn_dentry_still(const struct cairn_inode *dir, const struct cairn_dentry *d)
{
	return dir->version == d->version;
}

/* A name in a directory that an operation works on, and what it stands for. */
struct cairn_place {
	uint64_t parent;
	const char *name;
	size_t len;
	/* Set by cairn_places_lock(): */
	bool found;
	struct cairn_dentry dentry; /* where found */
	struct cairn_inode *dir;
	struct cairn_inode *inode; /* where found; else NULL */
};

/* How often an entry may be seen without its inode before that is taken for damage. */
#define CAIRN_GONE_MAX 8U

#define CAIRN_PLACES_MAX 2U

/* Locks the directories of up to CAIRN_PLACES_MAX places and the inodes found there, all in order
 * of their numbers, and makes sure that the names still stand for them. A name that is not there is
 * no error. -ENOTDIR, -ENOENT for a directory that was removed, -EIO for an entry without an inode.
 */
int cairn_places_lock(struct cairn_op *op, struct cairn_place *places, unsigned int count);

/* Makes sure that a later set or remove of this name finds memory. `old` is what was found, or
 * NULL. */
int cairn_dentry_prepare(struct cairn_op *op, struct cairn_inode *dir, const char *name, size_t len,
			 const struct cairn_dentry *old);
/* The id of an entry that is about to be made. */
uint64_t cairn_dentry_new_id(struct cairn_core *core, const char *name, size_t len);
/* Points `name` of `dir` to an inode: adds the entry, or takes over the one in `old` (NULL: there
 * is none). */
int cairn_dentry_set(struct cairn_op *op, struct cairn_inode *dir, const char *name, size_t len,
		     const struct cairn_dentry *old, uint64_t ino, uint32_t mode);
/* Removes the entry that was found as `old`. */
int cairn_dentry_remove(struct cairn_op *op, struct cairn_inode *dir, const char *name, size_t len,
			const struct cairn_dentry *old);
/* 0 when the directory has no entry, -ENOTEMPTY otherwise. The caller holds its lock. */
int cairn_dentry_check_empty(struct cairn_core *core, const struct cairn_inode *dir);
