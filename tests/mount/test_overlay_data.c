/* The bytes and attributes of files over both kinds of base: what a change stores, what it keeps.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/xattr.h>

#include "overlay_base.h"

BOTH_SUITES(ob_setup);

#define EDIT 4096

/* Room for rows and pages of the workspace, which a copy of the data would burst. */
#define LITTLE ((off_t)1 << 20)

static off_t size_before(void)
{
	off_t size;

	fx_umount();
	size = ob_size();
	fx_mount("xattr");
	return size;
}

static void expect_large(unsigned int part, off_t except, size_t except_len)
{
	unsigned char *want = malloc(LARGE_PART), *got = malloc(LARGE_PART);
	int fd = must(open("large", O_RDONLY | O_CLOEXEC));
	off_t at = ob_large_at(part);

	ob_large_part(want, part);
	cr_assert_eq(read_at(fd, at, got, LARGE_PART), LARGE_PART);
	if (except_len > 0 && except >= at && except + (off_t)except_len <= at + LARGE_PART)
		memcpy(got + (except - at), want + (except - at), except_len);
	cr_expect_eq(memcmp(got, want, LARGE_PART), 0, "part %u", part);
	close(fd);
	free(want);
	free(got);
}

BOTH(large_file_is_read_as_it_is)
{
	int fd = must(open("large", O_RDONLY | O_CLOEXEC));
	struct stat st = stat_of("large");

	cr_expect_eq(st.st_size, LARGE);
	cr_expect_lt(st.st_blocks * 512, LARGE / 2);
	for (unsigned int part = 0; part < 3; part++)
		expect_large(part, 0, 0);
	cr_expect(range_is_zero(fd, LARGE / 4, 100000));
	cr_expect_geq(lseek(fd, LARGE_PART + (1 << 20), SEEK_DATA), LARGE / 2);
	cr_expect_lt(lseek(fd, 0, SEEK_HOLE), LARGE / 4);
	close(fd);
}

BOTH(edit_of_a_large_file_stores_little)
{
	off_t before = size_before(), at = ob_large_at(1) + 100;
	unsigned char edit[EDIT];
	ino_t ino = ino_of("large");
	int fd = must(open("large", O_RDWR | O_CLOEXEC));

	fill_pattern(edit, sizeof(edit), 99);
	must(write_at(fd, at, edit, sizeof(edit)));
	cr_expect(range_holds(fd, at, edit, sizeof(edit)));
	close(fd);
	fx_remount();
	cr_expect_eq(ino_of("large"), ino);
	cr_expect_eq(size_of("large"), LARGE);
	for (unsigned int part = 0; part < 3; part++)
		expect_large(part, at, sizeof(edit));
	fd = must(open("large", O_RDONLY | O_CLOEXEC));
	cr_expect(range_holds(fd, at, edit, sizeof(edit)));
	close(fd);
	fx_umount();
	cr_expect_lt(ob_size() - before, LITTLE, "%ld bytes", (long)(ob_size() - before));
}

BOTH(chmod_copies_no_data)
{
	off_t before = size_before();

	must(chmod("large", 0600));
	must(chmod("file", 0600));
	if (geteuid() == 0)
		must(chown("one", ALICE, BOB));
	fx_remount();
	cr_expect_eq(mode_of("large"), 0600);
	for (unsigned int part = 0; part < 3; part++)
		expect_large(part, 0, 0);
	cr_expect(holds_text("file", "base file\n"));
	if (geteuid() == 0)
		cr_expect_eq(stat_of("two").st_uid, ALICE);
	fx_umount();
	cr_expect_lt(ob_size() - before, LITTLE);
	cr_expect_eq(ob_number("SELECT COUNT(*) FROM fs_data"), 0);
}

BOTH(opening_with_truncation_copies_none)
{
	off_t before = size_before();

	must(put_text("large", "small now\n"));
	must(put_text("file", ""));
	fx_remount();
	cr_expect(holds_text("large", "small now\n"));
	cr_expect_eq(size_of("file"), 0);
	fx_umount();
	cr_expect_lt(ob_size() - before, LITTLE);
	cr_expect_eq(ob_number("SELECT COUNT(*) FROM fs_data"), 1);
}

BOTH(what_was_truncated_does_not_come_back)
{
	off_t before = size_before();
	int fd;

	must(truncate("large", 100000));
	must(truncate("large", LARGE));
	fx_remount();
	cr_expect_eq(size_of("large"), LARGE);
	fd = must(open("large", O_RDONLY | O_CLOEXEC));
	cr_expect(range_is_zero(fd, 100000, LARGE_PART));
	cr_expect(range_is_zero(fd, ob_large_at(1), LARGE_PART));
	close(fd);
	fx_umount();
	cr_expect_lt(ob_size() - before, LITTLE);
}

