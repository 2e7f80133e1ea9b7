/* A directory of the host as a base, while others change it: what is answered, that it is noticed,
 * and that nothing outside is ever reached. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base_fixture.h"

TestSuite(base_dir_change, .init = bx_setup_open, .fini = bx_teardown, .timeout = 60);
TestSuite(base_dir_mounts, .init = bx_setup, .fini = bx_teardown, .timeout = 60);
TestSuite(base_dir_watch, .init = bx_setup_open, .fini = bx_teardown, .timeout = 60);
TestSuite(base_dir_watch_open, .init = bx_setup, .fini = bx_teardown, .timeout = 60);

#define OPS  (bx.base->ops)
#define ROOT (OPS->root(bx.base))

static void move(const char *from, const char *to)
{
	cr_assert_eq(rename(bx_path(from), bx_path(to)), 0, "%s: %m", from);
}

/* Without what inotify tells, so that what the base notices by itself is seen. */
static void be_blind(void)
{
	struct cairn_dir_watch *watch = &bx_inside()->watch;

	bx_poll();
	cairn_dir_watch_destroy(watch);
	watch->fd = -1;
	watch->by_ino = NULL;
	watch->by_wd = NULL;
	pthread_mutex_init(&watch->lock, NULL);
}

Test(base_dir_change, renamed_directory_takes_along_what_was_found_in_it)
{
	uint64_t file;

	bx_mkdir("a");
	bx_mkdir("b");
	bx_write("a/file", "x");
	file = bx_find("/a/file");
	bx_find("/b");
	move("a", "b/c");
	bx_find("/b/c");
	cr_expect_str_eq(bx_text(file, NULL), "x");
}

Test(base_dir_change, file_put_in_the_place_of_another_answers_for_it)
{
	struct cairn_attr attr;
	uint64_t file;

	bx_write("file", "old");
	bx_write("next", "newer");
	file = bx_find("/file");
	be_blind();
	cr_expect_eq(bx_poll(), CAIRN_BASE_SAME);
	move("next", "file");
	cr_expect_str_eq(bx_text(file, NULL), "newer");
	cr_assert_eq(OPS->getattr(bx.base, file, &attr), 0);
	cr_expect_eq(attr.ino, file);
	cr_expect_eq(attr.size, 5);
	cr_expect_eq(bx_poll(), CAIRN_BASE_CHANGED);
	cr_expect_eq(bx_poll(), CAIRN_BASE_SAME);
	cr_expect_neq(bx_find("/file"), file);
}

Test(base_dir_change, another_type_in_the_place_of_a_file_is_enoent)
{
	struct cairn_attr attr;
	uint64_t file;
	ssize_t r;

	bx_write("file", "x");
	file = bx_find("/file");
	be_blind();
	cr_assert_eq(unlink(bx_path("file")), 0);
	bx_mkdir("file");
	bx_text(file, &r);
	cr_expect_eq(r, -ENOENT);
	cr_expect_eq(OPS->getattr(bx.base, file, &attr), -ENOENT);
	cr_expect_eq(bx_poll(), CAIRN_BASE_CHANGED);
}

Test(base_dir_change, deleted_file_is_enoent)
{
	struct cairn_attr attr;
	uint64_t file;

	bx_mkdir("d");
	bx_write("d/file", "x");
	file = bx_find("/d/file");
	be_blind();
	cr_assert_eq(unlink(bx_path("d/file")), 0);
	cr_expect_eq(OPS->getattr(bx.base, file, &attr), -ENOENT);
	cr_expect_eq(bx_poll(), CAIRN_BASE_CHANGED);
}

Test(base_dir_change, file_that_was_open_is_not_read_on_after_its_deletion)
{
	uint64_t file;
	ssize_t r;

	bx_write("file", "x");
	file = bx_find("/file");
	cr_expect_str_eq(bx_text(file, NULL), "x");
	cr_assert_eq(unlink(bx_path("file")), 0);
	cr_expect_eq(bx_poll(), CAIRN_BASE_CHANGED);
	bx_text(file, &r);
	cr_expect_eq(r, -ENOENT);
}

