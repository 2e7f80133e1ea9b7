/* The rules of the format, as questions to the database. */
#include <sqlite3.h>
#include <string.h>

#include "core_fixture.h"
#include "store/check.h"

#define DIRECTORY "(mode & 61440) = 16384"
#define REGULAR   "(mode & 61440) = 32768"
#define SYMLINK   "(mode & 61440) = 40960"
#define CHUNK     "(SELECT CAST(value AS INTEGER) FROM fs_config WHERE key = 'chunk_size')"

/* Each counts what breaks the rule. */
static const struct {
	const char *rule, *sql;
} rules[] = {
	{ "every entry leads to an inode",
	  "SELECT COUNT(*) FROM fs_dentry WHERE ino NOT IN (SELECT ino FROM fs_inode)" },
	{ "every entry lies in a directory",
	  "SELECT COUNT(*) FROM fs_dentry WHERE parent_ino NOT IN "
	  "(SELECT ino FROM fs_inode WHERE " DIRECTORY ")" },
	{ "an inode without entries has an orphan mark",
	  "SELECT COUNT(*) FROM fs_inode WHERE ino <> 1 "
	  "AND ino NOT IN (SELECT ino FROM fs_dentry) "
	  "AND ino NOT IN (SELECT ino FROM cairn_orphan)" },
	{ "an orphan mark stands for an inode without entries and links",
	  "SELECT COUNT(*) FROM cairn_orphan AS o WHERE o.ino NOT IN "
	  "(SELECT ino FROM fs_inode WHERE nlink = 0) OR o.ino IN (SELECT ino FROM fs_dentry)" },
	{ "nlink counts the entries",
	  "SELECT COUNT(*) FROM fs_inode AS i WHERE NOT " DIRECTORY " AND nlink <> "
	  "(SELECT COUNT(*) FROM fs_dentry AS d WHERE d.ino = i.ino)" },
	{ "nlink of a directory counts its subdirectories",
	  "SELECT COUNT(*) FROM fs_inode AS i WHERE " DIRECTORY
	  " AND ino NOT IN (SELECT ino FROM cairn_orphan) AND nlink <> 2 + "
	  "(SELECT COUNT(*) FROM fs_dentry AS d JOIN fs_inode AS c ON c.ino = d.ino "
	  "WHERE d.parent_ino = i.ino AND (c.mode & 61440) = 16384)" },
	{ "a directory has one entry",
	  "SELECT COUNT(*) FROM fs_inode AS i WHERE " DIRECTORY
	  " AND (SELECT COUNT(*) FROM fs_dentry AS d WHERE d.ino = i.ino) > 1" },
	{ "everything is reached from the root",
	  "WITH RECURSIVE t (ino) AS (VALUES (1) UNION "
	  "SELECT d.ino FROM fs_dentry AS d JOIN t ON d.parent_ino = t.ino) "
	  "SELECT COUNT(*) FROM fs_dentry WHERE ino NOT IN (SELECT ino FROM t)" },
	{ "chunks belong to regular files", "SELECT COUNT(*) FROM fs_data WHERE ino NOT IN "
					    "(SELECT ino FROM fs_inode WHERE " REGULAR ")" },
	{ "chunks lie inside the file",
	  "SELECT COUNT(*) FROM fs_data AS c JOIN fs_inode AS i USING (ino) "
	  "WHERE chunk_index < 0 OR length(data) = 0 "
	  "OR chunk_index * " CHUNK " + length(data) > size" },
	{ "chunks before the last are whole",
	  "SELECT COUNT(*) FROM fs_data AS c JOIN fs_inode AS i USING (ino) "
	  "WHERE length(data) > " CHUNK " OR (length(data) < " CHUNK
	  " AND chunk_index < (i.size - 1) / " CHUNK ")" },
	{ "a symbolic link has its target, and its size",
	  "SELECT COUNT(*) FROM fs_inode AS i LEFT JOIN fs_symlink AS s USING (ino) "
	  "WHERE (" SYMLINK " AND size IS NOT length(CAST(target AS BLOB))) "
	  "OR (NOT " SYMLINK " AND target IS NOT NULL)" },
	{ "a target belongs to a symbolic link",
	  "SELECT COUNT(*) FROM fs_symlink WHERE ino NOT IN (SELECT ino FROM fs_inode)" },
	{ "an attribute belongs to an inode",
	  "SELECT COUNT(*) FROM cairn_xattr WHERE ino NOT IN (SELECT ino FROM fs_inode)" },
	{ "numbers in use were handed out",
	  "SELECT (SELECT COUNT(*) FROM fs_dentry WHERE id > "
	  "(SELECT seq FROM sqlite_sequence WHERE name = 'fs_dentry')) + "
	  "(SELECT COUNT(*) FROM fs_inode WHERE ino > "
	  "(SELECT seq FROM sqlite_sequence WHERE name = 'fs_inode'))" },
};

