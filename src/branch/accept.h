/* Accepting the changes of a branch into its base, and dropping them.
 *
 * One thread; transactions of the stores are begun and ended by the caller, where it says so. */
#pragma once

#include "branch/change.h"
#include "branch/stable.h"

/* What is done where the base is no longer as the branch saw it. */
enum cairn_strategy {
	CAIRN_STRATEGY_ERROR,     /* nothing at all */
	CAIRN_STRATEGY_OVERWRITE, /* the branch's change is made all the same */
	CAIRN_STRATEGY_PRESERVE,  /* the change stays in the branch */
};

struct cairn_accept_options {
	const char *const *paths; /* from the root of the branch; none: all changes */
	size_t path_count;
	enum cairn_strategy strategy;
	bool dry_run;
};

struct cairn_accept_result {
	size_t accepted, conflicts, left; /* changes; `left` ones matched and stay in the branch */
	int64_t undo;                     /* the id of the undo record; 0: nothing was changed */
	struct cairn_left_out left_out;
};

/* Accepts, in one change of `stable`, and takes what was accepted out of the branch in a
 * transaction after that. The branch must be open for writing, and its base not yet. `changes` are
 * what was found, with `selected` and `conflict` set; the caller frees them, also after a failure.
 * -EEXIST: there are conflicts, and nothing was done. A failure between the two does no harm:
 * accepting again finds what is equal by then. */
int cairn_accept(struct cairn_branch *branch, struct cairn_stable *stable,
		 const struct cairn_accept_options *options, struct cairn_changes *changes,
		 struct cairn_accept_result *ret, struct cairn_error *err);

/* conflict.c: marks the changes whose place in the base looks different from what the branch saw.
 */
int cairn_conflicts_mark(struct cairn_branch *branch, const struct cairn_changes *changes,
			 struct cairn_error *err);

/* select.c: marks what is to be accepted. With `preserve`, what conflicts is left, with all that
 * cannot be had without it; otherwise -EINVAL with words where only part was asked for of what
 * belongs together. */
int cairn_select_accept(const struct cairn_changes *changes, const char *const *paths,
			size_t path_count, bool preserve, struct cairn_error *err);
/* Marks what is to be dropped: what matches, and what cannot stay without it. */
void cairn_select_reset(const struct cairn_changes *changes, const char *const *paths,
			size_t path_count);

/* apply.c: makes the selected changes in a store, inside its transaction. */
int cairn_apply(struct cairn_branch *branch, struct cairn_store *stable,
		const struct cairn_changes *changes, struct cairn_error *err);

/* drop.c: takes the selected changes out of the branch, inside its transaction. `accepted`: the
 * base has them by now. */
int cairn_drop(struct cairn_branch *branch, const struct cairn_changes *changes, bool accepted);
