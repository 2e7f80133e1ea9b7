#include <string.h>
#include <sys/stat.h>

#include "store/sqlite_row.h"
#include "store/sqlite_store.h"

enum {
	WRITE_BEGIN,
	WRITE_COMMIT,
	WRITE_SEQUENCE_GET,
	WRITE_SEQUENCE_SET,
	WRITE_SEQUENCE_ADD,
	WRITE_INODE_LAST,
	WRITE_DENTRY_LAST,
	WRITE_INODE_INSERT,
	WRITE_INODE_UPDATE,
	WRITE_INODE_DELETE,
	WRITE_DENTRY_PUT,
	WRITE_DENTRY_DELETE,
	WRITE_SYMLINK_PUT,
	WRITE_SYMLINK_DELETE,
	WRITE_DATA_PUT,
	WRITE_DATA_DELETE,
	WRITE_DATA_CUT,
	WRITE_XATTR_PUT,
	WRITE_XATTR_DELETE,
	WRITE_XATTRS_DELETE,
	WRITE_ORPHAN_PUT,
	WRITE_ORPHAN_DELETE,
	WRITE_STATEMENTS,
};

/* The rows of fs_data and fs_dentry are changed in place rather than replaced: a new row would
 * take a new rowid and rewrite the index. */
static const char *const write_texts[WRITE_STATEMENTS] = {
	[WRITE_BEGIN] = "BEGIN IMMEDIATE",
	[WRITE_COMMIT] = "COMMIT",
	[WRITE_SEQUENCE_GET] = "SELECT MAX(seq) FROM sqlite_sequence WHERE name = ?1",
	[WRITE_SEQUENCE_SET] = "UPDATE sqlite_sequence SET seq = ?2 WHERE name = ?1",
	[WRITE_SEQUENCE_ADD] = "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)",
	[WRITE_INODE_LAST] = "SELECT MAX(ino) FROM fs_inode",
	[WRITE_DENTRY_LAST] = "SELECT MAX(id) FROM fs_dentry",
	[WRITE_INODE_INSERT] =
		"INSERT INTO fs_inode (ino, mode, nlink, uid, gid, size, rdev, atime, atime_nsec, "
		"mtime, mtime_nsec, ctime, ctime_nsec) "
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
	[WRITE_INODE_UPDATE] =
		"UPDATE fs_inode SET mode = ?2, nlink = ?3, uid = ?4, gid = ?5, size = ?6, "
		"rdev = ?7, atime = ?8, atime_nsec = ?9, mtime = ?10, mtime_nsec = ?11, "
		"ctime = ?12, ctime_nsec = ?13 WHERE ino = ?1",
	[WRITE_INODE_DELETE] = "DELETE FROM fs_inode WHERE ino = ?1",
	[WRITE_DENTRY_PUT] =
		"INSERT INTO fs_dentry (parent_ino, name, id, ino) "
		"VALUES (?1, ?2, ?3, ?4) "
		"ON CONFLICT (parent_ino, name) DO UPDATE SET id = excluded.id, ino = excluded.ino",
	[WRITE_DENTRY_DELETE] = "DELETE FROM fs_dentry WHERE parent_ino = ?1 AND name = ?2",
	[WRITE_SYMLINK_PUT] = "INSERT INTO fs_symlink (ino, target) VALUES (?1, ?2) "
			      "ON CONFLICT (ino) DO UPDATE SET target = excluded.target",
	[WRITE_SYMLINK_DELETE] = "DELETE FROM fs_symlink WHERE ino = ?1",
	[WRITE_DATA_PUT] = "INSERT INTO fs_data (ino, chunk_index, data) VALUES (?1, ?2, ?3) "
			   "ON CONFLICT (ino, chunk_index) DO UPDATE SET data = excluded.data",
	[WRITE_DATA_DELETE] = "DELETE FROM fs_data WHERE ino = ?1 AND chunk_index = ?2",
	[WRITE_DATA_CUT] = "DELETE FROM fs_data WHERE ino = ?1 AND chunk_index >= ?2",
	[WRITE_XATTR_PUT] = "INSERT INTO cairn_xattr (ino, name, value) VALUES (?1, ?2, ?3) "
			    "ON CONFLICT (ino, name) DO UPDATE SET value = excluded.value",
	[WRITE_XATTR_DELETE] = "DELETE FROM cairn_xattr WHERE ino = ?1 AND name = ?2",
	[WRITE_XATTRS_DELETE] = "DELETE FROM cairn_xattr WHERE ino = ?1",
	[WRITE_ORPHAN_PUT] = "INSERT OR IGNORE INTO cairn_orphan (ino) VALUES (?1)",
	[WRITE_ORPHAN_DELETE] = "DELETE FROM cairn_orphan WHERE ino = ?1",
};

