/* The other names of files that have more than one: found by going over the whole directory, which
 * is done once, and only where such a file loses a name. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "branch/host_links.h"

struct walk {
	struct cairn_host_links *links;
	const struct cairn_host *host;
	int dir;
	const char *path;
};

static int walk_name(void *arg, const char *name);

static int walk_dir(const struct walk *in, const char *name, const char *path)
{
	struct cairn_host_at at = { .dir = in->dir };
	_cleanup_(cairn_closep) int fd = -1;
	struct walk walk = { .links = in->links, .host = in->host, .path = path };
	struct stat st;
	int r;

	strcpy(at.name, name);
	r = cairn_host_stat(in->host, &at, &st);
	fd = r == 0 ? cairn_host_open_at(&at, O_PATH | O_DIRECTORY) : r;
	if (fd < 0)
		return fd == -EXDEV || fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
	walk.dir = fd;
	r = cairn_host_list(fd, ".", walk_name, &walk);
	/* Names that cannot be seen are none that could be used. */
	return r == -EACCES ? 0 : r;
}

static int add_name(struct cairn_host_links *links, uint64_t ino, const char *path)
{
	struct cairn_host_link *list =
		reallocarray(links->list, links->count + 1, sizeof(*links->list));

	if (!list)
		return -ENOMEM;
	links->list = list;
	list[links->count] = (struct cairn_host_link){ .ino = ino, .path = strdup(path) };
	return list[links->count++].path ? 0 : -ENOMEM;
}

static int walk_name(void *arg, const char *name)
{
	const struct walk *walk = arg;
	_cleanup_(cairn_freep) char *path = NULL;
	struct stat st;

	if (!walk->path[0] && strcmp(name, CAIRN_BASE_HIDDEN) == 0)
		return 0;
	if (asprintf(&path, "%s/%s", walk->path, name) < 0)
		return -ENOMEM;
	if (fstatat(walk->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.st_mode))
		return walk_dir(walk, name, path);
	return st.st_nlink > 1 ? add_name(walk->links, st.st_ino, path) : 0;
}

static int by_number(const void *a, const void *b)
{
	const struct cairn_host_link *x = a, *y = b;

	return x->ino != y->ino ? (x->ino > y->ino) - (x->ino < y->ino) : strcmp(x->path, y->path);
}

int cairn_host_links_load(const struct cairn_host *host, struct cairn_host_links *links)
{
	struct walk walk = { .links = links, .host = host, .dir = host->root, .path = "" };
	int r;

	if (links->loaded)
		return 0;
	r = cairn_host_list(host->root, ".", walk_name, &walk);
	if (r < 0)
		return r;
	if (links->count > 1)
		qsort(links->list, links->count, sizeof(*links->list), by_number);
	links->loaded = true;
	return 0;
}

const struct cairn_host_link *cairn_host_links_find(const struct cairn_host_links *links,
						    uint64_t ino)
{
	size_t low = 0, high = links->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (links->list[middle].ino < ino)
			low = middle + 1;
		else
			high = middle;
	}
	return low < links->count && links->list[low].ino == ino ? &links->list[low] : NULL;
}

void cairn_host_links_free(struct cairn_host_links *links)
{
	for (size_t i = 0; i < links->count; i++)
		free(links->list[i].path);
	free(links->list);
}
