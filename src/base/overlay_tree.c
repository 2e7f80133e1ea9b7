/* How the directories of the branch and the base lie one over the other. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/overlay_internal.h"

/* Deeper directories are damage: a circle. */
#define DEPTH_MAX (1U << 16)

/* How often what a base was found to have is looked for anew because it has forgotten it since. */
#define LOOKS 3U

static uint64_t generation_of(struct cairn_overlay *o)
{
	return atomic_load(&o->generation);
}

/* A directory in which something is looked for, in a directory, and so on: deeper is a circle, or
 * not worth it. */
#define NESTED_MAX 64U

/* A name of an inode costs a walk over all entries of the branch. So many, and no more until the
 * base changes again. */
#define SEARCHES_MAX 100U

static int find_counterpart(struct cairn_overlay *o, struct cairn_reader *reader, uint64_t merged,
			    unsigned int nested, uint64_t *ret_node);

/* What the base has in the place where the branch has a row. */
static int look_in_place(struct cairn_overlay *o, struct cairn_reader *reader, uint64_t delta,
			 unsigned int nested, struct cairn_attr *ret)
{
	char name[CAIRN_NAME_MAX + 1];
	uint64_t parent = 0, merged = 0, dir = 0;
	int r;

	if (reader)
		r = o->branch->ops->dentry_name(reader, delta, &parent, name);
	else
		r = o->branch->branch->place(o->branch, delta, &parent, name);
	if (r == 0)
		r = cairn_origin_shown(&o->origins, parent, &merged);
	if (r == 0)
		r = find_counterpart(o, reader, merged, nested + 1, &dir);
	return r < 0 ? r : o->base->ops->lookup(o->base, dir, name, strlen(name), ret);
}

/* An accept may have done to the base what was done here, and not have told us yet, or never: it
 * was killed. Then what was renamed here is in its place in the base, too, and the path of its
 * origin leads nowhere or to another. *attr: what that is. */
static int prefer_place(struct cairn_overlay *o, struct cairn_reader *reader,
			const struct cairn_origin_node *node, unsigned int nested, int found,
			struct cairn_attr *attr)
{
	struct cairn_origin_view view = cairn_origin_find(&o->origins, node->merged);
	uint64_t number = view.alias_of ? view.alias_of : node->merged - CAIRN_LAYER_STEP;
	uint64_t delta = reader ? view.delta : node->delta;
	struct cairn_attr there = { 0 };

	if ((node->merged < CAIRN_LAYER_STEP && !view.alias_of) || !delta ||
	    (found == 0 && attr->ino == number) || nested >= NESTED_MAX ||
	    atomic_fetch_add(&o->searches, 1) >= SEARCHES_MAX)
		return found;
	/* It was worth a try. */
	if (look_in_place(o, reader, delta, nested, &there) < 0 || there.ino != number)
		return found;
	*attr = there;
	return 0;
}

/* Where an origin leads. ret->node 0: nowhere. */
static int follow(struct cairn_overlay *o, struct cairn_reader *reader,
		  struct cairn_origin_node *node, const char *path, unsigned int nested,
		  struct cairn_origin_target *ret)
{
	uint64_t generation = generation_of(o);
	struct cairn_attr attr = { 0 };
	int r;

	*ret = cairn_origin_target(&o->origins, node);
	if (ret->generation == generation)
		return 0;
	r = o->base->ops->resolve(o->base, path, &attr);
	if (r == 0 || r == -ENOENT)
		r = prefer_place(o, reader, node, nested, r, &attr);
	if (r < 0 && r != -ENOENT)
		return r;
	*ret = (struct cairn_origin_target){ .generation = generation };
	if (r == 0) {
		ret->node = attr.ino;
		ret->mode = attr.mode;
	}
	cairn_origin_learn(&o->origins, node, ret);
	return 0;
}

static int follow_to_dir(struct cairn_overlay *o, struct cairn_reader *reader,
			 struct cairn_origin_node *node, const char *path, unsigned int nested,
			 uint64_t *ret)
{
	struct cairn_origin_target target;
	int r;

	if (!path[0])
		return -ENOENT;
	r = follow(o, reader, node, path, nested, &target);
	if (r < 0)
		return r;
	if (!target.node || !S_ISDIR(target.mode))
		return -ENOENT;
	*ret = target.node;
	return 0;
}

