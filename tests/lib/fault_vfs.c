#include "fault_vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

struct file {
	sqlite3_file base;
	sqlite3_file *real; /* right behind */
};

/* SQLite knows its VFS by address for as long as the process lives. */
static struct {
	sqlite3_vfs vfs;
	sqlite3_vfs *real;
	pthread_mutex_t frozen; /* held while files may not change */

	pthread_mutex_t lock; /* guards all below */
	enum fault_call call;
	unsigned long countdown;
	int code; /* SQLITE_OK: none is to fail */
	bool stays;
	unsigned long fired;
	unsigned long calls[FAULT_CALLS];
	struct {
		enum fault_call call;
		unsigned long countdown; /* 0: none */
		void (*fn)(void *arg);
		void *arg;
	} meet;
} shim = { .frozen = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER };

/* Counts a call: SQLITE_OK, or the result that it is to have. */
static int enter(enum fault_call call)
{
	int rc = SQLITE_OK;
	bool met;

	pthread_mutex_lock(&shim.lock);
	shim.calls[call]++;
	met = shim.meet.call == call && shim.meet.countdown > 0 && --shim.meet.countdown == 0;
	if (shim.code && shim.call == call && (shim.countdown == 0 || --shim.countdown == 0)) {
		rc = shim.code;
		shim.fired++;
		if (!shim.stays)
			shim.code = SQLITE_OK;
	}
	pthread_mutex_unlock(&shim.lock);
	if (met)
		shim.meet.fn(shim.meet.arg);
	return rc;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
	return ((struct file *)file)->real;
}

static int file_close(sqlite3_file *file)
{
	return real_of(file)->pMethods->xClose(real_of(file));
}

static int file_read(sqlite3_file *file, void *buf, int size, sqlite3_int64 at)
{
	int rc = enter(FAULT_READ);

	return rc ? rc : real_of(file)->pMethods->xRead(real_of(file), buf, size, at);
}

static int file_write(sqlite3_file *file, const void *buf, int size, sqlite3_int64 at)
{
	int rc = enter(FAULT_WRITE);

	if (rc)
		return rc;
	pthread_mutex_lock(&shim.frozen);
	rc = real_of(file)->pMethods->xWrite(real_of(file), buf, size, at);
	pthread_mutex_unlock(&shim.frozen);
	return rc;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	int rc = enter(FAULT_TRUNCATE);

	if (rc)
		return rc;
	pthread_mutex_lock(&shim.frozen);
	rc = real_of(file)->pMethods->xTruncate(real_of(file), size);
	pthread_mutex_unlock(&shim.frozen);
	return rc;
}

static int file_sync(sqlite3_file *file, int flags)
{
	return enter(FAULT_FSYNC);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	int rc = enter(FAULT_FILE_SIZE);

	return rc ? rc : real_of(file)->pMethods->xFileSize(real_of(file), ret);
}

static int file_lock(sqlite3_file *file, int level)
{
	int rc = enter(FAULT_LOCK);

	return rc ? rc : real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_check_lock(sqlite3_file *file, int *ret)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int file_sector_size(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_characteristics(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int file_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **ret)
{
	int rc = enter(FAULT_SHM_MAP);

	if (rc)
		return rc;
	return real_of(file)->pMethods->xShmMap(real_of(file), region, size, extend, ret);
}

static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
	int rc = flags & SQLITE_SHM_LOCK ? enter(FAULT_SHM_LOCK) : SQLITE_OK;

	return rc ? rc : real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
	enter(FAULT_SHM_BARRIER);
	real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int file_shm_unmap(sqlite3_file *file, int delete)
{
	return real_of(file)->pMethods->xShmUnmap(real_of(file), delete);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_check_lock,
	.xFileControl = file_control,
	.xSectorSize = file_sector_size,
	.xDeviceCharacteristics = file_characteristics,
	.xShmMap = file_shm_map,
	.xShmLock = file_shm_lock,
	.xShmBarrier = file_shm_barrier,
	.xShmUnmap = file_shm_unmap,
};

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags,
		    int *ret_flags)
{
	struct file *file = (struct file *)base;
	int rc = enter(FAULT_OPEN);

	file->base.pMethods = NULL;
	file->real = (sqlite3_file *)(file + 1);
	if (rc)
		return rc;
	rc = shim.real->xOpen(shim.real, path, file->real, flags, ret_flags);
	if (file->real->pMethods)
		file->base.pMethods = &methods;
	return rc;
}

void fault_vfs_register(void)
{
	shim.real = sqlite3_vfs_find(NULL);
	if (!shim.real)
		abort();
	shim.vfs = *shim.real;
	shim.vfs.zName = "fault";
	shim.vfs.pNext = NULL;
	shim.vfs.szOsFile += (int)sizeof(struct file);
	shim.vfs.xOpen = vfs_open;
	if (sqlite3_vfs_register(&shim.vfs, 1) != SQLITE_OK)
		abort();
}

void fault_vfs_fail(enum fault_call call, unsigned long n, int code, bool stays)
{
	pthread_mutex_lock(&shim.lock);
	shim.call = call;
	shim.countdown = n;
	shim.code = code;
	shim.stays = stays;
	shim.fired = 0;
	pthread_mutex_unlock(&shim.lock);
}

void fault_vfs_clear(void)
{
	pthread_mutex_lock(&shim.lock);
	shim.code = SQLITE_OK;
	pthread_mutex_unlock(&shim.lock);
}

unsigned long fault_vfs_fired(void)
{
	unsigned long fired;

	pthread_mutex_lock(&shim.lock);
	fired = shim.fired;
	pthread_mutex_unlock(&shim.lock);
	return fired;
}

unsigned long fault_vfs_calls(enum fault_call call)
{
	unsigned long calls;

	pthread_mutex_lock(&shim.lock);
	calls = shim.calls[call];
	pthread_mutex_unlock(&shim.lock);
	return calls;
}

void fault_vfs_meet(enum fault_call call, unsigned long n, void (*fn)(void *arg), void *arg)
{
	pthread_mutex_lock(&shim.lock);
	shim.meet.call = call;
	shim.meet.countdown = n;
	shim.meet.fn = fn;
	shim.meet.arg = arg;
	pthread_mutex_unlock(&shim.lock);
}

void fault_vfs_freeze(void)
{
	pthread_mutex_lock(&shim.frozen);
}

void fault_vfs_thaw(void)
{
	pthread_mutex_unlock(&shim.frozen);
}
