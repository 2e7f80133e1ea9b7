/* Files whose content says what it should be.
 *
 *	pattern write FILE SEED SIZE [PIECE]	makes the file, in pieces of so many bytes
 *	pattern save FILE SEED SIZE		the same under another name, then renames it
 *	pattern check FILE SEED SIZE		it is exactly that file
 *	pattern follow FILE COUNT		reads it so often: whole and right each time, and
 *its seed never goes back; fails where it is not there
 *
 * SIZE counts everything, SEED 0 ... 2^63-1. Exit status 0, or 1 with one line on stderr. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash/listing.h"
#include "util/macro.h"

#define MAGIC UINT64_C(0x6e7265747461702d)

struct head {
	uint64_t magic, seed, size;
};

static int failed(const char *path, const char *what)
{
	fprintf(stderr, "pattern: %s: %s\n", path, what);
	return 1;
}

static int failed_errno(const char *path)
{
	return failed(path, strerror(errno));
}

static char *make(uint64_t seed, uint64_t size)
{
	const struct head head = { MAGIC, seed, size };
	char *data = must_alloc(size);

	memcpy(data, &head, MIN(sizeof(head), size));
	if (size > sizeof(head))
		rng_fill(seed, data + sizeof(head), size - sizeof(head));
	return data;
}

static int write_file(const char *path, uint64_t seed, uint64_t size, uint64_t piece)
{
	_cleanup_(cairn_freep) char *data = make(seed, size);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return failed_errno(path);
	for (uint64_t at = 0; at < size;) {
		ssize_t n = write(fd, data + at, MIN(piece, size - at));

		if (n <= 0) {
			close(fd);
			return failed_errno(path);
		}
		at += (uint64_t)n;
	}
	return close(fd) < 0 ? failed_errno(path) : 0;
}

static int save_file(const char *path, uint64_t seed, uint64_t size)
{
	char temp[4096];
	int status;

	snprintf(temp, sizeof(temp), "%s.%d", path, (int)getpid());
	status = write_file(temp, seed, size, size);
	if (status == 0 && rename(temp, path) < 0)
		status = failed_errno(path);
	return status;
}

static char *read_file(const char *path, uint64_t *ret_size)
{
	_cleanup_(cairn_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint64_t at = 0;
	ssize_t n = 1;
	char *data;

	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	data = must_alloc((size_t)st.st_size + 1);
	while (n > 0) {
		n = read(fd, data + at, (size_t)st.st_size + 1 - at);
		at += n > 0 ? (uint64_t)n : 0;
	}
	*ret_size = at;
	if (n == 0)
		return data;
	free(data);
	return NULL;
}

static int check_file(const char *path, uint64_t seed, uint64_t size)
{
	_cleanup_(cairn_freep) char *want = make(seed, size);
	_cleanup_(cairn_freep) char *data = NULL;
	uint64_t found;

	data = read_file(path, &found);
	if (!data)
		return failed_errno(path);
	if (found != size)
		return failed(path, "wrong size");
	return memcmp(data, want, size) ? failed(path, "wrong content") : 0;
}

/* The seed of a file that is what it says it is. */
static int read_seed(const char *path, uint64_t *ret)
{
	_cleanup_(cairn_freep) char *data = NULL, *want = NULL;
	struct head head;
	uint64_t size;

	data = read_file(path, &size);
	if (!data)
		return failed_errno(path);
	if (size < sizeof(head))
		return failed(path, "cut short");
	memcpy(&head, data, sizeof(head));
	if (head.magic != MAGIC || head.size != size)
		return failed(path, "not what was written");
	want = make(head.seed, size);
	if (memcmp(data, want, size))
		return failed(path, "mixed content");
	*ret = head.seed;
	return 0;
}

static int follow(const char *path, uint64_t count)
{
	uint64_t last = 0, seed = 0;

	while (count-- > 0) {
		if (read_seed(path, &seed) != 0)
			return 1;
		if (seed < last)
			return failed(path, "older than before");
		last = seed;
	}
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t number[3] = { 0 };

	for (int i = 3; i < argc && i < 6; i++)
		number[i - 3] = strtoull(argv[i], NULL, 10);
	if (argc == 5 && strcmp(argv[1], "write") == 0)
		return write_file(argv[2], number[0], number[1], number[1]);
	if (argc == 6 && strcmp(argv[1], "write") == 0 && number[2] > 0)
		return write_file(argv[2], number[0], number[1], number[2]);
	if (argc == 5 && strcmp(argv[1], "save") == 0)
		return save_file(argv[2], number[0], number[1]);
	if (argc == 5 && strcmp(argv[1], "check") == 0)
		return check_file(argv[2], number[0], number[1]);
	if (argc == 4 && strcmp(argv[1], "follow") == 0)
		return follow(argv[2], number[0]);
	fprintf(stderr,
		"usage: pattern write|save|check FILE SEED SIZE, pattern follow FILE COUNT\n");
	return 2;
}
