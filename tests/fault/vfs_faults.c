/* Each call that SQLite makes of its VFS fails once, or from then on, as such calls do. */
#include <errno.h>
#include <sqlite3.h>

#include "core_fixture.h"
#include "fault_vfs.h"
#include "sweep.h"

static void arm(const struct sweep *sweep, unsigned long n)
{
	fault_vfs_fail((enum fault_call)sweep->what, n, sweep->code, sweep->stays > 0);
}

#define SWEEP(text, call, result, errno_, stays_)                                                  \
	{                                                                                          \
		.name = text, .error = errno_, .stays = stays_, .arm = arm,                        \
		.disarm = fault_vfs_clear, .fired = fault_vfs_fired, .what = call, .code = result, \
		.no_close = call == FAULT_OPEN || call == FAULT_SHM_MAP                            \
	}

static const struct sweep sweeps[] = {
	SWEEP("a read fails once", FAULT_READ, SQLITE_IOERR_READ, -EIO, 0),
	SWEEP("a write fails once", FAULT_WRITE, SQLITE_IOERR_WRITE, -EIO, 0),
	SWEEP("a write finds the disk full once", FAULT_WRITE, SQLITE_FULL, -ENOSPC, 0),
	SWEEP("a sync fails once", FAULT_FSYNC, SQLITE_IOERR_FSYNC, -EIO, 0),
	SWEEP("a lock is taken once", FAULT_LOCK, SQLITE_BUSY, 0, 0),
	SWEEP("a lock fails once", FAULT_LOCK, SQLITE_IOERR_LOCK, -EIO, 0),
	SWEEP("a lock of the WAL is taken once", FAULT_SHM_LOCK, SQLITE_BUSY, 0, 0),
	SWEEP("a lock of the WAL is another connection's once", FAULT_SHM_LOCK, SQLITE_LOCKED, 0,
	      0),
	SWEEP("a lock of the WAL finds a newer state once", FAULT_SHM_LOCK, SQLITE_BUSY_SNAPSHOT, 0,
	      0),
	SWEEP("a map of the WAL index fails once", FAULT_SHM_MAP, SQLITE_IOERR_SHMMAP, -EIO, 0),
	SWEEP("a map of the WAL index finds no memory once", FAULT_SHM_MAP, SQLITE_NOMEM, -ENOMEM,
	      0),
	SWEEP("the size of a file is not known once", FAULT_FILE_SIZE, SQLITE_IOERR_FSTAT, -EIO, 0),
	SWEEP("a file does not open once", FAULT_OPEN, SQLITE_CANTOPEN, -EIO, 0),
	SWEEP("writes fail for good", FAULT_WRITE, SQLITE_IOERR_WRITE, -EIO, 3),
	SWEEP("the disk is full for good", FAULT_WRITE, SQLITE_FULL, -ENOSPC, 3),
	SWEEP("syncs fail for good", FAULT_FSYNC, SQLITE_IOERR_FSYNC, -EIO, 3),
};

int main(void)
{
	return sweep_all(sweeps, ARRAY_SIZE(sweeps));
}
