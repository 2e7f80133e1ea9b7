#include "store/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "store/store.h"
#include "util/clock.h"

/* What AgentFS takes where fs_config has no chunk_size. */
#define AGENTFS_CHUNK_SIZE 4096U

#define CREATE_XATTR                                                                               \
	"CREATE TABLE cairn_xattr (ino INTEGER NOT NULL, name TEXT NOT NULL, "                     \
	"value BLOB NOT NULL, PRIMARY KEY (ino, name)) WITHOUT ROWID"
#define CREATE_ORPHAN "CREATE TABLE cairn_orphan (ino INTEGER PRIMARY KEY)"

static const char *const create_texts[] = {
	"CREATE TABLE fs_config (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
	"CREATE TABLE fs_inode (ino INTEGER PRIMARY KEY AUTOINCREMENT, mode INTEGER NOT NULL, "
	"nlink INTEGER NOT NULL DEFAULT 0, uid INTEGER NOT NULL DEFAULT 0, "
	"gid INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL DEFAULT 0, "
	"atime INTEGER NOT NULL, mtime INTEGER NOT NULL, ctime INTEGER NOT NULL, "
	"rdev INTEGER NOT NULL DEFAULT 0, atime_nsec INTEGER NOT NULL DEFAULT 0, "
	"mtime_nsec INTEGER NOT NULL DEFAULT 0, ctime_nsec INTEGER NOT NULL DEFAULT 0)",
	"CREATE TABLE fs_dentry (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, "
	"parent_ino INTEGER NOT NULL, ino INTEGER NOT NULL, UNIQUE(parent_ino, name))",
	"CREATE TABLE fs_data (ino INTEGER NOT NULL, chunk_index INTEGER NOT NULL, "
	"data BLOB NOT NULL, PRIMARY KEY (ino, chunk_index))",
	"CREATE TABLE fs_symlink (ino INTEGER PRIMARY KEY, target TEXT NOT NULL)",
	"CREATE TABLE kv_store (key TEXT PRIMARY KEY, value TEXT NOT NULL, "
	"created_at INTEGER DEFAULT (unixepoch()), updated_at INTEGER DEFAULT (unixepoch()))",
	"CREATE INDEX idx_kv_store_created_at ON kv_store(created_at)",
	"CREATE TABLE tool_calls (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, "
	"parameters TEXT, result TEXT, error TEXT, status TEXT NOT NULL DEFAULT 'pending', "
	"started_at INTEGER NOT NULL, completed_at INTEGER, duration_ms INTEGER)",
	"CREATE INDEX idx_tool_calls_name ON tool_calls(name)",
	"CREATE INDEX idx_tool_calls_started_at ON tool_calls(started_at)",
	CREATE_XATTR,
	CREATE_ORPHAN,
};

/* What 0.4 added to fs_inode. */
static const struct {
	const char *name, *add;
} added_columns[] = {
	{ "rdev", "ALTER TABLE fs_inode ADD COLUMN rdev INTEGER NOT NULL DEFAULT 0" },
	{ "atime_nsec", "ALTER TABLE fs_inode ADD COLUMN atime_nsec INTEGER NOT NULL DEFAULT 0" },
	{ "mtime_nsec", "ALTER TABLE fs_inode ADD COLUMN mtime_nsec INTEGER NOT NULL DEFAULT 0" },
	{ "ctime_nsec", "ALTER TABLE fs_inode ADD COLUMN ctime_nsec INTEGER NOT NULL DEFAULT 0" },
};

struct table {
	const char *name;
	const char *columns[10]; /* those that every readable version has */
};

static const struct table core_tables[] = {
	{ "fs_config", { "key", "value" } },
	{ "fs_inode", { "ino", "mode", "uid", "gid", "size", "atime", "mtime", "ctime" } },
	{ "fs_dentry", { "id", "name", "parent_ino", "ino" } },
	{ "fs_data", { "ino", "chunk_index", "data" } },
	{ "fs_symlink", { "ino", "target" } },
};

static const struct table xattr_table = { "cairn_xattr", { "ino", "name", "value" } };
static const struct table orphan_table = { "cairn_orphan", { "ino" } };

static const char *const set_config_text = "INSERT INTO fs_config (key, value) VALUES (?1, ?2) "
					   "ON CONFLICT (key) DO UPDATE SET value = excluded.value";

