/* What the base loses while a batch changes it: see lost.c. The writer's, in a transaction; every
 * function returns 0 or a negative errno. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

struct cairn_overlay;

/* Has a row, for the sake of what the batch puts into it. */
struct cairn_lost_kept {
	uint64_t merged;
	struct cairn_attr attr;
	unsigned int names; /* that the batch gave it */
};

/* A name that the batch gives to what has no row. */
struct cairn_lost_refused {
	uint64_t parent, merged;
	char name[CAIRN_NAME_MAX + 1];
};

struct cairn_lost {
	struct cairn_attr pending; /* changed, gone, and not yet known to be kept; ino 0: none */
	struct cairn_lost_kept *kept;
	struct cairn_lost_refused *refused;
	size_t kept_count, refused_count;
};

void cairn_lost_clear(struct cairn_lost *lost);
/* It gets a row. */
int cairn_lost_kept(struct cairn_overlay *o, uint64_t merged, const struct cairn_attr *attr);
/* It was to have this name, and has no row. */
int cairn_lost_refused(struct cairn_overlay *o, uint64_t parent, const char *name, size_t len,
		       uint64_t merged);
/* It was given a name. */
void cairn_lost_named(struct cairn_overlay *o, uint64_t merged);
/* Before the commit. */
int cairn_lost_settle(struct cairn_overlay *o);
