#include "branch/complete.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "branch/descent.h"
#include "branch/names.h"
#include "util/macro.h"

/* Files up to this size get a digest of what was seen of them, as when they are copied up. */
#define DIGEST_MAX (INT64_C(1) << 20)

struct origin {
	UT_hash_handle hh, hh_node;
	uint64_t row, base_ino;
	int64_t data_end;
	bool made; /* the row is of this transaction: readers do not see it */
	char path[];
};

struct completer {
	struct cairn_branch *branch;
	struct cairn_store *own;
	struct origin *by_row, *by_node;
	struct cairn_names whiteouts;
	struct cairn_names clashes; /* whiteouts at the path of an entry of the branch */
	struct cairn_names moved;   /* paths in the base: the origin that shows it elsewhere */
	struct cairn_complete_result result;
	unsigned char *buffer;      /* a chunk */
	struct cairn_names visited; /* directories of the base, by number */
	bool has_links;             /* something copied up has several names in the base */
	unsigned int depth;
	struct cairn_error *err;
};

static void completerp(struct completer *k)
{
	struct origin *origin, *next;

	HASH_CLEAR(hh_node, k->by_node);
	HASH_ITER (hh, k->by_row, origin, next) {
		HASH_DEL(k->by_row, origin);
		free(origin);
	}
	cairn_names_free(&k->whiteouts);
	cairn_names_free(&k->clashes);
	cairn_names_free(&k->moved);
	cairn_names_free(&k->visited);
	free(k->buffer);
}

static int failed(struct completer *k, int r, const char *path)
{
	return cairn_error_set(k->err, r, "'%s' cannot be completed: %s: %s", k->branch->path, path,
			       r == -ENOENT ? "gone from the base" : strerror(-r));
}

static char *join(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, name) < 0 ? NULL : path;
}

static int add_origin(struct completer *k, const struct cairn_origin *from, bool made,
		      struct origin **ret)
{
	size_t len = strlen(from->path);
	struct origin *origin = calloc(1, sizeof(*origin) + len + 1), *there;

	if (!origin)
		return -ENOMEM;
	origin->row = from->delta_ino;
	origin->base_ino = from->base_ino;
	origin->data_end = from->data_end;
	origin->made = made;
	memcpy(origin->path, from->path, len + 1);
	HASH_ADD(hh, k->by_row, row, sizeof(origin->row), origin);
	if (!origin->hh.tbl) {
		free(origin);
		return -ENOMEM;
	}
	HASH_FIND(hh_node, k->by_node, &origin->base_ino, sizeof(origin->base_ino), there);
	if (!there && origin->base_ino)
		HASH_ADD(hh_node, k->by_node, base_ino, sizeof(origin->base_ino), origin);
	*ret = origin;
	return 0;
}

static int load_origin(void *arg, const struct cairn_origin *origin)
{
	struct origin *added;

	return add_origin(arg, origin, false, &added);
}

static int load_whiteout(void *arg, const char *path)
{
	struct completer *k = arg;

	return cairn_names_put(&k->whiteouts, path, NULL);
}

static struct origin *origin_of(const struct completer *k, uint64_t row)
{
	struct origin *origin;

	HASH_FIND(hh, k->by_row, &row, sizeof(row), origin);
	return origin;
}

/* Bytes. */

static int note_chunk(void *arg, int64_t index, const void *data, size_t len)
{
	unsigned char *there = arg;

	there[index / 8] |= (unsigned char)(1U << index % 8);
	return 0;
}

