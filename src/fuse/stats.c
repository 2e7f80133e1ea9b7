/* The figures of a mount, collected when somebody asks. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "fuse/internal.h"
#include "fuse/stats.h"
#include "util/clock.h"
#include "util/macro.h"

static void add(struct cairn_ioc_stats *stats, const char *name, bool is_level, uint64_t value)
{
	struct cairn_stat *stat = &stats->stat[stats->count];

	if (stats->count == CAIRN_STATS_MAX)
		return;
	strncpy(stat->name, name, sizeof(stat->name) - 1);
	stat->is_level = is_level;
	stat->value = value;
	stats->count++;
}

static void add_level(void *arg, const char *name, uint64_t value)
{
	add(arg, name, true, value);
}

static void file_closep(FILE **file)
{
	if (*file)
		fclose(*file);
}

/* What the kernel counts for this process, proc(5). */
static void add_process(struct cairn_ioc_stats *stats)
{
	static const struct {
		const char *format;
		const char *name;
		uint64_t unit;
	} lines[] = {
		{ "VmRSS: %" SCNu64 " kB", "process.resident", 1024 },
		{ "VmHWM: %" SCNu64 " kB", "process.resident_peak", 1024 },
		{ "Threads: %" SCNu64, "process.threads", 1 },
	};
	_cleanup_(file_closep) FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	uint64_t value;

	while (file && fgets(line, sizeof(line), file)) {
		for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
			if (sscanf(line, lines[i].format, &value) == 1)
				add_level(stats, lines[i].name, value * lines[i].unit);
	}
}

/* Whoever counts in this mount; NULL behind the last. */
static const struct cairn_stats *source(const struct cairn_session *session, unsigned int i)
{
	const struct cairn_stats *const sources[] = {
		&session->loop.requests,
		cairn_core_stats(session->core),
		cairn_core_store_stats(session->core),
	};

	return i < ARRAY_SIZE(sources) ? sources[i] : NULL;
}

void cairn_session_stats(struct cairn_session *session, struct cairn_ioc_stats *ret)
{
	const struct cairn_stats *stats;

	*ret = (struct cairn_ioc_stats){ .version = CAIRN_STATS_VERSION };
	add(ret, "process.uptime", false, cairn_mono_ns() - session->since);
	add_process(ret);
	cairn_core_levels(session->core, add_level, ret);
	for (unsigned int i = 0; (stats = source(session, i)); i++)
		for (unsigned int j = 0; j < stats->names->counter_count; j++)
			add(ret, stats->names->counter[j], false, cairn_stats_counter(stats, j));
}

int cairn_session_spread(struct cairn_session *session, const struct cairn_ioc_spread *which,
			 struct cairn_ioc_spread *ret)
{
	const struct cairn_stats *stats;
	unsigned int index = which->index;

	if (which->version != CAIRN_STATS_VERSION)
		return -EPROTO;
	for (unsigned int i = 0; (stats = source(session, i)); i++) {
		if (index < stats->names->spread_count)
			break;
		index -= stats->names->spread_count;
	}
	if (!stats)
		return -ENXIO;
	*ret = (struct cairn_ioc_spread){
		.version = CAIRN_STATS_VERSION,
		.index = which->index,
	};
	strncpy(ret->name, stats->names->spread[index], sizeof(ret->name) - 1);
	cairn_stats_spread(stats, index, &ret->values, &ret->begun);
	return 0;
}
