/* What is written is read back: one test for each kind of row and each rule of the format. */
#include <string.h>
#include <sys/stat.h>

#include "store_fixture.h"

TestSuite(store_rows, .init = sx_setup_open, .fini = sx_teardown);

#define OPS (sx.store->ops)

static void expect_attr_eq(const struct cairn_attr *a, const struct cairn_attr *b)
{
	cr_expect_eq(a->ino, b->ino);
	cr_expect_eq(a->mode, b->mode);
	cr_expect_eq(a->nlink, b->nlink);
	cr_expect_eq(a->uid, b->uid);
	cr_expect_eq(a->gid, b->gid);
	cr_expect_eq(a->rdev, b->rdev);
	cr_expect_eq(a->size, b->size);
	cr_expect_eq(a->atime.tv_sec, b->atime.tv_sec);
	cr_expect_eq(a->atime.tv_nsec, b->atime.tv_nsec);
	cr_expect_eq(a->mtime.tv_sec, b->mtime.tv_sec);
	cr_expect_eq(a->mtime.tv_nsec, b->mtime.tv_nsec);
	cr_expect_eq(a->ctime.tv_sec, b->ctime.tv_sec);
	cr_expect_eq(a->ctime.tv_nsec, b->ctime.tv_nsec);
}

static void put_name(const char *name, size_t len, uint64_t id, uint64_t ino)
{
	sx_commit(cr_assert_eq(OPS->dentry_put(sx.store, 1, name, len, id, ino), 0));
}

Test(store_rows, inode_reads_back_whole)
{
	struct cairn_attr attr = sx_attr(7, S_IFCHR | 06755), got = { 0 };

	attr.rdev = 0x1234567890;
	attr.uid = UINT32_MAX;
	attr.size = CAIRN_FILE_SIZE_MAX;
	sx_commit(cr_assert_eq(OPS->inode_insert(sx.store, &attr), 0));
	cr_assert_eq(OPS->inode_get(sx.reader, 7, &got), 0);
	expect_attr_eq(&got, &attr);

	attr.mode = S_IFREG | 0600;
	attr.nlink = 0;
	attr.size = 0;
	attr.ctime.tv_nsec = 999999999;
	sx_commit(cr_assert_eq(OPS->inode_update(sx.store, &attr), 0));
	cr_assert_eq(OPS->inode_get(sx.reader, 7, &got), 0);
	expect_attr_eq(&got, &attr);
}

/* sqlite3(1) and AgentFS find each value in its own column. */
Test(store_rows, columns_of_an_inode_are_not_mixed_up)
{
	struct cairn_attr attr = sx_attr(7, S_IFREG | 0644);

	attr.rdev = 5;
	sx_commit(cr_assert_eq(OPS->inode_insert(sx.store, &attr), 0));
	cr_assert_str_eq(
		sx_text("SELECT ino || ' ' || mode || ' ' || nlink || ' ' || uid || ' ' || gid "
			"|| ' ' || size || ' ' || rdev || ' ' || atime || ' ' || atime_nsec "
			"|| ' ' || mtime || ' ' || mtime_nsec || ' ' || ctime || ' ' || "
			"ctime_nsec FROM fs_inode WHERE ino = 7"),
		"7 33188 1 1000 1001 12345 5 1700000001 11 1700000002 22 1700000003 33");
}

Test(store_rows, missing_rows_are_enoent)
{
	struct cairn_dentry_row row;
	struct cairn_attr attr = sx_attr(99, S_IFREG);
	char *target;
	void *value;
	size_t len;

	cr_assert_eq(OPS->inode_get(sx.reader, 99, &attr), -ENOENT);
	cr_assert_eq(OPS->dentry_get(sx.reader, 1, "no", 2, &row), -ENOENT);
	cr_assert_eq(OPS->symlink_get(sx.reader, 99, &target), -ENOENT);
	cr_assert_eq(OPS->xattr_get(sx.reader, 99, "user.a", &value, &len), -ENOENT);
	sx_commit(cr_assert_eq(OPS->inode_update(sx.store, &attr), -ENOENT));
}

