/* cairnfs snapshot: one file that holds a workspace as it is at this moment. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "mount/json.h"
#include "mount/mark.h"
#include "mount/number.h"
#include "mount/resolve.h"
#include "store/clone.h"

enum { KEY_FORCE = 256 };

struct snapshot_args {
	struct cairn_cli_args args;
	bool force, json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct snapshot_args *in = state->input;

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
	{ "force", KEY_FORCE, NULL, 0, "Replace the file that stands there", 0 },
	{ "json", 'j', NULL, 0, "Print one JSON object", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.args_doc = "WORKSPACE FILE",
	.children = cairn_cli_help,
	.doc = "Copy a workspace as it is at this moment to one file, mounted or not, whatever is "
	       "being written to it meanwhile.\vFILE is a workspace like any other, and appears "
	       "whole or not at all. WORKSPACE is a path, or an id that stands for .agentfs/ID.db "
	       "below the working directory.",
};

/* What is to be replaced must be neither in use nor the original. */
static int check_target(const struct snapshot_args *in, const char *workspace,
			struct cairn_mark **ret, struct cairn_error *err)
{
	_cleanup_(cairn_freep) char *real = realpath(in->args.value[1], NULL);

	if (!in->force || !real)
		return 0;
	if (strcmp(real, workspace) == 0)
		return cairn_error_set(err, -EINVAL,
				       "%s is the workspace itself; name another file",
				       in->args.value[1]);
	return cairn_mark_take(real, NULL, false, ret, err);
}

static int snapshot(const struct snapshot_args *in, char **ret_path, struct cairn_clone_result *ret,
		    struct cairn_error *err)
{
	_cleanup_(cairn_mark_releasep) struct cairn_mark *mark = NULL;
	int r;

	r = cairn_resolve_workspace(in->args.value[0], ret_path, NULL, err);
	if (r == 0)
		r = check_target(in, *ret_path, &mark, err);
	return r == 0 ? cairn_cli_copy(*ret_path, in->args.value[1], in->force, ret, err) : r;
}

static int print_json(const char *path, const char *file, const struct cairn_clone_result *result)
{
	json_t *root = json_object();

	json_object_set_new(root, "workspace", cairn_json_text(path));
	json_object_set_new(root, "file", cairn_json_text(file));
	json_object_set_new(root, "size", json_integer((json_int_t)result->size));
	json_object_set_new(root, "shared", json_boolean(result->shared));
	return cairn_cli_print_json(root);
}

int cairn_cmd_snapshot(int argc, char **argv)
{
	struct snapshot_args in = {
		.args = { .command = "cairnfs snapshot", .names = "WORKSPACE FILE", .want = 2 }
	};
	_cleanup_(cairn_freep) char *path = NULL;
	struct cairn_clone_result result = { 0 };
	struct cairn_error err = { 0 };
	char size[CAIRN_SIZE_TEXT_MAX];
	int r;

	r = cairn_cli_parse(&argp, argc, argv, &in);
	if (r != 0)
		return r;
	r = snapshot(&in, &path, &result, &err);
	if (r < 0)
		return cairn_cli_fail_with(r, &err);
	if (in.json)
		return print_json(path, in.args.value[1], &result);
	cairn_size_format(result.size, size);
	printf("%s holds %s as it was at this moment (%s%s).\n", in.args.value[1], path, size,
	       result.shared ? ", sharing its blocks" : "");
	return 0;
}
