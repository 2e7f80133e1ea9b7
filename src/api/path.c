#include "api/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/macro.h"

#define PATH_LEN_MAX 4095U /* PATH_MAX without the NUL */
#define LINKS_MAX    40U   /* MAXSYMLINKS of Linux */

/* A walk down a path. */
struct walk {
	struct cairn_core *core;
	struct cairn_path *path;
	enum cairn_path_end end;
	char *text; /* what was asked for, or what a link has put in its place; owned */
	char *rest; /* what is still to be walked, in it */
	unsigned int links;
};

static void walk_done(struct walk *walk)
{
	free(walk->text);
}

void cairn_path_done(struct cairn_path *path)
{
	free(TAKE_PTR(path->dirs));
}

bool cairn_path_is_through(const struct cairn_path *path, uint64_t dir)
{
	for (size_t i = 0; i < path->depth; i++)
		if (path->dirs[i] == dir)
			return true;
	return false;
}

static int enter(struct cairn_path *path, uint64_t dir)
{
	if (path->depth == path->capacity) {
		size_t capacity = path->capacity ? 2 * path->capacity : 16;
		void *dirs = reallocarray(path->dirs, capacity, sizeof(dir));

		if (!dirs)
			return -ENOMEM;
		path->dirs = dirs;
		path->capacity = capacity;
	}
	path->dirs[path->depth++] = dir;
	path->dir = dir;
	return 0;
}

/* Goes on to the next component: its length, 0 at the end. path->slash tells what follows it. */
static size_t next_component(struct walk *walk)
{
	size_t len;

	walk->rest += strspn(walk->rest, "/");
	len = strcspn(walk->rest, "/");
	walk->path->slash = walk->rest[len] == '/';
	return len;
}

static bool is_last(const struct walk *walk, size_t len)
{
	return walk->rest[len + strspn(walk->rest + len, "/")] == '\0';
}

/* An entry, without keeping it pinned: whoever finds it gone by the time of its use says -ENOENT.
 */
static int lookup(struct walk *walk)
{
	struct cairn_path *path = walk->path;
	int r;

	r = cairn_core_lookup(walk->core, path->dir, path->name, &path->attr);
	if (r == 0)
		cairn_core_forget(walk->core, path->attr.ino, 1);
	path->found = r == 0;
	return r;
}

/* Puts the target of a link in the place of its name. */
static int follow(struct walk *walk)
{
	_cleanup_(cairn_freep) char *target = NULL;
	char *text;
	int r;

	if (++walk->links > LINKS_MAX)
		return -ELOOP;
	r = cairn_core_readlink(walk->core, walk->path->attr.ino, &target);
	if (r < 0)
		return r;
	if (!target[0])
		return -ENOENT;
	if (asprintf(&text, "%s%s", target, walk->rest) < 0)
		return -ENOMEM;
	free(walk->text);
	walk->text = walk->rest = text;
	if (text[0] == '/') {
		walk->path->depth = 1;
		walk->path->dir = walk->path->dirs[0];
	}
	return 0;
}

static bool is_followed(const struct walk *walk, bool last)
{
	if (!S_ISLNK(walk->path->attr.mode))
		return false;
	if (!last || walk->end == CAIRN_PATH_FOLLOW)
		return true;
	return walk->end == CAIRN_PATH_ITSELF && walk->path->slash;
}

/* One component that is a name. 1: the walk ends with it. */
static int step(struct walk *walk, size_t len)
{
	struct cairn_path *path = walk->path;
	bool last = is_last(walk, len);
	int r;

	memcpy(path->name, walk->rest, len);
	path->name[len] = '\0';
	walk->rest += len;
	r = lookup(walk);
	if (r == -ENOENT && last)
		return 1;
	if (r < 0)
		return r;
	if (is_followed(walk, last))
		return follow(walk);
	if (last)
		return path->slash && !S_ISDIR(path->attr.mode) ? -ENOTDIR : 1;
	return S_ISDIR(path->attr.mode) ? enter(path, path->attr.ino) : -ENOTDIR;
}

/* The path ended in a directory without naming it. */
static int end_in_directory(struct walk *walk)
{
	struct cairn_path *path = walk->path;

	path->name[0] = '\0';
	path->found = true;
	return cairn_core_getattr(walk->core, path->dir, &path->attr);
}

static void leave(struct cairn_path *path)
{
	if (path->depth > 1)
		path->depth--;
	path->dir = path->dirs[path->depth - 1];
}

static int walk_down(struct walk *walk)
{
	size_t len;
	int r = 0;

	while (r == 0 && (len = next_component(walk)) > 0) {
		if (len > CAIRN_NAME_MAX)
			return -ENAMETOOLONG;
		if (len <= 2 && strncmp(walk->rest, "..", len) == 0) {
			if (len == 2)
				leave(walk->path);
			walk->rest += len;
			continue;
		}
		r = step(walk, len);
	}
	if (r < 0)
		return r;
	return r > 0 ? 0 : end_in_directory(walk);
}

int cairn_path_resolve(struct cairn_core *core, const char *path, enum cairn_path_end end,
		       struct cairn_path *ret)
{
	_cleanup_(walk_done) struct walk walk = { .core = core, .path = ret, .end = end };
	int r;

	*ret = (struct cairn_path){ 0 };
	if (!path[0])
		return -ENOENT;
	if (strlen(path) > PATH_LEN_MAX)
		return -ENAMETOOLONG;
	walk.text = walk.rest = strdup(path);
	if (!walk.text)
		return -ENOMEM;
	r = enter(ret, CAIRN_ROOT_INO);
	return r < 0 ? r : walk_down(&walk);
}

int cairn_path_find(struct cairn_core *core, const char *path, enum cairn_path_end end,
		    struct cairn_path *ret)
{
	int r;

	r = cairn_path_resolve(core, path, end, ret);
	if (r < 0)
		return r;
	return ret->found ? 0 : -ENOENT;
}
