/* The changes of a branch as steps on a directory. All that is new is made in kept/ on the way.
 *
 * What goes from its place goes first, what lies deepest before what it lies in, so that paths are
 * those of the directory as it is. What comes follows, directories before what lies in them, under
 * paths of the branch. Attributes come then, and the times of directories last.
 *
 * A file whose bytes have changed is made anew and takes the place of the old one, which nobody
 * ever sees half written. That would give it another inode number; where others need to know it by
 * that (it has more names than one, or a new one) the bytes are written over the old ones. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "branch/host_plan.h"
#include "util/clock.h"

/* Up to so many changes each file is synced by itself. */
#define SYNC_EACH_MAX 32U

static void planp(struct cairn_plan *p)
{
	for (size_t i = 0; p->nodes && i < p->changes->count; i++)
		free(p->nodes[i].kept);
	for (size_t i = 0; i < p->touched_count; i++) {
		free(p->touched[i].before);
		free(p->touched[i].after);
	}
	free(p->nodes);
	free(p->touched);
	cairn_names_free(&p->going);
	cairn_host_links_free(&p->links);
	cairn_names_free(&p->dirs);
	cairn_steps_free(&p->opens);
	cairn_steps_free(&p->old_times);
	cairn_steps_free(&p->takes);
	cairn_steps_free(&p->puts);
	cairn_steps_free(&p->times);
	cairn_steps_free(&p->attrs);
}

struct cairn_plan_node *cairn_plan_node(const struct cairn_plan *p, const struct cairn_change *c)
{
	return &p->nodes[c->target];
}

static const char *words(int r)
{
	switch (r) {
	case -ESTALE:
		return "it has changed just now; try again";
	case -EXDEV:
		return "it lies on another file system than the directory, and nothing can be "
		       "renamed there";
	case -EBUSY:
		return "something is mounted in it";
	default:
		return strerror(-r);
	}
}

static int failed(const struct cairn_plan *p, int r, const struct cairn_change *c)
{
	const char *path = c->kind == CAIRN_CHANGE_DELETED ? c->from : c->path;
	bool device = r == -EPERM && c->kind != CAIRN_CHANGE_DELETED &&
		      (S_ISBLK(c->now.mode) || S_ISCHR(c->now.mode));

	return cairn_error_set(p->err, r, "'%s' cannot be accepted: %s", path + 1,
			       device ? "only root may make a device; name the paths of the rest"
				      : words(r));
}

static bool is_wanted(const struct cairn_change *c)
{
	return c->selected && cairn_change_is_real(c);
}

bool cairn_plan_is_other_name(const struct cairn_change *c)
{
	return (c->link_of && (c->link_of->selected || c->link_of->from)) ||
	       (c->kind == CAIRN_CHANGE_ADDED && c->from);
}

bool cairn_plan_has_entry(const struct cairn_change *c)
{
	return c->in_place || (c->has_was && !c->replaces && c->kind == CAIRN_CHANGE_MODIFIED);
}

struct cairn_change *cairn_plan_moved_from(const struct cairn_plan *p, const char *path)
{
	void *moved = NULL;

	if (!cairn_names_get(&p->changes->moved, path, &moved))
		return NULL;
	return ((struct cairn_change *)moved)->selected ? moved : NULL;
}

/* What stands at a path of the base, which must be what was compared. Numbers of the upper half are
 * the base's own: see base/dir_number.c. */
int cairn_plan_stat(const struct cairn_plan *p, const char *path, const struct cairn_attr *was,
		    struct stat *ret)
{
	int r = cairn_host_stat_path(p->host, path, ret);

	if (r == -ENOENT || r == -ENOTDIR)
		return -ESTALE;
	if (r == 0 && ((ret->st_mode & S_IFMT) != (was->mode & S_IFMT) ||
		       (was->ino < CAIRN_LAYER_STEP / 2 && ret->st_ino != was->ino)))
		return -ESTALE;
	return r;
}

int cairn_plan_check_mounts(const struct cairn_plan *p, const char *path)
{
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	int r;

	r = cairn_host_find(p->host, path, &at);
	return r < 0 ? r : cairn_host_no_mounts(p->host, &at);
}

/* A name that a file still has when it loses one: kept as a link, that one would still count. NULL:
 * there is none. */
