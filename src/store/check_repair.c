#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "store/check_internal.h"
#include "util/clock.h"

#define LOST_AND_FOUND     "lost+found"
#define LOST_AND_FOUND_MAX 100U /* how many names are tried where files have taken them */

/* What a row costs besides its bytes: its header, its key and its entry in the index of the
 * primary key. */
#define ROW_OVERHEAD 48U

/* What the numbers of inodes are in. `move` takes the new number from temp.cairn_moved. */
static const struct {
	unsigned int needs;
	const char *move;
} number_columns[] = {
#define MOVE(table, column, condition)                                                             \
	"UPDATE OR REPLACE " table " SET " column                                                  \
	" = (SELECT new FROM temp.cairn_moved WHERE old = " column ") WHERE " column               \
	" IN (SELECT old FROM temp.cairn_moved" condition ")"
	{ 0, MOVE("fs_inode", "ino", "") },
	{ 0, MOVE("fs_dentry", "ino", "") },
	/* What hangs from number 1 stays there, below the new root. */
	{ 0, MOVE("fs_dentry", "parent_ino", " WHERE old <> 1") },
	{ 0, MOVE("fs_data", "ino", "") },
	{ 0, MOVE("fs_symlink", "ino", "") },
	{ CAIRN_CHECK_XATTR, MOVE("cairn_xattr", "ino", "") },
	{ CAIRN_CHECK_ORPHAN, MOVE("cairn_orphan", "ino", "") },
	{ CAIRN_CHECK_ORIGIN, MOVE("fs_origin", "delta_ino", "") },
	{ CAIRN_CHECK_BASED, MOVE("cairn_origin", "delta_ino", "") },
#undef MOVE
};

static const char *const moved_text =
	"CREATE TEMP TABLE cairn_moved AS SELECT ino AS old, (SELECT MAX(n) FROM (SELECT 1 AS n "
	"UNION ALL SELECT MAX(ino) FROM fs_inode WHERE ino <= " CAIRN_CHECK_FAR_OUT
	/* A number that a stray entry names is not free either. */
	" UNION ALL SELECT MAX(ino) FROM fs_dentry WHERE ino BETWEEN 1 AND " CAIRN_CHECK_FAR_OUT
	" UNION ALL SELECT MAX(parent_ino) FROM fs_dentry "
	"WHERE parent_ino BETWEEN 1 AND " CAIRN_CHECK_FAR_OUT
	")) + ROW_NUMBER() OVER () AS new FROM fs_inode WHERE ino < 1 OR "
	"ino > " CAIRN_CHECK_FAR_OUT " OR (ino = 1 AND (mode & 61440) <> 16384)";

static const char *const add_directory_text =
	"INSERT INTO fs_inode (ino, mode, nlink, uid, gid, size, atime, mtime, ctime) "
	"SELECT ?1, ?2, 2, COALESCE((SELECT uid FROM fs_inode WHERE ino = 1), 0), "
	"COALESCE((SELECT gid FROM fs_inode WHERE ino = 1), 0), 0, ?3, ?3, ?3 "
	"WHERE NOT EXISTS (SELECT 1 FROM fs_inode WHERE ino = ?1)";

static int add_directory(struct cairn_check *check, int64_t ino, uint32_t permissions)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_query_once(&q, check->sql, add_directory_text);
	cairn_query_int(&q, ino);
	cairn_query_int(&q, S_IFDIR | permissions);
	cairn_query_int(&q, MAX(cairn_now().tv_sec, 0));
	return cairn_query_run(&q);
}

/* New numbers for inodes out of range and for a root that is no directory, and a root where there
 * is none. */
int cairn_check_mend_numbers(struct cairn_check *check)
{
	int r;

	r = cairn_sql_exec(check->sql, moved_text);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(number_columns); i++)
		if ((check->have & number_columns[i].needs) == number_columns[i].needs)
			r = cairn_sql_exec(check->sql, number_columns[i].move);
	if (r == 0)
		r = cairn_sql_exec(check->sql, "DROP TABLE temp.cairn_moved");
	if (r == 0)
		r = add_directory(check, CAIRN_ROOT_INO, 0755);
	return r;
}

