/* The notes of what a branch saw of its base. */
#include <stdlib.h>
#include <string.h>

#include "store/sqlite_branch.h"
#include "store/sqlite_row.h"

static struct timespec row_time(struct cairn_query *q, int column)
{
	int64_t nsec = sqlite3_column_int64(q->stmt, column + 1);

	return (struct timespec){
		.tv_sec = sqlite3_column_int64(q->stmt, column),
		.tv_nsec = nsec >= 0 && nsec < 1000000000 ? (long)nsec : 0,
	};
}

static void row_digest(struct cairn_query *q, int column, struct cairn_seen *ret)
{
	const void *digest = sqlite3_column_blob(q->stmt, column);

	if (!digest || sqlite3_column_type(q->stmt, column) != SQLITE_BLOB ||
	    sqlite3_column_bytes(q->stmt, column) != sizeof(ret->digest))
		return;
	memcpy(ret->digest, digest, sizeof(ret->digest));
	ret->has_digest = true;
}

/* The target in `ret` is a new string. Numbers are compared with those of the base and nothing
 * else, so that nonsense does no harm: it is not what the base has. */
static int row_seen(struct cairn_query *q, struct cairn_seen *ret)
{
	const char *target = (const char *)sqlite3_column_text(q->stmt, 9);
	struct cairn_seen seen = {
		.mode = (uint32_t)sqlite3_column_int64(q->stmt, 0),
		.uid = (uint32_t)sqlite3_column_int64(q->stmt, 1),
		.gid = (uint32_t)sqlite3_column_int64(q->stmt, 2),
		.rdev = (uint64_t)sqlite3_column_int64(q->stmt, 3),
		.size = sqlite3_column_int64(q->stmt, 4),
		.mtime = row_time(q, 5),
		.ctime = row_time(q, 7),
	};

	row_digest(q, 10, &seen);
	if (target) {
		seen.target = strdup(target);
		if (!seen.target)
			return -ENOMEM;
	}
	*ret = seen;
	return 0;
}

int cairn_branch_seen_get(struct cairn_reader *reader, const char *path, struct cairn_seen *ret)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	if (!reader->store->schema.branch.seen)
		return -ENOENT;
	cairn_branch_begin_query(&q, reader, CAIRN_BRANCH_READ_SEEN);
	cairn_query_name(&q, path, strlen(path));
	r = cairn_branch_step_one(&q);
	return r < 0 ? r : row_seen(&q, ret);
}

int cairn_branch_seen_scan(struct cairn_reader *reader, cairn_seen_fn fn, void *arg)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	if (!reader->store->schema.branch.seen)
		return 0;
	cairn_branch_begin_query(&q, reader, CAIRN_BRANCH_READ_SEENS);
	while ((r = cairn_query_step(&q)) > 0) {
		_cleanup_(cairn_freep) char *path = NULL;
		struct cairn_seen seen;

		r = cairn_branch_copy_path(&q, 11, &path);
		if (r == -EIO || (r == 0 && path[0] == '\0'))
			continue;
		if (r == 0)
			r = row_seen(&q, &seen);
		if (r < 0)
			return r;
		r = fn(arg, path, &seen);
		free((char *)seen.target);
		if (r != 0)
			return r;
	}
	return r;
}

static void bind_time(struct cairn_query *q, const struct timespec *ts)
{
	cairn_query_int(q, ts->tv_sec);
	cairn_query_int(q, ts->tv_nsec);
}

static void bind_digest(struct cairn_query *q, const struct cairn_seen *seen)
{
	if (seen->has_digest)
		cairn_query_blob(q, seen->digest, sizeof(seen->digest));
	else
		cairn_query_null(q);
}

int cairn_branch_seen_put(struct cairn_store *base, const char *path, const struct cairn_seen *seen)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	r = cairn_sqlite_note_seen(cairn_branch_from_base(base), path);
	if (r < 0)
		return r;
	cairn_sqlite_change_begin(&q, &cairn_branch_from_base(base)->branch,
				  CAIRN_BRANCH_WRITE_SEEN_PUT);
	cairn_query_name(&q, path, strlen(path));
	cairn_query_int(&q, seen->mode);
	cairn_query_int(&q, seen->uid);
	cairn_query_int(&q, seen->gid);
	cairn_query_number(&q, seen->rdev);
	cairn_query_int(&q, seen->size);
	bind_time(&q, &seen->mtime);
	bind_time(&q, &seen->ctime);
	if (seen->target)
		cairn_query_text(&q, seen->target, strlen(seen->target));
	else
		cairn_query_null(&q);
	bind_digest(&q, seen);
	return cairn_query_run(&q);
}

int cairn_branch_seen_data(struct cairn_store *base, const char *path,
			   const struct cairn_seen *seen)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	r = cairn_sqlite_note_seen(cairn_branch_from_base(base), path);
	if (r < 0)
		return r;
	cairn_sqlite_change_begin(&q, &cairn_branch_from_base(base)->branch,
				  CAIRN_BRANCH_WRITE_SEEN_DATA);
	cairn_query_name(&q, path, strlen(path));
	cairn_query_int(&q, seen->size);
	bind_time(&q, &seen->mtime);
	bind_time(&q, &seen->ctime);
	bind_digest(&q, seen);
	return cairn_query_run(&q);
}

int cairn_branch_seen_delete(struct cairn_store *base, const char *path)
{
	int r;

	r = cairn_sqlite_note_seen(cairn_branch_from_base(base), path);
	if (r < 0)
		return r;
	return cairn_branch_run_with_path(base, CAIRN_BRANCH_WRITE_SEEN_DELETE, path);
}
