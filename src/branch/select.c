/* Which changes go together. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "branch/accept.h"
#include "util/macro.h"

/* Whether the base has no such directory yet without the change. */
static bool makes_dir(const struct cairn_change *c)
{
	return c->kind == CAIRN_CHANGE_ADDED || c->kind == CAIRN_CHANGE_TYPE ||
	       c->kind == CAIRN_CHANGE_RENAMED;
}

static int apart(const struct cairn_change *wanted, const struct cairn_change *other,
		 struct cairn_error *err)
{
	return cairn_error_set(err, -EINVAL,
			       "'%s' and '%s' are parts of one change; accept both or neither",
			       wanted->path + 1, other->path + 1);
}

/* The first of the rules that is broken: `c` is to be left out for it. */
struct broken {
	struct cairn_change *c;
	const struct cairn_change *other;
};

/* What goes away in the base with the selected changes, and which change that is. */
static int collect_going(const struct cairn_changes *changes, struct cairn_names *going)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < changes->count; i++) {
		struct cairn_change *c = changes->list[i];

		if (!c->selected)
			continue;
		if (c->kind == CAIRN_CHANGE_DELETED || c->kind == CAIRN_CHANGE_RENAMED)
			r = cairn_names_put(going, c->from, c);
		if (r == 0 && c->replaces)
			r = cairn_names_put(going, c->place, c);
	}
	return r;
}

/* The change that a path of the base goes away with; NULL. */
static int find_going(const struct cairn_names *going, const char *path, struct cairn_change **ret)
{
	_cleanup_(cairn_freep) char *at = strdup(path);
	void *found = NULL;

	*ret = NULL;
	if (!at)
		return -ENOMEM;
	while (at[0]) {
		if (cairn_names_get(going, at, &found)) {
			*ret = found;
			return 0;
		}
		*strrchr(at, '/') = '\0';
	}
	return 0;
}

/* What stays in the branch must find what it needs of the base. */
static int check_needs(const struct cairn_changes *changes, struct broken *ret)
{
	_cleanup_(cairn_names_free) struct cairn_names going = { 0 };
	int r;

	r = collect_going(changes, &going);
	for (size_t i = 0; r == 0 && i < changes->count; i++) {
		const struct cairn_change *c = changes->list[i];
		struct cairn_change *with;

		if (c->selected || !c->from || c->kind == CAIRN_CHANGE_DELETED ||
		    (c->in_place && !c->unit && !c->nameless) || c->kind == CAIRN_CHANGE_NONE)
			continue;
		r = find_going(&going, c->from, &with);
		if (r == 0 && with) {
			*ret = (struct broken){ .c = with, .other = c };
			return 0;
		}
	}
	return r;
}

static int find_broken(const struct cairn_changes *changes, struct broken *ret)
{
	*ret = (struct broken){ 0 };
	for (size_t i = 0; i < changes->count; i++) {
		struct cairn_change *c = changes->list[i];
		const struct cairn_change *p = c->parent;

		if (c->selected && p && makes_dir(p) && !p->selected) {
			*ret = (struct broken){ .c = c, .other = p };
			return 0;
		}
		if (c->unit && cairn_change_is_real(c) && !c->selected && c->unit->kids) {
			*ret = (struct broken){ .c = c->unit, .other = c };
			return 0;
		}
	}
	return check_needs(changes, ret);
}

/* kids of the head of a unit: how many of it are selected. */
static void count_units(const struct cairn_changes *changes)
{
	for (size_t i = 0; i < changes->count; i++)
		changes->list[i]->kids = 0;
	for (size_t i = 0; i < changes->count; i++) {
		struct cairn_change *c = changes->list[i];

		if (c->unit && c->selected && cairn_change_is_real(c))
			c->unit->kids++;
	}
}

static void leave(const struct cairn_changes *changes, struct cairn_change *c)
{
	c->selected = false;
	for (size_t i = 0; c->unit && i < changes->count; i++)
		if (changes->list[i]->unit == c->unit)
			changes->list[i]->selected = false;
}

static void select_matching(const struct cairn_changes *changes, const char *const *paths,
			    size_t path_count)
{
	for (size_t i = 0; i < changes->count; i++) {
		struct cairn_change *c = changes->list[i];

		c->selected = cairn_change_matches(c, paths, path_count) &&
			      (cairn_change_is_real(c) || path_count == 0);
	}
	for (size_t i = 0; i < changes->count; i++) {
		struct cairn_change *c = changes->list[i];

		for (struct cairn_change *p = c->parent; c->selected && p; p = p->parent)
			if (makes_dir(p))
				p->selected = true;
	}
}

/* A file of the base that has changed has changed under all its names. */
static int select_names(const struct cairn_changes *changes)
{
	_cleanup_(cairn_names_free) struct cairn_names rows = { 0 };
	int r = 0;

	for (int again = 0; again < 2; again++)
		for (size_t i = 0; r == 0 && i < changes->count; i++) {
			struct cairn_change *c = changes->list[i];
			char row[32];

			if (c->kind != CAIRN_CHANGE_MODIFIED || !c->in_place ||
			    S_ISDIR(c->now.mode))
				continue;
			snprintf(row, sizeof(row), "%llu", (unsigned long long)c->row);
			if (again)
				c->selected |= cairn_names_get(&rows, row, NULL);
			else if (c->selected)
				r = cairn_names_put(&rows, row, NULL);
		}
	return r;
}

int cairn_select_accept(const struct cairn_changes *changes, const char *const *paths,
			size_t path_count, bool preserve, struct cairn_error *err)
{
	struct broken broken;
	int r;

	select_matching(changes, paths, path_count);
	r = select_names(changes);
	if (r < 0)
		return r;
	for (size_t i = 0; preserve && i < changes->count; i++)
		if (changes->list[i]->conflict)
			changes->list[i]->selected = false;
	for (;;) {
		count_units(changes);
		r = find_broken(changes, &broken);
		if (r < 0 || !broken.c)
			return r;
		if (!preserve)
			return apart(broken.c, broken.other, err);
		leave(changes, broken.c);
	}
}

void cairn_select_reset(const struct cairn_changes *changes, const char *const *paths,
			size_t path_count)
{
	bool more = true;

	for (size_t i = 0; i < changes->count; i++)
		changes->list[i]->selected =
			cairn_change_matches(changes->list[i], paths, path_count);
	while (more) {
		more = false;
		for (size_t i = 0; i < changes->count; i++) {
			struct cairn_change *c = changes->list[i];
			const struct cairn_change *p = c->parent;

			/* What lies in a directory that goes, and the names of one file. */
			if (!c->selected && ((p && p->selected && p->parent && makes_dir(p)) ||
					     (p && p->selected && p == p->unit) ||
					     (c->link_of && c->link_of->selected))) {
				c->selected = true;
				more = true;
			}
			if (c->selected && c->link_of && !c->link_of->selected) {
				c->link_of->selected = true;
				more = true;
			}
		}
	}
}
