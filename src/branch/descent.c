#include "branch/descent.h"

#include <errno.h>

int cairn_descent_enter(struct cairn_descent *descent, uint64_t dir)
{
	int r;

	if (descent->depth == CAIRN_DEPTH_MAX)
		return -EIO;
	r = cairn_names_visit(&descent->visited, dir);
	if (r == 0)
		descent->depth++;
	return r;
}

void cairn_descent_leave(struct cairn_descent *descent)
{
	descent->depth--;
}

void cairn_descent_done(struct cairn_descent *descent)
{
	cairn_names_free(&descent->visited);
	descent->depth = 0;
}
