/* A directory of the host as a base: the functions that the overlay calls. dir.h tells the rest. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/dir.h"
#include "base/kinds.h"

static struct dir_base *of(struct cairn_base *base)
{
	return CONTAINER_OF(base, struct dir_base, base);
}

static void dir_closep(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static struct timespec time_of(const struct statx_timestamp *stamp)
{
	return (struct timespec){ .tv_sec = stamp->tv_sec, .tv_nsec = stamp->tv_nsec };
}

static struct cairn_attr attr_of(const struct statx *stx, uint64_t ino)
{
	return (struct cairn_attr){
		.ino = ino,
		.mode = stx->stx_mode,
		.nlink = stx->stx_nlink,
		.uid = stx->stx_uid,
		.gid = stx->stx_gid,
		.rdev = makedev(stx->stx_rdev_major, stx->stx_rdev_minor),
		.size = (int64_t)MIN(stx->stx_size, (uint64_t)CAIRN_FILE_SIZE_MAX),
		.allocated = (int64_t)MIN(stx->stx_blocks * 512, stx->stx_size),
		.atime = time_of(&stx->stx_atime),
		.mtime = time_of(&stx->stx_mtime),
		.ctime = time_of(&stx->stx_ctime),
	};
}

/* A mount that is not entered: an empty directory like the one it lies in, with an id of its own.
 */
static struct statx hidden_stat(const struct statx *id, const struct statx *dir)
{
	struct statx stx = *dir;

	stx.stx_ino = id->stx_ino;
	stx.stx_mask = DIR_STATX_MASK & (id->stx_mask | ~(unsigned int)STATX_MNT_ID);
	stx.stx_mnt_id = id->stx_mnt_id;
	stx.stx_dev_major = id->stx_dev_major;
	stx.stx_dev_minor = id->stx_dev_minor;
	stx.stx_nlink = 2;
	return stx;
}

/* Patterns. */

static bool path_matches(struct dir_base *b, uint64_t dir, const char *name, const char *pattern)
{
	_cleanup_(cairn_freep) char *dir_path = NULL;
	_cleanup_(cairn_freep) char *path = NULL;

	if (cairn_node_path(&b->nodes, dir, &dir_path) < 0)
		return false;
	if (asprintf(&path, "%s/%s", dir_path[1] ? dir_path : "", name) < 0) {
		path = NULL;
		return false;
	}
	return fnmatch(pattern, path + 1, FNM_PATHNAME) == 0;
}

bool cairn_dir_ignored(struct dir_base *b, uint64_t dir, const char *name)
{
	if (strcmp(name, CAIRN_BASE_HIDDEN) == 0 && dir == cairn_dir_number_root(&b->numbers))
		return true;
	for (size_t i = 0; i < b->ignore_count; i++) {
		const char *pattern = b->ignore[i];

		if (strchr(pattern, '/') ? path_matches(b, dir, name, pattern)
					 : fnmatch(pattern, name, 0) == 0)
			return true;
	}
	return false;
}

/* Names. */

static uint64_t base_root(struct cairn_base *base)
{
	return cairn_dir_number_root(&of(base)->numbers);
}

/* Opens a directory to look into it, and watches it from then on. */
static int open_dir(struct dir_base *b, uint64_t ino, struct dir_node *ret)
{
	struct dir_node dir;
	int r;

	r = cairn_dir_open_node(b, ino, &dir);
	if (r < 0)
		return r;
	if (!S_ISDIR(dir.stx.stx_mode)) {
		dir_nodep(&dir);
		return -ENOTDIR;
	}
	cairn_dir_watch_add(b, &dir);
	*ret = dir;
	return 0;
}

/* Looks at a name and gives it out. */
static int look_at(struct dir_base *b, const struct dir_node *dir, const char *name,
		   struct cairn_attr *ret)
{
	struct cairn_dir_id id;
	struct statx stx;
	uint64_t ino;
	int r;

	r = cairn_dir_stat_at(b, dir, name, &stx);
	if (r == -EXDEV) {
		stx = hidden_stat(&stx, &dir->stx);
		r = 0;
	}
	if (r < 0)
		return r;
	id = cairn_dir_id(&stx);
	r = cairn_dir_number_give(b, dir->ino, name, strlen(name), &id, stx.stx_mode, &ino);
	if (r < 0)
		return r;
	*ret = attr_of(&stx, ino);
	return 0;
}

/* 0 where the host would not look elsewhere for it. */
static int copy_name(const char *name, size_t len, char ret[CAIRN_NAME_MAX + 1])
{
	if (len == 0 || len > CAIRN_NAME_MAX || memchr(name, '/', len) || memchr(name, '\0', len))
		return -ENOENT;
	memcpy(ret, name, len);
	ret[len] = '\0';
	return strcmp(ret, ".") == 0 || strcmp(ret, "..") == 0 ? -ENOENT : 0;
}

