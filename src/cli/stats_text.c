#include "cli/stats_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mount/number.h"
#include "util/macro.h"

#define TEXT_MAX 48

/* Three digits and a unit. */
static const char *duration(uint64_t ns, char text[TEXT_MAX])
{
	static const struct {
		double ns;
		const char *name;
	} units[] = { { 1e9, "s" }, { 1e6, "ms" }, { 1e3, "us" }, { 1, "ns" } };
	size_t i = 0;
	double value;

	while (i < ARRAY_SIZE(units) - 1 && (double)ns < units[i].ns)
		i++;
	value = (double)ns / units[i].ns;
	snprintf(text, TEXT_MAX, "%.*f %s", value < 10 && i < 3 ? 1 : 0, value, units[i].name);
	return text;
}

static const char *size(uint64_t bytes, char text[TEXT_MAX])
{
	cairn_size_format(bytes, text);
	return text;
}

static const char *number(uint64_t n, char text[TEXT_MAX])
{
	snprintf(text, TEXT_MAX, "%" PRIu64, n);
	return text;
}

/* A number of things, or how many a second. */
static const char *amount(uint64_t n, double seconds, char text[TEXT_MAX])
{
	if (seconds <= 0)
		return number(n, text);
	snprintf(text, TEXT_MAX, "%.*f/s", (double)n / seconds < 10 ? 1 : 0, (double)n / seconds);
	return text;
}

static const char *throughput(uint64_t bytes, double seconds, char text[TEXT_MAX])
{
	if (seconds <= 0)
		return size(bytes, text);
	size((uint64_t)((double)bytes / seconds), text);
	strcat(text, "/s");
	return text;
}

/* One table of distributions, all in the same unit. */
struct table {
	const char *title;
	const char *group; /* what the names of its rows begin with */
	const char *(*unit)(uint64_t value, char text[TEXT_MAX]);
	bool total;
};

static void print_title(const char *title, double seconds)
{
	printf("\n%-16s %10s %10s %10s %10s %10s %10s\n", title, seconds > 0 ? "" : "count", "mean",
	       "p50", "p90", "p99", "max");
}

static void print_row(const struct table *table, const char *name,
		      const struct cairn_mount_spread *spread, double seconds)
{
	const struct cairn_distribution *d = &spread->values;
	const uint64_t column[] = {
		cairn_distribution_mean(d),
		cairn_distribution_percentile(d, 50),
		cairn_distribution_percentile(d, 90),
		cairn_distribution_percentile(d, 99),
		d->max,
	};
	char text[TEXT_MAX];

	printf("%-16s %10s", name, amount(spread->count, seconds, text));
	for (size_t i = 0; i < ARRAY_SIZE(column); i++)
		printf(" %10s", d->count ? table->unit(column[i], text) : "-");
	if (spread->under_way)
		printf("  %" PRIu64 " under way", spread->under_way);
	putchar('\n');
}

static bool is_in(const struct table *table, const struct cairn_mount_spread *spread)
{
	return strncmp(spread->name, table->group, strlen(table->group)) == 0 &&
	       (spread->count || spread->under_way);
}

static void print_table(const struct table *table, const struct cairn_mount_stats *stats,
			double seconds)
{
	uint64_t total = 0;
	char text[TEXT_MAX];

	print_title(table->title, seconds);
	for (unsigned int i = 0; i < stats->spread_count; i++) {
		const struct cairn_mount_spread *spread = &stats->spread[i];

		if (!is_in(table, spread))
			continue;
		print_row(table, spread->name + strlen(table->group), spread, seconds);
		total += spread->count;
	}
	if (table->total)
		printf("%-16s %10s\n", "total", amount(total, seconds, text));
}

static void print_spread(const char *label, const struct table *table, const char *name,
			 const struct cairn_mount_stats *stats, double seconds)
{
	const struct cairn_mount_spread *spread = cairn_mount_stats_find(stats, name);

	if (spread && (spread->count || spread->under_way))
		print_row(table, label, spread, seconds);
}

static void print_writer(const struct cairn_mount_stats *stats, double seconds)
{
	static const struct table times = { .unit = duration }, sizes = { .unit = size },
				  numbers = { .unit = number };
	char text[TEXT_MAX];

	print_title("writer", seconds);
	print_spread("commit", &times, "writer.commit", stats, seconds);
	print_spread("- inodes", &numbers, "writer.batch_inodes", stats, seconds);
	print_spread("- memory", &sizes, "writer.batch_bytes", stats, seconds);
	print_spread("sync", &times, "writer.sync", stats, seconds);
	print_spread("checkpoint", &times, "store.checkpoint", stats, seconds);
	print_spread("wait for room", &times, "writer.throttle", stats, seconds);
	printf("%-16s %10s\n", "wait for sync",
	       amount(cairn_mount_stats_value(stats, "writer.sync_callers"), seconds, text));
}

