/* What this mount and the kernel agree on when they first talk. */
#include "fuse/internal.h"

static bool turn_on(struct fuse_conn_info *conn, unsigned int capability)
{
	if (!(conn->capable & capability))
		return false;
	conn->want |= capability;
	return true;
}

void cairn_negotiate(struct cairn_session *session, struct fuse_conn_info *conn)
{
	bool quiet;

	session->epochs = cairn_kernel_has_epochs(conn);

	/* The kernel would drop a file's cached pages after our own writes moved its mtime. We are
	 * the only writer and tell it when that is not so. */
	conn->want &= ~(unsigned int)FUSE_CAP_AUTO_INVAL_DATA;
	turn_on(conn, FUSE_CAP_EXPLICIT_INVAL_DATA);

	turn_on(conn, FUSE_CAP_PARALLEL_DIROPS);
	/* Always, not only for the first part of a directory: whoever lists one looks at its files
	 * next, and what has not come with the listing is a LOOKUP each. */
	turn_on(conn, FUSE_CAP_READDIRPLUS);
	conn->want &= ~(unsigned int)FUSE_CAP_READDIRPLUS_AUTO;
	turn_on(conn, FUSE_CAP_ASYNC_DIO);
	turn_on(conn, FUSE_CAP_IOCTL_DIR);
	turn_on(conn, FUSE_CAP_HANDLE_KILLPRIV);

	/* Reads that move atime must be seen, at least the first of each open. */
	quiet = session->options.core.atime == CAIRN_NOATIME && !session->options.ask_always;
	if (quiet)
		turn_on(conn, FUSE_CAP_CACHE_SYMLINKS);
	session->no_open = quiet && conn->capable & FUSE_CAP_NO_OPEN_SUPPORT &&
			   conn->capable & FUSE_CAP_NO_OPENDIR_SUPPORT;
	cairn_direct_negotiate(session, conn);
	/* O_TRUNC comes as a SETATTR of its own, so that it does not get lost with an open that is
	 * not sent. */
	conn->want &= ~(unsigned int)FUSE_CAP_ATOMIC_O_TRUNC;

	/* Splicing moves pages, and ours are copied to and from SQLite anyway. */
	conn->want &= ~(unsigned int)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
				      FUSE_CAP_SPLICE_MOVE);

	conn->want &= ~(unsigned int)FUSE_CAP_WRITEBACK_CACHE;
	if (session->options.writeback_cache == CAIRN_ON)
		turn_on(conn, FUSE_CAP_WRITEBACK_CACHE);

	conn->time_gran = 1; /* nanoseconds */
	conn->max_background = 64;
	conn->congestion_threshold = 48;
}
