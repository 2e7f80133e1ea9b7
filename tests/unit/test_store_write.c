/* The write side: transactions, locks of other processes, leases. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store/sqlite_store.h"
#include "store_fixture.h"

TestSuite(store_write, .init = sx_setup_open, .fini = sx_teardown);

#define OPS (sx.store->ops)

Test(store_write, changes_are_seen_at_the_commit_and_not_before)
{
	cr_assert_eq(OPS->begin(sx.store), 0);
	cr_assert_eq(sx_put("a", 1), 0);
	cr_assert_not(sx_has_entry("a"));
	cr_assert_eq(OPS->commit(sx.store), 0);
	cr_assert(sx_has_entry("a"));
}

Test(store_write, rollback_takes_everything_back)
{
	cr_assert_eq(OPS->begin(sx.store), 0);
	cr_assert_eq(sx_put("a", 1), 0);
	OPS->rollback(sx.store);
	cr_assert_not(sx_has_entry("a"));
	sx_commit(cr_assert_eq(sx_put("a", 1), 0));
	cr_assert(sx_has_entry("a"));
}

Test(store_write, rollback_outside_a_transaction_is_harmless)
{
	OPS->rollback(sx.store);
	sx_commit(cr_assert_eq(sx_put("a", 1), 0));
	OPS->rollback(sx.store);
	cr_assert(sx_has_entry("a"));
}

Test(store_write, change_outside_a_transaction_is_refused)
{
	cr_assert_eq(sx_put("a", 1), -EIO);
	cr_assert(sx_log_has("outside a transaction"));
	cr_assert_not(sx_has_entry("a"));
}

Test(store_write, commit_without_begin_is_an_error)
{
	cr_assert_eq(OPS->commit(sx.store), -EIO);
}

Test(store_write, begin_is_eagain_while_another_process_writes)
{
	sqlite3 *other = sx_connect();

	sx_sql(other, "BEGIN IMMEDIATE");
	cr_assert_eq(OPS->begin(sx.store), -EAGAIN);
	cr_assert_not(sx_log_has("error"));
	sx_sql(other, "COMMIT");
	sqlite3_close(other);
	sx_commit(cr_assert_eq(sx_put("a", 1), 0));
}

Test(store_write, readers_read_while_another_process_writes)
{
	sqlite3 *other = sx_connect();
	struct cairn_attr attr;

	sx_sql(other, "BEGIN IMMEDIATE; DELETE FROM fs_inode");
	cr_assert_eq(OPS->inode_get(sx.reader, 1, &attr), 0);
	sx_sql(other, "ROLLBACK");
	sqlite3_close(other);
}

/* Commits an entry by a connection of another program; nobody here is told. */
static void other_adds(const char *sql)
{
	sqlite3 *other = sx_connect();

	cr_assert_eq(sqlite3_exec(other, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
}

Test(store_write, foreign_commits_are_seen_once_they_are_looked_for)
{
	enum cairn_foreign found;

	cr_assert_not(sx_has_entry("a"));
	other_adds("INSERT INTO fs_dentry (parent_ino, name, ino) VALUES (1, 'a', 1)");
	cr_assert_eq(OPS->foreign(sx.store, &found), 0);
	cr_assert_eq(found, CAIRN_FOREIGN_FILES);
	cr_assert(sx_has_entry("a"));
}

Test(store_write, foreign_commits_are_seen_in_a_transaction_of_our_own)
{
	cr_assert_not(sx_has_entry("a"));
	other_adds("INSERT INTO fs_dentry (parent_ino, name, ino) VALUES (1, 'a', 1)");
	cr_assert_eq(OPS->begin(sx.store), 0);
	cr_assert(sx_has_entry("a"));
	OPS->rollback(sx.store);
}

Test(store_write, a_reader_keeps_its_state_until_it_rests)
{
	cr_assert_not(sx_has_entry("a"));
	other_adds("INSERT INTO fs_dentry (parent_ino, name, ino) VALUES (1, 'a', 1)");
	cr_assert_not(sx_has_entry("a"));
	OPS->reader_rest(sx.reader);
	cr_assert(sx_has_entry("a"));
}

Test(store_write, a_reader_that_rests_is_in_no_checkpoints_way)
{
	sx_commit(cr_assert_eq(sx_put("a", 1), 0));
	cr_assert(sx_has_entry("a"));
	OPS->reader_rest(sx.reader);
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_RESTART), 0);
	cr_assert(sx_has_entry("a"));
}