static int other_name(struct cairn_plan *p, const struct stat *st, char **ret)
{
	const struct cairn_host_link *link, *end;
	int r;

	*ret = NULL;
	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return 0;
	r = cairn_host_links_load(p->host, &p->links);
	if (r < 0)
		return r;
	end = p->links.list + p->links.count;
	link = cairn_host_links_find(&p->links, st->st_ino);
	for (; r == 0 && !*ret && link && link < end && link->ino == st->st_ino; link++)
		r = cairn_plan_path_after(p, link->path, ret);
	return r;
}

static int take(struct cairn_plan *p, const char *from, const struct cairn_attr *was, bool goes,
		struct cairn_kept_name *ret)
{
	struct cairn_step *step = cairn_steps_add(&p->takes, CAIRN_STEP_TAKE);
	struct cairn_kept_name name = cairn_stage_name(p->host);
	struct stat st = { 0 };
	int r;

	if (!step)
		return -ENOMEM;
	r = cairn_plan_stat(p, from, was, &st);
	if (r == 0 && goes && S_ISDIR(st.st_mode))
		r = cairn_plan_check_mounts(p, from);
	if (r < 0)
		return r;
	step->path = strdup(from);
	step->file = strdup(name.text);
	step->ino = st.st_ino;
	step->dir = S_ISDIR(st.st_mode);
	if (!step->path || !step->file)
		return -ENOMEM;
	*ret = name;
	r = goes ? other_name(p, &st, &step->other) : 0;
	if (r == 0)
		r = cairn_plan_touch_parent(p, from);
	if (r == 0 && S_ISDIR(st.st_mode) && !cairn_names_get(&p->dirs, from, NULL)) {
		_cleanup_(cairn_freep) char *after = NULL;

		r = cairn_plan_path_after(p, from, &after);
		if (r == 0)
			r = cairn_plan_open_up(p, &st, from, after);
	}
	return r;
}

/* Whether something new can take the place of the old in one step. A name of many is no thing of
 * its own that could be kept. */
bool cairn_plan_can_swap(const struct cairn_plan *p, const struct cairn_change *c)
{
	return p->host->exchanges && !cairn_plan_is_other_name(c) &&
	       (S_ISDIR(c->there.mode) || c->there.nlink < 2);
}

bool cairn_plan_replaces(const struct cairn_plan *p, const struct cairn_change *c)
{
	return c->replaces && !cairn_plan_moved_from(p, c->place);
}

