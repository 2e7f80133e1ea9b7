/* The SQLite engine behind the store interface, shared by its files:
 *
 *	sqlite_store.c	opening and closing, and the table of functions
 *	sqlite_read.c	readers		sqlite_write.c	the write side
 *	sqlite_row.c	decoding rows	sqlite_init.c	new workspaces
 *	schema.c	the tables	probe.c		the file from outside
 *	sql.c		connections, statements, retries, errors
 *	sqlite_foreign.c	what other processes commit
 *	sqlite_wal.c	size, sync and checkpoints of the write-ahead log
 *	draft.c		files that are built beside their place
 *	place.c		whether a write-ahead log can lie there
 *	sqlite_branch.c	the tables of a workspace with a base
 *	sqlite_undo.c	what takes a transaction back
 */
#pragma once

#include <stdatomic.h>

#include "store/branch.h"
#include "store/probe.h"
#include "store/schema.h"
#include "store/sql.h"
#include "store/store.h"
#include "store/undo.h"

#define CAIRN_READER_CACHE_KIB 2048U
#define CAIRN_WRITER_CACHE_KIB 16384U

/* A list of page numbers. */
struct cairn_pages {
	uint32_t *list;
	size_t count, capacity;
};
void cairn_pages_free(struct cairn_pages *pages);

/* The layout of the WAL, in bytes: "WAL-mode File Format" at sqlite.org. */
#define CAIRN_WAL_HEADER_SIZE       32U
#define CAIRN_WAL_FRAME_HEADER_SIZE 24U
#define CAIRN_WAL_SALT_SIZE         8U /* bytes; new ones each time the WAL starts over */

struct sqlite_store {
	struct cairn_store base;
	/* The write connection. Of a read-only store an idle one: while it is open, no process
	 * gets the exclusive lock that AgentFS takes. */
	struct cairn_sql sql;
	struct cairn_sql guard;  /* holds the write lock while `sql` checkpoints */
	struct cairn_sql branch; /* the statements of sqlite_branch.c on it; with a base */
	struct cairn_sql undo;   /* and those of sqlite_undo.c */
	int64_t undo_id;         /* of the record that this transaction keeps; 0: none */
	uint64_t undo_first;     /* inodes from this number on are made by this transaction */
	struct cairn_sql_target target;
	struct cairn_schema schema;        /* fixed after opening, readers look at it */
	struct cairn_probe probe;          /* as found before opening */
	bool yield_checkpoints;            /* see struct cairn_store_options */
	uint64_t wal_limit;                /* the same */
	struct cairn_one_transaction *one; /* see struct cairn_store_options */
	bool one_begun;                    /* the writer's thread only */
	bool one_moment;                   /* see there, too */
	atomic_bool has_reader;            /* with one_moment: there is one */
	uint64_t page_size;                /* bytes */
	_Atomic uint64_t wal_size;         /* bytes; set by the writer's thread and by keys */
	bool sync_failed;                  /* the last sync(); the writer's thread only */
	atomic_ulong
		generation; /* moves when the state that readers keep is no longer the newest */
	/* What of the WAL is known, to tell what others add; the writer's thread only. */
	struct {
		int64_t version; /* PRAGMA data_version at the last look; 0: none yet */
		uint32_t frames; /* frames of the WAL up to the last commit that was looked at */
		unsigned char salt[CAIRN_WAL_SALT_SIZE];
		struct cairn_pages harmless; /* of tables that hold no files, sorted */
	} foreign;
	struct cairn_stats stats; /* of all connections to this file: the target leads to it */
	const struct cairn_log *log;
};

struct cairn_reader {
	struct cairn_sql sql;
	struct cairn_sql branch; /* the statements of sqlite_branch.c on it; with a base */
	struct sqlite_store *store;
	bool borrowed;            /* it reads by the write connection */
	unsigned long generation; /* of the state that its open transaction sees */
	unsigned int held;        /* see hold() in branch.h */
	bool turn_known;          /* of that state */
	uint64_t turn;
	bool name_logged; /* a warning about unusable names was written */
};

/* Opens and checks, without giving out a table of functions: what opening a store and reading a
 * workspace's info have in common. Fills `err` for every failure. */
int cairn_sqlite_open(const char *path, const struct cairn_store_options *options,
		      struct sqlite_store **ret, struct cairn_error *err);
