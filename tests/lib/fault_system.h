/* SQLite's own system calls, which fail as those of a file system that cannot do something. SQLite
 * makes of the errno what it would make of the kernel's. Plain C. */
#pragma once

/* What the file system is from now on; the files that are open stay open. */
enum fault_place {
	FAULT_PLACE_SOUND,
	FAULT_PLACE_READ_ONLY,  /* whatever changes a file is EROFS */
	FAULT_PLACE_NO_MAPPING, /* no memory can be shared: mmap(2) is ENODEV */
	FAULT_PLACE_NO_LOCKS,   /* no file can be locked: fcntl(2) is EOPNOTSUPP */
};

/* Aborts where SQLite does not take it. */
void fault_system_be(enum fault_place place);
