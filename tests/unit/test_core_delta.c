/* What a batch holds: deltas and the bytes they count, layers of names, leases of numbers. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core_fixture.h"

TestSuite(core_delta);

static struct cairn_inode inode = { .ino = 5, .attr = { .size = 7 } };

Test(core_delta, bytes_are_counted_and_given_back)
{
	struct cairn_delta *delta = cairn_delta_new(&inode);
	struct cairn_delta_chunk *chunk;
	size_t empty = delta->bytes, before;

	cairn_delta_add_entry(delta, "name", 4);
	cr_assert_geq(delta->bytes, empty + 5);
	cairn_delta_drop_entry(delta, cairn_delta_find_entry(delta, "name", 4));
	cr_assert_eq(delta->bytes, empty);

	chunk = cairn_delta_add_chunk(delta, 3);
	before = delta->bytes;
	cr_assert_eq(cairn_delta_grow_chunk(delta, chunk, 0, 10, 100), 0);
	cr_assert_geq(delta->bytes, before + 10);
	cairn_delta_make_hole(delta, chunk);
	cr_assert_eq(delta->bytes, before);
	cairn_delta_fill_chunk(delta, chunk, malloc(20), 20);
	cr_assert_eq(delta->bytes, before + 20);
	cairn_delta_drop_chunk(delta, chunk);
	cr_assert_eq(delta->bytes, empty);

	cairn_delta_set_xattr(delta, "user.a", "value", 5);
	before = delta->bytes;
	cairn_delta_set_xattr(delta, "user.a", "longer value", 12);
	cr_assert_eq(delta->bytes, before + 7);
	cairn_delta_set_xattr(delta, "user.a", NULL, 0);
	cr_assert_eq(delta->bytes, before - 5);
	cr_assert(cairn_delta_find_xattr(delta, "user.a")->removed);
	cairn_delta_free(delta);
}

Test(core_delta, a_chunk_that_grows_is_zero_where_nothing_was_written)
{
	struct cairn_delta *delta = cairn_delta_new(&inode);
	struct cairn_delta_chunk *chunk = cairn_delta_add_chunk(delta, 0);

	cr_assert_eq(cairn_delta_grow_chunk(delta, chunk, 0, 8, 64), 0);
	memset(chunk->data, 'x', 8);
	chunk->len = 3; /* cut */
	cr_assert_eq(cairn_delta_grow_chunk(delta, chunk, 0, 40, 64), 0);
	cr_assert_eq(memcmp(chunk->data, "xxx\0\0\0\0\0\0", 9), 0);
	cr_assert_leq(chunk->capacity, 64);
	cairn_delta_free(delta);
}

Test(core_delta, names_are_bytes)
{
	struct cairn_delta *delta = cairn_delta_new(&inode);

	cairn_delta_add_entry(delta, "\xff\xfe", 2);
	cr_assert_not_null(cairn_delta_find_entry(delta, "\xff\xfe", 2));
	cr_assert_null(cairn_delta_find_entry(delta, "\xff", 1));
	cairn_delta_free(delta);
}

Test(core_delta, leases_are_taken_in_order_over_two_blocks)
{
	struct cairn_lease lease;

	cr_assert_eq(cairn_lease_init(&lease), 0);
	cr_assert_eq(cairn_lease_left(&lease), 0);
	cr_assert(cairn_lease_wants_block(&lease));
	cairn_lease_add(&lease, 10, 2);
	cairn_lease_add(&lease, 100, CAIRN_LEASE_BLOCK);
	cr_assert_eq(cairn_lease_take(&lease), 10);
	cr_assert_eq(cairn_lease_take(&lease), 11);
	cr_assert_eq(cairn_lease_take(&lease), 100);
	cr_assert_eq(cairn_lease_left(&lease), CAIRN_LEASE_BLOCK - 1);
	cr_assert_not(cairn_lease_wants_block(&lease));
	cairn_lease_destroy(&lease);
}

TestSuite(core_dentry, .init = cf_setup_open, .fini = cf_teardown);

