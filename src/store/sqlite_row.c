#include "store/sqlite_row.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "util/utf8.h"

#define MODE_MAX 0177777 /* S_IFMT and the twelve permission bits */
#define NSEC_MAX 999999999

static int nonsense(struct cairn_query *q, const char *what, int64_t value)
{
	cairn_err(q->sql->log, "%s: nonsense in a row: %s (%" PRId64 "), from: %s",
		  sqlite3_db_filename(q->sql->db, "main"), what, value, sqlite3_sql(q->stmt));
	return -EIO;
}

static bool is_integer(struct cairn_query *q, int column)
{
	return sqlite3_column_type(q->stmt, column) == SQLITE_INTEGER;
}

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
	return value < least ? least : MIN(value, most);
}

static bool is_known_type(int64_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return true;
	default:
		return false;
	}
}

/* Peers store times as whatever their language has; seconds are taken as SQLite converts them. */
static struct timespec row_time(struct cairn_query *q, int column)
{
	return (struct timespec){
		.tv_sec = sqlite3_column_int64(q->stmt, column),
		.tv_nsec = (long)clamp(sqlite3_column_int64(q->stmt, column + 1), 0, NSEC_MAX),
	};
}

int cairn_row_number(struct cairn_query *q, int column, int64_t least, int64_t *ret)
{
	int64_t value = sqlite3_column_int64(q->stmt, column);

	if (!is_integer(q, column) || value < least)
		return nonsense(q, "a number out of range", value);
	*ret = value;
	return 0;
}

static int row_id(struct cairn_query *q, int column, uint32_t *ret)
{
	int64_t value = 0;
	int r;

	r = cairn_row_number(q, column, 0, &value);
	if (r < 0)
		return r;
	if (value > UINT32_MAX)
		return nonsense(q, "a user or group", value);
	*ret = (uint32_t)value;
	return 0;
}

int cairn_row_attr(struct cairn_query *q, int column, struct cairn_attr *ret)
{
	struct cairn_attr attr = { 0 };
	int64_t ino = 0, mode = 0;
	int r;

	r = cairn_row_number(q, column, 1, &ino);
	if (r < 0)
		return r;
	r = cairn_row_number(q, column + 1, 0, &mode);
	if (r < 0)
		return r;
	if (mode > MODE_MAX || !is_known_type(mode))
		return nonsense(q, "a mode of no file type", mode);
	r = row_id(q, column + 3, &attr.uid);
	if (r < 0)
		return r;
	r = row_id(q, column + 4, &attr.gid);
	if (r < 0)
		return r;
	r = cairn_row_number(q, column + 5, 0, &attr.size);
	if (r < 0)
		return r;

	attr.ino = (uint64_t)ino;
	attr.mode = (uint32_t)mode;
	attr.nlink = (uint32_t)clamp(sqlite3_column_int64(q->stmt, column + 2), 0, UINT32_MAX);
	attr.rdev = (uint64_t)MAX(sqlite3_column_int64(q->stmt, column + 6), 0);
	attr.atime = row_time(q, column + 7);
	attr.mtime = row_time(q, column + 9);
	attr.ctime = row_time(q, column + 11);
	*ret = attr;
	return 0;
}

int cairn_row_bytes(struct cairn_query *q, int column, const void **ret, size_t *ret_len)
{
	int type = sqlite3_column_type(q->stmt, column);
	const void *data;
	int len;

	if (type != SQLITE_BLOB && type != SQLITE_TEXT)
		return nonsense(q, "bytes expected, found type", type);
	data = sqlite3_column_blob(q->stmt, column);
	len = sqlite3_column_bytes(q->stmt, column);
	if (!data && len > 0)
		return -ENOMEM;
	*ret = data ? data : "";
	*ret_len = (size_t)len;
	return 0;
}

bool cairn_row_is_path_name(const char *name, size_t len)
{
	if (memchr(name, '/', len))
		return false;
	return !(len == 1 && name[0] == '.') && !(len == 2 && name[0] == '.' && name[1] == '.');
}

enum cairn_name cairn_row_judge_name(int type, const char *name, size_t len, bool path_name)
{
	if ((type != SQLITE_TEXT && type != SQLITE_BLOB) || len < 1 || len > CAIRN_NAME_MAX ||
	    memchr(name, 0, len))
		return CAIRN_NAME_BAD;
	if (path_name && !cairn_row_is_path_name(name, len))
		return CAIRN_NAME_BAD;
	return (type == SQLITE_TEXT) == cairn_utf8_valid(name, len) ? CAIRN_NAME_GOOD
								    : CAIRN_NAME_STORAGE;
}

int cairn_row_name(struct cairn_query *q, int column, bool path_name, const char **ret,
		   size_t *ret_len)
{
	int type = sqlite3_column_type(q->stmt, column);
	const void *data;
	size_t len;
	int r;

	if (type != SQLITE_BLOB && type != SQLITE_TEXT)
		return 0;
	r = cairn_row_bytes(q, column, &data, &len);
	if (r < 0)
		return r;
	if (cairn_row_judge_name(type, data, len, path_name) != CAIRN_NAME_GOOD)
		return 0;
	*ret = data;
	*ret_len = len;
	return 1;
}
