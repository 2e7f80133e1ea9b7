#include "core/flush.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "core/internal.h"

static int flush_inode(struct cairn_core *core, const struct cairn_delta *delta)
{
	const struct cairn_store_ops *ops = core->store->ops;
	int r;

	if (!delta->create) {
		r = ops->inode_update(core->store, &delta->attr);
		if (r != -ENOENT)
			return r;
		/* Another process deleted a row that is in use here. Ours is the newer word. */
		cairn_warn(core->log,
			   "inode %" PRIu64 " was deleted by another process while it was "
			   "being changed here; it is written again",
			   delta->attr.ino);
	}
	return ops->inode_insert(core->store, &delta->attr);
}

static int flush_entries(struct cairn_core *core, const struct cairn_delta *delta)
{
	const struct cairn_store_ops *ops = core->store->ops;
	struct cairn_delta_entry *entry, *next;
	int r;

	HASH_ITER (hh, delta->entries, entry, next) {
		if (entry->keep)
			continue;
		if (entry->ino)
			r = ops->dentry_put(core->store, delta->attr.ino, entry->name,
					    entry->name_len, entry->id, entry->ino);
		else
			r = ops->dentry_delete(core->store, delta->attr.ino, entry->name,
					       entry->name_len);
		if (r < 0)
			return r;
	}
	return 0;
}

static int by_index(const void *a, const void *b)
{
	const struct cairn_delta_chunk *x = *(void *const *)a, *y = *(void *const *)b;

	return x->index < y->index ? -1 : x->index > y->index;
}

/* The chunks of a delta in order, as a new array; readers may be walking the table itself. NULL: no
 * memory. */
static struct cairn_delta_chunk **chunks_in_order(const struct cairn_delta *delta)
{
	size_t count = HASH_COUNT(delta->chunks), i = 0;
	struct cairn_delta_chunk *chunk, *next;
	struct cairn_delta_chunk **chunks = reallocarray(NULL, count + 1, sizeof(void *));

	if (!chunks)
		return NULL;
	HASH_ITER (hh, delta->chunks, chunk, next)
		chunks[i++] = chunk;
	if (count > 1)
		qsort(chunks, count, sizeof(void *), by_index);
	return chunks;
}

/* A chunk is stored as far as the file goes: peers that join the chunks they find rely on it. */
static int flush_data_chunk(struct cairn_core *core, const struct cairn_delta *delta,
			    const struct cairn_delta_chunk *chunk)
{
	int64_t chunk_size = (int64_t)core->store->chunk_size;
	const void *data = chunk->data;
	size_t len = chunk->len;

	size_t want = (size_t)MAX(MIN(chunk_size, delta->attr.size - chunk->index * chunk_size), 0);

	if (len < want) {
		memcpy(core->writer.scratch, chunk->data, len);
		memset((char *)core->writer.scratch + len, 0, want - len);
		data = core->writer.scratch;
	}
	len = want;
	return core->store->ops->data_put(core->store, delta->attr.ino, chunk->index, data, len);
}

static int flush_chunks(struct cairn_core *core, const struct cairn_delta *delta)
{
	_cleanup_(cairn_freep) struct cairn_delta_chunk **chunks = NULL;
	const struct cairn_store_ops *ops = core->store->ops;
	int64_t chunk_size = (int64_t)core->store->chunk_size;
	int r;

	if (delta->resized && !delta->create) {
		r = ops->data_cut(core->store, delta->attr.ino,
				  delta->cut / chunk_size + (delta->cut % chunk_size != 0));
		if (r < 0)
			return r;
	}
	chunks = chunks_in_order(delta);
	if (!chunks)
		return -ENOMEM;
	for (size_t i = 0; i < HASH_COUNT(delta->chunks); i++) {
		if (chunks[i]->len > 0)
			r = flush_data_chunk(core, delta, chunks[i]);
		else
			r = ops->data_delete(core->store, delta->attr.ino, chunks[i]->index);
		if (r < 0)
			return r;
	}
	return 0;
}

static int flush_xattrs(struct cairn_core *core, const struct cairn_delta *delta)
{
	const struct cairn_store_ops *ops = core->store->ops;
	struct cairn_delta_xattr *xattr, *next;
	int r;

	HASH_ITER (hh, delta->xattrs, xattr, next) {
		if (xattr->removed)
			r = ops->xattr_delete(core->store, delta->attr.ino, xattr->name);
		else
			r = ops->xattr_put(core->store, delta->attr.ino, xattr->name, xattr->value,
					   xattr->len);
		if (r < 0)
			return r;
	}
	return 0;
}

static int flush_delta(struct cairn_core *core, const struct cairn_delta *delta)
{
	const struct cairn_store_ops *ops = core->store->ops;
	int r;

	if (delta->create && delta->destroy)
		return 0;
	r = flush_entries(core, delta);
	if (r < 0)
		return r;
	if (delta->destroy)
		return ops->inode_delete(core->store, delta->attr.ino, delta->attr.mode);

	r = flush_inode(core, delta);
	if (r < 0)
		return r;
	if (delta->symlink) {
		r = ops->symlink_put(core->store, delta->attr.ino, delta->symlink);
		if (r < 0)
			return r;
	}
	r = flush_chunks(core, delta);
	if (r < 0)
		return r;
	r = flush_xattrs(core, delta);
	if (r < 0)
		return r;
	if (delta->attr.nlink == 0)
		return ops->orphan_put(core->store, delta->attr.ino);
	return 0;
}

/* Tells a store that wants to know how things were before. */
static int tell_before(struct cairn_core *core, const struct cairn_batch *batch)
{
	const struct cairn_store_ops *ops = core->store->ops;
	const struct cairn_delta *delta;
	int r = 0;

	if (!ops->before)
		return 0;
	DL_FOREACH (batch->deltas, delta) {
		if (!delta->create)
			r = ops->before(core->store, &delta->base);
		if (r < 0)
			return r;
	}
	return 0;
}

int cairn_flush_batch(struct cairn_core *core, struct cairn_batch *batch)
{
	struct cairn_delta *delta;
	int r;

	r = tell_before(core, batch);
	if (r < 0)
		return r;
	DL_FOREACH (batch->deltas, delta) {
		r = flush_delta(core, delta);
		if (r < 0)
			return r;
	}
	return 0;
}

void cairn_flush_drop(struct cairn_core *core, struct cairn_batch *batch)
{
	struct cairn_delta *delta, *next;

	DL_FOREACH_SAFE (batch->deltas, delta, next) {
		struct cairn_inode *inode = delta->inode;

		cairn_rwlock_wrlock(&inode->lock);
		inode->delta[delta->seq & 1] = NULL;
		if (delta->create)
			inode->fresh = false;
		cairn_rwlock_unlock(&inode->lock);
		cairn_delta_free(delta);
		cairn_inode_unref(core, inode);
	}
	batch->deltas = NULL;
	batch->count = 0;
	atomic_store(&batch->bytes, 0);
}
