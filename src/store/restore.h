/* Putting a workspace back to what a copy of it holds. The caller keeps it from being mounted
 * meanwhile (mount/mark.h). */
#pragma once

#include "store/clone.h"

/* Whether `from` is a sound workspace: -EIO with words where SQLite finds it damaged, or what
 * cairn_check() says. *ret_errors is how many rules of the format are broken otherwise, as peers
 * leave them; `cairnfs check --repair` mends those. `progress` may be NULL. */
int cairn_restore_check(const char *from, unsigned int busy_timeout_ms,
			void (*progress)(void *arg, const char *step, unsigned int done,
					 unsigned int total),
			void *arg, uint64_t *ret_errors, struct cairn_error *err);

/* Whether no process has the workspace open, of which the WAL is folded in by that; -EBUSY with
 * words. */
int cairn_restore_check_unused(const char *to, unsigned int busy_timeout_ms,
			       struct cairn_error *err);

struct cairn_restore_result {
	struct cairn_clone_result clone;
	char kept[PATH_MAX]; /* where what stood at the path is now; empty: nowhere */
};

/* Makes `to` a copy of `from`, in one step. What stood at `to` is renamed to `to` and
 * ".before-restore" (and a number, where that is taken); with options->force it is deleted. Its
 * owner and permissions stay. -EBUSY when another process has `to` open; else as cairn_clone(). */
int cairn_restore(const char *from, const char *to, const struct cairn_clone_options *options,
		  struct cairn_restore_result *ret, struct cairn_error *err);
