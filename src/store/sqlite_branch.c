/* The tables of a branch. Statements of a second table on the same connections: most workspaces
 * have no base. What a table cannot tell because it is not there (an overlay of AgentFS's that was
 * opened read-only), an empty one would. */
#include <stdio.h>
#include <string.h>

#include "store/sqlite_branch.h"
#include "store/sqlite_row.h"
#include "util/clock.h"
#include "util/utf8.h"

#define SEEN_COLUMNS                                                                               \
	"mode, uid, gid, rdev, size, mtime, mtime_nsec, ctime, ctime_nsec, target, digest"

static const char *const read_texts[CAIRN_BRANCH_READ_STATEMENTS] = {
	[CAIRN_BRANCH_READ_ORIGIN] =
		"SELECT delta_ino, base_ino, base_path, data_end FROM cairn_origin "
		"WHERE delta_ino = ?1",
	[CAIRN_BRANCH_READ_ORIGINS] =
		"SELECT delta_ino, base_ino, base_path, data_end FROM cairn_origin",
	[CAIRN_BRANCH_READ_WHITEOUT] = "SELECT 1 FROM fs_whiteout WHERE path = ?1",
	[CAIRN_BRANCH_READ_WHITEOUTS] = "SELECT path FROM fs_whiteout ORDER BY path",
	/* Text with text, blobs with blobs: SQLite sorts all blobs behind all text. */
	[CAIRN_BRANCH_READ_WHITEOUTS_FROM] =
		"SELECT path FROM fs_whiteout WHERE path >= ?1 AND path < ?2 ORDER BY path",
	[CAIRN_BRANCH_READ_SEEN] = "SELECT " SEEN_COLUMNS " FROM cairn_seen WHERE path = ?1",
	[CAIRN_BRANCH_READ_SEENS] = "SELECT " SEEN_COLUMNS ", path FROM cairn_seen ORDER BY path",
	[CAIRN_BRANCH_READ_DATA_SIZES] = "SELECT chunk_index, LENGTH(data) FROM fs_data "
					 "WHERE ino = ?1 AND chunk_index BETWEEN ?2 AND ?3 "
					 "ORDER BY chunk_index",
	[CAIRN_BRANCH_READ_TURN] = "SELECT CAST(value AS INTEGER) FROM fs_overlay_config "
				   "WHERE key = 'cairn_turn'",
	[CAIRN_BRANCH_READ_HEIRS] = "SELECT ino, base_path FROM cairn_heir",
};

static const char *const write_texts[CAIRN_BRANCH_WRITE_STATEMENTS] = {
	[CAIRN_BRANCH_WRITE_ENTRY] =
		"SELECT ino FROM fs_dentry WHERE parent_ino = ?1 AND name = ?2",
	[CAIRN_BRANCH_WRITE_MODE] = "SELECT mode FROM fs_inode WHERE ino = ?1",
	[CAIRN_BRANCH_WRITE_PLACE] = "SELECT parent_ino, name FROM fs_dentry "
				     "WHERE ino = ?1 AND length(name) > 0 LIMIT 1",
	[CAIRN_BRANCH_WRITE_HIDDEN] = "SELECT 1 FROM fs_whiteout WHERE path = ?1",
	[CAIRN_BRANCH_WRITE_ORIGIN_PUT] =
		"INSERT INTO cairn_origin (delta_ino, base_ino, base_path, data_end) "
		"VALUES (?1, ?2, ?3, ?4) ON CONFLICT (delta_ino) DO UPDATE SET "
		"base_ino = excluded.base_ino, base_path = excluded.base_path, "
		"data_end = excluded.data_end",
	[CAIRN_BRANCH_WRITE_ORIGIN_DELETE] = "DELETE FROM cairn_origin WHERE delta_ino = ?1",
	[CAIRN_BRANCH_WRITE_FS_ORIGIN_PUT] =
		"INSERT INTO fs_origin (delta_ino, base_ino) VALUES (?1, ?2) "
		"ON CONFLICT (delta_ino) DO UPDATE SET base_ino = "
		"excluded.base_ino",
	[CAIRN_BRANCH_WRITE_FS_ORIGIN_DELETE] = "DELETE FROM fs_origin WHERE delta_ino = ?1",
	[CAIRN_BRANCH_WRITE_WHITEOUT_PUT] =
		"INSERT INTO fs_whiteout (path, parent_path, created_at) "
		"VALUES (?1, ?2, ?3) ON CONFLICT (path) DO UPDATE SET "
		"parent_path = excluded.parent_path, "
		"created_at = excluded.created_at",
	[CAIRN_BRANCH_WRITE_WHITEOUT_DELETE] = "DELETE FROM fs_whiteout WHERE path = ?1",
	[CAIRN_BRANCH_WRITE_SEEN_PUT] =
		"INSERT INTO cairn_seen (path, " SEEN_COLUMNS ") VALUES (?1, ?2, ?3, "
		"?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (path) DO NOTHING",
	[CAIRN_BRANCH_WRITE_SEEN_DATA] =
		"UPDATE cairn_seen SET size = ?2, mtime = ?3, mtime_nsec = ?4, ctime = ?5, "
		"ctime_nsec = ?6, digest = ?7 WHERE path = ?1",
	[CAIRN_BRANCH_WRITE_SEEN_DELETE] = "DELETE FROM cairn_seen WHERE path = ?1",
	[CAIRN_BRANCH_WRITE_TURN] =
		"INSERT INTO fs_overlay_config (key, value) VALUES ('cairn_turn', '1') "
		"ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1",
	[CAIRN_BRANCH_WRITE_BASE_PATH] =
		"UPDATE fs_overlay_config SET value = ?1 WHERE key = 'base_path'",
	[CAIRN_BRANCH_WRITE_HEIR_PUT] = "INSERT INTO cairn_heir (ino, base_path) VALUES (?1, ?2) "
					"ON CONFLICT (ino) DO UPDATE SET base_path = "
					"excluded.base_path",
};

