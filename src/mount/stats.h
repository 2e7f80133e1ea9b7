/* What a mount said about its work, checked and in a form to compute with. */
#pragma once

#include <stdbool.h>

#include "fuse/session.h"
#include "fuse/stats.h"

struct cairn_mount_spread {
	char name[CAIRN_STATS_NAME_MAX];
	uint64_t count;     /* that began */
	uint64_t under_way; /* of these, not ended */
	struct cairn_distribution values;
};

struct cairn_mount_stats {
	struct cairn_ioc_info info;
	unsigned int figure_count;
	struct cairn_stat figure[CAIRN_STATS_MAX];
	unsigned int spread_count;
	struct cairn_mount_spread spread[CAIRN_STATS_SPREADS];
};

/* Take in one answer of the mount. -EPROTO when it is not of our version, or nonsense: whoever
 * answers may be anyone who calls himself cairnfs, and names go to terminals. A name is of a-z,
 * 0-9, '_' and '.'. */
int cairn_mount_stats_figures(struct cairn_mount_stats *stats, const struct cairn_ioc_stats *from);
int cairn_mount_stats_spread(struct cairn_mount_stats *stats, const struct cairn_ioc_spread *from);

/* Leaves in `now` what has grown since `before`; levels stay as they are. Where `before` is of
 * another mount, or all zero, nothing is taken away. */
void cairn_mount_stats_since(struct cairn_mount_stats *now, const struct cairn_mount_stats *before);

/* A figure by its name; 0 where the other side has none. */
uint64_t cairn_mount_stats_value(const struct cairn_mount_stats *stats, const char *name);
/* NULL where it has none. */
const struct cairn_mount_spread *cairn_mount_stats_find(const struct cairn_mount_stats *stats,
							const char *name);
