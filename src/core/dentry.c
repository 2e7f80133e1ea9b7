#include "core/dentry.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/attr.h"
#include "core/internal.h"

int cairn_dentry_check_name(const char *name, size_t *ret_len)
{
	size_t len = strlen(name);

	if (len == 0)
		return -ENOENT;
	if (len > CAIRN_NAME_MAX)
		return -ENAMETOOLONG;
	if (memchr(name, '/', len) || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	*ret_len = len;
	return 0;
}

/* What the batches say about a name; NULL when they say nothing. */
static const struct cairn_delta_entry *find_batched(const struct cairn_inode *dir, const char *name,
						    size_t len)
{
	struct cairn_layers layers = cairn_inode_layers(dir);
	const struct cairn_delta_entry *entry = NULL;

	if (layers.upper)
		entry = cairn_delta_find_entry(layers.upper, name, len);
	if (!entry && layers.lower)
		entry = cairn_delta_find_entry(layers.lower, name, len);
	return entry;
}

static int find_stored(struct cairn_core *core, const struct cairn_inode *dir, const char *name,
		       size_t len, struct cairn_dentry *ret)
{
	_cleanup_(cairn_readingp) struct cairn_reading reading = { 0 };
	struct cairn_dentry_row row;
	unsigned long commits;
	int r;

	if (dir->fresh)
		return -ENOENT;
	cairn_stats_count(&core->stats, CAIRN_COUNT_ENTRY_STORED, 1);
	r = cairn_reading(&core->readers, &reading);
	if (r < 0)
		return r;
	commits = atomic_load(&core->commits);
	r = core->store->ops->dentry_get(reading.reader, dir->ino, name, len, &row);
	if (r < 0)
		return r;
	*ret = (struct cairn_dentry){
		.id = row.id,
		.ino = row.ino,
		.type = row.has_attr ? row.attr.mode & S_IFMT : 0,
		.version = dir->version,
		.has_attr = row.has_attr,
		.attr = row.attr,
		.commits = commits,
	};
	return 0;
}

int cairn_dentry_find(struct cairn_core *core, const struct cairn_inode *dir, const char *name,
		      size_t len, struct cairn_dentry *ret)
{
	const struct cairn_delta_entry *entry = find_batched(dir, name, len);

	if (!entry)
		return find_stored(core, dir, name, len, ret);
	cairn_stats_count(&core->stats, CAIRN_COUNT_ENTRY_BATCHED, 1);
	if (!entry->ino)
		return -ENOENT;
	*ret = (struct cairn_dentry){
		.id = entry->id,
		.ino = entry->ino,
		.type = entry->type,
		.batched = true,
		.version = dir->version,
	};
	return 0;
}

int cairn_dentry_peek(struct cairn_core *core, uint64_t parent, const char *name, size_t len,
		      bool pin, struct cairn_dentry *ret)
{
	_cleanup_(cairn_inode_viewp) struct cairn_inode_view view = { 0 };
	int r;

	r = cairn_inode_view(core, parent, &view);
	if (r == 0)
		r = cairn_dir_check_alive(view.inode);
	if (r < 0)
		return r == -ENOENT ? -ESTALE : r;
	r = cairn_dentry_find(core, view.inode, name, len, ret);
	if (r == -ENOENT)
		ret->version = view.inode->version;
	if (r < 0)
		return r;
	return pin ? cairn_pin_add(&core->pins, ret->ino, parent) : 0;
}

static int peek_places(struct cairn_op *op, struct cairn_place *places, unsigned int count)
{
	int r;

	for (unsigned int i = 0; i < count; i++) {
		struct cairn_place *place = &places[i];

		place->dentry = (struct cairn_dentry){ 0 };
		r = cairn_dentry_peek(op->core, place->parent, place->name, place->len, false,
				      &place->dentry);
		if (r < 0 && r != -ENOENT)
			return r;
		place->found = r == 0;
	}
	return 0;
}

/* Locks what the peek found. 1: something moved meanwhile, look again. */
static int lock_peeked(struct cairn_op *op, struct cairn_place *places, unsigned int count)
{
	struct cairn_inode *inodes[2 * CAIRN_PLACES_MAX];
	uint64_t inos[2 * CAIRN_PLACES_MAX];
	unsigned int n = 0;
	int r;

	for (unsigned int i = 0; i < count; i++) {
		inos[n++] = places[i].parent;
		inos[n++] = places[i].found ? places[i].dentry.ino : places[i].parent;
	}
	r = cairn_op_lock(op, inos, n, inodes);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < count; i++) {
		places[i].dir = inodes[2UL * i];
		places[i].inode = places[i].found ? inodes[2UL * i + 1] : NULL;
		if (!cairn_dentry_still(places[i].dir, &places[i].dentry))
			return 1;
	}
	return 0;
}

/* Whether the names stand for the same inodes as the last time; remembers them for the next. */
static bool seen_again(const struct cairn_place *places, unsigned int count, uint64_t *seen)
{
	bool same = true;

	for (unsigned int i = 0; i < count; i++) {
		same &= seen[i] == places[i].dentry.ino;
		seen[i] = places[i].dentry.ino;
	}
	return same;
}

