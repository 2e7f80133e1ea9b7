#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "store/sqlite_store.h"

/* What SQLite puts beside a database, and what can spoil a new one of that name. */
static const char *const suffixes[] = { "-wal", "-shm", "-journal" };

/* A new workspace is built under a name of its own beside the target and moved there. */
struct draft {
	const char *path;      /* as the caller named it, for the words */
	char target[PATH_MAX]; /* where it will stand */
	char dir[PATH_MAX];    /* the directory of both */
	char temp[PATH_MAX];
	bool made; /* the temporary file exists */
	size_t chunk_size, page_size;
};

static void unlink_beside(const char *path)
{
	char name[PATH_MAX + 16];

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		unlink(name);
	}
}

static void draft_clear(struct draft *draft)
{
	if (!draft->made)
		return;
	unlink(draft->temp);
	unlink_beside(draft->temp);
}

static int failed(const struct draft *draft, int r, struct cairn_error *err)
{
	return cairn_error_set(err, r, "cannot make the workspace '%s': %s; check its directory",
			       draft->path, strerror(-r));
}

static int check_sizes(const char *path, size_t chunk_size, size_t page_size,
		       struct cairn_error *err)
{
	if (chunk_size < 1 || chunk_size > CAIRN_CHUNK_MAX)
		return cairn_error_set(err, -EINVAL,
				       "cannot make '%s' with chunks of %zu bytes; choose a size "
				       "from 1 to %u",
				       path, chunk_size, CAIRN_CHUNK_MAX);
	if (page_size < 512 || page_size > 65536 || (page_size & (page_size - 1)))
		return cairn_error_set(err, -EINVAL,
				       "cannot make '%s' with pages of %zu bytes; choose a power "
				       "of two from 512 to 65536",
				       path, page_size);
	return 0;
}

/* Where the file will stand: a symlink is followed, so that what it points to is replaced. */
static int find_target(struct draft *draft, struct cairn_error *err)
{
	char copy[PATH_MAX];
	size_t base_len;

	if (strlen(draft->path) >= sizeof(draft->target))
		return failed(draft, -ENAMETOOLONG, err);
	if (!realpath(draft->path, draft->target))
		strcpy(draft->target, draft->path);

	strcpy(copy, draft->target);
	base_len = strlen(basename(copy));
	strcpy(copy, draft->target);
	strcpy(draft->dir, dirname(copy));
	/* Room for the longest name beside it. */
	if (base_len + strlen("-journal") > NAME_MAX)
		return failed(draft, -ENAMETOOLONG, err);
	return 0;
}

