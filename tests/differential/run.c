/* Runs one operation on one side. Each function here makes the calls and notes what they said;
 * none knows which side it is on. */
#include "differential.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

void fill_pattern(unsigned char *data, size_t length, uint64_t pattern)
{
	for (size_t i = 0; i < length; i++)
		data[i] = (unsigned char)(pattern >> (i % 8 * 8)) ^ (unsigned char)(i >> 8);
}

static void settle(struct outcome *out, long result)
{
	out->result = result;
	out->error = result < 0 ? errno : 0;
}

static void skip(struct outcome *out)
{
	out->result = SKIPPED;
}

/* A verdict on one side alone, for what two file systems may answer differently. */
static void verdict(struct outcome *out, bool good, const char *complaint)
{
	out->result = good ? 0 : -1;
	if (!good)
		out->n_data = (size_t)snprintf((char *)out->data, MAX_DATA, "%s", complaint);
}

static void full_path(const struct side *side, const char *path, char full[static PATH_LEN + 256])
{
	snprintf(full, PATH_LEN + 256, "%s/%s", side->root, path);
}

static bool slot_is_file(const struct side *side, uint32_t slot, struct stat *ret_st)
{
	return fstat(side->slots[slot], ret_st) == 0 && S_ISREG(ret_st->st_mode);
}

/* A device is never opened: on a nodev mount it fails otherwise than where its driver is asked. */
static bool is_device(const struct side *side, const char *path)
{
	struct stat st;

	return fstatat(side->root_fd, path, &st, 0) == 0 &&
	       (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode));
}

static void run_open(struct side *side, const struct op *op, struct outcome *out)
{
	int *slot = &side->slots[op->slot];

	if (is_device(side, op->path))
		return skip(out);
	if (*slot >= 0)
		close(*slot);
	*slot = openat(side->root_fd, op->path, op->flags, op->mode);
	settle(out, *slot < 0 ? -1 : 0);
}

static void run_close(struct side *side, const struct op *op, struct outcome *out)
{
	settle(out, close(side->slots[op->slot]));
	side->slots[op->slot] = -1;
}

/* A directory's own position may be beyond what a length can be added to: EINVAL before EISDIR. */
static void run_read(struct side *side, const struct op *op, struct outcome *out)
{
	struct stat st;

	if (fstat(side->slots[op->slot], &st) == 0 && S_ISDIR(st.st_mode))
		return skip(out);
	settle(out, read(side->slots[op->slot], out->data, op->length));
	out->n_data = out->result > 0 ? (size_t)out->result : 0;
}

static void run_pread(struct side *side, const struct op *op, struct outcome *out)
{
	settle(out, pread(side->slots[op->slot], out->data, op->length, op->offset));
	out->n_data = out->result > 0 ? (size_t)out->result : 0;
}

static void run_write(struct side *side, const struct op *op, struct outcome *out)
{
	fill_pattern(out->data, op->length, op->pattern);
	settle(out, write(side->slots[op->slot], out->data, op->length));
}

static void run_pwrite(struct side *side, const struct op *op, struct outcome *out)
{
	fill_pattern(out->data, op->length, op->pattern);
	settle(out, pwrite(side->slots[op->slot], out->data, op->length, op->offset));
}

static void run_lseek(struct side *side, const struct op *op, struct outcome *out)
{
	struct stat st;

	if (!slot_is_file(side, op->slot, &st))
		return skip(out);
	settle(out, lseek(side->slots[op->slot], op->offset, op->flags));
}

static bool all_zero(int fd, off_t from, off_t to)
{
	unsigned char buffer[4096];

	while (from < to) {
		size_t want = to - from < 4096 ? (size_t)(to - from) : sizeof(buffer);
		ssize_t n = pread(fd, buffer, want, from);

		if (n <= 0)
			return false;
		for (ssize_t i = 0; i < n; i++)
			if (buffer[i] != 0)
				return false;
		from += n;
	}
	return true;
}

