/* Files that somebody else wrote, badly or with intent: an errno and a line in the log, never a
 * crash and never a value that no inode can have. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_fixture.h"

TestSuite(store_hostile, .init = sx_setup_made, .fini = sx_teardown);

#define OPS (sx.store->ops)

/* The same tables without their constraints, so that anything can stand in them. */
static const char loose_tables[] =
	"DROP TABLE fs_dentry; DROP TABLE fs_data; DROP TABLE fs_symlink; DROP TABLE cairn_xattr;"
	"CREATE TABLE fs_dentry (id INTEGER PRIMARY KEY AUTOINCREMENT, name, parent_ino, ino, "
	"UNIQUE(parent_ino, name));"
	"CREATE TABLE fs_data (ino, chunk_index, data, PRIMARY KEY (ino, chunk_index));"
	"CREATE TABLE fs_symlink (ino INTEGER PRIMARY KEY, target);"
	"CREATE TABLE cairn_xattr (ino, name, value, PRIMARY KEY (ino, name));";

static int get_inode_with(const char *assignment, struct cairn_attr *ret)
{
	char sql[256];

	sqlite3_snprintf(
		sizeof(sql), sql,
		"INSERT OR REPLACE INTO fs_inode (ino, mode, nlink, size, atime, mtime, ctime) "
		"VALUES (7, 33188, 1, 10, 1, 2, 3); UPDATE fs_inode SET %s WHERE ino = 7",
		assignment);
	sx_sql(NULL, sql);
	return OPS->inode_get(sx.reader, 7, ret);
}

Test(store_hostile, inode_that_nothing_can_be_is_eio)
{
	static const char *const assignments[] = {
		"mode = 0",
		"mode = -1",
		"mode = 420",
		"mode = 8589934592",
		"mode = 'x'",
		"mode = x'00'",
		"mode = 0x1000000 + 33188",
		"mode = 33188.5",
		"size = -1",
		"size = 'long'",
		"size = 1e300",
		"uid = -1",
		"uid = 4294967296",
		"uid = 'root'",
		"gid = -1",
		"gid = 4294967296",
		"mode = 0150000 + 1e9",
		"size = x'01'",
	};
	struct cairn_attr attr;

	sx_open(false);
	for (size_t i = 0; i < ARRAY_SIZE(assignments); i++)
		cr_expect_eq(get_inode_with(assignments[i], &attr), -EIO, "%s", assignments[i]);
	cr_assert(sx_log_has("nonsense"));
}

Test(store_hostile, harmless_values_are_brought_into_range)
{
	struct cairn_attr attr = { 0 };

	sx_open(false);
	cr_assert_eq(get_inode_with("nlink = -3", &attr), 0);
	cr_assert_eq(attr.nlink, 0);
	cr_assert_eq(get_inode_with("nlink = 99999999999", &attr), 0);
	cr_assert_eq(attr.nlink, UINT32_MAX);
	cr_assert_eq(get_inode_with("mtime_nsec = 1000000000, atime_nsec = -1", &attr), 0);
	cr_assert_eq(attr.mtime.tv_nsec, 999999999);
	cr_assert_eq(attr.atime.tv_nsec, 0);
	cr_assert_eq(get_inode_with("rdev = -1", &attr), 0);
	cr_assert_eq(attr.rdev, 0);
	cr_assert_eq(get_inode_with("mtime = 1700000000.75", &attr), 0);
	cr_assert_eq(attr.mtime.tv_sec, 1700000000);
	cr_assert_eq(get_inode_with("mtime = 'yesterday'", &attr), 0);
	cr_assert_eq(attr.mtime.tv_sec, 0);
}

Test(store_hostile, names_that_no_path_can_hold_are_passed_over)
{
	struct sx_rows rows = { 0 };

	sx_sql(NULL, loose_tables);
	sx_sql(NULL, "INSERT INTO fs_dentry (parent_ino, ino, name) VALUES (1, 2, 'good'), "
		     "(1, 2, ''), (1, 2, '.'), (1, 2, '..'), (1, 2, 'a/b'), (1, 2, '/'), "
		     "(1, 2, x'610062'), (1, 2, CAST(x'610062' AS TEXT)), (1, 2, NULL), (1, 2, 5), "
		     "(1, 2, 1.5), (1, 2, printf('%.256c', 'x')), (1, 2, x''), "
		     "(1, 2, x'61'), (1, 2, CAST(x'ff' AS TEXT)), (1, 2, x'ff'), "
		     "(1, 2, printf('%.255c', 'x')), (1, 2, '...')");
	sx_open(true);
	cr_assert_eq(OPS->dentry_scan(sx.reader, 1, true, sx_collect_dentry, &rows), 0);
	cr_assert_eq(rows.count, 4);
	cr_assert_not_null(sx_find(&rows, "good"));
	cr_assert_not_null(sx_find(&rows, "\xff"));
	cr_assert_not_null(sx_find(&rows, "..."));
	cr_assert(sx_log_has("no path can hold"));
}

