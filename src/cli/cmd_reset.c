/* cairnfs reset: drops changes of a branch. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "branch/accept.h"
#include "cli/branch_args.h"

struct reset_args {
	struct cairn_branch_args args; /* the first: see cairn_branch_parse() */
	bool json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct reset_args *in = state->input;

	switch (key) {
	case 'j':
		in->json = true;
		return 0;
	case ARGP_KEY_END:
		if (in->args.workspace && in->args.path_count == 0)
			return cairn_cli_usage_error(in->args.command,
						     "no path given; '/' drops all changes, and "
						     "'cairnfs reject' keeps them for a while");
		return cairn_branch_parse(key, arg, state, &in->args);
	default:
		return cairn_branch_parse(key, arg, state, &in->args);
	}
}

static const struct argp_option option_table[] = {
	{ "json", 'j', NULL, 0, "Print one JSON array of what was dropped", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.args_doc = "WORKSPACE PATH...",
	.children = cairn_cli_help,
	.doc = "Drop what a branch has changed at and below these paths: it shows what its base "
	       "has "
	       "there.\vPaths are from the root of the workspace, which may be mounted. What was "
	       "renamed goes back, named by either of its names. WORKSPACE is a path, or an id "
	       "that "
	       "stands for .agentfs/ID.db below the working directory.",
};

struct reset {
	struct cairn_branch branch;
	struct cairn_changes changes;
};

static void resetp(struct reset *reset)
{
	cairn_changes_free(&reset->changes);
	cairn_branch_close(&reset->branch);
}

/* In a transaction. */
static int drop(struct reset *reset, const struct reset_args *in, struct cairn_error *err)
{
	int r;

	r = cairn_changes_find(&reset->branch, &reset->changes, err);
	if (r < 0)
		return r;
	cairn_select_reset(&reset->changes, (const char *const *)in->args.paths,
			   in->args.path_count);
	r = cairn_drop(&reset->branch, &reset->changes, false);
	if (r == 0)
		r = reset->branch.own->ops->commit(reset->branch.own);
	return r < 0 ? cairn_error_set(err, r, "'%s' cannot be changed: %s", reset->branch.path,
				       strerror(-r))
		     : 0;
}

static int print(const struct reset *reset, bool json)
{
	json_t *root = json ? json_array() : NULL;
	size_t count = 0;

	for (size_t i = 0; i < reset->changes.count; i++) {
		const struct cairn_change *c = reset->changes.list[i];

		if (!c->selected || !cairn_change_is_real(c))
			continue;
		count++;
		if (json)
			json_array_append_new(root, cairn_cli_change_json(c));
		else
			cairn_cli_print_change(stdout, c, cairn_cli_colours(stdout));
	}
	if (json)
		return cairn_cli_print_json(root);
	if (count)
		printf("%zu change%s dropped.\n", count, count == 1 ? "" : "s");
	else
		puts("There is no change to drop.");
	return 0;
}

static int run(const struct reset_args *in)
{
	_cleanup_(resetp) struct reset reset = { 0 };
	struct cairn_error err = { 0 };
	int r;

	r = cairn_cli_open_branch(in->args.workspace, false, &reset.branch, &err);
	if (r < 0)
		return cairn_cli_fail_with(r, &err);
	r = reset.branch.own->ops->begin(reset.branch.own);
	if (r == 0)
		r = drop(&reset, in, &err);
	if (r < 0) {
		reset.branch.own->ops->rollback(reset.branch.own);
		return cairn_cli_fail_with(r, &err);
	}
	return print(&reset, in->json);
}

int cairn_cmd_reset(int argc, char **argv)
{
	struct reset_args in = { .args = { .command = "cairnfs reset" } };
	int status;

	status = cairn_cli_parse(&argp, argc, argv, &in);
	if (status == 0)
		status = run(&in);
	cairn_branch_args_done(&in.args);
	return status;
}
