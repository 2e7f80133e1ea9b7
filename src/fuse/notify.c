/* Telling the kernel that what it caches may be old, after another process has changed files.
 *
 * This is done in a thread of its own, never in one that serves requests: an invalidation may wait
 * for a page that a request holds, and the answer to that request could then not be given. */
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "fuse/internal.h"

/* FUSE_NOTIFY_INC_EPOCH of <linux/fuse.h>, protocol 7.44 (Linux 6.16): all directory entries that
 * the kernel caches, the absent ones too, are to be looked up again. libfuse 3.14 does not know it.
 */
#define NOTIFY_INC_EPOCH 8
#define INC_EPOCH_MINOR  44U

/* struct fuse_out_header of <linux/fuse.h>: a notification has no request to answer. */
struct notification {
	uint32_t len;
	int32_t code;
	uint64_t unique;
};

bool cairn_kernel_has_epochs(const struct fuse_conn_info *conn)
{
	return conn->proto_major == 7 && conn->proto_minor >= INC_EPOCH_MINOR;
}

static void forget_entries(struct cairn_session *session)
{
	struct notification out = { .len = sizeof(out), .code = NOTIFY_INC_EPOCH };

	/* Without epochs, entries have the short timeout of cairn_entry_seconds(). */
	if (session->epochs && write(fuse_session_fd(session->fuse), &out, sizeof(out)) < 0)
		cairn_debug(session->log, "new epoch: %m");
}

static void forget_inode(void *arg, uint64_t ino)
{
	struct cairn_session *session = arg;

	/* -ENOENT: the kernel has dropped it already. */
	fuse_lowlevel_notify_inval_inode(session->fuse, ino, 0, 0);
}

static void *run(void *arg)
{
	struct cairn_session *session = arg;
	struct cairn_notifier *notifier = &session->notifier;

	pthread_mutex_lock(&notifier->lock);
	while (!notifier->stop) {
		if (!notifier->pending) {
			pthread_cond_wait(&notifier->wake, &notifier->lock);
			continue;
		}
		notifier->pending = false;
		pthread_mutex_unlock(&notifier->lock);
		cairn_core_each_pinned(session->core, forget_inode, session);
		forget_entries(session);
		pthread_mutex_lock(&notifier->lock);
	}
	pthread_mutex_unlock(&notifier->lock);
	return NULL;
}

void cairn_notify_foreign(void *arg)
{
	struct cairn_session *session = arg;

	pthread_mutex_lock(&session->notifier.lock);
	session->notifier.pending = true;
	pthread_cond_signal(&session->notifier.wake);
	pthread_mutex_unlock(&session->notifier.lock);
}

int cairn_notifier_start(struct cairn_session *session)
{
	int r;

	r = -pthread_create(&session->notifier.thread, NULL, run, session);
	session->notifier.started = r == 0;
	return r;
}

void cairn_notifier_stop(struct cairn_session *session)
{
	if (!session->notifier.started)
		return;
	pthread_mutex_lock(&session->notifier.lock);
	session->notifier.stop = true;
	pthread_cond_signal(&session->notifier.wake);
	pthread_mutex_unlock(&session->notifier.lock);
	pthread_join(session->notifier.thread, NULL);
	session->notifier.started = false;
}
