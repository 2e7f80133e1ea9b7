/* A workspace as the base of an overlay. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "store_fixture.h"

#define NOBODY 65534

static struct cairn_base *base;
static struct cairn_base_options options;

static void put_inode(uint64_t ino, uint32_t mode, int64_t size)
{
	struct cairn_attr attr = sx_attr(ino, mode);

	attr.size = size;
	cr_assert_eq(sx.store->ops->inode_insert(sx.store, &attr), 0);
}

static void put_entry(uint64_t dir, const char *name, uint64_t id, uint64_t ino)
{
	cr_assert_eq(sx.store->ops->dentry_put(sx.store, dir, name, strlen(name), id, ino), 0);
}

static void put_chunk(uint64_t ino, int64_t index, char fill, size_t len)
{
	static char data[CAIRN_DEFAULT_CHUNK_SIZE];

	memset(data, fill, sizeof(data));
	cr_assert_eq(sx.store->ops->data_put(sx.store, ino, index, data, len), 0);
}

/*	/dir		2
 *	/dir/file	3: a chunk of 'a', a hole of two chunks, a chunk of 'b' with 100 bytes
 *	/link		4 -> dir/file
 *	/other		3, a second name */
static void make_tree(void)
{
	int64_t size = 3 * (int64_t)sx.store->chunk_size + 100;

	put_inode(2, S_IFDIR | 0750, 0);
	put_inode(3, S_IFREG | 0640, size);
	put_inode(4, S_IFLNK | 0777, 8);
	put_entry(1, "dir", 101, 2);
	put_entry(2, "file", 102, 3);
	put_entry(1, "link", 103, 4);
	put_entry(1, "other", 104, 3);
	put_chunk(3, 0, 'a', sx.store->chunk_size);
	put_chunk(3, 3, 'b', 100);
	cr_assert_eq(sx.store->ops->symlink_put(sx.store, 4, "dir/file"), 0);
	cr_assert_eq(sx.store->ops->xattr_put(sx.store, 3, "user.key", "value", 5), 0);
}

static int try_open(void)
{
	sx.err.text[0] = '\0';
	return cairn_base_open(sx.db, &options, &base, &sx.err);
}

static void setup(void)
{
	sx_setup_open();
	options = (struct cairn_base_options){ .log = &sx.log };
	sx_commit(make_tree());
	cr_assert_eq(try_open(), 0, "%s", sx.err.text);
}

static void teardown(void)
{
	if (base)
		base->ops->close(base);
	sx_teardown();
}

TestSuite(base_store, .init = setup, .fini = teardown);
TestSuite(base_store_open, .init = sx_setup_made, .fini = sx_teardown);

static int lookup(uint64_t dir, const char *name, struct cairn_attr *ret)
{
	return base->ops->lookup(base, dir, name, strlen(name), ret);
}

static uint64_t find(const char *path)
{
	struct cairn_attr attr = { 0 };

	cr_assert_eq(base->ops->resolve(base, path, &attr), 0, "%s", path);
	return attr.ino;
}

static enum cairn_base_change poll_base(void)
{
	enum cairn_base_change change = CAIRN_BASE_SAME;

	cr_assert_eq(base->ops->poll(base, &change), 0);
	return change;
}

Test(base_store, names_lead_to_inodes_with_their_attributes)
{
	struct cairn_attr attr = { 0 };

	cr_assert_eq(base->ops->root(base), 1);
	cr_assert_eq(lookup(1, "dir", &attr), 0);
	cr_expect_eq(attr.ino, 2);
	cr_expect_eq(attr.mode, S_IFDIR | 0750);
	cr_assert_eq(lookup(2, "file", &attr), 0);
	cr_expect_eq(attr.ino, 3);
	cr_expect_eq(attr.uid, 1000);
	cr_expect_eq(attr.mtime.tv_nsec, 22);
	cr_assert_eq(base->ops->getattr(base, 3, &attr), 0);
	cr_expect_eq(attr.mode, S_IFREG | 0640);
}

