/* Whether the file system that a workspace lies on can hold one: a write-ahead log needs files
 * beside the database that all processes can lock, and map into memory together. */
#pragma once

#include "store/draft.h"
#include "store/sql.h"
#include "util/error.h"

/* Puts the file into WAL mode, and makes sure that it is. -EOPNOTSUPP, with words that name `path`,
 * where it stays in another; or what SQLite said, without words. */
int cairn_place_set_wal_mode(struct cairn_sql *sql, const char *path, struct cairn_error *err);

/* Whether what this connection failed at is what only a write-ahead log needs of a file system, or
 * locks. *ret_why are words for it, and live as long as the connection's last error. */
bool cairn_place_failed(sqlite3 *db, const char **ret_why);

/* Tries a write-ahead log with a draft that is empty, and empties it again: what could be made but
 * not opened then is not made. Fills `err` for every failure. */
int cairn_place_try(const struct cairn_draft *draft, struct cairn_error *err);
