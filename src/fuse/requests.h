/* The kinds of requests that are counted and timed.
 *
 * A request is counted when it has been read from the kernel, so that a caller who was answered
 * finds it counted; its time is that from there until its callback has returned, the reply
 * included. An fsync is answered later, and its own callbacks count and time it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/stats.h"

/* By the kernel's names (enum fuse_opcode in <linux/fuse.h>), in the order they are shown. What has
 * the same meaning has the same name. */
#define CAIRN_REQUESTS(X)                                                                          \
	X(lookup)                                                                                  \
	X(getattr)                                                                                 \
	X(setattr)                                                                                 \
	X(access)                                                                                  \
	X(forget)                                                                                  \
	X(batch_forget)                                                                            \
	X(opendir)                                                                                 \
	X(readdir)                                                                                 \
	X(readdirplus)                                                                             \
	X(releasedir)                                                                              \
	X(fsyncdir)                                                                                \
	X(create)                                                                                  \
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
	X(flush)                                                                                   \
	X(fsync)                                                                                   \
	X(release)                                                                                 \
	X(getxattr)                                                                                \
	X(setxattr)                                                                                \
	X(listxattr)                                                                               \
	X(removexattr)                                                                             \
	X(statfs)                                                                                  \
	X(ioctl)                                                                                   \
	X(poll)                                                                                    \
	X(interrupt)                                                                               \
	X(init)                                                                                    \
	X(other)

#define CAIRN_REQUEST_ENUM(name) CAIRN_REQUEST_##name,
enum cairn_request { CAIRN_REQUESTS(CAIRN_REQUEST_ENUM) CAIRN_REQUEST_KINDS };
#undef CAIRN_REQUEST_ENUM

extern const struct cairn_stats_names cairn_request_names;

/* Whether the request's callback counts and times it. */
static inline bool cairn_request_times_itself(int kind)
{
	return kind == CAIRN_REQUEST_fsync || kind == CAIRN_REQUEST_fsyncdir;
}

/* The kind of the request of `size` bytes that the kernel has sent; -1 for a question about the
 * mount itself (stats.h), which is no work of the mount: who asks how much there was must not add
 * to it. */
int cairn_request_kind(const void *request, size_t size);