Test(base_store, absent_names_unknown_numbers_and_files_are_told_apart)
{
	struct cairn_attr attr = { .ino = 77 };

	cr_expect_eq(lookup(1, "none", &attr), -ENOENT);
	cr_expect_eq(lookup(2, "file", &attr), -ENOENT, "nobody has looked up the directory");
	cr_assert_eq(lookup(1, "other", &attr), 0);
	cr_expect_eq(lookup(3, "x", &attr), -ENOTDIR);
	cr_expect_eq(base->ops->getattr(base, 99, &attr), -ENOENT);
	cr_expect_eq(base->ops->list(base, 3, NULL, NULL), -ENOTDIR);
	cr_expect_eq(attr.ino, 3);
}

struct seen {
	unsigned int count;
	char names[8][CAIRN_NAME_MAX + 1];
	uint64_t ino[8];
	uint32_t mode[8];
};

static int see(void *arg, const struct cairn_base_entry *entry)
{
	struct seen *seen = arg;

	cr_assert_lt(seen->count, 8);
	memcpy(seen->names[seen->count], entry->name, entry->name_len);
	seen->ino[seen->count] = entry->ino;
	seen->mode[seen->count++] = entry->mode;
	return 0;
}

/* The callback may ask the base itself. */
static int see_and_ask(void *arg, const struct cairn_base_entry *entry)
{
	struct cairn_attr attr;

	cr_assert_eq(base->ops->getattr(base, entry->ino, &attr), 0);
	cr_expect_eq(attr.mode, entry->mode);
	return see(arg, entry);
}

static int stop_at_once(void *arg, const struct cairn_base_entry *entry)
{
	return 7;
}

Test(base_store, listing_gives_out_what_it_lists)
{
	struct seen seen = { 0 };
	char *path = NULL;

	cr_assert_eq(base->ops->list(base, 1, see_and_ask, &seen), 0);
	cr_assert_eq(seen.count, 3);
	for (unsigned int i = 0; i < 3; i++)
		if (strcmp(seen.names[i], "dir") == 0)
			cr_expect(seen.ino[i] == 2 && S_ISDIR(seen.mode[i]));
	cr_assert_eq(base->ops->path(base, 4, &path), 0);
	cr_expect_str_eq(path, "/link");
	free(path);
	cr_expect_eq(base->ops->list(base, 1, stop_at_once, NULL), 7);
}

Test(base_store, link_target_is_read)
{
	char *target = NULL;
	uint64_t file = find("/dir/file");

	cr_assert_eq(base->ops->readlink(base, find("/link"), &target), 0);
	cr_expect_str_eq(target, "dir/file");
	free(target);
	cr_expect_eq(base->ops->readlink(base, file, &target), -EINVAL);
}

Test(base_store, bytes_are_read_across_chunks_and_holes_to_the_end)
{
	static char buf[5 * CAIRN_DEFAULT_CHUNK_SIZE];
	int64_t chunk = (int64_t)sx.store->chunk_size, size = 3 * chunk + 100;
	uint64_t ino = find("/dir/file");

	cr_expect_eq(base->ops->read(base, ino, buf, sizeof(buf), 0), size);
	cr_expect_eq(buf[chunk - 1], 'a');
	cr_expect_eq(buf[chunk], 0);
	cr_expect_eq(buf[3 * chunk - 1], 0);
	cr_expect_eq(buf[3 * chunk], 'b');
	cr_expect_eq(base->ops->read(base, ino, buf, 10, chunk - 5), 10);
	cr_expect_eq(memcmp(buf, "aaaaa\0\0\0\0\0", 10), 0);
	cr_expect_eq(base->ops->read(base, ino, buf, 10, size - 4), 4);
	cr_expect_eq(base->ops->read(base, ino, buf, 10, size), 0);
	cr_expect_eq(base->ops->read(base, ino, buf, 10, INT64_MAX), 0);
	cr_expect_eq(base->ops->read(base, ino, buf, 10, -1), -EINVAL);
	cr_expect_eq(base->ops->read(base, find("/dir"), buf, 10, 0), -EINVAL);
}

