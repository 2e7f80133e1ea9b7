/* Copying up: what is about to be changed gets a row in the branch. The parents come first, so that
 * a peer that knows nothing of origins finds the file where it was; then the row with what the core
 * has of it, its attributes and target, and its entry. Of the data, nothing before they are
 * changed.
 *
 * The base may change, or be in trouble, at any moment in this. What was changed here is to be
 * written all the same: what can be told only from the base and cannot be had is left out, with a
 * line in the log, and only what may be better in a moment is an error. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/overlay_internal.h"
#include "util/clock.h"

/* How often a whole batch is tried before what the base cannot give is left out. */
#define ATTEMPTS_MAX 3U

/* Errors of the base after which the batch is tried again: those that pass, and, a few times, those
 * that may. What the host does not let us have, it will not. */
static bool is_passing(const struct cairn_overlay *o, int r)
{
	switch (r) {
	case -EAGAIN:
	case -ENOMEM:
	case -EINTR:
		return true;
	case -EACCES:
	case -EPERM:
	case -EOPNOTSUPP:
	case -EINVAL:
	case -ENOENT:
	case -ENOTDIR:
	case -EISDIR:
	case -ELOOP:
	case -ENODATA:
	case -ERANGE:
	case -E2BIG:
		return false;
	default:
		return r < 0 && o->attempts < ATTEMPTS_MAX;
	}
}

bool cairn_copy_up_waits(const struct cairn_overlay *o, int r)
{
	return is_passing(o, r);
}

/* 0 for what is passed over, with a word about it. */
static int pass_over(struct cairn_overlay *o, const char *path, const char *what, int r)
{
	if (r >= 0 || is_passing(o, r))
		return MIN(r, 0);
	cairn_warn(o->log, "copying up '%s' from '%s': %s: %s", path, o->base->path, what,
		   strerror(-r));
	return 0;
}

struct xattr_copy {
	struct cairn_overlay *overlay;
	const char *path;
	uint64_t node, delta;
	int failed; /* an error of the branch */
};

static int copy_xattr(void *arg, const char *name)
{
	struct xattr_copy *copy = arg;
	struct cairn_overlay *o = copy->overlay;
	_cleanup_(cairn_freep) void *value = NULL;
	size_t len = 0;
	int r;

	r = o->base->ops->xattr_get(o->base, copy->node, name, &value, &len);
	if (r < 0) {
		value = NULL;
		return r == -ENOENT ? 0 : pass_over(o, copy->path, name, r);
	}
	copy->failed = o->branch->ops->xattr_put(o->branch, copy->delta, name, value, len);
	return copy->failed;
}

static int copy_xattrs(struct cairn_overlay *o, uint64_t node, const char *path, uint64_t delta)
{
	struct xattr_copy copy = { .overlay = o, .path = path, .node = node, .delta = delta };
	int r;

	r = o->base->ops->xattr_scan(o->base, node, copy_xattr, &copy);
	return copy.failed ? copy.failed : pass_over(o, path, "extended attributes", r);
}

/* A link that leads nowhere known is no link: without its target nothing is done. */
static int copy_target(struct cairn_overlay *o, uint64_t node, uint64_t delta)
{
	_cleanup_(cairn_freep) char *target = NULL;
	int r;

	r = o->base->ops->readlink(o->base, node, &target);
	if (r < 0) {
		target = NULL;
		return r;
	}
	return o->branch->ops->symlink_put(o->branch, delta, target);
}

/* An entry in a directory that has a row, unless the name is taken there. */
static int add_entry(struct cairn_overlay *o, uint64_t parent, const char *name, uint64_t delta)
{
	uint64_t there;
	int r;

	r = o->branch->branch->entry(o->branch, parent, name, strlen(name), &there);
	if (r != -ENOENT)
		return r;
	return o->branch->ops->dentry_put(o->branch, parent, name, strlen(name), 0, delta);
}

/* What the origin of an inode says it is numbered after, so that it has this number again. */
static uint64_t base_number(struct cairn_overlay *o, uint64_t merged)
{
	return merged >= CAIRN_LAYER_STEP ? merged - CAIRN_LAYER_STEP
					  : cairn_origin_find(&o->origins, merged).alias_of;
}

