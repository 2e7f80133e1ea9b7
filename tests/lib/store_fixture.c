#include "store_fixture.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct store_fixture sx;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void sx_setup(void)
{
	const char *tmp = getenv("TMPDIR");

	sx = (struct store_fixture){ .log = CAIRN_LOG_INIT };
	snprintf(sx.dir, sizeof(sx.dir), "%s/cairnfs-store-XXXXXX", tmp ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(sx.dir));
	snprintf(sx.db, sizeof(sx.db), "%s/work.db", sx.dir);
	snprintf(sx.log_path, sizeof(sx.log_path), "%s/log", sx.dir);
	cr_assert_eq(cairn_log_to_file(&sx.log, sx.log_path), 0);
	sx.options.log = &sx.log;
}

void sx_setup_made(void)
{
	sx_setup();
	sx_make();
}

void sx_setup_open(void)
{
	sx_setup_made();
	sx_open(false);
}

void sx_teardown(void)
{
	sx_close();
	cairn_log_close(&sx.log);
	nftw(sx.dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void sx_make(void)
{
	struct cairn_init_options options = { 0 };

	cr_assert_eq(cairn_sqlite_store_init(sx.db, &options, &sx.err), 0, "%s", sx.err.text);
}

int sx_try_open(bool read_only)
{
	int r;

	sx.err.text[0] = 0;
	sx.options.read_only = read_only;
	r = cairn_sqlite_store_open(sx.db, &sx.options, &sx.store, &sx.err);
	if (r < 0)
		return r;
	return sx.store->ops->reader_open(sx.store, &sx.reader);
}

void sx_open(bool read_only)
{
	cr_assert_eq(sx_try_open(read_only), 0, "%s", sx.err.text);
}

void sx_close(void)
{
	if (sx.reader)
		sx.store->ops->reader_close(sx.reader);
	if (sx.store)
		sx.store->ops->close(sx.store);
	sx.reader = NULL;
	sx.store = NULL;
}

const char *sx_path(const char *name)
{
	static char ring[4][PATH_MAX];
	static unsigned int next;
	char *path = ring[next++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", sx.dir, name);
	return path;
}

bool sx_exists(const char *name)
{
	return access(sx_path(name), F_OK) == 0;
}

long sx_size(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? -1 : (long)st.st_size;
}

sqlite3 *sx_connect(void)
{
	sqlite3 *db;

	cr_assert_eq(sqlite3_open(sx.db, &db), SQLITE_OK);
	return db;
}

void sx_sql(sqlite3 *db, const char *sql)
{
	sqlite3 *own = db ? NULL : sx_connect();

	cr_assert_eq(sqlite3_exec(db ? db : own, sql, NULL, NULL, NULL), SQLITE_OK, "%s: %s", sql,
		     sqlite3_errmsg(db ? db : own));
	sqlite3_close(own);
	if (sx.reader)
		sx.store->ops->reader_rest(sx.reader); /* the next call sees it */
}

const char *sx_text(const char *sql)
{
	static char text[4096];
	sqlite3 *db = sx_connect();
	sqlite3_stmt *stmt;

	text[0] = 0;
	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK, "%s",
		     sqlite3_errmsg(db));
	if (sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_text(stmt, 0))
		snprintf(text, sizeof(text), "%s", (const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return text;
}

int64_t sx_number(const char *sql)
{
	const char *text = sx_text(sql);

	return text[0] ? strtoll(text, NULL, 10) : INT64_MIN;
}

bool sx_log_has(const char *text)
{
	static char log[1 << 16];
	int fd = open(sx.log_path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, log, sizeof(log) - 1);

	close(fd);
	log[n < 0 ? 0 : n] = 0;
	return strstr(log, text) != NULL;
}

bool sx_err_has(const char *text)
{
	return strstr(sx.err.text, text) != NULL;
}

struct cairn_attr sx_attr(uint64_t ino, uint32_t mode)
{
	return (struct cairn_attr){
		.ino = ino,
		.mode = mode,
		.nlink = 1,
		.uid = 1000,
		.gid = 1001,
		.size = 12345,
		.atime = { 1700000001, 11 },
		.mtime = { 1700000002, 22 },
		.ctime = { 1700000003, 33 },
	};
}

int sx_collect_dentry(void *arg, const struct cairn_dentry_row *row)
{
	struct sx_rows *rows = arg;

	cr_assert_lt(rows->count, 16);
	memcpy(rows->names[rows->count], row->name, row->name_len);
	rows->names[rows->count][row->name_len] = 0;
	rows->rows[rows->count] = *row;
	rows->rows[rows->count].name = rows->names[rows->count];
	rows->count++;
	return rows->stop_at == (int)rows->count ? 7 : 0;
}

const struct cairn_dentry_row *sx_find(const struct sx_rows *rows, const char *name)
{
	for (unsigned int i = 0; i < rows->count; i++)
		if (strcmp(rows->names[i], name) == 0)
			return &rows->rows[i];
	return NULL;
}

int sx_collect_chunk(void *arg, int64_t index, const void *data, size_t len)
{
	struct sx_chunks *chunks = arg;
	unsigned int i = chunks->count++;

	cr_assert_lt(i, 16);
	chunks->index[i] = index;
	chunks->len[i] = len;
	chunks->has_data[i] = data != NULL;
	chunks->first[i] = data && len > 0 ? *(const char *)data : 0;
	return 0;
}

int sx_put(const char *name, uint64_t id)
{
	return sx.store->ops->dentry_put(sx.store, 1, name, strlen(name), id, 1);
}

bool sx_has_entry(const char *name)
{
	struct cairn_dentry_row row;
	int r;

	r = sx.store->ops->dentry_get(sx.reader, 1, name, strlen(name), &row);
	cr_assert(r == 0 || r == -ENOENT);
	return r == 0;
}

int sx_collect_xattr(void *arg, const char *name)
{
	struct sx_names *names = arg;

	cr_assert_lt(names->count, 16);
	strcpy(names->names[names->count++], name);
	return 0;
}

int sx_collect_ino(void *arg, uint64_t ino)
{
	struct sx_inos *inos = arg;

	cr_assert_lt(inos->count, 16);
	inos->ino[inos->count++] = ino;
	return 0;
}
