#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "store/sqlite_row.h"
#include "store/sqlite_store.h"

/* A read that meets a lock comes back to it this often, each time after the busy timeout. In WAL
 * mode only a recovery or another process closing the file blocks a reader, both for a moment. */
#define BUSY_ROUNDS 10U

enum {
	READ_BEGIN,
	READ_INODE,
	READ_DENTRY,
	READ_DENTRIES,
	READ_DENTRIES_ATTR,
	READ_DENTRY_COUNT,
	READ_DENTRY_NAME,
	READ_SYMLINK,
	READ_DATA,
	READ_DATA_INDEXES,
	READ_XATTR,
	READ_XATTRS,
	READ_ORPHANS,
	READ_PAGE_COUNT,
	READ_FREELIST_COUNT,
	READ_STATEMENTS,
};

#define READ_TEXTS(attr_columns)                                                                   \
	{                                                                                          \
		[READ_BEGIN] = "BEGIN",                                                            \
		[READ_INODE] = "SELECT " attr_columns " FROM fs_inode AS i WHERE i.ino = ?1",      \
		[READ_DENTRY] = "SELECT d.id, d.ino, " attr_columns " FROM fs_dentry AS d "        \
				"LEFT JOIN fs_inode AS i ON i.ino = d.ino "                        \
				"WHERE d.parent_ino = ?1 AND d.name = ?2",                         \
		[READ_DENTRIES] = "SELECT id, ino, name FROM fs_dentry WHERE parent_ino = ?1",     \
		[READ_DENTRIES_ATTR] =                                                             \
			"SELECT d.id, d.ino, d.name, " attr_columns " FROM fs_dentry AS d "        \
			"LEFT JOIN fs_inode AS i ON i.ino = d.ino "                                \
			"WHERE d.parent_ino = ?1",                                                 \
		[READ_DENTRY_COUNT] = "SELECT COUNT(*) FROM fs_dentry WHERE ino = ?1",             \
		[READ_DENTRY_NAME] = "SELECT parent_ino, name FROM fs_dentry "                     \
				     "WHERE ino = ?1 AND length(name) > 0 LIMIT 1",                \
		[READ_SYMLINK] = "SELECT target FROM fs_symlink WHERE ino = ?1",                   \
		[READ_DATA] = "SELECT chunk_index, data FROM fs_data "                             \
			      "WHERE ino = ?1 AND chunk_index BETWEEN ?2 AND ?3 "                  \
			      "ORDER BY chunk_index",                                              \
		[READ_DATA_INDEXES] = "SELECT chunk_index FROM fs_data "                           \
				      "WHERE ino = ?1 AND chunk_index BETWEEN ?2 AND ?3 "          \
				      "ORDER BY chunk_index",                                      \
		[READ_XATTR] = "SELECT value FROM cairn_xattr WHERE ino = ?1 AND name = ?2",       \
		[READ_XATTRS] = "SELECT name FROM cairn_xattr WHERE ino = ?1",                     \
		[READ_ORPHANS] = "SELECT ino FROM cairn_orphan",                                   \
		[READ_PAGE_COUNT] = "PRAGMA page_count",                                           \
		[READ_FREELIST_COUNT] = "PRAGMA freelist_count",                                   \
	}

static const char *const read_texts[] = READ_TEXTS(CAIRN_ATTR_COLUMNS);
static const char *const read_texts_0_2[] = READ_TEXTS(CAIRN_ATTR_COLUMNS_0_2);

static int open_connection(struct cairn_reader *reader, const char *const *texts)
{
	struct cairn_sql_target target = reader->store->target;
	int r;

	target.read_only = true;
	target.gather = false;
	r = cairn_sqlite_connect(&reader->sql, &target, reader->store);
	if (r < 0)
		return r;
	reader->sql.busy_rounds = BUSY_ROUNDS;
	r = cairn_sql_configure(&reader->sql, CAIRN_READER_CACHE_KIB, true);
	return r < 0 ? r : cairn_sql_use(&reader->sql, texts, READ_STATEMENTS);
}

