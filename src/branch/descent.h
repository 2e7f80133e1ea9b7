/* The way down through directories that a file says lie in each other. They come from a workspace
 * that anybody may have made: a directory that is met twice would be gone through for ever, and
 * deeper ones than any path reaches would take the stack. */
#pragma once

#include <stdint.h>

#include "branch/names.h"

/* Below the root; find.c and complete.c, which keep such sets of their own, go as far. */
#define CAIRN_DEPTH_MAX 4096U

/* Empty: { 0 }. */
struct cairn_descent {
	struct cairn_names visited; /* directories, by number */
	unsigned int depth;
};

/* Goes into a directory. -EIO: it was met before, or lies too deep. -ENOMEM. */
int cairn_descent_enter(struct cairn_descent *descent, uint64_t dir);
/* Comes out of one that was entered. */
void cairn_descent_leave(struct cairn_descent *descent);
/* Empties it. */
void cairn_descent_done(struct cairn_descent *descent);
