#include "store/probe.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "store/store.h"
#include "util/filelock.h"

/* The header of an SQLite file: https://www.sqlite.org/fileformat.html#the_database_header */
#define HEADER_SIZE        100
#define HEADER_MAGIC       "SQLite format 3" /* 16 bytes with the NUL */
#define HEADER_AUTO_VACUUM 52                /* four bytes, not 0 when auto_vacuum is on */
#define HEADER_ENCODING    56                /* four bytes, 1 for UTF-8, 2 and 3 for UTF-16 */

/* The bytes of the -shm that connections lock which read from the WAL: WAL_READ_LOCK(1) to (4) in
 * "WAL-mode File Format" at sqlite.org. */
#define SHM_READ_FIRST 124U
#define SHM_READ_LAST  127U

int64_t cairn_probe_beside(const char *path, const char *suffix)
{
	char name[PATH_MAX + 16];
	struct stat st;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	if (stat(name, &st) < 0)
		return -errno;
	return st.st_size;
}

static bool is_writable(const char *path)
{
	return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;
}

static bool is_dir_writable(const char *real_path)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", real_path);
	return is_writable(dirname(copy));
}

static int check_kind(const char *path, const struct stat *st, struct cairn_error *err)
{
	if (S_ISDIR(st->st_mode))
		return cairn_error_set(err, -EINVAL,
				       "'%s' is a directory; name the workspace file itself", path);
	if (!S_ISREG(st->st_mode))
		return cairn_error_set(err, -EINVAL,
				       "'%s' is not a regular file; name a workspace file", path);
	if (st->st_size == 0)
		return cairn_error_set(
			err, -EINVAL,
			"'%s' is empty, not a workspace; remove it and make one with "
			"'cairnfs init'",
			path);
	return 0;
}

static int check_access(const char *path, bool writable, const struct cairn_probe *probe,
			struct cairn_error *err)
{
	if (faccessat(AT_FDCWD, probe->real_path, R_OK, AT_EACCESS) < 0)
		return cairn_error_set(err, -errno,
				       "cannot read '%s': %s; check its owner and permissions",
				       path, strerror(errno));
	if (writable && !is_writable(probe->real_path))
		return cairn_error_set(err, -EROFS,
				       "'%s' is not writable; change its permissions, or mount it "
				       "with -o ro",
				       path);
	if (writable && !probe->dir_writable)
		return cairn_error_set(err, -EROFS,
				       "the directory of '%s' is not writable, and the write-ahead "
				       "log must lie there; change its permissions, or mount with "
				       "-o ro",
				       path);
	return 0;
}

int cairn_probe_path(const char *path, bool writable, struct cairn_probe *ret,
		     struct cairn_error *err)
{
	struct cairn_probe probe = { 0 };
	struct stat st;
	int64_t size;
	int r;

	if (stat(path, &st) < 0) {
		if (errno == ENOENT)
			return cairn_error_set(err, -ENOENT,
					       "there is no workspace '%s'; make one with 'cairnfs "
					       "init'",
					       path);
		return cairn_error_set(err, -errno,
				       "cannot open '%s': %s; check the path and its permissions",
				       path, strerror(errno));
	}
	r = check_kind(path, &st, err);
	if (r < 0)
		return r;
	if (!realpath(path, probe.real_path))
		return cairn_error_set(err, -errno, "cannot resolve '%s': %s; check the path", path,
				       strerror(errno));

	probe.device = st.st_dev;
	probe.inode = st.st_ino;
	probe.file_size = (uint64_t)st.st_size;
	size = cairn_probe_beside(probe.real_path, "-wal");
	probe.has_wal = size >= 0;
	probe.wal_size = probe.has_wal ? (uint64_t)size : 0;
	probe.has_shm = cairn_probe_beside(probe.real_path, "-shm") >= 0;
	probe.dir_writable = is_dir_writable(probe.real_path);
	r = check_access(path, writable, &probe, err);
	if (r < 0)
		return r;
	*ret = probe;
	return 0;
}

int cairn_probe_present(const struct cairn_probe *probe)
{
	struct stat st;

	return stat(probe->real_path, &st) < 0 || st.st_dev != probe->device ||
			       st.st_ino != probe->inode
		       ? -EIO
		       : 0;
}

int cairn_probe_header(struct cairn_sql *sql, const char *path, bool *ret_auto_vacuum,
		       struct cairn_error *err)
{
	unsigned char header[HEADER_SIZE] = { 0 };
	sqlite3_file *file = NULL;
	int rc;

