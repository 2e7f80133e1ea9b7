/* The read connections: taken for one query or a few, given back, opened on demand.
 *
 * There are never more than threads that read at once. The one given back last is taken first,
 * because its pages are warm. It keeps the state of the database that it saw last, until there is
 * a newer one or the writer has all of them rest. */
#pragma once

#include <stddef.h>

#include "core/lock.h"

struct cairn_reader;
struct cairn_store;

struct cairn_readers {
	struct cairn_store *store;
	struct cairn_mutex lock;
	struct cairn_reader **idle; /* a stack; guarded by lock */
	size_t idle_count, idle_capacity;
	unsigned long rests; /* how often all were to rest; guarded by lock */
};

int cairn_readers_init(struct cairn_readers *readers, struct cairn_store *store);
/* Closes all; none may be in use. */
void cairn_readers_destroy(struct cairn_readers *readers);

/* No reader holds on to a state of the database: the idle ones at once, the others when they are
 * given back. Before a checkpoint, which gets no further than the oldest state that is held, and
 * now and then, so that none gets old. */
void cairn_readers_rest(struct cairn_readers *readers);

/* A reader that goes back with its scope. */
struct cairn_reading {
	struct cairn_readers *readers;
	struct cairn_reader *reader;
	unsigned long rests; /* when it was taken */
};
int cairn_reading(struct cairn_readers *readers, struct cairn_reading *ret);
void cairn_readingp(struct cairn_reading *reading);
