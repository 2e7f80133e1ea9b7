/* Extended attributes of the files of a host directory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/dir.h"

bool cairn_base_xattr_is_shown(const char *name)
{
	static const char *const names[] = { "security.capability", "system.posix_acl_access",
					     "system.posix_acl_default" };

	if (strncmp(name, "user.", 5) == 0 || strncmp(name, "trusted.", 8) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static int open_for_xattr(struct dir_base *b, uint64_t ino, struct dir_node *ret,
			  struct cairn_dir_proc_path *ret_path)
{
	int r;

	r = cairn_dir_open_node(b, ino, ret);
	if (r == 0 && ret->fd >= 0)
		*ret_path = cairn_dir_proc_path(ret->fd);
	return r;
}

int cairn_dir_xattr_get(struct cairn_base *base, uint64_t ino, const char *name, void **ret,
			size_t *ret_len)
{
	_cleanup_(dir_nodep) struct dir_node node = { .fd = -1 };
	_cleanup_(cairn_freep) char *value = malloc(CAIRN_XATTR_MAX + 1);
	struct cairn_dir_proc_path path;
	ssize_t n;
	int r;

	if (!value)
		return -ENOMEM;
	r = open_for_xattr(CONTAINER_OF(base, struct dir_base, base), ino, &node, &path);
	if (r < 0)
		return r;
	if (node.fd < 0 || !cairn_base_xattr_is_shown(name))
		return -ENOENT;
	n = getxattr(path.text, name, value, CAIRN_XATTR_MAX);
	if (n < 0)
		return errno == ENODATA || errno == ENOTSUP ? -ENOENT : -errno;
	*ret_len = (size_t)n;
	*ret = realloc(value, (size_t)n + 1) ?: value;
	value = NULL;
	return 0;
}

/* The list as a new buffer of *ret_len bytes. */
static int list_xattrs(const char *path, char **ret, size_t *ret_len)
{
	_cleanup_(cairn_freep) char *list = NULL;
	ssize_t n, size = listxattr(path, NULL, 0);

	while (size > 0) {
		char *larger = realloc(list, (size_t)size);

		if (!larger)
			return -ENOMEM;
		list = larger;
		n = listxattr(path, list, (size_t)size);
		if (n >= 0 || errno != ERANGE) {
			size = n;
			break;
		}
		size = listxattr(path, NULL, 0);
	}
	if (size < 0)
		return errno == ENOTSUP ? 0 : -errno;
	*ret = TAKE_PTR(list);
	*ret_len = (size_t)size;
	return 0;
}

int cairn_dir_xattr_scan(struct cairn_base *base, uint64_t ino, cairn_xattr_fn fn, void *arg)
{
	_cleanup_(dir_nodep) struct dir_node node = { .fd = -1 };
	_cleanup_(cairn_freep) char *list = NULL;
	struct cairn_dir_proc_path path;
	size_t len = 0;
	int r;

	r = open_for_xattr(CONTAINER_OF(base, struct dir_base, base), ino, &node, &path);
	if (r < 0 || node.fd < 0)
		return r;
	r = list_xattrs(path.text, &list, &len);
	for (const char *name = list; r == 0 && name < list + len; name += strlen(name) + 1)
		if (cairn_base_xattr_is_shown(name))
			r = fn(arg, name);
	return r;
}