int cairn_places_lock(struct cairn_op *op, struct cairn_place *places, unsigned int count)
{
	uint64_t seen[CAIRN_PLACES_MAX] = { 0 };
	unsigned int gone = 0;
	int r;

	assert(count <= CAIRN_PLACES_MAX);
	for (;;) {
		r = peek_places(op, places, count);
		if (r < 0)
			return r == -ESTALE ? -ENOENT : r;
		r = lock_peeked(op, places, count);
		if (r == 0 || (r < 0 && r != -ENOENT))
			return r;
		/* An inode may be gone because its entry just went. If the entry stays, it dangles.
		 */
		gone = seen_again(places, count, seen) ? gone + 1 : 0;
		if (r == -ENOENT && gone > CAIRN_GONE_MAX)
			return -EIO;
		cairn_op_unlock(op);
		/* It may have gone elsewhere, in a state that one connection sees and one not yet.
		 */
		if (r == -ENOENT)
			cairn_readers_rest(&op->core->readers);
	}
}

/* The record of a name in the running batch, made if it is not there; `old` is what the name stood
 * for until now, or NULL. A record made here says just that, and so changes nothing yet. */
static int record(struct cairn_op *op, struct cairn_inode *dir, const char *name, size_t len,
		  const struct cairn_dentry *old, struct cairn_delta_entry **ret)
{
	struct cairn_delta_entry *entry;
	struct cairn_delta *delta;
	int r;

	r = cairn_op_change(op, dir, &delta);
	if (r < 0)
		return r;
	entry = cairn_delta_find_entry(delta, name, len);
	if (!entry) {
		entry = cairn_delta_add_entry(delta, name, len);
		if (!entry)
			return -ENOMEM;
		entry->lower = old;
		entry->lower_ino = old ? old->ino : 0;
		entry->id = old ? old->id : 0;
		entry->ino = old ? old->ino : 0;
		entry->type = old ? old->type : 0;
	}
	*ret = entry;
	return 0;
}

int cairn_dentry_prepare(struct cairn_op *op, struct cairn_inode *dir, const char *name, size_t len,
			 const struct cairn_dentry *old)
{
	struct cairn_delta_entry *entry;

	return record(op, dir, name, len, old, &entry);
}

uint64_t cairn_dentry_new_id(struct cairn_core *core, const char *name, size_t len)
{
	const struct cairn_store_ops *ops = core->store->ops;

	return ops->dentry_id ? ops->dentry_id(core->store, name, len)
			      : cairn_lease_take(&core->lease[CAIRN_SEQUENCE_DENTRY]);
}

int cairn_dentry_set(struct cairn_op *op, struct cairn_inode *dir, const char *name, size_t len,
		     const struct cairn_dentry *old, uint64_t ino, uint32_t mode)
{
	struct cairn_core *core = op->core;
	struct cairn_delta_entry *entry;
	int r;

	r = record(op, dir, name, len, old, &entry);
	if (r < 0)
		return r;
	entry->id = old ? old->id : cairn_dentry_new_id(core, name, len);
	entry->ino = ino;
	entry->type = mode & S_IFMT;
	dir->version++;
	cairn_listing_put(core, dir, entry->id, ino, mode, name, len);
	return 0;
}

int cairn_dentry_remove(struct cairn_op *op, struct cairn_inode *dir, const char *name, size_t len,
			const struct cairn_dentry *old)
{
	struct cairn_delta_entry *entry;
	int r;

	r = record(op, dir, name, len, old, &entry);
	if (r < 0)
		return r;
	entry->ino = 0;
	if (!entry->lower)
		cairn_delta_drop_entry(dir->delta[op->seq & 1], entry);
	dir->version++;
	cairn_listing_remove(op->core, dir, old->id);
	return 0;
}

/* Ends the scan at the first row that no batch has removed. */
static int find_survivor(void *arg, const struct cairn_dentry_row *row)
{
	const struct cairn_inode *dir = arg;
	const struct cairn_delta_entry *entry = find_batched(dir, row->name, row->name_len);

	return entry && !entry->ino ? 0 : -ENOTEMPTY;
}

static int check_layer(const struct cairn_delta *layer, const struct cairn_delta *above)
{
	struct cairn_delta_entry *entry, *next;

	if (!layer)
		return 0;
	HASH_ITER (hh, layer->entries, entry, next) {
		if (entry->ino &&
		    !(above && cairn_delta_find_entry(above, entry->name, entry->name_len)))
			return -ENOTEMPTY;
	}
	return 0;
}

int cairn_dentry_check_empty(struct cairn_core *core, const struct cairn_inode *dir)
{
	_cleanup_(cairn_readingp) struct cairn_reading reading = { 0 };
	struct cairn_layers layers = cairn_inode_layers(dir);
	int r;

	r = check_layer(layers.upper, NULL);
	if (r < 0)
		return r;
	r = check_layer(layers.lower, layers.upper);
	if (r < 0 || dir->fresh)
		return r;
	r = cairn_reading(&core->readers, &reading);
	if (r < 0)
		return r;
	return core->store->ops->dentry_scan(reading.reader, dir->ino, false, find_survivor,
					     (void *)dir);
}
