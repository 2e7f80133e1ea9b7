/* What stands where: attributes, directories, names, links. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/call.h"
#include "api/path.h"
#include "util/macro.h"

static int stat_path(struct cairnfs *ws, const char *path, enum cairn_path_end end,
		     struct cairn_attr *ret)
{
	_cleanup_(cairn_path_done) struct cairn_path at = { 0 };
	int r;

	r = cairn_path_find(ws->core, path, end, &at);
	if (r == 0)
		*ret = at.attr;
	return r;
}

static int stat_call(struct cairnfs *ws, const char *path, enum cairn_path_end end,
		     struct cairnfs_stat *ret)
{
	struct cairn_call call = { .ws = ws, .what = "stat", .path = path };
	struct cairn_attr attr = { 0 };
	int r;

	if (!ret)
		return cairn_call_failed(-EINVAL, call.what, path);
	r = cairn_call_begin(&call);
	if (r == 0)
		r = stat_path(ws, path, end, &attr);
	r = cairn_call_end(&call, r);
	if (r < 0)
		return r;
	*ret = (struct cairnfs_stat){
		.ino = attr.ino,
		.mode = attr.mode,
		.nlink = attr.nlink,
		.uid = attr.uid,
		.gid = attr.gid,
		.size = (uint64_t)attr.size,
		.allocated = (uint64_t)attr.allocated,
		.atime = attr.atime,
		.mtime = attr.mtime,
		.ctime = attr.ctime,
	};
	return 0;
}

int cairnfs_stat(struct cairnfs *ws, const char *path, struct cairnfs_stat *ret)
{
	return stat_call(ws, path, CAIRN_PATH_FOLLOW, ret);
}

int cairnfs_lstat(struct cairnfs *ws, const char *path, struct cairnfs_stat *ret)
{
	return stat_call(ws, path, CAIRN_PATH_ITSELF, ret);
}

int cairnfs_exists(struct cairnfs *ws, const char *path)
{
	struct cairn_call call = { .ws = ws, .what = "look for", .path = path };
	bool absent = false;
	struct cairn_attr attr;
	int r;

	r = cairn_call_begin(&call);
	if (r == 0) {
		r = stat_path(ws, path, CAIRN_PATH_FOLLOW, &attr);
		absent = r == -ENOENT || r == -ENOTDIR;
	}
	r = cairn_call_end(&call, absent ? 0 : r);
	return r < 0 ? r : !absent;
}

/* Something new may stand there: a name, and nothing of that name. */
static int check_free(const struct cairn_path *at)
{
	if (at->found)
		return -EEXIST;
	return at->slash ? -ENOENT : 0;
}

static int make_directory(struct cairn_core *core, const struct cairn_path *at, uint32_t mode)
{
	struct cairn_caller caller = cairn_call_caller();
	struct cairn_attr attr;
	int r;

	r = cairn_core_mkdir(core, &caller, at->dir, at->name, mode, &attr);
	if (r == 0)
		cairn_core_forget(core, attr.ino, 1);
	return r;
}

static int make_one(struct cairnfs *ws, const char *path, uint32_t mode)
{
	_cleanup_(cairn_path_done) struct cairn_path at = { 0 };
	int r;

	r = cairn_path_resolve(ws->core, path, CAIRN_PATH_ITSELF, &at);
	if (r < 0)
		return r;
	return at.found ? -EEXIST : make_directory(ws->core, &at, mode);
}

/* Makes one directory unless it is there, also by way of a link. */
static int make_unless_there(struct cairnfs *ws, const char *path, uint32_t mode)
{
	struct cairn_attr attr = { 0 };
	int r;

	r = make_one(ws, path, mode);
	if (r != -EEXIST)
		return r;
	r = stat_path(ws, path, CAIRN_PATH_FOLLOW, &attr);
	if (r == -ENOENT)
		return -EEXIST; /* a link that leads nowhere */
	return r < 0 || S_ISDIR(attr.mode) ? r : -EEXIST;
}

static int make_with_parents(struct cairnfs *ws, const char *path, uint32_t mode)
{
	_cleanup_(cairn_freep) char *part = strdup(path);
	size_t at = 0;
	char after;
	int r;

	if (!part)
		return -ENOMEM;
	do {
		at += strspn(part + at, "/");
		at += strcspn(part + at, "/");
		after = part[at];
		part[at] = '\0';
		r = make_unless_there(ws, part, mode);
		part[at] = after;
	} while (r == 0 && part[at + strspn(part + at, "/")]);
	/* A file stands where a parent should. */
	return r == -EEXIST && part[at + strspn(part + at, "/")] ? -ENOTDIR : r;
}

int cairnfs_mkdir(struct cairnfs *ws, const char *path, uint32_t mode, unsigned int flags)
{
	struct cairn_call call = {
		.ws = ws,
		.what = "make the directory",
		.path = path,
		.change = true,
	};
	int r;

	r = cairn_call_begin(&call);
	if (r == 0 && (mode > 07777 || flags & ~CAIRNFS_PARENTS))
		r = -EINVAL;
	if (r == 0)
		r = flags & CAIRNFS_PARENTS ? make_with_parents(ws, path, mode)
					    : make_one(ws, path, mode);
	return cairn_call_end(&call, r);
}

