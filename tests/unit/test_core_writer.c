/* The writer: what is committed when, what waits for it, and what happens when it cannot. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "core_fixture.h"

static void setup(void)
{
	cf_setup();
	cf.faulty = true;
	cf.options.commit_interval_ms = 1U << 30; /* commits are asked for */
	cf_make();
	cf_open();
}

TestSuite(core_writer, .init = setup, .fini = cf_teardown);

static bool stored(const char *name)
{
	char sql[200];

	snprintf(sql, sizeof(sql), "SELECT COUNT(*) FROM fs_dentry WHERE name = '%s'", name);
	return cf_number(cf.db, sql) == 1;
}

static bool absent(const char *name)
{
	return !stored(name);
}

/* The first numbers come with a commit or two; what is made after that waits for its own. */
static void fetch_numbers(void)
{
	cf_mkdir(CF_ROOT, "numbers");
	cf_settle();
}

Test(core_writer, nothing_is_written_before_its_time)
{
	fetch_numbers();
	cf_file(CF_ROOT, "a");
	cr_assert(absent("a"));
	cf_commit();
	cr_assert(stored("a"));
}

Test(core_writer, a_change_is_committed_within_the_interval_by_itself)
{
	cr_assert_eq(cf_close(), 0);
	cf.options.commit_interval_ms = 1;
	cf_open();
	cf_file(CF_ROOT, "a");
	while (cairn_core_dirty(cf.core) > 0)
		usleep(1000);
	cr_assert(stored("a"));
}

Test(core_writer, what_changes_during_a_commit_belongs_to_the_next)
{
	fetch_numbers();
	cf_file(CF_ROOT, "first");
	cf_hold_commit();
	cf_file(CF_ROOT, "second");
	cf_let_go();
	while (!stored("first"))
		usleep(1000);
	cr_assert(absent("second"));
	cf_commit();
	cr_assert(stored("second"));
}

Test(core_writer, an_operation_is_committed_whole)
{
	uint64_t a = cf_mkdir(CF_ROOT, "a"), b = cf_mkdir(CF_ROOT, "b");

	cf_file(a, "moving");
	cf_settle();
	cr_assert_eq(cairn_core_rename(cf.core, a, "moving", b, "moved", 0), 0);
	/* The statement after the first one fails, each time another: all or nothing. */
	for (unsigned int n = 1; n < 5; n++) {
		fault_store_fail(cf.fault, FAULT_WRITES & ~FAULT_BIT(FAULT_BEGIN), n, -EIO, false);
		cairn_core_fsync(cf.core, a);
		cr_assert_eq(stored("moving") + stored("moved"), 1, "at %u", n);
	}
	fault_store_clear(cf.fault);
	cf_commit();
	cr_assert(stored("moved"));
}

Test(core_writer, merged_changes_reach_the_store_once)
{
	uint64_t ino = cf_file(CF_ROOT, "a");
	unsigned long before;

	cf_settle();
	before = fault_store_calls(cf.fault, FAULT_DATA_PUT);
	for (int i = 0; i < 50; i++)
		cf_write_text(ino, "text");
	cf_settle();
	cr_assert_eq(fault_store_calls(cf.fault, FAULT_DATA_PUT), before + 1);
}

Test(core_writer, what_comes_and_goes_within_a_batch_never_reaches_the_store)
{
	unsigned long inserts, deletes;
	uint64_t ino;

	cf_file(CF_ROOT, "other");
	cf_settle();
	inserts = fault_store_calls(cf.fault, FAULT_INODE_INSERT);
	deletes = fault_store_calls(cf.fault, FAULT_INODE_DELETE);
	ino = cf_file(CF_ROOT, "a");
	cf_write_text(ino, "text");
	cairn_core_forget(cf.core, ino, 1);
	cr_assert_eq(cairn_core_unlink(cf.core, CF_ROOT, "a"), 0);
	cf_settle();
	cr_assert_eq(fault_store_calls(cf.fault, FAULT_INODE_INSERT), inserts);
	cr_assert_eq(fault_store_calls(cf.fault, FAULT_INODE_DELETE), deletes);
}

Test(core_writer, fsync_returns_with_the_file_stored_and_synced)
{
	uint64_t ino = cf_file(CF_ROOT, "a");
	unsigned long syncs = fault_store_calls(cf.fault, FAULT_SYNC);

	cf_write_text(ino, "text");
	cr_assert_eq(cairn_core_fsync(cf.core, ino), 0);
	cr_assert(stored("a"));
	cr_assert_eq(cf_number(cf.db, "SELECT SUM(length(data)) FROM fs_data"), 4);
	cr_assert_gt(fault_store_calls(cf.fault, FAULT_SYNC), syncs);
}

