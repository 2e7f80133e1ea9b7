/* New workspaces, and what a workspace says about itself. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_fixture.h"

TestSuite(store_init, .init = sx_setup, .fini = sx_teardown);
TestSuite(store_info, .init = sx_setup_made, .fini = sx_teardown);

static int make(size_t chunk_size, size_t page_size, bool force)
{
	struct cairn_init_options options = {
		.chunk_size = chunk_size,
		.page_size = page_size,
		.force = force,
	};

	sx.err.text[0] = 0;
	return cairn_sqlite_store_init(sx.db, &options, &sx.err);
}

static unsigned int files_in_dir(void)
{
	DIR *dir = opendir(sx.dir);
	unsigned int n = 0;

	for (struct dirent *entry; (entry = readdir(dir));)
		n += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
		     strcmp(entry->d_name, "log");
	closedir(dir);
	return n;
}

Test(store_init, makes_the_file_alone_in_wal_mode)
{
	cr_assert_eq(make(0, 0, false), 0, "%s", sx.err.text);
	cr_assert_eq(files_in_dir(), 1);
	cr_assert_str_eq(sx_text("PRAGMA journal_mode"), "wal");
	cr_assert_eq(sx_number("PRAGMA auto_vacuum"), 0);
	cr_assert_str_eq(sx_text("PRAGMA encoding"), "UTF-8");
	cr_assert_str_eq(sx_text("PRAGMA integrity_check"), "ok");
}

Test(store_init, root_directory_belongs_to_the_caller)
{
	struct cairn_attr attr = { 0 };

	sx_make();
	sx_open(false);
	cr_assert_eq(sx.store->ops->inode_get(sx.reader, CAIRN_ROOT_INO, &attr), 0);
	cr_assert_eq(attr.ino, 1);
	cr_assert_eq(attr.mode, S_IFDIR | 0755);
	cr_assert_eq(attr.nlink, 2);
	cr_assert_eq(attr.uid, geteuid());
	cr_assert_eq(attr.gid, getegid());
	cr_assert_eq(attr.size, 0);
	cr_assert_gt(attr.mtime.tv_sec, 1600000000);
	cr_assert_eq(attr.mtime.tv_sec, attr.ctime.tv_sec);
}

Test(store_init, sizes_are_those_asked_for)
{
	cr_assert_eq(make(4096, 512, false), 0, "%s", sx.err.text);
	cr_assert_eq(sx_number("PRAGMA page_size"), 512);
	cr_assert_str_eq(sx_text("SELECT value FROM fs_config WHERE key = 'chunk_size'"), "4096");
	cr_assert_str_eq(sx_text("SELECT value FROM fs_config WHERE key = 'schema_version'"),
			 "0.4");
	cr_assert_str_eq(sx_text("SELECT typeof(value) FROM fs_config"), "text");
	cr_assert_eq(make(1, 65536, true), 0);
	cr_assert_eq(sx_number("PRAGMA page_size"), 65536);
	sx_open(false);
	cr_assert_eq(sx.store->chunk_size, 1);
}

Test(store_init, impossible_sizes_are_einval)
{
	cr_assert_eq(make(CAIRN_CHUNK_MAX + 1, 0, false), -EINVAL);
	cr_assert(sx_err_has("chunks"));
	cr_assert_eq(make(0, 256, false), -EINVAL);
	cr_assert_eq(make(0, 5000, false), -EINVAL);
	cr_assert_eq(make(0, 131072, false), -EINVAL);
	cr_assert(sx_err_has("power of two"));
	cr_assert_eq(files_in_dir(), 0);
}

Test(store_init, existing_file_is_eexist_and_untouched)
{
	int fd = open(sx.db, O_WRONLY | O_CREAT, 0644);

	close(fd);
	cr_assert_eq(make(0, 0, false), -EEXIST);
	cr_assert(sx_err_has("choose another name"));
	cr_assert_eq(sx_size(sx.db), 0);
	cr_assert_eq(files_in_dir(), 1);
}

Test(store_init, force_replaces_the_file_and_what_lies_beside_it)
{
	sx_make();
	sx_sql(NULL, "INSERT INTO kv_store (key, value) VALUES ('k', 'old')");
	close(open(sx_path("work.db-wal"), O_WRONLY | O_CREAT, 0644));
	close(open(sx_path("work.db-shm"), O_WRONLY | O_CREAT, 0644));
	close(open(sx_path("work.db-journal"), O_WRONLY | O_CREAT, 0644));
	cr_assert_eq(make(0, 0, true), 0, "%s", sx.err.text);
	cr_assert_eq(files_in_dir(), 1);
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM kv_store"), 0);
}

Test(store_init, force_follows_a_symlink)
{
	sx_make();
	cr_assert_eq(symlink(sx.db, sx_path("link")), 0);
	snprintf(sx.db, sizeof(sx.db), "%s/link", sx.dir);
	cr_assert_eq(make(777, 0, true), 0, "%s", sx.err.text);
	snprintf(sx.db, sizeof(sx.db), "%s/work.db", sx.dir);
	sx_open(false);
	cr_assert_eq(sx.store->chunk_size, 777);
}

Test(store_init, force_does_not_replace_a_directory)
{
	mkdir(sx.db, 0755);
	cr_assert_eq(make(0, 0, true), -EINVAL);
	cr_assert_eq(files_in_dir(), 1);
}

/* SQLite would play the old log back into the new file. */
Test(store_init, stale_wal_of_a_lost_file_is_eexist)
{
	close(open(sx_path("work.db-wal"), O_WRONLY | O_CREAT, 0644));
	cr_assert_eq(make(0, 0, false), -EEXIST);
	cr_assert(sx_err_has("-wal"));
	cr_assert_eq(make(0, 0, true), 0);
}

