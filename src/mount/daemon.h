/* Forks the daemon of a mount and tells the one who waits for it how the start went.
 *
 * The parent waits until the child reports that it is ready or that it failed, and learns it too
 * when the child dies without a word. Until then what the child and its helpers (fusermount3) write
 * to standard error is kept, to explain a failure; afterwards it goes to /dev/null. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "util/error.h"

struct cairn_daemon {
	pid_t pid;      /* of the child; in the child 0 */
	int report_fd;  /* an end of the pipe between them */
	int capture_fd; /* in the child: where standard error goes until it has reported */
};

/* Returns 0 in the child and 1 in the parent, like fork(2), or -errno. The child is a session
 * leader in "/" without any open file but standard input, output, error and `keep_fd` (-1: none);
 * paths must be absolute by then. Flush stdio before. */
int cairn_daemon_fork(struct cairn_daemon *ret, int keep_fd, struct cairn_error *err);

/* Parent: waits for the child's word. 0 when it is ready; what it reported if it failed; -EIO if it
 * died without a word, about which `err` calls it the daemon of `name`. */
int cairn_daemon_wait(struct cairn_daemon *daemon, const char *name, struct cairn_error *err);

/* Child: reports, once; what follows a first report is dropped. */
void cairn_daemon_ready(struct cairn_daemon *daemon);
void cairn_daemon_failed(struct cairn_daemon *daemon, int r, const struct cairn_error *err);
