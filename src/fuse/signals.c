/* How a mount ends by a signal: as by umount, whatever is still open in it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "fuse/internal.h"
#include "mount/unmount.h"

/* Wakes the threads that wait for requests; its handler does nothing but interrupt. */
#define WAKE_SIGNAL SIGUSR1

static void ending_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
}

static void interrupt_only(int signal)
{
	(void)signal;
}

/* Has the kernel write back what it caches, through the mount that is still served. */
static void sync_mount(const struct cairn_session *session)
{
	int fd = open(session->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	syncfs(fd);
	close(fd);
}

/* Unmounted properly, the session ends by itself. */
static void unmount(struct cairn_session *session)
{
	if (cairn_unmount(session->directory, false, NULL) == 0)
		return;
	cairn_warn(session->log, "%s is in use and is unmounted all the same", session->directory);
	sync_mount(session);
	fuse_session_exit(session->fuse);
}

static void end_session(struct cairn_session *session)
{
	const struct timespec pause = { .tv_nsec = 10000000 };

	/* What somebody else has mounted he unmounts. Here that directory may be another mount. */
	if (session->options.fuse_fd)
		fuse_session_exit(session->fuse);
	else
		unmount(session);
	while (!atomic_load(&session->ended)) {
		cairn_loop_interrupt(&session->loop, WAKE_SIGNAL);
		nanosleep(&pause, NULL);
	}
}

static void *watch(void *arg)
{
	struct cairn_session *session = arg;
	sigset_t set;
	int signal;

	ending_signals(&set);
	while (sigwait(&set, &signal) != 0)
		;
	if (!atomic_load(&session->ended)) {
		cairn_info(session->log, "signal %d: unmounting %s", signal, session->directory);
		end_session(session);
	}
	return NULL;
}

int cairn_signals_start(struct cairn_session *session, pthread_t *ret)
{
	struct sigaction action = { .sa_handler = interrupt_only };
	sigset_t set;

	sigaction(WAKE_SIGNAL, &action, NULL);
	ending_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return -pthread_create(ret, NULL, watch, session);
}

void cairn_signals_stop(struct cairn_session *session, pthread_t thread)
{
	atomic_store(&session->ended, true);
	pthread_kill(thread, SIGTERM);
	pthread_join(thread, NULL);
}
