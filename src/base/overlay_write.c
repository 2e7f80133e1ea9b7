/* The write side: what a batch changes, put into the branch. The writer's thread alone, inside a
 * transaction; an error takes all of it back, and the same batch comes again.
 *
 * What a batch does comes in no order that means anything: a file may be given its new name before
 * it loses the old one, an entry may come before the inode it names. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/overlay_internal.h"

/* The row and origin of an inode; a row of 0: only the base has it. */
struct target {
	uint64_t delta;
	struct cairn_origin_node *origin; /* NULL: it has none */
};

static struct target find_target(struct cairn_overlay *o, uint64_t ino)
{
	struct target target = { .origin = cairn_origin_of(&o->origins, ino) };

	if (target.origin)
		target.delta = target.origin->delta;
	else if (cairn_overlay_is_own(o, ino))
		target.delta = ino;
	return target;
}

/* Whether the base may count for something in the data of a file. */
static bool has_base_data(const struct target *target)
{
	return target->origin && target->origin->path[0] && cairn_origin_end(target->origin) != 0;
}

int cairn_overlay_inode_insert(struct cairn_store *store, const struct cairn_attr *attr)
{
	struct cairn_overlay *o = cairn_overlay_of(store);
	struct target target = find_target(o, attr->ino);
	struct cairn_attr row = *attr;
	uint64_t delta;
	int r;

	/* Its row went while it was in use; what there is of it in the base is there still. */
	if (!target.delta) {
		r = cairn_copy_up(o, attr->ino, attr, &delta);
		return r == -ENOENT ? cairn_copy_up_lost(o, attr, &delta) : r;
	}
	/* When its entry came, it was not known to be no directory. */
	if (target.origin && !target.origin->path[0] && !S_ISDIR(attr->mode) &&
	    cairn_overlay_is_own(o, attr->ino)) {
		r = o->branch->branch->origin_delete(o->branch, target.delta);
		if (r < 0)
			return r;
		cairn_origin_remove(&o->origins, target.origin);
	}
	if (S_ISDIR(attr->mode))
		cairn_dirs_is_dir(&o->dirs, attr->ino);
	row.ino = target.delta;
	return o->branch->ops->inode_insert(o->branch, &row);
}

int cairn_overlay_inode_update(struct cairn_store *store, const struct cairn_attr *attr)
{
	struct cairn_overlay *o = cairn_overlay_of(store);
	struct target target = find_target(o, attr->ino);
	struct cairn_attr row = *attr;
	uint64_t delta;
	int r;

	if (attr->ino == CAIRN_ROOT_INO && !target.origin) {
		r = cairn_copy_up_root(o);
		if (r < 0)
			return r;
	}
	if (target.delta) {
		row.ino = target.delta;
		return o->branch->ops->inode_update(o->branch, &row);
	}
	r = cairn_copy_up(o, attr->ino, attr, &delta);
	if (r != -ENOENT)
		return r;
	/* It is gone from the base. If data come next, it is kept for their sake. */
	o->lost.pending = *attr;
	return 0;
}

/* What was kept when the base lost it may have a name that nobody here has seen yet: it is deleted
 * under all. */
static int delete_names(struct cairn_overlay *o, const struct target *target, uint32_t mode)
{
	char name[CAIRN_NAME_MAX + 1];
	uint64_t parent;
	int r;

	if (!target->origin || target->origin->path[0] || S_ISDIR(mode))
		return 0;
	do {
		r = o->branch->branch->place(o->branch, target->delta, &parent, name);
		if (r == 0)
			r = o->branch->ops->dentry_delete(o->branch, parent, name, strlen(name));
	} while (r == 0);
	return r == -ENOENT ? 0 : r;
}

int cairn_overlay_inode_delete(struct cairn_store *store, uint64_t ino, uint32_t mode)
{
	struct cairn_overlay *o = cairn_overlay_of(store);
	struct target target = find_target(o, ino);
	int r;

	if (!target.delta)
		return 0;
	r = delete_names(o, &target, mode);
	if (r == 0)
		r = o->branch->ops->inode_delete(o->branch, target.delta, mode);
	if (r == 0)
		r = o->branch->branch->origin_delete(o->branch, target.delta);
	if (r == 0 && target.origin)
		cairn_origin_remove(&o->origins, target.origin);
	return r;
}