Test(base_dir_change, file_that_is_being_read_is_opened_anew_after_a_change)
{
	struct cairn_dir_file *file, *again;
	uint64_t ino;

	bx_write("file", "x");
	ino = bx_find("/file");
	cr_assert_eq(cairn_dir_file_get(bx_inside(), ino, &file), 0);
	bx_write("file", "y");
	cr_expect_eq(bx_poll(), CAIRN_BASE_CHANGED);
	cr_assert_eq(cairn_dir_file_get(bx_inside(), ino, &again), 0);
	cr_expect_neq(file, again);
	cairn_dir_file_put(bx_inside(), file);
	cairn_dir_file_put(bx_inside(), again);
}

/* As on a file system with subvolumes, which have devices of their own behind no mount. */
Test(base_dir_change, another_device_has_numbers_of_its_own)
{
	struct dir_base *b = bx_inside();
	struct cairn_dir_id plain = b->numbers.root, other = plain, large = plain;
	uint64_t numbers[3] = { 0 };

	plain.ino = other.ino = 77;
	other.dev++;
	large.ino = CAIRN_LAYER_STEP + 77;
	cr_assert_eq(cairn_dir_number_give(b, ROOT, "a", 1, &plain, S_IFREG, &numbers[0]), 0);
	cr_assert_eq(cairn_dir_number_give(b, ROOT, "b", 1, &other, S_IFREG, &numbers[1]), 0);
	cr_assert_eq(cairn_dir_number_give(b, ROOT, "c", 1, &large, S_IFREG, &numbers[2]), 0);
	cr_expect_eq(numbers[0], 77);
	for (unsigned int i = 1; i < 3; i++) {
		cr_expect_geq(numbers[i], CAIRN_LAYER_STEP / 2);
		cr_expect_lt(numbers[i], CAIRN_LAYER_STEP);
	}
	cr_expect_neq(numbers[1], numbers[2]);
	cr_expect(cairn_dir_number_is(&b->numbers, numbers[1], &other));
	cr_expect_not(cairn_dir_number_is(&b->numbers, numbers[0], &other));
	b->nodes.linger = 0;
	OPS->forget(bx.base, numbers[1]);
	OPS->forget(bx.base, numbers[2]);
	cr_expect_null(b->numbers.by_id);
	cr_expect_null(b->numbers.by_number);
}

Test(base_dir_change, file_is_found_by_its_other_name)
{
	uint64_t file;
	ssize_t r;

	bx_write("a", "x");
	cr_assert_eq(link(bx_path("a"), bx_path("b")), 0);
	file = bx_find("/a");
	cr_assert_eq(unlink(bx_path("a")), 0);
	bx_text(file, &r);
	cr_expect_eq(r, -ENOENT);
	cr_expect_eq(bx_find("/b"), file);
	cr_expect_str_eq(bx_text(file, NULL), "x");
}

/* Outside lies a directory of the same shape. */
static void make_outside(void)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/outside", bx.top);
	cr_assert_eq(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/outside/file", bx.top);
	file = fopen(path, "we");
	cr_assert(fputs("secret", file) >= 0 && fclose(file) == 0);
}

static void expect_no_way_out(void)
{
	static struct bx_names names;
	struct cairn_attr attr;
	uint64_t dir, file;
	ssize_t r;

	bx_mkdir("d");
	bx_write("d/file", "inside");
	file = bx_find("/d/file");
	dir = bx_find("/d");
	move("d", "aside");
	bx_symlink("../outside", "d");
	bx_text(file, &r);
	cr_expect_eq(r, -ENOENT);
	cr_expect_eq(OPS->getattr(bx.base, file, &attr), -ENOENT);
	cr_expect_eq(bx_lookup(dir, "file", &attr), -ENOENT);
	cr_expect_eq(bx_list(dir, &names), -ENOENT);
	cr_expect_eq(bx_resolve("/d/file", &attr), -ENOENT);
	cr_assert_eq(unlink(bx_path("d")), 0);
	move("aside", "d");
	cr_expect_str_eq(bx_text(file, NULL), "inside");
	cr_assert_eq(unlink(bx_path("d/file")), 0);
	cr_assert_eq(rmdir(bx_path("d")), 0);
}