Test(store_rows, deleting_what_is_not_there_succeeds)
{
	sx_commit(cr_assert_eq(OPS->inode_delete(sx.store, 99, S_IFREG), 0);
		  cr_assert_eq(OPS->dentry_delete(sx.store, 1, "no", 2), 0);
		  cr_assert_eq(OPS->data_delete(sx.store, 99, 0), 0);
		  cr_assert_eq(OPS->data_cut(sx.store, 99, 0), 0);
		  cr_assert_eq(OPS->xattr_delete(sx.store, 99, "user.a"), 0));
}

Test(store_rows, numbers_from_2_to_the_63_up_are_refused)
{
	struct cairn_attr attr = sx_attr((uint64_t)INT64_MAX + 1, S_IFREG);

	cr_assert_eq(OPS->inode_get(sx.reader, attr.ino, &attr), -EINVAL);
	cr_assert_eq(OPS->begin(sx.store), 0);
	cr_assert_eq(OPS->inode_insert(sx.store, &attr), -EINVAL);
}

Test(store_rows, inode_of_a_number_in_use_is_refused)
{
	struct cairn_attr attr = sx_attr(1, S_IFREG);

	cr_assert_eq(OPS->begin(sx.store), 0);
	cr_assert_eq(OPS->inode_insert(sx.store, &attr), -EIO);
	cr_assert(sx_log_has("UNIQUE"));
}

Test(store_rows, times_before_1970_are_stored_as_zero)
{
	struct cairn_attr attr = sx_attr(7, S_IFREG | 0644), got = { 0 };

	attr.atime = (struct timespec){ -1, 5 };
	attr.mtime = (struct timespec){ INT64_MIN, 999999999 };
	sx_commit(cr_assert_eq(OPS->inode_insert(sx.store, &attr), 0));
	cr_assert_eq(OPS->inode_get(sx.reader, 7, &got), 0);
	cr_assert_eq(got.atime.tv_sec, 0);
	cr_assert_eq(got.atime.tv_nsec, 0);
	cr_assert_eq(got.mtime.tv_sec, 0);
	cr_assert_eq(got.mtime.tv_nsec, 0);
	cr_assert_eq(got.ctime.tv_sec, 1700000003);
}

Test(store_rows, deleting_an_inode_takes_all_that_belongs_to_it)
{
	struct cairn_attr file = sx_attr(7, S_IFREG), link = sx_attr(8, S_IFLNK);

	sx_commit(OPS->inode_insert(sx.store, &file); OPS->inode_insert(sx.store, &link);
		  OPS->data_put(sx.store, 7, 0, "a", 1); OPS->data_put(sx.store, 7, 9, "a", 1);
		  OPS->symlink_put(sx.store, 8, "t"); OPS->xattr_put(sx.store, 7, "user.a", "v", 1);
		  OPS->orphan_put(sx.store, 7); OPS->orphan_put(sx.store, 8));
	sx_commit(cr_assert_eq(OPS->inode_delete(sx.store, 7, file.mode), 0);
		  cr_assert_eq(OPS->inode_delete(sx.store, 8, link.mode), 0));
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM fs_inode"), 1);
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM fs_data"), 0);
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM fs_symlink"), 0);
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM cairn_xattr"), 0);
	cr_assert_eq(sx_number("SELECT COUNT(*) FROM cairn_orphan"), 0);
}

Test(store_rows, entry_reads_back_with_its_inode)
{
	struct cairn_attr attr = sx_attr(7, S_IFREG | 0640);
	struct cairn_dentry_row row = { 0 };

	sx_commit(OPS->inode_insert(sx.store, &attr);
		  cr_assert_eq(OPS->dentry_put(sx.store, 1, "file", 4, 42, 7), 0));
	cr_assert_eq(OPS->dentry_get(sx.reader, 1, "file", 4, &row), 0);
	cr_assert_eq(row.id, 42);
	cr_assert_eq(row.ino, 7);
	cr_assert_null(row.name);
	cr_assert(row.has_attr);
	expect_attr_eq(&row.attr, &attr);
	cr_assert_eq(OPS->dentry_get(sx.reader, 7, "file", 4, &row), -ENOENT);
	cr_assert_eq(OPS->dentry_get(sx.reader, 1, "fil", 3, &row), -ENOENT);
	cr_assert_eq(OPS->dentry_get(sx.reader, 1, "FILE", 4, &row), -ENOENT);
}

