/* Reading, writing and the space of files. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <stdlib.h>

#include "core/atime.h"
#include "core/attr.h"
#include "core/data.h"
#include "core/internal.h"
#include "core/space.h"

static int check_regular(const struct cairn_inode *inode)
{
	if (S_ISDIR(inode->attr.mode))
		return -EISDIR;
	return S_ISREG(inode->attr.mode) ? 0 : -EINVAL;
}

static ssize_t read_view(struct cairn_core *core, uint64_t ino, void *buf, size_t size,
			 off_t offset)
{
	_cleanup_(cairn_inode_viewp) struct cairn_inode_view view = { 0 };
	int r;

	r = cairn_inode_view(core, ino, &view);
	if (r < 0)
		return r;
	r = check_regular(view.inode);
	if (r < 0)
		return r;
	if (offset < 0)
		return -EINVAL;
	if (offset >= view.inode->attr.size)
		return 0;
	size = (size_t)MIN((int64_t)(size & SSIZE_MAX), view.inode->attr.size - offset);
	r = cairn_data_read(core, view.inode, buf, size, offset);
	return r < 0 ? r : (ssize_t)size;
}

ssize_t cairn_core_read(struct cairn_core *core, uint64_t ino, void *buf, size_t size, off_t offset)
{
	ssize_t n = read_view(core, ino, buf, size, offset);

	if (n >= 0) {
		cairn_atime_read(core, ino);
		cairn_stats_count(&core->stats, CAIRN_COUNT_READ_BYTES, (uint64_t)n);
	}
	return n;
}

/* Makes sure that the quota has room for what a write to [offset, end) adds to a file. */
static int admit_growth(struct cairn_core *core, uint64_t ino, int64_t offset, int64_t end)
{
	_cleanup_(cairn_inode_viewp) struct cairn_inode_view view = { 0 };
	int64_t size;
	int r;

	if (!core->options.quota)
		return 0;
	r = cairn_inode_view(core, ino, &view);
	if (r < 0)
		return r;
	size = view.inode->attr.size;
	cairn_inode_viewp(&view);
	return end > size ? cairn_space_admit(core, (uint64_t)(end - MAX(size, offset))) : 0;
}

/* 0 if a file may reach from `offset` to `size` bytes further. */
static int check_range(const struct cairn_core *core, off_t offset, uint64_t size)
{
	if (offset < 0)
		return -EINVAL;
	if (size > (uint64_t)(INT64_MAX - offset) ||
	    offset + (int64_t)size > core->options.max_file_size)
		return -EFBIG;
	return 0;
}

int cairn_core_write(struct cairn_core *core, const struct cairn_caller *caller, uint64_t ino,
		     const void *buf, size_t size, off_t offset, bool append, bool sync)
{
	_cleanup_(cairn_op_endp) struct cairn_op op = { 0 };
	struct cairn_inode *inode;
	struct cairn_delta *delta;
	int r;

	r = check_range(core, offset, size);
	if (r < 0)
		return r;
	r = admit_growth(core, ino, append ? INT64_MAX - (int64_t)size : offset,
			 append ? INT64_MAX : offset + (int64_t)size);
	if (r < 0)
		return r;
	r = cairn_op_begin_on(&op, core, 0, ino, &inode);
	if (r < 0)
		return r;
	r = check_regular(inode);
	if (r < 0)
		return r;
	if (append)
		offset = inode->attr.size;
	r = check_range(core, offset, size);
	if (r < 0 || size == 0)
		return r;
	r = cairn_op_change(&op, inode, &delta);
	if (r < 0)
		return r;
	r = cairn_data_write(&op, inode, buf, size, offset);
	if (r < 0)
		return r;
	cairn_stats_count(&core->stats, CAIRN_COUNT_WRITTEN_BYTES, size);
	cairn_attr_touch(inode, &op.now);
	cairn_attr_drop_setid(inode, caller);
	return sync ? cairn_op_finish_sync(&op) : cairn_op_finish(&op);
}

/* Zeroes the part of [offset, end) that lies inside the file. */
static int zero_range(struct cairn_op *op, struct cairn_inode *inode, int64_t offset, int64_t end)
{
	end = MIN(end, inode->attr.size);
	return offset < end ? cairn_data_zero(op, inode, offset, end - offset) : 0;
}

static int fallocate_held(struct cairn_op *op, struct cairn_inode *inode, int mode, int64_t offset,
			  int64_t end)
{
	int r;

	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
		r = zero_range(op, inode, offset, end);
		if (r < 0)
			return r;
	}
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > inode->attr.size)
		return cairn_data_resize(op, inode, end);
	return 0;
}

