#include "mount/resolve.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/macro.h"

#define ID_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

static bool is_id(const char *text)
{
	return text[0] && text[strspn(text, ID_CHARACTERS)] == '\0';
}

/* A directory of that name does not count: `cairnfs mount work work` is the id and the directory.
 */
static bool is_path(const char *text)
{
	struct stat st;

	if (strpbrk(text, "/."))
		return true;
	return stat(text, &st) == 0 && !S_ISDIR(st.st_mode);
}

int cairn_resolve_absolute(const char *path, char **ret_path)
{
	_cleanup_(cairn_freep) char *cwd = NULL;
	char *joined;

	if (path[0] == '/') {
		joined = strdup(path);
		if (!joined)
			return -ENOMEM;
	} else {
		cwd = getcwd(NULL, 0);
		if (!cwd)
			return -errno;
		if (asprintf(&joined, "%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, path) < 0)
			return -ENOMEM;
	}
	*ret_path = joined;
	return 0;
}

/* The path of a file that does not exist yet, in a directory that may. */
static int resolve_new(const char *path, char **ret_path)
{
	_cleanup_(cairn_freep) char *absolute = NULL, *real = NULL;
	char *name, *joined;
	int r;

	r = cairn_resolve_absolute(path, &absolute);
	if (r < 0)
		return r;
	name = strrchr(absolute, '/');
	if (name == absolute) {
		*ret_path = TAKE_PTR(absolute);
		return 0;
	}
	*name++ = '\0';
	real = realpath(absolute, NULL);
	if (!real && errno != ENOENT)
		return -errno;
	if (asprintf(&joined, "%s/%s", real ? real : absolute, name) < 0)
		return -ENOMEM;
	*ret_path = joined;
	return 0;
}

static int resolve_path(const char *path, char **ret_path)
{
	char *real = realpath(path, NULL);

	if (real) {
		*ret_path = real;
		return 0;
	}
	return errno == ENOENT ? resolve_new(path, ret_path) : -errno;
}

int cairn_resolve_workspace(const char *workspace, char **ret_path, bool *ret_is_id,
			    struct cairn_error *err)
{
	_cleanup_(cairn_freep) char *by_id = NULL;
	bool id = !is_path(workspace);
	int r;

	if (id && !is_id(workspace))
		return cairn_error_set(err, -EINVAL,
				       "'%s' is neither a path nor an id (letters, digits, '_', "
				       "'-'); write ./%s for a file of that name",
				       workspace, workspace);
	if (id && asprintf(&by_id, ".agentfs/%s.db", workspace) < 0) {
		by_id = NULL;
		return -ENOMEM;
	}

	r = resolve_path(id ? by_id : workspace, ret_path);
	if (r < 0)
		return cairn_error_set(err, r, "cannot find the workspace %s: %s",
				       id ? by_id : workspace, strerror(-r));
	if (ret_is_id)
		*ret_is_id = id;
	return 0;
}

int cairn_resolve_directory(const char *dir, char **ret_path)
{
	_cleanup_(cairn_freep) char *copy = strdup(dir);
	size_t len = strlen(dir);
	char *real;

	if (!copy)
		return -ENOMEM;
	/* realpath(3) does readlink(2) on each name, which the kernel answers for a directory
	 * without asking its file system; but it does access(2) where a slash comes last. */
	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	real = realpath(copy, NULL);
	if (!real)
		return -errno;
	*ret_path = real;
	return 0;
}

bool cairn_path_is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return true;
	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}
