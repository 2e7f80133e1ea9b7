/* A directory of the host, or of a mount, as the sink of a tree.
 *
 * Every name is reached from the top by openat(2) without following a link, and only the directory
 * that was reached last stays open. A file is made anew under its name: nothing is ever written
 * into one that was there. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "bulk/links.h"
#include "bulk/path.h"
#include "bulk/remove.h"
#include "bulk/tree.h"
#include "util/macro.h"

/* While a tree is made, its directories are the maker's alone. */
#define DIR_MODE      0700
#define IMPLICIT_MODE 0777 /* of a directory without an entry; less the umask */

/* A directory that gets its attributes at the end. */
struct made_dir {
	char *path;
	struct cairn_attr attr;
};

struct dir_sink {
	struct cairn_tree_sink base;
	char *name; /* of the top, for the words */
	bool root;  /* the caller is */
	bool repeats;
	int top;
	int dir; /* the directory of `dir_path` */
	char *dir_path;
	struct made_dir *dirs;
	size_t dir_count, dir_capacity;
	struct cairn_links made; /* files made here, where a path may come twice */
	bool told_no_xattrs;

	/* The file that is being written: */
	int file;
	struct cairn_tree_entry entry;
	char *path;
};

static struct dir_sink *sink_of(struct cairn_tree_sink *base)
{
	return CONTAINER_OF(base, struct dir_sink, base);
}

static int failed(const struct dir_sink *sink, int r, const char *what, const char *path,
		  struct cairn_error *err)
{
	return cairn_error_set(err, r, "cannot %s '%s%s%s': %s", what, sink->name,
			       path[0] ? "/" : "", path, strerror(-r));
}