static bool fallocate_mode_is_known(int mode)
{
	switch (mode) {
	case 0:
	case FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_ZERO_RANGE:
	case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
		return true;
	default:
		return false;
	}
}

int cairn_core_fallocate(struct cairn_core *core, const struct cairn_caller *caller, uint64_t ino,
			 int mode, off_t offset, off_t length)
{
	_cleanup_(cairn_op_endp) struct cairn_op op = { 0 };
	struct cairn_inode *inode;
	struct cairn_delta *delta;
	int r;

	if (!fallocate_mode_is_known(mode))
		return -EOPNOTSUPP;
	if (length <= 0)
		return -EINVAL;
	r = check_range(core, offset, (uint64_t)length);
	if (r < 0)
		return r;
	if (!(mode & FALLOC_FL_PUNCH_HOLE)) {
		r = admit_growth(core, ino, offset, offset + length);
		if (r < 0)
			return r;
	}
	r = cairn_op_begin_on(&op, core, 0, ino, &inode);
	if (r < 0)
		return r;
	r = check_regular(inode);
	if (r < 0)
		return r;
	r = cairn_op_change(&op, inode, &delta);
	if (r < 0)
		return r;
	r = fallocate_held(&op, inode, mode, offset, offset + length);
	if (r < 0)
		return r;
	cairn_attr_touch(inode, &op.now);
	cairn_attr_drop_setid(inode, caller);
	return cairn_op_finish(&op);
}

int cairn_core_lseek(struct cairn_core *core, uint64_t ino, off_t offset, int whence, off_t *ret)
{
	_cleanup_(cairn_inode_viewp) struct cairn_inode_view view = { 0 };
	int64_t chunk_size = (int64_t)core->store->chunk_size, index;
	int r;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	r = cairn_inode_view(core, ino, &view);
	if (r < 0)
		return r;
	r = check_regular(view.inode);
	if (r < 0)
		return r;
	if (offset < 0 || offset >= view.inode->attr.size)
		return -ENXIO;
	index = offset / chunk_size;
	r = whence == SEEK_DATA ? cairn_data_next(core, view.inode, &index)
				: cairn_data_next_hole(core, view.inode, &index);
	if (r < 0)
		return r;
	/* The end of the file is a hole, and what lies in the chunk of `offset` starts there. */
	if (index > (view.inode->attr.size - 1) / chunk_size)
		*ret = view.inode->attr.size;
	else
		*ret = MAX(offset, index * chunk_size);
	return 0;
}

static int copy_held(struct cairn_op *op, struct cairn_inode *in, int64_t in_offset,
		     struct cairn_inode *out, int64_t out_offset, size_t size)
{
	_cleanup_(cairn_freep) unsigned char *buf = malloc(size);
	int r;

	if (!buf)
		return -ENOMEM;
	r = cairn_data_read(op->core, in, buf, size, in_offset);
	if (r < 0)
		return r;
	return cairn_data_write(op, out, buf, size, out_offset);
}

ssize_t cairn_core_copy(struct cairn_core *core, const struct cairn_caller *caller, uint64_t in,
			off_t in_offset, uint64_t out, off_t out_offset, size_t size)
{
	_cleanup_(cairn_op_endp) struct cairn_op op = { 0 };
	struct cairn_inode *inodes[2];
	struct cairn_delta *delta;
	int64_t count = (int64_t)MIN(size, (size_t)CAIRN_COPY_MAX);
	int r;

	if (in_offset < 0)
		return -EINVAL;
	r = check_range(core, out_offset, (uint64_t)count);
	if (r < 0)
		return r;
	r = admit_growth(core, out, out_offset, out_offset + count);
	if (r < 0)
		return r;
	r = cairn_op_begin(&op, core, 0);
	if (r < 0)
		return r;
	r = cairn_op_lock(&op, (uint64_t[]){ in, out }, 2, inodes);
	if (r < 0)
		return r;
	r = check_regular(inodes[0]) ?: check_regular(inodes[1]);
	if (r < 0)
		return r;
	count = MIN(count, inodes[0]->attr.size - in_offset);
	if (count <= 0)
		return 0;
	if (inodes[0] == inodes[1] && in_offset < out_offset + count &&
	    out_offset < in_offset + count)
		return -EINVAL;
	r = cairn_op_change(&op, inodes[1], &delta);
	if (r < 0)
		return r;
	r = copy_held(&op, inodes[0], in_offset, inodes[1], out_offset, (size_t)count);
	if (r < 0)
		return r;
	cairn_attr_touch(inodes[1], &op.now);
	cairn_attr_drop_setid(inodes[1], caller);
	r = cairn_op_finish(&op);
	return r < 0 ? r : (ssize_t)count;
}
