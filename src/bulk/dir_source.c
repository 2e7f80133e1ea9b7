/* A directory of the host as the source of a tree.
 *
 * Of the directories that are being walked only the innermost is open, so that a tree may be as
 * deep as it likes: the way up leads through "..", which is looked at before it is trusted. What
 * vanishes while the tree is walked is passed over, as if it had never been there. */
#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "bulk/links.h"
#include "bulk/path.h"
#include "bulk/tree.h"
#include "util/macro.h"

#define BUFFER_SIZE (UINT64_C(1) << 20)

/* The names of a directory, in the order of their inodes: that of the disk, as a rule. */
struct names {
	struct name {
		uint64_t ino;
		size_t at; /* in text */
	} * list;
	size_t count, capacity;
	char *text;
	size_t len, text_capacity;
};

struct level {
	dev_t dev;
	ino_t ino;
	size_t path_len; /* of the directory's path */
	struct names names;
	size_t next;
};

struct dir_source {
	struct cairn_tree_source base;
	char *name; /* of the top, for the words */
	bool root;  /* the caller is */
	int dir;    /* the innermost directory */
	dev_t dev;  /* of the top */
	struct level *levels;
	size_t depth, capacity;
	struct cairn_tree_path path;
	bool begun;
	/* What to pass over, by the directory it is in and its name. */
	bool has_skip;
	struct stat skip_dir;
	char skip_name[NAME_MAX + 1];
	struct cairn_links links;

	/* Of the present entry: */
	int file;
	int64_t size; /* of its data */
	char *target;
	struct cairn_tree_xattr *xattrs;
	size_t xattr_count;
	struct cairn_tree_extent *extents;
	size_t extent_count, extent_capacity;
	size_t extent;  /* the next to be read */
	int64_t offset; /* in it */
	char *buffer;
};

static struct dir_source *source_of(struct cairn_tree_source *base)
{
	return CONTAINER_OF(base, struct dir_source, base);
}

static int failed(const struct dir_source *source, int r, const char *what, struct cairn_error *err)
{
	return cairn_error_set(err, r, "cannot %s '%s%s%s': %s", what, source->name,
			       source->path.len > 0 ? "/" : "",
			       source->path.text ? source->path.text : "", strerror(-r));
}

static void names_done(struct names *names)
{
	free(names->list);
	free(names->text);
	*names = (struct names){ 0 };
}

static int names_add(struct names *names, uint64_t ino, const char *name)
{
	size_t len = strlen(name) + 1;

	if (names->count == names->capacity) {
		size_t capacity = names->capacity ? 2 * names->capacity : 32;
		void *list = reallocarray(names->list, capacity, sizeof(*names->list));

		if (!list)
			return -ENOMEM;
		names->list = list;
		names->capacity = capacity;
	}
	if (names->len + len > names->text_capacity) {
		size_t capacity = MAX(2 * names->text_capacity, names->len + len + 512);
		char *text = realloc(names->text, capacity);

		if (!text)
			return -ENOMEM;
		names->text = text;
		names->text_capacity = capacity;
	}
	memcpy(names->text + names->len, name, len);
	names->list[names->count++] = (struct name){ .ino = ino, .at = names->len };
	names->len += len;
	return 0;
}

static int by_inode(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int read_names(int fd, struct names *ret)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	struct dirent *entry;
	int copy, r = 0;

	copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = copy >= 0 ? fdopendir(copy) : NULL;
	if (!dir) {
		r = -errno;
		if (copy >= 0)
			close(copy);
		return r;
	}
	for (errno = 0; r == 0 && (entry = readdir(dir)); errno = 0)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = names_add(ret, entry->d_ino, entry->d_name);
	if (r == 0 && errno)
		r = -errno;
	if (ret->count > 1)
		qsort(ret->list, ret->count, sizeof(*ret->list), by_inode);
	return r;
}

