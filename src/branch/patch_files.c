/* Which files a patch is made of. What a change is does not decide how it is told: where both trees
 * have a file at a path it is modified, whatever was renamed to there; only what came from a path
 * that has none any more to one that had none is a rename. That way each path of the base is used
 * once, and patches apply whatever was swapped with what. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "branch/descent.h"
#include "branch/patch_files.h"
#include "util/macro.h"

struct finder {
	struct cairn_branch *branch;
	const struct cairn_changes *changes;
	struct cairn_patch_paths *paths;
	struct cairn_descent descent; /* below `from` of one change */
	struct cairn_error *err;
};

uint32_t cairn_patch_mode(uint32_t mode)
{
	if (S_ISLNK(mode))
		return 0120000;
	if (S_ISREG(mode))
		return mode & 0111 ? 0100755 : 0100644;
	return 0;
}

static int failed(struct finder *f, int r, const char *path)
{
	return cairn_error_set(f->err, r, "'%s' cannot be read for the patch: %s", path,
			       strerror(-r));
}

void cairn_patch_paths_free(struct cairn_patch_paths *paths)
{
	struct cairn_patch_path *path, *next;

	HASH_ITER (hh, paths->table, path, next) {
		HASH_DEL(paths->table, path);
		free(path);
	}
}

static int get_path(struct finder *f, const char *text, struct cairn_patch_path **ret)
{
	size_t len = strlen(text);
	struct cairn_patch_path *path;

	HASH_FIND(hh, f->paths->table, text, len, *ret);
	if (*ret)
		return 0;
	path = calloc(1, sizeof(*path) + len + 1);
	if (!path)
		return -ENOMEM;
	memcpy(path->path, text, len + 1);
	HASH_ADD(hh, f->paths->table, path[0], len, path);
	if (!path->hh.tbl) {
		free(path);
		return -ENOMEM;
	}
	*ret = path;
	return 0;
}

static int add_old(struct finder *f, const char *text, const struct cairn_attr *was,
		   struct cairn_patch_path **ret)
{
	struct cairn_patch_path *path;
	int r;

	r = get_path(f, text, &path);
	if (r < 0)
		return r;
	path->in_base = true;
	path->was = *was;
	if (ret)
		*ret = path;
	return 0;
}

/* Without a change: a file of the base, in a directory that was renamed. */
static int add_new(struct finder *f, const char *text, const struct cairn_change *change,
		   const struct cairn_attr *same, struct cairn_patch_path *from)
{
	struct cairn_patch_path *path;
	int r;

	r = get_path(f, text, &path);
	if (r < 0)
		return r;
	path->in_branch = true;
	path->change = change;
	if (same)
		path->same = *same;
	path->from = from;
	return 0;
}

struct names {
	char **list;
	size_t count;
};

static void namesp(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->list[i]);
	free(names->list);
}

static int collect(void *arg, const struct cairn_base_entry *entry)
{
	struct names *names = arg;
	void *list = reallocarray(names->list, names->count + 1, sizeof(char *));

	if (!list)
		return -ENOMEM;
	names->list = list;
	names->list[names->count] = strndup(entry->name, entry->name_len);
	return names->list[names->count++] ? 0 : -ENOMEM;
}

/* Files below a directory of the base: deleted, or, where `to` says so, renamed with it. */
static int add_below(struct finder *f, const char *from, uint64_t dir, const char *to);

/* A directory that is only gone through is not: what lies in it may be as it was. */
static bool is_changed(const struct finder *f, const char *path)
{
	void *at = NULL;

	if (cairn_names_get(&f->changes->places, path, &at)) {
		const struct cairn_change *c = at;

		return !S_ISDIR(c->now.mode) || !c->in_place;
	}
	return cairn_names_get(&f->changes->whiteouts, path, NULL);
}

/* What has an entry of its own in the branch, or was renamed from here, is another change. */
static int add_one_below(struct finder *f, const char *from, uint64_t dir, const char *to,
			 const char *name)
{
	_cleanup_(cairn_freep) char *path = NULL, *target = NULL;
	struct cairn_base *base = f->branch->base;
	struct cairn_patch_path *old = NULL;
	struct cairn_attr attr = { 0 };
	int r;

	if (asprintf(&path, "%s/%s", from, name) < 0)
		return -ENOMEM;
	if (to && asprintf(&target, "%s/%s", to, name) < 0)
		return -ENOMEM;
	if (cairn_names_get(&f->changes->moved, path, NULL))
		return 0;
	r = base->ops->lookup(base, dir, name, strlen(name), &attr);
	if (r < 0)
		return r == -ENOENT ? 0 : failed(f, r, path);
	if (to && is_changed(f, path))
		return 0;
	if (S_ISDIR(attr.mode))
		return add_below(f, path, attr.ino, target);
	if (!cairn_patch_mode(attr.mode)) {
		f->paths->left_out++;
		return 0;
	}
	r = add_old(f, path, &attr, &old);
	return r == 0 && to ? add_new(f, target, NULL, &attr, old) : r;
}

