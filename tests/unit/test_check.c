/* Every rule of the format: broken through SQL, found, mended, and not found again. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/check.h"
#include "store_fixture.h"

/* A workspace with a directory 10 that holds the files 11 (5 bytes) and 12 (64 KiB and 5 bytes),
 * and a symbolic link 13. */
static const char content[] =
	"INSERT INTO fs_inode (ino, mode, nlink, size, atime, mtime, ctime) VALUES "
	"(10, 16877, 2, 0, 1, 1, 1), (11, 33188, 1, 5, 1, 1, 1), (12, 33188, 1, 65541, 1, 1, 1), "
	"(13, 41471, 1, 3, 1, 1, 1);"
	"UPDATE fs_inode SET nlink = 3 WHERE ino = 1;"
	"INSERT INTO fs_dentry (id, name, parent_ino, ino) VALUES (20, 'dir', 1, 10), "
	"(21, 'small', 10, 11), (22, 'large', 10, 12), (23, 'link', 1, 13);"
	"INSERT INTO fs_data VALUES (11, 0, x'0102030405'), (12, 0, zeroblob(65536)), "
	"(12, 1, x'0102030405');"
	"INSERT INTO fs_symlink VALUES (13, 'dir');"
	"INSERT INTO cairn_xattr VALUES (11, 'user.a', x'01');";

struct rule {
	const char *code;
	const char *broken; /* SQL that breaks it */
	const char *mended; /* SQL that answers 1 when it is mended as it should be; NULL: a note */
};