Test(core_dentry, numbers_run_on_over_many_blocks_and_mounts)
{
	uint64_t last = 0, ino;

	for (unsigned int i = 0; i < CAIRN_LEASE_BLOCK + 40000; i++) {
		ino = cf_file(CF_ROOT, "a");
		cr_assert_gt(ino, last);
		last = ino;
		cairn_core_forget(cf.core, ino, 1);
		cr_assert_eq(cairn_core_unlink(cf.core, CF_ROOT, "a"), 0);
	}
	cf_reopen();
	cr_assert_gt(cf_file(CF_ROOT, "a"), last);
}

Test(core_dentry, bad_names_are_refused)
{
	char longest[CAIRN_NAME_MAX + 2];
	struct cairn_attr attr;

	memset(longest, 'n', sizeof(longest) - 1);
	longest[CAIRN_NAME_MAX + 1] = 0;
	cr_assert_eq(cf_lookup(CF_ROOT, longest, &attr), -ENAMETOOLONG);
	longest[CAIRN_NAME_MAX] = 0;
	cf_file(CF_ROOT, longest);
	cr_assert_eq(cf_lookup(CF_ROOT, longest, &attr), 0);
	cr_assert_eq(cairn_core_mkdir(cf.core, &cf_caller, CF_ROOT, "..", 0755, &attr), -EINVAL);
	cr_assert_eq(cf_lookup(CF_ROOT, "", &attr), -ENOENT);
	cr_assert_eq(cf_lookup(cf_file(CF_ROOT, "f"), "x", &attr), -ENOTDIR);
}

Test(core_dentry, rename_judges_what_it_replaces)
{
	uint64_t dir = cf_mkdir(CF_ROOT, "d"), full = cf_mkdir(CF_ROOT, "full");

	cf_file(CF_ROOT, "f");
	cf_file(full, "x");
#define RENAME(from, to, flags) cairn_core_rename(cf.core, CF_ROOT, from, CF_ROOT, to, flags)
	cr_assert_eq(RENAME("d", "f", 0), -ENOTDIR);
	cr_assert_eq(RENAME("f", "d", 0), -EISDIR);
	cr_assert_eq(RENAME("d", "full", 0), -ENOTEMPTY);
	cr_assert_eq(RENAME("no", "f", 0), -ENOENT);
	cr_assert_eq(RENAME("d", "f", RENAME_NOREPLACE), -EEXIST);
	cr_assert_eq(RENAME("d", "no", RENAME_EXCHANGE), -ENOENT);
	cr_assert_eq(RENAME("d", "f", RENAME_EXCHANGE | RENAME_NOREPLACE), -EINVAL);
	cr_assert_eq(cairn_core_rename(cf.core, CF_ROOT, "d", dir, "x", 0), -EINVAL);
	cr_assert_eq(RENAME("full", "d", 0), 0);
	cr_assert_eq(cf_close(), 0);
	cf_expect_sound(cf.db);
	cf_open();
}

Test(core_dentry, a_directory_is_empty_when_all_layers_say_so)
{
	uint64_t dir;

	cr_assert_eq(cf_close(), 0);
	cf.faulty = true;
	cf.options.commit_interval_ms = 1U << 30;
	cf_open();
	dir = cf_mkdir(CF_ROOT, "d");
	cf_file(dir, "a");
	cf_settle();
	cr_assert_eq(cairn_core_rmdir(cf.core, CF_ROOT, "d"), -ENOTEMPTY);
	cr_assert_eq(cairn_core_unlink(cf.core, dir, "a"), 0);
	cf_file(dir, "b");
	cf_hold_commit();
	cr_assert_eq(cairn_core_rmdir(cf.core, CF_ROOT, "d"), -ENOTEMPTY);
	cr_assert_eq(cairn_core_unlink(cf.core, dir, "b"), 0);
	cr_assert_eq(cairn_core_rmdir(cf.core, CF_ROOT, "d"), 0);
	cf_let_go();
	cr_assert_eq(cf_close(), 0);
	cf_expect_sound(cf.db);
	cf_open();
}
