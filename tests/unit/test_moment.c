/* What a moment of a database is, with others coming in between at the worst time. */
#include <stdio.h>

#include "store/moment.h"

#include "fault_vfs.h"
#include "store_fixture.h"

static sqlite3 *other;
static struct sqlite_store *store;
static struct cairn_moment moment;

static void setup(void)
{
	fault_vfs_register();
	sx_setup_made();
	other = sx_connect();
	sqlite3_wal_autocheckpoint(other, 0);
	sx_sql(other, "INSERT INTO kv_store (key, value) VALUES ('k', '1')");
	cr_assert_eq(cairn_sqlite_open(sx.db,
				       &(struct cairn_store_options){ .read_only = true,
								      .busy_timeout_ms = 1000 },
				       &store, &sx.err),
		     0, "%s", sx.err.text);
}

static void teardown(void)
{
	cairn_moment_end(&moment);
	cairn_sqlite_freep(&store);
	sqlite3_close(other);
	sx_teardown();
}

TestSuite(moment, .init = setup, .fini = teardown);

static void commit(void *sql)
{
	sx_sql(other, sql ?: "UPDATE kv_store SET value = value + 1");
}

static void checkpoint(void *unused)
{
	cr_assert_eq(sqlite3_wal_checkpoint_v2(other, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL),
		     SQLITE_OK);
}

static int64_t value_seen(void)
{
	int64_t value = -1;

	cr_assert_eq(cairn_sql_get_int(&store->sql, "SELECT value FROM kv_store", &value), 0);
	return value;
}

static void begin(void)
{
	cr_assert_eq(cairn_moment_begin(store, &moment), 0);
}

/* Bytes of so many frames and what is before them. */
static uint64_t frames(uint64_t n)
{
	return CAIRN_WAL_HEADER_SIZE + n * (CAIRN_DEFAULT_PAGE_SIZE + CAIRN_WAL_FRAME_HEADER_SIZE);
}

Test(moment, needs_the_wal_that_was_not_checkpointed)
{
	begin();
	cr_assert_eq(moment.wal_bytes, (uint64_t)sx_size(sx_path("work.db-wal")));
	commit(NULL);
	cr_assert_lt(moment.wal_bytes, (uint64_t)sx_size(sx_path("work.db-wal")));
	cr_assert_eq(value_seen(), 1);
}

Test(moment, needs_no_wal_that_was_checkpointed)
{
	checkpoint(NULL);
	begin();
	cr_assert_eq(moment.wal_bytes, 0);
	commit(NULL);
	checkpoint(NULL);
	cr_assert_eq(value_seen(), 1);
}

Test(moment, keeps_its_part_of_the_wal)
{
	static char before[65536], after[65536];
	size_t size;
	FILE *wal;

	begin();
	size = moment.wal_bytes;
	cr_assert_leq(size, sizeof(before));
	wal = fopen(sx_path("work.db-wal"), "re");
	cr_assert_eq(fread(before, 1, size, wal), size);
	for (int i = 0; i < 10; i++) {
		commit(NULL);
		checkpoint(NULL);
	}
	rewind(wal);
	cr_assert_eq(fread(after, 1, size, wal), size);
	cr_assert_arr_eq(before, after, size);
	fclose(wal);
}

/* Everything was in the database when the WAL was looked at, and is not when the moment begins. */
Test(moment, notices_a_commit_that_comes_before_it)
{
	checkpoint(NULL);
	fault_vfs_meet(FAULT_SHM_BARRIER, 1, commit, NULL);
	begin();
	cr_assert_eq(value_seen(), 2);
	cr_assert_eq(moment.wal_bytes, frames(1), "%lu", moment.wal_bytes);
}

/* Something was not in the database when the WAL was looked at, and all is when the moment begins:
 * the WAL may start over any time then. */
Test(moment, notices_a_checkpoint_that_comes_before_it)
{
	fault_vfs_meet(FAULT_SHM_BARRIER, 1, checkpoint, NULL);
	begin();
	cr_assert_eq(moment.wal_bytes, 0, "%lu", moment.wal_bytes);
}

Test(moment, of_a_wal_that_is_empty)
{
	sx_sql(other, "PRAGMA wal_checkpoint(TRUNCATE)");
	begin();
	cr_assert_eq(moment.wal_bytes, 0);
	cr_assert_eq(value_seen(), 1);
}

Test(moment, ends_with_the_transaction)
{
	begin();
	cairn_moment_end(&moment);
	commit(NULL);
	cr_assert_eq(value_seen(), 2);
}