static struct sqlite_store *from_base(struct cairn_store *base)
{
	return CONTAINER_OF(base, struct sqlite_store, base);
}

/* After each commit; this hook stands in the place of SQLite's automatic checkpoint. */
static int after_commit(void *arg, sqlite3 *db, const char *schema, int frames)
{
	struct sqlite_store *store = arg;

	store->wal_size = cairn_sqlite_wal_bytes(store, (uint32_t)MAX(frames, 0));
	cairn_sqlite_foreign_committed(store, frames);
	return SQLITE_OK;
}

int cairn_sqlite_write_prepare(struct sqlite_store *store, const char *path,
			       struct cairn_error *err)
{
	int r;

	r = cairn_sql_use(&store->sql, write_texts, WRITE_STATEMENTS);
	if (r < 0)
		return r;
	r = cairn_sql_prepare_all(&store->sql);
	if (r == -EIO && (sqlite3_extended_errcode(store->sql.db) & 0xff) == SQLITE_ERROR)
		return cairn_error_set(err, -EINVAL,
				       "'%s' is not a workspace: %s; name a file made by 'cairnfs "
				       "init' or by AgentFS",
				       path, sqlite3_errmsg(store->sql.db));
	if (r < 0)
		return r;
	sqlite3_wal_hook(store->sql.db, after_commit, store);
	return 0;
}

static int run_plain(struct cairn_sql *sql, unsigned int statement)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_query_begin(&q, sql, statement);
	return cairn_query_run(&q);
}

int cairn_sqlite_begin(struct cairn_store *base)
{
	struct sqlite_store *store = from_base(base);
	int r;

	if (store->one && store->one->error)
		return store->one->error;
	if (store->one && cairn_sql_in_transaction(&store->sql))
		return 0;
	cairn_sql_rollback(&store->sql);
	r = run_plain(&store->sql, WRITE_BEGIN);
	atomic_fetch_add(&store->generation, 1); /* others may have committed */
	store->one_begun |= store->one && r == 0;
	return r;
}

/* A commit that failed leaves no transaction behind, so that the caller may begin anew. */
static int commit(struct sqlite_store *store)
{
	_cleanup_(cairn_sql_rollbackp) struct cairn_sql *open = &store->sql;
	int r;

	store->undo_id = 0;
	r = run_plain(open, WRITE_COMMIT);
	atomic_fetch_add(&store->generation, 1);
	return r;
}

int cairn_sqlite_commit(struct cairn_store *base)
{
	struct sqlite_store *store = from_base(base);

	return store->one ? 0 : commit(store);
}

void cairn_sqlite_rollback(struct cairn_store *base)
{
	struct sqlite_store *store = from_base(base);
	struct cairn_sql *sql = &store->sql;

	store->undo_id = 0;
	/* What was the matter is told by every begin() from now on. */
	if (store->one_begun && !store->one->error)
		store->one->error = cairn_sql_errno(sqlite3_extended_errcode(sql->db)) ?: -EIO;
	cairn_sql_rollback(sql);
}

