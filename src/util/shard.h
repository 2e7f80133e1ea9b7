/* Counters that all threads write all the time are kept once a CPU, or once for a few of them, so
 * that the threads do not take the cache line from each other; whoever reads adds them up. */
#pragma once

#include <sched.h>
#include <sys/sysinfo.h>

#define CAIRN_SHARDS_MAX 16U

/* How many there are to be: a power of two. */
static inline unsigned int cairn_shard_count(void)
{
	int cpus = get_nprocs_conf();
	unsigned int count = 1;

	while (count < CAIRN_SHARDS_MAX && (int)count < cpus)
		count *= 2;
	return count;
}

/* The one of `count` for the CPU that we run on. The thread may move on at once: writes to a
 * counter are atomic all the same. */
static inline unsigned int cairn_shard(unsigned int count)
{
	int cpu = sched_getcpu();

	return cpu < 0 ? 0 : (unsigned int)cpu & (count - 1);
}
