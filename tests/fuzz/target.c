#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/overlay.h"
#include "core/core.h"
#include "fuzz.h"
#include "mount/mountinfo.h"
#include "mount/options.h"
#include "store/check.h"

#define WALK_MAX  400        /* inodes */
#define DENSE_MAX (1U << 20) /* bytes of all files together */

static const struct cairn_caller caller = { .uid = 1000, .gid = 1000 };

/* What a walk saw. */
struct walk {
	struct cairn_core *core;
	uint64_t queue[WALK_MAX];
	unsigned int count;
	uint64_t dir;                  /* the one being listed */
	char name[CAIRN_NAME_MAX + 1]; /* one of its names */
	int worst;                     /* the first -EIO */
};

static void note(struct walk *walk, long r)
{
	if (r == -EIO && walk->worst == 0)
		walk->worst = -EIO;
}

static bool add_entry(void *arg, const struct cairn_dirent *entry)
{
	struct walk *walk = arg;

	if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
		return false;
	strcpy(walk->name, entry->name);
	for (unsigned int i = 0; i < walk->count; i++)
		if (walk->queue[i] == entry->ino)
			return false;
	if (walk->count < WALK_MAX)
		walk->queue[walk->count++] = entry->ino;
	return false;
}

static bool forget_entry(void *arg, const struct cairn_dirent *entry)
{
	struct walk *walk = arg;

	if (entry->attr)
		cairn_core_forget(walk->core, entry->ino, 1);
	return false;
}

static void walk_directory(struct walk *walk, uint64_t ino)
{
	struct cairn_attr attr;
	int r;

	walk->name[0] = 0;
	note(walk, cairn_core_readdir(walk->core, ino, 0, false, add_entry, walk));
	note(walk, cairn_core_readdir(walk->core, ino, 0, true, forget_entry, walk));
	note(walk, cairn_core_readdir(walk->core, ino, 7, false, forget_entry, walk));
	if (!walk->name[0])
		return;
	r = cairn_core_lookup(walk->core, ino, walk->name, &attr);
	note(walk, r);
	if (r == 0)
		cairn_core_forget(walk->core, attr.ino, 1);
}

static void walk_file(struct walk *walk, const struct cairn_attr *attr)
{
	static char buf[1 << 17];
	off_t at;

	note(walk, cairn_core_read(walk->core, attr->ino, buf, sizeof(buf), 0));
	note(walk, cairn_core_read(walk->core, attr->ino, buf, 4096, attr->size / 2));
	note(walk, cairn_core_read(walk->core, attr->ino, buf, 4096,
				   attr->size > 1000 ? attr->size - 1000 : 0));
	note(walk, cairn_core_lseek(walk->core, attr->ino, 0, SEEK_DATA, &at));
	note(walk, cairn_core_lseek(walk->core, attr->ino, 0, SEEK_HOLE, &at));
}

static void walk_inode(struct walk *walk, uint64_t ino)
{
	static char names[1 << 16], value[1 << 16];
	struct cairn_attr attr;
	ssize_t n;
	int r;

	r = cairn_core_getattr(walk->core, ino, &attr);
	note(walk, r);
	if (r < 0)
		return;
	if (S_ISDIR(attr.mode))
		walk_directory(walk, ino);
	else if (S_ISREG(attr.mode))
		walk_file(walk, &attr);
	else if (S_ISLNK(attr.mode)) {
		char *target = NULL;

		note(walk, cairn_core_readlink(walk->core, ino, &target));
		free(target);
	}
	n = cairn_core_listxattr(walk->core, ino, names, sizeof(names));
	note(walk, n);
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1)
		note(walk, cairn_core_getxattr(walk->core, ino, names + i, value, sizeof(value)));
}

static void walk_all(struct walk *walk)
{
	walk->queue[walk->count++] = CAIRN_ROOT_INO;
	for (unsigned int i = 0; i < walk->count; i++)
		walk_inode(walk, walk->queue[i]);
}

/* Changes of every kind, wherever they find something to change. Any errno will do. */
static void change(struct walk *walk)
{
	struct cairn_core *core = walk->core;
	struct cairn_attr attr = { 0 }, to = { .size = 777, .mode = 0600 };

	for (unsigned int i = 0; i < walk->count; i++) {
		uint64_t ino = walk->queue[i];

		cairn_core_write(core, &caller, ino, "written", 7, 1500, false, false);
		cairn_core_write(core, &caller, ino, "appended", 8, 0, true, false);
		if (i % 3 == 0)
			cairn_core_setattr(core, &caller, ino, CAIRN_SET_SIZE | CAIRN_SET_MODE, &to,
					   &attr);
		cairn_core_setxattr(core, ino, "user.new", "x", 1, 0);
		cairn_core_removexattr(core, ino, "user.color");
		if (cairn_core_mknod(core, &caller, ino, "new", S_IFREG | 0600, 0, &attr) == 0)
			cairn_core_forget(core, attr.ino, 1);
		if (cairn_core_mkdir(core, &caller, ino, "newdir", 0700, &attr) == 0)
			cairn_core_forget(core, attr.ino, 1);
		cairn_core_unlink(core, ino, "file-3");
		cairn_core_rmdir(core, ino, "newdir");
		cairn_core_rename(core, ino, "file-4", CAIRN_ROOT_INO, "moved", 0);
		cairn_core_rename(core, ino, "file-5", ino, "moved-here", 0);
	}
	cairn_core_fsync(core, CAIRN_ROOT_INO);
}