int cairn_sqlite_end_one(struct sqlite_store *store)
{
	struct cairn_one_transaction *one = store->one;

	if (!store->one_begun)
		return 0;
	store->one_begun = false;
	if (one->keep && !one->error)
		return one->error = commit(store);
	cairn_sql_rollback(&store->sql);
	return 0;
}

/* The number a query answers, 0 where it answers NULL or nothing. */
static int last_number(struct cairn_query *q, int64_t *ret)
{
	int r;

	r = cairn_query_step(q);
	if (r < 0)
		return r;
	if (r == 0 || sqlite3_column_type(q->stmt, 0) == SQLITE_NULL) {
		*ret = 0;
		return 0;
	}
	return cairn_row_number(q, 0, INT64_MIN, ret);
}

static int last_in_sequence(struct cairn_sql *sql, const char *table, int64_t *ret)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_query_begin(&q, sql, WRITE_SEQUENCE_GET);
	cairn_query_text(&q, table, strlen(table));
	return last_number(&q, ret);
}

static int last_in_table(struct cairn_sql *sql, unsigned int statement, int64_t *ret)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_query_begin(&q, sql, statement);
	return last_number(&q, ret);
}

static int sequence_write(struct cairn_sql *sql, unsigned int statement, const char *table,
			  int64_t last)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_query_begin(&q, sql, statement);
	cairn_query_text(&q, table, strlen(table));
	cairn_query_int(&q, last);
	return cairn_query_run(&q);
}

static int lease_in_transaction(struct cairn_sql *sql, enum cairn_sequence which, uint64_t count,
				uint64_t *ret_first)
{
	static const struct {
		const char *table;
		unsigned int last;
	} sequences[CAIRN_SEQUENCE_COUNT] = {
		[CAIRN_SEQUENCE_INODE] = { "fs_inode", WRITE_INODE_LAST },
		[CAIRN_SEQUENCE_DENTRY] = { "fs_dentry", WRITE_DENTRY_LAST },
	};
	const char *table = sequences[which].table;
	int64_t last = 0, row = 0;
	int r;

	r = last_in_sequence(sql, table, &last);
	if (r < 0)
		return r;
	r = last_in_table(sql, sequences[which].last, &row);
	if (r < 0)
		return r;
	last = MAX(last, row);
	last = MAX(last, 0);
	if (count > (uint64_t)(INT64_MAX - last))
		return -ENOSPC;
	r = sequence_write(sql, WRITE_SEQUENCE_SET, table, last + (int64_t)count);
	if (r == 0 && sqlite3_changes(sql->db) == 0)
		r = sequence_write(sql, WRITE_SEQUENCE_ADD, table, last + (int64_t)count);
	if (r < 0)
		return r;
	*ret_first = (uint64_t)last + 1;
	return 0;
}

static int lease_on_its_own(struct cairn_store *base, enum cairn_sequence which, uint64_t count,
			    uint64_t *ret_first)
{
	_cleanup_(cairn_sql_rollbackp) struct cairn_sql *sql = &from_base(base)->sql;
	uint64_t first = 0;
	int r;

	r = cairn_sqlite_begin(base);
	if (r < 0)
		return r;
	r = lease_in_transaction(sql, which, count, &first);
	if (r < 0)
		return r;
	r = cairn_sqlite_commit(base);
	if (r < 0)
		return r;
	*ret_first = first;
	return 0;
}

/* Within a transaction of the caller the numbers are reserved when that commits. */
int cairn_sqlite_lease(struct cairn_store *base, enum cairn_sequence which, uint64_t count,
		       uint64_t *ret_first)
{
	struct cairn_sql *sql = &from_base(base)->sql;
	int r;

	if (count < 1)
		return -EINVAL;
	r = from_base(base)->one ? cairn_sqlite_begin(base) : 0;
	if (r < 0)
		return r;
	if (cairn_sql_in_transaction(sql))
		return lease_in_transaction(sql, which, count, ret_first);
	return lease_on_its_own(base, which, count, ret_first);
}

