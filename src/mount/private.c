#include "mount/private.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "mount/mountinfo.h"
#include "util/macro.h"

/* What the child reports; smaller than any socket buffer. */
struct report {
	int r;
	bool forbidden;
	bool own_user; /* it is in a user namespace of its own */
	struct cairn_error err;
};

static int write_file(const char *path, const char *text)
{
	_cleanup_(cairn_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

/* The user and his group, and nobody else, user_namespaces(7). */
static int map_self(uid_t uid, gid_t gid)
{
	char map[64];
	int r;

	r = write_file("/proc/self/setgroups", "deny");
	if (r < 0 && r != -ENOENT)
		return r;
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	r = write_file("/proc/self/uid_map", map);
	if (r < 0)
		return r;
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	return write_file("/proc/self/gid_map", map);
}

static int enter(bool *ret_own_user)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r;

	if (unshare(CLONE_NEWNS) == 0) {
		*ret_own_user = false;
	} else if (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) {
		return -errno;
	} else {
		r = map_self(uid, gid);
		if (r < 0)
			return r;
		*ret_own_user = true;
	}
	/* What is mounted outside still comes in; what is mounted here stays here. In a namespace
	 * of another user that is so anyway, mount_namespaces(7). */
	if (mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 && !*ret_own_user)
		return -errno;
	return 0;
}

/* Options that are flags of mount(2), not text for the file system. */
static const struct {
	const char *name;
	unsigned long flag;
	bool on;
} flag_table[] = {
	{ "ro", MS_RDONLY, true },        { "rw", MS_RDONLY, false },
	{ "nosuid", MS_NOSUID, true },    { "suid", MS_NOSUID, false },
	{ "nodev", MS_NODEV, true },      { "dev", MS_NODEV, false },
	{ "noexec", MS_NOEXEC, true },    { "exec", MS_NOEXEC, false },
	{ "sync", MS_SYNCHRONOUS, true }, { "async", MS_SYNCHRONOUS, false },
	{ "dirsync", MS_DIRSYNC, true },  { "noatime", MS_NOATIME, true },
};

struct mount_call {
	unsigned long flags;
	char *source;
	char *data;
};

static void mount_call_done(struct mount_call *call)
{
	free(call->source);
	free(call->data);
}

static bool apply_flag(const char *option, unsigned long *flags)
{
	for (size_t i = 0; i < ARRAY_SIZE(flag_table); i++) {
		if (strcmp(option, flag_table[i].name) != 0)
			continue;
		if (flag_table[i].on)
			*flags |= flag_table[i].flag;
		else
			*flags &= ~flag_table[i].flag;
		return true;
	}
	return false;
}

static int append(char **text, const char *more)
{
	char *longer;

	if (asprintf(&longer, "%s,%s", *text, more) < 0)
		return -ENOMEM;
	free(*text);
	*text = longer;
	return 0;
}

static int apply_option(struct mount_call *call, const char *option)
{
	static const char source[] = "fsname=";
	char *copy;

	if (apply_flag(option, &call->flags))
		return 0;
	if (strncmp(option, source, strlen(source)) != 0)
		return append(&call->data, option);
	copy = strdup(option + strlen(source));
	if (!copy)
		return -ENOMEM;
	free(call->source);
	call->source = copy;
	return 0;
}

/* Takes the list apart, in which "\," and "\\" stand for ',' and '\'. */
static int apply_options(struct mount_call *call, const char *list)
{
	_cleanup_(cairn_freep) char *token = malloc(strlen(list) + 1);
	int r = 0;

	if (!token)
		return -ENOMEM;
	while (r == 0 && *list) {
		char *to = token;

		while (*list && *list != ',') {
			if (*list == '\\' && list[1])
				list++;
			*to++ = *list++;
		}
		*to = '\0';
		list += *list == ',';
		r = *token ? apply_option(call, token) : 0;
	}
	return r;
}

static int mount_here(const char *source, const char *dir, const char *options, int *ret_fd,
		      struct cairn_error *err)
{
	_cleanup_(mount_call_done) struct mount_call call = { .flags = MS_NOSUID | MS_NODEV };
	_cleanup_(cairn_closep) int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	int r;

	if (fd < 0)
		return cairn_error_set(err, -errno, "/dev/fuse: %m");
	call.source = strdup(source);
	if (asprintf(&call.data, "fd=%d,rootmode=40000,user_id=%u,group_id=%u", fd, geteuid(),
		     getegid()) < 0)
		call.data = NULL;
	if (!call.source || !call.data)
		return -ENOMEM;
	r = apply_options(&call, options);
	if (r < 0)
		return r;
	if (mount(call.source, dir, CAIRN_FS_TYPE, call.flags, call.data) < 0)
		return cairn_error_set(err, -errno, "%s cannot be mounted on %s: %m", source, dir);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* With the descriptor, if it is not -1. */
static int send_report(int socket, const struct report *report, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = (void *)report, .iov_len = sizeof(*report) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *header;

	if (fd >= 0) {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int receive_report(int socket, struct report *ret, int *ret_fd)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { .iov_base = ret, .iov_len = sizeof(*ret) };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	const struct cmsghdr *header;
	ssize_t n;

	do {
		n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(*ret))
		return n < 0 ? -errno : -EIO;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(header), sizeof(*ret_fd));
	return 0;
}

static bool is_told_to_go(int socket)
{
	char byte;
	ssize_t n;

	do {
		n = read(socket, &byte, 1);
	} while (n < 0 && errno == EINTR);
	return n == 1;
}

static void prepare(struct report *report, const char *source, const char *dir, const char *options,
		    int *ret_fd)
{
	report->r = enter(&report->own_user);
	if (report->r < 0) {
		report->forbidden = true;
		cairn_error_set(&report->err, report->r, "a mount namespace cannot be made: %s",
				strerror(-report->r));
		return;
	}
	report->r = mount_here(source, dir, options, ret_fd, &report->err);
	/* Some kernels give out user namespaces without the rights that belong to them. */
	report->forbidden = report->r == -EPERM || report->r == -EACCES;
}

/* Never comes back. */
static void child(int socket, pid_t parent, const char *source, const char *dir,
		  const char *options, cairn_private_fn fn, void *arg)
{
	struct report report = { 0 };
	int fd = -1, r;

	prepare(&report, source, dir, options, &fd);
	/* What the command would work in goes with the one who started it. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(1);
	r = send_report(socket, &report, fd);
	cairn_closep(&fd);
	if (report.r < 0 || r < 0 || !is_told_to_go(socket))
		_exit(1);
	close(socket);
	_exit(fn(arg));
}

static int open_ns(pid_t pid, const char *name, int *ret)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

static int hear_child(struct cairn_private *child, struct cairn_error *err)
{
	struct report report = { 0 };
	int r;

	r = receive_report(child->socket, &report, &child->fuse_fd);
	if (r < 0)
		return cairn_error_set(err, r, "the process that makes the mount ended: %s",
				       strerror(-r));
	if (report.r < 0) {
		child->forbidden = report.forbidden;
		return cairn_error_set(err, report.r, "%s",
				       report.err.text[0] ? report.err.text : strerror(-report.r));
	}
	r = open_ns(child->pid, "mnt", &child->mount_ns);
	if (r == 0 && report.own_user)
		r = open_ns(child->pid, "user", &child->user_ns);
	return r < 0 ? cairn_error_set(err, r, "the mount namespace cannot be reached: %s",
				       strerror(-r))
		     : 0;
}

int cairn_private_start(const char *source, const char *dir, const char *options,
			cairn_private_fn fn, void *arg, struct cairn_private *ret,
			struct cairn_error *err)
{
	struct cairn_private started = {
		.socket = -1, .fuse_fd = -1, .user_ns = -1, .mount_ns = -1
	};
	pid_t parent = getpid();
	int ends[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return cairn_error_set(err, -errno, "the command cannot be started: %m");
	started.pid = fork();
	if (started.pid == 0) {
		close(ends[0]);
		child(ends[1], parent, source, dir, options, fn, arg);
	}
	close(ends[1]);
	started.socket = ends[0];
	r = started.pid < 0 ? cairn_error_set(err, -errno, "the command cannot be started: %m")
			    : hear_child(&started, err);
	if (r < 0) {
		cairn_private_done(&started);
		if (started.pid > 0)
			while (waitpid(started.pid, NULL, 0) < 0 && errno == EINTR)
				;
	}
	*ret = started;
	return r;
}

void cairn_private_go(struct cairn_private *child)
{
	char byte = 0;

	/* One that is gone will be reaped. */
	(void)!send(child->socket, &byte, 1, MSG_NOSIGNAL);
	close(TAKE_FD(child->socket));
}

static int unmount_inside(const struct cairn_private *child, const char *dir)
{
	_cleanup_(cairn_closep) int fd = -1;

	if ((child->user_ns >= 0 && setns(child->user_ns, CLONE_NEWUSER) < 0) ||
	    setns(child->mount_ns, CLONE_NEWNS) < 0)
		return errno;
	if (umount2(dir, UMOUNT_NOFOLLOW) == 0)
		return 0;
	if (errno != EBUSY)
		return errno;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		syncfs(fd);
	return umount2(dir, UMOUNT_NOFOLLOW | MNT_DETACH) < 0 ? errno : EBUSY;
}

/* In a process of its own, because there is no way back. */
int cairn_private_unmount(const struct cairn_private *child, const char *dir)
{
	int status;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(unmount_inside(child, dir));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

void cairn_private_done(struct cairn_private *child)
{
	cairn_closep(&child->socket);
	cairn_closep(&child->fuse_fd);
	cairn_closep(&child->user_ns);
	cairn_closep(&child->mount_ns);
	child->socket = child->fuse_fd = child->user_ns = child->mount_ns = -1;
}
