/* Reading and writing files. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "api/call.h"
#include "api/path.h"
#include "util/macro.h"

#define FILE_MODE 0644U

/* How often a file may come and go between looking and doing. */
#define TRIES_MAX 100U

static ssize_t read_at(struct cairnfs *ws, const char *path, void *buf, size_t size, int64_t offset)
{
	_cleanup_(cairn_path_done) struct cairn_path at = { 0 };
	int r;

	if (!buf && size > 0)
		return -EINVAL;
	r = cairn_path_find(ws->core, path, CAIRN_PATH_FOLLOW, &at);
	if (r < 0)
		return r;
	return cairn_core_read(ws->core, at.attr.ino, buf, size, offset);
}

int64_t cairnfs_read(struct cairnfs *ws, const char *path, void *buf, size_t size, int64_t offset)
{
	struct cairn_call call = { .ws = ws, .what = "read", .path = path };
	ssize_t n = 0;
	int r;

	r = cairn_call_begin(&call);
	if (r == 0) {
		n = read_at(ws, path, buf, size, offset);
		r = (int)MIN(n, 0);
	}
	r = cairn_call_end(&call, r);
	return r < 0 ? r : n;
}

/* Reads a file of about `size` bytes in one step. 1: it has grown since, and has *size now. */
static int read_whole(struct cairn_core *core, uint64_t ino, int64_t *size, char **ret)
{
	_cleanup_(cairn_freep) char *buf = NULL;
	struct cairn_attr attr;
	ssize_t n;
	int r;

	if (*size >= INT64_MAX - 1)
		return -EFBIG;
	buf = malloc((size_t)*size + 1);
	if (!buf)
		return -ENOMEM;
	n = cairn_core_read(core, ino, buf, (size_t)*size + 1, 0);
	if (n < 0)
		return (int)n;
	if (n > *size) {
		r = cairn_core_getattr(core, ino, &attr);
		*size = MAX(attr.size, *size + 1);
		return r < 0 ? r : 1;
	}
	buf[n] = '\0';
	*size = n;
	*ret = TAKE_PTR(buf);
	return 0;
}

static int read_file(struct cairnfs *ws, const char *path, char **ret, int64_t *ret_size)
{
	_cleanup_(cairn_path_done) struct cairn_path at = { 0 };
	int r;

	r = cairn_path_find(ws->core, path, CAIRN_PATH_FOLLOW, &at);
	if (r < 0)
		return r;
	*ret_size = S_ISREG(at.attr.mode) ? at.attr.size : 0;
	do
		r = read_whole(ws->core, at.attr.ino, ret_size, ret);
	while (r > 0);
	return r;
}

int cairnfs_read_file(struct cairnfs *ws, const char *path, void **ret, size_t *ret_size)
{
	struct cairn_call call = { .ws = ws, .what = "read", .path = path };
	_cleanup_(cairn_freep) char *content = NULL;
	int64_t size = 0;
	int r;

	if (!ret || !ret_size)
		return cairn_call_failed(-EINVAL, call.what, path);
	r = cairn_call_begin(&call);
	if (r == 0)
		r = read_file(ws, path, &content, &size);
	r = cairn_call_end(&call, r);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(content);
	*ret_size = (size_t)size;
	return 0;
}

/* Makes an empty file where none was found. */
static int make_file(struct cairn_core *core, const struct cairn_path *at, uint64_t *ret_ino)
{
	struct cairn_caller caller = cairn_call_caller();
	struct cairn_attr attr;
	int r;

	if (at->slash)
		return -EISDIR;
	r = cairn_core_mknod(core, &caller, at->dir, at->name, S_IFREG | FILE_MODE, 0, &attr);
	if (r < 0)
		return r;
	cairn_core_forget(core, attr.ino, 1);
	*ret_ino = attr.ino;
	return 0;
}

/* The file at `path`, made if it is missing. */
static int file_to_write(struct cairn_core *core, const char *path, uint64_t *ret_ino)
{
	_cleanup_(cairn_path_done) struct cairn_path at = { 0 };
	int r;

	r = cairn_path_resolve(core, path, CAIRN_PATH_FOLLOW, &at);
	if (r < 0)
		return r;
	if (!at.found)
		return make_file(core, &at, ret_ino);
	*ret_ino = at.attr.ino;
	return 0;
}

