#include "branch/linked.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/clock.h"
#include "util/macro.h"

static int put_number(struct cairn_names *names, uint64_t number, void *value)
{
	char key[32];

	snprintf(key, sizeof(key), "%llu", (unsigned long long)number);
	return cairn_names_put(names, key, value);
}

static bool has_number(const struct cairn_names *names, uint64_t number, void **ret)
{
	char key[32];

	snprintf(key, sizeof(key), "%llu", (unsigned long long)number);
	return cairn_names_get(names, key, ret);
}

/* What the base has of a file that it comes from, or that goes for it. */
static int note_accepted(struct cairn_linked *linked, struct cairn_change *c)
{
	int r = 0;

	if (c->kind != CAIRN_CHANGE_DELETED && !S_ISDIR(c->now.mode))
		r = put_number(&linked->taken, c->row, NULL);
	if (r == 0 && c->has_was && !S_ISDIR(c->was.mode))
		r = put_number(&linked->touched, c->was.ino, &c->was);
	if (r == 0 && c->replaces && !S_ISDIR(c->there.mode))
		r = put_number(&linked->touched, c->there.ino, &c->there);
	return r;
}

static int note_left(struct cairn_linked *linked, struct cairn_change *c)
{
	int r = 0;

	if (c->kind == CAIRN_CHANGE_DELETED)
		return S_ISDIR(c->was.mode) ? 0 : put_number(&linked->nodes, c->was.ino, NULL);
	if (!S_ISDIR(c->now.mode))
		r = put_number(&linked->rows, c->row, NULL);
	if (r == 0 && c->replaces && !S_ISDIR(c->there.mode))
		r = put_number(&linked->nodes, c->there.ino, NULL);
	return r;
}

int cairn_linked_find(const struct cairn_changes *changes, struct cairn_linked *ret)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < changes->count; i++) {
		struct cairn_change *c = changes->list[i];

		if (cairn_change_is_real(c))
			r = c->selected ? note_accepted(ret, c) : note_left(ret, c);
	}
	return r;
}

void cairn_linked_free(struct cairn_linked *linked)
{
	cairn_names_free(&linked->rows);
	cairn_names_free(&linked->taken);
	cairn_names_free(&linked->nodes);
	cairn_names_free(&linked->touched);
}

bool cairn_linked_stays(const struct cairn_linked *linked, const struct cairn_change *c)
{
	if (c->kind == CAIRN_CHANGE_DELETED || S_ISDIR(c->now.mode))
		return false;
	return has_number(&linked->rows, c->row, NULL) ||
	       (c->has_was && has_number(&linked->nodes, c->was.ino, NULL));
}

bool cairn_linked_goes(const struct cairn_linked *linked, const struct cairn_change *c)
{
	return c->kind == CAIRN_CHANGE_NONE && has_number(&linked->taken, c->row, NULL) &&
	       !cairn_linked_stays(linked, c);
}

static struct cairn_seen seen_of(const struct cairn_attr *attr)
{
	return (struct cairn_seen){
		.mode = attr->mode,
		.uid = attr->uid,
		.gid = attr->gid,
		.rdev = attr->rdev,
		.size = attr->size,
		.mtime = attr->mtime,
		.ctime = attr->ctime,
	};
}

static int resolve(struct cairn_branch *branch, const char *path, struct cairn_attr *ret)
{
	int r = branch->base->ops->resolve(branch->base, path, ret);

	return r == -ENOTDIR ? -ENOENT : r;
}

/* The origin is the base's file under any of its names: the one it had is as good as another. */
static int put_origin(struct cairn_branch *branch, uint64_t row, const char *path,
		      const struct cairn_attr *there)
{
	struct cairn_origin origin = { .delta_ino = row };
	_cleanup_(cairn_freep) char *had = NULL;
	struct cairn_attr attr = { 0 };
	int r;

	r = branch->own->branch->origin_get(branch->reader, row, &origin);
	if (r < 0 && r != -ENOENT)
		return r;
	had = (char *)origin.path;
	if (r == 0 && had[0]) {
		r = resolve(branch, had, &attr);
		if (r < 0 && r != -ENOENT)
			return r;
		if (r == 0 && attr.ino == there->ino)
			return 0;
	}
	origin.path = path;
	return branch->own->branch->origin_put(branch->own, &origin);
}

