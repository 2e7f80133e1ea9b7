/* libcairnfs: who makes checkpoints, and that nobody writes meanwhile. */
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

TestSuite(api_wal, .init = ax_setup_open, .fini = ax_teardown);

#define MIB (1UL << 20)

static size_t size_of(const char *suffix)
{
	char path[600];
	struct stat st;

	snprintf(path, sizeof(path), "%s%s", ax.db, suffix);
	return stat(path, &st) < 0 ? 0 : (size_t)st.st_size;
}

static void write_mib(struct cairnfs *ws, const char *path)
{
	static unsigned char block[1 << 20];
	static atomic_uint round;

	memset(block, (int)atomic_fetch_add(&round, 1), sizeof(block));
	ax_ok(cairnfs_write_file(ws, path, block, sizeof(block)));
}

/* As a mount has it: a write lock on the whole file. */
static int hold_mark(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[600];
	int fd;

	snprintf(path, sizeof(path), "%s-mount", ax.db);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	return fd;
}

/* Neither while it writes, more than there could be in the log otherwise, nor at its end. */
Test(api_wal, beside_a_mount_the_library_makes_no_checkpoint)
{
	size_t size = size_of("");
	int mark = hold_mark();

	for (int i = 0; i < 80; i++)
		write_mib(ax.ws, "/a");
	cr_expect_eq(size_of(""), size);
	ax_close();
	cr_expect_eq(size_of(""), size);
	cr_expect_geq(size_of("-wal"), 80 * MIB);

	close(mark);
	ax_open();
	write_mib(ax.ws, "/b");
	ax_close();
	cr_expect_geq(size_of(""), 2 * MIB);
	cr_expect_eq(size_of("-wal"), 0);
	cr_expect_eq(ax_number("SELECT SUM(length(data)) FROM fs_data"), 2 * MIB);
}

/* SQLite's own VFS with an eye on the lock of the WAL's writers and on what is written to the
 * database, which only checkpoints do. */
static struct {
	sqlite3_vfs vfs, *real;
	sqlite3_io_methods main;
	const sqlite3_io_methods *main_real;
	atomic_int writer; /* somebody has the lock */
	atomic_bool watching;
	atomic_ulong writes, stray;
} shim;

static int main_write(sqlite3_file *file, const void *buf, int size, sqlite3_int64 at)
{
	if (atomic_load(&shim.watching)) {
		atomic_fetch_add(&shim.writes, 1);
		if (!atomic_load(&shim.writer))
			atomic_fetch_add(&shim.stray, 1);
	}
	return shim.main_real->xWrite(file, buf, size, at);
}

static int main_shm_lock(sqlite3_file *file, int first, int count, int flags)
{
	bool write_lock = first == 0 && flags & SQLITE_SHM_EXCLUSIVE;
	int rc;

	if (write_lock && flags & SQLITE_SHM_UNLOCK)
		atomic_store(&shim.writer, 0);
	rc = shim.main_real->xShmLock(file, first, count, flags);
	if (rc == SQLITE_OK && write_lock && flags & SQLITE_SHM_LOCK)
		atomic_store(&shim.writer, 1);
	return rc;
}

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret)
{
	int rc = shim.real->xOpen(shim.real, name, file, flags, ret);

	if (rc != SQLITE_OK || !(flags & SQLITE_OPEN_MAIN_DB))
		return rc;
	if (file->pMethods->iVersion >= 2 && !shim.main_real) {
		shim.main_real = file->pMethods;
		shim.main = *file->pMethods;
		shim.main.xWrite = main_write;
		shim.main.xShmLock = main_shm_lock;
	}
	if (file->pMethods == shim.main_real)
		file->pMethods = &shim.main;
	return rc;
}

static void setup_watched(void)
{
	ax_setup();
	shim.real = sqlite3_vfs_find(NULL);
	shim.vfs = *shim.real;
	shim.vfs.zName = "watched";
	shim.vfs.xOpen = shim_open;
	cr_assert_eq(sqlite3_vfs_register(&shim.vfs, 1), SQLITE_OK);
	ax_open();
}

TestSuite(api_checkpoint, .init = setup_watched, .fini = ax_teardown);

static void *write_files(void *arg)
{
	for (int i = 0; i < 24; i++)
		write_mib(arg, i % 2 ? "/odd" : "/even");
	return NULL;
}

static atomic_bool done;

static void *write_keys(void *arg)
{
	while (!atomic_load(&done))
		ax_ok(cairnfs_kv_increment(arg, "n", 1, NULL));
	return NULL;
}

/* Two handles, as two processes have them, each with its writer and its keys. */
Test(api_checkpoint, nobody_writes_while_anybody_copies)
{
	struct cairnfs *ws[2] = { ax.ws, ax_open_other() };
	pthread_t files[2], keys[2];

	atomic_store(&shim.watching, true);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(pthread_create(&files[i], NULL, write_files, ws[i]), 0);
		cr_assert_eq(pthread_create(&keys[i], NULL, write_keys, ws[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(files[i], NULL);
	atomic_store(&done, true);
	for (int i = 0; i < 2; i++)
		pthread_join(keys[i], NULL);
	/* They go on while they are idle. */
	while (size_of("") < 2 * MIB)
		usleep(1000);
	atomic_store(&shim.watching, false);
	cr_expect_gt(atomic_load(&shim.writes), 0);
	cr_expect_eq(atomic_load(&shim.stray), 0);
	ax_ok(cairnfs_close(ws[1]));
	ax_close();
	cr_expect_eq(ax_number("SELECT COUNT(*) FROM pragma_integrity_check WHERE "
			       "integrity_check <> 'ok'"),
		     0);
	cr_expect_eq(ax_number("SELECT SUM(length(data)) FROM fs_data"), 2 * MIB);
}

/* Without a mount and without a change of files: keys alone. */
Test(api_checkpoint, keys_alone_are_checkpointed_too)
{
	static char value[100001];

	memset(value, 'x', sizeof(value) - 1);
	for (int i = 0; i < 50; i++) {
		snprintf(value, 10, "%9d", i);
		value[9] = 'x';
		for (int j = 0; j < 5; j++)
			ax_ok(cairnfs_kv_set(ax.ws, (char[]){ (char)('a' + j), 0 }, value));
	}
	while (size_of("") < 500000)
		usleep(1000);
}
