/* Where the directories of a branch lie that have no origin: what they show of the base follows
 * from that. A cache: what is not there can be asked of the branch, which has to read whole tables
 * for it.
 *
 * Numbers are those of the merged tree. Any thread may call any function but those of a
 * transaction, which are the writer's. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

struct cairn_dir;
struct cairn_dir_move;

struct cairn_dirs {
	pthread_mutex_t lock;
	struct cairn_dir *table;      /* by number; guarded by lock */
	struct cairn_dir_move *moves; /* by number; the writer's */
};

int cairn_dirs_init(struct cairn_dirs *dirs);
void cairn_dirs_destroy(struct cairn_dirs *dirs);
void cairn_dirs_clear(struct cairn_dirs *dirs);
void cairn_dirs_forget(struct cairn_dirs *dirs, uint64_t ino);

/* Where a directory was found. Without memory for it, it is not remembered. */
void cairn_dirs_found(struct cairn_dirs *dirs, uint64_t ino, uint64_t parent, const char *name,
		      size_t len);
/* -ENOENT: not known. */
int cairn_dirs_place(struct cairn_dirs *dirs, uint64_t ino, uint64_t *ret_parent,
		     char ret_name[CAIRN_NAME_MAX + 1]);

/* The node of the base that the directory shows, as of a generation of the base; 0: none. False:
 * not known. What is learned of a directory without a place is not remembered. `writer`: what the
 * transaction says goes first. */
bool cairn_dirs_known(struct cairn_dirs *dirs, bool writer, uint64_t ino, uint64_t generation,
		      uint64_t *ret_node);
void cairn_dirs_learn(struct cairn_dirs *dirs, bool writer, uint64_t ino, uint64_t generation,
		      uint64_t node);

/* A transaction gives an inode, which may be a directory, this place; cairn_dirs_is_dir() tells.
 * -ENOMEM.
 */
int cairn_dirs_move(struct cairn_dirs *dirs, uint64_t ino, uint64_t parent, const char *name,
		    size_t len);
void cairn_dirs_is_dir(struct cairn_dirs *dirs, uint64_t ino);
/* The place a transaction gave it. -ENOENT: none. */
int cairn_dirs_moved(struct cairn_dirs *dirs, uint64_t ino, uint64_t *ret_parent,
		     char ret_name[CAIRN_NAME_MAX + 1]);
void cairn_dirs_committed(struct cairn_dirs *dirs);
void cairn_dirs_rolled_back(struct cairn_dirs *dirs);
