/* Asks a live mount, through the mount itself: who serves it (CAIRN_IOC_INFO), what it has done
 * (CAIRN_IOC_STATS).
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
