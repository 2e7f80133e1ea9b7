/* From what a person typed to absolute paths, which keep their meaning after a daemon's chdir("/").
 *
 * A WORKSPACE argument is a path or an id. An existing file and anything with a '/' or a '.' in it
 * is a path; any other word of letters, digits, '_' and '-' is an id and stands for
 * `.agentfs/<id>.db` below the working directory, the place where AgentFS keeps its workspaces. */
#pragma once

#include <stdbool.h>

#include "util/error.h"

/* The absolute path of a workspace, which need not exist; symbolic links in it are followed as far
 * as it exists. free() it. `ret_is_id` (may be NULL) tells whether `workspace` was an id. -EINVAL
 * for an argument that is neither path nor id, or what getcwd(3) or realpath(3) said. */
int cairn_resolve_workspace(const char *workspace, char **ret_path, bool *ret_is_id,
			    struct cairn_error *err);

/* The path by which the mount table knows directory `dir`, which must exist; free() it. Asks
 * nothing of a file system mounted there, so it neither fails nor hangs on a dead one. -errno from
 * realpath(3). */
int cairn_resolve_directory(const char *dir, char **ret_path);

/* `path` behind the working directory, unless it is absolute already; free() it. */
int cairn_resolve_absolute(const char *path, char **ret_path);

/* True where `path` is `dir` or lies below it; both absolute and without "." or "..". */
bool cairn_path_is_below(const char *path, const char *dir);
