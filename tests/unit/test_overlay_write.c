/* What a change over a base stores, and that nothing of it is lost or comes back. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "overlay_fixture.h"
#include <nettle/sha2.h>

TestSuite(overlay_write, .init = of_setup, .fini = cf_teardown);

#define CHUNKS "SELECT COUNT(*) FROM fs_data"

static int64_t number(const char *sql)
{
	cf_settle();
	return cf_number(cf.db, sql);
}

/* With files of one byte copied whole: all others in part. */
static void copy_in_part(void)
{
	cf_close();
	cf.copy_whole = 1;
	cf_open();
}

static void expect_big(uint64_t ino, size_t from, size_t to)
{
	unsigned char bytes[OF_BIG_SIZE];

	cr_assert_eq(cairn_core_read(cf.core, ino, bytes, to - from, (off_t)from), to - from);
	for (size_t i = from; i < to; i++)
		cr_assert_eq(bytes[i - from], of_big_byte(i), "byte %zu", i);
}

Test(overlay_write, chmod_copies_no_data)
{
	uint64_t file = of_find("file");
	struct cairn_attr before = cf_attr(file), after;

	CF_OK(of_chmod(file, 0600));
	cr_expect_eq(number(CHUNKS), 0);
	cr_expect_eq(number("SELECT data_end FROM cairn_origin WHERE base_path = '/file'"), -1);
	cr_expect_eq(number("SELECT COUNT(*) FROM fs_inode"), 2);
	cf_reopen();
	after = cf_attr(of_find("file"));
	cr_expect_eq(after.ino, file);
	cr_expect_eq(after.mode, S_IFREG | 0600);
	cr_expect_eq(after.uid, before.uid);
	cr_expect_eq(after.gid, before.gid);
	cr_expect_eq(after.mtime.tv_sec, before.mtime.tv_sec);
	cr_expect_eq(after.mtime.tv_nsec, before.mtime.tv_nsec);
	cr_expect_eq(after.atime.tv_nsec, before.atime.tv_nsec);
	cr_expect(of_holds_text(file, "base file"));
}

Test(overlay_write, attributes_come_along)
{
	uint64_t file = of_find("file");
	char value[8];

	CF_OK(cairn_core_setxattr(cf.core, file, "user.more", "1", 1, 0));
	cr_expect_eq(number("SELECT COUNT(*) FROM cairn_xattr"), 2);
	cf_reopen();
	file = of_find("file");
	cr_expect_eq(cairn_core_getxattr(cf.core, file, "user.color", value, 8), 4);
	CF_OK(cairn_core_removexattr(cf.core, file, "user.color"));
	cf_settle();
	cf_reopen();
	cr_expect_eq(cairn_core_getxattr(cf.core, of_find("file"), "user.color", value, 8),
		     -ENODATA);
}

Test(overlay_write, small_file_is_copied_whole_with_its_digest)
{
	unsigned char digest[32], bytes[OF_BIG_SIZE];
	struct sha256_ctx sha;
	char sql[160], *p;

	CF_OK(cf_write(of_find("big"), "x", 1, 500));
	cr_expect_eq(number(CHUNKS), (OF_BIG_SIZE + OF_CHUNK - 1) / OF_CHUNK);
	cr_expect_eq(number("SELECT data_end FROM cairn_origin WHERE base_path = '/big'"), 0);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = of_big_byte(i);
	sha256_init(&sha);
	sha256_update(&sha, sizeof(bytes), bytes);
	sha256_digest(&sha, sizeof(digest), digest);
	p = sql + sprintf(sql, "SELECT digest = x'");
	for (size_t i = 0; i < sizeof(digest); i++)
		p += sprintf(p, "%02x", digest[i]);
	strcpy(p, "' FROM cairn_seen WHERE path = '/big'");
	cr_expect_eq(number(sql), 1);
	/* It owes the base nothing any more. */
	of_change_base("DELETE FROM fs_data");
	expect_big(of_find("big"), 0, 500);
	expect_big(of_find("big"), 501, OF_BIG_SIZE);
}