int cairn_sqlite_branch_read(struct cairn_reader *reader)
{
	if (!reader->store->schema.has_base)
		return 0;
	return cairn_sql_share(&reader->branch, &reader->sql, read_texts,
			       CAIRN_BRANCH_READ_STATEMENTS);
}

int cairn_sqlite_branch_write(struct sqlite_store *store)
{
	if (!store->schema.has_base)
		return 0;
	return cairn_sql_share(&store->branch, &store->sql, write_texts,
			       CAIRN_BRANCH_WRITE_STATEMENTS);
}

/* A path of the base: 1 for one that a lookup can find by its bytes and storage type, and that
 * means something; 0 for anything else. */
static int row_path(struct cairn_query *q, int column, const char **ret, size_t *ret_len)
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
	if (len >= CAIRN_BASE_PATH_MAX || memchr(data, 0, len) ||
	    (type == SQLITE_TEXT) != cairn_utf8_valid(data, len))
		return 0;
	*ret = data;
	*ret_len = len;
	return 1;
}

int cairn_branch_copy_path(struct cairn_query *q, int column, char **ret)
{
	const char *path;
	size_t len;
	int r;

	r = row_path(q, column, &path, &len);
	if (r < 0)
		return r;
	if (r == 0 || (len > 0 && path[0] != '/'))
		return -EIO;
	*ret = strndup(path, len);
	return *ret ? 0 : -ENOMEM;
}

static int row_origin(struct cairn_query *q, struct cairn_origin *ret)
{
	int64_t delta_ino = 0, base_ino = 0, data_end = 0;
	char *path = NULL;
	int r;

	r = cairn_row_number(q, 0, 1, &delta_ino);
	if (r == 0)
		r = cairn_row_number(q, 1, 0, &base_ino);
	if (r == 0)
		r = cairn_row_number(q, 3, CAIRN_DATA_OF_BASE, &data_end);
	if (r == 0)
		r = cairn_branch_copy_path(q, 2, &path);
	if (r < 0)
		return r;
	*ret = (struct cairn_origin){
		.delta_ino = (uint64_t)delta_ino,
		.base_ino = (uint64_t)base_ino,
		.path = path,
		.data_end = data_end,
	};
	return 0;
}

static int origin_get(struct cairn_reader *reader, uint64_t delta_ino, struct cairn_origin *ret)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	if (!reader->store->schema.branch.origin)
		return -ENOENT;
	cairn_branch_begin_query(&q, reader, CAIRN_BRANCH_READ_ORIGIN);
	cairn_query_number(&q, delta_ino);
	r = cairn_branch_step_one(&q);
	return r < 0 ? r : row_origin(&q, ret);
}

