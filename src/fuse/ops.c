/* The kernel's requests, each handed to the core and answered. The sign of an error flips here, in
 * reply_result(), and nowhere else. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>

#include "fuse/internal.h"
#include "fuse/stats.h"
#include "util/macro.h"

static struct cairn_session *session_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static struct cairn_core *core_of(fuse_req_t req)
{
	return session_of(req)->core;
}

static struct cairn_caller caller_of(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct cairn_caller){
		.uid = ctx->uid,
		.gid = ctx->gid,
		.pid = ctx->pid,
		.may_keep_setid = cairn_caller_keeps_setid,
	};
}

/* Answers a request that has no result but success. */
static void reply_result(fuse_req_t req, int r)
{
	fuse_reply_err(req, r < 0 ? -r : 0);
}

static struct fuse_entry_param entry_of(fuse_req_t req, const struct cairn_attr *attr)
{
	struct fuse_entry_param entry = {
		.ino = attr->ino,
		.attr_timeout = cairn_attr_seconds(session_of(req)),
		.entry_timeout = cairn_entry_seconds(session_of(req)),
	};

	cairn_show_attr(session_of(req), attr, &entry.attr);
	return entry;
}

/* Answers with an inode that the core has pinned for the kernel. */
static void reply_entry(fuse_req_t req, int r, const struct cairn_attr *attr)
{
	struct fuse_entry_param entry;

	if (r < 0) {
		reply_result(req, r);
		return;
	}
	entry = entry_of(req, attr);
	/* A request that was interrupted has no reader: the kernel does not know the inode then. */
	if (fuse_reply_entry(req, &entry) == -ENOENT)
		cairn_core_forget(core_of(req), attr->ino, 1);
}

