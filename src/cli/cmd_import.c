/* cairnfs import: brings a directory or a tar archive into a workspace. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/overlay.h"
#include "bulk/tree.h"
#include "cli/bulk.h"
#include "cli/cli.h"
#include "core/core.h"
#include "mount/json.h"
#include "mount/live.h"
#include "mount/mark.h"
#include "mount/resolve.h"
#include "store/store.h"

enum {
	KEY_TO = CAIRN_BULK_KEYS,
};

#define BUSY_TIMEOUT_MS 5000U

struct import_args {
	struct cairn_cli_args args;
	const char *to;
	struct cairn_cli_bulk *run;
	bool json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct import_args *in = state->input;

	switch (key) {
	case KEY_TO:
		in->to = arg;
		return 0;
	case 'j':
		in->json = true;
		return 0;
	default:
		if (cairn_cli_bulk_option(in->run, key))
			return 0;
		return cairn_cli_parse_common(key, arg, state, &in->args);
	}
}

static const struct argp_option option_table[] = {
	{ "to", KEY_TO, "PATH", 0, "Bring it into this directory of the workspace, not the top",
	  0 },
	{ "overwrite", CAIRN_BULK_OVERWRITE, NULL, 0, "Replace files that are there", 0 },
	{ "same-owner", CAIRN_BULK_SAME_OWNER, NULL, 0, "Keep owners, by number (root's default)",
	  0 },
	{ "no-same-owner", CAIRN_BULK_NO_SAME_OWNER, NULL, 0,
	  "All that is brought in is yours (the default for others)", 0 },
	{ "json", 'j', NULL, 0, "Print one JSON object", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.args_doc = "WORKSPACE DIR\nWORKSPACE TAR\nWORKSPACE -",
	.children = cairn_cli_help,
	.doc = "Bring all that is in a directory, or in a tar archive (compressed or not; - reads "
	       "it "
	       "from standard input), into a workspace.\vInto a workspace that is not mounted all "
	       "of it comes, or nothing; a mounted one gets it through the mount. Directories that "
	       "are there take it in, files that are there are not replaced without --overwrite. "
	       "WORKSPACE is a path, or an id that stands for .agentfs/ID.db below the working "
	       "directory.",
};

/* A run of the command. */
struct run {
	const struct import_args *in;
	struct cairn_bulk *bulk;
	char *path;
	int input; /* an archive that was opened */
	struct cairn_live live;
	struct cairn_tree_source *source;
	struct cairn_error *err;
};

static void run_done(struct run *run)
{
	cairn_tree_source_closep(&run->source);
	cairn_closep(&run->input);
	cairn_live_done(&run->live);
	free(run->path);
}

static int open_source(struct run *run)
{
	const char *from = run->in->args.value[1];
	struct stat st;

	if (strcmp(from, "-") == 0)
		return cairn_tar_source_open(STDIN_FILENO, "standard input", run->bulk,
					     &run->source, run->err);
	if (stat(from, &st) < 0)
		return cairn_error_set(run->err, -errno, "cannot read '%s': %m", from);
	if (S_ISDIR(st.st_mode))
		return cairn_dir_source_open(from, run->path, run->bulk, &run->source, run->err);
	run->input = open(from, O_RDONLY | O_CLOEXEC);
	if (run->input < 0)
		return cairn_error_set(run->err, -errno, "cannot read '%s': %m", from);
	return cairn_tar_source_open(run->input, from, run->bulk, &run->source, run->err);
}

static int no_directory(struct run *run, int r)
{
	return cairn_error_set(run->err, r, "'%s' in the workspace cannot be a directory: %s",
			       run->in->to, strerror(-r));
}

