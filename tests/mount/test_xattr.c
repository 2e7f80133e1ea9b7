/* Extended attributes: the calls and their errors, their life, and mounts without them. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>

#include "fsutil.h"

static void setup(void)
{
	fx_setup_opts("xattr");
	must(put_text("f", "content"));
}

static void setup_for_root(void)
{
	fx_need_root();
	fx_setup_opts("xattr,allow_other");
}

static void setup_without(void)
{
	fx_need_cairnfs();
	fx_setup_opts("noxattr");
}

TestSuite(xattr, .init = setup, .fini = fx_teardown, .timeout = 60);
TestSuite(xattr_root, .init = setup_for_root, .fini = fx_teardown, .timeout = 60);
TestSuite(noxattr, .init = setup_without, .fini = fx_teardown, .timeout = 60);

enum { VALUE_MAX = 65536 };

static int set_text(const char *path, const char *name, const char *value)
{
	return lsetxattr(path, name, value, strlen(value), 0);
}

static bool has_value(const char *path, const char *name, const char *value)
{
	char buf[256];
	ssize_t n = lgetxattr(path, name, buf, sizeof(buf));

	return n == (ssize_t)strlen(value) && memcmp(buf, value, (size_t)n) == 0;
}

/* The number of names with the given prefix in the list, each ended by its NUL. */
static size_t count_names(const char *path, const char *prefix)
{
	char buf[8192];
	ssize_t len = must(llistxattr(path, buf, sizeof(buf)));
	size_t n = 0;

	for (char *p = buf; p < buf + len; p += strlen(p) + 1)
		n += strncmp(p, prefix, strlen(prefix)) == 0;
	return n;
}

Test(xattr, a_value_reads_back_and_can_be_replaced)
{
	must(set_text("f", "user.one", "first"));
	cr_assert(has_value("f", "user.one", "first"));
	must(set_text("f", "user.one", "the second"));
	cr_assert(has_value("f", "user.one", "the second"));
	must(set_text("f", "user.two", "other"));
	cr_assert(has_value("f", "user.one", "the second"));
	cr_assert_eq(count_names("f", "user."), 2);
	fx_remount();
	cr_assert(has_value("f", "user.one", "the second"));
	cr_assert(has_value("f", "user.two", "other"));
	cr_assert(holds_text("f", "content"));
}

Test(xattr, create_and_replace_insist)
{
	fails_with(ENODATA, setxattr("f", "user.a", "x", 1, XATTR_REPLACE));
	must(setxattr("f", "user.a", "x", 1, XATTR_CREATE));
	fails_with(EEXIST, setxattr("f", "user.a", "y", 1, XATTR_CREATE));
	cr_assert(has_value("f", "user.a", "x"));
	must(setxattr("f", "user.a", "z", 1, XATTR_REPLACE));
	cr_assert(has_value("f", "user.a", "z"));
	fails_with(EINVAL, setxattr("f", "user.a", "z", 1, 0x100));
}

Test(xattr, what_is_not_there_gives_enodata)
{
	char buf[8];

	fails_with(ENODATA, getxattr("f", "user.none", buf, sizeof(buf)));
	fails_with(ENODATA, removexattr("f", "user.none"));
	fails_with(ENOENT, getxattr("none", "user.none", buf, sizeof(buf)));
	must(set_text("f", "user.a", "x"));
	must(removexattr("f", "user.a"));
	fails_with(ENODATA, getxattr("f", "user.a", buf, sizeof(buf)));
	cr_assert_eq(count_names("f", "user."), 0);
}

Test(xattr, a_buffer_of_size_zero_asks_for_the_size)
{
	char buf[4];

	must(set_text("f", "user.a", "value"));
	cr_assert_eq(getxattr("f", "user.a", NULL, 0), 5);
	fails_with(ERANGE, getxattr("f", "user.a", buf, sizeof(buf)));
	cr_assert_geq(listxattr("f", NULL, 0), (ssize_t)sizeof("user.a"));
	fails_with(ERANGE, listxattr("f", buf, sizeof(buf)));
}