static void reply_attr(fuse_req_t req, int r, const struct cairn_attr *attr)
{
	struct stat st;

	if (r < 0) {
		reply_result(req, r);
		return;
	}
	cairn_show_attr(session_of(req), attr, &st);
	fuse_reply_attr(req, &st, cairn_attr_seconds(session_of(req)));
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct cairn_session *session = userdata;

	cairn_negotiate(session, conn);
	if (session->ready)
		session->ready(session->ready_arg);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param absent = {
		.entry_timeout = cairn_entry_seconds(session_of(req)),
	};
	struct cairn_attr attr;
	int r;

	r = cairn_core_lookup(core_of(req), parent, name, &attr);
	if (r == -ENOENT)
		fuse_reply_entry(req, &absent); /* a definite no: the kernel may remember it */
	else
		reply_entry(req, r, &attr);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	cairn_core_forget(core_of(req), ino, nlookup);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		cairn_core_forget(core_of(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, _unused_ struct fuse_file_info *fi)
{
	struct cairn_attr attr;
	int r;

	r = cairn_core_getattr(core_of(req), ino, &attr);
	reply_attr(req, r, &attr);
}

static unsigned int set_of(int to_set)
{
	static const struct {
		int fuse;
		unsigned int core;
	} map[] = {
		{ FUSE_SET_ATTR_MODE, CAIRN_SET_MODE },
		{ FUSE_SET_ATTR_UID, CAIRN_SET_UID },
		{ FUSE_SET_ATTR_GID, CAIRN_SET_GID },
		{ FUSE_SET_ATTR_SIZE, CAIRN_SET_SIZE },
		{ FUSE_SET_ATTR_ATIME, CAIRN_SET_ATIME },
		{ FUSE_SET_ATTR_MTIME, CAIRN_SET_MTIME },
		{ FUSE_SET_ATTR_ATIME_NOW, CAIRN_SET_ATIME_NOW },
		{ FUSE_SET_ATTR_MTIME_NOW, CAIRN_SET_MTIME_NOW },
		{ FUSE_SET_ATTR_CTIME, CAIRN_SET_CTIME },
	};
	unsigned int set = 0;

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (to_set & map[i].fuse)
			set |= map[i].core;
	return set;
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set,
		       _unused_ struct fuse_file_info *fi)
{
	struct cairn_caller caller = caller_of(req);
	unsigned int set = set_of(to_set);
	struct cairn_attr attr, to = {
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.size = st->st_size,
		.atime = st->st_atim,
		.mtime = st->st_mtim,
		.ctime = st->st_ctim,
	};
	int r;

	r = cairn_check_owner(session_of(req), &set, &to);
	if (r == 0)
		r = cairn_core_setattr(core_of(req), &caller, ino, set, &to, &attr);
	reply_attr(req, r, &attr);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	_cleanup_(cairn_freep) char *target = NULL;
	int r;

	r = cairn_core_readlink(core_of(req), ino, &target);
	if (r < 0)
		reply_result(req, r);
	else
		fuse_reply_readlink(req, target);
}

/* There is no CREATE: without it the kernel makes a file with one MKNOD and needs no RELEASE. */
static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct cairn_caller caller = caller_of(req);
	struct cairn_attr attr;
	int r;

	r = cairn_core_mknod(core_of(req), &caller, parent, name, mode, rdev, &attr);
	reply_entry(req, r, &attr);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct cairn_caller caller = caller_of(req);
	struct cairn_attr attr;
	int r;

	r = cairn_core_mkdir(core_of(req), &caller, parent, name, mode, &attr);
	reply_entry(req, r, &attr);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct cairn_caller caller = caller_of(req);
	struct cairn_attr attr;
	int r;

	r = cairn_core_symlink(core_of(req), &caller, parent, name, target, &attr);
	reply_entry(req, r, &attr);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct cairn_attr attr;
	int r;

	r = cairn_core_link(core_of(req), ino, parent, name, &attr);
	reply_entry(req, r, &attr);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_result(req, cairn_core_unlink(core_of(req), parent, name));
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_result(req, cairn_core_rmdir(core_of(req), parent, name));
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		      const char *new_name, unsigned int flags)
{
	reply_result(req,
		     cairn_core_rename(core_of(req), parent, name, new_parent, new_name, flags));
}

static void op_open(fuse_req_t req, _unused_ fuse_ino_t ino, struct fuse_file_info *fi)
{
	fi->direct_io = session_of(req)->direct;
	if (session_of(req)->no_open)
		reply_result(req, -ENOSYS);
	else
		fuse_reply_open(req, fi);
}

static void op_opendir(fuse_req_t req, _unused_ fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (session_of(req)->no_open)
		reply_result(req, -ENOSYS);
	else
		fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    _unused_ struct fuse_file_info *fi)
{
	_cleanup_(cairn_freep) char *buf = malloc(size ? size : 1);
	ssize_t n;

	if (!buf) {
		reply_result(req, -ENOMEM);
		return;
	}
	n = cairn_core_read(core_of(req), ino, buf, size, offset);
	if (n < 0)
		reply_result(req, (int)n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	struct cairn_caller caller = caller_of(req);
	bool from_cache = fi->writepage;
	int r;

	/* Pages written back carry no caller, and their offset is where they belong. */
	r = cairn_core_write(core_of(req), from_cache ? NULL : &caller, ino, buf, size, offset,
			     !from_cache && fi->flags & O_APPEND,
			     !from_cache && fi->flags & O_DSYNC);
	if (r < 0)
		reply_result(req, r);
	else
		fuse_reply_write(req, size);
}

struct fsync_request {
	struct cairn_fsync fsync;
	fuse_req_t req;
	struct cairn_timing timing;
};

static void answer_fsync(struct cairn_fsync *fsync, int r)
{
	struct fsync_request *request = CONTAINER_OF(fsync, struct fsync_request, fsync);

	reply_result(request->req, r);
	cairn_timing_endp(&request->timing);
	free(request);
}

/* The writer answers, and this thread can serve the next. */
static void begin_fsync(fuse_req_t req, fuse_ino_t ino, enum cairn_request kind)
{
	struct cairn_timing timing =
		cairn_timing_begin(&session_of(req)->loop.requests, (unsigned int)kind);
	struct fsync_request *request = malloc(sizeof(*request));

	if (!request) {
		reply_result(req, cairn_core_fsync(core_of(req), ino));
		cairn_timing_endp(&timing);
		return;
	}
	*request = (struct fsync_request){
		.fsync.done = answer_fsync,
		.req = req,
		.timing = timing,
	};
	cairn_core_fsync_begin(core_of(req), ino, &request->fsync);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, _unused_ int datasync,
		     _unused_ struct fuse_file_info *fi)
{
	begin_fsync(req, ino, CAIRN_REQUEST_fsync);
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, _unused_ int datasync,
			_unused_ struct fuse_file_info *fi)
{
	begin_fsync(req, ino, CAIRN_REQUEST_fsyncdir);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
			 _unused_ struct fuse_file_info *fi)
{
	struct cairn_caller caller = caller_of(req);

	reply_result(req, cairn_core_fallocate(core_of(req), &caller, ino, mode, offset, length));
}

static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
		     _unused_ struct fuse_file_info *fi)
{
	off_t at;
	int r;

	r = cairn_core_lseek(core_of(req), ino, offset, whence, &at);
	if (r < 0)
		reply_result(req, r);
	else
		fuse_reply_lseek(req, at);
}

static void op_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t in_offset,
			       _unused_ struct fuse_file_info *in_fi, fuse_ino_t out,
			       off_t out_offset, _unused_ struct fuse_file_info *out_fi,
			       size_t size, _unused_ int flags)
{
	struct cairn_caller caller = caller_of(req);
	ssize_t n;

	n = cairn_core_copy(core_of(req), &caller, in, in_offset, out, out_offset, size);
	if (n < 0)
		reply_result(req, (int)n);
	else
		fuse_reply_write(req, (size_t)n);
}

