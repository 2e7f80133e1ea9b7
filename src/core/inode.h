/* In-core inodes and the cache that holds them.
 *
 * An inode is in core while an operation uses it or a batch holds changes of it, and stays for a
 * while after that on a least-recently-used list. Its attributes in core are always the newest:
 * the store is read once, when the inode enters, and never again while it stays. */
#pragma once

#include "util/hash.h"
#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "core/lock.h"
#include "store/store.h"

struct cairn_core;
struct cairn_delta;
struct cairn_listing;

struct cairn_inode {
	uint64_t ino;
	UT_hash_handle hh;               /* guarded by icache.lock */
	struct cairn_inode *prev, *next; /* icache.idle while refs == 0; guarded by icache.lock */
	unsigned int refs;               /* guarded by icache.lock */
	bool hashed;                     /* guarded by icache.lock */

	struct cairn_rwlock lock; /* guards all that follows */
	int error;                /* why it could not be loaded; such an inode has left the table */
	bool fresh;   /* no row in the store yet: nothing of it needs to be looked up there */
	bool dead;    /* destroyed; it stays in the table while its row may be in the store */
	bool recount; /* the stored nlink was no count; see cairn_inode_drop_link() */
	struct cairn_attr attr;
	_Atomic int64_t allocated;    /* see data.h; -1: not known. Set under either kind of lock */
	uint64_t version;             /* of the entries: moves with each change of them */
	struct cairn_delta *delta[2]; /* changes, by the parity of the batch that holds them */
	struct cairn_listing *listing;
};

struct cairn_icache {
	struct cairn_mutex lock;
	struct cairn_inode *table; /* by ino */
	struct cairn_inode *idle;  /* clean and unused, most recently used first */
	unsigned int idle_count;
	unsigned int idle_max;
};

int cairn_icache_init(struct cairn_icache *cache);
/* Frees everything; no inode may be in use. */
void cairn_icache_destroy(struct cairn_icache *cache);

/* The attributes of an inode as a query of the store saw them, and the commit count from before
 * that query: good while nothing has been committed since. */
struct cairn_attr_hint {
	const struct cairn_attr *attr;
	uint64_t commits;
};

/* The inode with a reference; loads it if it is not in core, from `hint` (may be NULL) where that
 * still holds. -ENOENT when there is no such row. */
int cairn_inode_get(struct cairn_core *core, uint64_t ino, const struct cairn_attr_hint *hint,
		    struct cairn_inode **ret);
/* A new inode that no other thread knows yet, `fresh`, with a reference and its lock held for
 * writing. */
int cairn_inode_new(struct cairn_core *core, const struct cairn_attr *attr,
		    struct cairn_inode **ret);
void cairn_inode_ref(struct cairn_core *core, struct cairn_inode *inode);
void cairn_inode_unref(struct cairn_core *core, struct cairn_inode *inode);

/* Forgets all inodes that are not in use. */
void cairn_icache_drop_idle(struct cairn_core *core);
/* All others, as a new array with a reference to each. -ENOMEM. */
int cairn_icache_used(struct cairn_core *core, struct cairn_inode ***ret, size_t *ret_count);
/* Whether anybody has a reference to an inode, a batch included. */
bool cairn_icache_is_used(struct cairn_core *core, uint64_t ino);

/* 0, or why an inode whose lock is held cannot be used. */
static inline int cairn_inode_usable(const struct cairn_inode *inode)
{
	return inode->error ? inode->error : inode->dead ? -ENOENT : 0;
}

/* The attributes of an inode whose lock is held, with what they leave to be computed. */
int cairn_inode_attr(struct cairn_core *core, struct cairn_inode *inode, struct cairn_attr *ret);
/* The same for the answer to a change that is made already, and must not fail for it any more. */
struct cairn_attr cairn_inode_changed_attr(struct cairn_core *core, struct cairn_inode *inode);

/* The newest attributes without bringing the inode into core if `hint` will do. */
int cairn_inode_peek(struct cairn_core *core, uint64_t ino, const struct cairn_attr_hint *hint,
		     struct cairn_attr *ret);

/* A reference and a read lock that end with their scope. */
struct cairn_inode_view {
	struct cairn_core *core;
	struct cairn_inode *inode;
};
int cairn_inode_view(struct cairn_core *core, uint64_t ino, struct cairn_inode_view *ret);
void cairn_inode_viewp(struct cairn_inode_view *view);
