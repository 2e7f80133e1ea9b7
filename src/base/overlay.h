/* An overlay: the store of a workspace that has a base, which shows both as one tree.
 *
 *	core --(struct cairn_store_ops)--> overlay --> the branch: the store of the workspace itself
 *	                                           \--> the base, read and never written
 *
 * The core knows nothing of it but two functions more of the interface: where an entry stands in a
 * listing, and what it has no use for any more. What is read comes from the branch, from the base
 *where the branch says nothing, and from nowhere else: only a definite "there is none" leads on,
 *and nothing that is read changes anything. What is changed is copied up first, as much of it as is
 *changed.
 *
 * A directory of the branch shows together with its counterpart in the base: the one it was copied
 *up from, wherever it has been moved since; none, where the branch made it in place of one it had
 *deleted; else the one in its place. */
#pragma once

#include "base/base.h"
#include "store/store.h"

/* Opens the workspace at `path` and, where it has a base, that too; the owner closes either with
 * store->ops->close(). As cairn_sqlite_store_open(), and what cairn_base_open() says. */
int cairn_store_open(const char *path, const struct cairn_store_options *options,
		     struct cairn_store **ret, struct cairn_error *err);

/* Puts a branch over a base, and owns both from here on, also on failure. Of the options only the
 * log and copy_whole count. -EINVAL when the store is of no branch. */
int cairn_overlay_new(struct cairn_store *branch, struct cairn_base *base,
		      const struct cairn_store_options *options, struct cairn_store **ret);
