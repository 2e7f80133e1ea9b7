/* What the core counts: core->stats, by these numbers. */
#pragma once

#include <stdint.h>

#include "util/stats.h"

struct cairn_batch;
struct cairn_core;

enum {
	CAIRN_COUNT_INODE_FOUND,   /* inodes wanted that were in core */
	CAIRN_COUNT_INODE_MISSED,  /* and that were not */
	CAIRN_COUNT_ENTRY_BATCHED, /* names that a batch had an answer to */
	CAIRN_COUNT_ENTRY_STORED,  /* names that the store was asked for */
	CAIRN_COUNT_ENTRY_ABSENT,  /* lookups answered with "no such file" */
	CAIRN_COUNT_LISTING_BUILT, /* listings of directories put together */
	CAIRN_COUNT_DROPPED,       /* times that all was dropped: another process changed files */
	CAIRN_COUNT_READ_BYTES,    /* of files */
	CAIRN_COUNT_WRITTEN_BYTES, /* of files */
	CAIRN_COUNT_FAILURES,      /* attempts to commit or to sync that failed */
	CAIRN_COUNT_SYNC_CALLERS,  /* callers who waited for a sync */
	CAIRN_COUNTERS,
};

enum {
	CAIRN_SPREAD_COMMIT,       /* ns from the swap of a batch until it is in the database */
	CAIRN_SPREAD_BATCH_INODES, /* changed inodes in a batch that was committed */
	CAIRN_SPREAD_BATCH_BYTES,  /* memory it took */
	CAIRN_SPREAD_SYNC,         /* ns */
	CAIRN_SPREAD_THROTTLE,     /* ns that an operation waited for room, or for numbers */
	CAIRN_SPREADS,
};

extern const struct cairn_stats_names cairn_core_stats_names;

/* Notes the size of a batch that was committed. */
void cairn_stats_committed(struct cairn_core *core, const struct cairn_batch *batch);