Test(base_dir_change, link_in_the_place_of_a_directory_leads_nowhere)
{
	make_outside();
	expect_no_way_out();
	bx_inside()->has_openat2 = false;
	expect_no_way_out();
}

struct flipper {
	pthread_t thread;
	atomic_bool stop;
};

/* The directory and the link take turns at one name. */
static void *flip(void *arg)
{
	struct flipper *flipper = arg;
	char dir[PATH_MAX], out[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s", bx_path("d"));
	snprintf(out, sizeof(out), "%s", bx_path("out"));
	while (!atomic_load(&flipper->stop))
		if (syscall(SYS_renameat2, AT_FDCWD, dir, AT_FDCWD, out, RENAME_EXCHANGE) < 0)
			break;
	return NULL;
}

static void read_while_flipping(unsigned int rounds, unsigned int *ret_inside)
{
	for (unsigned int i = 0; i < rounds; i++) {
		struct cairn_attr attr = { 0 };
		ssize_t n;

		if (bx_resolve("/d/file", &attr) < 0)
			continue;
		cr_assert_str_neq(bx_text(attr.ino, &n), "secret");
		*ret_inside += n == 6;
		cairn_dir_files_trim(bx_inside(), true);
	}
}

Test(base_dir_change, nothing_outside_is_read_whoever_moves_things_meanwhile)
{
	struct flipper flipper = { .stop = false };
	unsigned int inside = 0;

	make_outside();
	bx_mkdir("d");
	bx_write("d/file", "inside");
	bx_symlink("../outside", "out");
	cr_assert_eq(pthread_create(&flipper.thread, NULL, flip, &flipper), 0);
	read_while_flipping(4000, &inside);
	bx_inside()->has_openat2 = false;
	read_while_flipping(4000, &inside);
	atomic_store(&flipper.stop, true);
	pthread_join(flipper.thread, NULL);
	cr_expect_gt(inside, 0);
}

/* Mounts. */

static void mount_tmpfs(const char *name)
{
	bx_mount("tmpfs", name, "tmpfs", 0, "mode=0710");
}

Test(base_dir_mounts, mounted_file_system_is_shown_with_numbers_of_its_own)
{
	static struct bx_names names;
	struct cairn_attr attr = { 0 };
	const struct cairn_base_entry *entry;
	uint64_t file;

	bx_private_mounts();
	bx_mkdir("m");
	bx_write("m/covered", "");
	mount_tmpfs("m");
	bx_write("m/file", "on tmpfs");
	bx_open();
	cr_assert_eq(bx_lookup(ROOT, "m", &attr), 0);
	cr_expect_eq(attr.mode, S_IFDIR | 0710);
	cr_expect_geq(attr.ino, CAIRN_LAYER_STEP / 2);
	cr_expect_lt(attr.ino, CAIRN_LAYER_STEP);
	cr_assert_eq(bx_list(ROOT, &names), 0);
	entry = bx_entry(&names, "m");
	cr_assert_not_null(entry);
	cr_expect_eq(entry->ino, attr.ino);
	cr_expect_eq(bx_resolve("/m/covered", &attr), -ENOENT);
	file = bx_find("/m/file");
	cr_expect_str_eq(bx_text(file, NULL), "on tmpfs");
	cr_expect_eq(bx_find("/m/file"), file);
	bx_inside()->nodes.linger = 0;
	OPS->forget(bx.base, file);
	cr_expect_eq(OPS->getattr(bx.base, file, &attr), -ENOENT);
	cr_expect_eq(bx_find("/m/file"), file);
}

/* A tmpfs numbers its files from 1: one of two mounted there must get out of the other's way. */
Test(base_dir_mounts, equal_numbers_of_two_file_systems_do_not_meet)
{
	struct stat a, b;

	bx_private_mounts();
	bx_mkdir("a");
	bx_mkdir("b");
	mount_tmpfs("a");
	mount_tmpfs("b");
	bx_write("a/file", "a");
	bx_write("b/file", "b");
	bx_open();
	a = bx_stat("a/file");
	b = bx_stat("b/file");
	cr_assert_eq(a.st_ino, b.st_ino);
	cr_expect_neq(bx_find("/a/file"), bx_find("/b/file"));
	cr_expect_str_eq(bx_text(bx_find("/a/file"), NULL), "a");
	cr_expect_str_eq(bx_text(bx_find("/b/file"), NULL), "b");
}

Test(base_dir_mounts, directory_mounted_in_itself_is_two)
{
	char *path = NULL;
	uint64_t dir, again;

	bx_private_mounts();
	bx_mkdir("d");
	bx_mkdir("d/again");
	bx_write("d/file", "x");
	bx_mount(bx_path("d"), "d/again", NULL, MS_BIND, NULL);
	bx_open();
	dir = bx_find("/d");
	again = bx_find("/d/again");
	cr_expect_neq(dir, again);
	cr_expect_str_eq(bx_text(bx_find("/d/again/file"), NULL), "x");
	cr_assert_eq(OPS->path(bx.base, again, &path), 0);
	cr_expect_str_eq(path, "/d/again");
	free(path);
	/* Both are watched, by one descriptor of the kernel's. */
	bx_poll();
	bx_inside()->nodes.linger = 0;
	cairn_dir_watch_remove(&bx_inside()->watch, dir);
	bx_write("d/file", "y");
	cr_expect_eq(bx_poll(), CAIRN_BASE_CHANGED);
}

/* A mount of cairnfs whose daemon answers nothing, ever. */
static void mount_silent(const char *name)
{
	char options[128];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		cr_skip_test("needs /dev/fuse");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	bx_mount("work.db", name, "fuse.cairnfs", 0, options);
}

static void expect_empty_directory(const char *dir, const char *name)
{
	static struct bx_names names;
	const struct cairn_base_entry *entry;
	struct cairn_attr attr = { 0 }, again = { 0 };
	uint64_t parent = bx_find(dir);

	cr_assert_eq(bx_lookup(parent, name, &attr), 0);
	cr_expect(S_ISDIR(attr.mode));
	cr_assert_eq(OPS->getattr(bx.base, attr.ino, &again), 0);
	cr_expect_eq(again.ino, attr.ino);
	cr_expect_eq(again.mode, attr.mode);
	cr_expect_eq(bx_lookup(attr.ino, "x", &again), -ENOENT);
	cr_assert_eq(bx_list(parent, &names), 0);
	entry = bx_entry(&names, name);
	cr_assert_not_null(entry);
	cr_expect_eq(entry->ino, attr.ino);
	cr_expect(entry->has_attr);
	cr_assert_eq(bx_list(attr.ino, &names), 0);
	cr_expect_eq(names.count, 0);
	cr_expect_eq(OPS->xattr_scan(bx.base, attr.ino, NULL, NULL), 0);
}

/* Asking it anything would wait for the answer until the end of time. */
Test(base_dir_mounts, mount_of_cairnfs_is_an_empty_directory_and_never_asked)
{
	struct cairn_attr attr;

	bx_private_mounts();
	bx_mkdir("d");
	bx_mkdir("d/work");
	bx_write("d/file", "x");
	mount_silent("d/work");
	bx_open();
	expect_empty_directory("/d", "work");
	cr_expect_str_eq(bx_text(bx_find("/d/file"), NULL), "x");
	bx_inside()->has_openat2 = false;
	expect_empty_directory("/d", "work");
	cr_expect_eq(bx_poll(), CAIRN_BASE_SAME);
	bx_umount("d/work");
	cr_expect_eq(bx_poll(), CAIRN_BASE_CHANGED);
	bx_write("d/work/seen", "x");
	cr_expect_eq(bx_resolve("/d/work/seen", &attr), 0);
}

Test(base_dir_mounts, mount_of_cairnfs_that_comes_later_is_noticed)
{
	bx_private_mounts();
	strcat(bx.dir, "/back\\slash and space");
	bx_mkdir("");
	bx_mkdir("work");
	bx_open();
	bx_find("/work");
	cr_expect_eq(bx_poll(), CAIRN_BASE_SAME);
	mount_silent("work");
	expect_empty_directory("/", "work");
	cr_expect_eq(bx_poll(), CAIRN_BASE_CHANGED);
}

/* Mounted over the base itself, it hides the base from others and not from us. */
Test(base_dir_mounts, mount_of_cairnfs_over_the_base_does_not_cover_it)
{
	static struct bx_names names;

	bx_private_mounts();
	bx_write("file", "x");
	bx_open();
	mount_silent("");
	cr_assert_eq(bx_list(ROOT, &names), 0);
	cr_expect_eq(names.count, 1);
	cr_expect_str_eq(bx_text(bx_find("/file"), NULL), "x");
}

Test(base_dir_mounts, mounts_elsewhere_are_no_change)
{
	bx_private_mounts();
	bx_mkdir("../dir-beside");
	bx_open();
	bx_find("/");
	bx_poll();
	mount_tmpfs("../dir-beside");
	cr_expect_eq(bx_poll(), CAIRN_BASE_SAME);
}

/* Changes. */

static void expect_noticed(const char *what)
{
	cr_expect_eq(bx_poll(), CAIRN_BASE_CHANGED, "%s", what);
	cr_expect_eq(bx_poll(), CAIRN_BASE_SAME, "after: %s", what);
}

Test(base_dir_watch, changes_in_directories_that_were_looked_into_are_noticed)
{
	static struct bx_names names;
	struct cairn_attr attr;

	bx_mkdir("d");
	bx_write("d/file", "x");
	cr_expect_eq(bx_poll(), CAIRN_BASE_SAME);
	cr_expect_eq(bx_lookup(bx_find("/d"), "none", &attr), -ENOENT);
	cr_expect_eq(bx_poll(), CAIRN_BASE_SAME);
	bx_write("d/none", "");
	expect_noticed("create");
	bx_write("d/file", "xy");
	expect_noticed("write");
	cr_assert_eq(chmod(bx_path("d/file"), 0600), 0);
	expect_noticed("chmod");
	move("d/file", "d/moved");
	expect_noticed("rename");
	cr_assert_eq(chmod(bx_path("d"), 0700), 0);
	expect_noticed("chmod of the directory");
	cr_assert_eq(unlink(bx_path("d/moved")), 0);
	expect_noticed("unlink");
	cr_assert_eq(bx_list(bx_find("/d"), &names), 0);
	bx_text(bx_find("/d/none"), NULL);
	cr_expect_eq(bx_poll(), CAIRN_BASE_SAME, "reading is no change");
}

Test(base_dir_watch, directory_that_comes_again_is_watched_again)
{
	for (int i = 0; i < 3; i++) {
		bx_mkdir("d");
		bx_find("/d");
		bx_write("d/first", "");
		bx_find("/d/first");
		bx_poll();
		bx_write("d/file", "");
		expect_noticed("create");
		cr_assert_eq(unlink(bx_path("d/file")), 0);
		cr_assert_eq(unlink(bx_path("d/first")), 0);
		cr_assert_eq(rmdir(bx_path("d")), 0);
		bx_poll();
		bx_poll();
	}
}

static unsigned int watches(void)
{
	char path[64], line[256];
	unsigned int count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bx_inside()->watch.fd);
	file = fopen(path, "re");
	while (fgets(line, sizeof(line), file))
		count += strncmp(line, "inotify ", 8) == 0;
	fclose(file);
	return count;
}