/* A reply to READDIR or READDIRPLUS that is being filled. */
struct listing_reply {
	fuse_req_t req;
	bool plus;
	char *buf;
	size_t size, used;
};

static bool add_dirent(void *arg, const struct cairn_dirent *dirent)
{
	struct listing_reply *reply = arg;
	char *at = reply->buf + reply->used;
	size_t room = reply->size - reply->used, need;
	struct fuse_entry_param entry = {
		.attr = { .st_ino = dirent->ino, .st_mode = dirent->type },
	};

	if (dirent->attr)
		entry = entry_of(reply->req, dirent->attr);
	need = reply->plus ? fuse_add_direntry_plus(reply->req, at, room, dirent->name, &entry,
						    dirent->next)
			   : fuse_add_direntry(reply->req, at, room, dirent->name, &entry.attr,
					       dirent->next);
	if (need > room)
		return true;
	reply->used += need;
	return false;
}

static void read_directory(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus)
{
	_cleanup_(cairn_freep) char *buf = malloc(size ? size : 1);
	struct listing_reply reply = { .req = req, .plus = plus, .buf = buf, .size = size };
	int r;

	if (!buf) {
		reply_result(req, -ENOMEM);
		return;
	}
	r = cairn_core_readdir(core_of(req), ino, offset, plus, add_dirent, &reply);
	/* Entries handed on are pinned for the kernel: they must reach it, even before an error. */
	if (r < 0 && reply.used == 0)
		reply_result(req, r);
	else
		fuse_reply_buf(req, buf, reply.used);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		       _unused_ struct fuse_file_info *fi)
{
	read_directory(req, ino, size, offset, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			   _unused_ struct fuse_file_info *fi)
{
	read_directory(req, ino, size, offset, true);
}

static void op_statfs(fuse_req_t req, _unused_ fuse_ino_t ino)
{
	struct statvfs disk, st;
	int r;

	r = fstatvfs(session_of(req)->disk_fd, &disk) < 0 ? -errno : 0;
	if (r == 0)
		r = cairn_core_statfs(core_of(req), &disk, &st);
	if (r < 0)
		reply_result(req, r);
	else
		fuse_reply_statfs(req, &st);
}

/* The namespaces of xattr(7). "system." is not among them: its ACLs would be stored and not
 * enforced, and a promise of access rules that nobody keeps is worse than none. */
static bool namespace_is_known(const char *name)
{
	static const char *const known[] = { "user.", "trusted.", "security." };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strncmp(name, known[i], strlen(known[i])) == 0)
			return name[strlen(known[i])] != '\0';
	return false;
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
			size_t size, int flags)
{
	if (!namespace_is_known(name))
		reply_result(req, -EOPNOTSUPP);
	else
		reply_result(req, cairn_core_setxattr(core_of(req), ino, name, value, size, flags));
}

