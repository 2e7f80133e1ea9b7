#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store/sqlite_store.h"

/* How long reading a workspace's info waits for a lock. */
#define BUSY_TIMEOUT_MS 5000U

/* TOTAL adds as floating point: sizes from the file cannot overflow it. */
static const char *const data_bytes_text =
	"SELECT CAST(TOTAL(MAX(size, 0)) AS INTEGER) FROM fs_inode WHERE mode & 61440 = 32768";

static const char *const base_path_text =
	"SELECT value FROM fs_overlay_config WHERE key = 'base_path'";
static const char *const base_ignore_text =
	"SELECT value FROM fs_overlay_config WHERE key = 'cairn_ignore'";

static int get_size(struct cairn_sql *sql, const char *text, uint64_t *ret)
{
	int64_t value = 0;
	int r;

	r = cairn_sql_get_int(sql, text, &value);
	if (r < 0)
		return r;
	*ret = (uint64_t)MAX(value, 0);
	return 0;
}

static int get_config(struct sqlite_store *store, const char *text, char **ret)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	const unsigned char *value;
	char *copy;
	int r;

	*ret = NULL;
	if (!store->schema.has_overlay)
		return 0;
	cairn_query_once(&q, &store->sql, text);
	r = cairn_query_step(&q);
	if (r <= 0)
		return r;
	value = sqlite3_column_text(q.stmt, 0);
	if (!value)
		return 0;
	copy = strdup((const char *)value);
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

/* NULL where there is no base. */
int cairn_sqlite_base_path(struct sqlite_store *store, char **ret)
{
	return get_config(store, base_path_text, ret);
}

int cairn_sqlite_base_ignore(struct sqlite_store *store, char **ret)
{
	return get_config(store, base_ignore_text, ret);
}

static int read_info(struct sqlite_store *store, struct cairn_store_info *ret)
{
	struct cairn_store_info info = {
		.chunk_size = store->schema.chunk_size,
		.page_size = store->page_size,
		.file_size = store->probe.file_size,
		.wal_size = store->probe.wal_size,
	};
	uint64_t pages = 0, unused = 0;
	int r;

	strcpy(info.schema_version, store->schema.version);
	r = get_size(&store->sql, "PRAGMA page_count", &pages);
	if (r < 0)
		return r;
	r = get_size(&store->sql, "PRAGMA freelist_count", &unused);
	if (r < 0)
		return r;
	info.used = (pages - MIN(unused, pages)) * store->page_size;
	r = get_size(&store->sql, "SELECT COUNT(*) FROM fs_inode", &info.inodes);
	if (r < 0)
		return r;
	r = get_size(&store->sql, data_bytes_text, &info.data_bytes);
	if (r < 0)
		return r;
	r = cairn_sqlite_base_path(store, &info.base_path);
	if (r == 0)
		r = cairn_sqlite_base_ignore(store, &info.base_ignore);
	if (r < 0) {
		free(info.base_path);
		return r;
	}
	*ret = info;
	return 0;
}

int cairn_sqlite_store_info(const char *path, struct cairn_store_info *ret, struct cairn_error *err)
{
	static const struct cairn_store_options options = {
		.read_only = true,
		.busy_timeout_ms = BUSY_TIMEOUT_MS,
	};
	_cleanup_(cairn_sqlite_freep) struct sqlite_store *store = NULL;
	int r;

	r = cairn_sqlite_open(path, &options, &store, err);
	if (r < 0)
		return r;
	r = read_info(store, ret);
	if (r < 0)
		return cairn_error_set(err, r, "'%s' cannot be read: %s; see 'cairnfs check'", path,
				       sqlite3_errmsg(store->sql.db));
	return 0;
}
