/* One large file, from its beginning to its end, 1 MiB at a time.
 *
 *	stream write FILE SIZE		makes it, and ends with fsync
 *	stream read FILE SIZE		reads it, and looks whether it is that file
 *
 * SIZE is a multiple of 1 MiB. Each block of 4 KiB carries its own number, and no zeros that
 * somebody might save. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define PIECE ((size_t)1 << 20)
#define BLOCK ((size_t)4096)

static char piece[PIECE];

static uint64_t number_of(size_t at)
{
	return at / BLOCK + 1;
}

static void write_all(int fd, const char *name, size_t size)
{
	uint64_t random = 88172645463325252u;

	for (size_t i = 0; i < PIECE; i += sizeof(random)) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		memcpy(piece + i, &random, sizeof(random));
	}
	for (size_t at = 0; at < size; at += PIECE) {
		for (size_t block = 0; block < PIECE; block += BLOCK)
			memcpy(piece + block, &(uint64_t){ number_of(at + block) },
			       sizeof(uint64_t));
		if (write(fd, piece, PIECE) != (ssize_t)PIECE)
			die("writing", name);
	}
	if (fsync(fd))
		die("fsync of", name);
}

static void read_piece(int fd, const char *name)
{
	for (size_t at = 0; at < PIECE;) {
		ssize_t n = read(fd, piece + at, PIECE - at);

		if (n < 0)
			die("reading", name);
		if (n == 0)
			wrong("ends too early", name);
		at += (size_t)n;
	}
}

static void read_all(int fd, const char *name, size_t size)
{
	uint64_t seen;

	for (size_t at = 0; at < size; at += PIECE) {
		read_piece(fd, name);
		for (size_t block = 0; block < PIECE; block += BLOCK) {
			memcpy(&seen, piece + block, sizeof(seen));
			if (seen != number_of(at + block))
				wrong("is not what was written", name);
		}
	}
	if (read(fd, piece, 1) != 0)
		wrong("is longer than what was written", name);
}

int main(int argc, char **argv)
{
	int fd, writes;
	size_t size;

	writes = argc == 4 && !strcmp(argv[1], "write");
	if (!writes && (argc != 4 || strcmp(argv[1], "read") != 0)) {
		fprintf(stderr, "usage: stream write|read FILE SIZE\n");
		return 2;
	}
	size = (size_t)number(argv[3], 1);
	if (size % PIECE)
		wrong("not a multiple of 1 MiB", argv[3]);
	fd = open(argv[2], writes ? O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC : O_RDONLY | O_CLOEXEC,
		  0644);
	if (fd < 0)
		die("opening", argv[2]);
	if (writes)
		write_all(fd, argv[2], size);
	else
		read_all(fd, argv[2], size);
	if (close(fd))
		die("closing", argv[2]);
	return 0;
}
