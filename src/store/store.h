/* The store: what a mount needs of the database below it, as a struct of functions.
 *
 * The core reads and writes a workspace through this interface alone, so that another engine can
 * stand behind it and a failing one can stand in for it in tests. `sqlite_store.c` is the engine;
 * `src/store/` is the only place that includes sqlite3.h.
 *
 * Threads: a reader belongs to one thread at a time, and any number of readers work side by side.
 * All functions of the write side (begin ... checkpoint) belong to one thread, the mount's
 * writer. Every function returns 0 (or what it says) or a negative errno:
 *
 *   -ENOENT  a definite "no such row", and nothing else
 *   -EAGAIN  the database stayed locked by another process for the whole budget
 *   -ENOSPC, -EROFS, -EFBIG, -ENOMEM, -EINTR  as SQLite said
 *   -EIO     anything else, corruption and nonsense in a row included; the log has the details
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "util/error.h"
#include "util/log.h"

#define CAIRN_ROOT_INO      1U
#define CAIRN_NAME_MAX      255U        /* bytes, as NAME_MAX in <linux/limits.h> */
#define CAIRN_SYMLINK_MAX   4095U       /* bytes without the NUL, PATH_MAX - 1 */
#define CAIRN_CHUNK_MAX     (16U << 20) /* bytes; a larger chunk_size is refused */
#define CAIRN_FILE_SIZE_MAX INT64_MAX   /* bytes, 2^63-1 */
#define CAIRN_XATTR_MAX     65536U      /* bytes of a value, XATTR_SIZE_MAX in <linux/limits.h> */
#define CAIRN_INO_MAX       ((uint64_t)INT64_MAX) /* a rowid */

#define CAIRN_DENTRY_ID_MAX (INT64_MAX / 2)

struct cairn_attr {
	uint64_t ino;
	uint32_t mode; /* type and permissions, as in stat(2) */
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint64_t rdev;
	int64_t size;      /* bytes */
	int64_t allocated; /* bytes that are not holes; the core's, not in the row */
	struct timespec atime;
	struct timespec mtime;
	struct timespec ctime;
};

/* One row of fs_dentry, joined with the inode it names. `name` is not terminated and, like
 * `attr`, valid only until the function or callback that received it returns. */
struct cairn_dentry_row {
	uint64_t id; /* fs_dentry.id: unique, never used twice; the position in a listing */
	uint64_t ino;
	const char *name;
	size_t name_len;
	bool has_attr; /* false: not asked for, or the entry dangles */
	struct cairn_attr attr;
};

/* Callbacks of the scanning functions: 0 goes on, anything else ends the scan and is returned. */
typedef int (*cairn_dentry_fn)(void *arg, const struct cairn_dentry_row *row);
typedef int (*cairn_chunk_fn)(void *arg, int64_t index, const void *data, size_t len);
typedef int (*cairn_xattr_fn)(void *arg, const char *name);
typedef int (*cairn_ino_fn)(void *arg, uint64_t ino);

/* Tables whose row numbers are leased in blocks, see lease(). */
enum cairn_sequence {
	CAIRN_SEQUENCE_INODE,
	CAIRN_SEQUENCE_DENTRY,
	CAIRN_SEQUENCE_COUNT,
};

enum cairn_checkpoint {
	CAIRN_CHECKPOINT_PASSIVE, /* copies what no reader is in the way of */
	CAIRN_CHECKPOINT_RESTART, /* also waits a moment for the readers of one query, and is 0
				   * only when the next commit starts the WAL over */
	CAIRN_CHECKPOINT_ALL,     /* waits, so that the database file alone has everything */
};

/* What other processes have done to the database. */
enum cairn_foreign {
	CAIRN_FOREIGN_NONE,  /* nothing */
	CAIRN_FOREIGN_OTHER, /* committed to tables that hold no files: kv_store, their own */
	CAIRN_FOREIGN_BASE,  /* what lies under the workspace has changed, not the workspace itself
			      */
	CAIRN_FOREIGN_FILES, /* committed, and files may have changed */
};

struct cairn_space {
	uint64_t used;      /* bytes of pages in use: the database less its free list */
	uint64_t file_size; /* bytes of the database, free list included */
};

struct cairn_stats;
struct cairn_reader; /* one read connection; its layout is the engine's */
struct cairn_store;

