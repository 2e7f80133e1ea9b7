/* Where a workspace lies: file systems that cannot hold one, one that becomes read-only, and
 * another file at the path. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault_system.h"
#include "store_fixture.h"

#define OPS (sx.store->ops)

static void teardown(void)
{
	fault_system_be(FAULT_PLACE_SOUND);
	sx_teardown();
}

TestSuite(store_place, .init = sx_setup_made, .fini = teardown);

/* Refused in words that name the path, the reason and what to do, and left as it was. */
static void assert_refused(bool read_only, const char *reason)
{
	long size = sx_size(sx.db);

	cr_assert_lt(sx_try_open(read_only), 0);
	cr_expect(sx_err_has(sx.db), "%s", sx.err.text);
	cr_expect(sx_err_has(reason), "%s", sx.err.text);
	cr_expect(sx_err_has("local disk"), "%s", sx.err.text);
	cr_expect_not(sx_err_has("damaged"), "%s", sx.err.text);
	cr_expect_eq(sx_size(sx.db), size);
}

Test(store_place, without_shared_memory_is_refused_with_the_reason)
{
	fault_system_be(FAULT_PLACE_NO_MAPPING);
	assert_refused(false, "No such device");
	assert_refused(true, "No such device");
	fault_system_be(FAULT_PLACE_SOUND);
	sx_open(false);
}

Test(store_place, without_locks_is_refused_with_the_reason)
{
	fault_system_be(FAULT_PLACE_NO_LOCKS);
	assert_refused(false, "not supported");
	assert_refused(true, "not supported");
	fault_system_be(FAULT_PLACE_SOUND);
	sx_open(false);
}

/* A VFS that has neither: what is in rollback mode cannot leave it, what is not cannot be read. */
Test(store_place, without_a_write_ahead_log_is_refused_with_the_reason)
{
	sqlite3_vfs *plain = sqlite3_vfs_find(NULL);

	cr_assert_eq(sqlite3_vfs_register(sqlite3_vfs_find("unix-dotfile"), 1), SQLITE_OK);
	assert_refused(false, "unable to open");
	assert_refused(true, "unable to open");
	cr_assert_eq(sqlite3_vfs_register(plain, 1), SQLITE_OK);
	sx_sql(NULL, "PRAGMA journal_mode = DELETE");
	cr_assert_eq(sqlite3_vfs_register(sqlite3_vfs_find("unix-dotfile"), 1), SQLITE_OK);
	assert_refused(false, "journal mode stays 'delete'");
	cr_assert_eq(sqlite3_vfs_register(plain, 1), SQLITE_OK);
	cr_assert_str_eq(sx_text("PRAGMA journal_mode"), "delete");
}
