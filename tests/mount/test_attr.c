/* Modes, owners, times and sizes: who may change them and what else changes with them. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <time.h>

#include "fsutil.h"

static void setup_for_two_users(void)
{
	fx_need_root();
	fx_setup_opts("allow_other");
}

static void setup_for_own_mount(void)
{
	fx_need_cairnfs();
	fx_prepare();
}

TestSuite(attr, .init = fx_setup, .fini = fx_teardown, .timeout = 60);
TestSuite(attr_users, .init = setup_for_two_users, .fini = fx_teardown, .timeout = 60);
TestSuite(atime, .init = setup_for_own_mount, .fini = fx_teardown, .timeout = 60);

/* A file of one user with exactly these bits. */
static void make_owned(const char *name, uid_t uid, mode_t mode)
{
	must(put_text(name, "content"));
	must(chown(name, uid, uid));
	must(chmod(name, mode));
}

static void make_owned_dir(const char *name, uid_t uid, mode_t mode)
{
	must(mkdir(name, 0700));
	must(chown(name, uid, uid));
	must(chmod(name, mode));
}

static int append_text(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_APPEND | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	return close(fd) < 0 || n < 0 ? -1 : 0;
}

/* Modes. */

Test(attr, chmod_sets_every_permission_bit)
{
	must(put_text("f", ""));
	must(mkdir("d", 0755));
	for (mode_t mode = 0; mode <= 0777; mode++) {
		must(chmod("f", mode));
		cr_assert_eq(mode_of("f"), mode);
	}
	must(chmod("f", 07654));
	cr_assert_eq(mode_of("f"), 07654);
	must(chmod("d", 03710));
	cr_assert_eq(mode_of("d"), 03710);
	cr_assert(S_ISDIR(stat_of("d").st_mode));
	fx_remount();
	cr_assert_eq(mode_of("f"), 07654);
	cr_assert_eq(mode_of("d"), 03710);
}

Test(attr, fchmod_changes_an_unlinked_file)
{
	int fd;

	must(put_text("f", ""));
	fd = must(open("f", O_RDWR));
	must(unlink("f"));
	must(fchmod(fd, 0700));
	cr_assert_eq(fstat_of(fd).st_mode & 07777, 0700);
	must(close(fd));
}

Test(attr, chmod_follows_symlinks)
{
	must(put_text("f", ""));
	must(symlink("f", "l"));
	must(chmod("l", 0600));
	cr_assert_eq(mode_of("f"), 0600);
	cr_assert_eq(mode_of("l"), 0777);
	fails_with(ENOENT, chmod("none", 0600));
	fails_with(ENOTDIR, chmod("f/x", 0600));
}

Test(attr, umask_takes_bits_from_what_is_made)
{
	umask(027);
	must(open_and_close("f", O_CREAT | O_WRONLY, 0666));
	must(mkdir("d", 0777));
	must(mkfifo("p", 0666));
	umask(0);
	must(open_and_close("g", O_CREAT | O_WRONLY, 0666));
	umask(0777);
	must(open_and_close("h", O_CREAT | O_WRONLY, 0666));
	umask(022);
	cr_assert_eq(mode_of("f"), 0640);
	cr_assert_eq(mode_of("d"), 0750);
	cr_assert_eq(mode_of("p"), 0640);
	cr_assert_eq(mode_of("g"), 0666);
	cr_assert_eq(mode_of("h"), 0);
}

Test(attr, a_file_made_read_only_is_writable_through_its_descriptor)
{
	int fd = must(open("f", O_CREAT | O_EXCL | O_RDWR, 0400));

	must(write_at(fd, 0, "x", 1));
	must(ftruncate(fd, 10));
	must(close(fd));
	cr_assert_eq(mode_of("f"), 0400);
	cr_assert_eq(size_of("f"), 10);
}

Test(attr_users, permission_bits_decide_who_may_open)
{
	make_owned("f", ALICE, 0640);
	must_as(ALICE, open("f", O_RDWR));
	fails_as(BOB, EACCES, open("f", O_RDONLY));
	must(chmod("f", 0604));
	must_as(BOB, open("f", O_RDONLY));
	fails_as(BOB, EACCES, open("f", O_WRONLY));
	must(chmod("f", 0067));
	fails_as(ALICE, EACCES, open("f", O_RDONLY));
	must_as(BOB, open("f", O_RDWR));
	must_as(BOB, access("f", R_OK | W_OK | X_OK));
	fails_as(ALICE, EACCES, access("f", R_OK));
}