Test(store_rows, dangling_entry_has_no_attr)
{
	struct cairn_dentry_row row = { .has_attr = true };
	struct sx_rows rows = { 0 };

	put_name("ghost", 5, 3, 404);
	cr_assert_eq(OPS->dentry_get(sx.reader, 1, "ghost", 5, &row), 0);
	cr_assert_eq(row.ino, 404);
	cr_assert_not(row.has_attr);
	cr_assert_eq(OPS->dentry_scan(sx.reader, 1, true, sx_collect_dentry, &rows), 0);
	cr_assert_not(sx_find(&rows, "ghost")->has_attr);
}

Test(store_rows, putting_an_entry_again_gives_it_the_new_id)
{
	struct cairn_dentry_row row = { 0 };

	put_name("a", 1, 3, 10);
	put_name("a", 1, 4, 11);
	cr_assert_eq(OPS->dentry_get(sx.reader, 1, "a", 1, &row), 0);
	cr_assert_eq(row.id, 4);
	cr_assert_eq(row.ino, 11);
	sx_commit(cr_assert_eq(OPS->dentry_delete(sx.store, 1, "a", 1), 0));
	cr_assert_eq(OPS->dentry_get(sx.reader, 1, "a", 1, &row), -ENOENT);
}

Test(store_rows, names_are_text_when_utf8_and_blob_otherwise)
{
	struct cairn_dentry_row row = { 0 };
	struct sx_rows rows = { 0 };

	put_name("gr\xc3\xbc\xc3\x9f", 6, 1, 10);
	put_name("latin\xe9", 6, 2, 11);
	cr_assert_str_eq(sx_text("SELECT typeof(name) FROM fs_dentry WHERE id = 1"), "text");
	cr_assert_str_eq(sx_text("SELECT typeof(name) FROM fs_dentry WHERE id = 2"), "blob");
	cr_assert_eq(OPS->dentry_get(sx.reader, 1, "latin\xe9", 6, &row), 0);
	cr_assert_eq(row.ino, 11);
	cr_assert_eq(OPS->dentry_scan(sx.reader, 1, false, sx_collect_dentry, &rows), 0);
	cr_assert_eq(rows.count, 2);
	cr_assert_not_null(sx_find(&rows, "latin\xe9"));
	cr_assert_not_null(sx_find(&rows, "gr\xc3\xbc\xc3\x9f"));
	sx_commit(cr_assert_eq(OPS->dentry_delete(sx.store, 1, "latin\xe9", 6), 0));
	cr_assert_eq(OPS->dentry_get(sx.reader, 1, "latin\xe9", 6, &row), -ENOENT);
}

Test(store_rows, scan_lists_one_directory_with_or_without_attributes)
{
	struct cairn_attr attr = sx_attr(7, S_IFREG | 0640);
	struct sx_rows with = { 0 }, without = { 0 };

	sx_commit(OPS->inode_insert(sx.store, &attr); OPS->dentry_put(sx.store, 1, "a", 1, 5, 7);
		  OPS->dentry_put(sx.store, 1, "b", 1, 6, 7);
		  OPS->dentry_put(sx.store, 2, "c", 1, 7, 7));
	cr_assert_eq(OPS->dentry_scan(sx.reader, 1, true, sx_collect_dentry, &with), 0);
	cr_assert_eq(with.count, 2);
	cr_assert_eq(sx_find(&with, "a")->id, 5);
	cr_assert_eq(sx_find(&with, "b")->id, 6);
	expect_attr_eq(&sx_find(&with, "b")->attr, &attr);
	cr_assert_eq(OPS->dentry_scan(sx.reader, 1, false, sx_collect_dentry, &without), 0);
	cr_assert_eq(without.count, 2);
	cr_assert_not(without.rows[0].has_attr);
	cr_assert_eq(without.rows[0].ino, 7);
}

