/* cairnfs accept: the changes of a branch become those of its base. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "branch/accept.h"
#include "cli/branch_args.h"

enum { KEY_STRATEGY = 256, KEY_FORCE, KEY_DRY_RUN };

struct accept_args {
	struct cairn_branch_args args; /* the first: see cairn_branch_parse() */
	enum cairn_strategy strategy;
	bool dry_run, json;
};

static error_t parse_strategy(struct accept_args *in, const char *arg)
{
	static const char *const names[] = {
		[CAIRN_STRATEGY_ERROR] = "error",
		[CAIRN_STRATEGY_OVERWRITE] = "overwrite",
		[CAIRN_STRATEGY_PRESERVE] = "preserve",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(arg, names[i]) == 0) {
			in->strategy = (enum cairn_strategy)i;
			return 0;
		}
	}
	return cairn_cli_usage_error(in->args.command,
				     "--strategy is overwrite, preserve or error, not '%s'", arg);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct accept_args *in = state->input;

	switch (key) {
	case KEY_STRATEGY:
		return parse_strategy(in, arg);
	case KEY_FORCE:
		in->strategy = CAIRN_STRATEGY_OVERWRITE;
		return 0;
	case KEY_DRY_RUN:
		in->dry_run = true;
		return 0;
	case 'j':
		in->json = true;
		return 0;
	default:
		return cairn_branch_parse(key, arg, state, &in->args);
	}
}