static const char *const insert_root_text =
	"INSERT INTO fs_inode (ino, mode, nlink, uid, gid, atime, atime_nsec, mtime, mtime_nsec, "
	"ctime, ctime_nsec) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

/* Runs a query with up to two text parameters that answers whether something is there. */
static int exists(struct cairn_sql *sql, const char *text, const char *first, const char *second)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_query_once(&q, sql, text);
	cairn_query_text(&q, first, strlen(first));
	if (second)
		cairn_query_text(&q, second, strlen(second));
	return cairn_query_step(&q);
}

/* 1 for a real table. Views and virtual tables, which have no root page, would let the file run
 * code of its own under our statements. */
static int table_exists(struct cairn_sql *sql, const char *name)
{
	return exists(sql,
		      "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 "
		      "AND name = ?1 COLLATE NOCASE",
		      name, NULL);
}

int cairn_schema_find_column(struct cairn_sql *sql, const char *table, const char *column)
{
	return exists(sql, "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2 COLLATE NOCASE",
		      table, column);
}

static int check_columns(struct cairn_sql *sql, const char *path, const char *table,
			 const char *const *columns, struct cairn_error *err)
{
	int r;

	for (const char *const *column = columns; *column; column++) {
		r = cairn_schema_find_column(sql, table, *column);
		if (r < 0)
			return r;
		if (r == 0)
			return cairn_error_set(err, -EINVAL,
					       "'%s' is not a workspace: its table %s has no "
					       "column %s; name a file made by 'cairnfs init' or "
					       "by AgentFS",
					       path, table, *column);
	}
	return 0;
}

