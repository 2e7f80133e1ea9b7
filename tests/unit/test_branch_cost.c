/* What a diff costs: its steps are counted, which depend on the changes and not on the base. Of
 * SQLite that is each instruction of each statement on each connection, of a directory each entry
 * that is read and each file that is asked for. */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/overlay.h"
#include "branch/patch.h"
#include "core/core.h"
#include "store_fixture.h"

#define SMALL   1000
#define LARGE   20000
#define CHANGES 10

static atomic_ulong steps;

static int end_statement(unsigned int what, void *arg, void *stmt, void *time)
{
	atomic_fetch_add(&steps,
			 (unsigned long)sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_VM_STEP, 1));
	return 0;
}

/* SQLite calls it for each connection that is opened. */
static int watch(sqlite3 *db, const char **error, const void *api)
{
	return sqlite3_trace_v2(db, SQLITE_TRACE_PROFILE, end_statement, NULL);
}

struct dirent *readdir(DIR *dir)
{
	static struct dirent *(*next)(DIR * dir);

	if (!next)
		next = (struct dirent * (*)(DIR * dir)) dlsym(RTLD_NEXT, "readdir64");
	atomic_fetch_add(&steps, 1);
	return next(dir);
}

int statx(int dir, const char *path, int flags, unsigned int mask, struct statx *ret)
{
	static int (*next)(int dir, const char *path, int flags, unsigned int mask,
			   struct statx *ret);

	if (!next)
		next = (int (*)(int, const char *, int, unsigned int, struct statx *))dlsym(
			RTLD_NEXT, "statx");
	atomic_fetch_add(&steps, 1);
	return next(dir, path, flags, mask, ret);
}

static void setup(void)
{
	sx_setup();
	cr_assert_eq(sqlite3_auto_extension((void (*)(void))watch), SQLITE_OK);
}

TestSuite(branch_cost, .init = setup, .fini = sx_teardown);

/* All in one directory, that of the changes: listing it would be seen. */
static void make_workspace(unsigned int count)
{
	char sql[1024];

	sx_make();
	sx_sql(NULL, "INSERT INTO fs_inode (ino, mode, nlink, atime, mtime, ctime) "
		     "VALUES (2, 16877, 2, 1, 1, 1);"
		     "INSERT INTO fs_dentry (name, parent_ino, ino) VALUES ('dir', 1, 2)");
	snprintf(sql, sizeof(sql),
		 "WITH RECURSIVE n (i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n "
		 "WHERE i + 1 < %u) INSERT INTO fs_inode (ino, mode, nlink, size, atime, mtime, "
		 "ctime) SELECT i + 3, 33188, 1, 3, 1, 1, 1 FROM n;"
		 "INSERT INTO fs_data SELECT ino, 0, x'6f6c64' FROM fs_inode WHERE ino > 2;"
		 "INSERT INTO fs_dentry (name, parent_ino, ino) SELECT 'file-' || (ino - 3), 2, "
		 "ino FROM fs_inode WHERE ino > 2",
		 count);
	sx_sql(NULL, sql);
}

static void make_directory(unsigned int count)
{
	char path[PATH_MAX];

	cr_assert_eq(mkdir(sx.db, 0755), 0);
	snprintf(path, sizeof(path), "%s/dir", sx.db);
	cr_assert_eq(mkdir(path, 0755), 0);
	for (unsigned int i = 0; i < count; i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/dir/file-%u", sx.db, i);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		cr_assert(fd >= 0 && write(fd, "old", 3) == 3);
		close(fd);
	}
}

static struct cairn_core *open_branch(const char *path)
{
	const struct cairn_init_options init = { .base = sx.db };
	const struct cairn_store_options options = { .busy_timeout_ms = 1000 };
	const struct cairn_core_options core_options = CAIRN_CORE_OPTIONS_DEFAULT;
	struct cairn_store *store;
	struct cairn_core *core;

	cr_assert_eq(cairn_sqlite_store_init(path, &init, &sx.err), 0, "%s", sx.err.text);
	cr_assert_eq(cairn_store_open(path, &options, &store, &sx.err), 0, "%s", sx.err.text);
	cr_assert_eq(cairn_core_open(store, &core_options, NULL, &core), 0);
	return core;
}

static void change(struct cairn_core *core, uint64_t dir, unsigned int i)
{
	const struct cairn_caller caller = { 0 };
	struct cairn_attr attr;
	char name[32];

	snprintf(name, sizeof(name), "file-%u", i);
	cr_assert_eq(cairn_core_lookup(core, dir, name, &attr), 0);
	if (i % 3 == 0)
		cr_assert_eq(cairn_core_write(core, &caller, attr.ino, "new", 3, 0, false, false),
			     0);
	else if (i % 3 == 1)
		cr_assert_eq(cairn_core_unlink(core, dir, name), 0);
	else
		cr_assert_eq(cairn_core_rename(core, dir, name, CAIRN_ROOT_INO, name, 0), 0);
}

static void make_branch(const char *path)
{
	struct cairn_core *core = open_branch(path);
	struct cairn_attr dir;

	cr_assert_eq(cairn_core_lookup(core, CAIRN_ROOT_INO, "dir", &dir), 0);
	for (unsigned int i = 0; i < CHANGES; i++)
		change(core, dir.ino, i);
	cr_assert_eq(cairn_core_close(core), 0);
}

static int count_file(void *arg, const struct cairn_patch_file *file)
{
	++*(unsigned int *)arg;
	return 0;
}

/* The steps of `cairnfs diff --patch`, from opening to closing. */
static unsigned long diff(void (*make_base)(unsigned int count), unsigned int count)
{
	struct cairn_changes changes = { 0 };
	struct cairn_branch branch = { 0 };
	unsigned int files = 0;
	const char *path;
	size_t left_out;

	snprintf(sx.db, sizeof(sx.db), "%s/base-%u.db", sx.dir, count);
	make_base(count);
	path = sx_path(count == SMALL ? "small.db" : "large.db");
	make_branch(path);
	atomic_store(&steps, 0);
	cr_assert_eq(cairn_branch_open(path, true, &branch, &sx.err), 0, "%s", sx.err.text);
	cr_assert_eq(cairn_branch_open_base(&branch, &sx.err), 0, "%s", sx.err.text);
	cr_assert_eq(cairn_changes_find(&branch, &changes, &sx.err), 0, "%s", sx.err.text);
	cr_assert_eq(cairn_patch(&branch, &changes, NULL, 0, true, count_file, &files, &left_out,
				 &sx.err),
		     0, "%s", sx.err.text);
	cairn_changes_free(&changes);
	cairn_branch_close(&branch);
	cr_assert_eq(files, CHANGES);
	return atomic_load(&steps);
}

static void compare(void (*make_base)(unsigned int count))
{
	unsigned long small = diff(make_base, SMALL), large = diff(make_base, LARGE);

	cr_log_info("%lu and %lu steps", small, large);
	cr_assert_gt(small, CHANGES);
	/* A little: SQLite's trees are deeper. */
	cr_assert_leq(large, small + 100, "%lu and %lu steps", small, large);
}

Test(branch_cost, takes_as_many_steps_over_a_large_workspace)
{
	compare(make_workspace);
}

Test(branch_cost, takes_as_many_steps_over_a_large_directory)
{
	compare(make_directory);
}
