/* What the base loses while a batch changes it. What the batch puts into it, bytes or entries, is
 * kept, in a row without an origin; the names it gets are those that the batch gives it. They are
 * settled at the commit, because a batch has no order: a name may come before the bytes for whose
 * sake there is an inode at all. Where the batch gives none, it is the one that the base had. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/overlay_internal.h"

void cairn_lost_clear(struct cairn_lost *lost)
{
	free(lost->kept);
	free(lost->refused);
	*lost = (struct cairn_lost){ 0 };
}

/* Room for one more, in an array of `count` that grows by doubling from one power of two to the
 * next. */
static int make_room(void **array, size_t count, size_t size)
{
	void *larger;

	if (count & (count - 1))
		return 0;
	larger = reallocarray(*array, count ? 2 * count : 1, size);
	if (!larger)
		return -ENOMEM;
	*array = larger;
	return 0;
}

int cairn_lost_kept(struct cairn_overlay *o, uint64_t merged, const struct cairn_attr *attr)
{
	struct cairn_lost *lost = &o->lost;
	void *array = lost->kept;
	int r;

	r = make_room(&array, lost->kept_count, sizeof(*lost->kept));
	if (r < 0)
		return r;
	lost->kept = array;
	lost->kept[lost->kept_count++] =
		(struct cairn_lost_kept){ .merged = merged, .attr = *attr };
	return 0;
}

int cairn_lost_refused(struct cairn_overlay *o, uint64_t parent, const char *name, size_t len,
		       uint64_t merged)
{
	struct cairn_lost *lost = &o->lost;
	void *array = lost->refused;
	struct cairn_lost_refused *refused;
	int r;

	r = make_room(&array, lost->refused_count, sizeof(*lost->refused));
	if (r < 0)
		return r;
	lost->refused = array;
	refused = &lost->refused[lost->refused_count++];
	*refused = (struct cairn_lost_refused){ .parent = parent, .merged = merged };
	memcpy(refused->name, name, len);
	return 0;
}

void cairn_lost_named(struct cairn_overlay *o, uint64_t merged)
{
	for (size_t i = 0; i < o->lost.kept_count; i++)
		if (o->lost.kept[i].merged == merged)
			o->lost.kept[i].names++;
}

/* Names that were refused before it was known that there is something to be kept. */
static int name_refused(struct cairn_overlay *o)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < o->lost.refused_count; i++) {
		const struct cairn_lost_refused refused = o->lost.refused[i];

		if (cairn_copy_up_row(o, refused.merged))
			r = cairn_overlay_dentry_put(&o->store, refused.parent, refused.name,
						     strlen(refused.name), 0, refused.merged);
		else
			cairn_warn(o->log,
				   "'%s' is gone from the base '%s' while it was renamed here; "
				   "the new name is not made",
				   refused.name, o->base->path);
	}
	return r;
}

/* 1: the name is taken in the branch. */
static int try_name(struct cairn_overlay *o, uint64_t parent, const char *name, uint64_t delta)
{
	uint64_t there, row;
	int r;

	r = cairn_copy_up_dir(o, parent, &row);
	if (r < 0)
		return r;
	r = o->branch->branch->entry(o->branch, row, name, strlen(name), &there);
	if (r != -ENOENT)
		return r == 0 ? 1 : r;
	r = o->branch->ops->dentry_put(o->branch, row, name, strlen(name), 0, delta);
	if (r == 0)
		cairn_warn(o->log,
			   "'%s' is gone from the base '%s' while it was changed here; it is kept",
			   name, o->base->path);
	return r;
}

/* The name it had in the base as long as that is known and free, else one in the root that tells
 * what happened. */
static int name_after_base(struct cairn_overlay *o, uint64_t merged, uint64_t delta)
{
	char name[CAIRN_NAME_MAX + 1];
	uint64_t parent;
	int r;

	r = cairn_overlay_merged_place(o, NULL, cairn_copy_up_node(o, merged), &parent, NULL, name);
	r = r == -ENOENT ? 1 : r < 0 ? r : try_name(o, parent, name, delta);
	for (unsigned int i = 1; r == 1; i++) {
		int len = snprintf(name, sizeof(name), "recovered-%" PRIu64, merged);

		if (i > 1)
			snprintf(name + len, sizeof(name) - (size_t)len, "-%u", i);
		r = try_name(o, CAIRN_ROOT_INO, name, delta);
	}
	return r;
}

/* What is deleted and still in use has no name, and needs none. */
static int settle_kept(struct cairn_overlay *o, struct cairn_lost_kept kept)
{
	uint64_t delta = cairn_copy_up_row(o, kept.merged);
	int r = 0;

	if (!delta || kept.attr.nlink == 0)
		return 0;
	/* The one that the base had counts here as long as it is not deleted here. */
	if (kept.names < kept.attr.nlink && (kept.names == 0 || !S_ISDIR(kept.attr.mode))) {
		r = name_after_base(o, kept.merged, delta);
		kept.names++;
	}
	if (r < 0 || S_ISDIR(kept.attr.mode))
		return r;
	kept.attr.ino = delta;
	kept.attr.nlink = kept.names;
	return o->branch->ops->inode_update(o->branch, &kept.attr);
}

int cairn_lost_settle(struct cairn_overlay *o)
{
	int r;

	r = name_refused(o);
	/* To name one may be to keep the directory above it, which is named in its turn. */
	for (size_t i = 0; r == 0 && i < o->lost.kept_count; i++)
		r = settle_kept(o, o->lost.kept[i]);
	return r;
}