Test(store_hostile, entry_of_a_nonsense_inode_is_listed_but_not_readable)
{
	struct cairn_dentry_row row;
	struct sx_rows rows = { 0 };

	sx_sql(NULL,
	       "INSERT INTO fs_inode (ino, mode, atime, mtime, ctime) VALUES (7, 1, 0, 0, 0); "
	       "INSERT INTO fs_dentry (parent_ino, ino, name) VALUES (1, 7, 'bad')");
	sx_open(true);
	cr_assert_eq(OPS->dentry_scan(sx.reader, 1, true, sx_collect_dentry, &rows), 0);
	cr_assert_eq(rows.count, 1);
	cr_assert_not(rows.rows[0].has_attr);
	cr_assert_eq(OPS->dentry_get(sx.reader, 1, "bad", 3, &row), -EIO);
}

Test(store_hostile, entry_of_no_inode_number_is_eio)
{
	struct cairn_dentry_row row;
	struct sx_rows rows = { 0 };

	sx_sql(NULL, loose_tables);
	sx_sql(NULL, "INSERT INTO fs_dentry (parent_ino, ino, name) VALUES (1, 0, 'zero'), "
		     "(1, -1, 'less'), (1, 'x', 'text'), (1, NULL, 'null')");
	sx_open(true);
	cr_assert_eq(OPS->dentry_get(sx.reader, 1, "zero", 4, &row), -EIO);
	cr_assert_eq(OPS->dentry_get(sx.reader, 1, "less", 4, &row), -EIO);
	cr_assert_eq(OPS->dentry_get(sx.reader, 1, "text", 4, &row), -EIO);
	cr_assert_eq(OPS->dentry_get(sx.reader, 1, "null", 4, &row), -EIO);
	cr_assert_eq(OPS->dentry_scan(sx.reader, 1, false, sx_collect_dentry, &rows), 0);
	cr_assert_eq(rows.count, 0);
}

Test(store_hostile, symlink_target_that_no_symlink_can_have_is_eio)
{
	static const char *const targets[] = {
		"''", "x''",  "printf('%.4096c', 'x')", "x'610062'", "CAST(x'610062' AS TEXT)",
		"5",  "NULL",
	};
	char sql[256], *target = NULL;

	sx_sql(NULL, loose_tables);
	sx_open(true);
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		sqlite3_snprintf(sizeof(sql), sql, "REPLACE INTO fs_symlink VALUES (7, %s)",
				 targets[i]);
		sx_sql(NULL, sql);
		cr_expect_eq(OPS->symlink_get(sx.reader, 7, &target), -EIO, "%s", targets[i]);
	}
	sx_sql(NULL, "REPLACE INTO fs_symlink VALUES (7, x'2e2e')");
	cr_assert_eq(OPS->symlink_get(sx.reader, 7, &target), 0);
	cr_assert_str_eq(target, "..");
	free(target);
}

static int read_chunks(const char *row, struct sx_chunks *ret)
{
	char sql[256];

	*ret = (struct sx_chunks){ 0 };
	sqlite3_snprintf(sizeof(sql), sql, "DELETE FROM fs_data; INSERT INTO fs_data VALUES %s",
			 row);
	sx_sql(NULL, sql);
	return OPS->data_read(sx.reader, 7, 0, INT64_MAX, sx_collect_chunk, ret);
}

Test(store_hostile, chunk_of_a_wrong_type_is_eio)
{
	struct sx_chunks got;

	sx_sql(NULL, loose_tables);
	sx_open(true);
	cr_assert_eq(read_chunks("(7, 0, 5)", &got), -EIO);
	cr_assert_eq(read_chunks("(7, 0, 1.5)", &got), -EIO);
	cr_assert_eq(read_chunks("(7, 0, NULL)", &got), -EIO);
	cr_assert_eq(read_chunks("(7, 1.5, x'61')", &got), -EIO);
	cr_assert_eq(read_chunks("(7, 0, 'text')", &got), 0);
	cr_assert_eq(got.first[0], 't');
	cr_assert_eq(got.len[0], 4);
}

Test(store_hostile, chunks_with_indexes_out_of_range_are_not_read)
{
	struct sx_chunks got;

	sx_sql(NULL, loose_tables);
	sx_open(true);
	cr_assert_eq(read_chunks("(7, -1, x'61'), (7, 'x', x'62'), (7, NULL, x'63'), "
				 "(NULL, 0, x'64'), (7, x'00', x'65')",
				 &got),
		     0);
	cr_assert_eq(got.count, 0);
}

