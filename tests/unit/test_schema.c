/* The tables: checking them, and bringing files of older versions to the current one. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/schema.h"
#include "store_fixture.h"

TestSuite(schema, .init = sx_setup_made, .fini = sx_teardown);

#define OPS (sx.store->ops)

/* What AgentFS 0.2 made: no rdev, no nanoseconds, no stored version. */
static const char tables_0_2[] =
	"CREATE TABLE fs_config (key TEXT PRIMARY KEY, value TEXT NOT NULL);"
	"CREATE TABLE fs_inode (ino INTEGER PRIMARY KEY AUTOINCREMENT, mode INTEGER NOT NULL, "
	"nlink INTEGER NOT NULL DEFAULT 0, uid INTEGER NOT NULL DEFAULT 0, "
	"gid INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL DEFAULT 0, "
	"atime INTEGER NOT NULL, mtime INTEGER NOT NULL, ctime INTEGER NOT NULL);"
	"CREATE TABLE fs_dentry (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, "
	"parent_ino INTEGER NOT NULL, ino INTEGER NOT NULL, UNIQUE(parent_ino, name));"
	"CREATE TABLE fs_data (ino INTEGER NOT NULL, chunk_index INTEGER NOT NULL, "
	"data BLOB NOT NULL, PRIMARY KEY (ino, chunk_index));"
	"CREATE TABLE fs_symlink (ino INTEGER PRIMARY KEY, target TEXT NOT NULL);"
	"INSERT INTO fs_config VALUES ('chunk_size', '4096');"
	"INSERT INTO fs_inode (ino, mode, nlink, uid, gid, size, atime, mtime, ctime) VALUES "
	"(1, 16877, 1, 0, 0, 0, 10, 11, 12), (2, 33188, 1, 5, 6, 5, 20, 21, 22);"
	"INSERT INTO fs_dentry (name, parent_ino, ino) VALUES ('file', 1, 2);"
	"INSERT INTO fs_data VALUES (2, 0, CAST('hello' AS BLOB));";

static void setup_0_2(void)
{
	sx_setup();
	sx_sql(NULL, tables_0_2);
}

TestSuite(schema_0_2, .init = setup_0_2, .fini = sx_teardown);

static void expect_old_file_reads(void)
{
	struct cairn_dentry_row row = { 0 };
	struct sx_chunks chunks = { 0 };

	cr_expect_eq(sx.store->chunk_size, 4096);
	cr_expect_eq(OPS->dentry_get(sx.reader, 1, "file", 4, &row), 0);
	cr_expect(row.has_attr);
	cr_expect_eq(row.attr.ino, 2);
	cr_expect_eq(row.attr.mode, 0100644);
	cr_expect_eq(row.attr.uid, 5);
	cr_expect_eq(row.attr.gid, 6);
	cr_expect_eq(row.attr.size, 5);
	cr_expect_eq(row.attr.rdev, 0);
	cr_expect_eq(row.attr.atime.tv_sec, 20);
	cr_expect_eq(row.attr.mtime.tv_sec, 21);
	cr_expect_eq(row.attr.ctime.tv_sec, 22);
	cr_expect_eq(row.attr.ctime.tv_nsec, 0);
	cr_expect_eq(OPS->data_read(sx.reader, 2, 0, 0, sx_collect_chunk, &chunks), 0);
	cr_expect_eq(chunks.len[0], 5);
}

Test(schema_0_2, first_writable_open_migrates)
{
	struct cairn_attr attr = sx_attr(2, S_IFCHR | 0600), got = { 0 };

	sx_open(false);
	expect_old_file_reads();
	attr.rdev = 99;
	sx_commit(cr_assert_eq(OPS->inode_update(sx.store, &attr), 0);
		  cr_assert_eq(OPS->xattr_put(sx.store, 2, "user.a", "v", 1), 0));
	cr_assert_eq(OPS->inode_get(sx.reader, 2, &got), 0);
	cr_assert_eq(got.rdev, 99);
	cr_assert_eq(got.mtime.tv_nsec, attr.mtime.tv_nsec);
	cr_assert_str_eq(sx_text("SELECT value FROM fs_config WHERE key = 'schema_version'"),
			 "0.4");
	cr_assert_str_eq(sx_text("SELECT group_concat(type || \"notnull\" || dflt_value, ' ') "
				 "FROM pragma_table_info('fs_inode') WHERE name IN "
				 "('rdev', 'atime_nsec', 'mtime_nsec', 'ctime_nsec')"),
			 "INTEGER10 INTEGER10 INTEGER10 INTEGER10");
}

static uint64_t sum_of_file(void)
{
	static unsigned char bytes[1 << 18];
	int fd = open(sx.db, O_RDONLY);
	ssize_t n = read(fd, bytes, sizeof(bytes));
	uint64_t sum = 0xcbf29ce484222325;

	close(fd);
	for (ssize_t i = 0; i < n; i++)
		sum = (sum ^ bytes[i]) * 0x100000001b3;
	return sum;
}

