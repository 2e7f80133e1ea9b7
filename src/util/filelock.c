#include "util/filelock.h"

#include <errno.h>
#include <fcntl.h>

static struct flock describe(struct cairn_filerange range, short type)
{
	return (struct flock){
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = range.first,
		.l_len = range.count,
	};
}

int cairn_filelock_set(int fd, struct cairn_filerange range, short type)
{
	struct flock lock = describe(range, type);

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == EACCES || errno == EAGAIN)
		return -EAGAIN;
	return errno == EINVAL ? -ENOLCK : -errno;
}

int cairn_filelock_held(int fd, struct cairn_filerange range, bool *ret_held)
{
	struct flock lock = describe(range, F_WRLCK);

	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return -errno;
	*ret_held = lock.l_type != F_UNLCK;
	return 0;
}
