#include "store/clone.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "store/moment.h"
#include "store/place.h"
#include "util/file.h"

/* Copied in one go: between two, progress is told. */
#define STRETCH_BYTES (UINT64_C(16) << 20)
#define BUFFER_BYTES  (UINT64_C(1) << 20)

/* A copy under way. */
struct clone {
	const struct cairn_clone_options *options;
	const struct cairn_draft *draft;
	/* The original's files. They are closed after its connection is. */
	int db, wal;
	struct sqlite_store *store;
	struct cairn_moment moment;
	uint64_t done, total; /* bytes */
	bool shared;
};

static void clone_done(struct clone *clone)
{
	cairn_moment_end(&clone->moment);
	cairn_sqlite_freep(&clone->store);
	cairn_closep(&clone->db);
	cairn_closep(&clone->wal);
}

static int tell(struct clone *clone)
{
	if (!clone->options->progress)
		return 0;
	return clone->options->progress(clone->options->arg, clone->done,
					MAX(clone->total, clone->done));
}

/* One step of a copy by hand. Returns the bytes copied, 0 at the end of the file. */
static ssize_t copy_buffer(int from, int to, off_t at, size_t size)
{
	_cleanup_(cairn_freep) char *buffer = malloc(BUFFER_BYTES);
	ssize_t n;
	int r;

	if (!buffer)
		return -ENOMEM;
	n = pread(from, buffer, MIN(size, BUFFER_BYTES), at);
	if (n <= 0)
		return n < 0 ? -errno : 0;
	r = cairn_write_all(to, buffer, (size_t)n, at);
	return r < 0 ? r : n;
}

static ssize_t copy_stretch(int from, int to, off_t at, size_t size, bool *by_hand)
{
	off_t from_at = at, to_at = at;
	ssize_t n;

	if (!*by_hand) {
		n = copy_file_range(from, &from_at, to, &to_at, size, 0);
		if (n > 0)
			return n;
		/* At the end, or where it cannot: between file systems, say. */
		*by_hand = true;
	}
	return copy_buffer(from, to, at, size);
}

/* Copies the first `size` bytes, fewer where the file ends before. */
static int copy_bytes(struct clone *clone, int from, int to, uint64_t size)
{
	bool by_hand = false;
	int r;

	for (uint64_t at = 0; at < size;) {
		ssize_t n = copy_stretch(from, to, (off_t)at, (size_t)MIN(size - at, STRETCH_BYTES),
					 &by_hand);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		at += (uint64_t)n;
		clone->done += (uint64_t)n;
		r = tell(clone);
		if (r != 0)
			return r;
	}
	return 0;
}

static int copy_database(struct clone *clone)
{
	struct stat st;

	if (ioctl(clone->draft->fd, FICLONE, clone->db) == 0) {
		clone->shared = true;
		return 0;
	}
	if (fstat(clone->db, &st) < 0)
		return -errno;
	clone->total = (uint64_t)st.st_size + clone->moment.wal_bytes;
	return copy_bytes(clone, clone->db, clone->draft->fd, (uint64_t)st.st_size);
}

static int copy_wal(struct clone *clone)
{
	_cleanup_(cairn_closep) int to = -1;
	char path[PATH_MAX + 8];
	uint64_t before = clone->done;
	int r;

	if (clone->moment.wal_bytes == 0)
		return 0;
	snprintf(path, sizeof(path), "%s-wal", clone->draft->temp);
	to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to < 0)
		return -errno;
	clone->total = MAX(clone->total, before + clone->moment.wal_bytes);
	r = copy_bytes(clone, clone->wal, to, clone->moment.wal_bytes);
	if (r == 0 && clone->done - before != clone->moment.wal_bytes)
		return -EIO;
	return r;
}

/* Folds the frames that were copied into the copy of the database. It is SQLite's recovery after a
 * crash: frames behind the last commit, or that are not whole, do not count. */
