/* Steps: the list of them, and what one does. */
#include "branch/host_step.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "branch/host.h"

void cairn_xattr_list_free(struct cairn_xattr_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->list[i].name);
		free(list->list[i].value);
	}
	free(list->list);
	*list = (struct cairn_xattr_list){ 0 };
}

int cairn_xattr_list_add(struct cairn_xattr_list *list, const char *name, const void *value,
			 size_t len)
{
	struct cairn_xattr_item *items = reallocarray(list->list, list->count + 1, sizeof(*items)),
				*item;

	if (!items)
		return -ENOMEM;
	list->list = items;
	item = &items[list->count];
	*item = (struct cairn_xattr_item){ strdup(name), malloc(len + 1), len };
	if (!item->name || !item->value) {
		free(item->name);
		free(item->value);
		return -ENOMEM;
	}
	memcpy(item->value, value, len);
	list->count++;
	return 0;
}

void cairn_steps_free(struct cairn_steps *steps)
{
	for (size_t i = 0; i < steps->count; i++) {
		struct cairn_step *step = &steps->list[i];

		free(step->path);
		free(step->before);
		free(step->file);
		free(step->from);
		free(step->old);
		free(step->other);
		cairn_xattr_list_free(&step->attr.xattrs);
		cairn_xattr_list_free(&step->was_attr.xattrs);
	}
	for (size_t i = 0; i < steps->note_count; i++)
		free(steps->notes[i].path);
	free(steps->list);
	free(steps->notes);
	free(steps->source);
	*steps = (struct cairn_steps){ 0 };
}

static void *grow(void *list, size_t count, size_t *capacity, size_t size)
{
	size_t more = *capacity ? 2 * *capacity : 64;

	if (count < *capacity)
		return list;
	list = reallocarray(list, more, size);
	if (list)
		*capacity = more;
	return list;
}

struct cairn_step *cairn_steps_add(struct cairn_steps *steps, enum cairn_step_kind kind)
{
	void *list = grow(steps->list, steps->count, &steps->capacity, sizeof(*steps->list));

	if (!list)
		return NULL;
	steps->list = list;
	steps->list[steps->count] = (struct cairn_step){ .kind = kind };
	return &steps->list[steps->count++];
}

struct cairn_host_note *cairn_steps_note(struct cairn_steps *steps, const char *path)
{
	void *list =
		grow(steps->notes, steps->note_count, &steps->note_capacity, sizeof(*steps->notes));
	char *copy = strdup(path);

	if (list)
		steps->notes = list;
	if (!list || !copy) {
		free(copy);
		return NULL;
	}
	steps->notes[steps->note_count] = (struct cairn_host_note){ .path = copy };
	return &steps->notes[steps->note_count++];
}

void cairn_host_note_settle(struct cairn_host_note *note, const struct cairn_host_attr *attr)
{
	if (attr->has_mode)
		note->mode = (note->mode & S_IFMT) | attr->mode;
	if (attr->has_owner) {
		note->uid = attr->uid;
		note->gid = attr->gid;
	}
	if (attr->has_mtime)
		note->mtime = attr->mtime;
}

int cairn_steps_settle(struct cairn_steps *steps)
{
	_cleanup_(cairn_names_free) struct cairn_names notes = { 0 };
	void *note = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < steps->note_count; i++)
		r = cairn_names_put(&notes, steps->notes[i].path, &steps->notes[i]);
	for (size_t i = 0; r == 0 && i < steps->count; i++)
		if (steps->list[i].kind == CAIRN_STEP_ATTR &&
		    cairn_names_get(&notes, steps->list[i].path, &note))
			cairn_host_note_settle(note, &steps->list[i].attr);
	return r;
}

const char *cairn_step_path(const struct cairn_step *step)
{
	return step->path ? step->path : step->before ? step->before : step->file;
}

/* Where a step has nothing to do any more, that is right after a crash, and a sign of others'
 * changes before one. */
static int nothing_to_do(const struct cairn_host *host)
{
	return host->strict ? -ESTALE : 0;
}

static bool is_gone(int r)
{
	return r == -ENOENT || r == -ENOTDIR;
}

static int take(const struct cairn_host *host, const struct cairn_step *step)
{
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	struct stat st;
	int r;

	if (cairn_host_stat_kept(host, step->file, &st) == 0)
		return nothing_to_do(host);
	r = cairn_host_find(host, step->path, &at);
	if (r == 0)
		r = cairn_host_stat(host, &at, &st);
	if (is_gone(r) || (r == 0 && st.st_ino != step->ino))
		return nothing_to_do(host);
	return r < 0 ? r : cairn_host_move(at.dir, at.name, host->kept, step->file);
}