Test(attr_users, directory_bits_decide_who_may_list_search_and_change)
{
	make_owned_dir("d", ALICE, 0755);
	must(put_text("d/f", "x"));
	must(chmod("d/f", 0666));
	fails_as(BOB, EACCES, open("d/g", O_CREAT | O_WRONLY, 0644));
	fails_as(BOB, EACCES, mkdir("d/s", 0755));
	fails_as(BOB, EACCES, unlink("d/f"));
	fails_as(BOB, EACCES, symlink("x", "d/l"));
	fails_as(BOB, EACCES, link("d/f", "d/h"));
	must_as(BOB, open("d/f", O_RDWR));
	must(chmod("d", 0744));
	must_as(BOB, open("d", O_RDONLY | O_DIRECTORY));
	fails_as(BOB, EACCES, open("d/f", O_RDONLY));
	must(chmod("d", 0711));
	fails_as(BOB, EACCES, open("d", O_RDONLY | O_DIRECTORY));
	must_as(BOB, open("d/f", O_RDONLY));
	must_as(ALICE, unlink("d/f"));
}

Test(attr_users, only_the_owner_may_chmod)
{
	make_owned("f", ALICE, 0666);
	fails_as(BOB, EPERM, chmod("f", 0777));
	cr_assert_eq(mode_of("f"), 0666);
	must_as(ALICE, chmod("f", 0600));
	must(chmod("f", 0640));
	cr_assert_eq(mode_of("f"), 0640);
}

Test(attr_users, chmod_by_a_stranger_to_the_group_drops_setgid)
{
	must(put_text("f", ""));
	must(chown("f", ALICE, BOB));
	must_as(ALICE, chmod("f", 02755));
	cr_assert_eq(mode_of("f"), 0755);
	must(chown("f", ALICE, ALICE));
	must_as(ALICE, chmod("f", 02755));
	cr_assert_eq(mode_of("f"), 02755);
}

Test(attr_users, only_the_owner_of_a_sticky_directory_or_the_file_may_remove)
{
	make_owned_dir("sticky", 0, 01777);
	make_owned("sticky/alices", ALICE, 0666);
	make_owned_dir("sticky/alices-dir", ALICE, 0777);
	make_owned("sticky/bobs", BOB, 0666);
	fails_as(BOB, EPERM, unlink("sticky/alices"));
	fails_as(BOB, EPERM, rename("sticky/alices", "sticky/x"));
	fails_as(BOB, EPERM, rename("sticky/bobs", "sticky/alices"));
	fails_as(BOB, EPERM, rmdir("sticky/alices-dir"));
	must_as(ALICE, rename("sticky/alices", "sticky/x"));
	must_as(ALICE, unlink("sticky/x"));
	must_as(ALICE, rmdir("sticky/alices-dir"));
	must(chown("sticky", ALICE, ALICE));
	must_as(ALICE, unlink("sticky/bobs"));
	cr_assert_eq(count_entries("sticky"), 0);
}

Test(attr_users, new_names_belong_to_their_maker)
{
	make_owned_dir("d", 0, 0777);
	must_as(ALICE, open("d/f", O_CREAT | O_WRONLY, 0644));
	must_as(ALICE, mkdir("d/s", 0755));
	must_as(BOB, symlink("x", "d/l"));
	cr_assert_eq(stat_of("d/f").st_uid, ALICE);
	cr_assert_eq(stat_of("d/f").st_gid, ALICE);
	cr_assert_eq(stat_of("d/s").st_uid, ALICE);
	cr_assert_eq(stat_of("d/l").st_uid, BOB);
}

Test(attr_users, a_setgid_directory_gives_its_group_to_new_names)
{
	make_owned_dir("d", 0, 0777);
	must(chown("d", 0, BOB));
	must(chmod("d", 02777));
	must_as(ALICE, open("d/f", O_CREAT | O_WRONLY, 0644));
	must_as(ALICE, mkdir("d/s", 0755));
	must_as(ALICE, mkfifo("d/p", 0644));
	must_as(ALICE, symlink("x", "d/l"));
	cr_assert_eq(stat_of("d/f").st_gid, BOB);
	cr_assert_eq(stat_of("d/s").st_gid, BOB);
	cr_assert_eq(stat_of("d/p").st_gid, BOB);
	cr_assert_eq(stat_of("d/l").st_gid, BOB);
	cr_assert_eq(mode_of("d/f"), 0644);
	cr_assert_eq(mode_of("d/s"), 02755);
	must_as(ALICE, mkdir("d/s/t", 0755));
	cr_assert_eq(mode_of("d/s/t"), 02755);
	cr_assert_eq(stat_of("d/s/t").st_gid, BOB);
}

