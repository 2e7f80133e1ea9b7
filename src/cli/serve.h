/* Serving one mount: what the daemons of `mount` and `exec` do.
 *
 * It takes the mark, opens the session, serves, closes the session and gives up the mark, in that
 * order: while anything can still be written nobody else gets the workspace, and who sees the mark
 * gone finds everything in the database. */
#pragma once

#include "mount/daemon.h"
#include "mount/options.h"
#include "util/error.h"
#include "util/log.h"

/* One mount, all paths absolute. */
struct cairn_job {
	char *workspace;
	char *directory;
	int private_pid; /* the only process that sees the mount, with its children; 0: all do */
	const struct cairn_options *options;
	struct cairn_log log;
	struct cairn_daemon daemon; /* without file descriptors where it stays in front */
};

void cairn_job_done(struct cairn_job *job);

/* Sends the log where the options say; without a word from them to syslog, or to standard error for
 * one that stays in front. */
int cairn_job_open_log(struct cairn_job *job, bool foreground, struct cairn_error *err);

/* Serves until the mount is gone. A failure to write what was changed is left in the mark, too. */
int cairn_job_serve(struct cairn_job *job, struct cairn_error *err);

/* The same for a daemon: reports a failure to the one who waits, or logs it. The value is its exit
 * status. */
int cairn_job_run_daemon(struct cairn_job *job);
