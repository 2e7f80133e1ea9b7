/* Eight threads in one core: the same files and directories, everything at once.
 *
 *	core_threads [OPERATIONS [SEED]]	operations a thread
 *
 * A plain program, so that it runs under ThreadSanitizer too. While it runs, every result must be
 * one that the operation may have among others, a file must never show a byte that nobody wrote
 * to it, and a file without holes must never show one. At the end the file on disk keeps the
 * rules of the format, and the core has given back what it held. Speaks TAP. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "core_fixture.h"
#include "threads.h"

#define THREADS    8U
#define DIRS       4U
#define NAMES      12U
#define CHUNK_SIZE 512U
#define FILE_MAX   (40 * CHUNK_SIZE)
#define DENSE_MAX  (400 * CHUNK_SIZE)

static uint64_t dirs[DIRS], dense;

static const char *draw_name(struct worker *w)
{
	static const char names[NAMES][4] = { "n0", "n1", "n2", "n3", "n4", "n5",
					      "n6", "n7", "n8", "n9", "na", "nb" };

	return names[draw(w, NAMES)];
}

static uint64_t draw_dir(struct worker *w)
{
	return dirs[draw(w, DIRS)];
}

/* Every file is filled with a byte of its own. */
static unsigned char byte_of(uint64_t ino)
{
	return (unsigned char)(1 + ino % 255);
}

static void make_file(struct worker *w)
{
	struct cairn_attr attr;
	int r;

	r = cairn_core_mknod(cf.core, &cf_caller, draw_dir(w), draw_name(w), S_IFREG | 0644, 0,
			     &attr);
	judge("mknod", r);
	if (r == 0)
		cairn_core_forget(cf.core, attr.ino, 1);
}

static void make_dir(struct worker *w)
{
	struct cairn_attr attr;
	int r;

	r = cairn_core_mkdir(cf.core, &cf_caller, draw_dir(w), draw_name(w), 0755, &attr);
	judge("mkdir", r);
	if (r < 0)
		return;
	if (draw(w, 2)) {
		struct cairn_attr inner;

		r = cairn_core_mknod(cf.core, &cf_caller, attr.ino, "inner", S_IFREG, 0, &inner);
		judge("mknod inner", r);
		if (r == 0)
			cairn_core_forget(cf.core, inner.ino, 1);
	}
	cairn_core_forget(cf.core, attr.ino, 1);
}

static void make_symlink(struct worker *w)
{
	struct cairn_attr attr;
	char *target = NULL;
	int r;

	r = cairn_core_symlink(cf.core, &cf_caller, draw_dir(w), draw_name(w), "to/where", &attr);
	judge("symlink", r);
	if (r < 0)
		return;
	r = cairn_core_readlink(cf.core, attr.ino, &target);
	judge("readlink", r);
	if (r == 0 && strcmp(target, "to/where") != 0)
		judge("target", -EIO);
	free(target);
	cairn_core_forget(cf.core, attr.ino, 1);
}

/* Runs `fn` on some file while it is pinned, and perhaps unlinked meanwhile. */
static void with_file(struct worker *w, void (*fn)(struct worker *w, uint64_t ino))
{
	struct cairn_attr attr;
	int r;

	r = cairn_core_lookup(cf.core, draw_dir(w), draw_name(w), &attr);
	judge("lookup", r);
	if (r < 0)
		return;
	if (S_ISREG(attr.mode))
		fn(w, attr.ino);
	cairn_core_forget(cf.core, attr.ino, 1);
}

static void write_some(struct worker *w, uint64_t ino)
{
	unsigned char buf[5 * CHUNK_SIZE];
	bool append = draw(w, 4) == 0;
	struct cairn_attr attr;

	memset(buf, byte_of(ino), sizeof(buf));
	judge("getattr", cairn_core_getattr(cf.core, ino, &attr));
	if (append && attr.size > FILE_MAX)
		return;
	judge("write", cairn_core_write(cf.core, &cf_caller, ino, buf, 1 + draw(w, sizeof(buf)),
					draw(w, FILE_MAX), append, draw(w, 200) == 0));
}

static void read_some(struct worker *w, uint64_t ino)
{
	unsigned char buf[FILE_MAX];
	ssize_t n = cairn_core_read(cf.core, ino, buf, sizeof(buf), draw(w, FILE_MAX));

	judge("read", n);
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] == 0 || buf[i] == byte_of(ino))
			continue;
		judge("a byte of another file", -EIO);
		break;
	}
}

static void truncate_some(struct worker *w, uint64_t ino)
{
	judge("truncate", cf_truncate(ino, draw(w, FILE_MAX)));
}

static void punch_some(struct worker *w, uint64_t ino)
{
	static const int modes[] = { FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_ZERO_RANGE };

	judge("fallocate", cairn_core_fallocate(cf.core, &cf_caller, ino, modes[draw(w, 2)],
						draw(w, FILE_MAX), 1 + draw(w, FILE_MAX)));
}

static void seek_some(struct worker *w, uint64_t ino)
{
	struct cairn_attr attr;
	off_t at;

	judge("lseek", cairn_core_lseek(cf.core, ino, 0, draw(w, 2) ? SEEK_DATA : SEEK_HOLE, &at));
	judge("getattr", cairn_core_getattr(cf.core, ino, &attr));
}

