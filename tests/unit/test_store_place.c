/* Where a workspace lies: file systems that cannot hold one, one that becomes read-only, and
 * another file at the path. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault_system.h"
#include "store/kv.h"
#include "store/restore.h"
#include "store_fixture.h"

#define OPS (sx.store->ops)

static void teardown(void)
{
	fault_system_be(FAULT_PLACE_SOUND);
	sx_teardown();
}

TestSuite(store_place, .init = sx_setup_made, .fini = teardown);

/* Refused in words that name the path, the reason and what to do, and left as it was. */
static void assert_refused(bool read_only, const char *reason)
{
	long size = sx_size(sx.db);

	cr_assert_lt(sx_try_open(read_only), 0);
	cr_expect(sx_err_has(sx.db), "%s", sx.err.text);
	cr_expect(sx_err_has(reason), "%s", sx.err.text);
	cr_expect(sx_err_has("local disk"), "%s", sx.err.text);
	cr_expect_not(sx_err_has("damaged"), "%s", sx.err.text);
	cr_expect_eq(sx_size(sx.db), size);
}

Test(store_place, without_shared_memory_is_refused_with_the_reason)
{
	fault_system_be(FAULT_PLACE_NO_MAPPING);
	assert_refused(false, "No such device");
	assert_refused(true, "No such device");
	fault_system_be(FAULT_PLACE_SOUND);
	sx_open(false);
}

Test(store_place, without_locks_is_refused_with_the_reason)
{
	fault_system_be(FAULT_PLACE_NO_LOCKS);
	assert_refused(false, "not supported");
	assert_refused(true, "not supported");
	fault_system_be(FAULT_PLACE_SOUND);
	sx_open(false);
}

/* A VFS that has neither: what is in rollback mode cannot leave it, what is not cannot be read. */
Test(store_place, without_a_write_ahead_log_is_refused_with_the_reason)
{
	sqlite3_vfs *plain = sqlite3_vfs_find(NULL);

	cr_assert_eq(sqlite3_vfs_register(sqlite3_vfs_find("unix-dotfile"), 1), SQLITE_OK);
	assert_refused(false, "unable to open");
	assert_refused(true, "unable to open");
	cr_assert_eq(sqlite3_vfs_register(plain, 1), SQLITE_OK);
	sx_sql(NULL, "PRAGMA journal_mode = DELETE");
	cr_assert_eq(sqlite3_vfs_register(sqlite3_vfs_find("unix-dotfile"), 1), SQLITE_OK);
	assert_refused(false, "journal mode stays 'delete'");
	cr_assert_eq(sqlite3_vfs_register(plain, 1), SQLITE_OK);
	cr_assert_str_eq(sx_text("PRAGMA journal_mode"), "delete");
}

/* What makes workspaces refuses such a place, too, in one line, and leaves nothing there. */

