/* Reading the columns of a row. Everything in the file is untrusted: what the core could not live
 * with is -EIO and a line in the log, what does no harm is brought into range. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/sql.h"
#include "store/store.h"

/* The columns of cairn_row_attr(), of fs_inode under the name `i`; and those of a file before
 * 0.4. */
#define CAIRN_ATTR_COLUMNS                                                                         \
	"i.ino, i.mode, i.nlink, i.uid, i.gid, i.size, i.rdev, i.atime, i.atime_nsec, "            \
	"i.mtime, i.mtime_nsec, i.ctime, i.ctime_nsec"
#define CAIRN_ATTR_COLUMNS_0_2                                                                     \
	"i.ino, i.mode, i.nlink, i.uid, i.gid, i.size, 0, i.atime, 0, i.mtime, 0, i.ctime, 0"

/* The inode whose columns start at `column`. -EIO. */
int cairn_row_attr(struct cairn_query *q, int column, struct cairn_attr *ret);

/* A number of a row or chunk, at least `least`. -EIO where it is none. */
int cairn_row_number(struct cairn_query *q, int column, int64_t least, int64_t *ret);

/* The bytes of a BLOB or TEXT, valid until the next step; never NULL. -EIO for other types. */
int cairn_row_bytes(struct cairn_query *q, int column, const void **ret, size_t *ret_len);

/* Whether a component of a path can be called that: not with a slash, not "." or "..". */
bool cairn_row_is_path_name(const char *name, size_t len);

/* What a stored name is worth (see cairn_query_name()). The rules of check_rules.c know these by
 * their numbers. */
enum cairn_name {
	CAIRN_NAME_GOOD = 0,
	CAIRN_NAME_STORAGE = 1, /* TEXT where it had to be BLOB, or the reverse */
	CAIRN_NAME_BAD = 2,     /* empty, too long, or with what no name has */
};
/* `type` is SQLite's. With `path_name` it must be one of a path component, too. */
enum cairn_name cairn_row_judge_name(int type, const char *name, size_t len, bool path_name);

/* 1 when a lookup can find a row by the name in this column, by length, bytes and storage type
 * (see cairn_query_name()), 0 when none can. `path_name` also forbids what no path component can
 * be. -ENOMEM. */
int cairn_row_name(struct cairn_query *q, int column, bool path_name, const char **ret,
		   size_t *ret_len);
