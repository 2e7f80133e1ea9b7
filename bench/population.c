/* A large population of small files, and what one operation on any of them costs.
 *
 *	population fill FROM TO
 *	population stat|read|create|unlink COUNT TOTAL ROUND
 *
 * Works in the working directory. File number n is dN/fN, a thousand in each directory. "fill"
 *makes the files from FROM to before TO. The others do COUNT operations spread over all of TOTAL
 *files, other ones in each ROUND and none twice, and print microseconds: "create" makes new files
 *beside them, which "unlink" of the same ROUND removes. The directories are looked up before the
 *clock starts: what is measured is one name in one of them. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define PER_DIRECTORY 1000
#define FILE_SIZE     100
/* A prime larger than any population: steps of it meet each file once before any twice. */
#define STEP 15485863

typedef void operation(const char *name);

static void name_of(char name[64], char kind, long i)
{
	snprintf(name, 64, "d%05ld/%c%08ld", i / PER_DIRECTORY, kind, i);
}

static void content_of(char content[FILE_SIZE + 1], const char *name)
{
	snprintf(content, FILE_SIZE + 1, "%-100s", name);
}

static void make_file(const char *name)
{
	char content[FILE_SIZE + 1];
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	content_of(content, name);
	if (fd < 0)
		die("creating", name);
	if (write(fd, content, FILE_SIZE) != FILE_SIZE || close(fd))
		die("writing", name);
}

static void stat_file(const char *name)
{
	struct stat st;

	if (stat(name, &st))
		die("stat of", name);
	if (st.st_size != FILE_SIZE)
		wrong("has another size than was written", name);
}

static void read_file(const char *name)
{
	char content[FILE_SIZE + 1], seen[FILE_SIZE + 1];
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	content_of(content, name);
	if (fd < 0)
		die("opening", name);
	if (read(fd, seen, sizeof(seen)) != FILE_SIZE || memcmp(seen, content, FILE_SIZE) != 0)
		wrong("is not what was written", name);
	if (close(fd))
		die("closing", name);
}

static void unlink_file(const char *name)
{
	if (unlink(name))
		die("unlinking", name);
}

static void fill(long from, long to)
{
	char name[64];

	for (long i = from; i < to; i++) {
		if (i % PER_DIRECTORY == 0) {
			snprintf(name, sizeof(name), "d%05ld", i / PER_DIRECTORY);
			if (mkdir(name, 0755))
				die("making the directory", name);
		}
		name_of(name, 'f', i);
		make_file(name);
	}
}

static void look_up_directories(long total)
{
	struct stat st;
	char name[64];

	for (long i = 0; i < total; i += PER_DIRECTORY) {
		snprintf(name, sizeof(name), "d%05ld", i / PER_DIRECTORY);
		if (stat(name, &st))
			die("stat of", name);
	}
}

static void measure(const char *metric, operation *what, char kind, long count, long total,
		    long round)
{
	uint64_t begin;
	char name[64];

	look_up_directories(total);
	begin = now_ns();
	for (long i = round * count; i < (round + 1) * count; i++) {
		name_of(name, kind, i * STEP % total);
		what(name);
	}
	print_each(metric, now_ns() - begin, count);
}

static int usage(void)
{
	fprintf(stderr, "usage: population fill FROM TO\n"
			"       population stat|read|create|unlink COUNT TOTAL ROUND\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		operation *what;
		char kind;
	} operations[] = {
		{ "stat", stat_file, 'f' },
		{ "read", read_file, 'f' },
		{ "create", make_file, 'n' },
		{ "unlink", unlink_file, 'n' },
	};

	if (argc == 4 && !strcmp(argv[1], "fill")) {
		fill(number(argv[2], 0), number(argv[3], 1));
		return 0;
	}
	for (size_t i = 0; argc == 5 && i < sizeof(operations) / sizeof(operations[0]); i++) {
		const long count = number(argv[2], 1), total = number(argv[3], 1),
			   round = number(argv[4], 0);

		if (strcmp(argv[1], operations[i].name) != 0)
			continue;
		if ((round + 1) * count > total || total >= STEP)
			wrong("more operations than files, or too many files", argv[3]);
		measure(argv[1], operations[i].what, operations[i].kind, count, total, round);
		return 0;
	}
	return usage();
}
