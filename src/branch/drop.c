/* Taking changes out of a branch, so that it shows what the base has there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "branch/accept.h"
#include "branch/linked.h"
#include "util/clock.h"
#include "util/macro.h"

struct dropper {
	struct cairn_branch *branch;
	const struct cairn_changes *changes;
	bool accepted;
	struct cairn_linked linked; /* nothing, where the base has nothing by now */
	struct cairn_names links;   /* rows: how many names they keep */
	struct cairn_names exact;   /* paths in the base of which nothing is noted any more */
	struct cairn_names below;   /* the same, with all that is below */
};

static void dropperp(struct dropper *d)
{
	cairn_linked_free(&d->linked);
	cairn_names_free(&d->links);
	cairn_names_free(&d->exact);
	cairn_names_free(&d->below);
}

static void row_key(uint64_t row, char ret[32])
{
	snprintf(ret, 32, "%llu", (unsigned long long)row);
}

/* NULL: no name of it was counted. */
static struct cairn_name *find_link(const struct dropper *d, uint64_t row)
{
	struct cairn_name *name;
	char key[32];

	row_key(row, key);
	HASH_FIND(hh, d->links.table, key, strlen(key), name);
	return name;
}

static int count_links(struct dropper *d)
{
	int r = 0;

	for (size_t i = 0; i < d->changes->count; i++)
		d->changes->list[i]->kids = 0;
	for (size_t i = 0; r == 0 && i < d->changes->count; i++) {
		struct cairn_change *c = d->changes->list[i];
		struct cairn_name *name;
		char key[32];

		if (c->kind == CAIRN_CHANGE_DELETED)
			continue;
		if (c->parent)
			c->parent->kids++;
		row_key(c->row, key);
		r = cairn_names_put(&d->links, key, NULL);
		name = find_link(d, c->row);
		if (name)
			name->count++;
	}
	return r;
}

/* One name less; how many are left. */
static size_t drop_link(struct dropper *d, uint64_t row)
{
	struct cairn_name *name = find_link(d, row);

	return name ? --name->count : 0;
}

/* A directory that the base has by now as it is here, and that still has something of the branch's
 * in it. */
static int stay_over_base(struct dropper *d, const struct cairn_change *c)
{
	const struct cairn_origin origin = { .delta_ino = c->row, .path = c->path };
	const char *path = c->kind == CAIRN_CHANGE_MODIFIED ? c->from : c->path;
	struct cairn_store *own = d->branch->own;
	const struct cairn_seen seen = {
		.mode = c->now.mode,
		.uid = c->now.uid,
		.gid = c->now.gid,
		.mtime = c->now.mtime,
		.ctime = c->now.ctime,
	};
	int r = 0;

	if (c->kind == CAIRN_CHANGE_NONE)
		return 0;
	if (c->kind != CAIRN_CHANGE_MODIFIED)
		r = own->branch->origin_put(own, &origin);
	if (r == 0)
		r = own->branch->seen_delete(own, path);
	return r < 0 ? r : own->branch->seen_put(own, path, &seen);
}

/* A count of 1 says nothing. */
static int drop_subdir(struct dropper *d, struct cairn_change *dir)
{
	struct cairn_store *own = d->branch->own;
	struct cairn_attr attr;

	if (dir->now.nlink < 3)
		return 0;
	dir->now.nlink--;
	attr = dir->now;
	attr.ino = dir->row;
	return own->ops->inode_update(own, &attr);
}

static int drop_entry(struct dropper *d, struct cairn_change *c)
{
	struct cairn_store *own = d->branch->own;
	const char *name = strrchr(c->path, '/') + 1;
	struct cairn_attr attr = c->now;
	size_t left;
	int r;

	r = own->ops->dentry_delete(own, c->dir_row, name, strlen(name));
	if (r < 0)
		return r;
	c->parent->kids--;
	r = S_ISDIR(c->now.mode) ? drop_subdir(d, c->parent) : 0;
	if (r < 0)
		return r;
	left = drop_link(d, c->row);
	if (left > 0) {
		attr.ino = c->row;
		attr.nlink = (uint32_t)left;
		return own->ops->inode_update(own, &attr);
	}
	r = own->ops->inode_delete(own, c->row, c->now.mode);
	return r < 0 ? r : own->branch->origin_delete(own, c->row);
}

