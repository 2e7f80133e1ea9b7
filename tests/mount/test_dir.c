/* Listing directories: completeness, positions, and listing while the directory changes. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "fsutil.h"

TestSuite(dir, .init = fx_setup, .fini = fx_teardown, .timeout = 240);

static void entry_name(char ret_name[32], const char *prefix, int number)
{
	snprintf(ret_name, 32, "%s%05d", prefix, number);
}

static void make_entries(const char *dir, const char *prefix, int n)
{
	int fd = must(open(dir, O_RDONLY | O_DIRECTORY));
	char name[32];

	for (int i = 0; i < n; i++) {
		int entry;

		entry_name(name, prefix, i);
		entry = must(openat(fd, name, O_CREAT | O_EXCL | O_WRONLY, 0644));
		must(close(entry));
	}
	must(close(fd));
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every one of the n entries with this prefix is listed once. */
static void assert_lists_each_once(struct listing *listing, const char *prefix, int n)
{
	size_t at = 0;
	char name[32];

	if (listing->n)
		qsort(listing->names, listing->n, sizeof(*listing->names), compare_names);
	for (int i = 0; i < n; i++) {
		entry_name(name, prefix, i);
		while (at < listing->n && strcmp(listing->names[at], name) < 0)
			at++;
		cr_assert(at < listing->n && strcmp(listing->names[at], name) == 0,
			  "%s is not listed", name);
		cr_assert(at + 1 == listing->n || strcmp(listing->names[at + 1], name) != 0,
			  "%s is listed twice", name);
	}
}

static void assert_directory_of(int n)
{
	struct listing listing;

	must(mkdir("d", 0755));
	make_entries("d", "e", n);
	for (int pass = 0; pass < 2; pass++) {
		must(list_dir("d", &listing));
		cr_assert_eq(listing.n, (size_t)n, "%zu entries, pass %d", listing.n, pass);
		assert_lists_each_once(&listing, "e", n);
		free_listing(&listing);
		if (pass == 0)
			fx_remount();
	}
}

Test(dir, of_no_entry)
{
	assert_directory_of(0);
}

Test(dir, of_one_entry)
{
	assert_directory_of(1);
}

Test(dir, of_two_entries)
{
	assert_directory_of(2);
}

Test(dir, of_1000_entries)
{
	assert_directory_of(1000);
}

Test(dir, of_20000_entries)
{
	assert_directory_of(20000);
}

Test(dir, dot_and_dot_dot_are_listed_once_with_their_inodes)
{
	int dots = 0, dot_dots = 0;
	struct dirent *de;
	DIR *dir;

	must(mkdir("d", 0755));
	make_entries("d", "e", 300);
	dir = opendir("d");
	cr_assert(dir);
	while ((de = readdir(dir)) != NULL) {
		if (strcmp(de->d_name, ".") == 0) {
			cr_assert_eq(de->d_ino, ino_of("d"));
			dots++;
		} else if (strcmp(de->d_name, "..") == 0) {
			cr_assert_eq(de->d_ino, ino_of("."));
			dot_dots++;
		}
	}
	must(closedir(dir));
	cr_assert_eq(dots, 1);
	cr_assert_eq(dot_dots, 1);
}

static unsigned char wanted_type(const char *name)
{
	return (unsigned char)IFTODT(stat_of(name).st_mode);
}

static void assert_entries_tell_the_truth(size_t wanted)
{
	DIR *dir = opendir(".");
	struct dirent *de;
	size_t n = 0;

	cr_assert(dir);
	while ((de = readdir(dir)) != NULL) {
		if (strcmp(de->d_name, "..") == 0)
			continue;
		cr_assert_eq(de->d_type, wanted_type(de->d_name), "%s: type %d", de->d_name,
			     de->d_type);
		cr_assert_eq(de->d_ino, ino_of(de->d_name), "%s: inode %lu", de->d_name,
			     (unsigned long)de->d_ino);
		n++;
	}
	must(closedir(dir));
	cr_assert_eq(n, wanted + 1);
}

Test(dir, entries_have_the_type_and_inode_of_what_they_name)
{
	size_t n = 6;

	must(put_text("file", "x"));
	must(link("file", "hard"));
	must(mkdir("dir", 0755));
	must(symlink("file", "link"));
	must(mkfifo("fifo", 0644));
	must(mknod("socket", S_IFSOCK | 0644, 0));
	if (geteuid() == 0) {
		must(mknod("null", S_IFCHR | 0644, 0x103));
		must(mknod("loop", S_IFBLK | 0644, 0x700));
		n += 2;
	}
	assert_entries_tell_the_truth(n);
	fx_remount();
	assert_entries_tell_the_truth(n);
}

/* Raw listing, with the buffer's size in the test's hand. */

