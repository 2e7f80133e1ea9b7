/* Removing entries, and all that is below them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/call.h"
#include "api/listing.h"
#include "api/path.h"
#include "util/macro.h"

/* How often a directory that was emptied may be found filled again before it is left. */
#define REFILLS_MAX 64U

/* Directories that are being emptied, the innermost last. */
struct emptying {
	struct emptied {
		uint64_t parent, ino;
		unsigned int refills;
		char name[CAIRN_NAME_MAX + 1];
	} * dirs;
	size_t count, capacity;
	struct cairn_page page;
};

static void emptying_free(struct emptying **emptying)
{
	if (!*emptying)
		return;
	free((*emptying)->dirs);
	free(*emptying);
}

static int push(struct emptying *emptying, uint64_t parent, const char *name, uint64_t ino)
{
	struct emptied *dir;

	if (emptying->count == emptying->capacity) {
		size_t capacity = emptying->capacity ? 2 * emptying->capacity : 16;
		void *dirs = reallocarray(emptying->dirs, capacity, sizeof(*dir));

		if (!dirs)
			return -ENOMEM;
		emptying->dirs = dirs;
		emptying->capacity = capacity;
	}
	dir = &emptying->dirs[emptying->count++];
	*dir = (struct emptied){ .parent = parent, .ino = ino };
	strcpy(dir->name, name);
	return 0;
}

/* What is gone already is no failure: others may be removing, too. */
static int unless_gone(int r)
{
	return r == -ENOENT ? 0 : r;
}

/* Removes the files of a page and puts its directories on the list. */
static int empty_page(struct cairn_core *core, struct emptying *emptying, uint64_t dir)
{
	const struct cairn_page *page = &emptying->page;
	int r = 0;

	for (size_t i = 0; r == 0 && i < page->count; i++) {
		const struct cairn_page_entry *entry = &page->entries[i];

		r = S_ISDIR(entry->type) ? -EISDIR
					 : unless_gone(cairn_core_unlink(core, dir, entry->name));
		if (r == -EISDIR)
			r = push(emptying, dir, entry->name, entry->ino);
	}
	return r;
}

static int empty(struct cairn_core *core, struct emptying *emptying, uint64_t dir)
{
	int r;

	emptying->page.next = 0;
	do {
		r = cairn_page_read(core, dir, &emptying->page);
		if (r == 0)
			r = empty_page(core, emptying, dir);
	} while (r == 0 && emptying->page.count > 0);
	return unless_gone(r);
}

/* One step: removes the innermost directory, or what is in it. */
static int empty_innermost(struct cairn_core *core, struct emptying *emptying)
{
	struct emptied *dir = &emptying->dirs[emptying->count - 1];
	int r;

	r = unless_gone(cairn_core_rmdir(core, dir->parent, dir->name));
	if (r == 0) {
		emptying->count--;
		return 0;
	}
	if (r != -ENOTEMPTY || dir->refills++ > REFILLS_MAX)
		return r;
	return empty(core, emptying, dir->ino);
}

static int remove_tree(struct cairn_core *core, const struct cairn_path *at)
{
	_cleanup_(emptying_free) struct emptying *emptying = calloc(1, sizeof(*emptying));
	int r;

	if (!emptying)
		return -ENOMEM;
	r = push(emptying, at->dir, at->name, at->attr.ino);
	while (r == 0 && emptying->count > 0)
		r = empty_innermost(core, emptying);
	return r;
}

static int remove_path(struct cairnfs *ws, const char *path, unsigned int flags)
{
	_cleanup_(cairn_path_done) struct cairn_path at = { 0 };
	int r;

	r = cairn_path_find(ws->core, path, CAIRN_PATH_ENTRY, &at);
	if (r < 0)
		return r;
	if (!at.name[0])
		return at.dir == CAIRN_ROOT_INO ? -EBUSY : -EINVAL;
	if (!S_ISDIR(at.attr.mode))
		return cairn_core_unlink(ws->core, at.dir, at.name);
	return flags & CAIRNFS_RECURSIVE ? remove_tree(ws->core, &at)
					 : cairn_core_rmdir(ws->core, at.dir, at.name);
}

int cairnfs_remove(struct cairnfs *ws, const char *path, unsigned int flags)
{
	struct cairn_call call = { .ws = ws, .what = "remove", .path = path, .change = true };
	int r;

	r = cairn_call_begin(&call);
	if (r == 0)
		r = flags & ~CAIRNFS_RECURSIVE ? -EINVAL : remove_path(ws, path, flags);
	return cairn_call_end(&call, r);
}
