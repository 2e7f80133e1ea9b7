/* The inside of the core, shared by src/core/ alone. The lock order stands in core.h. */
#pragma once

#include <stdatomic.h>

#include "core/batch.h"
#include "core/core.h"
#include "core/forget.h"
#include "core/inode.h"
#include "core/lease.h"
#include "core/listing.h"
#include "core/lock.h"
#include "core/pin.h"
#include "core/stats.h"
#include "core/writer.h"
#include "store/readers.h"
#include "util/macro.h"

struct cairn_core {
	struct cairn_store *store;
	struct cairn_core_options options;
	const struct cairn_log *log;

	/* Moves after each commit and before the committed deltas are dropped: what a query saw
	 * is current while this has not moved since before the query and no delta says otherwise.
	 */
	atomic_ulong commits;

	struct cairn_rwlock gate;
	uint64_t seq;                /* of the running batch; guarded by the gate */
	struct cairn_batch batch[2]; /* by parity of seq */

	struct cairn_icache icache;
	struct cairn_listings listings;
	struct cairn_pins pins;
	struct cairn_forgets forgets;
	struct cairn_readers readers;
	struct cairn_lease lease[CAIRN_SEQUENCE_COUNT];
	struct cairn_writer writer;

	atomic_ulong used; /* bytes of the workspace after the last commit, for quota and statfs */
	struct cairn_stats stats;
};

static inline size_t cairn_core_dirty(const struct cairn_core *core)
{
	return atomic_load(&core->batch[0].bytes) + atomic_load(&core->batch[1].bytes);
}

/* The changes of an inode that are not in the store yet, newest first. The caller holds its lock.
 */
struct cairn_layers {
	const struct cairn_delta *upper; /* or NULL */
	const struct cairn_delta *lower; /* older than upper, or NULL */
};

static inline struct cairn_layers cairn_inode_layers(const struct cairn_inode *inode)
{
	const struct cairn_delta *a = inode->delta[0], *b = inode->delta[1];

	if (!a || (b && b->seq > a->seq))
		return (struct cairn_layers){ .upper = b, .lower = a };
	return (struct cairn_layers){ .upper = a, .lower = b };
}