Test(store_rows, scan_ends_with_the_callbacks_result)
{
	struct sx_rows rows = { .stop_at = 2 };

	put_name("a", 1, 1, 7);
	put_name("b", 1, 2, 7);
	put_name("c", 1, 3, 7);
	cr_assert_eq(OPS->dentry_scan(sx.reader, 1, false, sx_collect_dentry, &rows), 7);
	cr_assert_eq(rows.count, 2);
	rows = (struct sx_rows){ 0 };
	cr_assert_eq(OPS->dentry_scan(sx.reader, 1, false, sx_collect_dentry, &rows), 0);
	cr_assert_eq(rows.count, 3);
}

Test(store_rows, entries_of_an_inode_are_counted)
{
	uint32_t count = 0;

	put_name("a", 1, 1, 7);
	put_name("b", 1, 2, 7);
	put_name("c", 1, 3, 8);
	cr_assert_eq(OPS->dentry_count(sx.reader, 7, &count), 0);
	cr_assert_eq(count, 2);
	cr_assert_eq(OPS->dentry_count(sx.reader, 9, &count), 0);
	cr_assert_eq(count, 0);
}

Test(store_rows, symlink_target_is_text_of_any_bytes)
{
	char longest[CAIRN_SYMLINK_MAX + 1] = "", *target = NULL;

	memset(longest, 'x', CAIRN_SYMLINK_MAX);
	sx_commit(cr_assert_eq(OPS->symlink_put(sx.store, 7, "../\xff\xfe"), 0);
		  cr_assert_eq(OPS->symlink_put(sx.store, 8, longest), 0));
	cr_assert_str_eq(sx_text("SELECT typeof(target) FROM fs_symlink WHERE ino = 7"), "text");
	cr_assert_eq(OPS->symlink_get(sx.reader, 7, &target), 0);
	cr_assert_str_eq(target, "../\xff\xfe");
	free(target);
	cr_assert_eq(OPS->symlink_get(sx.reader, 8, &target), 0);
	cr_assert_str_eq(target, longest);
	free(target);
}

Test(store_rows, chunks_read_back_in_order_and_in_range)
{
	struct sx_chunks got = { 0 }, names = { 0 };

	sx_commit(OPS->data_put(sx.store, 7, 5, "f", 1); OPS->data_put(sx.store, 7, 0, "abc", 3);
		  OPS->data_put(sx.store, 7, 2, "cd", 2); OPS->data_put(sx.store, 7, 3, "", 0);
		  OPS->data_put(sx.store, 8, 1, "other", 5));
	cr_assert_eq(OPS->data_read(sx.reader, 7, 0, 4, sx_collect_chunk, &got), 0);
	cr_assert_eq(got.count, 3);
	cr_assert_eq(got.index[0], 0);
	cr_assert_eq(got.first[0], 'a');
	cr_assert_eq(got.len[0], 3);
	cr_assert_eq(got.index[1], 2);
	cr_assert_eq(got.first[1], 'c');
	cr_assert_eq(got.index[2], 3);
	cr_assert_eq(got.len[2], 0);
	cr_assert(got.has_data[2]);

	cr_assert_eq(OPS->data_scan(sx.reader, 7, 2, INT64_MAX, sx_collect_chunk, &names), 0);
	cr_assert_eq(names.count, 3);
	cr_assert_eq(names.index[2], 5);
	cr_assert_not(names.has_data[2]);
	cr_assert_eq(names.len[2], 0);
}

Test(store_rows, chunk_is_replaced_removed_and_cut)
{
	struct sx_chunks got = { 0 };

	sx_commit(for (int i = 0; i < 5; i++) OPS->data_put(sx.store, 7, i, "old", 3));
	sx_commit(cr_assert_eq(OPS->data_put(sx.store, 7, 0, "newer", 5), 0);
		  cr_assert_eq(OPS->data_delete(sx.store, 7, 1), 0);
		  cr_assert_eq(OPS->data_cut(sx.store, 7, 3), 0));
	cr_assert_eq(OPS->data_read(sx.reader, 7, 0, INT64_MAX, sx_collect_chunk, &got), 0);
	cr_assert_eq(got.count, 2);
	cr_assert_eq(got.len[0], 5);
	cr_assert_eq(got.first[0], 'n');
	cr_assert_eq(got.index[1], 2);
	cr_assert_str_eq(sx_text("SELECT typeof(data) FROM fs_data"), "blob");
}