static int add_below(struct finder *f, const char *from, uint64_t dir, const char *to)
{
	_cleanup_(namesp) struct names names = { 0 };
	int r;

	r = cairn_descent_enter(&f->descent, dir);
	if (r < 0)
		return failed(f, r, from);
	r = f->branch->base->ops->list(f->branch->base, dir, collect, &names);
	if (r < 0)
		return failed(f, r, from);
	for (size_t i = 0; r == 0 && i < names.count; i++)
		r = add_one_below(f, from, dir, to, names.list[i]);
	cairn_descent_leave(&f->descent);
	return r;
}

/* What the base has at a path goes away. A directory that was moved does not. */
static int add_gone(struct finder *f, const char *path, const struct cairn_attr *was)
{
	if (cairn_patch_mode(was->mode))
		return add_old(f, path, was, NULL);
	if (!S_ISDIR(was->mode)) {
		f->paths->left_out++;
		return 0;
	}
	return cairn_names_get(&f->changes->moved, path, NULL) ? 0
							       : add_below(f, path, was->ino, NULL);
}

static int add_renamed(struct finder *f, const struct cairn_change *c)
{
	struct cairn_patch_path *old = NULL;
	int r;

	if (S_ISDIR(c->now.mode))
		return add_below(f, c->from, c->was.ino, c->path);
	if (!cairn_patch_mode(c->now.mode)) {
		f->paths->left_out++;
		return 0;
	}
	r = add_old(f, c->from, &c->was, &old);
	return r < 0 ? r : add_new(f, c->path, c, NULL, old);
}

/* Where it lies elsewhere by now, that is because a directory above was renamed. */
static int add_modified(struct finder *f, const struct cairn_change *c)
{
	const char *from = c->replaces || c->nameless ? c->place : c->from;
	const struct cairn_attr *was = c->replaces ? &c->there : &c->was;
	bool moved = strcmp(from, c->path) != 0;
	struct cairn_patch_path *old = NULL;
	int r;

	if (!cairn_patch_mode(c->now.mode) ||
	    (!moved && !(c->what & CAIRN_CHANGED_DATA) &&
	     cairn_patch_mode(c->now.mode) == cairn_patch_mode(was->mode))) {
		f->paths->left_out += c->kind == CAIRN_CHANGE_MODIFIED;
		return 0;
	}
	r = add_old(f, from, was, &old);
	return r < 0 ? r : add_new(f, c->path, c, NULL, old);
}

static int add_change(struct finder *f, const struct cairn_change *c)
{
	int r = 0;

	if (c->replaces && c->kind != CAIRN_CHANGE_NONE && c->kind != CAIRN_CHANGE_MODIFIED)
		r = add_gone(f, c->place, &c->there);
	if (r < 0)
		return r;
	switch (c->kind) {
	case CAIRN_CHANGE_DELETED:
		return add_gone(f, c->from, &c->was);
	case CAIRN_CHANGE_RENAMED:
		return add_renamed(f, c);
	case CAIRN_CHANGE_ADDED:
	case CAIRN_CHANGE_TYPE:
		if (cairn_patch_mode(c->now.mode))
			return add_new(f, c->path, c, NULL, NULL);
		f->paths->left_out += !S_ISDIR(c->now.mode);
		return 0;
	default:
		return c->has_was ? add_modified(f, c) : 0;
	}
}

/* Decides which are told as renames, each file of the base once. */
static void settle_renames(struct cairn_patch_paths *paths)
{
	for (struct cairn_patch_path *p = paths->table; p; p = p->hh.next) {
		if (p->in_base || !p->from || p->from->in_branch || p->from->renamed)
			p->from = NULL;
		if (p->from)
			p->from->renamed = true;
	}
}

static int by_path(const struct cairn_patch_path *a, const struct cairn_patch_path *b)
{
	return strcmp(a->path, b->path);
}

int cairn_patch_paths_find(struct cairn_branch *branch, const struct cairn_changes *changes,
			   const char *const *paths, size_t path_count,
			   struct cairn_patch_paths *ret, struct cairn_error *err)
{
	struct finder f = { .branch = branch, .changes = changes, .paths = ret, .err = err };
	int r = 0;

	for (size_t i = 0; r == 0 && i < changes->count; i++) {
		if (cairn_change_matches(changes->list[i], paths, path_count))
			r = add_change(&f, changes->list[i]);
		cairn_descent_done(&f.descent);
	}
	HASH_SRT(hh, ret->table, by_path);
	settle_renames(ret);
	return r;
}
