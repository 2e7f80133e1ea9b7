/* rename() and renameat2(): every pair of types, flags, and what it does to inodes and times. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "fsutil.h"

static void setup_for_two_users(void)
{
	fx_need_root();
	fx_setup_opts("allow_other");
}

TestSuite(rename, .init = fx_setup, .fini = fx_teardown, .timeout = 60);
TestSuite(rename_as_other, .init = setup_for_two_users, .fini = fx_teardown, .timeout = 60);

static int rename_flags(const char *from, const char *to, unsigned flags)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

Test(rename, moves_a_name_and_keeps_the_inode)
{
	ino_t ino;

	must(put_text("a", "x"));
	ino = ino_of("a");
	must(rename("a", "b"));
	cr_assert(!exists("a"));
	cr_assert_eq(ino_of("b"), ino);
	cr_assert(holds_text("b", "x"));
	cr_assert_eq(count_entries("."), 1);
	fx_remount();
	cr_assert(!exists("a"));
	cr_assert(holds_text("b", "x"));
}

Test(rename, replaces_an_existing_file_atomically)
{
	must(put_text("target", "old"));
	for (int i = 0; i < 50; i++) {
		pid_t reader = fx_fork();

		/* The target has its old or its new content at every moment, and always is. */
		if (reader == 0) {
			for (int n = 0; n < 50; n++) {
				char buf[8] = { 0 };
				int fd = open("target", O_RDONLY);

				if (fd < 0 || read(fd, buf, sizeof(buf)) != 3)
					_exit(1);
				if (strcmp(buf, "old") != 0 && strcmp(buf, "new") != 0)
					_exit(2);
				close(fd);
			}
			_exit(0);
		}
		must(put_text("source", i % 2 ? "old" : "new"));
		must(rename("source", "target"));
		cr_assert_eq(fx_wait(reader), 0);
	}
	cr_assert_eq(count_entries("."), 1);
	cr_assert(holds_text("target", "old"));
}

Test(rename, a_replaced_file_loses_one_link)
{
	must(put_text("a", "a"));
	must(put_text("b", "b"));
	must(link("b", "b2"));
	cr_assert(moves_ctime("b2", rename("a", "b")));
	cr_assert_eq(nlink_of("b2"), 1);
	cr_assert_eq(nlink_of("b"), 1);
	cr_assert(holds_text("b2", "b"));
	cr_assert(holds_text("b", "a"));
}

Test(rename, over_an_open_file_leaves_it_readable)
{
	char buf[8] = { 0 };
	int fd;

	must(put_text("a", "new"));
	must(put_text("b", "old"));
	fd = must(open("b", O_RDWR));
	must(rename("a", "b"));
	must(write_at(fd, 3, "er", 2));
	cr_assert_eq(read_at(fd, 0, buf, sizeof(buf)), 5);
	cr_assert_str_eq(buf, "older");
	cr_assert_eq(fstat_of(fd).st_nlink, 0);
	must(close(fd));
	cr_assert(holds_text("b", "new"));
}

Test(rename, of_an_open_file_keeps_the_descriptor)
{
	int fd;

	must(put_text("a", "x"));
	must(mkdir("d", 0755));
	fd = must(open("a", O_RDWR | O_APPEND));
	must(rename("a", "d/b"));
	cr_assert_eq(write(fd, "y", 1), 1);
	must(close(fd));
	cr_assert(holds_text("d/b", "xy"));
}

Test(rename, to_itself_or_another_name_of_the_inode_does_nothing)
{
	must(put_text("a", "x"));
	must(link("a", "b"));
	must(mkdir("d", 0755));
	must(rename("a", "a"));
	must(rename("a", "b"));
	must(rename("d", "d"));
	cr_assert_eq(nlink_of("a"), 2);
	cr_assert_eq(ino_of("a"), ino_of("b"));
	cr_assert_eq(count_entries("."), 3);
}

/* What each pair of types gives: 0 or an errno, with the target a file, a symlink, an empty
 * directory or one with an entry. */
struct pair {
	const char *from;
	int to_file, to_link, to_empty, to_full;
};