Test(base_store, data_and_holes_are_told_apart)
{
	int64_t chunk = (int64_t)sx.store->chunk_size, size = 3 * chunk + 100, from, to;
	uint64_t ino = find("/dir/file");

	cr_assert_eq(base->ops->next_data(base, ino, 10, &from, &to), 0);
	cr_expect(from == 10 && to == chunk);
	cr_assert_eq(base->ops->next_data(base, ino, chunk, &from, &to), 0);
	cr_expect(from == 3 * chunk && to == size);
	cr_expect_eq(base->ops->next_data(base, ino, size, &from, &to), -ENXIO);
	sx_sql(NULL, "DELETE FROM fs_data WHERE chunk_index = 3");
	cr_expect_eq(poll_base(), CAIRN_BASE_CHANGED);
	cr_expect_eq(base->ops->next_data(base, ino, chunk, &from, &to), -ENXIO);
}

Test(base_store, attributes_by_name)
{
	struct sx_names names = { 0 };
	void *value = NULL;
	size_t len = 0;
	uint64_t ino = find("/other");

	cr_expect(base->has_xattrs);
	cr_assert_eq(base->ops->xattr_get(base, ino, "user.key", &value, &len), 0);
	cr_expect(len == 5 && memcmp(value, "value", 5) == 0);
	free(value);
	cr_expect_eq(base->ops->xattr_get(base, ino, "user.none", &value, &len), -ENOENT);
	cr_assert_eq(base->ops->xattr_scan(base, ino, sx_collect_xattr, &names), 0);
	cr_expect(names.count == 1 && strcmp(names.names[0], "user.key") == 0);
}

Test(base_store, place_is_where_it_was_found_last)
{
	char name[CAIRN_NAME_MAX + 1], *path = NULL;
	uint64_t dir;

	find("/dir/file");
	cr_assert_eq(base->ops->place(base, 3, &dir, name), 0);
	cr_expect(dir == 2 && strcmp(name, "file") == 0);
	find("other");
	cr_assert_eq(base->ops->path(base, 3, &path), 0);
	cr_expect_str_eq(path, "/other");
	free(path);
}

Test(base_store, paths_resolve_or_are_definitely_not_there)
{
	char path[CAIRN_NAME_MAX + 8];
	struct cairn_attr attr;

	cr_expect_eq(find("/"), 1);
	cr_expect_eq(find("//dir///file"), 3);
	cr_expect_eq(base->ops->resolve(base, "/dir/none", &attr), -ENOENT);
	cr_expect_eq(base->ops->resolve(base, "/other/x", &attr), -ENOENT);
	cr_expect_eq(base->ops->resolve(base, "/dir/..", &attr), -ENOENT);
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	cr_expect_eq(base->ops->resolve(base, path, &attr), -ENOENT);
}

Test(base_store, other_processes_commits_are_noticed_and_seen)
{
	struct cairn_attr attr;

	cr_expect_eq(poll_base(), CAIRN_BASE_SAME);
	sx_sql(NULL, "UPDATE fs_inode SET mode = 33216 WHERE ino = 3");
	cr_expect_eq(poll_base(), CAIRN_BASE_CHANGED);
	cr_expect_eq(poll_base(), CAIRN_BASE_SAME);
	cr_assert_eq(base->ops->getattr(base, 3, &attr), 0);
	cr_expect_eq(attr.mode, S_IFREG | 0700);
	sx_sql(NULL, "INSERT INTO kv_store (key, value) VALUES ('k', 'v')");
	cr_expect_eq(poll_base(), CAIRN_BASE_SAME);
}

