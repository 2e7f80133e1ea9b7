/* Reading directories. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/atime.h"
#include "core/internal.h"

/* Positions: 0 the start, 1 after ".", 2 after "..", and after an entry its id + ENTRY_BASE. */
#define ENTRY_BASE 2

/* Entries taken from a listing at a time; more than a reply has room for. */
#define PAGE_MAX 2048U

/* A stretch of a listing, copied so that the directory need not stay locked. */
struct page {
	struct page_entry {
		uint64_t id;
		uint64_t ino;
		mode_t type;
		size_t name_at;
		bool pinned;
		bool has_hint;
		struct cairn_attr hint;
	} * entries;
	size_t count;
	char *names;
	size_t names_len;
	unsigned long commits; /* goes with the hints */
	bool last;             /* the listing ends here */
};

static void page_free(struct page *page)
{
	free(page->entries);
	free(page->names);
	*page = (struct page){ 0 };
}

static void copy_entry(struct page *page, const struct cairn_listing *listing,
		       const struct cairn_listing_entry *from)
{
	struct page_entry *to = &page->entries[page->count++];

	*to = (struct page_entry){
		.id = from->id,
		.ino = from->ino,
		.type = (mode_t)from->type << 12,
		.name_at = page->names_len,
	};
	memcpy(page->names + page->names_len, listing->names + from->name_at, from->name_len + 1U);
	page->names_len += from->name_len + 1U;
	if (from->attr_at) {
		to->has_hint = true;
		to->hint = listing->attrs[from->attr_at - 1];
	}
}

/* Copies up to `max` entries behind `id`; with `plus` they are pinned while the directory is
 * locked. */
static int take_page(struct cairn_core *core, const struct cairn_inode *dir, uint64_t id,
		     size_t max, bool plus, struct page *page)
{
	const struct cairn_listing *listing = dir->listing;
	size_t from = cairn_listing_after(listing, id), to = MIN(listing->count, from + max);
	int r;

	*page = (struct page){ .commits = listing->commits, .last = to == listing->count };
	page->entries = calloc(to - from + 1, sizeof(*page->entries));
	page->names = malloc((to - from) * (CAIRN_NAME_MAX + 1) + 1);
	if (!page->entries || !page->names)
		return -ENOMEM;
	for (size_t i = from; i < to; i++) {
		if (!listing->entries[i].ino)
			continue;
		copy_entry(page, listing, &listing->entries[i]);
		if (!plus)
			continue;
		r = cairn_pin_add(&core->pins, listing->entries[i].ino, dir->ino);
		if (r < 0)
			return r;
		page->entries[page->count - 1].pinned = true;
	}
	return 0;
}

static void unpin_page(struct cairn_core *core, struct page *page)
{
	for (size_t i = 0; i < page->count; i++)
		if (page->entries[i].pinned)
			cairn_core_forget(core, page->entries[i].ino, 1);
}

/* Locks the directory with its listing there: for reading when it is, for writing to build it. */
static int lock_listing(struct cairn_core *core, struct cairn_inode *dir)
{
	int r;

	cairn_rwlock_rdlock(&dir->lock);
	r = cairn_inode_usable(dir);
	if (r == 0)
		r = S_ISDIR(dir->attr.mode) ? 0 : -ENOTDIR;
	if (r == 0 && dir->listing)
		return 0;
	cairn_rwlock_unlock(&dir->lock);
	if (r < 0)
		return r;

	cairn_rwlock_wrlock(&dir->lock);
	r = cairn_inode_usable(dir) ?: cairn_listing_build(core, dir);
	if (r < 0)
		cairn_rwlock_unlock(&dir->lock);
	return r;
}

static int read_page(struct cairn_core *core, uint64_t ino, uint64_t id, size_t max, bool plus,
		     struct page *page)
{
	struct cairn_inode *dir;
	int r;

	r = cairn_inode_get(core, ino, NULL, &dir);
	if (r < 0)
		return r;
	r = lock_listing(core, dir);
	if (r == 0) {
		r = take_page(core, dir, id, max, plus, page);
		cairn_rwlock_unlock(&dir->lock);
	}
	cairn_inode_unref(core, dir);
	cairn_listings_trim(core);
	return r;
}

/* Hands one entry on. True when it found no room. */
static bool emit(struct cairn_core *core, const struct page *page, struct page_entry *entry,
		 bool plus, cairn_dirent_fn fn, void *arg)
{
	struct cairn_attr_hint hint = {
		.attr = entry->has_hint ? &entry->hint : NULL,
		.commits = page->commits,
	};
	struct cairn_dirent dirent = {
		.name = page->names + entry->name_at,
		.ino = entry->ino,
		.type = entry->type,
		.next = (off_t)entry->id + ENTRY_BASE,
	};
	struct cairn_attr attr;

	/* An entry whose inode cannot be read is still listed; a lookup will say what is wrong. */
	if (plus && cairn_inode_peek(core, entry->ino, &hint, &attr) == 0)
		dirent.attr = &attr;
	if (fn(arg, &dirent))
		return true;
	/* What was handed on with attributes stays pinned: the pin is the receiver's now. */
	entry->pinned = entry->pinned && !dirent.attr;
	return false;
}

static bool emit_dot(struct cairn_core *core, uint64_t ino, off_t next, cairn_dirent_fn fn,
		     void *arg)
{
	uint64_t parent = cairn_pin_parent(&core->pins, ino);
	struct cairn_dirent dirent = {
		.name = next == 1 ? "." : "..",
		.ino = next == 1 || !parent ? ino : parent,
		.type = S_IFDIR,
		.next = next,
	};

	return fn(arg, &dirent);
}

int cairn_core_readdir(struct cairn_core *core, uint64_t ino, off_t offset, bool plus,
		       cairn_dirent_fn fn, void *arg)
{
	/* The first page is small: most directories are, and what is copied may not find room. */
	size_t max = 256;
	struct page page = { 0 };
	uint64_t id;
	bool full = false;
	int r;

	if (offset < 0)
		return -EINVAL;
	if (offset == 0)
		cairn_atime_read(core, ino);
	for (; offset < ENTRY_BASE && !full; offset++)
		full = emit_dot(core, ino, offset + 1, fn, arg);
	id = (uint64_t)offset - ENTRY_BASE;
	while (!full) {
		r = read_page(core, ino, id, max, plus, &page);
		for (size_t i = 0; r == 0 && !full && i < page.count; i++) {
			full = emit(core, &page, &page.entries[i], plus, fn, arg);
			id = page.entries[i].id;
		}
		full |= page.last;
		unpin_page(core, &page);
		page_free(&page);
		if (r < 0)
			return r;
		max = PAGE_MAX;
	}
	return 0;
}