/* Where holes are is each file system's own affair; that they read as zeros is not. */
static const char *check_holes(int fd, off_t from, off_t size)
{
	off_t data = lseek(fd, from, SEEK_DATA), hole;

	if (data < 0 && errno != ENXIO)
		return "SEEK_DATA failed";
	if (data >= 0 && (data < from || data >= size))
		return "SEEK_DATA left the file";
	if (!all_zero(fd, from, data < 0 ? size : data))
		return "SEEK_DATA passed over data";

	hole = lseek(fd, from, SEEK_HOLE);
	if (from >= size)
		return hole < 0 && errno == ENXIO ? NULL : "SEEK_HOLE past the end succeeded";
	if (hole < from || hole > size)
		return "SEEK_HOLE left the file";
	if (hole == size)
		return NULL;
	data = lseek(fd, hole, SEEK_DATA);
	return all_zero(fd, hole, data < 0 ? size : data) ? NULL : "SEEK_HOLE found data";
}

static void run_seek_holes(struct side *side, const struct op *op, struct outcome *out)
{
	int fd = side->slots[op->slot];
	struct stat st;
	off_t position;
	const char *complaint;

	if (!slot_is_file(side, op->slot, &st) || (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
		return skip(out);
	position = lseek(fd, 0, SEEK_CUR);
	complaint = check_holes(fd, op->offset, st.st_size);
	verdict(out, complaint == NULL, complaint);
	lseek(fd, position, SEEK_SET);
}

static void run_ftruncate(struct side *side, const struct op *op, struct outcome *out)
{
	settle(out, ftruncate(side->slots[op->slot], op->offset));
}

/* An empty file truncated to nothing: POSIX has the times move, ext4 leaves them, and FUSE cannot
 * tell it from O_TRUNC, which moves them everywhere. So they are set here. */
static void run_truncate(struct side *side, const struct op *op, struct outcome *out)
{
	static const struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	char path[PATH_LEN + 256];

	full_path(side, op->path, path);
	settle(out, truncate(path, op->offset));
	if (out->result == 0 && op->offset == 0)
		utimensat(AT_FDCWD, path, times, 0);
}

/* Kernels and file systems disagree on which modes move the times, so they are set here. */
static void run_fallocate(struct side *side, const struct op *op, struct outcome *out)
{
	static const struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	int fd = side->slots[op->slot];
	struct stat st;

	if (!slot_is_file(side, op->slot, &st))
		return skip(out);
	settle(out, fallocate(fd, op->flags, op->offset, (off_t)op->length));
	if (out->result == 0)
		futimens(fd, times);
}

static void run_fsync(struct side *side, const struct op *op, struct outcome *out)
{
	settle(out, fsync(side->slots[op->slot]));
}

static void run_copy_file_range(struct side *side, const struct op *op, struct outcome *out)
{
	off_t from = op->offset, to = op->offset2;
	size_t left = op->length;
	ssize_t n = 0;

	while (left > 0) {
		n = copy_file_range(side->slots[op->slot], &from, side->slots[op->slot2], &to, left,
				    0);
		if (n <= 0)
			break;
		left -= (size_t)n;
	}
	settle(out, n < 0 ? -1 : (long)(op->length - left));
}

/* Mappings begin at a page; what is mapped lies within the file, so that no SIGBUS comes. The
 * set-id bits stay out of it: writes through a mapping keep them on a disk file system. */
static bool mappable(const struct side *side, const struct op *op, off_t *ret_offset,
		     size_t *ret_length)
{
	off_t offset = op->offset & ~(off_t)4095;
	struct stat st;

	if (!slot_is_file(side, op->slot, &st) || offset >= st.st_size || op->length == 0)
		return false;
	if (st.st_mode & (S_ISUID | S_ISGID))
		return false;
	*ret_offset = offset;
	*ret_length = op->length;
	if (st.st_size - offset < (off_t)op->length)
		*ret_length = (size_t)(st.st_size - offset);
	return true;
}

static void run_mmap(struct side *side, const struct op *op, struct outcome *out)
{
	bool writes = op->flags & PROT_WRITE;
	unsigned char *map;
	size_t length;
	off_t offset;

	if (!mappable(side, op, &offset, &length))
		return skip(out);
	map = mmap(NULL, length, op->flags, MAP_SHARED, side->slots[op->slot], offset);
	settle(out, map == MAP_FAILED ? -1 : 0);
	if (map == MAP_FAILED)
		return;

	memcpy(out->data, map, length);
	out->n_data = length;
	if (writes) {
		fill_pattern(map, length, op->pattern);
		settle(out, msync(map, length, MS_SYNC));
	}
	munmap(map, length);
}

static void run_mkdir(struct side *side, const struct op *op, struct outcome *out)
{
	settle(out, mkdirat(side->root_fd, op->path, op->mode));
}

static void run_rmdir(struct side *side, const struct op *op, struct outcome *out)
{
	settle(out, unlinkat(side->root_fd, op->path, AT_REMOVEDIR));
}

static void run_unlink(struct side *side, const struct op *op, struct outcome *out)
{
	settle(out, unlinkat(side->root_fd, op->path, 0));
}

static void run_rename(struct side *side, const struct op *op, struct outcome *out)
{
	settle(out, renameat2(side->root_fd, op->path, side->root_fd, op->path2,
			      (unsigned int)op->flags));
}

static void run_link(struct side *side, const struct op *op, struct outcome *out)
{
	settle(out, linkat(side->root_fd, op->path, side->root_fd, op->path2, op->flags));
}

static void run_symlink(struct side *side, const struct op *op, struct outcome *out)
{
	settle(out, symlinkat(op->path2, side->root_fd, op->path));
}

static void run_readlink(struct side *side, const struct op *op, struct outcome *out)
{
	settle(out, readlinkat(side->root_fd, op->path, (char *)out->data, 4096));
	out->n_data = out->result > 0 ? (size_t)out->result : 0;
}

static void run_mknod(struct side *side, const struct op *op, struct outcome *out)
{
	settle(out, mknodat(side->root_fd, op->path, (mode_t)op->flags | (op->mode & 0777),
			    makedev(240, (unsigned int)op->length & 0xff)));
}

static void run_chmod(struct side *side, const struct op *op, struct outcome *out)
{
	settle(out, fchmodat(side->root_fd, op->path, op->mode, 0));
}

static void run_fchmod(struct side *side, const struct op *op, struct outcome *out)
{
	settle(out, fchmod(side->slots[op->slot], op->mode));
}

static void run_chown(struct side *side, const struct op *op, struct outcome *out)
{
	settle(out, fchownat(side->root_fd, op->path, op->uid, op->gid, AT_SYMLINK_NOFOLLOW));
}

/* Not of a symlink: the path itself may lead through another name of it, which reads it. */
static void print_atime(struct outcome *out, const struct stat *st, const struct timespec *asked)
{
	if (asked->tv_nsec == UTIME_NOW || asked->tv_nsec == UTIME_OMIT || S_ISLNK(st->st_mode))
		return;
	out->n_data = (size_t)snprintf((char *)out->data, MAX_DATA, "atime=%jd.%09ld",
				       (intmax_t)st->st_atim.tv_sec, st->st_atim.tv_nsec);
}

static void run_utimens(struct side *side, const struct op *op, struct outcome *out)
{
	struct stat st;

	settle(out, utimensat(side->root_fd, op->path, op->times, AT_SYMLINK_NOFOLLOW));
	if (out->result == 0 && fstatat(side->root_fd, op->path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		print_atime(out, &st, &op->times[0]);
}

static void run_stat(struct side *side, const struct op *op, struct outcome *out)
{
	struct stat st;

	settle(out, fstatat(side->root_fd, op->path, &st, op->flags));
	if (out->result == 0)
		out->n_data = (size_t)snprintf((char *)out->data, MAX_DATA, "%o %u %u", st.st_mode,
					       st.st_uid, st.st_gid);
}

static void run_access(struct side *side, const struct op *op, struct outcome *out)
{
	settle(out, faccessat(side->root_fd, op->path, op->flags, 0));
}

static void list_into(struct outcome *out, int fd)
{
	FILE *text = fmemopen(out->data, MAX_DATA, "w");
	int r = print_listing(text, fd);

	out->n_data = (size_t)ftell(text);
	fclose(text);
	errno = -r;
	settle(out, r < 0 ? -1 : 0);
}

static void run_readdir(struct side *side, const struct op *op, struct outcome *out)
{
	int fd = openat(side->root_fd, op->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	settle(out, fd < 0 ? -1 : 0);
	if (fd >= 0)
		list_into(out, fd);
}

/* A directory kept open may have been changed, moved or removed in the meantime. */
static void run_readdir_slot(struct side *side, const struct op *op, struct outcome *out)
{
	int fd = dup(side->slots[op->slot]);

	settle(out, fd < 0 ? -1 : 0);
	if (fd >= 0)
		list_into(out, fd);
}

static void remove_below(int dir_fd, const char *name)
{
	struct dirent **entries = NULL;
	int fd, n = scan_directory(dir_fd, name, &fd, &entries);

	for (int i = 0; i < n; i++) {
		remove_below(fd, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	if (fd >= 0)
		close(fd);
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0)
		unlinkat(dir_fd, name, 0);
}

static void run_remove_tree(struct side *side, const struct op *op, struct outcome *out)
{
	remove_below(side->root_fd, op->path);
	settle(out, faccessat(side->root_fd, op->path, F_OK, AT_SYMLINK_NOFOLLOW));
}

static void run_statvfs(struct side *side, const struct op *op, struct outcome *out)
{
	struct statvfs fs;

	(void)op;
	if (fstatvfs(side->root_fd, &fs) < 0)
		return verdict(out, false, "statvfs failed");
	if (fs.f_bsize == 0 || fs.f_frsize == 0 || fs.f_namemax != 255)
		return verdict(out, false, "block sizes or the longest name are wrong");
	verdict(out,
		fs.f_bavail <= fs.f_bfree && fs.f_bfree <= fs.f_blocks && fs.f_ffree <= fs.f_files,
		"more is free than there is");
}

static void run_setxattr(struct side *side, const struct op *op, struct outcome *out)
{
	char path[PATH_LEN + 256];
	size_t length = op->length % 200;

	/* Letters, so that a tree prints them as they are. */
	full_path(side, op->path, path);
	for (size_t i = 0; i < length; i++)
		out->data[i] = (unsigned char)('a' + (op->pattern + i) % 26);
	settle(out, lsetxattr(path, op->path2, out->data, length, op->flags));
}

static void run_getxattr(struct side *side, const struct op *op, struct outcome *out)
{
	char path[PATH_LEN + 256];

	full_path(side, op->path, path);
	settle(out, lgetxattr(path, op->path2, out->data, op->length % 300));
	if (op->length % 300 > 0)
		out->n_data = out->result > 0 ? (size_t)out->result : 0;
}

static void run_removexattr(struct side *side, const struct op *op, struct outcome *out)
{
	char path[PATH_LEN + 256];

	full_path(side, op->path, path);
	settle(out, lremovexattr(path, op->path2));
}

static const int lseek_flags[] = { SEEK_SET, SEEK_CUR, SEEK_END };
static const int mmap_flags[] = { PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE };
static const int rename_flags[] = {
	0, 0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_NOREPLACE | RENAME_EXCHANGE,
};
static const int fallocate_flags[] = {
	0,
	FALLOC_FL_KEEP_SIZE,
	FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	FALLOC_FL_ZERO_RANGE,
	FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
};
static const int link_flags[] = { 0, 0, AT_SYMLINK_FOLLOW };
static const int mknod_flags[] = { S_IFIFO, S_IFIFO, S_IFREG, S_IFSOCK, S_IFCHR, S_IFBLK };
static const int stat_flags[] = { 0, AT_SYMLINK_NOFOLLOW };
static const int access_flags[] = { F_OK, R_OK, W_OK, X_OK, R_OK | W_OK | X_OK };
static const int xattr_flags[] = { 0, 0, XATTR_CREATE, XATTR_REPLACE };

#define FLAGS(f)  (f), ARRAY_SIZE(f)
#define NO_FLAGS  NULL, 0
#define SLOT_DATA (USES_SLOT | USES_OFFSET | USES_LENGTH)

const struct op_type op_types[] = {
	{ "open", 90, USES_PATH | USES_SLOT | USES_FLAGS | USES_MODE | FREE_SLOT, NO_FLAGS,
	  run_open },
	{ "close", 20, USES_SLOT, NO_FLAGS, run_close },
	{ "read", 40, USES_SLOT | USES_LENGTH, NO_FLAGS, run_read },
	{ "pread", 40, SLOT_DATA, NO_FLAGS, run_pread },
	{ "write", 40, USES_SLOT | USES_LENGTH, NO_FLAGS, run_write },
	{ "pwrite", 50, SLOT_DATA, NO_FLAGS, run_pwrite },
	{ "lseek", 20, USES_SLOT | USES_OFFSET | USES_FLAGS, FLAGS(lseek_flags), run_lseek },
	{ "seek-holes", 20, USES_SLOT | USES_OFFSET, NO_FLAGS, run_seek_holes },
	{ "ftruncate", 20, USES_SLOT | USES_OFFSET, NO_FLAGS, run_ftruncate },
	{ "truncate", 20, USES_PATH | USES_OFFSET, NO_FLAGS, run_truncate },
	{ "fallocate", 30, SLOT_DATA | USES_FLAGS | IS_FALLOCATE, FLAGS(fallocate_flags),
	  run_fallocate },
	{ "fsync", 5, USES_SLOT, NO_FLAGS, run_fsync },
	{ "copy_file_range", 20, SLOT_DATA | USES_SLOT2, NO_FLAGS, run_copy_file_range },
	{ "mmap", 20, SLOT_DATA | USES_FLAGS, FLAGS(mmap_flags), run_mmap },
	{ "mkdir", 60, USES_PATH | USES_MODE, NO_FLAGS, run_mkdir },
	{ "rmdir", 40, USES_PATH | SHRINKS, NO_FLAGS, run_rmdir },
	{ "unlink", 60, USES_PATH | SHRINKS, NO_FLAGS, run_unlink },
	{ "rename", 90, USES_PATH | USES_PATH2 | USES_FLAGS | IS_RENAME | SHRINKS,
	  FLAGS(rename_flags), run_rename },
	{ "link", 40, USES_PATH | USES_PATH2 | USES_FLAGS, FLAGS(link_flags), run_link },
	{ "symlink", 30, USES_PATH | USES_TARGET, NO_FLAGS, run_symlink },
	{ "readlink", 10, USES_PATH, NO_FLAGS, run_readlink },
	{ "mknod", 20, USES_PATH | USES_FLAGS | USES_MODE, FLAGS(mknod_flags), run_mknod },
	{ "chmod", 30, USES_PATH | USES_MODE, NO_FLAGS, run_chmod },
	{ "fchmod", 10, USES_SLOT | USES_MODE, NO_FLAGS, run_fchmod },
	{ "chown", 30, USES_PATH | USES_OWNER, NO_FLAGS, run_chown },
	{ "utimens", 60, USES_PATH | USES_TIMES, NO_FLAGS, run_utimens },
	{ "stat", 30, USES_PATH | USES_FLAGS, FLAGS(stat_flags), run_stat },
	{ "access", 10, USES_PATH | USES_FLAGS, FLAGS(access_flags), run_access },
	{ "readdir", 30, USES_PATH, NO_FLAGS, run_readdir },
	{ "readdir-open", 10, USES_SLOT, NO_FLAGS, run_readdir_slot },
	{ "remove-tree", 2, USES_PATH | SHRINKS, NO_FLAGS, run_remove_tree },
	{ "statvfs", 2, 0, NO_FLAGS, run_statvfs },
	{ "setxattr", 30, USES_PATH | USES_XATTR | USES_LENGTH | USES_FLAGS, FLAGS(xattr_flags),
	  run_setxattr },
	{ "getxattr", 20, USES_PATH | USES_XATTR | USES_LENGTH, NO_FLAGS, run_getxattr },
	{ "removexattr", 20, USES_PATH | USES_XATTR, NO_FLAGS, run_removexattr },
};

const uint32_t n_op_types = ARRAY_SIZE(op_types);

void run_op(struct side *side, const struct op *op, struct outcome *ret_out)
{
	ret_out->result = 0;
	ret_out->error = 0;
	ret_out->n_data = 0;
	op_types[op->type].run(side, op, ret_out);
}