/* Nonsense in a row is in the log by then, and the others are still good. */
static int origin_scan(struct cairn_reader *reader, cairn_origin_fn fn, void *arg)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	if (!reader->store->schema.branch.origin)
		return 0;
	cairn_branch_begin_query(&q, reader, CAIRN_BRANCH_READ_ORIGINS);
	while ((r = cairn_query_step(&q)) > 0) {
		struct cairn_origin origin;

		r = row_origin(&q, &origin);
		if (r == -EIO)
			continue;
		if (r < 0)
			return r;
		r = fn(arg, &origin);
		free((char *)origin.path);
		if (r != 0)
			return r;
	}
	return r;
}

static int whiteout_get(struct cairn_reader *reader, const char *path)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	if (!reader->store->schema.branch.whiteout)
		return -ENOENT;
	cairn_branch_begin_query(&q, reader, CAIRN_BRANCH_READ_WHITEOUT);
	cairn_query_name(&q, path, strlen(path));
	return cairn_branch_step_one(&q);
}

/* A walk over the whiteouts of one directory. What lies in directories below it stands in between,
 * and is stepped over by starting again behind it. */
struct walk {
	struct cairn_reader *reader;
	const char *prefix; /* with the slash at its end */
	size_t len;
	bool blobs; /* paths that are no UTF-8 */
	cairn_name_fn fn;
	void *arg;
};

static void bind_bound(struct cairn_query *q, const struct walk *walk, const char *bound)
{
	if (walk->blobs)
		cairn_query_blob(q, bound, strlen(bound));
	else
		cairn_query_text(q, bound, strlen(bound));
}

/* The first path behind all those that begin with `path` and a slash. */
static char *path_behind(const char *path, size_t len)
{
	char *behind = malloc(len + 2);

	if (!behind)
		return NULL;
	memcpy(behind, path, len);
	behind[len] = '/' + 1;
	behind[len + 1] = '\0';
	return behind;
}

/* From `from` on; *ret_next is a new string where the walk is to go on, else NULL. */
static int walk_from(const struct walk *walk, const char *from, const char *until, char **ret_next)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	*ret_next = NULL;
	cairn_branch_begin_query(&q, walk->reader, CAIRN_BRANCH_READ_WHITEOUTS_FROM);
	bind_bound(&q, walk, from);
	bind_bound(&q, walk, until);
	while ((r = cairn_query_step(&q)) > 0) {
		const char *path, *slash;
		size_t len;

		r = row_path(&q, 0, &path, &len);
		if (r < 0)
			return r;
		if (r == 0 || len <= walk->len)
			continue;
		slash = memchr(path + walk->len, '/', len - walk->len);
		if (slash) {
			*ret_next = path_behind(path, (size_t)(slash - path));
			return *ret_next ? 0 : -ENOMEM;
		}
		if (len - walk->len > CAIRN_NAME_MAX)
			continue;
		r = walk->fn(walk->arg, path + walk->len, len - walk->len);
		if (r != 0)
			return r;
	}
	return r;
}

static int walk_all(const struct walk *walk)
{
	_cleanup_(cairn_freep) char *until = path_behind(walk->prefix, walk->len - 1);
	_cleanup_(cairn_freep) char *from = strdup(walk->prefix);
	char *next;
	int r;

	if (!until || !from)
		return -ENOMEM;
	for (;;) {
		r = walk_from(walk, from, until, &next);
		free(from);
		from = next;
		if (r != 0 || !next)
			return r;
	}
}

static int whiteout_list(struct cairn_reader *reader, const char *dir, cairn_name_fn fn, void *arg)
{
	_cleanup_(cairn_freep) char *prefix = NULL;
	struct walk walk = { .reader = reader, .fn = fn, .arg = arg };
	int r = 0;

	if (!reader->store->schema.branch.whiteout)
		return 0;
	if (asprintf(&prefix, "%s/", strcmp(dir, "/") == 0 ? "" : dir) < 0)
		return -ENOMEM;
	walk.prefix = prefix;
	walk.len = strlen(prefix);
	if (cairn_utf8_valid(prefix, walk.len))
		r = walk_all(&walk);
	if (r != 0)
		return r;
	walk.blobs = true;
	return walk_all(&walk);
}

