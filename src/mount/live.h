/* The live mount of a workspace, found from the workspace.
 *
 * What is changed in a mount is in its memory for a while. A command that reads the database has
 * the mount commit first, and one that changes files goes through the mount's directory. */
#pragma once

#include <stdbool.h>

#include "util/error.h"

struct cairn_live {
	int pid;         /* of the daemon; 0: the workspace is not mounted */
	char *directory; /* where it is mounted, for the words */
	char *path;      /* the same as it is reached from here: the daemon may be in another mount
			  * namespace */
};

/* Looks for a mount of the workspace at the absolute path `workspace`. 0 with pid 0 where there is
 * none, also while another command has the workspace to itself. Negative, with words, where there
 * is one that cannot be asked: -EACCES it is another user's, -ETIMEDOUT it does not answer. */
int cairn_live_find(const char *workspace, struct cairn_live *ret, struct cairn_error *err);
void cairn_live_done(struct cairn_live *live);

/* Returns when all that was changed in the mount before the call is committed; at once where there
 * is no mount. Or negative, with words. */
int cairn_live_commit(const struct cairn_live *live, struct cairn_error *err);

/* Both, for a command that reads the database alone. */
int cairn_live_settle(const char *workspace, struct cairn_error *err);
