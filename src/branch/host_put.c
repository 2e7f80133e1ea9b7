/* What comes to a directory: made beside its place, and the steps that bring it there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "branch/host_plan.h"

/* The file that a name is another one of: below kept/, or in the directory. */
static const char *source_of(const struct cairn_plan *p, const struct cairn_change *c,
			     bool *ret_kept)
{
	while (c->link_of && c->link_of != c && (c->link_of->selected || c->link_of->from)) {
		c = c->link_of;
		if (!cairn_plan_is_other_name(c))
			break;
	}
	*ret_kept = cairn_plan_node(p, c)->fresh;
	return *ret_kept ? cairn_plan_node(p, c)->kept : c->from;
}

static int add_put(struct cairn_plan *p, const struct cairn_change *c, const char *file,
		   uint64_t ino, const char *other)
{
	bool swaps = cairn_plan_replaces(p, c) && cairn_plan_can_swap(p, c);
	struct cairn_step *step =
		cairn_steps_add(&p->puts, swaps ? CAIRN_STEP_SWAP : CAIRN_STEP_PUT);
	struct stat st = { 0 };
	int r = 0;

	if (!step)
		return -ENOMEM;
	step->path = strdup(c->path);
	step->file = strdup(file);
	step->other = other ? strdup(other) : NULL;
	step->ino = ino;
	step->dir = S_ISDIR(c->now.mode);
	if (!step->path || !step->file || (other && !step->other))
		return -ENOMEM;
	if (swaps) {
		r = cairn_plan_stat(p, c->place, &c->there, &st);
		step->was = st.st_ino;
		step->dir |= S_ISDIR(st.st_mode);
	}
	if (r == 0 && swaps && S_ISDIR(st.st_mode))
		r = cairn_plan_check_mounts(p, c->place);
	return r < 0 ? r : cairn_plan_touch_dir(p, c->parent);
}

/* The way to an entry of a directory that is new itself. */
static int kept_path(const struct cairn_plan *p, const struct cairn_change *c, bool *ret_inside,
		     char **ret)
{
	const struct cairn_plan_node *parent = cairn_plan_node(p, c->parent);

	*ret_inside = parent->fresh;
	if (!*ret_inside)
		*ret = strdup(cairn_stage_name(p->host).text);
	else if (asprintf(ret, "%s/%s", parent->kept, strrchr(c->path, '/') + 1) < 0)
		*ret = NULL;
	return *ret ? 0 : -ENOMEM;
}

