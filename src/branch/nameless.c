/* Files of several names of which one was removed or replaced here: they were copied up for that
 * (they have a link less), and no directory of the branch leads to them. They are seen under the
 * names that the base has for them, and what is written to them by these is a change like any
 * other.
 *
 * Only the whole tree of the base tells which names these are. It is gone through where such a file
 * differs in more than its links, and else not. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "branch/compare.h"
#include "branch/find.h"
#include "util/macro.h"

struct nameless {
	UT_hash_handle hh;
	uint64_t base_ino;
	const struct cairn_finder_origin *origin;
	struct cairn_attr now;
	bool noted; /* the base still has it where it was copied up from */
};

static void namelessp(struct nameless **table)
{
	struct nameless *nameless, *next;

	HASH_ITER (hh, *table, nameless, next) {
		HASH_DEL(*table, nameless);
		free(nameless);
	}
}

/* What it is at a place of the base where `was` stands. */
static int make_change(struct cairn_finder *f, const struct nameless *nameless, const char *path,
		       const char *place, const struct cairn_attr *was, struct cairn_change **ret)
{
	_cleanup_(cairn_change_freep) struct cairn_change *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	*c = (struct cairn_change){
		.path = strdup(path),
		.from = strdup(nameless->noted ? nameless->origin->path : place),
		.place = strdup(place),
		.in_place = true,
		.nameless = true,
		.has_was = true,
		.now = nameless->now,
		.was = *was,
		.row = nameless->origin->row,
	};
	if (!c->path || !c->from || !c->place)
		return -ENOMEM;
	c->content.data_end = nameless->origin->data_end;
	cairn_finder_set_content(c, was->ino);
	r = cairn_compare(f->branch, c, was, true);
	if (r < 0) {
		cairn_finder_failed(f, r, path);
		return r;
	}
	c->kind = c->what ? CAIRN_CHANGE_MODIFIED : CAIRN_CHANGE_NONE;
	*ret = TAKE_PTR(c);
	return 0;
}

static int put_nameless(struct nameless **table, const struct nameless *from)
{
	struct nameless *added = malloc(sizeof(*added));

	if (!added)
		return -ENOMEM;
	*added = *from;
	HASH_ADD(hh, *table, base_ino, sizeof(added->base_ino), added);
	if (added->hh.tbl)
		return 0;
	free(added);
	return -ENOMEM;
}

/* Most have lost a name and nothing else. */
static int look(struct cairn_finder *f, const struct cairn_finder_origin *origin,
		struct nameless **table)
{
	_cleanup_(cairn_change_freep) struct cairn_change *c = NULL;
	struct nameless found = { .base_ino = origin->base_ino, .origin = origin };
	struct cairn_attr was = { 0 };
	int r;

	r = f->branch->own->ops->inode_get(f->branch->reader, origin->row, &found.now);
	if (r < 0 || found.now.nlink == 0 || S_ISDIR(found.now.mode))
		return r == -ENOENT ? 0 : r;
	r = cairn_finder_resolve(f, origin->path, &was);
	if (r < 0)
		return cairn_finder_failed(f, r, origin->path);
	found.noted = was.ino == origin->base_ino && cairn_finder_same_type(&found.now, &was);
	if (found.noted) {
		r = make_change(f, &found, origin->path, origin->path, &was, &c);
		if (r < 0 || c->kind == CAIRN_CHANGE_NONE)
			return r;
	}
	return put_nameless(table, &found);
}

static int add_name(struct cairn_finder *f, const struct nameless *nameless, const char *place,
		    const struct cairn_attr *was)
{
	_cleanup_(cairn_change_freep) struct cairn_change *c = NULL;
	_cleanup_(cairn_freep) char *path = NULL;
	struct cairn_change *in = cairn_finder_seen_in(f, place);
	int r;

	if (!in || !cairn_finder_same_type(&nameless->now, was) ||
	    cairn_names_get(&f->changes->whiteouts, place, NULL) ||
	    cairn_names_get(&f->changes->places, place, NULL))
		return 0;
	path = cairn_finder_path(in, place);
	if (!path)
		return -ENOMEM;
	r = make_change(f, nameless, path, place, was, &c);
	if (r < 0)
		return r;
	c->parent = in;
	c->unit = in->unit;
	r = cairn_finder_note_row(f, c);
	if (r == 0)
		r = cairn_names_put(&f->changes->places, place, c);
	if (r == 0)
		r = cairn_finder_add(f->changes, c);
	if (r == 0)
		c = NULL;
	return r;
}

/* A directory of the base that is gone through. */
struct search {
	struct cairn_finder *f;
	const struct nameless *table;
	const char *dir;
	struct {
		char *path;
		uint64_t node;
	} * below; /* the directories in it */
	size_t count;
};

static void searchp(struct search *search)
{
	for (size_t i = 0; i < search->count; i++)
		free(search->below[i].path);
	free(search->below);
}

static int search_entry(void *arg, const struct cairn_base_entry *entry)
{
	struct search *s = arg;
	_cleanup_(cairn_freep) char *name = strndup(entry->name, entry->name_len);
	_cleanup_(cairn_freep) char *place = name ? cairn_finder_join(s->dir, name) : NULL;
	struct cairn_attr attr = entry->attr;
	const struct nameless *nameless;
	void *below;

	if (!place)
		return -ENOMEM;
	attr.ino = entry->ino;
	HASH_FIND(hh, s->table, &entry->ino, sizeof(entry->ino), nameless);
	if (nameless && entry->has_attr)
		return add_name(s->f, nameless, place, &attr);
	if (!S_ISDIR(entry->mode))
		return 0;
	below = reallocarray(s->below, s->count + 1, sizeof(*s->below));
	if (!below)
		return -ENOMEM;
	s->below = below;
	s->below[s->count].path = TAKE_PTR(place);
	s->below[s->count++].node = entry->ino;
	return 0;
}

static int search(struct cairn_finder *f, const struct nameless *table, const char *dir,
		  uint64_t node)
{
	_cleanup_(searchp) struct search s = { .f = f, .table = table, .dir = dir };
	int r;

	r = cairn_descent_enter(&f->search, node);
	if (r < 0)
		return cairn_finder_failed(f, r, dir);
	r = f->branch->base->ops->list(f->branch->base, node, search_entry, &s);
	/* What we may not look into cannot be seen in the branch either. */
	if (r == -EACCES || r == -ENOENT || r == -ENOTDIR)
		r = 0;
	for (size_t i = 0; r == 0 && i < s.count; i++)
		r = search(f, table, s.below[i].path, s.below[i].node);
	cairn_descent_leave(&f->search);
	return r;
}

int cairn_find_nameless(struct cairn_finder *f)
{
	_cleanup_(namelessp) struct nameless *table = NULL;
	struct cairn_base *base = f->branch->base;
	const struct cairn_finder_origin *origin;
	char row[32];
	int r;

	for (origin = f->origins; origin; origin = origin->hh.next) {
		snprintf(row, sizeof(row), "%llu", (unsigned long long)origin->row);
		if (!origin->path[0] || !origin->base_ino || origin->row == CAIRN_ROOT_INO ||
		    cairn_names_get(&f->rows, row, NULL))
			continue;
		r = look(f, origin, &table);
		if (r < 0)
			return r;
	}
	return table ? search(f, table, "/", base->ops->root(base)) : 0;
}
