#include "core/lock.h"

#ifdef CAIRN_LOCK_CHECK

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The gate, five inodes, the writer and a leaf; a thread that holds more has lost its way. */
#define HELD_MAX 8U

/* What the thread holds. A thread is what the order is about, so this hangs off no core. */
static _Thread_local struct {
	struct cairn_lock_id id[HELD_MAX];
	unsigned int count;
} held;

static void describe(const struct cairn_lock_id *id, char *buf, size_t size)
{
	switch (id->rank) {
	case CAIRN_LOCK_GATE:
		snprintf(buf, size, "the gate");
		break;
	case CAIRN_LOCK_INODE:
		snprintf(buf, size, "inode %" PRIu64, id->number);
		break;
	case CAIRN_LOCK_WRITER:
		snprintf(buf, size, "the writer");
		break;
	case CAIRN_LOCK_LEAF:
		snprintf(buf, size, "a leaf");
		break;
	}
}

static _Noreturn void complain(const char *what, const struct cairn_lock_id *id)
{
	char name[32] = "others";

	if (id)
		describe(id, name, sizeof(name));
	dprintf(STDERR_FILENO, "lock order: %s %s; held:", what, name);
	for (unsigned int i = 0; i < held.count; i++) {
		describe(&held.id[i], name, sizeof(name));
		dprintf(STDERR_FILENO, " %s,", name);
	}
	dprintf(STDERR_FILENO, " see core.h\n");
	abort();
}

static bool comes_before(const struct cairn_lock_id *a, const struct cairn_lock_id *b)
{
	if (a->rank != b->rank)
		return a->rank < b->rank;
	return a->rank == CAIRN_LOCK_INODE && a->number < b->number;
}

void cairn_lock_taking(const struct cairn_lock_id *id, bool known)
{
	for (unsigned int i = 0; known && i < held.count; i++)
		if (!comes_before(&held.id[i], id))
			complain("taking", id);
	if (held.count == HELD_MAX)
		complain("too many with", id);
	held.id[held.count++] = *id;
}

static unsigned int find(const struct cairn_lock_id *id)
{
	unsigned int i = held.count;

	while (i > 0 && (held.id[i - 1].rank != id->rank || held.id[i - 1].number != id->number))
		i--;
	return i;
}

void cairn_lock_giving(const struct cairn_lock_id *id)
{
	unsigned int at = find(id);

	if (at == 0)
		complain("giving back", id);
	for (; at < held.count; at++)
		held.id[at - 1] = held.id[at];
	held.count--;
}

void cairn_lock_expect(const struct cairn_lock_id *only)
{
	if (held.count != (only ? 1U : 0U) || (only && find(only) != 1))
		complain("waiting for", NULL);
}

#endif
