#include "store/undo.h"

#include <string.h>

#include "store/sqlite_row.h"
#include "store/sqlite_store.h"
#include "util/clock.h"

/* The columns of each table, with `p` in front of each name. */
#define INODE(p)                                                                                   \
	p "mode, " p "nlink, " p "uid, " p "gid, " p "size, " p "rdev, " p "atime, " p             \
	  "atime_nsec, " p "mtime, " p "mtime_nsec, " p "ctime, " p "ctime_nsec"
#define DENTRY(p)    p "id, " p "ino"
#define DATA(p)      p "data"
#define SYMLINK(p)   p "target"
#define XATTR(p)     p "value"
#define WHITEOUT(p)  p "parent_path, " p "created_at"
#define FS_ORIGIN(p) p "base_ino"
#define ORIGIN(p)    p "base_ino, " p "base_path, " p "data_end"
#define SEEN(p)                                                                                    \
	p "mode, " p "uid, " p "gid, " p "rdev, " p "size, " p "mtime, " p "mtime_nsec, " p        \
	  "ctime, " p "ctime_nsec, " p "target, " p "digest"

#define MADE "SELECT ino FROM cairn_undo_inode WHERE undo = ?1 AND missing"

/* The row of a key as it is, or that there is none; what was noted first stays. */
#define NOTE(to, table, key, columns)                                                              \
	"INSERT OR IGNORE INTO " to " (undo, missing, " key                                        \
	", " columns("") ") SELECT ?1, t." key " IS NULL, k.k, " columns(                          \
		"t.") " FROM (SELECT ?2 AS k) AS k LEFT JOIN " table " AS t ON t." key " = k.k"
#define NOTE_2(to, table, key, key_2, columns)                                                     \
	"INSERT OR IGNORE INTO " to " (undo, missing, " key ", " key_2                             \
	", " columns("") ") SELECT ?1, t." key                                                     \
			 " IS NULL, k.k, k.l, " columns("t.") " FROM (SELECT ?2 "                  \
							      "AS k, ?3 AS l) "                    \
							      "AS k LEFT JOIN " table              \
							      " AS t ON t." key                    \
							      " = k.k AND t." key_2 " = k.l"
/* All rows of an inode that there are. */
#define NOTE_ALL(to, table, key_2, columns, condition)                                             \
	"INSERT OR IGNORE INTO " to " (undo, missing, ino, " key_2                                 \
	", " columns("") ") SELECT ?1, 0, t.ino, t." key_2                                         \
			 ", " columns("t.") " FROM " table " AS t WHERE t.ino = "                  \
					    "?2" condition
/* What record ?1 has kept, as it is now, for record ?2. */
#define RENOTE(to, table, key, columns)                                                            \
	"INSERT OR IGNORE INTO " to " (undo, missing, " key                                        \
	", " columns("") ") SELECT ?2, t." key " IS NULL, u." key                                  \
			 ", " columns("t.") " FROM " to " AS u LEFT JOIN " table " AS t ON t." key \
					    " = u." key " WHERE u.undo = ?1"
#define RENOTE_2(to, table, key, key_2, columns)                                                   \
	"INSERT OR IGNORE INTO " to " (undo, missing, " key ", " key_2                             \
	", " columns("") ") SELECT ?2, t." key " IS NULL, u." key ", u." key_2                     \
			 ", " columns("t.") " "                                                    \
					    "FRO"                                                  \
					    "M " to " AS u LEFT JOIN " table " AS t ON t." key     \
					    " = u." key " AND t." key_2 " = u." key_2              \
					    " WHERE u.undo = ?1"
#define RENOTE_MADE(to, table, keys, columns)                                                      \
	"INSERT OR IGNORE INTO " to " (undo, missing, " keys                                       \
	", " columns("") ") SELECT ?2, 0, " keys ", " columns("") " FROM " table                   \
								  " WHERE ino IN (" MADE ")"