/* A row for what is numbered `merged`, with its origin. */
static int add_row(struct cairn_overlay *o, uint64_t merged, const struct cairn_attr *attr,
		   const char *path, uint64_t *ret_delta)
{
	struct cairn_origin origin = {
		.base_ino = base_number(o, merged),
		.path = path,
		.data_end = S_ISREG(attr->mode) && path[0] ? CAIRN_DATA_OF_BASE : 0,
	};
	struct cairn_attr row = *attr;
	int r;

	if (S_ISDIR(row.mode) && path[0])
		row.nlink = MIN(row.nlink, 1U);
	r = o->branch->branch->inode_add(o->branch, &row, &origin.delta_ino);
	if (r == 0)
		r = o->branch->branch->origin_put(o->branch, &origin);
	if (r == 0)
		r = cairn_origin_add(&o->origins, merged, origin.delta_ino, path, origin.data_end);
	if (r == 0)
		*ret_delta = origin.delta_ino;
	return r;
}

/* Copies one node up, with an entry `name` in the directory of this row (0: with none). */
static int copy_one(struct cairn_overlay *o, uint64_t merged, uint64_t node, const char *name,
		    const struct cairn_attr *attr, uint64_t parent, uint64_t *ret_delta)
{
	_cleanup_(cairn_freep) char *path = NULL;
	struct cairn_attr base = { 0 }, shown;
	uint64_t delta = 0;
	int r;

	r = o->base->ops->getattr(o->base, node, &base);
	if (r < 0)
		return r;
	r = o->base->ops->path(o->base, node, &path);
	if (r < 0)
		return r;
	shown = base;
	cairn_overlay_show_attr(merged, &shown);
	r = cairn_note_seen(o, path, merged, &base, false);
	if (r == 0)
		r = add_row(o, merged, attr ? attr : &shown, path, &delta);
	if (r == 0 && S_ISLNK(base.mode))
		r = copy_target(o, node, delta);
	if (r == 0)
		r = copy_xattrs(o, node, path, delta);
	if (r == 0 && parent)
		r = add_entry(o, parent, name, delta);
	if (r < 0)
		return r;
	*ret_delta = delta;
	return 0;
}

/* What is to be copied up on the way from a directory with a row down to a node. A file may have
 * several names in the base, and others ask for it by another at any time: the name that was found
 * here is the one that goes with the directory that was. */
struct way {
	struct step {
		uint64_t merged, node;
		char name[CAIRN_NAME_MAX + 1]; /* in the directory of the next step */
	} * steps;                             /* the node first */
	size_t count, capacity;
	uint64_t row; /* of the directory at its beginning; 0: the way is cut */
};

static void wayp(struct way *way)
{
	free(way->steps);
}

static int way_add(struct way *way, uint64_t merged, uint64_t node)
{
	if (way->count == way->capacity) {
		size_t capacity = way->capacity ? 2 * way->capacity : 16;
		void *steps = reallocarray(way->steps, capacity, sizeof(*way->steps));

		if (!steps)
			return -ENOMEM;
		way->steps = steps;
		way->capacity = capacity;
	}
	way->steps[way->count++] = (struct step){ .merged = merged, .node = node };
	return 0;
}

uint64_t cairn_copy_up_row(struct cairn_overlay *o, uint64_t merged)
{
	const struct cairn_origin_node *origin = cairn_origin_of(&o->origins, merged);

	if (origin)
		return origin->delta;
	return cairn_overlay_is_own(o, merged) ? merged : 0;
}

uint64_t cairn_copy_up_node(struct cairn_overlay *o, uint64_t merged)
{
	struct cairn_origin_view view = cairn_origin_find(&o->origins, merged);

	return view.alias_of ? view.alias_of : merged - CAIRN_LAYER_STEP;
}

/* Whether what the base has under a name in one of its directories is still to be seen there: the
 * name may be hidden, or in the branch stand for something else. */