Test(overlay_write, of_a_large_file_only_the_chunks_are_stored)
{
	uint64_t big;

	copy_in_part();
	big = of_find("big");
	CF_OK(cf_write(big, "x", 1, 500));
	cr_expect_eq(number(CHUNKS), 1);
	cr_expect_eq(number("SELECT data_end FROM cairn_origin WHERE base_path = '/big'"),
		     OF_BIG_SIZE);
	expect_big(big, 0, 500);
	expect_big(big, 501, OF_BIG_SIZE);
	cf_reopen();
	cr_expect_eq(of_find("big"), big);
	expect_big(big, 0, 500);
	expect_big(big, 501, OF_BIG_SIZE);
}

Test(overlay_write, truncation_copies_nothing)
{
	uint64_t file = of_find("file");

	CF_OK(cf_truncate(file, 0));
	cr_expect_eq(number(CHUNKS), 0);
	cr_expect_eq(cf_attr(file).size, 0);
	CF_OK(cf_truncate(file, 20));
	cf_settle();
	cf_reopen();
	cr_expect(cf_holds(of_find("file"), "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20));
}

Test(overlay_write, what_was_cut_off_does_not_come_back)
{
	unsigned char bytes[OF_BIG_SIZE];
	uint64_t big;

	copy_in_part();
	big = of_find("big");
	CF_OK(cf_truncate(big, 300));
	cf_settle();
	CF_OK(cf_truncate(big, 900));
	cr_expect_eq(number("SELECT data_end FROM cairn_origin WHERE base_path = '/big'"),
		     320); /* whole chunks */
	cf_reopen();
	big = of_find("big");
	expect_big(big, 0, 300);
	cr_assert_eq(cairn_core_read(cf.core, big, bytes, sizeof(bytes), 300), 600);
	for (size_t i = 0; i < 600; i++)
		cr_assert_eq(bytes[i], 0, "byte %zu", i + 300);
}

Test(overlay_write, what_is_cut_off_after_a_change_does_not_come_back)
{
	unsigned char bytes[OF_BIG_SIZE];
	uint64_t big;

	copy_in_part();
	big = of_find("big");
	CF_OK(cf_write(big, "x", 1, 0));
	cf_settle();
	CF_OK(cf_truncate(big, 2L * OF_CHUNK));
	cf_settle();
	CF_OK(cf_truncate(big, OF_BIG_SIZE));
	cf_settle();
	cf_reopen();
	big = of_find("big");
	expect_big(big, 1, (size_t)2 * OF_CHUNK);
	cr_assert_gt(cairn_core_read(cf.core, big, bytes, sizeof(bytes), 2L * OF_CHUNK), 0);
	for (size_t i = 0; i < OF_BIG_SIZE - (size_t)2 * OF_CHUNK; i++)
		cr_assert_eq(bytes[i], 0);
}

Test(overlay_write, hole_hides_the_bytes_of_the_base)
{
	unsigned char bytes[OF_BIG_SIZE];
	uint64_t big;
	off_t at;

	copy_in_part();
	big = of_find("big");
	CF_OK(cairn_core_fallocate(cf.core, &cf_caller, big,
				   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4L * OF_CHUNK));
	cr_expect_eq(number("SELECT COUNT(*) FROM fs_data WHERE LENGTH(data) = 0"), 4);
	cf_reopen();
	big = of_find("big");
	cr_assert_eq(cairn_core_read(cf.core, big, bytes, sizeof(bytes), 0), OF_BIG_SIZE);
	for (size_t i = 0; i < (size_t)4 * OF_CHUNK; i++)
		cr_assert_eq(bytes[i], 0);
	expect_big(big, (size_t)4 * OF_CHUNK, OF_BIG_SIZE);
	CF_OK(cairn_core_lseek(cf.core, big, 0, SEEK_DATA, &at));
	cr_expect_eq(at, 4 * OF_CHUNK);
	cr_expect_eq(cf_attr(big).allocated, OF_BIG_SIZE - 4 * OF_CHUNK);
}

Test(overlay_write, holes_of_the_base_stay_holes)
{
	uint64_t holed = of_find("holed");
	off_t at;

	cr_expect_eq(cf_attr(holed).allocated, OF_CHUNK + 1);
	CF_OK(cf_write(holed, "z", 1, 5L * OF_CHUNK));
	cr_expect_eq(number(CHUNKS), 3);
	cf_reopen();
	holed = of_find("holed");
	CF_OK(cairn_core_lseek(cf.core, holed, OF_CHUNK, SEEK_DATA, &at));
	cr_expect_eq(at, 5 * OF_CHUNK);
}

Test(overlay_write, file_grows_over_its_end_in_the_base)
{
	uint64_t big;

	copy_in_part();
	big = of_find("big");
	CF_OK(cf_write(big, "end", 3, OF_BIG_SIZE));
	cf_settle();
	cf_reopen();
	big = of_find("big");
	cr_expect_eq(cf_attr(big).size, OF_BIG_SIZE + 3);
	expect_big(big, 0, OF_BIG_SIZE);
	cr_expect_leq(number(CHUNKS), 2);
}

Test(overlay_write, hard_links_of_the_base_stay_one_file)
{
	uint64_t one = of_find("one");

	cr_expect_eq(of_find("two"), one);
	cr_expect_eq(cf_attr(one).nlink, 2);
	CF_OK(cf_write(one, "TWO", 3, 0));
	cf_settle();
	cf_reopen();
	cr_expect_eq(of_find("one"), one);
	cr_expect_eq(of_find("two"), one);
	cr_expect(of_holds_text(of_find("two"), "TWO names"));
	CF_OK(cairn_core_unlink(cf.core, CF_ROOT, "one"));
	cf_settle();
	cf_reopen();
	cr_expect_eq(of_try("one", NULL), -ENOENT);
	cr_expect(of_holds_text(of_find("two"), "TWO names"));
	cr_expect_eq(cf_attr(of_find("two")).nlink, 1);
	CF_OK(cairn_core_unlink(cf.core, CF_ROOT, "two"));
	cf_settle();
	cr_expect_eq(number("SELECT COUNT(*) FROM cairn_origin WHERE delta_ino <> 1"), 0);
	cf_reopen();
	cr_expect_eq(of_try("two", NULL), -ENOENT);
}

Test(overlay_write, renamed_directory_keeps_its_contents_and_copies_none)
{
	for (int i = 0; i < 2; i++) {
		CF_OK(cairn_core_rename(cf.core, CF_ROOT, i ? "moved" : "dir", CF_ROOT,
					i ? "again" : "moved", 0));
		cf_settle();
		cf_reopen();
	}
	cr_expect(of_holds_text(of_find("again/sub/deep"), "deep"));
	cr_expect_eq(cf_count(of_find("again")), 3);
	cr_expect_eq(of_try("dir", NULL), -ENOENT);
	cr_expect_eq(of_try("moved", NULL), -ENOENT);
	cr_expect_eq(number("SELECT COUNT(*) FROM fs_inode"), 2);
	/* Changes below it are kept with it. */
	CF_OK(cairn_core_unlink(cf.core, of_find("again"), "a"));
	CF_OK(cf_write(of_find("again/sub/deep"), "DEEP", 4, 0));
	cf_settle();
	cf_reopen();
	cr_expect_eq(of_try("again/a", NULL), -ENOENT);
	cr_expect(of_holds_text(of_find("again/sub/deep"), "DEEP"));
}

Test(overlay_write, nothing_comes_back_into_a_directory_that_was_made_again)
{
	uint64_t dir = of_find("empty");

	CF_OK(cairn_core_rename(cf.core, CF_ROOT, "empty", CF_ROOT, "dir2", 0));
	CF_OK(cairn_core_rename(cf.core, CF_ROOT, "dir", CF_ROOT, "away", 0));
	cf_mkdir(CF_ROOT, "dir");
	cf_settle();
	cr_expect_eq(cf_count(of_find("dir")), 0);
	cf_reopen();
	cr_expect_eq(cf_count(of_find("dir")), 0);
	cr_expect_eq(cf_count(of_find("away")), 3);
	cr_expect_eq(of_find("dir2"), dir);
	CF_OK(cairn_core_rmdir(cf.core, CF_ROOT, "dir"));
	cf_settle();
	cr_expect_eq(of_try("dir", NULL), -ENOENT);
	cf_mkdir(CF_ROOT, "dir");
	cf_file(of_find("dir"), "a");
	cf_settle();
	cf_reopen();
	cr_expect_str_eq(cf_list(of_find("dir")), "a/");
	cr_expect(of_holds_text(of_find("dir/a"), ""));
}

Test(overlay_write, deleted_and_made_again_in_one_batch)
{
	uint64_t dir = of_find("dir");

	cf_file(CF_ROOT, "first"); /* to reserve numbers ends a batch */
	CF_OK(cairn_core_unlink(cf.core, of_find("dir/sub"), "deep"));
	CF_OK(cairn_core_rmdir(cf.core, dir, "sub"));
	CF_OK(cairn_core_unlink(cf.core, dir, "a"));
	CF_OK(cairn_core_unlink(cf.core, dir, "b"));
	CF_OK(cairn_core_rmdir(cf.core, CF_ROOT, "dir"));
	cf_file(cf_mkdir(CF_ROOT, "dir"), "b");
	CF_OK(cairn_core_unlink(cf.core, CF_ROOT, "file"));
	cf_mkdir(CF_ROOT, "file");
	cf_settle();
	cr_expect_str_eq(cf_list(of_find("dir")), "b/");
	cf_reopen();
	cr_expect_str_eq(cf_list(of_find("dir")), "b/");
	cr_expect_eq(cf_count(of_find("file")), 0);
}

Test(overlay_write, an_unlinked_file_that_is_open_goes_on)
{
	struct cairn_attr attr;

	CF_OK(cairn_core_lookup(cf.core, CF_ROOT, "big", &attr));
	CF_OK(cairn_core_unlink(cf.core, CF_ROOT, "big"));
	cf_settle();
	expect_big(attr.ino, 0, OF_BIG_SIZE);
	CF_OK(cf_write(attr.ino, "x", 1, 0));
	cf_settle();
	expect_big(attr.ino, 1, OF_BIG_SIZE);
	cairn_core_forget(cf.core, attr.ino, 1);
	cr_expect_eq(number("SELECT COUNT(*) FROM fs_data"), 0);
	cr_expect_eq(number("SELECT COUNT(*) FROM cairn_origin WHERE base_path = '/big'"), 0);
	/* And after a crash it is reaped. */
	CF_OK(cairn_core_lookup(cf.core, CF_ROOT, "one", &attr));
	CF_OK(cairn_core_unlink(cf.core, CF_ROOT, "one"));
	CF_OK(cairn_core_unlink(cf.core, CF_ROOT, "two"));
	cf_settle();
	cf_crash_copy();
	cf_close();
	cf_switch_to_crash();
	cf_open();
	cf_settle();
	cr_expect_eq(number("SELECT COUNT(*) FROM cairn_orphan"), 0);
	cr_expect_eq(number("SELECT COUNT(*) FROM cairn_origin WHERE base_path = '/one'"), 0);
}

Test(overlay_write, file_that_only_changed_its_mode_follows_its_data_in_the_base)
{
	uint64_t file = of_find("file"), big = of_find("big");
	struct cairn_attr to = { .mtime = { 12345, 678 } }, attr;

	CF_OK(of_chmod(file, 0600));
	CF_OK(cairn_core_setattr(cf.core, &cf_caller, big, CAIRN_SET_MTIME, &to, &attr));
	cf_settle();
	of_change_base("UPDATE fs_data SET data = 'more in the base' WHERE data = CAST('base file' "
		       "AS BLOB);"
		       "UPDATE fs_inode SET size = 16, mtime = 2000000000 WHERE mode = 33184;"
		       "UPDATE fs_inode SET size = 500, mtime = 2000000000 WHERE size = 1000");
	cr_expect_eq(cf_attr(file).mode, S_IFREG | 0600);
	cr_expect_eq(cf_attr(file).mtime.tv_sec, 2000000000);
	cr_expect(of_holds_text(file, "more in the base"));
	cr_expect_eq(cf_attr(big).size, 500);
	cr_expect_eq(cf_attr(big).mtime.tv_sec, 12345); /* set here */
	cf_reopen();
	cr_expect(of_holds_text(of_find("file"), "more in the base"));
}

Test(overlay_write, changed_files_are_kept_when_the_base_changes)
{
	uint64_t file = of_find("file");

	CF_OK(cf_write(file, "BRANCH", 6, 0));
	CF_OK(cairn_core_unlink(cf.core, CF_ROOT, "big"));
	cf_settle();
	of_change_base("UPDATE fs_data SET data = 'changed in base'; "
		       "UPDATE fs_inode SET size = 15 WHERE mode & 61440 = 32768; "
		       "DELETE FROM fs_dentry WHERE name = 'dir'");
	cr_expect(of_holds_text(file, "BRANCHile"));
	cr_expect_eq(of_try("big", NULL), -ENOENT);
	cr_expect_eq(of_try("dir", NULL), -ENOENT);
	cr_expect(of_holds_text(of_find("one"), "changed in base"));
}

/* Between a change and its commit the base loses the file. */
Test(overlay_write, data_outlive_their_file_in_the_base)
{
	uint64_t deep = of_find("dir/sub/deep"), b = of_find("dir/b");

	CF_OK(cf_write(deep, "kept bytes", 10, 0));
	CF_OK(of_chmod(b, 0600));
	cf_sql(cf.base, "DELETE FROM fs_dentry WHERE name IN ('dir', 'sub', 'deep', 'b');"
			"DELETE FROM fs_inode WHERE ino NOT IN (SELECT ino FROM fs_dentry) "
			"AND ino <> 1");
	cf_settle();
	cf_reopen();
	cr_expect(of_holds_text(of_find("dir/sub/deep"), "kept bytes"));
	cr_expect_eq(of_try("dir/b", NULL), -ENOENT);
	cr_expect(cf_log_has("gone from the base"));
}

Test(overlay_write, what_is_made_in_a_directory_outlives_it_in_the_base)
{
	cf_file(of_find("dir/sub"), "new");
	CF_OK(cf_write_text(of_find("dir/sub/new"), "kept"));
	cf_sql(cf.base, "DELETE FROM fs_dentry WHERE name IN ('dir', 'sub');"
			"DELETE FROM fs_inode WHERE ino NOT IN (SELECT ino FROM fs_dentry) "
			"AND ino <> 1");
	cf_settle();
	cf_reopen();
	cr_expect(of_holds_text(of_find("dir/sub/new"), "kept"));
}

#define LOSE(names)                                                                                \
	"DELETE FROM fs_dentry WHERE name IN (" names ");"                                         \
	"DELETE FROM fs_inode WHERE ino NOT IN (SELECT ino FROM fs_dentry) AND ino <> 1"

/* Bytes and a new name, in whichever order they are stored. */
Test(overlay_write, renamed_and_written_and_lost_from_the_base_has_its_new_name_alone)
{
	uint64_t file = of_find("file"), deep = of_find("dir/sub/deep");
	struct cairn_attr attr = { 0 };

	CF_OK(cf_write(file, "kept byte", 9, 0));
	CF_OK(cairn_core_rename(cf.core, CF_ROOT, "file", CF_ROOT, "renamed", 0));
	CF_OK(cairn_core_rename(cf.core, of_find("dir/sub"), "deep", CF_ROOT, "moved", 0));
	CF_OK(cf_write(deep, "kept", 4, 0));
	cf_sql(cf.base, LOSE("'file', 'deep'"));
	cf_settle();
	cf_reopen();
	cr_expect(of_holds_text(of_find("renamed"), "kept byte"));
	cr_expect(of_holds_text(of_find("moved"), "kept"));
	CF_OK(of_try("renamed", &attr));
	cr_expect_eq(attr.nlink, 1);
	cr_expect_eq(of_try("file", NULL), -ENOENT);
	cr_expect_eq(of_try("dir/sub/deep", NULL), -ENOENT);
}

/* It stays as long as it is in use, and leaves nothing behind. */
Test(overlay_write, deleted_in_use_and_lost_from_the_base_has_no_name)
{
	uint64_t file = of_find("file");
	struct cairn_attr pinned;

	CF_OK(cairn_core_lookup(cf.core, CF_ROOT, "file", &pinned));
	CF_OK(cf_write(file, "kept byte", 9, 0));
	CF_OK(cairn_core_unlink(cf.core, CF_ROOT, "file"));
	cf_sql(cf.base, LOSE("'file'"));
	cf_settle();
	cr_expect(of_holds_text(file, "kept byte"));
	cr_expect_eq(number("SELECT COUNT(*) FROM fs_dentry"), 0);
	cr_expect_eq(cf_broken_rules(cf.db), 0);
	cairn_core_forget(cf.core, file, 1);
	cr_expect_eq(number("SELECT COUNT(*) FROM fs_inode"), 1);
}

/* The new name cannot be made; what it was to replace went with the rename. */
Test(overlay_write, renamed_over_another_and_lost_from_the_base_leaves_no_entry_without_an_inode)
{
	cf_file(CF_ROOT, "own");
	cf_settle();
	CF_OK(cairn_core_rename(cf.core, CF_ROOT, "file", CF_ROOT, "own", 0));
	cf_sql(cf.base, "DELETE FROM fs_dentry WHERE name = 'file';"
			"DELETE FROM fs_inode WHERE ino NOT IN (SELECT ino FROM fs_dentry) "
			"AND ino <> 1");
	cf_settle();
	CF_OK(cairn_core_refresh(cf.core));
	cr_expect_eq(of_try("file", NULL), -ENOENT);
	cr_expect_eq(of_try("own", NULL), -ENOENT);
	cf_reopen();
	cr_expect_eq(of_try("own", NULL), -ENOENT);
}

/* A file that was changed in part cannot be read without its base, and says so. */
Test(overlay_write, bytes_that_the_base_has_lost_are_an_error_and_no_zeros)
{
	char buf[OF_BIG_SIZE];
	uint64_t big;

	copy_in_part();
	big = of_find("big");
	CF_OK(cf_write(big, "x", 1, 500));
	cf_settle();
	of_change_base("DELETE FROM fs_dentry WHERE name = 'big'");
	cr_expect_eq(cairn_core_read(cf.core, big, buf, 10, 0), -EIO);
	cr_expect_eq(cairn_core_read(cf.core, big, buf, 64, 448), 64);
	cr_expect_eq(buf[52], 'x');
	cr_expect(cf_log_has("gone from the base"));
}

Test(overlay_write, notes_what_was_seen_where_it_changes_hides_or_replaces)
{
	cf_file(CF_ROOT, "new"); /* first: to reserve numbers ends a batch */
	CF_OK(of_chmod(of_find("file"), 0600));
	CF_OK(cairn_core_unlink(cf.core, CF_ROOT, "big"));
	CF_OK(cairn_core_unlink(cf.core, CF_ROOT, "link"));
	CF_OK(cairn_core_unlink(cf.core, CF_ROOT, "holed"));
	cf_file(CF_ROOT, "holed");
	cf_settle();
	cr_expect_eq(number("SELECT mode FROM cairn_seen WHERE path = '/file'"), S_IFREG | 0640);
	cr_expect_eq(number("SELECT size FROM cairn_seen WHERE path = '/big'"), OF_BIG_SIZE);
	cr_expect_eq(number("SELECT target = 'file' FROM cairn_seen WHERE path = '/link'"), 1);
	cr_expect_eq(number("SELECT LENGTH(digest) FROM cairn_seen WHERE path = '/holed'"), 32);
	cr_expect_eq(number("SELECT COUNT(*) FROM cairn_seen WHERE path = '/new'"), 0);
	cr_expect_eq(number("SELECT COUNT(*) FROM fs_whiteout"), 2);
}

Test(overlay_write, agentfs_finds_the_parents_of_what_was_copied_up)
{
	CF_OK(of_chmod(of_find("dir/sub/deep"), 0600));
	cf_settle();
	cr_expect_eq(number("SELECT COUNT(*) FROM fs_dentry AS d JOIN fs_dentry AS s ON "
			    "s.parent_ino = d.ino JOIN fs_dentry AS f ON f.parent_ino = s.ino "
			    "WHERE d.parent_ino = 1 AND d.name = 'dir' AND s.name = 'sub' "
			    "AND f.name = 'deep'"),
		     1);
	cr_expect_eq(number("SELECT COUNT(*) FROM fs_origin"), 3);
}

Test(overlay_write, what_others_change_in_the_branch_is_seen)
{
	uint64_t file = of_find("file");

	CF_OK(of_chmod(file, 0600));
	cf_settle();
	cf_sql(cf.db, "INSERT INTO fs_whiteout (path, parent_path, created_at) VALUES "
		      "('/big', '/', 1); UPDATE fs_inode SET mode = 33261 WHERE ino = "
		      "(SELECT delta_ino FROM cairn_origin WHERE base_path = '/file')");
	CF_OK(cairn_core_refresh(cf.core));
	cr_expect_eq(of_try("big", NULL), -ENOENT);
	cr_expect_eq(cf_attr(of_find("file")).mode, S_IFREG | 0755);
	/* Reset by another process: the base's again. */
	cf_sql(cf.db, "DELETE FROM fs_whiteout; DELETE FROM fs_dentry; DELETE FROM fs_inode WHERE "
		      "ino <> 1; DELETE FROM cairn_origin; DELETE FROM fs_origin");
	CF_OK(cairn_core_refresh(cf.core));
	cr_expect_eq(cf_attr(of_find("file")).mode, S_IFREG | 0640);
	cr_expect_eq(of_find("file"), file);
	cr_expect_eq(of_try("big", NULL), 0);
}
