/* A caller's tree in a core, without a mount: its operations as calls, and what it holds. */
#pragma once

#include "core/core.h"
#include "model.h"

#define HELD_INODES 8

struct core_tree {
	struct cairn_core *core;
	uint64_t root;
	uint64_t held[HELD_INODES]; /* unlinked while pinned, 0 for none */
	unsigned int next;
};

/* `name` in the root of the workspace, which is made if need be. -errno. */
int core_tree_open(struct core_tree *tree, struct cairn_core *core, const char *name);
void core_tree_close(struct core_tree *tree);

/* A run_fn: 0 or -errno. */
int core_tree_run(void *arg, const struct op *op);

/* -errno where something cannot be read. */
int core_tree_list(struct core_tree *tree, struct listing *ret);
