/* Access times, for the options relatime and strictatime: kept in core with the batches, so that no
 * read ever starts a transaction. */
#pragma once

#include <stdint.h>

struct cairn_core;

/* Something of the inode was read. Moves its atime if the options and its other times say so; a
 * read neither waits nor fails for it. No lock may be held. */
void cairn_atime_read(struct cairn_core *core, uint64_t ino);