static int whiteout_scan(struct cairn_reader *reader, cairn_path_fn fn, void *arg)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	if (!reader->store->schema.branch.whiteout)
		return 0;
	cairn_branch_begin_query(&q, reader, CAIRN_BRANCH_READ_WHITEOUTS);
	while ((r = cairn_query_step(&q)) > 0) {
		_cleanup_(cairn_freep) char *path = NULL;

		r = cairn_branch_copy_path(&q, 0, &path);
		if (r == -EIO || (r == 0 && path[0] == '\0'))
			continue;
		if (r < 0)
			return r;
		r = fn(arg, path);
		if (r != 0)
			return r;
	}
	return r;
}

static int data_sizes(struct cairn_reader *reader, uint64_t ino, int64_t first, int64_t last,
		      cairn_chunk_fn fn, void *arg)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	cairn_branch_begin_query(&q, reader, CAIRN_BRANCH_READ_DATA_SIZES);
	cairn_query_number(&q, ino);
	cairn_query_int(&q, first);
	cairn_query_int(&q, last);
	while ((r = cairn_query_step(&q)) > 0) {
		int64_t index = 0, len = MAX(sqlite3_column_int64(q.stmt, 1), 0);

		r = cairn_row_number(&q, 0, 0, &index);
		if (r < 0)
			return r;
		r = fn(arg, index, NULL, (size_t)len);
		if (r != 0)
			return r;
	}
	return r;
}

static int read_turn(struct cairn_reader *reader)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	cairn_branch_begin_query(&q, reader, CAIRN_BRANCH_READ_TURN);
	r = cairn_query_step(&q);
	if (r < 0)
		return r;
	reader->turn = r == 0 ? 0 : (uint64_t)sqlite3_column_int64(q.stmt, 0);
	reader->turn_known = true;
	return 0;
}

/* The turn is read once of each state. */
static int hold(struct cairn_reader *reader, uint64_t *ret_turn)
{
	bool newest = reader->generation == atomic_load(&reader->store->generation);
	int r = 0;

	if (reader->borrowed || !reader->turn_known || !newest ||
	    !cairn_sql_in_transaction(&reader->sql))
		r = read_turn(reader);
	if (r < 0)
		return r;
	reader->held++;
	*ret_turn = reader->turn;
	return 0;
}

static void release(struct cairn_reader *reader)
{
	reader->held--;
}

static int heir_scan(struct cairn_reader *reader, cairn_heir_fn fn, void *arg)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	if (!reader->store->schema.branch.heir)
		return 0;
	cairn_branch_begin_query(&q, reader, CAIRN_BRANCH_READ_HEIRS);
	while ((r = cairn_query_step(&q)) > 0) {
		_cleanup_(cairn_freep) char *path = NULL;
		int64_t ino = 0;

		r = cairn_row_number(&q, 0, 1, &ino);
		if (r == 0)
			r = cairn_branch_copy_path(&q, 1, &path);
		if (r == -EIO)
			continue;
		if (r == 0)
			r = fn(arg, (uint64_t)ino, path);
		if (r != 0)
			return r;
	}
	return r;
}

static int branch_entry(struct cairn_store *base, uint64_t parent, const char *name, size_t len,
			uint64_t *ret_ino)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int64_t ino = 0;
	int r;

	cairn_query_begin(&q, &cairn_branch_from_base(base)->branch, CAIRN_BRANCH_WRITE_ENTRY);
	cairn_query_number(&q, parent);
	cairn_query_name(&q, name, len);
	r = cairn_branch_step_one(&q);
	if (r == 0)
		r = cairn_row_number(&q, 0, 1, &ino);
	if (r == 0)
		*ret_ino = (uint64_t)ino;
	return r;
}

static int branch_mode(struct cairn_store *base, uint64_t ino, uint32_t *ret)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int64_t mode = 0;
	int r;

	cairn_query_begin(&q, &cairn_branch_from_base(base)->branch, CAIRN_BRANCH_WRITE_MODE);
	cairn_query_number(&q, ino);
	r = cairn_branch_step_one(&q);
	if (r == 0)
		r = cairn_row_number(&q, 0, 0, &mode);
	if (r == 0)
		*ret = (uint32_t)mode;
	return r;
}

static int branch_place(struct cairn_store *base, uint64_t ino, uint64_t *ret_parent,
			char ret_name[CAIRN_NAME_MAX + 1])
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int64_t parent = 0;
	const char *name;
	size_t len;
	int r;

	cairn_query_begin(&q, &cairn_branch_from_base(base)->branch, CAIRN_BRANCH_WRITE_PLACE);
	cairn_query_number(&q, ino);
	r = cairn_branch_step_one(&q);
	if (r == 0)
		r = cairn_row_number(&q, 0, 1, &parent);
	if (r < 0)
		return r;
	r = cairn_row_name(&q, 1, true, &name, &len);
	if (r <= 0)
		return r < 0 ? r : -EIO;
	*ret_parent = (uint64_t)parent;
	memcpy(ret_name, name, len);
	ret_name[len] = '\0';
	return 0;
}

