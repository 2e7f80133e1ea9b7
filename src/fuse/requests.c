#include "fuse/requests.h"

#include <linux/fuse.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "fuse/session.h"
#include "fuse/stats.h"
#include "util/macro.h"

#define REQUEST_NAME(name) [CAIRN_REQUEST_##name] = "requests." #name,
static const char *const names[] = { CAIRN_REQUESTS(REQUEST_NAME) };
#undef REQUEST_NAME

const struct cairn_stats_names cairn_request_names = {
	.spread = names,
	.spread_count = CAIRN_REQUEST_KINDS,
};

/* One more than the kind; 0: none of those we know. */
static const uint8_t kinds[] = {
#define KIND(opcode, name) [FUSE_##opcode] = (CAIRN_REQUEST_##name + 1)
	KIND(LOOKUP, lookup),
	KIND(GETATTR, getattr),
	KIND(SETATTR, setattr),
	KIND(ACCESS, access),
	KIND(FORGET, forget),
	KIND(BATCH_FORGET, batch_forget),
	KIND(OPENDIR, opendir),
	KIND(READDIR, readdir),
	KIND(READDIRPLUS, readdirplus),
	KIND(RELEASEDIR, releasedir),
	KIND(FSYNCDIR, fsyncdir),
	KIND(CREATE, create),
	KIND(MKNOD, mknod),
	KIND(MKDIR, mkdir),
	KIND(SYMLINK, symlink),
	KIND(LINK, link),
	KIND(UNLINK, unlink),
	KIND(RMDIR, rmdir),
	KIND(RENAME, rename),
	KIND(RENAME2, rename),
	KIND(READLINK, readlink),
	KIND(OPEN, open),
	KIND(READ, read),
	KIND(WRITE, write),
	KIND(LSEEK, lseek),
	KIND(FALLOCATE, fallocate),
	KIND(COPY_FILE_RANGE, copy_file_range),
	KIND(FLUSH, flush),
	KIND(FSYNC, fsync),
	KIND(RELEASE, release),
	KIND(GETXATTR, getxattr),
	KIND(SETXATTR, setxattr),
	KIND(LISTXATTR, listxattr),
	KIND(REMOVEXATTR, removexattr),
	KIND(STATFS, statfs),
	KIND(IOCTL, ioctl),
	KIND(POLL, poll),
	KIND(INTERRUPT, interrupt),
	KIND(INIT, init),
#undef KIND
};

static bool is_question(const struct fuse_in_header *in, const char *argument, size_t size)
{
	struct fuse_ioctl_in ioctl;

	if (in->opcode != FUSE_IOCTL || in->nodeid != FUSE_ROOT_ID || size < sizeof(ioctl))
		return false;
	memcpy(&ioctl, argument, sizeof(ioctl));
	return ioctl.cmd == CAIRN_IOC_INFO || ioctl.cmd == CAIRN_IOC_STATS ||
	       ioctl.cmd == CAIRN_IOC_SPREAD;
}

int cairn_request_kind(const void *request, size_t size)
{
	struct fuse_in_header in;

	if (size < sizeof(in))
		return CAIRN_REQUEST_other;
	memcpy(&in, request, sizeof(in));
	if (is_question(&in, (const char *)request + sizeof(in), size - sizeof(in)))
		return -1;
	if (in.opcode >= ARRAY_SIZE(kinds) || !kinds[in.opcode])
		return CAIRN_REQUEST_other;
	return kinds[in.opcode] - 1;
}
