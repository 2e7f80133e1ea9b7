#include "fsutil.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

enum {
	TICK_NS = 12 * 1000 * 1000, /* above the 10 ms jiffy of a kernel built with HZ=100 */
	IO_BLOCK = 1 << 16,
};

struct stat stat_of(const char *name)
{
	struct stat st = { 0 };

	cr_assert_eq(lstat(name, &st), 0, "lstat %.256s: %s", name, strerror(errno));
	return st;
}

struct stat fstat_of(int fd)
{
	struct stat st = { 0 };

	cr_assert_eq(fstat(fd, &st), 0, "fstat: %s", strerror(errno));
	return st;
}

bool exists(const char *name)
{
	struct stat st;

	if (lstat(name, &st) == 0)
		return true;
	cr_assert_eq(errno, ENOENT, "lstat %.256s: %s", name, strerror(errno));
	return false;
}

mode_t mode_of(const char *name)
{
	return stat_of(name).st_mode & 07777;
}

ino_t ino_of(const char *name)
{
	return stat_of(name).st_ino;
}

nlink_t nlink_of(const char *name)
{
	return stat_of(name).st_nlink;
}

off_t size_of(const char *name)
{
	return stat_of(name).st_size;
}

bool later(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

void tick(void)
{
	struct timespec ts = { .tv_nsec = TICK_NS };

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

int write_at(int fd, off_t offset, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, offset);

		if (n < 0)
			return -1;
		p += n;
		offset += n;
		len -= (size_t)n;
	}
	return 0;
}

ssize_t read_at(int fd, off_t offset, void *ret_data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)ret_data + done, len - done, offset + (off_t)done);

		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

bool range_holds(int fd, off_t offset, const void *data, size_t len)
{
	char block[IO_BLOCK];

	for (size_t done = 0; done < len;) {
		size_t n = len - done < sizeof(block) ? len - done : sizeof(block);

		if (read_at(fd, offset + (off_t)done, block, n) != (ssize_t)n)
			return false;
		if (memcmp(block, (const char *)data + done, n) != 0)
			return false;
		done += n;
	}
	return true;
}

bool range_is_zero(int fd, off_t offset, size_t len)
{
	static const char zeros[IO_BLOCK];

	for (size_t done = 0; done < len;) {
		size_t n = len - done < sizeof(zeros) ? len - done : sizeof(zeros);

		if (!range_holds(fd, offset + (off_t)done, zeros, n))
			return false;
		done += n;
	}
	return true;
}

int put_bytes(const char *name, const void *data, size_t len)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int r;

	if (fd < 0)
		return -1;
	r = write_at(fd, 0, data, len);
	return close(fd) < 0 ? -1 : r;
}

int put_text(const char *name, const char *text)
{
	return put_bytes(name, text, strlen(text));
}

int put_mode(const char *name, mode_t mode)
{
	return put_text(name, "") < 0 ? -1 : chmod(name, mode);
}

bool holds_bytes(const char *name, const void *data, size_t len)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	bool same;

	if (fd < 0)
		return false;
	same = fstat(fd, &st) == 0 && st.st_size == (off_t)len && range_holds(fd, 0, data, len);
	close(fd);
	return same;
}

bool holds_text(const char *name, const char *text)
{
	return holds_bytes(name, text, strlen(text));
}

int read_through(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	char block[IO_BLOCK];
	ssize_t n;

	if (fd < 0)
		return -1;
	do
		n = read(fd, block, sizeof(block));
	while (n > 0);
	return close(fd) < 0 || n < 0 ? -1 : 0;
}

void fill_pattern(void *ret_data, size_t len, unsigned seed)
{
	unsigned char *p = ret_data;
	unsigned x = seed * 2654435761u + 1;

	for (size_t i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		p[i] = (unsigned char)(x >> 24) | 1;
	}
}

unsigned char *new_pattern(size_t len, unsigned seed)
{
	unsigned char *p = malloc(len ? len : 1);

	cr_assert(p, "%zu bytes", len);
	fill_pattern(p, len, seed);
	return p;
}

int open_and_close(const char *name, int flags, mode_t mode)
{
	int fd = open(name, flags | O_CLOEXEC, mode);

	return fd < 0 ? -1 : close(fd);
}

void add_name(struct listing *listing, const char *name)
{
	char **names = realloc(listing->names, (listing->n + 1) * sizeof(*names));

	cr_assert(names, "%zu names", listing->n);
	names[listing->n] = strdup(name);
	cr_assert(names[listing->n]);
	listing->names = names;
	listing->n++;
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int list_dir(const char *name, struct listing *ret_listing)
{
	struct listing listing = { 0 };
	DIR *dir = opendir(name);
	struct dirent *de;

	if (!dir)
		return -1;
	while (errno = 0, (de = readdir(dir)) != NULL) {
		if (!is_dot(de->d_name))
			add_name(&listing, de->d_name);
	}
	if (errno != 0 || closedir(dir) < 0) {
		free_listing(&listing);
		return -1;
	}
	*ret_listing = listing;
	return 0;
}

void free_listing(struct listing *listing)
{
	for (size_t i = 0; i < listing->n; i++)
		free(listing->names[i]);
	free(listing->names);
	*listing = (struct listing){ 0 };
}

size_t times_listed(const struct listing *listing, const char *name)
{
	size_t times = 0;

	for (size_t i = 0; i < listing->n; i++)
		times += strcmp(listing->names[i], name) == 0;
	return times;
}

ssize_t count_entries(const char *name)
{
	struct listing listing;
	ssize_t n;

	if (list_dir(name, &listing) < 0)
		return -1;
	n = (ssize_t)listing.n;
	free_listing(&listing);
	return n;
}

int sync_file(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -1 : fsync(fd);
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return r;
}
