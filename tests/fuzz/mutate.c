#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "util/macro.h"

uint64_t fuzz_next(struct fuzz_rng *rng)
{
	/* splitmix64, https://prng.di.unimi.it/splitmix64.c */
	uint64_t z = (rng->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint32_t fuzz_below(struct fuzz_rng *rng, uint32_t limit)
{
	return (uint32_t)((fuzz_next(rng) >> 32) * limit >> 32);
}

#define PICK(rng, list) (list)[fuzz_below((rng), ARRAY_SIZE(list))]

static const char *const values[] = {
	"-1",
	"0",
	"1",
	"2",
	"3",
	"5",
	"9",
	"-9223372036854775808",
	"9223372036854775807",
	"9223372036854775806",
	"4294967295",
	"4294967296",
	"2147483648",
	"65535",
	"65536",
	"1e300",
	"0.5",
	"NULL",
	"'text'",
	"''",
	"'.'",
	"'..'",
	"'a/b'",
	"'16877'",
	"x''",
	"x'00'",
	"x'ff'",
	"x'6162'",
	"'a' || char(0) || 'b'",
	"zeroblob(1023)",
	"zeroblob(100000)",
	"printf('%.300c', 'x')",
	"printf('%.4095c', 'x')",
	"printf('%.4096c', 'x')",
	"16877",
	"33188",
	"41471",
	"(SELECT MAX(ino) FROM fs_inode)",
	"(SELECT MAX(ino) + 1 FROM fs_inode)",
	"(abs(random()) % 50)",
	"-(abs(random()) % 50)",
	"1023",
	"1024",
	"1025",
	"102400",
};

static const struct {
	const char *table, *column;
} columns[] = {
	{ "fs_inode", "ino" },
	{ "fs_inode", "mode" },
	{ "fs_inode", "mode" },
	{ "fs_inode", "nlink" },
	{ "fs_inode", "uid" },
	{ "fs_inode", "gid" },
	{ "fs_inode", "size" },
	{ "fs_inode", "size" },
	{ "fs_inode", "atime" },
	{ "fs_inode", "mtime" },
	{ "fs_inode", "ctime" },
	{ "fs_inode", "rdev" },
	{ "fs_inode", "atime_nsec" },
	{ "fs_inode", "ctime_nsec" },
	{ "fs_dentry", "id" },
	{ "fs_dentry", "name" },
	{ "fs_dentry", "name" },
	{ "fs_dentry", "parent_ino" },
	{ "fs_dentry", "parent_ino" },
	{ "fs_dentry", "ino" },
	{ "fs_dentry", "ino" },
	{ "fs_data", "ino" },
	{ "fs_data", "chunk_index" },
	{ "fs_data", "data" },
	{ "fs_symlink", "ino" },
	{ "fs_symlink", "target" },
	{ "cairn_xattr", "ino" },
	{ "cairn_xattr", "name" },
	{ "cairn_xattr", "value" },
	{ "cairn_orphan", "ino" },
	{ "fs_config", "value" },
	{ "fs_config", "key" },
	{ "sqlite_sequence", "seq" },
	{ "sqlite_sequence", "name" },
	{ "cairn_origin", "delta_ino" },
	{ "cairn_origin", "base_ino" },
	{ "cairn_origin", "base_path" },
	{ "cairn_origin", "base_path" },
	{ "cairn_origin", "data_end" },
	{ "fs_whiteout", "path" },
	{ "fs_whiteout", "parent_path" },
	{ "cairn_seen", "path" },
	{ "cairn_seen", "mtime" },
	{ "fs_origin", "delta_ino" },
};

/* Statements for what one column alone does not bring about. */
static const char *const statements[] = {
	"UPDATE fs_dentry SET parent_ino = ino WHERE ino = abs(random()) % 40",
	"UPDATE OR IGNORE fs_dentry SET parent_ino = (SELECT ino FROM fs_dentry "
	"WHERE name = 'sub') WHERE name = 'dir'",
	"INSERT OR IGNORE INTO fs_dentry (name, parent_ino, ino) VALUES ('again', 7, 6), "
	"('again', 6, 7), ('root', 7, 1), ('gone', 1, 9999), ('lost', 9999, 5)",
	"INSERT INTO fs_inode (mode, nlink, size, atime, mtime, ctime) VALUES (16877, 2, 0, 0, 0, "
	"0), "
	"(33188, 0, 5, 0, 0, 0), (41471, 1, 5, 0, 0, 0), (0, 0, 0, 0, 0, 0)",
	"INSERT OR IGNORE INTO cairn_orphan SELECT ino FROM fs_inode WHERE ino % 5 = 2",
	"DELETE FROM fs_dentry WHERE abs(random()) % 4 = 0",
	"DELETE FROM fs_inode WHERE abs(random()) % 6 = 0",
	"DELETE FROM fs_data WHERE abs(random()) % 3 = 0",
	"DELETE FROM fs_inode WHERE ino = 1",
	"DELETE FROM sqlite_sequence",
	"DELETE FROM fs_config",
	"UPDATE fs_config SET value = '0' WHERE key = 'chunk_size'",
	"UPDATE fs_config SET value = '1' WHERE key = 'chunk_size'",
	"UPDATE fs_config SET value = '16777216' WHERE key = 'chunk_size'",
	"UPDATE fs_config SET value = x'31303234' WHERE key = 'chunk_size'",
	"UPDATE fs_config SET value = '0.2' WHERE key = 'schema_version'",
	"UPDATE fs_data SET chunk_index = chunk_index + 9007199254740992",
	"UPDATE fs_data SET data = CAST(data AS TEXT)",
	"UPDATE fs_data SET data = zeroblob(70000) WHERE abs(random()) % 4 = 0",
	"UPDATE fs_dentry SET name = CAST(name AS BLOB)",
	"UPDATE fs_dentry SET name = CAST(name AS TEXT)",
	"UPDATE cairn_xattr SET name = CAST(name AS BLOB)",
	"CREATE TABLE fs_origin (delta_ino INTEGER PRIMARY KEY, base_ino INTEGER NOT NULL)",
	"CREATE TABLE fs_overlay_config (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
	"CREATE TABLE fs_whiteout (path TEXT PRIMARY KEY, parent_path TEXT, created_at INTEGER)",
	"INSERT INTO fs_origin VALUES (3, 9), (999, 9)",
	"INSERT INTO fs_whiteout VALUES ('/a/b', '/a', 0), ('c', '/', 0), (NULL, '/', 0), ('/', "
	"'', 0)",
	"INSERT OR IGNORE INTO cairn_origin SELECT ino, abs(random()) % 60, '/dir', -1 FROM "
	"fs_inode",
	"UPDATE OR IGNORE cairn_origin SET base_path = '/moved/../dir', data_end = 5000",
	"UPDATE cairn_origin SET base_path = (SELECT '/' || name FROM fs_dentry ORDER BY "
	"abs(random()) LIMIT 1), data_end = abs(random()) % 9000 - 1",
	"UPDATE cairn_origin SET base_path = printf('/%.70000c', 'x') WHERE abs(random()) % 3 = 0",
	"INSERT OR IGNORE INTO fs_whiteout (path, created_at) SELECT '/' || name, 0 FROM "
	"fs_dentry",
	"UPDATE fs_whiteout SET path = CAST(path AS BLOB)",
	"UPDATE fs_data SET data = x'' WHERE abs(random()) % 2 = 0",
	"DELETE FROM cairn_origin WHERE abs(random()) % 2 = 0",
	"DROP TABLE cairn_seen",
	"DROP TABLE cairn_origin",
	"CREATE TRIGGER t AFTER UPDATE ON fs_inode BEGIN DELETE FROM fs_dentry; END",
	"ALTER TABLE fs_inode DROP COLUMN rdev",
	"ALTER TABLE fs_inode DROP COLUMN atime_nsec",
	"ALTER TABLE fs_data RENAME COLUMN data TO bytes",
	"DROP TABLE cairn_xattr",
	"DROP TABLE cairn_orphan",
	"DROP TABLE fs_symlink",
	"DROP TABLE kv_store",
	"DROP TABLE fs_data; CREATE VIEW fs_data AS SELECT 1 AS ino, 0 AS chunk_index, x'00' AS "
	"data",
	"CREATE TABLE c (a, b AS (abs(random())), CHECK (a > 0))",
	"DELETE FROM sqlite_schema WHERE name = 'sqlite_autoindex_fs_dentry_1'",
	"UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL', '')",
	"UPDATE sqlite_schema SET sql = replace(sql, 'INTEGER', 'TEXT') WHERE name = 'fs_dentry'",
	"UPDATE sqlite_schema SET sql = replace(sql, 'mode INTEGER', 'mode')",
	"UPDATE sqlite_schema SET sql = replace(sql, 'AUTOINCREMENT', '')",
	"UPDATE sqlite_schema SET sql = replace(sql, 'ino INTEGER PRIMARY KEY', 'ino INTEGER')",
	"UPDATE sqlite_schema SET rootpage = rootpage % 9 + 1 WHERE abs(random()) % 5 = 0",
};

/* SQLite's random() is not the seed's: the number of a row goes in from outside. */
static void mutate_column(sqlite3 *db, struct fuzz_rng *rng)
{
	uint32_t i = fuzz_below(rng, ARRAY_SIZE(columns));
	const char *value = PICK(rng, values);
	char *sql;

	if (fuzz_below(rng, 4) == 0)
		sql = sqlite3_mprintf("UPDATE OR IGNORE %s SET %s = %s", columns[i].table,
				      columns[i].column, value);
	else
		sql = sqlite3_mprintf("UPDATE OR REPLACE %s SET %s = %s WHERE %s IN (SELECT %s "
				      "FROM %s LIMIT 1 OFFSET %d)",
				      columns[i].table, columns[i].column, value, columns[i].column,
				      columns[i].column, columns[i].table,
				      (int)fuzz_below(rng, 40));
	sqlite3_exec(db, sql, NULL, NULL, NULL);
	sqlite3_free(sql);
}

/* random() as the seed has it. */
static void seeded_random(sqlite3_context *context, int count, sqlite3_value **arguments)
{
	sqlite3_result_int64(context, (sqlite3_int64)(fuzz_next(sqlite3_user_data(context)) >> 1));
}

void fuzz_mutate_sql(const char *path, struct fuzz_rng *rng)
{
	unsigned int count = 1 + fuzz_below(rng, 5);
	sqlite3 *db;

	FUZZ_CHECK(sqlite3_open(path, &db) == SQLITE_OK, "%s", path);
	sqlite3_create_function_v2(db, "random", 0, SQLITE_UTF8, rng, seeded_random, NULL, NULL,
				   NULL);
	sqlite3_exec(db, "PRAGMA writable_schema = ON; PRAGMA ignore_check_constraints = ON", NULL,
		     NULL, NULL);
	for (unsigned int i = 0; i < count; i++)
		if (fuzz_below(rng, 3) == 0)
			sqlite3_exec(db, PICK(rng, statements), NULL, NULL, NULL);
		else
			mutate_column(db, rng);
	sqlite3_close(db);
}

static void mutate_buffer(unsigned char *bytes, size_t *size, size_t max, struct fuzz_rng *rng)
{
	static const unsigned char special[] = { 0, 1, 0x7f, 0x80, 0xff, ',', '=', '\\', '"', ' ' };
	uint32_t limit = (uint32_t)*size, from, to, len;

	if (limit < 2)
		return;
	from = fuzz_below(rng, limit);
	to = fuzz_below(rng, limit);
	len = 1 + fuzz_below(rng, MIN(limit - MAX(from, to), 64U));
	switch (fuzz_below(rng, 6)) {
	case 0:
		bytes[from] ^= (unsigned char)(1U << fuzz_below(rng, 8));
		break;
	case 1:
		bytes[from] = (unsigned char)fuzz_next(rng);
		break;
	case 2:
		bytes[from] = PICK(rng, special);
		break;
	case 3:
		memmove(bytes + to, bytes + from, len);
		break;
	case 4:
		memset(bytes + MAX(from, to), PICK(rng, special), len);
		break;
	default:
		if (fuzz_below(rng, 8) == 0)
			*size = from;
		else if (*size + len <= max)
			*size += len;
		break;
	}
}

void fuzz_mutate_text(char *text, size_t *len, size_t max, struct fuzz_rng *rng)
{
	for (unsigned int i = 1 + fuzz_below(rng, 6); i > 0; i--)
		mutate_buffer((unsigned char *)text, len, max, rng);
}

/* Most of a file is data: half the mutations go where a page's header and cells are. */
void fuzz_mutate_bytes(const char *path, struct fuzz_rng *rng)
{
	static unsigned char bytes[1 << 21];
	unsigned int count = 1 + fuzz_below(rng, 12);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ssize_t n = read(fd, bytes, sizeof(bytes) / 2);
	size_t size = n > 0 ? (size_t)n : 0;

	FUZZ_CHECK(size > 0, "%s", path);
	for (unsigned int i = 0; i < count; i++) {
		if (size > 1024 && fuzz_below(rng, 2)) {
			size_t page = fuzz_below(rng, (uint32_t)(size / 1024)) * (size_t)1024,
			       part = 64;

			mutate_buffer(bytes + page, &part, part, rng);
		} else {
			mutate_buffer(bytes, &size, sizeof(bytes), rng);
		}
	}
	FUZZ_CHECK(pwrite(fd, bytes, size, 0) == (ssize_t)size && ftruncate(fd, (off_t)size) == 0,
		   "%s", path);
	close(fd);
}
