/* Finding the changes of a branch: a walk over its directories, then a look at what it hides. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "branch/compare.h"
#include "branch/find.h"
#include "util/macro.h"

/* A directory on the way. */
struct dir {
	uint64_t row;
	const char *path;
	struct cairn_change *change; /* NULL: the root */
	const char *base;            /* its counterpart; NULL: none */
	uint64_t node;
	bool opaque; /* nothing of the counterpart is to be seen */
};

struct entry {
	char *name;
	size_t len;
	struct cairn_attr attr;
};

struct entries {
	struct entry *list;
	size_t count, capacity;
};

static void entriesp(struct entries *entries)
{
	for (size_t i = 0; i < entries->count; i++)
		free(entries->list[i].name);
	free(entries->list);
}

static int collect(void *arg, const struct cairn_dentry_row *row)
{
	struct entries *entries = arg;
	struct entry entry = { .len = row->name_len, .attr = row->attr };

	if (!row->has_attr)
		return 0;
	if (entries->count == entries->capacity) {
		size_t capacity = entries->capacity ? 2 * entries->capacity : 32;
		void *list = reallocarray(entries->list, capacity, sizeof(*entries->list));

		if (!list)
			return -ENOMEM;
		entries->list = list;
		entries->capacity = capacity;
	}
	entry.name = strndup(row->name, row->name_len);
	if (!entry.name)
		return -ENOMEM;
	entries->list[entries->count++] = entry;
	return 0;
}

char *cairn_finder_join(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, name) < 0 ? NULL : path;
}

void cairn_change_free(struct cairn_change *change)
{
	if (!change)
		return;
	free(change->path);
	free(change->from);
	free(change->place);
	free(change);
}

void cairn_change_freep(struct cairn_change **change)
{
	cairn_change_free(*change);
}

int cairn_finder_add(struct cairn_changes *changes, struct cairn_change *change)
{
	if (changes->count == changes->capacity) {
		size_t capacity = changes->capacity ? 2 * changes->capacity : 64;
		void *list = reallocarray(changes->list, capacity, sizeof(void *));

		if (!list)
			return -ENOMEM;
		changes->list = list;
		changes->capacity = capacity;
	}
	changes->list[changes->count++] = change;
	return 0;
}

static struct cairn_finder_origin *origin_of(const struct cairn_finder *f, uint64_t row)
{
	struct cairn_finder_origin *origin;

	HASH_FIND(hh, f->origins, &row, sizeof(row), origin);
	return origin;
}

static int load_origin(void *arg, const struct cairn_origin *from)
{
	struct cairn_finder *f = arg;
	size_t len = strlen(from->path);
	struct cairn_finder_origin *origin;

	if (origin_of(f, from->delta_ino))
		return 0;
	origin = malloc(sizeof(*origin) + len + 1);
	if (!origin)
		return -ENOMEM;
	origin->row = from->delta_ino;
	origin->base_ino = from->base_ino;
	origin->data_end = from->data_end;
	memcpy(origin->path, from->path, len + 1);
	HASH_ADD(hh, f->origins, row, sizeof(origin->row), origin);
	if (!origin->hh.tbl) {
		free(origin);
		return -ENOMEM;
	}
	return 0;
}

static int load_whiteout(void *arg, const char *path)
{
	struct cairn_finder *f = arg;

	return cairn_names_put(&f->changes->whiteouts, path, NULL);
}

static int load_seen(void *arg, const char *path, const struct cairn_seen *seen)
{
	struct cairn_finder *f = arg;

	return cairn_names_put(&f->changes->seen, path, NULL);
}

static void finderp(struct cairn_finder *f)
{
	struct cairn_finder_origin *origin, *next;

	HASH_ITER (hh, f->origins, origin, next) {
		HASH_DEL(f->origins, origin);
		free(origin);
	}
	cairn_names_free(&f->shown);
	cairn_names_free(&f->rows);
	cairn_names_free(&f->moved);
	cairn_descent_done(&f->search);
	free(f->opaque);
}

int cairn_finder_failed(struct cairn_finder *f, int r, const char *path)
{
	return cairn_error_set(f->err, r, "'%s' cannot be compared with '%s': %s: %s",
			       f->branch->path, f->branch->base_path, path, strerror(-r));
}