static sqlite3 *writer_db(void)
{
	return CONTAINER_OF(sx.store, struct sqlite_store, base)->sql.db;
}

Test(store_write, full_disk_is_enospc_and_passes)
{
	char *data = calloc(1, CAIRN_DEFAULT_CHUNK_SIZE);
	int r = 0;

	sx_sql(writer_db(), "PRAGMA max_page_count = 64");
	cr_assert_eq(OPS->begin(sx.store), 0);
	for (int i = 0; r == 0 && i < 64; i++)
		r = OPS->data_put(sx.store, 7, i, data, CAIRN_DEFAULT_CHUNK_SIZE);
	cr_assert_eq(r, -ENOSPC);
	OPS->rollback(sx.store);
	sx_commit(cr_assert_eq(OPS->data_put(sx.store, 7, 0, data, 4096), 0));
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM fs_data"), 1);
	free(data);
}

Test(store_write, chunk_beyond_every_limit_is_efbig)
{
	size_t len = 3 * (size_t)CAIRN_CHUNK_MAX;
	char *data = calloc(1, len);

	cr_assert_eq(OPS->begin(sx.store), 0);
	cr_assert_eq(OPS->data_put(sx.store, 7, 0, data, len), -EFBIG);
	free(data);
}

static uint64_t lease(enum cairn_sequence which, uint64_t count)
{
	uint64_t first = 0;

	cr_assert_eq(OPS->lease(sx.store, which, count, &first), 0);
	return first;
}

Test(store_write, leases_do_not_overlap_and_outlive_the_store)
{
	cr_assert_eq(lease(CAIRN_SEQUENCE_INODE, 100), 2); /* 1 is the root */
	cr_assert_eq(lease(CAIRN_SEQUENCE_INODE, 1), 102);
	cr_assert_eq(lease(CAIRN_SEQUENCE_DENTRY, 10), 1);
	sx_close();
	sx_open(false);
	cr_assert_eq(lease(CAIRN_SEQUENCE_INODE, 1), 103);
	cr_assert_eq(lease(CAIRN_SEQUENCE_DENTRY, 1), 11);
}

Test(store_write, foreign_inserts_stay_out_of_a_lease)
{
	lease(CAIRN_SEQUENCE_INODE, 100);
	sx_sql(NULL, "INSERT INTO fs_inode (mode, atime, mtime, ctime) VALUES (33188, 0, 0, 0)");
	cr_assert_eq(sx_number("SELECT MAX(ino) FROM fs_inode"), 102);
	cr_assert_eq(lease(CAIRN_SEQUENCE_INODE, 1), 103);
}

Test(store_write, lease_begins_after_rows_beyond_the_sequence)
{
	sx_sql(NULL, "INSERT INTO fs_inode (ino, mode, atime, mtime, ctime) "
		     "VALUES (500, 33188, 0, 0, 0); DELETE FROM sqlite_sequence");
	cr_assert_eq(lease(CAIRN_SEQUENCE_INODE, 1), 501);
	cr_assert_eq(lease(CAIRN_SEQUENCE_DENTRY, 1), 1);
	cr_assert_eq(sx_number("SELECT seq FROM sqlite_sequence WHERE name = 'fs_inode'"), 501);
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM sqlite_sequence"), 2);
}

Test(store_write, lease_of_a_negative_sequence_begins_at_one)
{
	sx_sql(NULL, "INSERT INTO fs_dentry (id, parent_ino, name, ino) VALUES (-7, 1, 'a', 1); "
		     "UPDATE sqlite_sequence SET seq = -50 WHERE name = 'fs_dentry'");
	cr_assert_eq(lease(CAIRN_SEQUENCE_DENTRY, 1), 1);
}

Test(store_write, lease_that_would_overflow_is_enospc)
{
	uint64_t first = 77;

	sx_sql(NULL, "UPDATE sqlite_sequence SET seq = 9223372036854775807 - 10 "
		     "WHERE name = 'fs_inode'");
	cr_assert_eq(OPS->lease(sx.store, CAIRN_SEQUENCE_INODE, 11, &first), -ENOSPC);
	cr_assert_eq(OPS->lease(sx.store, CAIRN_SEQUENCE_INODE, UINT64_MAX, &first), -ENOSPC);
	cr_assert_eq(first, 77);
	cr_assert_eq(lease(CAIRN_SEQUENCE_INODE, 10), CAIRN_INO_MAX - 9);
	cr_assert_eq(OPS->lease(sx.store, CAIRN_SEQUENCE_INODE, 1, &first), -ENOSPC);
	cr_assert_eq(OPS->lease(sx.store, CAIRN_SEQUENCE_INODE, 0, &first), -EINVAL);
}

