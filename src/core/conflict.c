/* Where a batch and another process's commit have changed the same thing; the rules are in
 * foreign.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "core/dentry.h"
#include "core/foreign.h"
#include "core/internal.h"
#include "util/clock.h"

static int stored_inode(struct cairn_core *core, uint64_t ino, struct cairn_attr *ret)
{
	_cleanup_(cairn_readingp) struct cairn_reading reading = { 0 };
	int r;

	r = cairn_reading(&core->readers, &reading);
	if (r < 0)
		return r;
	return core->store->ops->inode_get(reading.reader, ino, ret);
}

static int stored_dentry(struct cairn_core *core, uint64_t dir, const char *name, size_t len,
			 struct cairn_dentry_row *ret)
{
	_cleanup_(cairn_readingp) struct cairn_reading reading = { 0 };
	int r;

	r = cairn_reading(&core->readers, &reading);
	if (r < 0)
		return r;
	return core->store->ops->dentry_get(reading.reader, dir, name, len, ret);
}

static int stored_names(struct cairn_core *core, uint64_t ino, uint32_t *ret)
{
	_cleanup_(cairn_readingp) struct cairn_reading reading = { 0 };
	int r;

	r = cairn_reading(&core->readers, &reading);
	if (r < 0)
		return r;
	return core->store->ops->dentry_count(reading.reader, ino, ret);
}

static bool same_attr(const struct cairn_attr *a, const struct cairn_attr *b)
{
	return a->mode == b->mode && a->nlink == b->nlink && a->uid == b->uid && a->gid == b->gid &&
	       a->size == b->size && cairn_same_time(&a->mtime, &b->mtime) &&
	       cairn_same_time(&a->ctime, &b->ctime);
}

static bool is_atime_alone(const struct cairn_delta *delta)
{
	return !delta || (!delta->create && !delta->destroy && !delta->resized && !delta->entries &&
			  !delta->chunks && !delta->xattrs && delta->attr.nlink > 0 &&
			  same_attr(&delta->attr, &delta->base));
}

bool cairn_conflict_only_read(const struct cairn_inode *inode)
{
	return is_atime_alone(inode->delta[0]) && is_atime_alone(inode->delta[1]);
}

void cairn_conflict_adopt(struct cairn_inode *inode, const struct cairn_attr *row)
{
	struct cairn_attr attr = *row;
	struct cairn_delta *delta;

	for (unsigned int i = 0; i < ARRAY_SIZE(inode->delta); i++) {
		delta = inode->delta[i];
		if (delta && cairn_later_time(&inode->attr.atime, &attr.atime))
			attr.atime = inode->attr.atime;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(inode->delta); i++) {
		delta = inode->delta[i];
		if (!delta)
			continue;
		delta->attr = attr;
		delta->base = *row;
		delta->cut = row->size;
	}
	inode->attr = attr;
	inode->allocated = -1;
}

void cairn_conflict_adopt_end(struct cairn_inode *inode)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(inode->delta); i++)
		if (inode->delta[i]) /* nothing is written of what came and went */
			inode->delta[i]->create = inode->delta[i]->destroy = true;
	inode->dead = true;
}

/* True where there was nothing but reading; then it is dealt with. `row` is NULL for a row that is
 * gone. */
static bool resolve_read(struct cairn_delta *delta, const struct cairn_attr *row)
{
	struct cairn_inode *inode = delta->inode;
	bool only_read;

	cairn_rwlock_wrlock(&inode->lock);
	only_read = cairn_conflict_only_read(inode);
	if (only_read && row)
		cairn_conflict_adopt(inode, row);
	else if (only_read)
		cairn_conflict_adopt_end(inode);
	cairn_rwlock_unlock(&inode->lock);
	return only_read;
}

/* Adds an entry in the root for an inode that has lost all its names. */
static int recover(struct cairn_core *core, uint64_t ino)
{
	char name[64];
	int len = snprintf(name, sizeof(name), "recovered-%" PRIu64, ino);

	cairn_warn(core->log,
		   "inode %" PRIu64 " was deleted by another process while it was changed "
		   "here; it is kept as /%s",
		   ino, name);
	return core->store->ops->dentry_put(core->store, CAIRN_ROOT_INO, name, (size_t)len,
					    cairn_dentry_new_id(core, name, (size_t)len), ino);
}

