#include "mount/checks.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "mount/holder.h"
#include "mount/mark.h"
#include "mount/mountinfo.h"
#include "mount/resolve.h"
#include "util/macro.h"

int cairn_check_workspace(const char *workspace, const char *name, struct cairn_error *err)
{
	struct stat st;

	if (stat(workspace, &st) < 0 && errno == ENOENT)
		return cairn_error_set(err, -ENOENT,
				       "there is no workspace %s; make it: cairnfs init %s",
				       workspace, name);
	if (stat(workspace, &st) < 0)
		return cairn_error_set(err, -errno, "%s: %m", workspace);
	if (!S_ISREG(st.st_mode))
		return cairn_error_set(err, -EINVAL,
				       "%s is not a file; a workspace is one SQLite file",
				       workspace);
	return 0;
}

/* A cairnfs mount on `dir` already: says whose. */
static int dir_is_taken(const struct cairn_mount_entry *mount, struct cairn_error *err)
{
	_cleanup_(cairn_holder_done) struct cairn_holder holder = { 0 };
	const char *dir = mount->directory;
	int r;

	r = cairn_holder_find(mount, &holder);
	if (r < 0)
		return r;
	switch (holder.state) {
	case CAIRN_HOLDER_LIVE:
		return cairn_error_set(err, -EBUSY,
				       "%s is already the mount of %s by process %d; unmount it "
				       "first: cairnfs umount %s",
				       dir, holder.workspace, holder.pid, dir);
	case CAIRN_HOLDER_GONE:
		return cairn_error_set(err, -EBUSY,
				       "%s is a mount of %s whose daemon is gone; remove it first: "
				       "cairnfs umount %s",
				       dir, holder.workspace, dir);
	case CAIRN_HOLDER_UNKNOWN:
		break;
	}
	return cairn_error_set(err, -EBUSY,
			       "%s is already the mount of %s; unmount it first: cairnfs umount %s",
			       dir, holder.workspace, dir);
}

/* The workspace is mounted elsewhere. The mark says so too, but for a read-only mount that found no
 * place to make one. */
static int check_not_served(const struct cairn_mount_entry *mount, struct cairn_error *err)
{
	_cleanup_(cairn_holder_done) struct cairn_holder holder = { 0 };
	int r;

	r = cairn_holder_find(mount, &holder);
	if (r < 0 || holder.state != CAIRN_HOLDER_LIVE)
		return r;
	return cairn_mark_busy(holder.workspace, holder.pid, mount->directory, err);
}