static int check_target(const struct draft *draft, bool force, struct cairn_error *err)
{
	struct stat st;

	if (lstat(draft->target, &st) == 0) {
		if (!force)
			return cairn_error_set(err, -EEXIST,
					       "'%s' already exists; choose another name, or "
					       "replace it with --force",
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
			return cairn_error_set(err, -EEXIST,
					       "'%s%s' is left from an earlier file; remove it, or "
					       "use --force",
					       draft->path, suffixes[i]);
	return 0;
}

static int make_temp(struct draft *draft, struct cairn_error *err)
{
	_cleanup_(cairn_closep) int fd = -1;
	uint64_t random;
	int n;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return failed(draft, -EIO, err);
	n = snprintf(draft->temp, sizeof(draft->temp), "%s/.cairnfs-init-%016" PRIx64, draft->dir,
		     random);
	if (n < 0 || (size_t)n >= sizeof(draft->temp))
		return failed(draft, -ENAMETOOLONG, err);
	fd = open(draft->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return failed(draft, -errno, err);
	draft->made = true;
	return 0;
}

/* The file comes into being under these. Nothing but this process sees it yet, so its safety
 * rests on the sync at the end alone. */
static int configure_new(struct cairn_sql *sql, size_t page_size)
{
	static const char *const pragmas[] = {
		"PRAGMA auto_vacuum = NONE",
		"PRAGMA encoding = 'UTF-8'",
		"PRAGMA synchronous = OFF",
		"PRAGMA journal_mode = MEMORY",
	};
	char text[64];
	int r;

	snprintf(text, sizeof(text), "PRAGMA page_size = %zu", page_size);
	r = cairn_sql_exec(sql, text);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(pragmas); i++)
		r = cairn_sql_exec(sql, pragmas[i]);
	return r;
}

static int fill(struct cairn_sql *sql, const struct draft *draft)
{
	int r;

	r = configure_new(sql, draft->page_size);
	if (r < 0)
		return r;
	r = cairn_sql_exec(sql, "BEGIN IMMEDIATE");
	if (r < 0)
		return r;
	r = cairn_schema_create(sql, draft->chunk_size);
	if (r < 0)
		return r;
	r = cairn_sql_exec(sql, "COMMIT");
	if (r < 0)
		return r;
	return cairn_sql_exec(sql, "PRAGMA journal_mode = WAL");
}

static int build(const struct draft *draft, struct cairn_error *err)
{
	_cleanup_(cairn_sql_target_clear) struct cairn_sql_target target = { 0 };
	_cleanup_(cairn_sql_close) struct cairn_sql sql = { 0 };
	char real[PATH_MAX];
	int r;

	if (!realpath(draft->temp, real))
		return failed(draft, -errno, err);
	r = cairn_sql_target_set(&target, real, false, false, 0);
	if (r == 0)
		r = cairn_sql_open(&sql, &target, NULL);
	if (r == 0)
		r = fill(&sql, draft);
	if (r < 0 && sql.db)
		return cairn_error_set(err, r,
				       "cannot make the workspace '%s': %s; check its directory",
				       draft->path, sqlite3_errmsg(sql.db));
	return r < 0 ? failed(draft, r, err) : 0;
}

static int sync_path(const char *path, int flags)
{
	_cleanup_(cairn_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | flags);

	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

/* Moves the draft to a name that must be free. link(2) serves file systems that cannot rename
 * without replacing. */
static int move_to_free_name(const struct draft *draft)
{
	if (renameat2(AT_FDCWD, draft->temp, AT_FDCWD, draft->target, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (link(draft->temp, draft->target) < 0)
		return -errno;
	unlink(draft->temp);
	return 0;
}

static int move_into_place(struct draft *draft, bool force, struct cairn_error *err)
{
	int r;

	r = sync_path(draft->temp, 0);
	if (r < 0)
		return failed(draft, r, err);
	if (force) {
		unlink_beside(draft->target);
		r = rename(draft->temp, draft->target) < 0 ? -errno : 0;
	} else {
		r = move_to_free_name(draft);
	}
	if (r == -EEXIST)
		return cairn_error_set(err, r,
				       "'%s' already exists; choose another name, or replace it "
				       "with --force",
				       draft->path);
	if (r < 0)
		return failed(draft, r, err);
	draft->made = false;
	r = sync_path(draft->dir, O_DIRECTORY);
	return r < 0 ? failed(draft, r, err) : 0;
}

int cairn_sqlite_store_init(const char *path, const struct cairn_init_options *options,
			    struct cairn_error *err)
{
	_cleanup_(draft_clear) struct draft draft = {
		.path = path,
		.chunk_size = options->chunk_size ? options->chunk_size : CAIRN_DEFAULT_CHUNK_SIZE,
		.page_size = options->page_size ? options->page_size : CAIRN_DEFAULT_PAGE_SIZE,
	};
	int r;

	r = check_sizes(path, draft.chunk_size, draft.page_size, err);
	if (r < 0)
		return r;
	r = find_target(&draft, err);
	if (r < 0)
		return r;
	r = check_target(&draft, options->force, err);
	if (r < 0)
		return r;
	r = make_temp(&draft, err);
	if (r < 0)
		return r;
	r = build(&draft, err);
	if (r < 0)
		return r;
	return move_into_place(&draft, options->force, err);
}
