#include "api/turn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/backoff.h"
#include "util/clock.h"
#include "util/filelock.h"
#include "util/macro.h"

static const struct cairn_filerange byte_turn = { 0, 1 }, byte_queue = { 1, 1 },
				    byte_open = { 2, 1 };

/* After this long, calls that begin no longer join a turn but wait for the next. */
#define TURN_MAX_NS 20000000U

/* The pauses between two looks at a lock that another process holds. */
#define PAUSE_MIN_NS UINT64_C(20000)
#define PAUSE_MAX_NS UINT64_C(2000000)

/* Waits by looking again and again: there is no fcntl(2) that waits for a limited time. */
static int wait_for_lock(int fd, struct cairn_filerange byte, uint64_t deadline)
{
	int r;

	for (unsigned int tries = 0;; tries++) {
		r = cairn_filelock_set(fd, byte, F_WRLCK);
		if (r != -EAGAIN || cairn_mono_ns() > deadline)
			return r;
		cairn_backoff_sleep(tries, PAUSE_MIN_NS, PAUSE_MAX_NS);
	}
}

static int take(int fd)
{
	uint64_t deadline = cairn_mono_ns() + UINT64_C(1000000) * CAIRN_TURN_BUDGET_MS;
	int r;

	r = wait_for_lock(fd, byte_queue, deadline);
	if (r < 0)
		return r;
	r = wait_for_lock(fd, byte_turn, deadline);
	cairn_filelock_set(fd, byte_queue, F_UNLCK);
	return r;
}

/* The file, open and with BYTE_OPEN held; 1 when the last to close removed it meanwhile. */
static int open_file(const char *path, mode_t mode, int *ret)
{
	_cleanup_(cairn_closep) int fd = -1;
	struct stat ours, there;
	int r;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	r = cairn_filelock_set(fd, byte_open, F_RDLCK);
	if (r == -EAGAIN)
		return 1;
	if (r < 0)
		return r;
	if (fstat(fd, &ours) < 0)
		return -errno;
	if (stat(path, &there) < 0)
		return errno == ENOENT ? 1 : -errno;
	if (ours.st_ino != there.st_ino || ours.st_dev != there.st_dev)
		return 1;
	/* Whoever may write the workspace takes turns, whatever the umask says. */
	if (ours.st_uid == geteuid() && (ours.st_mode & 0777) != mode && fchmod(fd, mode) < 0)
		return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

void cairn_turn_init(struct cairn_turn *turn)
{
	*turn = (struct cairn_turn){ .fd = -1 };
	pthread_mutex_init(&turn->lock, NULL);
	pthread_cond_init(&turn->changed, NULL);
}

int cairn_turn_open(struct cairn_turn *turn, const char *workspace)
{
	struct stat st;
	int r;

	if (stat(workspace, &st) < 0)
		return -errno;
	if (asprintf(&turn->path, "%s-api", workspace) < 0) {
		turn->path = NULL;
		return -ENOMEM;
	}
	do
		r = open_file(turn->path, st.st_mode & 0666, &turn->fd);
	while (r > 0);
	return r;
}

void cairn_turn_close(struct cairn_turn *turn)
{
	if (turn->fd >= 0) {
		if (cairn_filelock_set(turn->fd, byte_open, F_WRLCK) == 0)
			unlink(turn->path);
		close(turn->fd);
	}
	free(turn->path);
	pthread_cond_destroy(&turn->changed);
	pthread_mutex_destroy(&turn->lock);
}

static bool may_join(const struct cairn_turn *turn)
{
	return turn->held && cairn_mono_ns() - turn->since < TURN_MAX_NS;
}

/* Takes the turn for the caller, whose lock on `turn` is given up meanwhile. */
static int take_locked(struct cairn_turn *turn)
{
	int r;

	turn->taking = true;
	pthread_mutex_unlock(&turn->lock);
	r = take(turn->fd);
	pthread_mutex_lock(&turn->lock);
	turn->taking = false;
	if (r == 0) {
		turn->held = true;
		turn->since = cairn_mono_ns();
		turn->users = 1;
	} else {
		turn->failures++;
		turn->error = r;
	}
	pthread_cond_broadcast(&turn->changed);
	return r;
}

static int enter_locked(struct cairn_turn *turn)
{
	unsigned int failures = turn->failures;

	while (!may_join(turn)) {
		if (!turn->held && !turn->taking)
			return take_locked(turn);
		pthread_cond_wait(&turn->changed, &turn->lock);
		/* A thread that waited for all of us has waited long enough for all of us. */
		if (turn->failures != failures)
			return turn->error;
	}
	turn->users++;
	return 0;
}

int cairn_turn_enter(struct cairn_turn *turn)
{
	int r;

	if (turn->fd < 0)
		return 0;
	pthread_mutex_lock(&turn->lock);
	r = enter_locked(turn);
	pthread_mutex_unlock(&turn->lock);
	return r;
}

void cairn_turn_leave(struct cairn_turn *turn)
{
	if (turn->fd < 0)
		return;
	pthread_mutex_lock(&turn->lock);
	if (--turn->users == 0) {
		cairn_filelock_set(turn->fd, byte_turn, F_UNLCK);
		turn->held = false;
		pthread_cond_broadcast(&turn->changed);
	}
	pthread_mutex_unlock(&turn->lock);
}
