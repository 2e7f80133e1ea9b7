/* Completing a branch for tools that know overlays as AgentFS makes them: a whiteout hides a path
 * and all below it, in the branch too; else a path is what the branch has there, or what the base
 * has at the same path; and a file of the branch has all of its bytes there.
 *
 * So what the branch has of the base in another way is copied into it: bytes of files that were
 * changed in part or in their attributes alone, all that is in a directory that was renamed, names
 * of files that have none here. Where the base has a directory that is not shown at its own place,
 * its entries get whiteouts. What the branch shows is the same as before. */
#pragma once

#include "branch/branch.h"

struct cairn_complete_result {
	uint64_t files;   /* that got bytes */
	uint64_t bytes;   /* that were copied */
	uint64_t entries; /* that were added */
	uint64_t hidden;  /* whiteouts that were added */
};

/* In one transaction. Both layers must be open, the branch for writing. -EIO with words where the
 * base has lost bytes that count. */
int cairn_complete(struct cairn_branch *branch, struct cairn_complete_result *ret,
		   struct cairn_error *err);
