/* Which files a patch is made of. */
#pragma once

#include "branch/change.h"
#include "util/hash.h"

/* A path at which there is a regular file or a symbolic link: in the base, in the branch, or in
 * both. */
struct cairn_patch_path {
	UT_hash_handle hh;
	bool in_base, in_branch;
	struct cairn_attr was; /* in_base: what stands there; the number is that of the node */
	/* in_branch: what stands there, or, without a change, this file of the base. */
	const struct cairn_change *change;
	struct cairn_attr same;
	struct cairn_patch_path *from; /* in_branch: where it was in the base, if that is known */
	bool renamed; /* in_base: it is the `from` of one that is told as a rename */
	char path[];
};

/* Empty: { NULL }. */
struct cairn_patch_paths {
	struct cairn_patch_path *table; /* by path */
	size_t left_out;                /* changes that no patch can hold */
};

/* The paths of the changes that match, as the base has them and as the branch has them. */
int cairn_patch_paths_find(struct cairn_branch *branch, const struct cairn_changes *changes,
			   const char *const *paths, size_t path_count,
			   struct cairn_patch_paths *ret, struct cairn_error *err);
void cairn_patch_paths_free(struct cairn_patch_paths *paths);

/* The mode as git has it: 0100644, 0100755, 0120000; 0: a patch cannot hold it. */
uint32_t cairn_patch_mode(uint32_t mode);
