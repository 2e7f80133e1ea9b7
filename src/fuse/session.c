#include "fuse/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/overlay.h"
#include "fuse/internal.h"
#include "util/macro.h"

static void session_free(struct cairn_session *session)
{
	if (session->fuse)
		fuse_session_destroy(session->fuse);
	if (session->disk_fd >= 0)
		close(session->disk_fd);
	cairn_loop_destroy(&session->loop);
	pthread_cond_destroy(&session->notifier.wake);
	pthread_mutex_destroy(&session->notifier.lock);
	free(session->workspace);
	free(session->directory);
	free(session);
}

/* What the options leave out of the op table, the kernel asks for once and never again. */
static void trim_ops(struct cairn_session *session)
{
	session->ops = cairn_fuse_ops;
	if (!session->xattr) {
		session->ops.setxattr = NULL;
		session->ops.getxattr = NULL;
		session->ops.listxattr = NULL;
		session->ops.removexattr = NULL;
	}
	/* What the kernel gathers may lie where holes are; its own answer knows none, and is right.
	 */
	if (session->options.writeback_cache == CAIRN_ON)
		session->ops.lseek = NULL;
}

int cairn_fuse_version(void)
{
	return fuse_version();
}

static void free_args(struct fuse_args *args)
{
	fuse_opt_free_args(args);
}

/* A file system shows as `fuse.cairnfs`, with the workspace as its source unless the options say
 * otherwise. */
static int add_options(struct cairn_session *session, struct fuse_args *args)
{
	_cleanup_(cairn_freep) char *name = NULL;
	_cleanup_(cairn_freep) char *list = NULL;

	if (asprintf(&name, "fsname=%s", session->workspace) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	if (fuse_opt_add_opt_escaped(&list, name) < 0 ||
	    fuse_opt_add_opt(&list, "subtype=cairnfs") < 0 ||
	    fuse_opt_add_opt(&list, "default_permissions") < 0)
		return -ENOMEM;
	if (session->options.fuse_options &&
	    fuse_opt_add_opt(&list, session->options.fuse_options) < 0)
		return -ENOMEM;
	if (fuse_opt_add_arg(args, "cairnfs") < 0 || fuse_opt_add_arg(args, "-o") < 0 ||
	    fuse_opt_add_arg(args, list) < 0)
		return -ENOMEM;
	if (session->options.debug && fuse_opt_add_arg(args, "-d") < 0)
		return -ENOMEM;
	return 0;
}

static int session_mount(struct cairn_session *session, struct cairn_error *err)
{
	_cleanup_(free_args) struct fuse_args args = { 0 };
	const char *where = session->directory;
	char connection[32];
	int r;

	/* How libfuse is told of one, fuse_session_mount() in <fuse_lowlevel.h>. */
	if (session->options.fuse_fd) {
		snprintf(connection, sizeof(connection), "/dev/fd/%d", session->options.fuse_fd);
		where = connection;
	}
	r = add_options(session, &args);
	if (r < 0)
		return r;
	trim_ops(session);
	session->fuse = fuse_session_new(&args, &session->ops, sizeof(session->ops), session);
	if (!session->fuse)
		return cairn_error_set(err, -EINVAL, "libfuse refused the mount options '%s'",
				       session->options.fuse_options ?: "");
	if (fuse_session_mount(session->fuse, where) != 0)
		return cairn_error_set(err, -EIO,
				       "%s cannot be mounted on %s: the kernel or "
				       "fusermount3 refused it",
				       session->workspace, session->directory);
	r = cairn_direct_prepare(session);
	if (r < 0)
		fuse_session_unmount(session->fuse);
	return r;
}

static int session_init(struct cairn_session *session, const char *workspace, const char *dir,
			const struct cairn_mount_options *options, const struct cairn_log *log)
{
	session->options = *options;
	session->log = log;
	session->mounter_uid = geteuid();
	session->mounter_gid = getegid();
	session->squash = session->mounter_uid != 0;
	session->workspace = realpath(workspace, NULL);
	session->directory = strdup(dir);
	session->disk_fd = open(workspace, O_PATH | O_CLOEXEC);
	if (!session->workspace || !session->directory || session->disk_fd < 0)
		return -errno;
	session->since = cairn_mono_ns();
	return 0;
}

static void held_up(void *arg)
{
	struct cairn_session *session = arg;

	cairn_loop_held_up(&session->loop);
}

/* Opens the store and the core over it. */
static int open_core(struct cairn_session *session, struct cairn_error *err)
{
	struct cairn_store_options options = {
		.read_only = session->options.core.read_only,
		.busy_timeout_ms = session->options.busy_timeout_ms,
		.log = session->log,
		.base = session->options.base,
		.base_ignore = (const char *const *)session->options.base_ignore,
		.base_ignore_count = session->options.base_ignore_count,
		.copy_whole = session->options.copy_whole,
		.mount_point = session->options.fuse_fd ? NULL : session->directory,
	};
	struct cairn_store *store;
	int r;

	session->options.core.on_foreign = cairn_notify_foreign;
	session->options.core.on_wait = held_up;
	session->options.core.hook_arg = session;
	r = cairn_store_open(session->workspace, &options, &store, err);
	if (r < 0)
		return r;
	session->xattr = session->options.xattr == CAIRN_ON ||
			 (session->options.xattr == CAIRN_AUTO && store->has_xattrs);
	return cairn_core_open(store, &session->options.core, session->log, &session->core);
}

int cairn_session_open(const char *workspace, const char *dir,
		       const struct cairn_mount_options *options, const struct cairn_log *log,
		       struct cairn_session **ret, struct cairn_error *err)
{
	struct cairn_session *session = calloc(1, sizeof(*session));
	int r;

	if (!session)
		return -ENOMEM;
	session->disk_fd = -1;
	pthread_mutex_init(&session->notifier.lock, NULL);
	pthread_cond_init(&session->notifier.wake, NULL);
	r = cairn_loop_init(&session->loop, options->threads);
	if (r == 0)
		r = session_init(session, workspace, dir, options, log);
	if (r < 0)
		r = cairn_error_set(err, r, "%s: %s", workspace, strerror(-r));
	if (r == 0)
		r = open_core(session, err);
	if (r == 0)
		r = session_mount(session, err);
	if (r < 0) {
		if (session->core)
			cairn_core_close(session->core);
		session_free(session);
		return r;
	}
	*ret = session;
	return 0;
}

int cairn_session_serve(struct cairn_session *session, void (*ready)(void *arg), void *arg)
{
	pthread_t signals;
	int r;

	session->ready = ready;
	session->ready_arg = arg;
	r = cairn_signals_start(session, &signals);
	if (r == 0) {
		r = cairn_notifier_start(session);
		if (r == 0)
			r = cairn_loop_run(&session->loop, session->fuse);
		/* Nobody may answer where the kernel's end is being closed. */
		cairn_core_fsync_drain(session->core);
		cairn_signals_stop(session, signals);
	}
	return r;
}

int cairn_session_close(struct cairn_session *session)
{
	int r;

	fuse_session_unmount(session->fuse);
	cairn_notifier_stop(session);
	r = cairn_core_close(session->core);
	session_free(session);
	return r;
}
