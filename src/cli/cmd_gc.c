/* cairnfs gc: what was kept in case somebody wants it back goes when it is old. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "branch/stable.h"
#include "branch/trash.h"
#include "cli/branch_args.h"
#include "mount/json.h"
#include "mount/number.h"
#include "mount/resolve.h"
#include "store/undo.h"
#include "util/clock.h"

#define BUSY_TIMEOUT_MS 10000U
#define AGENTFS_DIR     ".agentfs"

enum { KEY_OLDER = 256, KEY_DRY_RUN };

struct gc_args {
	const char *command; /* the first: see struct cairn_cli_args */
	char **workspaces;
	size_t count;
	int64_t older; /* seconds */
	bool dry_run, json;
};

/* "7d", "12h", "30m", "90s", or seconds. */
static error_t parse_age(struct gc_args *in, const char *arg)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = { { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 }, { '\0', 1 } };
	char *end;
	long long n;

	errno = 0;
	n = strtoll(arg, &end, 10);
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (end > arg && *end == units[i].unit && (!*end || !end[1]) && n >= 0 &&
		    errno == 0 && n < INT64_MAX / 86400) {
			in->older = n * units[i].seconds;
			return 0;
		}
	}
	return cairn_cli_usage_error(in->command,
				     "--older-than takes an age such as 7d or 12h, "
				     "not '%s'",
				     arg);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct gc_args *in = state->input;
	struct cairn_cli_args common = { .command = in->command };
	void *list;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = in;
		state->err_stream = NULL;
		return 0;
	case ARGP_KEY_ARG:
		list = reallocarray(in->workspaces, in->count + 1, sizeof(*in->workspaces));
		if (!list)
			return ENOMEM;
		in->workspaces = list;
		in->workspaces[in->count++] = arg;
		return 0;
	case KEY_OLDER:
		return parse_age(in, arg);
	case KEY_DRY_RUN:
		in->dry_run = true;
		return 0;
	case 'j':
		in->json = true;
		return 0;
	case ARGP_KEY_END:
		return 0;
	default:
		return cairn_cli_parse_common(key, arg, state, &common);
	}
}