void cairn_sqlite_freep(struct sqlite_store **store);
/* Looks at the path and fills store->probe and store->target; what is opened then is up to the
 * caller. The errors of cairn_probe_path(). */
int cairn_sqlite_find(struct sqlite_store *store, const char *path, bool read_only,
		      unsigned int busy_timeout_ms, struct cairn_error *err);
/* -EBUSY, with words that name the process where it can be told. No connection of this process may
 * be open: its locks are not the ones to name. */
int cairn_sqlite_say_locked(const char *path, struct cairn_error *err);
/* cairn_sql_open() of the file that store->probe has found. -EIO where the path names another by
 * now: who opened that would take the log beside it, which is ours, for its own. Close `ret` in any
 * case. */
int cairn_sqlite_connect(struct cairn_sql *ret, const struct cairn_sql_target *target,
			 const struct sqlite_store *store);

/* Gives the write connection its statements, all prepared. -EINVAL with words where the tables do
 * not take them. */
int cairn_sqlite_write_prepare(struct sqlite_store *store, const char *path,
			       struct cairn_error *err);

/* sqlite_info.c: the base of an overlay as a new string, NULL where there is none. */
int cairn_sqlite_base_path(struct sqlite_store *store, char **ret);
/* The patterns that it stores for its base; NULL: none. */
int cairn_sqlite_base_ignore(struct sqlite_store *store, char **ret);

/* sqlite_branch.c. What a store with a base has beside its statements: for readers, and for the
 * write connection. */
extern const struct cairn_branch_ops cairn_sqlite_branch;
int cairn_sqlite_branch_read(struct cairn_reader *reader);
int cairn_sqlite_branch_write(struct sqlite_store *store);

/* sqlite_read.c */
/* Begins a query of the newest state, which one transaction keeps from query to query: to take
 * locks and look at the index of the WAL for each costs more than most queries do. `sql` is one of
 * the reader's. */
void cairn_sqlite_query_begin(struct cairn_query *q, struct cairn_reader *reader,
			      struct cairn_sql *sql, unsigned int statement);
int cairn_sqlite_reader_open(struct cairn_store *base, struct cairn_reader **ret);
void cairn_sqlite_reader_close(struct cairn_reader *reader);
void cairn_sqlite_reader_rest(struct cairn_reader *reader);
int cairn_sqlite_inode_get(struct cairn_reader *reader, uint64_t ino, struct cairn_attr *ret);
int cairn_sqlite_dentry_get(struct cairn_reader *reader, uint64_t parent, const char *name,
			    size_t name_len, struct cairn_dentry_row *ret);
int cairn_sqlite_dentry_scan(struct cairn_reader *reader, uint64_t parent, bool with_attr,
			     cairn_dentry_fn fn, void *arg);
int cairn_sqlite_dentry_count(struct cairn_reader *reader, uint64_t ino, uint32_t *ret);
int cairn_sqlite_dentry_name(struct cairn_reader *reader, uint64_t ino, uint64_t *ret_parent,
			     char ret_name[CAIRN_NAME_MAX + 1]);
int cairn_sqlite_symlink_get(struct cairn_reader *reader, uint64_t ino, char **ret);
int cairn_sqlite_data_read(struct cairn_reader *reader, uint64_t ino, int64_t first, int64_t last,
			   cairn_chunk_fn fn, void *arg);
int cairn_sqlite_data_scan(struct cairn_reader *reader, uint64_t ino, int64_t first, int64_t last,
			   cairn_chunk_fn fn, void *arg);
int cairn_sqlite_xattr_get(struct cairn_reader *reader, uint64_t ino, const char *name, void **ret,
			   size_t *ret_len);
int cairn_sqlite_xattr_scan(struct cairn_reader *reader, uint64_t ino, cairn_xattr_fn fn,
			    void *arg);
int cairn_sqlite_orphan_scan(struct cairn_reader *reader, cairn_ino_fn fn, void *arg);
int cairn_sqlite_space(struct cairn_reader *reader, struct cairn_space *ret);