/* Answers getxattr and listxattr: a length for size 0, else the bytes. */
static void reply_xattr(fuse_req_t req, ssize_t n, const char *buf, size_t size)
{
	if (n < 0)
		reply_result(req, (int)n);
	else if (size == 0)
		fuse_reply_xattr(req, (size_t)n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	_cleanup_(cairn_freep) char *buf = malloc(size ? size : 1);

	if (!namespace_is_known(name))
		reply_result(req, -EOPNOTSUPP);
	else if (!buf)
		reply_result(req, -ENOMEM);
	else
		reply_xattr(req, cairn_core_getxattr(core_of(req), ino, name, buf, size), buf,
			    size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	_cleanup_(cairn_freep) char *buf = malloc(size ? size : 1);

	if (!buf)
		reply_result(req, -ENOMEM);
	else
		reply_xattr(req, cairn_core_listxattr(core_of(req), ino, buf, size), buf, size);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	if (!namespace_is_known(name))
		reply_result(req, -EOPNOTSUPP);
	else
		reply_result(req, cairn_core_removexattr(core_of(req), ino, name));
}

static void reply_info(fuse_req_t req)
{
	struct cairn_ioc_info info = { .version = 1, .pid = getpid() };

	strncpy(info.workspace, session_of(req)->workspace, sizeof(info.workspace) - 1);
	fuse_reply_ioctl(req, 0, &info, sizeof(info));
}

static void reply_stats(fuse_req_t req)
{
	struct cairn_ioc_stats stats;

	cairn_session_stats(session_of(req), &stats);
	fuse_reply_ioctl(req, 0, &stats, sizeof(stats));
}

static void reply_spread(fuse_req_t req, const void *in)
{
	struct cairn_ioc_spread which, spread;
	int r;

	memcpy(&which, in, sizeof(which));
	r = cairn_session_spread(session_of(req), &which, &spread);
	if (r < 0)
		reply_result(req, r);
	else
		fuse_reply_ioctl(req, 0, &spread, sizeof(spread));
}

/* What a mount does is the business of those who could look into its process, too. */
static bool may_ask_stats(fuse_req_t req)
{
	uid_t uid = fuse_req_ctx(req)->uid;

	return uid == 0 || uid == session_of(req)->mounter_uid;
}

static void reply_commit(fuse_req_t req)
{
	int r;

	r = cairn_core_settle(core_of(req), false);
	if (r < 0)
		reply_result(req, r);
	else
		fuse_reply_ioctl(req, 0, NULL, 0);
}

static void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, _unused_ void *arg,
		     _unused_ struct fuse_file_info *fi, unsigned int flags, const void *in_buf,
		     size_t in_size, size_t out_size)
{
	bool known = cmd == CAIRN_IOC_INFO || cmd == CAIRN_IOC_STATS || cmd == CAIRN_IOC_SPREAD ||
		     cmd == CAIRN_IOC_COMMIT;

	/* The kernel goes by the sizes in `cmd`, unless somebody else speaks through it. */
	if (ino != FUSE_ROOT_ID || !known || flags & FUSE_IOCTL_UNRESTRICTED ||
	    out_size < _IOC_SIZE(cmd) || (_IOC_DIR(cmd) & _IOC_WRITE && in_size < _IOC_SIZE(cmd)))
		reply_result(req, -ENOTTY);
	else if (cmd == CAIRN_IOC_INFO)
		reply_info(req);
	else if (cmd == CAIRN_IOC_COMMIT)
		reply_commit(req);
	else if (!may_ask_stats(req))
		reply_result(req, -EACCES);
	else if (cmd == CAIRN_IOC_STATS)
		reply_stats(req);
	else
		reply_spread(req, in_buf);
}

const struct fuse_lowlevel_ops cairn_fuse_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.symlink = op_symlink,
	.link = op_link,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.rename = op_rename,
	.open = op_open,
	.opendir = op_opendir,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.fsyncdir = op_fsyncdir,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
	.copy_file_range = op_copy_file_range,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.ioctl = op_ioctl,
};