#define DELETE_KEPT(to, table, keys)                                                               \
	"DELETE FROM " table " WHERE (" keys ") IN (SELECT " keys " FROM " to " WHERE undo = ?1)"
#define INSERT_KEPT(to, table, keys, columns)                                                      \
	"INSERT INTO " table " (" keys                                                             \
	", " columns("") ") SELECT " keys ", " columns("") " FROM " to                             \
							   " WHERE undo = ?1 AND NOT missing"

/* Inodes that the record made and that have to stay: directories with something in them that came
 * later, those above them, and files that have got another name since. */
#define WITH_STAYING                                                                               \
	"WITH RECURSIVE staying (ino) AS (SELECT u.ino FROM cairn_undo_inode AS u "                \
	"JOIN fs_inode AS i ON i.ino = u.ino "                                                     \
	"JOIN cairn_undo_inode_after AS a ON a.undo = u.undo AND a.ino = u.ino "                   \
	"WHERE u.undo = ?1 AND u.missing AND CASE WHEN i.mode & 61440 = 16384 THEN "               \
	"EXISTS (SELECT 1 FROM fs_dentry AS d WHERE d.parent_ino = u.ino AND NOT EXISTS ("         \
	"SELECT 1 FROM cairn_undo_dentry_after AS e WHERE e.undo = ?1 "                            \
	"AND e.parent_ino = d.parent_ino AND e.name = d.name)) ELSE i.nlink > a.nlink END "        \
	"UNION SELECT e.parent_ino FROM staying AS s JOIN cairn_undo_dentry_after AS e "           \
	"ON e.undo = ?1 AND e.ino = s.ino JOIN cairn_undo_inode AS u "                             \
	"ON u.undo = ?1 AND u.ino = e.parent_ino AND u.missing) "
#define STAYS_ENTRY                                                                                \
	"(SELECT 1 FROM staying AS s JOIN cairn_undo_dentry_after AS e ON e.undo = ?1 "            \
	"AND e.ino = s.ino WHERE e.parent_ino = d.parent_ino AND e.name = d.name)"

#define KEY_TEXT "TEXT NOT NULL"
static const char *const create_texts[] = {
	"CREATE TABLE IF NOT EXISTS cairn_undo (id INTEGER PRIMARY KEY AUTOINCREMENT, "
	"kind TEXT NOT NULL, source TEXT NOT NULL, created_at INTEGER NOT NULL, "
	"changes INTEGER NOT NULL, of INTEGER NOT NULL, undone INTEGER NOT NULL)",
	"CREATE TABLE IF NOT EXISTS cairn_undo_inode (undo INTEGER, ino INTEGER, missing "
	"INTEGER NOT NULL, " INODE("") ", PRIMARY KEY (undo, ino)) WITHOUT ROWID",
	"CREATE TABLE IF NOT EXISTS cairn_undo_inode_after (undo INTEGER, ino INTEGER, " INODE(
		"") ", PRIMARY KEY (undo, ino)) WITHOUT ROWID",
	"CREATE TABLE IF NOT EXISTS cairn_undo_dentry (undo INTEGER, parent_ino INTEGER, "
	"name " KEY_TEXT ", missing INTEGER NOT NULL, id, ino, "
	"PRIMARY KEY (undo, parent_ino, name)) WITHOUT ROWID",
	"CREATE TABLE IF NOT EXISTS cairn_undo_dentry_after (undo INTEGER, parent_ino INTEGER, "
	"name " KEY_TEXT ", ino INTEGER NOT NULL, PRIMARY KEY (undo, parent_ino, name)) "
	"WITHOUT ROWID",
	"CREATE TABLE IF NOT EXISTS cairn_undo_data (undo INTEGER, ino INTEGER, chunk_index "
	"INTEGER, missing INTEGER NOT NULL, data BLOB, PRIMARY KEY (undo, ino, chunk_index))",
	"CREATE TABLE IF NOT EXISTS cairn_undo_symlink (undo INTEGER, ino INTEGER, "
	"missing INTEGER NOT NULL, target, PRIMARY KEY (undo, ino)) WITHOUT ROWID",
	"CREATE TABLE IF NOT EXISTS cairn_undo_xattr (undo INTEGER, ino INTEGER, name " KEY_TEXT
	", missing INTEGER NOT NULL, value, PRIMARY KEY (undo, ino, name)) WITHOUT ROWID",
	"CREATE TABLE IF NOT EXISTS cairn_undo_whiteout (undo INTEGER, path " KEY_TEXT
	", missing INTEGER NOT NULL, " WHITEOUT("") ", PRIMARY KEY (undo, path)) WITHOUT ROWID",
	"CREATE TABLE IF NOT EXISTS cairn_undo_fs_origin (undo INTEGER, delta_ino INTEGER, "
	"missing INTEGER NOT NULL, " FS_ORIGIN("") ", PRIMARY KEY (undo, delta_ino)) WITHOUT ROWID",
	"CREATE TABLE IF NOT EXISTS cairn_undo_origin (undo INTEGER, delta_ino INTEGER, "
	"missing INTEGER NOT NULL, " ORIGIN("") ", PRIMARY KEY (undo, delta_ino)) WITHOUT ROWID",
	"CREATE TABLE IF NOT EXISTS cairn_undo_seen (undo INTEGER, path " KEY_TEXT
	", missing INTEGER NOT NULL, " SEEN("") ", PRIMARY KEY (undo, path)) WITHOUT ROWID",
};