static void print_header(const char *directory, const struct cairn_mount_stats *stats,
			 double seconds)
{
	uint64_t up = cairn_mount_stats_value(stats, "process.uptime") / 1000000000U;
	char resident[TEXT_MAX], peak[TEXT_MAX];

	printf("%-11s%s\n", "workspace", stats->info.workspace);
	printf("%-11son %s by process %d, ", "mounted", directory, stats->info.pid);
	if (seconds > 0)
		printf("in the last %.1f s\n", seconds);
	else
		printf("for %" PRIu64 ":%02" PRIu64 ":%02" PRIu64 "\n", up / 3600, up / 60 % 60,
		       up % 60);
	printf("%-11s%s, at most %s; %" PRIu64 " threads\n", "memory",
	       size(cairn_mount_stats_value(stats, "process.resident"), resident),
	       size(cairn_mount_stats_value(stats, "process.resident_peak"), peak),
	       cairn_mount_stats_value(stats, "process.threads"));
}

static void print_caches(const struct cairn_mount_stats *stats, double seconds)
{
	char a[TEXT_MAX], b[TEXT_MAX], c[TEXT_MAX];

#define VALUE(name)        cairn_mount_stats_value(stats, name)
#define AMOUNT(name, text) amount(VALUE(name), seconds, text)
	printf("%-11s%" PRIu64 " in core (%" PRIu64 " idle), %" PRIu64
	       " known to the kernel; %s found, %s not\n",
	       "inodes", VALUE("cache.inodes"), VALUE("cache.inodes_idle"), VALUE("cache.pinned"),
	       AMOUNT("cache.inode_hits", a), AMOUNT("cache.inode_misses", b));
	printf("%-11s%s answered from batches, %s from the store; %s absent\n", "names",
	       AMOUNT("cache.entries_batched", a), AMOUNT("cache.entries_stored", b),
	       AMOUNT("cache.entries_absent", c));
	printf("%-11s%s in memory; %s built\n", "listings", size(VALUE("cache.listing_bytes"), a),
	       AMOUNT("cache.listings_built", b));
	if (VALUE("cache.dropped"))
		printf("%-11s%s, as another process changed files\n", "dropped",
		       AMOUNT("cache.dropped", a));
}

static void print_store(const struct cairn_mount_stats *stats, double seconds)
{
	uint64_t trouble = VALUE("writer.trouble");
	char a[TEXT_MAX], b[TEXT_MAX], c[TEXT_MAX];

	printf("%-11s%s read, %s written; %s of %" PRIu64 " inodes to be committed\n", "data",
	       throughput(VALUE("data.read"), seconds, a),
	       throughput(VALUE("data.written"), seconds, b), size(VALUE("writer.dirty_bytes"), c),
	       VALUE("writer.dirty_inodes"));
	printf("%-11s%s in use, log %s\n", "database", size(VALUE("store.used"), a),
	       size(VALUE("store.wal_size"), b));
	printf("%-11s%s to read (%s rows), %s to write\n", "statements",
	       AMOUNT("store.read_statements", a), AMOUNT("store.rows_read", b),
	       AMOUNT("store.write_statements", c));
	printf("%-11s%" PRIu64 " open, %" PRIu64 " in use, at most %" PRIu64 "\n", "readers",
	       VALUE("readers.open"), VALUE("readers.in_use"), VALUE("readers.in_use_peak"));
	printf("%-11s%s retries, %s waited\n", "locks", AMOUNT("store.busy_retries", a),
	       duration(VALUE("store.busy_time"), b));
	if (VALUE("writer.failures"))
		printf("%-11s%s attempts to write failed\n", "failures",
		       AMOUNT("writer.failures", a));
	if (trouble)
		printf("%-11snothing can be written: %s\n", "trouble", strerror((int)trouble));
#undef AMOUNT
#undef VALUE
}

void cairn_stats_print(const char *directory, const struct cairn_mount_stats *stats, double seconds)
{
	static const struct table requests = {
		.title = "request", .group = "requests.", .unit = duration, .total = true
	};

	print_header(directory, stats, seconds);
	print_caches(stats, seconds);
	print_store(stats, seconds);
	print_table(&requests, stats, seconds);
	print_writer(stats, seconds);
}