static int check_core_tables(struct cairn_sql *sql, const char *path, struct cairn_error *err)
{
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(core_tables); i++) {
		r = table_exists(sql, core_tables[i].name);
		if (r < 0)
			return r;
		if (r == 0)
			return cairn_error_set(err, -EINVAL,
					       "'%s' is not a workspace: it has no table %s; name "
					       "a file made by 'cairnfs init' or by AgentFS",
					       path, core_tables[i].name);
		r = check_columns(sql, path, core_tables[i].name, core_tables[i].columns, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int cairn_schema_find_table(struct cairn_sql *sql, const char *path, const char *name,
			    const char *const *columns, bool *ret_present, struct cairn_error *err)
{
	int r;

	r = table_exists(sql, name);
	if (r <= 0) {
		*ret_present = false;
		return r;
	}
	r = check_columns(sql, path, name, columns, err);
	if (r < 0)
		return r;
	*ret_present = true;
	return 0;
}

static int find_optional(struct cairn_sql *sql, const char *path, const struct table *table,
			 bool *ret_present, struct cairn_error *err)
{
	return cairn_schema_find_table(sql, path, table->name, table->columns, ret_present, err);
}

/* Which of the columns that came with 0.2 and 0.4 are there. */
static int check_added_columns(struct cairn_sql *sql, const char *path, unsigned int *ret_missing,
			       struct cairn_error *err)
{
	unsigned int missing = 0;
	int r;

	r = cairn_schema_find_column(sql, "fs_inode", "nlink");
	if (r < 0)
		return r;
	if (r == 0)
		return cairn_error_set(err, -EINVAL,
				       "'%s' is an AgentFS 0.0 workspace, without link counts; run "
				       "'agentfs migrate' on it and try again",
				       path);

	for (unsigned int i = 0; i < ARRAY_SIZE(added_columns); i++) {
		r = cairn_schema_find_column(sql, "fs_inode", added_columns[i].name);
		if (r < 0)
			return r;
		if (r == 0)
			missing |= 1U << i;
	}
	*ret_missing = missing;
	return 0;
}

/* The value of a key of fs_config as text, cut to the buffer. -ENOENT: no such key. */
static int get_config(struct cairn_sql *sql, const char *key, char *buf, size_t size)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	const unsigned char *value;
	int r;

	cairn_query_once(&q, sql, "SELECT value FROM fs_config WHERE key = ?1");
	cairn_query_text(&q, key, strlen(key));
	r = cairn_query_step(&q);
	if (r < 0)
		return r;
	if (r == 0)
		return -ENOENT;
	value = sqlite3_column_text(q.stmt, 0);
	snprintf(buf, size, "%s", value ? (const char *)value : "");
	return 0;
}

/* "major.minor" and nothing else, as two numbers to compare. */
static bool parse_version(const char *text, unsigned int *ret_major, unsigned int *ret_minor)
{
	unsigned int major, minor;
	int end = 0;

	if (strspn(text, "0123456789.") != strlen(text))
		return false;
	if (sscanf(text, "%3u.%3u%n", &major, &minor, &end) != 2 || text[end])
		return false;
	*ret_major = major;
	*ret_minor = minor;
	return true;
}

static int check_version(struct cairn_sql *sql, const char *path, struct cairn_schema *schema,
			 struct cairn_error *err)
{
	unsigned int major, minor, our_major = 0, our_minor = 0;
	char stored[sizeof(schema->version)];
	int r;

	r = get_config(sql, "schema_version", stored, sizeof(stored));
	if (r == -ENOENT) { /* AgentFS before 0.4 did not store it */
		schema->version_current = false;
		strcpy(schema->version, schema->missing ? "0.2" : CAIRN_SCHEMA_VERSION);
		return 0;
	}
	if (r < 0)
		return r;

	if (!parse_version(stored, &major, &minor))
		return cairn_error_set(err, -EINVAL,
				       "'%s' has no readable schema version in fs_config; it was "
				       "written by something else, or is damaged",
				       path);
	parse_version(CAIRN_SCHEMA_VERSION, &our_major, &our_minor);
	if (major > our_major || (major == our_major && minor > our_minor))
		return cairn_error_set(
			err, -EINVAL,
			"'%s' has schema version %s, newer than " CAIRN_SCHEMA_VERSION
			", the newest this cairnfs knows; update cairnfs",
			path, stored);
	schema->version_current = major == our_major && minor == our_minor;
	strcpy(schema->version, stored);
	return 0;
}

static int check_chunk_size(struct cairn_sql *sql, const char *path, struct cairn_schema *schema,
			    struct cairn_error *err)
{
	char stored[24], *end;
	unsigned long size;
	int r;

	r = get_config(sql, "chunk_size", stored, sizeof(stored));
	if (r == -ENOENT) {
		schema->chunk_size_stored = false;
		schema->chunk_size = AGENTFS_CHUNK_SIZE;
		return 0;
	}
	if (r < 0)
		return r;

	errno = 0;
	size = strtoul(stored, &end, 10);
	if (stored[0] < '0' || stored[0] > '9' || *end || errno || size < 1 ||
	    size > CAIRN_CHUNK_MAX)
		return cairn_error_set(err, -EINVAL,
				       "'%s' has no chunk size from 1 to %u in fs_config; it was "
				       "written by something else, or is damaged",
				       path, CAIRN_CHUNK_MAX);
	schema->chunk_size_stored = true;
	schema->chunk_size = size;
	return 0;
}

static int check_root(struct cairn_sql *sql, const char *path, struct cairn_error *err)
{
	int64_t mode = 0;
	int r;

	r = cairn_sql_get_int(sql, "SELECT mode FROM fs_inode WHERE ino = 1", &mode);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == -ENOENT || (mode & S_IFMT) != S_IFDIR)
		return cairn_error_set(err, -EINVAL,
				       "'%s' is not a workspace: its inode 1, the root, is %s; "
				       "restore the file from a copy",
				       path, r == -ENOENT ? "missing" : "no directory");
	return 0;
}

int cairn_schema_check(struct cairn_sql *sql, const char *path, struct cairn_schema *ret,
		       struct cairn_error *err)
{
	struct cairn_schema schema = { 0 };
	int r;

	r = check_core_tables(sql, path, err);
	if (r < 0)
		return r;
	r = check_added_columns(sql, path, &schema.missing, err);
	if (r < 0)
		return r;
	r = check_version(sql, path, &schema, err);
	if (r < 0)
		return r;
	r = check_chunk_size(sql, path, &schema, err);
	if (r < 0)
		return r;
	r = check_root(sql, path, err);
	if (r < 0)
		return r;
	r = find_optional(sql, path, &xattr_table, &schema.has_xattr, err);
	if (r < 0)
		return r;
	r = find_optional(sql, path, &orphan_table, &schema.has_orphan, err);
	if (r < 0)
		return r;
	r = cairn_schema_branch_check(sql, path, &schema, err);
	if (r < 0)
		return r;
	*ret = schema;
	return 0;
}

