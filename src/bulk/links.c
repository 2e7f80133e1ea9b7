#include "bulk/links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/hash.h"
#include "util/macro.h"

struct cairn_link {
	UT_hash_handle hh;
	uint64_t file[2]; /* device and inode number */
	char path[];      /* empty: none was given */
};

void cairn_links_done(struct cairn_links *links)
{
	struct cairn_link *link, *next;

	HASH_ITER (hh, links->table, link, next) {
		HASH_DEL(links->table, link);
		free(link);
	}
}

static struct cairn_link *find(const struct cairn_links *links, uint64_t dev, uint64_t ino)
{
	const uint64_t file[2] = { dev, ino };
	struct cairn_link *link;

	/* The analyzer does not follow the numbers into uthash's macro. */
	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
	HASH_FIND(hh, links->table, file, sizeof(file), link);
	return link;
}

const char *cairn_links_find(const struct cairn_links *links, uint64_t dev, uint64_t ino)
{
	const struct cairn_link *link = find(links, dev, ino);

	return link && link->path[0] ? link->path : NULL;
}

bool cairn_links_has(const struct cairn_links *links, uint64_t dev, uint64_t ino)
{
	return find(links, dev, ino);
}

int cairn_links_add(struct cairn_links *links, uint64_t dev, uint64_t ino, const char *path)
{
	size_t size = (path ? strlen(path) : 0) + 1;
	struct cairn_link *link = calloc(1, sizeof(*link) + size);

	if (!link)
		return -ENOMEM;
	link->file[0] = dev;
	link->file[1] = ino;
	memcpy(link->path, path ? path : "", size);
	HASH_ADD(hh, links->table, file, sizeof(link->file), link);
	if (!link->hh.tbl) {
		free(link);
		return -ENOMEM;
	}
	return 0;
}

void cairn_links_remove(struct cairn_links *links, uint64_t dev, uint64_t ino)
{
	struct cairn_link *link = find(links, dev, ino);

	if (link) {
		HASH_DEL(links->table, link);
		free(link);
	}
}