static int open_core(const char *path, bool read_only, struct cairn_core **ret)
{
	const struct cairn_store_options options = { .read_only = read_only,
						     .busy_timeout_ms = 100 };
	struct cairn_core_options core_options = CAIRN_CORE_OPTIONS_DEFAULT;
	struct cairn_error err = { 0 };
	struct cairn_store *store;
	int r;

	core_options.read_only = read_only;
	r = cairn_store_open(path, &options, &store, &err);
	FUZZ_CHECK(r == 0 || err.text[0], "an error without words: %d", r);
	if (r < 0)
		return r;
	return cairn_core_open(store, &core_options, NULL, ret);
}

/* The first -EIO of a walk, or what opening said. */
static int walk_workspace(const char *path, bool read_only)
{
	static struct walk walk;
	int r;

	memset(&walk, 0, sizeof(walk));
	r = open_core(path, read_only, &walk.core);
	if (r < 0)
		return r;
	walk_all(&walk);
	if (!read_only)
		change(&walk);
	cairn_core_close(walk.core);
	return walk.worst;
}

void fuzz_target_core(const char *path)
{
	walk_workspace(path, true);
	walk_workspace(path, false);
}

static void count_finding(void *arg, const struct cairn_check_finding *finding, bool left)
{
	unsigned int *count = arg;

	FUZZ_CHECK(finding->count > 0 && finding->examples > 0, "%s", finding->code);
	if (getenv("FUZZ_VERBOSE"))
		fprintf(stderr, "%s %s (%lu): %s\n", left ? "left" : "found", finding->code,
			(unsigned long)finding->count, finding->example[0]);
	(*count)++;
}

static int check(const char *path, bool repair, bool dense, struct cairn_check_result *ret)
{
	unsigned int count = 0;
	const struct cairn_check_options options = {
		.repair = repair,
		.dense = dense,
		.busy_timeout_ms = 100,
		.report = count_finding,
		.arg = &count,
	};
	struct cairn_error err = { 0 };
	int r;

	r = cairn_check(path, &options, ret, &err);
	FUZZ_CHECK(r == 0 || err.text[0], "an error without words: %d", r);
	if (getenv("FUZZ_VERBOSE"))
		fprintf(stderr, "check: %d %s\n", r, err.text);
	if (r == 0)
		FUZZ_CHECK((ret->errors + ret->notes > 0) == (count > 0), "%u findings", count);
	return r;
}

bool fuzz_is_small(const char *path)
{
	struct cairn_store_info info = { 0 };
	struct cairn_error err = { 0 };
	bool small;

	small = cairn_sqlite_store_info(path, &info, &err) == 0 && info.data_bytes < DENSE_MAX;
	free(info.base_path);
	return small;
}

void fuzz_target_check(const char *path)
{
	struct cairn_check_result result;
	int r;

	r = check(path, false, false, &result);
	if (r == 0 && result.errors == 0) {
		r = walk_workspace(path, true);
		FUZZ_CHECK(r == 0, "clean, and reading it fails: %d", r);
	}
	r = check(path, true, fuzz_is_small(path), &result);
	if (r < 0 || result.left > 0 || result.repair_failed < 0)
		return;
	r = check(path, false, false, &result);
	FUZZ_CHECK(r == 0 && result.errors == 0, "repaired, and then %d with %lu errors", r,
		   (unsigned long)result.errors);
	r = walk_workspace(path, true);
	FUZZ_CHECK(r == 0, "repaired, and reading it fails: %d", r);
}

void fuzz_target_overlay(const char *path)
{
	struct cairn_check_result result;

	fuzz_target_core(path);
	if (check(path, true, false, &result) == 0 && result.left == 0 && result.repair_failed == 0)
		FUZZ_CHECK(check(path, false, false, &result) == 0 && result.errors == 0,
			   "repaired, and then %lu errors", (unsigned long)result.errors);
	fuzz_target_core(path);
}

void fuzz_target_options(const char *text)
{
	struct cairn_options options;
	struct cairn_error err = { 0 };
	int r;

	cairn_options_init(&options);
	r = cairn_options_parse(&options, text, &err);
	if (r == 0)
		r = cairn_options_finish(&options, &err);
	FUZZ_CHECK(r == 0 || err.text[0], "an error without words: %d", r);
	cairn_options_done(&options);
}

void fuzz_target_mountinfo(const char *path)
{
	struct cairn_mount_table table = { 0 };
	uid_t uid;

	if (cairn_mount_table_read(path, &table) < 0)
		return;
	cairn_mount_table_find(&table, "/srv/a b");
	for (size_t i = 0; i < table.count; i++)
		if (cairn_mount_is_ours(&table.entries[i]))
			cairn_mount_owner(&table.entries[i], &uid);
	cairn_mount_table_done(&table);
}