static int is_cut_off(struct cairn_overlay *o, uint64_t dir, uint64_t parent_row, const char *name)
{
	_cleanup_(cairn_freep) char *path = NULL;
	uint64_t there;
	int r;

	r = cairn_overlay_path(o, dir, name, strlen(name), &path);
	if (r == 0)
		r = o->branch->branch->hidden(o->branch, path);
	if (r != -ENOENT || !parent_row)
		return r == 0 ? 1 : r == -ENOENT ? 0 : r;
	r = o->branch->branch->entry(o->branch, parent_row, name, strlen(name), &there);
	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

/* Finds the way to a node that has no row. Where it is cut somewhere, only the node itself is left.
 */
static int find_way(struct cairn_overlay *o, uint64_t merged, struct way *way)
{
	uint64_t node = cairn_copy_up_node(o, merged), dir = 0, parent = 0;
	struct step *step;
	int r;

	while (!way->row) {
		r = way_add(way, merged, node);
		if (r < 0)
			return r;
		step = &way->steps[way->count - 1];
		r = cairn_overlay_merged_place(o, NULL, node, &parent, &dir, step->name);
		if (r == 0) {
			way->row = cairn_copy_up_row(o, parent);
			r = is_cut_off(o, dir, way->row, step->name);
		}
		if (r == 1 || r == -ENOENT) {
			way->row = 0;
			way->count = 1;
			return 0;
		}
		if (r < 0)
			return r;
		merged = parent;
		node = dir;
	}
	return 0;
}

int cairn_copy_up(struct cairn_overlay *o, uint64_t merged, const struct cairn_attr *attr,
		  uint64_t *ret_delta)
{
	_cleanup_(wayp) struct way way = { 0 };
	uint64_t row = cairn_copy_up_row(o, merged);
	int r;

	if (row) {
		*ret_delta = row;
		return 0;
	}
	r = find_way(o, merged, &way);
	if (r < 0)
		return r;
	row = way.row;
	while (way.count > 0) {
		const struct step *step = &way.steps[--way.count];

		r = copy_one(o, step->merged, step->node, step->name, way.count == 0 ? attr : NULL,
			     row, &row);
		if (r == -ENOENT && way.count > 0)
			row = 0; /* a directory that went while we were about it */
		else if (r < 0)
			return r;
	}
	*ret_delta = row;
	return 0;
}

int cairn_copy_up_root(struct cairn_overlay *o)
{
	static const struct cairn_origin origin = { .delta_ino = CAIRN_ROOT_INO, .path = "/" };
	uint64_t node = o->base->ops->root(o->base);
	struct cairn_attr attr = { 0 };
	int r;

	r = o->base->ops->getattr(o->base, node, &attr);
	if (r == 0)
		r = cairn_note_seen(o, "/", CAIRN_ROOT_INO, &attr, false);
	else
		r = pass_over(o, "/", "attributes", r);
	if (r == 0)
		r = o->branch->branch->origin_put(o->branch, &origin);
	if (r == 0)
		r = copy_xattrs(o, node, "/", CAIRN_ROOT_INO);
	return r < 0 ? r : cairn_origin_add(&o->origins, CAIRN_ROOT_INO, CAIRN_ROOT_INO, "/", 0);
}

/* A row for what is gone from the base; its names come at the commit, see lost.c. */
static int make_lost(struct cairn_overlay *o, uint64_t merged, const struct cairn_attr *attr,
		     uint64_t *ret_delta)
{
	uint64_t delta = 0;
	int r;

	r = cairn_lost_kept(o, merged, attr);
	if (r == 0)
		r = add_row(o, merged, attr, "", &delta);
	if (r == 0)
		*ret_delta = delta;
	return r;
}

int cairn_copy_up_dir(struct cairn_overlay *o, uint64_t merged, uint64_t *ret_delta)
{
	struct timespec now = cairn_now();
	const struct cairn_attr anew = {
		.mode = S_IFDIR | 0755,
		.nlink = 2,
		.uid = geteuid(),
		.gid = getegid(),
		.atime = now,
		.mtime = now,
		.ctime = now,
	};
	int r;

	r = cairn_copy_up(o, merged, NULL, ret_delta);
	return r == -ENOENT ? make_lost(o, merged, &anew, ret_delta) : r;
}

int cairn_copy_up_lost(struct cairn_overlay *o, const struct cairn_attr *attr, uint64_t *ret_delta)
{
	return make_lost(o, attr->ino, attr, ret_delta);
}

/* Stores what lies in the buffer of a stretch of a file that is data. */
static int put_stretch(struct cairn_overlay *o, uint64_t delta, size_t from, size_t to)
{
	size_t chunk_size = o->store.chunk_size;
	int r = 0;

	for (size_t at = from / chunk_size * chunk_size; r == 0 && at < to; at += chunk_size)
		r = o->branch->ops->data_put(o->branch, delta, (int64_t)(at / chunk_size),
					     o->buffer + at, MIN(chunk_size, to - at));
	return r;
}

/* Chunks of the first `len` bytes, which lie in the buffer; what is a hole of the base stays one.
 */
static int put_whole(struct cairn_overlay *o, uint64_t node, uint64_t delta, size_t len)
{
	size_t chunk_size = o->store.chunk_size, done = 0;
	int64_t from, to;
	int r;

	while (done < len) {
		r = o->base->ops->next_data(o->base, node, (int64_t)done, &from, &to);
		if (r == -ENXIO || (r == 0 && from >= (int64_t)len))
			return 0;
		if (is_passing(o, r))
			return r;
		if (r < 0) {
			from = (int64_t)done;
			to = (int64_t)len;
		}
		/* To the end of the chunk, which is stored whole. */
		done = (size_t)MIN(to, (int64_t)len);
		done = MIN((done + chunk_size - 1) / chunk_size * chunk_size, len);
		r = put_stretch(o, delta, (size_t)from, done);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Small files whole, which makes them independent of the base. 1: it cannot be read. */
static int copy_whole(struct cairn_overlay *o, const struct cairn_origin_node *origin,
		      const struct cairn_attr *attr, size_t want, size_t *ret_len)
{
	int r;

	if (want == 0)
		return 0;
	r = cairn_read_whole(o, attr->ino, want, ret_len);
	if (r < 0)
		return is_passing(o, r) ? r : 1;
	return put_whole(o, attr->ino, origin->delta, *ret_len);
}

static int set_end(struct cairn_overlay *o, struct cairn_origin_node *node, int64_t end)
{
	struct cairn_origin origin = {
		.delta_ino = node->delta,
		.base_ino = base_number(o, node->merged),
		.path = node->path,
		.data_end = end,
	};
	int r;

	r = o->branch->branch->origin_put(o->branch, &origin);
	if (r == 0)
		cairn_origin_set_end(&o->origins, node, end);
	return r;
}

int cairn_copy_up_cut(struct cairn_overlay *o, struct cairn_origin_node *node, int64_t end)
{
	return end < cairn_origin_end(node) ? set_end(o, node, end) : 0;
}

/* The file of the base that an origin leads to. -ENOENT: there is none any more. */
static int find_file(struct cairn_overlay *o, struct cairn_origin_node *node,
		     struct cairn_attr *ret)
{
	uint64_t found;
	int r;

	r = cairn_overlay_origin_node(o, node, &found);
	if (r == 0)
		r = o->base->ops->getattr(o->base, found, ret);
	if (r == 0 && !S_ISREG(ret->mode))
		return -ENOENT;
	return r;
}

int cairn_copy_up_data(struct cairn_overlay *o, struct cairn_origin_node *node, int64_t keep)
{
	struct cairn_attr attr = { 0 };
	size_t len = 0;
	int64_t end;
	int r;

	if (cairn_origin_end(node) != CAIRN_DATA_OF_BASE)
		return 0;
	r = find_file(o, node, &attr);
	if (is_passing(o, r))
		return r;
	/* Of what cannot be looked at now, all may count: nothing is lost by it. */
	if (r < 0)
		return set_end(o, node, r == -ENOENT ? 0 : keep);
	end = MIN(attr.size, keep);
	if (end <= (int64_t)o->copy_whole) {
		r = copy_whole(o, node, &attr, (size_t)end, &len);
		if (r < 0)
			return r;
		end = r == 0 ? 0 : end;
	}
	r = cairn_note_seen_data(o, node, &attr, len == (size_t)attr.size ? o->buffer : NULL, len);
	return r < 0 ? r : set_end(o, node, end);
}
