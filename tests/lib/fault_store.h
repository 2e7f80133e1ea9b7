/* A store that stands before another and fails, or holds, chosen calls: each function of the
 * interface counts as one call. Plain C. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "store/store.h"

enum fault_op {
	FAULT_READER_OPEN,
	FAULT_INODE_GET,
	FAULT_DENTRY_GET,
	FAULT_DENTRY_SCAN,
	FAULT_DENTRY_COUNT,
	FAULT_DENTRY_NAME,
	FAULT_SYMLINK_GET,
	FAULT_DATA_READ,
	FAULT_DATA_SCAN,
	FAULT_XATTR_GET,
	FAULT_XATTR_SCAN,
	FAULT_ORPHAN_SCAN,
	FAULT_SPACE,
	FAULT_BASE,        /* each function of a base, see fault_base.h */
	FAULT_BRANCH_READ, /* each of the readers' functions of struct cairn_branch_ops */
	FAULT_BEGIN,
	FAULT_COMMIT,
	FAULT_SYNC,
	FAULT_CHECKPOINT,
	FAULT_FOREIGN,
	FAULT_PRESENT,
	FAULT_LEASE,
	FAULT_INODE_INSERT,
	FAULT_INODE_UPDATE,
	FAULT_INODE_DELETE,
	FAULT_DENTRY_PUT,
	FAULT_DENTRY_DELETE,
	FAULT_SYMLINK_PUT,
	FAULT_DATA_PUT,
	FAULT_DATA_DELETE,
	FAULT_DATA_CUT,
	FAULT_XATTR_PUT,
	FAULT_XATTR_DELETE,
	FAULT_ORPHAN_PUT,
	FAULT_BRANCH_WRITE, /* each of the write side's */
	FAULT_OPS,
};

#define FAULT_BIT(op) (UINT64_C(1) << (op))
#define FAULT_ANY     (FAULT_BIT(FAULT_OPS) - 1)
#define FAULT_READS   (FAULT_BIT(FAULT_BEGIN) - 1)
#define FAULT_WRITES  (FAULT_ANY & ~FAULT_READS)

struct fault_store;

/* Owns `real`; closing the base closes both. Aborts without memory. */
struct fault_store *fault_store_new(struct cairn_store *real);
struct cairn_store *fault_store_base(struct fault_store *fault);

/* The n-th call from now (1: the next) to one of `ops`, a set of FAULT_BITs, fails with `error`;
 * with `stays` so do all after it. */
void fault_store_fail(struct fault_store *fault, uint64_t ops, unsigned long n, int error,
		      bool stays);
void fault_store_clear(struct fault_store *fault);
/* Calls that failed since the last fault_store_fail(). */
unsigned long fault_store_fired(struct fault_store *fault);
/* Where they are counted as well, for when the store is gone. */
void fault_store_count_in(struct fault_store *fault, atomic_ulong *counter);
/* Calls of one function, ever. */
unsigned long fault_store_calls(struct fault_store *fault, enum fault_op op);

/* Counts a call of `op` that is made elsewhere: 0, or the error that it is to fail with. */
int fault_store_enter(struct fault_store *fault, enum fault_op op);

/* The next call of `op` waits for fault_store_resume(). */
void fault_store_pause(struct fault_store *fault, enum fault_op op);
void fault_store_wait_paused(struct fault_store *fault);
void fault_store_resume(struct fault_store *fault);
