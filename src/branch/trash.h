/* Where rejected branches are kept for a while: the folder `.cairnfs-trash` beside the workspace,
 * in which each is called as the workspace was, with a dot and the time (in seconds since 1970). */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

/* Gives the file at an absolute path a second name in the trash; the new path is in `ret`. */
int cairn_trash_keep(const char *path, char ret[PATH_MAX], struct cairn_error *err);
/* Takes that back. */
void cairn_trash_release(const char *kept);

/* 0 goes on, anything else ends it and is returned. */
typedef int (*cairn_trash_fn)(void *arg, const char *path, int64_t time, int64_t size);
/* What lies in the trash of a directory; `name` (may be NULL): only of the workspace called so. No
 * trash is an empty one. */
int cairn_trash_list(const char *dir, const char *name, cairn_trash_fn fn, void *arg);
