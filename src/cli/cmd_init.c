/* cairnfs init: makes an empty workspace. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "cli/cli.h"
#include "mount/mark.h"
#include "mount/number.h"
#include "mount/resolve.h"
#include "store/store.h"

enum {
	KEY_CHUNK_SIZE = 256,
	KEY_PAGE_SIZE,
	KEY_FORCE,
	KEY_BASE,
	KEY_IGNORE,
	PAGE_SIZE_MIN = 512, /* SQLite's limits, sqlite.org/pragma.html#pragma_page_size */
	PAGE_SIZE_MAX = 65536,
};

/* How long the base, which is read once, is waited for. */
#define BUSY_TIMEOUT_MS 5000U

struct init_args {
	struct cairn_cli_args args;
	const char *base; /* as given, or NULL */
	char *ignore;     /* a pattern a line; NULL: none */
	struct cairn_init_options options;
};

static error_t parse_size(const struct init_args *in, const char *name, const char *text,
			  uint64_t min, uint64_t max, bool power_of_two, size_t *ret)
{
	uint64_t size;

	if (cairn_size_parse(text, min, max, &size) < 0 ||
	    (power_of_two && (size & (size - 1)) != 0))
		return cairn_cli_usage_error(
			in->args.command, "--%s %s: not a %s from %" PRIu64 " to %" PRIu64 " bytes",
			name, text, power_of_two ? "power of two" : "size", min, max);
	*ret = (size_t)size;
	return 0;
}

static error_t add_ignore(struct init_args *in, const char *pattern)
{
	size_t len = in->ignore ? strlen(in->ignore) : 0;
	char *longer;

	if (!*pattern || strchr(pattern, '\n') || len + strlen(pattern) >= CAIRN_BASE_IGNORE_MAX)
		return cairn_cli_usage_error(in->args.command,
					     "--base-ignore '%s': empty, too long, or with a line "
					     "feed in it",
					     pattern);
	if (asprintf(&longer, "%s%s%s", len ? in->ignore : "", len ? "\n" : "", pattern) < 0)
		return ENOMEM;
	free(in->ignore);
	in->ignore = longer;
	in->options.base_ignore = longer;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct init_args *in = state->input;

	switch (key) {
	case KEY_CHUNK_SIZE:
		return parse_size(in, "chunk-size", arg, 1, CAIRN_CHUNK_MAX, false,
				  &in->options.chunk_size);
	case KEY_PAGE_SIZE:
		return parse_size(in, "page-size", arg, PAGE_SIZE_MIN, PAGE_SIZE_MAX, true,
				  &in->options.page_size);
	case KEY_BASE:
		in->base = arg;
		return 0;
	case KEY_IGNORE:
		return add_ignore(in, arg);
	case ARGP_KEY_END:
		if (in->ignore && !in->base)
			return cairn_cli_usage_error(in->args.command,
						     "--base-ignore without --base");
		return cairn_cli_parse_common(key, arg, state, &in->args);
	case KEY_FORCE:
		in->options.force = true;
		return 0;
	default:
		return cairn_cli_parse_common(key, arg, state, &in->args);
	}
}

