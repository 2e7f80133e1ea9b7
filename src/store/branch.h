/* The tables that make a workspace a branch: which base lies below it, what it hides of that base,
 * and what it took over from it. docs/format.md describes them; src/base/ makes one tree of both.
 *
 * A store has these functions (`store->branch`) where it was opened on a workspace with a base.
 * They follow the rules of store.h: a reader belongs to one thread at a time, the write side to the
 * writer's, and every function returns 0 (or what it says) or a negative errno, -ENOENT being a
 * definite "no such row".
 *
 * Paths are paths in the base, from its root: "/a/b", never with a slash at the end. They may hold
 * any bytes but NUL. What a row cannot hold is passed over and logged, or is -EIO. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "store/store.h"

/* Longer paths are not stored and not believed, in bytes with the NUL. */
#define CAIRN_BASE_PATH_MAX 65536U

/* All data of a file are the base's, however long it is now. */
#define CAIRN_DATA_OF_BASE (-1)

/* What an inode of the branch has of the base. */
struct cairn_origin {
	uint64_t delta_ino;
	uint64_t base_ino; /* what it is numbered after in the merged tree; 0: by itself */
	const char *path;  /* where it lay when it was copied up; "": nothing, see below */
	int64_t data_end;  /* bytes of the base count before this offset where there is no chunk, or
			    * CAIRN_DATA_OF_BASE; 0 for what is no regular file */
};
/* An origin without a path says of a directory that nothing of the base is to be seen in it,
 * whatever the base has at its place. */

/* What the branch saw at a path of the base when it first changed, hid or replaced what was there.
 * A path of which nothing was noted had nothing when the branch made something there, or was never
 * touched. */
struct cairn_seen {
	uint32_t mode; /* type and permissions */
	uint32_t uid, gid;
	uint64_t rdev;
	int64_t size; /* bytes; of a directory 0 */
	struct timespec mtime, ctime;
	const char *target; /* of a symbolic link; NULL: not known */
	bool has_digest;
	unsigned char digest[32]; /* SHA-256 of the bytes of a regular file */
};

/* Whoever takes files out of a branch that is mounted, because the base has them by now, changes
 * what their rows and the base mean together. So that no reader takes new rows for what it knows of
 * old ones, the branch has turns: each such transaction begins the next. And so that what is in use
 * stays what it is, the base's file inherits the number of the row: its heir. */

/* Callbacks of the scanning functions: 0 goes on, anything else ends the scan and is returned. What
 * they are given is valid until they return. */
typedef int (*cairn_origin_fn)(void *arg, const struct cairn_origin *origin);
typedef int (*cairn_path_fn)(void *arg, const char *path);
typedef int (*cairn_heir_fn)(void *arg, uint64_t ino, const char *path);
typedef int (*cairn_name_fn)(void *arg, const char *name, size_t len);
typedef int (*cairn_seen_fn)(void *arg, const char *path, const struct cairn_seen *seen);

struct cairn_branch_ops {
	/* What the workspace names as its base, as a new string. Before any thread reads or writes.
	 */
	int (*base_path)(struct cairn_store *store, char **ret);
	/* The patterns of what is never shown of it (see struct cairn_init_options); NULL: none. */
	int (*base_ignore)(struct cairn_store *store, char **ret);

	/* Readers. The path in `ret` is a new string, free() it. */
	int (*origin_get)(struct cairn_reader *reader, uint64_t delta_ino,
			  struct cairn_origin *ret);
	int (*origin_scan)(struct cairn_reader *reader, cairn_origin_fn fn, void *arg);
	/* Whether just this path is hidden; not whether something above it is. */
	int (*whiteout_get)(struct cairn_reader *reader, const char *path);
	/* The names that are hidden in one directory. */
	int (*whiteout_list)(struct cairn_reader *reader, const char *dir, cairn_name_fn fn,
			     void *arg);
	/* All of them; text in order, then what is not UTF-8, in order. */
	int (*whiteout_scan)(struct cairn_reader *reader, cairn_path_fn fn, void *arg);
	/* The target in `ret` is a new string, free() it. */
	int (*seen_get)(struct cairn_reader *reader, const char *path, struct cairn_seen *ret);
	int (*seen_scan)(struct cairn_reader *reader, cairn_seen_fn fn, void *arg);
	/* As data_scan, with the length of each chunk; one of length 0 is a hole that hides what
	 * the base has there. */
	int (*data_sizes)(struct cairn_reader *reader, uint64_t ino, int64_t first, int64_t last,
			  cairn_chunk_fn fn, void *arg);

	/* Until release(), all questions see one state: the newest, or one that this reader saw
	 * before. *ret_turn is the turn of that state. */
	int (*hold)(struct cairn_reader *reader, uint64_t *ret_turn);
	void (*release)(struct cairn_reader *reader);
	int (*heir_scan)(struct cairn_reader *reader, cairn_heir_fn fn, void *arg);

	/* The write side, in a transaction. The first four see what it has changed already. */
	int (*entry)(struct cairn_store *store, uint64_t parent, const char *name, size_t len,
		     uint64_t *ret_ino);
	int (*mode)(struct cairn_store *store, uint64_t ino, uint32_t *ret);
	/* One name of an inode. Slow: reads the whole table. */
	int (*place)(struct cairn_store *store, uint64_t ino, uint64_t *ret_parent,
		     char ret_name[CAIRN_NAME_MAX + 1]);
	int (*hidden)(struct cairn_store *store, const char *path);
	/* inode_insert() with the next number of the sequence, whatever attr->ino says. */
	int (*inode_add)(struct cairn_store *store, const struct cairn_attr *attr, uint64_t *ret);
	/* Adds it or takes the place of an earlier one; fs_origin, which AgentFS reads, follows. */
	int (*origin_put)(struct cairn_store *store, const struct cairn_origin *origin);
	int (*origin_delete)(struct cairn_store *store, uint64_t delta_ino);
	int (*whiteout_put)(struct cairn_store *store, const char *path);
	int (*whiteout_delete)(struct cairn_store *store, const char *path);
	/* What was noted of a path earlier stays. */
	int (*seen_put)(struct cairn_store *store, const char *path, const struct cairn_seen *seen);
	/* Brings a note up to date with what there is of the data: size, times and digest. Without
	 * a note, nothing. */
	int (*seen_data)(struct cairn_store *store, const char *path,
			 const struct cairn_seen *seen);
	int (*seen_delete)(struct cairn_store *store, const char *path);
	/* Names another base; who has opened the workspace keeps to the one that it named then. */
	int (*base_path_put)(struct cairn_store *store, const char *path);
	/* Begins the next turn. */
	int (*turn)(struct cairn_store *store);
	/* What the base has at this path inherits the number of a row that goes. */
	int (*heir_put)(struct cairn_store *store, uint64_t ino, const char *path);
	/* Nobody has any of the numbers in use any more, unless another process holds the mark (see
	 * CAIRN_MARK_SUFFIX). Outside a transaction. */
	int (*heirs_forget)(struct cairn_store *store);
	/* All files go: what is left is a root and the inodes that a mount keeps open. Keys and
	 * the like stay. */
	int (*clear)(struct cairn_store *store);
};
