/* The mark of a live mount: the file `<database>-mount` beside a workspace.
 *
 * It keeps two daemons from serving one workspace and tells a person who does. What counts is the
 * write lock on the file (an open file description lock, fcntl(2)), held as long as the daemon
 * lives and gone with it however it ends; a file without the lock is left over and blocks nobody.
 * Testing such a lock does not take it, so that a reader never gets in the way of a mount. A
 * read-only holder locks one byte less (store.h), by which others know that it makes no
 * checkpoints.
 *
 * The file holds JSON: {"pid", "directory", "workspace", "started"}, "private_directory" and
 * "private_pid" of a mount that not everybody sees, and "error" where a daemon left its last words.
 * Its name is derived from the real path of the database, so that all spellings of one workspace
 * and all symbolic links to it meet in one mark. */
#pragma once

#include <stdbool.h>

#include "util/error.h"

struct cairn_mark;

struct cairn_mark_info {
	bool live; /* someone holds the lock */
	int pid;   /* in the holder's PID namespace; 0: not known */
	char *directory;
	char *workspace;
	char *started; /* local time, ISO 8601 */
	char *error;   /* what a daemon that is gone could not write */
	/* A mount that only one process and its children see, and the number of that; see
	 * private.h. NULL and 0 where there is none. */
	char *private_directory;
	int private_pid;
};

/* Takes the mark of an existing workspace for this process. `directory` is where it is mounted
 * (NULL: the workspace is in use otherwise). -EBUSY while another holds it; `err` names the
 * holder's pid and directory. Where no file can be made, a read-only mount goes without: 0 and
 * NULL. */
int cairn_mark_take(const char *workspace, const char *directory, bool read_only,
		    struct cairn_mark **ret, struct cairn_error *err);

/* Says in the mark that the workspace is mounted on `directory` as the process `pid` sees it.
 * `mark` may be NULL. -ENOMEM. */
int cairn_mark_set_private(struct cairn_mark *mark, const char *directory, int pid);

/* Gives the mark up and frees it; the file goes too, unless `last_words` (may be NULL) are left in
 * it. `mark` may be NULL. */
void cairn_mark_release(struct cairn_mark *mark, const char *last_words);

static inline void cairn_mark_releasep(struct cairn_mark **mark)
{
	cairn_mark_release(*mark, NULL);
}

/* Reads the mark of an existing workspace. The strings that are not known are NULL; the caller
 * frees them with cairn_mark_info_done(). -ENOENT when there is no mark. */
int cairn_mark_read(const char *workspace, struct cairn_mark_info *ret);

void cairn_mark_info_done(struct cairn_mark_info *info);

/* Says in `err` that the workspace is mounted on `directory` (NULL: in other use) by `pid` (0: not
 * known). The value is -EBUSY. */
int cairn_mark_busy(const char *workspace, int pid, const char *directory, struct cairn_error *err);
