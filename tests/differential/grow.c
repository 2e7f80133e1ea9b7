/* A tree to begin with: of every name that operations draw, in every directory down to a depth,
 * something. Small steps, so that a base has of all what an operation may meet. */
#include "differential.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DEPTH 3

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	perror(what);
	exit(2);
}

static void grow_file(int fd, const char *name, uint64_t *state)
{
	static unsigned char data[200 * 1000];
	size_t length = next_random(state) % (next_random(state) % 8 ? 9000 : sizeof(data));
	int file = openat(fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	must(file, name);
	fill_pattern(data, length, next_random(state));
	must((int)pwrite(file, data, length, 0), name);
	if (next_random(state) % 4 == 0) /* a hole behind it */
		must(ftruncate(file, (off_t)length + (off_t)(next_random(state) % 300000)), name);
	if (next_random(state) % 4 == 0)
		(void)fsetxattr(file, "user.one", "grown", 5, 0);
	close(file);
}

static void set_times(int fd, const char *name, uint64_t *state)
{
	struct timespec times[2];

	for (int i = 0; i < 2; i++) {
		times[i].tv_sec = (time_t)(next_random(state) % 1500000000);
		times[i].tv_nsec = (long)(next_random(state) % 1000000000);
	}
	must(utimensat(fd, name, times, AT_SYMLINK_NOFOLLOW), name);
}

static void grow_directory(int fd, int depth, uint64_t *state);

static void grow_one(int fd, const char *name, int depth, uint64_t *state)
{
	static const mode_t modes[] = { 0755, 0755, 0700, 0711, 0777, 01777 };
	int sub;

	switch (next_random(state) % 10) {
	case 0:
	case 1:
	case 2:
		must(mkdirat(fd, name, modes[next_random(state) % 6]), name);
		if (depth == DEPTH)
			break;
		sub = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		must(sub, name);
		grow_directory(sub, depth + 1, state);
		close(sub);
		break;
	case 3:
		must(symlinkat(next_random(state) % 2 ? "a" : "b/c", fd, name), name);
		break;
	case 4:
		must(linkat(fd, "linked", fd, name, 0), name);
		return;
	case 5:
		if (next_random(state) % 4 == 0)
			must(mknodat(fd, name, S_IFIFO | 0600, 0), name);
		return; /* nothing, or no time that means anything */
	default:
		grow_file(fd, name, state);
		break;
	}
	set_times(fd, name, state);
}

/* Beside what has the names of operations there is a file with several. */
static void grow_directory(int fd, int depth, uint64_t *state)
{
	grow_file(fd, "linked", state);
	set_times(fd, "linked", state);
	for (uint32_t i = 0; name_at(i); i++)
		grow_one(fd, name_at(i), depth, state);
}

void grow_tree(const struct side *side, uint64_t seed)
{
	grow_directory(side->root_fd, 1, &seed);
}
