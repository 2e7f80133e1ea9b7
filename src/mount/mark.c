#include "mount/mark.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "mount/json.h"
#include "store/store.h"
#include "util/filelock.h"
#include "util/macro.h"

struct cairn_mark {
	int fd; /* holds the lock */
	char *path;
	char *directory;
	char *workspace;
	char *started;
	char *private_directory;
	int private_pid;
};

static const struct cairn_filerange whole, without_writing = { 0, CAIRN_MARK_WRITE_BYTE };

enum {
	/* How long a taker waits for a holder that has the lock but has not said who it is: it is
	 * about to write its name, or to go. */
	NAMELESS_TRIES = 50,
	NAMELESS_WAIT_MS = 20,
	CONTENT_MAX = 16384, /* bytes; two paths and a line of text */
};

static void mark_free(struct cairn_mark *mark)
{
	if (!mark)
		return;
	if (mark->fd >= 0)
		close(mark->fd);
	free(mark->path);
	free(mark->directory);
	free(mark->workspace);
	free(mark->started);
	free(mark->private_directory);
	free(mark);
}

static void mark_freep(struct cairn_mark **mark)
{
	mark_free(*mark);
}

void cairn_mark_info_done(struct cairn_mark_info *info)
{
	free(TAKE_PTR(info->directory));
	free(TAKE_PTR(info->workspace));
	free(TAKE_PTR(info->started));
	free(TAKE_PTR(info->error));
	free(TAKE_PTR(info->private_directory));
}

/* The mark's path, and the workspace's real one. */
/* A workspace that was moved away still has its mark: only its directory must be there then. */
static char *real_workspace(const char *workspace)
{
	_cleanup_(cairn_freep) char *copy = NULL;
	_cleanup_(cairn_freep) char *dir = NULL;
	char *real = realpath(workspace, NULL), *slash;

	if (real || errno != ENOENT)
		return real;
	copy = strdup(workspace);
	slash = copy ? strrchr(copy, '/') : NULL;
	if (!slash)
		return NULL;
	*slash = '\0';
	dir = realpath(slash == copy ? "/" : copy, NULL);
	if (!dir || asprintf(&real, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, slash + 1) < 0)
		return NULL;
	return real;
}

static int mark_path(const char *workspace, char **ret_path, char **ret_real)
{
	_cleanup_(cairn_freep) char *real = real_workspace(workspace);
	char *path;

	if (!real)
		return -errno;
	if (asprintf(&path, "%s" CAIRN_MARK_SUFFIX, real) < 0)
		return -ENOMEM;
	*ret_path = path;
	*ret_real = TAKE_PTR(real);
	return 0;
}

/* Whether the path still names the file behind `fd`: its last holder may have removed it. */
static bool is_current(const char *path, int fd)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_dev == there.st_dev &&
	       ours.st_ino == there.st_ino;
}

static char *text_copy(const json_t *root, const char *key)
{
	const char *text = json_string_value(json_object_get(root, key));

	return text ? strdup(text) : NULL;
}

static void parse_content(const char *content, struct cairn_mark_info *ret)
{
	/* A new holder overwrites the text of an old one and cuts off the rest after that. */
	_cleanup_(json_decrefp) json_t *root = json_loads(content, JSON_DISABLE_EOF_CHECK, NULL);

	ret->pid = (int)json_integer_value(json_object_get(root, "pid"));
	ret->directory = text_copy(root, "directory");
	ret->workspace = text_copy(root, "workspace");
	ret->started = text_copy(root, "started");
	ret->error = text_copy(root, "error");
	ret->private_directory = text_copy(root, "private_directory");
	ret->private_pid = (int)json_integer_value(json_object_get(root, "private_pid"));
}

static int read_info(int fd, struct cairn_mark_info *ret)
{
	_cleanup_(cairn_freep) char *content = malloc(CONTENT_MAX + 1);
	struct cairn_mark_info info = { 0 };
	ssize_t n;
	int r;

	if (!content)
		return -ENOMEM;
	r = cairn_filelock_held(fd, whole, &info.live);
	if (r < 0)
		return r;
	n = pread(fd, content, CONTENT_MAX, 0);
	if (n < 0)
		return -errno;
	content[n] = '\0';
	parse_content(content, &info);
	*ret = info;
	return 0;
}

