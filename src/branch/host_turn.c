/* Taking a record back: the steps turned round. A step names paths as they are when it is done, and
 * things by what they are now: somebody may have put another file in the place of one since. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "branch/host_stage.h"
#include "branch/host_where.h"

static char *join(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

struct turn {
	struct cairn_host *host;
	const struct cairn_steps *record;
	struct cairn_steps *steps;
	struct cairn_moves moves;
	struct cairn_names noted;
	struct cairn_names came;    /* paths to which something was moved */
	struct cairn_names left;    /* paths from which something was moved */
	struct cairn_names missing; /* names in kept/ of what somebody has removed since */
	struct cairn_names changed; /* paths with a note of what changes in place */
};

static void turnp(struct turn *t)
{
	cairn_moves_free(&t->moves);
	cairn_names_free(&t->noted);
	cairn_names_free(&t->came);
	cairn_names_free(&t->left);
	cairn_names_free(&t->missing);
	cairn_names_free(&t->changed);
}

static bool is_gone(int r)
{
	return r == -ENOENT || r == -ENOTDIR;
}

/* What was at a place when step `i` had been done, as it is now. */
static int stat_now(const struct turn *t, size_t i, bool kept, const char *text, struct stat *ret,
		    bool *ret_kept)
{
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	_cleanup_(cairn_wherep) struct cairn_where where = { 0 };
	int r;

	r = cairn_where_after(&t->moves, i, kept, text, &where, NULL);
	if (r == 0)
		r = where.kept ? cairn_host_find_kept(t->host, where.text, &at)
			       : cairn_host_find(t->host, where.text, &at);
	if (r == 0)
		r = cairn_host_stat(t->host, &at, ret);
	if (r == 0 && ret_kept)
		*ret_kept = where.kept;
	return r;
}

/* Where a place of before step `i` is when all is taken back; NULL: that will not be there. */
static int path_back(const struct turn *t, size_t i, const char *path, char **ret)
{
	struct cairn_where where = { 0 };
	int r;

	r = cairn_where_before(&t->moves, i, false, path, &where);
	if (r < 0)
		return r;
	*ret = where.kept ? NULL : TAKE_PTR(where.text);
	free(where.text);
	return 0;
}

