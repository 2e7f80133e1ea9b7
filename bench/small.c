/* Many small files from one process: all are made, then all read, all renamed, all removed.
 *
 *	small COUNT
 *
 * Works in the working directory, with 100 files in each of its subdirectories, and leaves nothing
 * there. Prints the seconds of each of the four. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define PER_DIRECTORY 100

/* Sizes from a few bytes to some 12 KiB, the same in each run. */
static size_t size_of(long i)
{
	return 10 + (size_t)i * 2654435761u % 12000;
}

static void name_of(char name[64], char kind, long i)
{
	snprintf(name, 64, "%03ld/%c%05ld", i / PER_DIRECTORY, kind, i);
}

static void fill(char *data, size_t size, long i)
{
	for (size_t at = 0; at < size; at++)
		data[at] = (char)((size_t)i + at);
}

static void make(long i)
{
	char name[64], data[16384];
	size_t size = size_of(i);
	int fd;

	if (i % PER_DIRECTORY == 0) {
		snprintf(name, sizeof(name), "%03ld", i / PER_DIRECTORY);
		if (mkdir(name, 0755))
			die("making the directory", name);
	}
	name_of(name, 'a', i);
	fill(data, size, i);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		die("creating", name);
	if (write(fd, data, size) != (ssize_t)size || close(fd))
		die("writing", name);
}

static void read_back(long i)
{
	char name[64], data[16384], expected[16384];
	size_t size = size_of(i);
	int fd;

	name_of(name, 'a', i);
	fill(expected, size, i);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("opening", name);
	if (read(fd, data, sizeof(data)) != (ssize_t)size || memcmp(data, expected, size))
		wrong("is not what was written", name);
	if (close(fd))
		die("closing", name);
}

static void move(long i)
{
	char from[64], to[64];

	name_of(from, 'a', i);
	name_of(to, 'b', i);
	if (rename(from, to))
		die("renaming", from);
}

static void discard(long i)
{
	char name[64];

	name_of(name, 'b', i);
	if (unlink(name))
		die("unlinking", name);
}

static void measure(const char *metric, long count, void (*what)(long i))
{
	uint64_t begin = now_ns();

	for (long i = 0; i < count; i++)
		what(i);
	print_seconds(metric, now_ns() - begin);
}

/* rmdir fails if any file is left: so this verifies the removals, too. */
static void remove_directories(long count)
{
	char name[64];

	for (long i = 0; i < count; i += PER_DIRECTORY) {
		snprintf(name, sizeof(name), "%03ld", i / PER_DIRECTORY);
		if (rmdir(name))
			die("removing the directory", name);
	}
}

int main(int argc, char **argv)
{
	long count;

	if (argc != 2) {
		fprintf(stderr, "usage: small COUNT\n");
		return 2;
	}
	count = number(argv[1], 1);
	measure("small-make", count, make);
	measure("small-read", count, read_back);
	measure("small-rename", count, move);
	measure("small-remove", count, discard);
	remove_directories(count);
	return 0;
}