enum {
	UNDO_ADD,
	UNDO_CHANGES,
	UNDO_MARK,
	UNDO_LIST,
	NOTE_INODE,
	NOTE_DENTRY,
	NOTE_CHUNK,
	NOTE_CHUNKS,
	NOTE_SYMLINK,
	NOTE_XATTR,
	NOTE_XATTRS,
	NOTE_WHITEOUT,
	NOTE_FS_ORIGIN,
	NOTE_ORIGIN,
	NOTE_SEEN,
	AFTER_INODE,
	AFTER_DENTRY,
	CHANGED_INODES,
	CHANGED_ENTRIES,
	CHANGED_INSIDE,
	UNDO_STATEMENTS,
};

static const char *const texts[UNDO_STATEMENTS] = {
	[UNDO_ADD] = "INSERT INTO cairn_undo (kind, source, created_at, changes, of, undone) "
		     "VALUES (?1, ?2, ?3, 0, ?4, 0)",
	[UNDO_CHANGES] = "UPDATE cairn_undo SET changes = ?2 WHERE id = ?1",
	[UNDO_MARK] = "UPDATE cairn_undo SET undone = 1 WHERE id = ?1",
	[UNDO_LIST] = "SELECT id, created_at, kind, source, changes, of, undone FROM cairn_undo "
		      "ORDER BY id DESC",
	[NOTE_INODE] = NOTE("cairn_undo_inode", "fs_inode", "ino", INODE),
	[NOTE_DENTRY] = NOTE_2("cairn_undo_dentry", "fs_dentry", "parent_ino", "name", DENTRY),
	[NOTE_CHUNK] = NOTE_2("cairn_undo_data", "fs_data", "ino", "chunk_index", DATA),
	[NOTE_CHUNKS] = NOTE_ALL("cairn_undo_data", "fs_data", "chunk_index", DATA,
				 " AND t.chunk_index >= ?3"),
	[NOTE_SYMLINK] = NOTE("cairn_undo_symlink", "fs_symlink", "ino", SYMLINK),
	[NOTE_XATTR] = NOTE_2("cairn_undo_xattr", "cairn_xattr", "ino", "name", XATTR),
	[NOTE_XATTRS] = NOTE_ALL("cairn_undo_xattr", "cairn_xattr", "name", XATTR, ""),
	[NOTE_WHITEOUT] = NOTE("cairn_undo_whiteout", "fs_whiteout", "path", WHITEOUT),
	[NOTE_FS_ORIGIN] = NOTE("cairn_undo_fs_origin", "fs_origin", "delta_ino", FS_ORIGIN),
	[NOTE_ORIGIN] = NOTE("cairn_undo_origin", "cairn_origin", "delta_ino", ORIGIN),
	[NOTE_SEEN] = NOTE("cairn_undo_seen", "cairn_seen", "path", SEEN),
	[AFTER_INODE] = "INSERT INTO cairn_undo_inode_after (undo, ino, " INODE(
		"") ") SELECT u.undo, i.ino, " INODE("i.") " FROM cairn_undo_inode AS u JOIN "
							   "fs_inode AS i ON i.ino = u.ino "
							   "WHERE u.undo = ?1",
	[AFTER_DENTRY] = "INSERT INTO cairn_undo_dentry_after (undo, parent_ino, name, ino) "
			 "SELECT u.undo, d.parent_ino, d.name, d.ino FROM cairn_undo_dentry AS u "
			 "JOIN fs_dentry AS d ON d.parent_ino = u.parent_ino AND d.name = u.name "
			 "WHERE u.undo = ?1",
	[CHANGED_INODES] =
		"SELECT a.ino FROM cairn_undo_inode_after AS a "
		"LEFT JOIN fs_inode AS i ON i.ino = a.ino WHERE a.undo = ?1 AND (i.ino IS NULL "
		"OR i.mode <> a.mode OR i.uid <> a.uid OR i.gid <> a.gid "
		"OR (i.mode & 61440 <> 16384 AND (i.nlink <> a.nlink OR i.size <> a.size "
		"OR i.rdev <> a.rdev OR i.mtime <> a.mtime OR i.mtime_nsec <> a.mtime_nsec "
		"OR i.ctime <> a.ctime OR i.ctime_nsec <> a.ctime_nsec)))",
	[CHANGED_ENTRIES] =
		"SELECT u.parent_ino, u.name FROM cairn_undo_dentry AS u "
		"LEFT JOIN cairn_undo_dentry_after AS a ON a.undo = u.undo "
		"AND a.parent_ino = u.parent_ino AND a.name = u.name "
		"LEFT JOIN fs_dentry AS d ON d.parent_ino = u.parent_ino AND d.name = u.name "
		"WHERE u.undo = ?1 AND a.ino IS NOT d.ino",
	[CHANGED_INSIDE] =
		"SELECT d.parent_ino, d.name FROM cairn_undo_inode AS u "
		"JOIN fs_dentry AS d ON d.parent_ino = u.ino LEFT JOIN cairn_undo_dentry_after "
		"AS a ON a.undo = u.undo AND a.parent_ino = d.parent_ino AND a.name = d.name "
		"WHERE u.undo = ?1 AND u.missing AND a.ino IS NULL",
};

