/* A directory's whole listing in order of position, kept in core between the calls that read it.
 *
 * The position of an entry is its fs_dentry.id, which it keeps for life: a reader that comes back
 * with a position goes on right behind it, whatever came or went meanwhile and whether or not the
 * listing had to be built anew. While a listing is there, each change of the directory is applied
 * to it. */
#pragma once

#include <stdbool.h>

#include "core/inode.h"

/* Bytes that all listings of a mount may take before the oldest go. */
#define CAIRN_LISTINGS_MAX (48U << 20)

struct cairn_listing_entry {
	uint64_t id;
	uint64_t ino;     /* 0: removed */
	uint32_t name_at; /* offset in names */
	uint8_t name_len;
	uint8_t type;     /* S_IFMT >> 12, as d_type in <dirent.h> */
	uint32_t attr_at; /* 1 + offset in attrs; 0: none */
};

struct cairn_listing {
	struct cairn_inode *inode;         /* owner; in listings.list */
	struct cairn_listing *prev, *next; /* guarded by listings.lock */
	size_t counted; /* bytes counted in listings.bytes; guarded by its lock */
	/* Guarded by the inode's lock: */
	struct cairn_listing_entry *entries; /* sorted by id */
	size_t count, capacity;
	size_t removed; /* of these */
	char *names;    /* NUL-terminated each */
	size_t names_len, names_capacity;
	struct cairn_attr *attrs; /* as of `commits`, of small directories only */
	size_t attrs_count, attrs_capacity;
	unsigned long commits;
};

struct cairn_listings {
	struct cairn_mutex lock;
	struct cairn_listing *list; /* oldest first */
	size_t bytes;
};

int cairn_listings_init(struct cairn_listings *listings);
void cairn_listings_destroy(struct cairn_listings *listings);

/* Builds dir->listing where there is none; dir is locked for writing. */
int cairn_listing_build(struct cairn_core *core, struct cairn_inode *dir);
/* Frees the oldest listings while they take too much together. No lock may be held. */
void cairn_listings_trim(struct cairn_core *core);
/* Takes the inode's listing, if any, off the list; the inode is about to be freed. */
void cairn_listing_forget(struct cairn_listings *listings, struct cairn_inode *inode);
void cairn_listing_free(struct cairn_listing *listing);

/* Apply a change to dir->listing, if there is one. The inode is locked for writing. Without memory
 * for it, the listing is dropped and will be built again. */
void cairn_listing_put(struct cairn_core *core, struct cairn_inode *dir, uint64_t id, uint64_t ino,
		       uint32_t mode, const char *name, size_t len);
void cairn_listing_remove(struct cairn_core *core, struct cairn_inode *dir, uint64_t id);
void cairn_listing_drop(struct cairn_core *core, struct cairn_inode *dir);

/* The index of the first entry with id > `id`. */
size_t cairn_listing_after(const struct cairn_listing *listing, uint64_t id);
