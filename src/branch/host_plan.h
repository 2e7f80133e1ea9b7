/* The inside of host_plan.c, shared by its files:
 *
 *	host_plan.c	what goes, attributes, and all steps in order
 *	host_put.c	what comes
 *	host_touch.c	the directories that something goes from or comes to
 *
 * All functions return 0 or a negative errno. */
#pragma once

#include "branch/host_links.h"
#include "branch/host_stage.h"

struct cairn_plan_node {
	bool several; /* names of it in the branch */
	bool fresh;   /* in `kept` is a whole new one */
	bool written; /* over the old one */
	char *kept;   /* its path below kept/, before it is at its place */
};

/* A directory that gets or loses entries. */
struct cairn_plan_touched {
	char *before, *after; /* its paths; NULL: it is not there then */
	struct timespec was, is;
};

struct cairn_plan {
	struct cairn_host *host;
	struct cairn_branch *branch;
	const struct cairn_changes *changes;
	struct cairn_stager stager;
	struct cairn_plan_node *nodes;
	struct cairn_names going; /* paths that lose what is there */
	struct cairn_host_links links;
	struct cairn_names dirs; /* of `touched` */
	struct cairn_plan_touched *touched;
	size_t touched_count;
	struct cairn_steps opens, old_times, takes, puts, times, attrs; /* in this order */
	struct timespec now;
	struct cairn_error *err;
};

/* host_plan.c */
struct cairn_plan_node *cairn_plan_node(const struct cairn_plan *p, const struct cairn_change *c);
/* Whether it is another name of a file that the branch or the base has. */
bool cairn_plan_is_other_name(const struct cairn_change *c);
/* Whether its entry is there already. */
bool cairn_plan_has_entry(const struct cairn_change *c);
/* The change that moves what lies at a path of the base, if it is selected. */
struct cairn_change *cairn_plan_moved_from(const struct cairn_plan *p, const char *path);
/* Whether what is at its place goes for it, and whether the new can take the place of the old in
 * one step. A name of many is no thing of its own that could be kept. */
bool cairn_plan_replaces(const struct cairn_plan *p, const struct cairn_change *c);
bool cairn_plan_can_swap(const struct cairn_plan *p, const struct cairn_change *c);
/* What stands at a path of the base. -ESTALE where it is not what was compared. */
int cairn_plan_stat(const struct cairn_plan *p, const char *path, const struct cairn_attr *was,
		    struct stat *ret);
/* -EBUSY where something is mounted below. */
int cairn_plan_check_mounts(const struct cairn_plan *p, const char *path);

/* host_put.c: makes what is new, and the steps that bring it to its place. */
int cairn_plan_put(struct cairn_plan *p, struct cairn_change *c);

/* host_touch.c. Where a path of the base is afterwards; NULL: nowhere. */
int cairn_plan_path_after(const struct cairn_plan *p, const char *path, char **ret);
/* A directory that is closed to its owner, and to us where we are not root, is opened meanwhile. It
 * has the path `after` then, or NULL. */
int cairn_plan_open_up(struct cairn_plan *p, const struct stat *st, const char *before,
		       const char *after);
/* Entries of a directory of the base change; of the one that a path lies in; of one of the
 * branch's.
 */
int cairn_plan_touch(struct cairn_plan *p, const char *before);
int cairn_plan_touch_parent(struct cairn_plan *p, const char *path);
int cairn_plan_touch_dir(struct cairn_plan *p, const struct cairn_change *dir);
/* A new directory that is to be closed to its owner is closed when it is at its place. */
int cairn_plan_close_later(struct cairn_plan *p, const struct cairn_change *c, uint64_t ino);
/* The steps that set the times of all these. */
int cairn_plan_times(struct cairn_plan *p);
