#include "util/file.h"

#include <errno.h>
#include <unistd.h>

int cairn_write_all(int fd, const void *bytes, size_t size, off_t at)
{
	const char *from = bytes;

	while (size > 0) {
		ssize_t n = pwrite(fd, from, size, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		from += n;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}
