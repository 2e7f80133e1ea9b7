/* cairnfs undo: takes back what was accepted into a workspace. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "branch/stable.h"
#include "cli/branch_args.h"
#include "mount/json.h"
#include "mount/number.h"

#define NAMED_MAX 10U /* changed paths that are told */

enum { KEY_LIST = 256, KEY_FORCE, KEY_DRY_RUN };

struct undo_args {
	struct cairn_cli_args args;
	bool list, force, dry_run, json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct undo_args *in = state->input;

	switch (key) {
	case KEY_LIST:
		in->list = true;
		return 0;
	case KEY_FORCE:
		in->force = true;
		return 0;
	case KEY_DRY_RUN:
		in->dry_run = true;
		return 0;
	case 'j':
		in->json = true;
		return 0;
	case ARGP_KEY_END: /* the id may be missing */
		if (in->args.count == 0)
			return cairn_cli_usage_error(in->args.command, "no workspace given");
		return 0;
	default:
		return cairn_cli_parse_common(key, arg, state, &in->args);
	}
}

static const struct argp_option option_table[] = {
	{ "list", KEY_LIST, NULL, 0, "Tell what can be taken back, latest first", 0 },
	{ "force", KEY_FORCE, NULL, 0,
	  "Also where it has changed since; what was put since into a directory that came with it "
	  "stays",
	  0 },
	{ "dry-run", KEY_DRY_RUN, NULL, 0, "Tell what would be done, and do nothing", 0 },
	{ "json", 'j', NULL, 0, "Print JSON", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.args_doc = "WORKSPACE|DIR [ID]",
	.children = cairn_cli_help,
	.doc = "Put a workspace, or a directory, back to what it was before an accept, the last "
	       "one or the one of this id.\vIt is the base of the branch, and may be mounted. An "
	       "undo can be taken back in turn, by its id.",
};

struct undo {
	const struct undo_args *in;
	struct cairn_stable *stable;
	int64_t id; /* to be taken back; 0: not found */
	bool undone;
	int64_t changes;
	size_t changed;
	json_t *json;
};

static void undop(struct undo *undo)
{
	if (undo->stable)
		undo->stable->ops->close(undo->stable);
}

static int print_record(void *arg, const struct cairn_undo_record *record)
{
	struct undo *undo = arg;
	time_t at = (time_t)record->time;
	char when[32] = "";
	struct tm tm;

	if (localtime_r(&at, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	if (undo->in->json) {
		json_t *one = json_object();

		json_object_set_new(one, "id", json_integer(record->id));
		json_object_set_new(one, "kind", cairn_json_text(record->kind));
		json_object_set_new(one, "time", json_integer(record->time));
		json_object_set_new(one, "branch", cairn_json_text(record->source));
		json_object_set_new(one, "changes", json_integer(record->changes));
		json_object_set_new(one, "undone", json_boolean(record->undone));
		if (record->of)
			json_object_set_new(one, "of", json_integer(record->of));
		json_array_append_new(undo->json, one);
		return 0;
	}
	printf("%4" PRId64 "  %s  %" PRId64 " change%s", record->id, when, record->changes,
	       record->changes == 1 ? "" : "s");
	if (record->of)
		printf(", undo of %" PRId64, record->of);
	else
		printf(" of %s", record->source);
	puts(record->undone ? " (taken back)" : "");
	undo->changes++;
	return 0;
}

static int list(struct undo *undo)
{
	int r;

	undo->json = undo->in->json ? json_array() : NULL;
	r = undo->stable->ops->list(undo->stable, print_record, undo);
	if (r < 0)
		return cairn_cli_fail("'%s' cannot be read: %s", undo->stable->path, strerror(-r));
	if (undo->in->json)
		return cairn_cli_print_json(undo->json);
	if (undo->changes == 0)
		puts("Nothing was accepted that could be taken back.");
	return 0;
}

static int find_record(void *arg, const struct cairn_undo_record *record)
{
	struct undo *undo = arg;
	bool wanted =
		undo->in->args.count > 1 ? record->id == undo->id : !record->of && !record->undone;

	if (!wanted)
		return 0;
	undo->id = record->id;
	undo->undone = record->undone;
	undo->changes = record->changes;
	return 1;
}

/* What is to be taken back. */
static int find(struct undo *undo, struct cairn_error *err)
{
	const char *id = undo->in->args.value[1];
	int r;

	if (id) {
		char *end;

		undo->id = strtoll(id, &end, 10);
		if (*end || end == id)
			return cairn_error_set(err, -EINVAL,
					       "'%s' is no id; see 'cairnfs undo --list'", id);
	}
	r = undo->stable->ops->list(undo->stable, find_record, undo);
	if (r < 0)
		return cairn_error_set(err, r, "'%s' cannot be read: %s", undo->stable->path,
				       strerror(-r));
	if (r == 0 && id)
		return cairn_error_set(err, -ENOENT,
				       "'%s' has no record %s; see 'cairnfs undo --list'",
				       undo->stable->path, id);
	if (r == 0)
		return cairn_error_set(err, -ENOENT,
				       "nothing was accepted into '%s' that could "
				       "be taken back",
				       undo->stable->path);
	if (undo->undone)
		return cairn_error_set(err, -EALREADY, "%s was taken back already", id);
	return 0;
}

static int print_changed(void *arg, const char *path)
{
	struct undo *undo = arg;

	if (!undo->in->force && undo->changed < NAMED_MAX) {
		cairn_cli_print_path(stderr, path[1] ? path + 1 : path);
		fputs(": changed since\n", stderr);
	}
	undo->changed++;
	return 0;
}

/* While nobody else changes anything. */
static int take_back(struct undo *undo, int64_t *ret_id, struct cairn_error *err)
{
	const struct cairn_stable_ops *ops = undo->stable->ops;
	int r;

	r = find(undo, err);
	if (r < 0)
		return r;
	r = ops->changed(undo->stable, undo->id, print_changed, undo);
	if (r < 0)
		return cairn_error_set(err, r, "'%s' cannot be compared: %s", undo->stable->path,
				       strerror(-r));
	if (undo->changed && !undo->in->force)
		return cairn_error_set(
			err, -EEXIST,
			"%zu of what was accepted then has changed since, and nothing "
			"was taken back; --force does it all the same",
			undo->changed);
	if (undo->in->dry_run)
		return 0;
	return ops->undo(undo->stable, undo->id, undo->changes, ret_id, err);
}

static int report(const struct undo *undo, int64_t id)
{
	const char *plural = undo->changes == 1 ? "" : "s";

	if (undo->in->json) {
		json_t *root = json_object();

		json_object_set_new(root, "dry_run", json_boolean(undo->in->dry_run));
		json_object_set_new(root, "undone", json_integer(undo->id));
		json_object_set_new(root, "changes", json_integer(undo->changes));
		json_object_set_new(root, "undo", id ? json_integer(id) : json_null());
		return cairn_cli_print_json(root);
	}
	if (undo->in->dry_run)
		printf("%" PRId64 " change%s would be taken back.\n", undo->changes, plural);
	else
		printf("%" PRId64 " change%s taken back.\n"
		       "To have it again: cairnfs undo %s %" PRId64 "\n",
		       undo->changes, plural, undo->stable->path, id);
	return 0;
}

static int run_undo(struct undo *undo)
{
	struct cairn_error err = { 0 };
	int64_t id = 0;
	int r;

	/* Nothing is begun, and made in a directory, for nothing. */
	r = find(undo, &err);
	if (r == 0)
		r = undo->stable->ops->begin(undo->stable, &err);
	if (r < 0)
		return cairn_cli_fail_with(r, &err);
	r = take_back(undo, &id, &err);
	undo->stable->ops->end(undo->stable);
	return r < 0 ? cairn_cli_fail_with(r, &err) : report(undo, id);
}

static int open_stable(const char *arg, struct cairn_stable **ret, struct cairn_error *err)
{
	_cleanup_(cairn_freep) char *path = NULL;
	int r = 0;

	if (cairn_cli_names_directory(arg)) {
		path = realpath(arg, NULL);
		r = path ? cairn_stable_settle(path, err) : -errno;
	} else {
		r = cairn_cli_settled(arg, &path, err);
	}
	return r < 0 ? r : cairn_stable_open(path, false, ret, err);
}

static int run(const struct undo_args *in)
{
	_cleanup_(undop) struct undo undo = { .in = in };
	struct cairn_error err = { 0 };
	int r;

	r = open_stable(in->args.value[0], &undo.stable, &err);
	if (r < 0)
		return cairn_cli_fail_with(r, &err);
	return in->list ? list(&undo) : run_undo(&undo);
}

int cairn_cmd_undo(int argc, char **argv)
{
	struct undo_args in = {
		.args = { .command = "cairnfs undo", .names = "WORKSPACE [ID]", .want = 2 },
	};
	int status;

	status = cairn_cli_parse(&argp, argc, argv, &in);
	return status ? status : run(&in);
}
