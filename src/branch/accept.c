#include "branch/accept.h"

#include <errno.h>
#include <string.h>

#include "store/undo.h"
#include "util/macro.h"

/* Transactions that are open until they are committed. */
struct open {
	struct cairn_store *stable, *own;
};

static void openp(struct open *open)
{
	if (open->stable)
		open->stable->ops->rollback(open->stable);
	if (open->own)
		open->own->ops->rollback(open->own);
}

static int begin(struct cairn_store *store, struct cairn_store **ret_open, const char *path,
		 struct cairn_error *err)
{
	int r;

	r = store->ops->begin(store);
	if (r < 0)
		return cairn_error_set(err, r, "'%s' cannot be changed now: %s", path,
				       r == -EAGAIN ? "another process keeps it locked; try again"
						    : strerror(-r));
	*ret_open = store;
	return 0;
}

static void count(const struct cairn_changes *changes, const struct cairn_accept_options *options,
		  struct cairn_accept_result *ret)
{
	for (size_t i = 0; i < changes->count; i++) {
		const struct cairn_change *c = changes->list[i];
		bool matches = cairn_change_matches(c, options->paths, options->path_count);

		if (!cairn_change_is_real(c))
			continue;
		ret->accepted += c->selected;
		ret->conflicts += c->conflict && (matches || c->selected);
		ret->left += matches && !c->selected;
	}
}

static int find(struct cairn_branch *branch, const struct cairn_accept_options *options,
		struct cairn_changes *changes, struct cairn_accept_result *result,
		struct cairn_error *err)
{
	int r;

	r = cairn_branch_open_base(branch, err);
	if (r == 0)
		r = cairn_changes_find(branch, changes, err);
	if (r == 0)
		r = cairn_conflicts_mark(branch, changes, err);
	if (r == 0)
		r = cairn_select_accept(changes, options->paths, options->path_count,
					options->strategy == CAIRN_STRATEGY_PRESERVE, err);
	if (r < 0)
		return r;
	count(changes, options, result);
	if (result->conflicts && options->strategy == CAIRN_STRATEGY_ERROR)
		return -EEXIST;
	return 0;
}

/* In the transaction on the base. */
static int apply(struct cairn_branch *branch, struct cairn_store *stable,
		 const struct cairn_changes *changes, struct cairn_accept_result *result,
		 struct cairn_error *err)
{
	struct cairn_store *own = stable->own ? stable->own : stable;
	int r;

	r = own->undo->begin(own, "accept", branch->path, 0, &result->undo);
	if (r == 0)
		r = cairn_apply(branch, stable, changes, err);
	if (r == 0)
		r = own->undo->finish(own, result->undo, (int64_t)result->accepted);
	if (r == 0)
		r = stable->ops->commit(stable);
	return r < 0 ? cairn_error_set(err, r, "'%s' cannot be changed: %s; nothing was accepted",
				       branch->base_path, strerror(-r))
		     : 0;
}

/* What the branch is about to forget must be on the disk. */
static int drop(struct cairn_branch *branch, struct cairn_store *stable,
		const struct cairn_changes *changes, struct cairn_error *err)
{
	int r;

	r = stable->ops->sync(stable);
	if (r == 0)
		r = cairn_drop(branch, changes, true);
	if (r == 0)
		r = branch->own->ops->commit(branch->own);
	return r < 0 ? cairn_error_set(err, r,
				       "'%s' has all changes by now, but they cannot be taken out "
				       "of '%s': %s; accept them again when that is mended",
				       branch->base_path, branch->path, strerror(-r))
		     : 0;
}

int cairn_accept(struct cairn_branch *branch, struct cairn_store *stable,
		 const struct cairn_accept_options *options, struct cairn_changes *changes,
		 struct cairn_accept_result *ret, struct cairn_error *err)
{
	_cleanup_(openp) struct open open = { 0 };
	int r;

	*ret = (struct cairn_accept_result){ 0 };
	/* The base first: whoever accepts into it waits here, and finds what the last one left. */
	r = begin(stable, &open.stable, branch->base_path, err);
	if (r == 0)
		r = begin(branch->own, &open.own, branch->path, err);
	if (r == 0)
		r = find(branch, options, changes, ret, err);
	if (r < 0 || options->dry_run)
		return r;
	if (ret->accepted > 0) {
		r = apply(branch, stable, changes, ret, err);
		if (r < 0) {
			ret->undo = 0;
			return r;
		}
		open.stable = NULL;
	}
	r = drop(branch, stable, changes, err);
	if (r == 0)
		open.own = NULL;
	return r;
}
