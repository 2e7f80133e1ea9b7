/* Naming what is lost when a mount ends with a batch that could not be written. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "core/flush.h"
#include "core/internal.h"

/* Files that the log names before it only counts the rest: finding a path reads whole tables. */
#define MOURN_MAX 50U

/* How deep a path is followed; a damaged file may have a circle in it. */
#define DEPTH_MAX 64

static const struct cairn_delta_entry *batched_name(const struct cairn_batch *batch, uint64_t ino,
						    uint64_t *ret_parent)
{
	struct cairn_delta_entry *entry, *next;
	struct cairn_delta *delta;

	DL_FOREACH (batch->deltas, delta) {
		HASH_ITER (hh, delta->entries, entry, next) {
			if (entry->ino == ino) {
				*ret_parent = delta->attr.ino;
				return entry;
			}
		}
	}
	return NULL;
}

static int name_of(struct cairn_core *core, const struct cairn_batch *batch, uint64_t ino,
		   uint64_t *ret_parent, char name[CAIRN_NAME_MAX + 1])
{
	_cleanup_(cairn_readingp) struct cairn_reading reading = { 0 };
	const struct cairn_delta_entry *entry = batched_name(batch, ino, ret_parent);
	int r;

	if (entry) {
		memcpy(name, entry->name, entry->name_len + 1);
		return 0;
	}
	r = cairn_reading(&core->readers, &reading);
	if (r < 0)
		return r;
	return core->store->ops->dentry_name(reading.reader, ino, ret_parent, name);
}

/* Writes the path of an inode to the end of `buf` and returns where it begins; as much of it as can
 * be told, the number of the inode where it breaks off. */
static const char *path_of(struct cairn_core *core, const struct cairn_batch *batch, uint64_t ino,
			   char *buf, size_t size)
{
	char name[CAIRN_NAME_MAX + 1];
	size_t at = size - 1;

	buf[at] = '\0';
	for (int depth = 0; ino != CAIRN_ROOT_INO && depth < DEPTH_MAX; depth++) {
		uint64_t parent = 0;
		size_t len;

		if (name_of(core, batch, ino, &parent, name) < 0)
			snprintf(name, sizeof(name), "(inode %" PRIu64 ")", ino);
		len = strlen(name);
		if (len + 1 > at)
			break;
		at -= len + 1;
		buf[at] = '/';
		memcpy(buf + at + 1, name, len);
		if (name[0] == '(')
			break;
		ino = parent;
	}
	return buf[at] ? buf + at : "/";
}

static const char *what_is_lost(const struct cairn_delta *delta)
{
	if (delta->destroy)
		return "its removal";
	if (delta->create)
		return "all of it: it was new";
	if (delta->chunks || delta->resized)
		return "changes of its data";
	return S_ISDIR(delta->attr.mode) ? "changes of its entries" : "changes of its attributes";
}

void cairn_flush_mourn(struct cairn_core *core, const struct cairn_batch *batch)
{
	struct cairn_delta *delta;
	unsigned int told = 0;
	char path[4096];

	DL_FOREACH (batch->deltas, delta) {
		if (delta->create && delta->destroy)
			continue;
		if (told++ < MOURN_MAX)
			cairn_err(core->log, "lost: %s: %s",
				  path_of(core, batch, delta->attr.ino, path, sizeof(path)),
				  what_is_lost(delta));
	}
	if (told > MOURN_MAX)
		cairn_err(core->log, "lost: and changes of %u more files", told - MOURN_MAX);
}
