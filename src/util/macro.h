/* Small language helpers that every module may use: scoped cleanup, checked size arithmetic.
 *
 * A variable marked `_cleanup_(f)` has f(&variable) called when it leaves its scope; the
 * destructors used this way accept NULL and half-built objects. */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f)       __attribute__((cleanup(f)))
#define _printf_(fmt, arg) __attribute__((format(printf, fmt, arg)))
#define _unused_           __attribute__((unused))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define MIN(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) min_a_ = (a);                                                        \
		__typeof__(b) min_b_ = (b);                                                        \
		min_a_ < min_b_ ? min_a_ : min_b_;                                                 \
	})
#define MAX(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) max_a_ = (a);                                                        \
		__typeof__(b) max_b_ = (b);                                                        \
		max_a_ > max_b_ ? max_a_ : max_b_;                                                 \
	})

#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Takes the value out of a variable and leaves NULL there, to hand ownership on. */
#define TAKE_PTR(ptr)                                                                              \
	({                                                                                         \
		__typeof__(ptr) take_ = (ptr);                                                     \
		(ptr) = NULL;                                                                      \
		take_;                                                                             \
	})

/* The same for a file descriptor; leaves -1. */
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int take_ = (fd);                                                                  \
		(fd) = -1;                                                                         \
		take_;                                                                             \
	})

static inline void cairn_freep(void *p)
{
	free(*(void **)p);
}

static inline void cairn_closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