static int fold_wal(const struct clone *clone, struct cairn_error *err)
{
	_cleanup_(cairn_sql_close) struct cairn_sql sql = { 0 };
	int r;

	if (clone->moment.wal_bytes == 0)
		return 0;
	r = cairn_sql_open_draft(&sql, clone->draft->temp);
	/* The draft is synced as a whole before it is placed. */
	if (r == 0)
		r = cairn_sql_exec(&sql, "PRAGMA synchronous = OFF");
	if (r == 0)
		r = cairn_sql_exec(&sql, "PRAGMA wal_checkpoint(TRUNCATE)");
	if (r < 0 && sql.db)
		return cairn_error_set(err, r,
				       "the write-ahead log cannot be folded into the copy '%s': "
				       "%s",
				       clone->draft->path, sqlite3_errmsg(sql.db));
	return r;
}

static int open_original(struct clone *clone, const char *from, struct cairn_error *err)
{
	const struct cairn_store_options options = {
		.read_only = true,
		.busy_timeout_ms = clone->options->busy_timeout_ms,
	};
	char wal[PATH_MAX + 8];
	int r;

	r = cairn_sqlite_open(from, &options, &clone->store, err);
	if (r < 0)
		return r;
	r = cairn_moment_begin(clone->store, &clone->moment);
	if (r == -EAGAIN)
		return cairn_error_set(
			err, r, "'%s' stayed locked by another process; try again later", from);
	if (r < 0)
		return cairn_error_set(err, r, "'%s' cannot be read: %s; see 'cairnfs check'", from,
				       sqlite3_errmsg(clone->store->sql.db));

	clone->db = open(clone->store->probe.real_path, O_RDONLY | O_CLOEXEC);
	if (clone->db < 0)
		return cairn_error_set(err, -errno, "cannot read '%s': %m", from);
	if (clone->moment.wal_bytes == 0)
		return 0;
	snprintf(wal, sizeof(wal), "%s-wal", clone->store->probe.real_path);
	clone->wal = open(wal, O_RDONLY | O_CLOEXEC);
	if (clone->wal < 0)
		return cairn_error_set(err, -errno, "cannot read '%s': %m", wal);
	return 0;
}

int cairn_clone_fill(const char *from, struct cairn_draft *draft,
		     const struct cairn_clone_options *options, struct cairn_clone_result *ret,
		     struct cairn_error *err)
{
	_cleanup_(clone_done) struct clone clone = {
		.options = options,
		.draft = draft,
		.db = -1,
		.wal = -1,
	};
	struct stat st;
	int r;

	r = cairn_place_try(draft, err);
	if (r == 0)
		r = open_original(&clone, from, err);
	if (r < 0)
		return r;
	r = copy_database(&clone);
	if (r == 0)
		r = copy_wal(&clone);
	cairn_moment_end(&clone.moment);
	if (r == 0)
		r = fold_wal(&clone, err);
	if (r == 0 && fstat(draft->fd, &st) < 0)
		r = -errno;
	if (r != 0)
		return r < 0 ? cairn_draft_failed(draft, r, err) : r;
	*ret = (struct cairn_clone_result){ .size = (uint64_t)st.st_size, .shared = clone.shared };
	return 0;
}

int cairn_clone_stat(const char *from, struct stat *ret, struct cairn_error *err)
{
	struct cairn_probe probe;
	int r;

	r = cairn_probe_path(from, false, &probe, err);
	if (r < 0)
		return r;
	return stat(from, ret) < 0 ? cairn_error_set(err, -errno, "cannot open '%s': %m", from) : 0;
}

int cairn_clone(const char *from, const char *to, const struct cairn_clone_options *options,
		struct cairn_clone_result *ret, struct cairn_error *err)
{
	_cleanup_(cairn_draft_done) struct cairn_draft draft = CAIRN_DRAFT_NONE;
	struct cairn_clone_result result;
	struct stat st;
	int r;

	r = cairn_clone_stat(from, &st, err);
	if (r < 0)
		return r;
	r = cairn_draft_begin(&draft, to, options->force, st.st_mode & 0777, err);
	if (r == 0)
		r = cairn_clone_fill(from, &draft, options, &result, err);
	if (r == 0)
		r = cairn_draft_place(&draft, options->force, err);
	if (r == 0)
		*ret = result;
	return r;
}