BOTH(hole_punched_in_a_large_file)
{
	off_t before = size_before();
	int fd = must(open("large", O_RDWR | O_CLOEXEC));

	must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LARGE / 4));
	close(fd);
	fx_remount();
	fd = must(open("large", O_RDONLY | O_CLOEXEC));
	cr_expect(range_is_zero(fd, 0, LARGE_PART));
	cr_expect_geq(lseek(fd, 0, SEEK_DATA), LARGE / 4);
	close(fd);
	expect_large(1, 0, 0);
	fx_umount();
	cr_expect_lt(ob_size() - before, LITTLE);
}

BOTH(append_to_a_large_file)
{
	off_t before = size_before();
	int fd = must(open("large", O_WRONLY | O_APPEND | O_CLOEXEC));

	must(write(fd, "the end", 7));
	close(fd);
	fx_remount();
	cr_expect_eq(size_of("large"), LARGE + 7);
	expect_large(2, 0, 0);
	fd = must(open("large", O_RDONLY | O_CLOEXEC));
	cr_expect(range_holds(fd, LARGE, "the end", 7));
	close(fd);
	fx_umount();
	cr_expect_lt(ob_size() - before, LITTLE);
}

BOTH(writes_through_a_mapping)
{
	int fd = must(open("large", O_RDWR | O_CLOEXEC));
	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);

	cr_assert_neq(map, MAP_FAILED);
	map[10] = 'M';
	must(msync(map, 8192, MS_SYNC));
	munmap(map, 8192);
	close(fd);
	fx_remount();
	expect_large(0, 4106, 1);
	fd = must(open("large", O_RDONLY | O_CLOEXEC));
	cr_expect(range_holds(fd, 4106, "M", 1));
	close(fd);
}

BOTH(attributes_outlive_the_copy)
{
	struct stat before = stat_of("file"), after;
	struct timespec atime = before.st_atim;
	char value[8] = "";
	int fd;

	must(setxattr("file", "user.a", "1", 1, 0));
	after = stat_of("file");
	cr_expect_eq(after.st_ino, before.st_ino);
	cr_expect_eq(after.st_mode, before.st_mode);
	cr_expect(same_time(after.st_mtim, before.st_mtim));
	cr_expect(same_time(after.st_atim, atime));
	fx_remount();
	after = stat_of("file");
	cr_expect_eq(after.st_ino, before.st_ino);
	cr_expect_eq(after.st_mode, before.st_mode);
	cr_expect_eq(after.st_uid, before.st_uid);
	cr_expect_eq(after.st_gid, before.st_gid);
	cr_expect_eq(after.st_size, before.st_size);
	cr_expect(same_time(after.st_mtim, before.st_mtim));
	cr_expect(same_time(after.st_atim, atime));
	cr_expect_eq(getxattr("file", "user.a", value, sizeof(value)), 1);
	fd = must(open("file", O_WRONLY | O_APPEND | O_CLOEXEC));
	must(write(fd, "more\n", 5));
	close(fd);
	fx_remount();
	after = stat_of("file");
	cr_expect_eq(after.st_ino, before.st_ino);
	cr_expect_eq(after.st_mode, before.st_mode);
	cr_expect(later(after.st_mtim, before.st_mtim));
	cr_expect(holds_text("file", "base file\nmore\n"));
}

BOTH(extended_attributes_of_the_base)
{
	char value[16];

	fx_umount();
	ob_open_base();
	if (setxattr(ob_in_base("dir/a"), "user.base", "kept", 4, 0) < 0)
		cr_skip_test("no extended attributes where the tests run");
	ob_close_base();
	fx_mount("xattr");
	cr_expect_eq(getxattr("dir/a", "user.base", value, sizeof(value)), 4);
	must(chmod("dir/a", 0600));
	must(setxattr("dir/a", "user.more", "1", 1, 0));
	fx_remount();
	cr_expect_eq(getxattr("dir/a", "user.base", value, sizeof(value)), 4);
	cr_expect_eq(memcmp(value, "kept", 4), 0);
	must(removexattr("dir/a", "user.base"));
	fx_remount();
	fails_with(ENODATA, getxattr("dir/a", "user.base", value, sizeof(value)));
}

BOTH(file_that_is_open_while_it_is_copied_up)
{
	char buf[32] = "";
	int reader = must(open("file", O_RDONLY | O_CLOEXEC));
	int writer = must(open("file", O_WRONLY | O_CLOEXEC));

	must(write_at(writer, 0, "BASE", 4));
	cr_expect_eq(read_at(reader, 0, buf, sizeof(buf)), 10);
	cr_expect_str_eq(buf, "BASE file\n");
	must(unlink("file"));
	must(fsync(writer));
	must(write_at(writer, 5, "FILE", 4));
	cr_expect_eq(read_at(reader, 0, buf, sizeof(buf)), 10);
	cr_expect_str_eq(buf, "BASE FILE\n");
	cr_expect_eq(fstat_of(reader).st_nlink, 0);
	close(reader);
	close(writer);
	fx_remount();
	cr_expect(!exists("file"));
}