static int note_gone(struct dropper *d, const struct cairn_change *c)
{
	bool whole = c->kind != CAIRN_CHANGE_MODIFIED && c->kind != CAIRN_CHANGE_NONE;
	/* What is noted of the name that went belongs to its deletion, and of another name of the
	 * file to that. */
	bool own = !c->nameless &&
		   (c->kind == CAIRN_CHANGE_RENAMED || !cairn_linked_stays(&d->linked, c));
	int r = 0;

	if (c->from && own)
		r = cairn_names_put(whole || c == c->unit ? &d->below : &d->exact, c->from, NULL);
	if (r == 0 && c->place)
		r = cairn_names_put(whole || c == c->unit ? &d->below : &d->exact, c->place, NULL);
	return r;
}

/* A directory without anything in it that is as the base has it. */
static bool is_idle(const struct cairn_change *c)
{
	return c->kind == CAIRN_CHANGE_NONE && S_ISDIR(c->now.mode) && c->in_place &&
	       c->kids == 0 && c->parent;
}

struct root {
	struct cairn_store *own;
};

static int drop_xattr(void *arg, const char *name)
{
	const struct root *root = arg;

	return root->own->ops->xattr_delete(root->own, CAIRN_ROOT_INO, name);
}

/* Without an origin, the root has the attributes of the base's. */
static int drop_root(struct dropper *d, const struct cairn_change *c)
{
	struct root root = { .own = d->branch->own };
	int r;

	if (c->kind != CAIRN_CHANGE_MODIFIED)
		return 0;
	r = root.own->branch->origin_delete(root.own, CAIRN_ROOT_INO);
	if (r == 0)
		r = root.own->branch->seen_delete(root.own, "/");
	if (r == 0)
		r = root.own->ops->xattr_scan(d->branch->reader, CAIRN_ROOT_INO, drop_xattr, &root);
	return r;
}

static int drop_change(struct dropper *d, struct cairn_change *c)
{
	bool stays = c->kind != CAIRN_CHANGE_DELETED && S_ISDIR(c->now.mode) && c->kids > 0;
	int r;

	if (!c->selected && !is_idle(c) && !cairn_linked_goes(&d->linked, c))
		return 0;
	if (!c->parent)
		return drop_root(d, c);
	if (stays)
		return d->accepted ? stay_over_base(d, c) : 0;
	if (cairn_linked_stays(&d->linked, c))
		return note_gone(d, c);
	r = note_gone(d, c);
	return r < 0 || c->kind == CAIRN_CHANGE_DELETED ? r : drop_entry(d, c);
}

/* Whether nothing is to be noted of a path of the base any more. */
static bool is_gone(const struct dropper *d, const char *path)
{
	_cleanup_(cairn_freep) char *at = strdup(path);

	if (cairn_names_get(&d->exact, path, NULL))
		return true;
	while (at && at[0]) {
		if (cairn_names_get(&d->below, at, NULL))
			return true;
		*strrchr(at, '/') = '\0';
	}
	return false;
}

/* Where something was renamed from that stays renamed, nothing may show up again. */
static bool is_needed(const struct dropper *d, const char *path)
{
	void *moved = NULL;

	return cairn_names_get(&d->changes->moved, path, &moved) &&
	       !((struct cairn_change *)moved)->selected;
}

static int drop_notes(struct dropper *d)
{
	struct cairn_store *own = d->branch->own;
	struct cairn_name *name, *next;
	int r = 0;

	HASH_ITER (hh, d->changes->whiteouts.table, name, next) {
		if (is_gone(d, name->text) && !is_needed(d, name->text))
			r = own->branch->whiteout_delete(own, name->text);
		if (r < 0)
			return r;
	}
	HASH_ITER (hh, d->changes->seen.table, name, next) {
		if (is_gone(d, name->text) && !is_needed(d, name->text))
			r = own->branch->seen_delete(own, name->text);
		if (r < 0)
			return r;
	}
	return r;
}