int cairn_sqlite_reader_open(struct cairn_store *base, struct cairn_reader **ret)
{
	struct sqlite_store *store = CONTAINER_OF(base, struct sqlite_store, base);
	const char *const *texts = store->schema.missing ? read_texts_0_2 : read_texts;
	struct cairn_reader *reader = calloc(1, sizeof(*reader));
	int r;

	if (!reader)
		return -ENOMEM;
	if (store->one_moment && atomic_exchange(&store->has_reader, true)) {
		free(reader);
		return -EDEADLK;
	}
	reader->store = store;
	reader->borrowed = store->one != NULL;
	if (reader->borrowed)
		r = cairn_sql_share(&reader->sql, &store->sql, texts, READ_STATEMENTS);
	else
		r = open_connection(reader, texts);
	if (r == 0)
		r = cairn_sqlite_branch_read(reader);
	if (r < 0) {
		cairn_sqlite_reader_close(reader);
		return r;
	}
	*ret = reader;
	return 0;
}

void cairn_sqlite_reader_close(struct cairn_reader *reader)
{
	if (!reader)
		return;
	if (reader->store->one_moment)
		atomic_store(&reader->store->has_reader, false);
	cairn_sql_unshare(&reader->branch);
	if (reader->borrowed)
		cairn_sql_unshare(&reader->sql);
	else
		cairn_sql_close(&reader->sql);
	free(reader);
}

static int run_plain(struct cairn_reader *reader, unsigned int statement)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_query_begin(&q, &reader->sql, statement);
	return cairn_query_run(&q);
}

void cairn_sqlite_reader_rest(struct cairn_reader *reader)
{
	if (!reader->borrowed && !reader->store->one_moment)
		cairn_sql_rollback(&reader->sql);
}

/* Whether a query is under way; then its callback is asking. */
static bool is_asking(const struct cairn_reader *reader)
{
	sqlite3_stmt *stmt = NULL;

	while ((stmt = sqlite3_next_stmt(reader->sql.db, stmt)) != NULL)
		if (sqlite3_stmt_busy(stmt))
			return true;
	return false;
}

/* A query inside another sees what that one does. */
void cairn_sqlite_query_begin(struct cairn_query *q, struct cairn_reader *reader,
			      struct cairn_sql *sql, unsigned int statement)
{
	unsigned long generation = atomic_load(&reader->store->generation);
	int r = 0;

	if (!reader->borrowed && !reader->held && reader->generation != generation &&
	    !is_asking(reader))
		cairn_sqlite_reader_rest(reader);
	if (!reader->borrowed && !cairn_sql_in_transaction(&reader->sql)) {
		r = run_plain(reader, READ_BEGIN);
		reader->generation = generation;
		reader->turn_known = false;
	}
	cairn_query_begin(q, sql, statement);
	if (r < 0)
		q->r = r;
}

static void begin_query(struct cairn_query *q, struct cairn_reader *reader, unsigned int statement)
{
	cairn_sqlite_query_begin(q, reader, &reader->sql, statement);
}

/* The first row, or -ENOENT. */
static int step_one(struct cairn_query *q)
{
	int r = cairn_query_step(q);

	return r == 0 ? -ENOENT : MIN(r, 0);
}

int cairn_sqlite_inode_get(struct cairn_reader *reader, uint64_t ino, struct cairn_attr *ret)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	begin_query(&q, reader, READ_INODE);
	cairn_query_number(&q, ino);
	r = step_one(&q);
	if (r < 0)
		return r;
	return cairn_row_attr(&q, 0, ret);
}

/* The columns id, ino of an entry. */
static int dentry_numbers(struct cairn_query *q, struct cairn_dentry_row *row)
{
	int64_t id = 0, ino = 0;
	int r;

	r = cairn_row_number(q, 0, 1, &id);
	if (r < 0)
		return r;
	if (id > CAIRN_DENTRY_ID_MAX)
		return -EIO; /* no sequence gets there, and a position in a listing is made of it */
	r = cairn_row_number(q, 1, 1, &ino);
	if (r < 0)
		return r;
	row->id = (uint64_t)id;
	row->ino = (uint64_t)ino;
	return 0;
}

int cairn_sqlite_dentry_get(struct cairn_reader *reader, uint64_t parent, const char *name,
			    size_t name_len, struct cairn_dentry_row *ret)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	struct cairn_dentry_row row = { 0 };
	int r;

	begin_query(&q, reader, READ_DENTRY);
	cairn_query_number(&q, parent);
	cairn_query_name(&q, name, name_len);
	r = step_one(&q);
	if (r < 0)
		return r;
	r = dentry_numbers(&q, &row);
	if (r < 0)
		return r;
	row.has_attr = sqlite3_column_type(q.stmt, 2) != SQLITE_NULL;
	if (row.has_attr) {
		r = cairn_row_attr(&q, 2, &row.attr);
		if (r < 0)
			return r;
	}
	*ret = row;
	return 0;
}

