/* cairnfs export: writes what a workspace holds to a directory or a tar archive. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/overlay.h"
#include "bulk/remove.h"
#include "bulk/tree.h"
#include "cli/bulk.h"
#include "cli/cli.h"
#include "core/core.h"
#include "mount/json.h"
#include "mount/live.h"
#include "mount/resolve.h"
#include "store/draft.h"
#include "store/store.h"

enum {
	KEY_FROM = CAIRN_BULK_KEYS,
	KEY_CLEAN,
};

#define BUSY_TIMEOUT_MS 5000U

struct export_args {
	struct cairn_cli_args args;
	const char *from;
	struct cairn_cli_bulk *run;
	bool json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct export_args *in = state->input;

	switch (key) {
	case KEY_FROM:
		in->from = arg;
		return 0;
	case KEY_CLEAN:
		in->run->bulk.clean = in->run->bulk.overwrite = true;
		return 0;
	case 'j':
		in->json = true;
		return 0;
	default:
		if (cairn_cli_bulk_option(in->run, key))
			return 0;
		return cairn_cli_parse_common(key, arg, state, &in->args);
	}
}

static const struct argp_option option_table[] = {
	{ "from", KEY_FROM, "PATH", 0, "Write this directory of the workspace, not all of it", 0 },
	{ "overwrite", CAIRN_BULK_OVERWRITE, NULL, 0, "Replace files that are there", 0 },
	{ "clean", KEY_CLEAN, NULL, 0,
	  "Make DIR equal to the workspace: replace, and remove what the workspace does not have",
	  0 },
	{ "same-owner", CAIRN_BULK_SAME_OWNER, NULL, 0,
	  "DIR: keep owners, by number (root's default)", 0 },
	{ "no-same-owner", CAIRN_BULK_NO_SAME_OWNER, NULL, 0,
	  "DIR: all that is written is yours (the default for others)", 0 },
	{ "json", 'j', NULL, 0, "Print one JSON object", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.args_doc = "WORKSPACE DIR\nWORKSPACE TAR\nWORKSPACE -",
	.children = cairn_cli_help,
	.doc = "Write what a workspace holds at this moment, mounted or not, to a directory, or to "
	       "a "
	       "tar archive: a name that ends in .tar, compressed where it goes on with .gz, .bz2, "
	       ".xz or .zst, or in .tgz, .txz or .tzst; - is standard output.\vDirectories that "
	       "are "
	       "there take it in, files that are there are not replaced without --overwrite. "
	       "WORKSPACE is a path, or an id that stands for .agentfs/ID.db below the working "
	       "directory.",
};

/* A run of the command. */
struct run {
	const struct export_args *in;
	struct cairn_bulk *bulk;
	char *path;
	struct cairn_live live;
	struct cairn_core *core;
	uint64_t dir; /* of the workspace */
	struct cairn_tree_source *source;
	struct cairn_error *err;
};

static void run_done(struct run *run)
{
	cairn_tree_source_closep(&run->source);
	if (run->core)
		cairn_core_close(run->core);
	cairn_live_done(&run->live);
	free(run->path);
}

static bool is_archive_name(const char *name)
{
	static const char *const ends[] = { ".tar",    ".tgz",     ".txz",    ".tzst",
					    ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst" };
	size_t len = strlen(name), end_len;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		end_len = strlen(ends[i]);
		if (len > end_len && strcmp(name + len - end_len, ends[i]) == 0)
			return true;
	}
	return false;
}