static int read_path(const char *path, struct cairn_mark_info *ret)
{
	_cleanup_(cairn_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	return read_info(fd, ret);
}

int cairn_mark_read(const char *workspace, struct cairn_mark_info *ret)
{
	_cleanup_(cairn_freep) char *path = NULL, *real = NULL;
	int r;

	r = mark_path(workspace, &path, &real);
	if (r < 0)
		return r;
	return read_path(path, ret);
}

/* The lock is the truth, the text a courtesy: a full disk must not keep a workspace from being
 * mounted, so that something in it can be deleted. */
static void write_content(const struct cairn_mark *mark, const char *last_words)
{
	_cleanup_(json_decrefp) json_t *root = json_object();
	_cleanup_(cairn_freep) char *text = NULL;
	ssize_t n;

	json_object_set_new(root, "pid", json_integer(getpid()));
	json_object_set_new(root, "directory", cairn_json_text(mark->directory));
	json_object_set_new(root, "workspace", cairn_json_text(mark->workspace));
	json_object_set_new(root, "started", cairn_json_text(mark->started));
	if (mark->private_directory) {
		json_object_set_new(root, "private_directory",
				    cairn_json_text(mark->private_directory));
		json_object_set_new(root, "private_pid", json_integer(mark->private_pid));
	}
	if (last_words)
		json_object_set_new(root, "error", cairn_json_text(last_words));
	text = json_dumps(root, JSON_INDENT(2));
	if (!text)
		return;
	n = pwrite(mark->fd, text, strlen(text), 0);
	if (ftruncate(mark->fd, MAX(n, 0)) < 0)
		return;
}

int cairn_mark_set_private(struct cairn_mark *mark, const char *directory, int pid)
{
	char *copy;

	if (!mark)
		return 0;
	copy = strdup(directory);
	if (!copy)
		return -ENOMEM;
	free(mark->private_directory);
	mark->private_directory = copy;
	mark->private_pid = pid;
	write_content(mark, NULL);
	return 0;
}

static char *time_text(void)
{
	char text[64];
	time_t now = time(NULL);
	struct tm tm;

	if (!localtime_r(&now, &tm) ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S%z", &tm) == 0)
		return NULL;
	return strdup(text);
}

static int mark_new(const char *workspace, const char *directory, struct cairn_mark **ret)
{
	_cleanup_(mark_freep) struct cairn_mark *mark = calloc(1, sizeof(*mark));
	int r;

	if (!mark)
		return -ENOMEM;
	mark->fd = -1;
	r = mark_path(workspace, &mark->path, &mark->workspace);
	if (r < 0)
		return r;
	if (directory) {
		mark->directory = strdup(directory);
		if (!mark->directory)
			return -ENOMEM;
	}
	mark->started = time_text();
	*ret = TAKE_PTR(mark);
	return 0;
}

/* Whether the text that goes with a held lock is the holder's own, not yet that of the one before.
 * A holder in another PID namespace may look dead, which costs a wait. */
static bool is_named(const struct cairn_mark_info *holder)
{
	return holder->pid > 0 && (kill(holder->pid, 0) == 0 || errno == EPERM);
}

int cairn_mark_busy(const char *workspace, int pid, const char *directory, struct cairn_error *err)
{
	if (pid <= 0)
		return cairn_error_set(err, -EBUSY, "%s is in use by another process", workspace);
	if (!directory)
		return cairn_error_set(err, -EBUSY, "%s is in use by process %d", workspace, pid);
	return cairn_error_set(err, -EBUSY,
			       "%s is already mounted on %s by process %d; unmount it first: "
			       "cairnfs umount %s",
			       workspace, directory, pid, directory);
}

/* Removes a mark of another user that is left over, where the directory lets us. The lock keeps it
 * from being taken meanwhile. -EAGAIN if someone has it, 0 if it is gone. */
static int remove_leftover(const char *path)
{
	_cleanup_(cairn_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int r;

	if (fd < 0)
		return -errno;
	r = cairn_filelock_set(fd, whole, F_RDLCK);
	if (r < 0)
		return r;
	if (is_current(path, fd) && unlink(path) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

static bool is_refusal(int r)
{
	return r == -EACCES || r == -EPERM || r == -EROFS;
}

/* One attempt: 0 with the lock, -EAGAIN while someone else has it or the file changed under us. */
static int try_take(struct cairn_mark *mark, bool read_only)
{
	_cleanup_(cairn_closep) int fd = -1;
	int r;

	fd = open(mark->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
	if (fd < 0) {
		int reason = -errno;

		if (!is_refusal(reason))
			return reason;
		r = remove_leftover(mark->path);
		return r == 0 || r == -EAGAIN ? -EAGAIN : reason;
	}
	r = cairn_filelock_set(fd, read_only ? without_writing : whole, F_WRLCK);
	if (r < 0)
		return r;
	if (!is_current(mark->path, fd))
		return -EAGAIN;
	mark->fd = TAKE_FD(fd);
	return 0;
}

/* What a failed attempt comes to: -EAGAIN to try again. */
static int judge_failure(const struct cairn_mark *mark, int r, bool last, struct cairn_error *err)
{
	_cleanup_(cairn_mark_info_done) struct cairn_mark_info holder = { 0 };

	if (r != -EAGAIN)
		return cairn_error_set(err, r,
				       "cannot make %s: %s; a workspace needs a directory that can "
				       "be written to, or the mount option ro",
				       mark->path, strerror(-r));
	r = read_path(mark->path, &holder);
	if (last || (r == 0 && holder.live && is_named(&holder)))
		return cairn_mark_busy(mark->workspace, holder.pid, holder.directory, err);
	return -EAGAIN;
}

int cairn_mark_take(const char *workspace, const char *directory, bool read_only,
		    struct cairn_mark **ret, struct cairn_error *err)
{
	static const struct timespec pause = { .tv_nsec = NAMELESS_WAIT_MS * 1000000L };
	_cleanup_(mark_freep) struct cairn_mark *mark = NULL;
	int r;

	r = mark_new(workspace, directory, &mark);
	if (r < 0)
		return cairn_error_set(err, r, "%s: %s", workspace, strerror(-r));

	for (int i = 0;; i++) {
		r = try_take(mark, read_only);
		if (r == 0)
			break;
		if (read_only && is_refusal(r)) {
			*ret = NULL;
			return 0;
		}
		r = judge_failure(mark, r, i == NAMELESS_TRIES, err);
		if (r != -EAGAIN)
			return r;
		nanosleep(&pause, NULL);
	}
	write_content(mark, NULL);
	*ret = TAKE_PTR(mark);
	return 0;
}

/* A file whose directory may not be changed is emptied: what has no pid in it accuses nobody. */
static void remove_or_empty(const struct cairn_mark *mark)
{
	if (is_current(mark->path, mark->fd) && unlink(mark->path) < 0 &&
	    ftruncate(mark->fd, 0) < 0)
		return;
}

void cairn_mark_release(struct cairn_mark *mark, const char *last_words)
{
	if (!mark)
		return;
	if (last_words)
		write_content(mark, last_words);
	else
		remove_or_empty(mark);
	mark_free(mark);
}
