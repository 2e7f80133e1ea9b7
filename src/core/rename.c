/* rename, with RENAME_NOREPLACE and RENAME_EXCHANGE. */
#include <errno.h>
#include <stdio.h>

#include "core/attr.h"
#include "core/dentry.h"
#include "core/internal.h"

static int check_replace(struct cairn_core *core, const struct cairn_place *from,
			 const struct cairn_place *to)
{
	bool from_dir = S_ISDIR(from->inode->attr.mode), to_dir = S_ISDIR(to->inode->attr.mode);

	if (from_dir && !to_dir)
		return -ENOTDIR;
	if (!from_dir && to_dir)
		return -EISDIR;
	return to_dir ? cairn_dentry_check_empty(core, to->inode) : 0;
}

static int check_rename(struct cairn_core *core, const struct cairn_place *from,
			const struct cairn_place *to, unsigned int flags)
{
	if (!from->found)
		return -ENOENT;
	if (from->inode == to->dir)
		return -EINVAL;
	if (flags & RENAME_EXCHANGE) {
		if (!to->found)
			return -ENOENT;
		return to->inode == from->dir ? -EINVAL : 0;
	}
	if (!to->found)
		return 0;
	if (flags & RENAME_NOREPLACE)
		return -EEXIST;
	return from->inode == to->inode ? 0 : check_replace(core, from, to);
}

/* Gets all the memory that the change will need, and the deltas of all four inodes. */
static int prepare(struct cairn_op *op, const struct cairn_place *from,
		   const struct cairn_place *to, bool replace)
{
	struct cairn_delta *delta;
	int r;

	r = cairn_dentry_prepare(op, from->dir, from->name, from->len, &from->dentry);
	if (r < 0)
		return r;
	r = cairn_dentry_prepare(op, to->dir, to->name, to->len, to->found ? &to->dentry : NULL);
	if (r < 0)
		return r;
	r = cairn_op_change(op, from->inode, &delta);
	if (r < 0 || !to->found)
		return r;
	return replace ? cairn_inode_prepare_drop(op, to->inode)
		       : cairn_op_change(op, to->inode, &delta);
}

/* A directory's link in its parent goes along when it moves, and its ".." leads elsewhere. */
static void move_dir_link(struct cairn_op *op, const struct cairn_inode *inode,
			  struct cairn_inode *from, struct cairn_inode *to)
{
	if (!S_ISDIR(inode->attr.mode) || from == to)
		return;
	cairn_dir_drop_link(from);
	cairn_dir_add_link(to);
	cairn_pin_move(&op->core->pins, inode->ino, to->ino);
}

static void move_entry(struct cairn_op *op, struct cairn_place *from, struct cairn_place *to)
{
	cairn_dentry_remove(op, from->dir, from->name, from->len, &from->dentry);
	cairn_dentry_set(op, to->dir, to->name, to->len, to->found ? &to->dentry : NULL,
			 from->inode->ino, from->inode->attr.mode);
	if (to->found) {
		if (S_ISDIR(to->inode->attr.mode))
			cairn_dir_drop_link(to->dir);
		cairn_inode_drop_link(op, to->inode);
	}
	move_dir_link(op, from->inode, from->dir, to->dir);
}

static void exchange_entries(struct cairn_op *op, struct cairn_place *from, struct cairn_place *to)
{
	cairn_dentry_set(op, from->dir, from->name, from->len, &from->dentry, to->inode->ino,
			 to->inode->attr.mode);
	cairn_dentry_set(op, to->dir, to->name, to->len, &to->dentry, from->inode->ino,
			 from->inode->attr.mode);
	move_dir_link(op, from->inode, from->dir, to->dir);
	move_dir_link(op, to->inode, to->dir, from->dir);
	to->inode->attr.ctime = op->now;
}

static int rename_locked(struct cairn_op *op, struct cairn_place *from, struct cairn_place *to,
			 unsigned int flags)
{
	bool exchange = flags & RENAME_EXCHANGE;
	int r;

	r = check_rename(op->core, from, to, flags);
	if (r < 0)
		return r;
	/* Two names of one file: POSIX has rename do nothing. */
	if (to->found && from->inode == to->inode)
		return 0;
	r = prepare(op, from, to, !exchange);
	if (r < 0)
		return r;
	if (exchange)
		exchange_entries(op, from, to);
	else
		move_entry(op, from, to);
	from->inode->attr.ctime = op->now;
	cairn_attr_touch(from->dir, &op->now);
	cairn_attr_touch(to->dir, &op->now);
	return 0;
}

int cairn_core_rename(struct cairn_core *core, uint64_t parent, const char *name,
		      uint64_t new_parent, const char *new_name, unsigned int flags)
{
	_cleanup_(cairn_op_endp) struct cairn_op op = { 0 };
	struct cairn_place places[] = {
		{ .parent = parent, .name = name },
		{ .parent = new_parent, .name = new_name },
	};
	int r;

	if (flags != 0 && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE)
		return -EINVAL;
	r = cairn_dentry_check_name(name, &places[0].len);
	if (r < 0)
		return r;
	r = cairn_dentry_check_name(new_name, &places[1].len);
	if (r < 0)
		return r;
	r = cairn_op_begin(&op, core, CAIRN_OP_NUMBERS);
	if (r < 0)
		return r;
	r = cairn_places_lock(&op, places, ARRAY_SIZE(places));
	if (r < 0)
		return r;
	r = rename_locked(&op, &places[0], &places[1], flags);
	return r < 0 ? r : cairn_op_finish(&op);
}