static const struct rule rules[] = {
	{ "inode_number",
	  "UPDATE fs_inode SET ino = -2 WHERE ino = 11; UPDATE fs_dentry SET ino = -2 WHERE id = "
	  "21;"
	  "UPDATE fs_data SET ino = -2 WHERE ino = 11; DELETE FROM cairn_xattr",
	  "SELECT COUNT(*) = 1 FROM fs_dentry AS d JOIN fs_data AS c USING (ino) "
	  "WHERE d.name = 'small' AND d.ino > 13" },
	{ "mode", "UPDATE fs_inode SET mode = 0 WHERE ino = 10",
	  "SELECT mode = 16384 FROM fs_inode WHERE ino = 10" },
	{ "mode", "UPDATE fs_inode SET mode = 420 WHERE ino = 11",
	  "SELECT mode = 33188 FROM fs_inode WHERE ino = 11" },
	{ "mode", "UPDATE fs_inode SET mode = 'link' WHERE ino = 13",
	  "SELECT mode = 41408 FROM fs_inode WHERE ino = 13" },
	{ "owner", "UPDATE fs_inode SET uid = -1, gid = 'staff' WHERE ino = 11",
	  "SELECT uid = 0 AND gid = 0 FROM fs_inode WHERE ino = 11" },
	{ "time", "UPDATE fs_inode SET atime = -1, mtime = 7.5 WHERE ino = 11",
	  "SELECT atime = 0 AND mtime = 7 AND ctime = 1 FROM fs_inode WHERE ino = 11" },
	{ "nanoseconds", "UPDATE fs_inode SET mtime_nsec = 1000000000 WHERE ino = 11",
	  "SELECT mtime_nsec = 0 FROM fs_inode WHERE ino = 11" },
	{ "device", "UPDATE fs_inode SET rdev = -1 WHERE ino = 11",
	  "SELECT rdev = 0 FROM fs_inode WHERE ino = 11" },
	{ "entry_number", "UPDATE fs_dentry SET id = -5 WHERE id = 21",
	  "SELECT id > 23 FROM fs_dentry WHERE name = 'small'" },
	{ "name_storage", "UPDATE fs_dentry SET name = x'6162' WHERE id = 21",
	  "SELECT typeof(name) = 'text' AND name = 'ab' FROM fs_dentry WHERE id = 21" },
	{ "name_storage", "UPDATE fs_dentry SET name = CAST(x'ff' AS TEXT) WHERE id = 21",
	  "SELECT name = x'ff' FROM fs_dentry WHERE id = 21" },
	{ "name_storage", "UPDATE fs_dentry SET name = CAST('large' AS BLOB) WHERE id = 21",
	  "SELECT name = 'invalid-name-21' FROM fs_dentry WHERE id = 21" },
	{ "name", "UPDATE fs_dentry SET name = 'a/b' WHERE id = 21",
	  "SELECT name = 'invalid-name-21' FROM fs_dentry WHERE id = 21" },
	{ "name", "UPDATE fs_dentry SET name = '' WHERE id = 21",
	  "SELECT name = 'invalid-name-21' FROM fs_dentry WHERE id = 21" },
	{ "name", "UPDATE fs_dentry SET name = '..' WHERE id = 21",
	  "SELECT name = 'invalid-name-21' FROM fs_dentry WHERE id = 21" },
	{ "name", "UPDATE fs_dentry SET name = 'a' || char(0) WHERE id = 21",
	  "SELECT name = 'invalid-name-21' FROM fs_dentry WHERE id = 21" },
	{ "name", "UPDATE fs_dentry SET name = printf('%.256c', 'x') WHERE id = 21",
	  "SELECT name = 'invalid-name-21' FROM fs_dentry WHERE id = 21" },
	{ "name_twice",
	  "CREATE TABLE d AS SELECT * FROM fs_dentry; DROP TABLE fs_dentry; CREATE TABLE fs_dentry "
	  "(id INTEGER PRIMARY KEY AUTOINCREMENT, name, parent_ino, ino);"
	  "INSERT INTO fs_dentry SELECT * FROM d; UPDATE fs_dentry SET name = 'same' WHERE "
	  "parent_ino = 10",
	  "SELECT group_concat(name) = 'same,duplicate-22' FROM fs_dentry WHERE parent_ino = 10" },
	{ "chunk_index", "INSERT INTO fs_data VALUES (11, -1, x'00')",
	  "SELECT COUNT(*) = 1 FROM fs_data WHERE ino = 11" },
	{ "chunk_index", "INSERT INTO fs_data VALUES (11, 140737488355328, x'00')",
	  "SELECT COUNT(*) = 1 FROM fs_data WHERE ino = 11" },
	{ "chunk_bytes", "UPDATE fs_data SET data = 7 WHERE ino = 11",
	  "SELECT COUNT(*) = 0 FROM fs_data WHERE ino = 11" },
	{ "chunk_bytes", "UPDATE fs_data SET data = x'' WHERE ino = 11",
	  "SELECT COUNT(*) = 0 FROM fs_data WHERE ino = 11" },
	{ "size", "UPDATE fs_inode SET size = -1 WHERE ino = 12",
	  "SELECT size = 65541 FROM fs_inode WHERE ino = 12" },
	{ "size", "UPDATE fs_inode SET size = 'long' WHERE ino = 13",
	  "SELECT size = 3 FROM fs_inode WHERE ino = 13" },
	{ "root_named", "INSERT INTO fs_dentry (name, parent_ino, ino) VALUES ('top', 10, 1)",
	  "SELECT COUNT(*) = 0 FROM fs_dentry WHERE ino = 1" },
	{ "dangling", "INSERT INTO fs_dentry (name, parent_ino, ino) VALUES ('gone', 10, 99)",
	  "SELECT COUNT(*) = 4 FROM fs_dentry" },
	{ "no_directory", "UPDATE fs_dentry SET parent_ino = 99 WHERE id = 21",
	  "SELECT COUNT(*) = 1 FROM fs_dentry AS d JOIN fs_dentry AS l ON d.parent_ino = l.ino "
	  "WHERE d.name = '#11' AND l.name = 'lost+found' AND l.parent_ino = 1" },
	{ "no_directory", "UPDATE fs_dentry SET parent_ino = 12 WHERE id = 21",
	  "SELECT COUNT(*) = 1 FROM fs_dentry WHERE name = '#11'" },
	{ "directory_names",
	  "INSERT INTO fs_dentry (id, name, parent_ino, ino) VALUES (5, 'up', 10, 10)",
	  "SELECT COUNT(*) = 1 AND MIN(name) = 'dir' FROM fs_dentry WHERE ino = 10" },
	{ "target", "DELETE FROM fs_symlink", "SELECT COUNT(*) = 0 FROM fs_inode WHERE ino = 13" },
	{ "target", "UPDATE fs_symlink SET target = printf('%.4096c', 'x')",
	  "SELECT COUNT(*) = 0 FROM fs_dentry WHERE ino = 13" },
	{ "orphan_in_use", "INSERT INTO cairn_orphan VALUES (11)",
	  "SELECT COUNT(*) = 0 FROM cairn_orphan" },
	{ "orphan_mark", "INSERT INTO cairn_orphan VALUES (99)",
	  "SELECT COUNT(*) = 0 FROM cairn_orphan" },
	{ "orphan",
	  "INSERT INTO cairn_orphan VALUES (11); DELETE FROM fs_dentry WHERE id = 21;"
	  "UPDATE fs_inode SET nlink = 0 WHERE ino = 11",
	  NULL },
	{ "loop",
	  "INSERT INTO fs_inode (ino, mode, nlink, atime, mtime, ctime) VALUES (14, 16877, 3, 1, "
	  "1, 1);"
	  "INSERT INTO fs_dentry (name, parent_ino, ino) VALUES ('in', 10, 14);"
	  "UPDATE fs_dentry SET parent_ino = 14 WHERE id = 20",
	  "SELECT COUNT(*) = 1 FROM fs_dentry WHERE name IN ('#10', '#14') AND parent_ino = "
	  "(SELECT ino FROM fs_dentry WHERE name = 'lost+found')" },
	{ "leaked_empty",
	  "INSERT INTO fs_inode (mode, nlink, atime, mtime, ctime) VALUES (16877, 0, 1, 1, 1)",
	  "SELECT COUNT(*) = 5 FROM fs_inode" },
	{ "leaked", "DELETE FROM fs_dentry WHERE id = 20",
	  "SELECT COUNT(*) = 1 FROM fs_dentry WHERE name = '#10' AND ino = 10" },
	{ "leaked",
	  "DELETE FROM fs_dentry WHERE id = 21; UPDATE fs_inode SET nlink = 0 WHERE ino = 11",
	  "SELECT nlink = 1 FROM fs_inode WHERE ino = 11" },
	{ "leaked",
	  "DELETE FROM fs_dentry WHERE id = 21; UPDATE fs_dentry SET name = 'lost+found' WHERE id "
	  "= 23",
	  "SELECT COUNT(*) = 1 FROM fs_dentry WHERE name = 'lost+found.1'" },
	{ "links", "UPDATE fs_inode SET nlink = 0 WHERE ino = 11",
	  "SELECT nlink = 1 FROM fs_inode WHERE ino = 11" },
	{ "links", "INSERT INTO fs_dentry (name, parent_ino, ino) VALUES ('second', 1, 11)",
	  "SELECT nlink = 2 FROM fs_inode WHERE ino = 11" },
	{ "directory_links", "UPDATE fs_inode SET nlink = 0 WHERE ino = 1",
	  "SELECT nlink = 3 FROM fs_inode WHERE ino = 1" },
	{ "directory_count", "UPDATE fs_inode SET nlink = 1 WHERE ino = 10", NULL },
	{ "chunk_owner", "INSERT INTO fs_data VALUES (99, 0, x'00'), (10, 0, x'00')",
	  "SELECT COUNT(*) = 3 FROM fs_data" },
	{ "chunk_beyond", "INSERT INTO fs_data VALUES (11, 1, x'00')",
	  "SELECT COUNT(*) = 1 FROM fs_data WHERE ino = 11" },
	{ "chunk_long", "UPDATE fs_inode SET size = 3 WHERE ino = 11",
	  "SELECT data = x'010203' FROM fs_data WHERE ino = 11" },
	{ "chunk_long",
	  "UPDATE fs_data SET data = zeroblob(70000) WHERE ino = 12 AND chunk_index = 0",
	  "SELECT LENGTH(data) = 65536 FROM fs_data WHERE ino = 12 AND chunk_index = 0" },
	{ "chunk_short", "UPDATE fs_data SET data = x'0700' WHERE ino = 12 AND chunk_index = 0",
	  "SELECT LENGTH(data) = 65536 AND SUBSTR(data, 1, 3) = x'070000' FROM fs_data "
	  "WHERE ino = 12 AND chunk_index = 0" },
	{ "target_owner", "INSERT INTO fs_symlink VALUES (11, 'x'), (99, 'y')",
	  "SELECT COUNT(*) = 1 FROM fs_symlink" },
	{ "target_size", "UPDATE fs_inode SET size = 2 WHERE ino = 13", NULL },
	{ "xattr_owner", "INSERT INTO cairn_xattr VALUES (99, 'user.a', x'')",
	  "SELECT COUNT(*) = 1 FROM cairn_xattr" },
	{ "xattr", "INSERT INTO cairn_xattr VALUES (11, 'user.b', zeroblob(65537))",
	  "SELECT COUNT(*) = 1 FROM cairn_xattr" },
	{ "xattr_storage", "UPDATE cairn_xattr SET name = CAST(name AS BLOB)",
	  "SELECT typeof(name) = 'text' FROM cairn_xattr" },
	{ "sequence", "UPDATE sqlite_sequence SET seq = 3",
	  "SELECT MIN(seq) = 13 AND MAX(seq) = 23 FROM sqlite_sequence" },
	{ "sequence",
	  "UPDATE sqlite_sequence SET seq = 9223372036854775807; DELETE FROM fs_dentry WHERE id = "
	  "20",
	  "SELECT MAX(seq) < 30 FROM sqlite_sequence" },
	{ "inode_number",
	  "UPDATE fs_inode SET ino = 9223372036854775807 WHERE ino = 10; UPDATE fs_dentry SET "
	  "ino = 9223372036854775807 WHERE ino = 10; UPDATE fs_dentry SET parent_ino = "
	  "9223372036854775807 WHERE parent_ino = 10",
	  "SELECT COUNT(*) = 1 FROM fs_dentry AS d JOIN fs_dentry AS f ON f.parent_ino = d.ino "
	  "WHERE d.name = 'dir' AND f.name = 'small' AND d.ino = 14" },
	{ "entry_number", "UPDATE fs_dentry SET id = 9223372036854775807 WHERE id = 21",
	  "SELECT id = 24 FROM fs_dentry WHERE name = 'small'" },
	{ "sequence", "DELETE FROM sqlite_sequence",
	  "SELECT MIN(seq) = 13 AND MAX(seq) = 23 FROM sqlite_sequence" },
	{ "origin",
	  "CREATE TABLE fs_origin (delta_ino INTEGER PRIMARY KEY, base_ino INTEGER NOT NULL);"
	  "INSERT INTO fs_origin VALUES (11, 2), (99, 3)",
	  "SELECT COUNT(*) = 1 FROM fs_origin" },
#define ORIGINS                                                                                    \
	"CREATE TABLE cairn_origin (delta_ino INTEGER PRIMARY KEY, base_ino INTEGER NOT NULL, "    \
	"base_path TEXT NOT NULL, data_end INTEGER NOT NULL DEFAULT 0);"
	{ "base_origin",
	  ORIGINS "INSERT INTO cairn_origin VALUES (11, 2, '/a', -1), (99, 3, '', 0)",
	  "SELECT COUNT(*) = 1 FROM cairn_origin" },
	{ "base_path",
	  ORIGINS "INSERT INTO cairn_origin VALUES (11, 2, '/a/../b', -1), (12, 3, x'2f61', 0)",
	  "SELECT COUNT(*) = 1 AND base_path = '/a' FROM cairn_origin" },
	{ "base_number",
	  ORIGINS "INSERT INTO cairn_origin VALUES (11, 2, '/a', -1), (12, 2, '/b', 0), "
		  "(10, -3, '', 0)",
	  "SELECT SUM(base_ino) = 2 AND COUNT(*) = 3 FROM cairn_origin" },
	{ "base_data",
	  ORIGINS "INSERT INTO cairn_origin VALUES (11, 2, '/a', 'all'), (10, 3, '/b', 7)",
	  "SELECT SUM(data_end) = 5 AND COUNT(*) = 2 FROM cairn_origin" },
	{ "seen",
	  "CREATE TABLE cairn_seen (path TEXT PRIMARY KEY); INSERT INTO cairn_seen VALUES "
	  "('/a'), ('a'), ('/a/'), ('/' || printf('%.256c', 'x'))",
	  "SELECT COUNT(*) = 1 FROM cairn_seen" },
	{ "whiteout",
	  "CREATE TABLE fs_whiteout (path TEXT PRIMARY KEY, parent_path TEXT, created_at INTEGER);"
	  "INSERT INTO fs_whiteout VALUES (CAST('/a/b' AS BLOB), '/a', 1), (x'2f61ff', '/', 1)",
	  "SELECT COUNT(*) = 2 AND SUM(typeof(path) = 'text') = 1 FROM fs_whiteout" },
	{ "whiteout",
	  "CREATE TABLE fs_whiteout (path TEXT PRIMARY KEY, parent_path TEXT, created_at INTEGER);"
	  "INSERT INTO fs_whiteout VALUES ('/a/b', '/a', 1), ('/a', '/', 1), ('c', '', 1)",
	  "SELECT COUNT(*) = 2 FROM fs_whiteout" },
	{ "whiteout_parent",
	  "CREATE TABLE fs_whiteout (path TEXT PRIMARY KEY, parent_path TEXT, created_at INTEGER);"
	  "INSERT INTO fs_whiteout VALUES ('/a/b', '/a', 1), ('/a/c/d', '/', 1)",
	  "SELECT parent_path = '/a/c' FROM fs_whiteout WHERE path = '/a/c/d'" },
	{ "root", "DELETE FROM fs_inode WHERE ino = 1",
	  "SELECT mode = 16877 FROM fs_inode WHERE ino = 1" },
	{ "root", "UPDATE fs_inode SET mode = 33188 WHERE ino = 1",
	  "SELECT mode = 16877 FROM fs_inode WHERE ino = 1" },
	{ "index",
	  "CREATE INDEX i ON fs_inode (mode); PRAGMA writable_schema = ON; UPDATE sqlite_schema "
	  "SET "
	  "sql = 'CREATE INDEX i ON fs_inode (size)' WHERE name = 'i'",
	  "SELECT 1" },
	{ "foreign_schema",
	  "CREATE TRIGGER t AFTER INSERT ON fs_inode BEGIN DELETE FROM fs_data; END", NULL },
};

