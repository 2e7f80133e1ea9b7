/* What a branch saw of the base, noted where it is first changed: to tell later whether the base
 * has got something else there since (src/branch/conflict.c). */
#include <errno.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/overlay_internal.h"
#include "util/clock.h"

int cairn_read_whole(struct cairn_overlay *o, uint64_t node, size_t size, size_t *ret_len)
{
	ssize_t n;

	if (!o->buffer)
		o->buffer = malloc(o->copy_whole);
	if (!o->buffer)
		return -ENOMEM;
	n = o->base->ops->read(o->base, node, o->buffer, size, 0);
	if (n < 0)
		return (int)n;
	*ret_len = (size_t)n;
	return 0;
}

/* Times as the branch stores them. */
static struct cairn_seen seen_of(const struct cairn_attr *attr)
{
	return (struct cairn_seen){
		.mode = attr->mode,
		.uid = attr->uid,
		.gid = attr->gid,
		.rdev = attr->rdev,
		.size = S_ISDIR(attr->mode) ? 0 : attr->size,
		.mtime = cairn_overlay_storable(attr->mtime),
		.ctime = cairn_overlay_storable(attr->ctime),
	};
}

static void set_digest(struct cairn_seen *seen, const void *data, size_t len)
{
	struct sha256_ctx sha;

	sha256_init(&sha);
	sha256_update(&sha, len, data);
	sha256_digest(&sha, sizeof(seen->digest), seen->digest);
	seen->has_digest = true;
}

/* Whether a file of the base is still as it was a moment ago. */
static bool is_unchanged(struct cairn_overlay *o, const struct cairn_attr *attr)
{
	struct cairn_attr now = { 0 };

	return o->base->ops->getattr(o->base, attr->ino, &now) == 0 &&
	       cairn_before_same(attr, &now);
}

/* A digest that cannot be had is none: then the times tell. */
static int digest_base(struct cairn_overlay *o, const struct cairn_attr *attr,
		       struct cairn_seen *seen)
{
	size_t len = 0;
	int r;

	if (!S_ISREG(attr->mode) || attr->size > (int64_t)o->copy_whole)
		return 0;
	r = cairn_read_whole(o, attr->ino, (size_t)attr->size, &len);
	if (r < 0)
		return cairn_copy_up_waits(o, r) ? r : 0;
	if (len == (size_t)attr->size && is_unchanged(o, attr))
		set_digest(seen, o->buffer, len);
	return 0;
}

/* What was seen is no longer there: its bytes or target cannot be had any more, only that they were
 * others than now. No symbolic link has an empty target. */
static int put_seen_before(struct cairn_overlay *o, const char *path,
			   const struct cairn_attr *before)
{
	struct cairn_seen seen = seen_of(before);

	if (S_ISLNK(before->mode))
		seen.target = "";
	return o->branch->branch->seen_put(o->branch, path, &seen);
}

/* Whether a file of the base is as the batch saw it. Of what was copied up long ago, the branch may
 * have changed much itself: its time of change is the later of the branch's and the base's. */
static bool is_as_seen(struct cairn_overlay *o, uint64_t merged, const struct cairn_attr *attr)
{
	const struct cairn_attr *before = cairn_before_get(&o->before, merged);
	struct cairn_attr shown = *attr;

	if (!before)
		return true;
	cairn_overlay_show_attr(merged, &shown);
	if (cairn_origin_of(&o->origins, merged))
		return !cairn_later_time(&shown.ctime, &before->ctime);
	return cairn_before_same(before, &shown);
}

int cairn_note_seen(struct cairn_overlay *o, const char *path, uint64_t merged,
		    const struct cairn_attr *attr, bool digest)
{
	_cleanup_(cairn_freep) char *target = NULL;
	struct cairn_seen seen = seen_of(attr);
	int r = 0;

	if (!is_as_seen(o, merged, attr))
		return put_seen_before(o, path, cairn_before_get(&o->before, merged));
	if (S_ISLNK(attr->mode)) {
		r = o->base->ops->readlink(o->base, attr->ino, &target);
		if (r < 0)
			target = NULL;
		seen.target = target;
	} else if (digest) {
		r = digest_base(o, attr, &seen);
	}
	if (cairn_copy_up_waits(o, r))
		return r;
	return o->branch->branch->seen_put(o->branch, path, &seen);
}

int cairn_note_covered(struct cairn_overlay *o, const char *path, uint64_t dir, const char *name,
		       size_t len, const struct cairn_attr *attr, bool digest)
{
	uint64_t merged;
	int r;

	r = cairn_overlay_shown(o, NULL, dir, name, len, attr->ino, &merged);
	if (r < 0)
		return r == -ESTALE ? -EAGAIN : r;
	/* What a batch takes a name from, it changes. */
	if (cairn_before_is_known(&o->before) && !cairn_before_get(&o->before, merged))
		return 0;
	return cairn_note_seen(o, path, merged, attr, digest);
}

int cairn_note_seen_data(struct cairn_overlay *o, const struct cairn_origin_node *node,
			 const struct cairn_attr *attr, const void *whole, size_t len)
{
	const struct cairn_attr *before = cairn_before_get(&o->before, node->merged);
	struct cairn_seen seen = seen_of(attr);

	/* Its data are all the base's: so is its size. */
	if (before && (before->size != attr->size || !is_as_seen(o, node->merged, attr)))
		seen = seen_of(before);
	else if (whole && is_unchanged(o, attr))
		set_digest(&seen, whole, len);
	return o->branch->branch->seen_data(o->branch, node->path, &seen);
}
