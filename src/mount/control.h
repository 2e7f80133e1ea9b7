/* Asks a live mount, through the mount itself: who serves it (CAIRN_IOC_INFO), what it has done
 * (CAIRN_IOC_STATS), to commit what it has in memory (CAIRN_IOC_COMMIT).
 *
 * No question hangs: a daemon that does not answer within some seconds is -ETIMEDOUT. -ENOTCONN
 * when the daemon is gone, -ENOTTY when `directory` is not the root of a mount of ours, -EACCES
 * when it is another user's, or what open(2) said. Root speaks as the mounting user where the
 * kernel lets nobody else in. */
#pragma once

#include "mount/stats.h"

int cairn_control_info(const char *directory, struct cairn_ioc_info *ret);

/* Besides these errors -EPROTO when the mount is served by a cairnfs whose statistics are not of
 * our version, or that has none. */
int cairn_control_stats(const char *directory, struct cairn_mount_stats *ret);

/* Returns when all that was changed in the mount before the call is committed; or the errno for
 * which it cannot be. -ETIMEDOUT after `timeout_ms`: another process may hold the database's lock.
 */
int cairn_control_commit(const char *directory, int timeout_ms);
