/* The threads that serve requests.
 *
 * One thread waits for the next request and serves it itself. Waking another for each request, as a
 * pool that always has somebody waiting does, costs more than most requests: a caller that does one
 * thing after the other is served fastest by one thread, whose caches are warm. There are more when
 * they are of use:
 *
 *   - a thread that is about to wait for the writer says so (cairn_loop_held_up()), and another
 *     takes its place;
 *   - when one request after another is not the only one there is, `spare` more threads wait, up to
 *     the number of processors; fewer again after a calm stretch.
 *
 * Who comes back from a request and finds enough waiting is parked; the parked are woken last in,
 * first out. */
#pragma once

#include <fuse3/fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>

#include "fuse/requests.h"

/* The most threads where the options say nothing. Many, because each may be held up by the database
 * of another process, and requests that have nothing to do with that must still be answered. */
#define CAIRN_THREADS_MAX 256U

struct cairn_loop {
	struct fuse_session *fuse; /* set by cairn_loop_run() */
	unsigned int max;          /* threads */
	unsigned int spare_max;    /* of `spare` */
	struct cairn_stats requests;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t unpark;
	pthread_cond_t ran; /* the last thread has ended */
	pthread_t *threads;
	unsigned int count;   /* of threads ever made */
	unsigned int running; /* of these, not ended */
	unsigned int waiting; /* for a request, or on their way to it */
	unsigned int parked;
	unsigned int wanted;  /* of the parked, to wake up */
	unsigned int spare;   /* how many more than one should wait */
	unsigned int taken;   /* requests so far; some are samples */
	unsigned int backlog; /* samples in a row that met another request */
	unsigned int calm;    /* samples in a row that did not */
	int result;           /* the first failure of a read */
	bool ended;
};

/* `max` threads at the most; 0: CAIRN_THREADS_MAX. -ENOMEM. */
int cairn_loop_init(struct cairn_loop *loop, unsigned int max);
/* Accepts a loop of zeros. */
void cairn_loop_destroy(struct cairn_loop *loop);
/* Serves until the file system is unmounted or fuse_session_exit() and cairn_loop_interrupt() were
 * called. A negative errno when the kernel's side broke. */
int cairn_loop_run(struct cairn_loop *loop, struct fuse_session *fuse);
/* The calling thread serves a request and is about to wait for something that may take long. Does
 * nothing before and after cairn_loop_run(). */
void cairn_loop_held_up(struct cairn_loop *loop);
/* Interrupts what waits in read(2), with `signal`, whose handler does nothing. A thread may be just
 * about to wait: to be called until cairn_loop_run() has returned. */
void cairn_loop_interrupt(struct cairn_loop *loop, int signal);
