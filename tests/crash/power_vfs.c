#include "power_vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/macro.h"

#define SECTOR    512U
#define PATHS_MAX 16
#define NAME      "power"

/* A write, or with `data` NULL a truncate to `offset`. */
struct pending {
	struct pending *next;
	int64_t offset;
	size_t len;
	unsigned char *data;
};

struct bytes {
	unsigned char *data;
	size_t size;
};

/* What a name stands for; a file that is removed and made again is two of them. */
struct body {
	struct body *next; /* all there are, to free them */
	struct bytes synced;
	struct pending *first, **last;
	bool is_log;
};

struct path {
	char *name;
	struct body *now, *synced; /* NULL: no such file */
};

/* A file was made (`body`) or removed (NULL) and the directory not synced since. */
struct change {
	struct path *path;
	struct body *body;
};

struct handle {
	sqlite3_file base;
	struct body *body; /* NULL: a temporary file, not watched */
	sqlite3_file *real;
};

typedef int (*open_directory_fn)(const char *path, int *fd);

/* SQLite's list of VFS is global, and so is this. */
static struct {
	pthread_mutex_t lock; /* all below; recursive, as a cut may look at it from inside */
	sqlite3_vfs vfs;
	sqlite3_vfs *real;
	open_directory_fn open_directory;
	power_moment_fn fn;
	void *arg;
	struct body *bodies;
	struct path paths[PATHS_MAX];
	struct change changes[1024];
	unsigned int path_count, change_count;
	struct power_counts counts;
} power;

static void enter(void)
{
	pthread_mutex_lock(&power.lock);
}

static void leave(void)
{
	pthread_mutex_unlock(&power.lock);
}

static void moment(void)
{
	if (power.fn)
		power.fn(power.arg);
}

static sqlite3_file *real_of(sqlite3_file *file)
{
	return ((struct handle *)file)->real;
}

static struct body *body_of(sqlite3_file *file)
{
	return ((struct handle *)file)->body;
}

/* Files and names */

static void set_size(struct bytes *bytes, size_t size, int fill)
{
	bytes->data = must_realloc(bytes->data, size, 1);
	if (size > bytes->size)
		memset(bytes->data + bytes->size, fill, size - bytes->size);
	bytes->size = size;
}

static void put_bytes(struct bytes *bytes, size_t offset, const void *data, size_t len, int fill)
{
	if (offset + len > bytes->size)
		set_size(bytes, offset + len, fill);
	memcpy(bytes->data + offset, data, len);
}

static struct body *new_body(const char *name)
{
	struct body *body = must_alloc(sizeof(*body));
	size_t len = strlen(name);

	body->last = &body->first;
	body->is_log = len > 4 && strcmp(name + len - 4, "-wal") == 0;
	body->next = power.bodies;
	power.bodies = body;
	return body;
}

static struct path *find_path(const char *name)
{
	struct path *path;

	for (unsigned int i = 0; i < power.path_count; i++)
		if (strcmp(power.paths[i].name, name) == 0)
			return &power.paths[i];
	if (power.path_count == PATHS_MAX)
		abort();
	path = &power.paths[power.path_count++];
	*path = (struct path){ .name = strdup(name) };
	return path;
}

static void change_directory(struct path *path, struct body *body)
{
	if (power.change_count == ARRAY_SIZE(power.changes))
		abort();
	power.changes[power.change_count++] = (struct change){ path, body };
	path->now = body;
}

static void sync_directory(void)
{
	for (unsigned int i = 0; i < power.change_count; i++)
		power.changes[i].path->synced = power.changes[i].body;
	power.change_count = 0;
	power.counts.directory_syncs++;
}

static int open_directory(const char *path, int *fd)
{
	int rc;

	enter();
	rc = power.open_directory(path, fd);
	if (rc == SQLITE_OK)
		sync_directory();
	leave();
	return rc;
}

/* What is there when it is first opened is on the disk. */
static struct body *load(const char *name)
{
	_cleanup_(cairn_closep) int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct body *body = new_body(name);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

	if (size < 0)
		abort();
	set_size(&body->synced, (size_t)size, 0);
	if (pread(fd, body->synced.data, (size_t)size, 0) != size)
		abort();
	return body;
}

static void add_pending(struct body *body, int64_t offset, const void *data, size_t len)
{
	struct pending *pending = must_alloc(sizeof(*pending));

	pending->offset = offset;
	pending->len = len;
	if (data) {
		pending->data = must_alloc(len);
		memcpy(pending->data, data, len);
	}
	*body->last = pending;
	body->last = &pending->next;
}

