#include "core/forget.h"

#include <stdlib.h>

#include "core/internal.h"

int cairn_forgets_init(struct cairn_forgets *forgets)
{
	*forgets = (struct cairn_forgets){ 0 };
	return cairn_mutex_init(&forgets->lock, CAIRN_LOCK_LEAF);
}

void cairn_forgets_destroy(struct cairn_forgets *forgets)
{
	free(forgets->inos);
	cairn_mutex_destroy(&forgets->lock);
}

static void add_locked(struct cairn_forgets *forgets, uint64_t ino)
{
	if (forgets->count == forgets->capacity) {
		size_t capacity = forgets->capacity ? 2 * forgets->capacity : 256;
		void *inos = reallocarray(forgets->inos, capacity, sizeof(ino));

		if (!inos)
			return;
		forgets->inos = inos;
		forgets->capacity = capacity;
	}
	forgets->inos[forgets->count++] = ino;
}

void cairn_forget_later(struct cairn_core *core, uint64_t ino)
{
	if (!core->store->ops->forget || ino == CAIRN_ROOT_INO)
		return;
	cairn_mutex_lock(&core->forgets.lock);
	add_locked(&core->forgets, ino);
	cairn_mutex_unlock(&core->forgets.lock);
}

void cairn_forget_listing(struct cairn_core *core, const struct cairn_listing *listing)
{
	if (!listing || !core->store->ops->forget)
		return;
	cairn_mutex_lock(&core->forgets.lock);
	for (size_t i = 0; i < listing->count; i++)
		if (listing->entries[i].ino)
			add_locked(&core->forgets, listing->entries[i].ino);
	cairn_mutex_unlock(&core->forgets.lock);
}

/* Takes what was collected. */
static struct cairn_forgets take(struct cairn_core *core)
{
	struct cairn_forgets *forgets = &core->forgets;
	struct cairn_forgets taken = { 0 };

	cairn_mutex_lock(&forgets->lock);
	taken.inos = forgets->inos;
	taken.count = forgets->count;
	forgets->inos = NULL;
	forgets->count = forgets->capacity = 0;
	cairn_mutex_unlock(&forgets->lock);
	return taken;
}

void cairn_forget_unused(struct cairn_core *core)
{
	struct cairn_forgets taken = take(core);
	size_t forgotten = 0;

	for (size_t i = 0; i < taken.count; i++) {
		uint64_t ino = taken.inos[i];

		if (cairn_pin_is_pinned(&core->pins, ino))
			continue; /* comes again when that pin goes */
		if (cairn_icache_is_used(core, ino)) {
			cairn_forget_later(core, ino);
			continue;
		}
		core->store->ops->forget(core->store, ino);
		forgotten++;
	}
	free(taken.inos);
	/* A listing may still name them; what it says of them is good for nothing now. */
	if (forgotten > 0)
		atomic_fetch_add(&core->commits, 1);
}
