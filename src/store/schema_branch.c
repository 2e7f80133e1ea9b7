/* The tables of a workspace with a base. Three are AgentFS's: fs_overlay_config, fs_whiteout and
 * fs_origin. Of fs_whiteout there are two forms: SPEC.md of AgentFS has the column parent_path,
 * which what its Rust SDK 0.6.4 makes has not. Its statements name no more columns than that, so
 * the column we add has a default. */
#include <string.h>

#include "store/schema.h"

#define CREATE_OVERLAY_CONFIG                                                                      \
	"CREATE TABLE fs_overlay_config (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
#define CREATE_WHITEOUT                                                                            \
	"CREATE TABLE fs_whiteout (path TEXT PRIMARY KEY, "                                        \
	"parent_path TEXT NOT NULL DEFAULT '', created_at INTEGER NOT NULL)"
#define CREATE_WHITEOUT_INDEX                                                                      \
	"CREATE INDEX IF NOT EXISTS idx_fs_whiteout_parent ON fs_whiteout(parent_path)"
#define CREATE_FS_ORIGIN                                                                           \
	"CREATE TABLE fs_origin (delta_ino INTEGER PRIMARY KEY, base_ino INTEGER NOT NULL)"
#define CREATE_ORIGIN                                                                              \
	"CREATE TABLE cairn_origin (delta_ino INTEGER PRIMARY KEY, base_ino INTEGER NOT NULL, "    \
	"base_path TEXT NOT NULL, data_end INTEGER NOT NULL DEFAULT 0)"
#define CREATE_SEEN                                                                                \
	"CREATE TABLE cairn_seen (path TEXT PRIMARY KEY NOT NULL, mode INTEGER NOT NULL, "         \
	"uid INTEGER NOT NULL, gid INTEGER NOT NULL, rdev INTEGER NOT NULL, "                      \
	"size INTEGER NOT NULL, mtime INTEGER NOT NULL, mtime_nsec INTEGER NOT NULL, "             \
	"ctime INTEGER NOT NULL, ctime_nsec INTEGER NOT NULL, target TEXT, digest BLOB) "          \
	"WITHOUT ROWID"

#define CREATE_HEIR "CREATE TABLE cairn_heir (ino INTEGER PRIMARY KEY, base_path TEXT NOT NULL)"

/* '/a/b' lies in '/a', '/a' in '/'. What SQLite says of a blob as text is good enough here: nothing
 * of ours reads the column. */
#define UP_TO_SLASH "RTRIM(path, REPLACE(path, '/', ''))"
static const char *const fill_parent_text =
	"UPDATE fs_whiteout SET parent_path = CASE " UP_TO_SLASH " WHEN '/' THEN '/' ELSE "
	"SUBSTR(" UP_TO_SLASH ", 1, LENGTH(" UP_TO_SLASH ") - 1) END WHERE parent_path = ''";

struct branch_table {
	const char *name;
	size_t flag; /* offset in struct cairn_schema_branch */
	const char *create;
	const char *columns[14];
};

static const struct branch_table tables[] = {
	{ "fs_whiteout",
	  offsetof(struct cairn_schema_branch, whiteout),
	  CREATE_WHITEOUT,
	  { "path", "created_at" } },
	{ "fs_origin",
	  offsetof(struct cairn_schema_branch, fs_origin),
	  CREATE_FS_ORIGIN,
	  { "delta_ino", "base_ino" } },
	{ "cairn_origin",
	  offsetof(struct cairn_schema_branch, origin),
	  CREATE_ORIGIN,
	  { "delta_ino", "base_ino", "base_path", "data_end" } },
	{ "cairn_seen",
	  offsetof(struct cairn_schema_branch, seen),
	  CREATE_SEEN,
	  { "path", "mode", "uid", "gid", "rdev", "size", "mtime", "mtime_nsec", "ctime",
	    "ctime_nsec", "target", "digest" } },
	{ "cairn_heir",
	  offsetof(struct cairn_schema_branch, heir),
	  CREATE_HEIR,
	  { "ino", "base_path" } },
};