struct cairn_store_ops {
	/* Readers. Each call sees one committed state, at least as new as the last commit(),
	 * begin() or foreign() that returned before the call began. A reader keeps that state until
	 * there is a newer one or it is told to rest, and a checkpoint gets no further than the
	 * oldest. */
	int (*reader_open)(struct cairn_store *store, struct cairn_reader **ret);
	void (*reader_close)(struct cairn_reader *reader);
	void (*reader_rest)(struct cairn_reader *reader);

	int (*inode_get)(struct cairn_reader *reader, uint64_t ino, struct cairn_attr *ret);
	/* The entry `name` of directory `parent`; ret->name is left NULL. */
	int (*dentry_get)(struct cairn_reader *reader, uint64_t parent, const char *name,
			  size_t name_len, struct cairn_dentry_row *ret);
	/* All entries of a directory, in no set order; one JOIN where `with_attr`. Rows whose name
	 * no path can hold are logged and passed over. */
	int (*dentry_scan)(struct cairn_reader *reader, uint64_t parent, bool with_attr,
			   cairn_dentry_fn fn, void *arg);
	/* How many entries name this inode. Reads the whole table: for repair, not for daily use.
	 */
	int (*dentry_count)(struct cairn_reader *reader, uint64_t ino, uint32_t *ret);
	/* One of the entries that name this inode: its directory, and its name, NUL-terminated. As
	 * slow. */
	int (*dentry_name)(struct cairn_reader *reader, uint64_t ino, uint64_t *ret_parent,
			   char ret_name[CAIRN_NAME_MAX + 1]);
	/* The id of an entry that is about to be added. NULL: the row's, which is leased. */
	uint64_t (*dentry_id)(struct cairn_store *store, const char *name, size_t name_len);
	/* The target as a new NUL-terminated string, free() it. */
	int (*symlink_get)(struct cairn_reader *reader, uint64_t ino, char **ret);
	/* The stored chunks with first <= index <= last, in order; `data` is at most a chunk. */
	int (*data_read)(struct cairn_reader *reader, uint64_t ino, int64_t first, int64_t last,
			 cairn_chunk_fn fn, void *arg);
	/* The same without the bytes: data is NULL, len 0. */
	int (*data_scan)(struct cairn_reader *reader, uint64_t ino, int64_t first, int64_t last,
			 cairn_chunk_fn fn, void *arg);
	/* The value as a new buffer, free() it; *ret_len bytes. -ENOENT if there is none. */
	int (*xattr_get)(struct cairn_reader *reader, uint64_t ino, const char *name, void **ret,
			 size_t *ret_len);
	int (*xattr_scan)(struct cairn_reader *reader, uint64_t ino, cairn_xattr_fn fn, void *arg);
	/* Inodes that were unlinked while in use and whose mount ended before it could reap them.
	 */
	int (*orphan_scan)(struct cairn_reader *reader, cairn_ino_fn fn, void *arg);
	int (*space)(struct cairn_reader *reader, struct cairn_space *ret);

	/* The inode is used by nobody above: neither referred to nor being changed. Any thread. May
	 * be NULL. */
	void (*forget)(struct cairn_store *store, uint64_t ino);

	/* The write side. begin() takes the write lock, waiting busy_timeout_ms and no longer. */
	int (*begin)(struct cairn_store *store);
	int (*commit)(struct cairn_store *store);
	void (*rollback)(struct cairn_store *store); /* harmless outside a transaction */
	/* Everything committed so far is on the disk when this returns. */
	int (*sync)(struct cairn_store *store);
	/* Moves what is in the WAL into the database, while nobody writes. -EAGAIN while another
	 * process does, or where readers were in the way of what was asked for. ALL waits for
	 * either, busy_timeout_ms at most. */
	int (*checkpoint)(struct cairn_store *store, enum cairn_checkpoint how);
	/* Bytes in the WAL after the last commit, by anyone as far as foreign() has seen it; 0
	 * when the next one starts over. For any thread. */
	uint64_t (*wal_size)(struct cairn_store *store);
	/* Writes who it is that keeps the WAL from starting over, for the log: names of other
	 * processes with commas between them, or "" where they cannot be told. */
	void (*wal_readers)(struct cairn_store *store, char *buf, size_t size);
	/* What others have committed since the last call; works inside a transaction, too, and then
	 * tells all that came before it. */
	int (*foreign)(struct cairn_store *store, enum cairn_foreign *ret);
	/* -EIO when the path no longer names the file that is open: it was deleted or replaced. */
	int (*present)(struct cairn_store *store);
	/* Reserves `count` numbers of a table's AUTOINCREMENT sequence: *ret_first and up. */
	int (*lease)(struct cairn_store *store, enum cairn_sequence which, uint64_t count,
		     uint64_t *ret_first);

