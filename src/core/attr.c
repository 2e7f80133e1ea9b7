#include "core/attr.h"

#include <errno.h>

#include "core/data.h"
#include "core/internal.h"
#include "core/space.h"

int cairn_dir_check_alive(const struct cairn_inode *dir)
{
	if (!S_ISDIR(dir->attr.mode))
		return -ENOTDIR;
	return dir->attr.nlink == 0 ? -ENOENT : 0;
}

void cairn_dir_add_link(struct cairn_inode *dir)
{
	if (dir->attr.nlink >= 2 && dir->attr.nlink < CAIRN_LINK_MAX)
		dir->attr.nlink++;
}

void cairn_dir_drop_link(struct cairn_inode *dir)
{
	if (dir->attr.nlink > 2)
		dir->attr.nlink--;
}

void cairn_attr_touch(struct cairn_inode *inode, const struct timespec *now)
{
	inode->attr.mtime = *now;
	inode->attr.ctime = *now;
}

/* S_ISGID without group execute is not set-group-ID but mandatory locking, and stays. */
static uint32_t setid_bits(uint32_t mode)
{
	uint32_t bits = mode & S_ISUID;

	if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		bits |= S_ISGID;
	return bits;
}

void cairn_attr_drop_setid(struct cairn_inode *inode, const struct cairn_caller *caller)
{
	uint32_t bits = S_ISREG(inode->attr.mode) ? setid_bits(inode->attr.mode) : 0;

	if (!bits || (caller && caller->may_keep_setid && caller->may_keep_setid(caller)))
		return;
	inode->attr.mode &= ~bits;
}

int cairn_core_getattr(struct cairn_core *core, uint64_t ino, struct cairn_attr *ret)
{
	_cleanup_(cairn_inode_viewp) struct cairn_inode_view view = { 0 };
	int r;

	r = cairn_inode_view(core, ino, &view);
	if (r < 0)
		return r;
	return cairn_inode_attr(core, view.inode, ret);
}

static int set_size(struct cairn_op *op, struct cairn_inode *inode,
		    const struct cairn_caller *caller, int64_t size)
{
	int r;

	if (S_ISDIR(inode->attr.mode))
		return -EISDIR;
	if (!S_ISREG(inode->attr.mode) || size < 0)
		return -EINVAL;
	if (size > op->core->options.max_file_size)
		return -EFBIG;
	if (size != inode->attr.size) {
		r = cairn_data_resize(op, inode, size);
		if (r < 0)
			return r;
	}
	cairn_attr_touch(inode, &op->now); /* also when the size is what it was, as POSIX has it */
	cairn_attr_drop_setid(inode, caller);
	return 0;
}

/* The file keeps no time before 1970: AgentFS would not open such a workspace. */
static struct timespec storable(struct timespec ts)
{
	return ts.tv_sec < 0 ? (struct timespec){ 0 } : ts;
}

static void set_times(struct cairn_inode *inode, unsigned int set, const struct cairn_attr *to,
		      const struct timespec *now)
{
	if (set & CAIRN_SET_ATIME_NOW)
		inode->attr.atime = *now;
	else if (set & CAIRN_SET_ATIME)
		inode->attr.atime = storable(to->atime);
	if (set & CAIRN_SET_MTIME_NOW)
		inode->attr.mtime = *now;
	else if (set & CAIRN_SET_MTIME)
		inode->attr.mtime = storable(to->mtime);
	inode->attr.ctime = set & CAIRN_SET_CTIME ? storable(to->ctime) : *now;
}

static void set_owner(struct cairn_inode *inode, unsigned int set, const struct cairn_attr *to)
{
	/* chown(2) drops the bits whoever asks, root included. */
	cairn_attr_drop_setid(inode, NULL);
	if (set & CAIRN_SET_UID)
		inode->attr.uid = to->uid;
	if (set & CAIRN_SET_GID)
		inode->attr.gid = to->gid;
}

int cairn_core_setattr(struct cairn_core *core, const struct cairn_caller *caller, uint64_t ino,
		       unsigned int set, const struct cairn_attr *to, struct cairn_attr *ret)
{
	_cleanup_(cairn_op_endp) struct cairn_op op = { 0 };
	struct cairn_inode *inode;
	struct cairn_delta *delta;
	struct cairn_attr attr;
	int r;

	r = cairn_op_begin_on(&op, core, 0, ino, &inode);
	if (r < 0)
		return r;
	r = cairn_op_change(&op, inode, &delta);
	if (r < 0)
		return r;
	if (set & CAIRN_SET_SIZE) {
		r = set_size(&op, inode, caller, to->size);
		if (r < 0)
			return r;
	}
	if (set & (CAIRN_SET_UID | CAIRN_SET_GID) || set == 0)
		set_owner(inode, set, to);
	if (set & CAIRN_SET_MODE)
		inode->attr.mode = (inode->attr.mode & S_IFMT) | (to->mode & ~(uint32_t)S_IFMT);
	set_times(inode, set, to, &op.now);
	attr = cairn_inode_changed_attr(core, inode);
	r = cairn_op_finish(&op);
	if (r == 0)
		*ret = attr;
	return r;
}

int cairn_inode_prepare_drop(struct cairn_op *op, struct cairn_inode *inode)
{
	_cleanup_(cairn_readingp) struct cairn_reading reading = { 0 };
	struct cairn_delta *delta;
	uint32_t count;
	int r;

	r = cairn_op_change(op, inode, &delta);
	if (r < 0 || !inode->recount)
		return r;
	/* The stored count was no count, so ask the entries. Names that this mount has added or
	 * taken since are in the batches only until they are committed; counting the store is right
	 * to within those, and erring upwards merely leaves an inode for `cairnfs check`. */
	r = cairn_reading(&op->core->readers, &reading);
	if (r < 0)
		return r;
	r = op->core->store->ops->dentry_count(reading.reader, inode->ino, &count);
	if (r < 0)
		return r;
	inode->attr.nlink = MAX(count, 1U);
	inode->recount = false;
	return 0;
}

/* Frees what the batches hold of an inode that is no more and marks its row for deletion. */
static void bury(struct cairn_inode *inode, struct cairn_delta *delta)
{
	struct cairn_delta_chunk *chunk, *next;

	HASH_ITER (hh, delta->chunks, chunk, next)
		cairn_delta_drop_chunk(delta, chunk);
	delta->destroy = true;
	inode->dead = true;
}

void cairn_inode_drop_link(struct cairn_op *op, struct cairn_inode *inode)
{
	if (S_ISDIR(inode->attr.mode) || inode->attr.nlink <= 1)
		inode->attr.nlink = 0;
	else
		inode->attr.nlink--;
	inode->attr.ctime = op->now;
	if (inode->attr.nlink == 0 && !cairn_pin_orphan(&op->core->pins, inode->ino))
		bury(inode, inode->delta[op->seq & 1]);
}

void cairn_inode_destroy(struct cairn_core *core, uint64_t ino)
{
	_cleanup_(cairn_op_endp) struct cairn_op op = { 0 };
	struct cairn_inode *inode;
	struct cairn_delta *delta;

	/* What fails here is reaped at the next mount: its orphan mark is in the store. */
	if (cairn_op_begin_on(&op, core, CAIRN_OP_ALWAYS, ino, &inode) < 0 ||
	    cairn_op_change(&op, inode, &delta) < 0)
		return;
	bury(inode, delta);
}
