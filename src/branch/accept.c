#include "branch/accept.h"

#include <errno.h>
#include <string.h>

#include "util/macro.h"

/* What was begun, until it is ended. */
struct open {
	struct cairn_stable *stable;
	struct cairn_store *own;
};

static void openp(struct open *open)
{
	if (open->stable)
		open->stable->ops->end(open->stable);
	if (open->own)
		open->own->ops->rollback(open->own);
}

/* Who only wants to know waits for nobody, and leaves nothing behind. */
static int begin(struct cairn_branch *branch, struct cairn_stable *stable, bool dry_run,
		 struct open *open, struct cairn_error *err)
{
	int r;

	r = dry_run ? 0 : stable->ops->begin(stable, err);
	if (r < 0)
		return r;
	open->stable = dry_run ? NULL : stable;
	r = branch->own->ops->begin(branch->own);
	if (r < 0)
		return cairn_error_set(err, r, "'%s' cannot be changed now: %s", branch->path,
				       r == -EAGAIN ? "another process keeps it locked; try again"
						    : strerror(-r));
	open->own = branch->own;
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

/* What the branch is about to forget must be on the disk. */
static int drop(struct cairn_branch *branch, struct cairn_stable *stable,
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

int cairn_accept(struct cairn_branch *branch, struct cairn_stable *stable,
		 const struct cairn_accept_options *options, struct cairn_changes *changes,
		 struct cairn_accept_result *ret, struct cairn_error *err)
{
	_cleanup_(openp) struct open open = { 0 };
	int r;

	*ret = (struct cairn_accept_result){ 0 };
	/* The base first: whoever accepts into it waits here, and finds what the last one left. */
	r = begin(branch, stable, options->dry_run, &open, err);
	if (r == 0)
		r = find(branch, options, changes, ret, err);
	if (r < 0 || options->dry_run)
		return r;
	if (ret->accepted > 0) {
		r = stable->ops->apply(stable, branch, changes, ret->accepted, &ret->undo,
				       &ret->left_out, err);
		if (r < 0)
			return r;
	}
	r = drop(branch, stable, changes, err);
	if (r == 0)
		open.own = NULL;
	return r;
}