static void make_one_of_each(const char *prefix)
{
	char name[32];

	snprintf(name, sizeof(name), "%s-file", prefix);
	must(put_text(name, name));
	snprintf(name, sizeof(name), "%s-link", prefix);
	must(symlink("nowhere", name));
	snprintf(name, sizeof(name), "%s-fifo", prefix);
	must(mkfifo(name, 0600));
	snprintf(name, sizeof(name), "%s-empty", prefix);
	must(mkdir(name, 0755));
	snprintf(name, sizeof(name), "%s-full", prefix);
	must(mkdir(name, 0755));
	snprintf(name, sizeof(name), "%s-full/entry", prefix);
	must(put_text(name, ""));
}

static void assert_rename(const char *from_type, const char *to_type, int wanted)
{
	char dir[64], from[32], to[32];
	ino_t from_ino, to_ino;

	snprintf(dir, sizeof(dir), "%s-to-%s", from_type, to_type);
	snprintf(from, sizeof(from), "from-%s", from_type);
	snprintf(to, sizeof(to), "to-%s", to_type);
	must(mkdir(dir, 0755));
	must(chdir(dir));
	make_one_of_each("from");
	make_one_of_each("to");
	from_ino = ino_of(from);
	to_ino = ino_of(to);
	if (wanted) {
		fails_with(wanted, rename(from, to));
		cr_assert_eq(ino_of(from), from_ino);
		cr_assert_eq(ino_of(to), to_ino);
	} else {
		must(rename(from, to));
		cr_assert(!exists(from));
		cr_assert_eq(ino_of(to), from_ino);
		cr_assert_eq(count_entries("."), 9);
	}
	must(chdir(".."));
}

Test(rename, every_pair_of_types_gives_what_posix_says)
{
	static const struct pair pairs[] = {
		{ "file", 0, 0, EISDIR, EISDIR },
		{ "link", 0, 0, EISDIR, EISDIR },
		{ "fifo", 0, 0, EISDIR, EISDIR },
		{ "empty", ENOTDIR, ENOTDIR, 0, ENOTEMPTY },
		{ "full", ENOTDIR, ENOTDIR, 0, ENOTEMPTY },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		assert_rename(pairs[i].from, "file", pairs[i].to_file);
		assert_rename(pairs[i].from, "link", pairs[i].to_link);
		assert_rename(pairs[i].from, "empty", pairs[i].to_empty);
		assert_rename(pairs[i].from, "full", pairs[i].to_full);
	}
}

Test(rename, of_missing_names_fails)
{
	must(put_text("f", "x"));
	fails_with(ENOENT, rename("none", "other"));
	fails_with(ENOENT, rename("none", "f"));
	fails_with(ENOENT, rename("f", "none/f"));
	fails_with(ENOTDIR, rename("f", "f/g"));
	fails_with(ENOTDIR, rename("f/g", "h"));
	cr_assert(holds_text("f", "x"));
}

Test(rename, of_a_directory_moves_its_link_between_parents)
{
	must(mkdir("a", 0755));
	must(mkdir("b", 0755));
	must(mkdir("a/d", 0755));
	must(mkdir("a/d/e", 0755));
	must(put_text("a/d/e/f", "x"));
	must(rename("a/d", "b/d"));
	cr_assert_eq(nlink_of("a"), 2);
	cr_assert_eq(nlink_of("b"), 3);
	cr_assert_eq(nlink_of("b/d"), 3);
	cr_assert_eq(ino_of("b/d/.."), ino_of("b"));
	cr_assert(holds_text("b/d/e/f", "x"));
	cr_assert(!exists("a/d"));
	fx_remount();
	cr_assert_eq(nlink_of("a"), 2);
	cr_assert_eq(nlink_of("b"), 3);
	cr_assert_eq(ino_of("b/d/.."), ino_of("b"));
}

Test(rename, over_an_empty_directory_takes_its_link_away)
{
	must(mkdir("a", 0755));
	must(mkdir("b", 0755));
	must(mkdir("a/d", 0755));
	must(mkdir("b/d", 0755));
	must(rename("a/d", "b/d"));
	cr_assert_eq(nlink_of("a"), 2);
	cr_assert_eq(nlink_of("b"), 3);
	must(mkdir("b/e", 0755));
	must(rename("b/e", "b/d"));
	cr_assert_eq(nlink_of("b"), 3);
	cr_assert_eq(count_entries("b"), 1);
}