/* sqlite_write.c */
int cairn_sqlite_begin(struct cairn_store *base);
int cairn_sqlite_commit(struct cairn_store *base);
/* Ends the one transaction, where there is one. */
int cairn_sqlite_end_one(struct sqlite_store *store);
void cairn_sqlite_rollback(struct cairn_store *base);
int cairn_sqlite_lease(struct cairn_store *base, enum cairn_sequence which, uint64_t count,
		       uint64_t *ret_first);
int cairn_sqlite_inode_insert(struct cairn_store *base, const struct cairn_attr *attr);
int cairn_sqlite_inode_update(struct cairn_store *base, const struct cairn_attr *attr);
int cairn_sqlite_inode_delete(struct cairn_store *base, uint64_t ino, uint32_t mode);
int cairn_sqlite_dentry_put(struct cairn_store *base, uint64_t parent, const char *name,
			    size_t name_len, uint64_t id, uint64_t ino);
int cairn_sqlite_dentry_delete(struct cairn_store *base, uint64_t parent, const char *name,
			       size_t name_len);
int cairn_sqlite_symlink_put(struct cairn_store *base, uint64_t ino, const char *target);
int cairn_sqlite_data_put(struct cairn_store *base, uint64_t ino, int64_t index, const void *data,
			  size_t len);
int cairn_sqlite_data_delete(struct cairn_store *base, uint64_t ino, int64_t index);
int cairn_sqlite_data_cut(struct cairn_store *base, uint64_t ino, int64_t first);
int cairn_sqlite_xattr_put(struct cairn_store *base, uint64_t ino, const char *name,
			   const void *value, size_t len);
int cairn_sqlite_xattr_delete(struct cairn_store *base, uint64_t ino, const char *name);
int cairn_sqlite_orphan_put(struct cairn_store *base, uint64_t ino);
/* Begins a statement that changes rows. After some errors SQLite has rolled back by itself; what
 * follows must not be committed one by one then. */
void cairn_sqlite_change_begin(struct cairn_query *q, struct cairn_sql *sql,
			       unsigned int statement);

/* sqlite_undo.c: the statements, and what is called before a row is changed. */
extern const struct cairn_undo_ops cairn_sqlite_undo;
int cairn_sqlite_undo_share(struct sqlite_store *store);
int cairn_sqlite_note_inode(struct sqlite_store *store, uint64_t ino);
/* With its data, target and attributes. */
int cairn_sqlite_note_all(struct sqlite_store *store, uint64_t ino);
int cairn_sqlite_note_dentry(struct sqlite_store *store, uint64_t parent, const char *name,
			     size_t len);
int cairn_sqlite_note_chunk(struct sqlite_store *store, uint64_t ino, int64_t index);
int cairn_sqlite_note_chunks(struct sqlite_store *store, uint64_t ino, int64_t first);
int cairn_sqlite_note_symlink(struct sqlite_store *store, uint64_t ino);
int cairn_sqlite_note_xattr(struct sqlite_store *store, uint64_t ino, const char *name);
int cairn_sqlite_note_origin(struct sqlite_store *store, uint64_t delta_ino);
int cairn_sqlite_note_whiteout(struct sqlite_store *store, const char *path);
int cairn_sqlite_note_seen(struct sqlite_store *store, const char *path);

/* sqlite_wal.c */
/* Whether checkpoints are another process's to make. */
bool cairn_sqlite_must_yield(const struct sqlite_store *store);
int cairn_sqlite_guard_open(struct sqlite_store *store);
int cairn_sqlite_sync(struct cairn_store *base);
int cairn_sqlite_checkpoint(struct cairn_store *base, enum cairn_checkpoint how);
uint64_t cairn_sqlite_wal_size(struct cairn_store *base);
void cairn_sqlite_wal_readers(struct cairn_store *base, char *buf, size_t size);
/* The WAL as the write connection has it open; NULL before its first use. */
sqlite3_file *cairn_sqlite_wal_file(struct sqlite_store *store);
/* Of a WAL of so many frames. */
uint64_t cairn_sqlite_wal_bytes(const struct sqlite_store *store, uint32_t frames);

/* sqlite_foreign.c */
int cairn_sqlite_foreign(struct cairn_store *base, enum cairn_foreign *ret);
/* After a commit of our own, which ended at this frame of the WAL. */
void cairn_sqlite_foreign_committed(struct sqlite_store *store, int frames);
void cairn_sqlite_foreign_resume(struct sqlite_store *store);