/* From one directory of a loop upwards until a number comes again: the last new one is part of the
 * loop itself, not merely below it. 0 where `start` is in none. */
static int find_in_loop(struct cairn_check *check, int64_t start, int64_t *ret)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int64_t last = 0;
	int r;

	cairn_query_once(&q, check->sql,
			 "WITH RECURSIVE up (ino) AS (VALUES (?1) UNION SELECT d.parent_ino "
			 "FROM up JOIN temp.cairn_named AS n ON n.ino = up.ino "
			 "JOIN fs_dentry AS d ON d.id = n.entry) SELECT ino FROM up");
	cairn_query_int(&q, start);
	while ((r = cairn_query_step(&q)) > 0)
		last = sqlite3_column_int64(q.stmt, 0);
	if (r < 0)
		return r;
	*ret = last;
	return 0;
}

static int run_with(struct cairn_check *check, const char *text, int64_t number)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_query_once(&q, check->sql, text);
	cairn_query_int(&q, number);
	return cairn_query_run(&q);
}

/* Takes the entry of one directory of the loop away; all of it is then below an inode without a
 * name. Every directory has one entry by now. */
static int break_loop(struct cairn_check *check, int64_t start)
{
	int64_t ino = 0;
	int r;

	r = find_in_loop(check, start, &ino);
	if (r < 0)
		return r;
	r = run_with(check,
		     "DELETE FROM fs_dentry WHERE id = "
		     "(SELECT entry FROM temp.cairn_named WHERE ino = ?1)",
		     ino);
	if (r < 0)
		return r;
	return run_with(check,
			"INSERT OR IGNORE INTO temp.cairn_rooted "
			"WITH RECURSIVE below (ino) AS (VALUES (?1) UNION SELECT d.ino FROM below "
			"JOIN fs_dentry AS d ON d.parent_ino = below.ino) SELECT ino FROM below",
			ino);
}

int cairn_check_mend_loops(struct cairn_check *check)
{
	int64_t start, before = 0;
	int r;

	for (;;) {
		r = cairn_sql_get_int(check->sql,
				      "SELECT i.ino FROM fs_inode AS i "
				      "WHERE (i.mode & 61440) = 16384 AND NOT EXISTS (SELECT 1 "
				      "FROM temp.cairn_rooted AS r WHERE r.ino = i.ino) LIMIT 1",
				      &start);
		if (r == -ENOENT)
			return 0;
		if (r < 0)
			return r;
		if (start == before)
			return -ELOOP;
		before = start;
		r = break_loop(check, start);
		if (r < 0)
			return r;
	}
}

/* 1: the root has the entry `name`, a directory; 0: no such entry; -EEXIST: it is something
 * else. */
static int find_directory(struct cairn_check *check, const char *name, int64_t *ret)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	cairn_query_once(&q, check->sql,
			 "SELECT i.ino, i.mode FROM fs_dentry AS d JOIN fs_inode AS i "
			 "ON i.ino = d.ino WHERE d.parent_ino = 1 AND d.name = ?1");
	cairn_query_text(&q, name, strlen(name));
	r = cairn_query_step(&q);
	if (r <= 0)
		return r;
	if (!S_ISDIR((mode_t)sqlite3_column_int64(q.stmt, 1)))
		return -EEXIST;
	*ret = sqlite3_column_int64(q.stmt, 0);
	return 1;
}

static int make_directory(struct cairn_check *check, const char *name, int64_t *ret)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int64_t ino = 0;
	int r;

	/* Numbers that were once in use are not used again. */
	r = cairn_sql_get_int(check->sql,
			      check->have & CAIRN_CHECK_SEQUENCE
				      ? "SELECT MAX((SELECT MAX(ino) FROM fs_inode), "
					"COALESCE((SELECT MAX(seq) FROM sqlite_sequence WHERE "
					"name = 'fs_inode' AND typeof(seq) = 'integer'), 0)) + 1"
				      : "SELECT MAX(ino) + 1 FROM fs_inode",
			      &ino);
	if (r < 0)
		return r;
	if (ino <= 1 || ino == INT64_MAX)
		return -ENOSPC;
	r = add_directory(check, ino, 0700);
	if (r < 0)
		return r;
	cairn_query_once(&q, check->sql,
			 "INSERT INTO fs_dentry (name, parent_ino, ino) VALUES (?2, 1, ?1)");
	cairn_query_int(&q, ino);
	cairn_query_text(&q, name, strlen(name));
	r = cairn_query_run(&q);
	if (r < 0)
		return r;
	*ret = ino;
	return 0;
}

