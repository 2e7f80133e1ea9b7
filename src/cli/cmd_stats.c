/* cairnfs stats: what a live mount has done since it was mounted. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/stats_text.h"
#include "mount/control.h"
#include "mount/json.h"
#include "mount/number.h"

#define SECONDS_MAX 86400

struct stats_args {
	struct cairn_cli_args args;
	bool json;
	uint64_t seconds; /* between two looks; 0: look once */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct stats_args *in = state->input;

	switch (key) {
	case 'j':
		in->json = true;
		return 0;
	case 'w':
		in->seconds = 1;
		if (arg && cairn_number_parse(arg, 1, SECONDS_MAX, &in->seconds) < 0)
			return cairn_cli_usage_error(in->args.command,
						     "--watch takes whole seconds from 1 to %d, "
						     "not '%s'",
						     SECONDS_MAX, arg);
		return 0;
	default:
		return cairn_cli_parse_common(key, arg, state, &in->args);
	}
}

static const struct argp_option option_table[] = {
	{ "json", 'j', NULL, 0, "Print one JSON object; times are nanoseconds, sizes bytes", 0 },
	{ "watch", 'w', "SECONDS", OPTION_ARG_OPTIONAL,
	  "Print what happens in each second, or in so many, until interrupted", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.args_doc = "DIR",
	.children = cairn_cli_help,
	.doc = "Tell what the mount on DIR has done since it was mounted: requests of the kernel "
	       "by "
	       "kind and how long their answers took, cache hits, commits, waits, memory.\v"
	       "The user who mounted may ask, and root. With --watch, the figures are those of the "
	       "time since the last look, as rates; with --json as well, one object a line.",
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

static json_t *spread_json(const struct cairn_mount_spread *spread)
{
	const struct cairn_distribution *d = &spread->values;
	json_t *object = json_object();

	json_object_set_new(object, "count", number(spread->count));
	json_object_set_new(object, "under_way", number(spread->under_way));
	json_object_set_new(object, "sum", number(d->sum));
	json_object_set_new(object, "mean", number(cairn_distribution_mean(d)));
	json_object_set_new(object, "p50", number(cairn_distribution_percentile(d, 50)));
	json_object_set_new(object, "p90", number(cairn_distribution_percentile(d, 90)));
	json_object_set_new(object, "p99", number(cairn_distribution_percentile(d, 99)));
	json_object_set_new(object, "max", number(d->max));
	return object;
}

static int print_json(const char *directory, const struct cairn_mount_stats *stats, bool one_line)
{
	json_t *root = json_object(), *group;
	const char *name;

	json_object_set_new(root, "version", number(CAIRN_STATS_VERSION));
	json_object_set_new(root, "directory", cairn_json_text(directory));
	json_object_set_new(root, "workspace", cairn_json_text(stats->info.workspace));
	json_object_set_new(root, "pid", json_integer(stats->info.pid));
	for (unsigned int i = 0; i < stats->figure_count; i++) {
		group = group_of(root, stats->figure[i].name, &name);
		json_object_set_new(group, name, number(stats->figure[i].value));
	}
	for (unsigned int i = 0; i < stats->spread_count; i++) {
		group = group_of(root, stats->spread[i].name, &name);
		json_object_set_new(group, name, spread_json(&stats->spread[i]));
	}
	return one_line ? cairn_cli_print_json_line(root) : cairn_cli_print_json(root);
}

static int ask(const char *directory, struct cairn_mount_stats *ret)
{
	int r = cairn_control_stats(directory, ret);

	return r < 0 ? say_failure(directory, r) : 0;
}

static int show_once(const struct stats_args *in)
{
	_cleanup_(cairn_freep) struct cairn_mount_stats *stats = malloc(sizeof(*stats));
	const char *directory = in->args.value[0];
	int r;

	if (!stats)
		return cairn_cli_fail("out of memory");
	r = ask(directory, stats);
	if (r != 0)
		return r;
	if (in->json)
		return print_json(directory, stats, false);
	cairn_stats_print(directory, stats, 0);
	return 0;
}

/* What came between two readings. A terminal shows the newest alone. */
static int show_change(const struct stats_args *in, struct cairn_mount_stats *now,
		       const struct cairn_mount_stats *before)
{
	const char *directory = in->args.value[0];
	int r = 0;

	cairn_mount_stats_since(now, before);
	if (in->json) {
		r = print_json(directory, now, true);
	} else {
		fputs(isatty(STDOUT_FILENO) ? "\033[H\033[2J" : "", stdout);
		cairn_stats_print(directory, now,
				  (double)cairn_mount_stats_value(now, "process.uptime") / 1e9);
		putchar('\n');
	}
	if (fflush(stdout) != 0)
		return cairn_cli_fail("standard output cannot be written: %m");
	return r;
}

/* The mount is asked anew each time, so that nothing is open in it meanwhile and it can be
 * unmounted. */
static int watch(const struct stats_args *in)
{
	_cleanup_(cairn_freep) struct cairn_mount_stats *readings = calloc(3, sizeof(*readings));
	struct cairn_mount_stats *before, *now, *shown;
	const char *directory = in->args.value[0];
	struct timespec next;
	int r;

	if (!readings)
		return cairn_cli_fail("out of memory");
	before = &readings[0];
	now = &readings[1];
	shown = &readings[2];
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (r = ask(directory, before); r == 0;) {
		struct cairn_mount_stats *swap = before;

		next.tv_sec += (time_t)in->seconds;
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR)
			;
		r = ask(directory, now);
		if (r != 0)
			break;
		*shown = *now;
		r = show_change(in, shown, before);
		before = now;
		now = swap;
	}
	return r;
}

int cairn_cmd_stats(int argc, char **argv)
{
	struct stats_args in = { .args = {
					 .command = "cairnfs stats", .names = "DIR", .want = 1 } };
	int r;

	r = cairn_cli_parse(&argp, argc, argv, &in);
	if (r != 0)
		return r;
	return in.seconds ? watch(&in) : show_once(&in);
}
