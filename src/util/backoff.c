#include "util/backoff.h"

#include <time.h>

#include "util/clock.h"
#include "util/macro.h"

uint64_t cairn_backoff_ns(unsigned int tries, uint64_t min_ns, uint64_t max_ns)
{
	uint64_t ns = min_ns;

	while (tries-- > 0 && ns < max_ns)
		ns *= 2;
	ns = MIN(ns, max_ns);
	return ns / 2 + cairn_mono_ns() % (ns / 2);
}

void cairn_backoff_sleep(unsigned int tries, uint64_t min_ns, uint64_t max_ns)
{
	uint64_t ns = cairn_backoff_ns(tries, min_ns, max_ns);
	struct timespec ts = {
		.tv_sec = (time_t)(ns / 1000000000U),
		.tv_nsec = (long)(ns % 1000000000U),
	};

	clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}