/* What a check reported. */
struct seen {
	const char *codes[64];
	unsigned int count, left;
	struct cairn_check_finding first;
};

static void collect(void *arg, const struct cairn_check_finding *finding, bool left)
{
	struct seen *seen = arg;

	if (left) {
		seen->left++;
		return;
	}
	if (seen->count == 0)
		seen->first = *finding;
	cr_assert_lt(seen->count, ARRAY_SIZE(seen->codes));
	seen->codes[seen->count++] = finding->code;
}

static bool has(const struct seen *seen, const char *code)
{
	for (unsigned int i = 0; i < seen->count; i++)
		if (strcmp(seen->codes[i], code) == 0)
			return true;
	return false;
}

static struct cairn_check_result result;
static struct seen seen;

static int try_check(bool repair, bool dense)
{
	const struct cairn_check_options options = {
		.repair = repair,
		.dense = dense,
		.busy_timeout_ms = 10,
		.report = collect,
		.arg = &seen,
	};

	memset(&seen, 0, sizeof(seen));
	memset(&result, 0, sizeof(result));
	sx.err.text[0] = 0;
	return cairn_check(sx.db, &options, &result, &sx.err);
}

static void check(bool repair, bool dense)
{
	cr_assert_eq(try_check(repair, dense), 0, "%s", sx.err.text);
}

