#include "core/listing.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "core/internal.h"

/* Attributes are kept for listings of up to this many entries: those fit a few replies and are
 * used at once; of larger ones they would be stale before they are asked for. */
#define ATTRS_MAX 4096U

/* Removed entries that a listing may hold before it is judged by their share. */
#define REMOVED_MIN 1024U

int cairn_listings_init(struct cairn_listings *listings)
{
	*listings = (struct cairn_listings){ 0 };
	return cairn_mutex_init(&listings->lock, CAIRN_LOCK_LEAF);
}

void cairn_listings_destroy(struct cairn_listings *listings)
{
	cairn_mutex_destroy(&listings->lock);
}

void cairn_listing_free(struct cairn_listing *listing)
{
	if (!listing)
		return;
	free(listing->entries);
	free(listing->names);
	free(listing->attrs);
	free(listing);
}

static size_t listing_bytes(const struct cairn_listing *listing)
{
	return sizeof(*listing) + listing->capacity * sizeof(*listing->entries) +
	       listing->names_capacity + listing->attrs_capacity * sizeof(*listing->attrs);
}

static void recount(struct cairn_listings *listings, struct cairn_listing *listing)
{
	cairn_mutex_lock(&listings->lock);
	listings->bytes -= listing->counted;
	listing->counted = listing_bytes(listing);
	listings->bytes += listing->counted;
	cairn_mutex_unlock(&listings->lock);
}

/* Grows an array by half as much again until `want` elements fit. */
static int reserve(void **array, size_t *capacity, size_t want, size_t element)
{
	size_t grown = MAX(want, *capacity + *capacity / 2);
	void *p;

	if (*array && want <= *capacity)
		return 0;
	p = reallocarray(*array, grown, element);
	if (!p)
		return -ENOMEM;
	*array = p;
	*capacity = grown;
	return 0;
}

static int add_attr(struct cairn_listing *listing, const struct cairn_attr *attr, uint32_t *ret_at)
{
	int r;

	if (listing->attrs_count >= ATTRS_MAX)
		return 0;
	r = reserve((void **)&listing->attrs, &listing->attrs_capacity, listing->attrs_count + 1,
		    sizeof(*attr));
	if (r < 0)
		return r;
	listing->attrs[listing->attrs_count++] = *attr;
	*ret_at = (uint32_t)listing->attrs_count;
	return 0;
}

/* Adds an entry at the end; names take at most 4 GiB, far more than the cap on all listings. */
static int append(struct cairn_listing *listing, const struct cairn_dentry_row *row, uint32_t mode)
{
	struct cairn_listing_entry entry = {
		.id = row->id,
		.ino = row->ino,
		.name_len = (uint8_t)row->name_len,
		.type = (uint8_t)((mode & S_IFMT) >> 12),
	};
	int r;

	if (listing->names_len + row->name_len + 1 > UINT32_MAX)
		return -ENOMEM;
	r = reserve((void **)&listing->entries, &listing->capacity, listing->count + 1,
		    sizeof(entry));
	if (r < 0)
		return r;
	r = reserve((void **)&listing->names, &listing->names_capacity,
		    listing->names_len + row->name_len + 1, 1);
	if (r < 0)
		return r;
	if (row->has_attr) {
		r = add_attr(listing, &row->attr, &entry.attr_at);
		if (r < 0)
			return r;
	}
	entry.name_at = (uint32_t)listing->names_len;
	memcpy(listing->names + listing->names_len, row->name, row->name_len);
	listing->names[listing->names_len + row->name_len] = '\0';
	listing->names_len += row->name_len + 1;
	listing->entries[listing->count++] = entry;
	return 0;
}

struct build {
	struct cairn_listing *listing;
	struct cairn_layers layers;
};

/* A row of the store counts unless a batch has something newer to say about its name. */
static int add_row(void *arg, const struct cairn_dentry_row *row)
{
	const struct build *build = arg;

	if (build->layers.upper &&
	    cairn_delta_find_entry(build->layers.upper, row->name, row->name_len))
		return 0;
	if (build->layers.lower &&
	    cairn_delta_find_entry(build->layers.lower, row->name, row->name_len))
		return 0;
	return append(build->listing, row, row->has_attr ? row->attr.mode : 0);
}