/* The directory /lost+found, made if need be; where a file has that name, another. */
static int get_lost_and_found(struct cairn_check *check, int64_t *ret)
{
	char name[32] = LOST_AND_FOUND;
	int r;

	for (unsigned int i = 1; i <= LOST_AND_FOUND_MAX; i++) {
		r = find_directory(check, name, ret);
		if (r == 0)
			return make_directory(check, name, ret);
		if (r != -EEXIST)
			return MIN(r, 0);
		sqlite3_snprintf(sizeof(name), name, LOST_AND_FOUND ".%u", i);
	}
	return -EEXIST;
}

#define NAMELESS                                                                                   \
	"i.ino > 1 AND i.ino <> ?1 "                                                               \
	"AND NOT EXISTS (SELECT 1 FROM temp.cairn_based AS b WHERE b.ino = i.ino) "                \
	"AND NOT EXISTS (SELECT 1 FROM temp.cairn_named AS n WHERE n.ino = i.ino) "                \
	"AND NOT EXISTS (SELECT 1 FROM temp.cairn_orphaned AS o WHERE o.ino = i.ino)"

int cairn_check_mend_nameless(struct cairn_check *check)
{
	/* A name that is taken gets the number of an entry behind it. */
	static const char *const name_text =
		"INSERT INTO fs_dentry (name, parent_ino, ino) SELECT '#' || i.ino || "
		"CASE WHEN EXISTS (SELECT 1 FROM fs_dentry AS d WHERE d.parent_ino = ?1 "
		"AND d.name = '#' || i.ino) THEN '.' || (SELECT MAX(id) FROM fs_dentry) "
		"ELSE '' END, ?1, i.ino FROM fs_inode AS i WHERE " NAMELESS;
	static const char *const link_text =
		"UPDATE fs_inode AS i SET nlink = 1 WHERE (i.mode & 61440) <> 16384 AND " NAMELESS;
	int64_t directory = 0;
	int r;

	r = get_lost_and_found(check, &directory);
	if (r < 0)
		return r;
	r = run_with(check, name_text, directory);
	if (r < 0)
		return r;
	return run_with(check, link_text, directory);
}

int cairn_check_count_directories(struct cairn_check *check)
{
#define COUNTED                                                                                    \
	"2 + (SELECT COUNT(*) FROM fs_dentry AS e JOIN fs_inode AS c ON c.ino = e.ino "            \
	"WHERE e.parent_ino = i.ino AND (c.mode & 61440) = 16384)"
	return cairn_sql_exec(check->sql, "UPDATE fs_inode AS i SET nlink = " COUNTED
					  " WHERE (i.mode & 61440) = 16384 AND i.nlink > 1 "
					  "AND i.nlink <> " COUNTED);
#undef COUNTED
}

/* Files whose chunks hold fewer bytes than their size says. */
static const char *const sparse_texts[] = {
	"DROP TABLE IF EXISTS temp.cairn_sparse",
	"CREATE TEMP TABLE cairn_sparse AS SELECT i.ino, i.size, "
	"i.size - COALESCE(SUM(LENGTH(CAST(c.data AS BLOB))), 0) AS missing, COUNT(c.ino) AS "
	"chunks "
	"FROM fs_inode AS i LEFT JOIN fs_data AS c ON c.ino = i.ino "
	"WHERE (i.mode & 61440) = 32768 GROUP BY i.ino "
	"HAVING i.size > COALESCE(SUM(LENGTH(CAST(c.data AS BLOB))), 0)",
};

