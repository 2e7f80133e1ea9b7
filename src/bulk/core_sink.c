/* A directory of a workspace as the sink of a tree, through the core and no kernel. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bulk/path.h"
#include "bulk/tree.h"
#include "core/core.h"
#include "util/macro.h"

#define IMPLICIT_MODE 0755 /* of a directory without an entry */

/* A directory that gets its attributes at the end. */
struct made_dir {
	uint64_t ino;
	struct cairn_attr attr;
};

/* A directory on the way to the one that was reached last. */
struct step {
	uint64_t ino;
	size_t path_len; /* of its path */
};

struct core_sink {
	struct cairn_tree_sink base;
	struct cairn_core *core;
	struct cairn_caller caller;
	/* The way from the top, which is the first step, to `path`. */
	struct step *steps;
	size_t depth, capacity;
	struct cairn_tree_path path;
	struct made_dir *dirs;
	size_t dir_count, dir_capacity;
	/* Inodes with these numbers and those between were made here: numbers are given out in
	 * order, and nobody else makes any meanwhile. Those of a base are elsewhere. 0: none yet.
	 */
	uint64_t first_made, last_made;

	/* The file that is being written: */
	uint64_t ino;
	int64_t size; /* up to where it is */
	struct cairn_attr attr;
	char *name; /* its path, for the words */
};

static struct core_sink *sink_of(struct cairn_tree_sink *base)
{
	return CONTAINER_OF(base, struct core_sink, base);
}

static int failed(int r, const char *what, const char *path, struct cairn_error *err)
{
	return cairn_error_set(err, r, "cannot %s '/%s' in the workspace: %s", what, path,
			       strerror(-r));
}

static bool keeps_setid(_unused_ const struct cairn_caller *caller)
{
	return true;
}

/* Who an entry is made by: whom it belongs to then. */
static struct cairn_caller maker_of(const struct core_sink *sink,
				    const struct cairn_tree_entry *entry)
{
	struct cairn_caller caller = sink->caller;

	if (sink->base.bulk->keep_owner) {
		caller.uid = entry->attr.uid;
		caller.gid = entry->attr.gid;
	}
	return caller;
}

static int lookup(struct core_sink *sink, uint64_t dir, const char *name, struct cairn_attr *ret)
{
	int r = cairn_core_lookup(sink->core, dir, name, ret);

	if (r == 0)
		cairn_core_forget(sink->core, ret->ino, 1);
	return r;
}

static int push_step(struct core_sink *sink, uint64_t ino, const char *name)
{
	int r = 0;

	if (sink->depth == sink->capacity) {
		size_t capacity = sink->capacity ? 2 * sink->capacity : 16;
		void *steps = reallocarray(sink->steps, capacity, sizeof(*sink->steps));

		if (!steps)
			return -ENOMEM;
		sink->steps = steps;
		sink->capacity = capacity;
	}
	if (name)
		r = cairn_tree_path_push(&sink->path, name);
	if (r == 0)
		sink->steps[sink->depth++] =
			(struct step){ .ino = ino, .path_len = sink->path.len };
	return r;
}

/* Goes back to the last step from which the path of `len` bytes can be reached. */
static void go_back(struct core_sink *sink, const char *path, size_t len)
{
	for (;;) {
		size_t step_len = sink->steps[sink->depth - 1].path_len;
		bool on_way = step_len <= len &&
			      (step_len == 0 || path[step_len] == '/' || step_len == len);

		if (on_way && (step_len == 0 || memcmp(path, sink->path.text, step_len) == 0))
			break;
		sink->depth--;
	}
	cairn_tree_path_cut(&sink->path, sink->steps[sink->depth - 1].path_len);
}

static void note_made(struct core_sink *sink, uint64_t ino)
{
	if (!sink->first_made)
		sink->first_made = ino;
	sink->last_made = ino;
}

static bool is_made_here(const struct core_sink *sink, uint64_t ino)
{
	return sink->first_made && ino >= sink->first_made && ino <= sink->last_made;
}

