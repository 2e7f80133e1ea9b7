/* The read connections: taken for one query or a few, given back, opened on demand.
 *
 * There are never more than threads that read at once. The one given back last is taken first,
 * because its pages are warm. */
#pragma once

#include <pthread.h>

struct cairn_reader;
struct cairn_store;

struct cairn_readers {
	struct cairn_store *store;
	pthread_mutex_t lock;
	struct cairn_reader **idle; /* a stack; guarded by lock */
	size_t idle_count, idle_capacity;
};

int cairn_readers_init(struct cairn_readers *readers, struct cairn_store *store);
/* Closes all; none may be in use. */
void cairn_readers_destroy(struct cairn_readers *readers);

/* A reader that goes back with its scope. */
struct cairn_reading {
	struct cairn_readers *readers;
	struct cairn_reader *reader;
};
int cairn_reading(struct cairn_readers *readers, struct cairn_reading *ret);
void cairn_readingp(struct cairn_reading *reading);
