#include "api/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/call.h"
#include "api/path.h"
#include "util/macro.h"

static bool add_entry(void *arg, const struct cairn_dirent *dirent)
{
	struct cairn_page *page = arg;
	struct cairn_page_entry *entry;

	if (page->count == CAIRN_PAGE_ENTRIES)
		return true;
	page->next = dirent->next;
	if (strcmp(dirent->name, ".") == 0 || strcmp(dirent->name, "..") == 0)
		return false;
	entry = &page->entries[page->count++];
	entry->ino = dirent->ino;
	entry->type = dirent->type;
	strcpy(entry->name, dirent->name);
	return false;
}

int cairn_page_read(struct cairn_core *core, uint64_t dir, struct cairn_page *page)
{
	page->count = 0;
	return cairn_core_readdir(core, dir, page->next, false, add_entry, page);
}

static int find_directory(struct cairnfs *ws, const char *path, uint64_t *ret)
{
	_cleanup_(cairn_path_done) struct cairn_path at = { 0 };
	int r;

	r = cairn_path_find(ws->core, path, CAIRN_PATH_FOLLOW, &at);
	if (r == 0)
		*ret = at.attr.ino;
	return r;
}

/* The first page comes with finding the directory, so that its inode is asked for by path once. */
static int list_page(struct cairnfs *ws, const char *path, uint64_t *dir, struct cairn_page *page)
{
	struct cairn_call call = { .ws = ws, .what = "list", .path = path };
	int r;

	r = cairn_call_begin(&call);
	if (r == 0 && *dir == 0)
		r = find_directory(ws, path, dir);
	if (r == 0)
		r = cairn_page_read(ws->core, *dir, page);
	return cairn_call_end(&call, r);
}

int cairnfs_list(struct cairnfs *ws, const char *path, cairnfs_list_fn fn, void *arg)
{
	_cleanup_(cairn_freep) struct cairn_page *page = NULL;
	uint64_t dir = 0;
	int r;

	if (!fn)
		return cairn_call_failed(-EINVAL, "list", path);
	page = calloc(1, sizeof(*page));
	if (!page)
		return cairn_call_failed(-ENOMEM, "list", path);
	for (;;) {
		r = list_page(ws, path, &dir, page);
		if (r < 0 || page->count == 0)
			return r;
		for (size_t i = 0; i < page->count; i++) {
			const struct cairn_page_entry *from = &page->entries[i];
			struct cairnfs_entry entry = {
				.name = from->name,
				.ino = from->ino,
				.type = from->type,
			};

			r = fn(arg, &entry);
			if (r != 0)
				return r;
		}
	}
}
