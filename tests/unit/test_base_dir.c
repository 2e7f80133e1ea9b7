/* A directory of the host as the base of an overlay: what is read of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base_fixture.h"

TestSuite(base_dir, .init = bx_setup_open, .fini = bx_teardown, .timeout = 60);
TestSuite(base_dir_open, .init = bx_setup, .fini = bx_teardown, .timeout = 60);

#define OPS (bx.base->ops)

static void expect_attr_of(const struct cairn_attr *attr, const struct stat *st)
{
	cr_expect_eq(attr->mode, st->st_mode);
	cr_expect_eq(attr->nlink, st->st_nlink);
	cr_expect_eq(attr->uid, st->st_uid);
	cr_expect_eq(attr->gid, st->st_gid);
	cr_expect_eq(attr->rdev, st->st_rdev);
	cr_expect_eq(attr->size, st->st_size);
	cr_expect_eq(attr->atime.tv_sec, st->st_atim.tv_sec);
	cr_expect_eq(attr->mtime.tv_sec, st->st_mtim.tv_sec);
	cr_expect_eq(attr->mtime.tv_nsec, st->st_mtim.tv_nsec);
	cr_expect_eq(attr->ctime.tv_nsec, st->st_ctim.tv_nsec);
}

Test(base_dir, attributes_are_the_hosts_to_the_nanosecond)
{
	const struct timespec times[2] = { { -5, 111111111 }, { 1234567890, 987654321 } };
	struct cairn_attr attr = { 0 };
	struct stat st;

	bx_write("file", "twelve bytes");
	cr_assert_eq(chmod(bx_path("file"), 04751), 0);
	cr_assert_eq(utimensat(AT_FDCWD, bx_path("file"), times, 0), 0);
	st = bx_stat("file");
	cr_assert_eq(bx_lookup(OPS->root(bx.base), "file", &attr), 0);
	expect_attr_of(&attr, &st);
	cr_expect_eq(attr.mtime.tv_nsec, 987654321);
	cr_expect_eq(attr.ino, st.st_ino);
	attr = (struct cairn_attr){ 0 };
	cr_assert_eq(OPS->getattr(bx.base, st.st_ino, &attr), 0);
	expect_attr_of(&attr, &st);
}

Test(base_dir, root_is_a_directory_with_a_path_and_no_place)
{
	char name[CAIRN_NAME_MAX + 1], *path = NULL;
	struct stat st = bx_stat("");
	struct cairn_attr attr;
	uint64_t dir;

	cr_assert_eq(OPS->getattr(bx.base, OPS->root(bx.base), &attr), 0);
	expect_attr_of(&attr, &st);
	cr_expect_eq(OPS->place(bx.base, OPS->root(bx.base), &dir, name), -ENOENT);
	cr_assert_eq(OPS->path(bx.base, OPS->root(bx.base), &path), 0);
	cr_expect_str_eq(path, "/");
	free(path);
}

Test(base_dir, names_of_one_file_have_one_number)
{
	char name[CAIRN_NAME_MAX + 1];
	uint64_t dir;

	bx_mkdir("d");
	bx_write("a", "");
	cr_assert_eq(link(bx_path("a"), bx_path("d/b")), 0);
	cr_expect_eq(bx_find("/a"), bx_find("/d/b"));
	cr_assert_eq(OPS->place(bx.base, bx_find("/d/b"), &dir, name), 0);
	cr_expect_eq(dir, bx_find("/d"));
	cr_expect_str_eq(name, "b");
}

Test(base_dir, what_is_not_there_is_enoent)
{
	struct cairn_attr attr;
	uint64_t root = OPS->root(bx.base), file;
	char *path;

	bx_write("file", "");
	file = bx_find("/file");
	cr_expect_eq(bx_lookup(root, "none", &attr), -ENOENT);
	cr_expect_eq(bx_lookup(root, "", &attr), -ENOENT);
	cr_expect_eq(bx_lookup(root, ".", &attr), -ENOENT);
	cr_expect_eq(bx_lookup(root, "..", &attr), -ENOENT);
	cr_expect_eq(bx_lookup(root, "../dir", &attr), -ENOENT);
	cr_expect_eq(OPS->lookup(bx.base, root, "file\0", 5, &attr), -ENOENT);
	cr_expect_eq(bx_lookup(file, "x", &attr), -ENOTDIR);
	cr_expect_eq(bx_lookup(999999999, "x", &attr), -ENOENT);
	cr_expect_eq(OPS->getattr(bx.base, 999999999, &attr), -ENOENT);
	cr_expect_eq(OPS->path(bx.base, 999999999, &path), -ENOENT);
	cr_expect_eq(bx_resolve("/file/x", &attr), -ENOENT);
	cr_expect_eq(bx_resolve("/../dir", &attr), -ENOENT);
}

Test(base_dir, listing_has_every_entry_with_its_attributes)
{
	static struct bx_names names;
	const struct cairn_base_entry *entry;
	struct stat st;
	char *path = NULL;

	bx_mkdir("d");
	bx_write("d/file", "12345");
	bx_mkdir("d/sub");
	bx_symlink("nowhere", "d/link");
	cr_assert_eq(mkfifo(bx_path("d/fifo"), 0600), 0);
	cr_assert_eq(bx_list(bx_find("/d"), &names), 0);
	cr_assert_eq(names.count, 4);
	for (unsigned int i = 0; i < 4; i++) {
		char name[300];

		snprintf(name, sizeof(name), "d/%s", names.names[i]);
		st = bx_stat(name);
		cr_expect(names.entries[i].has_attr);
		cr_expect_eq(names.entries[i].ino, st.st_ino);
		expect_attr_of(&names.entries[i].attr, &st);
	}
	entry = bx_entry(&names, "link");
	cr_assert_not_null(entry);
	cr_assert_eq(OPS->path(bx.base, entry->ino, &path), 0);
	cr_expect_str_eq(path, "/d/link");
	free(path);
	cr_expect_eq(bx_list(bx_find("/d/file"), &names), -ENOTDIR);
}

/* Every byte that a name can hold, and as many of them as it can. */
Test(base_dir, names_of_any_bytes_are_found_and_listed)
{
	static struct bx_names names;
	char name[3] = "x", longest[CAIRN_NAME_MAX + 1];
	struct cairn_attr attr;

	for (int c = 1; c < 256; c++) {
		if (c == '/')
			continue;
		name[1] = (char)c;
		bx_write(name, "");
		cr_expect_eq(bx_lookup(OPS->root(bx.base), name, &attr), 0, "byte %d", c);
	}
	memset(longest, 0xfe, CAIRN_NAME_MAX);
	longest[CAIRN_NAME_MAX] = '\0';
	bx_write(longest, "");
	cr_assert_eq(bx_list(OPS->root(bx.base), &names), 0);
	cr_expect_eq(names.count, 255);
	cr_expect_not_null(bx_entry(&names, longest));
	cr_expect_not_null(bx_entry(&names, "x\n"));
}

