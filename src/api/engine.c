#include "api/engine.h"

#include <errno.h>

#include "core/attr.h"
#include "core/data.h"
#include "core/dentry.h"
#include "core/internal.h"
#include "core/space.h"
#include "util/clock.h"

/* cairn_core_refresh() does not wait for a commit that is under way. Here it is waited for: what
 * it has yet to drop is what the caller must not see. */
int cairn_engine_refresh(struct cairn_core *core, unsigned int timeout_ms)
{
	struct timespec until = cairn_mono_after_ms(timeout_ms);
	struct cairn_writer *w = &core->writer;
	uint64_t ticket;
	int r = 0;

	cairn_lock_expect_none();
	cairn_mutex_lock(&w->lock);
	ticket = ++w->want_poll;
	pthread_cond_signal(&w->work);
	while (w->polled < ticket && r == 0) {
		if (timeout_ms)
			r = cairn_mutex_wait_until(&w->lock, &w->looked, &until);
		else
			cairn_mutex_wait(&w->lock, &w->looked);
	}
	cairn_mutex_unlock(&w->lock);
	return r;
}

bool cairn_engine_is_clean(struct cairn_core *core)
{
	return cairn_core_dirty(core) == 0;
}

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

static int new_file(struct cairn_op *op, const struct cairn_inode *dir,
		    const struct cairn_caller *caller, mode_t mode, struct cairn_inode **ret)
{
	struct cairn_attr attr = {
		.ino = cairn_lease_take(&op->core->lease[CAIRN_SEQUENCE_INODE]),
		.mode = S_IFREG | (mode & ~(mode_t)S_IFMT),
		.nlink = 1,
		.uid = caller->uid,
		.gid = dir->attr.mode & S_ISGID ? dir->attr.gid : caller->gid,
		.atime = op->now,
		.mtime = op->now,
		.ctime = op->now,
	};

	return cairn_op_new_inode(op, &attr, ret);
}

/* As if it had never been made. */
static void unmake(const struct cairn_op *op, struct cairn_inode *inode)
{
	struct cairn_delta *delta = inode->delta[op->seq & 1];

	if (delta)
		delta->destroy = true;
	inode->dead = true;
}

static int create_with_content(struct cairn_op *op, const struct cairn_place *place,
			       const struct cairn_caller *caller, mode_t mode, const void *buf,
			       size_t size)
{
	struct cairn_inode *dir = place->dir, *inode;
	int r;

	r = cairn_dir_check_alive(dir);
	if (r < 0)
		return r;
	r = cairn_dentry_prepare(op, dir, place->name, place->len, NULL);
	if (r < 0)
		return r;
	r = new_file(op, dir, caller, mode, &inode);
	if (r < 0)
		return r;
	r = size > 0 ? cairn_data_write(op, inode, buf, size, 0) : 0;
	if (r < 0) {
		unmake(op, inode);
		return r;
	}
	cairn_dentry_set(op, dir, place->name, place->len, NULL, inode->ino, inode->attr.mode);
	cairn_attr_touch(dir, &op->now);
	return 0;
}

int cairn_engine_put(struct cairn_core *core, const struct cairn_caller *caller, uint64_t dir,
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
