/* What a mount says about itself: nonsense is refused, and what grew between two answers is told.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "mount/stats.h"

static struct cairn_ioc_stats figures;
static struct cairn_ioc_spread spread;
static struct cairn_mount_stats stats, before;

static void add_figure(const char *name, bool is_level, uint64_t value)
{
	struct cairn_stat *stat = &figures.stat[figures.count++];

	strcpy(stat->name, name);
	stat->is_level = is_level;
	stat->value = value;
}

static void setup(void)
{
	figures.version = CAIRN_STATS_VERSION;
	add_figure("process.uptime", false, 1000);
	add_figure("group.level", true, 7);
	add_figure("group.counter", false, 50);
	spread.version = CAIRN_STATS_VERSION;
	strcpy(spread.name, "requests.read");
	spread.begun = 3;
	spread.values.count = 2;
	spread.values.bucket[5] = 2;
	spread.values.sum = 10;
	spread.values.max = 5;
}

TestSuite(stats_answer, .init = setup);

Test(stats_answer, a_proper_answer_is_taken_in)
{
	const struct cairn_mount_spread *read;

	cr_assert_eq(cairn_mount_stats_figures(&stats, &figures), 0);
	cr_assert_eq(cairn_mount_stats_spread(&stats, &spread), 0);
	cr_expect_eq(cairn_mount_stats_value(&stats, "group.level"), 7);
	cr_expect_eq(cairn_mount_stats_value(&stats, "group.counter"), 50);
	read = cairn_mount_stats_find(&stats, "requests.read");
	cr_assert(read);
	cr_expect_eq(read->count, 3);
	cr_expect_eq(read->under_way, 1);
	cr_expect_eq(cairn_distribution_percentile(&read->values, 50), 5);
}

Test(stats_answer, a_name_that_is_not_there_is_nothing)
{
	cr_assert_eq(cairn_mount_stats_figures(&stats, &figures), 0);
	cr_expect_eq(cairn_mount_stats_value(&stats, "group"), 0);
	cr_expect_eq(cairn_mount_stats_value(&stats, "group.level2"), 0);
	cr_expect_null(cairn_mount_stats_find(&stats, "requests.read"));
}

Test(stats_answer, another_version_is_refused)
{
	figures.version++;
	spread.version++;
	cr_expect_eq(cairn_mount_stats_figures(&stats, &figures), -EPROTO);
	cr_expect_eq(cairn_mount_stats_spread(&stats, &spread), -EPROTO);
	figures.version = spread.version = 0;
	cr_expect_eq(cairn_mount_stats_figures(&stats, &figures), -EPROTO);
	cr_expect_eq(cairn_mount_stats_spread(&stats, &spread), -EPROTO);
	cr_expect_eq(stats.figure_count, 0);
	cr_expect_eq(stats.spread_count, 0);
}

Test(stats_answer, more_figures_than_fit_are_refused)
{
	figures.count = CAIRN_STATS_MAX;
	for (unsigned int i = 0; i < figures.count; i++)
		strcpy(figures.stat[i].name, "a.b");
	cr_expect_eq(cairn_mount_stats_figures(&stats, &figures), 0);
	figures.count = CAIRN_STATS_MAX + 1;
	cr_expect_eq(cairn_mount_stats_figures(&stats, &figures), -EPROTO);
	figures.count = UINT32_MAX;
	cr_expect_eq(cairn_mount_stats_figures(&stats, &figures), -EPROTO);
}

Test(stats_answer, more_spreads_than_fit_are_refused)
{
	for (unsigned int i = 0; i < CAIRN_STATS_SPREADS; i++)
		cr_assert_eq(cairn_mount_stats_spread(&stats, &spread), 0);
	cr_expect_eq(cairn_mount_stats_spread(&stats, &spread), -EPROTO);
	cr_expect_eq(stats.spread_count, CAIRN_STATS_SPREADS);
}

static void expect_refused(const char *name, size_t size)
{
	memset(figures.stat[1].name, 0, CAIRN_STATS_NAME_MAX);
	memset(spread.name, 0, CAIRN_STATS_NAME_MAX);
	memcpy(figures.stat[1].name, name, size);
	memcpy(spread.name, name, size);
	cr_expect_eq(cairn_mount_stats_figures(&stats, &figures), -EPROTO, "'%s'", name);
	cr_expect_eq(cairn_mount_stats_spread(&stats, &spread), -EPROTO, "'%s'", name);
}

Test(stats_answer, names_that_no_terminal_should_see_are_refused)
{
	char endless[CAIRN_STATS_NAME_MAX];

	expect_refused("", 0);
	expect_refused("a b", 3);
	expect_refused("\033[2J", 4);
	expect_refused("a\n", 2);
	expect_refused("UPPER", 5);
	expect_refused("\xff", 1);
	memset(endless, 'a', sizeof(endless)); /* and no NUL behind it */
	expect_refused(endless, sizeof(endless));
}

