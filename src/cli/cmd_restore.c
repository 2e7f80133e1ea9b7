/* cairnfs restore: puts a workspace back to what a snapshot of it holds. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "mount/json.h"
#include "mount/live.h"
#include "mount/mark.h"
#include "mount/resolve.h"
#include "store/restore.h"

enum { KEY_FORCE = 256 };

#define BUSY_TIMEOUT_MS 5000U

struct restore_args {
	struct cairn_cli_args args;
	bool force, json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct restore_args *in = state->input;

	switch (key) {
	case KEY_FORCE:
		in->force = true;
		return 0;
	case 'j':
		in->json = true;
		return 0;
	default:
		return cairn_cli_parse_common(key, arg, state, &in->args);
	}
}

static const struct argp_option option_table[] = {
	{ "force", KEY_FORCE, NULL, 0, "Do not keep what WORKSPACE was before", 0 },
	{ "json", 'j', NULL, 0, "Print one JSON object", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.args_doc = "FILE WORKSPACE",
	.children = cairn_cli_help,
	.doc = "Put a workspace back to what a snapshot of it holds.\vFILE is checked first, and "
	       "stays. What WORKSPACE was before is kept beside it, named .before-restore. It "
	       "must not be mounted. WORKSPACE is a path, or an id that stands for .agentfs/ID.db "
	       "below the working directory.",
};

static void show_check(void *arg, const char *step, unsigned int done, unsigned int total)
{
	cairn_progress_show(arg, "checking %3u%% %.70s", MIN(done * 100 / total, 99U), step);
}

/* Nothing is made yet: a signal may end it at any moment. */
static int check(const char *file, uint64_t *ret_errors, struct cairn_error *err)
{
	_cleanup_(cairn_progress_end) struct cairn_progress progress = { 0 };

	cairn_progress_begin_unheld(&progress, "checking");
	return cairn_restore_check(file, BUSY_TIMEOUT_MS, show_check, &progress, ret_errors, err);
}

static int copy(const struct restore_args *in, const char *file, const char *path,
		struct cairn_restore_result *ret, struct cairn_error *err)
{
	_cleanup_(cairn_mark_releasep) struct cairn_mark *mark = NULL;
	_cleanup_(cairn_progress_end) struct cairn_progress progress = { 0 };
	const struct cairn_clone_options options = {
		.force = in->force,
		.busy_timeout_ms = BUSY_TIMEOUT_MS,
		.progress = cairn_progress_bytes,
		.arg = &progress,
	};
	int r;

	if (access(path, F_OK) == 0) {
		r = cairn_mark_take(path, NULL, false, &mark, err);
		if (r < 0)
			return r;
	}
	cairn_progress_begin(&progress, "copying");
	return cairn_restore(file, path, &options, ret, err);
}

/* A mark that is taken says so before the long work, not after it. */
static int check_unmounted(const char *path, struct cairn_error *err)
{
	_cleanup_(cairn_mark_releasep) struct cairn_mark *mark = NULL;

	if (access(path, F_OK) < 0)
		return 0;
	return cairn_mark_take(path, NULL, false, &mark, err);
}

static int restore(const struct restore_args *in, char **ret_path, uint64_t *ret_errors,
		   struct cairn_restore_result *ret, struct cairn_error *err)
{
	_cleanup_(cairn_freep) char *file = NULL, *made_dir = NULL;
	int r;

	r = cairn_resolve_workspace(in->args.value[0], &file, NULL, err);
	if (r == 0)
		r = cairn_cli_new_workspace(in->args.value[1], ret_path, &made_dir, err);
	if (r < 0)
		return r;
	r = check_unmounted(*ret_path, err);
	if (r == 0)
		r = cairn_live_settle(file, err);
	if (r == 0)
		r = check(file, ret_errors, err);
	if (r == 0)
		r = copy(in, file, *ret_path, ret, err);
	if (r < 0 && made_dir)
		rmdir(made_dir);
	return r;
}

static int print_json(const struct restore_args *in, const char *path, uint64_t errors,
		      const struct cairn_restore_result *result)
{
	json_t *root = json_object();

	json_object_set_new(root, "file", cairn_json_text(in->args.value[0]));
	json_object_set_new(root, "workspace", cairn_json_text(path));
	json_object_set_new(root, "kept", cairn_json_text(result->kept[0] ? result->kept : NULL));
	json_object_set_new(root, "size", json_integer((json_int_t)result->clone.size));
	json_object_set_new(root, "shared", json_boolean(result->clone.shared));
	json_object_set_new(root, "errors", json_integer((json_int_t)errors));
	return cairn_cli_print_json(root);
}

static void print_text(const struct restore_args *in, const char *path, uint64_t errors,
		       const struct cairn_restore_result *result)
{
	printf("%s holds what %s holds.\n", path, in->args.value[0]);
	if (result->kept[0])
		printf("What it was before is %s; delete that when you do not need it.\n",
		       result->kept);
	if (errors > 0)
		printf("It breaks rules of the format in %" PRIu64
		       " places, as it did in the copy: see cairnfs check %s\n",
		       errors, in->args.value[1]);
}

int cairn_cmd_restore(int argc, char **argv)
{
	struct restore_args in = {
		.args = { .command = "cairnfs restore", .names = "FILE WORKSPACE", .want = 2 }
	};
	_cleanup_(cairn_freep) char *path = NULL;
	struct cairn_restore_result result = { 0 };
	struct cairn_error err = { 0 };
	uint64_t errors = 0;
	int r;

	r = cairn_cli_parse(&argp, argc, argv, &in);
	if (r != 0)
		return r;
	r = restore(&in, &path, &errors, &result, &err);
	if (r < 0)
		return cairn_cli_fail_with(r, &err);
	if (in.json)
		return print_json(&in, path, errors, &result);
	print_text(&in, path, errors, &result);
	return 0;
}