static void setup(void)
{
	sx_setup_made();
	sx_sql(NULL, content);
}

TestSuite(check, .init = setup, .fini = sx_teardown);

Test(check, what_cairnfs_makes_is_clean)
{
	check(false, false);
	cr_assert_eq(seen.count, 0, "%s", seen.codes[0]);
	cr_assert_eq(result.errors + result.notes, 0);
	cr_assert_eq(result.inodes, 5);
	cr_assert_eq(result.entries, 4);
	check(true, true);
	cr_assert_not(result.repaired);
	cr_assert_eq(result.holes, 0);
}

/* A directory that shows something of a base does not count its subdirectories. */
Test(check, a_count_that_says_nothing_is_as_it_should_be_over_a_base)
{
	sx_sql(NULL, "CREATE TABLE fs_overlay_config (key TEXT PRIMARY KEY, value TEXT NOT NULL);"
		     "INSERT INTO fs_overlay_config VALUES ('base_path', '/base');"
		     "UPDATE fs_inode SET nlink = 1 WHERE ino = 10");
	check(false, false);
	cr_assert_eq(result.errors + result.notes, 0, "%s", seen.codes[0]);
	sx_sql(NULL, "UPDATE fs_inode SET nlink = 7 WHERE ino = 10");
	check(false, false);
	cr_assert(has(&seen, "directory_count"));
}

