/* A store on a workspace in a temporary directory, one for each test.
 *
 * Criterion runs every test in a process of its own, so the fixture is that process's `sx`. Set up
 * with sx_setup (an empty directory), sx_setup_made (a workspace) or sx_setup_open (opened, with a
 * reader); sx_teardown closes what is open and removes the directory. */
#pragma once

#include <criterion/criterion.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"
#include "util/error.h"
#include "util/log.h"

struct store_fixture {
	char dir[PATH_MAX / 4];
	char db[PATH_MAX / 2];
	char log_path[PATH_MAX / 2];
	struct cairn_log log;
	struct cairn_store_options options;
	struct cairn_error err;
	struct cairn_store *store; /* NULL: not open */
	struct cairn_reader *reader;
};

extern struct store_fixture sx;

void sx_setup(void);
void sx_setup_made(void);
void sx_setup_open(void);
void sx_teardown(void);

/* A new workspace at sx.db. Fails the test where that does not work. */
void sx_make(void);
/* Opens sx.db and returns the result; sx.err has the words. With a reader where it works. */
int sx_try_open(bool read_only);
/* The same, and fails the test where it does not open. */
void sx_open(bool read_only);
void sx_close(void);

/* `name` in the directory. Valid until the fourth call after this one. */
const char *sx_path(const char *name);
bool sx_exists(const char *name);
/* Bytes of the file, -1 where there is none. */
long sx_size(const char *path);

/* Another program's connection to sx.db. */
sqlite3 *sx_connect(void);
/* Runs SQL on it, or on one of its own where `db` is NULL; fails the test on an error. */
void sx_sql(sqlite3 *db, const char *sql);
/* The first column of the first row as a number, INT64_MIN where it is NULL or there is none. */
int64_t sx_number(const char *sql);
/* The same as text, "" where there is none. Valid until the next call. */
const char *sx_text(const char *sql);

bool sx_log_has(const char *text);
bool sx_err_has(const char *text);

/* An attribute set that a regular file might have. */
struct cairn_attr sx_attr(uint64_t ino, uint32_t mode);

/* Adds an entry of the root for the root itself, inside a transaction; and whether it is there. */
int sx_put(const char *name, uint64_t id);
bool sx_has_entry(const char *name);

/* Runs what stands between begin and commit and fails the test on an error. */
#define sx_commit(...)                                                                             \
	do {                                                                                       \
		cr_assert_eq(sx.store->ops->begin(sx.store), 0);                                   \
		__VA_ARGS__;                                                                       \
		cr_assert_eq(sx.store->ops->commit(sx.store), 0);                                  \
	} while (0)

/* What a scan delivered. */
struct sx_rows {
	unsigned int count;
	char names[16][CAIRN_NAME_MAX + 1];
	struct cairn_dentry_row rows[16];
	int stop_at; /* the callback returns 7 at this row, counted from 1; 0: never */
};
int sx_collect_dentry(void *arg, const struct cairn_dentry_row *row);
/* The row of that name, or NULL. */
const struct cairn_dentry_row *sx_find(const struct sx_rows *rows, const char *name);

struct sx_chunks {
	unsigned int count;
	int64_t index[16];
	size_t len[16];
	char first[16]; /* the first byte; 0 where there is none */
	bool has_data[16];
};
int sx_collect_chunk(void *arg, int64_t index, const void *data, size_t len);

struct sx_names {
	unsigned int count;
	char names[16][CAIRN_NAME_MAX + 1];
};
int sx_collect_xattr(void *arg, const char *name);

struct sx_inos {
	unsigned int count;
	uint64_t ino[16];
};
int sx_collect_ino(void *arg, uint64_t ino);