Test(core_writer, fsync_of_a_directory_stores_its_entries)
{
	uint64_t dir = cf_mkdir(CF_ROOT, "d");

	cf_settle();
	cf_file(dir, "a");
	cr_assert_eq(cairn_core_fsync(cf.core, dir), 0);
	cr_assert(stored("a"));
}

Test(core_writer, fsync_waits_for_a_commit_under_way)
{
	uint64_t ino = cf_file(CF_ROOT, "a");

	fault_store_fail(cf.fault, FAULT_BIT(FAULT_BEGIN), 1, -EAGAIN, false);
	cf_hold_commit();
	fault_store_fail(cf.fault, FAULT_BIT(FAULT_COMMIT), 1, -EIO, false);
	cf_let_go();
	/* The inode is not in the running batch: what is waited for is the one before. */
	if (cairn_core_fsync(cf.core, ino) == 0)
		cr_assert(stored("a"));
	else
		cr_assert_eq(cairn_core_fsync(cf.core, ino), 0);
	cr_assert(stored("a"));
}

Test(core_writer, fsync_of_something_clean_needs_no_commit_of_other_changes)
{
	uint64_t clean = cf_file(CF_ROOT, "clean"), dir = cf_mkdir(CF_ROOT, "d");

	cf_settle();
	cf_file(dir, "dirty");
	cr_assert_eq(cairn_core_fsync(cf.core, clean), 0);
	cr_assert(absent("dirty"));
}

Test(core_writer, fsync_gets_the_errno_when_the_sync_fails)
{
	uint64_t ino = cf_file(CF_ROOT, "a");

	fault_store_fail(cf.fault, FAULT_BIT(FAULT_SYNC), 1, -EIO, false);
	cr_assert_eq(cairn_core_fsync(cf.core, ino), -EIO);
	cr_assert_eq(cairn_core_fsync(cf.core, ino), 0);
}

Test(core_writer, trouble_reaches_mutations_and_fsync_and_no_read)
{
	uint64_t ino = cf_file(CF_ROOT, "a");
	struct cairn_attr attr;

	cf_write_text(ino, "text");
	fault_store_fail(cf.fault, FAULT_BIT(FAULT_BEGIN), 1, -ENOSPC, true);
	cr_assert_eq(cairn_core_fsync(cf.core, ino), -ENOSPC);
	cr_assert_eq(cairn_core_mkdir(cf.core, &cf_caller, CF_ROOT, "b", 0755, &attr), -ENOSPC);
	cr_assert_eq(cf_write_text(ino, "more"), -ENOSPC);
	cr_assert(cf_holds(ino, "text", 4));
	cr_assert_eq(cf_lookup(CF_ROOT, "a", &attr), 0);
	cr_assert_eq(cf_lookup(CF_ROOT, "b", &attr), -ENOENT);

	fault_store_clear(cf.fault);
	cr_assert_eq(cairn_core_fsync(cf.core, ino), 0);
	cr_assert_eq(cf_write_text(ino, "more"), 0);
	cr_assert(cf_log_has("can be written again"));
}

Test(core_writer, a_busy_database_fails_nobody)
{
	uint64_t ino = cf_file(CF_ROOT, "a");

	fetch_numbers();
	fault_store_fail(cf.fault, FAULT_BIT(FAULT_BEGIN), 1, -EAGAIN, true);
	cf_hold_commit();
	cf_let_go();
	while (fault_store_fired(cf.fault) < 2)
		usleep(1000);
	cr_assert_eq(cf_write_text(ino, "text"), 0);
	cf_file(CF_ROOT, "b");
	fault_store_clear(cf.fault);
	cr_assert_eq(cairn_core_fsync(cf.core, ino), 0);
	cr_assert(stored("b"));
}

static void *fsync_thread(void *arg)
{
	uint64_t ino = *(uint64_t *)arg;

	return (void *)(intptr_t)cairn_core_fsync(cf.core, ino);
}

Test(core_writer, concurrent_fsyncs_share_a_commit)
{
	enum { COUNT = 8 };
	pthread_t threads[COUNT];
	uint64_t inos[COUNT];
	unsigned long commits;
	void *r;

	cf_file(CF_ROOT, "first");
	cf_hold_commit();
	commits = fault_store_calls(cf.fault, FAULT_COMMIT);
	for (int i = 0; i < COUNT; i++) {
		inos[i] = cf_file(CF_ROOT, (char[]){ (char)('a' + i), 0 });
		pthread_create(&threads[i], NULL, fsync_thread, &inos[i]);
	}
	cf_let_go();
	for (int i = 0; i < COUNT; i++) {
		pthread_join(threads[i], &r);
		cr_assert_null(r);
		cr_assert(stored((char[]){ (char)('a' + i), 0 }));
	}
	cr_assert_leq(fault_store_calls(cf.fault, FAULT_COMMIT), commits + 4);
}