	/* Comes after begin(), for each inode with a row that the batch changes: its attributes as
	 * they were before the first change. They live until the transaction ends. May be NULL. */
	int (*before)(struct cairn_store *store, const struct cairn_attr *attr);
	/* With attr->ino 0 the row gets the next number of the sequence; so does an entry with id
	 * 0. */
	int (*inode_insert)(struct cairn_store *store, const struct cairn_attr *attr);
	/* -ENOENT when the row is gone (another process deleted it). */
	int (*inode_update)(struct cairn_store *store, const struct cairn_attr *attr);
	/* The inode with its data, target, attributes and orphan mark. */
	int (*inode_delete)(struct cairn_store *store, uint64_t ino, uint32_t mode);
	/* Adds the entry, or gives an existing one of that name this id and inode. */
	int (*dentry_put)(struct cairn_store *store, uint64_t parent, const char *name,
			  size_t name_len, uint64_t id, uint64_t ino);
	int (*dentry_delete)(struct cairn_store *store, uint64_t parent, const char *name,
			     size_t name_len);
	int (*symlink_put)(struct cairn_store *store, uint64_t ino, const char *target);
	int (*data_put)(struct cairn_store *store, uint64_t ino, int64_t index, const void *data,
			size_t len);
	int (*data_delete)(struct cairn_store *store, uint64_t ino, int64_t index);
	/* Deletes all chunks with index >= first. */
	int (*data_cut)(struct cairn_store *store, uint64_t ino, int64_t first);
	int (*xattr_put)(struct cairn_store *store, uint64_t ino, const char *name,
			 const void *value, size_t len);
	int (*xattr_delete)(struct cairn_store *store, uint64_t ino, const char *name);
	int (*orphan_put)(struct cairn_store *store, uint64_t ino);

	/* Closes every connection; no reader may be open. */
	void (*close)(struct cairn_store *store);
};

struct cairn_branch_ops;
struct cairn_undo_ops;
struct cairn_base_above;

struct cairn_store {
	const struct cairn_store_ops *ops;
	const struct cairn_branch_ops *branch; /* branch.h; NULL where there is no base */
	const struct cairn_undo_ops *undo;     /* undo.h; of a store that shows more, see `own` */
	/* Where this store shows more than one: that of the workspace file, and the path of its
	 * base. Both live as long as this. */
	struct cairn_store *own;
	const char *base_path;
	size_t chunk_size; /* bytes, 1 ... CAIRN_CHUNK_MAX, fixed when the workspace was made */
	bool read_only;
	bool frozen;     /* read without locks: what others commit is not seen */
	bool has_xattrs; /* some inode had extended attributes when the store was opened */
	/* Called again and again by the write side while it waits for another process's lock; that
	 * process may in turn wait for readers to rest. May be NULL. */
	void (*on_busy)(void *arg);
	void *on_busy_arg;
	const struct cairn_stats *stats; /* what the engine counts, or NULL */
};

#define CAIRN_COPY_WHOLE     (1U << 20)
#define CAIRN_COPY_WHOLE_MAX (64U << 20)

/* Whoever works with a workspace so that no other may, a mount above all, holds a write lock on the
 * file of this name beside it (mount/mark.h), from byte 0 on; who writes, on this byte too. */
#define CAIRN_MARK_SUFFIX     "-mount"
#define CAIRN_MARK_WRITE_BYTE 1

/* All that is written from opening a store to closing it, as one transaction. */
struct cairn_one_transaction {
	bool keep; /* set by the owner when everything is written, and good */
	int error; /* why it can no longer be kept; set by the store */
};