Test(base_dir, links_are_shown_and_never_followed)
{
	struct cairn_attr attr = { 0 };
	char *target = NULL;
	uint64_t ino;

	bx_mkdir("d");
	bx_write("d/file", "");
	bx_symlink("/etc", "out");
	bx_symlink("d", "in");
	bx_symlink("loop", "loop");
	for (unsigned int i = 0; i < 3; i++) {
		static const char *const links[] = { "/out", "/in", "/loop" };
		static const char *const targets[] = { "/etc", "d", "loop" };

		cr_assert_eq(bx_resolve(links[i], &attr), 0);
		cr_expect(S_ISLNK(attr.mode));
		cr_assert_eq(OPS->readlink(bx.base, attr.ino, &target), 0);
		cr_expect_str_eq(target, targets[i]);
		free(target);
		cr_expect_eq(bx_lookup(attr.ino, "passwd", &attr), -ENOTDIR);
	}
	cr_expect_eq(bx_resolve("/out/passwd", &attr), -ENOENT);
	cr_expect_eq(bx_resolve("/in/file", &attr), -ENOENT);
	ino = bx_find("/in");
	cr_expect_eq(OPS->read(bx.base, ino, &attr, 1, 0), -EINVAL);
	cr_expect_eq(OPS->readlink(bx.base, bx_find("/d"), &target), -EINVAL);
}

Test(base_dir, longest_target_is_read_whole)
{
	static char target[CAIRN_SYMLINK_MAX + 1];
	char *got = NULL;

	memset(target, 't', CAIRN_SYMLINK_MAX);
	bx_symlink(target, "link");
	cr_assert_eq(OPS->readlink(bx.base, bx_find("/link"), &got), 0);
	cr_expect_str_eq(got, target);
	free(got);
}

