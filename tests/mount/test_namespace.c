/* Making, linking and removing names. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "fsutil.h"

static void setup_for_root(void)
{
	fx_need_root();
	fx_setup();
}

TestSuite(namespace, .init = fx_setup, .fini = fx_teardown, .timeout = 60);
TestSuite(namespace_root, .init = setup_for_root, .fini = fx_teardown, .timeout = 60);

static void fill_name(char *ret_name, size_t len)
{
	memset(ret_name, 'n', len);
	ret_name[len] = '\0';
}

Test(namespace, a_new_workspace_is_an_empty_directory)
{
	struct stat st = stat_of(".");

	cr_assert(S_ISDIR(st.st_mode));
	cr_assert_eq(st.st_mode & 07777, 0755);
	cr_assert_eq(st.st_uid, geteuid());
	cr_assert_eq(count_entries("."), 0);
}

Test(namespace, create_makes_an_empty_regular_file)
{
	struct stat st;

	must(open_and_close("f", O_CREAT | O_EXCL | O_WRONLY, 0640));
	st = stat_of("f");
	cr_assert(S_ISREG(st.st_mode));
	cr_assert_eq(st.st_mode & 07777, 0640);
	cr_assert_eq(st.st_size, 0);
	cr_assert_eq(st.st_blocks, 0);
	cr_assert_eq(st.st_nlink, 1);
	cr_assert_eq(st.st_uid, geteuid());
	cr_assert_eq(st.st_gid, getegid());
}

Test(namespace, exclusive_create_refuses_any_existing_name)
{
	must(put_text("file", "kept"));
	must(mkdir("dir", 0755));
	must(symlink("nowhere", "dangling"));
	fails_with(EEXIST, open("file", O_CREAT | O_EXCL | O_WRONLY, 0644));
	fails_with(EEXIST, open("dir", O_CREAT | O_EXCL | O_WRONLY, 0644));
	fails_with(EEXIST, open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0644));
	cr_assert(holds_text("file", "kept"));
	cr_assert(!exists("nowhere"));
}

Test(namespace, create_opens_an_existing_file_and_keeps_it)
{
	ino_t ino;

	must(put_text("f", "kept"));
	must(chmod("f", 0600));
	ino = ino_of("f");
	must(open_and_close("f", O_CREAT | O_WRONLY, 0777));
	cr_assert_eq(ino_of("f"), ino);
	cr_assert_eq(mode_of("f"), 0600);
	cr_assert(holds_text("f", "kept"));
}

Test(namespace, create_through_a_dangling_symlink_makes_its_target)
{
	must(symlink("target", "link"));
	must(put_text("link", "x"));
	cr_assert(S_ISREG(stat_of("target").st_mode));
	cr_assert(holds_text("target", "x"));
}

Test(namespace, one_winner_among_exclusive_creates)
{
	enum { RACERS = 8, ROUNDS = 20 };
	pid_t pids[RACERS];
	char name[32];

	for (int round = 0; round < ROUNDS; round++) {
		int winners = 0;

		snprintf(name, sizeof(name), "race%d", round);
		for (int i = 0; i < RACERS; i++) {
			pids[i] = fx_fork();
			if (pids[i] == 0)
				_exit(open(name, O_CREAT | O_EXCL | O_WRONLY, 0644) < 0 ? errno
											: 0);
		}
		for (int i = 0; i < RACERS; i++) {
			int error = fx_wait(pids[i]);

			cr_assert(error == 0 || error == EEXIST, "%s", strerror(error));
			winners += error == 0;
		}
		cr_assert_eq(winners, 1, "%d winners", winners);
	}
	cr_assert_eq(count_entries("."), ROUNDS);
}

Test(namespace, opening_what_does_not_fit_fails)
{
	must(mkdir("dir", 0755));
	must(put_text("file", ""));
	fails_with(ENOENT, open("none", O_RDONLY));
	fails_with(EISDIR, open("dir", O_WRONLY));
	fails_with(EISDIR, open("dir", O_CREAT | O_RDONLY, 0644));
	fails_with(ENOTDIR, open("file", O_DIRECTORY | O_RDONLY));
	must(symlink("file", "link"));
	fails_with(ELOOP, open("link", O_NOFOLLOW | O_RDONLY));
}

Test(namespace, a_name_made_after_it_was_missed_is_seen)
{
	for (int i = 0; i < 3; i++)
		cr_assert(!exists("late"));
	must(put_text("late", "x"));
	cr_assert(exists("late"));
	must(unlink("late"));
	cr_assert(!exists("late"));
	must(mkdir("late", 0755));
	cr_assert(S_ISDIR(stat_of("late").st_mode));
}

Test(namespace, paths_through_missing_names_and_files_fail)
{
	must(put_text("file", ""));
	fails_with(ENOENT, open("none/x", O_RDONLY));
	fails_with(ENOENT, open("none/x", O_CREAT | O_WRONLY, 0644));
	fails_with(ENOENT, mkdir("none/x", 0755));
	fails_with(ENOENT, unlink("none"));
	fails_with(ENOENT, rmdir("none"));
	fails_with(ENOENT, link("none", "other"));
	fails_with(ENOENT, symlink("x", "none/x"));
	fails_with(ENOENT, open("", O_RDONLY));
	fails_with(ENOTDIR, open("file/x", O_RDONLY));
	fails_with(ENOTDIR, open("file/x", O_CREAT | O_WRONLY, 0644));
	fails_with(ENOTDIR, mkdir("file/x", 0755));
	fails_with(ENOTDIR, unlink("file/x"));
	fails_with(ENOTDIR, rmdir("file/x"));
	fails_with(ENOTDIR, open("file/", O_RDONLY));
}

Test(namespace, mkdir_makes_a_directory_of_two_links)
{
	struct stat st;

	must(mkdir("d", 0750));
	st = stat_of("d");
	cr_assert(S_ISDIR(st.st_mode));
	cr_assert_eq(st.st_mode & 07777, 0750);
	cr_assert_eq(st.st_nlink, 2);
	cr_assert_eq(count_entries("d"), 0);
	cr_assert_eq(ino_of("d/."), st.st_ino);
	cr_assert_eq(ino_of("d/.."), ino_of("."));
}

Test(namespace, mkdir_refuses_any_existing_name)
{
	must(put_text("file", ""));
	must(mkdir("dir", 0700));
	must(symlink("nowhere", "dangling"));
	fails_with(EEXIST, mkdir("file", 0755));
	fails_with(EEXIST, mkdir("dir", 0755));
	fails_with(EEXIST, mkdir("dangling", 0755));
	fails_with(EEXIST, mkdir(".", 0755));
	cr_assert_eq(mode_of("dir"), 0700);
}

Test(namespace, directory_nlink_counts_subdirectories_only)
{
	nlink_t root = nlink_of(".");

	must(mkdir("d", 0755));
	cr_assert_eq(nlink_of("."), root + 1);
	must(mkdir("d/a", 0755));
	must(mkdir("d/b", 0755));
	must(put_text("d/file", ""));
	must(symlink("a", "d/link"));
	cr_assert_eq(nlink_of("d"), 4);
	must(rmdir("d/a"));
	cr_assert_eq(nlink_of("d"), 3);
	must(unlink("d/file"));
	cr_assert_eq(nlink_of("d"), 3);
	fx_remount();
	cr_assert_eq(nlink_of("d"), 3);
	cr_assert_eq(nlink_of("."), root + 1);
}

Test(namespace, rmdir_removes_an_empty_directory)
{
	nlink_t root = nlink_of(".");

	must(mkdir("d", 0755));
	must(rmdir("d"));
	cr_assert(!exists("d"));
	cr_assert_eq(nlink_of("."), root);
	cr_assert_eq(count_entries("."), 0);
}

Test(namespace, rmdir_refuses_a_directory_with_entries)
{
	must(mkdir("d", 0755));
	must(put_text("d/f", "x"));
	fails_with(ENOTEMPTY, rmdir("d"));
	cr_assert(holds_text("d/f", "x"));
	must(unlink("d/f"));
	must(mkdir("d/s", 0755));
	fails_with(ENOTEMPTY, rmdir("d"));
	must(rmdir("d/s"));
	must(symlink("x", "d/l"));
	fails_with(ENOTEMPTY, rmdir("d"));
	must(unlink("d/l"));
	must(rmdir("d"));
}

Test(namespace, rmdir_refuses_what_is_not_a_directory)
{
	must(put_text("file", ""));
	must(mkdir("dir", 0755));
	must(symlink("dir", "link"));
	fails_with(ENOTDIR, rmdir("file"));
	fails_with(ENOTDIR, rmdir("link"));
	cr_assert(exists("file"));
	cr_assert(exists("link"));
}

Test(namespace, rmdir_refuses_dot_and_dot_dot)
{
	must(mkdir("d", 0755));
	must(mkdir("d/e", 0755));
	fails_with(EINVAL, rmdir("d/."));
	fails_with(ENOTEMPTY, rmdir("d/e/.."));
	cr_assert(exists("d/e"));
}

Test(namespace, the_root_of_the_mount_cannot_be_removed)
{
	fx_need_cairnfs();
	fails_with(EBUSY, rmdir(fx.mnt));
	must(put_text("f", "x"));
}

Test(namespace, unlink_removes_the_name_at_once)
{
	must(put_text("f", "x"));
	must(unlink("f"));
	cr_assert(!exists("f"));
	fails_with(ENOENT, unlink("f"));
	cr_assert_eq(count_entries("."), 0);
	fx_remount();
	cr_assert(!exists("f"));
}

Test(namespace, unlink_refuses_a_directory)
{
	must(mkdir("d", 0755));
	fails_with(EISDIR, unlink("d"));
	cr_assert(exists("d"));
}

Test(namespace, unlink_removes_a_symlink_and_not_its_target)
{
	must(put_text("target", "x"));
	must(symlink("target", "link"));
	must(unlink("link"));
	cr_assert(!exists("link"));
	cr_assert(holds_text("target", "x"));
}

Test(namespace, link_gives_the_same_inode_a_second_name)
{
	must(put_text("a", "first"));
	must(mkdir("d", 0755));
	must(link("a", "d/b"));
	cr_assert_eq(ino_of("a"), ino_of("d/b"));
	cr_assert_eq(nlink_of("a"), 2);
	cr_assert_eq(nlink_of("d/b"), 2);
	must(put_text("d/b", "second"));
	cr_assert(holds_text("a", "second"));
	must(chmod("a", 0600));
	cr_assert_eq(mode_of("d/b"), 0600);
	fx_remount();
	cr_assert_eq(ino_of("a"), ino_of("d/b"));
	must(unlink("a"));
	cr_assert_eq(nlink_of("d/b"), 1);
	cr_assert(holds_text("d/b", "second"));
}

Test(namespace, link_refuses_an_existing_name_and_a_directory)
{
	must(put_text("a", "a"));
	must(put_text("b", "b"));
	must(mkdir("d", 0755));
	fails_with(EEXIST, link("a", "b"));
	fails_with(EEXIST, link("a", "d"));
	fails_with(EEXIST, link("a", "a"));
	fails_with(EPERM, link("d", "e"));
	cr_assert(holds_text("b", "b"));
	cr_assert_eq(nlink_of("a"), 1);
	cr_assert_eq(nlink_of("d"), 2);
	cr_assert(!exists("e"));
}

Test(namespace, a_symlink_can_have_a_second_name)
{
	must(symlink("target", "a"));
	must(linkat(AT_FDCWD, "a", AT_FDCWD, "b", 0));
	cr_assert(S_ISLNK(stat_of("b").st_mode));
	cr_assert_eq(ino_of("a"), ino_of("b"));
	cr_assert_eq(nlink_of("a"), 2);
}

Test(namespace, an_open_file_without_names_has_no_links)
{
	int fd;

	must(put_text("f", "x"));
	fd = must(open("f", O_RDWR));
	must(link("f", "g"));
	cr_assert_eq(fstat_of(fd).st_nlink, 2);
	must(unlink("f"));
	cr_assert_eq(fstat_of(fd).st_nlink, 1);
	must(unlink("g"));
	cr_assert_eq(fstat_of(fd).st_nlink, 0);
	must(close(fd));
}

Test(namespace, a_temporary_file_gets_its_name_from_linkat)
{
	char proc[64];
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);

	/* Needs a FUSE that passes O_TMPFILE on; the kernel's answer is EOPNOTSUPP otherwise. */
	if (fd < 0) {
		cr_assert_eq(errno, EOPNOTSUPP, "%s", strerror(errno));
		cr_assert_eq(count_entries("."), 0);
		return;
	}
	must(write_at(fd, 0, "x", 1));
	cr_assert_eq(count_entries("."), 0);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	must(linkat(AT_FDCWD, proc, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	must(close(fd));
	cr_assert(holds_text("named", "x"));
	cr_assert_eq(nlink_of("named"), 1);
}

static void assert_link_reads(const char *name, const char *target)
{
	char buf[PATH_MAX + 1];
	ssize_t n = must(readlink(name, buf, sizeof(buf)));

	cr_assert_eq((size_t)n, strlen(target), "%zd bytes", n);
	cr_assert_eq(memcmp(buf, target, (size_t)n), 0);
	cr_assert_eq(size_of(name), n);
}

Test(namespace, a_symlink_reads_back_what_was_written)
{
	char buf[4];

	must(symlink("some/where/../else", "l"));
	assert_link_reads("l", "some/where/../else");
	cr_assert(S_ISLNK(stat_of("l").st_mode));
	cr_assert_eq(mode_of("l"), 0777);
	cr_assert_eq(nlink_of("l"), 1);
	cr_assert_eq(must(readlink("l", buf, sizeof(buf))), (ssize_t)sizeof(buf));
	cr_assert_eq(memcmp(buf, "some", sizeof(buf)), 0);
	fx_remount();
	assert_link_reads("l", "some/where/../else");
}

Test(namespace, a_symlink_holds_4095_bytes_and_no_more)
{
	static char longest[4096], too_long[4097];

	memset(longest, 'x', 4095);
	memset(too_long, 'x', 4096);
	must(symlink(longest, "longest"));
	fails_with(ENAMETOOLONG, symlink(too_long, "too-long"));
	cr_assert(!exists("too-long"));
	fx_remount();
	assert_link_reads("longest", longest);
}

Test(namespace, a_symlink_target_may_be_any_bytes)
{
	char target[256];

	for (int i = 0; i < 255; i++)
		target[i] = (char)(i + 1);
	target[255] = '\0';
	must(symlink(target, "l"));
	assert_link_reads("l", target);
	fx_remount();
	assert_link_reads("l", target);
}

Test(namespace, symlinks_are_followed_and_their_mistakes_reported)
{
	must(mkdir("d", 0755));
	must(put_text("d/f", "x"));
	must(symlink("d", "to-dir"));
	must(symlink("nowhere", "dangling"));
	must(symlink("loop-b", "loop-a"));
	must(symlink("loop-a", "loop-b"));
	cr_assert(holds_text("to-dir/f", "x"));
	fails_with(ENOENT, open("dangling", O_RDONLY));
	fails_with(ELOOP, open("loop-a", O_RDONLY));
	fails_with(EEXIST, symlink("x", "dangling"));
	fails_with(ENOENT, symlink("", "empty"));
	fails_with(EINVAL, readlink("d", (char[8]){ 0 }, 8));
	fails_with(EINVAL, readlink("d/f", (char[8]){ 0 }, 8));
}

static void assert_special(const char *name, mode_t type, dev_t rdev)
{
	struct stat st = stat_of(name);

	cr_assert_eq(st.st_mode & S_IFMT, type, "%s: mode %o", name, st.st_mode);
	cr_assert_eq(st.st_mode & 07777, 0600);
	cr_assert_eq(st.st_rdev, rdev, "%s: %lx", name, (unsigned long)st.st_rdev);
	cr_assert_eq(st.st_nlink, 1);
}

Test(namespace, mknod_makes_fifos_sockets_and_files)
{
	must(mknod("fifo", S_IFIFO | 0600, 0));
	must(mknod("socket", S_IFSOCK | 0600, 0));
	must(mknod("file", S_IFREG | 0600, 0));
	fails_with(EEXIST, mknod("fifo", S_IFIFO | 0600, 0));
	fx_remount();
	assert_special("fifo", S_IFIFO, 0);
	assert_special("socket", S_IFSOCK, 0);
	assert_special("file", S_IFREG, 0);
	must(unlink("fifo"));
	must(unlink("socket"));
	cr_assert_eq(count_entries("."), 1);
}

Test(namespace_root, mknod_keeps_device_numbers)
{
	must(mknod("char", S_IFCHR | 0600, makedev(1, 3)));
	must(mknod("block", S_IFBLK | 0600, makedev(7, 200)));
	must(mknod("big", S_IFCHR | 0600, makedev(511, 0x12345)));
	fx_remount();
	assert_special("char", S_IFCHR, makedev(1, 3));
	assert_special("block", S_IFBLK, makedev(7, 200));
	assert_special("big", S_IFCHR, makedev(511, 0x12345));
}

Test(namespace, a_fifo_passes_bytes_between_processes)
{
	char buf[8] = { 0 };
	pid_t child;
	int fd;

	must(mkfifo("fifo", 0600));
	child = fx_fork();
	if (child == 0)
		_exit(write(open("fifo", O_WRONLY), "through", 7) == 7 ? 0 : errno);
	fd = must(open("fifo", O_RDONLY));
	cr_assert_eq(must(read(fd, buf, sizeof(buf))), 7);
	cr_assert_str_eq(buf, "through");
	must(close(fd));
	cr_assert_eq(fx_wait(child), 0);
}

Test(namespace, names_of_255_bytes_work_and_256_do_not)
{
	char longest[256], too_long[257];

	fill_name(longest, 255);
	fill_name(too_long, 256);
	must(put_text(longest, "x"));
	fails_with(ENAMETOOLONG, open(too_long, O_CREAT | O_WRONLY, 0644));
	fails_with(ENAMETOOLONG, open(too_long, O_RDONLY));
	fails_with(ENAMETOOLONG, mkdir(too_long, 0755));
	fails_with(ENAMETOOLONG, symlink("x", too_long));
	fails_with(ENAMETOOLONG, link(longest, too_long));
	fails_with(ENAMETOOLONG, rename(longest, too_long));
	fails_with(ENAMETOOLONG, mknod(too_long, S_IFIFO | 0600, 0));
	fails_with(ENAMETOOLONG, unlink(too_long));
	fails_with(ENAMETOOLONG, rmdir(too_long));
	cr_assert_eq(count_entries("."), 1);
	fx_remount();
	cr_assert(holds_text(longest, "x"));
	must(unlink(longest));
}

/* The n-th of the names that make every byte a name may hold occur: alone, and among others. */
static void odd_name(int byte, bool alone, char *ret_name)
{
	sprintf(ret_name, alone ? "%c" : "a%cb", byte);
}

static void for_each_odd_name(void (*each)(const char *name))
{
	char name[8];

	for (int byte = 1; byte < 256; byte++) {
		if (byte == '/')
			continue;
		odd_name(byte, false, name);
		each(name);
		odd_name(byte, true, name);
		if (byte != '.')
			each(name);
	}
}

static void make_named_file(const char *name)
{
	must(put_text(name, name));
}

static void assert_named_file(const char *name)
{
	cr_assert(holds_text(name, name), "byte %d", (unsigned char)name[0]);
}

static void assert_listed_once(const char *name)
{
	struct listing listing;

	must(list_dir(".", &listing));
	cr_assert_eq(times_listed(&listing, name), 1, "byte %d", (unsigned char)name[0]);
	free_listing(&listing);
}

static void remove_named_file(const char *name)
{
	must(unlink(name));
}

Test(namespace, names_may_hold_any_byte_but_slash)
{
	for_each_odd_name(make_named_file);
	cr_assert_eq(count_entries("."), 254 + 253);
	for_each_odd_name(assert_named_file);
	for_each_odd_name(assert_listed_once);
	fx_remount();
	for_each_odd_name(assert_named_file);
	for_each_odd_name(assert_listed_once);
	for_each_odd_name(remove_named_file);
	cr_assert_eq(count_entries("."), 0);
}

Test(namespace, names_differ_by_case_and_by_normal_form)
{
	static const char *const names[] = {
		"a", "A", "\xc3\xa9", "e\xcc\x81", "a ", " a", "'", "%"
	};
	const size_t n = sizeof(names) / sizeof(*names);

	for (size_t i = 0; i < n; i++)
		must(put_text(names[i], names[i]));
	cr_assert_eq(count_entries("."), (ssize_t)n);
	fx_remount();
	for (size_t i = 0; i < n; i++)
		cr_assert(holds_text(names[i], names[i]), "%s", names[i]);
}

Test(namespace, changing_entries_moves_the_times_of_the_parent)
{
	must(mkdir("d", 0755));
	must(put_text("outside", ""));
	cr_assert(moves_mtime("d", put_text("d/f", "")));
	cr_assert(moves_ctime("d", put_text("d/g", "")));
	cr_assert(moves_mtime("d", mkdir("d/s", 0755)));
	cr_assert(moves_ctime("d", mkdir("d/t", 0755)));
	cr_assert(moves_mtime("d", symlink("x", "d/l")));
	cr_assert(moves_mtime("d", mknod("d/fifo", S_IFIFO | 0600, 0)));
	cr_assert(moves_mtime("d", link("outside", "d/h")));
	cr_assert(moves_mtime("d", rename("d/f", "d/f2")));
	cr_assert(moves_mtime("d", rename("d/f2", "f")));
	cr_assert(moves_mtime("d", rename("f", "d/f")));
	cr_assert(moves_mtime("d", unlink("d/f")));
	cr_assert(moves_ctime("d", unlink("d/g")));
	cr_assert(moves_mtime("d", rmdir("d/s")));
	cr_assert(moves_ctime("d", rmdir("d/t")));
}

Test(namespace, what_changes_no_entry_leaves_the_times_of_the_parent)
{
	must(mkdir("d", 0755));
	must(put_text("d/f", "x"));
	cr_assert(!moves_mtime("d", put_text("d/f", "longer")));
	cr_assert(!moves_ctime("d", chmod("d/f", 0600)));
	cr_assert(!moves_mtime("d", open_and_close("d/f", O_CREAT | O_RDWR, 0644)));
	cr_assert(!moves_mtime("d", read_through("d/f")));
}

Test(namespace, link_and_unlink_move_the_ctime_of_the_file)
{
	must(put_text("f", ""));
	cr_assert(moves_ctime("f", link("f", "g")));
	cr_assert(moves_ctime("f", unlink("g")));
	cr_assert(!moves_mtime("f", link("f", "g")));
}

Test(namespace, a_removed_working_directory_takes_no_new_names)
{
	int dir;

	must(mkdir("d", 0755));
	dir = must(open("d", O_RDONLY | O_DIRECTORY));
	must(chdir("d"));
	must(rmdir(fx_path("d")));
	fails_with(ENOENT, open("f", O_CREAT | O_WRONLY, 0644));
	fails_with(ENOENT, mkdir("s", 0755));
	fails_with(ENOENT, symlink("x", "l"));
	fails_with(ENOENT, mknod("fifo", S_IFIFO | 0600, 0));
	fails_with(ENOENT, openat(dir, "f", O_CREAT | O_WRONLY, 0644));
	cr_assert_eq(fstat_of(dir).st_nlink, 0);
	cr_assert_eq(count_entries("."), 0);
	must(close(dir));
	must(chdir(fx.mnt));
	must(mkdir("d", 0755));
	must(put_text("d/f", "x"));
}

Test(namespace, everything_survives_a_remount)
{
	must(mkdir("d", 0711));
	must(put_text("d/file", "content"));
	must(chmod("d/file", 0604));
	must(symlink("file", "d/link"));
	must(link("d/file", "hard"));
	fx_remount();
	cr_assert_eq(mode_of("d"), 0711);
	cr_assert(holds_text("d/link", "content"));
	cr_assert_eq(mode_of("d/file"), 0604);
	cr_assert_eq(nlink_of("hard"), 2);
	cr_assert_eq(count_entries("d"), 2);
	cr_assert_eq(count_entries("."), 2);
}

Test(namespace, a_new_file_does_not_inherit_from_a_removed_one)
{
	must(put_text("f", "old content"));
	must(chmod("f", 0600));
	must(unlink("f"));
	must(open_and_close("f", O_CREAT | O_RDWR, 0644));
	cr_assert_eq(size_of("f"), 0);
	cr_assert_eq(mode_of("f"), 0644);
	must(truncate("f", 11));
	cr_assert(holds_bytes("f", (char[11]){ 0 }, 11));
}
