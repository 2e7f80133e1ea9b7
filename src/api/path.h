/* From a path to the directory and the name it stands for. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/core.h"

enum cairn_path_end {
	CAIRN_PATH_FOLLOW, /* a symbolic link at the end is followed */
	CAIRN_PATH_ITSELF, /* it is meant itself, unless a '/' comes after it */
	CAIRN_PATH_ENTRY,  /* the entry is meant: a link with a '/' after it is -ENOTDIR */
};

struct cairn_path {
	/* The directories from the root down to the one that holds the name. */
	uint64_t *dirs;
	size_t depth, capacity;

	uint64_t dir;                  /* the last of them */
	char name[CAIRN_NAME_MAX + 1]; /* empty for "/", ".", ".." */
	bool slash;                    /* the path ends in '/' */
	bool found;
	struct cairn_attr attr; /* where found */
};

/* Resolves `path`. A missing last component is no error: `found` tells. -ENOENT a missing
 * directory, or the empty path; -ENOTDIR, -ELOOP, -ENAMETOOLONG. To be freed with
 * cairn_path_done(), also after a failure. */
int cairn_path_resolve(struct cairn_core *core, const char *path, enum cairn_path_end end,
		       struct cairn_path *ret);
/* The same, and -ENOENT where nothing is found. */
int cairn_path_find(struct cairn_core *core, const char *path, enum cairn_path_end end,
		    struct cairn_path *ret);
void cairn_path_done(struct cairn_path *path);

/* True where the path leads through this directory. */
bool cairn_path_is_through(const struct cairn_path *path, uint64_t dir);