Test(store_init, missing_directory_is_enoent)
{
	snprintf(sx.db, sizeof(sx.db), "%s/no/work.db", sx.dir);
	cr_assert_eq(make(0, 0, false), -ENOENT);
	cr_assert(sx_err_has("no/work.db"));
}

Test(store_init, name_without_room_for_its_journal_is_enametoolong)
{
	snprintf(sx.db, sizeof(sx.db), "%s/%0250d", sx.dir, 0);
	cr_assert_eq(make(0, 0, false), -ENAMETOOLONG);
	cr_assert_eq(files_in_dir(), 0);
}

/* A file size limit stands in for a full disk. */
Test(store_init, failure_half_way_leaves_the_old_file_and_nothing_else)
{
	struct rlimit limit = { .rlim_cur = 8192, .rlim_max = RLIM_INFINITY };

	sx_make();
	sx_sql(NULL, "INSERT INTO kv_store (key, value) VALUES ('k', 'old')");
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_assert_lt(make(0, 0, true), 0);
	cr_assert(sx_err_has("work.db"));
	limit.rlim_cur = RLIM_INFINITY;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_assert_eq(files_in_dir(), 1);
	cr_assert_str_eq(sx_text("SELECT value FROM kv_store"), "old");
}

Test(store_init, relative_path_works)
{
	cr_assert_eq(chdir(sx.dir), 0);
	strcpy(sx.db, "here.db");
	cr_assert_eq(make(0, 0, false), 0, "%s", sx.err.text);
	cr_assert(sx_exists("here.db"));
}

