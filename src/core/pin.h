/* Inodes that somebody outside the core refers to: the kernel's lookup counts.
 *
 * A pinned inode may be unlinked and must go on working; its row goes when the last pin does. The
 * table holds only a number and a count, so that a million pinned inodes need not be in core. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/lock.h"

struct cairn_pin;

struct cairn_pins {
	struct cairn_mutex lock;
	struct cairn_pin *table; /* by ino; guarded by lock */
	size_t orphans;          /* how many of them are orphans; guarded by lock */
};

int cairn_pins_init(struct cairn_pins *pins);
void cairn_pins_destroy(struct cairn_pins *pins);

/* Adds a pin. Called under the lock of the directory `parent` whose entry led to the inode, so that
 * no unlink can come between. -ENOMEM. */
int cairn_pin_add(struct cairn_pins *pins, uint64_t ino, uint64_t parent);
/* The inode is found in another directory now. */
void cairn_pin_move(struct cairn_pins *pins, uint64_t ino, uint64_t parent);
/* The directory where the inode was found last; 0 when it is not pinned. For ".." of a directory.
 */
uint64_t cairn_pin_parent(struct cairn_pins *pins, uint64_t ino);
/* Takes `count` pins away. True when those were the last of an orphan: it is to be destroyed. */
bool cairn_pin_drop(struct cairn_pins *pins, uint64_t ino, uint64_t count);
/* Marks an inode that has lost its last name. False when nobody has it pinned: destroy it now. */
bool cairn_pin_orphan(struct cairn_pins *pins, uint64_t ino);
/* The numbers of all pinned inodes as a new array, free() it. -ENOMEM. */
int cairn_pins_list(struct cairn_pins *pins, uint64_t **ret, size_t *ret_count);
size_t cairn_pins_count(struct cairn_pins *pins);
bool cairn_pin_is_pinned(struct cairn_pins *pins, uint64_t ino);
bool cairn_pins_have_orphans(struct cairn_pins *pins);
bool cairn_pin_is_orphan(struct cairn_pins *pins, uint64_t ino);
/* Calls `fn` for each orphan that is still pinned, and forgets all pins: for the end of a mount. */
void cairn_pins_drain(struct cairn_pins *pins, void (*fn)(void *arg, uint64_t ino), void *arg);
