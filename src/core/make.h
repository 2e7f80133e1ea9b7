/* New inodes. */
#pragma once

#include "core/inode.h"
#include "core/op.h"

/* What is to be made. */
struct cairn_make {
	const struct cairn_caller *caller;
	mode_t mode; /* with the type */
	dev_t rdev;
	const char *target; /* of a symbolic link */
};

/* Makes an inode for an entry of `dir`, both held by the operation, without the entry. Of an error
 * that comes when *ret is set, and of what follows and fails, cairn_unmake_inode() leaves nothing.
 */
int cairn_make_inode(struct cairn_op *op, const struct cairn_inode *dir,
		     const struct cairn_make *make, struct cairn_inode **ret);
void cairn_unmake_inode(struct cairn_op *op, struct cairn_inode *inode);