void cairn_sqlite_change_begin(struct cairn_query *q, struct cairn_sql *sql, unsigned int statement)
{
	cairn_query_begin(q, sql, statement);
	if (q->r == 0 && !cairn_sql_in_transaction(sql)) {
		cairn_err(sql->log, "a change outside a transaction was refused: %s",
			  sql->texts[statement]);
		q->r = -EIO;
	}
}

static void change_begin(struct cairn_query *q, struct cairn_store *base, unsigned int statement)
{
	cairn_sqlite_change_begin(q, &from_base(base)->sql, statement);
}

/* A row number; SQLite takes the next one for 0, which is none. */
static void bind_rowid(struct cairn_query *q, uint64_t number)
{
	if (number)
		cairn_query_number(q, number);
	else
		cairn_query_null(q);
}

/* A peer panics at a negative time. */
static void bind_time(struct cairn_query *q, const struct timespec *ts)
{
	cairn_query_int(q, MAX(ts->tv_sec, 0));
	cairn_query_int(q, ts->tv_sec < 0 ? 0 : ts->tv_nsec);
}

static int run_with_attr(struct cairn_store *base, unsigned int statement,
			 const struct cairn_attr *attr)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	change_begin(&q, base, statement);
	bind_rowid(&q, attr->ino);
	cairn_query_int(&q, attr->mode);
	cairn_query_int(&q, attr->nlink);
	cairn_query_int(&q, attr->uid);
	cairn_query_int(&q, attr->gid);
	cairn_query_int(&q, attr->size);
	cairn_query_number(&q, attr->rdev);
	bind_time(&q, &attr->atime);
	bind_time(&q, &attr->mtime);
	bind_time(&q, &attr->ctime);
	return cairn_query_run(&q);
}

int cairn_sqlite_inode_insert(struct cairn_store *base, const struct cairn_attr *attr)
{
	struct cairn_attr row = *attr;
	int r = 0;

	/* What takes it back has to know the number. */
	if (!row.ino && from_base(base)->undo_id)
		r = cairn_sqlite_lease(base, CAIRN_SEQUENCE_INODE, 1, &row.ino);
	if (r == 0)
		r = cairn_sqlite_note_inode(from_base(base), row.ino);
	return r < 0 ? r : run_with_attr(base, WRITE_INODE_INSERT, &row);
}

int cairn_sqlite_inode_update(struct cairn_store *base, const struct cairn_attr *attr)
{
	int r;

	r = cairn_sqlite_note_inode(from_base(base), attr->ino);
	if (r < 0)
		return r;
	r = run_with_attr(base, WRITE_INODE_UPDATE, attr);
	if (r < 0)
		return r;
	return sqlite3_changes(from_base(base)->sql.db) > 0 ? 0 : -ENOENT;
}

static int run_with_ino(struct cairn_store *base, unsigned int statement, uint64_t ino)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	change_begin(&q, base, statement);
	cairn_query_number(&q, ino);
	return cairn_query_run(&q);
}

int cairn_sqlite_inode_delete(struct cairn_store *base, uint64_t ino, uint32_t mode)
{
	int r;

	r = cairn_sqlite_note_all(from_base(base), ino);
	if (r < 0)
		return r;
	r = run_with_ino(base, WRITE_INODE_DELETE, ino);
	if (r == 0 && (S_ISREG(mode) || (mode & S_IFMT) == 0))
		r = cairn_sqlite_data_cut(base, ino, INT64_MIN);
	if (r == 0 && (S_ISLNK(mode) || (mode & S_IFMT) == 0))
		r = run_with_ino(base, WRITE_SYMLINK_DELETE, ino);
	if (r == 0)
		r = run_with_ino(base, WRITE_XATTRS_DELETE, ino);
	if (r == 0)
		r = run_with_ino(base, WRITE_ORPHAN_DELETE, ino);
	return r;
}