int cairn_finder_resolve(struct cairn_finder *f, const char *path, struct cairn_attr *ret)
{
	struct cairn_base *base = f->branch->base;
	int r;

	*ret = (struct cairn_attr){ 0 };
	r = base->ops->resolve(base, path, ret);
	return r == -ENOENT || r == -ENOTDIR ? 0 : r;
}

static int look(struct cairn_finder *f, const struct dir *dir, const struct entry *entry,
		struct cairn_attr *ret)
{
	struct cairn_base *base = f->branch->base;
	int r;

	*ret = (struct cairn_attr){ 0 };
	if (!dir->base)
		return 0;
	r = base->ops->lookup(base, dir->node, entry->name, entry->len, ret);
	return r == -ENOENT || r == -ENOTDIR ? 0 : r;
}

bool cairn_finder_same_type(const struct cairn_attr *a, const struct cairn_attr *b)
{
	return (a->mode & S_IFMT) == (b->mode & S_IFMT);
}

/* What was accepted and could not be taken out of the branch lies in the base under its new name by
 * now; the path that it came from is gone, or something else's. */
static bool was_accepted(const struct cairn_finder_origin *origin, const struct cairn_change *c,
			 const struct cairn_attr *there)
{
	return origin && origin->base_ino && there->ino == origin->base_ino &&
	       cairn_finder_same_type(&c->now, there);
}

/* Where the base has what the entry came from: itself at its place, or elsewhere. */
static int find_origin(struct cairn_finder *f, const struct dir *dir, struct cairn_change *c,
		       struct cairn_attr *there, struct cairn_attr *ret_was)
{
	const struct cairn_finder_origin *origin = origin_of(f, c->row);
	int r = 0;

	*ret_was = (struct cairn_attr){ 0 };
	if (origin)
		c->content.data_end = origin->data_end;
	if (was_accepted(origin, c, there)) {
		*ret_was = *there;
		c->from = strdup(c->place);
		return c->from ? 0 : -ENOMEM;
	}
	if (origin && origin->path[0]) {
		if (c->place && strcmp(origin->path, c->place) == 0)
			*ret_was = *there;
		else
			r = cairn_finder_resolve(f, origin->path, ret_was);
		if (ret_was->ino && !cairn_finder_same_type(ret_was, &c->now))
			*ret_was = (struct cairn_attr){ 0 };
		/* Under another name, the base has the same file in its place, too. */
		if (ret_was->ino)
			c->from = strdup(ret_was->ino == there->ino ? c->place : origin->path);
		if (ret_was->ino && !c->from)
			return -ENOMEM;
	}
	if (r < 0 || ret_was->ino || !there->ino || !cairn_finder_same_type(there, &c->now))
		return r;
	/* A directory that shows what the base has in its place. */
	if (S_ISDIR(c->now.mode) && !dir->opaque && (!origin || origin->path[0]))
		*ret_was = *there;
	if (ret_was->ino)
		c->from = strdup(c->place);
	return ret_was->ino && !c->from ? -ENOMEM : 0;
}

void cairn_finder_set_content(struct cairn_change *c, uint64_t node)
{
	if (!S_ISREG(c->now.mode))
		return;
	c->content.row = c->row;
	c->content.node = node;
	c->content.size = c->now.size;
}

/* A file of its own, over what the base has there or over nothing. */
static int judge_new(struct cairn_finder *f, struct cairn_change *c, const struct cairn_attr *there)
{
	int r;

	c->content.data_end = 0;
	cairn_finder_set_content(c, 0);
	if (!there->ino) {
		c->kind = CAIRN_CHANGE_ADDED;
		return 0;
	}
	c->from = strdup(c->place);
	if (!c->from)
		return -ENOMEM;
	c->has_was = true;
	c->was = *there;
	if (!cairn_finder_same_type(&c->now, there)) {
		c->kind = CAIRN_CHANGE_TYPE;
		c->replaces = true;
		c->there = *there;
		return 0;
	}
	if (!S_ISDIR(there->mode)) {
		c->replaces = true;
		c->there = *there;
	}
	r = cairn_compare(f->branch, c, there, false);
	c->kind = c->what ? CAIRN_CHANGE_MODIFIED : CAIRN_CHANGE_NONE;
	return r;
}