static int put_link(struct cairn_plan *p, struct cairn_change *c)
{
	struct cairn_plan_node *node = cairn_plan_node(p, c);
	bool inside, is_kept;
	const char *source = source_of(p, c, &is_kept);
	_cleanup_(cairn_freep) char *path = NULL;
	struct stat st = { 0 };
	int r;

	if (!source)
		return -EIO;
	r = kept_path(p, c, &inside, &path);
	/* A name of what was there before is no part of a new directory: it goes first when all is
	 * taken back. */
	if (r == 0 && inside && !is_kept) {
		inside = false;
		free(path);
		path = strdup(cairn_stage_name(p->host).text);
		r = path ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = cairn_stage_link(&p->stager, source, is_kept, path);
	if (r < 0 || inside)
		return r;
	r = cairn_host_stat_kept(p->host, path, &st);
	if (r == 0)
		r = add_put(p, c, path, st.st_ino, is_kept ? NULL : source);
	node->kept = TAKE_PTR(path);
	return r;
}

static int put_fresh(struct cairn_plan *p, struct cairn_change *c)
{
	_cleanup_(cairn_host_atp) struct cairn_host_at at = CAIRN_HOST_NOWHERE;
	struct cairn_plan_node *node = cairn_plan_node(p, c);
	struct stat st = { 0 };
	bool inside;
	int r;

	r = kept_path(p, c, &inside, &node->kept);
	if (r == 0)
		r = cairn_stage_new(&p->stager, c, node->kept);
	if (r == 0)
		r = cairn_host_find_kept(p->host, node->kept, &at);
	if (r == 0)
		r = cairn_host_stat(p->host, &at, &st);
	if (r < 0)
		return r;
	node->fresh = true;
	r = cairn_plan_close_later(p, c, st.st_ino);
	return r < 0 || inside ? r : add_put(p, c, node->kept, st.st_ino, NULL);
}

static int put_moved(struct cairn_plan *p, struct cairn_change *c)
{
	struct stat st = { 0 };
	int r;

	r = cairn_plan_stat(p, c->from, &c->was, &st);
	if (r == 0)
		r = add_put(p, c, cairn_plan_node(p, c)->kept, st.st_ino, NULL);
	return r == 0 && S_ISDIR(st.st_mode) ? cairn_plan_touch(p, c->from) : r;
}

/* Its new bytes go over the old ones: of a file that stays, or that is on its way. */
static int write_over(struct cairn_plan *p, struct cairn_change *c, const struct stat *st)
{
	struct cairn_kept_name from = cairn_stage_name(p->host), old = cairn_stage_name(p->host);
	bool moves = c->kind == CAIRN_CHANGE_RENAMED;
	struct cairn_step *step = cairn_steps_add(moves ? &p->takes : &p->puts, CAIRN_STEP_WRITE);
	int r;

	if (!step)
		return -ENOMEM;
	step->path = moves ? NULL : strdup(c->path);
	step->file = moves ? strdup(cairn_plan_node(p, c)->kept) : NULL;
	step->from = strdup(from.text);
	step->old = strdup(old.text);
	step->ino = st->st_ino;
	if (!(moves ? step->file : step->path) || !step->from || !step->old)
		return -ENOMEM;
	r = cairn_stage_new(&p->stager, c, from.text);
	if (r == 0)
		r = cairn_stage_copy(&p->stager, c->from, old.text);
	cairn_plan_node(p, c)->written = true;
	return r;
}

static int swap_fresh(struct cairn_plan *p, struct cairn_change *c, const struct stat *was)
{
	struct cairn_plan_node *node = cairn_plan_node(p, c);
	struct cairn_step *step;
	struct stat st = { 0 };
	int r;

	node->kept = strdup(cairn_stage_name(p->host).text);
	step = cairn_steps_add(&p->puts, CAIRN_STEP_SWAP);
	if (!node->kept || !step)
		return -ENOMEM;
	r = cairn_stage_new(&p->stager, c, node->kept);
	if (r == 0)
		r = cairn_host_stat_kept(p->host, node->kept, &st);
	if (r < 0)
		return r;
	node->fresh = true;
	step->path = strdup(c->path);
	step->file = strdup(node->kept);
	step->ino = st.st_ino;
	step->was = was->st_ino;
	return step->path && step->file ? cairn_plan_touch_dir(p, c->parent) : -ENOMEM;
}

static int put_bytes(struct cairn_plan *p, struct cairn_change *c)
{
	struct stat st = { 0 };
	int r;

	if (!S_ISREG(c->now.mode) || !(c->what & CAIRN_CHANGED_DATA))
		return 0;
	r = cairn_plan_stat(p, c->from, &c->was, &st);
	if (r < 0)
		return r;
	if (c->kind != CAIRN_CHANGE_RENAMED && st.st_nlink == 1 &&
	    !cairn_plan_node(p, c)->several && p->host->exchanges &&
	    cairn_stage_may_give(p->host, c->now.uid, c->now.gid))
		return swap_fresh(p, c, &st);
	return write_over(p, c, &st);
}

int cairn_plan_put(struct cairn_plan *p, struct cairn_change *c)
{
	int r = 0;

	if (c->kind == CAIRN_CHANGE_DELETED)
		return 0;
	if (cairn_plan_is_other_name(c))
		return cairn_plan_has_entry(c) ? 0 : put_link(p, c);
	if (c->kind == CAIRN_CHANGE_RENAMED)
		r = put_moved(p, c);
	else if (!cairn_plan_has_entry(c))
		return put_fresh(p, c);
	return r < 0 ? r : put_bytes(p, c);
}
