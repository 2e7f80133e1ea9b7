#include "mount_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "util/macro.h"

#define VALUE_MAX 512

int mount_tree_open(struct mount_tree *tree, const char *parent, const char *name)
{
	_cleanup_(cairn_closep) int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*tree = (struct mount_tree){ .root = -1 };
	for (int i = 0; i < HELD_FILES; i++)
		tree->held[i] = -1;
	if (dir < 0 || (mkdirat(dir, name, 0755) < 0 && errno != EEXIST))
		return -errno;
	tree->root = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return tree->root < 0 ? -errno : 0;
}

void mount_tree_close(struct mount_tree *tree)
{
	for (int i = 0; i < HELD_FILES; i++)
		cairn_closep(&tree->held[i]);
	cairn_closep(&tree->root);
	tree->root = -1;
}

static int result(int r)
{
	return r < 0 ? -errno : 0;
}

static int run_create(int root, const struct op *op)
{
	_cleanup_(cairn_closep) int fd =
		openat(root, op->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, op->mode);

	return result(fd);
}

static int run_write(int root, const struct op *op)
{
	int sync = op->kind == OP_WRITE_SYNC ? O_DSYNC : 0;
	_cleanup_(cairn_closep) int fd = openat(root, op->path, O_WRONLY | O_CLOEXEC | sync);
	_cleanup_(cairn_freep) void *data = must_alloc(op->len);
	ssize_t n;

	if (fd < 0)
		return -errno;
	op_fill(op, data);
	n = pwrite(fd, data, op->len, op->offset);
	if (n < 0)
		return -errno;
	return (size_t)n == op->len ? 0 : -ENODATA;
}

static int run_truncate(int root, const struct op *op)
{
	_cleanup_(cairn_closep) int fd = openat(root, op->path, O_WRONLY | O_CLOEXEC);

	return result(fd < 0 ? fd : ftruncate(fd, op->offset));
}

static int run_symlink(int root, const struct op *op)
{
	char target[MODEL_PATH_MAX] = "";

	op_fill(op, target);
	return result(symlinkat(target, root, op->path));
}

static int run_unlink_open(struct mount_tree *tree, const struct op *op)
{
	int *held = &tree->held[tree->next++ % HELD_FILES];
	int fd = openat(tree->root, op->path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	cairn_closep(held);
	*held = fd;
	return result(unlinkat(tree->root, op->path, 0));
}

static int run_fsync(int root, const struct op *op)
{
	_cleanup_(cairn_closep) int fd = openat(root, op->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return result(op->seed & 1 ? fsync(fd) : fdatasync(fd));
}

static int run_xattr(int root, const struct op *op)
{
	_cleanup_(cairn_closep) int fd = openat(root, op->path, O_RDONLY | O_CLOEXEC);
	const char *name = xattr_names[op->xattr];
	char value[VALUE_MAX];

	if (fd < 0)
		return -errno;
	if (op->kind == OP_REMOVEXATTR)
		return result(fremovexattr(fd, name));
	op_fill(op, value);
	return result(fsetxattr(fd, name, value, op->len, 0));
}

int mount_tree_run(void *arg, const struct op *op)
{
	struct mount_tree *tree = arg;
	int root = tree->root;

	switch (op->kind) {
	case OP_CREATE:
		return run_create(root, op);
	case OP_WRITE:
	case OP_WRITE_SYNC:
		return run_write(root, op);
	case OP_TRUNCATE:
		return run_truncate(root, op);
	case OP_MKDIR:
		return result(mkdirat(root, op->path, op->mode));
	case OP_RMDIR:
		return result(unlinkat(root, op->path, AT_REMOVEDIR));
	case OP_SYMLINK:
		return run_symlink(root, op);
	case OP_LINK:
		return result(linkat(root, op->path2, root, op->path, 0));
	case OP_UNLINK:
		return result(unlinkat(root, op->path, 0));
	case OP_UNLINK_OPEN:
		return run_unlink_open(tree, op);
	case OP_RENAME:
		return result(renameat(root, op->path, root, op->path2));
	case OP_EXCHANGE:
		return result(renameat2(root, op->path, root, op->path2, RENAME_EXCHANGE));
	case OP_CHMOD:
		return result(fchmodat(root, op->path, op->mode, 0));
	case OP_SETXATTR:
	case OP_REMOVEXATTR:
		return run_xattr(root, op);
	default:
		return run_fsync(root, op);
	}
}

static int hash_file(int fd, struct seen *seen)
{
	_cleanup_(cairn_freep) char *data = must_alloc((size_t)seen->size + 1);
	ssize_t n;

	n = pread(fd, data, (size_t)seen->size + 1, 0);
	if (n < 0)
		return -errno;
	if (n != seen->size)
		return -ENODATA;
	seen->hash = hash_bytes(data, (size_t)n);
	return 0;
}

static int see_xattrs(int fd, struct seen *seen)
{
	char value[VALUE_MAX];
	ssize_t n;

	for (int i = 0; i < XATTR_COUNT; i++) {
		n = fgetxattr(fd, xattr_names[i], value, sizeof(value));
		if (n < 0 && errno != ENODATA)
			return -errno;
		if (n >= 0)
			seen->xattr[i] = hash_bytes(value, (size_t)n);
	}
	return 0;
}

static int see_symlink(int dir, const char *name, struct seen *seen)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir, name, target, sizeof(target));

	if (n < 0)
		return -errno;
	seen->hash = hash_bytes(target, (size_t)n);
	return 0;
}

static int list_entry(int dir, const char *name, const char *path, struct listing *ret);

static int list_dir(int fd, const char *path, struct listing *ret)
{
	char below[2 * MODEL_PATH_MAX];
	struct dirent *entry;
	DIR *stream;
	int r = 0;

	stream = fdopendir(dup(fd));
	if (!stream)
		return -errno;
	while (r == 0 && (errno = 0, entry = readdir(stream))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		join_path(below, path, entry->d_name);
		r = list_entry(fd, entry->d_name, below, ret);
	}
	if (r == 0 && errno != 0)
		r = -errno;
	closedir(stream);
	return r;
}

static int see_open(int fd, struct seen *seen)
{
	int r = S_ISREG(seen->mode) ? hash_file(fd, seen) : 0;

	return r < 0 ? r : see_xattrs(fd, seen);
}

static int list_entry(int dir, const char *name, const char *path, struct listing *ret)
{
	_cleanup_(cairn_closep) int fd = -1;
	struct seen seen = { .path = path };
	struct stat st;
	int r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	seen.mode = st.st_mode;
	seen.nlink = (uint32_t)st.st_nlink;
	seen.id = st.st_ino;
	seen.size = S_ISDIR(st.st_mode) ? 0 : st.st_size;
	if (S_ISLNK(st.st_mode)) {
		r = see_symlink(dir, name, &seen);
	} else {
		fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		r = fd < 0 ? -errno : see_open(fd, &seen);
	}
	if (r < 0)
		return r;
	listing_add(ret, &seen);
	return S_ISDIR(st.st_mode) ? list_dir(fd, path, ret) : 0;
}

int mount_tree_list(struct mount_tree *tree, struct listing *ret)
{
	return list_entry(tree->root, ".", "", ret);
}
