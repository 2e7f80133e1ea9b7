/* The patterns that a branch stores: what of its base directory is not shown. */
#pragma once

#include "base/base.h"

struct cairn_base_ignore {
	char *text;        /* what the lines of `list` lie in */
	const char **list; /* as struct cairn_base_options has them */
	size_t count;
};
void cairn_base_ignore_free(struct cairn_base_ignore *ignore);

/* Reads them from a workspace with a base; none: an empty list. -EIO for more, or longer ones, than
 * are ever stored. Free it, also an empty one. */
int cairn_base_ignore_read(struct cairn_store *branch, struct cairn_base_ignore *ret);
