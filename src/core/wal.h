/* Keeping the store's write-ahead log small.
 *
 * The writer copies the log home when it has grown, between commits, and when there is nothing else
 * to do. The log starts over, instead of growing, as soon as all of it is copied and nobody reads
 * from it; our own readers rest for that, but a reader in another process may stay for as long as
 * it likes. So there is a limit: from `wal_limit` bytes on no commit begins until the log can start
 * over, and callers notice what they notice when another process holds the write lock. The log is
 * never larger than the limit and what one batch writes.
 *
 * All of this is for the writer thread, with no lock held. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cairn_core;

/* Before a commit. -EAGAIN while the log is at its limit and cannot start over; told in the log
 * once, with the names of those who read. With `last`, at the end of a mount, the limit does not
 * count: what is left is worth more. */
int cairn_wal_admit(struct cairn_core *core, bool last);
/* After commits, by anyone, and with `idle` when there is nothing else to do. */
void cairn_wal_tend(struct cairn_core *core, bool idle);
/* When the writer has nothing else to do, in monotonic ns; 0: the log needs nothing. */
uint64_t cairn_wal_due(const struct cairn_core *core);