/* In this order; ?1 is the record, ?2 the one for the undo. An inode that was there and is there is
 * changed in place, so that what became of it meanwhile (more entries, and times that go with them)
 * stays. */
static const char *const revert_texts[] = {
	RENOTE("cairn_undo_inode", "fs_inode", "ino", INODE),
	RENOTE_2("cairn_undo_dentry", "fs_dentry", "parent_ino", "name", DENTRY),
	RENOTE_2("cairn_undo_data", "fs_data", "ino", "chunk_index", DATA),
	RENOTE("cairn_undo_symlink", "fs_symlink", "ino", SYMLINK),
	RENOTE_2("cairn_undo_xattr", "cairn_xattr", "ino", "name", XATTR),
	RENOTE_MADE("cairn_undo_data", "fs_data", "ino, chunk_index", DATA),
	RENOTE_MADE("cairn_undo_symlink", "fs_symlink", "ino", SYMLINK),
	RENOTE_MADE("cairn_undo_xattr", "cairn_xattr", "ino, name", XATTR),

	WITH_STAYING "DELETE FROM fs_dentry AS d WHERE (parent_ino, name) IN "
		     "(SELECT parent_ino, name FROM cairn_undo_dentry WHERE undo = ?1) "
		     "AND NOT EXISTS " STAYS_ENTRY,
	WITH_STAYING "INSERT INTO fs_dentry (parent_ino, name, id, ino) "
		     "SELECT parent_ino, name, id, ino FROM cairn_undo_dentry AS d "
		     "WHERE undo = ?1 AND NOT missing AND NOT EXISTS " STAYS_ENTRY,
	DELETE_KEPT("cairn_undo_data", "fs_data", "ino, chunk_index") " AND ino NOT IN (" MADE ")",
	INSERT_KEPT("cairn_undo_data", "fs_data", "ino, chunk_index", DATA),
	DELETE_KEPT("cairn_undo_symlink", "fs_symlink", "ino") " AND ino NOT IN (" MADE ")",
	INSERT_KEPT("cairn_undo_symlink", "fs_symlink", "ino", SYMLINK),
	DELETE_KEPT("cairn_undo_xattr", "cairn_xattr", "ino, name") " AND ino NOT IN (" MADE ")",
	INSERT_KEPT("cairn_undo_xattr", "cairn_xattr", "ino, name", XATTR),
	WITH_STAYING "DELETE FROM fs_data WHERE ino IN (" MADE
		     ") AND ino NOT IN (SELECT ino FROM staying)",
	WITH_STAYING "DELETE FROM fs_symlink WHERE ino IN (" MADE
		     ") AND ino NOT IN (SELECT ino FROM staying)",
	WITH_STAYING "DELETE FROM cairn_xattr WHERE ino IN (" MADE
		     ") AND ino NOT IN (SELECT ino FROM staying)",
	"INSERT INTO fs_inode (ino, " INODE("") ") SELECT u.ino, " INODE(
		"u.") " FROM cairn_undo_inode AS u LEFT JOIN fs_inode AS i ON i.ino = u.ino "
		      "WHERE u.undo = ?1 AND NOT u.missing AND i.ino IS NULL",
	"UPDATE fs_inode AS i SET mode = u.mode, uid = u.uid, gid = u.gid, size = u.size, "
	"rdev = u.rdev, nlink = MAX(i.nlink + u.nlink - a.nlink, 1), "
	"mtime = CASE WHEN i.mtime = a.mtime AND i.mtime_nsec = a.mtime_nsec THEN u.mtime "
	"ELSE i.mtime END, mtime_nsec = CASE WHEN i.mtime = a.mtime AND i.mtime_nsec = "
	"a.mtime_nsec THEN u.mtime_nsec ELSE i.mtime_nsec END, "
	"ctime = CASE WHEN i.ctime = a.ctime AND i.ctime_nsec = a.ctime_nsec THEN u.ctime "
	"ELSE i.ctime END, ctime_nsec = CASE WHEN i.ctime = a.ctime AND i.ctime_nsec = "
	"a.ctime_nsec THEN u.ctime_nsec ELSE i.ctime_nsec END "
	"FROM cairn_undo_inode AS u JOIN cairn_undo_inode_after AS a ON a.undo = u.undo "
	"AND a.ino = u.ino WHERE u.undo = ?1 AND NOT u.missing AND i.ino = u.ino",
	/* The last: who stays is told by the inodes. */
	WITH_STAYING "DELETE FROM fs_inode WHERE ino IN (" MADE
		     ") AND ino NOT IN (SELECT ino FROM staying)",
};

