#include "fuse/loop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/macro.h"

/* Every so many requests, a power of two, whoever takes one looks whether there is another. */
#define SAMPLE_EVERY 16U
/* So many samples in a row that met one are a backlog, so many that did not are calm. */
#define BACKLOG_MIN 4U
#define CALM_MIN    64U
/* Threads may wait for the disk, so a few are of use on a single processor, too. */
#define WAITING_MIN 4

int cairn_loop_init(struct cairn_loop *loop, unsigned int max)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	*loop = (struct cairn_loop){ .max = max ? max : CAIRN_THREADS_MAX };
	loop->spare_max = (unsigned int)MIN(MAX(processors, WAITING_MIN), (long)loop->max) - 1;
	loop->threads = calloc(loop->max, sizeof(*loop->threads));
	if (!loop->threads || cairn_stats_init(&loop->requests, &cairn_request_names) < 0) {
		free(TAKE_PTR(loop->threads));
		return -ENOMEM;
	}
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->unpark, NULL);
	pthread_cond_init(&loop->ran, NULL);
	return 0;
}

void cairn_loop_destroy(struct cairn_loop *loop)
{
	if (!loop->threads)
		return;
	pthread_cond_destroy(&loop->ran);
	pthread_cond_destroy(&loop->unpark);
	pthread_mutex_destroy(&loop->lock);
	cairn_stats_destroy(&loop->requests);
	free(loop->threads);
}

static void *serve(void *arg);

/* One more that waits: from the parked, or a new thread. Without either, the requests wait. */
static void add_waiting_locked(struct cairn_loop *loop)
{
	if (loop->parked > loop->wanted) {
		loop->wanted++;
		pthread_cond_signal(&loop->unpark);
	} else if (loop->count == loop->max ||
		   pthread_create(&loop->threads[loop->count], NULL, serve, loop) != 0) {
		return;
	} else {
		loop->count++;
		loop->running++;
	}
	loop->waiting++;
}

static void judge_load_locked(struct cairn_loop *loop)
{
	struct pollfd next = { .fd = fuse_session_fd(loop->fuse), .events = POLLIN };
	bool more = poll(&next, 1, 0) > 0;

	loop->backlog = more ? loop->backlog + 1 : 0;
	loop->calm = more ? 0 : loop->calm + 1;
	if (loop->backlog >= BACKLOG_MIN) {
		loop->backlog = 0;
		if (loop->spare < loop->spare_max) {
			loop->spare++;
			add_waiting_locked(loop);
		}
	} else if (loop->calm >= CALM_MIN) {
		loop->calm = 0;
		loop->spare -= loop->spare > 0;
	}
}

static void took_request(struct cairn_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->waiting--;
	if (++loop->taken % SAMPLE_EVERY == 0)
		judge_load_locked(loop);
	pthread_mutex_unlock(&loop->lock);
}

void cairn_loop_held_up(struct cairn_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	if (loop->running > 0 && loop->waiting == 0)
		add_waiting_locked(loop);
	pthread_mutex_unlock(&loop->lock);
}

/* The buffer is as large as the largest request, and not needed for a while. */
static void park_locked(struct cairn_loop *loop, struct fuse_buf *buf)
{
	free(TAKE_PTR(buf->mem));
	loop->parked++;
	while (!loop->wanted && !loop->ended)
		pthread_cond_wait(&loop->unpark, &loop->lock);
	loop->parked--;
	if (loop->wanted)
		loop->wanted--;
}

/* False when the loop has ended. */
static bool served_request(struct cairn_loop *loop, struct fuse_buf *buf)
{
	bool ended;

	pthread_mutex_lock(&loop->lock);
	if (loop->waiting > loop->spare)
		park_locked(loop, buf);
	else
		loop->waiting++;
	ended = loop->ended;
	pthread_mutex_unlock(&loop->lock);
	return !ended;
}

static void end(struct cairn_loop *loop, int r)
{
	pthread_mutex_lock(&loop->lock);
	loop->ended = true;
	if (r < 0 && loop->result == 0)
		loop->result = r;
	pthread_cond_broadcast(&loop->unpark);
	if (--loop->running == 0)
		pthread_cond_signal(&loop->ran);
	pthread_mutex_unlock(&loop->lock);
}

static void process(struct cairn_loop *loop, const struct fuse_buf *buf)
{
	/* Of one that was spliced, which none is (negotiate.c), nothing could be seen. */
	size_t seen = buf->flags & FUSE_BUF_IS_FD ? 0 : buf->size;
	int kind = cairn_request_kind(buf->mem, seen);
	struct cairn_timing timing;

	if (kind < 0 || cairn_request_times_itself(kind)) {
		fuse_session_process_buf(loop->fuse, buf);
		return;
	}
	timing = cairn_timing_begin(&loop->requests, (unsigned int)kind);
	fuse_session_process_buf(loop->fuse, buf);
	cairn_timing_endp(&timing);
}

static void *serve(void *arg)
{
	struct cairn_loop *loop = arg;
	struct fuse_buf buf = { 0 };
	int r;

	do {
		do
			r = fuse_session_receive_buf(loop->fuse, &buf);
		while (r == -EINTR && !fuse_session_exited(loop->fuse));
		if (r <= 0)
			break;
		took_request(loop);
		process(loop, &buf);
	} while (served_request(loop, &buf));
	free(buf.mem);
	end(loop, r == -EINTR ? 0 : MIN(r, 0));
	return NULL;
}

int cairn_loop_run(struct cairn_loop *loop, struct fuse_session *fuse)
{
	unsigned int count;

	pthread_mutex_lock(&loop->lock);
	loop->fuse = fuse;
	add_waiting_locked(loop);
	if (loop->count == 0)
		loop->result = -EAGAIN;
	while (loop->running > 0)
		pthread_cond_wait(&loop->ran, &loop->lock);
	count = loop->count;
	loop->count = 0; /* there is nobody left to interrupt */
	pthread_mutex_unlock(&loop->lock);
	for (unsigned int i = 0; i < count; i++)
		pthread_join(loop->threads[i], NULL);
	return loop->result;
}

void cairn_loop_interrupt(struct cairn_loop *loop, int signal)
{
	pthread_mutex_lock(&loop->lock);
	for (unsigned int i = 0; i < loop->count; i++)
		pthread_kill(loop->threads[i], signal);
	pthread_mutex_unlock(&loop->lock);
}
