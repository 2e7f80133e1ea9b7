/* What the changes of a branch are accepted into: a workspace (stable_store.c) or a directory of
 * the host (stable_host.c). Both keep a record of each accept, by which it can be taken back.
 *
 * One thread. Functions return 0 or a negative errno, with words in `err` where they take one. */
#pragma once

#include <stdbool.h>

#include "branch/change.h"
#include "store/undo.h"
#include "util/error.h"

/* What the host let nobody but root set, and is as it was. */
struct cairn_left_out {
	size_t owners, xattrs; /* of how many files */
};

struct cairn_stable;

/* A path, from the root, that is no longer as a record left it. */
typedef int (*cairn_stable_changed_fn)(void *arg, const char *path);

struct cairn_stable_ops {
	/* Latest first; at any time. */
	int (*list)(struct cairn_stable *stable, cairn_undo_fn fn, void *arg);

	/* Keeps others from accepting and undoing here until end(), and waits for those who do. */
	int (*begin)(struct cairn_stable *stable, struct cairn_error *err);
	/* Makes the selected changes, all or none, and a record of `count` changes. */
	int (*apply)(struct cairn_stable *stable, struct cairn_branch *branch,
		     const struct cairn_changes *changes, size_t count, int64_t *ret_id,
		     struct cairn_left_out *ret_left, struct cairn_error *err);
	/* What was applied is on the disk when this returns. */
	int (*sync)(struct cairn_stable *stable);
	int (*changed)(struct cairn_stable *stable, int64_t id, cairn_stable_changed_fn fn,
		       void *arg);
	/* Takes a record back, all or nothing; *ret_id is the record of that. */
	int (*undo)(struct cairn_stable *stable, int64_t id, int64_t changes, int64_t *ret_id,
		    struct cairn_error *err);
	/* Drops the records that are older than a time, in seconds since 1970. */
	int (*forget)(struct cairn_stable *stable, int64_t before, int64_t *ret_count,
		      struct cairn_error *err);
	/* Of what was not applied nothing is left. */
	void (*end)(struct cairn_stable *stable);
	void (*close)(struct cairn_stable *stable);
};

struct cairn_stable {
	const struct cairn_stable_ops *ops;
	char *path; /* absolute; owned */
};

/* Opens whichever kind lies at the path. A workspace that is a branch itself shows what it lies
 * over only with `whole`, which apply() needs. */
int cairn_stable_open(const char *path, bool whole, struct cairn_stable **ret,
		      struct cairn_error *err);

/* stable_host.c: a directory. */
bool cairn_stable_is_directory(const char *path);
int cairn_stable_host_open(const char *path, struct cairn_stable **ret, struct cairn_error *err);
/* Ends what an accept or undo that was killed has left in a directory, where there is something and
 * nobody is at it. What is no directory has nothing. */
int cairn_stable_settle(const char *path, struct cairn_error *err);
/* stable_store.c: a workspace. */
int cairn_stable_store_open(const char *path, bool whole, struct cairn_stable **ret,
			    struct cairn_error *err);