static int check_not_mounted(const char *dir, const char *workspace, struct cairn_error *err)
{
	_cleanup_(cairn_mount_table_done) struct cairn_mount_table table = { 0 };
	const struct cairn_mount_entry *mount;
	int r;

	r = cairn_mount_table_read(NULL, &table);
	if (r < 0)
		return cairn_error_set(err, r, "/proc/self/mountinfo: %s", strerror(-r));
	mount = cairn_mount_table_find(&table, dir);
	if (mount && cairn_mount_is_ours(mount))
		return dir_is_taken(mount, err);
	for (size_t i = 0; i < table.count; i++) {
		mount = &table.entries[i];
		if (!cairn_mount_is_ours(mount) || strcmp(mount->source, workspace) != 0)
			continue;
		r = check_not_served(mount, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static void dir_closep(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int check_empty(const char *path, struct cairn_error *err)
{
	_cleanup_(dir_closep) DIR *dir = opendir(path);
	const struct dirent *entry;

	if (!dir)
		return cairn_error_set(err, -errno, "the mount point %s cannot be opened: %m",
				       path);
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			return cairn_error_set(err, -ENOTEMPTY,
					       "the mount point %s is not empty; the mount option "
					       "nonempty hides what is in it",
					       path);
	}
	return 0;
}

static int check_directory(const char *path, struct cairn_error *err)
{
	struct stat st;

	if (stat(path, &st) < 0 && errno == ENOTCONN)
		return cairn_error_set(err, -ENOTCONN,
				       "the mount point %s is a FUSE mount whose daemon is gone; "
				       "remove it first: fusermount3 -u %s",
				       path, path);
	if (stat(path, &st) < 0)
		return cairn_error_set(err, -errno, "the mount point %s: %m", path);
	if (!S_ISDIR(st.st_mode))
		return cairn_error_set(err, -ENOTDIR, "the mount point %s is not a directory",
				       path);
	return 0;
}

int cairn_check_mount_point(const char *dir, const char *workspace,
			    const struct cairn_options *options, char **ret_dir,
			    struct cairn_error *err)
{
	_cleanup_(cairn_freep) char *path = NULL;
	int r;

	r = cairn_resolve_directory(dir, &path);
	if (r == -ENOENT)
		return cairn_error_set(
			err, r, "the mount point %s does not exist; make it: mkdir %s", dir, dir);
	if (r < 0)
		return cairn_error_set(err, r, "the mount point %s: %s", dir, strerror(-r));
	r = check_not_mounted(path, workspace, err);
	if (r < 0)
		return r;
	r = check_directory(path, err);
	if (r < 0)
		return r;
	/* SQLite opens the files beside the database by name, which would lead into the mount. */
	if (cairn_path_is_below(workspace, path))
		return cairn_error_set(err, -EINVAL,
				       "the workspace %s lies in the mount point %s, which would "
				       "hide it; choose another directory",
				       workspace, path);
	if (!options->nonempty) {
		r = check_empty(path, err);
		if (r < 0)
			return r;
	}
	*ret_dir = TAKE_PTR(path);
	return 0;
}

int cairn_check_device(struct cairn_error *err)
{
	_cleanup_(cairn_closep) int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	struct stat st;

	if (fd >= 0)
		return 0;
	switch (errno) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return cairn_error_set(err, -errno,
				       "there is no /dev/fuse; load the kernel module (modprobe "
				       "fuse) or give the container the device (--device "
				       "/dev/fuse)");
	case EACCES:
		if (stat("/dev/fuse", &st) < 0)
			st.st_mode = 0;
		return cairn_error_set(err, -EACCES,
				       "/dev/fuse cannot be opened by this user (its mode is "
				       "%04o); as root: chmod 0666 /dev/fuse, as the udev rule of "
				       "package fuse3 does",
				       st.st_mode & 07777);
	case EPERM:
		return cairn_error_set(err, -EPERM,
				       "/dev/fuse may not be opened here; give the container the "
				       "device (--device /dev/fuse)");
	default:
		return cairn_error_set(err, -errno, "/dev/fuse: %m");
	}
}

static bool is_in_path(const char *program, const char *path)
{
	char candidate[PATH_MAX];

	while (*path) {
		size_t len = strcspn(path, ":");
		int n = snprintf(candidate, sizeof(candidate), "%.*s/%s", (int)len, path, program);

		if (n < (int)sizeof(candidate) && access(candidate, X_OK) == 0)
			return true;
		path += len;
		path += *path == ':';
	}
	return false;
}

/* libfuse looks where it was built to (/usr/bin in distributions), then in PATH. */
static bool have_fusermount(void)
{
	const char *path = getenv("PATH");

	return is_in_path("fusermount3", "/usr/bin:/usr/local/bin:/bin") ||
	       (path && is_in_path("fusermount3", path));
}

/* What fusermount3 looks for in /etc/fuse.conf, man fuse(8): a line of this one word. */
static bool user_may_allow_other(void)
{
	_cleanup_(cairn_freep) char *line = NULL;
	FILE *file = fopen("/etc/fuse.conf", "re");
	bool found = false;
	size_t size = 0;
	char word[32];

	while (file && !found && getline(&line, &size, file) > 0) {
		line[strcspn(line, "#\n")] = '\0';
		found = sscanf(line, "%31s", word) == 1 && strcmp(word, "user_allow_other") == 0;
	}
	if (file)
		fclose(file);
	return found;
}

int cairn_check_fuse(const struct cairn_options *options, struct cairn_error *err)
{
	bool is_root = geteuid() == 0;
	int r;

	r = cairn_check_device(err);
	if (r < 0)
		return r;
	if ((!is_root || options->auto_unmount) && !have_fusermount())
		return cairn_error_set(err, -ENOENT,
				       "there is no fusermount3, which %s needs; install package "
				       "fuse3",
				       is_root ? "auto_unmount" : "a mount by an ordinary user");
	if (!is_root && (options->allow_other || options->allow_root) && !user_may_allow_other())
		return cairn_error_set(err, -EPERM,
				       "mount option %s is not allowed to ordinary users here; as "
				       "root add a line user_allow_other to /etc/fuse.conf",
				       options->allow_other ? "allow_other" : "allow_root");
	return 0;
}