static const char *const revert_branch_texts[] = {
	RENOTE("cairn_undo_whiteout", "fs_whiteout", "path", WHITEOUT),
	RENOTE("cairn_undo_fs_origin", "fs_origin", "delta_ino", FS_ORIGIN),
	RENOTE("cairn_undo_origin", "cairn_origin", "delta_ino", ORIGIN),
	RENOTE("cairn_undo_seen", "cairn_seen", "path", SEEN),
	DELETE_KEPT("cairn_undo_whiteout", "fs_whiteout", "path"),
	INSERT_KEPT("cairn_undo_whiteout", "fs_whiteout", "path", WHITEOUT),
	DELETE_KEPT("cairn_undo_fs_origin", "fs_origin", "delta_ino"),
	INSERT_KEPT("cairn_undo_fs_origin", "fs_origin", "delta_ino", FS_ORIGIN),
	DELETE_KEPT("cairn_undo_origin", "cairn_origin", "delta_ino"),
	INSERT_KEPT("cairn_undo_origin", "cairn_origin", "delta_ino", ORIGIN),
	DELETE_KEPT("cairn_undo_seen", "cairn_seen", "path"),
	INSERT_KEPT("cairn_undo_seen", "cairn_seen", "path", SEEN),
};

#define FORGET(table) "DELETE FROM " table " WHERE undo NOT IN (SELECT id FROM cairn_undo)"
static const char *const forget_texts[] = {
	FORGET("cairn_undo_inode"),     FORGET("cairn_undo_inode_after"),
	FORGET("cairn_undo_dentry"),    FORGET("cairn_undo_dentry_after"),
	FORGET("cairn_undo_data"),      FORGET("cairn_undo_symlink"),
	FORGET("cairn_undo_xattr"),     FORGET("cairn_undo_whiteout"),
	FORGET("cairn_undo_fs_origin"), FORGET("cairn_undo_origin"),
	FORGET("cairn_undo_seen"),
};