Test(schema_0_2, read_only_open_reads_it_as_it_is)
{
	uint64_t sum = sum_of_file();
	struct sx_names names = { 0 };
	struct sx_inos inos = { 0 };
	struct sx_rows rows = { 0 };
	void *value;
	size_t len;

	sx_open(true);
	expect_old_file_reads();
	cr_assert_eq(OPS->dentry_scan(sx.reader, 1, true, sx_collect_dentry, &rows), 0);
	cr_assert_eq(rows.rows[0].attr.mtime.tv_sec, 21);
	cr_assert_eq(OPS->xattr_get(sx.reader, 2, "user.a", &value, &len), -ENOENT);
	cr_assert_eq(OPS->xattr_scan(sx.reader, 2, sx_collect_xattr, &names), 0);
	cr_assert_eq(OPS->orphan_scan(sx.reader, sx_collect_ino, &inos), 0);
	cr_assert_eq(names.count + inos.count, 0);
	sx_close();
	cr_assert_eq(sum_of_file(), sum);
}

Test(schema_0_2, info_names_the_version)
{
	struct cairn_store_info info = { 0 };

	cr_assert_eq(cairn_sqlite_store_info(sx.db, &info, &sx.err), 0, "%s", sx.err.text);
	cr_assert_str_eq(info.schema_version, "0.2");
	cr_assert_eq(info.inodes, 2);
	cr_assert_eq(info.data_bytes, 5);
}

Test(schema_0_2, migration_that_stopped_half_way_is_finished)
{
	sx_sql(NULL, "ALTER TABLE fs_inode ADD COLUMN atime_nsec INTEGER NOT NULL DEFAULT 0; "
		     "ALTER TABLE fs_inode ADD COLUMN rdev INTEGER NOT NULL DEFAULT 0");
	sx_open(true);
	expect_old_file_reads();
	sx_close();
	sx_open(false);
	expect_old_file_reads();
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM pragma_table_info('fs_inode')"), 13);
}

Test(schema_0_2, migration_while_another_process_writes_is_ebusy_and_changes_nothing)
{
	sqlite3 *other;

	sx_sql(NULL, "PRAGMA journal_mode = WAL");
	other = sx_connect();
	sx_sql(other, "BEGIN IMMEDIATE");
	cr_assert_eq(sx_try_open(false), -EBUSY);
	cr_assert(sx_err_has("locked"));
	sqlite3_close(other);
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM pragma_table_info('fs_inode')"), 9);
}

Test(schema_0_2, migration_is_done_whole_or_not_at_all)
{
	struct cairn_sql_target target = { 0 };
	struct cairn_schema schema = { 0 };
	struct cairn_sql sql = { 0 };

	cr_assert_eq(cairn_sql_target_set(&target, sx.db, false, false, 0), 0);
	cr_assert_eq(cairn_sql_open(&sql, &target, &sx.log), 0);
	cairn_sql_target_clear(&target);
	cr_assert_eq(cairn_schema_check(&sql, sx.db, &schema, &sx.err), 0);
	sx_sql(sql.db, "PRAGMA max_page_count = 1"); /* room for columns, none for tables */
	cr_assert_eq(cairn_schema_upgrade(&sql, sx.db, &schema, &sx.err), -ENOSPC);
	cr_assert_not(cairn_sql_in_transaction(&sql));
	cr_assert_neq(schema.missing, 0);
	cairn_sql_close(&sql);
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM pragma_table_info('fs_inode')"), 9);
	sx_open(false);
}

Test(schema_0_2, version_0_0_is_refused_and_names_the_way_out)
{
	sx_sql(NULL, "ALTER TABLE fs_inode DROP COLUMN nlink");
	cr_assert_eq(sx_try_open(false), -EINVAL);
	cr_assert(sx_err_has("agentfs migrate"));
	cr_assert_eq(sx_try_open(true), -EINVAL);
}

static int open_with_config(const char *key, const char *value)
{
	char sql[256];
	int r;

	sqlite3_snprintf(sizeof(sql), sql, "UPDATE fs_config SET value = %s WHERE key = %Q", value,
			 key);
	sx_sql(NULL, sql);
	r = sx_try_open(true);
	sx_close();
	return r;
}

Test(schema, versions_up_to_ours_open)
{
	cr_expect_eq(open_with_config("schema_version", "'0.4'"), 0);
	cr_expect_eq(open_with_config("schema_version", "'0.3'"), 0);
	cr_expect_eq(open_with_config("schema_version", "'0.2'"), 0);
}

Test(schema, newer_versions_are_einval)
{
	static const char *const versions[] = { "'0.5'", "'0.10'", "'1.0'", "'2.3'" };

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		cr_expect_eq(open_with_config("schema_version", versions[i]), -EINVAL, "%s",
			     versions[i]);
		cr_expect(sx_err_has("newer"), "%s", sx.err.text);
	}
}

Test(schema, unreadable_versions_are_einval)
{
	static const char *const versions[] = { "''",     "'four'", "'0'",          "'0.4.1'",
						"'0.4x'", "'-0.4'", "' 0.4'",       "'0.'",
						"x'ff'",  "'0,4'",  "'0.40000000'", "4" };

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		cr_expect_eq(open_with_config("schema_version", versions[i]), -EINVAL, "%s",
			     versions[i]);
}

