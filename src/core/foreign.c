#include "core/foreign.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/internal.h"

static int reload(struct cairn_core *core, struct cairn_inode *inode)
{
	_cleanup_(cairn_readingp) struct cairn_reading reading = { 0 };
	struct cairn_attr attr;
	int r;

	r = cairn_reading(&core->readers, &reading);
	if (r < 0)
		return r;
	r = core->store->ops->inode_get(reading.reader, inode->ino, &attr);
	if (r < 0)
		return r;
	cairn_conflict_adopt(inode, &attr);
	return 0;
}

/* An inode that is in use: read again if nothing but its atime was changed here, left to its batch
 * otherwise. */
static void refresh_inode(struct cairn_core *core, struct cairn_inode *inode)
{
	int r;

	cairn_rwlock_wrlock(&inode->lock);
	cairn_listing_drop(core, inode);
	inode->version++;
	if (cairn_conflict_only_read(inode) && cairn_inode_usable(inode) == 0) {
		r = reload(core, inode);
		if (r == -ENOENT)
			cairn_conflict_adopt_end(inode);
		else if (r < 0)
			cairn_warn(core->log, "inode %" PRIu64 ": %s", inode->ino, strerror(-r));
	}
	cairn_rwlock_unlock(&inode->lock);
	cairn_inode_unref(core, inode);
}

void cairn_foreign_react(struct cairn_core *core)
{
	struct cairn_inode **used;
	size_t count;

	cairn_stats_count(&core->stats, CAIRN_COUNT_DROPPED, 1);
	atomic_fetch_add(&core->commits, 1); /* what queries have said until now is old */
	cairn_icache_drop_idle(core);
	if (cairn_icache_used(core, &used, &count) == 0) {
		for (size_t i = 0; i < count; i++)
			refresh_inode(core, used[i]);
		free(used);
	}
	if (core->options.on_foreign)
		core->options.on_foreign(core->options.hook_arg);
}

int cairn_foreign_poll(struct cairn_core *core)
{
	enum cairn_foreign found;
	int r;

	r = core->store->ops->foreign(core->store, &found);
	if (r < 0 || found < CAIRN_FOREIGN_BASE)
		return r;
	if (found == CAIRN_FOREIGN_FILES)
		core->writer.foreign = true; /* what is dirty meets it at the next commit */
	cairn_foreign_react(core);
	return 0;
}