Test(base_dir_watch, forgotten_directory_is_watched_no_longer)
{
	uint64_t dir, file;

	bx_mkdir("d");
	bx_write("d/file", "");
	bx_inside()->nodes.linger = 0;
	file = bx_find("/d/file");
	dir = bx_find("/d");
	cr_expect_eq(watches(), 2);
	OPS->forget(bx.base, file);
	OPS->forget(bx.base, dir);
	cr_expect_eq(watches(), 1);
	bx_find("/d/file");
	cr_expect_eq(watches(), 2);
	bx_poll();
	bx_write("d/file", "x");
	expect_noticed("write");
}

Test(base_dir_watch_open, writes_to_the_workspace_above_are_no_change)
{
	struct cairn_base_above above = { 0 };
	char workspace[PATH_MAX];

	bx_mkdir("d");
	bx_write("d/work.db", "");
	snprintf(workspace, sizeof(workspace), "%s", bx_path("d/work.db"));
	above.workspace = workspace;
	bx.options.above = &above;
	bx_open();
	bx_find("/d/work.db");
	bx_poll();
	bx_write("d/work.db", "changed");
	bx_write("d/work.db-wal", "made");
	bx_write("d/work.db-shm", "made");
	bx_write("d/work.db-mount", "made");
	cr_expect_eq(bx_poll(), CAIRN_BASE_SAME);
	bx_write("d/work.db-other", "");
	expect_noticed("another name");
	bx_write("work.db", "");
	expect_noticed("the same name elsewhere");
}

