/* What the core counts: that each figure moves with what it is about, and with nothing else. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "core_fixture.h"
#include "store/sql.h"

/* Commits come when they are asked for: the first numbers, which bring a commit or two, are here
 * before the tests begin. */
static void open_quietly(bool faulty)
{
	cf_setup();
	cf.faulty = faulty;
	cf.options.commit_interval_ms = 1U << 30;
	cf_make();
	cf_open();
	cf_file(CF_ROOT, "first");
	cf_settle();
}

static void setup(void)
{
	open_quietly(true);
}

/* Without a store in between, which counts for itself. */
static void setup_plain(void)
{
	open_quietly(false);
}

TestSuite(core_stats, .init = setup, .fini = cf_teardown);
TestSuite(store_stats, .init = setup_plain, .fini = cf_teardown);

static uint64_t counter(unsigned int which)
{
	return cairn_stats_counter(cairn_core_stats(cf.core), which);
}

static struct cairn_distribution spread(unsigned int which, uint64_t *ret_begun)
{
	struct cairn_distribution d;

	cairn_stats_spread(cairn_core_stats(cf.core), which, &d, ret_begun);
	return d;
}

static uint64_t count_of(unsigned int which)
{
	uint64_t begun;

	return spread(which, &begun).count;
}

struct wanted {
	const char *name;
	uint64_t value;
	bool found;
};

static void look_for(void *arg, const char *name, uint64_t value)
{
	struct wanted *wanted = arg;

	if (strcmp(name, wanted->name) != 0)
		return;
	wanted->value = value;
	wanted->found = true;
}

static uint64_t level(const char *name)
{
	struct wanted wanted = { .name = name };

	cairn_core_levels(cf.core, look_for, &wanted);
	cr_assert(wanted.found, "no level '%s'", name);
	return wanted.value;
}

#define adds(figure, n, expr)                                                                      \
	do {                                                                                       \
		uint64_t before_ = figure, added_;                                                 \
		expr;                                                                              \
		added_ = figure - before_;                                                         \
		cr_expect_eq(added_, (n), "%s: %s grew by %lu, not %lu", #expr, #figure,           \
			     (unsigned long)added_, (unsigned long)(n));                           \
	} while (0)

Test(core_stats, every_figure_has_a_name)
{
	const struct cairn_stats_names *const names[] = { &cairn_core_stats_names,
							  &cairn_sql_stats_names };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		for (unsigned int j = 0; j < names[i]->counter_count; j++)
			cr_expect(names[i]->counter[j] && strchr(names[i]->counter[j], '.'));
		for (unsigned int j = 0; j < names[i]->spread_count; j++)
			cr_expect(names[i]->spread[j] && strchr(names[i]->spread[j], '.'));
	}
}

Test(core_stats, inodes_in_core_are_found_and_others_missed)
{
	uint64_t ino = cf_file(CF_ROOT, "a");
	struct cairn_attr attr;

	cf_reopen();
	adds(counter(CAIRN_COUNT_INODE_MISSED), 1, cairn_core_getattr(cf.core, ino, &attr));
	adds(counter(CAIRN_COUNT_INODE_FOUND), 1, cairn_core_getattr(cf.core, ino, &attr));
	adds(counter(CAIRN_COUNT_INODE_MISSED), 0, cairn_core_getattr(cf.core, ino, &attr));
}

Test(core_stats, names_are_told_by_who_knew_them)
{
	struct cairn_attr attr;

	cf_file(CF_ROOT, "a");
	adds(counter(CAIRN_COUNT_ENTRY_BATCHED), 1, cf_lookup(CF_ROOT, "a", &attr));
	cf_settle();
	adds(counter(CAIRN_COUNT_ENTRY_BATCHED), 0, cf_lookup(CF_ROOT, "a", &attr));
	adds(counter(CAIRN_COUNT_ENTRY_ABSENT), 0, cf_lookup(CF_ROOT, "a", &attr));
	adds(counter(CAIRN_COUNT_ENTRY_ABSENT), 1, cf_lookup(CF_ROOT, "b", &attr));
}

Test(core_stats, names_that_no_batch_knows_are_asked_for)
{
	struct cairn_attr attr;

	cf_file(CF_ROOT, "a");
	cf_reopen();
	adds(counter(CAIRN_COUNT_ENTRY_STORED), 1, cf_lookup(CF_ROOT, "a", &attr));
}

