#include "store/draft.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "store/probe.h"
#include "util/filelock.h"

#define PREFIX ".cairnfs-draft-"
#define DIGITS 16

/* Far behind the bytes that SQLite locks (PENDING_BYTE, 2^30, and the 511 after it). */
#define LOCK_AT (INT64_C(1) << 62)

/* How often a draft may be taken for one that was left behind before its lock was set. */
#define TRIES_MAX 10

/* What SQLite puts beside a database, and what can spoil a new one of that name. */
static const char *const suffixes[] = { "-wal", "-shm", "-journal" };

static void unlink_beside(const char *path)
{
	char name[PATH_MAX + 16];

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		unlink(name);
	}
}

int cairn_draft_failed(const struct cairn_draft *draft, int r, struct cairn_error *err)
{
	return cairn_error_set(err, r, "cannot make '%s': %s; check its directory", draft->path,
			       strerror(-r));
}

/* Where the file will stand: a symlink is followed, so that what it points to is replaced. */
static int find_target(struct cairn_draft *draft, struct cairn_error *err)
{
	char copy[PATH_MAX];
	size_t base_len;

	if (strlen(draft->path) >= sizeof(draft->target))
		return cairn_draft_failed(draft, -ENAMETOOLONG, err);
	if (!realpath(draft->path, draft->target))
		strcpy(draft->target, draft->path);

	strcpy(copy, draft->target);
	base_len = strlen(basename(copy));
	strcpy(copy, draft->target);
	strcpy(draft->dir, dirname(copy));
	/* Room for the longest name beside it. */
	if (base_len + strlen("-journal") > NAME_MAX)
		return cairn_draft_failed(draft, -ENAMETOOLONG, err);
	return 0;
}

static int check_target(const struct cairn_draft *draft, bool force, struct cairn_error *err)
{
	struct stat st;

	if (lstat(draft->target, &st) == 0) {
		if (!force)
			return cairn_error_set(err, -EEXIST,
					       "'%s' already exists; choose another name, or "
					       "delete it first",
					       draft->path);
		if (!S_ISREG(st.st_mode))
			return cairn_error_set(err, -EINVAL,
					       "'%s' is not a regular file and is not replaced; "
					       "choose another name",
					       draft->path);
		return 0;
	}
	/* SQLite would play back into the new file what an old one left. */
	for (size_t i = 0; !force && i < ARRAY_SIZE(suffixes); i++)
		if (cairn_probe_beside(draft->target, suffixes[i]) >= 0)
			return cairn_error_set(
				err, -EEXIST,
				"'%s%s' is left from an earlier file; delete it first", draft->path,
				suffixes[i]);
	return 0;
}

static int set_lock(int fd)
{
	return cairn_filelock_set(fd, (struct cairn_filerange){ LOCK_AT, 1 }, F_WRLCK);
}

static bool is_draft_name(const char *name)
{
	size_t len = strlen(PREFIX);

	return strncmp(name, PREFIX, len) == 0 &&
	       strspn(name + len, "0123456789abcdef") == DIGITS && name[len + DIGITS] == '\0';
}

/* Whether the path still names the file behind `fd`. */
static bool is_current(const char *path, int fd)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_dev == there.st_dev &&
	       ours.st_ino == there.st_ino;
}

/* Removes a draft that nobody holds. */
static void remove_if_left(const char *path)
{
	_cleanup_(cairn_closep) int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 || set_lock(fd) < 0 || !is_current(path, fd))
		return;
	unlink(path);
	unlink_beside(path);
}

static void remove_left_drafts(const struct cairn_draft *draft)
{
	DIR *dir = opendir(draft->dir);
	char path[PATH_MAX];
	int n;

	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		if (!is_draft_name(entry->d_name))
			continue;
		n = snprintf(path, sizeof(path), "%s/%s", draft->dir, entry->d_name);
		if (n > 0 && (size_t)n < sizeof(path))
			remove_if_left(path);
	}
	if (dir)
		closedir(dir);
}

