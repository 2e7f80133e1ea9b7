/* libcairnfs: reading and writing files. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

TestSuite(api_file, .init = ax_setup_open, .fini = ax_teardown);

Test(api_file, write_file_makes_and_replaces)
{
	struct cairnfs_stat first, second;

	ax_ok(cairnfs_write_file(ax.ws, "/a", "hello", 5));
	cr_assert(ax_holds(ax.ws, "/a", "hello"));
	ax_ok(cairnfs_stat(ax.ws, "/a", &first));
	ax_ok(cairnfs_chmod(ax.ws, "/a", 0600));
	ax_ok(cairnfs_link(ax.ws, "/a", "/b"));
	ax_ok(cairnfs_write_file(ax.ws, "/a", "hi", 2));
	cr_assert(ax_holds(ax.ws, "/b", "hi"));
	ax_ok(cairnfs_stat(ax.ws, "/a", &second));
	cr_assert_eq(first.ino, second.ino);
	cr_assert_eq(second.mode, S_IFREG | 0600);
	cr_assert_eq(second.nlink, 2);
	ax_ok(cairnfs_write_file(ax.ws, "/a", NULL, 0));
	cr_assert(ax_holds(ax.ws, "/a", ""));
}

Test(api_file, new_files_belong_to_the_process)
{
	struct cairnfs_stat st;

	ax_ok(cairnfs_write_file(ax.ws, "/a", "x", 1));
	ax_ok(cairnfs_append(ax.ws, "/b", "x", 1));
	for (int i = 0; i < 2; i++) {
		ax_ok(cairnfs_stat(ax.ws, i ? "/a" : "/b", &st));
		cr_assert_eq(st.mode, S_IFREG | 0644);
		cr_assert_eq(st.uid, geteuid());
		cr_assert_eq(st.gid, getegid());
		cr_assert_eq(st.nlink, 1);
		cr_assert_eq(st.size, 1);
		cr_assert_eq(st.allocated, 1);
		cr_assert_gt(st.mtime.tv_sec, 1000000000);
	}
}

Test(api_file, a_set_group_id_directory_hands_its_group_on)
{
	struct cairnfs_stat st;

	ax_ok(cairnfs_mkdir(ax.ws, "/d", 02775, 0));
	ax_sql("UPDATE fs_inode SET gid = 4321 WHERE ino <> 1");
	ax_ok(cairnfs_write_file(ax.ws, "/d/a", "x", 1));
	ax_ok(cairnfs_stat(ax.ws, "/d/a", &st));
	cr_assert_eq(st.gid, 4321);
}

Test(api_file, write_at_an_offset_keeps_the_rest)
{
	char buf[16] = "................";

	ax_ok(cairnfs_write(ax.ws, "/a", "0123456789", 10, 0));
	ax_ok(cairnfs_write(ax.ws, "/a", "abc", 3, 4));
	cr_assert(ax_holds(ax.ws, "/a", "0123abc789"));
	ax_ok(cairnfs_write(ax.ws, "/b", "x", 1, 3));
	cr_assert_eq(cairnfs_read(ax.ws, "/b", buf, sizeof(buf), 0), 4);
	cr_assert_arr_eq(buf, "\0\0\0x....", 8);
	ax_ok(cairnfs_write(ax.ws, "/c", NULL, 0, 0));
	cr_assert(ax_holds(ax.ws, "/c", ""));
}

Test(api_file, reads_are_short_only_at_the_end)
{
	char buf[8];

	ax_ok(cairnfs_write_file(ax.ws, "/a", "0123456789", 10));
	cr_assert_eq(cairnfs_read(ax.ws, "/a", buf, 8, 0), 8);
	cr_assert_eq(cairnfs_read(ax.ws, "/a", buf, 8, 8), 2);
	cr_assert_arr_eq(buf, "89", 2);
	cr_assert_eq(cairnfs_read(ax.ws, "/a", buf, 8, 10), 0);
	cr_assert_eq(cairnfs_read(ax.ws, "/a", buf, 8, 1000), 0);
	cr_assert_eq(cairnfs_read(ax.ws, "/a", NULL, 0, 0), 0);
	ax_fails(cairnfs_read(ax.ws, "/a", buf, 8, -1), EINVAL);
	ax_fails(cairnfs_read(ax.ws, "/a", NULL, 8, 0), EINVAL);
	ax_fails(cairnfs_read(ax.ws, "/none", buf, 8, 0), ENOENT);
	ax_fails(cairnfs_read(ax.ws, "/", buf, 8, 0), EISDIR);
}

Test(api_file, large_files_come_back_whole)
{
	size_t size = 5 * 1024 * 1024 + 13, got;
	char *content = malloc(size);
	void *back;

	for (size_t i = 0; i < size; i++)
		content[i] = (char)(i * 7 + i / 65536);
	ax_ok(cairnfs_write_file(ax.ws, "/a", content, size));
	ax_ok(cairnfs_read_file(ax.ws, "/a", &back, &got));
	cr_assert_eq(got, size);
	cr_assert_eq(memcmp(content, back, size), 0);
	free(back);
	ax_close();
	ax_open();
	ax_ok(cairnfs_read_file(ax.ws, "/a", &back, &got));
	cr_assert_eq(memcmp(content, back, size), 0);
	free(back);
	/* Shorter, and the chunks that are gone are gone. */
	ax_ok(cairnfs_write_file(ax.ws, "/a", "short", 5));
	cr_assert(ax_holds(ax.ws, "/a", "short"));
	cr_assert_eq(ax_number("SELECT COUNT(*) FROM fs_data"), 1);
	free(content);
}

