/* Batches: what changed since the last commit, and the gate that keeps each one whole.
 *
 * There are two, told apart by the parity of their sequence number: the running batch, which
 * operations join, and the one that the writer is committing. An operation holds the gate shared
 * from its first change to its last; the writer takes it exclusively to swap, so that no batch
 * ever holds half an operation. Batch n is committed before batch n + 1: the store always holds a
 * prefix of what callers saw. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/delta.h"
#include "core/lock.h"

struct cairn_batch {
	struct cairn_mutex lock;    /* guards deltas and count */
	struct cairn_delta *deltas; /* in order of their first change */
	unsigned int count;
	atomic_size_t bytes; /* memory that the deltas hold */
};

/* Puts a new delta of `inode`, whose lock the caller holds for writing, into the batch. NULL: no
 * memory. */
struct cairn_delta *cairn_batch_add(struct cairn_batch *batch, uint64_t seq,
				    struct cairn_inode *inode);
