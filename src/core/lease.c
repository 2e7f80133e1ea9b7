#include "core/lease.h"

#include <assert.h>

int cairn_lease_init(struct cairn_lease *lease)
{
	*lease = (struct cairn_lease){ 0 };
	return cairn_mutex_init(&lease->lock, CAIRN_LOCK_LEAF);
}

void cairn_lease_destroy(struct cairn_lease *lease)
{
	cairn_mutex_destroy(&lease->lock);
}

uint64_t cairn_lease_take(struct cairn_lease *lease)
{
	uint64_t number;

	cairn_mutex_lock(&lease->lock);
	if (lease->block[0].next == lease->block[0].end) {
		lease->block[0] = lease->block[1];
		lease->block[1].next = lease->block[1].end = 0;
	}
	assert(lease->block[0].next < lease->block[0].end);
	number = lease->block[0].next++;
	cairn_mutex_unlock(&lease->lock);
	return number;
}

static uint64_t left_locked(const struct cairn_lease *lease)
{
	return lease->block[0].end - lease->block[0].next + lease->block[1].end -
	       lease->block[1].next;
}

uint64_t cairn_lease_left(struct cairn_lease *lease)
{
	uint64_t left;

	cairn_mutex_lock(&lease->lock);
	left = left_locked(lease);
	cairn_mutex_unlock(&lease->lock);
	return left;
}

void cairn_lease_add(struct cairn_lease *lease, uint64_t first, uint64_t count)
{
	int slot;

	cairn_mutex_lock(&lease->lock);
	slot = lease->block[0].next == lease->block[0].end ? 0 : 1;
	assert(lease->block[slot].next == lease->block[slot].end);
	lease->block[slot].next = first;
	lease->block[slot].end = first + count;
	cairn_mutex_unlock(&lease->lock);
}

bool cairn_lease_wants_block(struct cairn_lease *lease)
{
	return cairn_lease_left(lease) < CAIRN_LEASE_LOW;
}
