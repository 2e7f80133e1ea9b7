/* The directories that something goes from or comes to: their times, and whether they are open. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "branch/host_plan.h"

static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

int cairn_plan_path_after(const struct cairn_plan *p, const char *path, char **ret)
{
	_cleanup_(cairn_freep) char *at = strdup(path);

	*ret = NULL;
	while (at && at[1]) {
		const struct cairn_change *moved = cairn_plan_moved_from(p, at);
		char *slash;

		if (moved)
			return asprintf(ret, "%s%s", moved->path, path + strlen(at)) < 0 ? -ENOMEM
											 : 0;
		if (cairn_names_get(&p->going, at, NULL))
			return 0;
		slash = strrchr(at, '/');
		slash[slash == at] = '\0';
	}
	*ret = at ? strdup(path) : NULL;
	return *ret ? 0 : -ENOMEM;
}

static struct timespec time_after(const struct cairn_plan *p, const char *before)
{
	const struct cairn_change *c = cairn_plan_moved_from(p, before);
	void *at = NULL;

	if (!c && cairn_names_get(&p->changes->places, before, &at))
		c = at;
	for (size_t i = 0; !c && !before[1] && i < p->changes->count; i++)
		if (!p->changes->list[i]->parent && p->changes->list[i]->row)
			c = p->changes->list[i];
	if (c && S_ISDIR(c->now.mode) && c->from && strcmp(c->from, before) == 0)
		return c->now.mtime;
	return p->now;
}

/* A directory that is closed to its owner, and to us where we are not root, is opened meanwhile. */
int cairn_plan_open_up(struct cairn_plan *p, const struct stat *st, const char *before,
		       const char *after)
{
	mode_t mode = st->st_mode & 07777;
	struct cairn_step *step;

	if ((mode & 0700) == 0700 || geteuid() == 0 || geteuid() != st->st_uid)
		return 0;
	step = cairn_steps_add(&p->opens, CAIRN_STEP_ATTR);
	if (!step)
		return -ENOMEM;
	step->path = strdup(before);
	step->ino = st->st_ino;
	step->was_attr = (struct cairn_host_attr){ .has_mode = true, .mode = mode };
	step->attr = (struct cairn_host_attr){ .has_mode = true, .mode = mode | 0700 };
	if (!step->path)
		return -ENOMEM;
	if (!after)
		return 0;
	step = cairn_steps_add(&p->attrs, CAIRN_STEP_ATTR);
	if (!step)
		return -ENOMEM;
	step->path = strdup(after);
	step->ino = st->st_ino;
	step->was_attr = (struct cairn_host_attr){ .has_mode = true, .mode = mode | 0700 };
	step->attr = (struct cairn_host_attr){ .has_mode = true, .mode = mode };
	return step->path ? 0 : -ENOMEM;
}

static int add_touched(struct cairn_plan *p, const struct cairn_plan_touched *touched)
{
	struct cairn_plan_touched *list =
		reallocarray(p->touched, p->touched_count + 1, sizeof(*p->touched));

	if (!list)
		return -ENOMEM;
	p->touched = list;
	list[p->touched_count++] = *touched;
	return 0;
}

/* A directory of the base. */
int cairn_plan_touch(struct cairn_plan *p, const char *before)
{
	struct cairn_plan_touched t = { .is = time_after(p, before) };
	struct stat st;
	int r;

	if (cairn_names_get(&p->dirs, before, NULL))
		return 0;
	r = cairn_host_stat_path(p->host, before, &st);
	if (r == 0)
		r = cairn_names_put(&p->dirs, before, NULL);
	if (r == 0)
		r = cairn_plan_path_after(p, before, &t.after);
	if (r < 0)
		return r;
	t.was = st.st_mtim;
	t.before = strdup(before);
	r = t.before ? add_touched(p, &t) : -ENOMEM;
	if (r < 0) {
		free(t.before);
		free(t.after);
		return r;
	}
	return cairn_plan_open_up(p, &st, before, t.after);
}

int cairn_plan_touch_parent(struct cairn_plan *p, const char *path)
{
	_cleanup_(cairn_freep) char *parent = parent_of(path);

	return parent ? cairn_plan_touch(p, parent) : -ENOMEM;
}

/* The directory that something comes to. */
int cairn_plan_touch_dir(struct cairn_plan *p, const struct cairn_change *dir)
{
	struct cairn_plan_touched t = { .is = dir->now.mtime };
	int r;

	if (!cairn_plan_node(p, dir)->fresh)
		return dir->from ? cairn_plan_touch(p, dir->from) : -ESTALE;
	if (cairn_names_get(&p->dirs, dir->path, NULL))
		return 0;
	r = cairn_names_put(&p->dirs, dir->path, NULL);
	t.after = r == 0 ? strdup(dir->path) : NULL;
	if (!t.after)
		return -ENOMEM;
	r = add_touched(p, &t);
	if (r < 0)
		free(t.after);
	return r;
}

/* A new directory that is to be closed to its owner is closed when it is at its place. */
int cairn_plan_close_later(struct cairn_plan *p, const struct cairn_change *c, uint64_t ino)
{
	mode_t mode = c->now.mode & 07777;
	struct cairn_step *step;

	if (!S_ISDIR(c->now.mode) || (mode & 0700) == 0700)
		return 0;
	step = cairn_steps_add(&p->attrs, CAIRN_STEP_ATTR);
	if (!step)
		return -ENOMEM;
	step->path = strdup(c->path);
	step->ino = ino;
	step->was_attr = (struct cairn_host_attr){ .has_mode = true, .mode = mode | 0700 };
	step->attr = (struct cairn_host_attr){ .has_mode = true, .mode = mode };
	return step->path ? 0 : -ENOMEM;
}

static int add_time(struct cairn_steps *steps, char *path, char *before,
		    const struct timespec *time)
{
	const struct cairn_host_attr attr = { .has_mtime = true, .mtime = *time };
	struct cairn_step *step = cairn_steps_add(steps, CAIRN_STEP_TIMES);

	if (!step) {
		free(path);
		free(before);
		return -ENOMEM;
	}
	step->path = path;
	step->before = before;
	*(path ? &step->attr : &step->was_attr) = attr;
	return 0;
}

/* Times come last, whichever way the steps are gone through. */
int cairn_plan_times(struct cairn_plan *p)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->touched_count; i++) {
		struct cairn_plan_touched *t = &p->touched[i];

		if (t->before)
			r = add_time(&p->old_times, NULL, TAKE_PTR(t->before), &t->was);
		if (r == 0 && t->after)
			r = add_time(&p->times, TAKE_PTR(t->after), NULL, &t->is);
	}
	return r;
}
