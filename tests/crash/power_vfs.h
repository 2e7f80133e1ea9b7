/* A SQLite VFS on which the power can fail.
 *
 * It stands over the system's own VFS and becomes the default one. For each file it keeps what is
 * on the disk for certain (what was synced) and what was written since. power_vfs_cut() makes a
 * directory as a power cut right now could leave it: of what was not synced, each 512-byte sector
 * is there or not by chance, whatever the order of writing, and a file that was made or removed
 * since its directory was synced may be back as it was before. The program goes on undisturbed, so
 * one run takes many cuts.
 *
 * That a directory is synced is seen at the system call by which SQLite opens directories, which
 * it does for nothing else. Shared memory (the -shm) does not survive. */
#pragma once

#include <stdint.h>

#include "listing.h"

/* Called at moments at which the power may fail: before and after each write, sync and so on. No
 * other thread is inside the VFS meanwhile. It may call power_vfs_cut(). */
typedef void (*power_moment_fn)(void *arg);

struct power_counts {
	uint64_t writes, syncs, directory_syncs, truncates, removals;
	uint64_t database_syncs; /* of files that are no write-ahead log: checkpoints */
};

/* All files of the process that SQLite opens from now on are watched. One at a time. */
void power_vfs_start(power_moment_fn fn, void *arg);
/* No file may be open. */
void power_vfs_stop(struct power_counts *ret);

/* Writes the files that survive into the directory `into`. -errno. */
int power_vfs_cut(struct rng *rng, const char *into);