/* The counterpart of a directory; 0: there is none. */
static int get_counterpart(struct cairn_overlay *o, uint64_t dir, uint64_t *ret)
{
	int r;

	r = cairn_overlay_counterpart(o, NULL, dir, ret);
	if (r == -ENOENT) {
		*ret = 0;
		return 0;
	}
	return r;
}

/* What the base has under a name. 0: it has it; 1: that cannot be told; -ENOENT: nothing. */
static int ask_base(struct cairn_overlay *o, uint64_t dir, const char *name, size_t len,
		    struct cairn_attr *ret)
{
	int r;

	r = cairn_overlay_base_lookup(o, dir, name, len, ret);
	if (r == -ESTALE) {
		cairn_overlay_look_anew(o);
		return -EAGAIN;
	}
	return r >= 0 || r == -ENOENT || cairn_copy_up_waits(o, r) ? r : 1;
}

static int add_opaque(struct cairn_overlay *o, uint64_t ino, const char *path)
{
	struct cairn_origin origin = { .delta_ino = ino, .path = path };
	int r;

	r = o->branch->branch->origin_put(o->branch, &origin);
	return r < 0 ? r : cairn_origin_add(&o->origins, ino, ino, path, 0);
}

/* A directory that shows what the base has in its place goes on to show that, from wherever it is
 * put. */
static int keep_counterpart(struct cairn_overlay *o, uint64_t ino, bool *ret_has)
{
	_cleanup_(cairn_freep) char *path = NULL;
	uint64_t node = 0;
	int r;

	r = get_counterpart(o, ino, &node);
	*ret_has = r == 0 && node;
	if (r < 0 || !node)
		return r;
	r = o->base->ops->path(o->base, node, &path);
	return r < 0 ? (r == -ENOENT ? -EAGAIN : r) : add_opaque(o, ino, path);
}

static bool lies_there(struct cairn_overlay *o, uint64_t ino, uint64_t parent, const char *name)
{
	char at[CAIRN_NAME_MAX + 1];
	uint64_t in;

	return cairn_dirs_place(&o->dirs, ino, &in, at) == 0 && in == parent &&
	       strcmp(at, name) == 0;
}

/* An inode without an origin is put where the base has a directory, or not. If it is a directory,
 * or may turn out to be one, what it shows of the base is settled now. */
static int settle_directory(struct cairn_overlay *o, uint64_t ino, uint64_t parent,
			    const char *name, size_t len, bool over_directory)
{
	char copy[CAIRN_NAME_MAX + 1] = "";
	bool has_counterpart = false;
	uint32_t mode = 0;
	int r, known;

	memcpy(copy, name, len);
	known = o->branch->branch->mode(o->branch, ino, &mode);
	if (known < 0 && known != -ENOENT)
		return known;
	if (known == 0 && (!S_ISDIR(mode) || lies_there(o, ino, parent, copy)))
		return 0;
	if (known == 0) {
		r = keep_counterpart(o, ino, &has_counterpart);
		if (r < 0)
			return r;
	}
	if (over_directory && !has_counterpart) {
		r = add_opaque(o, ino, "");
		if (r < 0)
			return r;
	}
	r = cairn_dirs_move(&o->dirs, ino, parent, name, len);
	if (r == 0 && known == 0)
		cairn_dirs_is_dir(&o->dirs, ino);
	return r;
}

/* The base has something, or had, under a name that is put. */
static int cover_base(struct cairn_overlay *o, uint64_t row, uint64_t dir, const char *name,
		      size_t len, bool *ret_directory)
{
	_cleanup_(cairn_freep) char *path = NULL;
	struct cairn_attr attr = { 0 };
	uint64_t there;
	int r, base;

	*ret_directory = false;
	base = ask_base(o, dir, name, len, &attr);
	if (base < 0 && base != -ENOENT)
		return base;
	if (base == -ENOENT && !atomic_load(&o->has_whiteouts))
		return 0;
	*ret_directory = base == 0 && S_ISDIR(attr.mode);
	r = cairn_overlay_path(o, dir, name, len, &path);
	if (r < 0)
		return r == -ENOENT ? -EAGAIN : r;
	r = o->branch->branch->hidden(o->branch, path);
	if (r == 0)
		return o->branch->branch->whiteout_delete(o->branch, path);
	if (r != -ENOENT || base != 0)
		return r == -ENOENT ? 0 : r;
	/* What the branch has there already was put over what the base had then. */
	r = o->branch->branch->entry(o->branch, row, name, len, &there);
	if (r != -ENOENT)
		return r;
	return cairn_note_covered(o, path, dir, name, len, &attr, true);
}

