/* Places below a directory of the host, from its descriptor down. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "branch/host.h"

#define DIR_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

void cairn_host_atp(const struct cairn_host_at *at)
{
	cairn_closep(&at->dir);
}

static int open_quickly(int top, const char *path)
{
	struct open_how how = {
		.flags = DIR_FLAGS,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV,
	};
	long fd = syscall(SYS_openat2, top, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static int check_mount(const struct cairn_host *host, int fd)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &stx) < 0)
		return -errno;
	if (((uint64_t)stx.stx_dev_major << 32 | stx.stx_dev_minor) != host->dev)
		return -EXDEV;
	return stx.stx_mask & STATX_MNT_ID && stx.stx_mnt_id != host->mount ? -EXDEV : 0;
}

/* Name by name, where the kernel knows nothing better or the path is too long for it. */
static int open_slowly(const struct cairn_host *host, int top, const char *path)
{
	_cleanup_(cairn_closep) int at = openat(top, ".", DIR_FLAGS);
	char name[NAME_MAX + 1];

	while (at >= 0 && *path) {
		size_t len = strcspn(path, "/");
		int next, r;

		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, path, len);
		name[len] = '\0';
		next = openat(at, name, DIR_FLAGS);
		if (next < 0)
			return -errno;
		close(at);
		at = next;
		r = check_mount(host, at);
		if (r < 0)
			return r;
		path += len;
		path += strspn(path, "/");
	}
	return at < 0 ? -errno : TAKE_FD(at);
}

static int open_dir(const struct cairn_host *host, int top, const char *path)
{
	int fd = strlen(path) < PATH_MAX ? open_quickly(top, *path ? path : ".") : -ENOSYS;

	/* Some sandboxes forbid the call. */
	if (fd == -ENOSYS || fd == -EPERM)
		fd = open_slowly(host, top, path);
	return fd == -ELOOP ? -ENOTDIR : fd;
}

/* Names that lead elsewhere; no file has them. */
static bool has_dots(const char *path)
{
	while (*path) {
		size_t len = strcspn(path, "/");

		if ((len == 1 && path[0] == '.') || (len == 2 && path[0] == '.' && path[1] == '.'))
			return true;
		path += len;
		path += strspn(path, "/");
	}
	return false;
}

static int find(const struct cairn_host *host, int top, const char *path, struct cairn_host_at *ret)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	_cleanup_(cairn_freep) char *dir = strndup(path, slash ? (size_t)(slash - path) : 0);
	int fd;

	if (!dir)
		return -ENOMEM;
	if (has_dots(path))
		return -EIO;
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	fd = open_dir(host, top, dir);
	if (fd < 0)
		return fd;
	strcpy(ret->name, *name ? name : ".");
	ret->dir = fd;
	return 0;
}

int cairn_host_find(const struct cairn_host *host, const char *path, struct cairn_host_at *ret)
{
	return find(host, host->root, path + strspn(path, "/"), ret);
}

int cairn_host_find_kept(const struct cairn_host *host, const char *path, struct cairn_host_at *ret)
{
	return find(host, host->kept, path, ret);
}

int cairn_host_open_at(const struct cairn_host_at *at, int flags)
{
	int fd = openat(at->dir, at->name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);

	return fd < 0 ? -errno : fd;
}

int cairn_host_stat(const struct cairn_host *host, const struct cairn_host_at *at, struct stat *ret)
{
	_cleanup_(cairn_closep) int fd = cairn_host_open_at(at, O_PATH);
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	r = check_mount(host, fd);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	*ret = st;
	return 0;
}

int cairn_host_stat_path(const struct cairn_host *host, const char *path, struct stat *ret)
{
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	int r;

	r = cairn_host_find(host, path, &at);
	return r < 0 ? r : cairn_host_stat(host, &at, ret);
}

int cairn_host_stat_kept(const struct cairn_host *host, const char *file, struct stat *ret)
{
	return fstatat(host->kept, file, ret, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int cairn_host_move(int from_dir, const char *from, int to_dir, const char *to)
{
	struct stat st;

	if (renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* A file system that cannot promise it. */
	if (fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	return renameat(from_dir, from, to_dir, to) < 0 ? -errno : 0;
}

int cairn_host_exchange(int a_dir, const char *a, int b_dir, const char *b)
{
	return renameat2(a_dir, a, b_dir, b, RENAME_EXCHANGE) < 0 ? -errno : 0;
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int cairn_host_list(int dir, const char *name, cairn_host_name_fn fn, void *arg)
{
	_cleanup_(closedirp) DIR *stream = NULL;
	struct dirent *entry;
	int r = 0, fd;

	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
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
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = fn(arg, entry->d_name);
	}
	return r;
}

struct removal {
	int dir;
	dev_t dev;
};

static int remove_name(void *arg, const char *name);

static int empty(const struct removal *in, const char *name)
{
	_cleanup_(cairn_closep) int fd =
		openat(in->dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct removal removal = { .dir = fd, .dev = in->dev };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_dev != in->dev)
		return -EBUSY;
	/* It may be closed to its owner. */
	if ((st.st_mode & 0700) != 0700)
		(void)fchmodat(in->dir, name, 0700, AT_SYMLINK_NOFOLLOW);
	return cairn_host_list(fd, ".", remove_name, &removal);
}

static int remove_name(void *arg, const char *name)
{
	const struct removal *removal = arg;
	int r;

	if (unlinkat(removal->dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	r = empty(removal, name);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return unlinkat(removal->dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int cairn_host_remove(int dir, const char *name)
{
	struct removal removal = { .dir = dir };
	struct stat st;

	if (fstat(dir, &st) < 0)
		return -errno;
	removal.dev = st.st_dev;
	return remove_name(&removal, name);
}

struct mounts {
	const struct cairn_host *host;
	int dir;
};

static int check_name(void *arg, const char *name)
{
	const struct mounts *mounts = arg;
	struct cairn_host_at at = { .dir = mounts->dir };
	_cleanup_(cairn_closep) int fd = -1;
	struct stat st;
	int r;

	if (fstatat(mounts->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	strcpy(at.name, name);
	fd = cairn_host_open_at(&at, O_PATH);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = check_mount(mounts->host, fd);
	if (r < 0)
		return r == -EXDEV ? -EBUSY : r;
	return S_ISDIR(st.st_mode) ? cairn_host_no_mounts(mounts->host, &at) : 0;
}

int cairn_host_no_mounts(const struct cairn_host *host, const struct cairn_host_at *at)
{
	_cleanup_(cairn_closep) int fd = cairn_host_open_at(at, O_PATH | O_DIRECTORY);
	struct mounts mounts = { .host = host, .dir = fd };
	int r;

	if (fd < 0)
		return fd;
	r = cairn_host_list(fd, ".", check_name, &mounts);
	/* What we may not look into was not looked into by the branch either. */
	return r == -EACCES ? 0 : r;
}
