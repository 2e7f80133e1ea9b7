/* The kinds of requests that are counted and timed, by the kernel's names (enum fuse_opcode in
 * <linux/fuse.h>), in the order they are shown.
 *
 * A request is counted before its callback runs, so that a caller who was answered finds it
 * counted; its time is that from there to the end of the callback, the reply included. What libfuse
 * answers by itself (a callback that is NULL, INIT, INTERRUPT) is not seen. */
#pragma once

#include "util/stats.h"

#define CAIRN_REQUESTS(X)                                                                          \
	X(lookup)                                                                                  \
	X(getattr)                                                                                 \
	X(setattr)                                                                                 \
	X(forget)                                                                                  \
	X(batch_forget)                                                                            \
	X(opendir)                                                                                 \
	X(readdir)                                                                                 \
	X(readdirplus)                                                                             \
	X(releasedir)                                                                              \
	X(fsyncdir)                                                                                \
	X(mknod)                                                                                   \
	X(mkdir)                                                                                   \
	X(symlink)                                                                                 \
	X(link)                                                                                    \
	X(unlink)                                                                                  \
	X(rmdir)                                                                                   \
	X(rename)                                                                                  \
	X(readlink)                                                                                \
	X(open)                                                                                    \
	X(read)                                                                                    \
	X(write)                                                                                   \
	X(lseek)                                                                                   \
	X(fallocate)                                                                               \
	X(copy_file_range)                                                                         \
	X(fsync)                                                                                   \
	X(release)                                                                                 \
	X(getxattr)                                                                                \
	X(setxattr)                                                                                \
	X(listxattr)                                                                               \
	X(removexattr)                                                                             \
	X(statfs)                                                                                  \
	X(ioctl)

#define CAIRN_REQUEST_ENUM(name) CAIRN_REQUEST_##name,
enum cairn_request { CAIRN_REQUESTS(CAIRN_REQUEST_ENUM) CAIRN_REQUEST_KINDS };
#undef CAIRN_REQUEST_ENUM

/* stats.c */
extern const struct cairn_stats_names cairn_request_names;
