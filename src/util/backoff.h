/* Pauses between attempts at something that another holds: each is twice as long as the one before,
 * up to a limit, and half of it is chance, so that two who wait do not meet again and again. */
#pragma once

#include <stdint.h>

/* The nanoseconds to wait after `tries` attempts before this one: from half of MIN(min_ns *
 * 2^tries, max_ns) up to less than the whole. `min_ns` is 2 or more, and no more than `max_ns`. */
uint64_t cairn_backoff_ns(unsigned int tries, uint64_t min_ns, uint64_t max_ns);

/* Sleeps as long as that. */
void cairn_backoff_sleep(unsigned int tries, uint64_t min_ns, uint64_t max_ns);