/* The directory that the base has there is elsewhere in the branch, and goes there with all that is
 * in it: nothing is made of it here. */
static bool is_moved_dir(const struct cairn_finder *f, const struct cairn_change *c,
			 const struct cairn_attr *there)
{
	return there->ino && S_ISDIR(there->mode) && cairn_names_get(&f->moved, c->place, NULL);
}

static int judge_over_moved(struct cairn_change *c, const struct cairn_attr *there)
{
	c->kind = CAIRN_CHANGE_ADDED;
	c->content.data_end = 0;
	cairn_finder_set_content(c, 0);
	c->replaces = true;
	c->there = *there;
	return 0;
}

/* In the first round: of a directory, whether it was moved. */
static int note_moved(struct cairn_finder *f, struct cairn_change *c, const struct cairn_attr *was)
{
	c->has_was = was->ino;
	c->was = *was;
	c->in_place = was->ino && c->place && strcmp(c->from, c->place) == 0;
	return was->ino && !c->in_place ? cairn_names_put(&f->moved, c->from, NULL) : 0;
}

static int judge(struct cairn_finder *f, const struct dir *dir, struct cairn_change *c,
		 struct cairn_attr *there)
{
	struct cairn_attr was;
	int r;

	r = find_origin(f, dir, c, there, &was);
	if (r < 0)
		return r;
	if (f->scouting)
		return note_moved(f, c, &was);
	if (!was.ino && is_moved_dir(f, c, there))
		return judge_over_moved(c, there);
	if (!was.ino)
		return judge_new(f, c, there);
	c->has_was = true;
	c->was = was;
	c->in_place = c->place && strcmp(c->from, c->place) == 0;
	cairn_finder_set_content(c, was.ino);
	r = cairn_compare(f->branch, c, &was, true);
	if (r < 0)
		return r;
	if (c->in_place) {
		c->kind = c->what ? CAIRN_CHANGE_MODIFIED : CAIRN_CHANGE_NONE;
		return 0;
	}
	c->kind = CAIRN_CHANGE_RENAMED;
	c->replaces = there->ino;
	c->there = *there;
	if (S_ISDIR(c->now.mode))
		r = cairn_names_put(&f->changes->moved, c->from, c);
	return r;
}

static int walk(struct cairn_finder *f, const struct dir *dir);

static int add_deleted(struct cairn_finder *f, const char *place, const char *path,
		       const struct cairn_attr *was, struct cairn_change *parent)
{
	_cleanup_(cairn_change_freep) struct cairn_change *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	*c = (struct cairn_change){
		.kind = CAIRN_CHANGE_DELETED,
		.path = strdup(path),
		.from = strdup(place),
		.place = strdup(place),
		.has_was = true,
		.was = *was,
		.parent = parent,
		.unit = parent ? parent->unit : NULL,
	};
	if (!c->path || !c->from || !c->place)
		return -ENOMEM;
	r = cairn_finder_add(f->changes, c);
	if (r == 0)
		c = NULL;
	return r;
}

/* Looks later at what of the base the directory does not show: for now it is not known what of that
 * is to be seen elsewhere. */
static int note_opaque(struct cairn_finder *f, struct cairn_change *c)
{
	if (f->opaque_count == f->opaque_capacity) {
		size_t capacity = f->opaque_capacity ? 2 * f->opaque_capacity : 16;
		void *list = reallocarray(f->opaque, capacity, sizeof(*f->opaque));

		if (!list)
			return -ENOMEM;
		f->opaque = list;
		f->opaque_capacity = capacity;
	}
	f->opaque[f->opaque_count++] = c;
	return 0;
}

static int walk_into(struct cairn_finder *f, struct cairn_change *c)
{
	bool has_base = c->has_was && S_ISDIR(c->was.mode);
	struct dir dir = {
		.row = c->row,
		.path = c->path,
		.change = c,
		.base = has_base ? c->from : NULL,
		.node = has_base ? c->was.ino : 0,
	};
	const struct cairn_finder_origin *origin = origin_of(f, c->row);
	int r;

	dir.opaque = has_base && ((origin && !origin->path[0]) || (!origin && !c->in_place));
	if (has_base && !dir.opaque) {
		r = cairn_names_put(&f->shown, c->from, c);
		if (r < 0)
			return r;
	}
	if (dir.opaque && !c->unit)
		c->unit = c;
	r = walk(f, &dir);
	return r == 0 && dir.opaque ? note_opaque(f, c) : r;
}

