/* Removing from directories of the host. */
#pragma once

#include "bulk/tree.h"

/* Removes a name with all that is below it, without following links. -EBUSY where something is
 * mounted below: it and what is around it stay. */
int cairn_bulk_remove(int dir, const char *name);

/* Removes from the directory at `fd` what the directory of the workspace does not have, or has as
 * something that is no directory where this is one, or the reverse; and so on below. `name` is for
 * the words. Returns what bulk->progress() said, if that was not 0. */
int cairn_bulk_clean(int fd, const char *name, struct cairn_core *core, uint64_t dir,
		     struct cairn_bulk *bulk, struct cairn_error *err);