static int base_lookup(struct cairn_base *base, uint64_t ino, const char *name, size_t len,
		       struct cairn_attr *ret)
{
	struct dir_base *b = of(base);
	_cleanup_(dir_nodep) struct dir_node dir = { .fd = -1 };
	char copy[CAIRN_NAME_MAX + 1];
	int r;

	r = open_dir(b, ino, &dir);
	if (r < 0)
		return r;
	r = copy_name(name, len, copy);
	if (r < 0)
		return r;
	if (dir.fd < 0 || cairn_dir_ignored(b, ino, copy))
		return -ENOENT;
	return look_at(b, &dir, copy, ret);
}

static int hidden_attr(struct dir_base *b, const struct dir_node *node, struct cairn_attr *ret)
{
	_cleanup_(dir_nodep) struct dir_node dir = { .fd = -1 };
	char name[CAIRN_NAME_MAX + 1];
	struct statx stx;
	uint64_t parent;
	int r;

	r = cairn_node_place(&b->nodes, node->ino, &parent, name);
	if (r < 0)
		return r;
	r = cairn_dir_open_node(b, parent, &dir);
	if (r < 0)
		return r;
	stx = hidden_stat(&node->stx, &dir.stx);
	*ret = attr_of(&stx, node->ino);
	return 0;
}

static int base_getattr(struct cairn_base *base, uint64_t ino, struct cairn_attr *ret)
{
	struct dir_base *b = of(base);
	_cleanup_(dir_nodep) struct dir_node node = { .fd = -1 };
	int r;

	r = cairn_dir_open_node(b, ino, &node);
	if (r < 0)
		return r;
	if (node.fd < 0)
		return hidden_attr(b, &node, ret);
	*ret = attr_of(&node.stx, ino);
	return 0;
}

/* A name that can be listed and not looked at, as in a directory without the right to search it.
 * Its number is of no use to anybody, but every entry has one. */
static int list_unseen(struct dir_base *b, const struct dir_node *dir, const struct dirent *entry,
		       struct cairn_base_entry *ret)
{
	struct cairn_dir_id id = cairn_dir_id(&dir->stx);

	id.ino = entry->d_ino;
	ret->mode = (uint32_t)DTTOIF(entry->d_type);
	return cairn_dir_number_give(b, dir->ino, ret->name, ret->name_len, &id, ret->mode,
				     &ret->ino);
}

static int list_entry(struct dir_base *b, const struct dir_node *dir, const struct dirent *entry,
		      cairn_base_fn fn, void *arg)
{
	struct cairn_base_entry out = {
		.name = entry->d_name,
		.name_len = strlen(entry->d_name),
	};
	char copy[CAIRN_NAME_MAX + 1];
	int r;

	if (copy_name(out.name, out.name_len, copy) < 0 || cairn_dir_ignored(b, dir->ino, copy))
		return 0;
	r = look_at(b, dir, entry->d_name, &out.attr);
	if (r == -ENOENT)
		return 0; /* it has just gone */
	if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
		return r;
	if (r == 0) {
		out.ino = out.attr.ino;
		out.mode = out.attr.mode;
		out.has_attr = true;
	} else {
		r = list_unseen(b, dir, entry, &out);
		if (r < 0)
			return r;
	}
	return fn(arg, &out);
}