static struct cairn_change *new_change(const struct dir *dir, const struct entry *entry)
{
	struct cairn_change *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	*c = (struct cairn_change){
		.path = cairn_finder_join(dir->path, entry->name),
		.place = dir->base ? cairn_finder_join(dir->base, entry->name) : NULL,
		.now = entry->attr,
		.row = entry->attr.ino,
		.dir_row = dir->row,
		.parent = dir->change,
	};
	if (!c->path || (dir->base && !c->place)) {
		cairn_change_free(c);
		return NULL;
	}
	return c;
}

int cairn_finder_note_row(struct cairn_finder *f, struct cairn_change *c)
{
	char row[32];
	void *first = NULL;

	snprintf(row, sizeof(row), "%llu", (unsigned long long)c->row);
	if (cairn_names_get(&f->rows, row, &first)) {
		/* A directory with two names would be gone through for ever. */
		if (S_ISDIR(c->now.mode))
			return -EIO;
		c->link_of = first;
		return 0;
	}
	return cairn_names_put(&f->rows, row, c);
}

static int visit(struct cairn_finder *f, const struct dir *dir, const struct entry *entry)
{
	_cleanup_(cairn_change_freep) struct cairn_change *c = new_change(dir, entry);
	struct cairn_change *kept;
	struct cairn_attr there;
	int r;

	if (!c)
		return -ENOMEM;
	if (f->scouting && !S_ISDIR(c->now.mode))
		return 0;
	r = cairn_finder_note_row(f, c);
	if (r == 0)
		r = look(f, dir, entry, &there);
	if (r == 0)
		r = judge(f, dir, c, &there);
	if (r < 0)
		return cairn_finder_failed(f, r, c->path);
	c->unit = c->parent ? c->parent->unit : NULL;
	if (!c->unit && c->kind == CAIRN_CHANGE_RENAMED && S_ISDIR(c->now.mode))
		c->unit = c;
	r = cairn_finder_add(f->changes, c);
	if (r < 0)
		return r;
	kept = TAKE_PTR(c);
	if (kept->place)
		r = cairn_names_put(&f->changes->places, kept->place, kept);
	if (r == 0 && S_ISDIR(kept->now.mode))
		r = walk_into(f, kept);
	return r;
}

static int walk(struct cairn_finder *f, const struct dir *dir)
{
	_cleanup_(entriesp) struct entries entries = { 0 };
	int r;

	if (f->depth == CAIRN_DEPTH_MAX)
		return cairn_finder_failed(f, -EIO, dir->path);
	f->depth++;
	r = f->branch->own->ops->dentry_scan(f->branch->reader, dir->row, true, collect, &entries);
	for (size_t i = 0; r == 0 && i < entries.count; i++)
		r = visit(f, dir, &entries.list[i]);
	f->depth--;
	return r;
}

/* The root is its own place. */
static int walk_root(struct cairn_finder *f)
{
	struct cairn_change *c = calloc(1, sizeof(*c));
	struct dir dir = { .row = CAIRN_ROOT_INO, .path = "/", .base = "/" };
	struct cairn_attr was = { 0 };
	int r;

	if (!c)
		return -ENOMEM;
	r = cairn_finder_add(f->changes, c);
	if (r < 0) {
		free(c);
		return r;
	}
	c->row = CAIRN_ROOT_INO;
	c->path = strdup("/");
	c->from = strdup("/");
	c->place = strdup("/");
	if (!c->path || !c->from || !c->place)
		return -ENOMEM;
	r = f->branch->own->ops->inode_get(f->branch->reader, CAIRN_ROOT_INO, &c->now);
	if (r == 0)
		r = cairn_finder_resolve(f, "/", &was);
	if (r < 0)
		return cairn_finder_failed(f, r, "/");
	c->was = was;
	c->has_was = c->in_place = true;
	/* As long as it was not changed, it has the attributes of the base's. */
	if (origin_of(f, CAIRN_ROOT_INO))
		r = cairn_compare(f->branch, c, &was, true);
	else
		c->now = was;
	c->kind = c->what ? CAIRN_CHANGE_MODIFIED : CAIRN_CHANGE_NONE;
	dir.node = was.ino;
	dir.change = c;
	if (r == 0)
		r = cairn_names_put(&f->shown, "/", c);
	return r < 0 ? cairn_finder_failed(f, r, "/") : walk(f, &dir);
}

