/* Whether the base is still as the branch saw it when it made its change. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/overlay.h"
#include "branch/accept.h"
#include "branch/descent.h"
#include "util/clock.h"
#include "util/macro.h"

struct checker {
	struct cairn_branch *branch;
	const struct cairn_changes *changes;
	/* Whether the time of last change of an inode tells of its bytes. In a directory of the
	 * host it moves with each rename and each link, those of an accept that was taken back as
	 * well. */
	bool ctime_counts;
	struct cairn_descent descent; /* below what goes away with one change */
};

/* 1: the bytes are not those that were seen. */
static int check_bytes(struct checker *k, const struct cairn_seen *seen,
		       const struct cairn_attr *now)
{
	unsigned char digest[32];
	int r;

	if (seen->size != now->size)
		return 1;
	if (!seen->has_digest)
		return !cairn_same_time(&seen->mtime, &now->mtime) ||
		       (k->ctime_counts && !cairn_same_time(&seen->ctime, &now->ctime));
	r = cairn_branch_base_digest(k->branch, now->ino, now->size, digest);
	return r < 0 ? r : memcmp(digest, seen->digest, sizeof(digest)) != 0;
}

static int check_target(struct checker *k, const struct cairn_seen *seen,
			const struct cairn_attr *now)
{
	_cleanup_(cairn_freep) char *target = NULL;
	int r;

	if (!seen->target)
		return 0;
	r = k->branch->base->ops->readlink(k->branch->base, now->ino, &target);
	return r < 0 ? r : strcmp(target, seen->target) != 0;
}

static int compare_seen(struct checker *k, const struct cairn_seen *seen,
			const struct cairn_attr *now)
{
	if (seen->mode != now->mode || seen->uid != now->uid || seen->gid != now->gid)
		return 1;
	if (S_ISREG(now->mode))
		return check_bytes(k, seen, now);
	if (S_ISLNK(now->mode))
		return check_target(k, seen, now);
	return !S_ISDIR(now->mode) && seen->rdev != now->rdev;
}

static int check_one(struct checker *k, const char *path, const struct cairn_attr *now,
		     const char **ret_why)
{
	struct cairn_seen seen = { 0 };
	int r;

	r = k->branch->own->branch->seen_get(k->branch->reader, path, &seen);
	if (r == -ENOENT) {
		*ret_why = "the base has got this since";
		return 0;
	}
	if (r < 0)
		return r;
	r = compare_seen(k, &seen, now);
	free((char *)seen.target);
	if (r > 0)
		*ret_why = "changed in the base since";
	return MIN(r, 0);
}

static int check_below(struct checker *k, const char *path, uint64_t dir, const char **ret_why);

/* What lies in a directory. Gone through when all of it is known: while it is being listed, a
 * connection is held. */
struct below {
	char **names;
	size_t count;
};

static void belowp(struct below *below)
{
	for (size_t i = 0; i < below->count; i++)
		free(below->names[i]);
	free(below->names);
}

static int collect(void *arg, const struct cairn_base_entry *entry)
{
	struct below *below = arg;
	void *names = reallocarray(below->names, below->count + 1, sizeof(char *));

	if (!names)
		return -ENOMEM;
	below->names = names;
	below->names[below->count] = strndup(entry->name, entry->name_len);
	return below->names[below->count++] ? 0 : -ENOMEM;
}

/* What was renamed out of a directory before that was deleted is a change of its own. */
static int check_entry(struct checker *k, const char *dir_path, uint64_t dir, const char *name,
		       const char **ret_why)
{
	struct cairn_base *base = k->branch->base;
	_cleanup_(cairn_freep) char *path = NULL;
	struct cairn_attr attr = { 0 };
	int r;

	if (asprintf(&path, "%s/%s", dir_path, name) < 0)
		return -ENOMEM;
	if (cairn_names_get(&k->changes->moved, path, NULL))
		return 0;
	r = base->ops->lookup(base, dir, name, strlen(name), &attr);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = check_one(k, path, &attr, ret_why);
	if (r == 0 && !*ret_why && S_ISDIR(attr.mode))
		r = check_below(k, path, attr.ino, ret_why);
	if (r == 0 && *ret_why)
		*ret_why = "something in it changed in the base since";
	return r;
}

static int check_below(struct checker *k, const char *path, uint64_t dir, const char **ret_why)
{
	_cleanup_(belowp) struct below below = { 0 };
	int r;

	r = cairn_descent_enter(&k->descent, dir);
	if (r < 0)
		return r;
	r = k->branch->base->ops->list(k->branch->base, dir, collect, &below);
	for (size_t i = 0; r == 0 && !*ret_why && i < below.count; i++)
		r = check_entry(k, path, dir, below.names[i], ret_why);
	cairn_descent_leave(&k->descent);
	return r;
}

/* What goes away, with all that is below it. */
static int check_gone(struct checker *k, const char *path, const struct cairn_attr *now,
		      const char **ret_why)
{
	int r;

	r = check_one(k, path, now, ret_why);
	if (r == 0 && !*ret_why && S_ISDIR(now->mode))
		r = check_below(k, path, now->ino, ret_why);
	return r;
}

static int check(struct checker *k, struct cairn_change *c)
{
	int r = 0;

	switch (c->kind) {
	case CAIRN_CHANGE_ADDED:
		if (!c->from && !c->replaces && c->place &&
		    cairn_names_get(&k->changes->seen, c->place, NULL))
			c->why = "deleted in the base since";
		break;
	case CAIRN_CHANGE_DELETED:
		r = check_gone(k, c->from, &c->was, &c->why);
		break;
	case CAIRN_CHANGE_TYPE:
		r = check_gone(k, c->place, &c->there, &c->why);
		break;
	case CAIRN_CHANGE_MODIFIED:
		r = check_one(k, c->replaces ? c->place : c->from,
			      c->replaces ? &c->there : &c->was, &c->why);
		break;
	case CAIRN_CHANGE_RENAMED:
		r = check_one(k, c->from, &c->was, &c->why);
		if (r == 0 && !c->why && c->replaces &&
		    !cairn_names_get(&k->changes->moved, c->place, NULL))
			r = check_gone(k, c->place, &c->there, &c->why);
		break;
	case CAIRN_CHANGE_NONE:
		break;
	}
	c->conflict = c->why;
	return r;
}

int cairn_conflicts_mark(struct cairn_branch *branch, const struct cairn_changes *changes,
			 struct cairn_error *err)
{
	struct checker k = {
		.branch = branch,
		.changes = changes,
		.ctime_counts = !cairn_stable_is_directory(branch->base_path),
	};

	for (size_t i = 0; i < changes->count; i++) {
		struct cairn_change *c = changes->list[i];
		int r;

		c->why = NULL;
		r = check(&k, c);
		cairn_descent_done(&k.descent);
		if (r < 0)
			return cairn_error_set(err, r, "'%s' of '%s' cannot be read: %s", c->path,
					       branch->base_path, strerror(-r));
	}
	return 0;
}
