#include "store/gather.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/macro.h"

/* The most that SQLite's VFS for Unix writes in one call (seekAndWriteFd() in os_unix.c keeps 17
 * bits of the size). */
#define KEEP_MAX ((size_t)0x1ffff)

/* "WAL Frames" in "Database File Format" at sqlite.org: where a frame's header has the size of the
 * database after a commit; in other frames it is 0. */
#define FRAME_HEADER_SIZE 24
#define FRAME_COMMIT_AT   4

/* WAL_WRITE_LOCK in "WAL-mode File Format" there. */
#define WRITE_LOCK 0

struct gather_file {
	sqlite3_file base;
	sqlite3_file *real; /* owned, and open */
	/* Of a database. */
	bool has_index;
	struct gather_file *log; /* while that is open */
	/* Of a log. */
	struct gather_file *database;
	unsigned char *kept;
	size_t size; /* of what is kept */
	sqlite3_int64 at;
	bool ends; /* the page that comes next ends a transaction */
};

static struct gather_file *from_file(sqlite3_file *file)
{
	return CONTAINER_OF(file, struct gather_file, base);
}

/* Only where the locks of a WAL index tell when what is kept has to be forgotten: not with a log
 * that one process has for itself. */
static bool may_keep(const struct gather_file *f)
{
	return f->database && f->database->has_index;
}

/* After a write that fails SQLite rolls back: what it wrote before, and is lost here, is not
 * needed. */
static int write_kept(struct gather_file *f)
{
	int size = (int)f->size;

	if (size == 0)
		return SQLITE_OK;
	f->size = 0;
	return f->real->pMethods->xWrite(f->real, f->kept, size, f->at);
}

static bool keep(struct gather_file *f, const void *buf, size_t size, sqlite3_int64 at)
{
	if (!may_keep(f) || size > KEEP_MAX - f->size)
		return false;
	if (!f->kept)
		f->kept = malloc(KEEP_MAX);
	if (!f->kept)
		return false;
	if (f->size == 0)
		f->at = at;
	memcpy(f->kept + f->size, buf, size);
	f->size += size;
	return true;
}

static bool is_last_frame(const unsigned char *buf, int size)
{
	static const unsigned char none[4];

	return size == FRAME_HEADER_SIZE && memcmp(buf + FRAME_COMMIT_AT, none, sizeof(none)) != 0;
}

static int gather_write(sqlite3_file *file, const void *buf, int size, sqlite3_int64 at)
{
	struct gather_file *f = from_file(file);
	bool ends = f->ends, behind = at == f->at + (sqlite3_int64)f->size;
	int rc = SQLITE_OK;

	if (!behind || (size_t)size > KEEP_MAX - f->size)
		rc = write_kept(f);
	if (rc != SQLITE_OK)
		return rc;
	f->ends = is_last_frame(buf, size);
	if (!keep(f, buf, (size_t)size, at))
		return f->real->pMethods->xWrite(f->real, buf, size, at);
	return ends ? write_kept(f) : SQLITE_OK;
}

static int gather_close(sqlite3_file *file)
{
	struct gather_file *f = from_file(file);
	int written = write_kept(f), rc;

	if (f->database)
		f->database->log = NULL;
	if (f->log)
		f->log->database = NULL;
	rc = f->real->pMethods->xClose(f->real);
	free(TAKE_PTR(f->real));
	free(TAKE_PTR(f->kept));
	return written != SQLITE_OK ? written : rc;
}

/* Calls of a log before which what is kept must be written. */
#define AFTER_WRITING(file, call, ...)                                                             \
	({                                                                                         \
		struct gather_file *f_ = from_file(file);                                          \
		int rc_ = write_kept(f_);                                                          \
		if (rc_ == SQLITE_OK)                                                              \
			rc_ = f_->real->pMethods->call(f_->real, ##__VA_ARGS__);                   \
		rc_;                                                                               \
	})

/* The others, as they are. */
#define PASSED_ON(file, call, ...)                                                                 \
	({                                                                                         \
		sqlite3_file *real_ = from_file(file)->real;                                       \
		real_->pMethods->call(real_, ##__VA_ARGS__);                                       \
	})

static int gather_read(sqlite3_file *file, void *buf, int size, sqlite3_int64 at)
{
	return AFTER_WRITING(file, xRead, buf, size, at);
}

static int gather_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	return AFTER_WRITING(file, xTruncate, size);
}

static int gather_sync(sqlite3_file *file, int flags)
{
	return AFTER_WRITING(file, xSync, flags);
}

static int gather_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	return AFTER_WRITING(file, xFileSize, ret);
}

static int gather_lock(sqlite3_file *file, int level)
{
	return PASSED_ON(file, xLock, level);
}

static int gather_unlock(sqlite3_file *file, int level)
{
	return PASSED_ON(file, xUnlock, level);
}

static int gather_check_lock(sqlite3_file *file, int *ret)
{
	return PASSED_ON(file, xCheckReservedLock, ret);
}

static int gather_control(sqlite3_file *file, int op, void *arg)
{
	return PASSED_ON(file, xFileControl, op, arg);
}

static int gather_sector_size(sqlite3_file *file)
{
	return PASSED_ON(file, xSectorSize);
}