Test(store_hostile, chunk_longer_than_the_chunk_size_is_clipped)
{
	struct sx_chunks got;

	sx_open(true);
	cr_assert_eq(read_chunks("(7, 0, zeroblob(65537)), (7, 1, zeroblob(20000000))", &got), 0);
	cr_assert_eq(got.count, 2);
	cr_assert_eq(got.len[0], 65536);
	cr_assert_eq(got.len[1], 65536);
}

Test(store_hostile, value_beyond_all_measure_is_an_error)
{
	struct sx_chunks got;

	sx_open(true);
	cr_assert_lt(read_chunks("(7, 0, zeroblob(100000000))", &got), 0);
	cr_assert_eq(got.count, 0);
}

Test(store_hostile, xattr_that_none_can_be_is_eio_or_passed_over)
{
	struct sx_names names = { 0 };
	void *value;
	size_t len;

	sx_sql(NULL, loose_tables);
	sx_sql(NULL, "INSERT INTO cairn_xattr VALUES (7, 'user.int', 5), (7, 'user.null', NULL), "
		     "(7, 'user.big', zeroblob(65537)), (7, 'user.ok', x'61'), (7, '', x'61'), "
		     "(7, NULL, x'61'), (7, 5, x'61'), (7, x'610062', x'61'), "
		     "(7, printf('user.%.300c', 'x'), x'61')");
	sx_open(true);
	cr_assert_eq(OPS->xattr_get(sx.reader, 7, "user.int", &value, &len), -EIO);
	cr_assert_eq(OPS->xattr_get(sx.reader, 7, "user.null", &value, &len), -EIO);
	cr_assert_eq(OPS->xattr_get(sx.reader, 7, "user.big", &value, &len), -EIO);
	cr_assert_eq(OPS->xattr_scan(sx.reader, 7, sx_collect_xattr, &names), 0);
	cr_assert_eq(names.count, 4);
}

Test(store_hostile, orphans_of_no_inode_number_are_passed_over)
{
	struct sx_inos inos = { 0 };

	sx_sql(NULL, "INSERT INTO cairn_orphan VALUES (0), (-5), (3)");
	sx_open(true);
	cr_assert_eq(OPS->orphan_scan(sx.reader, sx_collect_ino, &inos), 0);
	cr_assert_eq(inos.count, 1);
	cr_assert_eq(inos.ino[0], 3);
}

Test(store_hostile, sequence_that_is_no_number_is_eio)
{
	uint64_t first;

	sx_open(false);
	sx_sql(NULL, "UPDATE sqlite_sequence SET seq = 'many' WHERE name = 'fs_inode'");
	cr_assert_eq(OPS->lease(sx.store, CAIRN_SEQUENCE_INODE, 1, &first), -EIO);
}

Test(store_hostile, view_in_the_place_of_a_table_is_einval)
{
	sx_sql(NULL, "ALTER TABLE fs_data RENAME TO hidden; "
		     "CREATE VIEW fs_data AS SELECT * FROM hidden");
	cr_assert_eq(sx_try_open(false), -EINVAL);
	cr_assert(sx_err_has("no table fs_data"));
}

Test(store_hostile, virtual_table_in_the_place_of_a_table_is_einval)
{
	sx_sql(NULL,
	       "DROP TABLE fs_symlink; CREATE VIRTUAL TABLE fs_symlink USING fts5(ino, target)");
	cr_assert_eq(sx_try_open(false), -EINVAL);
	cr_assert_eq(sx_try_open(true), -EINVAL);
}

/* Everything a mount asks of a store; the results do not matter, only that there are some. */
static void read_all(void)
{
	for (uint64_t ino = 1; ino < 12; ino++) {
		struct cairn_dentry_row row;
		struct sx_chunks chunks = { 0 };
		struct sx_names names = { 0 };
		struct sx_rows rows = { .stop_at = 15 };
		struct cairn_attr attr;
		char *target;
		void *value;
		size_t len;

		OPS->inode_get(sx.reader, ino, &attr);
		OPS->dentry_get(sx.reader, ino, "name-3", 6, &row);
		OPS->dentry_scan(sx.reader, ino, true, sx_collect_dentry, &rows);
		OPS->data_read(sx.reader, ino, 0, 15, sx_collect_chunk, &chunks);
		OPS->xattr_scan(sx.reader, ino, sx_collect_xattr, &names);
		if (OPS->symlink_get(sx.reader, ino, &target) == 0)
			free(target);
		if (OPS->xattr_get(sx.reader, ino, "user.a", &value, &len) == 0)
			free(value);
	}
}