static const struct argp_option option_table[] = {
	{ "older-than", KEY_OLDER, "AGE", 0, "What is older goes: 7d (the default), 12h, 0", 0 },
	{ "dry-run", KEY_DRY_RUN, NULL, 0, "Tell what would go, and keep it", 0 },
	{ "json", 'j', NULL, 0, "Print one JSON object", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.args_doc = "[WORKSPACE|DIR...]",
	.children = cairn_cli_help,
	.doc = "Let go of what was kept: branches that were rejected, and what takes accepts "
	       "back.\v"
	       "Without a WORKSPACE, of all in .agentfs below the working directory. Space in a "
	       "workspace is used again by it.",
};

struct gc {
	const struct gc_args *in;
	int64_t before; /* seconds since 1970 */
	size_t files, records, failures;
	int64_t bytes;
	json_t *json_files;
};

static int drop_file(void *arg, const char *path, int64_t time, int64_t size)
{
	struct gc *gc = arg;

	if (time >= gc->before)
		return 0;
	if (!gc->in->dry_run && unlink(path) < 0) {
		cairn_cli_fail("'%s' cannot be deleted: %m", path);
		gc->failures++;
		return 0;
	}
	gc->files++;
	gc->bytes += size;
	if (gc->in->json)
		json_array_append_new(gc->json_files, cairn_json_text(path));
	else
		printf("%s\n", path);
	return 0;
}

struct old {
	int64_t before;
	int64_t count;
};

static int count_old(void *arg, const struct cairn_undo_record *record)
{
	struct old *old = arg;

	old->count += record->time < old->before;
	return 0;
}

static int forget(struct cairn_store *store, int64_t before, int64_t *ret)
{
	int r;

	r = store->ops->begin(store);
	if (r < 0)
		return r;
	r = store->undo->forget(store, before, ret);
	if (r == 0)
		r = store->ops->commit(store);
	if (r < 0)
		store->ops->rollback(store);
	return r;
}

static void stablep(struct cairn_stable **stable)
{
	if (*stable)
		(*stable)->ops->close(*stable);
}

/* Opened for writing only where there is something to forget. */
static int drop_records(struct gc *gc, const char *path, struct cairn_error *err)
{
	struct cairn_store_options options = {
		.read_only = true,
		.busy_timeout_ms = BUSY_TIMEOUT_MS,
	};
	struct old old = { .before = gc->before };
	struct cairn_store *store;
	int64_t count = 0;
	int r;

	r = cairn_sqlite_store_open(path, &options, &store, err);
	if (r < 0)
		return r;
	r = store->undo->list(store, count_old, &old);
	store->ops->close(store);
	count = old.count;
	if (r == 0 && count && !gc->in->dry_run) {
		options.read_only = false;
		r = cairn_sqlite_store_open(path, &options, &store, err);
		if (r < 0)
			return r;
		r = forget(store, gc->before, &count);
		store->ops->close(store);
	}
	if (r < 0)
		return cairn_error_set(err, r, "'%s' cannot be cleaned: %s", path, strerror(-r));
	gc->records += (size_t)count;
	if (count && !gc->in->json)
		printf("%s: undo records: %" PRId64 "\n", path, count);
	return 0;
}

static int drop_records_of_dir(struct gc *gc, const char *dir, struct cairn_error *err)
{
	_cleanup_(stablep) struct cairn_stable *stable = NULL;
	struct old old = { .before = gc->before };
	int64_t count = 0;
	int r;

	r = cairn_stable_open(dir, false, &stable, err);
	if (r == 0)
		r = stable->ops->list(stable, count_old, &old);
	count = old.count;
	if (r == 0 && count && !gc->in->dry_run) {
		r = stable->ops->begin(stable, err);
		if (r == 0)
			r = stable->ops->forget(stable, gc->before, &count, err);
		stable->ops->end(stable);
	}
	if (r < 0)
		return cairn_error_set(err, r, "'%s' cannot be cleaned: %s", dir, strerror(-r));
	gc->records += (size_t)count;
	if (count && !gc->in->json)
		printf("%s: undo records: %" PRId64 "\n", dir, count);
	return 0;
}

static void clean_dir(struct gc *gc, const char *dir)
{
	struct cairn_error err = { 0 };
	int r;

	r = drop_records_of_dir(gc, dir, &err);
	if (r < 0) {
		cairn_cli_fail_with(r, &err);
		gc->failures++;
	}
}

static void clean_workspace(struct gc *gc, const char *path)
{
	struct cairn_error err = { 0 };
	int r;

	r = drop_records(gc, path, &err);
	if (r < 0) {
		cairn_cli_fail_with(r, &err);
		gc->failures++;
	}
}

/* One that was named, and what was kept of it. */
static void clean_named(struct gc *gc, const char *workspace)
{
	_cleanup_(cairn_freep) char *path = NULL, *dir = NULL;
	struct cairn_error err = { 0 };
	const char *slash;
	int r;

	if (cairn_cli_names_directory(workspace)) {
		clean_dir(gc, workspace);
		return;
	}
	r = cairn_resolve_workspace(workspace, &path, NULL, &err);
	if (r == 0) {
		slash = strrchr(path, '/');
		dir = strndup(path, (size_t)(slash - path));
		r = dir ? cairn_trash_list(dir, slash + 1, drop_file, gc) : -ENOMEM;
	}
	if (r < 0) {
		cairn_cli_fail_with(r, &err);
		gc->failures++;
		return;
	}
	clean_workspace(gc, path);
}

static void clean_all(struct gc *gc)
{
	struct dirent **entries = NULL;
	int count;

	if (cairn_trash_list(AGENTFS_DIR, NULL, drop_file, gc) < 0)
		gc->failures++;
	count = scandir(AGENTFS_DIR, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name, *end = strrchr(name, '.');
		char path[sizeof(AGENTFS_DIR) + NAME_MAX + 2];

		snprintf(path, sizeof(path), AGENTFS_DIR "/%s", name);
		if (end && strcmp(end, ".db") == 0)
			clean_workspace(gc, path);
		free(entries[i]);
	}
	free(entries);
}

static int report(struct gc *gc)
{
	if (gc->in->json) {
		json_t *root = json_object();

		json_object_set_new(root, "dry_run", json_boolean(gc->in->dry_run));
		json_object_set_new(root, "files", gc->json_files);
		json_object_set_new(root, "bytes", json_integer(gc->bytes));
		json_object_set_new(root, "records", json_integer((json_int_t)gc->records));
		cairn_cli_print_json(root);
	} else {
		printf("%s: files: %zu (%" PRId64 " bytes), undo records: %zu\n",
		       gc->in->dry_run ? "Would go" : "Gone", gc->files, gc->bytes, gc->records);
	}
	return gc->failures ? CAIRN_EXIT_FAILURE : 0;
}

int cairn_cmd_gc(int argc, char **argv)
{
	struct gc_args in = { .command = "cairnfs gc", .older = INT64_C(7) * 86400 };
	struct gc gc = { .in = &in };
	int status;

	status = cairn_cli_parse(&argp, argc, argv, &in);
	if (status == 0) {
		/* Nothing is too young for 0: what was kept in one second is told apart by times of
		 * those that follow. */
		gc.before = in.older ? cairn_now().tv_sec - in.older : INT64_MAX;
		gc.json_files = in.json ? json_array() : NULL;
		for (size_t i = 0; i < in.count; i++)
			clean_named(&gc, in.workspaces[i]);
		if (in.count == 0)
			clean_all(&gc);
		status = report(&gc);
	}
	free(in.workspaces);
	return status;
}
