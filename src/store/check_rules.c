/* The rules of the format. Columns hold whatever a file's writer put there: a query must not be
 * led astray by NULL or by text where a number belongs. */
#include "store/check_internal.h"

#define DIRECTORY(i) "(" i ".mode & 61440) = 16384"
#define REGULAR(i)   "(" i ".mode & 61440) = 32768"
#define SYMLINK(i)   "(" i ".mode & 61440) = 40960"

#define BAD_MODE                                                                                   \
	"(typeof(i.mode) <> 'integer' OR i.mode NOT BETWEEN 0 AND 65535 OR (i.mode & 61440) "      \
	"NOT IN (4096, 8192, 16384, 24576, 32768, 40960, 49152))"
#define BAD_ID(column)                                                                             \
	"(typeof(i." column ") <> 'integer' OR i." column " NOT BETWEEN 0 AND 4294967295)"
#define BAD_NUMBER(column) "(typeof(i." column ") <> 'integer' OR i." column " < 0)"
#define BAD_NSEC(column)                                                                           \
	"(typeof(i." column ") <> 'integer' OR i." column " NOT BETWEEN 0 AND 999999999)"
/* Overflow and text end up in range, too. */
#define CLAMPED(column) "MAX(COALESCE(CAST(i." column " AS INTEGER), 0), 0)"
#define IF_NSEC(column) "CASE WHEN " BAD_NSEC(column) " THEN 0 ELSE i." column " END"

#define ENTRY     "'entry ' || d.id || ' of directory ' || cairn_show(d.parent_ino)"
#define BAD_ENTRY "d.id NOT BETWEEN 1 AND " CAIRN_CHECK_FAR_OUT
#define NO_INODE                                                                                   \
	"(typeof(d.ino) <> 'integer' OR NOT EXISTS (SELECT 1 FROM fs_inode AS i WHERE i.ino = "    \
	"d.ino))"
#define NO_PARENT                                                                                  \
	"(typeof(d.parent_ino) <> 'integer' OR NOT EXISTS (SELECT 1 FROM fs_inode AS i "           \
	"WHERE i.ino = d.parent_ino AND " DIRECTORY("i") "))"

#define NAMED    "EXISTS (SELECT 1 FROM temp.cairn_named AS n WHERE n.ino = i.ino)"
#define ORPHANED "EXISTS (SELECT 1 FROM temp.cairn_orphaned AS o WHERE o.ino = i.ino)"
#define NAMES    "COALESCE((SELECT n.names FROM temp.cairn_named AS n WHERE n.ino = i.ino), 0)"
/* What was copied up from a base may have its names there. */
#define BASED       "EXISTS (SELECT 1 FROM temp.cairn_based AS b WHERE b.ino = i.ino)"
#define NAMELESS    "i.ino > 1 AND NOT " NAMED " AND NOT " ORPHANED " AND NOT " BASED
#define HAS_ENTRIES "EXISTS (SELECT 1 FROM fs_dentry AS e WHERE e.parent_ino = i.ino)"
#define HAS_CHUNKS  "EXISTS (SELECT 1 FROM fs_data AS e WHERE e.ino = i.ino)"
#define EMPTY                                                                                      \
	"((" DIRECTORY("i") " AND NOT " HAS_ENTRIES ") OR "                                        \
			    "(" REGULAR("i") " AND i.size = 0 AND NOT " HAS_CHUNKS "))"
#define SUBDIRECTORIES                                                                             \
	"(SELECT COUNT(*) FROM fs_dentry AS e JOIN fs_inode AS c ON c.ino = e.ino "                \
	"WHERE e.parent_ino = i.ino AND " DIRECTORY("c") ")"

/* Over a base a directory has the count that says nothing, as long as it may show something of it.
 */
#define OVERLAY                                                                                    \
	"EXISTS (SELECT 1 FROM sqlite_schema AS s WHERE s.type = 'table' AND s.name = "            \
	"'fs_overlay_config')"

/* LENGTH() of a blob does not read it. */
#define BYTES(value)                                                                               \
	"CASE typeof(" value ") WHEN 'blob' THEN LENGTH(" value ") "                               \
	"ELSE LENGTH(CAST(" value " AS BLOB)) END"
#define CHUNK "'inode ' || cairn_show(c.ino) || ', chunk ' || cairn_show(c.chunk_index)"
#define BAD_INDEX                                                                                  \
	"(typeof(c.chunk_index) <> 'integer' OR c.chunk_index NOT BETWEEN 0 AND "                  \
	"cairn_chunk_last())"
/* Over a base an empty chunk is a hole that hides what the base has there. */
#define BAD_CHUNK                                                                                  \
	"(typeof(c.data) NOT IN ('blob', 'text') OR (" BYTES(                                      \
		"c.data") " = 0 AND NOT EXISTS "                                                   \
			  "(SELECT 1 FROM temp.cairn_based AS b WHERE b.ino = c.ino)))"
