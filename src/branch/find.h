/* What the files that find the changes of a branch share:
 *
 *	find.c	    the walk over the directories of the branch, then what it hides
 *	nameless.c  files that no directory of the branch leads to
 *
 * One thread; functions return 0 or a negative errno. */
#pragma once

#include "branch/change.h"
#include "branch/descent.h"
#include "util/hash.h"

/* A row of cairn_origin. */
struct cairn_finder_origin {
	UT_hash_handle hh;
	uint64_t row;
	uint64_t base_ino;
	int64_t data_end;
	char path[];
};

struct cairn_finder {
	struct cairn_branch *branch;
	struct cairn_changes *changes;
	struct cairn_finder_origin *origins; /* by row */
	struct cairn_names shown;            /* directories of the base that were gone through */
	struct cairn_names rows;             /* numbers of the branch: its first name */
	/* The first round finds the directories of the base that were moved, and nothing else: what
	 * stands where they were cannot be judged without. */
	bool scouting;
	struct cairn_names moved;
	struct cairn_descent search;  /* through the directories of the base */
	struct cairn_change **opaque; /* directories made in the place of one of the base */
	size_t opaque_count, opaque_capacity;
	unsigned int depth;
	struct cairn_error *err;
};

/* "dir/name" as a new string; NULL: no memory. */
char *cairn_finder_join(const char *dir, const char *name);
/* Returns r, and says what could not be compared. */
int cairn_finder_failed(struct cairn_finder *f, int r, const char *path);
/* What the base has at a path. ino 0: nothing. */
int cairn_finder_resolve(struct cairn_finder *f, const char *path, struct cairn_attr *ret);
/* The directory of the branch in which a place of the base would be seen: the change of the nearest
 * one above it that the branch has something of; NULL: none of it can be seen. */
struct cairn_change *cairn_finder_seen_in(const struct cairn_finder *f, const char *place);
/* Where a place in the base lies in the branch, in the directory that it is seen in: a new string;
 * NULL: no memory. */
char *cairn_finder_path(const struct cairn_change *in, const char *place);

bool cairn_finder_same_type(const struct cairn_attr *a, const struct cairn_attr *b);
/* The bytes of a change, over a node of the base; 0: over nothing. */
void cairn_finder_set_content(struct cairn_change *c, uint64_t node);
/* Notes the first name of a row, and sets link_of in the others. -EIO for a second one of a
 * directory. */
int cairn_finder_note_row(struct cairn_finder *f, struct cairn_change *c);
/* Takes the change over, where it returns 0. */
int cairn_finder_add(struct cairn_changes *changes, struct cairn_change *change);
void cairn_change_free(struct cairn_change *change);
void cairn_change_freep(struct cairn_change **change);

/* Adds the changed files that have no name in the branch: one was hidden when they were copied up,
 * and the others are the base's. When the walk is done. */
int cairn_find_nameless(struct cairn_finder *f);
