#include "fault_memory.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>

/* SQLite has one allocator for the whole process. */
static struct {
	sqlite3_mem_methods real;
	pthread_mutex_t lock; /* guards all below */
	unsigned long countdown;
	bool armed, stays;
	unsigned long fired;
} shim = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Counts a call. True when it is to fail. */
static bool fails(void)
{
	bool failed = false;

	pthread_mutex_lock(&shim.lock);
	if (shim.armed && (shim.countdown == 0 || --shim.countdown == 0)) {
		failed = true;
		shim.fired++;
		shim.armed = shim.stays;
	}
	pthread_mutex_unlock(&shim.lock);
	return failed;
}

static void *take(int size)
{
	return fails() ? NULL : shim.real.xMalloc(size);
}

static void *resize(void *p, int size)
{
	return fails() ? NULL : shim.real.xRealloc(p, size);
}

void fault_memory_install(void)
{
	sqlite3_mem_methods methods;

	if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &shim.real) != SQLITE_OK)
		abort();
	methods = shim.real;
	methods.xMalloc = take;
	methods.xRealloc = resize;
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK)
		abort();
}

void fault_memory_fail(unsigned long n, bool stays)
{
	pthread_mutex_lock(&shim.lock);
	shim.countdown = n;
	shim.armed = true;
	shim.stays = stays;
	shim.fired = 0;
	pthread_mutex_unlock(&shim.lock);
}

void fault_memory_clear(void)
{
	pthread_mutex_lock(&shim.lock);
	shim.armed = false;
	pthread_mutex_unlock(&shim.lock);
}

unsigned long fault_memory_fired(void)
{
	unsigned long fired;

	pthread_mutex_lock(&shim.lock);
	fired = shim.fired;
	pthread_mutex_unlock(&shim.lock);
	return fired;
}
