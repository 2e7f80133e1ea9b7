/* SQLite's allocator, which fails chosen calls. Install it before anything else of SQLite is used:
 * it belongs to the process. */
#pragma once

#include <stdbool.h>

/* Aborts where that does not work. */
void fault_memory_install(void);
/* The n-th allocation from now (1: the next) fails; with `stays` so do all after it. */
void fault_memory_fail(unsigned long n, bool stays);
void fault_memory_clear(void);
/* Allocations that failed since the last fault_memory_fail(). */
unsigned long fault_memory_fired(void);