Test(core_stats, a_listing_is_built_once)
{
	adds(counter(CAIRN_COUNT_LISTING_BUILT), 1, cf_count(CF_ROOT));
	adds(counter(CAIRN_COUNT_LISTING_BUILT), 0, cf_count(CF_ROOT));
	cr_expect_gt(level("cache.listing_bytes"), 0);
}

Test(core_stats, bytes_of_files_are_counted_as_far_as_there_are_any)
{
	uint64_t ino = cf_file(CF_ROOT, "a");
	char buf[100];

	adds(counter(CAIRN_COUNT_WRITTEN_BYTES), 4, cf_write_text(ino, "four"));
	adds(counter(CAIRN_COUNT_READ_BYTES), 4, cairn_core_read(cf.core, ino, buf, 100, 0));
	adds(counter(CAIRN_COUNT_READ_BYTES), 0, cairn_core_read(cf.core, ino, buf, 100, 4));
	adds(counter(CAIRN_COUNT_WRITTEN_BYTES), 0, cf_write_text(CF_ROOT, "four"));
}

Test(core_stats, a_commit_tells_how_much_it_held)
{
	struct cairn_distribution commits, inodes, bytes;
	uint64_t begun, dirty;

	commits = spread(CAIRN_SPREAD_COMMIT, &begun);
	inodes = spread(CAIRN_SPREAD_BATCH_INODES, &begun);
	bytes = spread(CAIRN_SPREAD_BATCH_BYTES, &begun);
	cf_file(CF_ROOT, "a");
	cf_file(CF_ROOT, "b");
	cr_expect_eq(level("writer.dirty_inodes"), 3, "two files and their directory");
	dirty = level("writer.dirty_bytes");
	cr_expect_gt(dirty, 0);
	cf_settle();
	cr_expect_eq(spread(CAIRN_SPREAD_BATCH_BYTES, &begun).sum, bytes.sum + dirty);
	cr_expect_eq(spread(CAIRN_SPREAD_BATCH_INODES, &begun).sum, inodes.sum + 3);
	cr_expect_eq(spread(CAIRN_SPREAD_COMMIT, &begun).count, commits.count + 1);
	cr_expect_eq(begun, commits.count + 1);
	cr_expect_gt(spread(CAIRN_SPREAD_COMMIT, &begun).max, 0);
	cr_expect_eq(level("writer.dirty_inodes"), 0);
	cr_expect_eq(level("writer.dirty_bytes"), 0);
}

static void *fsync_thread(void *arg)
{
	return (void *)(intptr_t)cairn_core_fsync(cf.core, *(uint64_t *)arg);
}

Test(core_stats, callers_that_share_a_sync_are_counted_each)
{
	enum { COUNT = 4 };
	uint64_t ino[COUNT], syncs = count_of(CAIRN_SPREAD_SYNC);
	pthread_t threads[COUNT];
	void *r;

	cf_hold_commit();
	for (int i = 0; i < COUNT; i++) {
		ino[i] = cf_file(CF_ROOT, (char[]){ (char)('a' + i), 0 });
		pthread_create(&threads[i], NULL, fsync_thread, &ino[i]);
	}
	while (counter(CAIRN_COUNT_SYNC_CALLERS) < COUNT)
		usleep(1000);
	cf_let_go();
	for (int i = 0; i < COUNT; i++) {
		pthread_join(threads[i], &r);
		cr_assert_null(r);
	}
	cr_expect_eq(counter(CAIRN_COUNT_SYNC_CALLERS), COUNT);
	cr_expect_gt(count_of(CAIRN_SPREAD_SYNC), syncs);
	cr_expect_lt(count_of(CAIRN_SPREAD_SYNC), syncs + COUNT);
}

static void *write_thread(void *arg)
{
	return (void *)(intptr_t)cf_write_text(*(uint64_t *)arg, "more");
}

Test(core_stats, who_waits_for_room_is_under_way)
{
	static char block[CAIRN_MAX_DIRTY_LEAST];
	uint64_t ino, begun;
	pthread_t thread;
	void *r;

	cr_assert_eq(cf_close(), 0);
	cf.options.max_dirty = CAIRN_MAX_DIRTY_LEAST;
	cf_open();
	ino = cf_file(CF_ROOT, "a");
	cf_hold_commit();
	cr_assert_eq(cf_write(ino, block, sizeof(block), 0), 0);
	cr_assert_eq(count_of(CAIRN_SPREAD_THROTTLE), spread(CAIRN_SPREAD_THROTTLE, &begun).count);
	pthread_create(&thread, NULL, write_thread, &ino);
	while (spread(CAIRN_SPREAD_THROTTLE, &begun).count == begun)
		usleep(1000);
	cr_expect_eq(spread(CAIRN_SPREAD_THROTTLE, &begun).count + 1, begun);
	cf_let_go();
	pthread_join(thread, &r);
	cr_assert_null(r);
	cr_expect_eq(spread(CAIRN_SPREAD_THROTTLE, &begun).count, begun);
}

