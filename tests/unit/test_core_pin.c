/* Pins and the cache of inodes: what lives how long. */
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/stat.h>

#include "core_fixture.h"

static void setup(void)
{
	cf_setup();
	cf.faulty = true;
	cf_make();
	cf_open();
}

TestSuite(core_pin, .init = setup, .fini = cf_teardown);

static unsigned int referred(void)
{
	struct cairn_icache *cache = &cf.core->icache;
	unsigned int n;

	cf_settle();
	cairn_mutex_lock(&cache->lock);
	n = HASH_COUNT(cache->table) - cache->idle_count;
	cairn_mutex_unlock(&cache->lock);
	return n;
}

Test(core_pin, pins_count_and_the_last_of_an_orphan_destroys)
{
	struct cairn_pins pins;

	cr_assert_eq(cairn_pins_init(&pins), 0);
	cr_assert_not(cairn_pin_orphan(&pins, 7));
	for (int i = 0; i < 3; i++)
		cr_assert_eq(cairn_pin_add(&pins, 7, 1), 0);
	cr_assert(cairn_pin_orphan(&pins, 7));
	cr_assert(cairn_pin_is_orphan(&pins, 7));
	cr_assert_not(cairn_pin_drop(&pins, 7, 2));
	cr_assert(cairn_pin_drop(&pins, 7, 1));
	cr_assert_not(cairn_pin_is_orphan(&pins, 7));
	cr_assert_not(cairn_pin_drop(&pins, 7, 1));
	cairn_pins_destroy(&pins);
}

Test(core_pin, an_inode_with_a_name_survives_its_last_pin)
{
	struct cairn_pins pins;

	cr_assert_eq(cairn_pins_init(&pins), 0);
	cr_assert_eq(cairn_pin_add(&pins, 7, 1), 0);
	cr_assert_not(cairn_pin_drop(&pins, 7, 5));
	cairn_pins_destroy(&pins);
}

static void count_orphan(void *arg, uint64_t ino)
{
	*(uint64_t *)arg += ino;
}

Test(core_pin, the_end_hands_out_the_orphans_only)
{
	struct cairn_pins pins;
	uint64_t sum = 0;

	cr_assert_eq(cairn_pins_init(&pins), 0);
	for (uint64_t ino = 1; ino <= 4; ino++)
		cr_assert_eq(cairn_pin_add(&pins, ino, 1), 0);
	cairn_pin_orphan(&pins, 2);
	cairn_pin_orphan(&pins, 4);
	cairn_pins_drain(&pins, count_orphan, &sum);
	cr_assert_eq(sum, 6);
	cairn_pins_destroy(&pins);
}

Test(core_pin, the_parent_is_where_it_was_found_last)
{
	struct cairn_pins pins;

	cr_assert_eq(cairn_pins_init(&pins), 0);
	cr_assert_eq(cairn_pin_parent(&pins, 7), 0);
	cairn_pin_add(&pins, 7, 1);
	cairn_pin_move(&pins, 7, 3);
	cr_assert_eq(cairn_pin_parent(&pins, 7), 3);
	cairn_pins_destroy(&pins);
}

Test(core_pin, an_unlinked_file_works_until_the_last_pin_goes)
{
	uint64_t ino = cf_file(CF_ROOT, "a");

	cf_write_text(ino, "text");
	cf_settle();
	cr_assert_eq(cairn_core_unlink(cf.core, CF_ROOT, "a"), 0);
	cr_assert_eq(cf_attr(ino).nlink, 0);
	cf_settle();
	cr_assert_eq(cf_number(cf.db, "SELECT COUNT(*) FROM cairn_orphan"), 1);
	cr_assert(cf_holds(ino, "text", 4));
	cr_assert_eq(cf_write(ino, "T", 1, 0), 0);
	cr_assert(cf_holds(ino, "Text", 4));

	cairn_core_forget(cf.core, ino, 1);
	cf_settle();
	cr_assert_eq(cf_number(cf.db, "SELECT COUNT(*) FROM cairn_orphan"), 0);
	cr_assert_eq(cf_number(cf.db, "SELECT COUNT(*) FROM fs_data"), 0);
	cf_expect_sound(cf.db);
}

Test(core_pin, an_unlinked_file_nobody_has_goes_at_once)
{
	uint64_t ino = cf_file(CF_ROOT, "a");

	cf_write_text(ino, "text");
	cairn_core_forget(cf.core, ino, 1);
	cf_settle();
	cr_assert_eq(cairn_core_unlink(cf.core, CF_ROOT, "a"), 0);
	cf_settle();
	cr_assert_eq(cf_number(cf.db, "SELECT COUNT(*) FROM fs_inode WHERE ino <> 1"), 0);
	cf_expect_sound(cf.db);
}

Test(core_pin, a_file_renamed_over_stays_for_those_who_have_it)
{
	uint64_t old = cf_file(CF_ROOT, "old");

	cf_write_text(old, "old");
	cf_file(CF_ROOT, "new");
	cr_assert_eq(cairn_core_rename(cf.core, CF_ROOT, "new", CF_ROOT, "old", 0), 0);
	cf_settle();
	cr_assert(cf_holds(old, "old", 3));
	cairn_core_forget(cf.core, old, 1);
	cf_settle();
	cf_expect_sound(cf.db);
	cr_assert_eq(cf_number(cf.db, "SELECT COUNT(*) FROM fs_inode"), 2);
}