static int step_into(struct core_sink *sink, const char *name, bool make)
{
	uint64_t dir = sink->steps[sink->depth - 1].ino;
	struct cairn_attr attr = { 0 };
	int r;

	r = lookup(sink, dir, name, &attr);
	if (r == -ENOENT && make) {
		r = cairn_core_mkdir(sink->core, &sink->caller, dir, name, IMPLICIT_MODE, &attr);
		if (r == 0) {
			cairn_core_forget(sink->core, attr.ino, 1);
			note_made(sink, attr.ino);
		}
	}
	if (r < 0)
		return r;
	return S_ISDIR(attr.mode) ? push_step(sink, attr.ino, name) : -ENOTDIR;
}

/* Walks to the directory whose path is the first `len` bytes; its number in *ret_dir. */
static int walk(struct core_sink *sink, const char *path, size_t len, bool make, uint64_t *ret_dir)
{
	char name[CAIRN_NAME_MAX + 1];
	size_t name_len;
	int r;

	go_back(sink, path, len);
	for (size_t at = sink->path.len; at < len; at += name_len) {
		at += at > 0;
		name_len = strcspn(path + at, "/");
		if (name_len > CAIRN_NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, path + at, name_len);
		name[name_len] = '\0';
		r = step_into(sink, name, make);
		if (r < 0)
			return r;
	}
	*ret_dir = sink->steps[sink->depth - 1].ino;
	return 0;
}

/* Walks to the directory that holds `path`. */
static int reach(struct core_sink *sink, const char *path, bool make, uint64_t *ret_dir)
{
	const char *name = cairn_tree_path_name(path);

	return walk(sink, path, name == path ? 0 : (size_t)(name - path) - 1, make, ret_dir);
}

static int note_dir(struct core_sink *sink, uint64_t ino, const struct cairn_attr *attr)
{
	if (sink->dir_count == sink->dir_capacity) {
		size_t capacity = sink->dir_capacity ? 2 * sink->dir_capacity : 64;
		void *dirs = reallocarray(sink->dirs, capacity, sizeof(*sink->dirs));

		if (!dirs)
			return -ENOMEM;
		sink->dirs = dirs;
		sink->dir_capacity = capacity;
	}
	sink->dirs[sink->dir_count++] = (struct made_dir){ .ino = ino, .attr = *attr };
	return 0;
}

static int set_attr(struct core_sink *sink, uint64_t ino, const struct cairn_attr *to, bool resize)
{
	unsigned int set = CAIRN_SET_MODE | CAIRN_SET_ATIME | CAIRN_SET_MTIME;
	struct cairn_attr attr;

	if (sink->base.bulk->keep_owner)
		set |= CAIRN_SET_UID | CAIRN_SET_GID;
	if (resize)
		set |= CAIRN_SET_SIZE;
	return cairn_core_setattr(sink->core, &sink->caller, ino, set, to, &attr);
}

static int set_xattrs(struct core_sink *sink, uint64_t ino, const struct cairn_tree_entry *entry)
{
	const struct cairn_tree_xattr *xattr = entry->xattrs;
	int r = 0;

	for (size_t i = 0; r == 0 && i < entry->xattr_count; i++, xattr++)
		if (cairn_tree_xattr_counts(xattr->name, sink->caller.uid == 0))
			r = cairn_core_setxattr(sink->core, ino, xattr->name, xattr->value,
						xattr->size, 0);
	return r;
}

/* What is in the way of an entry goes, if it may. */
static int clear_way(struct core_sink *sink, uint64_t dir, const struct cairn_tree_entry *entry,
		     struct cairn_error *err)
{
	const char *name = cairn_tree_path_name(entry->path);
	struct cairn_attr there = { 0 };
	int r;

	r = lookup(sink, dir, name, &there);
	if (r < 0)
		return r;
	if (S_ISDIR(there.mode))
		return cairn_error_set(err, -EISDIR,
				       "'/%s' is a directory in the workspace, and is not replaced "
				       "by what is none; remove it first",
				       entry->path);
	if (!sink->base.bulk->overwrite && !is_made_here(sink, there.ino))
		return cairn_error_set(err, -EEXIST,
				       "'/%s' is in the workspace already; --overwrite replaces it",
				       entry->path);
	return cairn_core_unlink(sink->core, dir, name);
}

