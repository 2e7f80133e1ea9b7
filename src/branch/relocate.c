/* Naming another place of the base. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "branch/branch.h"

struct check {
	struct cairn_branch *branch;
	const char *base_path;
	struct cairn_error *err;
};

static int check_seen(void *arg, const char *path, const struct cairn_seen *seen)
{
	const struct check *check = arg;
	struct cairn_base *base = check->branch->base;
	struct cairn_attr attr = { 0 };
	int r;

	r = base->ops->resolve(base, path, &attr);
	if (r < 0 && r != -ENOENT && r != -ENOTDIR)
		return cairn_error_set(check->err, r, "%s of the base '%s' cannot be read: %s",
				       path, check->base_path, strerror(-r));
	if (r == 0 && (attr.mode & S_IFMT) == (seen->mode & S_IFMT))
		return 0;
	return cairn_error_set(
		check->err, -ESTALE,
		"'%s' is not the base that '%s' has seen: %s %s there; give the path "
		"of the right one, or --force where that has changed since",
		check->base_path, check->branch->path, path,
		r == 0 ? "is of another type" : "is not");
}

static int put(struct cairn_branch *branch, const char *base_path)
{
	struct cairn_store *own = branch->own;
	int r;

	r = own->ops->begin(own);
	if (r < 0)
		return r;
	r = own->branch->base_path_put(own, base_path);
	if (r == 0)
		r = own->ops->commit(own);
	if (r < 0)
		own->ops->rollback(own);
	return r;
}

int cairn_branch_relocate(struct cairn_branch *branch, const char *base_path, bool force,
			  struct cairn_error *err)
{
	struct check check = { .branch = branch, .base_path = base_path, .err = err };
	char *path = strdup(base_path);
	int r;

	if (!path)
		return -ENOMEM;
	free(branch->base_path);
	branch->base_path = path;
	r = cairn_branch_open_base(branch, err);
	if (r == 0 && !force)
		r = branch->own->branch->seen_scan(branch->reader, check_seen, &check);
	if (r < 0)
		return r;
	r = put(branch, base_path);
	return r < 0 ? cairn_error_set(err, r, "'%s' cannot be changed: %s", branch->path,
				       strerror(-r))
		     : 0;
}
