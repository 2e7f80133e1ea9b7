/* cairnfs info: what a workspace says about itself, and who has it mounted. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "mount/json.h"
#include "mount/mark.h"
#include "mount/number.h"
#include "mount/process.h"
#include "mount/resolve.h"
#include "store/store.h"

static const struct argp_option option_table[] = {
	{ "json", 'j', NULL, 0, "Print one JSON object; sizes are bytes", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = cairn_cli_parse_plain,
	.args_doc = "WORKSPACE",
	.children = cairn_cli_help,
	.doc = "Tell what is in a workspace and who has it mounted.\vThe figures are those of the "
	       "last commit. WORKSPACE is a path, or an id that stands for .agentfs/ID.db below "
	       "the working directory.",
};

struct info {
	char *path;
	struct cairn_store_info store;
	struct cairn_mark_info mark; /* all zero without one */
};

static void info_done(struct info *info)
{
	free(info->path);
	free(info->store.base_path);
	free(info->store.base_ignore);
	cairn_mark_info_done(&info->mark);
}

static int read_info(const char *workspace, struct info *info, struct cairn_error *err)
{
	int r;

	r = cairn_resolve_workspace(workspace, &info->path, NULL, err);
	if (r < 0)
		return r;
	r = cairn_sqlite_store_info(info->path, &info->store, err);
	if (r < 0)
		return cairn_error_set(err, r, "%s: %s", info->path, strerror(-r));
	r = cairn_mark_read(info->path, &info->mark);
	return r == -ENOMEM ? r : 0;
}

static json_t *mount_json(const struct cairn_mark_info *mark)
{
	char user[CAIRN_USER_NAME_MAX];
	json_t *root;
	uid_t uid;

	if (!mark->live)
		return json_null();
	root = json_object();
	json_object_set_new(root, "directory", cairn_json_text(mark->directory));
	json_object_set_new(root, "pid", json_integer(mark->pid));
	json_object_set_new(root, "started", cairn_json_text(mark->started));
	if (cairn_process_user(mark->pid, &uid) == 0) {
		cairn_cli_user_name(uid, user);
		json_object_set_new(root, "uid", json_integer(uid));
		json_object_set_new(root, "user", cairn_json_text(user));
	}
	return root;
}

static int print_json(const struct info *info)
{
	const struct cairn_store_info *store = &info->store;
	json_t *root = json_object();

	json_object_set_new(root, "path", cairn_json_text(info->path));
	json_object_set_new(root, "format", cairn_json_text(store->schema_version));
	json_object_set_new(root, "file_size", json_integer((json_int_t)store->file_size));
	json_object_set_new(root, "used", json_integer((json_int_t)store->used));
	json_object_set_new(root, "wal_size", json_integer((json_int_t)store->wal_size));
	json_object_set_new(root, "page_size", json_integer((json_int_t)store->page_size));
	json_object_set_new(root, "chunk_size", json_integer((json_int_t)store->chunk_size));
	json_object_set_new(root, "inodes", json_integer((json_int_t)store->inodes));
	json_object_set_new(root, "data_bytes", json_integer((json_int_t)store->data_bytes));
	json_object_set_new(root, "base", cairn_json_text(store->base_path));
	json_object_set_new(root, "mount", mount_json(&info->mark));
	json_object_set_new(root, "last_error",
			    cairn_json_text(info->mark.live ? NULL : info->mark.error));
	return cairn_cli_print_json(root);
}

static void print_size(const char *label, uint64_t bytes)
{
	char text[CAIRN_SIZE_TEXT_MAX];

	cairn_size_format(bytes, text);
	printf("%-12s%s\n", label, text);
}

static void print_mount(const struct cairn_mark_info *mark)
{
	char user[CAIRN_USER_NAME_MAX];
	uid_t uid;

	if (!mark->live) {
		puts("mounted     no");
		if (mark->error)
			printf("last mount  %s\n", mark->error);
		return;
	}
	if (mark->directory)
		printf("mounted     on %s by process %d", mark->directory, mark->pid);
	else
		printf("in use      by process %d", mark->pid);
	if (cairn_process_user(mark->pid, &uid) == 0) {
		cairn_cli_user_name(uid, user);
		printf(" of %s", user);
	}
	printf(" since %s\n", mark->started ? mark->started : "?");
}

static void print_text(const struct info *info)
{
	const struct cairn_store_info *store = &info->store;

	printf("workspace   %s\n", info->path);
	printf("format      AgentFS %s\n", store->schema_version);
	print_size("file size", store->file_size);
	print_size("in use", store->used);
	print_size("log (WAL)", store->wal_size);
	print_size("page size", store->page_size);
	print_size("chunk size", store->chunk_size);
	printf("inodes      %" PRIu64 "\n", store->inodes);
	print_size("file data", store->data_bytes);
	printf("base        %s\n", store->base_path ? store->base_path : "none");
	print_mount(&info->mark);
}

int cairn_cmd_info(int argc, char **argv)
{
	struct cairn_cli_args in = { .command = "cairnfs info", .names = "WORKSPACE", .want = 1 };
	_cleanup_(info_done) struct info info = { 0 };
	struct cairn_error err = { 0 };
	int r;

	r = cairn_cli_parse(&argp, argc, argv, &in);
	if (r != 0)
		return r;
	r = read_info(in.value[0], &info, &err);
	if (r < 0)
		return cairn_cli_fail_with(r, &err);
	if (in.json)
		return print_json(&info);
	print_text(&info);
	return 0;
}