Test(base_dir_watch_open, changes_of_ignored_names_are_no_change)
{
	static const char *const patterns[] = { "*.log", "d/tmp" };

	bx_mkdir("d");
	bx.options.ignore = patterns;
	bx.options.ignore_count = ARRAY_SIZE(patterns);
	bx_open();
	bx_find("/d");
	cr_expect_eq(bx_resolve("/d/none", &(struct cairn_attr){ 0 }), -ENOENT);
	bx_poll();
	bx_write("x.log", "");
	bx_write("d/x.log", "");
	bx_write("d/tmp", "");
	cr_expect_eq(bx_poll(), CAIRN_BASE_SAME);
	bx_write("tmp", "");
	expect_noticed("another path");
}

/* In a user namespace there may be as few watches as one likes. */
static bool limit_watches(const char *limit)
{
	int fd;

	if (unshare(CLONE_NEWUSER) < 0)
		return false;
	fd = open("/proc/sys/user/max_inotify_watches", O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, limit, strlen(limit)) > 0;
}

static bool changes_in_time(void)
{
	const struct timespec pause = { .tv_nsec = 20000000 };

	while (bx_poll() == CAIRN_BASE_SAME)
		nanosleep(&pause, NULL);
	return true;
}

enum { ALL_RIGHT, NO_NAMESPACE, NOT_OPEN, FIRST_LOOK, TOLD_TOO_EARLY, NO_WARNING, TOLD_ALWAYS };

