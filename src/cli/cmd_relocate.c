/* cairnfs relocate: says where the base of a branch is now. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "branch/branch.h"
#include "cli/cli.h"
#include "mount/json.h"
#include "mount/mark.h"
#include "mount/resolve.h"

enum { KEY_FORCE = 256 };

struct relocate_args {
	struct cairn_cli_args args;
	bool force, json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct relocate_args *in = state->input;

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
	{ "force", KEY_FORCE, NULL, 0, "Also where it does not look like the same base", 0 },
	{ "json", 'j', NULL, 0, "Print one JSON object", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.args_doc = "WORKSPACE BASE",
	.children = cairn_cli_help,
	.doc = "Record where the base of a branch has been moved to.\vThe branch must not be "
	       "mounted. What it has noted of its base must be there, of the same type. WORKSPACE "
	       "is a path, or an id that stands for .agentfs/ID.db below the working directory.",
};

static int relocate(const char *path, const char *base, bool force, struct cairn_error *err)
{
	_cleanup_(cairn_mark_releasep) struct cairn_mark *mark = NULL;
	struct cairn_branch branch = { 0 };
	int r;

	if (access(path, F_OK) < 0)
		return cairn_error_set(err, -errno, "there is no workspace '%s'", path);
	r = cairn_mark_take(path, NULL, false, &mark, err);
	if (r == 0)
		r = cairn_branch_open(path, false, &branch, err);
	if (r == 0)
		r = cairn_branch_relocate(&branch, base, force, err);
	cairn_branch_close(&branch);
	return r;
}

int cairn_cmd_relocate(int argc, char **argv)
{
	struct relocate_args in = {
		.args = { .command = "cairnfs relocate", .names = "WORKSPACE BASE", .want = 2 }
	};
	_cleanup_(cairn_freep) char *path = NULL, *base = NULL;
	struct cairn_error err = { 0 };
	json_t *root;
	int r;

	r = cairn_cli_parse(&argp, argc, argv, &in);
	if (r != 0)
		return r;
	r = cairn_resolve_workspace(in.args.value[0], &path, NULL, &err);
	if (r == 0)
		r = cairn_cli_resolve_base(in.args.value[1], &base, &err);
	if (r == 0)
		r = relocate(path, base, in.force, &err);
	if (r < 0)
		return cairn_cli_fail_with(r, &err);
	if (in.json) {
		root = json_object();
		json_object_set_new(root, "workspace", cairn_json_text(path));
		json_object_set_new(root, "base", cairn_json_text(base));
		return cairn_cli_print_json(root);
	}
	printf("The base of %s is %s.\n", path, base);
	return 0;
}
