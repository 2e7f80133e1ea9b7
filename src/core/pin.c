#include "core/pin.h"

#include "util/hash.h"
#include <errno.h>
#include <stdlib.h>

struct cairn_pin {
	UT_hash_handle hh;
	uint64_t ino;
	uint64_t parent;
	uint32_t count;
	bool orphan;
};

int cairn_pins_init(struct cairn_pins *pins)
{
	*pins = (struct cairn_pins){ 0 };
	return cairn_mutex_init(&pins->lock, CAIRN_LOCK_LEAF);
}

void cairn_pins_destroy(struct cairn_pins *pins)
{
	cairn_pins_drain(pins, NULL, NULL);
	cairn_mutex_destroy(&pins->lock);
}

static struct cairn_pin *find_locked(struct cairn_pins *pins, uint64_t ino)
{
	struct cairn_pin *pin;

	HASH_FIND(hh, pins->table, &ino, sizeof(ino), pin);
	return pin;
}

static struct cairn_pin *insert_locked(struct cairn_pins *pins, uint64_t ino)
{
	struct cairn_pin *pin = calloc(1, sizeof(*pin));

	if (!pin)
		return NULL;
	pin->ino = ino;
	HASH_ADD(hh, pins->table, ino, sizeof(ino), pin);
	if (!pin->hh.tbl) {
		free(pin);
		return NULL;
	}
	return pin;
}

int cairn_pin_add(struct cairn_pins *pins, uint64_t ino, uint64_t parent)
{
	struct cairn_pin *pin;
	int r = 0;

	cairn_mutex_lock(&pins->lock);
	pin = find_locked(pins, ino);
	if (!pin)
		pin = insert_locked(pins, ino);
	if (!pin || pin->count == UINT32_MAX) {
		r = -ENOMEM;
	} else {
		pin->count++;
		pin->parent = parent;
	}
	cairn_mutex_unlock(&pins->lock);
	return r;
}

void cairn_pin_move(struct cairn_pins *pins, uint64_t ino, uint64_t parent)
{
	struct cairn_pin *pin;

	cairn_mutex_lock(&pins->lock);
	pin = find_locked(pins, ino);
	if (pin)
		pin->parent = parent;
	cairn_mutex_unlock(&pins->lock);
}

uint64_t cairn_pin_parent(struct cairn_pins *pins, uint64_t ino)
{
	struct cairn_pin *pin;
	uint64_t parent;

	cairn_mutex_lock(&pins->lock);
	pin = find_locked(pins, ino);
	parent = pin ? pin->parent : 0;
	cairn_mutex_unlock(&pins->lock);
	return parent;
}

bool cairn_pin_drop(struct cairn_pins *pins, uint64_t ino, uint64_t count)
{
	struct cairn_pin *pin;
	bool destroy = false;

	cairn_mutex_lock(&pins->lock);
	pin = find_locked(pins, ino);
	if (pin && pin->count > count) {
		pin->count -= (uint32_t)count;
	} else if (pin) {
		destroy = pin->orphan;
		pins->orphans -= destroy;
		HASH_DEL(pins->table, pin);
		free(pin);
	}
	cairn_mutex_unlock(&pins->lock);
	return destroy;
}

bool cairn_pin_orphan(struct cairn_pins *pins, uint64_t ino)
{
	struct cairn_pin *pin;

	cairn_mutex_lock(&pins->lock);
	pin = find_locked(pins, ino);
	if (pin && !pin->orphan) {
		pin->orphan = true;
		pins->orphans++;
	}
	cairn_mutex_unlock(&pins->lock);
	return pin;
}

size_t cairn_pins_count(struct cairn_pins *pins)
{
	size_t count;

	cairn_mutex_lock(&pins->lock);
	count = HASH_COUNT(pins->table);
	cairn_mutex_unlock(&pins->lock);
	return count;
}

bool cairn_pin_is_pinned(struct cairn_pins *pins, uint64_t ino)
{
	bool pinned;

	cairn_mutex_lock(&pins->lock);
	pinned = find_locked(pins, ino);
	cairn_mutex_unlock(&pins->lock);
	return pinned;
}

bool cairn_pins_have_orphans(struct cairn_pins *pins)
{
	bool have;

	cairn_mutex_lock(&pins->lock);
	have = pins->orphans > 0;
	cairn_mutex_unlock(&pins->lock);
	return have;
}

bool cairn_pin_is_orphan(struct cairn_pins *pins, uint64_t ino)
{
	struct cairn_pin *pin;
	bool orphan;

	cairn_mutex_lock(&pins->lock);
	pin = find_locked(pins, ino);
	orphan = pin && pin->orphan;
	cairn_mutex_unlock(&pins->lock);
	return orphan;
}

int cairn_pins_list(struct cairn_pins *pins, uint64_t **ret, size_t *ret_count)
{
	struct cairn_pin *pin, *next;
	size_t count = 0;
	uint64_t *inos;

	cairn_mutex_lock(&pins->lock);
	inos = reallocarray(NULL, HASH_COUNT(pins->table) + 1, sizeof(*inos));
	if (inos) {
		HASH_ITER (hh, pins->table, pin, next)
			inos[count++] = pin->ino;
	}
	cairn_mutex_unlock(&pins->lock);
	if (!inos)
		return -ENOMEM;
	*ret = inos;
	*ret_count = count;
	return 0;
}

void cairn_pins_drain(struct cairn_pins *pins, void (*fn)(void *arg, uint64_t ino), void *arg)
{
	struct cairn_pin *table, *pin, *next;

	cairn_mutex_lock(&pins->lock);
	table = pins->table;
	pins->table = NULL;
	pins->orphans = 0;
	cairn_mutex_unlock(&pins->lock);

	HASH_ITER (hh, table, pin, next) {
		HASH_DEL(table, pin);
		if (pin->orphan && fn)
			fn(arg, pin->ino);
		free(pin);
	}
}
