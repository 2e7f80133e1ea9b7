/* What a live mount tells about its work, and how it is asked: by ioctl(2) on its root directory,
 * like CAIRN_IOC_INFO in session.h. The mounting user and root may ask; -EACCES for others.
 *
 * The answer names what it holds, so that who asks need not know the same figures as the one who
 * answers: figures may be added without a new version. The layout itself has a version; a mount
 * that has none of this answers ENOTTY.
 *
 * A name is "group.figure". Durations are nanoseconds and sizes bytes. */
#pragma once

#include <stdint.h>
#include <sys/ioctl.h>

#include "util/histogram.h"

#define CAIRN_STATS_VERSION  1U
#define CAIRN_STATS_MAX      192U
#define CAIRN_STATS_NAME_MAX 44U /* bytes with the NUL */
#define CAIRN_STATS_SPREADS  64U /* at most so many */

struct cairn_stat {
	char name[CAIRN_STATS_NAME_MAX];
	uint32_t is_level; /* how it is at this moment; otherwise it grew from 0 since the mount */
	uint64_t value;
};

/* All single figures. */
struct cairn_ioc_stats {
	uint32_t version;
	uint32_t count;
	struct cairn_stat stat[CAIRN_STATS_MAX];
};
#define CAIRN_IOC_STATS _IOR('c', 2, struct cairn_ioc_stats)

/* The distribution number `index`, which the caller sets together with the version; -ENXIO behind
 * the last one. */
struct cairn_ioc_spread {
	uint32_t version;
	uint32_t index;
	char name[CAIRN_STATS_NAME_MAX];
	uint32_t unused;
	uint64_t begun; /* with those that are not in the distribution yet */
	struct cairn_distribution values;
};
#define CAIRN_IOC_SPREAD _IOWR('c', 3, struct cairn_ioc_spread)
