#include "core/op.h"

#include <assert.h>
#include <errno.h>

#include "core/internal.h"
#include "util/clock.h"

static bool must_wait(struct cairn_core *core, unsigned int flags)
{
	if (atomic_load(&core->writer.trouble) != 0)
		return true;
	if (cairn_core_dirty(core) >= core->options.max_dirty)
		return true;
	return (flags & CAIRN_OP_NUMBERS) &&
	       (cairn_lease_left(&core->lease[CAIRN_SEQUENCE_INODE]) < CAIRN_LEASE_FLOOR ||
		cairn_lease_left(&core->lease[CAIRN_SEQUENCE_DENTRY]) < CAIRN_LEASE_FLOOR);
}

int cairn_op_begin(struct cairn_op *op, struct cairn_core *core, unsigned int flags)
{
	int r;

	if (core->options.read_only)
		return -EROFS;
	if (!(flags & CAIRN_OP_ALWAYS) && must_wait(core, flags)) {
		_cleanup_(cairn_timing_endp) struct cairn_timing timing =
			cairn_timing_begin(&core->stats, CAIRN_SPREAD_THROTTLE);

		r = cairn_writer_admit(core, flags & CAIRN_OP_NUMBERS);
		if (r < 0)
			return r;
	}
	cairn_rwlock_rdlock(&core->gate);
	op->core = core;
	op->inside = true;
	op->seq = core->seq;
	op->now = cairn_now();
	return 0;
}

static void hold(struct cairn_op *op, struct cairn_inode *inode)
{
	struct cairn_op_inode *held;

	assert(op->count < CAIRN_OP_INODES);
	held = &op->held[op->count++];
	*held = (struct cairn_op_inode){ .inode = inode };
	held->delta = inode->delta[op->seq & 1];
	assert(!held->delta || held->delta->seq == op->seq);
	held->bytes = held->delta ? held->delta->bytes : 0;
}

static int lock_one(struct cairn_op *op, uint64_t ino)
{
	struct cairn_inode *inode;
	int r;

	r = cairn_inode_get(op->core, ino, NULL, &inode);
	if (r < 0)
		return r;
	cairn_rwlock_wrlock(&inode->lock);
	hold(op, inode);
	return cairn_inode_usable(inode);
}

static struct cairn_op_inode *find_held(struct cairn_op *op, uint64_t ino)
{
	for (unsigned int i = 0; i < op->count; i++)
		if (op->held[i].inode->ino == ino)
			return &op->held[i];
	return NULL;
}

/* The smallest of `inos` above `floor`, or 0. */
static uint64_t next_above(const uint64_t *inos, unsigned int count, uint64_t floor)
{
	uint64_t best = 0;

	for (unsigned int i = 0; i < count; i++)
		if (inos[i] > floor && (best == 0 || inos[i] < best))
			best = inos[i];
	return best;
}

int cairn_op_lock(struct cairn_op *op, const uint64_t *inos, unsigned int count,
		  struct cairn_inode **ret)
{
	int r;

	assert(op->inside && op->count == 0);
	for (uint64_t ino = 0; (ino = next_above(inos, count, ino)) != 0;) {
		r = lock_one(op, ino);
		if (r < 0)
			return r;
	}
	for (unsigned int i = 0; i < count; i++)
		ret[i] = find_held(op, inos[i])->inode;
	return 0;
}

int cairn_op_begin_on(struct cairn_op *op, struct cairn_core *core, unsigned int flags,
		      uint64_t ino, struct cairn_inode **ret)
{
	int r;

	r = cairn_op_begin(op, core, flags);
	return r < 0 ? r : cairn_op_lock(op, &ino, 1, ret);
}

void cairn_op_unlock(struct cairn_op *op)
{
	while (op->count > 0) {
		struct cairn_inode *inode = op->held[--op->count].inode;

		cairn_rwlock_unlock(&inode->lock);
		cairn_inode_unref(op->core, inode);
	}
}

int cairn_op_new_inode(struct cairn_op *op, const struct cairn_attr *attr, struct cairn_inode **ret)
{
	struct cairn_inode *inode;
	struct cairn_delta *delta;
	int r;

	r = cairn_inode_new(op->core, attr, &inode);
	if (r < 0)
		return r;
	hold(op, inode);
	r = cairn_op_change(op, inode, &delta);
	if (r < 0) {
		inode->dead = true;
		return r;
	}
	delta->create = true;
	*ret = inode;
	return 0;
}

int cairn_op_change(struct cairn_op *op, struct cairn_inode *inode, struct cairn_delta **ret)
{
	struct cairn_op_inode *held = find_held(op, inode->ino);
	struct cairn_batch *batch = &op->core->batch[op->seq & 1];

	assert(held);
	if (!held->delta) {
		held->delta = cairn_batch_add(batch, op->seq, inode);
		if (!held->delta)
			return -ENOMEM;
		held->bytes = held->delta->bytes;
		cairn_inode_ref(op->core, inode);
	}
	*ret = held->delta;
	return 0;
}

/* Brings the batch up to date with what the operation did to its inodes. */
static void publish(struct cairn_op *op)
{
	struct cairn_batch *batch = &op->core->batch[op->seq & 1];

	for (unsigned int i = 0; i < op->count; i++) {
		struct cairn_op_inode *held = &op->held[i];

		if (!held->delta)
			continue;
		held->delta->attr = held->inode->attr;
		atomic_fetch_add(&batch->bytes, held->delta->bytes - held->bytes);
		held->bytes = held->delta->bytes;
	}
}

void cairn_op_endp(struct cairn_op *op)
{
	struct cairn_core *core = op->core;
	bool changed = false;

	if (!op->inside)
		return;
	for (unsigned int i = 0; i < op->count; i++)
		changed |= op->held[i].delta != NULL;
	publish(op);
	cairn_op_unlock(op);
	op->inside = false;
	cairn_rwlock_unlock(&core->gate);
	if (changed)
		cairn_writer_dirty(core, op->seq);
}

int cairn_op_finish(struct cairn_op *op)
{
	enum cairn_durability durability = op->core->options.durability;

	cairn_op_endp(op);
	if (durability == CAIRN_DURABILITY_ASYNC)
		return 0;
	return cairn_writer_wait(op->core, op->seq, durability == CAIRN_DURABILITY_FULL);
}

int cairn_op_finish_sync(struct cairn_op *op)
{
	cairn_op_endp(op);
	return cairn_writer_wait(op->core, op->seq, true);
}
