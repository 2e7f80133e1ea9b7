#include "mount/stats.h"

#include <errno.h>
#include <string.h>

#include "util/macro.h"

static bool is_name(const char name[CAIRN_STATS_NAME_MAX])
{
	static const char of[] = "abcdefghijklmnopqrstuvwxyz0123456789_.";
	size_t len = strnlen(name, CAIRN_STATS_NAME_MAX);

	if (len == 0 || len == CAIRN_STATS_NAME_MAX)
		return false;
	return strspn(name, of) == len;
}

int cairn_mount_stats_figures(struct cairn_mount_stats *stats, const struct cairn_ioc_stats *from)
{
	if (from->version != CAIRN_STATS_VERSION || from->count > CAIRN_STATS_MAX)
		return -EPROTO;
	for (unsigned int i = 0; i < from->count; i++)
		if (!is_name(from->stat[i].name))
			return -EPROTO;
	memcpy(stats->figure, from->stat, from->count * sizeof(*from->stat));
	stats->figure_count = from->count;
	return 0;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

int cairn_mount_stats_spread(struct cairn_mount_stats *stats, const struct cairn_ioc_spread *from)
{
	struct cairn_mount_spread *to = &stats->spread[stats->spread_count];

	if (from->version != CAIRN_STATS_VERSION || !is_name(from->name) ||
	    stats->spread_count == CAIRN_STATS_SPREADS)
		return -EPROTO;
	memcpy(to->name, from->name, sizeof(to->name));
	to->count = from->begun;
	to->under_way = less(from->begun, from->values.count);
	to->values = from->values;
	stats->spread_count++;
	return 0;
}

void cairn_mount_stats_since(struct cairn_mount_stats *now, const struct cairn_mount_stats *before)
{
	static const char uptime[] = "process.uptime";

	if (before->info.pid != now->info.pid ||
	    cairn_mount_stats_value(before, uptime) > cairn_mount_stats_value(now, uptime))
		return;
	for (unsigned int i = 0; i < now->figure_count; i++) {
		struct cairn_stat *stat = &now->figure[i];

		if (!stat->is_level)
			stat->value =
				less(stat->value, cairn_mount_stats_value(before, stat->name));
	}
	for (unsigned int i = 0; i < now->spread_count; i++) {
		struct cairn_mount_spread *to = &now->spread[i];
		const struct cairn_mount_spread *from = cairn_mount_stats_find(before, to->name);

		if (!from)
			continue;
		to->count = less(to->count, from->count);
		cairn_distribution_since(&to->values, &from->values);
	}
}

uint64_t cairn_mount_stats_value(const struct cairn_mount_stats *stats, const char *name)
{
	for (unsigned int i = 0; i < stats->figure_count; i++)
		if (strcmp(stats->figure[i].name, name) == 0)
			return stats->figure[i].value;
	return 0;
}

const struct cairn_mount_spread *cairn_mount_stats_find(const struct cairn_mount_stats *stats,
							const char *name)
{
	for (unsigned int i = 0; i < stats->spread_count; i++)
		if (strcmp(stats->spread[i].name, name) == 0)
			return &stats->spread[i];
	return NULL;
}
