/* What nobody refers to any more, told to a store that remembers what it gave out (store.h,
 * forget()).
 *
 * An inode whose last pin went may still be in a batch, and a listing names inodes that were never
 * pinned. So numbers are collected, and the writer looks between its transactions which of them are
 * not in use at all. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/lock.h"

struct cairn_core;
struct cairn_listing;

struct cairn_forgets {
	struct cairn_mutex lock;
	uint64_t *inos; /* guarded by lock, like all below */
	size_t count, capacity;
};

int cairn_forgets_init(struct cairn_forgets *forgets);
void cairn_forgets_destroy(struct cairn_forgets *forgets);

/* May be forgotten once nothing uses it. Without memory to say so, it is not. */
void cairn_forget_later(struct cairn_core *core, uint64_t ino);
/* All that a listing names, which is about to be freed. */
void cairn_forget_listing(struct cairn_core *core, const struct cairn_listing *listing);
/* The writer, outside a transaction and with no lock held. */
void cairn_forget_unused(struct cairn_core *core);
