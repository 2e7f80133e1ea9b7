/* Taking back what a transaction did: the rows as they were before it, kept in the workspace.
 *
 * begin() inside a transaction makes every change of files that follows in it leave the row that it
 * changes in a table of its own (cairn_undo_*), once; finish() notes how inodes and entries are
 * afterwards, so that it can be told later what has changed since. A record is dropped with the
 * transaction that is rolled back. The tables come into being with the first record.
 *
 * All functions belong to the writer's thread and, but for list(), to a transaction. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

struct cairn_undo_record {
	int64_t id;
	int64_t time;       /* seconds since 1970 */
	const char *kind;   /* "accept" or "undo" */
	const char *source; /* of an accept: the branch */
	int64_t changes;    /* as its maker counted them */
	int64_t of;         /* of an undo: the record that it took back */
	bool undone;        /* it was taken back */
};

/* 0 goes on, anything else ends it and is returned. */
typedef int (*cairn_undo_fn)(void *arg, const struct cairn_undo_record *record);
/* An entry, or with a name of NULL an inode, that is no longer as the record left it. */
typedef int (*cairn_undo_changed_fn)(void *arg, uint64_t ino, const char *name, size_t len);

struct cairn_undo_ops {
	int (*begin)(struct cairn_store *store, const char *kind, const char *source, int64_t of,
		     int64_t *ret_id);
	int (*finish)(struct cairn_store *store, int64_t id, int64_t changes);
	/* Latest first. */
	int (*list)(struct cairn_store *store, cairn_undo_fn fn, void *arg);
	/* What has been changed since. Of a directory that was there before, its times and what
	 * else was put into it do not count. */
	int (*changed)(struct cairn_store *store, int64_t id, cairn_undo_changed_fn fn, void *arg);
	/* Puts back what the record keeps, and marks it as undone. What has been put since into a
	 * directory that the record made stays, with the directory. `id` is the record that began
	 * in this transaction for the undo itself. */
	int (*revert)(struct cairn_store *store, int64_t of, int64_t id);
	/* Drops the records that are older. */
	int (*forget)(struct cairn_store *store, int64_t before, int64_t *ret_count);
};
