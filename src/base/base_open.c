/* What stands at the path of a base decides which kind it is. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/kinds.h"
#include "util/macro.h"

/* By the identity of the file: one workspace has many spellings. Never opens one, see
 * store/probe.h.
 */
static int check_above(const char *path, const struct stat *st,
		       const struct cairn_base_above *above, struct cairn_error *err)
{
	unsigned int depth = 0;

	for (; above; above = above->next) {
		struct stat other;

		if (stat(above->workspace, &other) == 0 && other.st_dev == st->st_dev &&
		    other.st_ino == st->st_ino)
			return cairn_error_set(err, -ELOOP,
					       "'%s' lies under itself: it is the base of an "
					       "overlay that is its own base in turn; give one of "
					       "them another base",
					       path);
		if (++depth > CAIRN_BASE_DEPTH_MAX)
			return cairn_error_set(err, -ELOOP,
					       "'%s' lies under more than %u overlays; accept the "
					       "changes of some of them into their bases",
					       path, CAIRN_BASE_DEPTH_MAX);
	}
	return 0;
}

/* SQLite opens the files beside a database by name, and we look whether it is still the same. A
 * directory is held open, and may lie there. */
static int check_mount_point(const char *path, const char *mount_point, struct cairn_error *err)
{
	_cleanup_(cairn_freep) char *real = realpath(path, NULL);
	size_t len = mount_point ? strlen(mount_point) : 0;

	if (!real)
		return -errno;
	if (!mount_point || strncmp(real, mount_point, len) != 0 || real[len] != '/')
		return 0;
	return cairn_error_set(
		err, -EINVAL,
		"the base '%s' lies in the mount point %s, which would hide it; choose "
		"another directory",
		path, mount_point);
}

int cairn_base_open(const char *path, const struct cairn_base_options *options,
		    struct cairn_base **ret, struct cairn_error *err)
{
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return cairn_error_set(err, -errno,
				       "the base '%s' cannot be opened: %s; put it back where it "
				       "was, check its permissions, or say where it is now with "
				       "'cairnfs relocate'",
				       path, strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return cairn_error_set(
			err, -EINVAL, "the base '%s' is neither a workspace nor a directory", path);
	r = check_above(path, &st, options->above, err);
	if (r < 0)
		return r;
	if (S_ISDIR(st.st_mode))
		return cairn_base_dir_open(path, options, ret, err);
	r = check_mount_point(path, options->mount_point, err);
	if (r < 0)
		return r;
	return cairn_base_store_open(path, options, ret, err);
}

int cairn_base_walk(struct cairn_base *base, const char *path, struct cairn_attr *ret)
{
	struct cairn_attr attr;
	int r;

	r = base->ops->getattr(base, base->ops->root(base), &attr);
	path += strspn(path, "/");
	while (r == 0 && *path) {
		size_t len = strcspn(path, "/");

		if (len > CAIRN_NAME_MAX)
			return -ENOENT;
		r = base->ops->lookup(base, attr.ino, path, len, &attr);
		path += len;
		path += strspn(path, "/");
	}
	if (r < 0)
		return r == -ENOTDIR ? -ENOENT : r;
	*ret = attr;
	return 0;
}