static void expect_never_opened(const char *path, mode_t type)
{
	struct cairn_attr attr = { 0 };
	int64_t from, to;
	char byte;

	cr_assert_eq(bx_resolve(path, &attr), 0);
	cr_expect_eq(attr.mode & S_IFMT, type);
	cr_expect_eq(OPS->read(bx.base, attr.ino, &byte, 1, 0), -EINVAL);
	cr_expect_eq(OPS->next_data(bx.base, attr.ino, 0, &from, &to), -EINVAL);
	cr_expect_eq(OPS->list(bx.base, attr.ino, NULL, NULL), -ENOTDIR);
}

/* Opening one of them would wait, or do something. */
Test(base_dir, fifos_sockets_and_devices_are_shown_and_never_opened)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(mkfifo(bx_path("fifo"), 0600), 0);
	cr_assert_eq(chdir(bx.dir), 0);
	strcpy(address.sun_path, "socket");
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	expect_never_opened("/fifo", S_IFIFO);
	expect_never_opened("/socket", S_IFSOCK);
	if (mknod(bx_path("tty"), S_IFCHR | 0600, makedev(5, 0)) == 0) {
		struct cairn_attr attr = { 0 };

		expect_never_opened("/tty", S_IFCHR);
		cr_assert_eq(bx_resolve("/tty", &attr), 0);
		cr_expect_eq(attr.rdev, makedev(5, 0));
	}
}

Test(base_dir, bytes_are_read_to_the_end)
{
	char buf[64];
	uint64_t ino;

	bx_write("file", "0123456789");
	ino = bx_find("/file");
	cr_expect_eq(OPS->read(bx.base, ino, buf, 4, 3), 4);
	cr_expect_eq(memcmp(buf, "3456", 4), 0);
	cr_expect_eq(OPS->read(bx.base, ino, buf, sizeof(buf), 7), 3);
	cr_expect_eq(OPS->read(bx.base, ino, buf, sizeof(buf), 10), 0);
	cr_expect_eq(OPS->read(bx.base, ino, buf, sizeof(buf), INT64_MAX), 0);
	cr_expect_eq(OPS->read(bx.base, ino, buf, sizeof(buf), -1), -EINVAL);
}