Test(store_rows, xattrs_are_put_replaced_listed_and_removed)
{
	struct sx_names names = { 0 };
	void *value = NULL;
	size_t len = 0;

	sx_commit(cr_assert_eq(OPS->xattr_put(sx.store, 7, "user.a", "one", 3), 0);
		  cr_assert_eq(OPS->xattr_put(sx.store, 7, "user.a", "a\0b\0", 4), 0);
		  cr_assert_eq(OPS->xattr_put(sx.store, 7, "user.empty", NULL, 0), 0);
		  cr_assert_eq(OPS->xattr_put(sx.store, 7, "user.\xff", "x", 1), 0);
		  cr_assert_eq(OPS->xattr_put(sx.store, 8, "user.other", "x", 1), 0));
	cr_assert_eq(OPS->xattr_get(sx.reader, 7, "user.a", &value, &len), 0);
	cr_assert_eq(len, 4);
	cr_assert_eq(memcmp(value, "a\0b\0", 4), 0);
	free(value);
	cr_assert_eq(OPS->xattr_get(sx.reader, 7, "user.empty", &value, &len), 0);
	cr_assert_eq(len, 0);
	free(value);
	cr_assert_eq(OPS->xattr_get(sx.reader, 7, "user.\xff", &value, &len), 0);
	free(value);
	cr_assert_eq(OPS->xattr_scan(sx.reader, 7, sx_collect_xattr, &names), 0);
	cr_assert_eq(names.count, 3);
	sx_commit(cr_assert_eq(OPS->xattr_delete(sx.store, 7, "user.a"), 0));
	cr_assert_eq(OPS->xattr_get(sx.reader, 7, "user.a", &value, &len), -ENOENT);
}

Test(store_rows, xattr_of_the_greatest_size_reads_back)
{
	char *big = calloc(1, CAIRN_XATTR_MAX);
	void *value = NULL;
	size_t len = 0;

	sx_commit(cr_assert_eq(OPS->xattr_put(sx.store, 7, "user.big", big, CAIRN_XATTR_MAX), 0));
	cr_assert_eq(OPS->xattr_get(sx.reader, 7, "user.big", &value, &len), 0);
	cr_assert_eq(len, CAIRN_XATTR_MAX);
	free(value);
	free(big);
}

Test(store_rows, orphans_are_marked_once_and_listed)
{
	struct sx_inos inos = { 0 };

	sx_commit(cr_assert_eq(OPS->orphan_put(sx.store, 9), 0);
		  cr_assert_eq(OPS->orphan_put(sx.store, 9), 0);
		  cr_assert_eq(OPS->orphan_put(sx.store, 12), 0));
	cr_assert_eq(OPS->orphan_scan(sx.reader, sx_collect_ino, &inos), 0);
	cr_assert_eq(inos.count, 2);
	cr_assert_eq(inos.ino[0], 9);
	cr_assert_eq(inos.ino[1], 12);
}

Test(store_rows, space_grows_with_data_and_shrinks_with_its_deletion)
{
	struct cairn_space before = { 0 }, full = { 0 }, after = { 0 };
	char *data = calloc(1, CAIRN_DEFAULT_CHUNK_SIZE);

	cr_assert_eq(OPS->space(sx.reader, &before), 0);
	sx_commit(for (int i = 0; i < 16; i++)
			  OPS->data_put(sx.store, 7, i, data, CAIRN_DEFAULT_CHUNK_SIZE));
	cr_assert_eq(OPS->space(sx.reader, &full), 0);
	sx_commit(OPS->data_cut(sx.store, 7, 0));
	cr_assert_eq(OPS->space(sx.reader, &after), 0);
	cr_assert_geq(full.used, before.used + 16 * CAIRN_DEFAULT_CHUNK_SIZE);
	cr_assert_leq(after.used, before.used + CAIRN_DEFAULT_PAGE_SIZE);
	cr_assert_eq(after.file_size, full.file_size);
	cr_assert_eq(full.used, full.file_size);
	free(data);
}
