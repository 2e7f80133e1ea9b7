/* Row numbers reserved in advance, so that an operation numbers what it makes without SQL.
 *
 * The writer reserves a block by advancing the table's AUTOINCREMENT sequence: no other process
 * is ever given a number of ours. Numbers only grow. What is left of a block at the end is lost. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/lock.h"

#define CAIRN_LEASE_BLOCK 65536U /* numbers the writer reserves at a time */
/* With fewer left the writer fetches the next block; an operation that finds fewer than the floor
 * waits for it before it begins. The floor is more than there can be operations under way, so an
 * operation that has begun never runs out. */
#define CAIRN_LEASE_LOW   32768U
#define CAIRN_LEASE_FLOOR 4096U

struct cairn_lease {
	struct cairn_mutex lock;
	struct {
		uint64_t next; /* the first free number */
		uint64_t end;  /* the first that is not ours */
	} block[2];            /* in use, and the one after it */
};

int cairn_lease_init(struct cairn_lease *lease);
void cairn_lease_destroy(struct cairn_lease *lease);

/* The next number. There is one: the operation looked before it began. */
uint64_t cairn_lease_take(struct cairn_lease *lease);
uint64_t cairn_lease_left(struct cairn_lease *lease);
/* Adds a block; the writer does so only while the second one is free. */
void cairn_lease_add(struct cairn_lease *lease, uint64_t first, uint64_t count);
bool cairn_lease_wants_block(struct cairn_lease *lease);