static void write_some(void)
{
	struct cairn_attr attr = sx_attr(1000, S_IFREG | 0644);
	uint64_t first;

	OPS->lease(sx.store, CAIRN_SEQUENCE_DENTRY, 10, &first);
	if (OPS->begin(sx.store) < 0)
		return;
	OPS->inode_insert(sx.store, &attr);
	OPS->dentry_put(sx.store, 1, "new", 3, 5000, 1000);
	OPS->data_put(sx.store, 1000, 0, "data", 4);
	OPS->inode_delete(sx.store, 3, S_IFREG);
	OPS->commit(sx.store);
	OPS->rollback(sx.store);
	OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_ALL);
}

static void fill(void)
{
	sx_sql(NULL,
	       "WITH RECURSIVE n(i) AS (VALUES (2) UNION ALL SELECT i + 1 FROM n WHERE i < 11) "
	       "INSERT INTO fs_inode (ino, mode, size, atime, mtime, ctime) "
	       "SELECT i, 33188, 30000, 1, 2, 3 FROM n; "
	       "INSERT INTO fs_dentry (parent_ino, ino, name) "
	       "SELECT 1, ino, 'name-' || ino FROM fs_inode WHERE ino > 1; "
	       "INSERT INTO fs_data SELECT ino, 0, randomblob(9000) FROM fs_inode WHERE ino > 1; "
	       "INSERT INTO fs_symlink SELECT ino, 'target' FROM fs_inode; "
	       "INSERT INTO cairn_xattr SELECT ino, 'user.a', x'61' FROM fs_inode");
}

/* A reproducible stream of numbers (xorshift64). */
static uint64_t draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

Test(store_hostile, random_damage_gives_errors_and_nothing_worse)
{
	static unsigned char good[1 << 18], bad[1 << 18];
	uint64_t seed = 88172645463325252U;
	ssize_t size;
	int fd;

	fill();
	fd = open(sx.db, O_RDONLY);
	size = read(fd, good, sizeof(good));
	cr_assert_gt(size, 100000);
	close(fd);
	sx.log.level = CAIRN_LOG_ERR;

	for (int round = 0; round < 300; round++) {
		size_t length = (size_t)size;

		memcpy(bad, good, length);
		for (uint64_t i = draw(&seed) % 40; i > 0; i--)
			bad[100 + draw(&seed) % (length - 100)] = (unsigned char)draw(&seed);
		if (round % 3 ==
		    0) /* half of all damage where the schema and the trees' roots are */
			bad[100 + draw(&seed) % 4000] ^= (unsigned char)(1 << draw(&seed) % 8);
		if (round % 7 == 0)
			memset(bad + 4096 * (1 + draw(&seed) % (length / 4096 - 1)), 0xa5, 4096);
		if (round % 11 == 0)
			length = draw(&seed) % length;
		unlink(sx.db);
		unlink(sx_path("work.db-wal"));
		unlink(sx_path("work.db-shm"));
		fd = open(sx.db, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		cr_assert_eq(write(fd, bad, length), (ssize_t)length);
		close(fd);
		if (sx_try_open(round % 2 == 0) < 0) {
			cr_assert_neq(sx.err.text[0], 0);
			sx_close();
			continue;
		}
		read_all();
		if (round % 2)
			write_some();
		sx_close();
	}
}

Test(store_hostile, garbage_pages_are_eio)
{
	unsigned char garbage[4096];
	long size = sx_size(sx.db);
	int fd = open(sx.db, O_WRONLY);

	memset(garbage, 0xa5, sizeof(garbage));
	for (off_t page = 1; page < size / 4096; page++)
		cr_assert_eq(pwrite(fd, garbage, 4096, page * 4096), 4096);
	close(fd);
	cr_assert_eq(sx_try_open(false), -EIO);
	cr_assert(sx_err_has("damaged"));
	cr_assert_eq(sx_try_open(true), -EIO);
}

/* With a mapped file this would be a SIGBUS. */
Test(store_hostile, file_cut_short_under_an_open_store_is_eio)
{
	struct sx_chunks got = { 0 };

	fill();
	sx_open(false);
	cr_assert_eq(OPS->checkpoint(sx.store, CAIRN_CHECKPOINT_ALL), 0);
	cr_assert_eq(truncate(sx.db, 4096), 0);
	cr_assert_eq(OPS->data_read(sx.reader, 5, 0, 9, sx_collect_chunk, &got), -EIO);
	cr_assert_eq(got.count, 0);
}

Test(store_hostile, table_dropped_under_an_open_store_is_eio_not_enoent)
{
	char *target;

	sx_open(true);
	cr_assert_eq(OPS->symlink_get(sx.reader, 7, &target), -ENOENT);
	sx_sql(NULL, "DROP TABLE fs_symlink");
	cr_assert_eq(OPS->symlink_get(sx.reader, 7, &target), -EIO);
	cr_assert(sx_log_has("no such table"));
}
