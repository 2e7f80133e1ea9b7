#include "fault_system.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

/* SQLite calls these for as long as the process lives. */
static _Atomic enum fault_place now;

static bool refuse(enum fault_place place, int error)
{
	if (atomic_load(&now) != place)
		return false;
	errno = error;
	return true;
}

static int place_open(const char *path, int flags, int mode)
{
	if ((flags & (O_ACCMODE | O_CREAT)) != O_RDONLY && refuse(FAULT_PLACE_READ_ONLY, EROFS))
		return -1;
	return open(path, flags, mode);
}

static ssize_t place_write(int fd, const void *buf, size_t size)
{
	return refuse(FAULT_PLACE_READ_ONLY, EROFS) ? -1 : write(fd, buf, size);
}

static ssize_t place_pwrite(int fd, const void *buf, size_t size, off_t at)
{
	return refuse(FAULT_PLACE_READ_ONLY, EROFS) ? -1 : pwrite(fd, buf, size, at);
}

static int place_ftruncate(int fd, off_t size)
{
	return refuse(FAULT_PLACE_READ_ONLY, EROFS) ? -1 : ftruncate(fd, size);
}

static int place_unlink(const char *path)
{
	return refuse(FAULT_PLACE_READ_ONLY, EROFS) ? -1 : unlink(path);
}

static void *place_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	if (refuse(FAULT_PLACE_NO_MAPPING, ENODEV))
		return MAP_FAILED;
	return mmap(at, size, protection, flags, fd, offset);
}

static int place_fcntl(int fd, int command, ...)
{
	va_list args;
	void *arg;

	va_start(args, command);
	arg = va_arg(args, void *);
	va_end(args);
	if (command == F_SETLK && refuse(FAULT_PLACE_NO_LOCKS, EOPNOTSUPP))
		return -1;
	return fcntl(fd, command, arg);
}

void fault_system_be(enum fault_place place)
{
	static const struct {
		const char *name;
		sqlite3_syscall_ptr call;
	} calls[] = {
		{ "open", (sqlite3_syscall_ptr)place_open },
		{ "write", (sqlite3_syscall_ptr)place_write },
		{ "pwrite", (sqlite3_syscall_ptr)place_pwrite },
		{ "pwrite64", (sqlite3_syscall_ptr)place_pwrite },
		{ "ftruncate", (sqlite3_syscall_ptr)place_ftruncate },
		{ "unlink", (sqlite3_syscall_ptr)place_unlink },
		{ "mmap", (sqlite3_syscall_ptr)place_mmap },
		{ "fcntl", (sqlite3_syscall_ptr)place_fcntl },
	};
	sqlite3_vfs *vfs = sqlite3_vfs_find("unix");

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (!vfs || vfs->xSetSystemCall(vfs, calls[i].name, calls[i].call) != SQLITE_OK)
			abort();
	atomic_store(&now, place);
}
