/* A SQLite VFS before the default one, which fails chosen calls. It syncs nothing: a test that
 * ends the process, not the machine, loses nothing by that, and runs many times as fast. */
#pragma once

#include <stdbool.h>

enum fault_call {
	FAULT_READ,
	FAULT_WRITE,
	FAULT_TRUNCATE,
	FAULT_FSYNC,
	FAULT_LOCK,
	FAULT_FILE_SIZE,
	FAULT_SHM_MAP,
	FAULT_SHM_LOCK,
	FAULT_SHM_BARRIER, /* cannot fail */
	FAULT_OPEN,
	FAULT_CALLS,
};

/* Makes it the default VFS of the process. Aborts where that does not work. */
void fault_vfs_register(void);
/* The n-th such call from now (1: the next) returns the SQLite result `code`; with `stays` so do
 * all after it. */
void fault_vfs_fail(enum fault_call call, unsigned long n, int code, bool stays);
void fault_vfs_clear(void);
/* Calls that failed since the last fault_vfs_fail(). */
unsigned long fault_vfs_fired(void);

/* Such calls since the program began. */
unsigned long fault_vfs_calls(enum fault_call call);

/* In the n-th such call from now, before it does anything, `fn` is called, once; it may use SQLite.
 */
void fault_vfs_meet(enum fault_call call, unsigned long n, void (*fn)(void *arg), void *arg);

/* Between these two no file changes: whoever would change one waits. */
void fault_vfs_freeze(void);
void fault_vfs_thaw(void);