static struct sqlite_store *from_base(struct cairn_store *base)
{
	return CONTAINER_OF(base, struct sqlite_store, base);
}

int cairn_sqlite_undo_share(struct sqlite_store *store)
{
	return cairn_sql_share(&store->undo, &store->sql, texts, UNDO_STATEMENTS);
}

static void note_begin(struct cairn_query *q, struct sqlite_store *store, unsigned int statement)
{
	cairn_query_begin(q, &store->undo, statement);
	cairn_query_int(q, store->undo_id);
}

static int note_number(struct sqlite_store *store, unsigned int statement, uint64_t number)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	note_begin(&q, store, statement);
	cairn_query_number(&q, number);
	return cairn_query_run(&q);
}

static int note_number_and_int(struct sqlite_store *store, unsigned int statement, uint64_t number,
			       int64_t index)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	note_begin(&q, store, statement);
	cairn_query_number(&q, number);
	cairn_query_int(&q, index);
	return cairn_query_run(&q);
}

static int note_number_and_name(struct sqlite_store *store, unsigned int statement, uint64_t number,
				const char *name, size_t len)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	note_begin(&q, store, statement);
	cairn_query_number(&q, number);
	cairn_query_name(&q, name, len);
	return cairn_query_run(&q);
}

static int note_path(struct sqlite_store *store, unsigned int statement, const char *path)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	note_begin(&q, store, statement);
	cairn_query_name(&q, path, strlen(path));
	return cairn_query_run(&q);
}

int cairn_sqlite_note_inode(struct sqlite_store *store, uint64_t ino)
{
	return store->undo_id ? note_number(store, NOTE_INODE, ino) : 0;
}

/* What belongs to an inode that the transaction makes goes with that. */
static bool is_noted(const struct sqlite_store *store, uint64_t ino)
{
	return store->undo_id && ino < store->undo_first;
}

int cairn_sqlite_note_all(struct sqlite_store *store, uint64_t ino)
{
	int r;

	if (!store->undo_id)
		return 0;
	r = note_number(store, NOTE_INODE, ino);
	if (r == 0)
		r = note_number_and_int(store, NOTE_CHUNKS, ino, INT64_MIN);
	if (r == 0)
		r = note_number(store, NOTE_SYMLINK, ino);
	return r < 0 ? r : note_number(store, NOTE_XATTRS, ino);
}

int cairn_sqlite_note_dentry(struct sqlite_store *store, uint64_t parent, const char *name,
			     size_t len)
{
	return store->undo_id ? note_number_and_name(store, NOTE_DENTRY, parent, name, len) : 0;
}

