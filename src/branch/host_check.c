/* How a record leaves things, and whether they are still so. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "branch/host_where.h"

static char *join(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

struct noting {
	const struct cairn_host *host;
	const char *file, *path;
	struct cairn_steps *steps;
};

static int note_entry(void *arg, const char *name)
{
	const struct noting *noting = arg;
	_cleanup_(cairn_freep) char *file = join(noting->file, name);
	_cleanup_(cairn_freep) char *path = join(noting->path, name);

	if (!file || !path)
		return -ENOMEM;
	return cairn_host_note_kept(noting->host, file, path, noting->steps);
}

void cairn_host_note_fill(struct cairn_host_note *note, const struct stat *st)
{
	note->mode = st->st_mode;
	note->uid = st->st_uid;
	note->gid = st->st_gid;
	note->size = st->st_size;
	note->mtime = st->st_mtim;
}

int cairn_host_note_kept(const struct cairn_host *host, const char *file, const char *path,
			 struct cairn_steps *steps)
{
	struct noting noting = { .host = host, .file = file, .path = path, .steps = steps };
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	struct cairn_host_note *note;
	struct stat st = { 0 };
	int r;

	r = cairn_host_find_kept(host, file, &at);
	if (r == 0)
		r = cairn_host_stat(host, &at, &st);
	if (r < 0)
		return r;
	note = cairn_steps_note(steps, path);
	if (!note)
		return -ENOMEM;
	cairn_host_note_fill(note, &st);
	note->made = S_ISDIR(st.st_mode);
	return note->made ? cairn_host_list(at.dir, at.name, note_entry, &noting) : 0;
}

struct check {
	const struct cairn_host *host;
	const struct cairn_steps *record;
	struct cairn_names noted; /* paths */
	struct cairn_moves moves;
	struct cairn_names told;
	cairn_host_changed_fn fn;
	void *arg;
};

static void checkp(struct check *k)
{
	cairn_names_free(&k->noted);
	cairn_moves_free(&k->moves);
	cairn_names_free(&k->told);
}

static int tell(struct check *k, const char *path)
{
	int r;

	if (cairn_names_get(&k->told, path, NULL))
		return 0;
	r = cairn_names_put(&k->told, path, NULL);
	return r < 0 ? r : k->fn(k->arg, path);
}

static bool is_gone(int r)
{
	return r == -ENOENT || r == -ENOTDIR;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_as_noted(const struct cairn_host_note *note, const struct stat *st)
{
	if ((note->mode & S_IFMT) != (st->st_mode & S_IFMT))
		return false;
	if (note->loose)
		return true;
	if (note->mode != st->st_mode || note->uid != st->st_uid || note->gid != st->st_gid)
		return false;
	return S_ISDIR(note->mode) ||
	       (note->size == st->st_size && same_time(&note->mtime, &st->st_mtim));
}

struct inside {
	struct check *k;
	const char *path;
};

static int check_entry(void *arg, const char *name)
{
	const struct inside *inside = arg;
	_cleanup_(cairn_freep) char *path = join(inside->path, name);

	if (!path)
		return -ENOMEM;
	return cairn_names_get(&inside->k->noted, path, NULL) ? 0 : tell(inside->k, path);
}

static int check_note(struct check *k, const struct cairn_host_note *note)
{
	struct inside inside = { .k = k, .path = note->path };
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	struct stat st = { 0 };
	int r;

	r = cairn_host_find(k->host, note->path, &at);
	if (r == 0)
		r = cairn_host_stat(k->host, &at, &st);
	if (is_gone(r) || (r == 0 && !is_as_noted(note, &st)))
		return tell(k, note->path);
	if (r < 0 || !note->made)
		return r;
	return cairn_host_list(at.dir, at.name, check_entry, &inside);
}

/* Where something was taken from, nothing should have come. */
static int check_taken(struct check *k, size_t i)
{
	_cleanup_(cairn_wherep) struct cairn_where where = { 0 };
	bool filled = false;
	struct stat st = { 0 };
	int r;

	r = cairn_where_after(&k->moves, i, false, k->record->list[i].path, &where, &filled);
	if (r < 0 || filled || where.kept)
		return r;
	r = cairn_host_stat_path(k->host, where.text, &st);
	return r == 0 ? tell(k, where.text) : is_gone(r) ? 0 : r;
}

static int check_xattrs(struct check *k, size_t i)
{
	const struct cairn_step *step = &k->record->list[i];
	_cleanup_(cairn_wherep) struct cairn_where where = { 0 };
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	_cleanup_(cairn_xattr_list_free) struct cairn_xattr_list now = { 0 };
	int r;

	if (!step->attr.has_xattrs)
		return 0;
	r = cairn_where_after(&k->moves, i, false, step->path, &where, NULL);
	if (r < 0 || where.kept)
		return r;
	r = cairn_host_find(k->host, where.text, &at);
	if (r == 0)
		r = cairn_host_xattrs_get(&at, &now);
	if (r == 0 && !cairn_host_xattrs_equal(&now, &step->attr.xattrs))
		return tell(k, where.text);
	return is_gone(r) ? 0 : r;
}

int cairn_host_noted(const struct cairn_steps *record, struct cairn_names *ret)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < record->note_count; i++)
		r = cairn_names_put(ret, record->notes[i].path, &record->notes[i]);
	return r;
}

int cairn_host_changed(const struct cairn_host *host, const struct cairn_steps *record,
		       cairn_host_changed_fn fn, void *arg)
{
	_cleanup_(checkp) struct check k = {
		.host = host,
		.record = record,
		.fn = fn,
		.arg = arg,
	};
	int r;

	r = cairn_host_noted(record, &k.noted);
	if (r == 0)
		r = cairn_moves_init(&k.moves, record);
	for (size_t i = 0; r == 0 && i < record->note_count; i++)
		r = check_note(&k, &record->notes[i]);
	for (size_t i = 0; r == 0 && i < record->count; i++) {
		if (record->list[i].kind == CAIRN_STEP_TAKE)
			r = check_taken(&k, i);
		else if (record->list[i].kind == CAIRN_STEP_ATTR)
			r = check_xattrs(&k, i);
	}
	return r;
}