static bool is_zero(const unsigned char *bytes, size_t size)
{
	return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* Copies what the base has of a file before `end` wherever there is no chunk. */
static int copy_chunks(struct completer *k, const struct origin *origin,
		       const struct cairn_content *content, int64_t end)
{
	int64_t chunk_size = (int64_t)k->own->chunk_size;
	int64_t count = MIN(end, content->size) / chunk_size + 1, from = 0, to = 0;
	_cleanup_(cairn_freep) unsigned char *there = calloc(1, (size_t)(count / 8 + 1));
	int r = 0;

	if (!there)
		return -ENOMEM;
	if (!origin->made)
		r = k->own->branch->data_sizes(k->branch->reader, origin->row, 0, count - 1,
					       note_chunk, there);
	for (int64_t i = 0; r == 0 && i < count && i * chunk_size < content->size; i++) {
		size_t len = (size_t)MIN(chunk_size, content->size - i * chunk_size);

		if (there[i / 8] & 1U << i % 8)
			continue;
		if (i * chunk_size >= to)
			r = k->branch->base->ops->next_data(k->branch->base, content->node,
							    i * chunk_size, &from, &to);
		if (r < 0)
			return r == -ENXIO ? 0 : r;
		if ((i + 1) * chunk_size <= from) {
			i = from / chunk_size - 1;
			continue;
		}
		r = cairn_content_read(k->branch, content, i * chunk_size, k->buffer, len);
		if (r == 0 && !is_zero(k->buffer, len)) {
			r = k->own->ops->data_put(k->own, origin->row, i, k->buffer, len);
			k->result.bytes += len;
		}
	}
	return r;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Size and times of a file of which all bytes were the base's, which follow it until now; and what
 * has been seen of them. */
static int settle_attr(struct completer *k, const struct origin *origin,
		       const struct cairn_attr *was)
{
	struct cairn_seen seen = { 0 }, now = { .size = was->size };
	struct cairn_attr attr = { 0 };
	int r;

	now.mtime = was->mtime.tv_sec < 0 ? (struct timespec){ 0 } : was->mtime;
	now.ctime = was->ctime.tv_sec < 0 ? (struct timespec){ 0 } : was->ctime;
	r = k->own->ops->inode_get(k->branch->reader, origin->row, &attr);
	if (r == 0)
		r = k->own->branch->seen_get(k->branch->reader, origin->path, &seen);
	if (r < 0 && r != -ENOENT)
		return r;
	free((char *)seen.target);
	attr.ino = origin->row;
	attr.size = was->size;
	if (r == 0 && same_time(&attr.mtime, &seen.mtime))
		attr.mtime = now.mtime;
	r = 0;
	if (was->size <= DIGEST_MAX) {
		r = cairn_branch_base_digest(k->branch, was->ino, was->size, now.digest);
		now.has_digest = r == 0;
	}
	if (r == 0)
		r = k->own->branch->seen_data(k->own, origin->path, &now);
	return r < 0 ? r : k->own->ops->inode_update(k->own, &attr);
}

static int complete_file(struct completer *k, struct origin *origin)
{
	struct cairn_origin done = { .delta_ino = origin->row, .base_ino = origin->base_ino };
	struct cairn_content content = { .row = origin->row, .data_end = origin->data_end };
	struct cairn_base *base = k->branch->base;
	struct cairn_attr attr = { 0 }, was = { 0 };
	bool whole = origin->data_end == CAIRN_DATA_OF_BASE;
	int r;

	r = base->ops->resolve(base, origin->path, &was);
	if (r == 0 && !S_ISREG(was.mode))
		r = -ENOENT;
	if (r == 0 && !whole)
		r = k->own->ops->inode_get(k->branch->reader, origin->row, &attr);
	if (r < 0)
		return failed(k, r, origin->path);
	content.node = was.ino;
	content.size = whole ? was.size : attr.size;
	r = copy_chunks(k, origin, &content, whole ? was.size : origin->data_end);
	if (r == 0 && whole && !origin->made)
		r = settle_attr(k, origin, &was);
	done.path = origin->path;
	if (r == 0)
		r = k->own->branch->origin_put(k->own, &done);
	origin->data_end = 0;
	k->result.files++;
	return r < 0 ? failed(k, r, origin->path) : 0;
}

static int complete_files(struct completer *k)
{
	int r = 0;

	for (struct origin *origin = k->by_row; r == 0 && origin; origin = origin->hh.next)
		if (origin->data_end != 0 && origin->path[0])
			r = complete_file(k, origin);
	return r;
}

/* Entries. */

struct entry {
	char *name;
	struct cairn_attr attr; /* ino: the row, or the node of the base */
};

struct entries {
	struct entry *list;
	size_t count;
};

static void entriesp(struct entries *entries)
{
	for (size_t i = 0; i < entries->count; i++)
		free(entries->list[i].name);
	free(entries->list);
}

static int collect(struct entries *entries, const char *name, size_t len,
		   const struct cairn_attr *attr)
{
	struct entry *list = reallocarray(entries->list, entries->count + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	entries->list = list;
	list[entries->count] = (struct entry){ .name = strndup(name, len), .attr = *attr };
	return list[entries->count++].name ? 0 : -ENOMEM;
}

static int collect_own(void *arg, const struct cairn_dentry_row *row)
{
	return row->has_attr ? collect(arg, row->name, row->name_len, &row->attr) : 0;
}

static int collect_base(void *arg, const struct cairn_base_entry *entry)
{
	struct cairn_attr attr = entry->attr;

	/* What may not be looked at may be hidden all the same. */
	attr.ino = entry->has_attr ? entry->ino : 0;
	attr.mode = entry->mode;
	return collect(arg, entry->name, entry->name_len, &attr);
}

static int list_base(struct completer *k, const char *path, struct entries *ret)
{
	struct cairn_base *base = k->branch->base;
	struct cairn_attr attr = { 0 };
	int r;

	r = base->ops->resolve(base, path, &attr);
	if (r == 0 && S_ISDIR(attr.mode))
		r = base->ops->list(base, attr.ino, collect_base, ret);
	if (r >= 0 || r == -ENOENT || r == -ENOTDIR)
		return 0;
	/* For some it is no failure. */
	return r == -EACCES ? r : failed(k, r, path);
}

struct xattrs {
	struct completer *k;
	uint64_t node, row;
};

static int copy_xattr(void *arg, const char *name)
{
	const struct xattrs *x = arg;
	_cleanup_(cairn_freep) void *value = NULL;
	struct cairn_base *base = x->k->branch->base;
	size_t len = 0;
	int r;

	r = base->ops->xattr_get(base, x->node, name, &value, &len);
	return r < 0 ? r : x->k->own->ops->xattr_put(x->k->own, x->row, name, value, len);
}

static int note_seen(struct completer *k, const char *path, const struct cairn_attr *attr,
		     const char *target)
{
	struct cairn_seen seen = {
		.mode = attr->mode,
		.uid = attr->uid,
		.gid = attr->gid,
		.rdev = attr->rdev,
		.size = S_ISDIR(attr->mode) ? 0 : attr->size,
		.mtime = attr->mtime.tv_sec < 0 ? (struct timespec){ 0 } : attr->mtime,
		.ctime = attr->ctime.tv_sec < 0 ? (struct timespec){ 0 } : attr->ctime,
		.target = target,
	};
	int r = 0;

	if (S_ISREG(attr->mode) && attr->size <= DIGEST_MAX) {
		r = cairn_branch_base_digest(k->branch, attr->ino, attr->size, seen.digest);
		seen.has_digest = r == 0;
	}
	return r < 0 ? r : k->own->branch->seen_put(k->own, path, &seen);
}

/* Another name of something that was copied up: seen was what was seen then. */
static int note_seen_too(struct completer *k, const struct origin *origin, const char *path,
			 const struct cairn_attr *attr)
{
	struct cairn_seen seen = { 0 };
	int r = -ENOENT;

	if (!origin->made)
		r = k->own->branch->seen_get(k->branch->reader, origin->path, &seen);
	if (r == -ENOENT)
		return note_seen(k, path, attr, NULL);
	if (r == 0)
		r = k->own->branch->seen_put(k->own, path, &seen);
	free((char *)seen.target);
	return r;
}

/* A row for what the base has at a path, with all but its data and entries. */
static int add_row(struct completer *k, const char *path, const struct cairn_attr *attr,
		   struct origin **ret)
{
	struct cairn_origin origin = {
		.base_ino = attr->ino,
		.path = path,
		.data_end = S_ISREG(attr->mode) ? CAIRN_DATA_OF_BASE : 0,
	};
	struct xattrs x = { .k = k, .node = attr->ino };
	_cleanup_(cairn_freep) char *target = NULL;
	struct cairn_base *base = k->branch->base;
	struct cairn_attr row = *attr;
	int r = 0;

	if (S_ISDIR(row.mode))
		row.nlink = 1;
	if (S_ISLNK(row.mode))
		r = base->ops->readlink(base, attr->ino, &target);
	if (r == 0)
		r = k->own->branch->inode_add(k->own, &row, &origin.delta_ino);
	if (r == 0 && target)
		r = k->own->ops->symlink_put(k->own, origin.delta_ino, target);
	x.row = origin.delta_ino;
	if (r == 0)
		r = base->ops->xattr_scan(base, attr->ino, copy_xattr, &x);
	if (r == -EOPNOTSUPP)
		r = 0;
	if (r == 0)
		r = note_seen(k, path, attr, target);
	if (r == 0)
		r = k->own->branch->origin_put(k->own, &origin);
	return r < 0 ? r : add_origin(k, &origin, true, ret);
}

/* An entry of the base gets one in a directory of the branch: the row that it has already, under
 * another name, or one of its own. */
static int copy_entry(struct completer *k, uint64_t dir, const char *path, const char *name,
		      const struct cairn_attr *attr, uint64_t *ret_row)
{
	uint64_t node = attr->ino;
	struct origin *origin;
	int r = 0;

	if (!node)
		return failed(k, -EACCES, path);
	HASH_FIND(hh_node, k->by_node, &node, sizeof(node), origin);
	if (origin)
		r = note_seen_too(k, origin, path, attr);
	else
		r = add_row(k, path, attr, &origin);
	if (r == 0)
		r = k->own->ops->dentry_put(k->own, dir, name, strlen(name), 0, origin->row);
	k->result.entries++;
	if (r < 0)
		return failed(k, r, path);
	*ret_row = origin->row;
	return 0;
}

/* A directory of the branch on the way. */
struct place {
	uint64_t row;
	const char *path; /* in the branch */
	const char *base; /* its counterpart; NULL: none */
};

static bool has_name(const struct entries *entries, const char *name)
{
	for (size_t i = 0; i < entries->count; i++)
		if (strcmp(entries->list[i].name, name) == 0)
			return true;
	return false;
}

/* A whiteout at the path of an entry hides that from AgentFS. */
static int note_clash(struct completer *k, const char *path)
{
	return cairn_names_get(&k->whiteouts, path, NULL) ? cairn_names_put(&k->clashes, path, NULL)
							  : 0;
}

static int fill(struct completer *k, const struct place *at, struct entries *own);

static int copy_one(struct completer *k, const struct place *at, const struct entry *entry,
		    struct entries *own)
{
	_cleanup_(cairn_freep) char *base = join(at->base, entry->name);
	_cleanup_(cairn_freep) char *path = join(at->path, entry->name);
	_cleanup_(entriesp) struct entries none = { 0 };
	struct place below = { .path = path, .base = base };
	int r;

	if (!base || !path)
		return -ENOMEM;
	if (cairn_names_get(&k->whiteouts, base, NULL))
		return 0;
	r = S_ISDIR(entry->attr.mode) ? cairn_names_visit(&k->visited, entry->attr.ino) : 0;
	if (r < 0)
		return failed(k, r, base);
	r = copy_entry(k, at->row, base, entry->name, &entry->attr, &below.row);
	if (r == 0)
		r = note_clash(k, path);
	if (r == 0)
		r = collect(own, entry->name, strlen(entry->name), &entry->attr);
	return r == 0 && S_ISDIR(entry->attr.mode) ? fill(k, &below, &none) : r;
}

/* What a directory shows of the base comes into it. */
static int copy_shown(struct completer *k, const struct place *at, struct entries *own)
{
	_cleanup_(entriesp) struct entries entries = { 0 };
	int r;

	r = list_base(k, at->base, &entries);
	for (size_t i = 0; r == 0 && i < entries.count; i++)
		if (!has_name(own, entries.list[i].name))
			r = copy_one(k, at, &entries.list[i], own);
	return r;
}

/* What the base has at its place is not shown in it. */
static int hide_place(struct completer *k, const struct place *at, const struct entries *own)
{
	_cleanup_(entriesp) struct entries entries = { 0 };
	int r;

	r = list_base(k, at->path, &entries);
	for (size_t i = 0; r == 0 && i < entries.count; i++) {
		_cleanup_(cairn_freep) char *path = join(at->path, entries.list[i].name);

		if (!path)
			return -ENOMEM;
		if (has_name(own, entries.list[i].name) ||
		    cairn_names_get(&k->whiteouts, path, NULL))
			continue;
		r = k->own->branch->whiteout_put(k->own, path);
		k->result.hidden++;
	}
	return r;
}

/* A directory that does not show what the base has at its path. */
static int fill(struct completer *k, const struct place *at, struct entries *own)
{
	const struct cairn_origin none = { .delta_ino = at->row, .path = "" };
	struct origin *origin;
	int r = 0;

	if (k->depth++ == CAIRN_DEPTH_MAX)
		return failed(k, -EIO, at->path);
	if (at->base) {
		origin = origin_of(k, at->row);
		if (!origin)
			r = add_origin(k, &none, true, &origin);
		if (r == 0)
			r = cairn_names_put(&k->moved, at->base, origin);
		if (r == 0)
			r = copy_shown(k, at, own);
	}
	if (r == 0)
		r = hide_place(k, at, own);
	k->depth--;
	return r < 0 ? failed(k, r, at->path) : 0;
}

/* A directory of the base that is seen at its own path, from one that the branch has a row for
 * down.
 */
struct way {
	struct way *above;
	const char *path, *name;
	const struct cairn_attr *attr;
	uint64_t row; /* 0: none yet */
};

static int get_row(struct completer *k, struct way *way)
{
	int r;

	if (way->row)
		return 0;
	r = get_row(k, way->above);
	return r < 0 ? r
		     : copy_entry(k, way->above->row, way->path, way->name, way->attr, &way->row);
}

static int link_below(struct completer *k, struct way *way, const struct entries *own);

static int link_one(struct completer *k, struct way *way, const struct entry *entry)
{
	static const struct entries none = { 0 };
	_cleanup_(cairn_freep) char *path = join(way->path, entry->name);
	struct way below = {
		.above = way, .path = path, .name = entry->name, .attr = &entry->attr
	};
	uint64_t node = entry->attr.ino, row;
	const struct origin *origin;
	int r;

	if (!path)
		return -ENOMEM;
	if (cairn_names_get(&k->whiteouts, path, NULL))
		return 0;
	if (S_ISDIR(entry->attr.mode)) {
		r = cairn_names_visit(&k->visited, node);
		return r < 0 ? failed(k, r, path) : link_below(k, &below, &none);
	}
	HASH_FIND(hh_node, k->by_node, &node, sizeof(node), origin);
	if (!origin)
		return 0;
	r = get_row(k, way);
	return r < 0 ? r : copy_entry(k, way->row, path, entry->name, &entry->attr, &row);
}

/* A file has the branch's bytes under all of its names, those too that the base alone has. */
static int link_below(struct completer *k, struct way *way, const struct entries *own)
{
	_cleanup_(entriesp) struct entries entries = { 0 };
	int r;

	if (k->depth++ == CAIRN_DEPTH_MAX)
		return failed(k, -EIO, way->path);
	r = list_base(k, way->path, &entries);
	/* What may not be looked into cannot be seen in the branch either. */
	if (r == -EACCES)
		r = 0;
	for (size_t i = 0; r == 0 && i < entries.count; i++)
		if (!has_name(own, entries.list[i].name))
			r = link_one(k, way, &entries.list[i]);
	k->depth--;
	return r;
}

static int walk(struct completer *k, const struct place *at);

static int walk_into(struct completer *k, const struct place *at, const struct entry *entry)
{
	const struct origin *origin = origin_of(k, entry->attr.ino);
	_cleanup_(cairn_freep) char *path = join(at->path, entry->name);
	_cleanup_(cairn_freep) char *base = at->base ? join(at->base, entry->name) : NULL;
	struct place below = { .row = entry->attr.ino, .path = path };
	struct cairn_attr attr = { 0 };
	int r;

	if (!path || (at->base && !base))
		return -ENOMEM;
	r = note_clash(k, path);
	if (r < 0 || !S_ISDIR(entry->attr.mode))
		return r;
	if (origin) {
		below.base = origin->path[0] ? origin->path : NULL;
	} else if (base && !cairn_names_get(&k->whiteouts, base, NULL)) {
		r = k->branch->base->ops->resolve(k->branch->base, base, &attr);
		if (r < 0 && r != -ENOENT && r != -ENOTDIR)
			return failed(k, r, base);
		below.base = r == 0 && S_ISDIR(attr.mode) ? base : NULL;
	}
	return walk(k, &below);
}

static int walk(struct completer *k, const struct place *at)
{
	_cleanup_(entriesp) struct entries own = { 0 };
	struct way way = { .path = at->path, .row = at->row };
	int r;

	if (k->depth++ == CAIRN_DEPTH_MAX)
		return failed(k, -EIO, at->path);
	r = k->own->ops->dentry_scan(k->branch->reader, at->row, true, collect_own, &own);
	for (size_t i = 0; r == 0 && i < own.count; i++)
		r = walk_into(k, at, &own.list[i]);
	if (r == 0 && (!at->base || strcmp(at->base, at->path) != 0))
		r = fill(k, at, &own);
	else if (r == 0 && k->has_links)
		r = link_below(k, &way, &own);
	k->depth--;
	return r;
}

/* The whiteout goes. Where it hides the base's entry in a directory that was moved, that shows
 * nothing of the base from here on: all of it has been copied. */
static int settle_clash(struct completer *k, const char *path)
{
	_cleanup_(cairn_freep) char *dir = strdup(path);
	void *found = NULL;
	int r = 0;

	if (!dir)
		return -ENOMEM;
	*strrchr(dir, '/') = '\0';
	if (dir[0] && cairn_names_get(&k->moved, dir, &found) && found) {
		const struct origin *moved = found;
		const struct cairn_origin origin = {
			.delta_ino = moved->row,
			.base_ino = moved->base_ino,
			.path = "",
		};

		r = k->own->branch->origin_put(k->own, &origin);
	}
	return r < 0 ? r : k->own->branch->whiteout_delete(k->own, path);
}

static int settle_clashes(struct completer *k)
{
	struct cairn_name *name, *next;
	int r;

	HASH_ITER (hh, k->clashes.table, name, next) {
		r = settle_clash(k, name->text);
		if (r < 0)
			return failed(k, r, name->text);
	}
	return 0;
}

static bool has_links(struct completer *k)
{
	struct cairn_base *base = k->branch->base;

	for (const struct origin *origin = k->by_row; origin; origin = origin->hh.next) {
		struct cairn_attr attr = { 0 };

		if (origin->path[0] && origin->base_ino &&
		    base->ops->resolve(base, origin->path, &attr) == 0 && !S_ISDIR(attr.mode) &&
		    attr.nlink > 1)
			return true;
	}
	return false;
}

static int complete(struct completer *k)
{
	const struct place root = { .row = CAIRN_ROOT_INO, .path = "/", .base = "/" };
	int r;

	r = k->own->branch->origin_scan(k->branch->reader, load_origin, k);
	if (r == 0)
		r = k->own->branch->whiteout_scan(k->branch->reader, load_whiteout, k);
	k->has_links = has_links(k);
	if (r == 0)
		r = walk(k, &root);
	if (r == 0)
		r = settle_clashes(k);
	if (r == 0)
		r = complete_files(k);
	if (r == 0)
		r = k->own->ops->commit(k->own);
	return r;
}

int cairn_complete(struct cairn_branch *branch, struct cairn_complete_result *ret,
		   struct cairn_error *err)
{
	_cleanup_(completerp) struct completer k = {
		.branch = branch,
		.own = branch->own,
		.buffer = malloc(branch->own->chunk_size),
		.err = err,
	};
	int r;

	if (!k.buffer)
		return -ENOMEM;
	r = k.own->ops->begin(k.own);
	if (r == 0)
		r = complete(&k);
	if (r < 0) {
		k.own->ops->rollback(k.own);
		r = failed(&k, r, "its tables");
	}
	if (r == 0)
		*ret = k.result;
	return r;
}
