/* A store that writes one transaction, and one whose readers see one moment. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store_fixture.h"

static struct cairn_one_transaction one;

static void setup(void)
{
	sx_setup_made();
	sx.options.one = &one;
	sx_open(false);
}

TestSuite(store_one, .init = setup, .fini = sx_teardown);
TestSuite(store_moment, .init = sx_setup_made, .fini = sx_teardown);

/* A batch with one file. */
static int write_file(uint64_t ino, const char *name)
{
	struct cairn_attr attr = sx_attr(ino, S_IFREG | 0644);
	int r;

	r = sx.store->ops->begin(sx.store);
	if (r == 0)
		r = sx.store->ops->inode_insert(sx.store, &attr);
	if (r == 0)
		r = sx.store->ops->dentry_put(sx.store, 1, name, strlen(name), ino, ino);
	if (r == 0)
		r = sx.store->ops->data_put(sx.store, ino, 0, "bytes", 5);
	return r == 0 ? sx.store->ops->commit(sx.store) : r;
}

static int64_t names_others_see(void)
{
	return sx_number("SELECT COUNT(*) FROM fs_dentry");
}

static int lookup(const char *name)
{
	struct cairn_dentry_row row;

	return sx.store->ops->dentry_get(sx.reader, 1, name, strlen(name), &row);
}

Test(store_one, is_seen_by_its_reader_alone)
{
	cr_assert_eq(write_file(10, "a"), 0);
	cr_assert_eq(write_file(11, "b"), 0);
	cr_assert_eq(lookup("a"), 0);
	cr_assert_eq(lookup("b"), 0);
	cr_assert_eq(lookup("c"), -ENOENT);
	cr_assert_eq(names_others_see(), 0);
}

Test(store_one, is_kept_by_a_checkpoint_of_all)
{
	cr_assert_eq(write_file(10, "a"), 0);
	cr_assert_eq(sx.store->ops->checkpoint(sx.store, CAIRN_CHECKPOINT_PASSIVE), 0);
	cr_assert_eq(names_others_see(), 0);
	cr_assert_eq(write_file(11, "b"), 0);
	one.keep = true;
	cr_assert_eq(sx.store->ops->checkpoint(sx.store, CAIRN_CHECKPOINT_ALL), 0);
	cr_assert_eq(names_others_see(), 2);
	sx_close();
	cr_assert_eq(names_others_see(), 2);
	cr_assert_not(sx_exists("work.db-wal"));
}

Test(store_one, is_gone_unless_it_is_kept)
{
	cr_assert_eq(write_file(10, "a"), 0);
	cr_assert_eq(sx.store->ops->checkpoint(sx.store, CAIRN_CHECKPOINT_ALL), 0);
	cr_assert_eq(names_others_see(), 0);
	sx_close();
	cr_assert_eq(names_others_see(), 0);
}

Test(store_one, is_kept_or_gone_at_the_close)
{
	cr_assert_eq(write_file(10, "a"), 0);
	sx_close();
	cr_assert_eq(names_others_see(), 0);
	sx_open(false);
	cr_assert_eq(write_file(10, "a"), 0);
	one.keep = true;
	sx_close();
	cr_assert_eq(names_others_see(), 1);
}

Test(store_one, takes_leases_in_it)
{
	int64_t before = sx_number("SELECT MAX(seq) FROM sqlite_sequence");
	uint64_t first = 0;

	cr_assert_eq(sx.store->ops->lease(sx.store, CAIRN_SEQUENCE_INODE, 1000, &first), 0);
	cr_assert_eq(write_file(first, "a"), 0);
	cr_assert_eq(sx_number("SELECT MAX(seq) FROM sqlite_sequence"), before);
	one.keep = true;
	sx_close();
	cr_assert_gt(sx_number("SELECT MAX(seq) FROM sqlite_sequence"), before);
	cr_assert_eq(names_others_see(), 1);
}

Test(store_one, once_rolled_back_takes_nothing_more)
{
	cr_assert_eq(write_file(10, "a"), 0);
	cr_assert_lt(write_file(10, "again"), 0, "the inode is there already");
	sx.store->ops->rollback(sx.store);
	cr_assert_lt(one.error, 0);
	cr_assert_eq(write_file(11, "b"), one.error);
	one.keep = true;
	sx_close();
	cr_assert_eq(names_others_see(), 0);
}

Test(store_one, keeps_the_write_lock)
{
	sqlite3 *db = sx_connect();

	cr_assert_eq(write_file(10, "a"), 0);
	sqlite3_busy_timeout(db, 0);
	cr_assert_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_BUSY);
	sqlite3_close(db);
}

static void add_name(const char *name)
{
	char sql[256];

	snprintf(sql, sizeof(sql),
		 "INSERT INTO fs_dentry (parent_ino, name, ino) VALUES (1, '%s', 1)", name);
	sx_sql(NULL, sql);
}

Test(store_moment, stays_while_others_commit)
{
	struct cairn_reader *second;
	enum cairn_foreign found;

	add_name("before");
	sx.options.one_moment = true;
	sx_open(true);
	cr_assert_eq(lookup("before"), 0);
	add_name("after");
	sx.store->ops->foreign(sx.store, &found);
	sx.store->ops->reader_rest(sx.reader);
	cr_assert_eq(lookup("after"), -ENOENT);
	cr_assert_eq(lookup("before"), 0);
	cr_assert_eq(sx.store->ops->reader_open(sx.store, &second), -EDEADLK);
	sx_close();
	sx.options.one_moment = false;
	sx_open(true);
	cr_assert_eq(lookup("after"), 0);
}