Test(store_init, umask_is_honoured)
{
	struct stat st;

	umask(0077);
	sx_make();
	cr_assert_eq(stat(sx.db, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
}

/* The format names these and no others; an extra index costs every create. */
Test(store_init, schema_is_that_of_the_format)
{
	sx_make();
	cr_assert_str_eq(
		sx_text("SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema "
			"WHERE name NOT LIKE 'sqlite_%' ORDER BY name)"),
		"cairn_orphan cairn_xattr fs_config fs_data fs_dentry fs_inode fs_symlink "
		"idx_kv_store_created_at idx_tool_calls_name idx_tool_calls_started_at "
		"kv_store tool_calls");
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM sqlite_schema WHERE type IN "
			       "('trigger', 'view') OR sql LIKE '%CHECK%'"),
		     0);
	cr_assert_str_eq(
		sx_text("SELECT group_concat(name, ' ') FROM pragma_table_info('fs_inode')"),
		"ino mode nlink uid gid size atime mtime ctime rdev atime_nsec mtime_nsec "
		"ctime_nsec");
}

Test(store_info, tells_about_the_file)
{
	struct cairn_store_info info = { 0 };

	sx_sql(NULL, "INSERT INTO fs_inode (ino, mode, size, atime, mtime, ctime) VALUES "
		     "(2, 33188, 1000, 0, 0, 0), (3, 33188, 24, 0, 0, 0), (4, 16877, 9, 0, 0, 0)");
	cr_assert_eq(cairn_sqlite_store_info(sx.db, &info, &sx.err), 0, "%s", sx.err.text);
	cr_assert_str_eq(info.schema_version, "0.4");
	cr_assert_eq(info.chunk_size, CAIRN_DEFAULT_CHUNK_SIZE);
	cr_assert_eq(info.page_size, CAIRN_DEFAULT_PAGE_SIZE);
	cr_assert_eq(info.file_size, (uint64_t)sx_size(sx.db));
	cr_assert_eq(info.used, info.file_size);
	cr_assert_eq(info.wal_size, 0);
	cr_assert_eq(info.inodes, 4);
	cr_assert_eq(info.data_bytes, 1024);
	cr_assert_null(info.base_path);
	cr_assert_eq(files_in_dir(), 1);
}

Test(store_info, names_the_base_of_an_overlay)
{
	struct cairn_store_info info = { 0 };

	sx_sql(NULL, "CREATE TABLE fs_overlay_config (key TEXT PRIMARY KEY, value TEXT NOT NULL); "
		     "INSERT INTO fs_overlay_config VALUES ('base_path', '/srv/base')");
	cr_assert_eq(cairn_sqlite_store_info(sx.db, &info, &sx.err), 0);
	cr_assert_str_eq(info.base_path, "/srv/base");
	free(info.base_path);
}

Test(store_info, works_while_the_workspace_is_open)
{
	struct cairn_attr attr = sx_attr(2, S_IFREG | 0644);
	struct cairn_store_info info = { 0 };

	sx_open(false);
	sx_commit(cr_assert_eq(sx.store->ops->inode_insert(sx.store, &attr), 0));
	cr_assert_eq(cairn_sqlite_store_info(sx.db, &info, &sx.err), 0);
	cr_assert_eq(info.inodes, 2);
	cr_assert_gt(info.wal_size, 0);
	sx_commit(cr_assert_eq(sx.store->ops->inode_delete(sx.store, 2, attr.mode), 0));
}

Test(store_info, sizes_that_overflow_do_not_fail)
{
	struct cairn_store_info info = { 0 };

	sx_sql(NULL, "INSERT INTO fs_inode (ino, mode, size, atime, mtime, ctime) VALUES "
		     "(2, 33188, 9223372036854775807, 0, 0, 0), "
		     "(3, 33188, 9223372036854775807, 0, 0, 0), (4, 33188, -5, 0, 0, 0)");
	cr_assert_eq(cairn_sqlite_store_info(sx.db, &info, &sx.err), 0);
	cr_assert_eq(info.data_bytes, INT64_MAX);
}

Test(store_info, missing_file_is_enoent)
{
	struct cairn_store_info info;

	unlink(sx.db);
	cr_assert_eq(cairn_sqlite_store_info(sx.db, &info, &sx.err), -ENOENT);
}
