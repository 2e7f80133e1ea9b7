/* A mount that calls itself cairnfs and answers questions in a way of its own:
 *
 *	stranger DIR older	says who it is, and knows no statistics
 *	stranger DIR newer	has statistics of another version
 *	stranger DIR nonsense	has figures whose names no terminal should see
 *	stranger DIR silent	takes a question and never answers
 *
 * Serves until it is unmounted; prints a line when it is mounted. */
#include <errno.h>
#include <fuse3/fuse_lowlevel.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fuse/session.h"
#include "fuse/stats.h"

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = { .st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };

	(void)fi;
	fuse_reply_attr(req, &st, 60);
}

static void answer_info(fuse_req_t req)
{
	struct cairn_ioc_info info = { .version = 1, .pid = getpid(), .workspace = "/w.db" };

	fuse_reply_ioctl(req, 0, &info, sizeof(info));
}

static void do_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
		     struct fuse_file_info *fi, unsigned int flags, const void *in_buf,
		     size_t in_size, size_t out_size)
{
	const char *how = fuse_req_userdata(req);
	struct cairn_ioc_stats stats = { .version = CAIRN_STATS_VERSION, .count = 1 };

	(void)ino, (void)arg, (void)fi, (void)flags, (void)in_buf, (void)in_size, (void)out_size;
	if (cmd == CAIRN_IOC_INFO) {
		answer_info(req);
	} else if (cmd != CAIRN_IOC_STATS || strcmp(how, "older") == 0) {
		fuse_reply_err(req, ENOTTY);
	} else if (strcmp(how, "silent") != 0) {
		stats.version += strcmp(how, "newer") == 0;
		strcpy(stats.stat[0].name, "\033[2J");
		fuse_reply_ioctl(req, 0, &stats, sizeof(stats));
	}
}

static void do_init(void *how, struct fuse_conn_info *conn)
{
	(void)how;
	conn->want |= FUSE_CAP_IOCTL_DIR;
}

static const struct fuse_lowlevel_ops ops = {
	.init = do_init,
	.getattr = do_getattr,
	.ioctl = do_ioctl,
};

int main(int argc, char **argv)
{
	char *options[] = { argv[0], (char *)"-o", (char *)"fsname=/w.db,subtype=cairnfs" };
	struct fuse_args args = FUSE_ARGS_INIT(3, options);
	struct fuse_session *session;

	if (argc != 3)
		return 2;
	session = fuse_session_new(&args, &ops, sizeof(ops), argv[2]);
	if (!session || fuse_session_mount(session, argv[1]) != 0)
		return 1;
	puts("mounted");
	fflush(stdout);
	fuse_session_loop(session);
	fuse_session_unmount(session);
	fuse_session_destroy(session);
	fuse_opt_free_args(&args);
	return 0;
}
