/* The bytes of files: chunks in the batches over chunks in the store.
 *
 * An absent chunk is a hole and reads as zeros. All functions that change something are called
 * inside an operation that holds the inode; they touch its size and its delta, and leave times and
 * set-id bits to their callers. */
#pragma once

#include "core/inode.h"
#include "core/op.h"

/* Reads `size` bytes at `offset`, which lie inside the file. The caller holds the inode's lock. */
int cairn_data_read(struct cairn_core *core, const struct cairn_inode *inode, void *buf,
		    size_t size, int64_t offset);
/* Writes, growing the file if need be. All of it, or an error and nothing. */
int cairn_data_write(struct cairn_op *op, struct cairn_inode *inode, const void *buf, size_t size,
		     int64_t offset);
/* Sets the size: what is cut off is gone, what is added is a hole. */
int cairn_data_resize(struct cairn_op *op, struct cairn_inode *inode, int64_t size);
/* Turns a range inside the file into zeros, whole chunks of it into holes. */
int cairn_data_zero(struct cairn_op *op, struct cairn_inode *inode, int64_t offset, int64_t size);

/* Bytes of the file in chunks that are no holes. Reads the whole chunk index of the file, so the
 * answer is kept in inode->allocated, and by the functions above where it is plain. */
int cairn_data_allocated(struct cairn_core *core, const struct cairn_inode *inode, int64_t *ret);

/* The first chunk with index >= *index that is not a hole, or -ENXIO when there is none in the
 * file. */
int cairn_data_next(struct cairn_core *core, const struct cairn_inode *inode, int64_t *index);
/* The first index >= *index that is a hole, at most the index of the chunk past the last. */
int cairn_data_next_hole(struct cairn_core *core, const struct cairn_inode *inode, int64_t *index);