static int import_into_mount(struct run *run)
{
	_cleanup_(cairn_tree_sink_closep) struct cairn_tree_sink *sink = NULL;
	_cleanup_(cairn_closep) int root = -1, dir = -1;
	int r;

	root = open(run->live.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return cairn_error_set(run->err, -errno,
				       "the mount on %s is closed to you: %m; do this as the user "
				       "whose it is",
				       run->live.directory);
	dir = cairn_dir_below(root, run->in->to, true);
	if (dir < 0)
		return no_directory(run, dir);
	r = cairn_dir_sink_open(dir, run->live.directory, run->bulk, run->source->repeats, &sink,
				run->err);
	return r < 0 ? r : cairn_tree_copy(run->source, sink, run->err);
}

static int import_into_core(struct run *run, struct cairn_core *core)
{
	_cleanup_(cairn_tree_sink_closep) struct cairn_tree_sink *sink = NULL;
	uint64_t dir;
	int r;

	r = cairn_core_below(core, run->in->to, true, &dir);
	if (r < 0)
		return no_directory(run, r);
	r = cairn_core_sink_open(core, dir, run->bulk, &sink, run->err);
	if (r == 0)
		r = cairn_tree_copy(run->source, sink, run->err);
	if (r == 0)
		r = cairn_core_settle(core, false);
	return r;
}

/* All in one transaction, which is kept if everything went well. */
static int import_into_file(struct run *run)
{
	_cleanup_(cairn_mark_releasep) struct cairn_mark *mark = NULL;
	struct cairn_core_options core_options = CAIRN_CORE_OPTIONS_DEFAULT;
	struct cairn_one_transaction one = { 0 };
	const struct cairn_store_options options = {
		.busy_timeout_ms = BUSY_TIMEOUT_MS,
		.one = &one,
	};
	struct cairn_store *store = NULL;
	struct cairn_core *core;
	int r, closed;

	r = cairn_mark_take(run->path, NULL, false, &mark, run->err);
	if (r == 0)
		r = cairn_store_open(run->path, &options, &store, run->err);
	if (r < 0)
		return r;
	r = cairn_core_open(store, &core_options, NULL, &core);
	if (r < 0)
		return r;
	r = import_into_core(run, core);
	one.keep = r == 0;
	closed = cairn_core_close(core);
	if (r == 0 && closed < 0)
		r = cairn_error_set(run->err, closed,
				    "%s cannot be written: %s; nothing was "
				    "imported",
				    run->path, strerror(-closed));
	return r;
}

static int import(struct run *run)
{
	int r;

	r = cairn_resolve_workspace(run->in->args.value[0], &run->path, NULL, run->err);
	if (r == 0 && access(run->path, F_OK) < 0)
		r = cairn_error_set(run->err, -errno,
				    "there is no workspace '%s'; make one with 'cairnfs init'",
				    run->in->args.value[0]);
	if (r == 0)
		r = cairn_live_find(run->path, &run->live, run->err);
	if (r == 0)
		r = open_source(run);
	if (r < 0)
		return r;
	return run->live.pid ? import_into_mount(run) : import_into_file(run);
}

static int fail(const struct run *run, int r)
{
	cairn_cli_fail_with(r, run->err);
	if (run->live.pid && run->bulk->entries > 1)
		cairn_cli_fail("what was imported before that is in the mount");
	return CAIRN_EXIT_FAILURE;
}

static int print(const struct import_args *in, const struct run *run)
{
	json_t *root;

	if (!in->json)
		return cairn_cli_bulk_print(in->run, "imported", "into", run->path);
	root = json_object();
	json_object_set_new(root, "workspace", cairn_json_text(run->path));
	json_object_set_new(root, "mounted",
			    cairn_json_text(run->live.pid ? run->live.directory : NULL));
	return cairn_cli_bulk_json(in->run, root);
}

int cairn_cmd_import(int argc, char **argv)
{
	struct cairn_cli_bulk bulk = { 0 };
	struct import_args in = {
		.args = { .command = "cairnfs import", .names = "WORKSPACE DIR|TAR|-", .want = 2 },
		.to = "/",
		.run = &bulk,
	};
	struct cairn_error err = { 0 };
	_cleanup_(run_done) struct run run = {
		.in = &in,
		.bulk = &bulk.bulk,
		.input = -1,
		.err = &err,
	};
	int r;

	r = cairn_cli_parse(&argp, argc, argv, &in);
	if (r != 0)
		return r;
	cairn_cli_bulk_begin(&bulk, "importing");
	r = import(&run);
	cairn_cli_bulk_end(&bulk);
	return r < 0 ? fail(&run, r) : print(&in, &run);
}