/* `offset` -1: at the end. */
static int write_at(struct cairnfs *ws, const char *path, const void *buf, size_t size,
		    int64_t offset)
{
	struct cairn_caller caller = cairn_call_caller();
	bool append = offset < 0;
	uint64_t ino;
	int r;

	for (unsigned int tries = 0;; tries++) {
		r = file_to_write(ws->core, path, &ino);
		/* Another thread has just made it. */
		if (r == -EEXIST && tries < TRIES_MAX)
			continue;
		if (r < 0)
			return r;
		r = cairn_core_write(ws->core, &caller, ino, buf, size, append ? 0 : offset, append,
				     false);
		/* Another thread has just removed it. */
		if (r != -ENOENT || tries >= TRIES_MAX)
			return r;
	}
}

int cairnfs_write(struct cairnfs *ws, const char *path, const void *buf, size_t size,
		  int64_t offset)
{
	struct cairn_call call = { .ws = ws, .what = "write", .path = path, .change = true };
	int r;

	r = cairn_call_begin(&call);
	if (r == 0)
		r = offset < 0 || (!buf && size > 0) ? -EINVAL
						     : write_at(ws, path, buf, size, offset);
	return cairn_call_end(&call, r);
}

int cairnfs_append(struct cairnfs *ws, const char *path, const void *buf, size_t size)
{
	struct cairn_call call = { .ws = ws, .what = "append to", .path = path, .change = true };
	int r;

	r = cairn_call_begin(&call);
	if (r == 0)
		r = !buf && size > 0 ? -EINVAL : write_at(ws, path, buf, size, -1);
	return cairn_call_end(&call, r);
}

static int write_file(struct cairnfs *ws, const char *path, const void *buf, size_t size)
{
	_cleanup_(cairn_path_done) struct cairn_path at = { 0 };
	struct cairn_caller caller = cairn_call_caller();
	int r;

	r = cairn_path_resolve(ws->core, path, CAIRN_PATH_FOLLOW, &at);
	if (r < 0)
		return r;
	if (!at.name[0] || (!at.found && at.slash))
		return -EISDIR;
	return cairn_core_put(ws->core, &caller, at.dir, at.name, FILE_MODE, buf, size);
}

int cairnfs_write_file(struct cairnfs *ws, const char *path, const void *buf, size_t size)
{
	struct cairn_call call = { .ws = ws, .what = "write", .path = path, .change = true };
	int r;

	r = cairn_call_begin(&call);
	if (r == 0)
		r = !buf && size > 0 ? -EINVAL : write_file(ws, path, buf, size);
	return cairn_call_end(&call, r);
}

/* Changes attributes of what `path` leads to. */
static int change_attr(struct cairnfs *ws, const char *path, unsigned int set,
		       const struct cairn_attr *to)
{
	_cleanup_(cairn_path_done) struct cairn_path at = { 0 };
	struct cairn_caller caller = cairn_call_caller();
	struct cairn_attr attr;
	int r;

	r = cairn_path_find(ws->core, path, CAIRN_PATH_FOLLOW, &at);
	if (r < 0)
		return r;
	return cairn_core_setattr(ws->core, &caller, at.attr.ino, set, to, &attr);
}

int cairnfs_truncate(struct cairnfs *ws, const char *path, int64_t size)
{
	struct cairn_call call = { .ws = ws, .what = "truncate", .path = path, .change = true };
	struct cairn_attr to = { .size = size };
	int r;

	r = cairn_call_begin(&call);
	if (r == 0)
		r = change_attr(ws, path, CAIRN_SET_SIZE, &to);
	return cairn_call_end(&call, r);
}

int cairnfs_chmod(struct cairnfs *ws, const char *path, uint32_t mode)
{
	struct cairn_call call = { .ws = ws, .what = "chmod", .path = path, .change = true };
	struct cairn_attr to = { .mode = mode };
	int r;

	r = cairn_call_begin(&call);
	if (r == 0)
		r = mode > 07777 ? -EINVAL : change_attr(ws, path, CAIRN_SET_MODE, &to);
	return cairn_call_end(&call, r);
}

static int sync_file(struct cairnfs *ws, const char *path)
{
	_cleanup_(cairn_path_done) struct cairn_path at = { 0 };
	int r;

	r = cairn_path_find(ws->core, path, CAIRN_PATH_FOLLOW, &at);
	if (r < 0)
		return r;
	return cairn_core_fsync(ws->core, at.attr.ino);
}

int cairnfs_fsync(struct cairnfs *ws, const char *path)
{
	struct cairn_call call = { .ws = ws, .what = "sync", .path = path };
	int r;

	r = cairn_call_begin(&call);
	if (r == 0)
		r = sync_file(ws, path);
	return cairn_call_end(&call, r);
}