static size_t files_in_dir(void)
{
	DIR *dir = opendir(sx.dir);
	size_t n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int make_new(const char *to)
{
	const struct cairn_init_options options = { 0 };

	return cairn_sqlite_store_init(to, &options, &sx.err);
}

static int clone_to_new(const char *to)
{
	const struct cairn_clone_options options = { 0 };
	struct cairn_clone_result result;

	return cairn_clone(sx.db, to, &options, &result, &sx.err);
}

static int restore_to_new(const char *to)
{
	const struct cairn_clone_options options = { 0 };
	struct cairn_restore_result result;

	return cairn_restore(sx.db, to, &options, &result, &sx.err);
}

static void assert_not_made(const char *reason)
{
	static int (*const makers[])(const char *to) = { make_new, clone_to_new, restore_to_new };
	const char *to = sx_path("new.db");
	size_t files = files_in_dir();

	for (size_t i = 0; i < ARRAY_SIZE(makers); i++) {
		sx.err.text[0] = '\0';
		cr_expect_lt(makers[i](to), 0);
		cr_expect(sx_err_has(to), "%s", sx.err.text);
		cr_expect(sx_err_has(reason), "%s", sx.err.text);
		cr_expect(sx_err_has("local disk"), "%s", sx.err.text);
		cr_expect_null(strchr(sx.err.text, '\n'), "%s", sx.err.text);
		cr_expect_eq(files_in_dir(), files);
	}
}

Test(store_place, without_shared_memory_nothing_is_made)
{
	fault_system_be(FAULT_PLACE_NO_MAPPING);
	assert_not_made("No such device");
}

Test(store_place, without_locks_nothing_is_made)
{
	fault_system_be(FAULT_PLACE_NO_LOCKS);
	assert_not_made("not supported");
}

Test(store_place, without_a_write_ahead_log_nothing_is_made)
{
	sqlite3_vfs *plain = sqlite3_vfs_find(NULL);

	cr_assert_eq(sqlite3_vfs_register(sqlite3_vfs_find("unix-dotfile"), 1), SQLITE_OK);
	assert_not_made("journal mode stays 'delete'");
	cr_assert_eq(sqlite3_vfs_register(plain, 1), SQLITE_OK);
}

/* Another file at the path of one that is open. */

static void copy(const char *from, const char *to)
{
	char command[4 * PATH_MAX];

	snprintf(command, sizeof(command), "cp '%s' '%s'", from, to);
	cr_assert_eq(system(command), 0);
}

static bool same_bytes(const char *a, const char *b)
{
	char command[4 * PATH_MAX];

	snprintf(command, sizeof(command), "cmp -s '%s' '%s'", a, b);
	return system(command) == 0;
}

/* Opens sx.db with an entry "ours" in its log, and puts another workspace in its place. What was
 * there is original.db now, what is there is the same as twin.db. */
static void open_and_replace(bool read_only)
{
	char own[sizeof(sx.db)];

	strcpy(own, sx.db);
	snprintf(sx.db, sizeof(sx.db), "%s/stranger.db", sx.dir);
	sx_make();
	sx_sql(NULL, "INSERT INTO kv_store (key, value) VALUES ('whose', 'theirs')");
	strcpy(sx.db, own);
	copy(sx_path("stranger.db"), sx_path("twin.db"));

	sx_open(false);
	sx_commit(cr_assert_eq(sx_put("ours", 1), 0));
	if (read_only) {
		sx_close();
		sx_open(true);
	}
	cr_assert_eq(rename(sx.db, sx_path("original.db")), 0);
	cr_assert_eq(rename(sx_path("stranger.db"), sx.db), 0);
}

static void return_original(void)
{
	cr_assert_eq(rename(sx_path("original.db"), sx.db), 0);
}

/* Whoever opened it would take the log beside the path for its own. */
Test(store_place, another_file_at_the_path_is_not_opened_for_reading)
{
	struct cairn_reader *reader = NULL;
	struct cairn_kv *kv = NULL;

	open_and_replace(false);
	cr_expect_eq(OPS->present(sx.store), -EIO);
	cr_expect_eq(OPS->reader_open(sx.store, &reader), -EIO);
	cr_expect_eq(cairn_kv_open(sx.store, 0, false, &kv), -EIO);
	OPS->reader_rest(sx.reader);
	cr_expect(sx_has_entry("ours"));
	cr_expect(same_bytes(sx.db, sx_path("twin.db")));

	return_original();
	cr_expect_eq(OPS->present(sx.store), 0);
	cr_assert_eq(OPS->reader_open(sx.store, &reader), 0);
	OPS->reader_close(reader);
	cr_expect(sx_has_entry("ours"));
}

Test(store_place, another_file_at_the_path_is_left_alone_at_the_end)
{
	open_and_replace(false);
	sx_close();
	cr_expect(same_bytes(sx.db, sx_path("twin.db")));
	cr_expect_gt(sx_size(sx_path("work.db-wal")), 0);
	return_original();
	sx_open(false);
	cr_expect(sx_has_entry("ours"));
}

/* It has a log of its own by then, with nothing in it that a reader might need. */
Test(store_place, another_file_at_the_path_of_a_read_only_store_is_left_alone_at_the_end)
{
	open_and_replace(true);
	cr_assert_eq(close(open(sx_path("work.db-wal"), O_CREAT | O_TRUNC | O_WRONLY, 0644)), 0);
	sx_close();
	cr_expect(same_bytes(sx.db, sx_path("twin.db")));
	cr_expect(sx_exists("work.db-wal"));
}
