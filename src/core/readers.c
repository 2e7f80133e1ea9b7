#include "core/readers.h"

#include <stdlib.h>

#include "store/store.h"

int cairn_readers_init(struct cairn_readers *readers, struct cairn_store *store)
{
	*readers = (struct cairn_readers){ .store = store };
	return cairn_mutex_init(&readers->lock, CAIRN_LOCK_LEAF);
}

void cairn_readers_destroy(struct cairn_readers *readers)
{
	for (size_t i = 0; i < readers->idle_count; i++)
		readers->store->ops->reader_close(readers->idle[i]);
	free(readers->idle);
	cairn_mutex_destroy(&readers->lock);
}

int cairn_reading(struct cairn_readers *readers, struct cairn_reading *ret)
{
	struct cairn_reader *reader = NULL;
	unsigned long rests;
	int r;

	cairn_mutex_lock(&readers->lock);
	rests = readers->rests;
	if (readers->idle_count > 0)
		reader = readers->idle[--readers->idle_count];
	cairn_mutex_unlock(&readers->lock);

	if (!reader) {
		r = readers->store->ops->reader_open(readers->store, &reader);
		if (r < 0)
			return r;
	}
	*ret = (struct cairn_reading){ .readers = readers, .reader = reader, .rests = rests };
	return 0;
}

void cairn_readers_rest(struct cairn_readers *readers)
{
	cairn_mutex_lock(&readers->lock);
	readers->rests++;
	for (size_t i = 0; i < readers->idle_count; i++)
		readers->store->ops->reader_rest(readers->idle[i]);
	cairn_mutex_unlock(&readers->lock);
}

static bool push_locked(struct cairn_readers *readers, struct cairn_reader *reader)
{
	if (readers->idle_count == readers->idle_capacity) {
		size_t capacity = readers->idle_capacity ? 2 * readers->idle_capacity : 16;
		void *idle = reallocarray(readers->idle, capacity, sizeof(struct cairn_reader *));

		if (!idle)
			return false;
		readers->idle = idle;
		readers->idle_capacity = capacity;
	}
	readers->idle[readers->idle_count++] = reader;
	return true;
}

void cairn_readingp(struct cairn_reading *reading)
{
	struct cairn_readers *readers = reading->readers;
	bool kept;

	if (!reading->reader)
		return;
	cairn_mutex_lock(&readers->lock);
	if (reading->rests != readers->rests)
		readers->store->ops->reader_rest(reading->reader);
	kept = push_locked(readers, reading->reader);
	cairn_mutex_unlock(&readers->lock);
	if (!kept)
		readers->store->ops->reader_close(reading->reader);
	reading->reader = NULL;
}