Test(attr_users, an_executable_cannot_be_made_setgid_for_a_foreign_group)
{
	make_owned_dir("d", 0, 0777);
	must(chown("d", 0, BOB));
	must(chmod("d", 02777));
	must_as(ALICE, open("d/f", O_CREAT | O_WRONLY, 02755));
	cr_assert_eq(stat_of("d/f").st_gid, BOB);
	cr_assert_eq(mode_of("d/f"), 0755);
}

/* Owners. */

Test(attr_users, root_may_change_owner_and_group)
{
	must(put_text("f", ""));
	must(chown("f", ALICE, BOB));
	cr_assert_eq(stat_of("f").st_uid, ALICE);
	cr_assert_eq(stat_of("f").st_gid, BOB);
	must(chown("f", (uid_t)-1, ALICE));
	cr_assert_eq(stat_of("f").st_uid, ALICE);
	cr_assert_eq(stat_of("f").st_gid, ALICE);
	must(chown("f", BOB, (gid_t)-1));
	cr_assert_eq(stat_of("f").st_uid, BOB);
	cr_assert_eq(stat_of("f").st_gid, ALICE);
	must(chown("f", 0xfffffffe, 0xfffffffe));
	fx_remount();
	cr_assert_eq(stat_of("f").st_uid, 0xfffffffe);
	cr_assert_eq(stat_of("f").st_gid, 0xfffffffe);
}

Test(attr_users, lchown_changes_the_symlink_itself)
{
	must(put_text("f", ""));
	must(symlink("f", "l"));
	must(lchown("l", ALICE, ALICE));
	cr_assert_eq(stat_of("l").st_uid, ALICE);
	cr_assert_eq(stat_of("f").st_uid, 0);
	must(chown("l", BOB, BOB));
	cr_assert_eq(stat_of("f").st_uid, BOB);
	cr_assert_eq(stat_of("l").st_uid, ALICE);
}

Test(attr_users, others_may_not_give_files_away)
{
	make_owned("f", ALICE, 0644);
	fails_as(ALICE, EPERM, chown("f", BOB, (gid_t)-1));
	fails_as(ALICE, EPERM, chown("f", (uid_t)-1, BOB));
	fails_as(BOB, EPERM, chown("f", BOB, (gid_t)-1));
	must_as(ALICE, chown("f", ALICE, ALICE));
	cr_assert_eq(stat_of("f").st_uid, ALICE);
	cr_assert_eq(stat_of("f").st_gid, ALICE);
}

/* Set-id bits. */

Test(attr_users, a_write_by_an_ordinary_user_clears_set_id_bits)
{
	make_owned("f", ALICE, 06777);
	must_as(BOB, append_text("f", "x"));
	cr_assert_eq(mode_of("f"), 0777);
	cr_assert(holds_text("f", "contentx"));
	must(chmod("f", 06777));
	must_as(ALICE, append_text("f", "y"));
	cr_assert_eq(mode_of("f"), 0777);
}

Test(attr_users, a_write_keeps_setgid_without_group_execute_for_a_member)
{
	make_owned("f", ALICE, 02644);
	must_as(ALICE, append_text("f", "x"));
	cr_assert_eq(mode_of("f"), 02644);
}

Test(attr_users, a_write_by_root_keeps_set_id_bits)
{
	make_owned("f", ALICE, 06755);
	must(append_text("f", "x"));
	cr_assert_eq(mode_of("f"), 06755);
	must(truncate("f", 1));
	cr_assert_eq(mode_of("f"), 06755);
}

Test(attr_users, a_truncate_by_an_ordinary_user_clears_set_id_bits)
{
	make_owned("f", ALICE, 06777);
	must_as(BOB, truncate("f", 3));
	cr_assert_eq(mode_of("f"), 0777);
	must(chmod("f", 06777));
	must_as(BOB, open("f", O_WRONLY | O_TRUNC));
	cr_assert_eq(mode_of("f"), 0777);
	cr_assert_eq(size_of("f"), 0);
}

Test(attr_users, chown_clears_set_id_bits_of_files_but_not_of_directories)
{
	make_owned("f", ALICE, 06755);
	must(chown("f", BOB, BOB));
	cr_assert_eq(mode_of("f"), 0755);
	must(chmod("f", 06755));
	must_as(BOB, chown("f", (uid_t)-1, BOB));
	cr_assert_eq(mode_of("f"), 0755);
	make_owned_dir("d", ALICE, 02755);
	must(chown("d", BOB, BOB));
	cr_assert_eq(mode_of("d"), 02755);
}

