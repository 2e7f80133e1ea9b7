#include "cli/serve.h"

#include <signal.h>
#include <string.h>

#include "cli/cli.h"
#include "mount/mark.h"

void cairn_job_done(struct cairn_job *job)
{
	free(job->workspace);
	free(job->directory);
	cairn_log_close(&job->log);
}

int cairn_job_open_log(struct cairn_job *job, bool foreground, struct cairn_error *err)
{
	const char *file = job->options->log_file;
	int r;

	if (job->options->mount.debug)
		job->log.level = CAIRN_LOG_DEBUG;
	if (!file && !foreground)
		cairn_log_to_syslog(&job->log);
	if (!file)
		return 0;
	r = cairn_log_to_file(&job->log, file);
	if (r < 0)
		return cairn_error_set(err, r, "the log %s cannot be written: %s", file,
				       strerror(-r));
	return 0;
}

static void report_ready(void *arg)
{
	cairn_daemon_ready(arg);
}

/* Serves an open session until its end. What could not be written counts more than what ended it;
 * `*ret_lost` tells whether there is any. */
static int serve_session(struct cairn_job *job, struct cairn_session *session, bool *ret_lost,
			 struct cairn_error *err)
{
	int served, closed;

	served = cairn_session_serve(session, report_ready, &job->daemon);
	closed = cairn_session_close(session);
	*ret_lost = closed < 0;
	if (closed < 0)
		return cairn_error_set(err, closed,
				       "not everything could be written to %s: %s; the log of the "
				       "mount names the files",
				       job->workspace, strerror(-closed));
	if (served < 0)
		return cairn_error_set(err, served, "the mount of %s on %s broke: %s",
				       job->workspace, job->directory, strerror(-served));
	return 0;
}

int cairn_job_serve(struct cairn_job *job, struct cairn_error *err)
{
	_cleanup_(cairn_mark_releasep) struct cairn_mark *mark = NULL;
	struct cairn_session *session;
	bool lost;
	int r;

	/* A log that goes into a pipe nobody reads must not end the mount. */
	signal(SIGPIPE, SIG_IGN);
	r = cairn_mark_take(job->workspace, job->private_pid ? NULL : job->directory,
			    job->options->mount.core.read_only, &mark, err);
	if (r == 0 && job->private_pid)
		r = cairn_mark_set_private(mark, job->directory, job->private_pid);
	if (r < 0)
		return r;
	r = cairn_session_open(job->workspace, job->directory, &job->options->mount, &job->log,
			       &session, err);
	if (r < 0)
		return cairn_error_set(err, r, "%s cannot be mounted on %s: %s", job->workspace,
				       job->directory, strerror(-r));
	r = serve_session(job, session, &lost, err);
	if (lost)
		cairn_mark_release(TAKE_PTR(mark), err->text);
	return r;
}

/* The parent may be gone by then; the exit status is for whoever supervises it. */
int cairn_job_run_daemon(struct cairn_job *job)
{
	struct cairn_error err = { 0 };
	int r;

	r = cairn_job_serve(job, &err);
	if (r == 0 && job->daemon.report_fd >= 0)
		r = cairn_error_set(&err, -EIO, "%s was unmounted before it answered",
				    job->directory);
	if (r == 0)
		return 0;
	cairn_err(&job->log, "%s", err.text);
	cairn_daemon_failed(&job->daemon, r, &err);
	return CAIRN_EXIT_FAILURE;
}