/* The last chunk may be short even of what its file's size says. */
static const char *const lengthen_text =
	"UPDATE fs_data AS c SET data = cairn_fit(data, (SELECT MIN(cairn_chunk_size(), "
	"s.size - c.chunk_index * cairn_chunk_size()) FROM temp.cairn_sparse AS s "
	"WHERE s.ino = c.ino)) WHERE c.ino IN (SELECT ino FROM temp.cairn_sparse) "
	"AND LENGTH(CAST(c.data AS BLOB)) < (SELECT MIN(cairn_chunk_size(), "
	"s.size - c.chunk_index * cairn_chunk_size()) FROM temp.cairn_sparse AS s "
	"WHERE s.ino = c.ino)";

static const char *const fill_text =
	"INSERT INTO fs_data (ino, chunk_index, data) "
	"WITH RECURSIVE place (ino, size, i) AS (SELECT ino, size, 0 FROM temp.cairn_sparse "
	"UNION ALL SELECT ino, size, i + 1 FROM place WHERE (i + 1) * cairn_chunk_size() < size) "
	"SELECT p.ino, p.i, zeroblob(MIN(cairn_chunk_size(), p.size - p.i * cairn_chunk_size())) "
	"FROM place AS p WHERE NOT EXISTS (SELECT 1 FROM fs_data AS c "
	"WHERE c.ino = p.ino AND c.chunk_index = p.i)";

/* Floating point: sizes of sparse files add up to more than 2^63. */
static int get_total(struct cairn_check *check, const char *text, double *ret)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	cairn_query_once(&q, check->sql, text);
	r = cairn_query_step(&q);
	if (r < 0)
		return r;
	*ret = r > 0 ? sqlite3_column_double(q.stmt, 0) : 0;
	return 0;
}

/* The zeros are written twice: to the log, and from there to the database. */
static int check_room(struct cairn_check *check, double bytes, double rows, struct cairn_error *err)
{
	const char *path = check->store->probe.real_path;
	double need = 2 * (bytes + rows * ROW_OVERHEAD), room;
	struct statvfs disk;

	if (statvfs(path, &disk) < 0)
		return cairn_error_set(err, -errno, "cannot ask for the free space below '%s': %s",
				       path, strerror(errno));
	room = (double)disk.f_bavail * (double)disk.f_frsize;
	if (need <= room)
		return 0;
	return cairn_error_set(
		err, -ENOSPC,
		"the holes in the files of '%s' take %.0f bytes, and filling them up "
		"to %.0f bytes of disk space, where %.0f are free; delete or shorten "
		"sparse files, or free space",
		path, bytes, need, room);
}

/* What looks like a hole of a file may be what its base has there. */
static int check_no_base(struct cairn_check *check, struct cairn_error *err)
{
	int64_t count = 0;
	int r;

	r = cairn_sql_get_int(check->sql,
			      "SELECT COUNT(*) FROM temp.cairn_based WHERE data_end <> 0", &count);
	if (r < 0 || count == 0)
		return r;
	return cairn_error_set(err, -EOPNOTSUPP,
			       "'%s' is an overlay, and %lld of its files have bytes in its base; "
			       "mount it and copy it to a workspace without a base",
			       check->store->probe.real_path, (long long)count);
}

int cairn_check_fill_holes(struct cairn_check *check, struct cairn_error *err)
{
	double bytes = 0, rows = 0;
	int r;

	r = check_no_base(check, err);
	if (r < 0)
		return r;
	r = cairn_check_run(check, sparse_texts, ARRAY_SIZE(sparse_texts));
	if (r < 0)
		return r;
	r = get_total(check, "SELECT TOTAL(missing) FROM temp.cairn_sparse", &bytes);
	if (r < 0)
		return r;
	r = get_total(check,
		      "SELECT TOTAL((size - 1) / cairn_chunk_size() + 1 - chunks) "
		      "FROM temp.cairn_sparse",
		      &rows);
	if (r < 0)
		return r;
	if (bytes < 1)
		return 0;
	r = check_room(check, bytes, rows, err);
	if (r < 0)
		return r;
	r = cairn_sql_exec(check->sql, lengthen_text);
	if (r < 0)
		return r;
	check->result->holes = (uint64_t)sqlite3_changes(check->sql->db);
	r = cairn_sql_exec(check->sql, fill_text);
	if (r < 0)
		return r;
	check->result->holes += (uint64_t)sqlite3_changes(check->sql->db);
	check->result->filled = (uint64_t)bytes;
	return 0;
}
