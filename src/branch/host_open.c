/* The hidden folder of a directory: opening and making it, and its lock. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/xattr.h>

#include "branch/host.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int cannot(const struct cairn_host *host, int r, struct cairn_error *err)
{
	if (r == -EROFS)
		return cairn_error_set(err, r, "'%s' is on a file system that is read-only",
				       host->path);
	return cairn_error_set(err, r,
			       "'%s' cannot be changed: %s; it takes the rights to write "
			       "there, and to the folder " CAIRN_BASE_HIDDEN " in it",
			       host->path, strerror(-r));
}

static int note_root(struct cairn_host *host)
{
	struct statx stx;

	if (statx(host->root, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &stx) < 0)
		return -errno;
	host->dev = (uint64_t)stx.stx_dev_major << 32 | stx.stx_dev_minor;
	host->mount = stx.stx_mnt_id;
	return 0;
}

/* Who may write there tells us what to do, with our rights: it must be ourselves. */
static int check_owner(const struct cairn_host *host, struct cairn_error *err)
{
	struct stat st;

	if (fstat(host->folder, &st) < 0)
		return -errno;
	if (st.st_uid == geteuid() && (st.st_mode & 022) == 0)
		return 0;
	return cairn_error_set(err, -EPERM,
			       "the folder " CAIRN_BASE_HIDDEN
			       " in '%s' is another user's, who has "
			       "accepted something there, or others may write to it; it takes that "
			       "user, or 'chown -R' and 'chmod 700' of the folder",
			       host->path);
}

static int open_inside(struct cairn_host *host)
{
	host->kept = openat(host->folder, "kept", DIR_FLAGS);
	if (host->kept < 0)
		return -errno;
	host->records = openat(host->folder, "records", DIR_FLAGS);
	return host->records < 0 ? -errno : 0;
}

static int open_folder(struct cairn_host *host, struct cairn_error *err)
{
	int r;

	host->folder = openat(host->root, CAIRN_BASE_HIDDEN, DIR_FLAGS);
	if (host->folder < 0 && errno == EACCES)
		return cairn_error_set(err, -EACCES,
				       "the folder " CAIRN_BASE_HIDDEN " in '%s' is another "
				       "user's, who has accepted something there; it takes that "
				       "user",
				       host->path);
	if (host->folder < 0)
		return errno == ENOENT ? 0 : -errno;
	r = check_owner(host, err);
	if (r == 0)
		r = open_inside(host);
	/* Whoever made it was killed at once; cairn_host_lock() makes the rest. */
	return r == -ENOENT ? 0 : r;
}

int cairn_host_open(const char *path, struct cairn_host *ret, struct cairn_error *err)
{
	struct cairn_host host = {
		.path = strdup(path),
		.root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.folder = -1,
		.kept = -1,
		.records = -1,
		.lock = -1,
	};
	int r = 0;

	if (host.root < 0)
		r = -errno;
	else if (!host.path)
		r = -ENOMEM;
	else
		r = note_root(&host);
	if (r == 0)
		r = open_folder(&host, err);
	if (r < 0) {
		cairn_host_close(&host);
		return cairn_error_set(err, r, "the directory '%s' cannot be opened: %s", path,
				       strerror(-r));
	}
	*ret = host;
	return 0;
}

void cairn_host_close(struct cairn_host *host)
{
	cairn_closep(&host->lock);
	cairn_closep(&host->records);
	cairn_closep(&host->kept);
	cairn_closep(&host->folder);
	cairn_closep(&host->root);
	free(host->path);
	*host = (struct cairn_host){
		.root = -1, .folder = -1, .kept = -1, .records = -1, .lock = -1
	};
}

static int make_dir(int at, const char *name)
{
	return mkdirat(at, name, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* The directory looks as it did. What its files inherit of it is not for those in here. */
static int make_folder(struct cairn_host *host, struct cairn_error *err)
{
	struct stat st;
	int r;

	if (fstat(host->root, &st) < 0)
		return -errno;
	r = make_dir(host->root, CAIRN_BASE_HIDDEN);
	if (r < 0)
		return r;
	(void)futimens(host->root, (struct timespec[]){ { .tv_nsec = UTIME_OMIT }, st.st_mtim });
	host->folder = openat(host->root, CAIRN_BASE_HIDDEN, DIR_FLAGS);
	if (host->folder < 0)
		return -errno;
	r = check_owner(host, err);
	if (r < 0)
		return r;
	(void)fremovexattr(host->folder, "system.posix_acl_default");
	return fchmod(host->folder, 0700) < 0 ? -errno : 0;
}

static int make_inside(struct cairn_host *host)
{
	int r;

	r = make_dir(host->folder, "kept");
	if (r == 0)
		r = make_dir(host->folder, "records");
	if (r < 0)
		return r;
	cairn_closep(&host->kept);
	cairn_closep(&host->records);
	host->kept = host->records = -1;
	return open_inside(host);
}

int cairn_host_read_last(struct cairn_host *host)
{
	_cleanup_(cairn_closep) int fd =
		openat(host->folder, "lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char text[32] = "", *end;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return -errno;
	host->last = strtoll(text, &end, 10);
	return *end && *end != '\n' ? -EINVAL : 0;
}

static int take_lock(struct cairn_host *host, bool wait)
{
	int r;

	host->lock = openat(host->folder, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (host->lock < 0)
		return -errno;
	do
		r = flock(host->lock, LOCK_EX | (wait ? 0 : LOCK_NB));
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return cairn_host_read_last(host);
}

int cairn_host_lock(struct cairn_host *host, bool wait, struct cairn_error *err)
{
	int r = 0;

	if (faccessat(host->root, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return cannot(host, -errno, err);
	if (host->folder < 0)
		r = make_folder(host, err);
	if (r == 0 && host->records < 0)
		r = make_inside(host);
	if (r == 0)
		r = take_lock(host, wait);
	return r < 0 && r != -EAGAIN ? cannot(host, r, err) : r;
}

/* Two names that change places, to see whether the file system can do it. */
static bool can_exchange(const struct cairn_host *host)
{
	bool can;

	if (mkdirat(host->kept, "a", 0700) < 0 || mkdirat(host->kept, "b", 0700) < 0)
		return false;
	can = cairn_host_exchange(host->kept, "a", host->kept, "b") == 0;
	unlinkat(host->kept, "a", AT_REMOVEDIR);
	unlinkat(host->kept, "b", AT_REMOVEDIR);
	return can;
}

int cairn_host_next(struct cairn_host *host, struct cairn_error *err)
{
	char text[32];
	int n;

	if (host->last == INT64_MAX)
		return cannot(host, -EOVERFLOW, err);
	unlinkat(host->kept, "a", AT_REMOVEDIR);
	unlinkat(host->kept, "b", AT_REMOVEDIR);
	host->last++;
	host->files = 0;
	host->exchanges = can_exchange(host);
	n = snprintf(text, sizeof(text), "%" PRId64 "\n", host->last);
	if (pwrite(host->lock, text, (size_t)n, 0) != n || fsync(host->lock) < 0)
		return cannot(host, errno ? -errno : -EIO, err);
	return 0;
}