static int take_old(struct cairn_plan *p, struct cairn_change *c)
{
	struct cairn_kept_name name;
	int r = 0;

	if (c->kind == CAIRN_CHANGE_DELETED)
		return take(p, c->from, &c->was, true, &name);
	if (c->kind == CAIRN_CHANGE_RENAMED) {
		r = take(p, c->from, &c->was, false, &name);
		cairn_plan_node(p, c)->kept = r == 0 ? strdup(name.text) : NULL;
		if (r == 0 && !cairn_plan_node(p, c)->kept)
			r = -ENOMEM;
	}
	if (r == 0 && cairn_plan_replaces(p, c) && !cairn_plan_can_swap(p, c))
		r = take(p, c->place, &c->there, true, &name);
	return r;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* What the host lets only root do is left as it is, and told. */
static int choose_attr(struct cairn_plan *p, const struct cairn_change *c, const struct stat *st,
		       struct cairn_host_attr *ret)
{
	if (c->what & CAIRN_CHANGED_OWNER) {
		ret->has_owner = cairn_stage_may_give(p->host, c->now.uid, c->now.gid);
		p->stager.left->owners += !ret->has_owner;
		ret->uid = c->now.uid;
		ret->gid = c->now.gid;
	}
	/* A change of owner takes bits of the mode. */
	ret->has_mode = ret->has_owner || c->what & CAIRN_CHANGED_MODE;
	ret->mode = c->now.mode & 07777;
	ret->has_mtime = !S_ISDIR(c->now.mode) && !same_time(&c->now.mtime, &st->st_mtim);
	ret->mtime = c->now.mtime;
	ret->has_xattrs = c->what & CAIRN_CHANGED_XATTR;
	return ret->has_xattrs ? cairn_stage_row_xattrs(p->branch, c->row, &ret->xattrs) : 0;
}

static int get_attr(const struct cairn_plan *p, const char *path, const struct stat *st,
		    const struct cairn_host_attr *like, struct cairn_host_attr *ret)
{
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	int r;

	*ret = *like;
	ret->xattrs = (struct cairn_xattr_list){ 0 };
	ret->mode = st->st_mode & 07777;
	ret->uid = st->st_uid;
	ret->gid = st->st_gid;
	ret->mtime = st->st_mtim;
	if (!like->has_xattrs)
		return 0;
	r = cairn_host_find(p->host, path, &at);
	return r < 0 ? r : cairn_host_xattrs_get(&at, &ret->xattrs);
}

static int set_attr(struct cairn_plan *p, struct cairn_change *c)
{
	struct cairn_host_attr attr = { 0 }, was = { 0 };
	struct cairn_step *step;
	struct stat st = { 0 };
	int r;

	if (c->kind == CAIRN_CHANGE_DELETED || cairn_plan_node(p, c)->fresh ||
	    cairn_plan_is_other_name(c))
		return 0;
	r = cairn_plan_stat(p, c->from, &c->was, &st);
	if (r == 0 && S_ISDIR(st.st_mode))
		r = cairn_plan_touch(p, c->from);
	if (r == 0)
		r = choose_attr(p, c, &st, &attr);
	if (r == 0)
		r = get_attr(p, c->from, &st, &attr, &was);
	step = r == 0 && (attr.has_mode || attr.has_owner || attr.has_mtime || attr.has_xattrs)
		       ? cairn_steps_add(&p->attrs, CAIRN_STEP_ATTR)
		       : NULL;
	if (!step) {
		cairn_xattr_list_free(&attr.xattrs);
		cairn_xattr_list_free(&was.xattrs);
		return r;
	}
	step->attr = attr;
	step->was_attr = was;
	step->ino = st.st_ino;
	step->path = strdup(c->path);
	return step->path ? 0 : -ENOMEM;
}

static int close_dirs(struct cairn_plan *p)
{
	for (size_t i = p->changes->count; i > 0; i--) {
		const struct cairn_change *c = p->changes->list[i - 1];
		const struct cairn_plan_node *node = &p->nodes[i - 1];
		int r;

		if (!node->fresh || !S_ISDIR(c->now.mode))
			continue;
		r = cairn_stage_close_dir(&p->stager, c, node->kept);
		if (r < 0)
			return failed(p, r, c);
	}
	return 0;
}

/* How a change leaves its path. */
static int note(const struct cairn_plan *p, const struct cairn_change *c, struct cairn_steps *steps)
{
	const struct cairn_plan_node *node = cairn_plan_node(p, c);
	struct cairn_host_note *note;
	struct stat st = { 0 };
	int r;

	if (c->kind == CAIRN_CHANGE_DELETED)
		return 0;
	if (node->fresh)
		return strchr(node->kept, '/')
			       ? 0
			       : cairn_host_note_kept(p->host, node->kept, c->path, steps);
	note = cairn_steps_note(steps, c->path);
	if (!note)
		return -ENOMEM;
	note->mode = c->now.mode;
	note->loose = cairn_plan_is_other_name(c);
	if (note->loose)
		return 0;
	r = cairn_plan_stat(p, c->from, &c->was, &st);
	if (r < 0)
		return r;
	note->mode = st.st_mode;
	note->uid = st.st_uid;
	note->gid = st.st_gid;
	note->size = node->written ? c->content.size : st.st_size;
	note->mtime = node->written ? c->now.mtime : st.st_mtim;
	return 0;
}

static int for_each(struct cairn_plan *p, int (*fn)(struct cairn_plan *p, struct cairn_change *c))
{
	for (size_t i = 0; i < p->changes->count; i++) {
		struct cairn_change *c = p->changes->list[i];
		int r = is_wanted(c) ? fn(p, c) : 0;

		if (r < 0)
			return failed(p, r, c);
	}
	return 0;
}

/* Numbers the changes, and gathers what the rest must know of all of them. */
static int look_over(struct cairn_plan *p)
{
	for (size_t i = 0; i < p->changes->count; i++)
		p->changes->list[i]->target = i;
	for (size_t i = 0; i < p->changes->count; i++) {
		struct cairn_change *c = p->changes->list[i];
		int r = 0;

		if (!is_wanted(c))
			continue;
		if (c->path && cairn_change_below(c->path, "/" CAIRN_BASE_HIDDEN))
			return cairn_error_set(p->err, -EINVAL,
					       "'" CAIRN_BASE_HIDDEN "' at the top of a directory "
					       "is where cairnfs keeps what takes accepts back; "
					       "rename it in the branch");
		if (c->link_of) {
			cairn_plan_node(p, c)->several = true;
			cairn_plan_node(p, c->link_of)->several = true;
		}
		if (c->kind == CAIRN_CHANGE_DELETED)
			r = cairn_names_put(&p->going, c->from, c);
		else if (c->replaces)
			r = cairn_names_put(&p->going, c->place, c);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What lies deeper comes first; what is written on its way, after all is taken. */
static int by_depth(const void *a, const void *b)
{
	const struct cairn_step *x = a, *y = b;

	if (!x->path || !y->path)
		return !x->path - !y->path;
	return strcmp(y->path, x->path);
}

/* Directories are opened from the top down, and closed from below. Steps for one path stay in
 * order. */
static int by_path(const void *a, const void *b)
{
	const struct cairn_step *x = a, *y = b;
	int order = strcmp(x->path, y->path);

	return order ? order : (x->was > y->was) - (x->was < y->was);
}

static int by_path_down(const void *a, const void *b)
{
	const struct cairn_step *x = a, *y = b;
	int order = strcmp(y->path, x->path);

	return order ? order : (x->was > y->was) - (x->was < y->was);
}

static void sort(struct cairn_steps *steps, int (*order)(const void *, const void *))
{
	for (size_t i = 0; i < steps->count; i++)
		if (steps->list[i].kind == CAIRN_STEP_ATTR)
			steps->list[i].was = i;
	if (steps->count > 1)
		qsort(steps->list, steps->count, sizeof(*steps->list), order);
	for (size_t i = 0; i < steps->count; i++)
		if (steps->list[i].kind == CAIRN_STEP_ATTR)
			steps->list[i].was = 0;
}

static int append(struct cairn_steps *to, struct cairn_steps *from)
{
	for (size_t i = 0; i < from->count; i++) {
		struct cairn_step *step = cairn_steps_add(to, from->list[i].kind);

		if (!step)
			return -ENOMEM;
		*step = from->list[i];
		from->list[i] = (struct cairn_step){ 0 };
	}
	return 0;
}

static int gather(struct cairn_plan *p, struct cairn_steps *steps)
{
	struct cairn_steps *const parts[] = { &p->opens, &p->old_times, &p->takes,
					      &p->puts,  &p->times,     &p->attrs };
	int r = 0;

	sort(&p->opens, by_path);
	sort(&p->takes, by_depth);
	sort(&p->attrs, by_path_down);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(parts); i++)
		r = append(steps, parts[i]);
	for (size_t i = 0; r == 0 && i < p->changes->count; i++)
		if (is_wanted(p->changes->list[i]))
			r = note(p, p->changes->list[i], steps);
	return r < 0 ? r : cairn_steps_settle(steps);
}

int cairn_host_plan(struct cairn_host *host, struct cairn_branch *branch,
		    const struct cairn_changes *changes, struct cairn_steps *steps,
		    struct cairn_left_out *left, struct cairn_error *err)
{
	_cleanup_(planp) struct cairn_plan p = {
		.host = host,
		.branch = branch,
		.changes = changes,
		.stager = { .host = host, .branch = branch, .left = left },
		.nodes = calloc(changes->count + 1, sizeof(*p.nodes)),
		.now = cairn_now(),
		.err = err,
	};
	int r;

	host->sync_each = changes->count <= SYNC_EACH_MAX;
	r = p.nodes ? look_over(&p) : -ENOMEM;
	if (r == 0)
		r = for_each(&p, take_old);
	if (r == 0)
		r = for_each(&p, cairn_plan_put);
	if (r == 0)
		r = for_each(&p, set_attr);
	if (r == 0)
		r = close_dirs(&p);
	if (r == 0)
		r = cairn_plan_times(&p);
	return r < 0 ? r : gather(&p, steps);
}
