/* What the files about the tables of a branch share. */
#pragma once

#include "store/branch.h"
#include "store/sqlite_store.h"

/* Statements of readers (struct cairn_reader, `branch`). */
enum {
	CAIRN_BRANCH_READ_ORIGIN,
	CAIRN_BRANCH_READ_ORIGINS,
	CAIRN_BRANCH_READ_WHITEOUT,
	CAIRN_BRANCH_READ_WHITEOUTS,
	CAIRN_BRANCH_READ_WHITEOUTS_FROM,
	CAIRN_BRANCH_READ_SEEN,
	CAIRN_BRANCH_READ_SEENS,
	CAIRN_BRANCH_READ_DATA_SIZES,
	CAIRN_BRANCH_READ_TURN,
	CAIRN_BRANCH_READ_HEIRS,
	CAIRN_BRANCH_READ_STATEMENTS,
};

/* Statements of the write connection (struct sqlite_store, `branch`). */
enum {
	CAIRN_BRANCH_WRITE_ENTRY,
	CAIRN_BRANCH_WRITE_MODE,
	CAIRN_BRANCH_WRITE_PLACE,
	CAIRN_BRANCH_WRITE_HIDDEN,
	CAIRN_BRANCH_WRITE_ORIGIN_PUT,
	CAIRN_BRANCH_WRITE_ORIGIN_DELETE,
	CAIRN_BRANCH_WRITE_FS_ORIGIN_PUT,
	CAIRN_BRANCH_WRITE_FS_ORIGIN_DELETE,
	CAIRN_BRANCH_WRITE_WHITEOUT_PUT,
	CAIRN_BRANCH_WRITE_WHITEOUT_DELETE,
	CAIRN_BRANCH_WRITE_SEEN_PUT,
	CAIRN_BRANCH_WRITE_SEEN_DATA,
	CAIRN_BRANCH_WRITE_SEEN_DELETE,
	CAIRN_BRANCH_WRITE_TURN,
	CAIRN_BRANCH_WRITE_BASE_PATH,
	CAIRN_BRANCH_WRITE_HEIR_PUT,
	CAIRN_BRANCH_WRITE_STATEMENTS,
};

static inline struct sqlite_store *cairn_branch_from_base(struct cairn_store *base)
{
	return CONTAINER_OF(base, struct sqlite_store, base);
}

static inline void cairn_branch_begin_query(struct cairn_query *q, struct cairn_reader *reader,
					    unsigned int statement)
{
	cairn_sqlite_query_begin(q, reader, &reader->branch, statement);
}

/* The first row, or -ENOENT. */
static inline int cairn_branch_step_one(struct cairn_query *q)
{
	int r = cairn_query_step(q);

	return r == 0 ? -ENOENT : MIN(r, 0);
}

/* A path of the base, or "", as a new string. -EIO for what is no path, or is stored so that no
 * lookup finds it. */
int cairn_branch_copy_path(struct cairn_query *q, int column, char **ret);
int cairn_branch_run_with_path(struct cairn_store *base, unsigned int statement, const char *path);

/* sqlite_seen.c */
int cairn_branch_seen_get(struct cairn_reader *reader, const char *path, struct cairn_seen *ret);
int cairn_branch_seen_scan(struct cairn_reader *reader, cairn_seen_fn fn, void *arg);
int cairn_branch_seen_put(struct cairn_store *base, const char *path,
			  const struct cairn_seen *seen);
int cairn_branch_seen_data(struct cairn_store *base, const char *path,
			   const struct cairn_seen *seen);
int cairn_branch_seen_delete(struct cairn_store *base, const char *path);
