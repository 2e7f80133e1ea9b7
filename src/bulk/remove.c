#include "bulk/remove.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bulk/path.h"
#include "core/core.h"
#include "util/macro.h"

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* A stream over a directory that is open; the descriptor stays the caller's. */
static DIR *list(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;

	if (!dir && copy >= 0)
		close(copy);
	return dir;
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int remove_at(int at, const char *name, dev_t dev);

static int empty(int at, const char *name, dev_t dev)
{
	_cleanup_(cairn_closep) int fd =
		openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_(closedirp) DIR *dir = NULL;
	struct dirent *entry;
	struct stat st;
	int r = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_dev != dev)
		return -EBUSY;
	dir = list(fd);
	if (!dir)
		return -errno;
	while (r == 0 && (entry = readdir(dir)))
		if (!is_dot(entry->d_name))
			r = remove_at(fd, entry->d_name, dev);
	return r;
}

/* What is gone already is no failure. */
static int remove_at(int at, const char *name, dev_t dev)
{
	int r;

	if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (unlinkat(at, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return -errno;
	r = empty(at, name, dev);
	if (r < 0)
		return r;
	return unlinkat(at, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int cairn_bulk_remove(int dir, const char *name)
{
	struct stat st;

	if (fstat(dir, &st) < 0)
		return -errno;
	return remove_at(dir, name, st.st_dev);
}

/* A cleaning under way. */
struct cleaning {
	struct cairn_core *core;
	struct cairn_bulk *bulk;
	const char *name;
	struct cairn_tree_path path;
	struct cairn_error *err;
};

static void cleaning_done(struct cleaning *cleaning)
{
	cairn_tree_path_done(&cleaning->path);
}

static int failed(const struct cleaning *cleaning, int r)
{
	return cairn_error_set(cleaning->err, r, "cannot clean '%s/%s': %s", cleaning->name,
			       cleaning->path.text ? cleaning->path.text : "", strerror(-r));
}

static int clean_dir(struct cleaning *cleaning, int fd, uint64_t dir);

static int clean_name(struct cleaning *cleaning, int fd, uint64_t dir, const char *name)
{
	_cleanup_(cairn_closep) int below = -1;
	struct cairn_attr attr = { 0 };
	struct stat st;
	int r;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	r = cairn_core_lookup(cleaning->core, dir, name, &attr);
	if (r == 0)
		cairn_core_forget(cleaning->core, attr.ino, 1);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == -ENOENT || S_ISDIR(attr.mode) != S_ISDIR(st.st_mode))
		return cairn_bulk_remove(fd, name);
	if (!S_ISDIR(st.st_mode))
		return 0;
	below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return below < 0 ? -errno : clean_dir(cleaning, below, attr.ino);
}

static int clean_dir(struct cleaning *cleaning, int fd, uint64_t dir)
{
	_cleanup_(closedirp) DIR *names = list(fd);
	const struct cairn_bulk *bulk = cleaning->bulk;
	size_t len = cleaning->path.len;
	struct dirent *entry;
	int r = 0;

	if (!names)
		return failed(cleaning, -errno);
	while (r == 0 && (entry = readdir(names))) {
		if (is_dot(entry->d_name))
			continue;
		r = cairn_tree_path_push(&cleaning->path, entry->d_name);
		if (r == 0 && bulk->progress)
			r = bulk->progress(bulk->arg, bulk, cleaning->path.text);
		if (r == 0)
			r = clean_name(cleaning, fd, dir, entry->d_name);
		if (r < 0)
			return failed(cleaning, r);
		cairn_tree_path_cut(&cleaning->path, len);
	}
	return r;
}

int cairn_bulk_clean(int fd, const char *name, struct cairn_core *core, uint64_t dir,
		     struct cairn_bulk *bulk, struct cairn_error *err)
{
	_cleanup_(cleaning_done) struct cleaning cleaning = {
		.core = core,
		.bulk = bulk,
		.name = name,
		.err = err,
	};

	return clean_dir(&cleaning, fd, dir);
}
