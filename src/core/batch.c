#include "core/batch.h"

#include <utlist.h>

#include "core/inode.h"

struct cairn_delta *cairn_batch_add(struct cairn_batch *batch, uint64_t seq,
				    struct cairn_inode *inode)
{
	struct cairn_delta *delta = cairn_delta_new(inode);

	if (!delta)
		return NULL;
	delta->seq = seq;
	cairn_mutex_lock(&batch->lock);
	DL_APPEND(batch->deltas, delta);
	batch->count++;
	cairn_mutex_unlock(&batch->lock);
	atomic_fetch_add(&batch->bytes, delta->bytes);
	inode->delta[seq & 1] = delta;
	return delta;
}