static void expect_mended(const struct rule *rule)
{
	check(true, false);
	cr_expect(has(&seen, rule->code), "%s", rule->broken);
	cr_expect_eq(seen.left, 0, "%s", rule->broken);
	cr_expect_eq(result.left, 0, "%s", rule->broken);
	cr_expect(result.repaired, "%s: %s", rule->broken, sx.err.text);
	cr_expect_eq(sx_number(rule->mended), 1, "%s", rule->mended);
	check(false, false);
	cr_expect_eq(result.errors, 0, "%s: left %s", rule->broken, seen.codes[0]);
	cr_expect_str_eq(sx_text("PRAGMA integrity_check"), "ok", "%s", rule->broken);
}

static void break_and_mend(const struct rule *rule)
{
	setup();
	sx_sql(NULL, rule->broken);
	check(false, false);
	cr_expect(has(&seen, rule->code), "not found: %s", rule->broken);
	cr_expect_not(result.repaired);
	if (rule->mended) {
		cr_expect_gt(result.errors, 0);
		cr_expect_eq(result.left, result.errors);
		expect_mended(rule);
	} else {
		cr_expect_eq(result.errors, 0, "%s", rule->broken);
		cr_expect_eq(result.notes, 1, "%s", rule->broken);
	}
	sx_teardown();
}