int cairn_overlay_dentry_put(struct cairn_store *store, uint64_t parent, const char *name,
			     size_t len, uint64_t id, uint64_t ino)
{
	struct cairn_overlay *o = cairn_overlay_of(store);
	uint64_t row, delta, dir = 0;
	bool over_directory = false;
	int r;

	r = cairn_copy_up_dir(o, parent, &row);
	if (r < 0)
		return r;
	r = cairn_copy_up(o, ino, NULL, &delta);
	if (r == -ENOENT) {
		r = cairn_lost_refused(o, parent, name, len, ino);
		/* What it was to replace is gone all the same. */
		return r < 0 ? r : cairn_overlay_dentry_delete(store, parent, name, len);
	}
	if (r < 0)
		return r;
	r = get_counterpart(o, parent, &dir);
	if (r == 0 && dir)
		r = cover_base(o, row, dir, name, len, &over_directory);
	if (r == 0 && cairn_overlay_is_own(o, ino) && !cairn_origin_of(&o->origins, ino))
		r = settle_directory(o, ino, parent, name, len, over_directory);
	if (r < 0)
		return r;
	cairn_lost_named(o, ino);
	return o->branch->ops->dentry_put(o->branch, row, name, len, 0, delta);
}

/* An entry of the branch goes. If it was that of a directory which is moved, its place is still
 * needed.
 */
static int delete_row(struct cairn_overlay *o, uint64_t parent, uint64_t row, const char *name,
		      size_t len, bool *ret_was_there)
{
	uint64_t ino = 0;
	uint32_t mode = 0;
	int r;

	r = o->branch->branch->entry(o->branch, row, name, len, &ino);
	*ret_was_there = r == 0;
	if (r == 0 && !cairn_origin_of(&o->origins, ino) &&
	    o->branch->branch->mode(o->branch, ino, &mode) == 0 && S_ISDIR(mode))
		cairn_dirs_found(&o->dirs, ino, parent, name, len);
	if (r == 0)
		r = o->branch->ops->dentry_delete(o->branch, row, name, len);
	return r == -ENOENT ? 0 : r;
}

/* Hides what the base has under a name, and also what it may have. What an entry of the branch
 * stood over was noted when that was put there, or came later and was never seen. */
static int hide(struct cairn_overlay *o, uint64_t dir, const char *name, size_t len, bool was_seen)
{
	_cleanup_(cairn_freep) char *path = NULL;
	struct cairn_attr attr = { 0 };
	int r, base;

	base = ask_base(o, dir, name, len, &attr);
	if (base < 0)
		return base == -ENOENT ? 0 : base;
	r = cairn_overlay_path(o, dir, name, len, &path);
	if (r < 0)
		return r == -ENOENT ? -EAGAIN : r;
	if (base == 0 && was_seen)
		r = cairn_note_covered(o, path, dir, name, len, &attr, false);
	if (r < 0)
		return r;
	/* Before the row is: a reader that looks for whiteouts in vain does no harm. */
	atomic_store(&o->has_whiteouts, true);
	return o->branch->branch->whiteout_put(o->branch, path);
}

int cairn_overlay_dentry_delete(struct cairn_store *store, uint64_t parent, const char *name,
				size_t len)
{
	struct cairn_overlay *o = cairn_overlay_of(store);
	struct target target = find_target(o, parent);
	bool was_there = false;
	uint64_t dir = 0;
	int r;

	r = get_counterpart(o, parent, &dir);
	if (r == 0 && target.delta)
		r = delete_row(o, parent, target.delta, name, len, &was_there);
	if (r == 0 && dir)
		r = hide(o, dir, name, len, !was_there);
	return r;
}

int cairn_overlay_symlink_put(struct cairn_store *store, uint64_t ino, const char *target)
{
	struct cairn_overlay *o = cairn_overlay_of(store);
	uint64_t delta;
	int r;

	r = cairn_copy_up(o, ino, NULL, &delta);
	return r < 0 ? r : o->branch->ops->symlink_put(o->branch, delta, target);
}