	rc = sqlite3_file_control(sql->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
	if (rc == SQLITE_OK && (!file || !file->pMethods))
		rc = SQLITE_CANTOPEN;
	if (rc == SQLITE_OK)
		rc = file->pMethods->xRead(file, header, sizeof(header), 0);
	if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ)
		return cairn_sql_failed(sql, rc, "reading the header");

	if (memcmp(header, "Turso", 5) == 0)
		return cairn_error_set(err, -EINVAL,
				       "'%s' is an encrypted AgentFS file, which cairnfs does not "
				       "read; copy its content to an unencrypted workspace with "
				       "AgentFS",
				       path);
	if (rc != SQLITE_OK || memcmp(header, HEADER_MAGIC, sizeof(HEADER_MAGIC)) != 0)
		return cairn_error_set(err, -EINVAL,
				       "'%s' is not a workspace: it is no SQLite file; name a file "
				       "made by 'cairnfs init' or by AgentFS",
				       path);
	if (header[HEADER_ENCODING + 3] > 1)
		return cairn_error_set(err, -EINVAL,
				       "'%s' is not a workspace: its text is UTF-16; name a file "
				       "made by 'cairnfs init' or by AgentFS",
				       path);
	*ret_auto_vacuum = memcmp(header + HEADER_AUTO_VACUUM, "\0\0\0", 4) != 0;
	return 0;
}

bool cairn_probe_is_marked(const char *real_path)
{
	static const struct cairn_filerange byte = { CAIRN_MARK_WRITE_BYTE, 1 };
	_cleanup_(cairn_closep) int fd = -1;
	char path[PATH_MAX + 16];
	bool held = false;

	snprintf(path, sizeof(path), "%s" CAIRN_MARK_SUFFIX, real_path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return fd >= 0 && cairn_filelock_held(fd, byte, &held) == 0 && held;
}

/* In the child: only calls that are safe after a fork in a process with threads. */
static _Noreturn void report_lock_holder(const char *path, int out)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	pid_t pid = 0;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0)
		pid = lock.l_pid;
	_exit(write(out, &pid, sizeof(pid)) == sizeof(pid) ? 0 : 1);
}

pid_t cairn_probe_lock_holder(const char *path)
{
	_cleanup_(cairn_closep) int in = -1, out = -1;
	int ends[2];
	pid_t child, pid = 0;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return 0;
	in = ends[0];
	out = ends[1];
	child = fork();
	if (child < 0)
		return 0;
	if (child == 0)
		report_lock_holder(path, out);

	close(TAKE_FD(out));
	if (read(in, &pid, sizeof(pid)) != sizeof(pid))
		pid = 0;
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return pid;
}

/* The process that a line of /proc/locks tells of, when it is another one that has locked a byte
 * of the WAL's readers in the file `st`; else 0. */
static pid_t parse_lock(const char *line, const struct stat *st)
{
	unsigned int major, minor;
	unsigned long inode, first;
	pid_t pid;

	if (sscanf(line, "%*u: POSIX %*s %*s %d %x:%x:%lu %lu", &pid, &major, &minor, &inode,
		   &first) != 5)
		return 0;
	if (inode != st->st_ino || makedev(major, minor) != st->st_dev || pid == getpid())
		return 0;
	return first >= SHM_READ_FIRST && first <= SHM_READ_LAST ? pid : 0;
}

/* "NAME (pid N)", as ps(1) has the name. */
static void name_process(pid_t pid, char *buf, size_t size)
{
	_cleanup_(cairn_closep) int fd = -1;
	char path[32], name[32] = "a process";
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, name, sizeof(name) - 1);
	if (n > 0)
		name[name[n - 1] == '\n' ? n - 1 : n] = '\0';
	snprintf(buf, size, "%s (pid %d)", name, pid);
}

void cairn_probe_wal_readers(const char *real_path, char *buf, size_t size)
{
	char path[PATH_MAX + 16], line[256], name[64];
	struct stat st;
	size_t len = 0;
	FILE *locks;

	buf[0] = '\0';
	snprintf(path, sizeof(path), "%s-shm", real_path);
	if (stat(path, &st) < 0)
		return;
	locks = fopen("/proc/locks", "re");
	while (locks && fgets(line, sizeof(line), locks)) {
		pid_t pid = parse_lock(line, &st);

		if (pid <= 0)
			continue;
		name_process(pid, name, sizeof(name));
		if (strstr(buf, name) || len + strlen(name) + 3 > size)
			continue;
		len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? ", " : "", name);
	}
	if (locks)
		fclose(locks);
}
