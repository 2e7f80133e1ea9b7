#include "branch/compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/clock.h"
#include "util/macro.h"

#define BUFFER (256 << 10)

/* What the base says of itself by now is no change of the branch's. */
static int compare_attr(struct cairn_branch *branch, struct cairn_change *change,
			const struct cairn_attr *base, bool origin)
{
	struct cairn_attr *now = &change->now;
	struct cairn_seen seen = { 0 };
	bool has_seen = false;
	int r;

	if (origin) {
		r = branch->own->branch->seen_get(branch->reader, change->from, &seen);
		if (r < 0 && r != -ENOENT)
			return r;
		has_seen = r == 0;
		free((char *)seen.target);
	}
	if (has_seen && (now->mode & 07777) == (seen.mode & 07777))
		now->mode = base->mode;
	if (has_seen && now->uid == seen.uid && now->gid == seen.gid) {
		now->uid = base->uid;
		now->gid = base->gid;
	}
	if (origin && S_ISREG(now->mode) && change->content.data_end == CAIRN_DATA_OF_BASE) {
		now->size = change->content.size = base->size;
		if (has_seen && cairn_same_time(&now->mtime, &seen.mtime))
			now->mtime = base->mtime;
	}
	if ((now->mode & 07777) != (base->mode & 07777))
		change->what |= CAIRN_CHANGED_MODE;
	if (now->uid != base->uid || now->gid != base->gid)
		change->what |= CAIRN_CHANGED_OWNER;
	return 0;
}

struct stretch {
	struct cairn_branch *branch;
	const struct cairn_change *change;
	struct cairn_content base;
	unsigned char *mine, *theirs;
};

static void stretchp(struct stretch *stretch)
{
	free(stretch->mine);
	free(stretch->theirs);
}

/* 1: differs. */
static int compare_stretch(void *arg, int64_t from, int64_t to)
{
	struct stretch *s = arg;

	while (from < to) {
		size_t size = (size_t)MIN(to - from, (int64_t)BUFFER);
		int r;

		r = cairn_content_read(s->branch, &s->change->content, from, s->mine, size);
		if (r == 0)
			r = cairn_content_read(s->branch, &s->base, from, s->theirs, size);
		if (r < 0)
			return r;
		if (memcmp(s->mine, s->theirs, size) != 0)
			return 1;
		from += (int64_t)size;
	}
	return 0;
}

/* 1: differs. */
static int compare_bytes(struct cairn_branch *branch, struct cairn_change *change,
			 const struct cairn_attr *base, bool origin)
{
	_cleanup_(stretchp) struct stretch s = {
		.branch = branch,
		.change = change,
		.base = { .node = base->ino, .size = base->size },
	};
	struct cairn_content content = change->content;

	if (content.size != base->size)
		return 1;
	if (origin && content.data_end == CAIRN_DATA_OF_BASE)
		return 0;
	s.mine = malloc(BUFFER);
	s.theirs = malloc(BUFFER);
	if (!s.mine || !s.theirs)
		return -ENOMEM;
	if (origin)
		return cairn_content_changed(branch, &content, compare_stretch, &s);
	return compare_stretch(&s, 0, content.size);
}

static int compare_targets(struct cairn_branch *branch, const struct cairn_change *change,
			   const struct cairn_attr *base)
{
	_cleanup_(cairn_freep) char *mine = NULL, *theirs = NULL;
	int r;

	r = branch->own->ops->symlink_get(branch->reader, change->row, &mine);
	if (r == 0)
		r = branch->base->ops->readlink(branch->base, base->ino, &theirs);
	return r < 0 ? r : strcmp(mine, theirs) != 0;
}

static int compare_data(struct cairn_branch *branch, struct cairn_change *change,
			const struct cairn_attr *base, bool origin)
{
	int r = 0;

	if (S_ISREG(base->mode))
		r = compare_bytes(branch, change, base, origin);
	else if (S_ISLNK(base->mode))
		r = compare_targets(branch, change, base);
	else if (!S_ISDIR(base->mode))
		r = change->now.rdev != base->rdev;
	if (r > 0)
		change->what |= CAIRN_CHANGED_DATA;
	return MIN(r, 0);
}

struct xattrs {
	struct cairn_branch *branch;
	uint64_t row, node;
	size_t count;
};

static int same_xattr(void *arg, const char *name)
{
	struct xattrs *x = arg;
	_cleanup_(cairn_freep) void *mine = NULL, *theirs = NULL;
	size_t my_len = 0, their_len = 0;
	int r;

	x->count++;
	r = x->branch->own->ops->xattr_get(x->branch->reader, x->row, name, &mine, &my_len);
	if (r == -ENOENT)
		return 1;
	if (r == 0)
		r = x->branch->base->ops->xattr_get(x->branch->base, x->node, name, &theirs,
						    &their_len);
	if (r < 0)
		return r;
	return my_len != their_len || memcmp(mine, theirs, my_len) != 0;
}

static int count_xattr(void *arg, const char *name)
{
	++*(size_t *)arg;
	return 0;
}

/* A base that has none to show is no reason to fail. */
static int compare_xattrs(struct cairn_branch *branch, struct cairn_change *change,
			  const struct cairn_attr *base)
{
	struct xattrs x = { .branch = branch, .row = change->row, .node = base->ino };
	size_t mine = 0;
	int r;

	r = branch->base->ops->xattr_scan(branch->base, base->ino, same_xattr, &x);
	if (r == -EOPNOTSUPP)
		r = 0;
	if (r == 0)
		r = branch->own->ops->xattr_scan(branch->reader, change->row, count_xattr, &mine);
	if (r < 0)
		return r;
	if (r > 0 || mine != x.count)
		change->what |= CAIRN_CHANGED_XATTR;
	return 0;
}

int cairn_compare(struct cairn_branch *branch, struct cairn_change *change,
		  const struct cairn_attr *base, bool origin)
{
	int r;

	r = compare_attr(branch, change, base, origin);
	if (r == 0)
		r = compare_data(branch, change, base, origin);
	return r < 0 ? r : compare_xattrs(branch, change, base);
}