/* The target of a change of data or attributes: has its row by now, unless the base has lost it. 1:
 * it is lost, and the change with it. */
static int changed_target(struct cairn_overlay *o, uint64_t ino, struct target *ret)
{
	uint64_t delta;
	int r;

	*ret = find_target(o, ino);
	if (ret->delta)
		return 0;
	if (o->lost.pending.ino == ino)
		return 1;
	r = cairn_copy_up(o, ino, NULL, &delta);
	if (r < 0)
		return r == -ENOENT ? 1 : r;
	*ret = find_target(o, ino);
	return 0;
}

int cairn_overlay_data_put(struct cairn_store *store, uint64_t ino, int64_t index, const void *data,
			   size_t len)
{
	struct cairn_overlay *o = cairn_overlay_of(store);
	struct target target;
	int r;

	r = changed_target(o, ino, &target);
	if (r < 0)
		return r;
	if (r == 1 && o->lost.pending.ino == ino)
		r = cairn_copy_up_lost(o, &o->lost.pending, &target.delta);
	else if (r == 0 && has_base_data(&target))
		r = cairn_copy_up_data(o, target.origin, INT64_MAX);
	if (r != 0)
		return MIN(r, 0);
	return o->branch->ops->data_put(o->branch, target.delta, index, data, len);
}

/* Where a chunk begins, in bytes. */
static int64_t chunk_start(const struct cairn_overlay *o, int64_t index)
{
	int64_t chunk_size = (int64_t)o->store.chunk_size;

	return index <= 0 ? 0 : index > INT64_MAX / chunk_size ? INT64_MAX : index * chunk_size;
}

/* A hole over bytes of the base is an empty chunk. */
int cairn_overlay_data_delete(struct cairn_store *store, uint64_t ino, int64_t index)
{
	struct cairn_overlay *o = cairn_overlay_of(store);
	struct target target;
	int r;

	r = changed_target(o, ino, &target);
	if (r == 0 && has_base_data(&target))
		r = cairn_copy_up_data(o, target.origin, INT64_MAX);
	if (r != 0)
		return MIN(r, 0);
	if (has_base_data(&target) && chunk_start(o, index) < cairn_origin_end(target.origin))
		return o->branch->ops->data_put(o->branch, target.delta, index, "", 0);
	return o->branch->ops->data_delete(o->branch, target.delta, index);
}

int cairn_overlay_data_cut(struct cairn_store *store, uint64_t ino, int64_t first)
{
	struct cairn_overlay *o = cairn_overlay_of(store);
	int64_t keep = chunk_start(o, first);
	struct target target;
	int r;

	r = changed_target(o, ino, &target);
	if (r == 0 && has_base_data(&target))
		r = cairn_copy_up_data(o, target.origin, keep);
	if (r == 0 && has_base_data(&target))
		r = cairn_copy_up_cut(o, target.origin, keep);
	if (r != 0)
		return MIN(r, 0);
	return o->branch->ops->data_cut(o->branch, target.delta, first);
}

int cairn_overlay_xattr_put(struct cairn_store *store, uint64_t ino, const char *name,
			    const void *value, size_t len)
{
	struct cairn_overlay *o = cairn_overlay_of(store);
	struct target target;
	int r;

	r = changed_target(o, ino, &target);
	if (r != 0)
		return MIN(r, 0);
	return o->branch->ops->xattr_put(o->branch, target.delta, name, value, len);
}

int cairn_overlay_xattr_delete(struct cairn_store *store, uint64_t ino, const char *name)
{
	struct cairn_overlay *o = cairn_overlay_of(store);
	struct target target;
	int r;

	r = changed_target(o, ino, &target);
	if (r != 0)
		return MIN(r, 0);
	return o->branch->ops->xattr_delete(o->branch, target.delta, name);
}

int cairn_overlay_orphan_put(struct cairn_store *store, uint64_t ino)
{
	struct cairn_overlay *o = cairn_overlay_of(store);
	struct target target;
	uint32_t mode = 0;
	int r;

	r = changed_target(o, ino, &target);
	if (r == 0 && target.origin)
		r = o->branch->branch->mode(o->branch, target.delta, &mode);
	if (r == 0)
		r = delete_names(o, &target, mode);
	return r != 0 ? MIN(r, 0) : o->branch->ops->orphan_put(o->branch, target.delta);
}
