/* The nodes that a base has given out: of each number, the directory and the name where it was
 * found last. A path is put together from them step by step, so that a renamed directory takes
 * along all below it.
 *
 * A node stays until it is forgotten, and as long as one that stays is found in it. The root always
 * stays. Any thread may call any function; names may hold any byte but '/' and NUL. */
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

/* Seconds after it was given out in which forgetting a node has no effect. The one who looks a name
 * up holds its number for a moment before he says so; meanwhile the last of the earlier users may
 * let go. */
#define CAIRN_NODE_LINGER 2U

struct cairn_node;

struct cairn_nodes {
	pthread_mutex_t lock;
	struct cairn_node *table; /* by number; guarded by lock, like the nodes */
	uint32_t linger;          /* CAIRN_NODE_LINGER */
};

/* -ENOMEM. */
int cairn_nodes_init(struct cairn_nodes *nodes, uint64_t root);
void cairn_nodes_destroy(struct cairn_nodes *nodes);

/* Gives out `ino`, of this type (S_IFMT bits of a mode), found as `name` in `dir`. A directory that
 * is said to lie in itself stays where it was. -ENOENT when `dir` is not known, -ENOMEM. */
int cairn_node_give(struct cairn_nodes *nodes, uint64_t dir, const char *name, size_t len,
		    uint64_t ino, uint32_t type);
void cairn_node_forget(struct cairn_nodes *nodes, uint64_t ino);

/* The type it was given out with. -ENOENT when it is not known, here and below. */
int cairn_node_type(struct cairn_nodes *nodes, uint64_t ino, uint32_t *ret);
/* Its directory and name; -ENOENT for the root, too. */
int cairn_node_place(struct cairn_nodes *nodes, uint64_t ino, uint64_t *ret_dir,
		     char ret_name[CAIRN_NAME_MAX + 1]);
/* The path from the root, "/" or "/a/b", as a new string; free() it. */
int cairn_node_path(struct cairn_nodes *nodes, uint64_t ino, char **ret);
/* Both at once. */
int cairn_node_locate(struct cairn_nodes *nodes, uint64_t ino, char **ret_path, uint32_t *ret_type);

size_t cairn_nodes_count(struct cairn_nodes *nodes);
