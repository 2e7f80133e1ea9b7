/* cairnfs fork: another workspace that begins as this one is at this moment. */
#include <stdio.h>

#include "cli/cli.h"
#include "mount/json.h"
#include "mount/number.h"
#include "mount/resolve.h"
#include "store/clone.h"

static const struct argp_option option_table[] = {
	{ "json", 'j', NULL, 0, "Print one JSON object", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = cairn_cli_parse_plain,
	.args_doc = "WORKSPACE NEW",
	.children = cairn_cli_help,
	.doc = "Make another workspace that begins as this one is at this moment, mounted or "
	       "not.\vWhere the file system can share blocks between files (XFS, btrfs) the two "
	       "share what neither changes, and it takes no time. WORKSPACE and NEW are paths, or "
	       "ids that stand for .agentfs/ID.db below the working directory.",
};

static int fork_workspace(const struct cairn_cli_args *in, char **ret_path, char **ret_new,
			  struct cairn_clone_result *ret, struct cairn_error *err)
{
	_cleanup_(cairn_freep) char *made_dir = NULL;
	int r;

	r = cairn_resolve_workspace(in->value[0], ret_path, NULL, err);
	if (r < 0)
		return r;
	r = cairn_cli_new_workspace(in->value[1], ret_new, &made_dir, err);
	if (r < 0)
		return r;
	r = cairn_cli_copy(*ret_path, *ret_new, false, ret, err);
	if (r < 0 && made_dir)
		rmdir(made_dir);
	return r;
}

static int print_json(const char *path, const char *new_path,
		      const struct cairn_clone_result *result)
{
	json_t *root = json_object();

	json_object_set_new(root, "workspace", cairn_json_text(path));
	json_object_set_new(root, "new", cairn_json_text(new_path));
	json_object_set_new(root, "size", json_integer((json_int_t)result->size));
	json_object_set_new(root, "shared", json_boolean(result->shared));
	return cairn_cli_print_json(root);
}

int cairn_cmd_fork(int argc, char **argv)
{
	struct cairn_cli_args in = { .command = "cairnfs fork",
				     .names = "WORKSPACE NEW",
				     .want = 2 };
	_cleanup_(cairn_freep) char *path = NULL, *new_path = NULL;
	struct cairn_clone_result result = { 0 };
	struct cairn_error err = { 0 };
	char size[CAIRN_SIZE_TEXT_MAX];
	int r;

	r = cairn_cli_parse(&argp, argc, argv, &in);
	if (r != 0)
		return r;
	r = fork_workspace(&in, &path, &new_path, &result, &err);
	if (r < 0)
		return cairn_cli_fail_with(r, &err);
	if (in.json)
		return print_json(path, new_path, &result);
	cairn_size_format(result.size, size);
	printf("%s begins as %s is now (%s%s).\n"
	       "Mount it on an empty directory: cairnfs mount %s DIR\n",
	       new_path, path, size, result.shared ? ", sharing its blocks" : "", in.value[1]);
	return 0;
}
