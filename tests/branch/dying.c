/* Makes a command die in the n-th write to a database, before it is done: n is in the environment,
 * as CAIRNFS_DIE_AT_WRITE. Linked to the program as a whole, before whose main() it runs. */
#include <stdlib.h>
#include <unistd.h>

#include "../lib/fault_vfs.h"

static void die(void *arg)
{
	_exit(99);
}

__attribute__((constructor)) static void prepare(void)
{
	const char *text = getenv("CAIRNFS_DIE_AT_WRITE");

	if (!text)
		return;
	fault_vfs_register();
	fault_vfs_meet(FAULT_WRITE, strtoul(text, NULL, 10), die, NULL);
}
