/* Opening what lies below the root of a host directory, whatever stands there.
 *
 * openat2(2) (Linux 5.6) does it in one call and promises not to leave the root nor to follow a
 * symbolic link. Where there is none, or where it says that the way leads into another mount and
 * that matters, the way is gone name by name. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/dir.h"

#define PATH_FLAGS (O_PATH | O_NOFOLLOW | O_CLOEXEC)

/* Bytes of a path that one system call takes, PATH_MAX in <linux/limits.h> less the NUL. */
#define STRETCH_MAX 4095U

struct cairn_dir_proc_path cairn_dir_proc_path(int fd)
{
	struct cairn_dir_proc_path path;

	snprintf(path.text, sizeof(path.text), "/proc/self/fd/%d", fd);
	return path;
}

static int open_safely(int dir_fd, const char *path, uint64_t resolve)
{
	struct open_how how = {
		.flags = PATH_FLAGS,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | resolve,
	};
	long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* Old kernels do not know it, and some sandboxes forbid it. */
bool cairn_dir_has_openat2(int fd)
{
	_cleanup_(cairn_closep) int opened = open_safely(fd, ".", 0);

	return opened >= 0 || (opened != -ENOSYS && opened != -EPERM);
}

/* By one name. A symbolic link is opened itself, and nothing can be opened in it. */
static int open_step(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, PATH_FLAGS);

	return fd < 0 ? -errno : fd;
}

/* What can be known of an open file without asking its file system: the id. */
static int look_at_id(int fd, struct statx *ret)
{
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, ret) < 0)
		return -errno;
	return 0;
}

/* The way from one mount into another, at `name`: -EXDEV where it is not to be taken. */
static int check_crossing(struct dir_base *b, const struct cairn_dir_id *from, int fd,
			  struct statx *ret)
{
	struct cairn_dir_id id;
	int r;

	r = look_at_id(fd, ret);
	if (r < 0)
		return r;
	id = cairn_dir_id(ret);
	if (id.mount == from->mount && id.dev == from->dev)
		return 0;
	return cairn_dir_mounts_hide(b, id.dev) ? -EXDEV : 0;
}

/* As open_path(), name by name. `path` is taken apart. */
static int walk(struct dir_base *b, char *path, struct statx *ret_hidden)
{
	_cleanup_(cairn_closep) int at = -1;
	struct statx stx;
	char *name, *save;
	int r;

	at = open_step(b->root_fd, ".");
	if (at < 0)
		return at;
	r = look_at_id(at, &stx);
	for (name = strtok_r(path, "/", &save); r == 0 && name; name = strtok_r(NULL, "/", &save)) {
		struct cairn_dir_id from = cairn_dir_id(&stx);
		int fd = open_step(at, name);

		close(at);
		at = fd;
		r = fd < 0 ? fd : check_crossing(b, &from, fd, &stx);
	}
	if (r == -EXDEV)
		*ret_hidden = stx;
	return r < 0 ? r : TAKE_FD(at);
}

/* A path that is too long for one call is opened stretch by stretch; each ends before a slash. */
static int open_stretches(int root_fd, char *path, uint64_t resolve)
{
	_cleanup_(cairn_closep) int at = -1;

	while (strlen(path) > STRETCH_MAX) {
		char *end = memrchr(path, '/', STRETCH_MAX + 1);
		int fd;

		*end = '\0';
		fd = open_safely(at < 0 ? root_fd : at, path, resolve);
		if (fd < 0)
			return fd;
		cairn_closep(&at);
		at = fd;
		path = end + 1;
	}
	return open_safely(at < 0 ? root_fd : at, path, resolve);
}

/* Opens a path from the root, "/a/b", with O_PATH. -EXDEV where it leads into a mount that is not
 * entered, whose id *ret_hidden then has. */
