/* Asks a live mount, through the mount itself, who serves it (CAIRN_IOC_INFO). */
#pragma once

#include "fuse/session.h"

/* Never hangs: a daemon that does not answer within some seconds is -ETIMEDOUT. -ENOTCONN when the
 * daemon is gone, -ENOTTY when the file system is not ours, -EACCES when the mount is another
 * user's, or what open(2) said. */
int cairn_control_info(const char *directory, struct cairn_ioc_info *ret);
