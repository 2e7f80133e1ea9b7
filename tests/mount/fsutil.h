/* What the mount tests do with files: assertions on system calls, whole files in one call,
 * attributes and times, and calls made as somebody else.
 *
 * Helpers return like system calls do (-1 and errno), so that `must()` reports the caller's line.
 */
#ifndef CAIRN_TEST_FSUTIL_H
#define CAIRN_TEST_FSUTIL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "../lib/mount_fixture.h"

enum {
	ALICE = 12001, /* two users, and groups of the same numbers, that nobody else is */
	BOB = 12002,
};

/* The call succeeds; gives its result. */
#define must(expr)                                                                                 \
	({                                                                                         \
		__typeof__(expr) must_result_ = (expr);                                            \
		int must_errno_ = errno;                                                           \
		cr_assert(must_result_ != (__typeof__(expr))-1, "%s: %s", #expr,                   \
			  strerror(must_errno_));                                                  \
		must_result_;                                                                      \
	})

/* The call returns -1 and sets errno to `error`. */
#define fails_with(error, expr)                                                                    \
	do {                                                                                       \
		errno = 0;                                                                         \
		bool failed_ = (expr) == -1;                                                       \
		int fails_errno_ = errno;                                                          \
		cr_assert(failed_, "%s: succeeds, wanted %s", #expr, strerror(error));             \
		cr_assert_eq(fails_errno_, error, "%s: %s, wanted %s", #expr,                      \
			     strerror(fails_errno_), strerror(error));                             \
	} while (0)

/* 0, or the errno the call sets when a child process with the given identity makes it. */
#define errno_in(fork_call, expr)                                                                  \
	({                                                                                         \
		pid_t child_ = (fork_call);                                                        \
		if (child_ == 0)                                                                   \
			_exit((expr) == -1 ? errno : 0);                                           \
		fx_wait(child_);                                                                   \
	})
#define errno_as(uid, expr) errno_in(fx_fork_as(uid, uid), expr)

/* The call succeeds for another user, fails for it with `error`. */
#define must_as(uid, expr)                                                                         \
	do {                                                                                       \
		int as_errno_ = errno_as(uid, expr);                                               \
		cr_assert_eq(as_errno_, 0, "%s: %s", #expr, strerror(as_errno_));                  \
	} while (0)
#define fails_as(uid, error, expr)                                                                 \
	do {                                                                                       \
		int as_errno_ = errno_as(uid, expr);                                               \
		cr_assert_eq(as_errno_, error, "%s: %s, wanted %s", #expr, strerror(as_errno_),    \
			     strerror(error));                                                     \
	} while (0)

/* What the call does to the times of `name`: tells whether the one named by the field moved on. */
#define moves_time(field, name, expr)                                                              \
	({                                                                                         \
		struct stat before_ = stat_of(name), after_;                                       \
		tick();                                                                            \
		must(expr);                                                                        \
		after_ = stat_of(name);                                                            \
		cr_assert(!later(before_.field, after_.field), "%s: goes back: %s", #field,        \
			  #expr);                                                                  \
		later(after_.field, before_.field);                                                \
	})
#define moves_atime(name, expr) moves_time(st_atim, name, expr)
#define moves_mtime(name, expr) moves_time(st_mtim, name, expr)
#define moves_ctime(name, expr) moves_time(st_ctim, name, expr)

/* Waits until it is so, for some 10 s. */
#define eventually(condition)                                                                      \
	do {                                                                                       \
		int left_ = PATIENCE;                                                              \
		while (!(condition) && --left_ > 0)                                                \
			tick();                                                                    \
		cr_assert_gt(left_, 0, "never: %s", #condition);                                   \
	} while (0)
enum { PATIENCE = 833 }; /* ticks */

/* Attributes, not following a symlink. Fails the test where there is no such name. */
struct stat stat_of(const char *name);
struct stat fstat_of(int fd);
bool exists(const char *name);
mode_t mode_of(const char *name); /* the permission bits alone */
ino_t ino_of(const char *name);
nlink_t nlink_of(const char *name);
off_t size_of(const char *name);

bool later(struct timespec a, struct timespec b);
bool same_time(struct timespec a, struct timespec b);
/* Sleeps until the coarsest file system clock has moved on. */
void tick(void);

/* Whole files. put_* create or replace the content; 0 or -1. */
int put_bytes(const char *name, const void *data, size_t len);
int put_text(const char *name, const char *text);
int put_mode(const char *name, mode_t mode); /* an empty file with exactly these bits */
bool holds_bytes(const char *name, const void *data, size_t len);
bool holds_text(const char *name, const char *text);
/* Opens and reads to the end without looking. */
int read_through(const char *name);

/* Ranges of open files; short counts are continued. write_at: 0 or -1; read_at: the bytes found. */
int write_at(int fd, off_t offset, const void *data, size_t len);
ssize_t read_at(int fd, off_t offset, void *ret_data, size_t len);
bool range_holds(int fd, off_t offset, const void *data, size_t len);
bool range_is_zero(int fd, off_t offset, size_t len);

/* Bytes that differ by position and by seed, and are never 0. */
void fill_pattern(void *ret_data, size_t len, unsigned seed);
unsigned char *new_pattern(size_t len, unsigned seed);

/* fsync() of what has that name, with the errno of that; 0 or -1. */
int sync_file(const char *name);

/* open() and close(). */
int open_and_close(const char *name, int flags, mode_t mode);

/* A directory listing by readdir(), without "." and "..": the names in the order listed. */
struct listing {
	char **names;
	size_t n;
};
int list_dir(const char *name, struct listing *ret_listing);
void free_listing(struct listing *listing);
size_t times_listed(const struct listing *listing, const char *name);
void add_name(struct listing *listing, const char *name);
/* Entries in a directory, -1 where it cannot be listed. */
ssize_t count_entries(const char *name);

#endif