static int make_dir(struct core_sink *sink, uint64_t dir, const struct cairn_tree_entry *entry,
		    struct cairn_error *err)
{
	struct cairn_caller maker = maker_of(sink, entry);
	const char *name = cairn_tree_path_name(entry->path);
	struct cairn_attr attr = { 0 };
	int r;

	if (!entry->path[0]) {
		attr.ino = sink->steps[0].ino;
		r = 0;
	} else {
		r = cairn_core_mkdir(sink->core, &maker, dir, name, 0700, &attr);
		if (r == 0) {
			cairn_core_forget(sink->core, attr.ino, 1);
			note_made(sink, attr.ino);
		} else if (r == -EEXIST) {
			r = lookup(sink, dir, name, &attr);
			if (r == 0 && !S_ISDIR(attr.mode))
				return cairn_error_set(
					err, -ENOTDIR,
					"'/%s' is no directory in the workspace, "
					"and is not replaced by one; remove it first",
					entry->path);
		}
	}
	if (r == 0)
		r = set_xattrs(sink, attr.ino, entry);
	return r == 0 ? note_dir(sink, attr.ino, &entry->attr) : r;
}

static int make_link(struct core_sink *sink, uint64_t dir, const struct cairn_tree_entry *entry)
{
	struct cairn_attr attr = { 0 };
	uint64_t from;
	int r;

	/* The way to the entry itself is walked again for the next one. */
	r = reach(sink, entry->link, false, &from);
	if (r == 0)
		r = lookup(sink, from, cairn_tree_path_name(entry->link), &attr);
	if (r == 0)
		r = cairn_core_link(sink->core, attr.ino, dir, cairn_tree_path_name(entry->path),
				    &attr);
	if (r == 0)
		cairn_core_forget(sink->core, attr.ino, 1);
	return r;
}

/* Makes anything but a directory; *ret is what was made. */
static int make_node(struct core_sink *sink, uint64_t dir, const struct cairn_tree_entry *entry,
		     struct cairn_attr *ret)
{
	struct cairn_caller maker = maker_of(sink, entry);
	const char *name = cairn_tree_path_name(entry->path);
	int r;

	if (S_ISLNK(entry->attr.mode))
		r = cairn_core_symlink(sink->core, &maker, dir, name, entry->target, ret);
	else
		r = cairn_core_mknod(sink->core, &maker, dir, name, entry->attr.mode,
				     (dev_t)entry->attr.rdev, ret);
	if (r < 0)
		return r;
	cairn_core_forget(sink->core, ret->ino, 1);
	note_made(sink, ret->ino);
	return set_xattrs(sink, ret->ino, entry);
}

static int make_other(struct core_sink *sink, uint64_t dir, const struct cairn_tree_entry *entry,
		      struct cairn_attr *ret)
{
	return entry->link ? make_link(sink, dir, entry) : make_node(sink, dir, entry, ret);
}

static int begin_file(struct core_sink *sink, uint64_t ino, const struct cairn_tree_entry *entry)
{
	free(sink->name);
	sink->name = strdup(entry->path);
	if (!sink->name)
		return -ENOMEM;
	sink->ino = ino;
	sink->size = 0;
	sink->attr = entry->attr;
	return 1;
}

static int begin(struct core_sink *sink, const struct cairn_tree_entry *entry,
		 struct cairn_error *err)
{
	struct cairn_attr made = { 0 };
	uint64_t dir = 0;
	int r;

