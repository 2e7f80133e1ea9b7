/* The quota and statfs; and what is left of unlinked files when a mount ends. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core_fixture.h"

static char block[100000];

static void setup(void)
{
	cf_setup();
	cf.faulty = true;
	cf.options.commit_interval_ms = 1U << 30;
	cf.options.quota = 2 << 20;
	cf_make();
	cf_open();
}

TestSuite(core_space, .init = setup, .fini = cf_teardown);

static int fill_up(uint64_t ino)
{
	int r = 0;

	for (off_t at = 0; r == 0 && at < (8 << 20); at += (off_t)sizeof(block))
		r = cf_write(ino, block, sizeof(block), at);
	return r;
}

Test(core_space, the_quota_ends_in_enospc)
{
	uint64_t ino = cf_file(CF_ROOT, "a");

	cr_assert_eq(fill_up(ino), -ENOSPC);
	cr_assert_gt(cf_attr(ino).size, 1 << 20);
	cf_settle();
	cr_assert_leq(atomic_load(&cf.core->used), (2U << 20) + 65536);
}

Test(core_space, overwriting_takes_no_room)
{
	uint64_t ino = cf_file(CF_ROOT, "a");

	cr_assert_eq(fill_up(ino), -ENOSPC);
	for (int i = 0; i < 30; i++)
		cr_assert_eq(cf_write(ino, block, sizeof(block), 0), 0);
}

/* The answer must wait for the count of what is used to follow the commit. */
Test(core_space, room_that_was_freed_can_be_used_at_once)
{
	uint64_t ino, other = cf_file(CF_ROOT, "other");

	for (int i = 0; i < 10; i++) {
		ino = cf_file(CF_ROOT, "a");
		cr_assert_eq(fill_up(ino), -ENOSPC);
		cairn_core_forget(cf.core, ino, 1);
		cr_assert_eq(cairn_core_unlink(cf.core, CF_ROOT, "a"), 0);
		cr_assert_eq(cf_write(other, block, sizeof(block), 0), 0, "round %d", i);
		cr_assert_eq(cf_truncate(other, 0), 0);
	}
}

Test(core_space, statfs_tells_the_quota_less_what_is_used)
{
	struct statvfs disk = { .f_bavail = 1 << 20, .f_frsize = 4096 }, st, after;

	cr_assert_eq(cairn_core_statfs(cf.core, &disk, &st), 0);
	cr_assert_eq(st.f_blocks * st.f_frsize, 2 << 20);
	cf_write(cf_file(CF_ROOT, "a"), block, sizeof(block), 0);
	cr_assert_eq(cairn_core_statfs(cf.core, &disk, &after), 0);
	cr_assert_lt(after.f_bavail, st.f_bavail);
	cr_assert_eq(after.f_namemax, 255);
	disk.f_bavail = 3;
	cr_assert_eq(cairn_core_statfs(cf.core, &disk, &st), 0);
	cr_assert_eq(st.f_bavail, 3);
}

TestSuite(core_orphan, .init = setup, .fini = cf_teardown);

static uint64_t orphan(void)
{
	uint64_t ino = cf_file(CF_ROOT, "a");

	cf_write_text(ino, "text");
	cf_settle();
	cr_assert_eq(cairn_core_unlink(cf.core, CF_ROOT, "a"), 0);
	cf_settle();
	return ino;
}

Test(core_orphan, a_close_reaps_what_is_unlinked_and_pinned)
{
	orphan();
	cr_assert_eq(cf_close(), 0);
	cf_expect_sound(cf.db);
	cr_assert_eq(cf_number(cf.db, "SELECT COUNT(*) FROM fs_inode"), 1);
	cr_assert_eq(cf_number(cf.db, "SELECT COUNT(*) FROM fs_data"), 0);
	cr_assert_eq(cf_number(cf.db, "SELECT COUNT(*) FROM cairn_orphan"), 0);
}

Test(core_orphan, the_mount_after_a_crash_reaps_it)
{
	orphan();
	cf_crash_copy();
	cr_assert_eq(cf_close(), 0);
	cf_switch_to_crash();
	cf_expect_sound(cf.db);
	cr_assert_eq(cf_number(cf.db, "SELECT COUNT(*) FROM cairn_orphan"), 1);
	cf_open();
	cf_settle();
	cr_assert_eq(cf_number(cf.db, "SELECT COUNT(*) FROM fs_inode"), 1);
	cr_assert_eq(cf_number(cf.db, "SELECT COUNT(*) FROM cairn_orphan"), 0);
	cr_assert(cf_log_has("freed 1 files"));
}

Test(core_orphan, a_removed_directory_in_use_is_reaped_too)
{
	cf_mkdir(CF_ROOT, "d");
	cf_settle();
	cr_assert_eq(cairn_core_rmdir(cf.core, CF_ROOT, "d"), 0);
	cf_settle();
	cf_crash_copy();
	cr_assert_eq(cf_close(), 0);
	cf_switch_to_crash();
	cf_open();
	cr_assert_eq(cf_close(), 0);
	cf_expect_sound(cf.db);
	cr_assert_eq(cf_number(cf.db, "SELECT COUNT(*) FROM fs_inode"), 1);
}

Test(core_orphan, a_read_only_core_leaves_it_alone)
{
	orphan();
	cf_crash_copy();
	cr_assert_eq(cf_close(), 0);
	cf_switch_to_crash();
	cf.options.read_only = true;
	cf_open();
	cr_assert_eq(cf_close(), 0);
	cr_assert_eq(cf_number(cf.db, "SELECT COUNT(*) FROM cairn_orphan"), 1);
}
