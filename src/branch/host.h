/* A directory of the host as what branches are accepted into: the inside, shared by host_*.c.
 *
 *	host_open.c	the hidden folder and its lock
 *	host_path.c	going to a place below the directory, and moving what lies there
 *	host_attr.c	owners, modes, times and extended attributes
 *	host_step.c	the steps that a change of the directory is made of
 *	host_journal.c	steps as a file, and back; hostile files are -EINVAL
 *	host_run.c	carrying steps out, all or none; what a crash left; records
 *	host_stage.c	making new files beside their place
 *	host_links.c	the other names of files that lose one
 *	host_plan.c	the changes of a branch as steps; host_plan.h tells of its other files
 *	host_check.c	how a record leaves things, and whether they are still so
 *	host_where.c	where what a record moves is, before and after
 *	host_turn.c	a record turned round
 *
 * The hidden folder CAIRN_BASE_HIDDEN at the top of the directory holds
 *
 *	lock		held (flock(2)) by whoever works here; the number of the latest record
 *	kept/N-K	made for record N and not yet at its place, or moved away from there
 *	journal.new	steps that are being written: nothing was done yet
 *	journal		steps that are being carried out, and will be
 *	journal.back	steps that could not be carried out, and are being taken back
 *	records/N	steps that were carried out, and can be taken back
 *	records/N.undone	that has been done; what it kept is another record's by now
 *	records/N.dropped	it is being forgotten
 *
 * Everything new lies in kept/ and is on the disk before `journal` gets its name, which is when the
 * change is made. Each step then moves one thing between kept/ and its place, or sets what can be
 * set again, and finds out by itself whether it was done: so all of them can be gone through again
 * from the beginning, and backwards from the end, whatever was done before.
 *
 * Paths are from the top, "/a/b"; no symbolic link is followed, and no mount entered. Functions
 * return 0 or a negative errno, with words in `err` where they take one. One thread. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/base.h"
#include "branch/host_step.h"
#include "branch/names.h"
#include "store/undo.h"
#include "util/error.h"
#include "util/macro.h"

#define CAIRN_HOST_JOURNAL "journal"
#define CAIRN_HOST_WRITING "journal.new"
#define CAIRN_HOST_BACK    "journal.back"

struct cairn_host {
	char *path;                      /* as it was opened, for the words */
	int root;                        /* O_RDONLY */
	int folder, kept, records, lock; /* -1: there is none yet */
	uint64_t dev, mount;             /* of the root */
	int64_t last;                    /* the latest record that was begun */
	unsigned int files;              /* in kept/, of that record */
	bool exchanges;                  /* two names can change places in one call */
	bool sync_each;                  /* few files: each is synced; else the file system is */
	bool strict;                     /* what is not as the steps say is an error */
};

/* host_open.c. Opens the directory and, if there is one, the folder, without a lock: records may be
 * listed. -EPERM with words where the folder is another user's, who could have put anything there.
 */
int cairn_host_open(const char *path, struct cairn_host *ret, struct cairn_error *err);
/* Makes the folder where it is missing, and takes the lock: with `wait`, when others are done, else
 * -EAGAIN. */
int cairn_host_lock(struct cairn_host *host, bool wait, struct cairn_error *err);
/* Reads the number of the latest record that was begun. */
int cairn_host_read_last(struct cairn_host *host);
/* Begins the next record. */
int cairn_host_next(struct cairn_host *host, struct cairn_error *err);
void cairn_host_close(struct cairn_host *host);

/* host_path.c. A place: the directory that it lies in, and its name there. */
struct cairn_host_at {
	int dir; /* O_PATH; owned */
	char name[NAME_MAX + 1];
};
#define CAIRN_HOST_NOWHERE                                                                         \
	{                                                                                          \
		.dir = -1                                                                          \
	}
void cairn_host_atp(const struct cairn_host_at *at);
/* Opens the directory of a path; "/" itself is the name "." there. -EXDEV behind a mount. */
int cairn_host_find(const struct cairn_host *host, const char *path, struct cairn_host_at *ret);
/* The same below kept/, without the slash in front. */
int cairn_host_find_kept(const struct cairn_host *host, const char *path,
			 struct cairn_host_at *ret);
