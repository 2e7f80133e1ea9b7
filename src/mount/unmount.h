/* Takes a mount out of the tree: umount2(2) where that is allowed, else fusermount3. */
#pragma once

#include <stdbool.h>

#include "util/error.h"

/* `lazy` detaches the mount at once, whoever still uses it: for one whose daemon is dead. -EBUSY
 * while it is in use, -EPERM when fusermount3 refuses, -ENOENT when there is no fusermount3. */
int cairn_unmount(const char *directory, bool lazy, struct cairn_error *err);