	r = entry->path[0] ? reach(sink, entry->path, true, &dir) : 0;
	if (r == -ENOTDIR)
		return cairn_error_set(
			err, r,
			"'/%s' cannot be made in the workspace: something that is no "
			"directory is on the way there, and nothing is written "
			"through a link",
			entry->path);
	if (r < 0)
		return r;
	if (S_ISDIR(entry->attr.mode))
		return make_dir(sink, dir, entry, err);
	r = make_other(sink, dir, entry, &made);
	if (r == -EEXIST) {
		r = clear_way(sink, dir, entry, err);
		if (r == 0)
			r = make_other(sink, dir, entry, &made);
	}
	if (r < 0 || entry->link)
		return r;
	if (S_ISREG(entry->attr.mode))
		return begin_file(sink, made.ino, entry);
	return set_attr(sink, made.ino, &entry->attr, false);
}

static int core_begin(struct cairn_tree_sink *base, const struct cairn_tree_entry *entry,
		      struct cairn_error *err)
{
	int r = begin(sink_of(base), entry, err);

	return r < 0 ? failed(r, "make", entry->path, err) : r;
}

static int core_data(struct cairn_tree_sink *base, const void *buf, size_t size, int64_t offset,
		     struct cairn_error *err)
{
	struct core_sink *sink = sink_of(base);
	int r;

	r = cairn_core_write(sink->core, &sink->caller, sink->ino, buf, size, offset, false, false);
	if (r < 0)
		return failed(r, "write", sink->name, err);
	sink->size = MAX(sink->size, offset + (int64_t)size);
	return 0;
}

static int core_end(struct cairn_tree_sink *base, struct cairn_error *err)
{
	struct core_sink *sink = sink_of(base);
	int r;

	/* It may end in a hole. */
	r = set_attr(sink, sink->ino, &sink->attr, sink->size != sink->attr.size);
	return r < 0 ? failed(r, "finish", sink->name, err) : 0;
}

static int core_finish(struct cairn_tree_sink *base, struct cairn_error *err)
{
	struct core_sink *sink = sink_of(base);
	int r;

	for (size_t i = 0; i < sink->dir_count; i++) {
		r = set_attr(sink, sink->dirs[i].ino, &sink->dirs[i].attr, false);
		if (r < 0)
			return cairn_error_set(err, r,
					       "the attributes of a directory cannot be set: %s",
					       strerror(-r));
	}
	return 0;
}

static void core_close(struct cairn_tree_sink *base)
{
	struct core_sink *sink = sink_of(base);

	cairn_tree_path_done(&sink->path);
	free(sink->steps);
	free(sink->dirs);
	free(sink->name);
	free(sink);
}

static const struct cairn_tree_sink_ops core_ops = {
	.begin = core_begin,
	.data = core_data,
	.end = core_end,
	.finish = core_finish,
	.close = core_close,
};

int cairn_core_sink_open(struct cairn_core *core, uint64_t dir, struct cairn_bulk *bulk,
			 struct cairn_tree_sink **ret, struct cairn_error *err)
{
	struct core_sink *sink = calloc(1, sizeof(*sink));
	_cleanup_(cairn_tree_sink_closep) struct cairn_tree_sink *base = NULL;
	int r;

	if (!sink)
		return cairn_error_set(err, -ENOMEM, "out of memory");
	sink->base = (struct cairn_tree_sink){ .ops = &core_ops, .bulk = bulk };
	base = &sink->base;
	sink->core = core;
	sink->caller = (struct cairn_caller){
		.uid = geteuid(),
		.gid = getegid(),
		.pid = getpid(),
		.may_keep_setid = keeps_setid,
	};
	r = push_step(sink, dir, NULL);
	if (r < 0)
		return cairn_error_set(err, r, "out of memory");
	*ret = TAKE_PTR(base);
	return 0;
}

int cairn_core_below(struct cairn_core *core, const char *path, bool make, uint64_t *ret_dir)
{
	_cleanup_(cairn_tree_sink_closep) struct cairn_tree_sink *base = NULL;
	_cleanup_(cairn_freep) char *clean = strdup(path);
	struct cairn_bulk bulk = { 0 };
	int r;

	if (!clean)
		return -ENOMEM;
	cairn_tree_path_clean(clean);
	r = cairn_core_sink_open(core, CAIRN_ROOT_INO, &bulk, &base, NULL);
	return r < 0 ? r : walk(sink_of(base), clean, strlen(clean), make, ret_dir);
}