Test(rename, into_its_own_subtree_is_refused)
{
	must(mkdir("d", 0755));
	must(mkdir("d/e", 0755));
	must(mkdir("d/e/f", 0755));
	fails_with(EINVAL, rename("d", "d/e"));
	fails_with(EINVAL, rename("d", "d/new"));
	fails_with(EINVAL, rename("d", "d/e/f/new"));
	fails_with(ENOTEMPTY, rename("d/e/f", "d"));
	fails_with(EINVAL, rename_flags("d", "d/e/f", RENAME_EXCHANGE));
	cr_assert(exists("d/e/f"));
	cr_assert_eq(nlink_of("d"), 3);
}

Test(rename, of_dot_is_refused)
{
	must(mkdir("d", 0755));
	fails_with(EBUSY, rename("d/.", "e"));
	fails_with(EBUSY, rename("d/..", "e"));
	fails_with(EBUSY, rename("d", "."));
}

static void assert_rename_touches_ctime_alone(const char *from, const char *to)
{
	struct stat before = stat_of(from), after;

	tick();
	must(rename(from, to));
	after = stat_of(to);
	cr_assert(later(after.st_ctim, before.st_ctim));
	cr_assert(same_time(after.st_mtim, before.st_mtim));
}

Test(rename, moves_the_ctime_of_what_is_renamed_but_not_the_mtime)
{
	must(put_text("f", "x"));
	must(mkdir("d", 0755));
	must(mkdir("p", 0755));
	assert_rename_touches_ctime_alone("f", "g");
	assert_rename_touches_ctime_alone("g", "p/g");
	assert_rename_touches_ctime_alone("d", "e");
}

Test(rename, noreplace_keeps_an_existing_target)
{
	must(put_text("a", "a"));
	must(put_text("b", "b"));
	must(mkdir("d", 0755));
	fails_with(EEXIST, rename_flags("a", "b", RENAME_NOREPLACE));
	fails_with(EEXIST, rename_flags("a", "d", RENAME_NOREPLACE));
	fails_with(EEXIST, rename_flags("d", "b", RENAME_NOREPLACE));
	fails_with(EEXIST, rename_flags("a", "a", RENAME_NOREPLACE));
	fails_with(ENOENT, rename_flags("none", "c", RENAME_NOREPLACE));
	cr_assert(holds_text("a", "a"));
	cr_assert(holds_text("b", "b"));
	must(rename_flags("a", "c", RENAME_NOREPLACE));
	cr_assert(!exists("a"));
	cr_assert(holds_text("c", "a"));
}

Test(rename, exchange_swaps_two_files)
{
	ino_t a, b;

	must(put_text("a", "a"));
	must(mkdir("d", 0755));
	must(put_text("d/b", "b"));
	a = ino_of("a");
	b = ino_of("d/b");
	must(rename_flags("a", "d/b", RENAME_EXCHANGE));
	cr_assert_eq(ino_of("a"), b);
	cr_assert_eq(ino_of("d/b"), a);
	cr_assert(holds_text("a", "b"));
	cr_assert(holds_text("d/b", "a"));
	cr_assert_eq(nlink_of("a"), 1);
	fx_remount();
	cr_assert(holds_text("a", "b"));
	cr_assert(holds_text("d/b", "a"));
}

Test(rename, exchange_swaps_directories_that_are_not_empty)
{
	must(mkdir("p", 0755));
	must(mkdir("q", 0755));
	must(mkdir("p/a", 0755));
	must(mkdir("q/b", 0755));
	must(mkdir("q/b/sub", 0755));
	must(put_text("p/a/in-a", ""));
	must(rename_flags("p/a", "q/b", RENAME_EXCHANGE));
	cr_assert(exists("q/b/in-a"));
	cr_assert(exists("p/a/sub"));
	cr_assert_eq(nlink_of("p"), 3);
	cr_assert_eq(nlink_of("q"), 3);
	cr_assert_eq(nlink_of("p/a"), 3);
	cr_assert_eq(nlink_of("q/b"), 2);
	cr_assert_eq(ino_of("p/a/.."), ino_of("p"));
	cr_assert_eq(ino_of("q/b/.."), ino_of("q"));
}