static const struct argp_option option_table[] = {
	{ "chunk-size", KEY_CHUNK_SIZE, "SIZE", 0,
	  "How many bytes of a file make one row (64K); it cannot be changed later", 0 },
	{ "page-size", KEY_PAGE_SIZE, "SIZE", 0,
	  "SQLite's page size (8K), a power of two from 512 to 64K", 0 },
	{ "base", KEY_BASE, "PATH", 0,
	  "Make a branch: what it shows is the workspace or directory PATH, and what is changed is "
	  "kept in WORKSPACE alone",
	  0 },
	{ "base-ignore", KEY_IGNORE, "PATTERN", 0,
	  "Never show what matches of a base directory; may be given again and again", 0 },
	{ "force", KEY_FORCE, NULL, 0, "Replace the file that stands there", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.args_doc = "WORKSPACE",
	.children = cairn_cli_help,
	.doc = "Make an empty workspace, or one over a base.\vWORKSPACE is the path of a new file, "
	       "or an id, which "
	       "stands for .agentfs/ID.db below the working directory. Sizes take the suffixes K "
	       "and M.",
};

/* Looks at the base, whose root the new one takes after. A workspace of this name that is about to
 * be replaced must not lie under its base. */
static int look_at_base(const char *path, const char *base, struct cairn_attr *ret,
			struct cairn_error *err)
{
	const struct cairn_base_above above = { .workspace = path };
	const struct cairn_base_options options = {
		.busy_timeout_ms = BUSY_TIMEOUT_MS,
		.above = &above,
	};
	struct cairn_base *opened;
	int r;

	r = cairn_base_open(base, &options, &opened, err);
	if (r < 0)
		return r;
	r = opened->ops->getattr(opened, opened->ops->root(opened), ret);
	opened->ops->close(opened);
	ret->nlink = 2;
	return r < 0 ? cairn_error_set(err, r, "the root of the base '%s' cannot be read: %s", base,
				       strerror(-r))
		     : 0;
}

int cairn_cli_resolve_base(const char *base, char **ret, struct cairn_error *err)
{
	_cleanup_(cairn_freep) char *path = NULL;
	int r;

	r = cairn_resolve_workspace(base, &path, NULL, err);
	if (r < 0)
		return r;
	/* What is named like an id may be a directory, too. */
	*ret = realpath(access(base, F_OK) == 0 ? base : path, NULL);
	if (!*ret)
		return cairn_error_set(err, -errno,
				       "the base '%s' is not there (%m); give the path of a "
				       "workspace or of a directory",
				       base);
	return 0;
}

/* Keeps the file from being mounted while it is replaced. */
static int init_file(const char *path, const struct cairn_init_options *options,
		     struct cairn_error *err)
{
	_cleanup_(cairn_mark_releasep) struct cairn_mark *mark = NULL;
	int r;

	if (options->force && access(path, F_OK) == 0) {
		r = cairn_mark_take(path, NULL, false, &mark, err);
		if (r < 0)
			return r;
	}
	r = cairn_sqlite_store_init(path, options, err);
	if (r < 0)
		return cairn_error_set(err, r, "the workspace %s cannot be made: %s", path,
				       strerror(-r));
	return 0;
}

static int init_over_base(const char *path, const char *base_name,
			  const struct cairn_init_options *options, struct cairn_error *err)
{
	_cleanup_(cairn_freep) char *base = NULL;
	struct cairn_init_options with_base = *options;
	struct cairn_attr root = { 0 };
	int r;

	r = cairn_cli_resolve_base(base_name, &base, err);
	if (r == 0)
		r = look_at_base(path, base, &root, err);
	if (r < 0)
		return r;
	with_base.base = base;
	with_base.root = &root;
	return init_file(path, &with_base, err);
}

int cairn_cli_init(const char *workspace, const char *base,
		   const struct cairn_init_options *options, char **ret_path,
		   struct cairn_error *err)
{
	_cleanup_(cairn_freep) char *path = NULL, *made_dir = NULL;
	int r;

	r = cairn_cli_new_workspace(workspace, &path, &made_dir, err);
	if (r < 0)
		return r;
	r = base ? init_over_base(path, base, options, err) : init_file(path, options, err);
	if (r < 0) {
		if (made_dir)
			rmdir(made_dir);
		return r;
	}
	*ret_path = TAKE_PTR(path);
	return 0;
}

static void init_args_clear(struct init_args *in)
{
	free(in->ignore);
}

int cairn_cmd_init(int argc, char **argv)
{
	_cleanup_(init_args_clear) struct init_args in = {
		.args = { .command = "cairnfs init", .names = "WORKSPACE", .want = 1 },
		.options = { .chunk_size = CAIRN_DEFAULT_CHUNK_SIZE,
			     .page_size = CAIRN_DEFAULT_PAGE_SIZE },
	};
	char chunk[CAIRN_SIZE_TEXT_MAX], page[CAIRN_SIZE_TEXT_MAX];
	_cleanup_(cairn_freep) char *path = NULL;
	struct cairn_error err = { 0 };
	int r;

	r = cairn_cli_parse(&argp, argc, argv, &in);
	if (r != 0)
		return r;
	r = cairn_cli_init(in.args.value[0], in.base, &in.options, &path, &err);
	if (r < 0)
		return cairn_cli_fail_with(r, &err);

	cairn_size_format(in.options.chunk_size, chunk);
	cairn_size_format(in.options.page_size, page);
	if (in.base)
		printf("%s is a branch of %s (chunks of %s, pages of %s).\n", path, in.base, chunk,
		       page);
	else
		printf("%s is an empty workspace (chunks of %s, pages of %s).\n", path, chunk,
		       page);
	printf("Mount it on an empty directory: cairnfs mount %s DIR\n", in.args.value[0]);
	return 0;
}