static bool *flag_of(struct cairn_schema_branch *branch, const struct branch_table *table)
{
	return (bool *)((char *)branch + table->flag);
}

static int check_base(struct cairn_sql *sql, bool *ret)
{
	int64_t found = 0;
	int r;

	r = cairn_sql_get_int(sql,
			      "SELECT EXISTS (SELECT 1 FROM fs_overlay_config "
			      "WHERE key = 'base_path')",
			      &found);
	if (r == 0)
		*ret = found;
	return r;
}

static int check_parents(struct cairn_sql *sql, struct cairn_schema_branch *branch)
{
	int64_t empty = 0;
	int r;

	r = cairn_schema_find_column(sql, "fs_whiteout", "parent_path");
	if (r <= 0)
		return r;
	branch->whiteout_parent = true;
	r = cairn_sql_get_int(
		sql, "SELECT EXISTS (SELECT 1 FROM fs_whiteout WHERE parent_path = '')", &empty);
	branch->whiteout_filled = r == 0 && !empty;
	return r;
}

int cairn_schema_branch_check(struct cairn_sql *sql, const char *path, struct cairn_schema *schema,
			      struct cairn_error *err)
{
	static const char *const config_columns[] = { "key", "value", NULL };
	int r;

	r = cairn_schema_find_table(sql, path, "fs_overlay_config", config_columns,
				    &schema->has_overlay, err);
	if (r < 0 || !schema->has_overlay)
		return r;
	r = check_base(sql, &schema->has_base);
	if (r < 0 || !schema->has_base)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		r = cairn_schema_find_table(sql, path, tables[i].name, tables[i].columns,
					    flag_of(&schema->branch, &tables[i]), err);
		if (r < 0)
			return r;
	}
	return check_parents(sql, &schema->branch);
}

bool cairn_schema_branch_is_current(const struct cairn_schema *schema)
{
	const struct cairn_schema_branch *branch = &schema->branch;

	return !schema->has_base ||
	       (branch->whiteout && branch->whiteout_parent && branch->whiteout_filled &&
		branch->fs_origin && branch->origin && branch->seen && branch->heir);
}

int cairn_schema_branch_add(struct cairn_sql *sql, const struct cairn_schema *schema)
{
	struct cairn_schema_branch branch = schema->branch;
	int r = 0;

	if (!schema->has_base)
		return 0;
	if (branch.whiteout && !branch.whiteout_parent)
		r = cairn_sql_exec(sql, "ALTER TABLE fs_whiteout ADD COLUMN "
					"parent_path TEXT NOT NULL DEFAULT ''");
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(tables); i++)
		if (!*flag_of(&branch, &tables[i]))
			r = cairn_sql_exec(sql, tables[i].create);
	if (r == 0)
		r = cairn_sql_exec(sql, CREATE_WHITEOUT_INDEX);
	return r < 0 ? r : cairn_sql_exec(sql, fill_parent_text);
}

static int put_config(struct cairn_sql *sql, const char *key, const char *value)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_query_once(&q, sql, "INSERT INTO fs_overlay_config (key, value) VALUES (?1, ?2)");
	cairn_query_name(&q, key, strlen(key));
	cairn_query_name(&q, value, strlen(value));
	return cairn_query_run(&q);
}

int cairn_schema_branch_create(struct cairn_sql *sql, const char *base, const char *ignore)
{
	int r;

	r = cairn_sql_exec(sql, CREATE_OVERLAY_CONFIG);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(tables); i++)
		r = cairn_sql_exec(sql, tables[i].create);
	if (r == 0)
		r = cairn_sql_exec(sql, CREATE_WHITEOUT_INDEX);
	if (r == 0)
		r = put_config(sql, "base_path", base);
	return r == 0 && ignore ? put_config(sql, "cairn_ignore", ignore) : r;
}