int cairn_linked_stay(struct cairn_branch *branch, const struct cairn_change *c)
{
	struct cairn_store *own = branch->own;
	struct cairn_attr there = { 0 }, now = c->now;
	const char *path = c->path;
	struct cairn_seen seen;
	int r;

	/* Below a directory whose renaming was not accepted, the base has it where it was. */
	now.ino = c->row;
	if (c->nameless)
		return own->ops->inode_update(own, &now);
	r = resolve(branch, path, &there);
	if (r == -ENOENT && c->place) {
		path = c->place;
		r = resolve(branch, path, &there);
	}
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	seen = seen_of(&there);
	r = own->branch->seen_delete(own, path);
	if (r == 0)
		r = own->branch->seen_put(own, path, &seen);
	if (r == 0)
		r = put_origin(branch, c->row, path, &there);
	return r < 0 ? r : own->ops->inode_update(own, &now);
}

struct noter {
	struct cairn_branch *branch;
	const struct cairn_linked *linked;
	struct cairn_names met; /* paths in the base: with conflicts */
};

static void noterp(struct noter *noter)
{
	cairn_names_free(&noter->met);
}

static int note_met(struct noter *n, const struct cairn_changes *changes)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < changes->count; i++) {
		const struct cairn_change *c = changes->list[i];

		if (!c->conflict)
			continue;
		if (c->from)
			r = cairn_names_put(&n->met, c->from, NULL);
		if (r == 0 && c->place)
			r = cairn_names_put(&n->met, c->place, NULL);
	}
	return r;
}

static bool is_met(const struct noter *n, const char *path)
{
	_cleanup_(cairn_freep) char *at = strdup(path);

	while (at && at[0]) {
		if (cairn_names_get(&n->met, at, NULL))
			return true;
		*strrchr(at, '/') = '\0';
	}
	return !at;
}

static bool same_bytes(const struct cairn_seen *seen, const struct cairn_attr *attr)
{
	return seen->size == attr->size && cairn_same_time(&seen->mtime, &attr->mtime);
}

static int renew_note(void *arg, const char *path, const struct cairn_seen *had)
{
	const struct noter *n = arg;
	struct cairn_store *own = n->branch->own;
	const struct cairn_attr *was;
	struct cairn_attr there = { 0 };
	struct cairn_seen seen;
	void *touched = NULL;
	int r;

	r = resolve(n->branch, path, &there);
	if (r < 0 || !has_number(&n->linked->touched, there.ino, &touched))
		return r == -ENOENT ? 0 : r;
	was = touched;
	if (had->mode != was->mode || had->uid != was->uid || had->gid != was->gid ||
	    !same_bytes(had, was) || is_met(n, path))
		return 0;
	seen = seen_of(&there);
	seen.target = had->target;
	if (had->has_digest && same_bytes(had, &there)) {
		seen.has_digest = true;
		memcpy(seen.digest, had->digest, sizeof(seen.digest));
	}
	r = own->branch->seen_delete(own, path);
	return r < 0 ? r : own->branch->seen_put(own, path, &seen);
}

int cairn_linked_note(struct cairn_branch *branch, const struct cairn_linked *linked,
		      const struct cairn_changes *changes)
{
	_cleanup_(noterp) struct noter n = { .branch = branch, .linked = linked };
	int r;

	if (!linked->touched.table)
		return 0;
	r = note_met(&n, changes);
	/* The reader goes over what was noted before: what is gone by now was no other name. */
	return r < 0 ? r : branch->own->branch->seen_scan(branch->reader, renew_note, &n);
}