static void apply_pending(struct bytes *bytes, const struct pending *pending)
{
	if (pending->data)
		put_bytes(bytes, (size_t)pending->offset, pending->data, pending->len, 0);
	else
		set_size(bytes, (size_t)pending->offset, 0);
}

static void drop_pending(struct body *body)
{
	struct pending *pending;

	while ((pending = body->first)) {
		body->first = pending->next;
		free(pending->data);
		free(pending);
	}
	body->last = &body->first;
}

static void sync_body(struct body *body)
{
	for (const struct pending *p = body->first; p; p = p->next)
		apply_pending(&body->synced, p);
	drop_pending(body);
	power.counts.syncs++;
	power.counts.database_syncs += !body->is_log;
}

/* The methods of a file */

static int power_close(sqlite3_file *file)
{
	return real_of(file)->pMethods->xClose(real_of(file));
}

static int power_read(sqlite3_file *file, void *data, int len, sqlite3_int64 offset)
{
	return real_of(file)->pMethods->xRead(real_of(file), data, len, offset);
}

static int power_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 offset)
{
	int rc;

	enter();
	if (body_of(file)) {
		add_pending(body_of(file), offset, data, (size_t)len);
		power.counts.writes++;
		moment();
	}
	rc = real_of(file)->pMethods->xWrite(real_of(file), data, len, offset);
	leave();
	return rc;
}

static int power_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	int rc;

	enter();
	if (body_of(file)) {
		add_pending(body_of(file), size, NULL, 0);
		power.counts.truncates++;
		moment();
	}
	rc = real_of(file)->pMethods->xTruncate(real_of(file), size);
	leave();
	return rc;
}

static int power_sync(sqlite3_file *file, int flags)
{
	int rc;

	enter();
	moment();
	rc = real_of(file)->pMethods->xSync(real_of(file), flags);
	if (rc == SQLITE_OK && body_of(file)) {
		sync_body(body_of(file));
		moment();
	}
	leave();
	return rc;
}

static int power_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int power_lock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int power_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int power_check_lock(sqlite3_file *file, int *held)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), held);
}

static int power_control(sqlite3_file *file, int op, void *arg)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int power_sector_size(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int power_characteristics(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int power_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
	return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, ret);
}

static int power_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
	return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void power_shm_barrier(sqlite3_file *file)
{
	real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int power_shm_unmap(sqlite3_file *file, int delete)
{
	return real_of(file)->pMethods->xShmUnmap(real_of(file), delete);
}

/* Version 2: without the methods of memory-mapped files, which would write past us. */
static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = power_close,
	.xRead = power_read,
	.xWrite = power_write,
	.xTruncate = power_truncate,
	.xSync = power_sync,
	.xFileSize = power_size,
	.xLock = power_lock,
	.xUnlock = power_unlock,
	.xCheckReservedLock = power_check_lock,
	.xFileControl = power_control,
	.xSectorSize = power_sector_size,
	.xDeviceCharacteristics = power_characteristics,
	.xShmMap = power_shm_map,
	.xShmLock = power_shm_lock,
	.xShmBarrier = power_shm_barrier,
	.xShmUnmap = power_shm_unmap,
};

/* The methods of the VFS that differ from the system's */

static int power_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	struct handle *handle = (struct handle *)file;
	bool there;
	int rc;

	*handle = (struct handle){ .real = (sqlite3_file *)(handle + 1) };
	enter();
	there = name && access(name, F_OK) == 0;
	rc = power.real->xOpen(power.real, name, handle->real, flags, out);
	if (rc == SQLITE_OK && name) {
		struct path *path = find_path(name);

		if (!there) {
			change_directory(path, new_body(name));
			moment();
		} else if (!path->now) {
			path->now = path->synced = load(name);
		}
		handle->body = path->now;
	}
	leave();
	if (rc == SQLITE_OK)
		file->pMethods = &methods;
	return rc;
}

static int power_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	struct path *path;
	int rc;

	enter();
	path = find_path(name);
	if (path->now) {
		change_directory(path, NULL);
		power.counts.removals++;
		moment();
	}
	rc = power.real->xDelete(power.real, name, sync);
	leave();
	return rc;
}

static void replace_open_directory(void (*with)(void))
{
	/* The system calls are all declared as functions without parameters. */
	power.real->xSetSystemCall(power.real, "openDirectory", with);
}

