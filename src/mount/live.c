#include "mount/live.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "mount/control.h"
#include "mount/mark.h"
#include "util/macro.h"

enum {
	/* How long a mount may take to commit: another process may hold the database's lock. */
	COMMIT_WAIT_S = 120,
	/* How long a mount is looked for that is not up yet, or about to be gone; and how often. */
	PASSING_MS = 10000,
	LOOK_MS = 50,
};

void cairn_live_done(struct cairn_live *live)
{
	free(TAKE_PTR(live->directory));
	free(TAKE_PTR(live->path));
}

/* Whether this process serves what is mounted on `path`. */
static int check_path(const char *path, int pid)
{
	struct cairn_ioc_info info = { 0 };
	int r;

	r = cairn_control_info(path, &info);
	if (r < 0)
		return r;
	return info.pid == pid ? 0 : -ENOTTY;
}

/* The way to the mount: its directory, or the same in the daemon's own mount namespace. */
static int find_path(struct cairn_live *live)
{
	int r, there;

	live->path = strdup(live->directory);
	if (!live->path)
		return -ENOMEM;
	r = check_path(live->path, live->pid);
	if (r == 0)
		return 0;
	free(TAKE_PTR(live->path));
	if (asprintf(&live->path, "/proc/%d/root%s", live->pid, live->directory) < 0) {
		live->path = NULL;
		return -ENOMEM;
	}
	there = check_path(live->path, live->pid);
	/* Something else stands in the place here: then the way through /proc is the one to tell
	 * of. */
	return there == 0 || r == -ENOTTY || r == -ENOENT ? there : r;
}

/* The way through the root of the one process that sees the mount. */
static int find_private_path(struct cairn_live *live, int pid)
{
	if (asprintf(&live->path, "/proc/%d/root%s", pid, live->directory) < 0) {
		live->path = NULL;
		return -ENOMEM;
	}
	return check_path(live->path, live->pid);
}

static int say_unreachable(const char *workspace, const struct cairn_live *live, int r,
			   struct cairn_error *err)
{
	if (r == -EACCES || r == -EPERM)
		return cairn_error_set(err, -EACCES,
				       "%s is mounted on %s by process %d of another user, and "
				       "that mount is closed to you; do this as that user, or "
				       "unmount it first",
				       workspace, live->directory, live->pid);
	if (r == -ETIMEDOUT)
		return cairn_error_set(err, r,
				       "%s is mounted on %s by process %d, which does not answer; "
				       "its log may say why",
				       workspace, live->directory, live->pid);
	return cairn_error_set(err, r,
			       "%s is mounted on %s by process %d, which cannot be reached from "
			       "here (%s); unmount it first",
			       workspace, live->directory, live->pid, strerror(-r));
}

/* One look. 0 with ret->pid 0 where there is no mount. */
static int look(const char *workspace, struct cairn_live *ret)
{
	_cleanup_(cairn_mark_info_done) struct cairn_mark_info mark = { 0 };
	int r;

	r = cairn_mark_read(workspace, &mark);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || !mark.live || mark.pid <= 0)
		return 0;
	if (!mark.directory && (!mark.private_directory || mark.private_pid <= 0))
		return 0;
	ret->pid = mark.pid;
	if (mark.directory) {
		ret->directory = TAKE_PTR(mark.directory);
		return find_path(ret);
	}
	ret->directory = TAKE_PTR(mark.private_directory);
	return find_private_path(ret, mark.private_pid);
}

/* The mark is there a moment before the mount is, and stays until all is written after it is gone.
 */
static bool is_passing(int r)
{
	return r == -ENOTTY || r == -ENOENT || r == -ENOTCONN;
}

int cairn_live_find(const char *workspace, struct cairn_live *ret, struct cairn_error *err)
{
	static const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	_cleanup_(cairn_live_done) struct cairn_live live = { 0 };
	int r;

	for (int waited = 0;; waited += LOOK_MS) {
		cairn_live_done(&live);
		live.pid = 0;
		r = look(workspace, &live);
		if (!is_passing(r) || waited >= PASSING_MS)
			break;
		nanosleep(&pause, NULL);
	}
	if (r < 0)
		return live.pid ? say_unreachable(workspace, &live, r, err) : r;
	*ret = live;
	live.directory = live.path = NULL;
	return 0;
}

int cairn_live_commit(const struct cairn_live *live, struct cairn_error *err)
{
	int r;

	if (live->pid == 0)
		return 0;
	r = cairn_control_commit(live->path, COMMIT_WAIT_S * 1000);
	if (r == -ETIMEDOUT)
		return cairn_error_set(err, r,
				       "the mount on %s (process %d) has not committed its changes "
				       "within %d seconds; its log says why",
				       live->directory, live->pid, COMMIT_WAIT_S);
	if (r < 0)
		return cairn_error_set(err, r,
				       "the mount on %s (process %d) cannot commit its changes: "
				       "%s; its log says why",
				       live->directory, live->pid, strerror(-r));
	return 0;
}

int cairn_live_settle(const char *workspace, struct cairn_error *err)
{
	_cleanup_(cairn_live_done) struct cairn_live live = { 0 };
	int r;

	r = cairn_live_find(workspace, &live, err);
	return r < 0 ? r : cairn_live_commit(&live, err);
}