static int put(const struct cairn_host *host, const struct cairn_step *step)
{
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	struct stat st;
	int r;

	if (cairn_host_stat_kept(host, step->file, &st) == -ENOENT)
		return nothing_to_do(host);
	r = cairn_host_find(host, step->path, &at);
	return r < 0 ? r : cairn_host_move(host->kept, step->file, at.dir, at.name);
}

static int swap(const struct cairn_host *host, const struct cairn_step *step, bool back)
{
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	uint64_t kept = back ? step->was : step->ino, there = back ? step->ino : step->was;
	struct stat st;
	int r;

	r = cairn_host_stat_kept(host, step->file, &st);
	if (is_gone(r) || (r == 0 && st.st_ino != kept))
		return nothing_to_do(host);
	if (r == 0)
		r = cairn_host_find(host, step->path, &at);
	if (r == 0)
		r = cairn_host_stat(host, &at, &st);
	if (r < 0)
		return r;
	if (st.st_ino != there && host->strict)
		return -ESTALE;
	return cairn_host_exchange(host->kept, step->file, at.dir, at.name);
}

/* The bytes, the mode and the time; what they are a copy of has all three. */
static int copy_over(const struct cairn_host *host, const struct cairn_host_at *at,
		     const char *source)
{
	_cleanup_(cairn_closep) int from = -1, to = -1;
	struct stat st;
	int r;

	from = openat(host->kept, source, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (from < 0 || fstat(from, &st) < 0)
		return -errno;
	to = cairn_host_open_at(at, O_WRONLY);
	if (to < 0)
		return to;
	r = cairn_host_copy(from, to, st.st_size);
	if (r < 0)
		return r;
	if (fchmod(to, st.st_mode & 07777) < 0)
		return -errno;
	r = cairn_host_mtime_set(at, &st.st_mtim);
	/* The next step may move it, and say by that that it was written. */
	return r == 0 && fsync(to) < 0 ? -errno : r;
}

static int overwrite(const struct cairn_host *host, const struct cairn_step *step, bool back)
{
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	struct stat st;
	int r;

	r = step->path ? cairn_host_find(host, step->path, &at)
		       : cairn_host_find_kept(host, step->file, &at);
	if (r == 0)
		r = cairn_host_stat(host, &at, &st);
	if (is_gone(r) || (r == 0 && (st.st_ino != step->ino || !S_ISREG(st.st_mode))))
		return nothing_to_do(host);
	if (r < 0)
		return r;
	r = copy_over(host, &at, back ? step->old : step->from);
	/* Taken back, and tidied up, before. */
	return r == -ENOENT ? nothing_to_do(host) : r;
}

static int sync_at(const struct cairn_host *host, const struct cairn_host_at *at)
{
	_cleanup_(cairn_closep) int fd = -1;

	if (!host->sync_each)
		return 0;
	fd = cairn_host_open_at(at, O_RDONLY);
	/* What cannot be opened for that, a link or what we may not read, is synced with its
	 * directory by the file systems that have a journal. */
	return fd >= 0 && fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

static int set_attr(const struct cairn_host *host, const struct cairn_step *step, bool back)
{
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	struct stat st;
	int r;

	r = cairn_host_find(host, step->path, &at);
	if (r == 0)
		r = cairn_host_stat(host, &at, &st);
	if (is_gone(r) || (r == 0 && st.st_ino != step->ino))
		return nothing_to_do(host);
	if (r == 0)
		r = cairn_host_attr_set(&at, back ? &step->was_attr : &step->attr);
	return r < 0 ? r : sync_at(host, &at);
}

/* The time before counts on the way back alone, and the one after on the way there. Times of
 * directories that are somebody else's do not matter so much that all would fail. */
static int set_times(const struct cairn_host *host, const struct cairn_step *step, bool back)
{
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	const struct cairn_host_attr *attr = back ? &step->was_attr : &step->attr;
	const char *path = back ? step->before : step->path;
	int r;

	if (!path)
		return 0;
	r = cairn_host_find(host, path, &at);
	if (r < 0)
		return is_gone(r) ? 0 : r;
	r = attr->has_mtime ? cairn_host_mtime_set(&at, &attr->mtime) : 0;
	if (r < 0 && r != -EPERM && r != -EACCES && !is_gone(r))
		return r;
	return sync_at(host, &at);
}

int cairn_step_run(const struct cairn_host *host, const struct cairn_step *step, bool back)
{
	switch (step->kind) {
	case CAIRN_STEP_TAKE:
		return back ? put(host, step) : take(host, step);
	case CAIRN_STEP_PUT:
		return back ? take(host, step) : put(host, step);
	case CAIRN_STEP_SWAP:
		return swap(host, step, back);
	case CAIRN_STEP_WRITE:
		return overwrite(host, step, back);
	case CAIRN_STEP_ATTR:
		return set_attr(host, step, back);
	case CAIRN_STEP_TIMES:
		return set_times(host, step, back);
	case CAIRN_STEP_KINDS:
		break;
	}
	return -EINVAL;
}
