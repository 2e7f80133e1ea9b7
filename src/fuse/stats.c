/* The figures of a mount, collected when somebody asks. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fuse/internal.h"
#include "fuse/stats.h"
#include "util/clock.h"
#include "util/macro.h"

static void add(struct cairn_ioc_stats *stats, const char *name, uint64_t value)
{
	struct cairn_stat *stat = &stats->stat[stats->count];

	if (stats->count == CAIRN_STATS_MAX)
		return;
	strncpy(stat->name, name, sizeof(stat->name) - 1);
	stat->value = value;
	stats->count++;
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
				add(stats, lines[i].name, value * lines[i].unit);
	}
}

void cairn_stats_collect(struct cairn_session *session, struct cairn_ioc_stats *ret)
{
	*ret = (struct cairn_ioc_stats){ .version = CAIRN_STATS_VERSION };
	add(ret, "process.uptime", cairn_mono_ns() - session->since);
	add_process(ret);
}

int cairn_stats_histogram(struct cairn_session *session, const struct cairn_ioc_histogram *which,
			  struct cairn_ioc_histogram *ret)
{
	if (which->version != CAIRN_STATS_VERSION)
		return -EPROTO;
	if (which->index >= CAIRN_REQUEST_KINDS)
		return -ENXIO;
	*ret = (struct cairn_ioc_histogram){
		.version = CAIRN_STATS_VERSION,
		.index = which->index,
	};
	snprintf(ret->name, sizeof(ret->name), "requests.%s", cairn_request_name(which->index));
	cairn_meter_read(&session->meter, which->index, &ret->values, &ret->begun);
	return 0;
}