/* The row is gone: flushing the delta will write it again. */
static int resolve_deleted(struct cairn_core *core, struct cairn_delta *delta)
{
	uint32_t names;
	int r;

	if (delta->attr.nlink == 0 || delta->attr.ino == CAIRN_ROOT_INO)
		return 0;
	if (resolve_read(delta, NULL))
		return 0;
	r = stored_names(core, delta->attr.ino, &names);
	if (r < 0 || names > 0)
		return r;
	cairn_rwlock_wrlock(&delta->inode->lock);
	delta->attr.nlink = S_ISDIR(delta->attr.mode) ? 2 : 1;
	cairn_rwlock_unlock(&delta->inode->lock);
	return recover(core, delta->attr.ino);
}

static void add_to_nlink(struct cairn_attr *attr, int64_t more)
{
	int64_t links = (int64_t)attr->nlink + more;

	if (attr->nlink > 0 && links > 0 && links <= UINT32_MAX)
		attr->nlink = (uint32_t)links;
}

/* Names that the other process has made or removed count in everything newer too. */
static void add_links(struct cairn_delta *delta, int64_t more)
{
	struct cairn_delta *newer = delta->inode->delta[(delta->seq + 1) & 1];

	add_to_nlink(&delta->attr, more);
	add_to_nlink(&delta->inode->attr, more);
	if (newer) {
		add_to_nlink(&newer->attr, more);
		add_to_nlink(&newer->base, more);
	}
}

static int resolve_inode(struct cairn_core *core, struct cairn_delta *delta)
{
	struct cairn_attr row;
	int r;

	if (delta->create || delta->destroy)
		return 0;
	r = stored_inode(core, delta->attr.ino, &row);
	if (r == -ENOENT)
		return resolve_deleted(core, delta);
	if (r < 0 || same_attr(&row, &delta->base))
		return r;
	if (resolve_read(delta, &row))
		return 0;
	cairn_warn(core->log,
		   "inode %" PRIu64 " was changed by another process and here at once; the change "
		   "made here stands",
		   delta->attr.ino);
	cairn_rwlock_wrlock(&delta->inode->lock);
	add_links(delta, (int64_t)row.nlink - delta->base.nlink);
	/* Chunks past the size that stands go, whoever wrote them. */
	delta->resized = true;
	delta->cut = MIN(delta->cut, delta->attr.size);
	delta->base = row;
	cairn_rwlock_unlock(&delta->inode->lock);
	return 0;
}

/* Another process has an entry of this name: it makes way under a name that tells what happened. */
static int move_aside(struct cairn_core *core, uint64_t dir, const struct cairn_delta_entry *entry,
		      const struct cairn_dentry_row *row)
{
	char name[CAIRN_NAME_MAX + 1], suffix[48];
	int suffix_len = snprintf(suffix, sizeof(suffix), ".conflict-%" PRIu64, row->ino);
	int keep = (int)MIN(entry->name_len, CAIRN_NAME_MAX - (size_t)suffix_len);
	int len = snprintf(name, sizeof(name), "%.*s%s", keep, entry->name, suffix);
	int r;

	cairn_warn(core->log,
		   "'%s' in directory inode %" PRIu64 " was made by another process and here "
		   "at once; the other is now '%s'",
		   entry->name, dir, name);
	r = core->store->ops->dentry_delete(core->store, dir, entry->name, entry->name_len);
	if (r < 0)
		return r;
	return core->store->ops->dentry_put(core->store, dir, name, (size_t)len,
					    cairn_dentry_new_id(core, name, (size_t)len), row->ino);
}

static int resolve_entry(struct cairn_core *core, uint64_t dir, struct cairn_delta_entry *entry)
{
	struct cairn_dentry_row row;
	int r;

	r = stored_dentry(core, dir, entry->name, entry->name_len, &row);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (row.ino == entry->lower_ino || row.ino == entry->ino)
		return 0;
	if (entry->ino)
		return move_aside(core, dir, entry, &row);
	cairn_warn(core->log,
		   "'%s' in directory inode %" PRIu64 " was replaced by another process while it "
		   "was removed here; the new one stays",
		   entry->name, dir);
	entry->keep = true;
	return 0;
}

int cairn_conflict_resolve(struct cairn_core *core, struct cairn_batch *batch)
{
	struct cairn_delta_entry *entry, *next;
	struct cairn_delta *delta;
	int r;

	DL_FOREACH (batch->deltas, delta) {
		r = resolve_inode(core, delta);
		if (r < 0)
			return r;
		HASH_ITER (hh, delta->entries, entry, next) {
			r = resolve_entry(core, delta->attr.ino, entry);
			if (r < 0)
				return r;
		}
	}
	return 0;
}