static const struct argp_option option_table[] = {
	{ "strategy", KEY_STRATEGY, "WHAT", 0,
	  "Where the base has changed since: 'error', nothing is accepted (the default); "
	  "'overwrite', the branch's change counts; 'preserve', the base stays as it is and the "
	  "change stays in the branch",
	  0 },
	{ "force", KEY_FORCE, NULL, 0, "The same as --strategy=overwrite", 0 },
	{ "dry-run", KEY_DRY_RUN, NULL, 0, "Tell what would be done, and do nothing", 0 },
	{ "json", 'j', NULL, 0, "Print one JSON object", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.args_doc = "WORKSPACE [PATH...]",
	.children = cairn_cli_help,
	.doc = "Make the changes of a branch in its base, all or none, and take them out of the "
	       "branch.\vBoth may be mounted. Paths are from the root of the workspace; without "
	       "one, "
	       "all changes are accepted. 'cairnfs undo' takes it back. WORKSPACE is a path, or an "
	       "id that stands for .agentfs/ID.db below the working directory.",
};

struct accept {
	struct cairn_branch branch;
	struct cairn_stable *stable;
	struct cairn_changes changes;
	struct cairn_accept_result result;
	struct cairn_branch_progress progress;
};

static void acceptp(struct accept *accept)
{
	cairn_branch_progress_end(&accept->progress);
	cairn_changes_free(&accept->changes);
	cairn_branch_close(&accept->branch);
	if (accept->stable)
		accept->stable->ops->close(accept->stable);
}

static int open_stable(struct accept *accept, struct cairn_error *err)
{
	const char *path = accept->branch.base_path;
	_cleanup_(cairn_freep) char *settled = NULL;
	int r = 0;

	if (access(path, F_OK) < 0)
		return cairn_error_set(err, -errno,
				       "'%s' is a branch of '%s', which is not there: %m; put it "
				       "back, or say where it is now: cairnfs relocate %s BASE",
				       accept->branch.path, path, accept->branch.path);
	if (!cairn_stable_is_directory(path))
		r = cairn_cli_settled(path, &settled, err);
	return r < 0 ? r : cairn_stable_open(path, true, &accept->stable, err);
}

static const char *plural(size_t count)
{
	return count == 1 ? "" : "s";
}

static json_t *list_json(const struct cairn_changes *changes, bool conflicts)
{
	json_t *list = json_array();

	for (size_t i = 0; i < changes->count; i++) {
		const struct cairn_change *c = changes->list[i];

		if (cairn_change_is_real(c) && (conflicts ? c->conflict : c->selected))
			json_array_append_new(list, cairn_cli_change_json(c));
	}
	return list;
}

static int print_json(const struct accept *accept, const struct accept_args *in, bool refused)
{
	const struct cairn_accept_result *result = &accept->result;
	json_t *root = json_object();
	int status;

	json_object_set_new(root, "base", json_string(accept->branch.base_path));
	json_object_set_new(root, "dry_run", json_boolean(in->dry_run));
	json_object_set_new(root, "accepted",
			    json_integer(refused ? 0 : (json_int_t)result->accepted));
	json_object_set_new(root, "left", json_integer((json_int_t)result->left));
	json_object_set_new(root, "undo", result->undo ? json_integer(result->undo) : json_null());
	json_object_set_new(root, "owners_left_out",
			    json_integer((json_int_t)result->left_out.owners));
	json_object_set_new(root, "xattrs_left_out",
			    json_integer((json_int_t)result->left_out.xattrs));
	json_object_set_new(root, "changes", list_json(&accept->changes, false));
	json_object_set_new(root, "conflicts", list_json(&accept->changes, true));
	status = cairn_cli_print_json(root);
	return refused ? CAIRN_EXIT_FAILURE : status;
}

static void print_conflicts(const struct accept *accept, FILE *to)
{
	for (size_t i = 0; i < accept->changes.count; i++) {
		const struct cairn_change *c = accept->changes.list[i];

		if (c->conflict)
			fprintf(to, "%s: %s\n",
				(c->kind == CAIRN_CHANGE_DELETED ? c->from : c->path) + 1, c->why);
	}
}

static int print_refused(const struct accept *accept)
{
	print_conflicts(accept, stderr);
	return cairn_cli_fail("nothing was accepted: %zu change%s of '%s' meet%s what '%s' has got "
			      "since; see --strategy",
			      accept->result.conflicts, plural(accept->result.conflicts),
			      accept->branch.path, accept->result.conflicts == 1 ? "s" : "",
			      accept->branch.base_path);
}

/* What the host did not let us do. */
static void print_left_out(const struct cairn_left_out *left)
{
	if (left->owners)
		printf("The owner of %zu file%s could not be set: only root may give files away.\n",
		       left->owners, plural(left->owners));
	if (left->xattrs)
		printf("Extended attributes of %zu file%s could not all be set.\n", left->xattrs,
		       plural(left->xattrs));
}

static int print_done(const struct accept *accept, const struct accept_args *in)
{
	const struct cairn_accept_result *result = &accept->result;

	if (in->dry_run) {
		for (size_t i = 0; i < accept->changes.count; i++)
			if (accept->changes.list[i]->selected &&
			    cairn_change_is_real(accept->changes.list[i]))
				cairn_cli_print_change(stdout, accept->changes.list[i],
						       cairn_cli_colours(stdout));
		printf("%zu change%s would be accepted into %s.\n", result->accepted,
		       plural(result->accepted), accept->branch.base_path);
	} else if (result->accepted == 0) {
		printf("There is nothing to accept.\n");
	} else {
		printf("%zu change%s accepted into %s.\n"
		       "To take back: cairnfs undo %s %" PRId64 "\n",
		       result->accepted, plural(result->accepted), accept->branch.base_path,
		       accept->branch.base_path, result->undo);
	}
	print_left_out(&result->left_out);
	if (result->left) {
		printf("%zu change%s left in the branch:\n", result->left, plural(result->left));
		print_conflicts(accept, stdout);
	}
	return 0;
}

static int run(const struct accept_args *in)
{
	const struct cairn_accept_options options = {
		.paths = (const char *const *)in->args.paths,
		.path_count = in->args.path_count,
		.strategy = in->strategy,
		.dry_run = in->dry_run,
	};
	_cleanup_(acceptp) struct accept accept = { 0 };
	_cleanup_(cairn_freep) char *path = NULL;
	struct cairn_error err = { 0 };
	int r;

	r = cairn_cli_settled(in->args.workspace, &path, &err);
	if (r == 0)
		r = cairn_branch_open(path, false, &accept.branch, &err);
	if (r == 0)
		r = open_stable(&accept, &err);
	if (r == 0 && !in->json)
		cairn_branch_progress_begin(&accept.progress, &accept.branch, "accepting");
	if (r == 0)
		r = cairn_accept(&accept.branch, accept.stable, &options, &accept.changes,
				 &accept.result, &err);
	cairn_progress_clear(&accept.progress.progress);
	if (r < 0 && r != -EEXIST)
		return cairn_cli_fail_with(r, &err);
	if (in->json)
		return print_json(&accept, in, r < 0);
	return r < 0 ? print_refused(&accept) : print_done(&accept, in);
}

int cairn_cmd_accept(int argc, char **argv)
{
	struct accept_args in = { .args = { .command = "cairnfs accept" } };
	int status;

	status = cairn_cli_parse(&argp, argc, argv, &in);
	if (status == 0)
		status = run(&in);
	cairn_branch_args_done(&in.args);
	return status;
}
