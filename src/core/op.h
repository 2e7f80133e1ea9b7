/* One mutation, from its entry through the gate to the end of its batch.
 *
 * An operation begins (it may wait for room), locks the inodes it touches, checks everything that
 * may fail, then changes what it must through dentry.h, data.h and the inode's attributes, marking
 * each inode it changed with cairn_op_change(). It ends with cairn_op_finish(), or, when something
 * was wrong, by leaving its scope. A check that fails must come before the first change: there is
 * no undo. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/core.h"

struct cairn_delta;
struct cairn_inode;

#define CAIRN_OP_INODES 5 /* rename: two directories, two inodes, and one new */

struct cairn_op {
	struct cairn_core *core;
	bool inside; /* holds the gate */
	uint64_t seq;
	struct cairn_op_inode {
		struct cairn_inode *inode; /* a reference, locked for writing */
		struct cairn_delta *delta; /* in the running batch; NULL: unchanged so far */
		size_t bytes;              /* of the delta, when the operation met it */
	} held[CAIRN_OP_INODES];
	unsigned int count;
	struct timespec now;
};

enum {
	CAIRN_OP_NUMBERS = 1 << 0, /* it may make an inode or an entry */
	CAIRN_OP_ALWAYS = 1 << 1,  /* it must not wait nor fail: the end of an unlinked inode */
};

/* -EROFS, or the errno of a writer in trouble. */
int cairn_op_begin(struct cairn_op *op, struct cairn_core *core, unsigned int flags);
/* Locks inodes for writing, lowest number first; a number may be given twice. ret[i] is inos[i]. */
int cairn_op_lock(struct cairn_op *op, const uint64_t *inos, unsigned int count,
		  struct cairn_inode **ret);
/* Both at once, for an operation on one inode. */
int cairn_op_begin_on(struct cairn_op *op, struct cairn_core *core, unsigned int flags,
		      uint64_t ino, struct cairn_inode **ret);
/* Releases the inodes and stays in the gate, to try again. Nothing may have been changed. */
void cairn_op_unlock(struct cairn_op *op);
/* Makes an inode, held by the operation like a locked one. */
int cairn_op_new_inode(struct cairn_op *op, const struct cairn_attr *attr,
		       struct cairn_inode **ret);
/* The changes of a held inode in the running batch. -ENOMEM. */
int cairn_op_change(struct cairn_op *op, struct cairn_inode *inode, struct cairn_delta **ret);
/* Ends a successful operation: publishes, unlocks, and waits as the durability option says. */
int cairn_op_finish(struct cairn_op *op);
/* The same, and waits for the sync whatever the option says. */
int cairn_op_finish_sync(struct cairn_op *op);
void cairn_op_endp(struct cairn_op *op);