static void log_name(struct cairn_reader *reader, uint64_t ino)
{
	if (reader->name_logged)
		return;
	reader->name_logged = true;
	cairn_warn(reader->store->log,
		   "%s: inode %" PRIu64 " has names that no path can hold; they are not shown "
		   "(said once)",
		   reader->store->probe.real_path, ino);
}

/* One row of a listing. An entry whose inode is nonsense is still listed, so that it can be seen
 * and removed; reading the inode then fails. 0 also where the row is passed over. */
static int scan_dentry(struct cairn_reader *reader, struct cairn_query *q, uint64_t parent,
		       bool with_attr, cairn_dentry_fn fn, void *arg)
{
	struct cairn_dentry_row row = { 0 };
	int r;

	r = cairn_row_name(q, 2, true, &row.name, &row.name_len);
	if (r < 0)
		return r;
	if (r == 0) {
		log_name(reader, parent);
		return 0;
	}
	if (dentry_numbers(q, &row) < 0)
		return 0;
	if (with_attr && sqlite3_column_type(q->stmt, 3) != SQLITE_NULL)
		row.has_attr = cairn_row_attr(q, 3, &row.attr) == 0;
	return fn(arg, &row);
}

int cairn_sqlite_dentry_scan(struct cairn_reader *reader, uint64_t parent, bool with_attr,
			     cairn_dentry_fn fn, void *arg)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	begin_query(&q, reader, with_attr ? READ_DENTRIES_ATTR : READ_DENTRIES);
	cairn_query_number(&q, parent);
	while ((r = cairn_query_step(&q)) > 0) {
		r = scan_dentry(reader, &q, parent, with_attr, fn, arg);
		if (r != 0)
			return r;
	}
	return r;
}

int cairn_sqlite_dentry_count(struct cairn_reader *reader, uint64_t ino, uint32_t *ret)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	begin_query(&q, reader, READ_DENTRY_COUNT);
	cairn_query_number(&q, ino);
	r = step_one(&q);
	if (r < 0)
		return r;
	*ret = (uint32_t)MIN(sqlite3_column_int64(q.stmt, 0), UINT32_MAX);
	return 0;
}

int cairn_sqlite_dentry_name(struct cairn_reader *reader, uint64_t ino, uint64_t *ret_parent,
			     char ret_name[CAIRN_NAME_MAX + 1])
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	size_t len;
	int r;

	begin_query(&q, reader, READ_DENTRY_NAME);
	cairn_query_number(&q, ino);
	r = step_one(&q);
	if (r < 0)
		return r;
	*ret_parent = (uint64_t)sqlite3_column_int64(q.stmt, 0);
	len = MIN((size_t)MAX(sqlite3_column_bytes(q.stmt, 1), 0), (size_t)CAIRN_NAME_MAX);
	memcpy(ret_name, sqlite3_column_blob(q.stmt, 1), len);
	ret_name[len] = '\0';
	return 0;
}

int cairn_sqlite_symlink_get(struct cairn_reader *reader, uint64_t ino, char **ret)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	const void *target;
	size_t len;
	char *copy;
	int r;

	begin_query(&q, reader, READ_SYMLINK);
	cairn_query_number(&q, ino);
	r = step_one(&q);
	if (r < 0)
		return r;
	r = cairn_row_bytes(&q, 0, &target, &len);
	if (r < 0)
		return r;
	if (len < 1 || len > CAIRN_SYMLINK_MAX || memchr(target, 0, len)) {
		cairn_err(reader->store->log,
			  "%s: symlink %" PRIu64 " has a target of %zu bytes that no symlink can "
			  "have",
			  reader->store->probe.real_path, ino, len);
		return -EIO;
	}
	copy = strndup(target, len);
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

