/* A branch as what lies in it: the rows of a workspace with a base, beside the base, not put
 * together. What reads the tree of both is in src/base; here are the commands that deal with the
 * difference: `cairnfs diff`, `accept`, `reset`.
 *
 * One thread. Functions return 0 or a negative errno. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "store/branch.h"
#include "store/store.h"
#include "util/error.h"

struct cairn_branch {
	struct cairn_store *own; /* the layer of the workspace alone */
	struct cairn_reader *reader;
	struct cairn_base *base;
	char *path;      /* of the workspace */
	char *base_path; /* what it names as its base, absolute */
	/* Told of bytes that were read to compare, copy or hash them, as often as they are; may be
	 * NULL. Kept by whoever set it. */
	void (*progress)(void *arg, size_t bytes);
	void *progress_arg;
};

/* Opens the workspace at an absolute path, and not its base yet. -EINVAL with words for one that
 * has no base. */
int cairn_branch_open(const char *path, bool read_only, struct cairn_branch *ret,
		      struct cairn_error *err);
/* Opens the base to read it as it is now. */
int cairn_branch_open_base(struct cairn_branch *branch, struct cairn_error *err);
/* Records that the base lies at another path, absolute; `branch` is opened for writing and must
 * have no base open. Unless `force`, -ESTALE with words where it is not the same base: where
 * something is missing there, or is of another type, that the branch has noted of its base. */
int cairn_branch_relocate(struct cairn_branch *branch, const char *base_path, bool force,
			  struct cairn_error *err);
void cairn_branch_close(struct cairn_branch *branch);

/* A file of the branch: its chunks over the bytes of a file of the base. */
struct cairn_content {
	uint64_t row;     /* 0: it has none, all is the base's */
	uint64_t node;    /* of the base; 0: nothing is */
	int64_t data_end; /* see struct cairn_origin */
	int64_t size;     /* bytes */
};

/* Fills the buffer with the bytes from `offset` on, zeros where there is none. */
int cairn_content_read(struct cairn_branch *branch, const struct cairn_content *content,
		       int64_t offset, void *buf, size_t size);

/* Calls `fn` for each stretch of bytes, in order, that may differ from the file of the base; where
 * there is none, for each that holds data. */
typedef int (*cairn_stretch_fn)(void *arg, int64_t from, int64_t to);
int cairn_content_changed(struct cairn_branch *branch, const struct cairn_content *content,
			  cairn_stretch_fn fn, void *arg);

/* SHA-256 of a file of the base. */
int cairn_branch_base_digest(struct cairn_branch *branch, uint64_t node, int64_t size,
			     unsigned char ret[32]);