Test(check_rules, each_is_found_and_mended)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		break_and_mend(&rules[i]);
}

Test(check, looking_changes_nothing)
{
	sx_sql(NULL,
	       "UPDATE fs_inode SET nlink = 9 WHERE ino = 11; DELETE FROM fs_dentry WHERE id = 20");
	check(false, false);
	cr_assert_gt(result.errors, 0);
	cr_assert_eq(sx_number("SELECT nlink FROM fs_inode WHERE ino = 11"), 9);
	cr_assert_not(sx_exists("work.db-wal"));
	cr_assert_not(sx_exists("work.db-shm"));
}

Test(check, findings_tell_where)
{
	sx_sql(NULL, "UPDATE fs_dentry SET name = 'a/' || char(27) WHERE id = 21");
	check(false, false);
	cr_assert_eq(seen.count, 1);
	cr_assert_str_eq(seen.first.code, "name");
	cr_assert(seen.first.error && seen.first.repairable);
	cr_assert_eq(seen.first.count, 1);
	cr_assert_str_eq(seen.first.example[0], "entry 21 of directory 10: 'a/\\x1b'");
}

Test(check, many_places_are_counted_and_some_shown)
{
	sx_sql(NULL,
	       "WITH RECURSIVE n (i) AS (VALUES (100) UNION ALL SELECT i + 1 FROM n WHERE i < "
	       "1099) "
	       "INSERT INTO fs_inode (ino, mode, atime, mtime, ctime) SELECT i, 16877, 1, 1, 1 "
	       "FROM n");
	check(true, false);
	cr_assert_eq(seen.first.count, 1000);
	cr_assert_eq(seen.first.examples, CAIRN_CHECK_EXAMPLES);
	cr_assert_eq(result.errors, 1000);
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM fs_inode"), 5);
}

Test(check, what_cannot_be_mended_is_left)
{
	sx_sql(NULL,
	       "PRAGMA auto_vacuum = FULL; VACUUM; UPDATE fs_inode SET nlink = 9 WHERE ino = 11");
	check(true, false);
	cr_assert(has(&seen, "auto_vacuum"));
	cr_assert_eq(seen.left, 1);
	cr_assert_eq(result.left, 1);
	cr_assert(result.repaired, "the rest is mended");
	cr_assert_eq(sx_number("SELECT nlink FROM fs_inode WHERE ino = 11"), 1);
}