static uint64_t pure_node(uint64_t merged, const struct cairn_origin_view *view)
{
	return view->node && view->alias_of ? view->alias_of : merged - CAIRN_LAYER_STEP;
}

int cairn_overlay_node(struct cairn_overlay *o, struct cairn_reader *reader, uint64_t merged,
		       const struct cairn_origin_view *view, uint64_t *ret_node)
{
	struct cairn_origin_target target;
	int r;

	if (merged == CAIRN_ROOT_INO) {
		*ret_node = o->base->ops->root(o->base);
		return 0;
	}
	if (!view->delta) {
		if (merged < CAIRN_LAYER_STEP && !view->alias_of)
			return -ENOENT;
		*ret_node = pure_node(merged, view);
		return 0;
	}
	if (!view->path[0])
		return -ENOENT;
	r = follow(o, reader, view->node, view->path, 0, &target);
	if (r < 0)
		return r;
	if (!target.node || S_ISDIR(target.mode))
		return -ENOENT;
	*ret_node = target.node;
	return 0;
}

bool cairn_overlay_is_own(struct cairn_overlay *o, uint64_t merged)
{
	return merged < CAIRN_LAYER_STEP && !cairn_origin_find(&o->origins, merged).alias_of;
}

int cairn_overlay_origin_node(struct cairn_overlay *o, struct cairn_origin_node *node,
			      uint64_t *ret)
{
	struct cairn_origin_target target;
	int r;

	r = follow(o, NULL, node, node->path, 0, &target);
	if (r < 0)
		return r;
	*ret = target.node;
	return target.node ? 0 : -ENOENT;
}

uint64_t cairn_overlay_attr_row(struct cairn_overlay *o, uint64_t merged,
				const struct cairn_origin_view *view)
{
	if (merged == CAIRN_ROOT_INO && !view->delta)
		return 0;
	return cairn_overlay_row(o, merged, view);
}

uint64_t cairn_overlay_row(struct cairn_overlay *o, uint64_t merged,
			   const struct cairn_origin_view *view)
{
	if (view->delta)
		return view->delta;
	return merged < CAIRN_LAYER_STEP && !view->alias_of ? merged : 0;
}

/* Where a directory of the branch lies: as was found before, or as the branch says. */
static int place_of(struct cairn_overlay *o, struct cairn_reader *reader, uint64_t merged,
		    uint64_t *ret_parent, char ret_name[CAIRN_NAME_MAX + 1])
{
	uint64_t parent = 0;
	int r;

	if (!reader && cairn_dirs_moved(&o->dirs, merged, ret_parent, ret_name) == 0)
		return 0;
	if (cairn_dirs_place(&o->dirs, merged, ret_parent, ret_name) == 0)
		return 0;
	if (reader)
		r = o->branch->ops->dentry_name(reader, merged, &parent, ret_name);
	else
		r = o->branch->branch->place(o->branch, merged, &parent, ret_name);
	if (r == 0)
		r = cairn_origin_shown(&o->origins, parent, ret_parent);
	if (r == 0)
		cairn_dirs_found(&o->dirs, merged, *ret_parent, ret_name, strlen(ret_name));
	return r;
}

/* What needs no look at the directory above. 1: the counterpart is what the base has in its place.
 */
static int counterpart_at_hand(struct cairn_overlay *o, struct cairn_reader *reader,
			       uint64_t merged, unsigned int nested, uint64_t *ret_node)
{
	struct cairn_origin_view view;
	struct cairn_origin_node *pending;
	uint64_t node = 0;

	if (merged == CAIRN_ROOT_INO) {
		*ret_node = o->base->ops->root(o->base);
		return 0;
	}
	if (!reader) {
		pending = cairn_origin_of(&o->origins, merged);
		if (pending)
			return follow_to_dir(o, reader, pending, pending->path, nested, ret_node);
	}
	view = cairn_origin_find(&o->origins, merged);
	if (view.delta)
		return follow_to_dir(o, reader, view.node, view.path, nested, ret_node);
	if (merged >= CAIRN_LAYER_STEP || view.alias_of) {
		*ret_node = pure_node(merged, &view);
		return 0;
	}
	if (!cairn_dirs_known(&o->dirs, !reader, merged, generation_of(o), &node))
		return 1;
	*ret_node = node;
	return node ? 0 : -ENOENT;
}