Test(api_file, append_makes_and_grows)
{
	ax_ok(cairnfs_append(ax.ws, "/a", "one", 3));
	ax_ok(cairnfs_append(ax.ws, "/a", "two", 3));
	ax_ok(cairnfs_append(ax.ws, "/a", NULL, 0));
	cr_assert(ax_holds(ax.ws, "/a", "onetwo"));
	ax_fails(cairnfs_append(ax.ws, "/a", NULL, 1), EINVAL);
	ax_fails(cairnfs_append(ax.ws, "/", "x", 1), EISDIR);
	ax_fails(cairnfs_append(ax.ws, "/no/such", "x", 1), ENOENT);
}

Test(api_file, truncate_cuts_and_extends)
{
	char buf[4];

	ax_ok(cairnfs_write_file(ax.ws, "/a", "0123456789", 10));
	ax_ok(cairnfs_truncate(ax.ws, "/a", 3));
	cr_assert(ax_holds(ax.ws, "/a", "012"));
	ax_ok(cairnfs_truncate(ax.ws, "/a", 5));
	cr_assert_eq(cairnfs_read(ax.ws, "/a", buf, 4, 2), 3);
	cr_assert_arr_eq(buf, "2\0\0", 3);
	ax_fails(cairnfs_truncate(ax.ws, "/a", -1), EINVAL);
	ax_fails(cairnfs_truncate(ax.ws, "/none", 1), ENOENT);
	ax_fails(cairnfs_truncate(ax.ws, "/", 1), EISDIR);
}