/* Two of the file's pages become one, as after a write that went astray. */
static void damage_pages(void)
{
	char page[4096];
	int fd = open(sx.db, O_RDWR | O_CLOEXEC);
	int64_t from = sx_number("SELECT rootpage FROM sqlite_schema WHERE name = 'fs_inode'");
	int64_t to = sx_number("SELECT rootpage FROM sqlite_schema WHERE name = 'tool_calls'");

	cr_assert_eq(pread(fd, page, sizeof(page), (from - 1) * 4096), 4096);
	memset(page, 0xa5, 8);
	cr_assert_eq(pwrite(fd, page, sizeof(page), (to - 1) * 4096), 4096);
	close(fd);
}

Test(check, damaged_file_is_not_written)
{
	sx_sql(NULL, "PRAGMA journal_mode = DELETE; UPDATE fs_inode SET nlink = 9 WHERE ino = 11");
	damage_pages();
	check(true, true);
	cr_assert(has(&seen, "damaged"));
	cr_assert_gt(result.left, 0);
	cr_assert_not(result.repaired);
	cr_assert_eq(sx_number("SELECT nlink FROM fs_inode WHERE ino = 11"), 9);
}

Test(check, failed_repair_changes_nothing)
{
	sx_sql(NULL, "UPDATE fs_inode SET nlink = 9 WHERE ino = 11; UPDATE fs_inode SET uid = -1 "
		     "WHERE ino = 12; CREATE UNIQUE INDEX u ON fs_inode (nlink, ino % 10)");
	sx_sql(NULL, "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = "
		     "replace(sql, 'gid INTEGER', 'CHECK (nlink <> 1 OR ino <> 11), gid INTEGER') "
		     "WHERE name = 'none'");
	sx_sql(NULL,
	       "CREATE TABLE t AS SELECT * FROM fs_inode; DROP TABLE fs_inode; CREATE TABLE "
	       "fs_inode (ino INTEGER PRIMARY KEY AUTOINCREMENT, mode, nlink CHECK (nlink > 1 OR "
	       "ino <> 11), uid, gid, size, atime, mtime, ctime, rdev, atime_nsec, mtime_nsec, "
	       "ctime_nsec); INSERT INTO fs_inode SELECT * FROM t");
	check(true, false);
	cr_assert_lt(result.repair_failed, 0);
	cr_assert(sx_err_has("cannot be repaired"));
	cr_assert_eq(result.left, result.errors);
	cr_assert_eq(sx_number("SELECT uid FROM fs_inode WHERE ino = 12"), -1);
}

Test(check, what_a_repair_brings_up_is_reported_too)
{
	sx_sql(NULL, "UPDATE fs_dentry SET parent_ino = 77 WHERE id = 20");
	check(true, false);
	cr_assert(has(&seen, "no_directory") && has(&seen, "leaked"));
	cr_assert_eq(result.left, 0);
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM fs_dentry WHERE name = '#10'"), 1);
	cr_assert_eq(sx_number("SELECT nlink FROM fs_inode WHERE ino = 1"), 3, "lost+found");
}

Test(check, two_loops_are_both_broken)
{
	sx_sql(NULL, "INSERT INTO fs_inode (ino, mode, nlink, atime, mtime, ctime) VALUES "
		     "(30, 16877, 3, 1, 1, 1), (31, 16877, 3, 1, 1, 1), (32, 16877, 3, 1, 1, 1), "
		     "(33, 16877, 2, 1, 1, 1), (34, 16877, 2, 1, 1, 1);"
		     "INSERT INTO fs_dentry (name, parent_ino, ino) VALUES ('a', 31, 30), "
		     "('b', 30, 31), ('self', 32, 32), ('below', 30, 33), ('inside', 32, 34)");
	check(true, false);
	cr_assert_eq(result.left, 0);
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM fs_dentry WHERE name LIKE '#%'"), 2);
	cr_assert_eq(sx_number("SELECT parent_ino FROM fs_dentry WHERE name = 'below'"), 30);
}

