/* The inside of the FUSE layer, shared by src/fuse/ alone. */
#pragma once

#include <fuse3/fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/core.h"
#include "fuse/loop.h"
#include "fuse/session.h"

struct cairn_notifier {
	pthread_t thread;
	bool started;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake;
	bool pending;
	bool stop;
};

struct cairn_session {
	struct cairn_core *core;
	struct fuse_session *fuse;
	struct fuse_lowlevel_ops ops; /* the table, less what the options turn off */
	struct cairn_mount_options options;
	const struct cairn_log *log;
	char *workspace;          /* absolute path of the database */
	char *directory;          /* the mount point */
	int disk_fd;              /* O_PATH of the workspace file, for the free space below it */
	bool no_open;             /* the kernel opens files and directories without asking */
	bool squash;              /* files of user or group 0 are shown as the mounting user's */
	bool xattr;               /* extended attributes are served */
	bool epochs;              /* the kernel can drop all its entries at once */
	bool direct;              /* each read(2) of a file is asked for */
	atomic_bool answers_init; /* the next answer is that to INIT */
	struct cairn_notifier notifier;
	uint64_t since; /* when it was opened, monotonic ns */
	uid_t mounter_uid;
	gid_t mounter_gid;

	void (*ready)(void *arg);
	void *ready_arg;
	struct cairn_loop loop;
	atomic_bool ended;
};

/* How long the kernel may trust what it was told, in seconds: until it is told otherwise. */
#define CAIRN_CACHE_SECONDS 86400.0
/* The same for directory entries where it cannot be told. Absent and removed names are known to the
 * kernel alone, so there is no list by which to take them back one by one. */
#define CAIRN_ENTRY_SECONDS 1.0

static inline double cairn_attr_seconds(const struct cairn_session *session)
{
	return session->options.ask_always ? 0.0 : CAIRN_CACHE_SECONDS;
}

static inline double cairn_entry_seconds(const struct cairn_session *session)
{
	return session->epochs               ? cairn_attr_seconds(session)
	       : session->options.ask_always ? 0.0
					     : CAIRN_ENTRY_SECONDS;
}

/* notify.c: `arg` is the session. */
void cairn_notify_foreign(void *arg);
int cairn_notifier_start(struct cairn_session *session);
void cairn_notifier_stop(struct cairn_session *session);
bool cairn_kernel_has_epochs(const struct fuse_conn_info *conn);

extern const struct fuse_lowlevel_ops cairn_fuse_ops;

/* The init callback's work: which of the kernel's features are used. */
void cairn_negotiate(struct cairn_session *session, struct fuse_conn_info *conn);

/* direct.c: before the first request, and in the init callback. */
int cairn_direct_prepare(struct cairn_session *session);
void cairn_direct_negotiate(struct cairn_session *session, const struct fuse_conn_info *conn);

/* stats.c: the figures of this moment. */
struct cairn_ioc_stats;
struct cairn_ioc_spread;
void cairn_session_stats(struct cairn_session *session, struct cairn_ioc_stats *ret);
/* -ENXIO where there is no such distribution, -EPROTO for a version that is not ours. */
int cairn_session_spread(struct cairn_session *session, const struct cairn_ioc_spread *which,
			 struct cairn_ioc_spread *ret);

/* Owners: what the kernel is shown, and what it may ask to be stored. */
void cairn_show_attr(const struct cairn_session *session, const struct cairn_attr *attr,
		     struct stat *ret);
/* -EPERM for an owner that the uid= and gid= options rule out. Clears what changes nothing from
 * *set. */
int cairn_check_owner(const struct cairn_session *session, unsigned int *set,
		      const struct cairn_attr *to);

/* Whether the calling process has CAP_FSETID, from /proc; no for one that is gone. */
bool cairn_caller_keeps_setid(const struct cairn_caller *caller);

/* Watches for SIGTERM, SIGINT and SIGHUP in a thread of its own and ends the session cleanly. */
int cairn_signals_start(struct cairn_session *session, pthread_t *ret);
void cairn_signals_stop(struct cairn_session *session, pthread_t thread);