Test(xattr, values_may_be_empty_or_any_bytes)
{
	unsigned char bytes[256], buf[257];

	for (int i = 0; i < 256; i++)
		bytes[i] = (unsigned char)i;
	must(setxattr("f", "user.empty", "", 0, 0));
	must(setxattr("f", "user.bytes", bytes, sizeof(bytes), 0));
	fx_remount();
	cr_assert_eq(getxattr("f", "user.empty", buf, sizeof(buf)), 0);
	cr_assert_eq(getxattr("f", "user.bytes", buf, sizeof(buf)), 256);
	cr_assert_eq(memcmp(buf, bytes, sizeof(bytes)), 0);
	cr_assert_eq(count_names("f", "user."), 2);
}

Test(xattr, values_hold_64_kib_and_no_more)
{
	unsigned char *value = new_pattern(VALUE_MAX + 1, 1), *buf = malloc(VALUE_MAX);

	fx_need_cairnfs();
	must(setxattr("f", "user.big", value, VALUE_MAX, 0));
	fails_with(E2BIG, setxattr("f", "user.bigger", value, VALUE_MAX + 1, 0));
	fx_remount();
	cr_assert_eq(getxattr("f", "user.big", buf, VALUE_MAX), VALUE_MAX);
	cr_assert_eq(memcmp(buf, value, VALUE_MAX), 0);
	cr_assert_eq(count_names("f", "user."), 1);
	free(value);
	free(buf);
}

Test(xattr, names_hold_255_bytes_and_no_more)
{
	char longest[256], too_long[257];

	memset(longest, 'n', 255);
	memset(too_long, 'n', 256);
	memcpy(longest, "user.", 5);
	memcpy(too_long, "user.", 5);
	longest[255] = '\0';
	too_long[256] = '\0';
	must(set_text("f", longest, "x"));
	fails_with(ERANGE, set_text("f", too_long, "x"));
	fails_with(ERANGE, set_text("f", "", "x"));
	cr_assert(has_value("f", longest, "x"));
}

Test(xattr, directories_have_them_too)
{
	must(mkdir("d", 0755));
	must(set_text("d", "user.a", "of the directory"));
	must(set_text(".", "user.a", "of the root"));
	fx_remount();
	cr_assert(has_value("d", "user.a", "of the directory"));
	cr_assert(has_value(".", "user.a", "of the root"));
}

Test(xattr, symlinks_and_fifos_have_no_user_attributes)
{
	must(symlink("f", "l"));
	must(mkfifo("p", 0644));
	fails_with(EPERM, set_text("l", "user.a", "x"));
	fails_with(EPERM, set_text("p", "user.a", "x"));
	must(setxattr("l", "user.a", "x", 1, 0));
	cr_assert(has_value("f", "user.a", "x"));
}

Test(xattr, they_follow_the_inode_through_link_and_rename)
{
	must(put_text("other", ""));
	must(set_text("f", "user.a", "kept"));
	must(link("f", "g"));
	cr_assert(has_value("g", "user.a", "kept"));
	must(rename("f", "h"));
	cr_assert(has_value("h", "user.a", "kept"));
	must(rename("h", "other"));
	cr_assert(has_value("other", "user.a", "kept"));
	cr_assert_eq(count_names("other", "user."), 1);
	fx_remount();
	cr_assert(has_value("other", "user.a", "kept"));
}

Test(xattr, they_end_with_the_inode)
{
	char buf[8];
	int fd;

	must(set_text("f", "user.a", "x"));
	fd = must(open("f", O_RDONLY));
	must(unlink("f"));
	cr_assert_eq(fgetxattr(fd, "user.a", buf, sizeof(buf)), 1);
	must(close(fd));
	must(put_text("f", "new"));
	fails_with(ENODATA, getxattr("f", "user.a", buf, sizeof(buf)));
	fx_remount();
	cr_assert_eq(count_names("f", "user."), 0);
}