/* 1 with a draft that is locked; 0 where another process took it for one left behind. */
static int try_make(struct cairn_draft *draft, mode_t mode)
{
	uint64_t random;
	int n;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	n = snprintf(draft->temp, sizeof(draft->temp), "%s/" PREFIX "%016" PRIx64, draft->dir,
		     random);
	if (n < 0 || (size_t)n >= sizeof(draft->temp)) {
		draft->temp[0] = '\0';
		return -ENAMETOOLONG;
	}
	draft->fd = open(draft->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (draft->fd < 0) {
		draft->temp[0] = '\0';
		return -errno;
	}
	/* Without such locks on this file system nobody takes it for left behind either. */
	if (set_lock(draft->fd) != -EAGAIN && is_current(draft->temp, draft->fd))
		return 1;
	cairn_draft_done(draft);
	return 0;
}

static int make(struct cairn_draft *draft, mode_t mode, struct cairn_error *err)
{
	int r = 0;

	for (int i = 0; i < TRIES_MAX && r == 0; i++)
		r = try_make(draft, mode);
	return r > 0 ? 0 : cairn_draft_failed(draft, r < 0 ? r : -EIO, err);
}

int cairn_draft_begin(struct cairn_draft *ret, const char *path, bool force, mode_t mode,
		      struct cairn_error *err)
{
	int r;

	*ret = (struct cairn_draft){ .path = path, .fd = -1 };
	r = find_target(ret, err);
	if (r < 0)
		return r;
	r = check_target(ret, force, err);
	if (r < 0)
		return r;
	remove_left_drafts(ret);
	return make(ret, mode, err);
}

static int sync_dir(const char *path)
{
	_cleanup_(cairn_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Moves a file to a name that must be free. link(2) serves file systems that cannot rename without
 * replacing. */
static int move_to_free_name(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (link(from, to) < 0)
		return -errno;
	unlink(from);
	return 0;
}

int cairn_draft_place(struct cairn_draft *draft, bool force, struct cairn_error *err)
{
	int r;

	r = fsync(draft->fd) < 0 ? -errno : 0;
	if (r < 0)
		return cairn_draft_failed(draft, r, err);
	if (force) {
		unlink_beside(draft->target);
		r = rename(draft->temp, draft->target) < 0 ? -errno : 0;
	} else {
		r = move_to_free_name(draft->temp, draft->target);
	}
	if (r == -EEXIST)
		return cairn_error_set(err, r,
				       "'%s' already exists; choose another name, or delete it "
				       "first",
				       draft->path);
	if (r < 0)
		return cairn_draft_failed(draft, r, err);
	draft->temp[0] = '\0';
	r = sync_dir(draft->dir);
	return r < 0 ? cairn_draft_failed(draft, r, err) : 0;
}

/* How many names are tried for what is kept. */
#define KEPT_MAX 1000

/* Moves a file and what SQLite had not finished with it. */
static int move_all(const char *from, const char *to)
{
	char old[PATH_MAX + 16], new[PATH_MAX + 16];
	int r;

	r = move_to_free_name(from, to);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(suffixes); i++) {
		snprintf(old, sizeof(old), "%s%s", from, suffixes[i]);
		snprintf(new, sizeof(new), "%s%s", to, suffixes[i]);
		if (rename(old, new) < 0 && errno != ENOENT)
			r = -errno;
	}
	return r;
}

/* What lies beside the old file goes with it before a new one stands in its place: SQLite would
 * play it back into that. */
static int move_aside(const struct cairn_draft *draft, const char *kept)
{
	int r;

	r = move_all(draft->target, kept);
	if (r == -EEXIST)
		return r;
	if (r == 0)
		r = move_to_free_name(draft->temp, draft->target);
	if (r < 0)
		move_all(kept, draft->target);
	return r;
}

/* The draft takes the name for what is kept, which nobody knows yet, and the two files change
 * places. */
static int exchange(const struct cairn_draft *draft, const char *kept)
{
	int r;

	r = move_to_free_name(draft->temp, kept);
	if (r < 0)
		return r;
	if (renameat2(AT_FDCWD, kept, AT_FDCWD, draft->target, RENAME_EXCHANGE) == 0)
		return 0;
	r = -errno;
	return rename(kept, draft->temp) < 0 ? -errno : r;
}

static bool has_leftovers(const struct cairn_draft *draft)
{
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (cairn_probe_beside(draft->target, suffixes[i]) >= 0)
			return true;
	return false;
}

static int swap_with(const struct cairn_draft *draft, const char *kept)
{
	int r = -EINVAL;

	if (!has_leftovers(draft))
		r = exchange(draft, kept);
	return r == -EINVAL || r == -ENOSYS ? move_aside(draft, kept) : r;
}

/* The `n`th name for what is kept. */
static int kept_name(const struct cairn_draft *draft, const char *suffix, int n, char ret[PATH_MAX])
{
	char number[16] = "";
	int len;

	if (n > 1)
		snprintf(number, sizeof(number), "-%d", n);
	len = snprintf(ret, PATH_MAX, "%s.%s%s", draft->target, suffix, number);
	return len < 0 || len >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int cairn_draft_swap(struct cairn_draft *draft, const char *suffix, char ret_kept[PATH_MAX],
		     struct cairn_error *err)
{
	char kept[PATH_MAX];
	int r;

	r = fsync(draft->fd) < 0 ? -errno : -EEXIST;
	for (int n = 1; r == -EEXIST && n <= KEPT_MAX; n++) {
		r = kept_name(draft, suffix, n, kept);
		if (r == 0)
			r = swap_with(draft, kept);
	}
	if (r < 0)
		return cairn_draft_failed(draft, r, err);
	draft->temp[0] = '\0';
	strcpy(ret_kept, kept);
	r = sync_dir(draft->dir);
	return r < 0 ? cairn_draft_failed(draft, r, err) : 0;
}

void cairn_draft_done(struct cairn_draft *draft)
{
	if (draft->temp[0]) {
		unlink(draft->temp);
		unlink_beside(draft->temp);
		draft->temp[0] = '\0';
	}
	if (draft->fd >= 0)
		close(TAKE_FD(draft->fd));
}