Test(schema, chunk_sizes_out_of_range_are_einval)
{
	static const char *const sizes[] = { "''",    "'0'",  "'-1'", "'16777217'",
					     "'4k'",  "' 5'", "'+5'", "'99999999999999999999'",
					     "x'00'", "'1e3'" };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		cr_expect_eq(open_with_config("chunk_size", sizes[i]), -EINVAL, "%s", sizes[i]);
		cr_expect(sx_err_has("chunk size"));
	}
	cr_expect_eq(open_with_config("chunk_size", "'1'"), 0);
	cr_expect_eq(open_with_config("chunk_size", "'16777216'"), 0);
	cr_expect_eq(open_with_config("chunk_size", "512"), 0);
}

Test(schema, missing_chunk_size_is_agentfs_default_and_is_written_down)
{
	sx_sql(NULL, "DELETE FROM fs_config WHERE key = 'chunk_size'");
	sx_open(true);
	cr_assert_eq(sx.store->chunk_size, 4096);
	sx_close();
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM fs_config"), 1);
	sx_open(false);
	cr_assert_eq(sx.store->chunk_size, 4096);
	cr_assert_str_eq(sx_text("SELECT value FROM fs_config WHERE key = 'chunk_size'"), "4096");
}

Test(schema, root_that_is_no_directory_is_einval)
{
	sx_sql(NULL, "UPDATE fs_inode SET mode = 33188");
	cr_assert_eq(sx_try_open(false), -EINVAL);
	cr_assert(sx_err_has("no directory"));
	sx_sql(NULL, "DELETE FROM fs_inode");
	cr_assert_eq(sx_try_open(false), -EINVAL);
	cr_assert(sx_err_has("missing"));
}

Test(schema, every_table_is_needed)
{
	static const char *const tables[] = { "fs_config", "fs_inode", "fs_dentry", "fs_data",
					      "fs_symlink" };
	char sql[128];

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		sqlite3_snprintf(sizeof(sql), sql, "ALTER TABLE %s RENAME TO elsewhere", tables[i]);
		sx_sql(NULL, sql);
		cr_expect_eq(sx_try_open(true), -EINVAL);
		cr_expect(sx_err_has(tables[i]), "%s", sx.err.text);
		sqlite3_snprintf(sizeof(sql), sql, "ALTER TABLE elsewhere RENAME TO %s", tables[i]);
		sx_sql(NULL, sql);
	}
	cr_assert_eq(sx_try_open(true), 0);
}

Test(schema, missing_column_is_named)
{
	sx_sql(NULL, "ALTER TABLE fs_data RENAME COLUMN data TO bytes");
	cr_assert_eq(sx_try_open(true), -EINVAL);
	cr_assert(sx_err_has("fs_data has no column data"), "%s", sx.err.text);
}

Test(schema, own_tables_are_made_where_they_are_missing)
{
	sx_sql(NULL, "DROP TABLE cairn_xattr; DROP TABLE cairn_orphan");
	sx_open(true);
	sx_close();
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM sqlite_schema WHERE name LIKE 'cairn_%'"), 0);
	sx_open(false);
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM sqlite_schema WHERE name LIKE 'cairn_%'"), 2);
	sx_commit(cr_assert_eq(OPS->xattr_put(sx.store, 1, "user.a", "v", 1), 0));
}

Test(schema, current_file_is_opened_without_a_write)
{
	int64_t version = sx_number("PRAGMA schema_version");

	sx_open(false);
	cr_assert_leq(sx_size(sx_path("work.db-wal")), 0);
	sx_close();
	cr_assert_eq(sx_number("PRAGMA schema_version"), version);
}

Test(schema, own_table_of_another_shape_is_einval)
{
	sx_sql(NULL, "DROP TABLE cairn_xattr; CREATE TABLE cairn_xattr (ino, key, value)");
	cr_assert_eq(sx_try_open(false), -EINVAL);
	cr_assert(sx_err_has("cairn_xattr"));
}

Test(schema, foreign_columns_tables_and_settings_are_left_alone)
{
	struct cairn_attr attr = sx_attr(2, S_IFREG | 0644);

	sx_sql(NULL, "ALTER TABLE fs_inode ADD COLUMN colour TEXT DEFAULT 'red'; "
		     "CREATE TABLE mine (x); INSERT INTO mine VALUES (5); "
		     "INSERT INTO fs_config VALUES ('colour', 'blue')");
	sx_open(false);
	sx_commit(cr_assert_eq(OPS->inode_insert(sx.store, &attr), 0);
		  cr_assert_eq(OPS->inode_update(sx.store, &attr), 0));
	sx_close();
	cr_assert_str_eq(sx_text("SELECT colour FROM fs_inode WHERE ino = 2"), "red");
	cr_assert_eq(sx_number("SELECT x FROM mine"), 5);
	cr_assert_str_eq(sx_text("SELECT value FROM fs_config WHERE key = 'colour'"), "blue");
}
