/* cairnfs check: whether a workspace keeps the rules of its format, and mending it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "branch/complete.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "mount/json.h"
#include "mount/live.h"
#include "mount/mark.h"
#include "mount/resolve.h"
#include "store/check.h"

/* As fsck(8) has them. */
enum {
	EXIT_CLEAN = 0,
	EXIT_REPAIRED = 1,
	EXIT_LEFT = 4,
	EXIT_NOT_CHECKED = 8,
	EXIT_USAGE = 16,
};

enum { KEY_REPAIR = 256, KEY_DENSE };

#define BUSY_TIMEOUT_MS 5000U

struct check_args {
	struct cairn_cli_args args;
	bool repair, dense;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct check_args *in = state->input;

	switch (key) {
	case KEY_REPAIR:
		in->repair = true;
		return 0;
	case KEY_DENSE:
		in->dense = true;
		return 0;
	default:
		return cairn_cli_parse_common(key, arg, state, &in->args);
	}
}

static const struct argp_option option_table[] = {
	{ "repair", KEY_REPAIR, NULL, 0, "Say what is wrong, then mend it, in one transaction", 0 },
	{ "dense", KEY_DENSE, NULL, 0,
	  "Fill the holes of sparse files with zeros, for AgentFS SDKs that misread them; copy "
	  "into a "
	  "branch what AgentFS would not find in its base",
	  0 },
	{ "json", 'j', NULL, 0, "Print one JSON object", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.args_doc = "WORKSPACE",
	.children = cairn_cli_help,
	.doc = "Check a workspace: the database, and the rules of the format.\vNothing is changed "
	       "without --repair or --dense, which need a workspace that is not mounted. The exit "
	       "status is that of fsck(8): 0 nothing wrong, 1 errors repaired, 4 errors left, 8 it "
	       "could not be checked, 16 wrong usage.",
};

/* A run of the command. */
struct run {
	const struct check_args *in;
	char *path;
	struct cairn_mark_info mounted; /* all zero where it is not */
	struct cairn_check_result result;
	struct cairn_complete_result completed; /* from the base of a branch */
	json_t *findings;
	struct cairn_progress progress;
};

static void run_done(struct run *run)
{
	free(run->path);
	cairn_mark_info_done(&run->mounted);
	json_decref(run->findings);
}

static void show_progress(void *arg, const char *step, unsigned int done, unsigned int total)
{
	struct run *run = arg;

	/* Repairs make more steps than were foreseen. */
	cairn_progress_show(&run->progress, "%3u%% %.70s", MIN(done * 100 / total, 99U), step);
}

static json_t *finding_json(const struct cairn_check_finding *finding)
{
	json_t *root = json_object(), *examples = json_array();

	for (unsigned int i = 0; i < finding->examples; i++)
		json_array_append_new(examples, cairn_json_text(finding->example[i]));
	json_object_set_new(root, "code", json_string(finding->code));
	json_object_set_new(root, "severity", json_string(finding->error ? "error" : "note"));
	json_object_set_new(root, "what", json_string(finding->what));
	json_object_set_new(root, "count", json_integer((json_int_t)finding->count));
	json_object_set_new(root, "examples", examples);
	json_object_set_new(root, "repairable", json_boolean(finding->repairable));
	json_object_set_new(root, "action", cairn_json_text(finding->action));
	json_object_set_new(root, "left", json_integer(0));
	return root;
}

static void set_left(json_t *findings, const struct cairn_check_finding *finding)
{
	json_t *root;
	size_t i;

	json_array_foreach(findings, i,
			   root) if (strcmp(json_string_value(json_object_get(root, "code")),
					    finding->code) == 0)
		json_object_set_new(root, "left", json_integer((json_int_t)finding->count));
}

static void print_finding(struct run *run, const struct cairn_check_finding *finding, bool left)
{
	printf("%s %s (%" PRIu64 "): %s\n",
	       left             ? "left"
	       : finding->error ? "error"
				: "note",
	       finding->code, finding->count, finding->what);
	for (unsigned int i = 0; i < finding->examples; i++)
		printf("\t%s\n", finding->example[i]);
	if (finding->count > finding->examples)
		printf("\tand %" PRIu64 " more\n", finding->count - finding->examples);
	if (finding->action)
		printf("\t%s: %s\n",
		       !finding->repairable ? "to do"
		       : run->in->repair    ? "repair"
					    : "--repair would",
		       finding->action);
}

/* What stands on the screen before anything is mended is the plan. */
static void report(void *arg, const struct cairn_check_finding *finding, bool left)
{
	struct run *run = arg;

	cairn_progress_clear(&run->progress);
	if (!run->in->args.json)
		print_finding(run, finding, left);
	else if (left)
		set_left(run->findings, finding);
	else
		json_array_append_new(run->findings, finding_json(finding));
	fflush(stdout);
}

/* Without a change to be made there is nothing to keep others from. */
static int take_mark(const struct run *run, struct cairn_mark **ret, struct cairn_error *err)
{
	if (!run->in->repair && !run->in->dense)
		return 0;
	return cairn_mark_take(run->path, NULL, false, ret, err);
}

static bool is_branch(const char *path)
{
	struct cairn_store_info info = { 0 };
	bool branch;

	/* What is wrong with the file, the check says. */
	if (cairn_sqlite_store_info(path, &info, NULL) < 0)
		return false;
	branch = info.base_path;
	free(info.base_path);
	free(info.base_ignore);
	return branch;
}

static int complete(struct run *run, struct cairn_error *err)
{
	struct cairn_branch branch = { 0 };
	int r;

	r = cairn_branch_open(run->path, false, &branch, err);
	if (r < 0)
		return r;
	r = cairn_live_settle(branch.base_path, err);
	if (r == 0)
		r = cairn_branch_open_base(&branch, err);
	if (r == 0)
		r = cairn_complete(&branch, &run->completed, err);
	cairn_branch_close(&branch);
	return r;
}

/* A branch is completed where nothing is wrong with it, and then its holes are filled. */
static int densify_branch(struct run *run, struct cairn_error *err)
{
	const struct cairn_check_options options = {
		.dense = true,
		.busy_timeout_ms = BUSY_TIMEOUT_MS,
	};
	struct cairn_check_result *result = &run->result, filled = { 0 };
	int r;

	if (result->left > 0 || result->incomplete || result->repair_failed < 0)
		return 0;
	r = complete(run, err);
	if (r == 0)
		r = cairn_check(run->path, &options, &filled, err);
	if (r < 0)
		filled.repair_failed = r;
	result->repair_failed = filled.repair_failed;
	result->holes = filled.holes;
	result->filled = filled.filled;
	return 0;
}

static int check(struct run *run, struct cairn_error *err)
{
	_cleanup_(cairn_mark_releasep) struct cairn_mark *mark = NULL;
	struct cairn_check_options options = {
		.repair = run->in->repair,
		.dense = run->in->dense,
		.busy_timeout_ms = BUSY_TIMEOUT_MS,
		.report = report,
		.progress = show_progress,
		.arg = run,
	};
	bool branch;
	int r;

	r = cairn_resolve_workspace(run->in->args.value[0], &run->path, NULL, err);
	if (r < 0)
		return r;
	if (access(run->path, F_OK) == 0) {
		cairn_mark_read(run->path, &run->mounted);
		r = take_mark(run, &mark, err);
		if (r < 0)
			return r;
	}
	branch = run->in->dense && is_branch(run->path);
	options.dense &= !branch;
	r = cairn_check(run->path, &options, &run->result, err);
	if (r == 0 && branch)
		r = densify_branch(run, err);
	cairn_progress_clear(&run->progress);
	return r;
}

static int exit_status(const struct run *run)
{
	if (run->result.left > 0 || run->result.repair_failed < 0)
		return EXIT_LEFT;
	return run->result.repaired ? EXIT_REPAIRED : EXIT_CLEAN;
}

static int print_json(struct run *run)
{
	const struct cairn_check_result *result = &run->result;
	json_t *root = json_object(), *summary = json_object();

	json_object_set_new(root, "path", cairn_json_text(run->path));
	json_object_set_new(root, "mounted", json_boolean(run->mounted.live));
	json_object_set(root, "findings", run->findings);
	json_object_set_new(summary, "errors", json_integer((json_int_t)result->errors));
	json_object_set_new(summary, "notes", json_integer((json_int_t)result->notes));
	json_object_set_new(summary, "left", json_integer((json_int_t)result->left));
	json_object_set_new(summary, "repaired", json_boolean(result->repaired));
	json_object_set_new(summary, "incomplete", json_boolean(result->incomplete));
	json_object_set_new(summary, "inodes", json_integer((json_int_t)result->inodes));
	json_object_set_new(summary, "entries", json_integer((json_int_t)result->entries));
	json_object_set_new(summary, "holes_filled", json_integer((json_int_t)result->holes));
	json_object_set_new(summary, "bytes_filled", json_integer((json_int_t)result->filled));
	json_object_set_new(summary, "entries_copied",
			    json_integer((json_int_t)run->completed.entries));
	json_object_set_new(summary, "bytes_copied",
			    json_integer((json_int_t)run->completed.bytes));
	json_object_set_new(root, "summary", summary);
	return cairn_cli_print_json(root) == 0 ? exit_status(run) : EXIT_NOT_CHECKED;
}

static int print_text(const struct run *run)
{
	const struct cairn_check_result *result = &run->result;

	if (run->mounted.live)
		printf("%s is %s%s: this is its last commit\n", run->path,
		       run->mounted.directory ? "mounted on " : "in use",
		       run->mounted.directory ? run->mounted.directory : "");
	if (run->completed.files + run->completed.entries + run->completed.hidden > 0)
		printf("%s: completed from its base: %" PRIu64 " files, %" PRIu64
		       " entries, %" PRIu64 " bytes\n",
		       run->path, run->completed.files, run->completed.entries,
		       run->completed.bytes);
	if (result->holes > 0)
		printf("%s: %" PRIu64 " holes filled with %" PRIu64 " bytes of zeros\n", run->path,
		       result->holes, result->filled);
	if (result->errors == 0)
		printf("%s: clean, %" PRIu64 " inodes, %" PRIu64 " entries\n", run->path,
		       result->inodes, result->entries);
	else if (result->left == 0)
		printf("%s: %" PRIu64 " errors repaired\n", run->path, result->errors);
	else if (result->repaired)
		printf("%s: %" PRIu64 " errors, %" PRIu64 " of them left\n", run->path,
		       result->errors, result->left);
	else
		printf("%s: %" PRIu64 " errors, nothing changed\n", run->path, result->errors);
	if (result->incomplete)
		printf("%s: not all of it could be checked\n", run->path);
	return exit_status(run);
}

int cairn_cmd_check(int argc, char **argv)
{
	struct check_args in = {
		.args = { .command = "cairnfs check", .names = "WORKSPACE", .want = 1 }
	};
	_cleanup_(run_done) struct run run = { .in = &in };
	struct cairn_error err = { 0 };
	int r;

	if (cairn_cli_parse(&argp, argc, argv, &in) != 0)
		return EXIT_USAGE;
	run.findings = json_array();
	cairn_progress_begin_unheld(&run.progress, "checking");
	r = check(&run, &err);
	if (r < 0) {
		cairn_cli_fail_with(r, &err);
		return EXIT_NOT_CHECKED;
	}
	if (run.result.repair_failed < 0)
		cairn_cli_fail_with(run.result.repair_failed, &err);
	return in.args.json ? print_json(&run) : print_text(&run);
}
