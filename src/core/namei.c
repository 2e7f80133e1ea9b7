/* Looking names up, and making the things they name. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/atime.h"
#include "core/attr.h"
#include "core/dentry.h"
#include "core/internal.h"
#include "core/make.h"
#include "core/space.h"

/* *ret_gone: there is an entry, and no inode. */
static int look_up(struct cairn_core *core, uint64_t parent, const char *name, size_t len,
		   struct cairn_attr *ret, bool *ret_gone)
{
	struct cairn_attr_hint hint;
	struct cairn_dentry dentry;
	int r;

	*ret_gone = false;
	r = cairn_dentry_peek(core, parent, name, len, true, &dentry);
	if (r == -ENOENT)
		cairn_stats_count(&core->stats, CAIRN_COUNT_ENTRY_ABSENT, 1);
	if (r < 0)
		return r == -ESTALE ? -ENOENT : r;
	hint = (struct cairn_attr_hint){
		.attr = dentry.has_attr ? &dentry.attr : NULL,
		.commits = dentry.commits,
	};
	r = cairn_inode_peek(core, dentry.ino, &hint, ret);
	if (r < 0)
		cairn_core_forget(core, dentry.ino, 1);
	*ret_gone = r == -ENOENT;
	return r;
}

/* An inode may be gone because its entry just went, too: another process has removed both, or the
 * base has lost them. If the entry stays, that is damage, and no "no such file". */
int cairn_core_lookup(struct cairn_core *core, uint64_t parent, const char *name,
		      struct cairn_attr *ret)
{
	bool gone;
	size_t len;
	int r;

	r = cairn_dentry_check_name(name, &len);
	if (r < 0)
		return r;
	r = look_up(core, parent, name, len, ret, &gone);
	for (unsigned int tries = 0; gone && tries < CAIRN_GONE_MAX; tries++) {
		cairn_readers_rest(&core->readers);
		r = look_up(core, parent, name, len, ret, &gone);
	}
	return gone ? -EIO : r;
}

void cairn_core_forget(struct cairn_core *core, uint64_t ino, uint64_t count)
{
	if (cairn_pin_drop(&core->pins, ino, count))
		cairn_inode_destroy(core, ino);
	cairn_forget_later(core, ino);
}

static int read_target(struct cairn_core *core, uint64_t ino, char **ret)
{
	_cleanup_(cairn_inode_viewp) struct cairn_inode_view view = { 0 };
	_cleanup_(cairn_readingp) struct cairn_reading reading = { 0 };
	struct cairn_layers layers;
	const char *target = NULL;
	int r;

	r = cairn_inode_view(core, ino, &view);
	if (r < 0)
		return r;
	if (!S_ISLNK(view.inode->attr.mode))
		return -EINVAL;
	layers = cairn_inode_layers(view.inode);
	if (layers.upper)
		target = layers.upper->symlink;
	if (!target && layers.lower)
		target = layers.lower->symlink;
	if (target) {
		*ret = strdup(target);
		return *ret ? 0 : -ENOMEM;
	}
	r = cairn_reading(&core->readers, &reading);
	if (r < 0)
		return r;
	r = core->store->ops->symlink_get(reading.reader, ino, ret);
	return r == -ENOENT ? -EIO : r;
}

int cairn_core_readlink(struct cairn_core *core, uint64_t ino, char **ret)
{
	int r = read_target(core, ino, ret);

	if (r == 0)
		cairn_atime_read(core, ino);
	return r;
}

/* The directory an entry is to be added to, locked, with the name known to be free. */
static int lock_for_entry(struct cairn_op *op, uint64_t parent, const char *name, size_t len,
			  struct cairn_inode **ret)
{
	struct cairn_dentry there;
	int r;

	r = cairn_op_lock(op, &parent, 1, ret);
	if (r < 0)
		return r;
	r = cairn_dir_check_alive(*ret);
	if (r < 0)
		return r;
	r = cairn_dentry_find(op->core, *ret, name, len, &there);
	if (r == 0)
		return -EEXIST;
	return r == -ENOENT ? 0 : r;
}

/* Ends an operation that made an entry, and hands the pin of its inode to the caller. Who is told
 * of an error gets none, even if the entry is there. */
static int answer_entry(struct cairn_op *op, const struct cairn_attr *attr, struct cairn_attr *ret)
{
	int r = cairn_op_finish(op);

	if (r < 0)
		cairn_core_forget(op->core, attr->ino, 1);
	else
		*ret = *attr;
	return r;
}

