/* A small tree in memory: what a sequence of operations makes of a directory.
 *
 * Operations are drawn from a seed so that each succeeds on the state the ones before it left. An
 * operation is one request to a file system, so between two operations there is no third state.
 * Applying the recorded operations to a clone of where they began gives every state in between. */
#pragma once

#include <stdbool.h>

#include "listing.h"

#define MODEL_NODES    48
#define MODEL_NAMES    12
#define MODEL_PATH_MAX 400
#define MODEL_FILE_MAX (160U << 10) /* bytes */

enum op_kind {
	OP_CREATE,
	OP_WRITE,
	OP_WRITE_SYNC, /* through O_DSYNC */
	OP_TRUNCATE,
	OP_MKDIR,
	OP_RMDIR,
	OP_SYMLINK,
	OP_LINK,
	OP_UNLINK,
	OP_UNLINK_OPEN, /* of a file that stays open */
	OP_RENAME,
	OP_EXCHANGE,
	OP_CHMOD,
	OP_SETXATTR,
	OP_REMOVEXATTR,
	OP_FSYNC, /* of a file or of a directory */
	OP_KINDS,
};

struct op {
	enum op_kind kind;
	mode_t mode;
	int64_t offset; /* of a write; the size of a truncate */
	uint32_t len;
	uint32_t xattr; /* which */
	uint64_t seed;  /* of the bytes */
	/* Where: an entry of a directory, by node number and name number; a second one. */
	int dir, name, dir2, name2;
	int node;                   /* what is there; of OP_LINK, what gets the name */
	char path[MODEL_PATH_MAX];  /* relative to the model's root, which is "." */
	char path2[MODEL_PATH_MAX]; /* rename: the new name; link: the old name */
};

struct model;

struct model *model_new(void);
struct model *model_clone(const struct model *model);
void model_free(struct model *model);

/* With `aligned`, no write crosses from one page into another unless it begins with a whole one:
 * what Linux sends to a FUSE file system as one request. (A first page that is not in the cache and
 * not written whole goes alone, see fuse_fill_write_pages() in fs/fuse/file.c.) */
void model_draw(const struct model *model, struct rng *rng, bool aligned, struct op *ret);
/* `number` says which operation it is, see model_changed(). */
void model_apply(struct model *model, const struct op *op, uint64_t number);
/* The number of the last operation that changed what `op` is about: what an fsync makes durable. */
uint64_t model_changed(const struct model *model, const struct op *op);
/* Forgets these numbers, so that they start over. */
void model_forget_changes(struct model *model);
/* Keeps the hashes of contents it computes. */
void model_list(struct model *model, struct listing *ret);

/* The bytes an operation writes, or the target of the symbolic link it makes. */
void op_fill(const struct op *op, void *data);
const char *op_name(enum op_kind kind);