struct raw_dirent {
	ino64_t ino;
	off64_t off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

struct raw_lister {
	int fd;
	size_t size; /* of the buffer given to the kernel */
};

/* One call: the names it returned join the listing. 0 at the end, else the count of entries. */
static int list_some(struct raw_lister *lister, struct listing *listing)
{
	_Alignas(struct raw_dirent) char buf[1 << 16];
	long n = must(syscall(SYS_getdents64, lister->fd, buf, lister->size));
	int entries = 0;

	for (long at = 0; at < n; entries++) {
		struct raw_dirent *de = (struct raw_dirent *)(void *)(buf + at);

		if (strcmp(de->name, ".") != 0 && strcmp(de->name, "..") != 0)
			add_name(listing, de->name);
		at += de->reclen;
	}
	return entries;
}

typedef void on_batch(const struct listing *batch, int round);

/* Lists "d" to the end; after each call `on_batch` is told what that call returned. */
static struct listing list_slowly(size_t size, on_batch *tell)
{
	struct raw_lister lister = { .fd = must(open("d", O_RDONLY | O_DIRECTORY)), .size = size };
	struct listing all = { 0 };
	int rounds = 0;

	for (;;) {
		struct listing batch = { 0 };
		int n = list_some(&lister, &batch);

		for (size_t i = 0; i < batch.n; i++)
			add_name(&all, batch.names[i]);
		if (n > 0 && tell)
			tell(&batch, rounds++);
		free_listing(&batch);
		if (n == 0)
			break;
	}
	must(close(lister.fd));
	return all;
}

enum { SMALL = 512, LARGE = 1 << 16, ENTRIES = 2000 };

static void assert_each_once_while(size_t size, on_batch *tell)
{
	struct listing listing;

	must(mkdir("d", 0755));
	make_entries("d", "e", ENTRIES);
	listing = list_slowly(size, tell);
	assert_lists_each_once(&listing, "e", ENTRIES);
	free_listing(&listing);
}

Test(dir, small_buffers_list_each_entry_once)
{
	assert_each_once_while(SMALL, NULL);
}

Test(dir, large_buffers_list_each_entry_once)
{
	assert_each_once_while(LARGE, NULL);
}

Test(dir, a_buffer_too_small_for_an_entry_is_refused)
{
	char buf[8];
	int fd;

	must(mkdir("d", 0755));
	fd = must(open("d", O_RDONLY | O_DIRECTORY));
	fails_with(EINVAL, syscall(SYS_getdents64, fd, buf, sizeof(buf)));
	must(close(fd));
}

static void remove_batch(const struct listing *batch, int round)
{
	char path[300];

	(void)round;
	for (size_t i = 0; i < batch->n; i++) {
		snprintf(path, sizeof(path), "d/%s", batch->names[i]);
		must(unlink(path));
	}
}

Test(dir, removing_what_was_listed_misses_nothing_small_buffers)
{
	assert_each_once_while(SMALL, remove_batch);
	must(rmdir("d"));
}

Test(dir, removing_what_was_listed_misses_nothing_large_buffers)
{
	assert_each_once_while(LARGE, remove_batch);
	must(rmdir("d"));
}

static void create_some(const struct listing *batch, int round)
{
	char path[32];

	(void)batch;
	for (int i = 0; i < 5 && round < 1000; i++) {
		snprintf(path, sizeof(path), "d/%c-%d-%d", i % 2 ? 'a' : 'z', round, i);
		must(put_text(path, ""));
	}
}

Test(dir, creating_while_listing_leaves_the_others_listed_once_small_buffers)
{
	assert_each_once_while(SMALL, create_some);
}

Test(dir, creating_while_listing_leaves_the_others_listed_once_large_buffers)
{
	assert_each_once_while(LARGE, create_some);
}

/* Renames entries that stay within the directory; "moving" ones only. */
static void rename_some(const struct listing *batch, int round)
{
	char from[32], to[32];

	(void)batch;
	for (int i = 0; i < 3; i++) {
		int number = (round * 3 + i) % 300;

		snprintf(from, sizeof(from), "d/m%05d", number);
		snprintf(to, sizeof(to), "d/%c-moved%05d", number % 2 ? 'a' : 'z', number);
		if (rename(from, to) < 0)
			cr_assert_eq(errno, ENOENT, "%s", strerror(errno));
	}
}

static void assert_renaming_disturbs_no_other(size_t size)
{
	struct listing listing;

	must(mkdir("d", 0755));
	make_entries("d", "m", 300);
	make_entries("d", "e", ENTRIES);
	listing = list_slowly(size, rename_some);
	assert_lists_each_once(&listing, "e", ENTRIES);
	free_listing(&listing);
	must(list_dir("d", &listing));
	cr_assert_eq(listing.n, ENTRIES + 300);
	free_listing(&listing);
}

Test(dir, renaming_while_listing_leaves_the_others_listed_once_small_buffers)
{
	assert_renaming_disturbs_no_other(SMALL);
}

Test(dir, renaming_while_listing_leaves_the_others_listed_once_large_buffers)
{
	assert_renaming_disturbs_no_other(LARGE);
}

static void churn_for_ever(void)
{
	char a[32], b[32];

	for (unsigned i = 0;; i++) {
		snprintf(a, sizeof(a), "d/churn%u", i % 50);
		snprintf(b, sizeof(b), "d/other%u", i % 50);
		if (put_text(a, "") < 0 || rename(a, b) < 0 || unlink(b) < 0)
			_exit(errno);
	}
}

Test(dir, another_process_changing_it_disturbs_no_listing)
{
	struct listing listing;
	pid_t child;

	must(mkdir("d", 0755));
	make_entries("d", "e", ENTRIES);
	child = fx_fork();
	if (child == 0)
		churn_for_ever();
	for (int i = 0; i < 20; i++) {
		listing = list_slowly(i % 2 ? SMALL : LARGE, NULL);
		assert_lists_each_once(&listing, "e", ENTRIES);
		free_listing(&listing);
	}
	must(kill(child, SIGKILL));
	cr_assert_eq(fx_wait(child), 128 + SIGKILL, "the other process failed");
}

Test(dir, rewinddir_starts_anew_and_sees_what_changed)
{
	struct dirent *de;
	bool seen = false;
	DIR *dir;
	int n = 0;

	must(mkdir("d", 0755));
	make_entries("d", "e", 100);
	dir = opendir("d");
	cr_assert(dir);
	while (readdir(dir))
		n++;
	cr_assert_eq(n, 102);
	must(put_text("d/new", ""));
	must(unlink("d/e00000"));
	rewinddir(dir);
	n = 0;
	while ((de = readdir(dir)) != NULL) {
		cr_assert(strcmp(de->d_name, "e00000") != 0);
		seen |= strcmp(de->d_name, "new") == 0;
		n++;
	}
	cr_assert(seen);
	cr_assert_eq(n, 102);
	must(closedir(dir));
}

Test(dir, seekdir_returns_to_where_telldir_was)
{
	enum { N = 500 };
	long positions[N + 2];
	struct listing listing = { 0 };
	struct dirent *de;
	DIR *dir;

	must(mkdir("d", 0755));
	make_entries("d", "e", N);
	dir = opendir("d");
	cr_assert(dir);
	for (int i = 0; i < N + 2; i++) {
		positions[i] = telldir(dir);
		de = readdir(dir);
		cr_assert(de);
		add_name(&listing, de->d_name);
	}
	cr_assert_null(readdir(dir));
	for (int i = N + 1; i >= 0; i -= 7) {
		seekdir(dir, positions[i]);
		de = readdir(dir);
		cr_assert(de);
		cr_assert_str_eq(de->d_name, listing.names[i]);
	}
	must(closedir(dir));
	free_listing(&listing);
}

Test(dir, two_handles_have_positions_of_their_own)
{
	struct dirent *first, *second;
	DIR *a, *b;
	int n = 0;

	must(mkdir("d", 0755));
	make_entries("d", "e", 700);
	a = opendir("d");
	b = opendir("d");
	cr_assert(a && b);
	for (int i = 0; i < 300; i++)
		cr_assert(readdir(a));
	first = readdir(b);
	cr_assert(first);
	rewinddir(a);
	second = readdir(a);
	cr_assert(second);
	cr_assert_str_eq(first->d_name, second->d_name);
	while (readdir(b))
		n++;
	cr_assert_eq(n, 701);
	must(closedir(a));
	must(closedir(b));
}

Test(dir, an_open_directory_that_was_removed_lists_nothing)
{
	char buf[1024];
	int fd;

	must(mkdir("d", 0755));
	fd = must(open("d", O_RDONLY | O_DIRECTORY));
	must(rmdir("d"));
	fails_with(ENOENT, syscall(SYS_getdents64, fd, buf, sizeof(buf)));
	must(close(fd));
}

Test(dir, listing_what_is_not_a_directory_fails)
{
	must(put_text("f", ""));
	errno = 0;
	cr_assert_null(opendir("f"));
	cr_assert_eq(errno, ENOTDIR);
	errno = 0;
	cr_assert_null(opendir("none"));
	cr_assert_eq(errno, ENOENT);
}

enum { DEPTH = 1000 };

/* Opens the directory so many levels below the working directory, making them if asked. */
static int descend(int levels, bool make)
{
	int fd = must(open(".", O_RDONLY | O_DIRECTORY));

	for (int i = 0; i < levels; i++) {
		int next;

		if (make)
			must(mkdirat(fd, "deeper", 0755));
		next = must(openat(fd, "deeper", O_RDONLY | O_DIRECTORY));
		must(close(fd));
		fd = next;
	}
	return fd;
}

Test(dir, a_path_a_thousand_levels_deep_can_be_made_and_removed)
{
	int fd = descend(DEPTH, true), file;

	file = must(openat(fd, "bottom", O_CREAT | O_RDWR, 0644));
	must(write_at(file, 0, "deep", 4));
	must(close(file));
	must(close(fd));
	fx_remount();
	fd = descend(DEPTH, false);
	file = must(openat(fd, "bottom", O_RDONLY));
	cr_assert(range_holds(file, 0, "deep", 4));
	must(close(file));
	must(unlinkat(fd, "bottom", 0));
	for (int i = 0; i < DEPTH; i++) {
		int up = must(openat(fd, "..", O_RDONLY | O_DIRECTORY));

		must(unlinkat(up, "deeper", AT_REMOVEDIR));
		must(close(fd));
		fd = up;
	}
	must(close(fd));
	cr_assert_eq(count_entries("."), 0);
}