static int add_layer(struct cairn_listing *listing, const struct cairn_delta *layer,
		     const struct cairn_delta *above)
{
	struct cairn_delta_entry *entry, *next;
	int r;

	if (!layer)
		return 0;
	HASH_ITER (hh, layer->entries, entry, next) {
		struct cairn_dentry_row row = {
			.id = entry->id,
			.ino = entry->ino,
			.name = entry->name,
			.name_len = entry->name_len,
		};

		if (!entry->ino ||
		    (above && cairn_delta_find_entry(above, entry->name, entry->name_len)))
			continue;
		r = append(listing, &row, entry->type);
		if (r < 0)
			return r;
	}
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct cairn_listing_entry *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int scan_store(struct cairn_core *core, struct cairn_inode *dir, struct build *build)
{
	_cleanup_(cairn_readingp) struct cairn_reading reading = { 0 };
	int r;

	if (dir->fresh)
		return 0;
	r = cairn_reading(&core->readers, &reading);
	if (r < 0)
		return r;
	return core->store->ops->dentry_scan(reading.reader, dir->ino, true, add_row, build);
}

static int fill(struct cairn_core *core, struct cairn_inode *dir, struct cairn_listing *listing)
{
	struct build build = { .listing = listing, .layers = cairn_inode_layers(dir) };
	int r;

	listing->commits = atomic_load(&core->commits);
	r = scan_store(core, dir, &build);
	if (r < 0)
		return r;
	r = add_layer(listing, build.layers.lower, build.layers.upper);
	if (r < 0)
		return r;
	r = add_layer(listing, build.layers.upper, NULL);
	if (r < 0)
		return r;
	if (listing->count > 1)
		qsort(listing->entries, listing->count, sizeof(*listing->entries), by_id);
	return 0;
}

int cairn_listing_build(struct cairn_core *core, struct cairn_inode *dir)
{
	struct cairn_listing *listing;
	int r;

	if (dir->listing)
		return 0;
	listing = calloc(1, sizeof(*listing));
	if (!listing)
		return -ENOMEM;
	r = fill(core, dir, listing);
	if (r < 0) {
		cairn_listing_free(listing);
		return r;
	}
	if (listing->count > ATTRS_MAX) {
		free(TAKE_PTR(listing->attrs));
		listing->attrs_count = listing->attrs_capacity = 0;
		for (size_t i = 0; i < listing->count; i++)
			listing->entries[i].attr_at = 0;
	}
	listing->inode = dir;
	dir->listing = listing;
	cairn_stats_count(&core->stats, CAIRN_COUNT_LISTING_BUILT, 1);

	cairn_mutex_lock(&core->listings.lock);
	listing->counted = listing_bytes(listing);
	core->listings.bytes += listing->counted;
	DL_APPEND(core->listings.list, listing);
	cairn_mutex_unlock(&core->listings.lock);
	return 0;
}

static void unlist_locked(struct cairn_listings *listings, struct cairn_listing *listing)
{
	DL_DELETE(listings->list, listing);
	listings->bytes -= listing->counted;
	listing->counted = 0;
}

void cairn_listing_forget(struct cairn_listings *listings, struct cairn_inode *inode)
{
	if (!inode->listing)
		return;
	cairn_mutex_lock(&listings->lock);
	unlist_locked(listings, inode->listing);
	cairn_mutex_unlock(&listings->lock);
}

void cairn_listing_drop(struct cairn_core *core, struct cairn_inode *dir)
{
	cairn_listing_forget(&core->listings, dir);
	cairn_forget_listing(core, dir->listing);
	cairn_listing_free(TAKE_PTR(dir->listing));
}

/* The number of the directory whose listing should go next; 0 when all fit. The newest stays:
 * somebody is about to read it. */
static uint64_t trim_victim(struct cairn_listings *listings)
{
	uint64_t ino = 0;

	cairn_mutex_lock(&listings->lock);
	if (listings->bytes > CAIRN_LISTINGS_MAX && listings->list && listings->list->next)
		ino = listings->list->inode->ino;
	cairn_mutex_unlock(&listings->lock);
	return ino;
}

void cairn_listings_trim(struct cairn_core *core)
{
	struct cairn_inode *dir;
	uint64_t ino;

	while ((ino = trim_victim(&core->listings)) != 0) {
		if (cairn_inode_get(core, ino, NULL, &dir) < 0)
			return;
		cairn_rwlock_wrlock(&dir->lock);
		cairn_listing_drop(core, dir);
		cairn_rwlock_unlock(&dir->lock);
		cairn_inode_unref(core, dir);
	}
}

size_t cairn_listing_after(const struct cairn_listing *listing, uint64_t id)
{
	size_t low = 0, high = listing->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (listing->entries[middle].id > id)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* The entry with this id, or NULL. */
static struct cairn_listing_entry *find(struct cairn_listing *listing, uint64_t id)
{
	size_t at = cairn_listing_after(listing, id);

	if (at == 0 || listing->entries[at - 1].id != id)
		return NULL;
	return &listing->entries[at - 1];
}

void cairn_listing_put(struct cairn_core *core, struct cairn_inode *dir, uint64_t id, uint64_t ino,
		       uint32_t mode, const char *name, size_t len)
{
	struct cairn_dentry_row row = { .id = id, .ino = ino, .name = name, .name_len = len };
	struct cairn_listing *listing = dir->listing;
	struct cairn_listing_entry *entry, added;
	size_t at;

	if (!listing)
		return;
	entry = find(listing, id);
	if (entry) {
		entry->ino = ino;
		entry->type = (uint8_t)((mode & S_IFMT) >> 12);
		entry->attr_at = 0;
		return;
	}
	if (append(listing, &row, mode) < 0) {
		cairn_listing_drop(core, dir);
		return;
	}
	/* Ids grow, so the end is nearly always the right place. */
	added = listing->entries[listing->count - 1];
	listing->count--;
	at = cairn_listing_after(listing, id);
	memmove(&listing->entries[at + 1], &listing->entries[at],
		(listing->count - at) * sizeof(added));
	listing->entries[at] = added;
	listing->count++;
	recount(&core->listings, listing);
}

void cairn_listing_remove(struct cairn_core *core, struct cairn_inode *dir, uint64_t id)
{
	struct cairn_listing *listing = dir->listing;
	struct cairn_listing_entry *entry = listing ? find(listing, id) : NULL;

	if (!entry || !entry->ino)
		return;
	entry->ino = 0;
	/* A directory where files come and go must not keep the names of all that ever were. */
	if (++listing->removed > REMOVED_MIN && listing->removed > listing->count / 2)
		cairn_listing_drop(core, dir);
}