static int make_entry(struct cairn_core *core, const struct cairn_make *make, uint64_t parent,
		      const char *name, struct cairn_attr *ret)
{
	_cleanup_(cairn_op_endp) struct cairn_op op = { 0 };
	struct cairn_inode *dir, *inode = NULL;
	struct cairn_attr attr;
	size_t len;
	int r;

	r = cairn_dentry_check_name(name, &len);
	if (r < 0)
		return r;
	r = cairn_space_admit(core, CAIRN_SPACE_OF_ENTRY);
	if (r < 0)
		return r;
	r = cairn_op_begin(&op, core, CAIRN_OP_NUMBERS);
	if (r < 0)
		return r;
	r = lock_for_entry(&op, parent, name, len, &dir);
	if (r < 0)
		return r;
	r = cairn_dentry_prepare(&op, dir, name, len, NULL);
	if (r < 0)
		return r;
	r = cairn_make_inode(&op, dir, make, &inode);
	if (r == 0)
		r = cairn_pin_add(&core->pins, inode->ino, parent);
	if (r < 0) {
		if (inode)
			cairn_unmake_inode(&op, inode);
		return r;
	}
	cairn_dentry_set(&op, dir, name, len, NULL, inode->ino, inode->attr.mode);
	if (S_ISDIR(make->mode))
		cairn_dir_add_link(dir);
	cairn_attr_touch(dir, &op.now);
	attr = inode->attr;
	attr.allocated = attr.size;
	return answer_entry(&op, &attr, ret);
}

int cairn_core_mknod(struct cairn_core *core, const struct cairn_caller *caller, uint64_t parent,
		     const char *name, mode_t mode, dev_t rdev, struct cairn_attr *ret)
{
	struct cairn_make make = { .caller = caller, .mode = mode };

	switch (mode & S_IFMT) {
	case 0:
		make.mode |= S_IFREG;
		break;
	case S_IFCHR:
	case S_IFBLK:
		make.rdev = rdev;
		break;
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		return -EINVAL;
	}
	return make_entry(core, &make, parent, name, ret);
}

int cairn_core_mkdir(struct cairn_core *core, const struct cairn_caller *caller, uint64_t parent,
		     const char *name, mode_t mode, struct cairn_attr *ret)
{
	struct cairn_make make = { .caller = caller, .mode = (mode & ~(mode_t)S_IFMT) | S_IFDIR };

	return make_entry(core, &make, parent, name, ret);
}

int cairn_core_symlink(struct cairn_core *core, const struct cairn_caller *caller, uint64_t parent,
		       const char *name, const char *target, struct cairn_attr *ret)
{
	struct cairn_make make = { .caller = caller, .mode = S_IFLNK | 0777, .target = target };

	if (!target[0])
		return -ENOENT;
	if (strlen(target) > CAIRN_SYMLINK_MAX)
		return -ENAMETOOLONG;
	return make_entry(core, &make, parent, name, ret);
}

static int check_linkable(const struct cairn_inode *inode)
{
	if (S_ISDIR(inode->attr.mode))
		return -EPERM;
	if (inode->attr.nlink == 0)
		return -ENOENT;
	if (inode->attr.nlink >= CAIRN_LINK_MAX)
		return -EMLINK;
	return 0;
}

int cairn_core_link(struct cairn_core *core, uint64_t ino, uint64_t parent, const char *name,
		    struct cairn_attr *ret)
{
	_cleanup_(cairn_op_endp) struct cairn_op op = { 0 };
	struct cairn_inode *inodes[2];
	struct cairn_dentry there;
	struct cairn_delta *delta;
	struct cairn_attr attr;
	size_t len;
	int r;

	r = cairn_dentry_check_name(name, &len);
	if (r < 0)
		return r;
	r = cairn_op_begin(&op, core, CAIRN_OP_NUMBERS);
	if (r < 0)
		return r;
	r = cairn_op_lock(&op, (uint64_t[]){ ino, parent }, 2, inodes);
	if (r < 0)
		return r;
	r = cairn_dir_check_alive(inodes[1]);
	if (r < 0)
		return r;
	r = cairn_dentry_find(core, inodes[1], name, len, &there);
	if (r != -ENOENT)
		return r == 0 ? -EEXIST : r;
	r = check_linkable(inodes[0]);
	if (r < 0)
		return r;
	r = cairn_op_change(&op, inodes[0], &delta);
	if (r < 0)
		return r;
	r = cairn_dentry_prepare(&op, inodes[1], name, len, NULL);
	if (r < 0)
		return r;
	r = cairn_pin_add(&core->pins, ino, parent);
	if (r < 0)
		return r;
	cairn_dentry_set(&op, inodes[1], name, len, NULL, ino, inodes[0]->attr.mode);
	inodes[0]->attr.nlink++;
	inodes[0]->attr.ctime = op.now;
	cairn_attr_touch(inodes[1], &op.now);
	attr = cairn_inode_changed_attr(core, inodes[0]);
	return answer_entry(&op, &attr, ret);
}
