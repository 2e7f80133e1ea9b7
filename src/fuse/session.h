/* One mount: a workspace served to the kernel through FUSE until it is unmounted. */
#pragma once

#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/types.h>

#include "core/options.h"
#include "util/error.h"
#include "util/log.h"

enum cairn_tristate { CAIRN_AUTO = -1, CAIRN_OFF = 0, CAIRN_ON = 1 };

struct cairn_mount_options {
	struct cairn_core_options core;
	unsigned int busy_timeout_ms; /* wait for another process's lock before a retry */
	bool uid_set, gid_set;        /* every file is shown as owned by uid / gid */
	uid_t uid;
	gid_t gid;
	unsigned int threads;                /* most FUSE worker threads; 0: CAIRN_THREADS_MAX */
	enum cairn_tristate writeback_cache; /* CAIRN_AUTO: the measured default */
	/* CAIRN_AUTO: on where the workspace has some. The kernel asks for an attribute before it
	 * writes (security.capability), a request that all others are spared. */
	enum cairn_tristate xattr;
	/* Have the kernel ask at every open and lookup: libfuse itself refuses other users then, by
	 * request, and would never see the requests that the kernel answers from its caches. */
	bool ask_always;
	bool debug;         /* log every FUSE request */
	char *fuse_options; /* comma list handed to libfuse as it is, or NULL */
	char *base; /* absolute: in the place of the base that the workspace names; or NULL */
	char **base_ignore; /* see struct cairn_base_options */
	size_t base_ignore_count;
	uint64_t copy_whole; /* bytes; see struct cairn_store_options */
	/* A connection to /dev/fuse that is mounted already, perhaps where this process does not
	 * see it. The session takes it over and never unmounts. 0: it mounts itself. */
	int fuse_fd;
};

struct cairn_session;

/* The version of libfuse in use: 314 for 3.14. It serves over io_uring from CAIRN_FUSE_IO_URING on.
 */
int cairn_fuse_version(void);
#define CAIRN_FUSE_IO_URING 318

/* Opens the workspace, mounts it on `dir` (unless options->fuse_fd is) and returns before the first
 * request is served. Nothing is left behind on failure. `err` says what is wrong in words. Must be
 * called after any fork. */
int cairn_session_open(const char *workspace, const char *dir,
		       const struct cairn_mount_options *options, const struct cairn_log *log,
		       struct cairn_session **ret, struct cairn_error *err);

/* Serves requests until the file system is unmounted or SIGTERM, SIGINT or SIGHUP arrives.
 * `ready` (may be NULL) is called once the kernel has completed its handshake. */
int cairn_session_serve(struct cairn_session *session, void (*ready)(void *arg), void *arg);

/* Unmounts if need be, commits what is left, checkpoints and truncates the WAL and frees the
 * session. Returns a negative errno when data could not be written; the log names the files. */
int cairn_session_close(struct cairn_session *session);

/* The answer to CAIRN_IOC_INFO, an ioctl(2) on the root directory of a live mount: who serves it.
 * It reaches the daemon through the mount itself, so it works from any namespace that sees it. */
struct cairn_ioc_info {
	int pid;
	int version;          /* 1 */
	char workspace[1024]; /* absolute path of the database, NUL-terminated */
};
#define CAIRN_IOC_INFO _IOR('c', 1, struct cairn_ioc_info)

/* Another one on the root directory: returns when all that was changed before it is committed, so
 * that a reader of the database sees it. What the kernel has gathered (writeback_cache, mmap(2))
 * must have been handed over with syncfs(2) before. */
#define CAIRN_IOC_COMMIT _IO('c', 4)
