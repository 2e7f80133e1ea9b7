#include "core/atime.h"

#include "core/internal.h"
#include "core/op.h"
#include "util/clock.h"

static bool not_after(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec <= b->tv_nsec);
}

/* relatime as in mount(8): when it is not after the last change, or a day old. */
static bool is_due(const struct cairn_core *core, const struct cairn_attr *attr,
		   const struct timespec *now)
{
	if (core->options.atime == CAIRN_STRICTATIME)
		return true;
	return not_after(&attr->atime, &attr->mtime) || not_after(&attr->atime, &attr->ctime) ||
	       now->tv_sec - attr->atime.tv_sec >= 24L * 60 * 60;
}

static bool look(struct cairn_core *core, uint64_t ino)
{
	_cleanup_(cairn_inode_viewp) struct cairn_inode_view view = { 0 };
	struct timespec now = cairn_now();

	return cairn_inode_view(core, ino, &view) == 0 && is_due(core, &view.inode->attr, &now);
}

void cairn_atime_read(struct cairn_core *core, uint64_t ino)
{
	_cleanup_(cairn_op_endp) struct cairn_op op = { 0 };
	struct cairn_inode *inode;
	struct cairn_delta *delta;

	if (core->options.read_only || core->options.atime == CAIRN_NOATIME || !look(core, ino))
		return;
	if (cairn_op_begin_on(&op, core, CAIRN_OP_ALWAYS, ino, &inode) < 0 ||
	    cairn_op_change(&op, inode, &delta) < 0)
		return;
	inode->attr.atime = op.now;
}