/* What is no change is not worth keeping alone. */
static bool is_all(const struct cairn_changes *changes)
{
	for (size_t i = 0; i < changes->count; i++)
		if (!changes->list[i]->selected && cairn_change_is_real(changes->list[i]))
			return false;
	return true;
}

/* Whether all rows of an inode go; count_links() and dropping have been. */
static bool has_gone(const struct dropper *d, uint64_t row)
{
	const struct cairn_name *name = find_link(d, row);

	return !name || name->count == 0;
}

/* 1: what the base has at a path is what was accepted. */
static int is_heir(struct cairn_branch *branch, const char *path, const struct cairn_change *c)
{
	struct cairn_attr attr = { 0 };
	int r;

	r = branch->base->ops->resolve(branch->base, path, &attr);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if ((attr.mode & S_IFMT) != (c->now.mode & S_IFMT))
		return 0;
	return S_ISDIR(attr.mode) ||
	       (attr.size == c->now.size && cairn_same_time(&attr.mtime, &c->now.mtime));
}

/* What the base has by now inherits the number of the row it had here: a mount of the branch may
 * have it in use. What was copied up has the number of the base's file already. */
static int put_heir(struct dropper *d, const struct cairn_change *c)
{
	struct cairn_branch *branch = d->branch;
	struct cairn_origin origin = { 0 };
	const char *path = c->path;
	int r;

	r = branch->own->branch->origin_get(branch->reader, c->row, &origin);
	free((char *)origin.path);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0 && origin.base_ino)
		return 0;
	/* Below a directory whose renaming was not accepted, the base has it where it was. */
	r = is_heir(branch, path, c);
	if (r == 0 && c->place && strcmp(c->place, path) != 0) {
		path = c->place;
		r = is_heir(branch, path, c);
	}
	return r <= 0 ? r : branch->own->branch->heir_put(branch->own, c->row, path);
}

static int put_heirs(struct dropper *d, bool all)
{
	int r = 0;

	d->branch->base->ops->renew(d->branch->base);
	for (size_t i = 0; r == 0 && i < d->changes->count; i++) {
		const struct cairn_change *c = d->changes->list[i];

		if (c->parent && c->kind != CAIRN_CHANGE_DELETED && (all || has_gone(d, c->row)))
			r = put_heir(d, c);
	}
	return r;
}

static int stay_linked(struct dropper *d)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < d->changes->count; i++) {
		const struct cairn_change *c = d->changes->list[i];

		if (c->selected && cairn_change_is_real(c) && cairn_linked_stays(&d->linked, c))
			r = cairn_linked_stay(d->branch, c);
	}
	return r;
}

/* Before anything else: what is noted here may be dropped. */
static int begin_linked(struct dropper *d)
{
	int r;

	r = cairn_linked_find(d->changes, &d->linked);
	d->branch->base->ops->renew(d->branch->base);
	return r < 0 ? r : cairn_linked_note(d->branch, &d->linked, d->changes);
}

static int drop_some(struct dropper *d)
{
	const struct cairn_changes *changes = d->changes;
	int r;

	r = count_links(d);
	if (r == 0 && d->accepted)
		r = begin_linked(d);
	/* By path, so that what lies in a directory comes before it. */
	for (size_t i = changes->count; r == 0 && i > 0; i--)
		r = drop_change(d, changes->list[i - 1]);
	if (r == 0)
		r = drop_notes(d);
	return r < 0 ? r : stay_linked(d);
}

int cairn_drop(struct cairn_branch *branch, const struct cairn_changes *changes, bool accepted)
{
	_cleanup_(dropperp) struct dropper d = {
		.branch = branch,
		.changes = changes,
		.accepted = accepted,
	};
	const struct cairn_branch_ops *ops = branch->own->branch;
	bool all = is_all(changes);
	int r;

	/* The reader sees what was there before. */
	r = accepted && all ? put_heirs(&d, true) : 0;
	if (r == 0)
		r = all ? ops->clear(branch->own) : drop_some(&d);
	if (r == 0 && accepted && !all)
		r = put_heirs(&d, false);
	return r < 0 ? r : ops->turn(branch->own);
}