Test(rename, exchange_of_a_file_and_a_directory_moves_the_link)
{
	must(mkdir("p", 0755));
	must(mkdir("q", 0755));
	must(put_text("p/x", "file"));
	must(mkdir("q/y", 0755));
	must(rename_flags("p/x", "q/y", RENAME_EXCHANGE));
	cr_assert(S_ISDIR(stat_of("p/x").st_mode));
	cr_assert(holds_text("q/y", "file"));
	cr_assert_eq(nlink_of("p"), 3);
	cr_assert_eq(nlink_of("q"), 2);
	must(symlink("t", "q/z"));
	must(rename_flags("p/x", "q/z", RENAME_EXCHANGE));
	cr_assert(S_ISLNK(stat_of("p/x").st_mode));
	cr_assert_eq(nlink_of("p"), 2);
	cr_assert_eq(nlink_of("q"), 3);
	fx_remount();
	cr_assert_eq(nlink_of("p"), 2);
	cr_assert_eq(nlink_of("q"), 3);
}

Test(rename, exchange_moves_the_ctime_of_both)
{
	struct stat a, b;

	must(put_text("a", ""));
	must(put_text("b", ""));
	a = stat_of("a");
	b = stat_of("b");
	tick();
	must(rename_flags("a", "b", RENAME_EXCHANGE));
	cr_assert(later(stat_of("b").st_ctim, a.st_ctim));
	cr_assert(later(stat_of("a").st_ctim, b.st_ctim));
}

Test(rename, exchange_needs_both_names)
{
	must(put_text("a", "a"));
	fails_with(ENOENT, rename_flags("a", "none", RENAME_EXCHANGE));
	fails_with(ENOENT, rename_flags("none", "a", RENAME_EXCHANGE));
	fails_with(EINVAL, rename_flags("a", "b", RENAME_EXCHANGE | RENAME_NOREPLACE));
	cr_assert(holds_text("a", "a"));
	cr_assert_eq(count_entries("."), 1);
}

Test(rename, unknown_flags_are_refused)
{
	must(put_text("a", "a"));
	fails_with(EINVAL, rename_flags("a", "b", 1u << 30));
	cr_assert(holds_text("a", "a"));
}

Test(rename, crossing_renames_of_directories_never_make_a_loop)
{
	enum { ROUNDS = 200 };
	pid_t children[2];

	must(mkdir("a", 0755));
	must(mkdir("b", 0755));
	for (int i = 0; i < 2; i++) {
		children[i] = fx_fork();
		if (children[i] != 0)
			continue;
		/* One moves a below b and back, the other b below a and back. */
		for (int n = 0; n < ROUNDS; n++) {
			const char *own = i ? "b" : "a", *inner = i ? "a/b" : "b/a";

			if (rename(own, inner) == 0 && rename(inner, own) < 0)
				_exit(errno);
		}
		_exit(0);
	}
	cr_assert_eq(fx_wait(children[0]), 0);
	cr_assert_eq(fx_wait(children[1]), 0);
	cr_assert_eq(count_entries("."), 2);
	cr_assert_eq(nlink_of("a"), 2);
	cr_assert_eq(nlink_of("b"), 2);
}

Test(rename, of_a_directory_under_open_descriptors_keeps_them)
{
	int dir, file;

	must(mkdir("d", 0755));
	dir = must(open("d", O_RDONLY | O_DIRECTORY));
	must(rename("d", "e"));
	file = must(openat(dir, "f", O_CREAT | O_WRONLY, 0644));
	must(close(file));
	must(close(dir));
	cr_assert(exists("e/f"));
}

Test(rename_as_other, needs_write_permission_in_both_parents)
{
	must(mkdir("mine", 0755));
	must(mkdir("theirs", 0755));
	must(chown("theirs", ALICE, ALICE));
	must(put_text("mine/f", "x"));
	must(put_text("theirs/f", "y"));
	fails_as(ALICE, EACCES, rename("theirs/f", "mine/g"));
	fails_as(ALICE, EACCES, rename("mine/f", "theirs/g"));
	must_as(ALICE, rename("theirs/f", "theirs/g"));
	cr_assert(holds_text("theirs/g", "y"));
}

Test(rename_as_other, moving_a_directory_needs_write_permission_on_it)
{
	must(mkdir("p", 0777));
	must(chmod("p", 0777));
	must(mkdir("q", 0777));
	must(chmod("q", 0777));
	must(mkdir("p/d", 0755));
	must_as(ALICE, rename("p/d", "p/e"));
	fails_as(ALICE, EACCES, rename("p/e", "q/e"));
}