/* The directories from one upwards whose counterparts are not at hand. */
struct climb {
	uint64_t *dirs;
	size_t count, capacity;
};

static void climbp(struct climb *climb)
{
	free(climb->dirs);
}

static int climb_add(struct climb *climb, uint64_t dir)
{
	if (climb->count == DEPTH_MAX)
		return -EIO;
	if (climb->count == climb->capacity) {
		size_t capacity = climb->capacity ? 2 * climb->capacity : 32;
		void *dirs = reallocarray(climb->dirs, capacity, sizeof(dir));

		if (!dirs)
			return -ENOMEM;
		climb->dirs = dirs;
		climb->capacity = capacity;
	}
	climb->dirs[climb->count++] = dir;
	return 0;
}

static int hidden(struct cairn_overlay *o, struct cairn_reader *reader, const char *path)
{
	return reader ? o->branch->branch->whiteout_get(reader, path)
		      : o->branch->branch->hidden(o->branch, path);
}

/* -ENOENT where there is no whiteout; 0 where there is one. */
static int check_hidden(struct cairn_overlay *o, struct cairn_reader *reader, uint64_t dir,
			const char *name, size_t len)
{
	_cleanup_(cairn_freep) char *path = NULL;
	int r;

	if (!atomic_load(&o->has_whiteouts))
		return -ENOENT;
	r = cairn_overlay_path(o, dir, name, len, &path);
	/* The directory was there a moment ago. */
	if (r < 0)
		return r == -ENOENT ? -ESTALE : r;
	return hidden(o, reader, path);
}

/* Step down: the counterpart of a directory in a directory whose counterpart is known. -ENOENT. */
static int counterpart_in(struct cairn_overlay *o, struct cairn_reader *reader, uint64_t above,
			  const char *name, uint64_t *ret_node)
{
	struct cairn_attr attr;
	int r;

	r = check_hidden(o, reader, above, name, strlen(name));
	if (r != -ENOENT)
		return r == 0 ? -ENOENT : r;
	r = cairn_overlay_base_lookup(o, above, name, strlen(name), &attr);
	if (r < 0)
		return r;
	if (!S_ISDIR(attr.mode))
		return -ENOENT;
	*ret_node = attr.ino;
	return 0;
}

/* Climbs up to a directory whose counterpart is at hand, and down again, remembering all. */
static int counterpart(struct cairn_overlay *o, struct cairn_reader *reader, uint64_t merged,
		       unsigned int nested, uint64_t *ret_node)
{
	_cleanup_(climbp) struct climb climb = { 0 };
	uint64_t generation = generation_of(o), node = 0, dir = merged;
	char name[CAIRN_NAME_MAX + 1];
	int r;

	while ((r = counterpart_at_hand(o, reader, dir, nested, &node)) == 1) {
		r = climb_add(&climb, dir);
		if (r == 0)
			r = place_of(o, reader, dir, &dir, name);
		/* A directory without a name: it was removed, or is being made. */
		if (r < 0)
			return r;
	}
	while (climb.count > 0) {
		uint64_t parent;

		if (r < 0 && r != -ENOENT)
			return r;
		dir = climb.dirs[--climb.count];
		if (r == 0) {
			r = place_of(o, reader, dir, &parent, name);
			if (r == 0)
				r = counterpart_in(o, reader, node, name, &node);
		}
		if (r == 0 || r == -ENOENT)
			cairn_dirs_learn(&o->dirs, !reader, dir, generation, r == 0 ? node : 0);
	}
	if (r < 0)
		return r;
	*ret_node = node;
	return 0;
}

static int find_counterpart(struct cairn_overlay *o, struct cairn_reader *reader, uint64_t merged,
			    unsigned int nested, uint64_t *ret_node)
{
	int r = -ESTALE;

	for (unsigned int i = 0; r == -ESTALE && i < LOOKS; i++) {
		if (i > 0)
			cairn_overlay_look_anew(o);
		r = counterpart(o, reader, merged, nested, ret_node);
	}
	return r == -ESTALE ? -EIO : r;
}