/* With what lies beside it. */
static void put_aside(void)
{
	static const char *const names[] = { "work.db", "work.db-wal", "work.db-shm" };
	char aside[16];

	for (size_t i = 0; i < 3; i++) {
		snprintf(aside, sizeof(aside), "aside%zu", i);
		cr_assert_eq(rename(sx_path(names[i]), sx_path(aside)), 0);
	}
}

Test(base_store, file_put_in_the_place_of_the_base_is_shown_at_the_next_poll)
{
	struct cairn_attr attr;

	find("/dir/file");
	sx_close();
	put_aside();
	cr_expect_eq(poll_base(), CAIRN_BASE_SAME, "with nothing there, the old one goes on");
	cr_expect_eq(find("/dir/file"), 3);
	sx_make();
	cr_expect_eq(poll_base(), CAIRN_BASE_CHANGED);
	cr_expect_eq(lookup(1, "dir", &attr), -ENOENT);
	cr_expect_eq(poll_base(), CAIRN_BASE_SAME);
}

Test(base_store, what_cannot_be_opened_leaves_the_old_base_in_place)
{
	FILE *file;

	find("/dir/file"); /* by a connection that stays */
	sx_close();
	cr_assert_eq(unlink(sx.db), 0);
	file = fopen(sx.db, "we");
	cr_assert(fputs("no workspace at all", file) >= 0 && fclose(file) == 0);
	cr_expect_eq(poll_base(), CAIRN_BASE_SAME);
	cr_expect_eq(find("/dir/file"), 3);
	cr_expect(sx_log_has("shown as it was"));
}

Test(base_store, numbers_with_no_room_for_the_overlays_step_are_eio)
{
	struct seen seen = { 0 };
	struct cairn_attr attr;

	sx_sql(NULL, "INSERT INTO fs_inode (ino, mode, atime, mtime, ctime) "
		     "VALUES (9223372036854775807, 33188, 0, 0, 0);"
		     "INSERT INTO fs_dentry (name, parent_ino, ino) "
		     "VALUES ('far', 1, 9223372036854775807)");
	cr_expect_eq(lookup(1, "far", &attr), -EIO);
	cr_assert_eq(base->ops->list(base, 1, see, &seen), 0);
	cr_expect_eq(seen.count, 3);
}

Test(base_store, entry_without_an_inode_is_eio)
{
	struct cairn_attr attr;

	sx_sql(NULL, "INSERT INTO fs_dentry (name, parent_ino, ino) VALUES ('dangling', 1, 999)");
	cr_expect_eq(lookup(1, "dangling", &attr), -EIO);
}

Test(base_store, forgotten_numbers_are_found_again_by_name)
{
	cr_expect_eq(find("/dir/file"), 3);
	base->ops->forget(base, 3);
	base->ops->forget(base, 2);
	cr_expect_eq(find("/dir/file"), 3);
}

/* As somebody who may not write beside the base, and so reads it without locks while nobody else
 * has it open. */
static int watch_as_nobody(int in, int out)
{
	enum cairn_base_change change;
	char byte = 0;

	cr_assert_eq(setgid(NOBODY), 0);
	cr_assert_eq(setuid(NOBODY), 0);
	if (try_open() < 0 || base->ops->poll(base, &change) < 0 || change != CAIRN_BASE_SAME)
		return 1;
	if (write(out, "", 1) != 1 || read(in, &byte, 1) != 1)
		return 2;
	if (base->ops->poll(base, &change) < 0 || change != CAIRN_BASE_CHANGED)
		return 3;
	return byte;
}

static bool file_is_executable(void)
{
	struct cairn_attr attr = { 0 };

	return base->ops->getattr(base, 3, &attr) == 0 && attr.mode == (S_IFREG | 0700);
}