Test(xattr, changing_one_moves_the_ctime_but_not_the_mtime)
{
	cr_assert(moves_ctime("f", set_text("f", "user.a", "x")));
	cr_assert(moves_ctime("f", removexattr("f", "user.a")));
	cr_assert(!moves_mtime("f", set_text("f", "user.a", "x")));
}

Test(xattr, many_names_are_listed_once_each)
{
	enum { N = 60 };
	char name[32];

	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "user.n%02d", i);
		must(set_text("f", name, name));
	}
	cr_assert_eq(count_names("f", "user."), N);
	fx_remount();
	cr_assert_eq(count_names("f", "user."), N);
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "user.n%02d", i);
		cr_assert_eq(count_names("f", name), 1);
		cr_assert(has_value("f", name, name));
	}
}

Test(xattr, an_unknown_namespace_is_refused)
{
	fails_with(EOPNOTSUPP, set_text("f", "unknown.a", "x"));
	fails_with(EOPNOTSUPP, set_text("f", "nonamespace", "x"));
	cr_assert_eq(count_names("f", "unknown."), 0);
}

Test(xattr, copying_with_attributes_brings_them_along)
{
	struct output o;

	must(set_text("f", "user.a", "x"));
	fx_run(&o, (char *const[]){ "cp", "--preserve=xattr", "f", "g", NULL });
	cr_assert_eq(o.status, 0, "%s", o.err);
	cr_assert(has_value("g", "user.a", "x"));
}

Test(xattr_root, symlinks_have_trusted_and_security_attributes)
{
	must(symlink("nowhere", "l"));
	must(set_text("l", "trusted.a", "x"));
	must(set_text("l", "security.a", "y"));
	fx_remount();
	cr_assert(has_value("l", "trusted.a", "x"));
	cr_assert(has_value("l", "security.a", "y"));
}

Test(xattr_root, trusted_attributes_are_for_root_alone)
{
	char buf[8];

	must(put_text("f", ""));
	must(chmod("f", 0666));
	must(set_text("f", "trusted.a", "x"));
	fails_as(ALICE, EPERM, set_text("f", "trusted.b", "x"));
	fails_as(ALICE, ENODATA, getxattr("f", "trusted.a", buf, sizeof(buf)));
	must_as(ALICE, set_text("f", "user.a", "x"));
}

Test(xattr_root, permission_bits_guard_user_attributes)
{
	char buf[8];

	must(put_text("f", ""));
	must(chmod("f", 0600));
	must(set_text("f", "user.a", "x"));
	fails_as(ALICE, EACCES, getxattr("f", "user.a", buf, sizeof(buf)));
	must(chmod("f", 0644));
	must_as(ALICE, getxattr("f", "user.a", buf, sizeof(buf)));
	fails_as(ALICE, EACCES, set_text("f", "user.a", "y"));
	fails_as(ALICE, EACCES, removexattr("f", "user.a"));
	cr_assert(has_value("f", "user.a", "x"));
}

Test(noxattr, every_call_gives_enotsup)
{
	char buf[8];

	must(put_text("f", "content"));
	fails_with(ENOTSUP, set_text("f", "user.a", "x"));
	fails_with(ENOTSUP, getxattr("f", "user.a", buf, sizeof(buf)));
	fails_with(ENOTSUP, removexattr("f", "user.a"));
	cr_assert(holds_text("f", "content"));
}

Test(noxattr, attributes_set_before_are_kept)
{
	char buf[8];

	must(put_text("f", "content"));
	fx_umount();
	fx_mount("xattr");
	must(set_text("f", "user.a", "x"));
	fx_umount();
	fx_mount("noxattr");
	fails_with(ENOTSUP, getxattr("f", "user.a", buf, sizeof(buf)));
	must(put_text("f", "changed"));
	fx_umount();
	fx_mount("xattr");
	cr_assert(has_value("f", "user.a", "x"));
}