static int branch_hidden(struct cairn_store *base, const char *path)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_query_begin(&q, &cairn_branch_from_base(base)->branch, CAIRN_BRANCH_WRITE_HIDDEN);
	cairn_query_name(&q, path, strlen(path));
	return cairn_branch_step_one(&q);
}

static int inode_add(struct cairn_store *base, const struct cairn_attr *attr, uint64_t *ret)
{
	struct cairn_attr unnumbered = *attr;
	int r;

	unnumbered.ino = 0;
	r = cairn_sqlite_inode_insert(base, &unnumbered);
	if (r == 0)
		*ret = (uint64_t)sqlite3_last_insert_rowid(cairn_branch_from_base(base)->sql.db);
	return r;
}

static int run_with_ino(struct cairn_store *base, unsigned int statement, uint64_t ino)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_sqlite_change_begin(&q, &cairn_branch_from_base(base)->branch, statement);
	cairn_query_number(&q, ino);
	return cairn_query_run(&q);
}

static int put_for_agentfs(struct cairn_store *base, const struct cairn_origin *origin)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	if (!origin->base_ino)
		return run_with_ino(base, CAIRN_BRANCH_WRITE_FS_ORIGIN_DELETE, origin->delta_ino);
	cairn_sqlite_change_begin(&q, &cairn_branch_from_base(base)->branch,
				  CAIRN_BRANCH_WRITE_FS_ORIGIN_PUT);
	cairn_query_number(&q, origin->delta_ino);
	cairn_query_number(&q, origin->base_ino);
	return cairn_query_run(&q);
}

static int origin_put(struct cairn_store *base, const struct cairn_origin *origin)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	r = cairn_sqlite_note_origin(cairn_branch_from_base(base), origin->delta_ino);
	if (r < 0)
		return r;
	if (strlen(origin->path) >= CAIRN_BASE_PATH_MAX)
		return -ENAMETOOLONG;
	cairn_sqlite_change_begin(&q, &cairn_branch_from_base(base)->branch,
				  CAIRN_BRANCH_WRITE_ORIGIN_PUT);
	cairn_query_number(&q, origin->delta_ino);
	cairn_query_number(&q, origin->base_ino);
	cairn_query_name(&q, origin->path, strlen(origin->path));
	cairn_query_int(&q, origin->data_end);
	r = cairn_query_run(&q);
	return r < 0 ? r : put_for_agentfs(base, origin);
}

static int origin_delete(struct cairn_store *base, uint64_t delta_ino)
{
	int r;

	r = cairn_sqlite_note_origin(cairn_branch_from_base(base), delta_ino);
	if (r < 0)
		return r;
	r = run_with_ino(base, CAIRN_BRANCH_WRITE_ORIGIN_DELETE, delta_ino);
	return r < 0 ? r : run_with_ino(base, CAIRN_BRANCH_WRITE_FS_ORIGIN_DELETE, delta_ino);
}

int cairn_branch_run_with_path(struct cairn_store *base, unsigned int statement, const char *path)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_sqlite_change_begin(&q, &cairn_branch_from_base(base)->branch, statement);
	cairn_query_name(&q, path, strlen(path));
	return cairn_query_run(&q);
}

static int whiteout_put(struct cairn_store *base, const char *path)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	const char *slash = strrchr(path, '/');
	int r;

	if (!slash || !slash[1] || strlen(path) >= CAIRN_BASE_PATH_MAX)
		return -EINVAL;
	r = cairn_sqlite_note_whiteout(cairn_branch_from_base(base), path);
	if (r < 0)
		return r;
	cairn_sqlite_change_begin(&q, &cairn_branch_from_base(base)->branch,
				  CAIRN_BRANCH_WRITE_WHITEOUT_PUT);
	cairn_query_name(&q, path, strlen(path));
	cairn_query_name(&q, path, MAX((size_t)(slash - path), (size_t)1));
	cairn_query_int(&q, MAX(cairn_now().tv_sec, 0));
	return cairn_query_run(&q);
}