#define NO_FILE "NOT EXISTS (SELECT 1 FROM fs_inode AS i WHERE i.ino = c.ino AND " REGULAR("i") ")"
/* A chunk that can be placed, of a file that has a size. */
#define PLACED                                                                                     \
	REGULAR("i")                                                                               \
	" AND typeof(i.size) = 'integer' AND i.size >= 0 "                                         \
	"AND typeof(c.chunk_index) = 'integer' AND c.chunk_index >= 0 "                            \
	"AND typeof(c.data) IN ('blob', 'text')"
#define OFFSET      "c.chunk_index * cairn_chunk_size()"
#define FROM_CHUNKS " FROM fs_data AS c JOIN fs_inode AS i ON i.ino = c.ino WHERE " PLACED " AND "
#define BEYOND      OFFSET " >= i.size"
#define TOO_LONG                                                                                   \
	OFFSET " < i.size AND " BYTES("c.data") " > MIN(cairn_chunk_size(), i.size - " OFFSET ")"
#define TOO_SHORT                                                                                  \
	BYTES("c.data")                                                                            \
	" BETWEEN 1 AND cairn_chunk_size() - 1 "                                                   \
	"AND (c.chunk_index + 1) * cairn_chunk_size() <= i.size"
/* The row of `c` in an UPDATE or DELETE of fs_data, where nothing can be joined. */
#define OF_FILE(condition)                                                                         \
	"EXISTS (SELECT 1 FROM fs_inode AS i WHERE i.ino = c.ino AND " PLACED " AND " condition ")"
#define ROOM                                                                                       \
	"(SELECT MIN(cairn_chunk_size(), i.size - " OFFSET                                         \
	") FROM fs_inode AS i WHERE i.ino = c.ino)"

#define NO_SYMLINK                                                                                 \
	"NOT EXISTS (SELECT 1 FROM fs_inode AS i WHERE i.ino = s.ino AND " SYMLINK("i") ")"
#define TARGETLESS                                                                                 \
	SYMLINK("i")                                                                               \
	" AND NOT EXISTS (SELECT 1 FROM fs_symlink AS s WHERE s.ino = i.ino AND "                  \
	"cairn_target(s.target))"
#define TARGET_BYTES                                                                               \
	"(SELECT LENGTH(CAST(s.target AS BLOB)) FROM fs_symlink AS s WHERE s.ino = i.ino)"

#define BAD_XATTR                                                                                  \
	"(cairn_xattr_name(x.name) = 2 OR typeof(x.value) NOT IN ('blob', 'text') OR "             \
	"LENGTH(CAST(x.value AS BLOB)) > 65536)"
#define NO_OWNER(x, column)                                                                        \
	"NOT EXISTS (SELECT 1 FROM fs_inode AS i WHERE i.ino = " x "." column ")"
#define ORPHAN_IN_USE                                                                              \
	"(EXISTS (SELECT 1 FROM temp.cairn_named AS n WHERE n.ino = o.ino) OR "                    \
	"EXISTS (SELECT 1 FROM fs_dentry AS e WHERE e.parent_ino = o.ino))"

#define LAST_INODE  "COALESCE((SELECT MAX(ino) FROM fs_inode), 0)"
#define LAST_DENTRY "COALESCE((SELECT MAX(id) FROM fs_dentry), 0)"
#define BAD_SEQUENCE(last)                                                                         \
	"(typeof(s.seq) <> 'integer' OR s.seq NOT BETWEEN " last " AND " CAIRN_CHECK_FAR_OUT ")"
#define SET_SEQUENCE(table, last)                                                                  \
	"UPDATE sqlite_sequence AS s SET seq = " last " WHERE s.name = '" table                    \
	"' AND " BAD_SEQUENCE(last)
#define ADD_SEQUENCE(table, last)                                                                  \
	"INSERT INTO sqlite_sequence (name, seq) SELECT '" table "', " last " WHERE " last         \
	" > 0 AND NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = '" table "')"

#define BAD_BASE_PATH                                                                              \
	"(x.base_path IS NOT '' AND x.base_path IS NOT '/' AND cairn_path(x.base_path) <> 0)"
#define BAD_SEEN "path IS NOT '/' AND cairn_path(path) <> 0"
#define BAD_BASE_INO                                                                               \
	"(typeof(x.base_ino) <> 'integer' OR x.base_ino < 0 OR (x.base_ino > 0 AND x.delta_ino "   \
	"NOT IN (SELECT MIN(delta_ino) FROM cairn_origin GROUP BY base_ino)))"
#define BAD_DATA_END                                                                               \
	"(typeof(x.data_end) <> 'integer' OR x.data_end < -1 OR (x.data_end <> 0 AND NOT EXISTS "  \
	"(SELECT 1 FROM fs_inode AS i WHERE i.ino = x.delta_ino AND " REGULAR("i") ")))"
#define BAD_PARENT "cairn_path(path) = 0 AND parent_path IS NOT cairn_parent(path)"