Test(base_dir, holes_are_told_from_data)
{
	int fd = open(bx_path("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	int64_t mib = 1 << 20, from = -1, to = -1;
	uint64_t ino;

	cr_assert_eq(ftruncate(fd, 4 * mib), 0);
	cr_assert_eq(pwrite(fd, "data", 4, 2 * mib), 4);
	cr_assert_eq(fsync(fd), 0);
	ino = bx_find("/file");
	cr_assert_eq(OPS->next_data(bx.base, ino, 0, &from, &to), 0);
	cr_expect(from <= 2 * mib && to >= 2 * mib + 4 && to <= 4 * mib);
	cr_expect_eq(from, lseek(fd, 0, SEEK_DATA));
	cr_expect_eq(to, lseek(fd, from, SEEK_HOLE));
	cr_expect_eq(OPS->next_data(bx.base, ino, 4 * mib, &from, &to), -ENXIO);
	cr_expect_eq(OPS->next_data(bx.base, ino, -1, &from, &to), -EINVAL);
	close(fd);
}

/* As somebody whom permissions concern. */
Test(base_dir, what_the_host_keeps_from_us_is_eacces)
{
	static struct bx_names names;
	struct cairn_attr attr;
	uint64_t secret, closed, blind;
	char byte;

	bx_mkdir("closed");
	bx_mkdir("blind");
	bx_write("secret", "s");
	bx_write("closed/file", "");
	bx_write("blind/file", "");
	cr_assert_eq(chmod(bx_path("secret"), 0), 0);
	cr_assert_eq(chmod(bx_path("closed"), 0), 0);
	cr_assert_eq(chmod(bx_path("blind"), 0444), 0);
	bx_drop_root();
	secret = bx_find("/secret");
	closed = bx_find("/closed");
	blind = bx_find("/blind");
	cr_expect_eq(OPS->read(bx.base, secret, &byte, 1, 0), -EACCES);
	cr_expect_eq(bx_list(closed, &names), -EACCES);
	cr_expect_eq(bx_lookup(closed, "file", &attr), -EACCES);
	cr_expect_eq(bx_lookup(closed, "none", &attr), -EACCES);
	cr_expect_eq(bx_lookup(blind, "file", &attr), -EACCES);
	cr_assert_eq(bx_list(blind, &names), 0);
	cr_assert_eq(names.count, 1);
	cr_expect_not(names.entries[0].has_attr);
	cr_expect(S_ISREG(names.entries[0].mode));
	cr_expect_eq(bx_poll(), CAIRN_BASE_SAME);
	if (getuid() == 0)
		cr_assert_eq(seteuid(0), 0);
	chmod(bx_path("closed"), 0755);
	chmod(bx_path("blind"), 0755);
}

static int count_name(void *arg, const char *name)
{
	++*(unsigned int *)arg;
	return strcmp(name, "user.stop") == 0 ? 7 : 0;
}

Test(base_dir, extended_attributes_are_read)
{
	char large[4000];
	unsigned int count = 0;
	void *value = NULL;
	size_t len = 0;
	uint64_t ino;

	bx_write("file", "");
	memset(large, 0, sizeof(large));
	if (setxattr(bx_path("file"), "user.empty", "", 0, 0) < 0)
		cr_skip_test("no user attributes here");
	cr_assert_eq(setxattr(bx_path("file"), "user.large", large, 3000, 0), 0);
	ino = bx_find("/file");
	cr_assert_eq(OPS->xattr_get(bx.base, ino, "user.large", &value, &len), 0);
	cr_expect(len == 3000 && memcmp(value, large, len) == 0);
	free(value);
	cr_assert_eq(OPS->xattr_get(bx.base, ino, "user.empty", &value, &len), 0);
	cr_expect_eq(len, 0);
	free(value);
	cr_expect_eq(OPS->xattr_get(bx.base, ino, "user.none", &value, &len), -ENOENT);
	cr_expect_eq(OPS->xattr_get(bx.base, ino, "unheard.of", &value, &len), -ENOENT);
	cr_assert_eq(OPS->xattr_scan(bx.base, ino, count_name, &count), 0);
	cr_expect_eq(count, 2);
	cr_assert_eq(setxattr(bx_path("file"), "user.stop", "", 0, 0), 0);
	cr_expect_eq(OPS->xattr_scan(bx.base, ino, count_name, &count), 7);
}

/* What a label means is the business of the file system that it was made for. */
Test(base_dir, attributes_that_do_not_belong_to_a_copy_are_not_shown)
{
	unsigned int count = 0;
	void *value = NULL;
	size_t len;

	bx_write("file", "");
	if (setxattr(bx_path("file"), "security.label", "x", 1, 0) < 0)
		cr_skip_test("needs root");
	cr_expect_eq(OPS->xattr_get(bx.base, bx_find("/file"), "security.label", &value, &len),
		     -ENOENT);
	cr_assert_eq(OPS->xattr_scan(bx.base, bx_find("/file"), count_name, &count), 0);
	cr_expect_eq(count, 0);
}

/* trusted.* is root's alone, and the one kind that a symbolic link may have. */
Test(base_dir, attributes_of_a_link_are_its_own)
{
	unsigned int count = 0;
	void *value = NULL;
	size_t len;

	bx_write("file", "");
	bx_symlink("file", "link");
	if (lsetxattr(bx_path("link"), "trusted.t", "link", 4, 0) < 0)
		cr_skip_test("needs root");
	cr_assert_eq(OPS->xattr_get(bx.base, bx_find("/link"), "trusted.t", &value, &len), 0);
	cr_expect(len == 4 && memcmp(value, "link", 4) == 0);
	free(value);
	cr_assert_eq(OPS->xattr_scan(bx.base, bx_find("/file"), count_name, &count), 0);
	cr_expect_eq(count, 0);
}

static void make_deep(unsigned int levels, const char *name)
{
	cr_assert_eq(chdir(bx.dir), 0);
	for (unsigned int i = 0; i < levels; i++)
		cr_assert(mkdir(name, 0755) == 0 && chdir(name) == 0);
	cr_assert_eq(symlink("target", "end"), 0);
	cr_assert_eq(chdir("/"), 0);
}

static void walk_deep(unsigned int levels, const char *name)
{
	struct cairn_attr attr = { .ino = OPS->root(bx.base) };
	char *target = NULL;

	for (unsigned int i = 0; i < levels; i++)
		cr_assert_eq(bx_lookup(attr.ino, name, &attr), 0, "level %u", i);
	cr_assert_eq(bx_lookup(attr.ino, "end", &attr), 0);
	cr_assert_eq(OPS->readlink(bx.base, attr.ino, &target), 0);
	cr_expect_str_eq(target, "target");
	free(target);
}

/* nftw(3) of the fixture does not get that far either. */
static void remove_deep(unsigned int levels, const char *name)
{
	cr_assert_eq(chdir(bx.dir), 0);
	for (unsigned int i = 0; i < levels; i++)
		cr_assert_eq(chdir(name), 0);
	cr_assert_eq(unlink("end"), 0);
	for (unsigned int i = 0; i < levels; i++)
		cr_assert(chdir("..") == 0 && rmdir(name) == 0);
}

/* Deeper than one path reaches. */
Test(base_dir, tree_deeper_than_a_path_is_walked_to_its_end)
{
	char name[200];

	for (size_t len = 9; len < sizeof(name); len += 190) {
		unsigned int levels = 6000 / (unsigned int)(len + 1);

		memset(name, 'd', len);
		name[len] = '\0';
		make_deep(levels, name);
		walk_deep(levels, name);
		bx_inside()->has_openat2 = false;
		walk_deep(levels, name);
		bx_inside()->has_openat2 = true;
		remove_deep(levels, name);
	}
}

Test(base_dir, nothing_stays_open_but_files_that_are_read)
{
	static struct bx_names names;
	char name[16];
	unsigned int before = bx_open_fds();

	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		bx_write(name, "x");
		bx_find(name);
	}
	cr_assert_eq(bx_list(OPS->root(bx.base), &names), 0);
	cr_expect_eq(bx_open_fds(), before);
	bx_poll();
	for (unsigned int i = 0; i < names.count; i++)
		cr_expect_str_eq(bx_text(names.entries[i].ino, NULL), "x");
	cr_expect_gt(bx_open_fds(), before);
	cr_expect_leq(bx_open_fds(), before + 64);
	cr_expect_eq(bx_poll(), CAIRN_BASE_SAME);
	cr_expect_gt(bx_open_fds(), before);
	cr_expect_eq(bx_poll(), CAIRN_BASE_SAME);
	cr_expect_eq(bx_open_fds(), before);
}

Test(base_dir, reading_does_not_move_the_access_time)
{
	static struct bx_names names;
	const struct timespec old[2] = { { 1000, 0 }, { 2000, 0 } };

	bx_mkdir("d");
	bx_write("d/file", "x");
	cr_assert_eq(utimensat(AT_FDCWD, bx_path("d/file"), old, 0), 0);
	cr_assert_eq(utimensat(AT_FDCWD, bx_path("d"), old, 0), 0);
	cr_expect_str_eq(bx_text(bx_find("/d/file"), NULL), "x");
	cr_assert_eq(bx_list(bx_find("/d"), &names), 0);
	cr_expect_eq(bx_stat("d/file").st_atim.tv_sec, 1000);
	cr_expect_eq(bx_stat("d").st_atim.tv_sec, 1000);
}

Test(base_dir, forgotten_numbers_are_found_again_by_name)
{
	uint64_t dir, file;
	struct cairn_attr attr;

	bx_mkdir("d");
	bx_write("d/file", "x");
	bx_inside()->nodes.linger = 0;
	file = bx_find("/d/file");
	dir = bx_find("/d");
	OPS->forget(bx.base, dir);
	OPS->forget(bx.base, file);
	cr_expect_eq(OPS->getattr(bx.base, file, &attr), -ENOENT);
	cr_expect_eq(OPS->getattr(bx.base, dir, &attr), -ENOENT);
	cr_expect_eq(bx_find("/d/file"), file);
	cr_expect_str_eq(bx_text(file, NULL), "x");
}

static const char *const patterns[] = { "*.o", "build/*", ".git", "a/b/secret" };

Test(base_dir_open, ignored_names_are_not_there)
{
	static struct bx_names names;
	struct cairn_attr attr;

	bx_mkdir("build");
	bx_write("build/out", "");
	bx_mkdir("a");
	bx_mkdir("a/b");
	bx_mkdir("a/build");
	bx_write("a/build/kept", "");
	bx_write("a/b/secret", "");
	bx_write("a/b/x.o", "");
	bx_write("secret", "");
	bx_mkdir(".git");
	bx.options.ignore = patterns;
	bx.options.ignore_count = ARRAY_SIZE(patterns);
	bx_open();
	cr_expect_eq(bx_resolve("/.git", &attr), -ENOENT);
	cr_expect_eq(bx_resolve("/build/out", &attr), -ENOENT);
	cr_expect_eq(bx_resolve("/a/b/x.o", &attr), -ENOENT);
	cr_expect_eq(bx_resolve("/a/b/secret", &attr), -ENOENT);
	bx_find("/secret");
	bx_find("/a/build/kept");
	cr_assert_eq(bx_list(bx_find("/a/b"), &names), 0);
	cr_expect_eq(names.count, 0);
	cr_assert_eq(bx_list(OPS->root(bx.base), &names), 0);
	cr_expect_eq(names.count, 3);
}

Test(base_dir_open, directory_that_cannot_be_read_is_refused_in_words)
{
	cr_assert_eq(chmod(bx.dir, 0), 0);
	bx_drop_root();
	cr_expect_eq(bx_try_open(), -EACCES);
	cr_expect_not_null(strstr(bx.err.text, bx.dir));
}

/* The lock that another process sees on the file: the pid of its holder, 0 where there is none. */
static pid_t lock_holder(const char *path)
{
	int ends[2];
	pid_t child, holder = -1;

	cr_assert_eq(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		int fd = open(path, O_RDWR | O_CLOEXEC);

		if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0)
			_exit(1);
		holder = lock.l_type == F_UNLCK ? 0 : lock.l_pid;
		_exit(write(ends[1], &holder, sizeof(holder)) == sizeof(holder) ? 0 : 2);
	}
	cr_assert_eq(read(ends[0], &holder, sizeof(holder)), sizeof(holder));
	cr_assert_eq(waitpid(child, NULL, 0), child);
	close(ends[0]);
	close(ends[1]);
	return holder;
}