Test(api_file, wrong_writes_say_why_and_change_nothing)
{
	ax_ok(cairnfs_write_file(ax.ws, "/a", "keep", 4));
	ax_ok(cairnfs_mkdir(ax.ws, "/d", 0755, 0));
	ax_fails(cairnfs_write(ax.ws, "/a", "x", 1, -1), EINVAL);
	ax_fails(cairnfs_write(ax.ws, "/a", NULL, 1, 0), EINVAL);
	ax_fails(cairnfs_write(ax.ws, "/a", "x", 1, INT64_MAX), EFBIG);
	ax_fails(cairnfs_write_file(ax.ws, "/a", NULL, 1), EINVAL);
	ax_fails(cairnfs_write_file(ax.ws, "/d", "x", 1), EISDIR);
	ax_fails(cairnfs_write_file(ax.ws, "/", "x", 1), EISDIR);
	ax_fails(cairnfs_write_file(ax.ws, "/d/..", "x", 1), EISDIR);
	ax_fails(cairnfs_write_file(ax.ws, "/new/", "x", 1), EISDIR);
	ax_fails(cairnfs_write(ax.ws, "/new/", "x", 1, 0), EISDIR);
	ax_fails(cairnfs_write_file(ax.ws, "/a/", "x", 1), ENOTDIR);
	ax_fails(cairnfs_write_file(ax.ws, "/a/b", "x", 1), ENOTDIR);
	ax_fails(cairnfs_write_file(ax.ws, "/no/b", "x", 1), ENOENT);
	ax_fails(cairnfs_write_file(ax.ws, "", "x", 1), ENOENT);
	ax_fails(cairnfs_write_file(ax.ws, NULL, "x", 1), EINVAL);
	cr_assert(ax_holds(ax.ws, "/a", "keep"));
	cr_assert_eq(ax_number("SELECT COUNT(*) FROM fs_dentry"), 2);
}

Test(api_file, read_file_leaves_outputs_alone_when_it_fails)
{
	void *buf = &buf;
	size_t size = 7;

	ax_fails(cairnfs_read_file(ax.ws, "/none", &buf, &size), ENOENT);
	ax_fails(cairnfs_read_file(ax.ws, "/", &buf, &size), EISDIR);
	ax_fails(cairnfs_read_file(ax.ws, "/", NULL, NULL), EINVAL);
	cr_assert_eq(buf, (void *)&buf);
	cr_assert_eq(size, 7);
}

Test(api_file, writing_through_links_reaches_the_file)
{
	ax_ok(cairnfs_mkdir(ax.ws, "/d", 0755, 0));
	ax_ok(cairnfs_symlink(ax.ws, "d/target", "/link"));
	ax_ok(cairnfs_write_file(ax.ws, "/link", "through", 7));
	cr_assert(ax_holds(ax.ws, "/d/target", "through"));
	ax_ok(cairnfs_append(ax.ws, "/link", "!", 1));
	cr_assert(ax_holds(ax.ws, "/d/target", "through!"));
	ax_ok(cairnfs_symlink(ax.ws, "/d/other", "/d/link"));
	ax_ok(cairnfs_append(ax.ws, "d/link", "made", 4));
	cr_assert(ax_holds(ax.ws, "/d/other", "made"));
}

Test(api_file, writing_drops_set_id_bits)
{
	struct cairnfs_stat st;

	ax_ok(cairnfs_write_file(ax.ws, "/a", "x", 1));
	ax_ok(cairnfs_chmod(ax.ws, "/a", 04755));
	ax_ok(cairnfs_write_file(ax.ws, "/a", "y", 1));
	ax_ok(cairnfs_stat(ax.ws, "/a", &st));
	cr_assert_eq(st.mode, S_IFREG | 0755);
}

Test(api_file, fsync_takes_files_and_directories)
{
	ax_ok(cairnfs_write_file(ax.ws, "/a", "x", 1));
	ax_ok(cairnfs_fsync(ax.ws, "/a"));
	ax_ok(cairnfs_fsync(ax.ws, "/"));
	ax_fails(cairnfs_fsync(ax.ws, "/none"), ENOENT);
}

Test(api_file, chmod_sets_the_permissions)
{
	struct cairnfs_stat st;

	ax_ok(cairnfs_write_file(ax.ws, "/a", "x", 1));
	ax_ok(cairnfs_chmod(ax.ws, "/a", 0));
	ax_ok(cairnfs_stat(ax.ws, "/a", &st));
	cr_assert_eq(st.mode, S_IFREG);
	cr_assert(ax_holds(ax.ws, "/a", "x")); /* stored, not enforced */
	ax_fails(cairnfs_chmod(ax.ws, "/a", 010000), EINVAL);
	ax_fails(cairnfs_chmod(ax.ws, "/none", 0644), ENOENT);
}
