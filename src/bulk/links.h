/* Which files have been seen, and under which path first: for files with several names. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cairn_link;
struct cairn_links {
	struct cairn_link *table; /* by device and inode number */
};

void cairn_links_done(struct cairn_links *links);

/* The path that was added for the file; NULL where none was, or where it was added without one. */
const char *cairn_links_find(const struct cairn_links *links, uint64_t dev, uint64_t ino);
bool cairn_links_has(const struct cairn_links *links, uint64_t dev, uint64_t ino);
/* Adds a file, once, with a copy of `path` (NULL: without). -ENOMEM. */
int cairn_links_add(struct cairn_links *links, uint64_t dev, uint64_t ino, const char *path);
void cairn_links_remove(struct cairn_links *links, uint64_t dev, uint64_t ino);
