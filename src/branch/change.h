/* What a branch has changed: its tree compared with that of its base, as both are now. Found by
 * going over what the branch has of its own, so that it takes time in proportion to that; the base
 * is looked at only where the branch has something.
 *
 * A path in the base and one in the branch mean the same place unless a directory above was
 * renamed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "branch/branch.h"
#include "branch/names.h"

enum cairn_change_kind {
	CAIRN_CHANGE_NONE, /* copied up, or made anew, and nothing differs but times */
	CAIRN_CHANGE_ADDED,
	CAIRN_CHANGE_DELETED, /* with all that is below it */
	CAIRN_CHANGE_MODIFIED,
	CAIRN_CHANGE_TYPE,    /* a file where the base has a directory, and the like */
	CAIRN_CHANGE_RENAMED, /* and perhaps modified; of a directory, what is below it with it */
};

enum {
	CAIRN_CHANGED_DATA = 1 << 0, /* of a symbolic link, its target; of a device, its number */
	CAIRN_CHANGED_MODE = 1 << 1,
	CAIRN_CHANGED_OWNER = 1 << 2,
	CAIRN_CHANGED_XATTR = 1 << 3,
};

struct cairn_change {
	enum cairn_change_kind kind;
	unsigned int what; /* CAIRN_CHANGED_ bits, of what the base has too */
	char *path;        /* in the branch; of what was deleted, where it would be */
	char *from;        /* in the base, what it is compared with; NULL: with nothing */
	char *place;   /* in the base, where its entry belongs; NULL: its directory is not there */
	bool in_place; /* it is the file of the base that stands there, changed */
	/* The same, and the branch has no entry for it: it was copied up as `from`, another name of
	 * it in the base, which is hidden by now. */
	bool nameless;
	/* What the base has there (`there`) goes away for it; of an added one, it is a directory
	 * that was moved. */
	bool replaces;
	bool has_was;
	struct cairn_attr now;        /* of a deleted one: nothing */
	struct cairn_attr was;        /* of `from`; the number is that of the base's node */
	struct cairn_attr there;      /* where it replaces something */
	uint64_t row;                 /* of the branch; 0 for a deleted one */
	uint64_t dir_row;             /* the directory that has its entry */
	struct cairn_content content; /* of a regular file */
	/* Another name of that. An added one that has a `from` is another name of the base's file
	 * there. NULL: neither. */
	struct cairn_change *link_of;
	/* The directory that it lies in, where the branch has something of that; NULL for the root
	 * and for what was deleted where nothing else is. */
	struct cairn_change *parent;
	/* The topmost directory that it lies in, itself included, that was renamed, or that was
	 * made in the place of one that was deleted: all of it goes together. */
	struct cairn_change *unit;
	/* Others may use these as they like. */
	bool selected, conflict;
	const char *why; /* there is one; static */
	uint64_t target;
	size_t kids; /* entries that it has in the branch */
};

struct cairn_changes {
	struct cairn_change **list; /* by path */
	size_t count, capacity;
	struct cairn_names whiteouts; /* paths in the base */
	struct cairn_names seen;      /* paths of which it was noted what the base had there */
	struct cairn_names places;    /* paths in the base: what stands there in the branch */
	struct cairn_names moved;     /* paths in the base: what was renamed from there */
};

/* Compares. The base must be open. `err` names what could not be read. */
int cairn_changes_find(struct cairn_branch *branch, struct cairn_changes *ret,
		       struct cairn_error *err);
void cairn_changes_free(struct cairn_changes *changes);

/* Whether a person would call it a change. */
static inline bool cairn_change_is_real(const struct cairn_change *change)
{
	return change->kind != CAIRN_CHANGE_NONE;
}

/* True where `path` is `dir` or lies below it; "/" has everything below it. */
bool cairn_change_below(const char *path, const char *dir);
/* Whether one of the paths has the change at or below it, by either of its names. No paths: yes. */
bool cairn_change_matches(const struct cairn_change *change, const char *const *paths,
			  size_t count);
