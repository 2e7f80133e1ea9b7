/* What a mount is asked to do: the options of `cairnfs mount -o`, parsed (see mount/options.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum cairn_atime {
	CAIRN_NOATIME,     /* reads never change atime */
	CAIRN_RELATIME,    /* a read moves atime when it is not after mtime/ctime, or a day old */
	CAIRN_STRICTATIME, /* every read moves atime */
};

/* What an operation other than fsync waits for before it returns. */
enum cairn_durability {
	CAIRN_DURABILITY_ASYNC,  /* nothing: written within the commit interval */
	CAIRN_DURABILITY_COMMIT, /* its commit: survives a crash of the mount */
	CAIRN_DURABILITY_FULL,   /* its sync: survives a power cut */
};

/* With less room for changes than this, in bytes, one operation might wait for itself. */
#define CAIRN_MAX_DIRTY_LEAST (UINT64_C(64) << 10)

/* A smaller write-ahead log, in bytes, would be copied home after nearly every commit. */
#define CAIRN_WAL_LIMIT_LEAST (UINT64_C(1) << 20)

struct cairn_core_options {
	bool read_only;
	/* Leave inodes alone that were unlinked while in use: a mount in another process may still
	 * use them. For whoever does not hold the mark of the workspace. */
	bool keep_orphans;
	enum cairn_atime atime;
	enum cairn_durability durability;
	unsigned int commit_interval_ms; /* longest time a change waits for its commit to begin */
	uint64_t max_dirty;              /* bytes of changes kept in memory before callers wait */
	uint64_t wal_limit;    /* bytes of the write-ahead log at which commits wait for readers */
	uint64_t quota;        /* bytes the workspace may take; 0: no limit */
	int64_t max_file_size; /* bytes of one file; CAIRN_FILE_SIZE_MAX: no limit */

	/* Called in the writer thread, with no lock held, when another process has changed files:
	 * what anyone was told before may be old. May be NULL; must not call the core. */
	void (*on_foreign)(void *arg);
	/* Called in a thread of a caller's, with no lock held, before it waits for the writer. May
	 * be NULL; must not call the core. */
	void (*on_wait)(void *arg);
	void *hook_arg; /* of both */
};

#define CAIRN_CORE_OPTIONS_DEFAULT                                                                 \
	{                                                                                          \
		.atime = CAIRN_NOATIME, .durability = CAIRN_DURABILITY_ASYNC,                      \
		.commit_interval_ms = 1000, .max_dirty = UINT64_C(64) << 20,                       \
		.wal_limit = UINT64_C(1) << 30, .max_file_size = INT64_MAX,                        \
	}