Test(store_write, lease_inside_a_transaction_is_part_of_it)
{
	cr_assert_eq(OPS->begin(sx.store), 0);
	cr_assert_eq(lease(CAIRN_SEQUENCE_INODE, 10), 2);
	cr_assert_eq(lease(CAIRN_SEQUENCE_INODE, 10), 12);
	OPS->rollback(sx.store);
	cr_assert_eq(lease(CAIRN_SEQUENCE_INODE, 10), 2);
}

Test(store_write, lease_is_eagain_while_another_process_writes)
{
	sqlite3 *other = sx_connect();
	uint64_t first;

	sx_sql(other, "BEGIN IMMEDIATE");
	cr_assert_eq(OPS->lease(sx.store, CAIRN_SEQUENCE_INODE, 1, &first), -EAGAIN);
	sqlite3_close(other);
	cr_assert_eq(OPS->begin(sx.store), 0, "a failed lease left a transaction open");
}

Test(store_write, close_rolls_back_what_was_not_committed)
{
	sx_commit(sx_put("a", 1));
	cr_assert_eq(OPS->begin(sx.store), 0);
	cr_assert_eq(sx_put("b", 2), 0);
	sx_close();
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM fs_dentry"), 1);
	cr_assert_not(sx_exists("work.db-wal"));
}

/* Every commit moves all entries of the directory to the next inode number. */
#define ENTRIES  20
#define COMMITS  200
#define WATCHERS 4
#define PATIENCE 60000U /* ms: longer than a thread of a busy machine is kept waiting */

struct watcher {
	struct cairn_store *store;
	atomic_bool *stop;
	unsigned int scans;
	bool torn;
	int r;
};

struct sighting {
	uint64_t ino;
	unsigned int count;
	bool torn;
};

static int compare_ino(void *arg, const struct cairn_dentry_row *row)
{
	struct sighting *seen = arg;

	if (seen->count++ == 0)
		seen->ino = row->ino;
	seen->torn |= seen->ino != row->ino;
	return 0;
}

static void *watch(void *arg)
{
	struct watcher *w = arg;
	struct cairn_reader *reader;

	w->r = w->store->ops->reader_open(w->store, &reader);
	while (w->r == 0 && !atomic_load(w->stop)) {
		struct sighting seen = { 0 };

		w->r = w->store->ops->dentry_scan(reader, 1, true, compare_ino, &seen);
		w->torn |= seen.torn || seen.count != ENTRIES;
		w->scans++;
	}
	if (w->r == 0)
		w->store->ops->reader_close(reader);
	return NULL;
}

static void put_generation(uint64_t ino)
{
	char name[16];

	for (int i = 0; i < ENTRIES; i++) {
		snprintf(name, sizeof(name), "e%d", i);
		cr_assert_eq(OPS->dentry_put(sx.store, 1, name, strlen(name), (uint64_t)i + 1, ino),
			     0);
	}
}

/* It waits for the write lock only so long. */
static void checkpoint_passively(void)
{
	int r;

	do
		r = OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_PASSIVE);
	while (r == -EAGAIN);
	cr_assert_eq(r, 0);
}

Test(store_write, readers_in_many_threads_never_see_half_a_commit)
{
	struct watcher watchers[WATCHERS] = { 0 };
	pthread_t threads[WATCHERS];
	atomic_bool stop = false;

	/* A reader that meets the index of the WAL half written takes the write lock to look again.
	 */
	sx_close();
	sx.options.busy_timeout_ms = PATIENCE;
	sx_open(false);
	sx_commit(put_generation(1));
	for (int i = 0; i < WATCHERS; i++) {
		watchers[i] = (struct watcher){ .store = sx.store, .stop = &stop };
		cr_assert_eq(pthread_create(&threads[i], NULL, watch, &watchers[i]), 0);
	}
	for (uint64_t i = 2; i < COMMITS; i++) {
		sx_commit(put_generation(i));
		if (i % 20 == 0)
			checkpoint_passively();
	}
	atomic_store(&stop, true);
	for (int i = 0; i < WATCHERS; i++) {
		pthread_join(threads[i], NULL);
		cr_expect_eq(watchers[i].r, 0);
		cr_expect_not(watchers[i].torn);
	}
}