/* Times. */

static int set_times(const char *name, struct timespec atime, struct timespec mtime)
{
	return utimensat(AT_FDCWD, name, (struct timespec[]){ atime, mtime }, AT_SYMLINK_NOFOLLOW);
}

static const struct timespec past = { .tv_sec = 1000000000, .tv_nsec = 123456789 };
static const struct timespec old_past = { .tv_sec = 900000000, .tv_nsec = 1 };
static const struct timespec now = { .tv_nsec = UTIME_NOW };
static const struct timespec omit = { .tv_nsec = UTIME_OMIT };

static void assert_times(const char *name, struct timespec atime, struct timespec mtime)
{
	struct stat st = stat_of(name);

	cr_assert(same_time(st.st_atim, atime), "%s: atime %ld.%09ld", name,
		  (long)st.st_atim.tv_sec, st.st_atim.tv_nsec);
	cr_assert(same_time(st.st_mtim, mtime), "%s: mtime %ld.%09ld", name,
		  (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

Test(attr, utimensat_keeps_nanoseconds)
{
	must(put_text("f", ""));
	must(mkdir("d", 0755));
	must(symlink("f", "l"));
	must(set_times("f", past, old_past));
	must(set_times("d", old_past, past));
	must(set_times("l", past, past));
	assert_times("f", past, old_past);
	fx_remount();
	assert_times("f", past, old_past);
	assert_times("d", old_past, past);
	assert_times("l", past, past);
}

Test(attr, utimensat_now_and_omit)
{
	struct timespec start, set_atime;

	must(put_text("f", ""));
	must(set_times("f", past, old_past));
	must(set_times("f", omit, past));
	assert_times("f", past, past);
	must(set_times("f", old_past, omit));
	assert_times("f", old_past, past);

	must(clock_gettime(CLOCK_REALTIME_COARSE, &start));
	must(set_times("f", now, omit));
	set_atime = stat_of("f").st_atim;
	cr_assert(!later(start, set_atime));
	assert_times("f", set_atime, past);
	must(set_times("f", omit, now));
	cr_assert(!later(start, stat_of("f").st_mtim));
	assert_times("f", set_atime, stat_of("f").st_mtim);
}

Test(attr, utimensat_omitting_both_changes_nothing)
{
	must(put_text("f", ""));
	must(set_times("f", past, past));
	cr_assert(!moves_ctime("f", set_times("f", omit, omit)));
	assert_times("f", past, past);
}

Test(attr, utimensat_refuses_a_fraction_of_a_second_or_more)
{
	must(put_text("f", ""));
	fails_with(EINVAL, set_times("f", (struct timespec){ .tv_nsec = 1000000000 }, past));
	fails_with(EINVAL, set_times("f", past, (struct timespec){ .tv_nsec = -1 }));
}

Test(attr, times_beyond_2038_are_kept)
{
	const struct timespec future = { .tv_sec = 5000000000, .tv_nsec = 999999999 };

	must(put_text("f", ""));
	must(set_times("f", future, future));
	fx_remount();
	assert_times("f", future, future);
}

Test(attr, times_before_1970_become_1970)
{
	const struct timespec before = { .tv_sec = -100, .tv_nsec = 5 }, epoch = { 0 };

	fx_need_cairnfs();
	must(put_text("f", ""));
	must(set_times("f", before, past));
	assert_times("f", epoch, past);
	must(set_times("f", past, before));
	fx_remount();
	assert_times("f", past, epoch);
}

Test(attr_users, only_owner_or_writer_may_set_times)
{
	make_owned("f", ALICE, 0644);
	fails_as(BOB, EPERM, set_times("f", past, past));
	fails_as(BOB, EACCES, set_times("f", now, now));
	must_as(ALICE, set_times("f", past, past));
	assert_times("f", past, past);
	must(chmod("f", 0666));
	must_as(BOB, set_times("f", now, now));
	fails_as(BOB, EPERM, set_times("f", past, past));
	fails_as(BOB, EPERM, set_times("f", now, omit));
	cr_assert(later(stat_of("f").st_mtim, past));
}

Test(attr, every_change_of_an_attribute_moves_the_ctime)
{
	must(put_text("f", "content"));
	cr_assert(moves_ctime("f", chmod("f", 0600)));
	cr_assert(moves_ctime("f", chown("f", geteuid(), getegid())));
	cr_assert(moves_ctime("f", set_times("f", past, past)));
	cr_assert(moves_ctime("f", truncate("f", 3)));
	cr_assert(moves_ctime("f", truncate("f", 100)));
	cr_assert(moves_ctime("f", append_text("f", "x")));
	cr_assert(moves_ctime("f", put_text("f", "")));
	must(mkdir("d", 0755));
	cr_assert(moves_ctime("d", chmod("d", 0700)));
	cr_assert(moves_ctime("d", set_times("d", past, past)));
}

Test(attr, changes_of_attributes_leave_the_mtime)
{
	must(put_text("f", "content"));
	cr_assert(!moves_mtime("f", chmod("f", 0600)));
	cr_assert(!moves_mtime("f", chown("f", geteuid(), getegid())));
	cr_assert(!moves_mtime("f", set_times("f", past, omit)));
}

Test(attr, changes_of_content_move_the_mtime)
{
	must(put_text("f", "content"));
	cr_assert(moves_mtime("f", append_text("f", "x")));
	cr_assert(moves_mtime("f", truncate("f", 3)));
	cr_assert(moves_mtime("f", truncate("f", 100)));
	cr_assert(moves_mtime("f", open_and_close("f", O_WRONLY | O_TRUNC, 0)));
}

Test(attr, an_explicit_mtime_after_a_write_stays)
{
	int fd = must(open("f", O_CREAT | O_RDWR, 0644));

	must(write_at(fd, 0, "content", 7));
	must(futimens(fd, (struct timespec[]){ past, past }));
	assert_times("f", past, past);
	must(close(fd));
	assert_times("f", past, past);
	fx_remount();
	assert_times("f", past, past);
}

static void make_files_of_all_kinds(void)
{
	must(put_text("f", "content"));
	must(mkdir("d", 0755));
	must(put_text("d/entry", ""));
	must(symlink("f", "l"));
	must(set_times("f", past, past));
	must(set_times("d", past, past));
	must(set_times("l", past, past));
}

Test(atime, reading_never_moves_it_by_default)
{
	char buf[8];

	fx_mount(NULL);
	make_files_of_all_kinds();
	cr_assert(!moves_atime("f", read_through("f")));
	cr_assert(!moves_atime("d", count_entries("d")));
	cr_assert(!moves_atime("l", readlink("l", buf, sizeof(buf))));
	fx_remount();
	must(read_through("f"));
	assert_times("f", past, past);
}

Test(atime, reading_moves_it_with_strictatime)
{
	struct timespec after;
	char buf[8];

	fx_mount("strictatime");
	make_files_of_all_kinds();
	/* The second time all of it is cached. */
	for (int i = 0; i < 2; i++) {
		cr_assert(moves_atime("f", read_through("f")));
		cr_assert(moves_atime("d", count_entries("d")));
		cr_assert(moves_atime("l", readlink("l", buf, sizeof(buf))));
	}
	fx_remount();
	cr_assert(moves_atime("f", read_through("f")));
	after = stat_of("f").st_atim;
	fx_remount();
	cr_assert(same_time(stat_of("f").st_atim, after));
}

/* Since Linux 6.6 a file that is read around the page cache can be mapped, too. */
static void need_direct_io_with_mappings(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname name;

	must(uname(&name));
	if (sscanf(name.release, "%u.%u", &major, &minor) != 2 || major * 1000 + minor < 6006)
		cr_skip_test("Linux %s", name.release);
}

Test(atime, each_read_of_a_descriptor_moves_it_with_strictatime)
{
	enum { LEN = 100000 };
	unsigned char *data = new_pattern(LEN, 1), *map;
	char byte;
	int fd;

	need_direct_io_with_mappings();
	fx_mount("strictatime");
	must(put_bytes("f", data, LEN));
	fd = must(open("f", O_RDWR));
	for (int i = 0; i < 3; i++)
		cr_assert(moves_atime("f", (int)pread(fd, &byte, 1, 0)), "read %d", i);

	map = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert(map != MAP_FAILED, "%s", strerror(errno));
	cr_assert_eq(memcmp(map, data, LEN), 0);
	cr_assert(moves_atime("f", (int)pread(fd, &byte, 1, 0)), "what is mapped");
	memcpy(map + 5000, "stored", 6);
	cr_assert(range_holds(fd, 5000, "stored", 6));
	must(write_at(fd, 70000, "written", 7));
	cr_assert_eq(memcmp(map + 70000, "written", 7), 0);
	memcpy(data + 5000, "stored", 6);
	memcpy(data + 70000, "written", 7);
	must(munmap(map, LEN));
	must(close(fd));
	fx_remount();
	cr_assert(holds_bytes("f", data, LEN));
	free(data);
}

Test(atime, reading_moves_a_stale_one_with_relatime)
{
	struct timespec after;

	fx_mount("relatime");
	make_files_of_all_kinds();
	cr_assert(moves_atime("f", read_through("f")));
	after = stat_of("f").st_atim;
	tick();
	must(read_through("f"));
	cr_assert(same_time(stat_of("f").st_atim, after));
	must(append_text("f", "x"));
	cr_assert(moves_atime("f", read_through("f")));
}

Test(atime, reading_a_read_only_strictatime_mount_works)
{
	fx_mount(NULL);
	make_files_of_all_kinds();
	fx_umount();
	fx_mount("ro,strictatime");
	must(read_through("f"));
	cr_assert(holds_text("f", "content"));
}

/* Sizes. */

Test(attr, truncate_shrinks_and_grows)
{
	must(put_text("f", "content"));
	must(truncate("f", 3));
	cr_assert(holds_text("f", "con"));
	must(truncate("f", 6));
	cr_assert(holds_bytes("f", "con\0\0", 6));
	must(truncate("f", 0));
	cr_assert_eq(size_of("f"), 0);
	must(truncate("f", 1000000));
	fx_remount();
	cr_assert_eq(size_of("f"), 1000000);
	cr_assert_lt(stat_of("f").st_blocks, 1000000 / 512);
}

Test(attr, truncate_refuses_what_has_no_size)
{
	int fd;

	must(put_text("f", "x"));
	must(mkdir("d", 0755));
	fails_with(EISDIR, truncate("d", 0));
	fails_with(EINVAL, truncate("f", -1));
	fails_with(ENOENT, truncate("none", 0));
	fd = must(open("f", O_RDONLY));
	fails_with(EINVAL, ftruncate(fd, 0));
	must(close(fd));
	cr_assert(holds_text("f", "x"));
}

Test(attr, a_file_may_be_as_large_as_off_t)
{
	fx_need_cairnfs();
	must(put_text("f", "start"));
	must(truncate("f", INT64_MAX));
	cr_assert_eq(size_of("f"), INT64_MAX);
	fx_remount();
	cr_assert_eq(size_of("f"), INT64_MAX);
	must(truncate("f", 5));
	cr_assert(holds_text("f", "start"));
}

Test(attr_users, truncate_needs_write_permission)
{
	make_owned("f", ALICE, 0644);
	fails_as(BOB, EACCES, truncate("f", 0));
	fails_as(BOB, EACCES, open("f", O_RDONLY | O_TRUNC));
	cr_assert(holds_text("f", "content"));
}

Test(attr, blocks_follow_the_content)
{
	unsigned char *data = new_pattern(300000, 1);

	must(put_bytes("f", data, 300000));
	cr_assert_geq(stat_of("f").st_blocks, 300000 / 512);
	must(truncate("f", 0));
	cr_assert_eq(stat_of("f").st_blocks, 0);
	cr_assert_gt(stat_of("f").st_blksize, 0);
	free(data);
}

Test(attr, statvfs_tells_the_limits)
{
	struct statvfs vfs;

	must(statvfs(".", &vfs));
	cr_assert_eq(vfs.f_namemax, 255);
	cr_assert_gt(vfs.f_bsize, 0);
	cr_assert_gt(vfs.f_blocks, 0);
	cr_assert_leq(vfs.f_bavail, vfs.f_bfree);
	cr_assert_leq(vfs.f_bfree, vfs.f_blocks);
	cr_assert_gt(vfs.f_files, 0);
	cr_assert_gt(vfs.f_ffree, 0);
}

Test(attr, inode_numbers_are_kept_and_not_shared)
{
	ino_t a, b, d;

	must(put_text("a", ""));
	must(put_text("b", ""));
	must(mkdir("d", 0755));
	a = ino_of("a");
	b = ino_of("b");
	d = ino_of("d");
	cr_assert(a != b && b != d && a != d);
	fx_remount();
	cr_assert_eq(ino_of("a"), a);
	cr_assert_eq(ino_of("b"), b);
	cr_assert_eq(ino_of("d"), d);
	must(put_text("c", ""));
	cr_assert(ino_of("c") != a && ino_of("c") != b && ino_of("c") != d);
}