Test(core_pin, a_removed_directory_takes_no_more_entries)
{
	uint64_t dir = cf_mkdir(CF_ROOT, "d");
	struct cairn_attr attr;

	cr_assert_eq(cairn_core_rmdir(cf.core, CF_ROOT, "d"), 0);
	cr_assert_eq(cairn_core_mkdir(cf.core, &cf_caller, dir, "x", 0755, &attr), -ENOENT);
	cr_assert_eq(cf_lookup(dir, "x", &attr), -ENOENT);
	cr_assert_eq(cf_count(dir), 0);
}

Test(core_pin, operations_give_their_references_back)
{
	uint64_t dir = cf_mkdir(CF_ROOT, "d"), ino = cf_file(dir, "a");
	struct cairn_attr attr;

	cf_write_text(ino, "text");
	cf_count(dir);
	cr_assert_eq(cf_lookup(dir, "no", &attr), -ENOENT);
	cr_assert_eq(cairn_core_rmdir(cf.core, CF_ROOT, "d"), -ENOTEMPTY);
	cr_assert_eq(cairn_core_rename(cf.core, dir, "a", CF_ROOT, "d", 0), -EISDIR);
	cr_assert_eq(cairn_core_getattr(cf.core, 999, &attr), -ENOENT);
	cr_assert_eq(referred(), 0);
}

Test(core_pin, operations_that_fail_give_their_references_and_pins_back)
{
	uint64_t dir = cf_mkdir(CF_ROOT, "d"), ino = cf_file(dir, "a");
	struct cairn_attr attr;

	cf_write_text(ino, "text");
	cairn_core_forget(cf.core, ino, 1);
	cairn_core_forget(cf.core, dir, 1);
	for (unsigned long n = 1; n < 6; n++) {
		cf_reopen();
		fault_store_fail(cf.fault, FAULT_READS, n, -EIO, false);
		cr_assert_neq(cf_lookup(CF_ROOT, "d", &attr), -ENOENT);
		cr_assert_neq(cf_lookup(dir, "a", &attr), -ENOENT);
		cairn_core_rename(cf.core, dir, "a", dir, "a", 0);
		fault_store_clear(cf.fault);
		cr_assert_eq(referred(), 0);
		cr_assert_null(cf.core->pins.table);
	}
}

/* The answer tells how much of the file is stored; the link does not fail for want of that. */
Test(core_pin, a_link_that_is_made_is_told_as_made)
{
	static char block[200000];
	uint64_t ino = cf_file(CF_ROOT, "a");
	struct cairn_attr attr;

	cf_write(ino, block, sizeof(block), 0);
	cairn_core_forget(cf.core, ino, 1);
	cf_reopen();
	fault_store_fail(cf.fault, FAULT_BIT(FAULT_DATA_SCAN), 1, -EIO, false);
	cr_assert_eq(cairn_core_link(cf.core, ino, CF_ROOT, "b", &attr), 0);
	fault_store_clear(cf.fault);
	cr_expect_eq(cf_lookup(CF_ROOT, "b", &attr), 0);
	cr_expect_eq(attr.nlink, 2);
}

Test(core_pin, an_inode_that_could_not_be_read_is_read_again)
{
	uint64_t ino = cf_file(CF_ROOT, "a");
	struct cairn_attr attr;

	cf_reopen();
	fault_store_fail(cf.fault, FAULT_BIT(FAULT_INODE_GET), 1, -EAGAIN, false);
	cr_assert_eq(cairn_core_getattr(cf.core, ino, &attr), -EAGAIN);
	cr_assert_eq(cairn_core_getattr(cf.core, ino, &attr), 0);
}

Test(core_pin, the_cache_drops_the_least_recently_used)
{
	uint64_t inos[40];
	unsigned long reads;

	for (unsigned int i = 0; i < 40; i++) {
		char name[8];

		snprintf(name, sizeof(name), "f%u", i);
		inos[i] = cf_file(CF_ROOT, name);
	}
	cf_reopen();
	cf.core->icache.idle_max = 10;
	for (unsigned int i = 0; i < 40; i++)
		cf_attr(inos[i]);
	cr_assert_leq(cf.core->icache.idle_count, 10);
	reads = fault_store_calls(cf.fault, FAULT_INODE_GET);
	cf_attr(inos[39]);
	cr_assert_eq(fault_store_calls(cf.fault, FAULT_INODE_GET), reads);
	cf_attr(inos[0]);
	cr_assert_eq(fault_store_calls(cf.fault, FAULT_INODE_GET), reads + 1);
}

Test(core_pin, a_changed_inode_is_not_dropped_before_its_commit)
{
	uint64_t ino = cf_file(CF_ROOT, "a");

	cf_settle();
	cf.core->icache.idle_max = 0;
	cf_write_text(ino, "text");
	cf_hold_commit();
	cf_file(CF_ROOT, "b");
	cr_assert_eq(cf_attr(ino).size, 4);
	cf_let_go();
	cf_settle();
	cr_assert_eq(cf_attr(ino).size, 4);
}