static int scout(struct cairn_finder *f)
{
	struct cairn_changes *changes = f->changes;
	int r;

	f->scouting = true;
	r = walk_root(f);
	f->scouting = false;
	for (size_t i = 0; i < changes->count; i++)
		cairn_change_free(changes->list[i]);
	changes->count = f->opaque_count = 0;
	cairn_names_free(&changes->places);
	cairn_names_free(&f->shown);
	cairn_names_free(&f->rows);
	return r;
}

/* The directory of a path; "/" for "/a". */
static void cut_last(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash == path)
		slash++;
	*slash = '\0';
}

struct cairn_change *cairn_finder_seen_in(const struct cairn_finder *f, const char *place)
{
	_cleanup_(cairn_freep) char *at = strdup(place);
	void *found = NULL;

	while (at && at[1]) {
		cut_last(at);
		if (cairn_names_get(&f->shown, at, &found))
			return found;
		if (cairn_names_get(&f->changes->whiteouts, at, NULL) ||
		    cairn_names_get(&f->changes->places, at, NULL))
			return NULL;
	}
	return NULL;
}

struct hidden {
	struct cairn_finder *f;
	struct cairn_change *in;
};

/* Nothing of the base is to be seen in the directory: what has no successor was deleted. */
static int hidden_entry(void *arg, const struct cairn_base_entry *entry)
{
	const struct hidden *hidden = arg;
	struct cairn_finder *f = hidden->f;
	_cleanup_(cairn_freep) char *name = strndup(entry->name, entry->name_len);
	_cleanup_(cairn_freep) char *place = NULL, *path = NULL;
	struct cairn_attr attr = entry->attr;

	if (!name)
		return -ENOMEM;
	place = cairn_finder_join(hidden->in->from, name);
	path = cairn_finder_join(hidden->in->path, name);
	if (!place || !path)
		return -ENOMEM;
	if (cairn_names_get(&f->changes->places, place, NULL) ||
	    cairn_names_get(&f->changes->moved, place, NULL))
		return 0;
	attr.ino = entry->ino;
	if (!entry->has_attr) {
		int r = cairn_finder_resolve(f, place, &attr);

		if (r < 0 || !attr.ino)
			return r;
	}
	return add_deleted(f, place, path, &attr, hidden->in);
}

static int add_all_opaque(struct cairn_finder *f)
{
	struct cairn_base *base = f->branch->base;
	int r = 0;

	for (size_t i = 0; r == 0 && i < f->opaque_count; i++) {
		struct hidden hidden = { .f = f, .in = f->opaque[i] };

		r = base->ops->list(base, hidden.in->was.ino, hidden_entry, &hidden);
		if (r < 0)
			return cairn_finder_failed(f, r, hidden.in->path);
	}
	return r;
}

char *cairn_finder_path(const struct cairn_change *in, const char *place)
{
	return cairn_finder_join(in->path, place + strlen(in->from) + (strcmp(in->from, "/") != 0));
}

/* What was found under another name than its own in the base: a new name of a file that is still
 * there, or its only one. */