int cairn_sqlite_dentry_put(struct cairn_store *base, uint64_t parent, const char *name,
			    size_t name_len, uint64_t id, uint64_t ino)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	r = cairn_sqlite_note_dentry(from_base(base), parent, name, name_len);
	if (r < 0)
		return r;
	change_begin(&q, base, WRITE_DENTRY_PUT);
	cairn_query_number(&q, parent);
	cairn_query_name(&q, name, name_len);
	bind_rowid(&q, id);
	cairn_query_number(&q, ino);
	return cairn_query_run(&q);
}

int cairn_sqlite_dentry_delete(struct cairn_store *base, uint64_t parent, const char *name,
			       size_t name_len)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	r = cairn_sqlite_note_dentry(from_base(base), parent, name, name_len);
	if (r < 0)
		return r;
	change_begin(&q, base, WRITE_DENTRY_DELETE);
	cairn_query_number(&q, parent);
	cairn_query_name(&q, name, name_len);
	return cairn_query_run(&q);
}

int cairn_sqlite_symlink_put(struct cairn_store *base, uint64_t ino, const char *target)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	r = cairn_sqlite_note_symlink(from_base(base), ino);
	if (r < 0)
		return r;
	change_begin(&q, base, WRITE_SYMLINK_PUT);
	cairn_query_number(&q, ino);
	cairn_query_text(&q, target, strlen(target));
	return cairn_query_run(&q);
}

int cairn_sqlite_data_put(struct cairn_store *base, uint64_t ino, int64_t index, const void *data,
			  size_t len)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	r = cairn_sqlite_note_chunk(from_base(base), ino, index);
	if (r < 0)
		return r;
	change_begin(&q, base, WRITE_DATA_PUT);
	cairn_query_number(&q, ino);
	cairn_query_int(&q, index);
	cairn_query_blob(&q, data, len);
	return cairn_query_run(&q);
}

static int run_with_index(struct cairn_store *base, unsigned int statement, uint64_t ino,
			  int64_t index)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	change_begin(&q, base, statement);
	cairn_query_number(&q, ino);
	cairn_query_int(&q, index);
	return cairn_query_run(&q);
}

int cairn_sqlite_data_delete(struct cairn_store *base, uint64_t ino, int64_t index)
{
	int r;

	r = cairn_sqlite_note_chunk(from_base(base), ino, index);
	if (r < 0)
		return r;
	return run_with_index(base, WRITE_DATA_DELETE, ino, index);
}

int cairn_sqlite_data_cut(struct cairn_store *base, uint64_t ino, int64_t first)
{
	int r;

	r = cairn_sqlite_note_chunks(from_base(base), ino, first);
	if (r < 0)
		return r;
	return run_with_index(base, WRITE_DATA_CUT, ino, first);
}

int cairn_sqlite_xattr_put(struct cairn_store *base, uint64_t ino, const char *name,
			   const void *value, size_t len)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	r = cairn_sqlite_note_xattr(from_base(base), ino, name);
	if (r < 0)
		return r;
	change_begin(&q, base, WRITE_XATTR_PUT);
	cairn_query_number(&q, ino);
	cairn_query_name(&q, name, strlen(name));
	cairn_query_blob(&q, value, len);
	return cairn_query_run(&q);
}

int cairn_sqlite_xattr_delete(struct cairn_store *base, uint64_t ino, const char *name)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	r = cairn_sqlite_note_xattr(from_base(base), ino, name);
	if (r < 0)
		return r;
	change_begin(&q, base, WRITE_XATTR_DELETE);
	cairn_query_number(&q, ino);
	cairn_query_name(&q, name, strlen(name));
	return cairn_query_run(&q);
}

int cairn_sqlite_orphan_put(struct cairn_store *base, uint64_t ino)
{
	return run_with_ino(base, WRITE_ORPHAN_PUT, ino);
}
