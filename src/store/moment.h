/* One moment of a database, held still so that its files can be copied while others go on writing.
 *
 * It is a read transaction of SQLite's, and knowing which part of the WAL belongs to it. As long as
 * the transaction is open,
 *
 *   - the WAL does not start over where the moment needs some of it: its frames up to the moment's
 *     last stay what they are, and what others commit goes behind them;
 *   - a checkpoint, which any process may make meanwhile, copies none but those frames into the
 *     database.
 *
 * So a copy of the database file, however long it takes and whatever a checkpoint does to the pages
 * meanwhile, and those frames laid over it, are the database as it was at the moment. Where a
 * checkpoint had copied all frames before the moment, the database file alone is that, nothing
 * writes to it while the transaction is open, and the WAL may start over at any time: then it must
 * be left aside. ("WAL-mode File Format" at sqlite.org; walCheckpoint() and walTryBeginRead() in
 * wal.c.)
 *
 * Nobody waits for a moment, but the WAL cannot start over before it ends. */
#pragma once

#include <stdint.h>

#include "store/sqlite_store.h"

struct cairn_moment {
	struct cairn_sql *sql;
	uint64_t wal_bytes; /* of the WAL that belong to it, from its beginning; 0: none */
};

/* Begins a read transaction on the store's own connection, which must be a reading one. -EAGAIN
 * when the database stayed locked. To be ended with cairn_moment_end(), also after a failure. */
int cairn_moment_begin(struct sqlite_store *store, struct cairn_moment *ret);
void cairn_moment_end(struct cairn_moment *moment);
