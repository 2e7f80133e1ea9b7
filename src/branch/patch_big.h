/* The patch of a file that is too large to be held in memory: a binary one of git's, which is the
 * whole content of a new file, and of a changed one what differs at the same place. Both sides are
 * read twice, a buffer at a time. There is no reverse in it: `git apply -R` refuses it. */
#pragma once

#include "branch/branch.h"

enum { CAIRN_SHA1_SIZE = 20 };

struct cairn_patch_big {
	struct cairn_branch *branch;
	const struct cairn_content *old, *new; /* of regular files; NULL: there is none */
	/* Filled by cairn_patch_big_scan(). */
	unsigned char old_hash[CAIRN_SHA1_SIZE], new_hash[CAIRN_SHA1_SIZE]; /* of git's blobs */
	bool same;
	size_t delta_size; /* bytes */
};

/* The first round. */
int cairn_patch_big_scan(struct cairn_patch_big *big);

/* The second: what stands in the patch behind the line "GIT binary patch", given to `put` in
 * pieces of whole lines. What `put` returns but 0 ends it and is returned; -EIO also where a side
 * is not what it was in the first round. */
typedef int (*cairn_patch_big_fn)(void *arg, const char *lines, size_t len);
int cairn_patch_big_write(struct cairn_patch_big *big, cairn_patch_big_fn put, void *arg);
