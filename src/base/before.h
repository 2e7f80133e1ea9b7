/* What the operations of a batch saw of the base.
 *
 * A branch notes what it saw of a file of the base when it first changes that. The note is written
 * with the batch, a moment after the change, and the base may have got something else there
 * meanwhile, which the change knew nothing of. The core knows how each inode was before the batch
 * changed it, and tells; that is what was seen. */
#pragma once

#include "store/store.h"
#include "util/hash.h"

struct cairn_before_row;

struct cairn_before {
	struct cairn_before_row *rows; /* by number of the merged tree */
};

/* Keeps the attributes, as the merged tree showed them, until cairn_before_clear(). What they are
 * read from must live as long. -ENOMEM. */
int cairn_before_put(struct cairn_before *before, const struct cairn_attr *attr);
void cairn_before_clear(struct cairn_before *before);

/* The attributes from before the batch. NULL: it does not change this inode. */
const struct cairn_attr *cairn_before_get(const struct cairn_before *before, uint64_t merged);
/* Whether anything was told: else nobody who knows has written this batch. */
static inline bool cairn_before_is_known(const struct cairn_before *before)
{
	return before->rows;
}

/* Whether a file of the base, as the merged tree would show it now, is as it was. */
bool cairn_before_same(const struct cairn_attr *before, const struct cairn_attr *now);