Test(base_store, base_that_was_read_without_locks_is_opened_anew_when_somebody_writes)
{
	int to_child[2], to_parent[2], status = 0;
	sqlite3 *db;
	char byte;
	pid_t pid;

	if (getuid() != 0)
		cr_skip_test("needs root");
	base->ops->close(TAKE_PTR(base));
	sx_close();
	cr_assert_eq(chmod(sx.dir, 0755), 0);
	cr_assert_eq(chmod(sx.db, 0644), 0);
	cr_assert(pipe(to_child) == 0 && pipe(to_parent) == 0);
	pid = fork();
	if (pid == 0) {
		status = watch_as_nobody(to_child[0], to_parent[1]);
		_exit(status != 0 ? status : !file_is_executable());
	}
	close(to_parent[1]);
	cr_expect_eq(read(to_parent[0], &byte, 1), 1);
	db = sx_connect();
	sx_sql(db, "UPDATE fs_inode SET mode = 33216 WHERE ino = 3");
	byte = 0;
	cr_expect_eq(write(to_child[1], &byte, 1), 1);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	sqlite3_close(db);
	cr_expect(WIFEXITED(status));
	cr_expect_eq(WEXITSTATUS(status), 0);
}

static int open_at(const char *path)
{
	int r;

	sx.err.text[0] = '\0';
	base = NULL;
	r = cairn_base_open(path, &options, &base, &sx.err);
	if (r == 0)
		base->ops->close(base);
	return r;
}

Test(base_store_open, what_is_no_base_is_refused_in_words)
{
	cr_expect_eq(open_at(sx_path("none")), -ENOENT);
	cr_expect(sx_err_has("none"));
	mkfifo(sx_path("fifo"), 0644);
	cr_expect_eq(open_at(sx_path("fifo")), -EINVAL);
	cr_expect(sx_err_has("neither a workspace nor a directory"));
	cr_expect_eq(open_at(sx.log_path), -EINVAL);
	cr_expect_eq(open_at(sx.db), 0);
}

Test(base_store_open, base_under_itself_is_eloop)
{
	struct cairn_base_above top = { .workspace = sx_path("none") };
	struct cairn_base_above above = { .workspace = sx_path("by-another-name"), .next = &top };

	cr_assert_eq(link(sx.db, above.workspace), 0);
	options = (struct cairn_base_options){ .above = &top };
	cr_expect_eq(open_at(sx.db), 0);
	options.above = &above;
	cr_expect_eq(open_at(sx.db), -ELOOP);
	cr_expect(sx_err_has("under itself"));
}

Test(base_store_open, base_below_the_mount_point_is_refused)
{
	char near[PATH_MAX];

	snprintf(near, sizeof(near), "%.*s", (int)strlen(sx.dir) - 1, sx.dir);
	options = (struct cairn_base_options){ .mount_point = near };
	cr_expect_eq(open_at(sx.db), 0);
	options.mount_point = sx.dir;
	cr_expect_eq(open_at(sx.db), -EINVAL);
	cr_expect(sx_err_has("mount point"));
	cr_assert_eq(symlink(sx.db, sx_path("../link-to-base")), 0);
	cr_expect_eq(open_at(sx_path("../link-to-base")), -EINVAL);
	unlink(sx_path("../link-to-base"));
}

Test(base_store_open, too_many_overlays_are_eloop)
{
	struct cairn_base_above above[CAIRN_BASE_DEPTH_MAX + 1];

	for (unsigned int i = 0; i <= CAIRN_BASE_DEPTH_MAX; i++)
		above[i] = (struct cairn_base_above){ "/none", i ? &above[i - 1] : NULL };
	options = (struct cairn_base_options){ .above = &above[CAIRN_BASE_DEPTH_MAX - 1] };
	cr_expect_eq(open_at(sx.db), 0);
	options.above = &above[CAIRN_BASE_DEPTH_MAX];
	cr_expect_eq(open_at(sx.db), -ELOOP);
	cr_expect(sx_err_has("more than 16"));
}