const struct cairn_check_rule cairn_check_root_rule = {
	.code = "root",
	.what = "inode 1, the root, is not a directory",
	.action = "make an empty root; what stands there gets another number",
	.find = "SELECT COALESCE((SELECT 'its mode is ' || cairn_show(mode) FROM fs_inode "
		"WHERE ino = 1), 'there is no inode 1') "
		"WHERE NOT EXISTS (SELECT 1 FROM fs_inode AS i WHERE i.ino = 1 AND " DIRECTORY(
			"i") ")",
	.mend = cairn_check_mend_numbers,
};

const struct cairn_check_rule cairn_check_rules[] = {
	{
		.code = "auto_vacuum",
		.what = "auto_vacuum is on: AgentFS corrupts such a file when it "
			"writes",
		.action = "run sqlite3 on the file: PRAGMA auto_vacuum = NONE; "
			  "VACUUM;",
		.find = "SELECT 'mode ' || auto_vacuum FROM pragma_auto_vacuum "
			"WHERE "
			"auto_vacuum <> 0",
	},
	{
		.code = "foreign_schema",
		.what = "trigger or virtual table: AgentFS does not open the file",
		.note = true,
		.find = "SELECT type || ' ' || cairn_show(name) FROM sqlite_schema "
			"WHERE type = 'trigger' OR (type = 'table' AND rootpage = "
			"0)",
	},
	{
		.code = "inode_number",
		.what = "inode with a number that is not from 1 to 2^62",
		.action = "give it a new number",
		.find = "SELECT 'inode ' || i.ino FROM fs_inode AS i "
			"WHERE i.ino NOT BETWEEN 1 AND " CAIRN_CHECK_FAR_OUT,
		.mend = cairn_check_mend_numbers,
	},
	{
		.code = "mode",
		.what = "mode of no file type",
		.action = "set the type by what the inode holds",
		.find = "SELECT 'inode ' || i.ino || ': ' || cairn_show(i.mode) "
			"FROM "
			"fs_inode AS i "
			"WHERE " BAD_MODE,
		.repair = { "UPDATE fs_inode AS i SET mode = CASE WHEN " HAS_ENTRIES " THEN 16384 "
			    "WHEN EXISTS (SELECT 1 FROM fs_symlink AS s WHERE "
			    "s.ino = "
			    "i.ino) "
			    "THEN 40960 ELSE 32768 END | CASE typeof(i.mode) WHEN "
			    "'integer' "
			    "THEN i.mode & 511 ELSE 448 END WHERE " BAD_MODE },
	},
	{
		.code = "owner",
		.what = "user or group that is no number from 0 to 2^32-1",
		.action = "set it to 0",
		.find = "SELECT 'inode ' || i.ino || ': ' || cairn_show(i.uid) || "
			"', ' || "
			"cairn_show(i.gid) FROM fs_inode AS i WHERE " BAD_ID("uid") " OR " BAD_ID(
				"gid"),
		.repair = { "UPDATE fs_inode AS i SET uid = 0 WHERE " BAD_ID("uid"),
			    "UPDATE fs_inode AS i SET gid = 0 WHERE " BAD_ID("gid") },
	},
	{
		.code = "time",
		.what = "time before 1970, or no whole number of seconds",
		.action = "cut it to a whole number from 0 up",
		.find = "SELECT 'inode ' || i.ino FROM fs_inode AS i "
			"WHERE " BAD_NUMBER("atime") " OR " BAD_NUMBER("mtime") " OR " BAD_NUMBER(
				"ctime"),
		.repair = { "UPDATE fs_inode AS i SET atime = " CLAMPED(
			"atime") ", mtime "
				 "="
				 " " CLAMPED("mtime") ", ctime = " CLAMPED(
					 "ctime") " WHERE " BAD_NUMBER("a"
								       "t"
								       "i"
								       "m"
								       "e") " OR"
									    " " BAD_NUMBER(
										    "mtim"
										    "e") " OR"
											 " " BAD_NUMBER(
												 "c"
												 "t"
												 "i"
												 "m"
												 "e") },
	},
	{
		.code = "nanoseconds",
		.what = "nanoseconds that are no number from 0 to 999999999",
		.action = "set them to 0",
		.needs = CAIRN_CHECK_ADDED_COLUMNS,
		.find = "SELECT 'inode ' || i.ino FROM fs_inode AS i "
			"WHERE " BAD_NSEC("atime_nsec") " OR " BAD_NSEC(
				"mtime_nsec") " OR " BAD_NSEC("ctime_"
							      "nsec"),
		.repair = { "UPDATE fs_inode AS i SET atime_nsec = " IF_NSEC(
			"atime"
			"_nse"
			"c") ", mtime_nsec = " IF_NSEC("mtime_nsec") ", ctime_nsec "
								     "= " IF_NSEC(
									     "cti"
									     "me_"
									     "nse"
									     "c") " WH"
										  "ERE"
										  " " BAD_NSEC(
											  "atime_"
											  "nsec") " OR"
												  " " BAD_NSEC(
													  "mti"
													  "me_"
													  "nse"
													  "c") " OR " BAD_NSEC("ctime_nsec") },
	},
	{
		.code = "device",
		.what = "device number that is none",
		.action = "set it to 0",
		.needs = CAIRN_CHECK_ADDED_COLUMNS,
		.find = "SELECT 'inode ' || i.ino || ': ' || cairn_show(i.rdev) "
			"FROM "
			"fs_inode AS i "
			"WHERE " BAD_NUMBER("rdev"),
		.repair = { "UPDATE fs_inode AS i SET rdev = 0 WHERE " BAD_NUMBER("rdev") },
	},
	{
		.code = "entry_number",
		.what = "entry with a number that is not from 1 to 2^62",
		.action = "give it a new number",
		.find = "SELECT " ENTRY " FROM fs_dentry AS d WHERE " BAD_ENTRY,
		.repair = { "CREATE TEMP TABLE cairn_moved AS SELECT d.id AS old, COALESCE((SELECT "
			    "MAX(id) "
			    "FROM fs_dentry WHERE id BETWEEN 1 AND " CAIRN_CHECK_FAR_OUT
			    "), 0) + ROW_NUMBER() OVER () AS new FROM fs_dentry AS d "
			    "WHERE " BAD_ENTRY,
			    "UPDATE fs_dentry AS d SET id = (SELECT new FROM temp.cairn_moved "
			    "WHERE old = d.id) WHERE " BAD_ENTRY,
			    "DROP TABLE temp.cairn_moved" },
	},
	{
		.code = "name_storage",
		.what = "name stored as text when it is not UTF-8, or as a blob "
			"when it "
			"is: it cannot "
			"be looked up",
		.action = "store it as it should be, or as invalid-name-NUMBER "
			  "where that "
			  "is taken",
		.find = "SELECT " ENTRY " || ': ' || cairn_show(d.name) FROM fs_dentry AS d "
			"WHERE cairn_name(d.name) = 1",
		.repair = { "UPDATE OR IGNORE fs_dentry SET name = "
			    "cairn_store_name(name) "
			    "WHERE cairn_name(name) = 1",
			    "UPDATE OR IGNORE fs_dentry SET name = 'invalid-name-' "
			    "|| id "
			    "WHERE cairn_name(name) = 1" },
	},
	{
		.code = "name",
		.what = "name that no file can have",
		.action = "rename it to invalid-name-NUMBER",
		.find = "SELECT " ENTRY " || ': ' || cairn_show(d.name) FROM fs_dentry AS d "
			"WHERE cairn_name(d.name) = 2",
		.repair = { "UPDATE OR IGNORE fs_dentry SET name = 'invalid-name-' "
			    "|| id "
			    "WHERE cairn_name(name) = 2" },
	},
	{
		.code = "name_twice",
		.what = "two entries of one name in a directory",
		.action = "rename the later ones to duplicate-NUMBER",
		.find = "SELECT " ENTRY " || ': ' || cairn_show(d.name) FROM fs_dentry AS d "
			"GROUP BY d.parent_ino, d.name HAVING COUNT(*) > 1",
		.repair = { "UPDATE OR IGNORE fs_dentry SET name = 'duplicate-' || "
			    "id "
			    "WHERE id NOT IN "
			    "(SELECT MIN(id) FROM fs_dentry GROUP BY parent_ino, "
			    "name)" },
	},
	{
		.code = "chunk_index",
		.what = "chunk with an index that is none",
		.action = "delete it",
		.find = "SELECT " CHUNK " FROM fs_data AS c WHERE " BAD_INDEX,
		.repair = { "DELETE FROM fs_data AS c WHERE " BAD_INDEX },
	},
	{
		.code = "chunk_bytes",
		.what = "chunk without bytes",
		.action = "delete it: it reads as zeros",
		.find = "SELECT " CHUNK " FROM fs_data AS c WHERE " BAD_CHUNK,
		.repair = { "DELETE FROM fs_data AS c WHERE " BAD_CHUNK },
	},
	{
		.code = "size",
		.what = "size that is negative or no number",
		.action = "set it by the bytes that are stored",
		.stage = 1,
		.find = "SELECT 'inode ' || i.ino || ': ' || cairn_show(i.size) "
			"FROM "
			"fs_inode AS i "
			"WHERE " BAD_NUMBER("size"),
		.repair = { "UPDATE fs_inode AS i SET size = COALESCE(CASE i.mode "
			    "& 61440 "
			    "WHEN 32768 THEN (SELECT MIN(" OFFSET
			    " + " BYTES("c.data") ", 9223372036854775807) FROM "
						  "fs_data AS "
						  "c WHERE c.ino = i.ino "
						  "ORDER BY c.chunk_index DESC "
						  "LIMIT 1) "
						  "WHEN 40960 THEN " TARGET_BYTES
						  " END, 0) WHERE " BAD_NUMBER("size") },
	},
	{
		.code = "root_named",
		.what = "entry that names the root",
		.action = "remove the entry",
		.stage = 1,
		.find = "SELECT " ENTRY " || ': ' || cairn_show(d.name) FROM fs_dentry AS d "
			"WHERE d.ino = 1",
		.repair = { "DELETE FROM fs_dentry WHERE ino = 1" },
	},
	{
		.code = "dangling",
		.what = "entry that names no inode",
		.action = "remove the entry",
		.stage = 1,
		.find = "SELECT " ENTRY " || ': ' || cairn_show(d.name) || ' is inode ' || "
			"cairn_show(d.ino) FROM fs_dentry AS d WHERE " NO_INODE,
		.repair = { "DELETE FROM fs_dentry AS d WHERE " NO_INODE },
	},
	{
		.code = "no_directory",
		.what = "entry that lies in no directory",
		.action = "remove the entry; an inode without another name goes to "
			  "lost+found",
		.stage = 1,
		.find = "SELECT " ENTRY " || ': ' || cairn_show(d.name) FROM fs_dentry AS d "
			"WHERE " NO_PARENT,
		.repair = { "DELETE FROM fs_dentry AS d WHERE " NO_PARENT },
	},
	{
		.code = "directory_names",
		.what = "directory with more than one name",
		.action = "keep the name nearest to the root",
		.stage = 1,
		.find = "SELECT 'inode ' || i.ino || ': ' || n.names || ' names' "
			"FROM temp.cairn_named AS n JOIN fs_inode AS i ON i.ino = "
			"n.ino "
			"WHERE n.names > 1 AND i.ino <> 1 AND " DIRECTORY("i"),
		/* SQLite walks breadth first
		 * (https://www.sqlite.org/lang_with.html), so the first row of an
		 * inode is the shortest way to it. */
		.repair = { "CREATE TEMP TABLE cairn_first AS WITH RECURSIVE walk "
			    "(ino, "
			    "entry) AS "
			    "(VALUES (1, 0) UNION SELECT d.ino, d.id FROM walk "
			    "JOIN "
			    "fs_dentry AS d "
			    "ON d.parent_ino = walk.ino) SELECT ino, entry FROM "
			    "walk",
			    "CREATE INDEX temp.cairn_first_ino ON cairn_first "
			    "(ino)",
			    "DELETE FROM fs_dentry WHERE ino IN (SELECT i.ino FROM "
			    "temp.cairn_named "
			    "AS n JOIN fs_inode AS i ON i.ino = n.ino WHERE "
			    "n.names > 1 "
			    "AND " DIRECTORY("i") ") AND id <> COALESCE((SELECT f.entry "
						  "FROM "
						  "temp.cairn_first AS f WHERE f.ino = "
						  "fs_dentry.ino ORDER BY f.rowid "
						  "LIMIT 1), (SELECT n.entry FROM "
						  "temp.cairn_named "
						  "AS n "
						  "WHERE n.ino = fs_dentry.ino))",
			    "DROP TABLE temp.cairn_first" },
	},
	{
		.code = "target",
		.what = "symbolic link without a target of 1 to 4095 bytes",
		.action = "remove the link: it leads nowhere",
		.stage = 1,
		.find = "SELECT 'inode ' || i.ino FROM fs_inode AS i "
			"WHERE " TARGETLESS,
		.repair = { "DELETE FROM fs_dentry WHERE ino IN "
			    "(SELECT i.ino FROM fs_inode AS i WHERE " TARGETLESS ")",
			    "DELETE FROM fs_inode AS i WHERE " TARGETLESS,
			    "DELETE FROM fs_symlink AS s WHERE " NO_OWNER("s", "ino") },
	},
	{
		.code = "orphan_in_use",
		.what = "inode marked as deleted that has a name or entries",
		.action = "remove the mark",
		.stage = 1,
		.needs = CAIRN_CHECK_ORPHAN,
		.find = "SELECT 'inode ' || o.ino FROM cairn_orphan AS o "
			"WHERE " ORPHAN_IN_USE,
		.repair = { "DELETE FROM cairn_orphan AS o WHERE " ORPHAN_IN_USE },
	},
	{
		.code = "orphan_mark",
		.what = "mark of a deleted inode that is not there",
		.action = "remove the mark",
		.stage = 1,
		.needs = CAIRN_CHECK_ORPHAN,
		.find = "SELECT 'inode ' || o.ino FROM cairn_orphan AS o "
			"WHERE " NO_OWNER("o", "ino"),
		.repair = { "DELETE FROM cairn_orphan AS o WHERE " NO_OWNER("o", "ino") },
	},
	{
		.code = "orphan",
		.what = "deleted while in use; the next mount takes it away",
		.note = true,
		.needs = CAIRN_CHECK_ORPHAN,
		.find = "SELECT 'inode ' || o.ino FROM cairn_orphan AS o "
			"JOIN fs_inode AS i ON i.ino = o.ino WHERE "
			"NOT " ORPHAN_IN_USE,
	},
	{
		.code = "loop",
		.what = "directory inside itself, or in one that is",
		.action = "break the loop: a directory of it goes to lost+found",
		.stage = 2,
		.find = "SELECT 'inode ' || i.ino FROM fs_inode AS i "
			"WHERE " DIRECTORY("i") " AND NOT EXISTS (SELECT 1 FROM "
						"temp.cairn_rooted AS r WHERE "
						"r.ino = i.ino)",
		.mend = cairn_check_mend_loops,
	},
	{
		.code = "leaked_empty",
		.what = "inode without a name and with nothing in it (AgentFS "
			"leaves one "
			"at each rmdir)",
		.action = "delete it",
		.stage = 3,
		.find = "SELECT 'inode ' || i.ino FROM fs_inode AS i "
			"WHERE " NAMELESS " AND " EMPTY,
		.repair = { "DELETE FROM fs_inode AS i WHERE " NAMELESS " AND " EMPTY },
	},
	{
		.code = "leaked",
		.what = "inode without a name",
		.action = "name it #NUMBER in /lost+found",
		.stage = 4,
		.find = "SELECT 'inode ' || i.ino || ', mode ' || PRINTF('%o', "
			"i.mode) || "
			"', ' || "
			"cairn_show(i.size) || ' bytes' FROM fs_inode AS i "
			"WHERE " NAMELESS " AND NOT " EMPTY,
		.mend = cairn_check_mend_nameless,
	},
	{
		.code = "links",
		.what = "link count that is not the number of names",
		.action = "count again",
		.stage = 5,
		.find = "SELECT 'inode ' || i.ino || ': ' || cairn_show(i.nlink) "
			"|| ', not "
			"' || " NAMES " FROM fs_inode AS i WHERE NOT " DIRECTORY(
				"i") " AND NOT " BASED " AND (" NAMED " OR " ORPHANED
				     ") AND i.nlink IS NOT " NAMES,
		.repair = { "UPDATE fs_inode AS i SET nlink = " NAMES " WHERE NOT " DIRECTORY(
			"i") " AND NOT " BASED " AND (" NAMED " OR " ORPHANED
			     ") AND i.nlink IS NOT " NAMES },
	},
	{
		.code = "directory_links",
		.what = "directory with a link count below 1",
		.action = "count again",
		.stage = 5,
		.find = "SELECT 'inode ' || i.ino || ': ' || cairn_show(i.nlink) "
			"FROM "
			"fs_inode AS i "
			"WHERE " DIRECTORY("i") " AND (i.ino = 1 OR " NAMED
						") AND (typeof(i.nlink) <> "
						"'integer' OR i.nlink < 1)",
		.repair = { "UPDATE fs_inode AS i SET nlink = 2 + " SUBDIRECTORIES
			    " WHERE " DIRECTORY("i") " AND (i.ino = 1 OR " NAMED
						     ") AND (typeof(i.nlink) <> 'integer' "
						     "OR i.nlink < 1)" },
	},
	{
		.code = "directory_count",
		.what = "directory whose link count is not 2 and its "
			"subdirectories (some "
			"peers "
			"write 1)",
		.note = true,
		.find = "SELECT 'inode ' || i.ino || ': ' || i.nlink || ', not ' "
			"|| (2 "
			"+ " SUBDIRECTORIES ") FROM fs_inode AS i WHERE " DIRECTORY(
				"i") " AND (i.ino = 1 OR " NAMED
				     ") AND typeof(i.nlink) = 'integer' "
				     "AND i.nlink >= 1 AND NOT (i.nlink = 1 AND " OVERLAY
				     ") AND i.nlink <> 2 + " SUBDIRECTORIES,
	},
	{
		.code = "chunk_owner",
		.what = "data of no regular file (AgentFS leaves it when an open "
			"file is "
			"deleted)",
		.action = "delete it",
		.stage = 1,
		.find = "SELECT 'inode ' || cairn_show(c.ino) || ': ' || COUNT(*) "
			"|| ' "
			"chunks, ' || "
			"SUM(LENGTH(c.data)) || ' bytes' FROM fs_data AS c "
			"WHERE " NO_FILE " GROUP BY c.ino",
		.repair = { "DELETE FROM fs_data AS c WHERE " NO_FILE },
	},
	{
		.code = "chunk_beyond",
		.what = "chunk behind the end of its file",
		.action = "delete it: the size counts",
		.stage = 5,
		.find = "SELECT " CHUNK " || ', size ' || i.size" FROM_CHUNKS BEYOND,
		.repair = { "DELETE FROM fs_data AS c WHERE " OF_FILE(BEYOND) },
	},
	{
		.code = "chunk_long",
		.what = "chunk longer than a chunk is, or reaching over the end of "
			"its "
			"file",
		.action = "cut it: the size counts",
		.stage = 5,
		.find = "SELECT " CHUNK " || ': ' || LENGTH(c.data) || ' bytes, size ' || "
			"i.size" FROM_CHUNKS TOO_LONG,
		.repair = { "UPDATE fs_data AS c SET data = cairn_fit(data, " ROOM
			    ") WHERE " OF_FILE(TOO_LONG) },
	},
	{
		.code = "chunk_short",
		.what = "short chunk before the end of its file: peers misread "
			"what "
			"follows",
		.action = "fill it up with zeros, as cairnfs reads it",
		.stage = 5,
		.find = "SELECT " CHUNK
			" || ': ' || LENGTH(c.data) || ' bytes'" FROM_CHUNKS TOO_SHORT,
		.repair = { "UPDATE fs_data AS c SET data = cairn_fit(data, "
			    "cairn_chunk_size()) "
			    "WHERE " OF_FILE(TOO_SHORT) },
	},
	{
		.code = "target_owner",
		.what = "target of no symbolic link",
		.action = "delete it",
		.stage = 1,
		.find = "SELECT 'inode ' || s.ino || ': ' || cairn_show(s.target) "
			"FROM "
			"fs_symlink AS s "
			"WHERE " NO_SYMLINK,
		.repair = { "DELETE FROM fs_symlink AS s WHERE " NO_SYMLINK },
	},
	{
		.code = "target_size",
		.what = "symbolic link whose size is not the bytes of its target "
			"(peers "
			"count "
			"otherwise)",
		.note = true,
		.find = "SELECT 'inode ' || i.ino || ': ' || cairn_show(i.size) || "
			"', not "
			"' || " TARGET_BYTES " FROM fs_inode AS i WHERE " SYMLINK(
				"i") " AND NOT " BAD_NUMBER("size") " AND i.size "
								    "<>"
								    " " TARGET_BYTES,
	},
	{
		.code = "xattr_owner",
		.what = "extended attribute of no inode",
		.action = "delete it",
		.stage = 1,
		.needs = CAIRN_CHECK_XATTR,
		.find = "SELECT 'inode ' || cairn_show(x.ino) || ': ' || "
			"cairn_show(x.name) "
			"FROM cairn_xattr AS x WHERE " NO_OWNER("x", "ino"),
		.repair = { "DELETE FROM cairn_xattr AS x WHERE " NO_OWNER("x", "ino") },
	},
	{
		.code = "xattr",
		.what = "extended attribute with a name or a value that none can "
			"have",
		.action = "delete it",
		.stage = 5,
		.needs = CAIRN_CHECK_XATTR,
		.find = "SELECT 'inode ' || cairn_show(x.ino) || ': ' || "
			"cairn_show(x.name) "
			"FROM cairn_xattr AS x WHERE " BAD_XATTR,
		.repair = { "DELETE FROM cairn_xattr AS x WHERE " BAD_XATTR },
	},
	{
		.code = "xattr_storage",
		.what = "name of an extended attribute stored as text when it is "
			"not "
			"UTF-8, or as a "
			"blob when it is",
		.action = "store it as it should be; one that stands there already "
			  "is kept",
		.stage = 5,
		.needs = CAIRN_CHECK_XATTR,
		.find = "SELECT 'inode ' || cairn_show(x.ino) || ': ' || "
			"cairn_show(x.name) "
			"FROM cairn_xattr AS x WHERE cairn_xattr_name(x.name) = 1",
		.repair = { "UPDATE OR IGNORE cairn_xattr SET name = "
			    "cairn_store_name(name) "
			    "WHERE cairn_xattr_name(name) = 1",
			    "DELETE FROM cairn_xattr WHERE cairn_xattr_name(name) "
			    "= 1" },
	},
	{
		.code = "sequence",
		.what = "numbers in use that would be handed out again, or none left to hand out",
		.action = "set the last number handed out to the highest in use",
		.stage = 2,
		.needs = CAIRN_CHECK_SEQUENCE,
		.find = "SELECT t.name || ': ' || t.last FROM (SELECT 'fs_inode' AS "
			"name, " LAST_INODE " AS last UNION ALL SELECT 'fs_dentry', " LAST_DENTRY
			") AS t "
			"WHERE EXISTS (SELECT 1 FROM sqlite_sequence AS s WHERE s.name = t.name "
			"AND " BAD_SEQUENCE("t.last") ") OR (t.last > 0 AND NOT EXISTS "
						      "(SELECT 1 FROM sqlite_sequence AS s WHERE "
						      "s.name = t.name))",
		.repair = { SET_SEQUENCE("fs_inode", LAST_INODE),
			    SET_SEQUENCE("fs_dentry", LAST_DENTRY),
			    ADD_SEQUENCE("fs_inode", LAST_INODE),
			    ADD_SEQUENCE("fs_dentry", LAST_DENTRY) },
	},
	{
		.code = "no_sequence",
		.what = "fs_inode and fs_dentry are not AUTOINCREMENT: numbers are "
			"used "
			"twice",
		.action = "copy the files to a workspace made by 'cairnfs init'",
		.needs = CAIRN_CHECK_NO_SEQUENCE,
		.find = "SELECT 'there is no table sqlite_sequence'",
	},
	{
		.code = "origin",
		.what = "base of an inode that is not there",
		.action = "delete it",
		.stage = 1,
		.needs = CAIRN_CHECK_ORIGIN,
		.find = "SELECT 'inode ' || cairn_show(x.delta_ino) FROM fs_origin "
			"AS x "
			"WHERE " NO_OWNER("x", "delta_ino"),
		.repair = { "DELETE FROM fs_origin AS x WHERE " NO_OWNER("x", "delta_ino") },
	},
	{
		.code = "base_origin",
		.what = "record of what an inode has of the base, of an inode that is not there",
		.action = "delete it",
		.stage = 1,
		.needs = CAIRN_CHECK_BASED,
		.find = "SELECT 'inode ' || cairn_show(x.delta_ino) FROM cairn_origin AS x "
			"WHERE " NO_OWNER("x", "delta_ino"),
		.repair = { "DELETE FROM cairn_origin AS x WHERE " NO_OWNER("x", "delta_ino") },
	},
	{
		.code = "base_path",
		.what = "path in the base that is none",
		.action = "delete the record: what the branch did not change of the file is lost",
		.needs = CAIRN_CHECK_BASED,
		.find = "SELECT 'inode ' || x.delta_ino || ': ' || cairn_show(x.base_path) "
			"FROM cairn_origin AS x WHERE " BAD_BASE_PATH,
		.repair = { "UPDATE cairn_origin AS x SET base_path = cairn_store_name(base_path) "
			    "WHERE cairn_path(base_path) = 1",
			    "DELETE FROM cairn_origin AS x WHERE " BAD_BASE_PATH },
	},
	{
		.code = "base_number",
		.what = "number in the base that is none, or that two inodes have",
		.action = "number the inode by itself",
		.stage = 2,
		.needs = CAIRN_CHECK_BASED,
		.find = "SELECT 'inode ' || x.delta_ino || ': ' || cairn_show(x.base_ino) "
			"FROM cairn_origin AS x WHERE " BAD_BASE_INO,
		.repair = { "UPDATE cairn_origin AS x SET base_ino = 0 WHERE " BAD_BASE_INO },
	},
	{
		.code = "base_data",
		.what = "offset up to which the base counts that is none",
		.action = "let the base count wherever the branch has no data",
		.stage = 2,
		.needs = CAIRN_CHECK_BASED,
		.find = "SELECT 'inode ' || x.delta_ino || ': ' || cairn_show(x.data_end) "
			"FROM cairn_origin AS x WHERE " BAD_DATA_END,
		.repair = { "UPDATE cairn_origin AS x SET data_end = COALESCE((SELECT i.size "
			    "FROM fs_inode AS i WHERE i.ino = x.delta_ino AND " REGULAR(
				    "i") "), 0) WHERE " BAD_DATA_END },
	},
	{
		.code = "whiteout",
		.what = "whiteout of no path, or stored as text when it is not UTF-8, or as a blob "
			"when it is",
		.action = "store it as it should be; delete what is no path",
		.stage = 5,
		.needs = CAIRN_CHECK_WHITEOUT,
		.find = "SELECT cairn_show(path) FROM fs_whiteout WHERE cairn_path(path) <> 0",
		.repair = { "UPDATE OR IGNORE fs_whiteout SET path = cairn_store_name(path) "
			    "WHERE cairn_path(path) = 1",
			    "DELETE FROM fs_whiteout WHERE cairn_path(path) <> 0" },
	},
	{
		.code = "whiteout_parent",
		.what = "whiteout whose parent_path is not the directory of its path",
		.action = "set it",
		.stage = 5,
		.needs = CAIRN_CHECK_WHITEOUT,
		.find = "SELECT cairn_show(path) || ': ' || cairn_show(parent_path) "
			"FROM fs_whiteout WHERE " BAD_PARENT,
		.repair = { "UPDATE fs_whiteout SET parent_path = cairn_parent(path) "
			    "WHERE " BAD_PARENT },
	},
	{
		.code = "seen",
		.what = "note of what a branch saw in its base, of no path",
		.action = "delete it",
		.stage = 5,
		.needs = CAIRN_CHECK_SEEN,
		.find = "SELECT cairn_show(path) FROM cairn_seen WHERE " BAD_SEEN,
		.repair = { "DELETE FROM cairn_seen WHERE " BAD_SEEN },
	},
};

const unsigned int cairn_check_rule_count = ARRAY_SIZE(cairn_check_rules);
_Static_assert(ARRAY_SIZE(cairn_check_rules) <= 60, "a rule has a bit of 64, with four to spare");