static sqlite3 *connect_to(const char *path)
{
	sqlite3 *db;

	CF_CHECK(sqlite3_open(path, &db) == SQLITE_OK, "%s", path);
	sqlite3_busy_timeout(db, 10000);
	return db;
}

static int64_t ask_number(sqlite3 *db, const char *sql)
{
	int64_t number = INT64_MIN;
	sqlite3_stmt *stmt;

	CF_CHECK(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s: %s", sql,
		 sqlite3_errmsg(db));
	if (sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_NULL)
		number = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return number;
}

static bool is_intact(sqlite3 *db)
{
	bool intact = false;
	sqlite3_stmt *stmt;

	CF_CHECK(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL) == SQLITE_OK,
		 "%s", sqlite3_errmsg(db));
	if (sqlite3_step(stmt) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(stmt, 0);

		intact = strcmp(text, "ok") == 0;
		if (!intact)
			fprintf(stderr, "integrity_check: %s\n", text);
	}
	sqlite3_finalize(stmt);
	return intact;
}

static void tell(void *arg, const struct cairn_check_finding *finding, bool left)
{
	if (finding->error)
		fprintf(stderr, "%s (%lu): %s\n", finding->code, (unsigned long)finding->count,
			finding->example[0]);
}

/* In an overlay, names and bytes are the base's, too: what can be said without it is what the check
 * says. */
static unsigned int broken_rules_of_overlay(const char *path)
{
	const struct cairn_check_options options = { .busy_timeout_ms = 10000, .report = tell };
	struct cairn_check_result result = { 0 };
	struct cairn_error err = { 0 };

	CF_CHECK(cairn_check(path, &options, &result, &err) == 0, "%s", err.text);
	return (unsigned int)result.errors;
}

unsigned int cf_broken_rules(const char *path)
{
	sqlite3 *db = connect_to(path);
	unsigned int broken = !is_intact(db);

	if (cf.base[0] && strcmp(path, cf.base) != 0) {
		sqlite3_close(db);
		return broken + broken_rules_of_overlay(path);
	}

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		int64_t count = ask_number(db, rules[i].sql);

		if (count == 0)
			continue;
		fprintf(stderr, "%s: broken %ld times: %s\n", path, (long)count, rules[i].rule);
		broken++;
	}
	sqlite3_close(db);
	return broken;
}

void cf_expect_sound(const char *path)
{
	CF_CHECK(cf_broken_rules(path) == 0, "%s", path);
}

int64_t cf_number(const char *path, const char *sql)
{
	sqlite3 *db = connect_to(path);
	int64_t number = ask_number(db, sql);

	sqlite3_close(db);
	return number;
}

void cf_sql(const char *path, const char *sql)
{
	sqlite3 *db = connect_to(path);

	CF_CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql,
		 sqlite3_errmsg(db));
	sqlite3_close(db);
}
