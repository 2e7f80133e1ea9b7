#include "bulk/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/macro.h"

void cairn_tree_path_done(struct cairn_tree_path *path)
{
	free(TAKE_PTR(path->text));
}

int cairn_tree_path_push(struct cairn_tree_path *path, const char *name)
{
	size_t name_len = strlen(name), need = path->len + name_len + 2;
	char *text;

	if (need > path->capacity) {
		size_t capacity = MAX(2 * path->capacity, need + 256);

		text = realloc(path->text, capacity);
		if (!text)
			return -ENOMEM;
		path->text = text;
		path->capacity = capacity;
	}
	if (path->len > 0)
		path->text[path->len++] = '/';
	memcpy(path->text + path->len, name, name_len + 1);
	path->len += name_len;
	return 0;
}

void cairn_tree_path_cut(struct cairn_tree_path *path, size_t len)
{
	path->len = len;
	if (path->text)
		path->text[len] = '\0';
}

/* Takes the last name off the path of `len` bytes; the new length. */
static size_t without_last(const char *path, size_t len)
{
	while (len > 0 && path[len - 1] != '/')
		len--;
	return len > 0 ? len - 1 : 0;
}

void cairn_tree_path_clean(char *path)
{
	size_t len = 0, name_len;

	for (const char *name = path; *name; name += name_len) {
		name += strspn(name, "/");
		name_len = strcspn(name, "/");
		if (name_len == 0 || (name_len == 1 && name[0] == '.'))
			continue;
		if (name_len == 2 && name[0] == '.' && name[1] == '.') {
			len = without_last(path, len);
			continue;
		}
		if (len > 0)
			path[len++] = '/';
		/* It never gets ahead of what is still to be read. */
		memmove(path + len, name, name_len);
		len += name_len;
	}
	path[len] = '\0';
}

const char *cairn_tree_path_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool cairn_tree_xattr_counts(const char *name, bool root)
{
	if (strncmp(name, "user.", 5) == 0)
		return name[5] != '\0';
	if (!root)
		return false;
	return (strncmp(name, "trusted.", 8) == 0 && name[8]) ||
	       strcmp(name, "security.capability") == 0;
}
