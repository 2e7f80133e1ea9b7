/* Where the steps of a record move things to. A path in a step is that of the moment when the step
 * is done; what is there then may be elsewhere before and after. */
#pragma once

#include "branch/host.h"

struct cairn_where {
	bool kept;  /* below kept/ */
	char *text; /* owned */
};
void cairn_wherep(const struct cairn_where *where);

/* What helps to look not at all steps each time. */
struct cairn_moves {
	const struct cairn_steps *steps;
	struct cairn_names first,
		last;               /* places: the steps that move something there or from there */
	size_t first_dir, last_dir; /* that move directories; counted from 1, 0: none */
};
int cairn_moves_init(struct cairn_moves *moves, const struct cairn_steps *steps);
void cairn_moves_free(struct cairn_moves *moves);

/* Follows what is at a place when step `i` has been done, to the end; *ret_filled, where it is not
 * NULL: a later step puts something there. */
int cairn_where_after(const struct cairn_moves *moves, size_t i, bool kept, const char *text,
		      struct cairn_where *ret, bool *ret_filled);
/* The same from before step `i`, back to the beginning. */
int cairn_where_before(const struct cairn_moves *moves, size_t i, bool kept, const char *text,
		       struct cairn_where *ret);
