/* cairnfs reject: a branch is empty again, and what it held is kept for a while. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "branch/branch.h"
#include "branch/trash.h"
#include "cli/branch_args.h"
#include "mount/json.h"
#include "mount/mark.h"
#include "mount/resolve.h"
#include "store/restore.h"

#define BUSY_TIMEOUT_MS 5000U

enum { KEY_PURGE = 256 };

struct reject_args {
	struct cairn_cli_args args;
	bool purge, json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct reject_args *in = state->input;

	switch (key) {
	case KEY_PURGE:
		in->purge = true;
		return 0;
	case 'j':
		in->json = true;
		return 0;
	default:
		return cairn_cli_parse_common(key, arg, state, &in->args);
	}
}

static const struct argp_option option_table[] = {
	{ "purge", KEY_PURGE, NULL, 0, "Keep nothing", 0 },
	{ "json", 'j', NULL, 0, "Print one JSON object", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.args_doc = "WORKSPACE",
	.children = cairn_cli_help,
	.doc = "Empty a branch: it shows its base and nothing else.\vWhat it held, keys included, "
	       "is "
	       "kept in the directory .cairnfs-trash beside it until 'cairnfs gc'. It must not be "
	       "mounted; 'cairnfs reset' drops changes of a mounted one. WORKSPACE is a path, or "
	       "an "
	       "id that stands for .agentfs/ID.db below the working directory.",
};

/* What the new one has of the old one. */
static int look(const char *path, struct cairn_init_options *ret, struct cairn_attr *ret_root,
		struct cairn_store_info *ret_info, struct cairn_error *err)
{
	struct cairn_branch branch = { 0 };
	int r;

	r = cairn_branch_open(path, false, &branch, err);
	if (r < 0)
		return r;
	r = cairn_branch_open_base(&branch, err);
	if (r == 0)
		r = branch.base->ops->getattr(branch.base, branch.base->ops->root(branch.base),
					      ret_root);
	cairn_branch_close(&branch);
	if (r == 0)
		r = cairn_sqlite_store_info(path, ret_info, err);
	if (r < 0)
		return r;
	ret_root->nlink = 2;
	*ret = (struct cairn_init_options){
		.chunk_size = ret_info->chunk_size,
		.page_size = ret_info->page_size,
		.force = true,
		.base = ret_info->base_path,
		.base_ignore = ret_info->base_ignore,
		.root = ret_root,
	};
	return 0;
}

static int reject(const char *path, bool purge, char kept[PATH_MAX], struct cairn_error *err)
{
	_cleanup_(cairn_mark_releasep) struct cairn_mark *mark = NULL;
	struct cairn_init_options options = { 0 };
	struct cairn_store_info info = { 0 };
	struct cairn_attr root = { 0 };
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return cairn_error_set(err, -errno, "there is no workspace '%s'", path);
	r = cairn_mark_take(path, NULL, false, &mark, err);
	if (r < 0)
		return r;
	r = look(path, &options, &root, &info, err);
	/* The file alone is to hold everything. */
	if (r == 0)
		r = cairn_restore_check_unused(path, BUSY_TIMEOUT_MS, err);
	if (r == 0 && !purge)
		r = cairn_trash_keep(path, kept, err);
	if (r == 0) {
		r = cairn_sqlite_store_init(path, &options, err);
		if (r < 0 && !purge)
			cairn_trash_release(kept);
	}
	/* Whose it was and who might read it stays so, as far as we may. */
	if (r == 0 &&
	    (chown(path, st.st_uid, st.st_gid) < 0 || chmod(path, st.st_mode & 07777) < 0))
		r = errno == EPERM ? 0
				   : cairn_error_set(err, -errno,
						     "'%s' is empty, but its permissions are "
						     "new: %s",
						     path, strerror(errno));
	free(info.base_path);
	free(info.base_ignore);
	return r;
}

int cairn_cmd_reject(int argc, char **argv)
{
	struct reject_args in = {
		.args = { .command = "cairnfs reject", .names = "WORKSPACE", .want = 1 }
	};
	_cleanup_(cairn_freep) char *path = NULL;
	struct cairn_error err = { 0 };
	char kept[PATH_MAX] = "";
	json_t *root;
	int r;

	r = cairn_cli_parse(&argp, argc, argv, &in);
	if (r != 0)
		return r;
	r = cairn_resolve_workspace(in.args.value[0], &path, NULL, &err);
	if (r == 0)
		r = reject(path, in.purge, kept, &err);
	if (r < 0)
		return cairn_cli_fail_with(r, &err);
	if (in.json) {
		root = json_object();
		json_object_set_new(root, "workspace", cairn_json_text(path));
		json_object_set_new(root, "kept", cairn_json_text(in.purge ? NULL : kept));
		return cairn_cli_print_json(root);
	}
	printf("%s is empty, over the same base.\n", path);
	if (!in.purge)
		printf("What it held is kept in %s\n"
		       "To have it again: cairnfs restore %s %s\n",
		       kept, kept, in.args.value[0]);
	return 0;
}
