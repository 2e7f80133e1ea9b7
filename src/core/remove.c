/* unlink and rmdir. */
#include <errno.h>

#include "core/attr.h"
#include "core/dentry.h"
#include "core/internal.h"

static int check_removable(struct cairn_core *core, const struct cairn_place *place, bool directory)
{
	if (!place->found)
		return -ENOENT;
	if (!directory)
		return S_ISDIR(place->inode->attr.mode) ? -EISDIR : 0;
	if (!S_ISDIR(place->inode->attr.mode))
		return -ENOTDIR;
	return cairn_dentry_check_empty(core, place->inode);
}

static int remove_entry(struct cairn_core *core, uint64_t parent, const char *name, bool directory)
{
	_cleanup_(cairn_op_endp) struct cairn_op op = { 0 };
	struct cairn_place place = { .parent = parent, .name = name };
	int r;

	r = cairn_dentry_check_name(name, &place.len);
	if (r < 0)
		return r;
	r = cairn_op_begin(&op, core, 0);
	if (r < 0)
		return r;
	r = cairn_places_lock(&op, &place, 1);
	if (r < 0)
		return r;
	r = check_removable(core, &place, directory);
	if (r < 0)
		return r;
	r = cairn_dentry_prepare(&op, place.dir, name, place.len, &place.dentry);
	if (r < 0)
		return r;
	r = cairn_inode_prepare_drop(&op, place.inode);
	if (r < 0)
		return r;
	cairn_dentry_remove(&op, place.dir, name, place.len, &place.dentry);
	cairn_inode_drop_link(&op, place.inode);
	if (directory)
		cairn_dir_drop_link(place.dir);
	cairn_attr_touch(place.dir, &op.now);
	return cairn_op_finish(&op);
}

int cairn_core_unlink(struct cairn_core *core, uint64_t parent, const char *name)
{
	return remove_entry(core, parent, name, false);
}

int cairn_core_rmdir(struct cairn_core *core, uint64_t parent, const char *name)
{
	return remove_entry(core, parent, name, true);
}
