#include "core/delta.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/inode.h"
#include "util/macro.h"

struct cairn_delta *cairn_delta_new(struct cairn_inode *inode)
{
	struct cairn_delta *delta = calloc(1, sizeof(*delta));

	if (!delta)
		return NULL;
	delta->inode = inode;
	delta->attr = inode->attr;
	delta->base = inode->attr;
	delta->cut = inode->attr.size;
	delta->bytes = CAIRN_DELTA_OVERHEAD;
	return delta;
}

static void free_xattr(struct cairn_delta *delta, struct cairn_delta_xattr *xattr)
{
	HASH_DEL(delta->xattrs, xattr);
	free(xattr->value);
	free(xattr);
}

void cairn_delta_free(struct cairn_delta *delta)
{
	struct cairn_delta_entry *entry, *next_entry;
	struct cairn_delta_chunk *chunk, *next_chunk;
	struct cairn_delta_xattr *xattr, *next_xattr;

	if (!delta)
		return;
	HASH_ITER (hh, delta->entries, entry, next_entry)
		cairn_delta_drop_entry(delta, entry);
	HASH_ITER (hh, delta->chunks, chunk, next_chunk)
		cairn_delta_drop_chunk(delta, chunk);
	HASH_ITER (hh, delta->xattrs, xattr, next_xattr)
		free_xattr(delta, xattr);
	free(delta->symlink);
	free(delta);
}

struct cairn_delta_entry *cairn_delta_find_entry(const struct cairn_delta *delta, const char *name,
						 size_t len)
{
	struct cairn_delta_entry *entry;

	HASH_FIND(hh, delta->entries, name, len, entry);
	return entry;
}

struct cairn_delta_entry *cairn_delta_add_entry(struct cairn_delta *delta, const char *name,
						size_t len)
{
	struct cairn_delta_entry *entry = calloc(1, sizeof(*entry) + len + 1);

	if (!entry)
		return NULL;
	entry->name_len = len;
	memcpy(entry->name, name, len);
	HASH_ADD(hh, delta->entries, name, len, entry);
	if (!entry->hh.tbl) {
		free(entry);
		return NULL;
	}
	delta->bytes += sizeof(*entry) + len + 1;
	return entry;
}

void cairn_delta_drop_entry(struct cairn_delta *delta, struct cairn_delta_entry *entry)
{
	delta->bytes -= sizeof(*entry) + entry->name_len + 1;
	HASH_DEL(delta->entries, entry);
	free(entry);
}

struct cairn_delta_chunk *cairn_delta_find_chunk(const struct cairn_delta *delta, int64_t index)
{
	struct cairn_delta_chunk *chunk;

	HASH_FIND(hh, delta->chunks, &index, sizeof(index), chunk);
	return chunk;
}

struct cairn_delta_chunk *cairn_delta_add_chunk(struct cairn_delta *delta, int64_t index)
{
	struct cairn_delta_chunk *chunk = calloc(1, sizeof(*chunk));

	if (!chunk)
		return NULL;
	chunk->index = index;
	HASH_ADD(hh, delta->chunks, index, sizeof(index), chunk);
	if (!chunk->hh.tbl) {
		free(chunk);
		return NULL;
	}
	delta->bytes += sizeof(*chunk);
	return chunk;
}

void cairn_delta_drop_chunk(struct cairn_delta *delta, struct cairn_delta_chunk *chunk)
{
	cairn_delta_make_hole(delta, chunk);
	delta->bytes -= sizeof(*chunk);
	HASH_DEL(delta->chunks, chunk);
	free(chunk);
}

/* Files that grow in small steps get room to grow: doubling, up to the chunk. */
static size_t grown_capacity(const struct cairn_delta_chunk *chunk, size_t len, size_t chunk_size)
{
	if (chunk->capacity == 0)
		return len;
	return MIN(MAX(len, 2 * chunk->capacity), chunk_size);
}

int cairn_delta_grow_chunk(struct cairn_delta *delta, struct cairn_delta_chunk *chunk, size_t from,
			   size_t len, size_t chunk_size)
{
	size_t zero_to = chunk->tentative ? MIN(from, len) : len, capacity;
	void *data;

	assert(len > 0 && len <= chunk_size);
	if (len > chunk->capacity) {
		capacity = grown_capacity(chunk, len, chunk_size);
		data = realloc(chunk->data, capacity);
		if (!data)
			return -ENOMEM;
		delta->bytes += capacity - chunk->capacity;
		chunk->data = data;
		chunk->capacity = capacity;
	}
	if (len > chunk->len) {
		if (zero_to > chunk->len)
			memset(chunk->data + chunk->len, 0, zero_to - chunk->len);
		chunk->len = len;
	}
	return 0;
}

void cairn_delta_fill_chunk(struct cairn_delta *delta, struct cairn_delta_chunk *chunk, void *data,
			    size_t len)
{
	assert(!chunk->data);
	chunk->data = data;
	chunk->len = chunk->capacity = len;
	delta->bytes += len;
}

void cairn_delta_make_hole(struct cairn_delta *delta, struct cairn_delta_chunk *chunk)
{
	delta->bytes -= chunk->capacity;
	free(TAKE_PTR(chunk->data));
	chunk->len = chunk->capacity = 0;
}

struct cairn_delta_xattr *cairn_delta_find_xattr(const struct cairn_delta *delta, const char *name)
{
	struct cairn_delta_xattr *xattr;

	HASH_FIND_STR(delta->xattrs, name, xattr);
	return xattr;
}

static struct cairn_delta_xattr *add_xattr(struct cairn_delta *delta, const char *name)
{
	size_t size = strlen(name) + 1;
	struct cairn_delta_xattr *xattr = calloc(1, sizeof(*xattr) + size);

	if (!xattr)
		return NULL;
	memcpy(xattr->name, name, size);
	HASH_ADD_STR(delta->xattrs, name, xattr);
	if (!xattr->hh.tbl) {
		free(xattr);
		return NULL;
	}
	delta->bytes += sizeof(*xattr) + size;
	return xattr;
}

int cairn_delta_set_xattr(struct cairn_delta *delta, const char *name, const void *value,
			  size_t len)
{
	struct cairn_delta_xattr *xattr = cairn_delta_find_xattr(delta, name);
	void *copy = NULL;

	if (value) {
		copy = malloc(len ? len : 1);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, value, len);
	}
	if (!xattr) {
		xattr = add_xattr(delta, name);
		if (!xattr) {
			free(copy);
			return -ENOMEM;
		}
	}
	delta->bytes += len;
	delta->bytes -= xattr->len;
	free(xattr->value);
	xattr->value = copy;
	xattr->len = len;
	xattr->removed = !value;
	return 0;
}