static int settle_names(struct cairn_finder *f)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < f->changes->count; i++) {
		struct cairn_change *c = f->changes->list[i];
		void *at = NULL;
		bool gone;

		if (c->kind != CAIRN_CHANGE_RENAMED || S_ISDIR(c->now.mode))
			continue;
		if (cairn_names_get(&f->changes->places, c->from, &at))
			gone = ((struct cairn_change *)at)->row != c->row;
		else
			gone = cairn_names_get(&f->changes->whiteouts, c->from, NULL) ||
			       !cairn_finder_seen_in(f, c->from);
		if (gone && !cairn_names_get(&f->changes->moved, c->from, NULL)) {
			r = cairn_names_put(&f->changes->moved, c->from, c);
			c->link_of = NULL;
			continue;
		}
		/* Two names of one file: the base's, or the one that it was renamed to. */
		if (gone)
			cairn_names_get(&f->changes->moved, c->from, &at);
		if (!c->replaces || is_moved_dir(f, c, &c->there))
			c->kind = CAIRN_CHANGE_ADDED;
		else
			c->kind = cairn_finder_same_type(&c->now, &c->there) ? CAIRN_CHANGE_MODIFIED
									     : CAIRN_CHANGE_TYPE;
		c->what = c->kind == CAIRN_CHANGE_ADDED ? 0 : CAIRN_CHANGED_DATA;
		c->link_of = at;
		/* Of the two, whichever was met first. */
		if (c->link_of && c->link_of->link_of == c)
			c->link_of->link_of = NULL;
	}
	return r;
}

static int add_hidden(struct cairn_finder *f, const char *place)
{
	_cleanup_(cairn_freep) char *path = NULL;
	struct cairn_change *in;
	struct cairn_attr was;
	int r;

	if (cairn_names_get(&f->changes->moved, place, NULL) ||
	    cairn_names_get(&f->changes->places, place, NULL))
		return 0;
	in = cairn_finder_seen_in(f, place);
	if (!in)
		return 0;
	r = cairn_finder_resolve(f, place, &was);
	if (r < 0)
		return cairn_finder_failed(f, r, place);
	if (!was.ino)
		return 0;
	path = cairn_finder_path(in, place);
	return path ? add_deleted(f, place, path, &was, in) : -ENOMEM;
}

static int add_all_hidden(struct cairn_finder *f)
{
	struct cairn_name *name, *next;
	int r = 0;

	HASH_ITER (hh, f->changes->whiteouts.table, name, next) {
		r = add_hidden(f, name->text);
		if (r < 0)
			return r;
	}
	return r;
}

static int by_path(const void *a, const void *b)
{
	const struct cairn_change *x = *(void *const *)a, *y = *(void *const *)b;
	int order = strcmp(x->path, y->path);

	return order ? order
		     : (x->kind == CAIRN_CHANGE_DELETED) - (y->kind == CAIRN_CHANGE_DELETED);
}

int cairn_changes_find(struct cairn_branch *branch, struct cairn_changes *ret,
		       struct cairn_error *err)
{
	struct cairn_changes changes = { 0 };
	_cleanup_(finderp) struct cairn_finder f = { .branch = branch,
						     .changes = &changes,
						     .err = err };
	const struct cairn_branch_ops *ops = branch->own->branch;
	int r;

	r = ops->origin_scan(branch->reader, load_origin, &f);
	if (r == 0)
		r = ops->whiteout_scan(branch->reader, load_whiteout, &f);
	if (r == 0)
		r = ops->seen_scan(branch->reader, load_seen, &f);
	if (r == 0)
		r = scout(&f);
	if (r == 0)
		r = walk_root(&f);
	if (r == 0)
		r = settle_names(&f);
	if (r == 0)
		r = cairn_find_nameless(&f);
	if (r == 0)
		r = add_all_opaque(&f);
	if (r == 0)
		r = add_all_hidden(&f);
	if (r < 0) {
		cairn_changes_free(&changes);
		return cairn_finder_failed(&f, r, "its tables");
	}
	if (changes.count > 1)
		qsort(changes.list, changes.count, sizeof(*changes.list), by_path);
	*ret = changes;
	return 0;
}

void cairn_changes_free(struct cairn_changes *changes)
{
	for (size_t i = 0; i < changes->count; i++)
		cairn_change_free(changes->list[i]);
	free(changes->list);
	cairn_names_free(&changes->whiteouts);
	cairn_names_free(&changes->seen);
	cairn_names_free(&changes->places);
	cairn_names_free(&changes->moved);
	*changes = (struct cairn_changes){ 0 };
}

bool cairn_change_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return true;
	return strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

bool cairn_change_matches(const struct cairn_change *change, const char *const *paths, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (cairn_change_below(change->path, paths[i]) ||
		    (change->kind == CAIRN_CHANGE_RENAMED &&
		     cairn_change_below(change->from, paths[i])))
			return true;
	return count == 0;
}
