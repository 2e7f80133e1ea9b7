/* A file's whole content in one operation. */
#include <errno.h>

#include "core/attr.h"
#include "core/data.h"
#include "core/dentry.h"
#include "core/internal.h"
#include "core/make.h"
#include "core/space.h"

/* Writing comes first: it changes all or nothing. */
static int replace_content(struct cairn_op *op, struct cairn_inode *inode,
			   const struct cairn_caller *caller, const void *buf, size_t size)
{
	struct cairn_delta *delta;
	int r;

	if (!S_ISREG(inode->attr.mode))
		return S_ISDIR(inode->attr.mode) ? -EISDIR : -EINVAL;
	r = cairn_op_change(op, inode, &delta);
	if (r == 0 && size > 0)
		r = cairn_data_write(op, inode, buf, size, 0);
	if (r == 0 && inode->attr.size != (int64_t)size)
		r = cairn_data_resize(op, inode, (int64_t)size);
	if (r < 0)
		return r;
	cairn_attr_touch(inode, &op->now);
	cairn_attr_drop_setid(inode, caller);
	return 0;
}

/* As if it had never been made, where that fails. */
static int create_with_content(struct cairn_op *op, const struct cairn_place *place,
			       const struct cairn_caller *caller, mode_t mode, const void *buf,
			       size_t size)
{
	const struct cairn_make make = {
		.caller = caller,
		.mode = S_IFREG | (mode & ~(mode_t)S_IFMT),
	};
	struct cairn_inode *dir = place->dir, *inode = NULL;
	int r;

	r = cairn_dir_check_alive(dir);
	if (r < 0)
		return r;
	r = cairn_dentry_prepare(op, dir, place->name, place->len, NULL);
	if (r < 0)
		return r;
	r = cairn_make_inode(op, dir, &make, &inode);
	if (r == 0 && size > 0)
		r = cairn_data_write(op, inode, buf, size, 0);
	if (r < 0) {
		if (inode)
			cairn_unmake_inode(op, inode);
		return r;
	}
	cairn_dentry_set(op, dir, place->name, place->len, NULL, inode->ino, inode->attr.mode);
	cairn_attr_touch(dir, &op->now);
	return 0;
}

int cairn_core_put(struct cairn_core *core, const struct cairn_caller *caller, uint64_t dir,
		   const char *name, mode_t mode, const void *buf, size_t size)
{
	_cleanup_(cairn_op_endp) struct cairn_op op = { 0 };
	struct cairn_place place = { .parent = dir, .name = name };
	int r;

	if (size > (uint64_t)core->options.max_file_size)
		return -EFBIG;
	r = cairn_dentry_check_name(name, &place.len);
	if (r < 0)
		return r;
	r = cairn_space_admit(core, size + CAIRN_SPACE_OF_ENTRY);
	if (r < 0)
		return r;
	r = cairn_op_begin(&op, core, CAIRN_OP_NUMBERS);
	if (r < 0)
		return r;
	r = cairn_places_lock(&op, &place, 1);
	if (r < 0)
		return r;
	r = place.found ? replace_content(&op, place.inode, caller, buf, size)
			: create_with_content(&op, &place, caller, mode, buf, size);
	return r < 0 ? r : cairn_op_finish(&op);
}
