/* The figures of a mount as tables for a person. */
#pragma once

#include "mount/stats.h"

/* Prints all that was, with `seconds` 0, or what was in so many seconds, as rates. */
void cairn_stats_print(const char *directory, const struct cairn_mount_stats *stats,
		       double seconds);
