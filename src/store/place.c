#include "store/place.h"

#include <string.h>
#include <strings.h>

int cairn_place_set_wal_mode(struct cairn_sql *sql, const char *path, struct cairn_error *err)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	const unsigned char *mode;
	int r;

	cairn_query_once(&q, sql, "PRAGMA journal_mode = WAL");
	r = cairn_query_step(&q);
	if (r < 0)
		return r;
	mode = r > 0 ? sqlite3_column_text(q.stmt, 0) : NULL;
	if (!mode || strcasecmp((const char *)mode, "wal") != 0)
		return cairn_error_set(err, -EOPNOTSUPP,
				       "'%s' cannot have a write-ahead log where it lies (its "
				       "journal mode stays '%s'); move it to a local disk",
				       path, mode ? (const char *)mode : "unknown");
	return 0;
}

/* A VFS without the calls for it says that the file cannot be opened. */
bool cairn_place_failed(sqlite3 *db, const char **ret_why)
{
	int code = sqlite3_extended_errcode(db);
	int below = code == SQLITE_CANTOPEN ? 0 : sqlite3_system_errno(db);

	switch (code) {
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR_SHMOPEN:
	case SQLITE_IOERR_SHMSIZE:
	case SQLITE_IOERR_SHMLOCK:
	case SQLITE_IOERR_SHMMAP:
	case SQLITE_IOERR_LOCK:
	case SQLITE_IOERR_RDLOCK:
	case SQLITE_IOERR_UNLOCK:
		*ret_why = below ? strerror(below) : sqlite3_errmsg(db);
		return true;
	default:
		return false;
	}
}

/* The first look after the mode is set is what maps the log's index. */
static int try_log(struct cairn_sql *sql, const char *path, struct cairn_error *err)
{
	int64_t objects;
	int r;

	r = cairn_sql_exec(sql, "PRAGMA synchronous = OFF");
	if (r == 0)
		r = cairn_place_set_wal_mode(sql, path, err);
	if (r == 0)
		r = cairn_sql_get_int(sql, "SELECT COUNT(*) FROM sqlite_schema", &objects);
	return r;
}

int cairn_place_try(const struct cairn_draft *draft, struct cairn_error *err)
{
	_cleanup_(cairn_sql_close) struct cairn_sql sql = { 0 };
	const char *why;
	int r;

	r = cairn_sql_open_draft(&sql, draft->temp);
	if (r == 0)
		r = try_log(&sql, draft->path, err);
	if (r == -EIO && sql.db && cairn_place_failed(sql.db, &why))
		return cairn_error_set(err, r,
				       "'%s' could not be opened where it is to lie: a write-ahead "
				       "log needs files beside it that processes can lock and map "
				       "together, and that failed: %s (SQLite error %d); choose a "
				       "place on a local disk",
				       draft->path, why, sqlite3_extended_errcode(sql.db));
	cairn_sql_close(&sql);
	if (r == 0 && ftruncate(draft->fd, 0) < 0)
		r = -errno;
	return r < 0 ? cairn_draft_failed(draft, r, err) : 0;
}