int cairn_sqlite_note_chunk(struct sqlite_store *store, uint64_t ino, int64_t index)
{
	return is_noted(store, ino) ? note_number_and_int(store, NOTE_CHUNK, ino, index) : 0;
}

int cairn_sqlite_note_chunks(struct sqlite_store *store, uint64_t ino, int64_t first)
{
	return is_noted(store, ino) ? note_number_and_int(store, NOTE_CHUNKS, ino, first) : 0;
}

int cairn_sqlite_note_symlink(struct sqlite_store *store, uint64_t ino)
{
	return is_noted(store, ino) ? note_number(store, NOTE_SYMLINK, ino) : 0;
}

int cairn_sqlite_note_xattr(struct sqlite_store *store, uint64_t ino, const char *name)
{
	return is_noted(store, ino)
		       ? note_number_and_name(store, NOTE_XATTR, ino, name, strlen(name))
		       : 0;
}

int cairn_sqlite_note_origin(struct sqlite_store *store, uint64_t delta_ino)
{
	int r;

	if (!store->undo_id)
		return 0;
	r = note_number(store, NOTE_ORIGIN, delta_ino);
	return r < 0 ? r : note_number(store, NOTE_FS_ORIGIN, delta_ino);
}

int cairn_sqlite_note_whiteout(struct sqlite_store *store, const char *path)
{
	return store->undo_id ? note_path(store, NOTE_WHITEOUT, path) : 0;
}

int cairn_sqlite_note_seen(struct sqlite_store *store, const char *path)
{
	return store->undo_id ? note_path(store, NOTE_SEEN, path) : 0;
}

/* 1 where there is a record table, 0 where there is none yet. */
static int has_records(struct sqlite_store *store)
{
	int64_t found = 0;
	int r;

	r = cairn_sql_get_int(&store->sql,
			      "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' "
			      "AND name = 'cairn_undo'",
			      &found);
	return r < 0 ? r : found > 0;
}

static int undo_begin(struct cairn_store *base, const char *kind, const char *source, int64_t of,
		      int64_t *ret_id)
{
	struct sqlite_store *store = from_base(base);
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int64_t id;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(create_texts); i++)
		r = cairn_sql_exec(&store->sql, create_texts[i]);
	if (r < 0)
		return r;
	cairn_sqlite_change_begin(&q, &store->undo, UNDO_ADD);
	cairn_query_text(&q, kind, strlen(kind));
	cairn_query_name(&q, source, strlen(source));
	cairn_query_int(&q, cairn_now().tv_sec);
	cairn_query_int(&q, of);
	r = cairn_query_run(&q);
	if (r < 0)
		return r;
	id = sqlite3_last_insert_rowid(store->sql.db);
	r = cairn_sqlite_lease(base, CAIRN_SEQUENCE_INODE, 1, &store->undo_first);
	if (r < 0)
		return r;
	store->undo_id = id;
	*ret_id = store->undo_id;
	return 0;
}

static int run_with_id(struct sqlite_store *store, unsigned int statement, int64_t id)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_sqlite_change_begin(&q, &store->undo, statement);
	cairn_query_int(&q, id);
	return cairn_query_run(&q);
}

static int undo_finish(struct cairn_store *base, int64_t id, int64_t changes)
{
	struct sqlite_store *store = from_base(base);
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	store->undo_id = 0;
	r = run_with_id(store, AFTER_INODE, id);
	if (r == 0)
		r = run_with_id(store, AFTER_DENTRY, id);
	if (r < 0)
		return r;
	cairn_sqlite_change_begin(&q, &store->undo, UNDO_CHANGES);
	cairn_query_int(&q, id);
	cairn_query_int(&q, changes);
	return cairn_query_run(&q);
}

static int copy_text(struct cairn_query *q, int column, char **ret)
{
	const void *data;
	size_t len;
	int r;

	r = cairn_row_bytes(q, column, &data, &len);
	if (r < 0)
		return r;
	*ret = strndup(data, len);
	return *ret ? 0 : -ENOMEM;
}

