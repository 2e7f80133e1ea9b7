/* Attributes of what lies at a place, and the bytes of files. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#include "branch/host.h"
#include "util/file.h"

#define BUFFER (256 << 10)

/* Where the calls that take a path, and follow no link at its end, find the place. */
struct through {
	char path[32 + NAME_MAX];
};

static struct through through(const struct cairn_host_at *at)
{
	struct through t;

	snprintf(t.path, sizeof(t.path), "/proc/self/fd/%d/%s", at->dir, at->name);
	return t;
}

static int list_names(const char *path, char **ret, size_t *ret_len)
{
	for (;;) {
		ssize_t size = llistxattr(path, NULL, 0), n;
		char *list;

		if (size < 0)
			return errno == ENOTSUP ? 0 : -errno;
		list = malloc((size_t)size + 1);
		if (!list)
			return -ENOMEM;
		n = llistxattr(path, list, (size_t)size);
		if (n >= 0) {
			*ret = list;
			*ret_len = (size_t)n;
			return 0;
		}
		free(list);
		if (errno != ERANGE)
			return -errno;
	}
}

int cairn_host_xattrs_get(const struct cairn_host_at *at, struct cairn_xattr_list *ret)
{
	_cleanup_(cairn_freep) char *names = NULL, *value = malloc(CAIRN_XATTR_MAX);
	struct cairn_xattr_list list = { 0 };
	struct through t = through(at);
	size_t len = 0;
	int r;

	r = value ? list_names(t.path, &names, &len) : -ENOMEM;
	for (const char *name = names; r == 0 && name && name < names + len;
	     name += strlen(name) + 1) {
		ssize_t n;

		if (!cairn_base_xattr_is_shown(name))
			continue;
		n = lgetxattr(t.path, name, value, CAIRN_XATTR_MAX);
		if (n < 0)
			r = errno == ENODATA ? 0 : -errno;
		else
			r = cairn_xattr_list_add(&list, name, value, (size_t)n);
	}
	if (r < 0) {
		cairn_xattr_list_free(&list);
		return r;
	}
	*ret = list;
	return 0;
}

static const struct cairn_xattr_item *item_of(const struct cairn_xattr_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->list[i].name, name) == 0)
			return &list->list[i];
	return NULL;
}

static bool has_item(const struct cairn_xattr_list *list, const struct cairn_xattr_item *item)
{
	const struct cairn_xattr_item *other = item_of(list, item->name);

	return other && other->len == item->len &&
	       memcmp(other->value, item->value, item->len) == 0;
}

bool cairn_host_xattrs_equal(const struct cairn_xattr_list *a, const struct cairn_xattr_list *b)
{
	for (size_t i = 0; i < a->count; i++)
		if (!has_item(b, &a->list[i]))
			return false;
	return a->count == b->count;
}

int cairn_host_xattrs_set(const struct cairn_host_at *at, const struct cairn_xattr_list *list)
{
	_cleanup_(cairn_xattr_list_free) struct cairn_xattr_list now = { 0 };
	struct through t = through(at);
	int r;

	r = cairn_host_xattrs_get(at, &now);
	for (size_t i = 0; r == 0 && i < now.count; i++)
		if (!item_of(list, now.list[i].name) &&
		    lremovexattr(t.path, now.list[i].name) < 0 && errno != ENODATA)
			r = -errno;
	for (size_t i = 0; (r == 0 || r == -EPERM || r == -EOPNOTSUPP) && i < list->count; i++) {
		const struct cairn_xattr_item *item = &list->list[i];

		if (!has_item(&now, item) &&
		    lsetxattr(t.path, item->name, item->value, item->len, 0) < 0)
			r = -errno;
	}
	return r;
}

int cairn_host_mtime_set(const struct cairn_host_at *at, const struct timespec *mtime)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, *mtime };

	return utimensat(at->dir, at->name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* Owner before mode, from which a change of owner takes the set-id bits; a list of rights has a say
 * in the mode as well; times last. */
int cairn_host_attr_set(const struct cairn_host_at *at, const struct cairn_host_attr *attr)
{
	struct stat st;
	int r = 0;

	if (fstatat(at->dir, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (attr->has_owner && (st.st_uid != attr->uid || st.st_gid != attr->gid) &&
	    fchownat(at->dir, at->name, attr->uid, attr->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (attr->has_xattrs)
		r = cairn_host_xattrs_set(at, &attr->xattrs);
	if (r == 0 && attr->has_mode && !S_ISLNK(st.st_mode) &&
	    fchmodat(at->dir, at->name, attr->mode, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	return r == 0 && attr->has_mtime ? cairn_host_mtime_set(at, &attr->mtime) : r;
}

static int copy_range(int from, int to, off_t at, off_t end)
{
	_cleanup_(cairn_freep) char *buffer = NULL;

	while (at < end) {
		off_t in = at, out = at;
		ssize_t n = copy_file_range(from, &in, to, &out, (size_t)(end - at), 0);
		int r;

		if (n > 0) {
			at += n;
			continue;
		}
		if (!buffer && !(buffer = malloc(BUFFER)))
			return -ENOMEM;
		n = pread(from, buffer, (size_t)MIN(end - at, (off_t)BUFFER), at);
		if (n <= 0)
			return n < 0 ? -errno : 0;
		r = cairn_write_all(to, buffer, (size_t)n, at);
		if (r < 0)
			return r;
		at += n;
	}
	return 0;
}

/* Holes stay holes. */
static int copy_data(int from, int to, int64_t size)
{
	off_t at = 0;
	int r = 0;

	while (r == 0 && at < size) {
		off_t data = lseek(from, at, SEEK_DATA);
		off_t end = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);

		if (data < 0 && errno == ENXIO)
			return 0;
		if (end < 0) {
			data = at;
			end = size;
		}
		at = MIN(end, (off_t)size);
		r = copy_range(from, to, data, at);
	}
	return r;
}

int cairn_host_copy(int from, int to, int64_t size)
{
	int r;

	if (ioctl(to, FICLONE, from) == 0)
		return ftruncate(to, size) < 0 ? -errno : 0;
	if (ftruncate(to, 0) < 0)
		return -errno;
	r = copy_data(from, to, size);
	return r == 0 && ftruncate(to, size) < 0 ? -errno : r;
}