/* What lies there. -EXDEV for another file system's. */
int cairn_host_stat(const struct cairn_host *host, const struct cairn_host_at *at,
		    struct stat *ret);
int cairn_host_stat_path(const struct cairn_host *host, const char *path, struct stat *ret);
int cairn_host_stat_kept(const struct cairn_host *host, const char *file, struct stat *ret);
/* Moves, onto nothing: -EEXIST. */
int cairn_host_move(int from_dir, const char *from, int to_dir, const char *to);
int cairn_host_exchange(int a_dir, const char *a, int b_dir, const char *b);
/* Opens what lies there as it is, never through a link. */
int cairn_host_open_at(const struct cairn_host_at *at, int flags);
/* Removes a name with all below it, in the one file system; what is gone is no error. */
int cairn_host_remove(int dir, const char *name);
/* Calls `fn` for each name in a directory. */
typedef int (*cairn_host_name_fn)(void *arg, const char *name);
int cairn_host_list(int dir, const char *name, cairn_host_name_fn fn, void *arg);
/* -EBUSY where something is mounted below the directory. */
int cairn_host_no_mounts(const struct cairn_host *host, const struct cairn_host_at *at);

/* host_attr.c. What branches know of extended attributes. */
int cairn_host_xattrs_get(const struct cairn_host_at *at, struct cairn_xattr_list *ret);
/* Makes them these, and no other. -EPERM and -EOPNOTSUPP: some could not be set, the others are. */
int cairn_host_xattrs_set(const struct cairn_host_at *at, const struct cairn_xattr_list *list);
bool cairn_host_xattrs_equal(const struct cairn_xattr_list *a, const struct cairn_xattr_list *b);
int cairn_host_attr_set(const struct cairn_host_at *at, const struct cairn_host_attr *attr);
int cairn_host_mtime_set(const struct cairn_host_at *at, const struct timespec *mtime);
/* Copies the bytes of one open file over another's, as a share where the file system can. */
int cairn_host_copy(int from, int to, int64_t size);

/* host_journal.c. Writes the file in a directory, and syncs it. */
int cairn_host_journal_write(int dir, const char *name, const struct cairn_steps *steps);
/* -ENOENT; -EINVAL for what nobody here has written. With `head`, of the first line alone. */
int cairn_host_journal_read(int dir, const char *name, bool head, struct cairn_steps *ret);

/* host_run.c. Carries the steps out, when all that they need is in kept/: all or none, and for a
 * failure whose cause lies at a path, `err` names it. */
int cairn_host_run(struct cairn_host *host, const struct cairn_steps *steps,
		   struct cairn_error *err);
/* Whether a crash has left something, unless somebody is still at it. */
bool cairn_host_was_left(struct cairn_host *host);
/* Ends what a crash has left, with the lock held. */
int cairn_host_recover(struct cairn_host *host, struct cairn_error *err);
/* Removes what was made for the record that was begun, which comes to nothing. */
void cairn_host_abandon(struct cairn_host *host);

/* host_plan.c: makes all that is new in kept/, and the steps. */
struct cairn_branch;
struct cairn_changes;
struct cairn_left_out;
int cairn_host_plan(struct cairn_host *host, struct cairn_branch *branch,
		    const struct cairn_changes *changes, struct cairn_steps *steps,
		    struct cairn_left_out *left, struct cairn_error *err);

/* host_check.c: what is no longer as the record left it. */
typedef int (*cairn_host_changed_fn)(void *arg, const char *path);
int cairn_host_changed(const struct cairn_host *host, const struct cairn_steps *record,
		       cairn_host_changed_fn fn, void *arg);
/* Notes what lies in kept/, with all in it, as what it will be at its path. */
int cairn_host_note_kept(const struct cairn_host *host, const char *file, const char *path,
			 struct cairn_steps *steps);
void cairn_host_note_fill(struct cairn_host_note *note, const struct stat *st);
/* The notes of a record by path. */
int cairn_host_noted(const struct cairn_steps *record, struct cairn_names *ret);

/* host_turn.c: the steps that take a record back. */
int cairn_host_turn(struct cairn_host *host, const struct cairn_steps *record,
		    struct cairn_steps *ret, struct cairn_error *err);
