#include "cli/branch_args.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "branch/stable.h"
#include "mount/json.h"
#include "mount/live.h"
#include "mount/number.h"
#include "mount/resolve.h"

/* "a/b/", "./a//b" and "/a/b" are one. NULL: it leads out of the workspace, or no memory. */
static char *clean_path(const char *arg)
{
	char *path = malloc(strlen(arg) + 2), *to = path;

	if (!path)
		return NULL;
	while (*arg) {
		size_t len;

		arg += strspn(arg, "/");
		len = strcspn(arg, "/");
		if (len == 2 && strncmp(arg, "..", 2) == 0) {
			free(path);
			return NULL;
		}
		if (len > 0 && !(len == 1 && *arg == '.')) {
			*to++ = '/';
			memcpy(to, arg, len);
			to += len;
		}
		arg += len;
	}
	if (to == path)
		*to++ = '/';
	*to = '\0';
	return path;
}

static error_t add_path(struct cairn_branch_args *args, const char *arg)
{
	char **paths = reallocarray(args->paths, args->path_count + 1, sizeof(*paths));

	if (!paths)
		return ENOMEM;
	args->paths = paths;
	paths[args->path_count] = clean_path(arg);
	if (!paths[args->path_count])
		return cairn_cli_usage_error(args->command,
					     "'%s' is no path from the root of the workspace", arg);
	args->path_count++;
	return 0;
}

error_t cairn_branch_parse(int key, char *arg, struct argp_state *state,
			   struct cairn_branch_args *args)
{
	struct cairn_cli_args common = { .command = args->command };

	switch (key) {
	case ARGP_KEY_ARG:
		if (args->workspace)
			return add_path(args, arg);
		args->workspace = arg;
		return 0;
	case ARGP_KEY_END:
		if (!args->workspace)
			return cairn_cli_usage_error(args->command, "no workspace given");
		return 0;
	case ARGP_KEY_INIT:
		/* The first member is what the parser of --help looks at. */
		state->child_inputs[0] = args;
		state->err_stream = NULL;
		return 0;
	default:
		return cairn_cli_parse_common(key, arg, state, &common);
	}
}

void cairn_branch_args_done(struct cairn_branch_args *args)
{
	for (size_t i = 0; i < args->path_count; i++)
		free(args->paths[i]);
	free(args->paths);
}

int cairn_cli_settled(const char *workspace, char **ret, struct cairn_error *err)
{
	_cleanup_(cairn_freep) char *path = NULL;
	int r;

	r = cairn_resolve_workspace(workspace, &path, NULL, err);
	if (r == 0)
		r = cairn_live_settle(path, err);
	if (r == 0)
		*ret = TAKE_PTR(path);
	return r;
}

bool cairn_cli_names_directory(const char *arg)
{
	_cleanup_(cairn_freep) char *path = NULL;
	bool is_id = false;

	if (!cairn_stable_is_directory(arg))
		return false;
	return cairn_resolve_workspace(arg, &path, &is_id, NULL) < 0 || !is_id ||
	       access(path, F_OK) < 0;
}

void cairn_cli_settle_base(const char *workspace, const char *base)
{
	struct cairn_branch branch = { 0 };
	struct cairn_error err = { 0 };
	int r = 0;

	/* What is wrong with the workspace, others tell. */
	if (!base && cairn_branch_open(workspace, true, &branch, NULL) == 0)
		base = branch.base_path;
	if (base)
		r = cairn_stable_settle(base, &err);
	if (r < 0)
		cairn_cli_fail_with(r, &err);
	cairn_branch_close(&branch);
}

int cairn_cli_open_branch(const char *workspace, bool read_only, struct cairn_branch *ret,
			  struct cairn_error *err)
{
	_cleanup_(cairn_freep) char *path = NULL;
	struct cairn_branch branch = { 0 };
	int r;

	r = cairn_cli_settled(workspace, &path, err);
	if (r == 0)
		r = cairn_branch_open(path, read_only, &branch, err);
	if (r < 0)
		return r;
	/* A directory is not found, and has nothing to commit. */
	r = cairn_live_settle(branch.base_path, err);
	if (r == 0)
		cairn_cli_settle_base(path, branch.base_path);
	if (r == 0)
		r = cairn_branch_open_base(&branch, err);
	if (r < 0) {
		cairn_branch_close(&branch);
		return r;
	}
	*ret = branch;
	return 0;
}

static void show_bytes(void *arg, size_t bytes)
{
	struct cairn_branch_progress *progress = arg;
	char size[CAIRN_SIZE_TEXT_MAX];

	progress->bytes += bytes;
	if (!cairn_progress_is_due(&progress->progress))
		return;
	cairn_size_format(progress->bytes, size);
	cairn_progress_show(&progress->progress, "%s: %s", progress->progress.what, size);
}