static int check_rename(const struct cairn_path *from, const struct cairn_path *to,
			unsigned int flags)
{
	if (!from->found)
		return -ENOENT;
	if (!from->name[0] || !to->name[0])
		return -EBUSY; /* "/", "." or ".." */
	if (flags & CAIRNFS_EXCHANGE && !to->found)
		return -ENOENT;
	if (!to->found && to->slash && !S_ISDIR(from->attr.mode))
		return -ENOTDIR;
	if (S_ISDIR(from->attr.mode) && cairn_path_is_through(to, from->attr.ino))
		return -EINVAL;
	if (flags & CAIRNFS_EXCHANGE && cairn_path_is_through(from, to->attr.ino))
		return -EINVAL;
	return 0;
}

static int rename_locked(struct cairnfs *ws, const char *from_path, const char *to_path,
			 unsigned int flags)
{
	_cleanup_(cairn_path_done) struct cairn_path from = { 0 };
	_cleanup_(cairn_path_done) struct cairn_path to = { 0 };
	unsigned int how = 0;
	int r;

	r = cairn_path_resolve(ws->core, from_path, CAIRN_PATH_ENTRY, &from);
	if (r < 0)
		return r;
	r = cairn_path_resolve(ws->core, to_path, CAIRN_PATH_ENTRY, &to);
	if (r < 0)
		return r;
	r = check_rename(&from, &to, flags);
	if (r < 0)
		return r;
	if (flags & CAIRNFS_NOREPLACE)
		how = RENAME_NOREPLACE;
	if (flags & CAIRNFS_EXCHANGE)
		how = RENAME_EXCHANGE;
	return cairn_core_rename(ws->core, from.dir, from.name, to.dir, to.name, how);
}

int cairnfs_rename(struct cairnfs *ws, const char *from, const char *to, unsigned int flags)
{
	struct cairn_call call = { .ws = ws, .what = "rename", .path = from, .change = true };
	int r;

	r = cairn_call_begin(&call);
	if (r == 0 && (!to || flags > CAIRNFS_EXCHANGE))
		r = -EINVAL;
	if (r == 0) {
		pthread_mutex_lock(&ws->rename_lock);
		r = rename_locked(ws, from, to, flags);
		pthread_mutex_unlock(&ws->rename_lock);
	}
	return cairn_call_end(&call, r);
}

static int make_symlink(struct cairnfs *ws, const char *target, const char *path)
{
	_cleanup_(cairn_path_done) struct cairn_path at = { 0 };
	struct cairn_caller caller = cairn_call_caller();
	struct cairn_attr attr;
	int r;

	r = cairn_path_resolve(ws->core, path, CAIRN_PATH_ITSELF, &at);
	if (r == 0)
		r = check_free(&at);
	if (r < 0)
		return r;
	r = cairn_core_symlink(ws->core, &caller, at.dir, at.name, target, &attr);
	if (r == 0)
		cairn_core_forget(ws->core, attr.ino, 1);
	return r;
}

int cairnfs_symlink(struct cairnfs *ws, const char *target, const char *path)
{
	struct cairn_call call = {
		.ws = ws,
		.what = "make the link",
		.path = path,
		.change = true,
	};
	int r;

	r = cairn_call_begin(&call);
	if (r == 0)
		r = target ? make_symlink(ws, target, path) : -EINVAL;
	return cairn_call_end(&call, r);
}

static int read_link(struct cairnfs *ws, const char *path, char **ret)
{
	_cleanup_(cairn_path_done) struct cairn_path at = { 0 };
	int r;

	r = cairn_path_find(ws->core, path, CAIRN_PATH_ITSELF, &at);
	if (r < 0)
		return r;
	return cairn_core_readlink(ws->core, at.attr.ino, ret);
}

int cairnfs_readlink(struct cairnfs *ws, const char *path, char **ret)
{
	struct cairn_call call = { .ws = ws, .what = "read the link", .path = path };
	_cleanup_(cairn_freep) char *target = NULL;
	int r;

	if (!ret)
		return cairn_call_failed(-EINVAL, call.what, path);
	r = cairn_call_begin(&call);
	if (r == 0)
		r = read_link(ws, path, &target);
	r = cairn_call_end(&call, r);
	if (r == 0)
		*ret = TAKE_PTR(target);
	return r;
}

static int make_link(struct cairnfs *ws, const char *from_path, const char *to_path)
{
	_cleanup_(cairn_path_done) struct cairn_path from = { 0 };
	_cleanup_(cairn_path_done) struct cairn_path to = { 0 };
	struct cairn_attr attr;
	int r;

	r = cairn_path_find(ws->core, from_path, CAIRN_PATH_ITSELF, &from);
	if (r < 0)
		return r;
	r = cairn_path_resolve(ws->core, to_path, CAIRN_PATH_ITSELF, &to);
	if (r == 0)
		r = check_free(&to);
	if (r < 0)
		return r;
	r = cairn_core_link(ws->core, from.attr.ino, to.dir, to.name, &attr);
	if (r == 0)
		cairn_core_forget(ws->core, attr.ino, 1);
	return r;
}

int cairnfs_link(struct cairnfs *ws, const char *from, const char *to)
{
	struct cairn_call call = { .ws = ws, .what = "link", .path = from, .change = true };
	int r;

	r = cairn_call_begin(&call);
	if (r == 0)
		r = to ? make_link(ws, from, to) : -EINVAL;
	return cairn_call_end(&call, r);
}
