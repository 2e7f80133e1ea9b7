/* The commands on branches, one after the other, over a branch and a base that may hold anything.
 * Each may say that it cannot; none may crash or go on for ever. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/overlay.h"
#include "branch/accept.h"
#include "branch/patch.h"
#include "branch/stable.h"
#include "bulk/tree.h"
#include "core/core.h"
#include "fuzz.h"
#include "util/macro.h"

#define SAYS(r, err) FUZZ_CHECK((r) == 0 || (err).text[0], "an error without words: %d", (r))

struct open {
	struct cairn_branch branch;
	struct cairn_changes changes;
	struct cairn_stable *stable;
};

static void openp(struct open *open)
{
	if (open->stable)
		open->stable->ops->close(open->stable);
	cairn_changes_free(&open->changes);
	cairn_branch_close(&open->branch);
}

static int pass_patch(void *arg, const struct cairn_patch_file *file)
{
	size_t *sum = arg;

	for (size_t i = 0; i < file->len; i++)
		*sum += (unsigned char)file->text[i];
	return 0;
}

static void diff(const char *path)
{
	_cleanup_(openp) struct open open = { 0 };
	struct cairn_error err = { 0 };
	size_t left_out = 0, sum = 0;
	int r;

	r = cairn_branch_open(path, true, &open.branch, &err);
	if (r == 0)
		r = cairn_branch_open_base(&open.branch, &err);
	if (r == 0)
		r = cairn_changes_find(&open.branch, &open.changes, &err);
	for (int texts = 0; r == 0 && texts < 2; texts++)
		r = cairn_patch(&open.branch, &open.changes, NULL, 0, texts, pass_patch, &sum,
				&left_out, &err);
	SAYS(r, err);
}

static void accept(const char *path, const char *base, bool dry_run)
{
	const struct cairn_accept_options options = {
		.strategy = dry_run ? CAIRN_STRATEGY_PRESERVE : CAIRN_STRATEGY_OVERWRITE,
		.dry_run = dry_run,
	};
	_cleanup_(openp) struct open open = { 0 };
	struct cairn_accept_result result;
	struct cairn_error err = { 0 };
	int r;

	r = cairn_branch_open(path, false, &open.branch, &err);
	if (r == 0)
		r = cairn_stable_open(base, true, &open.stable, &err);
	if (r == 0)
		cairn_accept(&open.branch, open.stable, &options, &open.changes, &result, &err);
}

static void reset(const char *path)
{
	static const char *const paths[] = { "/dir", "/moved/file-3" };
	_cleanup_(openp) struct open open = { 0 };
	struct cairn_error err = { 0 };
	int r;

	r = cairn_branch_open(path, false, &open.branch, &err);
	if (r == 0)
		r = cairn_branch_open_base(&open.branch, &err);
	if (r < 0)
		return;
	r = open.branch.own->ops->begin(open.branch.own);
	if (r == 0)
		r = cairn_changes_find(&open.branch, &open.changes, &err);
	if (r == 0) {
		cairn_select_reset(&open.changes, paths, ARRAY_SIZE(paths));
		r = cairn_drop(&open.branch, &open.changes, false);
	}
	if (r == 0)
		r = open.branch.own->ops->commit(open.branch.own);
	if (r < 0)
		open.branch.own->ops->rollback(open.branch.own);
}

static int note_record(void *arg, const struct cairn_undo_record *record)
{
	struct cairn_undo_record *latest = arg;

	*latest = *record;
	return 1;
}

static int pass_path(void *arg, const char *path)
{
	*(size_t *)arg += strlen(path);
	return 0;
}

/* And drops the records, as gc does. */
static void undo(const char *base)
{
	_cleanup_(openp) struct open open = { 0 };
	struct cairn_undo_record latest = { 0 };
	struct cairn_error err = { 0 };
	const struct cairn_stable_ops *ops;
	int64_t id, count;
	size_t sum = 0;

	if (cairn_stable_open(base, false, &open.stable, &err) < 0)
		return;
	ops = open.stable->ops;
	ops->list(open.stable, note_record, &latest);
	if (latest.id && ops->begin(open.stable, &err) == 0) {
		ops->changed(open.stable, latest.id, pass_path, &sum);
		ops->undo(open.stable, latest.id, latest.changes, &id, &err);
		ops->end(open.stable);
	}
	if (ops->begin(open.stable, &err) == 0) {
		ops->forget(open.stable, INT64_MAX, &count, &err);
		ops->end(open.stable);
	}
}

static void export(const char *path)
{
	const struct cairn_store_options options = { .read_only = true,
						     .busy_timeout_ms = 100,
						     .one_moment = true };
	struct cairn_core_options core_options = CAIRN_CORE_OPTIONS_DEFAULT;
	struct cairn_tree_source *source = NULL;
	struct cairn_tree_sink *sink = NULL;
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC), r;
	struct cairn_bulk bulk = { 0 };
	struct cairn_error err = { 0 };
	struct cairn_store *store;
	struct cairn_core *core;

	core_options.read_only = core_options.keep_orphans = true;
	if (cairn_store_open(path, &options, &store, &err) == 0 &&
	    cairn_core_open(store, &core_options, NULL, &core) == 0) {
		r = cairn_core_source_open(core, CAIRN_ROOT_INO, &bulk, &source, &err);
		if (r == 0)
			r = cairn_tar_sink_open(fd, "/dev/null", &bulk, &sink, &err);
		if (r == 0)
			r = cairn_tree_copy(source, sink, &err);
		SAYS(r, err);
		cairn_tree_sink_closep(&sink);
		cairn_tree_source_closep(&source);
		cairn_core_close(core);
	}
	close(fd);
}

void fuzz_target_branch(const char *path, const char *base)
{
	diff(path);
	if (fuzz_is_small(path) && fuzz_is_small(base))
		export(path);
	accept(path, base, true);
	reset(path);
	accept(path, base, false);
	undo(base);
	diff(path);
}
