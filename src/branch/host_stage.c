#include "branch/host_stage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER (256 << 10)

struct cairn_kept_name cairn_stage_name(struct cairn_host *host)
{
	struct cairn_kept_name name;

	snprintf(name.text, sizeof(name.text), "%" PRId64 "-%u", host->last, ++host->files);
	return name;
}

bool cairn_stage_may_give(const struct cairn_host *host, uid_t uid, gid_t gid)
{
	static const char name[] = "a";
	bool may;

	if (geteuid() == 0)
		return true;
	if (mkdirat(host->kept, name, 0700) < 0)
		return false;
	may = fchownat(host->kept, name, uid, gid, AT_SYMLINK_NOFOLLOW) == 0;
	unlinkat(host->kept, name, AT_REMOVEDIR);
	return may;
}

struct xattrs {
	struct cairn_branch *branch;
	uint64_t row, node;
	struct cairn_xattr_list *list;
};

static int add_own(void *arg, const char *name)
{
	const struct xattrs *x = arg;
	_cleanup_(cairn_freep) void *value = NULL;
	size_t len = 0;
	int r;

	if (!cairn_base_xattr_is_shown(name))
		return 0;
	r = x->branch->own->ops->xattr_get(x->branch->reader, x->row, name, &value, &len);
	return r < 0 ? r : cairn_xattr_list_add(x->list, name, value, len);
}

int cairn_stage_row_xattrs(struct cairn_branch *branch, uint64_t row, struct cairn_xattr_list *ret)
{
	struct xattrs x = { .branch = branch, .row = row, .list = ret };

	return branch->own->ops->xattr_scan(branch->reader, row, add_own, &x);
}

static int add_base(void *arg, const char *name)
{
	const struct xattrs *x = arg;
	_cleanup_(cairn_freep) void *value = NULL;
	size_t len = 0;
	int r;

	r = x->branch->base->ops->xattr_get(x->branch->base, x->node, name, &value, &len);
	return r < 0 ? r : cairn_xattr_list_add(x->list, name, value, len);
}

/* Those of the file that it replaces, where the branch has not changed them. */
static int get_xattrs(const struct cairn_stager *s, const struct cairn_change *c,
		      struct cairn_xattr_list *ret)
{
	struct xattrs x = { .branch = s->branch, .node = c->was.ino, .list = ret };
	int r;

	if (!c->content.node || c->what & CAIRN_CHANGED_XATTR)
		return cairn_stage_row_xattrs(s->branch, c->row, ret);
	r = s->branch->base->ops->xattr_scan(s->branch->base, c->was.ino, add_base, &x);
	return r == -EOPNOTSUPP ? 0 : r;
}

