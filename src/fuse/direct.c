/* Files that are read around the kernel's page cache, so that each read(2) reaches us: what makes
 * `strictatime` exact.
 *
 * Shared mappings of such files are allowed since FUSE 7.39 (Linux 6.6) where the file system says
 * in its answer to INIT that it can stand them, which libfuse knows how to since 3.17. Ours can:
 * they are written back like any other. So the flag is put into the answer on its way to the
 * kernel. */
#include <linux/fuse.h>
#include <stddef.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fuse/internal.h"

#define ALLOW_MMAP_MINOR 39U
/* FUSE_DIRECT_IO_ALLOW_MMAP, 1 << 36: of the flags that have a word of their own. */
#define ALLOW_MMAP_FLAG2 (1U << 4)

static ssize_t receive(int fd, void *buf, size_t size, _unused_ void *arg)
{
	return read(fd, buf, size);
}

static void allow_mmap(struct iovec *iov, int count)
{
	struct fuse_init_out *out = count > 1 ? iov[1].iov_base : NULL;

	if (!out || iov[1].iov_len < offsetof(struct fuse_init_out, unused))
		return;
	out->flags |= FUSE_INIT_EXT;
	out->flags2 |= ALLOW_MMAP_FLAG2;
}

static ssize_t answer(int fd, struct iovec *iov, int count, void *arg)
{
	struct cairn_session *session = arg;

	if (atomic_exchange(&session->answers_init, false))
		allow_mmap(iov, count);
	return writev(fd, iov, count);
}

int cairn_direct_prepare(struct cairn_session *session)
{
	static const struct fuse_custom_io io = { .read = receive, .writev = answer };

	if (session->options.core.atime != CAIRN_STRICTATIME || session->options.core.read_only)
		return 0;
	return fuse_session_custom_io(session->fuse, &io, fuse_session_fd(session->fuse));
}

void cairn_direct_negotiate(struct cairn_session *session, const struct fuse_conn_info *conn)
{
	session->direct = session->options.core.atime == CAIRN_STRICTATIME &&
			  !session->options.core.read_only && conn->proto_major == 7 &&
			  conn->proto_minor >= ALLOW_MMAP_MINOR;
	atomic_store(&session->answers_init, session->direct);
}