struct answered {
	struct cairn_fsync fsync;
	_Atomic int r; /* 1: not yet */
};

static void note_answer(struct cairn_fsync *fsync, int r)
{
	atomic_store(&((struct answered *)fsync)->r, r);
}

static void begin_fsyncs(struct answered *answered, const uint64_t *inos, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		answered[i] = (struct answered){ .fsync.done = note_answer, .r = 1 };
		cairn_core_fsync_begin(cf.core, inos[i], &answered[i].fsync);
	}
}

Test(core_writer, one_thread_begins_many_fsyncs_that_are_answered_when_all_is_synced)
{
	enum { COUNT = 8 };
	struct answered answered[COUNT];
	uint64_t inos[COUNT];
	unsigned long syncs;

	fetch_numbers();
	cf_file(CF_ROOT, "first");
	cf_hold_commit();
	syncs = fault_store_calls(cf.fault, FAULT_SYNC);
	for (int i = 0; i < COUNT; i++)
		inos[i] = cf_file(CF_ROOT, (char[]){ (char)('a' + i), 0 });
	begin_fsyncs(answered, inos, COUNT);
	for (int i = 0; i < COUNT; i++)
		cr_assert_eq(atomic_load(&answered[i].r), 1);
	cf_let_go();
	cairn_core_fsync_drain(cf.core);
	for (int i = 0; i < COUNT; i++) {
		cr_assert_eq(atomic_load(&answered[i].r), 0);
		cr_assert(stored((char[]){ (char)('a' + i), 0 }));
	}
	cr_assert_leq(fault_store_calls(cf.fault, FAULT_SYNC), syncs + 2);
	cr_assert_gt(fault_store_calls(cf.fault, FAULT_SYNC), syncs);
}

/* A later attempt succeeds; what was asked for before must hear of the one that failed. */
Test(core_writer, fsyncs_that_failed_are_told_although_the_next_attempt_succeeds)
{
	uint64_t ino = cf_file(CF_ROOT, "a");
	struct answered answered;

	fault_store_fail(cf.fault, FAULT_BIT(FAULT_COMMIT), 1, -ENOSPC, false);
	begin_fsyncs(&answered, &ino, 1);
	cairn_core_fsync_drain(cf.core);
	cr_assert_eq(atomic_load(&answered.r), -ENOSPC);
	cr_assert_eq(cairn_core_fsync(cf.core, ino), 0);
}

struct flood {
	uint64_t ino;
	atomic_bool stop;
	atomic_size_t written;
	atomic_size_t most; /* dirty bytes ever seen */
	int r;
};

static void *flood(void *arg)
{
	static char block[32768];
	struct flood *f = arg;
	off_t at = 0;

	while (!atomic_load(&f->stop) && f->r >= 0) {
		f->r = cf_write(f->ino, block, sizeof(block), at % (16 << 20));
		at += (off_t)sizeof(block);
		atomic_fetch_add(&f->written, sizeof(block));
		if (cairn_core_dirty(cf.core) > atomic_load(&f->most))
			atomic_store(&f->most, cairn_core_dirty(cf.core));
	}
	return NULL;
}

static void reopen_with_max_dirty(uint64_t max_dirty)
{
	cr_assert_eq(cf_close(), 0);
	cf.options.max_dirty = max_dirty;
	cf_open();
}

Test(core_writer, a_caller_waits_at_max_dirty_and_memory_stays_bounded)
{
	static struct flood f;
	pthread_t thread;

	reopen_with_max_dirty(1 << 20);
	f.ino = cf_file(CF_ROOT, "a");
	cf_settle();
	fault_store_fail(cf.fault, FAULT_BIT(FAULT_BEGIN), 1, -EAGAIN, true);
	pthread_create(&thread, NULL, flood, &f);
	while (fault_store_fired(cf.fault) < 20)
		usleep(1000);
	cr_assert_leq(atomic_load(&f.written), (1U << 20) + 65536);
	fault_store_clear(cf.fault);
	while (atomic_load(&f.written) < (8U << 20))
		usleep(1000);
	atomic_store(&f.stop, true);
	pthread_join(thread, NULL);
	cr_assert_eq(f.r, 0);
	cr_assert_leq(atomic_load(&f.most), (1U << 20) + 2 * 65536);
}