static int run_out_of_watches(void)
{
	struct cairn_attr attr;

	if (!limit_watches("2"))
		return NO_NAMESPACE;
	if (bx_try_open() < 0)
		return NOT_OPEN;
	if (bx_resolve("/a/none", &attr) != -ENOENT)
		return FIRST_LOOK;
	if (bx_poll() != CAIRN_BASE_SAME)
		return TOLD_TOO_EARLY;
	if (bx_resolve("/b/none", &attr) != -ENOENT || !bx_log_has("max_user_watches"))
		return NO_WARNING;
	/* Until the test times out, if it has to. */
	return changes_in_time() && bx_poll() == CAIRN_BASE_SAME && changes_in_time() ? ALL_RIGHT
										      : TOLD_ALWAYS;
}

/* In a child, because a process with threads (Criterion's) gets no user namespace. */
Test(base_dir_watch_open, where_watches_run_out_all_is_taken_as_changed_now_and_then)
{
	int status = -1;
	pid_t pid;

	bx_mkdir("a");
	bx_mkdir("b");
	pid = fork();
	if (pid == 0)
		_exit(run_out_of_watches());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == NO_NAMESPACE)
		cr_skip_test("needs user namespaces");
	cr_expect_eq(WEXITSTATUS(status), ALL_RIGHT);
}
