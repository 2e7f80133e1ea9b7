/* The locks of the core, and a check that they are taken in the order that core.h lays down.
 *
 * With the build option `lock_check` (on where there is debug information) each thread knows what
 * it holds: a lock taken out of order, or a wait for the writer with a lock held, says so on
 * standard error and aborts at the first time it is done, not only when two threads meet in it.
 * Without the option nothing of this is left but the calls of pthreads. */
#pragma once

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Outermost first. A lock is taken only while all that the thread holds come before it. */
enum cairn_lock_rank {
	CAIRN_LOCK_GATE = 1,
	CAIRN_LOCK_INODE, /* several, in the order of their numbers */
	CAIRN_LOCK_WRITER,
	CAIRN_LOCK_LEAF,
};

#ifdef CAIRN_LOCK_CHECK
struct cairn_lock_id {
	enum cairn_lock_rank rank;
	uint64_t number; /* of the inode; else 0 */
};

/* Before a lock is taken. `known`: another thread may have it, so that this one may wait. */
void cairn_lock_taking(const struct cairn_lock_id *id, bool known);
/* Before it is given back. */
void cairn_lock_giving(const struct cairn_lock_id *id);
/* Before the thread waits for others: it holds this one only (NULL: none). */
void cairn_lock_expect(const struct cairn_lock_id *only);

static inline void cairn_lock_name(struct cairn_lock_id *id, enum cairn_lock_rank rank,
				   uint64_t number)
{
	*id = (struct cairn_lock_id){ .rank = rank, .number = number };
}
#else
struct cairn_lock_id {
};

static inline void cairn_lock_taking(const struct cairn_lock_id *id, bool known)
{
}

static inline void cairn_lock_giving(const struct cairn_lock_id *id)
{
}

static inline void cairn_lock_expect(const struct cairn_lock_id *only)
{
}

static inline void cairn_lock_name(struct cairn_lock_id *id, enum cairn_lock_rank rank,
				   uint64_t number)
{
}
#endif

/* The caller is about to wait for another thread and must hold nothing. */
static inline void cairn_lock_expect_none(void)
{
	cairn_lock_expect(NULL);
}

struct cairn_mutex {
	pthread_mutex_t mutex;
	struct cairn_lock_id id;
};

static inline int cairn_mutex_init(struct cairn_mutex *mutex, enum cairn_lock_rank rank)
{
	cairn_lock_name(&mutex->id, rank, 0);
	return -pthread_mutex_init(&mutex->mutex, NULL);
}

static inline void cairn_mutex_destroy(struct cairn_mutex *mutex)
{
	pthread_mutex_destroy(&mutex->mutex);
}

static inline void cairn_mutex_lock(struct cairn_mutex *mutex)
{
	cairn_lock_taking(&mutex->id, true);
	pthread_mutex_lock(&mutex->mutex);
}

static inline void cairn_mutex_unlock(struct cairn_mutex *mutex)
{
	cairn_lock_giving(&mutex->id);
	pthread_mutex_unlock(&mutex->mutex);
}

/* Waits on `cond`; the caller holds `mutex` and nothing else. */
static inline void cairn_mutex_wait(struct cairn_mutex *mutex, pthread_cond_t *cond)
{
	cairn_lock_expect(&mutex->id);
	pthread_cond_wait(cond, &mutex->mutex);
}

/* The same until `until`, by the clock that the condition was made with. -ETIMEDOUT. */
static inline int cairn_mutex_wait_until(struct cairn_mutex *mutex, pthread_cond_t *cond,
					 const struct timespec *until)
{
	cairn_lock_expect(&mutex->id);
	return -pthread_cond_timedwait(cond, &mutex->mutex, until);
}

struct cairn_rwlock {
	pthread_rwlock_t rwlock;
	struct cairn_lock_id id;
};

/* `number` is that of the inode, 0 for what is none. Who wants to write does not starve behind a
 * stream of readers; so a thread must not take it twice for reading either. */
static inline int cairn_rwlock_init(struct cairn_rwlock *lock, enum cairn_lock_rank rank,
				    uint64_t number)
{
	pthread_rwlockattr_t attr;
	int r;

	cairn_lock_name(&lock->id, rank, number);
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	r = -pthread_rwlock_init(&lock->rwlock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return r;
}

static inline void cairn_rwlock_destroy(struct cairn_rwlock *lock)
{
	pthread_rwlock_destroy(&lock->rwlock);
}

static inline void cairn_rwlock_rdlock(struct cairn_rwlock *lock)
{
	cairn_lock_taking(&lock->id, true);
	pthread_rwlock_rdlock(&lock->rwlock);
}

static inline void cairn_rwlock_wrlock(struct cairn_rwlock *lock)
{
	cairn_lock_taking(&lock->id, true);
	pthread_rwlock_wrlock(&lock->rwlock);
}

/* For a lock that no other thread can know yet: nobody waits for it, so it may be taken out of
 * order. Trying says just that to ThreadSanitizer, which looks for cycles, too. */
static inline void cairn_rwlock_wrlock_new(struct cairn_rwlock *lock)
{
	int r;

	cairn_lock_taking(&lock->id, false);
	r = pthread_rwlock_trywrlock(&lock->rwlock);
	assert(r == 0);
	(void)r;
}

static inline void cairn_rwlock_unlock(struct cairn_rwlock *lock)
{
	cairn_lock_giving(&lock->id);
	pthread_rwlock_unlock(&lock->rwlock);
}