/* What the host does not let us set is told of. */
static int set_attr(const struct cairn_stager *s, const struct cairn_change *c,
		    const struct cairn_host_at *at)
{
	struct cairn_host_attr attr = {
		.has_mode = true,
		.mode = c->now.mode & 07777,
		.has_mtime = !S_ISDIR(c->now.mode),
		.mtime = c->now.mtime,
	};
	_cleanup_(cairn_xattr_list_free) struct cairn_xattr_list xattrs = { 0 };
	struct stat st;
	int r;

	if (S_ISDIR(c->now.mode))
		attr.mode |= 0700;
	if (fstatat(at->dir, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if ((st.st_uid != c->now.uid || st.st_gid != c->now.gid) &&
	    fchownat(at->dir, at->name, c->now.uid, c->now.gid, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != EPERM)
			return -errno;
		s->left->owners++;
	}
	r = get_xattrs(s, c, &xattrs);
	if (r == 0)
		r = cairn_host_xattrs_set(at, &xattrs);
	if (r == -EPERM || r == -EOPNOTSUPP)
		s->left->xattrs++;
	else if (r < 0)
		return r;
	return cairn_host_attr_set(at, &attr);
}

struct writing {
	struct cairn_branch *branch;
	const struct cairn_content *content;
	unsigned char *buffer;
	int fd;
};

static bool is_zero(const unsigned char *bytes, size_t size)
{
	return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static int write_stretch(void *arg, int64_t from, int64_t to)
{
	const struct writing *w = arg;

	while (from < to) {
		size_t size = (size_t)MIN(to - from, (int64_t)BUFFER);
		size_t done = 0;
		int r;

		r = cairn_content_read(w->branch, w->content, from, w->buffer, size);
		if (r < 0)
			return r;
		/* Over a copy of the base's file, zeros count. */
		if (!w->content->node && is_zero(w->buffer, size))
			done = size;
		while (done < size) {
			ssize_t n =
				pwrite(w->fd, w->buffer + done, size - done, from + (int64_t)done);

			if (n < 0 && errno != EINTR)
				return -errno;
			done += n > 0 ? (size_t)n : 0;
		}
		from += (int64_t)size;
	}
	return 0;
}

/* Opens a file of the directory, if it is still the one that was looked at. */
static int open_base(const struct cairn_stager *s, const char *path, const struct cairn_attr *was)
{
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	_cleanup_(cairn_closep) int fd = -1;
	struct stat st;
	int r;

	r = cairn_host_find(s->host, path, &at);
	if (r < 0)
		return r;
	fd = cairn_host_open_at(&at, O_RDONLY);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ESTALE;
	if (was && (st.st_size != was->size || st.st_mtim.tv_sec != was->mtime.tv_sec ||
		    st.st_mtim.tv_nsec != was->mtime.tv_nsec))
		return -ESTALE;
	return TAKE_FD(fd);
}

static int write_content(const struct cairn_stager *s, const struct cairn_change *c, int fd)
{
	struct writing w = { .branch = s->branch, .content = &c->content, .fd = fd };
	_cleanup_(cairn_freep) unsigned char *buffer = malloc(BUFFER);
	_cleanup_(cairn_closep) int base = -1;
	int r = buffer ? 0 : -ENOMEM;

	w.buffer = buffer;
	if (r == 0 && c->content.node) {
		base = open_base(s, c->from, &c->was);
		r = base < 0 ? base : cairn_host_copy(base, fd, MIN(c->was.size, c->content.size));
	}
	if (r == 0)
		r = cairn_content_changed(s->branch, &c->content, write_stretch, &w);
	return r == 0 && ftruncate(fd, c->content.size) < 0 ? -errno : r;
}

static int make_file(const struct cairn_stager *s, const struct cairn_change *c,
		     const struct cairn_host_at *at)
{
	_cleanup_(cairn_closep) int fd = -1;
	int r;

	fd = cairn_host_open_at(at, O_RDWR | O_CREAT | O_EXCL);
	if (fd < 0)
		return fd;
	r = write_content(s, c, fd);
	if (r == 0)
		r = set_attr(s, c, at);
	return r == 0 && s->host->sync_each && fsync(fd) < 0 ? -errno : r;
}

static int make_other(const struct cairn_stager *s, const struct cairn_change *c,
		      const struct cairn_host_at *at)
{
	_cleanup_(cairn_freep) char *target = NULL;
	int r = 0;

	if (S_ISDIR(c->now.mode)) {
		r = mkdirat(at->dir, at->name, 0700) < 0 ? -errno : 0;
	} else if (S_ISLNK(c->now.mode)) {
		r = s->branch->own->ops->symlink_get(s->branch->reader, c->row, &target);
		if (r == 0 && symlinkat(target, at->dir, at->name) < 0)
			r = -errno;
	} else if (mknodat(at->dir, at->name, (c->now.mode & S_IFMT) | 0600, (dev_t)c->now.rdev) <
		   0) {
		r = -errno;
	}
	return r < 0 ? r : set_attr(s, c, at);
}

int cairn_stage_new(const struct cairn_stager *s, const struct cairn_change *c, const char *path)
{
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	int r;

	r = cairn_host_find_kept(s->host, path, &at);
	if (r < 0)
		return r;
	return S_ISREG(c->now.mode) ? make_file(s, c, &at) : make_other(s, c, &at);
}

int cairn_stage_close_dir(const struct cairn_stager *s, const struct cairn_change *c,
			  const char *path)
{
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	_cleanup_(cairn_closep) int fd = -1;
	int r;

	r = cairn_host_find_kept(s->host, path, &at);
	if (r == 0)
		r = cairn_host_mtime_set(&at, &c->now.mtime);
	if (r < 0 || !s->host->sync_each)
		return r;
	fd = cairn_host_open_at(&at, O_RDONLY | O_DIRECTORY);
	return fd < 0 ? fd : fsync(fd) < 0 ? -errno : 0;
}

int cairn_stage_copy(const struct cairn_stager *s, const char *from, const char *path)
{
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	_cleanup_(cairn_closep) int base = -1, fd = -1;
	struct stat st;
	int r;

	r = cairn_host_find_kept(s->host, path, &at);
	if (r < 0)
		return r;
	base = open_base(s, from, NULL);
	if (base < 0)
		return base;
	if (fstat(base, &st) < 0)
		return -errno;
	fd = cairn_host_open_at(&at, O_RDWR | O_CREAT | O_EXCL);
	if (fd < 0)
		return fd;
	r = cairn_host_copy(base, fd, st.st_size);
	if (r == 0 && fchmod(fd, st.st_mode & 07777) < 0)
		r = -errno;
	if (r == 0)
		r = cairn_host_mtime_set(&at, &st.st_mtim);
	return r == 0 && s->host->sync_each && fsync(fd) < 0 ? -errno : r;
}

int cairn_stage_link(const struct cairn_stager *s, const char *from, bool is_kept, const char *path)
{
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	_cleanup_(cairn_host_atp) struct cairn_host_at to = CAIRN_HOST_NOWHERE;
	int r;

	r = is_kept ? cairn_host_find_kept(s->host, from, &at)
		    : cairn_host_find(s->host, from, &at);
	if (r == 0)
		r = cairn_host_find_kept(s->host, path, &to);
	if (r < 0)
		return r;
	return linkat(at.dir, at.name, to.dir, to.name, 0) < 0 ? -errno : 0;
}
