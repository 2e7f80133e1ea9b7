/* The kernel's mount table as text. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "mount/mountinfo.h"
#include "util/macro.h"

static struct cairn_mount_table table;

static void read_text(const char *text)
{
	char path[] = "/tmp/cairnfs-mountinfo-XXXXXX";
	int r, fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	r = cairn_mount_table_read(path, &table);
	unlink(path);
	cr_assert_eq(r, 0);
}

static void teardown(void)
{
	cairn_mount_table_done(&table);
}

TestSuite(mountinfo, .fini = teardown);

Test(mountinfo, fields_are_found_with_and_without_optional_ones)
{
	read_text("22 1 0:20 / /proc rw,nosuid shared:5 master:3 - proc proc rw\n"
		  "90 29 0:50 / /mnt/work rw,nosuid,nodev - fuse.cairnfs /srv/work.db "
		  "rw,user_id=1000,group_id=100\n");
	cr_assert_eq(table.count, 2);
	cr_expect_str_eq(table.entries[0].directory, "/proc");
	cr_expect_str_eq(table.entries[0].type, "proc");
	cr_expect_str_eq(table.entries[0].source, "proc");
	cr_expect_str_eq(table.entries[0].options, "rw,nosuid,rw");
	cr_expect_eq(table.entries[0].device, makedev(0, 20));
	cr_expect_eq(table.entries[1].device, makedev(0, 50));
	cr_expect_str_eq(table.entries[1].directory, "/mnt/work");
	cr_expect_str_eq(table.entries[1].source, "/srv/work.db");
	cr_expect_not(cairn_mount_is_ours(&table.entries[0]));
	cr_expect(cairn_mount_is_ours(&table.entries[1]));
}

Test(mountinfo, octal_escapes_are_undone)
{
	read_text("90 29 0:50 / /a\\040b\\011c\\012d\\134e\\043f rw - fuse.cairnfs "
		  "/x\\040y\\134040 rw\n");
	cr_assert_eq(table.count, 1);
	cr_expect_str_eq(table.entries[0].directory, "/a b\tc\nd\\e#f");
	cr_expect_str_eq(table.entries[0].source, "/x y\\040");
}

Test(mountinfo, backslash_that_escapes_nothing_stays)
{
	read_text("90 29 0:50 / /a\\9\\04\\900 rw - fuse.cairnfs x\\ rw\n");
	cr_assert_eq(table.count, 1);
	cr_expect_str_eq(table.entries[0].directory, "/a\\9\\04\\900");
	cr_expect_str_eq(table.entries[0].source, "x\\");
}

Test(mountinfo, topmost_of_several_mounts_is_found)
{
	read_text("90 29 0:50 / /mnt rw - tmpfs below rw\n"
		  "91 90 0:51 / /mnt rw - fuse.cairnfs above rw\n"
		  "92 29 0:52 / /mnt2 rw - tmpfs other rw\n");
	cr_assert_not_null(cairn_mount_table_find(&table, "/mnt"));
	cr_expect_str_eq(cairn_mount_table_find(&table, "/mnt")->source, "above");
}

Test(mountinfo, directory_that_is_no_mount_point_is_not_found)
{
	read_text("90 29 0:50 / /mnt/a rw - tmpfs x rw\n");
	cr_expect_null(cairn_mount_table_find(&table, "/mnt"));
	cr_expect_null(cairn_mount_table_find(&table, "/mnt/a/b"));
}

Test(mountinfo, lines_of_another_format_are_passed_over)
{
	read_text("\nnonsense\n90 29 0:50 / /mnt rw shared:1\n"
		  "90 29 0:50 / /mnt rw - tmpfs\n"
		  "91 29 0:51 / /ok rw - tmpfs x rw\n");
	cr_assert_eq(table.count, 1);
	cr_expect_str_eq(table.entries[0].directory, "/ok");
}

Test(mountinfo, owner_is_the_user_who_mounted)
{
	uid_t uid = 7;

	read_text("90 29 0:50 / /a rw - fuse.cairnfs x rw,user_id=1000,group_id=100\n"
		  "91 29 0:51 / /b rw - fuse.cairnfs x rw,group_id=100,user_id=0\n"
		  "92 29 0:52 / /c rw - tmpfs x rw\n");
	cr_assert_eq(table.count, 3);
	cr_expect_eq(cairn_mount_owner(&table.entries[2], &uid), -ENOENT);
	cr_expect_eq(uid, 7);
	cr_expect_eq(cairn_mount_owner(&table.entries[0], &uid), 0);
	cr_expect_eq(uid, 1000);
	cr_expect_eq(cairn_mount_owner(&table.entries[1], &uid), 0);
	cr_expect_eq(uid, 0);
}

Test(mountinfo, group_is_that_of_the_mount)
{
	gid_t gid = 7;

	read_text("90 29 0:50 / /a rw - fuse.cairnfs x rw,user_id=1000,group_id=100\n"
		  "92 29 0:52 / /c rw - tmpfs x rw\n");
	cr_assert_eq(table.count, 2);
	cr_expect_eq(cairn_mount_group(&table.entries[1], &gid), -ENOENT);
	cr_expect_eq(gid, 7);
	cr_expect_eq(cairn_mount_group(&table.entries[0], &gid), 0);
	cr_expect_eq(gid, 100);
}

Test(mountinfo, own_table_has_proc_in_it)
{
	cr_assert_eq(cairn_mount_table_read(NULL, &table), 0);
	cr_assert_not_null(cairn_mount_table_find(&table, "/proc"));
	cr_expect_str_eq(cairn_mount_table_find(&table, "/proc")->type, "proc");
}

Test(mountinfo, missing_file_is_enoent)
{
	cr_expect_eq(cairn_mount_table_read("/nowhere/mountinfo", &table), -ENOENT);
}
