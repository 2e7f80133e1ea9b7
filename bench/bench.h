/* What the helpers of scripts/bench share: a clock, and an end with one clear line. They are no
 * part of cairnfs and know nothing of it: plain system calls in the working directory.
 *
 * What they measure they print, a line each: NAME, unit and value, with tabs between. */
#pragma once

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* Ends the program: errno's text, what was tried, on what. */
__attribute__((noreturn)) static inline void die(const char *what, const char *name)
{
	fprintf(stderr, "%s: %s %s: %s\n", program_invocation_short_name, what, name,
		strerror(errno));
	exit(1);
}

/* The same for a result that is not an error of the system, but wrong. */
__attribute__((noreturn)) static inline void wrong(const char *what, const char *name)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, name, what);
	exit(1);
}

/* A whole number of at least `least`; anything else ends the program. */
static inline long number(const char *text, long least)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < least)
		wrong("not a number in range", text);
	return n;
}

static inline void print_seconds(const char *name, uint64_t ns)
{
	printf("%s\ts\t%.6f\n", name, (double)ns / 1e9);
}

static inline void print_each(const char *name, uint64_t ns, long count)
{
	printf("%s\tus\t%.3f\n", name, (double)ns / 1e3 / (double)count);
}