int cairn_overlay_counterpart(struct cairn_overlay *o, struct cairn_reader *reader, uint64_t merged,
			      uint64_t *ret_node)
{
	return find_counterpart(o, reader, merged, 0, ret_node);
}

void cairn_overlay_look_anew(struct cairn_overlay *o)
{
	atomic_store(&o->searches, 0);
	atomic_fetch_add(&o->generation, 1);
}

int cairn_overlay_path(struct cairn_overlay *o, uint64_t node, const char *name, size_t len,
		       char **ret)
{
	_cleanup_(cairn_freep) char *dir = NULL;
	int r;

	r = o->base->ops->path(o->base, node, &dir);
	if (r < 0)
		return r;
	if (asprintf(ret, "%s/%.*s", strcmp(dir, "/") == 0 ? "" : dir, (int)len, name) < 0)
		return -ENOMEM;
	return 0;
}

bool cairn_overlay_knows(struct cairn_overlay *o, uint64_t node)
{
	char name[CAIRN_NAME_MAX + 1];
	uint64_t parent;

	return node == o->base->ops->root(o->base) ||
	       o->base->ops->place(o->base, node, &parent, name) != -ENOENT;
}

int cairn_overlay_base_lookup(struct cairn_overlay *o, uint64_t dir, const char *name, size_t len,
			      struct cairn_attr *ret)
{
	int r;

	r = o->base->ops->lookup(o->base, dir, name, len, ret);
	if (r == -ENOENT && !cairn_overlay_knows(o, dir))
		return -ESTALE;
	return r == -ENOTDIR ? -ENOENT : r;
}

int cairn_overlay_visible(struct cairn_overlay *o, struct cairn_reader *reader, uint64_t dir,
			  const char *name, size_t len, struct cairn_attr *ret)
{
	int r;

	r = check_hidden(o, reader, dir, name, len);
	if (r != -ENOENT)
		return r == 0 ? -ENOENT : r;
	return cairn_overlay_base_lookup(o, dir, name, len, ret);
}

/* Whether the path of an origin still leads to this node of the base, which was found as `name` in
 * `dir`. */
static int leads_to(struct cairn_overlay *o, struct cairn_reader *reader,
		    const struct cairn_origin_view *view, uint64_t dir, const char *name,
		    size_t len, uint64_t node, bool *ret)
{
	_cleanup_(cairn_freep) char *path = NULL;
	struct cairn_origin_target target;
	int r;

	*ret = false;
	if (!view->path[0])
		return 0;
	r = cairn_overlay_path(o, dir, name, len, &path);
	if (r < 0)
		return r == -ENOENT ? -ESTALE : r;
	if (strcmp(path, view->path) == 0) {
		*ret = true;
		return 0;
	}
	r = follow(o, reader, view->node, view->path, 0, &target);
	*ret = r == 0 && target.node == node;
	return r;
}

int cairn_overlay_shown(struct cairn_overlay *o, struct cairn_reader *reader, uint64_t dir,
			const char *name, size_t len, uint64_t node, uint64_t *ret_merged)
{
	struct cairn_origin_view view;
	bool same = true;
	int r;

	if (node == 0 || node > CAIRN_INO_MAX - CAIRN_LAYER_STEP)
		return -EIO;
	if (cairn_origin_alias(&o->origins, node, false, ret_merged) == 0)
		return 0;
	view = cairn_origin_find(&o->origins, node + CAIRN_LAYER_STEP);
	if (view.delta) {
		r = leads_to(o, reader, &view, dir, name, len, node, &same);
		if (r < 0)
			return r;
	}
	if (!same)
		return cairn_origin_alias(&o->origins, node, true, ret_merged);
	*ret_merged = node + CAIRN_LAYER_STEP;
	return 0;
}

/* FNV-1a, and the end of MurmurHash3 to spread it over all bits; both are in the public domain. Bit
 * 61 keeps it apart from the ids of rows, and leaves room below CAIRN_DENTRY_ID_MAX. */
uint64_t cairn_overlay_dentry_id(struct cairn_store *store, const char *name, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * UINT64_C(0x100000001b3);
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	h ^= h >> 33;
	return UINT64_C(1) << 61 | h >> 3;
}