Test(check, dense_fills_holes_and_short_ends)
{
	sx_sql(NULL, "UPDATE fs_inode SET size = 262144 + 10 WHERE ino = 12; "
		     "DELETE FROM fs_data WHERE ino = 12 AND chunk_index = 0;"
		     "UPDATE fs_data SET data = zeroblob(65536) WHERE ino = 12;"
		     "INSERT INTO fs_data VALUES (12, 4, x'01')");
	check(false, true);
	cr_assert_eq(result.errors, 0);
	cr_assert_eq(result.holes, 4);
	cr_assert_eq(result.filled, 3 * 65536 + 9);
	cr_assert_eq(sx_number("SELECT SUM(LENGTH(data)) FROM fs_data WHERE ino = 12"), 262154);
	cr_assert_eq(sx_number("SELECT SUBSTR(data, 1, 2) = x'0100' FROM fs_data "
			       "WHERE ino = 12 AND chunk_index = 4"),
		     1);
	check(false, true);
	cr_assert_eq(result.holes, 0);
}

Test(check, dense_refuses_what_the_disk_cannot_hold)
{
	sx_sql(NULL, "UPDATE fs_inode SET size = 9223372036854775807 WHERE ino = 12; "
		     "DELETE FROM fs_data WHERE chunk_index = 1");
	check(false, true);
	cr_assert_eq(result.repair_failed, -ENOSPC);
	cr_assert(sx_err_has("bytes of disk space"));
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM fs_data"), 2);
}

Test(check, dense_leaves_a_workspace_with_errors)
{
	sx_sql(NULL,
	       "UPDATE fs_inode SET size = 262144 WHERE ino = 11; UPDATE fs_inode SET nlink = 5 "
	       "WHERE ino = 12");
	check(false, true);
	cr_assert_eq(result.holes, 0);
	cr_assert_gt(result.left, 0);
	check(true, true);
	cr_assert_eq(result.holes, 3, "the first chunk is mended");
	cr_assert_eq(result.left, 0);
}

Test(check, old_schema_is_checked_and_stays_old)
{
	sx_sql(NULL,
	       "ALTER TABLE fs_inode DROP COLUMN rdev; ALTER TABLE fs_inode DROP COLUMN "
	       "atime_nsec; ALTER TABLE fs_inode DROP COLUMN mtime_nsec; ALTER TABLE fs_inode "
	       "DROP COLUMN ctime_nsec; DROP TABLE cairn_xattr; DROP TABLE cairn_orphan;"
	       "DELETE FROM fs_config WHERE key = 'schema_version';"
	       "DELETE FROM fs_dentry WHERE id = 20");
	check(true, false);
	cr_assert_eq(result.left, 0);
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM pragma_table_info('fs_inode')"), 9);
	check(false, false);
	cr_assert_eq(result.errors, 0);
}

Test(check, mounted_workspace_is_seen_as_committed)
{
	sqlite3 *writer = sx_connect();

	sx_sql(writer, "BEGIN IMMEDIATE; UPDATE fs_inode SET nlink = 9");
	check(false, false);
	cr_assert_eq(result.errors + result.notes, 0);
	cr_assert_eq(try_check(true, false), -EBUSY);
	cr_assert(sx_err_has("locked by another process"));
	sqlite3_close(writer);
}

Test(check, no_workspace_is_refused_in_words)
{
	sx_sql(NULL, "UPDATE fs_config SET value = '9.9' WHERE key = 'schema_version'");
	cr_assert_eq(try_check(true, true), -EINVAL);
	cr_assert(sx_err_has("newer"));
	sx_sql(NULL, "UPDATE fs_config SET value = '0' WHERE key = 'chunk_size';"
		     "DELETE FROM fs_config WHERE key = 'schema_version'");
	cr_assert_eq(try_check(false, false), -EINVAL);
	cr_assert(sx_err_has("chunk size"));
	sx_sql(NULL, "DROP TABLE fs_symlink; DELETE FROM fs_inode WHERE ino = 1");
	cr_assert_eq(try_check(true, false), -EINVAL);
	cr_assert(sx_err_has("no table fs_symlink"), "%s", sx.err.text);
	unlink(sx.db);
	cr_assert_eq(try_check(false, false), -ENOENT);
}