static int list_dir(struct dir_base *b, struct dir_node *dir, cairn_base_fn fn, void *arg)
{
	_cleanup_(dir_closep) DIR *stream = NULL;
	const struct dirent *entry;
	int fd, r = 0;

	fd = cairn_dir_reopen(dir->fd, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	stream = fdopendir(fd);
	if (!stream) {
		close(fd);
		return -ENOMEM;
	}
	while (r == 0) {
		errno = 0;
		entry = readdir(stream);
		if (!entry)
			return -errno;
		r = list_entry(b, dir, entry, fn, arg);
	}
	return r;
}

static int base_list(struct cairn_base *base, uint64_t ino, cairn_base_fn fn, void *arg)
{
	_cleanup_(dir_nodep) struct dir_node dir = { .fd = -1 };
	int r;

	r = open_dir(of(base), ino, &dir);
	if (r < 0 || dir.fd < 0)
		return r;
	return list_dir(of(base), &dir, fn, arg);
}

static int base_readlink(struct cairn_base *base, uint64_t ino, char **ret)
{
	_cleanup_(dir_nodep) struct dir_node node = { .fd = -1 };
	char target[CAIRN_SYMLINK_MAX + 2];
	ssize_t n;
	int r;

	r = cairn_dir_open_node(of(base), ino, &node);
	if (r < 0)
		return r;
	if (!S_ISLNK(node.stx.stx_mode))
		return -EINVAL;
	n = readlinkat(node.fd, "", target, sizeof(target));
	if (n < 0)
		return -errno;
	if (n == 0 || n > (ssize_t)CAIRN_SYMLINK_MAX)
		return -EIO;
	*ret = strndup(target, (size_t)n);
	return *ret ? 0 : -ENOMEM;
}

/* Bytes. */

struct reading {
	struct dir_base *b;
	struct cairn_dir_file *file;
};

static void readingp(struct reading *reading)
{
	if (reading->file)
		cairn_dir_file_put(reading->b, reading->file);
}

static ssize_t base_read(struct cairn_base *base, uint64_t ino, void *buf, size_t size,
			 int64_t offset)
{
	_cleanup_(readingp) struct reading reading = { .b = of(base) };
	size_t done = 0;
	int r;

	if (offset < 0)
		return -EINVAL;
	r = cairn_dir_file_get(reading.b, ino, &reading.file);
	if (r < 0)
		return r;
	size = (size_t)MIN((uint64_t)size, (uint64_t)(INT64_MAX - offset));
	while (done < size) {
		ssize_t n = pread(cairn_dir_file_fd(reading.file), (char *)buf + done, size - done,
				  offset + (int64_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* Where the file system cannot tell, all is data. */
static int whole_file(int fd, int64_t offset, int64_t *ret, int64_t *ret_end)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (offset >= st.st_size)
		return -ENXIO;
	*ret = offset;
	*ret_end = st.st_size;
	return 0;
}

static int base_next_data(struct cairn_base *base, uint64_t ino, int64_t offset, int64_t *ret,
			  int64_t *ret_end)
{
	_cleanup_(readingp) struct reading reading = { .b = of(base) };
	int64_t data, end;
	int fd, r;

	if (offset < 0)
		return -EINVAL;
	r = cairn_dir_file_get(reading.b, ino, &reading.file);
	if (r < 0)
		return r;
	fd = cairn_dir_file_fd(reading.file);
	data = lseek(fd, offset, SEEK_DATA);
	end = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
	if (end < 0)
		return errno == EINVAL ? whole_file(fd, offset, ret, ret_end) : -errno;
	*ret = data;
	*ret_end = end;
	return 0;
}

/* Nodes. */

static int base_path(struct cairn_base *base, uint64_t ino, char **ret)
{
	return cairn_node_path(&of(base)->nodes, ino, ret);
}

static int base_place(struct cairn_base *base, uint64_t ino, uint64_t *ret_dir,
		      char ret_name[CAIRN_NAME_MAX + 1])
{
	return cairn_node_place(&of(base)->nodes, ino, ret_dir, ret_name);
}

static int base_resolve(struct cairn_base *base, const char *path, struct cairn_attr *ret)
{
	return cairn_base_walk(base, path, ret);
}

static void base_forget(struct cairn_base *base, uint64_t ino)
{
	struct dir_base *b = of(base);
	uint32_t type;

	cairn_dir_number_forget(b, ino);
	if (cairn_node_type(&b->nodes, ino, &type) < 0)
		cairn_dir_watch_remove(&b->watch, ino);
}

static int base_poll(struct cairn_base *base, enum cairn_base_change *ret)
{
	struct dir_base *b = of(base);
	bool changed;

	changed = atomic_exchange(&b->changed, false);
	changed = cairn_dir_watch_changed(b) || changed;
	changed = cairn_dir_mounts_changed(b) || changed;
	cairn_dir_files_trim(b, changed);
	*ret = changed ? CAIRN_BASE_CHANGED : CAIRN_BASE_SAME;
	return 0;
}

/* Opening and closing. */

static void base_close(struct cairn_base *base)
{
	struct dir_base *b = of(base);

	cairn_dir_files_destroy(&b->files);
	cairn_dir_watch_destroy(&b->watch);
	cairn_dir_mounts_destroy(&b->mounts);
	cairn_dir_numbers_destroy(&b->numbers);
	cairn_nodes_destroy(&b->nodes);
	for (size_t i = 0; i < b->own_count; i++)
		free(b->own[i].path);
	free(b->own);
	for (size_t i = 0; i < b->ignore_count; i++)
		free(b->ignore[i]);
	free(b->ignore);
	cairn_closep(&b->root_fd);
	free(b->path);
	free(b);
}

/* It is asked anew each time. */
static void base_renew(struct cairn_base *base)
{
}

static const struct cairn_base_ops dir_base_ops = {
	.root = base_root,
	.lookup = base_lookup,
	.getattr = base_getattr,
	.list = base_list,
	.readlink = base_readlink,
	.read = base_read,
	.next_data = base_next_data,
	.xattr_get = cairn_dir_xattr_get,
	.xattr_scan = cairn_dir_xattr_scan,
	.path = base_path,
	.place = base_place,
	.resolve = base_resolve,
	.forget = base_forget,
	.renew = base_renew,
	.poll = base_poll,
	.close = base_close,
};

static int copy_patterns(struct dir_base *b, const struct cairn_base_options *options)
{
	b->ignore = calloc(options->ignore_count + 1, sizeof(*b->ignore));
	if (!b->ignore)
		return -ENOMEM;
	for (; b->ignore_count < options->ignore_count; b->ignore_count++) {
		b->ignore[b->ignore_count] = strdup(options->ignore[b->ignore_count]);
		if (!b->ignore[b->ignore_count])
			return -ENOMEM;
	}
	return 0;
}

static int id_at(const char *path, struct cairn_dir_id *ret)
{
	struct statx stx;

	if (statx(AT_FDCWD, path, 0, DIR_STATX_MASK, &stx) < 0)
		return -errno;
	*ret = cairn_dir_id(&stx);
	return 0;
}

/* A workspace that is not there has nothing beside it either. */
static int note_own(const char *workspace, struct cairn_dir_own *own)
{
	_cleanup_(cairn_freep) char *dir = NULL;
	char *path = realpath(workspace, NULL);

	if (!path)
		return errno == ENOMEM ? -ENOMEM : -ENOENT;
	dir = strdup(path);
	if (!dir || id_at(path, &own->file) < 0 || id_at(dirname(dir), &own->dir) < 0) {
		free(path);
		return dir ? -ENOENT : -ENOMEM;
	}
	own->path = path;
	own->name = strrchr(path, '/') + 1;
	own->wd = -1;
	return 0;
}

static int note_above(struct dir_base *b, const struct cairn_base_above *above)
{
	int r;

	b->own = calloc(CAIRN_BASE_DEPTH_MAX, sizeof(*b->own));
	if (!b->own)
		return -ENOMEM;
	for (; above && b->own_count < CAIRN_BASE_DEPTH_MAX; above = above->next) {
		r = note_own(above->workspace, &b->own[b->own_count]);
		if (r == -ENOMEM)
			return r;
		b->own_count += r == 0;
	}
	return 0;
}

static int open_root(struct dir_base *b, struct cairn_error *err)
{
	_cleanup_(cairn_closep) int readable = -1;
	struct statx stx;
	int r;

	b->root_fd = open(b->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (b->root_fd < 0 || statx(b->root_fd, "", AT_EMPTY_PATH, DIR_STATX_MASK, &stx) < 0)
		return cairn_error_set(err, -errno, "the base directory '%s' cannot be opened: %s",
				       b->path, strerror(errno));
	readable = cairn_dir_reopen(b->root_fd, O_RDONLY | O_DIRECTORY);
	if (readable == -ENOENT)
		return cairn_error_set(err, -ENOENT,
				       "the base directory '%s' cannot be read without /proc; "
				       "mount it",
				       b->path);
	if (readable < 0)
		return cairn_error_set(err, readable,
				       "the base directory '%s' cannot be read: %s; check its "
				       "permissions",
				       b->path, strerror(-readable));
	b->has_openat2 = cairn_dir_has_openat2(b->root_fd);
	b->numbers.root = cairn_dir_id(&stx);
	r = cairn_nodes_init(&b->nodes, cairn_dir_number_root(&b->numbers));
	return r;
}

/* A destructor of a base that got no further than this takes it. */
static struct dir_base *new_base(const char *path, const struct cairn_base_options *options)
{
	struct dir_base *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->base.ops = &dir_base_ops;
	b->log = options->log;
	b->root_fd = -1;
	b->path = strdup(path);
	b->base.path = b->path;
	pthread_mutex_init(&b->nodes.lock, NULL);
	cairn_dir_numbers_init(&b->numbers);
	cairn_dir_mounts_init(&b->mounts);
	cairn_dir_watch_init(&b->watch);
	cairn_dir_files_init(&b->files);
	return b;
}

int cairn_base_dir_open(const char *path, const struct cairn_base_options *options,
			struct cairn_base **ret, struct cairn_error *err)
{
	struct dir_base *b = new_base(path, options);
	int r;

	if (!b)
		return cairn_error_set(err, -ENOMEM, "the base '%s': out of memory", path);
	r = b->path ? open_root(b, err) : -ENOMEM;
	if (r == 0)
		r = copy_patterns(b, options);
	if (r == 0)
		r = note_above(b, options->above);
	if (r < 0) {
		base_close(&b->base);
		return cairn_error_set(err, r, "the base directory '%s': %s", path, strerror(-r));
	}
	*ret = &b->base;
	return 0;
}
