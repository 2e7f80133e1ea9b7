/* What one system call, or the few that belong together, costs on average.
 *
 *	micro COUNT
 *
 * Works in the working directory, and leaves nothing there. Each kind is done COUNT times, on as
 * many files of 4 KiB. Prints microseconds. A call that fails, or does
 * not give what it must, ends the program: what is printed was done. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define FILE_SIZE 4096

static char content[FILE_SIZE];

/* Each takes one name, and does its work in the working directory. */
static void do_create(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		die("creating", name);
	if (write(fd, content, FILE_SIZE) != FILE_SIZE)
		die("writing", name);
	if (close(fd))
		die("closing", name);
}

static void do_stat(const char *name)
{
	struct stat st;

	if (stat(name, &st))
		die("stat of", name);
	if (st.st_size != FILE_SIZE)
		wrong("has another size than was written", name);
}

static void do_absent(const char *name)
{
	struct stat st;

	if (!stat(name, &st))
		wrong("is there", name);
	if (errno != ENOENT)
		die("stat of", name);
}

static void do_open_read(const char *name)
{
	char buffer[FILE_SIZE];
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("opening", name);
	if (read(fd, buffer, FILE_SIZE) != FILE_SIZE || memcmp(buffer, content, FILE_SIZE))
		wrong("is not what was written", name);
	if (close(fd))
		die("closing", name);
}

static void do_unlink(const char *name)
{
	if (unlink(name))
		die("unlinking", name);
}

static void do_mkdir(const char *name)
{
	if (mkdir(name, 0755))
		die("making the directory", name);
}

static void do_rmdir(const char *name)
{
	if (rmdir(name))
		die("removing the directory", name);
}

static void for_all(char prefix, long count, void (*what)(const char *name))
{
	char name[32];

	for (long i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%c%06ld", prefix, i);
		what(name);
	}
}

static void measure(const char *metric, char prefix, long count, void (*what)(const char *name))
{
	uint64_t begin = now_ns();

	for_all(prefix, count, what);
	print_each(metric, now_ns() - begin, count);
}

/* 4 KiB at a time over a file of 1 MiB that is there, by one descriptor. */
static void measure_pwrite(long count)
{
	const long blocks = 256;
	int fd = open("pwrite", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	uint64_t begin;

	if (fd < 0)
		die("creating", "pwrite");
	for (long i = 0; i < blocks; i++) {
		if (pwrite(fd, content, FILE_SIZE, i * FILE_SIZE) != FILE_SIZE)
			die("writing", "pwrite");
	}
	begin = now_ns();
	for (long i = 0; i < count; i++) {
		if (pwrite(fd, content, FILE_SIZE, i * 7 % blocks * FILE_SIZE) != FILE_SIZE)
			die("writing", "pwrite");
	}
	print_each("pwrite", now_ns() - begin, count);
	if (close(fd))
		die("closing", "pwrite");
	do_unlink("pwrite");
}

int main(int argc, char **argv)
{
	long count;

	if (argc != 2) {
		fprintf(stderr, "usage: micro COUNT\n");
		return 2;
	}
	count = number(argv[1], 1);
	memset(content, 'x', FILE_SIZE);
	measure("create-write-close", 'f', count, do_create);
	for_all('f', count, do_stat);
	measure("stat", 'f', count, do_stat);
	for_all('n', count, do_absent);
	measure("stat-absent", 'n', count, do_absent);
	for_all('f', count, do_open_read);
	measure("open-read-close", 'f', count, do_open_read);
	measure_pwrite(count);
	measure("unlink", 'f', count, do_unlink);
	measure("mkdir", 'd', count, do_mkdir);
	for_all('d', count, do_rmdir);
	return 0;
}