void power_vfs_start(power_moment_fn fn, void *arg)
{
	pthread_mutexattr_t attr;

	memset(&power, 0, sizeof(power));
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&power.lock, &attr);
	pthread_mutexattr_destroy(&attr);
	power.fn = fn;
	power.arg = arg;
	power.real = sqlite3_vfs_find("unix");
	power.open_directory = (open_directory_fn)(void (*)(void))power.real->xGetSystemCall(
		power.real, "openDirectory");
	replace_open_directory((void (*)(void))open_directory);

	power.vfs = *power.real;
	power.vfs.zName = NAME;
	power.vfs.pNext = NULL;
	power.vfs.szOsFile = (int)sizeof(struct handle) + power.real->szOsFile;
	power.vfs.xOpen = power_open;
	power.vfs.xDelete = power_delete;
	sqlite3_vfs_register(&power.vfs, 1);
}

void power_vfs_stop(struct power_counts *ret)
{
	struct body *body;

	sqlite3_vfs_unregister(&power.vfs);
	sqlite3_vfs_register(power.real, 1);
	replace_open_directory((void (*)(void))power.open_directory);
	while ((body = power.bodies)) {
		power.bodies = body->next;
		drop_pending(body);
		free(body->synced.data);
		free(body);
	}
	for (unsigned int i = 0; i < power.path_count; i++)
		free(power.paths[i].name);
	pthread_mutex_destroy(&power.lock);
	*ret = power.counts;
}

/* The cut */

struct cut {
	struct rng *rng;
	uint32_t keep; /* of 100 sectors */
	bool whole;    /* a write is there or not as a whole */
	int fill;      /* what stands where a file grew and nothing arrived */
	const char *into;
};

static bool survives(const struct cut *cut)
{
	return rng_below(cut->rng, 100) < cut->keep;
}

static void keep_sectors(const struct cut *cut, struct bytes *bytes, const struct pending *pending)
{
	size_t offset = (size_t)pending->offset, end = offset + pending->len, at, n;

	for (at = offset; at < end; at += n) {
		n = MIN(SECTOR - at % SECTOR, end - at);
		if (survives(cut))
			put_bytes(bytes, at, pending->data + (at - offset), n, cut->fill);
	}
}

static void keep_pending(const struct cut *cut, struct bytes *bytes, const struct pending *pending)
{
	if (pending->data && !cut->whole)
		keep_sectors(cut, bytes, pending);
	else if (survives(cut))
		apply_pending(bytes, pending);
}

static int write_survivor(const struct cut *cut, const char *name, const struct body *body)
{
	_cleanup_(cairn_closep) int fd = -1;
	struct bytes bytes = { 0 };
	char copy[4096], path[4096];
	ssize_t n;

	snprintf(copy, sizeof(copy), "%s", name);
	snprintf(path, sizeof(path), "%s/%s", cut->into, basename(copy));
	put_bytes(&bytes, 0, body->synced.data, body->synced.size, 0);
	for (const struct pending *p = body->first; p; p = p->next)
		keep_pending(cut, &bytes, p);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	n = fd < 0 ? -1 : write(fd, bytes.data, bytes.size);
	free(bytes.data);
	if (n < 0)
		return -errno;
	return (size_t)n == bytes.size ? 0 : -ENOSPC;
}

/* Names change in order, as in a file system with a journal. */
static const struct body *body_after(const struct path *path, unsigned int changes)
{
	const struct body *body = path->synced;

	for (unsigned int i = 0; i < changes; i++)
		if (power.changes[i].path == path)
			body = power.changes[i].body;
	return body;
}

int power_vfs_cut(struct rng *rng, const char *into)
{
	static const uint32_t keeps[] = { 0, 5, 50, 95, 100 };
	struct cut cut = {
		.rng = rng,
		.keep = keeps[rng_below(rng, ARRAY_SIZE(keeps))],
		.whole = rng_below(rng, 3) == 0,
		.fill = rng_below(rng, 2) ? 0xa5 : 0,
		.into = into,
	};
	unsigned int changes;
	int r = 0;

	enter();
	changes = rng_below(rng, power.change_count + 1);
	for (unsigned int i = 0; r == 0 && i < power.path_count; i++) {
		const struct body *body = body_after(&power.paths[i], changes);

		if (body)
			r = write_survivor(&cut, power.paths[i].name, body);
	}
	leave();
	return r;
}