static bool is_directory(const char *name)
{
	struct stat st;

	return stat(name, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The moment is that of the first look, after the mount has committed all it had. */
static int open_workspace(struct run *run)
{
	struct cairn_core_options core_options = CAIRN_CORE_OPTIONS_DEFAULT;
	const struct cairn_store_options options = {
		.read_only = true,
		.busy_timeout_ms = BUSY_TIMEOUT_MS,
		.one_moment = true,
	};
	struct cairn_store *store = NULL;
	int r;

	r = cairn_resolve_workspace(run->in->args.value[0], &run->path, NULL, run->err);
	if (r == 0 && access(run->path, F_OK) == 0)
		r = cairn_live_find(run->path, &run->live, run->err);
	if (r == 0)
		r = cairn_live_commit(&run->live, run->err);
	if (r == 0)
		r = cairn_store_open(run->path, &options, &store, run->err);
	if (r < 0)
		return r;
	core_options.read_only = core_options.keep_orphans = true;
	r = cairn_core_open(store, &core_options, NULL, &run->core);
	if (r == 0)
		r = cairn_core_below(run->core, run->in->from, false, &run->dir);
	if (r < 0)
		return cairn_error_set(run->err, r, "'%s' is no directory of the workspace: %s",
				       run->in->from, strerror(-r));
	return cairn_core_source_open(run->core, run->dir, run->bulk, &run->source, run->err);
}

static int export_archive(struct run *run, int fd, const char *name)
{
	_cleanup_(cairn_tree_sink_closep) struct cairn_tree_sink *sink = NULL;
	int r;

	r = cairn_tar_sink_open(fd, name, run->bulk, &sink, run->err);
	return r < 0 ? r : cairn_tree_copy(run->source, sink, run->err);
}

/* The archive is there when it is whole. */
static int export_to_archive(struct run *run, const char *to)
{
	_cleanup_(cairn_draft_done) struct cairn_draft draft = CAIRN_DRAFT_NONE;
	int r;

	r = cairn_draft_begin(&draft, to, run->bulk->overwrite, 0666, run->err);
	if (r == 0)
		r = export_archive(run, draft.fd, to);
	return r == 0 ? cairn_draft_place(&draft, run->bulk->overwrite, run->err) : r;
}

/* What would be cleaned away with the rest. */
static int check_clean(struct run *run, const char *to)
{
	_cleanup_(cairn_freep) char *real = realpath(to, NULL);

	if (!real)
		return cairn_error_set(run->err, -errno, "cannot resolve '%s': %m", to);
	if (cairn_path_is_below(run->path, real))
		return cairn_error_set(run->err, -EINVAL,
				       "'%s' holds the workspace itself, and is not cleaned; name "
				       "another directory",
				       to);
	return 0;
}

static int open_directory(struct run *run, const char *to)
{
	int fd;

	if (mkdir(to, 0777) < 0 && errno != EEXIST)
		return cairn_error_set(run->err, -errno, "cannot make the directory '%s': %m", to);
	fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOTDIR)
		return cairn_error_set(run->err, -ENOTDIR,
				       "'%s' is no directory, and its name is none of an archive's "
				       "(.tar, .tar.gz, ...)",
				       to);
	return fd < 0 ? cairn_error_set(run->err, -errno, "cannot open '%s': %m", to) : fd;
}

static int export_to_directory(struct run *run, const char *to)
{
	_cleanup_(cairn_tree_sink_closep) struct cairn_tree_sink *sink = NULL;
	_cleanup_(cairn_closep) int fd = -1;
	int r = 0;

	fd = open_directory(run, to);
	if (fd < 0)
		return fd;
	if (run->bulk->clean)
		r = check_clean(run, to);
	if (r == 0)
		r = cairn_dir_sink_open(fd, to, run->bulk, false, &sink, run->err);
	if (r == 0)
		r = cairn_tree_copy_entries(run->source, sink, run->err);
	if (r == 0 && run->bulk->clean)
		r = cairn_bulk_clean(fd, to, run->core, run->dir, run->bulk, run->err);
	return r == 0 ? sink->ops->finish(sink, run->err) : r;
}

static int export(struct run *run)
{
	const char *to = run->in->args.value[1];
	bool is_stdout = strcmp(to, "-") == 0,
	     is_archive = is_archive_name(to) && !is_directory(to);
	int r;

	if (run->bulk->clean && (is_stdout || is_archive))
		return cairn_error_set(run->err, -EINVAL,
				       "--clean is for a directory, not an "
				       "archive");
	if (is_stdout && isatty(STDOUT_FILENO))
		return cairn_error_set(run->err, -EINVAL,
				       "an archive is nothing for a terminal; send it to a file or "
				       "a program");
	r = open_workspace(run);
	if (r < 0)
		return r;
	if (is_stdout)
		return export_archive(run, STDOUT_FILENO, "standard output");
	return is_archive ? export_to_archive(run, to) : export_to_directory(run, to);
}

static int print(const struct export_args *in, const struct run *run)
{
	const char *to = in->args.value[1];
	json_t *root;

	/* Standard output has the archive. */
	if (strcmp(to, "-") == 0)
		return run->bulk->left > 0 ? CAIRN_EXIT_FAILURE : 0;
	if (!in->json)
		return cairn_cli_bulk_print(in->run, "exported", "to", to);
	root = json_object();
	json_object_set_new(root, "workspace", cairn_json_text(run->path));
	json_object_set_new(root, "to", cairn_json_text(to));
	return cairn_cli_bulk_json(in->run, root);
}

int cairn_cmd_export(int argc, char **argv)
{
	struct cairn_cli_bulk bulk = { 0 };
	struct export_args in = {
		.args = { .command = "cairnfs export", .names = "WORKSPACE DIR|TAR|-", .want = 2 },
		.from = "/",
		.run = &bulk,
	};
	struct cairn_error err = { 0 };
	_cleanup_(run_done) struct run run = { .in = &in, .bulk = &bulk.bulk, .err = &err };
	int r;

	r = cairn_cli_parse(&argp, argc, argv, &in);
	if (r != 0)
		return r;
	cairn_cli_bulk_begin(&bulk, "exporting");
	r = export(&run);
	cairn_cli_bulk_end(&bulk);
	return r < 0 ? cairn_cli_fail_with(r, &err) : print(&in, &run);
}