static int open_dir(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Opens the next directory on a way, with `make` made where it is missing. */
static int open_or_make(int at, const char *name, bool make)
{
	int fd = open_dir(at, name);

	if (fd != -ENOENT || !make)
		return fd;
	if (mkdirat(at, name, IMPLICIT_MODE) < 0 && errno != EEXIST)
		return -errno;
	return open_dir(at, name);
}

/* Walks from a directory down a path of `len` bytes; a descriptor that is the caller's. */
static int walk(int from, const char *path, size_t len, bool make)
{
	_cleanup_(cairn_closep) int at = fcntl(from, F_DUPFD_CLOEXEC, 0);
	char name[NAME_MAX + 1];
	size_t name_len;
	int next;

	if (at < 0)
		return -errno;
	for (const char *end = path + len; path < end; path += name_len + 1) {
		name_len = MIN(strcspn(path, "/"), (size_t)(end - path));
		if (name_len > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, path, name_len);
		name[name_len] = '\0';
		next = open_or_make(at, name, make);
		if (next < 0)
			return next;
		close(at);
		at = next;
	}
	return TAKE_FD(at);
}

/* Whether the path of `len` bytes lies below the directory that is open; how much of it is known.
 */
static size_t known_part(const struct dir_sink *sink, const char *path, size_t len)
{
	size_t known = sink->dir_path ? strlen(sink->dir_path) : 0;

	if (known == 0 || known > len || strncmp(path, sink->dir_path, known) != 0)
		return 0;
	if (known == len)
		return len;
	return path[known] == '/' ? known + 1 : 0;
}

/* Opens the directory that holds `path`; it stays the sink's. */
static int reach(struct dir_sink *sink, const char *path)
{
	const char *name = cairn_tree_path_name(path);
	size_t len = name == path ? 0 : (size_t)(name - path) - 1;
	size_t known = known_part(sink, path, len);
	char *dir_path;
	int fd;

	if (sink->dir >= 0 && sink->dir_path && strlen(sink->dir_path) == len && known == len)
		return 0;
	dir_path = strndup(path, len);
	if (!dir_path)
		return -ENOMEM;
	fd = walk(known > 0 ? sink->dir : sink->top, path + known, len - known, true);
	if (fd < 0) {
		free(dir_path);
		return fd;
	}
	free(sink->dir_path);
	sink->dir_path = dir_path;
	if (sink->dir >= 0)
		close(sink->dir);
	sink->dir = fd;
	return 0;
}

static int reach_for(struct dir_sink *sink, const char *path, struct cairn_error *err)
{
	int r = reach(sink, path);

	if (r == -ENOTDIR || r == -ELOOP)
		return cairn_error_set(err, -ENOTDIR,
				       "'%s/%s' cannot be made: something that is no directory is "
				       "on the way there, and nothing is written through a link",
				       sink->name, path);
	return r < 0 ? failed(sink, r, "reach", path, err) : 0;
}

static int note_dir(struct dir_sink *sink, const struct cairn_tree_entry *entry)
{
	struct made_dir *dir;

	if (sink->dir_count == sink->dir_capacity) {
		size_t capacity = sink->dir_capacity ? 2 * sink->dir_capacity : 64;
		void *dirs = reallocarray(sink->dirs, capacity, sizeof(*dir));

		if (!dirs)
			return -ENOMEM;
		sink->dirs = dirs;
		sink->dir_capacity = capacity;
	}
	dir = &sink->dirs[sink->dir_count];
	dir->attr = entry->attr;
	dir->path = strdup(entry->path);
	if (!dir->path)
		return -ENOMEM;
	sink->dir_count++;
	return 0;
}

/* What lacks extended attributes as a whole is told of once. */
static int set_xattr(struct dir_sink *sink, int fd, const char *through,
		     const struct cairn_tree_xattr *xattr)
{
	int r = fd >= 0 ? fsetxattr(fd, xattr->name, xattr->value, xattr->size, 0)
			: lsetxattr(through, xattr->name, xattr->value, xattr->size, 0);

	if (r == 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EPERM)
		return -errno;
	if (errno == EOPNOTSUPP && !sink->told_no_xattrs)
		cairn_bulk_leave_out(sink->base.bulk,
				     "'%s' takes no extended attribute like %s; all such are left "
				     "out (a mount takes them with -o xattr)",
				     sink->name, xattr->name);
	sink->told_no_xattrs |= errno == EOPNOTSUPP;
	return 0;
}

/* By descriptor, or by name in the directory that is open. */
static int set_xattrs(struct dir_sink *sink, int fd, const char *name,
		      const struct cairn_tree_entry *entry)
{
	char through[64 + NAME_MAX];
	int r = 0;

	if (fd < 0)
		snprintf(through, sizeof(through), "/proc/self/fd/%d/%s", sink->dir, name);
	for (size_t i = 0; r == 0 && i < entry->xattr_count; i++)
		if (cairn_tree_xattr_counts(entry->xattrs[i].name, sink->root))
			r = set_xattr(sink, fd, through, &entry->xattrs[i]);
	return r;
}

static bool is_owner_wrong(const struct dir_sink *sink, const struct cairn_attr *attr,
			   const struct stat *st)
{
	return sink->base.bulk->keep_owner && (st->st_uid != attr->uid || st->st_gid != attr->gid);
}

/* What is so already costs no call: in a mount, each is a request. Owner before mode, from which a
 * change of owner takes the set-id bits; times last. */
static int set_attr_of_fd(const struct dir_sink *sink, int fd, const struct cairn_attr *attr,
			  const struct stat *st)
{
	const struct timespec times[2] = { attr->atime, attr->mtime };
	bool owner = is_owner_wrong(sink, attr, st);

	if (owner && fchown(fd, attr->uid, attr->gid) < 0)
		return -errno;
	if ((owner || (st->st_mode & 07777) != (attr->mode & 07777)) &&
	    fchmod(fd, attr->mode & 07777) < 0)
		return -errno;
	return futimens(fd, times) < 0 ? -errno : 0;
}

static int set_attr_of_name(const struct dir_sink *sink, const char *name,
			    const struct cairn_attr *attr)
{
	const struct timespec times[2] = { attr->atime, attr->mtime };

	if (sink->base.bulk->keep_owner &&
	    fchownat(sink->dir, name, attr->uid, attr->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISLNK(attr->mode) &&
	    fchmodat(sink->dir, name, attr->mode & 07777, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return utimensat(sink->dir, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* What is in the way of an entry goes, if it may. */
static int clear_way(struct dir_sink *sink, const struct cairn_tree_entry *entry,
		     struct cairn_error *err)
{
	const struct cairn_bulk *bulk = sink->base.bulk;
	const char *name = cairn_tree_path_name(entry->path);
	struct stat st;

	if (fstatat(sink->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : failed(sink, -errno, "look at", entry->path, err);
	if (bulk->clean && S_ISDIR(st.st_mode) != S_ISDIR(entry->attr.mode)) {
		int r = cairn_bulk_remove(sink->dir, name);

		return r < 0 ? failed(sink, r, "remove", entry->path, err) : 0;
	}
	if (S_ISDIR(st.st_mode))
		return cairn_error_set(err, -EISDIR,
				       "'%s/%s' is a directory, and is not replaced by what is "
				       "none; remove it first",
				       sink->name, entry->path);
	if (S_ISDIR(entry->attr.mode))
		return cairn_error_set(
			err, -ENOTDIR,
			"'%s/%s' is no directory, and is not replaced by one; remove "
			"it first",
			sink->name, entry->path);
	if (!bulk->overwrite && !cairn_links_has(&sink->made, st.st_dev, st.st_ino))
		return cairn_error_set(err, -EEXIST,
				       "'%s/%s' is there already; --overwrite replaces it",
				       sink->name, entry->path);
	if (unlinkat(sink->dir, name, 0) < 0 && errno != ENOENT)
		return failed(sink, -errno, "replace", entry->path, err);
	cairn_links_remove(&sink->made, st.st_dev, st.st_ino);
	return 0;
}

/* A directory that was there may be closed to its owner; its attributes come at the end. */
static int open_up(const struct dir_sink *sink, int fd)
{
	struct stat st;

	if (sink->root)
		return 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_mode & 0700) != 0700 && fchmod(fd, (st.st_mode & 07777) | 0700) < 0)
		return -errno;
	return 0;
}

static int make_dir(struct dir_sink *sink, const struct cairn_tree_entry *entry,
		    struct cairn_error *err)
{
	_cleanup_(cairn_closep) int fd = -1;
	const char *name = cairn_tree_path_name(entry->path);
	int r;

	if (entry->path[0]) {
		if (mkdirat(sink->dir, name, DIR_MODE) < 0 && errno != EEXIST)
			return -errno;
		fd = open_dir(sink->dir, name);
		if (fd == -ENOTDIR || fd == -ELOOP) {
			r = clear_way(sink, entry, err);
			if (r < 0)
				return r;
			fd = mkdirat(sink->dir, name, DIR_MODE) < 0 ? -errno
								    : open_dir(sink->dir, name);
		}
	} else {
		fd = open_dir(sink->top, ".");
	}
	if (fd < 0)
		return fd;
	r = open_up(sink, fd);
	if (r == 0)
		r = set_xattrs(sink, fd, name, entry);
	return r == 0 ? note_dir(sink, entry) : r;
}

static int make_link(struct dir_sink *sink, const struct cairn_tree_entry *entry)
{
	const char *name = cairn_tree_path_name(entry->path);
	const char *old_name = cairn_tree_path_name(entry->link);
	_cleanup_(cairn_closep) int at = -1;

	at = walk(sink->top, entry->link,
		  old_name == entry->link ? 0 : (size_t)(old_name - entry->link) - 1, false);
	if (at < 0)
		return at;
	return linkat(at, old_name, sink->dir, name, 0) < 0 ? -errno : 0;
}

/* What is neither file nor directory, nor a second name. */
static int make_special(struct dir_sink *sink, const struct cairn_tree_entry *entry)
{
	const char *name = cairn_tree_path_name(entry->path);
	const struct cairn_attr *attr = &entry->attr;
	int r;

	if (S_ISLNK(attr->mode))
		r = symlinkat(entry->target, sink->dir, name);
	else
		r = mknodat(sink->dir, name, (attr->mode & S_IFMT) | 0600, (dev_t)attr->rdev);
	if (r < 0)
		return -errno;
	r = set_xattrs(sink, -1, name, entry);
	return r == 0 ? set_attr_of_name(sink, name, attr) : r;
}

static int make_other(struct dir_sink *sink, const struct cairn_tree_entry *entry)
{
	int r = entry->link ? make_link(sink, entry) : make_special(sink, entry);

	/* Devices are root's to make; some file systems have no fifos either. */
	if (r == -EPERM && !entry->link && !S_ISLNK(entry->attr.mode)) {
		cairn_bulk_leave_out(sink->base.bulk,
				     "'%s/%s' is a device or the like that only root may make; it "
				     "is left out",
				     sink->name, entry->path);
		return 0;
	}
	return r;
}

static int open_file(struct dir_sink *sink, const struct cairn_tree_entry *entry)
{
	const char *name = cairn_tree_path_name(entry->path);
	int fd, r;

	fd = openat(sink->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    entry->attr.mode & 0777);
	if (fd < 0)
		return -errno;
	sink->file = fd;
	free(sink->path);
	sink->path = strdup(entry->path);
	if (!sink->path)
		return -ENOMEM;
	r = set_xattrs(sink, fd, name, entry);
	if (r < 0)
		return r;
	sink->entry = *entry;
	sink->entry.path = sink->path;
	return 1;
}

static int note_made(struct dir_sink *sink, const char *name)
{
	struct stat st;

	if (!sink->repeats)
		return 0;
	if (fstatat(sink->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno; /* it was left out */
	if (cairn_links_has(&sink->made, st.st_dev, st.st_ino))
		return 0;
	return cairn_links_add(&sink->made, st.st_dev, st.st_ino, NULL);
}

static int make(struct dir_sink *sink, const struct cairn_tree_entry *entry,
		struct cairn_error *err)
{
	int r;

	if (S_ISDIR(entry->attr.mode))
		return make_dir(sink, entry, err);
	for (int tries = 0;; tries++) {
		if (S_ISREG(entry->attr.mode) && !entry->link)
			r = open_file(sink, entry);
		else
			r = make_other(sink, entry);
		if (r != -EEXIST || tries > 0)
			break;
		r = clear_way(sink, entry, err);
		if (r < 0)
			return r;
	}
	if (r >= 0 && note_made(sink, cairn_tree_path_name(entry->path)) < 0)
		return -ENOMEM;
	return r;
}

static int dir_begin(struct cairn_tree_sink *base, const struct cairn_tree_entry *entry,
		     struct cairn_error *err)
{
	struct dir_sink *sink = sink_of(base);
	int r;

	r = entry->path[0] ? reach_for(sink, entry->path, err) : 0;
	if (r < 0)
		return r;
	r = make(sink, entry, err);
	return r < 0 ? failed(sink, r, "make", entry->path, err) : r;
}

static int dir_data(struct cairn_tree_sink *base, const void *buf, size_t size, int64_t offset,
		    struct cairn_error *err)
{
	struct dir_sink *sink = sink_of(base);
	const char *bytes = buf;

	while (size > 0) {
		ssize_t n = pwrite(sink->file, bytes, size, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(sink, -errno, "write", sink->path, err);
		bytes += n;
		offset += n;
		size -= (size_t)n;
	}
	return 0;
}

static int dir_end(struct cairn_tree_sink *base, struct cairn_error *err)
{
	struct dir_sink *sink = sink_of(base);
	_cleanup_(cairn_closep) int fd = TAKE_FD(sink->file);
	struct stat st;
	int r = 0;

	/* It may end in a hole. */
	if (fstat(fd, &st) < 0 ||
	    (st.st_size != sink->entry.attr.size && ftruncate(fd, sink->entry.attr.size) < 0))
		r = -errno;
	if (r == 0)
		r = set_attr_of_fd(sink, fd, &sink->entry.attr, &st);
	/* Some file systems tell only now that there was no room. */
	if (r == 0 && close(TAKE_FD(fd)) < 0)
		r = -errno;
	return r < 0 ? failed(sink, r, "finish", sink->path, err) : 0;
}

static int finish_dir(struct dir_sink *sink, const struct made_dir *dir)
{
	_cleanup_(cairn_closep) int fd = -1;
	struct stat st;

	fd = walk(sink->top, dir->path, strlen(dir->path), false);
	if (fd < 0)
		return fd;
	return fstat(fd, &st) < 0 ? -errno : set_attr_of_fd(sink, fd, &dir->attr, &st);
}

/* What is inside comes before what is around it: that one may be closed to us then. */
static int dir_finish(struct cairn_tree_sink *base, struct cairn_error *err)
{
	struct dir_sink *sink = sink_of(base);
	int r;

	for (size_t i = sink->dir_count; i-- > 0;) {
		r = finish_dir(sink, &sink->dirs[i]);
		if (r < 0)
			return failed(sink, r, "finish", sink->dirs[i].path, err);
	}
	return 0;
}

static void dir_close(struct cairn_tree_sink *base)
{
	struct dir_sink *sink = sink_of(base);

	for (size_t i = 0; i < sink->dir_count; i++)
		free(sink->dirs[i].path);
	free(sink->dirs);
	cairn_links_done(&sink->made);
	cairn_closep(&sink->file);
	cairn_closep(&sink->dir);
	cairn_closep(&sink->top);
	free(sink->dir_path);
	free(sink->path);
	free(sink->name);
	free(sink);
}

static const struct cairn_tree_sink_ops dir_ops = {
	.begin = dir_begin,
	.data = dir_data,
	.end = dir_end,
	.finish = dir_finish,
	.close = dir_close,
};

int cairn_dir_sink_open(int fd, const char *name, struct cairn_bulk *bulk, bool repeats,
			struct cairn_tree_sink **ret, struct cairn_error *err)
{
	struct dir_sink *sink = calloc(1, sizeof(*sink));
	_cleanup_(cairn_tree_sink_closep) struct cairn_tree_sink *base = NULL;

	if (!sink)
		return -ENOMEM;
	sink->base = (struct cairn_tree_sink){ .ops = &dir_ops, .bulk = bulk };
	sink->dir = sink->file = -1;
	sink->repeats = repeats;
	sink->root = geteuid() == 0;
	sink->top = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	sink->name = strdup(name);
	base = &sink->base;
	if (sink->top < 0 || !sink->name)
		return cairn_error_set(err, -ENOMEM, "cannot write to '%s': out of memory", name);
	*ret = TAKE_PTR(base);
	return 0;
}

int cairn_dir_below(int fd, const char *path, bool make)
{
	_cleanup_(cairn_freep) char *clean = strdup(path);

	if (!clean)
		return -ENOMEM;
	cairn_tree_path_clean(clean);
	return walk(fd, clean, strlen(clean), make);
}
