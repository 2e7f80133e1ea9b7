/* cairnfs stats: what a live mount has done since it was mounted. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "mount/control.h"
#include "mount/json.h"
#include "mount/number.h"

struct stats_args {
	struct cairn_cli_args args;
	bool json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct stats_args *in = state->input;

	if (key == 'j') {
		in->json = true;
		return 0;
	}
	return cairn_cli_parse_common(key, arg, state, &in->args);
}

static const struct argp_option option_table[] = {
	{ "json", 'j', NULL, 0, "Print one JSON object; times are nanoseconds, sizes bytes", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.args_doc = "DIR",
	.children = cairn_cli_help,
	.doc = "Tell what the mount on DIR has done since it was mounted: the requests of the "
	       "kernel by kind and how long their answers took.\vThe user who mounted may ask, and "
	       "root.",
};

static int say_failure(const char *directory, int r)
{
	switch (r) {
	case -ENOTTY:
		return cairn_cli_fail("%s is not the root of a cairnfs mount; cairnfs list shows "
				      "those there are",
				      directory);
	case -ENOTCONN:
		return cairn_cli_fail("the process that served %s is gone; remove the mount with "
				      "cairnfs umount %s",
				      directory, directory);
	case -ETIMEDOUT:
		return cairn_cli_fail("the process that serves %s does not answer; its log may say "
				      "why",
				      directory);
	case -EPROTO:
		return cairn_cli_fail("%s is served by another version of cairnfs, whose "
				      "statistics this one cannot read; ask with that version, or "
				      "mount again",
				      directory);
	case -EACCES:
		return cairn_cli_fail("the statistics of %s are for the user who mounted it and "
				      "for root",
				      directory);
	default:
		return cairn_cli_fail("%s: %s", directory, strerror(-r));
	}
}

/* The object that holds the figure, made if need be: of "cache.hits" the one called "cache".
 * `*ret_name` is the rest. */
static json_t *group_of(json_t *root, const char *name, const char **ret_name)
{
	size_t len = strcspn(name, ".");
	char group[CAIRN_STATS_NAME_MAX] = "";
	json_t *object;

	memcpy(group, name, len);
	*ret_name = name[len] ? name + len + 1 : name;
	object = json_object_get(root, group);
	if (!object) {
		json_object_set_new(root, group, json_object());
		object = json_object_get(root, group);
	}
	return object;
}

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)MIN(value, (uint64_t)INT64_MAX));
}

static json_t *distribution_json(const struct cairn_ioc_histogram *histogram)
{
	const struct cairn_distribution *d = &histogram->values;
	json_t *object = json_object();

	json_object_set_new(object, "count", number(histogram->begun));
	json_object_set_new(object, "under_way", number(histogram->begun - d->count));
	json_object_set_new(object, "sum", number(d->sum));
	json_object_set_new(object, "mean", number(cairn_distribution_mean(d)));
	json_object_set_new(object, "p50", number(cairn_distribution_percentile(d, 50)));
	json_object_set_new(object, "p90", number(cairn_distribution_percentile(d, 90)));
	json_object_set_new(object, "p99", number(cairn_distribution_percentile(d, 99)));
	json_object_set_new(object, "max", number(d->max));
	return object;
}

static int print_json(const char *directory, const struct cairn_mount_stats *stats)
{
	json_t *root = json_object(), *group;
	const char *name;

	json_object_set_new(root, "version", number(stats->stats.version));
	json_object_set_new(root, "directory", cairn_json_text(directory));
	json_object_set_new(root, "workspace", cairn_json_text(stats->info.workspace));
	json_object_set_new(root, "pid", json_integer(stats->info.pid));
	for (unsigned int i = 0; i < stats->stats.count; i++) {
		group = group_of(root, stats->stats.stat[i].name, &name);
		json_object_set_new(group, name, number(stats->stats.stat[i].value));
	}
	for (unsigned int i = 0; i < stats->histogram_count; i++) {
		group = group_of(root, stats->histogram[i].name, &name);
		json_object_set_new(group, name, distribution_json(&stats->histogram[i]));
	}
	return cairn_cli_print_json(root);
}

/* A figure by its name; 0 where the other side has none. */
static uint64_t figure(const struct cairn_mount_stats *stats, const char *name)
{
	for (unsigned int i = 0; i < stats->stats.count; i++)
		if (strcmp(stats->stats.stat[i].name, name) == 0)
			return stats->stats.stat[i].value;
	return 0;
}

#define DURATION_TEXT_MAX 32

/* Three digits and a unit. */
static void format_duration(uint64_t ns, char ret_text[DURATION_TEXT_MAX])
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
	snprintf(ret_text, DURATION_TEXT_MAX, "%.*f %s", value < 10 && i < 3 ? 1 : 0, value,
		 units[i].name);
}

static void print_header(const char *directory, const struct cairn_mount_stats *stats)
{
	char resident[CAIRN_SIZE_TEXT_MAX], peak[CAIRN_SIZE_TEXT_MAX];
	uint64_t seconds = figure(stats, "process.uptime") / 1000000000U;

	cairn_size_format(figure(stats, "process.resident"), resident);
	cairn_size_format(figure(stats, "process.resident_peak"), peak);
	printf("workspace  %s\n", stats->info.workspace);
	printf("mounted    on %s by process %d, for %" PRIu64 ":%02" PRIu64 ":%02" PRIu64 "\n",
	       directory, stats->info.pid, seconds / 3600, seconds / 60 % 60, seconds % 60);
	printf("memory     %s, at most %s; %" PRIu64 " threads\n", resident, peak,
	       figure(stats, "process.threads"));
}

static void print_row(const char *name, uint64_t count, const struct cairn_distribution *d)
{
	uint64_t column[] = {
		cairn_distribution_mean(d),
		cairn_distribution_percentile(d, 50),
		cairn_distribution_percentile(d, 90),
		cairn_distribution_percentile(d, 99),
		d->max,
	};
	char text[DURATION_TEXT_MAX];

	printf("%-16s %10" PRIu64, name, count);
	for (size_t i = 0; i < ARRAY_SIZE(column); i++) {
		format_duration(column[i], text);
		printf(" %9s", text);
	}
	putchar('\n');
}

static void print_requests(const struct cairn_mount_stats *stats)
{
	static const char group[] = "requests.";
	uint64_t total = 0;

	printf("\n%-16s %10s %9s %9s %9s %9s %9s\n", "request", "count", "mean", "p50", "p90",
	       "p99", "max");
	for (unsigned int i = 0; i < stats->histogram_count; i++) {
		const struct cairn_ioc_histogram *histogram = &stats->histogram[i];

		if (strncmp(histogram->name, group, strlen(group)) != 0 || histogram->begun == 0)
			continue;
		print_row(histogram->name + strlen(group), histogram->begun, &histogram->values);
		total += histogram->begun;
	}
	printf("%-16s %10" PRIu64 "\n", "total", total);
}

int cairn_cmd_stats(int argc, char **argv)
{
	struct stats_args in = { .args = {
					 .command = "cairnfs stats", .names = "DIR", .want = 1 } };
	_cleanup_(cairn_freep) struct cairn_mount_stats *stats = malloc(sizeof(*stats));
	int r;

	r = cairn_cli_parse(&argp, argc, argv, &in);
	if (r != 0)
		return r;
	if (!stats)
		return cairn_cli_fail("out of memory");
	r = cairn_control_stats(in.args.value[0], stats);
	if (r < 0)
		return say_failure(in.args.value[0], r);
	if (in.json)
		return print_json(in.args.value[0], stats);
	print_header(in.args.value[0], stats);
	print_requests(stats);
	return 0;
}