static int undo_list(struct cairn_store *base, cairn_undo_fn fn, void *arg)
{
	struct sqlite_store *store = from_base(base);
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	r = has_records(store);
	if (r <= 0)
		return r;
	cairn_query_begin(&q, &store->undo, UNDO_LIST);
	while ((r = cairn_query_step(&q)) > 0) {
		_cleanup_(cairn_freep) char *kind = NULL, *source = NULL;
		struct cairn_undo_record record = {
			.id = sqlite3_column_int64(q.stmt, 0),
			.time = sqlite3_column_int64(q.stmt, 1),
			.changes = sqlite3_column_int64(q.stmt, 4),
			.of = sqlite3_column_int64(q.stmt, 5),
			.undone = sqlite3_column_int64(q.stmt, 6),
		};

		r = copy_text(&q, 2, &kind);
		if (r == 0)
			r = copy_text(&q, 3, &source);
		if (r < 0)
			return r;
		record.kind = kind;
		record.source = source;
		r = fn(arg, &record);
		if (r != 0)
			return r;
	}
	return r;
}

static int tell_changed(struct sqlite_store *store, unsigned int statement, int64_t id,
			cairn_undo_changed_fn fn, void *arg)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	cairn_query_begin(&q, &store->undo, statement);
	cairn_query_int(&q, id);
	while ((r = cairn_query_step(&q)) > 0) {
		const void *name = NULL;
		size_t len = 0;

		if (sqlite3_column_count(q.stmt) > 1) {
			r = cairn_row_bytes(&q, 1, &name, &len);
			if (r < 0)
				return r;
		}
		r = fn(arg, (uint64_t)sqlite3_column_int64(q.stmt, 0), name, len);
		if (r != 0)
			return r;
	}
	return r;
}

static int undo_changed(struct cairn_store *base, int64_t id, cairn_undo_changed_fn fn, void *arg)
{
	struct sqlite_store *store = from_base(base);
	int r;

	r = tell_changed(store, CHANGED_INODES, id, fn, arg);
	if (r == 0)
		r = tell_changed(store, CHANGED_ENTRIES, id, fn, arg);
	return r != 0 ? r : tell_changed(store, CHANGED_INSIDE, id, fn, arg);
}

static int run_revert(struct sqlite_store *store, const char *text, int64_t of, int64_t id)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_query_once(&q, &store->sql, text);
	cairn_query_int(&q, of);
	if (sqlite3_bind_parameter_count(q.stmt) > 1)
		cairn_query_int(&q, id);
	return cairn_query_run(&q);
}

static int undo_revert(struct cairn_store *base, int64_t of, int64_t id)
{
	struct sqlite_store *store = from_base(base);
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(revert_texts); i++)
		r = run_revert(store, revert_texts[i], of, id);
	if (store->schema.has_base)
		for (size_t i = 0; r == 0 && i < ARRAY_SIZE(revert_branch_texts); i++)
			r = run_revert(store, revert_branch_texts[i], of, id);
	return r < 0 ? r : run_with_id(store, UNDO_MARK, of);
}

static int undo_forget(struct cairn_store *base, int64_t before, int64_t *ret_count)
{
	struct sqlite_store *store = from_base(base);
	int r;

	*ret_count = 0;
	r = has_records(store);
	if (r <= 0)
		return r;
	r = run_revert(store, "DELETE FROM cairn_undo WHERE created_at < ?1", before, 0);
	if (r < 0)
		return r;
	*ret_count = sqlite3_changes(store->sql.db);
	for (size_t i = 0; r == 0 && *ret_count && i < ARRAY_SIZE(forget_texts); i++)
		r = cairn_sql_exec(&store->sql, forget_texts[i]);
	return r;
}

const struct cairn_undo_ops cairn_sqlite_undo = {
	.begin = undo_begin,
	.finish = undo_finish,
	.list = undo_list,
	.changed = undo_changed,
	.revert = undo_revert,
	.forget = undo_forget,
};
