/* One inode of the branch beside one of the base. */
#pragma once

#include "branch/change.h"

/* Fills in what differs: of the same file, changed (`origin` true), or of another in its place.
 * Types must be alike. */
int cairn_compare(struct cairn_branch *branch, struct cairn_change *change,
		  const struct cairn_attr *base, bool origin);