/* Goes into a directory that is open at `fd`, which is the source's from here on. */
static int enter(struct dir_source *source, int fd, const struct stat *st)
{
	_cleanup_(cairn_closep) int dir = fd;
	struct level level = { .dev = st->st_dev, .ino = st->st_ino };
	int r;

	level.path_len = source->path.len;
	if (source->depth == source->capacity) {
		size_t capacity = source->capacity ? 2 * source->capacity : 16;
		void *levels = reallocarray(source->levels, capacity, sizeof(level));

		if (!levels)
			return -ENOMEM;
		source->levels = levels;
		source->capacity = capacity;
	}
	r = read_names(dir, &level.names);
	if (r < 0) {
		names_done(&level.names);
		return r;
	}
	source->levels[source->depth++] = level;
	if (source->dir >= 0)
		close(source->dir);
	source->dir = TAKE_FD(dir);
	return 0;
}

/* Goes back to the directory above. */
static int leave(struct dir_source *source)
{
	struct level *above;
	struct stat st;
	int up;

	names_done(&source->levels[--source->depth].names);
	if (source->depth == 0)
		return 0;
	above = &source->levels[source->depth - 1];
	up = openat(source->dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (up < 0)
		return -errno;
	if (fstat(up, &st) < 0 || st.st_dev != above->dev || st.st_ino != above->ino) {
		close(up);
		return -ESTALE; /* it was moved away under us */
	}
	close(source->dir);
	source->dir = up;
	return 0;
}

static void forget_entry(struct dir_source *source)
{
	if (source->file >= 0)
		close(TAKE_FD(source->file));
	free(TAKE_PTR(source->target));
	for (size_t i = 0; i < source->xattr_count; i++) {
		free(source->xattrs[i].name);
		free(source->xattrs[i].value);
	}
	free(TAKE_PTR(source->xattrs));
	source->xattr_count = 0;
	source->extent_count = 0;
	source->extent = 0;
	source->offset = 0;
}

/* Extended attributes are read by descriptor where there is one, and by a path that leads through
 * the open directory where there is none: of what is no file and no directory. */
struct xattr_place {
	int fd;
	char path[64 + NAME_MAX];
};

static ssize_t list_xattrs(const struct xattr_place *place, char *list, size_t size)
{
	return place->fd >= 0 ? flistxattr(place->fd, list, size)
			      : llistxattr(place->path, list, size);
}

static ssize_t get_xattr(const struct xattr_place *place, const char *name, void *value,
			 size_t size)
{
	return place->fd >= 0 ? fgetxattr(place->fd, name, value, size)
			      : lgetxattr(place->path, name, value, size);
}

static int add_xattr(struct dir_source *source, const struct xattr_place *place, const char *name)
{
	_cleanup_(cairn_freep) char *value = NULL, *copy = NULL;
	struct cairn_tree_xattr *xattrs;
	ssize_t size;

	size = get_xattr(place, name, NULL, 0);
	if (size < 0)
		return errno == ENODATA ? 0 : -errno;
	value = malloc((size_t)size + 1);
	copy = strdup(name);
	xattrs = reallocarray(source->xattrs, source->xattr_count + 1, sizeof(*xattrs));
	if (xattrs)
		source->xattrs = xattrs;
	if (!value || !copy || !xattrs)
		return -ENOMEM;
	size = get_xattr(place, name, value, (size_t)size);
	if (size < 0)
		return errno == ENODATA || errno == ERANGE ? 0 : -errno;
	xattrs[source->xattr_count++] = (struct cairn_tree_xattr){
		.name = TAKE_PTR(copy),
		.value = TAKE_PTR(value),
		.size = (size_t)size,
	};
	return 0;
}

static int read_xattrs(struct dir_source *source, int fd, const char *name)
{
	_cleanup_(cairn_freep) char *list = NULL;
	struct xattr_place place = { .fd = fd };
	ssize_t size;
	int r = 0;

	/* Others than root can have no attributes of what is neither file nor directory. */
	if (fd < 0 && !source->root)
		return 0;
	if (fd < 0)
		snprintf(place.path, sizeof(place.path), "/proc/self/fd/%d/%s", source->dir, name);
	size = list_xattrs(&place, NULL, 0);
	if (size <= 0)
		return size == 0 || errno == EOPNOTSUPP || errno == ENOENT ? 0 : -errno;
	list = malloc((size_t)size);
	if (!list)
		return -ENOMEM;
	size = list_xattrs(&place, list, (size_t)size);
	if (size < 0)
		return errno == ERANGE ? 0 : -errno;
	for (char *at = list; r == 0 && at < list + size; at += strlen(at) + 1)
		if (cairn_tree_xattr_counts(at, source->root))
			r = add_xattr(source, &place, at);
	return r;
}

static int read_target(struct dir_source *source, const char *name)
{
	char buf[PATH_MAX];
	ssize_t n;

	n = readlinkat(source->dir, name, buf, sizeof(buf));
	if (n < 0)
		return -errno;
	if (n == (ssize_t)sizeof(buf))
		return -ENAMETOOLONG;
	source->target = strndup(buf, (size_t)n);
	return source->target ? 0 : -ENOMEM;
}

static int add_extent(struct dir_source *source, int64_t from, int64_t to)
{
	if (source->extent_count == source->extent_capacity) {
		size_t capacity = source->extent_capacity ? 2 * source->extent_capacity : 16;
		void *extents = reallocarray(source->extents, capacity, sizeof(*source->extents));

		if (!extents)
			return -ENOMEM;
		source->extents = extents;
		source->extent_capacity = capacity;
	}
	source->extents[source->extent_count++] =
		(struct cairn_tree_extent){ .offset = from, .size = to - from };
	return 0;
}

/* Where the data of a file is. One that has blocks for all of its size has no holes. */
static int find_extents(struct dir_source *source, const struct stat *st, bool *ret_sparse)
{
	off_t from = 0, to;
	int r = 0;

	source->size = st->st_size;
	*ret_sparse = st->st_blocks < (st->st_size + 511) / 512;
	if (!*ret_sparse)
		return st->st_size > 0 ? add_extent(source, 0, st->st_size) : 0;
	while (r == 0 && from < st->st_size) {
		from = lseek(source->file, from, SEEK_DATA);
		if (from < 0)
			return errno == ENXIO ? 0 : -errno;
		to = lseek(source->file, from, SEEK_HOLE);
		if (to < 0)
			return -errno;
		to = MIN(to, st->st_size);
		if (from < to)
			r = add_extent(source, from, to);
		from = to;
	}
	return r;
}

/* Opens a file without moving its time of access, where that is ours to say. */
static int open_file(int dir, const char *name, int flags)
{
	int fd;

	flags |= O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
	fd = openat(dir, name, flags | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = openat(dir, name, flags);
	return fd < 0 ? -errno : fd;
}

static struct cairn_attr attr_of(const struct stat *st)
{
	return (struct cairn_attr){
		.mode = st->st_mode,
		.nlink = (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.rdev = st->st_rdev,
		.size = S_ISREG(st->st_mode) ? st->st_size : 0,
		.atime = st->st_atim,
		.mtime = st->st_mtim,
		.ctime = st->st_ctim,
	};
}

/* A regular file, open; what is no longer one is -ENOENT. */
static int open_regular(struct dir_source *source, const char *name, struct stat *st,
			struct cairn_tree_entry *ret)
{
	int r;

	source->file = open_file(source->dir, name, 0);
	if (source->file < 0) {
		r = source->file;
		source->file = -1;
		return r == -ELOOP ? -ENOENT : r;
	}
	if (fstat(source->file, st) < 0)
		return -errno;
	if (!S_ISREG(st->st_mode))
		return -ENOENT;
	r = find_extents(source, st, &ret->sparse);
	if (r < 0)
		return r;
	ret->extents = source->extents;
	ret->extent_count = source->extent_count;
	return 0;
}

/* An earlier name of the same file. */
static int find_link(struct dir_source *source, const struct stat *st, struct cairn_tree_entry *ret)
{
	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return 0;
	ret->link = cairn_links_find(&source->links, st->st_dev, st->st_ino);
	if (ret->link)
		return 0;
	return cairn_links_add(&source->links, st->st_dev, st->st_ino, source->path.text);
}

static int look_at_directory(struct dir_source *source, const char *name, struct stat *st)
{
	_cleanup_(cairn_closep) int fd = open_file(source->dir, name, O_DIRECTORY);
	int r;

	if (fd < 0)
		return fd == -ENOTDIR || fd == -ELOOP ? -ENOENT : fd;
	if (fstat(fd, st) < 0)
		return -errno;
	r = read_xattrs(source, fd, name);
	return r == 0 ? enter(source, TAKE_FD(fd), st) : r;
}

/* Fills the entry for a name in the innermost directory; its path is there already. */
static int look(struct dir_source *source, const char *name, struct cairn_tree_entry *ret)
{
	struct stat st;
	int r;

	if (fstatat(source->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	r = find_link(source, &st, ret);
	if (r < 0)
		return r;
	if (S_ISDIR(st.st_mode) && st.st_dev != source->dev) {
		cairn_bulk_leave_out(source->base.bulk,
				     "'%s/%s' is the top of another file system; what is in it is "
				     "left out",
				     source->name, source->path.text);
	} else if (S_ISDIR(st.st_mode)) {
		r = look_at_directory(source, name, &st);
	} else if (S_ISREG(st.st_mode) && !ret->link) {
		r = open_regular(source, name, &st, ret);
	} else if (S_ISLNK(st.st_mode)) {
		r = read_target(source, name);
		ret->target = source->target;
	}
	if (r == 0 && !S_ISDIR(st.st_mode) && !ret->link)
		r = read_xattrs(source, source->file, name);
	ret->attr = attr_of(&st);
	return r;
}

static bool is_skipped(const struct dir_source *source, const struct level *level, const char *name)
{
	size_t len = strlen(source->skip_name);

	return source->has_skip && level->dev == source->skip_dir.st_dev &&
	       level->ino == source->skip_dir.st_ino &&
	       strncmp(name, source->skip_name, len) == 0 && (!name[len] || name[len] == '-');
}

static int next_name(struct dir_source *source, struct cairn_tree_entry *ret,
		     struct cairn_error *err)
{
	struct level *level = &source->levels[source->depth - 1];
	const char *name = level->names.text + level->names.list[level->next++].at;
	int r;

	if (is_skipped(source, level, name))
		return 0;
	r = cairn_tree_path_push(&source->path, name);
	if (r < 0)
		return r;
	*ret = (struct cairn_tree_entry){ 0 };
	r = look(source, name, ret);
	if (r == -ENOENT) {
		forget_entry(source);
		cairn_tree_path_cut(&source->path, level->path_len);
		return 0;
	}
	return r < 0 ? failed(source, r, "read", err) : 1;
}

static int first(struct dir_source *source, struct cairn_tree_entry *ret, struct cairn_error *err)
{
	struct stat st;
	int r;

	source->begun = true;
	*ret = (struct cairn_tree_entry){ 0 };
	r = fstat(source->dir, &st) < 0 ? -errno : 0;
	if (r == 0)
		r = read_xattrs(source, source->dir, NULL);
	ret->attr = attr_of(&st);
	return r < 0 ? failed(source, r, "read", err) : 1;
}

static int dir_next(struct cairn_tree_source *base, struct cairn_tree_entry *ret,
		    struct cairn_error *err)
{
	struct dir_source *source = source_of(base);
	int r = 0;

	forget_entry(source);
	if (!source->begun)
		r = first(source, ret, err);
	while (r == 0 && source->depth > 0) {
		struct level *level = &source->levels[source->depth - 1];

		cairn_tree_path_cut(&source->path, level->path_len);
		if (level->next < level->names.count) {
			r = next_name(source, ret, err);
			continue;
		}
		r = leave(source);
		if (r < 0)
			return failed(source, r, "go back from", err);
	}
	if (r <= 0)
		return r;
	ret->path = source->path.text ? source->path.text : "";
	ret->xattrs = source->xattrs;
	ret->xattr_count = source->xattr_count;
	return 1;
}

/* A file may have become shorter since it was looked at. */
static int ended_early(struct dir_source *source)
{
	cairn_bulk_leave_out(source->base.bulk,
			     "'%s/%s' became shorter while it was read; what is missing is zeros",
			     source->name, source->path.text);
	source->extent = source->extent_count;
	return 0;
}

static int dir_data(struct cairn_tree_source *base, const void **ret, size_t *ret_size,
		    int64_t *ret_offset, struct cairn_error *err)
{
	struct dir_source *source = source_of(base);
	const struct cairn_tree_extent *extent;
	ssize_t n;

	if (source->extent == source->extent_count)
		return 0;
	extent = &source->extents[source->extent];
	do
		n = pread(source->file, source->buffer,
			  (size_t)MIN((uint64_t)(extent->size - source->offset), BUFFER_SIZE),
			  extent->offset + source->offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return failed(source, -errno, "read", err);
	if (n == 0)
		return ended_early(source);
	*ret = source->buffer;
	*ret_size = (size_t)n;
	*ret_offset = extent->offset + source->offset;
	source->offset += n;
	if (source->offset == extent->size) {
		source->extent++;
		source->offset = 0;
	}
	return 1;
}

static void dir_close(struct cairn_tree_source *base)
{
	struct dir_source *source = source_of(base);

	forget_entry(source);
	while (source->depth > 0)
		names_done(&source->levels[--source->depth].names);
	free(source->levels);
	free(source->extents);
	free(source->buffer);
	free(source->name);
	cairn_links_done(&source->links);
	cairn_tree_path_done(&source->path);
	cairn_closep(&source->dir);
	free(source);
}

static const struct cairn_tree_source_ops dir_ops = {
	.next = dir_next,
	.data = dir_data,
	.close = dir_close,
};

static void note_skip(struct dir_source *source, const char *skip)
{
	char dir[PATH_MAX], name[PATH_MAX];

	if (!skip || strlen(skip) >= sizeof(dir))
		return;
	strcpy(dir, skip);
	strcpy(name, skip);
	source->has_skip = stat(dirname(dir), &source->skip_dir) == 0;
	snprintf(source->skip_name, sizeof(source->skip_name), "%s", basename(name));
}

static int open_top(struct dir_source *source, const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		close(fd);
		return -errno;
	}
	source->dev = st.st_dev;
	return enter(source, fd, &st);
}

int cairn_dir_source_open(const char *dir, const char *skip, struct cairn_bulk *bulk,
			  struct cairn_tree_source **ret, struct cairn_error *err)
{
	struct dir_source *source = calloc(1, sizeof(*source));
	_cleanup_(cairn_tree_source_closep) struct cairn_tree_source *base = NULL;
	int r;

	if (!source)
		return -ENOMEM;
	source->base = (struct cairn_tree_source){ .ops = &dir_ops, .bulk = bulk };
	source->dir = source->file = -1;
	source->root = geteuid() == 0;
	base = &source->base;
	source->name = strdup(dir);
	source->buffer = malloc(BUFFER_SIZE);
	if (!source->name || !source->buffer)
		return -ENOMEM;
	note_skip(source, skip);
	r = open_top(source, dir);
	if (r < 0)
		return failed(source, r, "read", err);
	*ret = TAKE_PTR(base);
	return 0;
}
