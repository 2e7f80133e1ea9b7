/* The writer: the one thread that owns the write connection.
 *
 * It swaps the running batch out when a change has waited for commit_interval_ms, when the batch
 * has grown to a share of max_dirty, or when somebody waits for durability; writes it in one
 * transaction; then drops the in-core copies. A batch that cannot be written is kept and tried
 * again: while another process holds the lock callers notice nothing but back-pressure, and on
 * any other failure the mount is in trouble: mutations and fsync get the errno until a commit
 * succeeds. The same thread makes all checkpoints and reserves the leases. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/lock.h"

struct cairn_core;
struct cairn_fsync;

struct cairn_writer {
	pthread_t thread;
	bool started;

	struct cairn_mutex lock; /* guards all below */
	pthread_cond_t work;     /* to the writer: something to do */
	/* From the writer, each for its own crowd: of those who wait for durability there may be
	 * many, and who is woken for nothing takes a processor from them. */
	pthread_cond_t committed_moved; /* or an attempt failed */
	pthread_cond_t synced_moved;    /* or an attempt failed */
	pthread_cond_t room;            /* memory, numbers, or trouble that came or went */
	pthread_cond_t looked;          /* polled has moved, or a commit begins */
	bool stop;
	bool want_lease;
	uint64_t want_commit;       /* commit batches up to this one now */
	uint64_t want_sync;         /* and sync them */
	uint64_t committed;         /* the last batch in the database */
	uint64_t synced;            /* the last batch on the disk */
	uint64_t failures;          /* attempts that failed, ever */
	int failure;                /* why the last of them did */
	struct cairn_fsync *fsyncs; /* to be answered, in their order */
	bool answering;             /* some of them are just being */
	uint64_t deadline;  /* when the running batch has waited long enough; 0: it is empty */
	uint64_t want_poll; /* calls of cairn_core_refresh() */
	bool committing;    /* a batch is being written; the look at others comes with it */
	uint64_t polled;    /* the last of them that was answered */

	/* Why the last attempt failed; 0 when it did not, or found the database busy. Written by
	 * the writer, read by anyone. */
	atomic_int trouble;

	/* The writer thread's own: */
	void *scratch;       /* one chunk */
	int result;          /* of the last round; negative when changes were given up */
	bool foreign;        /* others have changed files, and no commit of ours has met that yet */
	bool foreign_base;   /* what lies under the workspace has changed during a commit */
	bool absent;         /* the file was not where it should be at the last look */
	uint64_t next_poll;  /* when to look what others did, monotonic ns */
	uint64_t idle_since; /* the last commit, monotonic ns */
	bool wal_settled;    /* checkpointed while idle, and nothing written since */
	unsigned int wal_full;   /* attempts in a row that found the log at its limit */
	uint64_t wal_restart_at; /* bytes at which to try again to start the log over */
};

int cairn_writer_init(struct cairn_core *core);
int cairn_writer_start(struct cairn_core *core);
/* Commits what is left, checkpoints and ends the thread. The errno if changes are lost. */
int cairn_writer_stop(struct cairn_core *core);
void cairn_writer_destroy(struct cairn_core *core);

/* Batch `seq` has changed: it commits within the commit interval, or now if it has grown. */
void cairn_writer_dirty(struct cairn_core *core, uint64_t seq);
/* Waits until batch `seq` is committed, or synced. The errno of an attempt that failed since. */
int cairn_writer_wait(struct cairn_core *core, uint64_t seq, bool sync);
/* Waits until there is room under max_dirty and, with `numbers`, until the leases have numbers. */
int cairn_writer_admit(struct cairn_core *core, bool numbers);