static int scan_chunks(struct cairn_reader *reader, unsigned int statement, uint64_t ino,
		       int64_t first, int64_t last, cairn_chunk_fn fn, void *arg)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	begin_query(&q, reader, statement);
	cairn_query_number(&q, ino);
	cairn_query_int(&q, first);
	cairn_query_int(&q, last);
	while ((r = cairn_query_step(&q)) > 0) {
		const void *data = NULL;
		int64_t index = 0;
		size_t len = 0;

		r = cairn_row_number(&q, 0, 0, &index);
		if (r < 0)
			return r;
		if (statement == READ_DATA) {
			r = cairn_row_bytes(&q, 1, &data, &len);
			if (r < 0)
				return r;
			len = MIN(len, reader->store->base.chunk_size);
		}
		r = fn(arg, index, data, len);
		if (r != 0)
			return r;
	}
	return r;
}

int cairn_sqlite_data_read(struct cairn_reader *reader, uint64_t ino, int64_t first, int64_t last,
			   cairn_chunk_fn fn, void *arg)
{
	return scan_chunks(reader, READ_DATA, ino, first, last, fn, arg);
}

int cairn_sqlite_data_scan(struct cairn_reader *reader, uint64_t ino, int64_t first, int64_t last,
			   cairn_chunk_fn fn, void *arg)
{
	return scan_chunks(reader, READ_DATA_INDEXES, ino, first, last, fn, arg);
}

int cairn_sqlite_xattr_get(struct cairn_reader *reader, uint64_t ino, const char *name, void **ret,
			   size_t *ret_len)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	const void *value;
	void *copy;
	size_t len;
	int r;

	if (!reader->store->schema.has_xattr)
		return -ENOENT;
	begin_query(&q, reader, READ_XATTR);
	cairn_query_number(&q, ino);
	cairn_query_name(&q, name, strlen(name));
	r = step_one(&q);
	if (r < 0)
		return r;
	r = cairn_row_bytes(&q, 0, &value, &len);
	if (r < 0)
		return r;
	if (len > CAIRN_XATTR_MAX) {
		cairn_err(reader->store->log,
			  "%s: an attribute of inode %" PRIu64 " has %zu bytes, more than any can",
			  reader->store->probe.real_path, ino, len);
		return -EIO;
	}
	copy = malloc(len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, value, len);
	*ret = copy;
	*ret_len = len;
	return 0;
}

int cairn_sqlite_xattr_scan(struct cairn_reader *reader, uint64_t ino, cairn_xattr_fn fn, void *arg)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	if (!reader->store->schema.has_xattr)
		return 0;
	begin_query(&q, reader, READ_XATTRS);
	cairn_query_number(&q, ino);
	while ((r = cairn_query_step(&q)) > 0) {
		char name[CAIRN_NAME_MAX + 1] = "";
		const char *stored;
		size_t len;

		r = cairn_row_name(&q, 0, false, &stored, &len);
		if (r < 0)
			return r;
		if (r == 0) {
			log_name(reader, ino);
			continue;
		}
		memcpy(name, stored, len);
		r = fn(arg, name);
		if (r != 0)
			return r;
	}
	return r;
}

int cairn_sqlite_orphan_scan(struct cairn_reader *reader, cairn_ino_fn fn, void *arg)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	if (!reader->store->schema.has_orphan)
		return 0;
	begin_query(&q, reader, READ_ORPHANS);
	while ((r = cairn_query_step(&q)) > 0) {
		int64_t ino = 0;

		if (cairn_row_number(&q, 0, 1, &ino) < 0)
			continue;
		r = fn(arg, (uint64_t)ino);
		if (r != 0)
			return r;
	}
	return r;
}

static int pragma_number(struct cairn_reader *reader, unsigned int statement, uint64_t *ret)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	begin_query(&q, reader, statement);
	r = step_one(&q);
	if (r < 0)
		return r == -ENOENT ? -EIO : r;
	*ret = (uint64_t)MAX(sqlite3_column_int64(q.stmt, 0), 0);
	return 0;
}

int cairn_sqlite_space(struct cairn_reader *reader, struct cairn_space *ret)
{
	uint64_t page_size = reader->store->page_size, pages = 0, unused = 0;
	int r;

	r = pragma_number(reader, READ_PAGE_COUNT, &pages);
	if (r < 0)
		return r;
	r = pragma_number(reader, READ_FREELIST_COUNT, &unused);
	if (r < 0)
		return r;
	ret->file_size = pages * page_size;
	ret->used = (pages - MIN(unused, pages)) * page_size;
	return 0;
}
