/* A database file that is built under a name of its own and moved to its place when it is whole.
 *
 * The draft lies in the directory of its target, is called `.cairnfs-draft-` and 16 digits, and is
 * locked (by an open file description lock, fcntl(2)) for as long as its maker lives. One that a
 * process left when it was killed is not locked, and the next draft in that directory removes it.
 *
 * The draft's descriptor must outlive every SQLite connection to it: closing it drops the locks
 * that SQLite has on the file (see probe.h). */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "util/error.h"

struct cairn_draft {
	const char *path;      /* as the caller named it, for the words */
	char target[PATH_MAX]; /* where it will stand: `path` with symbolic links followed */
	char dir[PATH_MAX];    /* the directory of both */
	char temp[PATH_MAX];   /* the draft; empty: there is none */
	int fd;                /* of the draft, for reading and writing; -1: none */
};

#define CAIRN_DRAFT_NONE                                                                           \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Makes an empty draft for `path`, with `mode` less the umask. -EEXIST with words where something
 * stands there and !force, -EINVAL where that is no regular file; or what open(2) said. `path`
 * stays the caller's. To be ended with cairn_draft_done(), also after a failure. */
int cairn_draft_begin(struct cairn_draft *ret, const char *path, bool force, mode_t mode,
		      struct cairn_error *err);

/* Syncs the draft and moves it to its place; with `force` it replaces what stands there and what
 * SQLite had beside that. Either all of this happens or the place is as it was. */
int cairn_draft_place(struct cairn_draft *draft, bool force, struct cairn_error *err);

/* The same where something stands in the place, which is not lost: it and what SQLite had beside it
 * get the name of the place, a '.' and `suffix`, and a number where that is taken. *ret_kept is the
 * name. The place is never empty where the file system can exchange two files (renameat2(2)) and
 * SQLite has left nothing beside the old one. */
int cairn_draft_swap(struct cairn_draft *draft, const char *suffix, char ret_kept[PATH_MAX],
		     struct cairn_error *err);

/* Removes the draft unless it was placed. */
void cairn_draft_done(struct cairn_draft *draft);

/* Says in `err` that the draft could not be made. The value is `r`. */
int cairn_draft_failed(const struct cairn_draft *draft, int r, struct cairn_error *err);
