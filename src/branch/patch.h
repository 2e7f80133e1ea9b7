/* The changes of a branch as a patch that `git apply` and `patch -p1` take: files, symbolic links,
 * their bytes and the permission to execute them. Directories as such, owners, other permissions,
 * times, attributes and devices are not to be had in a patch. */
#pragma once

#include <stdio.h>

#include "branch/change.h"

struct cairn_patch_file {
	const char *from, *to; /* without a slash in front; NULL: new, deleted */
	bool renamed;
	bool binary;
	size_t added, removed;      /* lines */
	int64_t old_size, new_size; /* bytes */
	/* The patch of this file, where it was asked for; of a large one, a piece of whole lines.
	 */
	const char *text;
	size_t len;
};
/* 0 goes on, anything else ends it and is returned. */
typedef int (*cairn_patch_fn)(void *arg, const struct cairn_patch_file *file);

/* All files of the changes that match the paths, deletions first; with `texts`, which cost most of
 * the time that large files take, their patches. A file of more than 32 MiB or 1,048,576 lines is
 * told as a binary one, its patch in several calls of `fn`. *ret_left_out counts the changes
 * that no patch can hold. */
int cairn_patch(struct cairn_branch *branch, const struct cairn_changes *changes,
		const char *const *paths, size_t path_count, bool texts, cairn_patch_fn fn,
		void *arg, size_t *ret_left_out, struct cairn_error *err);

/* A name in double quotes, with the escapes of C, as git reads and writes it. */
void cairn_patch_quote(FILE *to, const char *prefix, const char *name);
