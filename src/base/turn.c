/* Readers and turns: see branch.h.
 *
 * A reader finds out what an inode is from what is held in memory (origins, whether there are
 * whiteouts), from rows of the branch and from the base. Another process may take rows away because
 * the base has got what they held. Whoever sees the branch after that must not take the old memory,
 * or a state of the base from before, for what belongs to it. So the turn of what is seen is looked
 * at before, and again afterwards; where it moved, all is looked up again. */
#include <errno.h>

#include "base/overlay_internal.h"

/* A turn is as rare as an accept: more than a few in one answer are a table gone mad. */
#define LOOKS_MAX 8U

/* Takes over what others have made of the branch, before its writer has heard of it; or waits until
 * somebody else has. */
static int catch_up(struct cairn_overlay *o, uint64_t turn)
{
	int r = 0;

	pthread_mutex_lock(&o->turn_lock);
	if (turn > atomic_load(&o->turn))
		r = cairn_overlay_load(o);
	pthread_mutex_unlock(&o->turn_lock);
	return r;
}

int cairn_overlay_enter(struct cairn_overlay_reader *reader, struct cairn_look *look)
{
	struct cairn_overlay *o = reader->overlay;
	const struct cairn_branch_ops *ops = o->branch->branch;
	uint64_t known;
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < LOOKS_MAX; i++) {
		r = ops->hold(reader->branch, &look->turn);
		if (r < 0)
			return r;
		ops->release(reader->branch);
		known = atomic_load(&o->turn);
		if (look->turn == known)
			break;
		if (look->turn > known || known == CAIRN_TURN_CHANGES)
			r = catch_up(o, look->turn);
		else
			o->branch->ops->reader_rest(reader->branch);
	}
	return r;
}

bool cairn_overlay_moved(struct cairn_overlay_reader *reader, struct cairn_look *look, bool hold)
{
	const struct cairn_branch_ops *ops = reader->overlay->branch->branch;
	uint64_t now;

	look->held = false;
	/* Whoever asks next is told what is wrong. */
	if (ops->hold(reader->branch, &now) < 0)
		return false;
	if ((now != look->turn || atomic_load(&reader->overlay->turn) != look->turn) &&
	    ++look->looks < LOOKS_MAX) {
		ops->release(reader->branch);
		return true;
	}
	if (hold) {
		look->held = true;
		look->reader = reader;
	} else {
		ops->release(reader->branch);
	}
	return false;
}

void cairn_look_endp(struct cairn_look *look)
{
	if (look->held)
		look->reader->overlay->branch->branch->release(look->reader->branch);
}