Test(stats_answer, more_ended_than_begun_is_none_under_way)
{
	spread.begun = 1;
	cr_assert_eq(cairn_mount_stats_spread(&stats, &spread), 0);
	cr_expect_eq(stats.spread[0].under_way, 0);
}

/* A first answer in `before`, then one in `stats` with more of everything. */
static void answer_twice(void)
{
	cr_assert_eq(cairn_mount_stats_figures(&before, &figures), 0);
	cr_assert_eq(cairn_mount_stats_spread(&before, &spread), 0);
	figures.stat[0].value += 500;
	figures.stat[1].value += 2;
	figures.stat[2].value += 30;
	spread.begun += 10;
	spread.values.count += 9;
	spread.values.bucket[8] += 9;
	spread.values.sum += 72;
	spread.values.max = 8;
	cr_assert_eq(cairn_mount_stats_figures(&stats, &figures), 0);
	cr_assert_eq(cairn_mount_stats_spread(&stats, &spread), 0);
	before.info.pid = stats.info.pid = 1;
}

static void expect_change(void)
{
	cr_expect_eq(cairn_mount_stats_value(&stats, "process.uptime"), 500);
	cr_expect_eq(cairn_mount_stats_value(&stats, "group.level"), 9);
	cr_expect_eq(cairn_mount_stats_value(&stats, "group.counter"), 30);
	cr_expect_eq(stats.spread[0].count, 10);
	cr_expect_eq(stats.spread[0].under_way, 2);
	cr_expect_eq(stats.spread[0].values.count, 9);
	cr_expect_eq(cairn_distribution_percentile(&stats.spread[0].values, 1), 8);
}

static void expect_everything(void)
{
	cr_expect_eq(cairn_mount_stats_value(&stats, "process.uptime"), 1500);
	cr_expect_eq(cairn_mount_stats_value(&stats, "group.level"), 9);
	cr_expect_eq(cairn_mount_stats_value(&stats, "group.counter"), 80);
	cr_expect_eq(stats.spread[0].count, 13);
	cr_expect_eq(stats.spread[0].values.count, 11);
}

Test(stats_answer, what_grew_is_told_and_levels_stay)
{
	answer_twice();
	cairn_mount_stats_since(&stats, &before);
	expect_change();
}

Test(stats_answer, figures_are_matched_by_name)
{
	struct cairn_stat moved;

	answer_twice();
	moved = before.figure[0];
	before.figure[0] = before.figure[2];
	before.figure[2] = moved;
	cairn_mount_stats_since(&stats, &before);
	expect_change();
}

Test(stats_answer, nothing_is_taken_away_for_another_process)
{
	answer_twice();
	before.info.pid = 2;
	cairn_mount_stats_since(&stats, &before);
	expect_everything();
}

Test(stats_answer, nothing_is_taken_away_for_a_mount_that_is_younger)
{
	answer_twice();
	before.figure[0].value = 1501;
	cairn_mount_stats_since(&stats, &before);
	expect_everything();
}

Test(stats_answer, nothing_is_taken_away_for_what_was_not_there)
{
	answer_twice();
	strcpy(before.figure[2].name, "group.other");
	strcpy(before.spread[0].name, "requests.other");
	cairn_mount_stats_since(&stats, &before);
	cr_expect_eq(cairn_mount_stats_value(&stats, "group.counter"), 80);
	cr_expect_eq(stats.spread[0].count, 13);
}