static int set_config(struct cairn_sql *sql, const char *key, const char *value)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_query_once(&q, sql, set_config_text);
	cairn_query_text(&q, key, strlen(key));
	cairn_query_text(&q, value, strlen(value));
	return cairn_query_run(&q);
}

static int set_chunk_size(struct cairn_sql *sql, size_t chunk_size)
{
	char value[24];

	snprintf(value, sizeof(value), "%zu", chunk_size);
	return set_config(sql, "chunk_size", value);
}

static bool is_current(const struct cairn_schema *schema)
{
	return schema->version_current && schema->chunk_size_stored && !schema->missing &&
	       schema->has_xattr && schema->has_orphan && cairn_schema_branch_is_current(schema);
}

static int add_missing(struct cairn_sql *sql, const struct cairn_schema *schema)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < ARRAY_SIZE(added_columns); i++)
		if (schema->missing & 1U << i)
			r = cairn_sql_exec(sql, added_columns[i].add);
	if (r == 0 && !schema->has_xattr)
		r = cairn_sql_exec(sql, CREATE_XATTR);
	if (r == 0 && !schema->has_orphan)
		r = cairn_sql_exec(sql, CREATE_ORPHAN);
	if (r == 0 && !schema->chunk_size_stored)
		r = set_chunk_size(sql, schema->chunk_size);
	if (r == 0 && !schema->version_current)
		r = set_config(sql, "schema_version", CAIRN_SCHEMA_VERSION);
	if (r == 0)
		r = cairn_schema_branch_add(sql, schema);
	return r;
}

int cairn_schema_upgrade(struct cairn_sql *sql, const char *path, struct cairn_schema *schema,
			 struct cairn_error *err)
{
	_cleanup_(cairn_sql_rollbackp) struct cairn_sql *open = sql;
	struct cairn_schema now;
	int r;

	if (is_current(schema))
		return 0;
	r = cairn_sql_exec(sql, "BEGIN IMMEDIATE");
	if (r < 0)
		return r;
	/* Another process may have done it between the check and the lock. */
	r = cairn_schema_check(sql, path, &now, err);
	if (r < 0)
		return r;
	r = add_missing(sql, &now);
	if (r < 0)
		return r;
	r = cairn_schema_check(sql, path, &now, err);
	if (r < 0)
		return r;
	r = cairn_sql_exec(sql, "COMMIT");
	if (r < 0)
		return r;
	open = NULL;
	*schema = now;
	return 0;
}

static struct cairn_attr caller_root(void)
{
	struct timespec now = cairn_now();

	return (struct cairn_attr){
		.mode = S_IFDIR | 0755,
		.nlink = 2,
		.uid = geteuid(),
		.gid = getegid(),
		.atime = now,
		.mtime = now,
		.ctime = now,
	};
}

static void bind_time(struct cairn_query *q, const struct timespec *ts)
{
	cairn_query_int(q, MAX(ts->tv_sec, 0));
	cairn_query_int(q, ts->tv_sec < 0 ? 0 : ts->tv_nsec);
}

static int insert_root(struct cairn_sql *sql, const struct cairn_attr *attr)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_query_once(&q, sql, insert_root_text);
	cairn_query_int(&q, attr->mode);
	cairn_query_int(&q, attr->nlink);
	cairn_query_int(&q, attr->uid);
	cairn_query_int(&q, attr->gid);
	bind_time(&q, &attr->atime);
	bind_time(&q, &attr->mtime);
	bind_time(&q, &attr->ctime);
	return cairn_query_run(&q);
}

int cairn_schema_create(struct cairn_sql *sql, size_t chunk_size, const char *base,
			const char *base_ignore, const struct cairn_attr *root)
{
	struct cairn_attr own = caller_root();
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(create_texts); i++) {
		r = cairn_sql_exec(sql, create_texts[i]);
		if (r < 0)
			return r;
	}
	r = set_chunk_size(sql, chunk_size);
	if (r < 0)
		return r;
	r = set_config(sql, "schema_version", CAIRN_SCHEMA_VERSION);
	if (r < 0)
		return r;
	if (base) {
		r = cairn_schema_branch_create(sql, base, base_ignore);
		if (r < 0)
			return r;
	}
	return insert_root(sql, root ? root : &own);
}
