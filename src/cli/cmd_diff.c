/* cairnfs diff: what a branch has changed. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "branch/patch.h"
#include "cli/branch_args.h"

enum { KEY_STAT = 256, KEY_NAME_STATUS, KEY_PATCH };

struct diff_args {
	struct cairn_branch_args args; /* the first: see cairn_branch_parse() */
	int format;                    /* a key; 0: for a person */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct diff_args *in = state->input;

	switch (key) {
	case KEY_STAT:
	case KEY_NAME_STATUS:
	case KEY_PATCH:
	case 'j':
		if (in->format && in->format != key)
			return cairn_cli_usage_error(in->args.command,
						     "only one of --stat, --name-status, --patch "
						     "and --json can be had");
		in->format = key;
		return 0;
	default:
		return cairn_branch_parse(key, arg, state, &in->args);
	}
}

static const struct argp_option option_table[] = {
	{ "stat", KEY_STAT, NULL, 0, "How many lines of each file", 0 },
	{ "name-status", KEY_NAME_STATUS, NULL, 0, "A letter and a path, for scripts", 0 },
	{ "patch", KEY_PATCH, NULL, 0, "A patch for 'git apply' and 'patch -p1'", 0 },
	{ "json", 'j', NULL, 0, "Print one JSON array", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.args_doc = "WORKSPACE [PATH...]",
	.children = cairn_cli_help,
	.doc = "Tell what a branch has changed of its base, as both are now.\vPaths are from the "
	       "root of the workspace; without one, all changes are told. A file that was touched "
	       "and holds what it held is none. WORKSPACE is a path, or an id that stands for "
	       ".agentfs/ID.db below the working directory.",
};

struct diff {
	struct cairn_branch branch;
	struct cairn_changes changes;
	const char *const *paths;
	size_t path_count;
	bool colours;
	struct cairn_branch_progress progress;
	/* --stat */
	size_t files, added, removed;
};

static void diffp(struct diff *diff)
{
	cairn_branch_progress_end(&diff->progress);
	cairn_changes_free(&diff->changes);
	cairn_branch_close(&diff->branch);
}

static bool is_shown(const struct diff *diff, const struct cairn_change *c)
{
	return cairn_change_is_real(c) && cairn_change_matches(c, diff->paths, diff->path_count);
}

static void print_person(const struct diff *diff)
{
	size_t count = 0;

	for (size_t i = 0; i < diff->changes.count; i++) {
		if (!is_shown(diff, diff->changes.list[i]))
			continue;
		cairn_cli_print_change(stdout, diff->changes.list[i], diff->colours);
		count++;
	}
	if (count == 0)
		puts("No changes.");
}

/* A line is to stay one, and a tab between two names the only one. */
static void print_name(const char *name)
{
	bool plain = true;

	for (const char *c = name; *c; c++)
		plain &= (unsigned char)*c >= 0x20 && *c != 0x7f && *c != '"' && *c != '\\';
	if (plain)
		fputs(name, stdout);
	else
		cairn_patch_quote(stdout, "", name);
}

static void print_status(const struct diff *diff)
{
	static const char letters[] = " ADMTR";

	for (size_t i = 0; i < diff->changes.count; i++) {
		const struct cairn_change *c = diff->changes.list[i];

		if (!is_shown(diff, c))
			continue;
		printf("%c\t", letters[c->kind]);
		if (c->kind == CAIRN_CHANGE_RENAMED) {
			print_name(c->from + 1);
			putchar('\t');
		}
		print_name((c->kind == CAIRN_CHANGE_DELETED ? c->from : c->path) + 1);
		putchar('\n');
	}
}

static int print_json(const struct diff *diff)
{
	json_t *root = json_array();

	for (size_t i = 0; i < diff->changes.count; i++)
		if (is_shown(diff, diff->changes.list[i]))
			json_array_append_new(root, cairn_cli_change_json(diff->changes.list[i]));
	return cairn_cli_print_json(root);
}

static const char *line_colour(const char *line)
{
	switch (*line) {
	case '+':
		return strncmp(line, "+++ ", 4) == 0 ? "\033[1m" : "\033[32m";
	case '-':
		return strncmp(line, "--- ", 4) == 0 ? "\033[1m" : "\033[31m";
	case '@':
		return "\033[36m";
	case ' ':
	case '\\':
	case '\n':
		return "";
	default:
		return "\033[1m";
	}
}

static int print_patch(void *arg, const struct cairn_patch_file *file)
{
	struct diff *diff = arg;
	const char *line = file->text, *end = file->text + file->len;

	cairn_progress_clear(&diff->progress.progress);
	if (!diff->colours) {
		fwrite(file->text, 1, file->len, stdout);
		return ferror(stdout) ? -EIO : 0;
	}
	while (line < end) {
		const char *next = memchr(line, '\n', (size_t)(end - line));
		size_t len = next ? (size_t)(next - line) : (size_t)(end - line);

		fputs(line_colour(line), stdout);
		fwrite(line, 1, len, stdout);
		fputs("\033[0m\n", stdout);
		line += len + 1;
	}
	return ferror(stdout) ? -EIO : 0;
}

static void print_bar(size_t count, size_t all, char mark)
{
	enum { WIDTH = 40 };
	size_t width = all > WIDTH ? (count * WIDTH + all - 1) / all : count;

	while (width--)
		putchar(mark);
}

static int print_stat(void *arg, const struct cairn_patch_file *file)
{
	struct diff *diff = arg;

	cairn_progress_clear(&diff->progress.progress);
	putchar(' ');
	if (file->renamed) {
		print_name(file->from);
		fputs(" => ", stdout);
	}
	print_name(file->to ? file->to : file->from);
	fputs(" |", stdout);
	if (file->binary) {
		printf(" Bin %" PRId64 " -> %" PRId64 " bytes\n", file->old_size, file->new_size);
	} else {
		printf(" %zu ", file->added + file->removed);
		print_bar(file->added, file->added + file->removed, '+');
		print_bar(file->removed, file->added + file->removed, '-');
		putchar('\n');
	}
	diff->files++;
	diff->added += file->added;
	diff->removed += file->removed;
	return 0;
}

static int print_files(struct diff *diff, bool texts, cairn_patch_fn fn, struct cairn_error *err)
{
	size_t left_out = 0;
	int r;

	r = cairn_patch(&diff->branch, &diff->changes, diff->paths, diff->path_count, texts, fn,
			diff, &left_out, err);
	cairn_progress_clear(&diff->progress.progress);
	if (r < 0)
		return cairn_cli_fail_with(r, err);
	if (left_out)
		fprintf(stderr,
			"cairnfs: changes that are not in this: %zu (permissions, owners, "
			"attributes, devices, files over 1 GiB); see cairnfs diff without an "
			"option\n",
			left_out);
	return 0;
}

static int print(struct diff *diff, int format, struct cairn_error *err)
{
	int r;

	switch (format) {
	case KEY_STAT:
		r = print_files(diff, false, print_stat, err);
		if (r == 0)
			printf(" %zu files, %zu lines added, %zu removed\n", diff->files,
			       diff->added, diff->removed);
		return r;
	case KEY_PATCH:
		return print_files(diff, true, print_patch, err);
	case KEY_NAME_STATUS:
		print_status(diff);
		return 0;
	case 'j':
		return print_json(diff);
	default:
		print_person(diff);
		return 0;
	}
}

static int run(const struct diff_args *in)
{
	_cleanup_(diffp) struct diff diff = {
		.paths = (const char *const *)in->args.paths,
		.path_count = in->args.path_count,
		.colours = cairn_cli_colours(stdout),
	};
	struct cairn_error err = { 0 };
	int r;

	r = cairn_cli_open_branch(in->args.workspace, true, &diff.branch, &err);
	if (r == 0) {
		cairn_branch_progress_begin(&diff.progress, &diff.branch, "comparing");
		r = cairn_changes_find(&diff.branch, &diff.changes, &err);
		cairn_progress_clear(&diff.progress.progress);
	}
	if (r < 0)
		return cairn_cli_fail_with(r, &err);
	return print(&diff, in->format, &err);
}

int cairn_cmd_diff(int argc, char **argv)
{
	struct diff_args in = { .args = { .command = "cairnfs diff" } };
	int status;

	status = cairn_cli_parse(&argp, argc, argv, &in);
	if (status == 0)
		status = run(&in);
	cairn_branch_args_done(&in.args);
	return status;
}