struct cairn_store_options {
	bool read_only;
	/* Make no checkpoint while another process holds the mark for writing: it makes them. For
	 * whoever does not hold the mark. */
	bool yield_checkpoints;
	uint64_t wal_limit; /* bytes of the WAL at which changes of keys (kv.h) wait; 0: never */
	unsigned int busy_timeout_ms; /* how long a call waits for a lock before it retries */
	const struct cairn_log *log;  /* may be NULL; must outlive the store */
	/* Not NULL: the first begin() begins the one transaction; commit() is a mark in it, and
	 * readers see what is written up to now, nobody else does. checkpoint(ALL), or close(),
	 * ends it: with one->keep set it is committed, else, and after a rollback(), nothing was
	 * written. Must outlive the store. */
	struct cairn_one_transaction *one;
	/* Readers see the state of the database at their first question, whatever comes after.
	 * There can be one reader only. */
	bool one_moment;
	/* For cairn_store_open() (base/overlay.h). The strings are needed only during the call. */
	const char *base;               /* in the place of the base that the workspace names */
	const char *const *base_ignore; /* see struct cairn_base_options */
	size_t base_ignore_count;
	const struct cairn_base_above *above; /* the overlays that it lies under */
	const char *mount_point;              /* see struct cairn_base_options */
	/* Files of the base up to this size, in bytes, are copied whole when their data are first
	 * changed, larger ones chunk by chunk; 0: CAIRN_COPY_WHOLE. */
	size_t copy_whole;
};

#define CAIRN_BASE_IGNORE_MAX 65536U

struct cairn_init_options {
	size_t chunk_size; /* bytes; 0: CAIRN_DEFAULT_CHUNK_SIZE */
	size_t page_size;  /* bytes, a power of two 512 ... 65536; 0: CAIRN_DEFAULT_PAGE_SIZE */
	bool force;        /* replace what stands at the path */
	/* An absolute path: what the workspace is a branch of. NULL: nothing. */
	const char *base;
	/* What of a base directory is never shown, a pattern (see struct cairn_base_options) a
	 * line; NULL: all is. Up to CAIRN_BASE_IGNORE_MAX bytes. */
	const char *base_ignore;
	/* The attributes of its root directory; NULL: those of the caller's own. With a base. */
	const struct cairn_attr *root;
};

/* The defaults of new workspaces, by measurement (docs/performance.md): larger pages cost less time
 * a byte, but small commits write more, and a source tree takes more than 1.1 times its bytes with
 * pages of 16 KiB. Larger chunks gain little and make a small change of a large file dearer. */
#define CAIRN_DEFAULT_CHUNK_SIZE 65536U
#define CAIRN_DEFAULT_PAGE_SIZE  8192U

/* What a workspace file says about itself. */
struct cairn_store_info {
	char schema_version[16];
	size_t chunk_size;  /* bytes */
	size_t page_size;   /* bytes */
	uint64_t file_size; /* bytes of the database file */
	uint64_t used;      /* bytes of pages in use */
	uint64_t wal_size;  /* bytes of the write-ahead log beside it */
	uint64_t inodes;
	uint64_t data_bytes; /* sum of the sizes of regular files */
	char *base_path;     /* NULL where the workspace has no base; free() it */
	char *base_ignore;   /* see struct cairn_init_options; free() it */
};

/* Opens the workspace at `path`, checks that it is one, and brings it to the current format where
 * it is an older one (not when read_only). `err` says what is wrong in words. The owner closes it
 * with store->ops->close(). -ENOENT no file, -EINVAL not a workspace or a newer one, -EROFS not
 * writable, -EBUSY locked by another process, -EIO corrupt, or what open(2) said. Of an overlay
 * this is its own layer, which is not the tree that its user knows: see cairn_store_open() in
 * base/overlay.h. */
int cairn_sqlite_store_open(const char *path, const struct cairn_store_options *options,
			    struct cairn_store **ret, struct cairn_error *err);

/* Makes an empty workspace. It appears at `path` whole or not at all. -EEXIST if something stands
 * there and !force. */
int cairn_sqlite_store_init(const char *path, const struct cairn_init_options *options,
			    struct cairn_error *err);

/* Reads `path` without changing it. Free ret->base_path and ret->base_ignore. */
int cairn_sqlite_store_info(const char *path, struct cairn_store_info *ret,
			    struct cairn_error *err);