static void xattr_some(struct worker *w, uint64_t ino)
{
	char list[512], value[16];
	const char *name = draw(w, 2) ? "user.a" : "user.b";

	switch (draw(w, 4)) {
	case 0:
		judge("setxattr", cairn_core_setxattr(cf.core, ino, name, "value", 5, 0));
		break;
	case 1:
		judge("removexattr", cairn_core_removexattr(cf.core, ino, name));
		break;
	case 2:
		judge("listxattr", cairn_core_listxattr(cf.core, ino, list, sizeof(list)));
		break;
	default:
		judge("getxattr", cairn_core_getxattr(cf.core, ino, name, value, sizeof(value)));
	}
}

static void link_some(struct worker *w, uint64_t ino)
{
	struct cairn_attr attr;
	int r;

	r = cairn_core_link(cf.core, ino, draw_dir(w), draw_name(w), &attr);
	judge("link", r);
	if (r == 0)
		cairn_core_forget(cf.core, ino, 1);
}

static void fsync_some(struct worker *w, uint64_t ino)
{
	if (draw(w, 8) == 0)
		judge("fsync", cairn_core_fsync(cf.core, ino));
}

static void remove_some(struct worker *w)
{
	if (draw(w, 3))
		judge("unlink", cairn_core_unlink(cf.core, draw_dir(w), draw_name(w)));
	else
		judge("rmdir", cairn_core_rmdir(cf.core, draw_dir(w), draw_name(w)));
}

static void empty_some(struct worker *w)
{
	struct cairn_attr attr;
	int r;

	r = cairn_core_lookup(cf.core, draw_dir(w), draw_name(w), &attr);
	if (r < 0)
		return;
	judge("unlink inner", cairn_core_unlink(cf.core, attr.ino, "inner"));
	cairn_core_forget(cf.core, attr.ino, 1);
}

static void rename_some(struct worker *w)
{
	static const unsigned int flags[] = { 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE };

	judge("rename", cairn_core_rename(cf.core, draw_dir(w), draw_name(w), draw_dir(w),
					  draw_name(w), flags[draw(w, ARRAY_SIZE(flags))]));
}

static bool take_entry(void *arg, const struct cairn_dirent *entry)
{
	if (entry->attr)
		cairn_core_forget(cf.core, entry->ino, 1);
	return false;
}

static void list_some(struct worker *w)
{
	struct statvfs disk = { .f_bavail = 1 << 20, .f_frsize = 4096 }, st;

	judge("readdir", cairn_core_readdir(cf.core, draw_dir(w), 0, draw(w, 2), take_entry, NULL));
	judge("statfs", cairn_core_statfs(cf.core, &disk, &st));
}

/* One file grows from its end and is written again in the middle, and so has no holes ever. */
static void write_dense(struct worker *w)
{
	unsigned char buf[3 * CHUNK_SIZE];
	int64_t size = cf_attr(dense).size;

	memset(buf, byte_of(dense), sizeof(buf));
	if (size < DENSE_MAX)
		judge("append", cairn_core_write(cf.core, &cf_caller, dense, buf, sizeof(buf), 0,
						 true, false));
	if (size > 0)
		judge("write", cf_write(dense, buf, sizeof(buf), draw(w, (unsigned int)size)));
}

static void check_dense(void)
{
	struct cairn_attr attr = cf_attr(dense), after;
	off_t at = 0;

	if (attr.size == 0)
		return;
	judge("lseek", cairn_core_lseek(cf.core, dense, 0, SEEK_HOLE, &at));
	if (at < attr.size)
		judge("a hole in the file without holes", -EIO);
	after = cf_attr(dense);
	if (after.allocated != after.size)
		judge("allocated of the file without holes", -EIO);
}

static void step(struct worker *w)
{
	static void (*const on_files[])(struct worker *, uint64_t) = {
		write_some, write_some, read_some,  read_some, truncate_some, punch_some,
		seek_some,  xattr_some, xattr_some, link_some, fsync_some,
	};

	switch (draw(w, 20)) {
	case 0:
	case 1:
		make_file(w);
		break;
	case 2:
		make_dir(w);
		break;
	case 3:
		make_symlink(w);
		break;
	case 4:
		remove_some(w);
		break;
	case 5:
		empty_some(w);
		break;
	case 6:
	case 7:
		rename_some(w);
		break;
	case 8:
		list_some(w);
		break;
	case 9:
		write_dense(w);
		break;
	case 10:
		check_dense();
		break;
	default:
		with_file(w, on_files[draw(w, ARRAY_SIZE(on_files))]);
	}
}

int main(int argc, char *argv[])
{
	unsigned long operations = argc > 1 ? strtoul(argv[1], NULL, 10) : 3000;
	unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
	struct worker workers[THREADS];

	printf("1..6\n# %u threads, %lu operations each, seed %lu\n", THREADS, operations, seed);
	cf_setup();
	cf.chunk_size = CHUNK_SIZE;
	cf.options.commit_interval_ms = 2;
	cf.options.max_dirty = 1 << 20;
	cf.busy_timeout_ms = 5000;
	cf_make();
	cf_open();
	for (unsigned int i = 0; i < DIRS; i++)
		dirs[i] = cf_mkdir(CF_ROOT, (const char[]){ (char)('a' + i), 0 });
	dense = cf_file(CF_ROOT, "dense");

	for (unsigned int i = 0; i < THREADS; i++)
		workers[i] = (struct worker){ .step = step, .operations = operations };
	run_threads(workers, THREADS, seed);
	tell(all_explained(), "every result is one that can be");
	for (unsigned int i = 0; i < DIRS; i++)
		cairn_core_forget(cf.core, dirs[i], 1);
	cairn_core_forget(cf.core, dense, 1);
	check_given_back(cf.core);
	tell(cf_close() == 0, "the core closes");
	tell(cf_broken_rules(cf.db) == 0, "the file keeps the rules of the format");
	cf_teardown();
	return exit_status();
}
