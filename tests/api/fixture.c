#include "fixture.h"

#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct api_fixture ax;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void ax_setup(void)
{
	const char *tmp = getenv("TMPDIR");

	ax = (struct api_fixture){ .options = CAIRNFS_OPTIONS_INIT };
	ax.options.create = true;
	snprintf(ax.dir, sizeof(ax.dir), "%s/cairnfs-api-XXXXXX", tmp ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(ax.dir));
	snprintf(ax.db, sizeof(ax.db), "%s/work.db", ax.dir);
}

void ax_setup_open(void)
{
	ax_setup();
	ax_open();
}

void ax_teardown(void)
{
	ax_close();
	nftw(ax.dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void ax_open(void)
{
	ax_ok(cairnfs_open(ax.db, &ax.options, &ax.ws));
}

void ax_close(void)
{
	ax_ok(cairnfs_close(ax.ws));
	ax.ws = NULL;
}

struct cairnfs *ax_open_other(void)
{
	struct cairnfs *ws;

	ax_ok(cairnfs_open(ax.db, &ax.options, &ws));
	return ws;
}

static sqlite3 *connect(void)
{
	sqlite3 *db;

	cr_assert_eq(sqlite3_open(ax.db, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 10000);
	return db;
}

void ax_sql(const char *sql)
{
	sqlite3 *db = connect();

	cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s: %s", sql,
		     sqlite3_errmsg(db));
	sqlite3_close(db);
}

int64_t ax_number(const char *sql)
{
	sqlite3 *db = connect();
	int64_t number = INT64_MIN;
	sqlite3_stmt *stmt;

	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK, "%s",
		     sqlite3_errmsg(db));
	if (sqlite3_step(stmt) == SQLITE_ROW)
		number = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return number;
}

bool ax_holds(struct cairnfs *ws, const char *path, const char *text)
{
	size_t size;
	void *buf;
	bool same;

	if (cairnfs_read_file(ws, path, &buf, &size) < 0)
		return false;
	same = size == strlen(text) && memcmp(buf, text, size) == 0 && ((char *)buf)[size] == 0;
	free(buf);
	return same;
}