static int copy_text(const char *text, char **ret)
{
	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

static int add_move(struct turn *t, enum cairn_step_kind kind, const char *path, const char *file,
		    uint64_t ino, uint64_t was, bool dir)
{
	struct cairn_step *step = cairn_steps_add(t->steps, kind);
	int r;

	if (!step)
		return -ENOMEM;
	step->ino = ino;
	step->was = was;
	step->dir = dir;
	r = copy_text(path, &step->path);
	return r < 0 ? r : copy_text(file, &step->file);
}

struct own {
	struct turn *t;
	const char *path;
	bool found;
};

static int has_foreign(struct turn *t, const char *path, bool *ret);

static int look_for_foreign(void *arg, const char *name)
{
	struct own *own = arg;
	_cleanup_(cairn_freep) char *path = join(own->path, name);
	int r = 0;

	if (!path)
		return -ENOMEM;
	if (!cairn_names_get(&own->t->noted, path, NULL))
		own->found = true;
	else if (!cairn_names_get(&own->t->came, path, NULL))
		r = has_foreign(own->t, path, &own->found);
	return r < 0 ? r : own->found;
}

/* Whether others have put something into a directory that was made. */
static int has_foreign(struct turn *t, const char *path, bool *ret)
{
	struct own own = { .t = t, .path = path };
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	void *note = NULL;
	int r;

	if (!cairn_names_get(&t->noted, path, &note) || !((struct cairn_host_note *)note)->made)
		return 0;
	r = cairn_host_find(t->host, path, &at);
	if (r == 0)
		r = cairn_host_list(at.dir, at.name, look_for_foreign, &own);
	if (own.found)
		*ret = true;
	return own.found || is_gone(r) ? 0 : r;
}

static int take_own(void *arg, const char *name);

/* All of a directory but what others have put there since. */
static int take_what_is_own(struct turn *t, const char *path)
{
	struct own own = { .t = t, .path = path };
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	int r;

	r = cairn_host_find(t->host, path, &at);
	return r < 0 ? r : cairn_host_list(at.dir, at.name, take_own, &own);
}

static int take_own(void *arg, const char *name)
{
	const struct own *own = arg;
	struct turn *t = own->t;
	_cleanup_(cairn_freep) char *path = join(own->path, name);
	bool foreign = false;
	struct stat st = { 0 };
	int r;

	if (!path)
		return -ENOMEM;
	/* What was moved here has a step of its own. */
	if (!cairn_names_get(&t->noted, path, NULL) || cairn_names_get(&t->came, path, NULL))
		return 0;
	r = has_foreign(t, path, &foreign);
	if (r == 0 && foreign)
		return take_what_is_own(t, path);
	if (r == 0)
		r = cairn_host_stat_path(t->host, path, &st);
	return r < 0 ? r
		     : add_move(t, CAIRN_STEP_TAKE, path, cairn_stage_name(t->host).text, st.st_ino,
				0, S_ISDIR(st.st_mode));
}

static int turn_put(struct turn *t, size_t i, const struct cairn_step *put)
{
	_cleanup_(cairn_wherep) struct cairn_where where = { 0 };
	bool foreign = false;
	struct stat st = { 0 };
	int r;

	r = stat_now(t, i, false, put->path, &st, NULL);
	if (is_gone(r))
		return cairn_names_put(&t->missing, put->file, NULL);
	if (r == 0)
		r = cairn_where_after(&t->moves, i, false, put->path, &where, NULL);
	/* A directory that stays where it was put. */
	if (r == 0 && !where.kept && strcmp(where.text, put->path) == 0)
		r = has_foreign(t, put->path, &foreign);
	if (r < 0 || foreign)
		return r < 0 ? r : take_what_is_own(t, put->path);
	r = add_move(t, CAIRN_STEP_TAKE, put->path, put->file, st.st_ino, 0, S_ISDIR(st.st_mode));
	return r < 0 ? r : copy_text(put->other, &t->steps->list[t->steps->count - 1].other);
}

/* How what comes back from `file` is left: all of what was kept; what was only moved goes on being.
 */
static int note_back(struct turn *t, size_t i, const char *file, const char *path,
		     const struct stat *st, bool kept)
{
	_cleanup_(cairn_freep) char *back = NULL;
	struct cairn_host_note *note;
	int r;

	r = path_back(t, i, path, &back);
	if (r < 0 || !back)
		return r;
	if (kept)
		return cairn_host_note_kept(t->host, file, back, t->steps);
	note = cairn_steps_note(t->steps, back);
	if (!note)
		return -ENOMEM;
	cairn_host_note_fill(note, st);
	note->loose = true;
	return 0;
}

/* Something else has come to the place since: it is kept in turn. */
static int put_over(struct turn *t, const char *path, const char *file, const struct stat *there,
		    const struct stat *st)
{
	bool dir = S_ISDIR(st->st_mode), there_dir = S_ISDIR(there->st_mode);
	struct cairn_kept_name name;
	int r;

	if (t->host->exchanges)
		return add_move(t, CAIRN_STEP_SWAP, path, file, st->st_ino, there->st_ino,
				dir || there_dir);
	name = cairn_stage_name(t->host);
	r = add_move(t, CAIRN_STEP_TAKE, path, name.text, there->st_ino, 0, there_dir);
	return r < 0 ? r : add_move(t, CAIRN_STEP_PUT, path, file, st->st_ino, 0, dir);
}

/* What has come since to where something was taken from. */
static int in_the_way(const struct turn *t, size_t i, const char *path, struct stat *ret)
{
	_cleanup_(cairn_wherep) struct cairn_where where = { 0 };
	bool filled = false;
	int r;

	r = cairn_where_after(&t->moves, i, false, path, &where, &filled);
	if (r < 0 || filled || where.kept)
		return r < 0 ? r : -ENOENT;
	return cairn_host_stat_path(t->host, where.text, ret);
}

static int turn_take(struct turn *t, size_t i, const struct cairn_step *take)
{
	const struct cairn_stager stager = { .host = t->host };
	struct cairn_kept_name name = { 0 };
	const char *file = take->file;
	struct stat st = { 0 }, there = { 0 };
	bool kept = true;
	int r;

	if (cairn_names_get(&t->missing, take->file, NULL))
		return 0;
	if (take->other) {
		name = cairn_stage_name(t->host);
		file = name.text;
		r = cairn_stage_link(&stager, take->other, false, file);
		if (r == 0)
			r = cairn_host_stat_kept(t->host, file, &st);
	} else {
		r = stat_now(t, i, true, take->file, &st, &kept);
	}
	if (r == 0)
		r = note_back(t, i, file, take->path, &st, kept && !take->other);
	if (r < 0)
		return r;
	r = in_the_way(t, i, take->path, &there);
	if (r == 0)
		return put_over(t, take->path, file, &there, &st);
	if (!is_gone(r))
		return r;
	r = add_move(t, CAIRN_STEP_PUT, take->path, file, st.st_ino, 0, S_ISDIR(st.st_mode));
	return r < 0 ? r : copy_text(take->other, &t->steps->list[t->steps->count - 1].other);
}

static int turn_swap(struct turn *t, size_t i, const struct cairn_step *swap)
{
	struct stat st = { 0 }, there = { 0 };
	bool kept = false, dir;
	int r;

	r = stat_now(t, i, true, swap->file, &st, &kept);
	if (r == 0)
		r = note_back(t, i, swap->file, swap->path, &st, kept);
	if (r < 0)
		return r;
	dir = S_ISDIR(st.st_mode);
	r = stat_now(t, i, false, swap->path, &there, NULL);
	if (is_gone(r)) {
		r = cairn_names_put(&t->missing, swap->file, NULL);
		return r < 0 ? r
			     : add_move(t, CAIRN_STEP_PUT, swap->path, swap->file, st.st_ino, 0,
					dir);
	}
	return r < 0 ? r
		     : add_move(t, CAIRN_STEP_SWAP, swap->path, swap->file, st.st_ino, there.st_ino,
				dir || S_ISDIR(there.st_mode));
}

/* The note of what is changed in place; NULL: it was moved, and has one, or there is no memory. */
static struct cairn_host_note *note_change(struct turn *t, size_t i, const char *path,
					   const struct stat *st)
{
	_cleanup_(cairn_freep) char *back = NULL;
	struct cairn_host_note *note;
	struct cairn_name *name;

	if (cairn_names_get(&t->came, path, NULL) || cairn_names_get(&t->left, path, NULL) ||
	    path_back(t, i, path, &back) < 0 || !back)
		return NULL;
	HASH_FIND(hh, t->changed.table, back, strlen(back), name);
	if (name)
		return &t->steps->notes[name->count];
	note = cairn_steps_note(t->steps, back);
	if (!note || cairn_names_put(&t->changed, back, NULL) < 0)
		return NULL;
	HASH_FIND(hh, t->changed.table, back, strlen(back), name);
	if (name)
		name->count = t->steps->note_count - 1;
	cairn_host_note_fill(note, st);
	return note;
}

static int turn_write(struct turn *t, size_t i, const struct cairn_step *from)
{
	struct cairn_host_note *note;
	struct cairn_step *step;
	struct stat st = { 0 }, old = { 0 };
	int r;

	r = cairn_host_stat_kept(t->host, from->old, &old);
	if (r < 0)
		return r;
	r = stat_now(t, i, !from->path, from->path ? from->path : from->file, &st, NULL);
	if (is_gone(r) || (r == 0 && !S_ISREG(st.st_mode)))
		return 0;
	note = from->path ? note_change(t, i, from->path, &st) : NULL;
	if (note) {
		note->size = old.st_size;
		note->mtime = old.st_mtim;
	}
	step = cairn_steps_add(t->steps, CAIRN_STEP_WRITE);
	if (!step)
		return -ENOMEM;
	step->ino = st.st_ino;
	r = copy_text(from->path, &step->path);
	if (r == 0)
		r = copy_text(from->file, &step->file);
	if (r == 0)
		r = copy_text(from->old, &step->from);
	return r < 0 ? r : copy_text(from->from, &step->old);
}

static int copy_attr(const struct cairn_host_attr *from, struct cairn_host_attr *ret)
{
	int r = 0;

	*ret = *from;
	ret->xattrs = (struct cairn_xattr_list){ 0 };
	for (size_t i = 0; r == 0 && i < from->xattrs.count; i++) {
		const struct cairn_xattr_item *item = &from->xattrs.list[i];

		r = cairn_xattr_list_add(&ret->xattrs, item->name, item->value, item->len);
	}
	return r;
}

static int turn_attr(struct turn *t, size_t i, const struct cairn_step *from)
{
	struct cairn_host_note *note;
	struct cairn_step *step;
	struct stat st = { 0 };
	int r;

	if (from->kind == CAIRN_STEP_ATTR) {
		/* Another file is none of ours. */
		r = stat_now(t, i, false, from->path, &st, NULL);
		if (r < 0 || st.st_ino != from->ino)
			return is_gone(r) || r == 0 ? 0 : r;
		note = note_change(t, i, from->path, &st);
		if (note)
			cairn_host_note_settle(note, &from->was_attr);
	}
	step = cairn_steps_add(t->steps, from->kind);
	if (!step)
		return -ENOMEM;
	step->ino = from->ino;
	r = copy_attr(&from->attr, &step->was_attr);
	if (r == 0)
		r = copy_attr(&from->was_attr, &step->attr);
	if (r == 0 && from->kind == CAIRN_STEP_TIMES) {
		r = copy_text(from->before, &step->path);
		return r < 0 ? r : copy_text(from->path, &step->before);
	}
	return r < 0 ? r : copy_text(from->path, &step->path);
}

static int turn_step(struct turn *t, size_t i)
{
	const struct cairn_step *step = &t->record->list[i];

	switch (step->kind) {
	case CAIRN_STEP_TAKE:
		return turn_take(t, i, step);
	case CAIRN_STEP_PUT:
		return turn_put(t, i, step);
	case CAIRN_STEP_SWAP:
		return turn_swap(t, i, step);
	case CAIRN_STEP_WRITE:
		return turn_write(t, i, step);
	case CAIRN_STEP_ATTR:
	case CAIRN_STEP_TIMES:
		return turn_attr(t, i, step);
	case CAIRN_STEP_KINDS:
		break;
	}
	return -EINVAL;
}

static int note_moves(struct turn *t)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->record->count; i++) {
		const struct cairn_step *step = &t->record->list[i];

		if (step->kind == CAIRN_STEP_PUT || step->kind == CAIRN_STEP_SWAP)
			r = cairn_names_put(&t->came, step->path, NULL);
		else if (step->kind == CAIRN_STEP_TAKE)
			r = cairn_names_put(&t->left, step->path, NULL);
	}
	return r;
}

int cairn_host_turn(struct cairn_host *host, const struct cairn_steps *record,
		    struct cairn_steps *ret, struct cairn_error *err)
{
	_cleanup_(turnp) struct turn t = { .host = host, .record = record, .steps = ret };
	int r;

	r = cairn_moves_init(&t.moves, record);
	if (r == 0)
		r = cairn_host_noted(record, &t.noted);
	if (r == 0)
		r = note_moves(&t);
	for (size_t i = record->count; r == 0 && i > 0; i--) {
		r = turn_step(&t, i - 1);
		if (r < 0)
			return cairn_error_set(err, r, "'%s' in '%s' cannot be put back: %s",
					       cairn_step_path(&record->list[i - 1]) + 1,
					       host->path, strerror(-r));
	}
	return r < 0 ? r : cairn_steps_settle(ret);
}