static void lock_file(const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR | O_CLOEXEC);

	cr_assert(fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0);
}

/* SQLite holds POSIX locks on them, which end when the process closes any descriptor of the file.
 */
Test(base_dir_open, reading_the_workspace_above_drops_none_of_its_locks)
{
	struct cairn_base_above above = { 0 };
	char workspace[PATH_MAX], shm[PATH_MAX];

	bx_write("work.db", "database");
	bx_write("work.db-shm", "index");
	bx_write("other", "other");
	snprintf(workspace, sizeof(workspace), "%s", bx_path("work.db"));
	snprintf(shm, sizeof(shm), "%s", bx_path("work.db-shm"));
	above.workspace = workspace;
	bx.options.above = &above;
	bx_open();
	lock_file(workspace);
	lock_file(shm);
	for (unsigned int i = 0; i < 5; i++) {
		cr_expect_str_eq(bx_text(bx_find("/work.db"), NULL), "database");
		cr_expect_str_eq(bx_text(bx_find("/work.db-shm"), NULL), "index");
		bx_poll();
		bx_write("other", "changed");
		bx_poll();
	}
	cr_expect_eq(lock_holder(workspace), getpid());
	cr_expect_eq(lock_holder(shm), getpid());
}

Test(base_dir_open, workspace_above_that_was_replaced_is_read_anew)
{
	struct cairn_base_above above = { 0 };
	char workspace[PATH_MAX];

	bx_write("work.db", "database");
	bx_write("work.db-shm", "index");
	snprintf(workspace, sizeof(workspace), "%s", bx_path("work.db"));
	above.workspace = workspace;
	bx.options.above = &above;
	bx_open();
	cr_expect_str_eq(bx_text(bx_find("/work.db-shm"), NULL), "index");
	cr_assert_eq(unlink(bx_path("work.db-shm")), 0);
	bx_write("work.db-shm", "another");
	bx_write("other", "a change that counts");
	bx_poll();
	cr_expect_str_eq(bx_text(bx_find("/work.db-shm"), NULL), "another");
}