void cairn_branch_progress_begin(struct cairn_branch_progress *ret, struct cairn_branch *branch,
				 const char *what)
{
	ret->bytes = 0;
	cairn_progress_begin_unheld(&ret->progress, what);
	branch->progress = show_bytes;
	branch->progress_arg = ret;
}

void cairn_branch_progress_end(struct cairn_branch_progress *progress)
{
	cairn_progress_end(&progress->progress);
}

bool cairn_cli_colours(FILE *to)
{
	const char *terminal = getenv("TERM");

	return isatty(fileno(to)) && !getenv("NO_COLOR") && terminal &&
	       strcmp(terminal, "dumb") != 0;
}

const char *cairn_cli_change_word(const struct cairn_change *change)
{
	static const char *const words[] = {
		[CAIRN_CHANGE_NONE] = "same",         [CAIRN_CHANGE_ADDED] = "added",
		[CAIRN_CHANGE_DELETED] = "deleted",   [CAIRN_CHANGE_MODIFIED] = "modified",
		[CAIRN_CHANGE_TYPE] = "type changed", [CAIRN_CHANGE_RENAMED] = "renamed",
	};

	return words[change->kind];
}

static const struct {
	unsigned int bit;
	const char *word;
} what_words[] = {
	{ CAIRN_CHANGED_DATA, "content" },
	{ CAIRN_CHANGED_MODE, "mode" },
	{ CAIRN_CHANGED_OWNER, "owner" },
	{ CAIRN_CHANGED_XATTR, "xattr" },
};

static bool is_directory(const struct cairn_change *change)
{
	return S_ISDIR(change->kind == CAIRN_CHANGE_DELETED ? change->was.mode : change->now.mode);
}

static void print_names(FILE *to, const struct cairn_change *change)
{
	if (change->kind == CAIRN_CHANGE_RENAMED) {
		cairn_cli_print_path(to, change->from + 1);
		fputs(is_directory(change) ? "/ -> " : " -> ", to);
	}
	cairn_cli_print_path(
		to, (change->kind == CAIRN_CHANGE_DELETED ? change->from : change->path) + 1);
	if (is_directory(change))
		fputc('/', to);
}

void cairn_cli_print_change(FILE *to, const struct cairn_change *change, bool colours)
{
	static const char *const colour[] = {
		[CAIRN_CHANGE_NONE] = "",
		[CAIRN_CHANGE_ADDED] = "\033[32m",
		[CAIRN_CHANGE_DELETED] = "\033[31m",
		[CAIRN_CHANGE_MODIFIED] = "\033[33m",
		[CAIRN_CHANGE_TYPE] = "\033[35m",
		[CAIRN_CHANGE_RENAMED] = "\033[36m",
	};
	const char *between = " (";

	fprintf(to, "%s%-13s", colours ? colour[change->kind] : "", cairn_cli_change_word(change));
	print_names(to, change);
	for (size_t i = 0; i < ARRAY_SIZE(what_words); i++) {
		if (!(change->what & what_words[i].bit) || change->kind == CAIRN_CHANGE_TYPE)
			continue;
		fprintf(to, "%s%s", between, what_words[i].word);
		between = ", ";
	}
	fprintf(to, "%s%s\n", between[0] == ',' ? ")" : "", colours ? "\033[0m" : "");
}

static const char *type_word(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFCHR:
		return "character device";
	case S_IFBLK:
		return "block device";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	default:
		return "unknown";
	}
}

json_t *cairn_cli_change_json(const struct cairn_change *change)
{
	bool deleted = change->kind == CAIRN_CHANGE_DELETED;
	json_t *root = json_object(), *what = json_array();

	json_object_set_new(root, "change", json_string(cairn_cli_change_word(change)));
	json_object_set_new(root, "path", cairn_json_text(deleted ? change->from : change->path));
	if (change->kind == CAIRN_CHANGE_RENAMED)
		json_object_set_new(root, "from", cairn_json_text(change->from));
	json_object_set_new(root, "type",
			    json_string(type_word(deleted ? change->was.mode : change->now.mode)));
	if (change->kind == CAIRN_CHANGE_TYPE)
		json_object_set_new(root, "was", json_string(type_word(change->there.mode)));
	for (size_t i = 0; i < ARRAY_SIZE(what_words); i++)
		if (change->what & what_words[i].bit && change->kind != CAIRN_CHANGE_TYPE)
			json_array_append_new(what, json_string(what_words[i].word));
	json_object_set_new(root, "what", what);
	if (!deleted) {
		json_object_set_new(root, "mode", json_integer(change->now.mode & 07777));
		json_object_set_new(root, "size", json_integer(change->now.size));
	}
	if (change->why)
		json_object_set_new(root, "conflict", json_string(change->why));
	return root;
}