Test(core_writer, a_flood_does_not_starve_the_fsync_of_another)
{
	enum { COUNT = 3 };
	static struct flood floods[COUNT];
	pthread_t threads[COUNT];
	uint64_t mine;

	reopen_with_max_dirty(1 << 20);
	mine = cf_file(CF_ROOT, "mine");
	for (int i = 0; i < COUNT; i++) {
		floods[i].ino = cf_file(CF_ROOT, (char[]){ (char)('a' + i), 0 });
		pthread_create(&threads[i], NULL, flood, &floods[i]);
	}
	for (int i = 0; i < 20; i++) {
		cr_assert_eq(cf_write_text(mine, "text"), 0);
		cr_assert_eq(cairn_core_fsync(cf.core, mine), 0);
	}
	for (int i = 0; i < COUNT; i++) {
		atomic_store(&floods[i].stop, true);
		pthread_join(threads[i], NULL);
		cr_assert_eq(floods[i].r, 0);
	}
}

Test(core_writer, durability_commit_returns_with_the_change_stored)
{
	unsigned long syncs;

	cr_assert_eq(cf_close(), 0);
	cf.options.durability = CAIRN_DURABILITY_COMMIT;
	cf_open();
	syncs = fault_store_calls(cf.fault, FAULT_SYNC);
	cf_file(CF_ROOT, "a");
	cr_assert(stored("a"));
	cr_assert_eq(cairn_core_unlink(cf.core, CF_ROOT, "a"), 0);
	cr_assert(absent("a"));
	cr_assert_eq(fault_store_calls(cf.fault, FAULT_SYNC), syncs);
}

Test(core_writer, durability_full_returns_with_the_change_synced)
{
	unsigned long syncs;

	cr_assert_eq(cf_close(), 0);
	cf.options.durability = CAIRN_DURABILITY_FULL;
	cf_open();
	for (int i = 0; i < 3; i++) {
		syncs = fault_store_calls(cf.fault, FAULT_SYNC);
		cf_file(CF_ROOT, (char[]){ (char)('a' + i), 0 });
		cr_assert_gt(fault_store_calls(cf.fault, FAULT_SYNC), syncs);
	}
}

Test(core_writer, a_synchronous_write_is_synced_in_all_modes)
{
	uint64_t ino = cf_file(CF_ROOT, "a");
	unsigned long syncs = fault_store_calls(cf.fault, FAULT_SYNC);

	cr_assert_eq(cairn_core_write(cf.core, &cf_caller, ino, "text", 4, 0, false, true), 0);
	cr_assert_gt(fault_store_calls(cf.fault, FAULT_SYNC), syncs);
	cr_assert(stored("a"));
}

Test(core_writer, a_close_that_loses_changes_says_so_and_names_them)
{
	fetch_numbers();
	cf_file(CF_ROOT, "precious");
	fault_store_fail(cf.fault, FAULT_BIT(FAULT_BEGIN), 1, -EIO, true);
	cr_assert_eq(cf_close(), -EIO);
	cr_assert(cf_log_has("precious"));
	cf_expect_sound(cf.db);
}

/* The writer is already between two attempts at the batch when the mount ends. */
Test(core_writer, a_close_amid_retries_still_says_what_is_lost)
{
	uint64_t ino = cf_file(CF_ROOT, "precious");

	fault_store_fail(cf.fault, FAULT_BIT(FAULT_BEGIN), 1, -EIO, true);
	cr_assert_eq(cairn_core_fsync(cf.core, ino), -EIO);
	cr_assert_eq(cf_close(), -EIO);
	cr_assert(cf_log_has("precious"));
}

/* What came after changes that were given up must be given up too: the store holds a prefix. Only
 * the first batch has a symbolic link, so only that one cannot be written. */
Test(core_writer, nothing_is_committed_after_a_batch_that_was_given_up)
{
	uint64_t dir = cf_mkdir(CF_ROOT, "d");
	struct cairn_attr attr;

	cr_assert_eq(cairn_core_symlink(cf.core, &cf_caller, CF_ROOT, "s", "t", &attr), 0);
	cf_hold_commit();
	cf_file(dir, "inside");
	fault_store_fail(cf.fault, FAULT_BIT(FAULT_SYMLINK_PUT), 1, -EIO, true);
	cf_let_go();
	while (fault_store_fired(cf.fault) == 0)
		usleep(1000);
	cr_expect_eq(cf_close(), -EIO);
	cf_expect_sound(cf.db);
	cr_expect_not(stored("inside"));
}

Test(core_writer, the_write_ahead_log_is_empty_after_a_close)
{
	struct stat st;
	char wal[600];

	cf_write_text(cf_file(CF_ROOT, "a"), "text");
	cr_assert_eq(cf_close(), 0);
	snprintf(wal, sizeof(wal), "%s-wal", cf.db);
	cr_assert(stat(wal, &st) < 0 || st.st_size == 0);
	cf_expect_sound(cf.db);
}