Test(core_stats, trouble_is_told_while_it_lasts)
{
	uint64_t ino = cf_file(CF_ROOT, "a"), failures;

	cf_settle();
	failures = counter(CAIRN_COUNT_FAILURES);
	cr_expect_eq(level("writer.trouble"), 0);
	cf_write_text(ino, "text");
	fault_store_fail(cf.fault, FAULT_BIT(FAULT_COMMIT), 1, -ENOSPC, true);
	cr_assert_eq(cairn_core_fsync(cf.core, ino), -ENOSPC);
	cr_expect_eq(level("writer.trouble"), ENOSPC);
	cr_expect_gt(counter(CAIRN_COUNT_FAILURES), failures);
	fault_store_clear(cf.fault);
	cr_assert_eq(cairn_core_fsync(cf.core, ino), 0);
	cr_expect_eq(level("writer.trouble"), 0);
}

Test(core_stats, a_reader_that_does_not_open_is_in_nobodys_use)
{
	uint64_t ino = cf_file(CF_ROOT, "a");
	struct cairn_attr attr;

	cf_reopen();
	while (level("readers.in_use") > 0) /* the writer looks at the space */
		usleep(1000);
	cr_expect_gt(level("readers.in_use_peak"), 0);
	cr_assert_eq(cairn_core_getattr(cf.core, ino, &attr), 0);
	cr_expect_gt(level("readers.open"), 0);
	cr_expect_eq(level("readers.in_use"), 0);
}

Test(core_stats, inodes_in_core_and_pinned_are_levels)
{
	uint64_t pinned = level("cache.pinned"), ino = cf_file(CF_ROOT, "a");

	cr_expect_eq(level("cache.pinned"), pinned + 1);
	cr_expect_geq(level("cache.inodes"), 2);
	cr_expect_lt(level("cache.inodes_idle"), level("cache.inodes"), "changed ones are in use");
	cf_settle();
	cr_expect_eq(level("cache.inodes_idle"), level("cache.inodes"));
	cairn_core_forget(cf.core, ino, 1);
	cr_expect_eq(level("cache.pinned"), pinned);
}

Test(core_stats, changes_of_others_drop_what_is_in_core)
{
	cf_file(CF_ROOT, "a");
	cf_settle();
	adds(counter(CAIRN_COUNT_DROPPED), 0, cairn_core_refresh(cf.core));
	cf_sql(cf.db, "UPDATE fs_inode SET mtime = 1");
	adds(counter(CAIRN_COUNT_DROPPED), 1, cairn_core_refresh(cf.core));
}

static uint64_t stored(unsigned int which)
{
	return cairn_stats_counter(cairn_core_store_stats(cf.core), which);
}

Test(store_stats, statements_and_rows_are_counted)
{
	struct cairn_attr attr;
	uint64_t ino, writes;

	writes = stored(CAIRN_SQL_WRITES);
	ino = cf_file(CF_ROOT, "a");
	cf_settle();
	cr_expect_geq(stored(CAIRN_SQL_WRITES), writes + 5,
		      "begin, two inodes, an entry and commit");
	cf_reopen();
	cairn_core_refresh(
		cf.core); /* the writer looks for others at its beginning: that counts, too */
	cf_lookup(CF_ROOT, "nothing", &attr); /* the root is in core then */
	adds(stored(CAIRN_SQL_READS), 1, cairn_core_getattr(cf.core, ino, &attr));
	adds(stored(CAIRN_SQL_READS), 0, cairn_core_getattr(cf.core, ino, &attr));
	adds(stored(CAIRN_SQL_ROWS), 1, cf_lookup(CF_ROOT, "a", &attr));
	adds(stored(CAIRN_SQL_ROWS), 0, cf_lookup(CF_ROOT, "nothing", &attr));
}

Test(store_stats, the_log_has_its_size)
{
	cf_file(CF_ROOT, "a");
	cf_settle();
	cr_expect_gt(level("store.wal_size"), 4096);
	cr_expect_gt(level("store.used"), 4096);
}
