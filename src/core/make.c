#include "core/make.h"

#include <errno.h>
#include <string.h>

#include "core/internal.h"

/* The owner and mode of something new in `dir`: a set-group-ID directory hands its group on, and to
 * directories the bit too. */
static struct cairn_attr new_attr(const struct cairn_op *op, const struct cairn_inode *dir,
				  const struct cairn_make *make, uint64_t ino)
{
	struct cairn_attr attr = {
		.ino = ino,
		.mode = make->mode,
		.nlink = S_ISDIR(make->mode) ? 2 : 1,
		.uid = make->caller->uid,
		.gid = make->caller->gid,
		.rdev = make->rdev,
		.size = make->target ? (int64_t)strlen(make->target) : 0,
		.atime = op->now,
		.mtime = op->now,
		.ctime = op->now,
	};

	if (dir->attr.mode & S_ISGID) {
		attr.gid = dir->attr.gid;
		if (S_ISDIR(make->mode))
			attr.mode |= S_ISGID;
	}
	return attr;
}

int cairn_make_inode(struct cairn_op *op, const struct cairn_inode *dir,
		     const struct cairn_make *make, struct cairn_inode **ret)
{
	struct cairn_core *core = op->core;
	struct cairn_attr attr =
		new_attr(op, dir, make, cairn_lease_take(&core->lease[CAIRN_SEQUENCE_INODE]));
	struct cairn_delta *delta;
	int r;

	r = cairn_op_new_inode(op, &attr, ret);
	if (r < 0)
		return r;
	if (!make->target)
		return 0;
	delta = (*ret)->delta[op->seq & 1];
	delta->symlink = strdup(make->target);
	return delta->symlink ? 0 : -ENOMEM;
}

void cairn_unmake_inode(struct cairn_op *op, struct cairn_inode *inode)
{
	struct cairn_delta *delta = inode->delta[op->seq & 1];

	if (delta)
		delta->destroy = true;
	inode->dead = true;
}
