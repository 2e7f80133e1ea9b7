/* Files of several names of which only some were accepted. Such a file stays in the branch, over
 * that of the base, under all the names that it has there, until the last of them is accepted: so
 * they go on being one file with the right count of links, and what comes later finds in the base
 * the file that it belongs to. */
#pragma once

#include "branch/change.h"

/* Empty: { 0 }. */
struct cairn_linked {
	struct cairn_names rows;    /* with names that were not accepted */
	struct cairn_names taken;   /* rows with names that were */
	struct cairn_names nodes;   /* of the base, that go on losing names */
	struct cairn_names touched; /* nodes of the base, as they were before the accept */
};

/* Goes over the changes before anything is taken out of the branch. */
int cairn_linked_find(const struct cairn_changes *changes, struct cairn_linked *ret);
void cairn_linked_free(struct cairn_linked *linked);

/* Whether the file stays, which has this name and perhaps others. */
bool cairn_linked_stays(const struct cairn_linked *linked, const struct cairn_change *c);
/* Whether this name was accepted earlier, and the last of its file by now. */
bool cairn_linked_goes(const struct cairn_linked *linked, const struct cairn_change *c);
/* Puts down for the selected name of one that stays what the base has by now. It must have been
 * renewed, and earlier notes of the path be gone. */
int cairn_linked_stay(struct cairn_branch *branch, const struct cairn_change *c);
/* Brings notes of other names of what was accepted up to date: what has changed there since is
 * ours. Not those that met something else. */
int cairn_linked_note(struct cairn_branch *branch, const struct cairn_linked *linked,
		      const struct cairn_changes *changes);
