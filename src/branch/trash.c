#include "branch/trash.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/clock.h"
#include "util/macro.h"

#define TRASH     ".cairnfs-trash"
#define TRIES_MAX 1000

static int make_dir(const char *dir, struct cairn_error *err)
{
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return cairn_error_set(err, -errno, "the directory '%s' cannot be made: %s", dir,
				       strerror(errno));
	return 0;
}

int cairn_trash_keep(const char *path, char ret[PATH_MAX], struct cairn_error *err)
{
	const char *name = strrchr(path, '/') + 1;
	char dir[PATH_MAX];
	int r, n;

	n = snprintf(dir, sizeof(dir), "%.*s" TRASH, (int)(name - path), path);
	if (n < 0 || (size_t)n >= sizeof(dir))
		return -ENAMETOOLONG;
	r = make_dir(dir, err);
	if (r < 0)
		return r;
	for (int64_t now = cairn_now().tv_sec, i = 0; i < TRIES_MAX; i++) {
		n = snprintf(ret, PATH_MAX, "%s/%s.%" PRId64, dir, name, now + i);
		if (n < 0 || n >= PATH_MAX)
			return -ENAMETOOLONG;
		if (link(path, ret) == 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	return cairn_error_set(err, -errno, "'%s' cannot be kept as '%s': %s; --purge does without",
			       path, ret, strerror(errno));
}

void cairn_trash_release(const char *kept)
{
	unlink(kept);
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* The time at the end of a name; -1: it is none of ours. */
static int64_t time_of(const char *entry, const char *name)
{
	const char *dot = strrchr(entry, '.');
	char *end;
	long long time;

	if (!dot || dot == entry || dot[1] < '0' || dot[1] > '9')
		return -1;
	if (name && (strlen(name) != (size_t)(dot - entry) ||
		     strncmp(entry, name, (size_t)(dot - entry)) != 0))
		return -1;
	time = strtoll(dot + 1, &end, 10);
	return *end ? -1 : time;
}

int cairn_trash_list(const char *dir, const char *name, cairn_trash_fn fn, void *arg)
{
	_cleanup_(closedirp) DIR *stream = NULL;
	char trash[PATH_MAX], path[PATH_MAX + NAME_MAX + 2];
	const struct dirent *entry;
	struct stat st;
	int r = 0;

	if ((size_t)snprintf(trash, sizeof(trash), "%s/" TRASH, dir) >= sizeof(trash))
		return -ENAMETOOLONG;
	stream = opendir(trash);
	if (!stream)
		return errno == ENOENT ? 0 : -errno;
	while (r == 0 && (entry = readdir(stream))) {
		int64_t time = time_of(entry->d_name, name);

		snprintf(path, sizeof(path), "%s/%s", trash, entry->d_name);
		if (time >= 0 && lstat(path, &st) == 0 && S_ISREG(st.st_mode))
			r = fn(arg, path, time, st.st_size);
	}
	return r;
}
