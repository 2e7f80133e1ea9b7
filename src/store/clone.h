/* Copies of whole workspaces: one file each, with the WAL folded in, equal to one moment of the
 * original. The original may be mounted and written to meanwhile; nobody waits for the copy, and
 * nothing of the original changes.
 *
 * Where the file system can share blocks between files (XFS, btrfs: FICLONE, ioctl_ficlone(2)) a
 * copy takes no room and next to no time; elsewhere the kernel copies (copy_file_range(2)).
 *
 * The calling process must have no other connection to the original, and no other thread may use
 * one: the files are opened beside SQLite, and closing them drops its locks (see probe.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "store/draft.h"
#include "util/error.h"

struct cairn_clone_options {
	bool force; /* replace what stands at the path */
	unsigned int busy_timeout_ms;
	/* Called often, with bytes done and of all; may be NULL. Other than 0 ends the copy, which
	 * returns it. */
	int (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

struct cairn_clone_result {
	uint64_t size; /* bytes of the copy */
	bool shared;   /* it shares its blocks with the original */
};

/* Copies the workspace at `from` to `to`: whole, synced to the disk, or not at all. The copy has
 * the permissions of the original, less the umask. Errors, with words: those of opening a workspace
 * (store.h) and of cairn_draft_begin(); -EAGAIN `from` stayed locked. */
int cairn_clone(const char *from, const char *to, const struct cairn_clone_options *options,
		struct cairn_clone_result *ret, struct cairn_error *err);

/* The same into a draft that the caller has begun, and places. `force` does not count. */
int cairn_clone_fill(const char *from, struct cairn_draft *draft,
		     const struct cairn_clone_options *options, struct cairn_clone_result *ret,
		     struct cairn_error *err);

/* stat(2) of a file that may be a workspace; the words of a failure are those of opening one. */
int cairn_clone_stat(const char *from, struct stat *ret, struct cairn_error *err);
