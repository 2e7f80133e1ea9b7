/* The names of files that have more than one: see host.h. */
#pragma once

#include "branch/host.h"

struct cairn_host_link {
	uint64_t ino;
	char *path;
};

struct cairn_host_links {
	struct cairn_host_link *list; /* by number */
	size_t count;
	bool loaded;
};

/* Goes over the directory, the first time. */
int cairn_host_links_load(const struct cairn_host *host, struct cairn_host_links *links);
/* The first of the names of a file, the others following it in the list; NULL: it has one name. */
const struct cairn_host_link *cairn_host_links_find(const struct cairn_host_links *links,
						    uint64_t ino);
void cairn_host_links_free(struct cairn_host_links *links);
