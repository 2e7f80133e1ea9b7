/* A caller's tree in a mounted directory: its operations as system calls, and what it holds. */
#pragma once

#include "model.h"

#define HELD_FILES 8

struct mount_tree {
	int root;             /* the tree's directory */
	int held[HELD_FILES]; /* files that were unlinked while open, -1 for none */
	unsigned int next;
};

/* Opens `name` in the directory `parent`, which is made if need be. -errno. */
int mount_tree_open(struct mount_tree *tree, const char *parent, const char *name);
void mount_tree_close(struct mount_tree *tree);

/* A run_fn: 0 or -errno. */
int mount_tree_run(void *arg, const struct op *op);

/* -errno where something cannot be read. */
int mount_tree_list(struct mount_tree *tree, struct listing *ret);