static int whiteout_delete(struct cairn_store *base, const char *path)
{
	int r;

	r = cairn_sqlite_note_whiteout(cairn_branch_from_base(base), path);
	if (r < 0)
		return r;
	return cairn_branch_run_with_path(base, CAIRN_BRANCH_WRITE_WHITEOUT_DELETE, path);
}

static int next_turn(struct cairn_store *base)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_sqlite_change_begin(&q, &cairn_branch_from_base(base)->branch,
				  CAIRN_BRANCH_WRITE_TURN);
	return cairn_query_run(&q);
}

static int heir_put(struct cairn_store *base, uint64_t ino, const char *path)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_sqlite_change_begin(&q, &cairn_branch_from_base(base)->branch,
				  CAIRN_BRANCH_WRITE_HEIR_PUT);
	cairn_query_number(&q, ino);
	cairn_query_name(&q, path, strlen(path));
	return cairn_query_run(&q);
}

static int heirs_forget(struct cairn_store *base)
{
	struct sqlite_store *store = cairn_branch_from_base(base);
	struct cairn_sql *sql = &store->sql;
	int64_t found = 0;
	int r;

	if (cairn_probe_is_marked(store->probe.real_path))
		return 0;
	r = cairn_sql_get_int(sql, "SELECT EXISTS (SELECT 1 FROM cairn_heir)", &found);
	return r < 0 || !found ? r : cairn_sql_exec(sql, "DELETE FROM cairn_heir");
}

/* Not what was unlinked while in use: a mount frees that itself. Without an origin, the root is as
 * the base has it. */
#define NOT_IN_USE "NOT IN (SELECT ino FROM cairn_orphan UNION SELECT 1)"
static const char *const clear_texts[] = {
	"DELETE FROM fs_dentry",
	"DELETE FROM fs_data WHERE ino " NOT_IN_USE,
	"DELETE FROM fs_symlink WHERE ino " NOT_IN_USE,
	"DELETE FROM cairn_xattr WHERE ino = 1 OR ino " NOT_IN_USE,
	"DELETE FROM fs_inode WHERE ino " NOT_IN_USE,
	"DELETE FROM cairn_origin WHERE delta_ino = 1 OR delta_ino " NOT_IN_USE,
	"DELETE FROM fs_origin WHERE delta_ino = 1 OR delta_ino " NOT_IN_USE,
	"DELETE FROM fs_whiteout",
	"DELETE FROM cairn_seen",
};

static int clear(struct cairn_store *base)
{
	struct cairn_sql *sql = &cairn_branch_from_base(base)->sql;
	int r = cairn_sql_in_transaction(sql) ? 0 : -EIO;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(clear_texts); i++)
		r = cairn_sql_exec(sql, clear_texts[i]);
	return r;
}

static int base_path(struct cairn_store *base, char **ret)
{
	return cairn_sqlite_base_path(cairn_branch_from_base(base), ret);
}

static int base_ignore(struct cairn_store *base, char **ret)
{
	return cairn_sqlite_base_ignore(cairn_branch_from_base(base), ret);
}

static int base_path_put(struct cairn_store *base, const char *path)
{
	return cairn_branch_run_with_path(base, CAIRN_BRANCH_WRITE_BASE_PATH, path);
}

const struct cairn_branch_ops cairn_sqlite_branch = {
	.base_path = base_path,
	.base_ignore = base_ignore,
	.base_path_put = base_path_put,
	.origin_get = origin_get,
	.origin_scan = origin_scan,
	.whiteout_get = whiteout_get,
	.whiteout_list = whiteout_list,
	.whiteout_scan = whiteout_scan,
	.seen_get = cairn_branch_seen_get,
	.seen_scan = cairn_branch_seen_scan,
	.data_sizes = data_sizes,
	.hold = hold,
	.release = release,
	.heir_scan = heir_scan,
	.entry = branch_entry,
	.mode = branch_mode,
	.place = branch_place,
	.hidden = branch_hidden,
	.inode_add = inode_add,
	.origin_put = origin_put,
	.origin_delete = origin_delete,
	.whiteout_put = whiteout_put,
	.whiteout_delete = whiteout_delete,
	.seen_put = cairn_branch_seen_put,
	.seen_data = cairn_branch_seen_data,
	.seen_delete = cairn_branch_seen_delete,
	.turn = next_turn,
	.heir_put = heir_put,
	.heirs_forget = heirs_forget,
	.clear = clear,
};