static int gather_characteristics(sqlite3_file *file)
{
	return PASSED_ON(file, xDeviceCharacteristics);
}

static int gather_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **ret)
{
	int rc = PASSED_ON(file, xShmMap, region, size, extend, ret);

	from_file(file)->has_index |= rc == SQLITE_OK && *ret;
	return rc;
}

static int gather_shm_lock(sqlite3_file *file, int first, int count, int flags)
{
	struct gather_file *log = from_file(file)->log;

	if (log && first == WRITE_LOCK && (flags & SQLITE_SHM_UNLOCK)) {
		log->size = 0;
		log->ends = false;
	}
	return PASSED_ON(file, xShmLock, first, count, flags);
}

static void gather_shm_barrier(sqlite3_file *file)
{
	PASSED_ON(file, xShmBarrier);
}

static int gather_shm_unmap(sqlite3_file *file, int delete)
{
	from_file(file)->has_index = false;
	return PASSED_ON(file, xShmUnmap, delete);
}

#define METHODS_OF_ALL                                                                             \
	.xClose = gather_close, .xRead = gather_read, .xWrite = gather_write,                      \
	.xTruncate = gather_truncate, .xSync = gather_sync, .xFileSize = gather_size,              \
	.xLock = gather_lock, .xUnlock = gather_unlock, .xCheckReservedLock = gather_check_lock,   \
	.xFileControl = gather_control, .xSectorSize = gather_sector_size,                         \
	.xDeviceCharacteristics = gather_characteristics

/* Of a file without a WAL index. */
static const sqlite3_io_methods plain_methods = { .iVersion = 1, METHODS_OF_ALL };

/* Without those of version 3, which map the file: sql.c turns that off. */
static const sqlite3_io_methods indexed_methods = {
	.iVersion = 2,
	METHODS_OF_ALL,
	.xShmMap = gather_shm_map,
	.xShmLock = gather_shm_lock,
	.xShmBarrier = gather_shm_barrier,
	.xShmUnmap = gather_shm_unmap,
};

static sqlite3_vfs *real_vfs(void)
{
	return sqlite3_vfs_find(NULL);
}

/* SQLite tells whose log it opens by the name, which lies beside that of the database. */
static void join_log(struct gather_file *log, const char *name)
{
	sqlite3_file *database = sqlite3_database_file_object(name);

	if (database->pMethods != &indexed_methods)
		return;
	log->database = from_file(database);
	log->database->log = log;
}

static int gather_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
		       int *ret_flags)
{
	struct gather_file *f = from_file(file);
	sqlite3_vfs *real = real_vfs();
	int rc;

	*f = (struct gather_file){ .real = calloc(1, (size_t)real->szOsFile) };
	if (!f->real)
		return SQLITE_NOMEM;
	rc = real->xOpen(real, name, f->real, flags, ret_flags);
	if (!f->real->pMethods) {
		free(TAKE_PTR(f->real));
		return rc;
	}
	f->base.pMethods = f->real->pMethods->iVersion < 2 ? &plain_methods : &indexed_methods;
	if (rc == SQLITE_OK && (flags & SQLITE_OPEN_WAL))
		join_log(f, name);
	return rc;
}

static int gather_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
	return real_vfs()->xDelete(real_vfs(), name, sync_dir);
}

static int gather_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
	return real_vfs()->xAccess(real_vfs(), name, flags, ret);
}

static int gather_full_pathname(sqlite3_vfs *vfs, const char *name, int size, char *ret)
{
	return real_vfs()->xFullPathname(real_vfs(), name, size, ret);
}

static int gather_randomness(sqlite3_vfs *vfs, int size, char *ret)
{
	return real_vfs()->xRandomness(real_vfs(), size, ret);
}

static int gather_sleep(sqlite3_vfs *vfs, int microseconds)
{
	return real_vfs()->xSleep(real_vfs(), microseconds);
}

static int gather_time(sqlite3_vfs *vfs, double *ret)
{
	return real_vfs()->xCurrentTime(real_vfs(), ret);
}

static int gather_last_error(sqlite3_vfs *vfs, int size, char *ret)
{
	return real_vfs()->xGetLastError(real_vfs(), size, ret);
}

/* SQLite links those that are registered, so it cannot be const. */
static sqlite3_vfs gather_vfs = {
	.iVersion = 1,
	.szOsFile = sizeof(struct gather_file),
	.zName = "cairnfs-gather",
	.xOpen = gather_open,
	.xDelete = gather_delete,
	.xAccess = gather_access,
	.xFullPathname = gather_full_pathname,
	.xRandomness = gather_randomness,
	.xSleep = gather_sleep,
	.xCurrentTime = gather_time,
	.xGetLastError = gather_last_error,
};
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool registered;

static void register_vfs(void)
{
	/* Its functions rely on what they say of path names. */
	gather_vfs.mxPathname = real_vfs()->mxPathname;
	registered = sqlite3_vfs_register(&gather_vfs, 0) == SQLITE_OK;
}

const char *cairn_gather_vfs(void)
{
	pthread_once(&once, register_vfs);
	return registered ? gather_vfs.zName : NULL;
}