static int open_path(struct dir_base *b, const char *path, bool careful, struct statx *ret_hidden)
{
	_cleanup_(cairn_freep) char *copy = strdup(path[1] ? path + 1 : ".");
	int fd;

	if (!copy)
		return -ENOMEM;
	if (!b->has_openat2)
		return walk(b, copy, ret_hidden);
	fd = open_stretches(b->root_fd, copy, careful ? RESOLVE_NO_XDEV : 0);
	if (fd != -EXDEV)
		return fd;
	strcpy(copy, path + 1);
	return walk(b, copy, ret_hidden);
}

static bool names_nothing(int r)
{
	return r == -ENOENT || r == -ENOTDIR || r == -ELOOP;
}

/* What is there now against what was given out. A number may be used again for another type. */
static int check_node(struct dir_base *b, const struct dir_node *node, uint32_t type)
{
	struct cairn_dir_id id = cairn_dir_id(&node->stx);
	bool same_type = type == (node->stx.stx_mode & S_IFMT);

	if (!same_type || !cairn_dir_number_is(&b->numbers, node->ino, &id))
		atomic_store(&b->changed, true);
	return same_type ? 0 : -ENOENT;
}

int cairn_dir_open_node(struct dir_base *b, uint64_t ino, struct dir_node *ret)
{
	_cleanup_(cairn_freep) char *path = NULL;
	_cleanup_(dir_nodep) struct dir_node node = { .fd = -1, .ino = ino };
	uint32_t type;
	int r;

	r = cairn_node_locate(&b->nodes, ino, &path, &type);
	if (r < 0)
		return r;
	node.careful = cairn_dir_mounts_any(b);
	r = open_path(b, path, node.careful, &node.stx);
	if (names_nothing(r)) {
		atomic_store(&b->changed, true);
		return -ENOENT;
	}
	if (r < 0 && r != -EXDEV)
		return r;
	if (r == -EXDEV)
		node.stx.stx_mode = S_IFDIR;
	else
		node.fd = r;
	if (node.fd >= 0 && statx(node.fd, "", AT_EMPTY_PATH, DIR_STATX_MASK, &node.stx) < 0)
		return -errno;
	r = check_node(b, &node, type);
	if (r < 0)
		return r;
	*ret = node;
	node.fd = -1;
	return 0;
}

/* Where a mount may be in the way the name is opened, so that nothing is asked before it is known
 * whom. */
static int stat_carefully(struct dir_base *b, int dir_fd, const char *name, struct statx *ret)
{
	_cleanup_(cairn_closep) int fd = -1;
	struct statx stx;
	int r;

	fd = b->has_openat2 ? open_safely(dir_fd, name, RESOLVE_NO_XDEV) : -EXDEV;
	if (fd == -EXDEV) {
		r = look_at_id(dir_fd, &stx);
		if (r < 0)
			return r;
		fd = open_step(dir_fd, name);
		if (fd >= 0) {
			struct cairn_dir_id from = cairn_dir_id(&stx);

			r = check_crossing(b, &from, fd, ret);
			if (r < 0)
				return r;
		}
	}
	if (fd < 0)
		return fd;
	return statx(fd, "", AT_EMPTY_PATH, DIR_STATX_MASK, ret) < 0 ? -errno : 0;
}

int cairn_dir_stat_at(struct dir_base *b, const struct dir_node *dir, const char *name,
		      struct statx *ret)
{
	if (dir->careful)
		return stat_carefully(b, dir->fd, name, ret);
	if (statx(dir->fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, DIR_STATX_MASK, ret) < 0)
		return -errno;
	return 0;
}

int cairn_dir_reopen(int fd, int flags)
{
	struct cairn_dir_proc_path path = cairn_dir_proc_path(fd);
	int opened = open(path.text, flags | O_NOATIME | O_CLOEXEC);

	/* It is the owner's alone to ask for that. */
	if (opened < 0 && errno == EPERM)
		opened = open(path.text, flags | O_CLOEXEC);
	return opened < 0 ? -errno : opened;
}
