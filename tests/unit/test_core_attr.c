/* Attributes: set-id bits, times, links, ownership of what is made; and extended attributes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core_fixture.h"

static void setup(void)
{
	cf_setup();
	cf.faulty = true;
	cf.options.commit_interval_ms = 1U << 30;
	cf_make();
	cf_open();
}

TestSuite(core_attr, .init = setup, .fini = cf_teardown);

static const struct timespec past = { 1000000, 5 };

static int set(uint64_t ino, unsigned int what, struct cairn_attr to)
{
	struct cairn_attr attr;

	return cairn_core_setattr(cf.core, &cf_caller, ino, what, &to, &attr);
}

static void set_all_times(uint64_t ino)
{
	cr_assert_eq(set(ino, CAIRN_SET_ATIME | CAIRN_SET_MTIME | CAIRN_SET_CTIME,
			 (struct cairn_attr){ .atime = past, .mtime = past, .ctime = past }),
		     0);
}

static bool is_past(const struct timespec *ts)
{
	return ts->tv_sec == past.tv_sec && ts->tv_nsec == past.tv_nsec;
}

static uint32_t mode_of(uint64_t ino)
{
	return cf_attr(ino).mode & 07777;
}

static void give_setid(uint64_t ino, uint32_t mode)
{
	cr_assert_eq(set(ino, CAIRN_SET_MODE, (struct cairn_attr){ .mode = mode }), 0);
	cr_assert_eq(mode_of(ino), mode);
}

Test(core_attr, writing_truncating_and_chown_take_the_setid_bits)
{
	uint64_t ino = cf_file(CF_ROOT, "a");

	give_setid(ino, 06755);
	cf_write_text(ino, "text");
	cr_assert_eq(mode_of(ino), 0755);
	give_setid(ino, 06755);
	cf_truncate(ino, 2);
	cr_assert_eq(mode_of(ino), 0755);
	give_setid(ino, 06755);
	cr_assert_eq(cairn_core_fallocate(cf.core, &cf_caller, ino, 0, 0, 10), 0);
	cr_assert_eq(mode_of(ino), 0755);
	give_setid(ino, 06755);
	cr_assert_eq(set(ino, CAIRN_SET_UID, (struct cairn_attr){ .uid = 7 }), 0);
	cr_assert_eq(mode_of(ino), 0755);
	give_setid(ino, 06755);
	cr_assert_eq(set(ino, 0, (struct cairn_attr){ 0 }), 0);
	cr_assert_eq(mode_of(ino), 0755);
}

Test(core_attr, setgid_without_group_execute_stays)
{
	uint64_t ino = cf_file(CF_ROOT, "a");

	give_setid(ino, 02644);
	cf_write_text(ino, "text");
	cr_assert_eq(mode_of(ino), 02644);
}

static bool may(const struct cairn_caller *caller)
{
	return true;
}

Test(core_attr, a_caller_who_may_keeps_them_when_writing_but_not_at_chown)
{
	struct cairn_caller root = { .may_keep_setid = may };
	uint64_t ino = cf_file(CF_ROOT, "a");
	struct cairn_attr attr, to = { .uid = 5 };

	give_setid(ino, 06755);
	cr_assert_eq(cairn_core_write(cf.core, &root, ino, "x", 1, 0, false, false), 0);
	cr_assert_eq(mode_of(ino), 06755);
	cr_assert_eq(cairn_core_setattr(cf.core, &root, ino, CAIRN_SET_UID, &to, &attr), 0);
	cr_assert_eq(attr.mode & 07777, 0755);
}

Test(core_attr, a_directory_keeps_its_setgid_and_hands_it_on)
{
	uint64_t dir = cf_mkdir(CF_ROOT, "d"), sub, file;

	cr_assert_eq(set(dir, CAIRN_SET_GID, (struct cairn_attr){ .gid = 77 }), 0);
	give_setid(dir, 02755);
	sub = cf_mkdir(dir, "sub");
	file = cf_file(dir, "file");
	cr_assert_eq(cf_attr(sub).gid, 77);
	cr_assert_eq(mode_of(sub), 02755);
	cr_assert_eq(cf_attr(file).gid, 77);
	cr_assert_eq(mode_of(file), 0644);
	cr_assert_eq(cf_attr(file).uid, cf_caller.uid);
}

Test(core_attr, each_change_moves_the_times_it_should)
{
	uint64_t ino = cf_file(CF_ROOT, "a");
	struct cairn_attr attr, link;

	set_all_times(ino);
	cf_write_text(ino, "text");
	attr = cf_attr(ino);
	cr_assert(is_past(&attr.atime) && !is_past(&attr.mtime) && !is_past(&attr.ctime));

	set_all_times(ino);
	cr_assert_eq(set(ino, CAIRN_SET_MODE, (struct cairn_attr){ .mode = 0600 }), 0);
	attr = cf_attr(ino);
	cr_assert(is_past(&attr.mtime) && !is_past(&attr.ctime));

	set_all_times(ino);
	cr_assert_eq(cairn_core_link(cf.core, ino, CF_ROOT, "b", &link), 0);
	cr_assert_not(is_past(&link.ctime));
	set_all_times(ino);
	cr_assert_eq(cairn_core_rename(cf.core, CF_ROOT, "b", CF_ROOT, "c", 0), 0);
	attr = cf_attr(ino);
	cr_assert(is_past(&attr.mtime) && !is_past(&attr.ctime));
	set_all_times(ino);
	cr_assert_eq(cairn_core_unlink(cf.core, CF_ROOT, "c"), 0);
	attr = cf_attr(ino);
	cr_assert_not(is_past(&attr.ctime));
	set_all_times(ino);
	cr_assert_eq(cairn_core_setxattr(cf.core, ino, "user.a", "v", 1, 0), 0);
	attr = cf_attr(ino);
	cr_assert_not(is_past(&attr.ctime));
	set_all_times(ino);
	cf_truncate(ino, 4);
	attr = cf_attr(ino);
	cr_assert_not(is_past(&attr.mtime));
}

Test(core_attr, a_directory_changes_with_its_entries)
{
	uint64_t dir = cf_mkdir(CF_ROOT, "d");
	struct cairn_attr attr;

	set_all_times(dir);
	cf_file(dir, "a");
	attr = cf_attr(dir);
	cr_assert(!is_past(&attr.mtime) && !is_past(&attr.ctime));
	set_all_times(dir);
	cr_assert_eq(cairn_core_unlink(cf.core, dir, "a"), 0);
	attr = cf_attr(dir);
	cr_assert(!is_past(&attr.mtime) && !is_past(&attr.ctime));
}

Test(core_attr, links_are_counted)
{
	uint64_t a = cf_mkdir(CF_ROOT, "a"), b = cf_mkdir(CF_ROOT, "b");
	uint64_t sub = cf_mkdir(a, "sub"), file = cf_file(a, "f");
	struct cairn_attr attr;

	cr_assert_eq(cf_attr(CF_ROOT).nlink, 4);
	cr_assert_eq(cf_attr(a).nlink, 3);
	cr_assert_eq(cairn_core_rename(cf.core, a, "sub", b, "sub", 0), 0);
	cr_assert_eq(cf_attr(a).nlink, 2);
	cr_assert_eq(cf_attr(b).nlink, 3);
	cr_assert_eq(cairn_core_link(cf.core, file, b, "g", &attr), 0);
	cr_assert_eq(attr.nlink, 2);
	cr_assert_eq(cairn_core_link(cf.core, sub, a, "no", &attr), -EPERM);
	cr_assert_eq(cairn_core_rename(cf.core, a, "f", b, "sub", RENAME_EXCHANGE), 0);
	cr_assert_eq(cf_attr(a).nlink, 3);
	cr_assert_eq(cf_attr(b).nlink, 2);
	cr_assert_eq(cf_close(), 0);
	cf_expect_sound(cf.db);
	cf_open();
}

Test(core_attr, no_time_is_before_1970)
{
	uint64_t ino = cf_file(CF_ROOT, "a");

	cr_assert_eq(set(ino, CAIRN_SET_MTIME, (struct cairn_attr){ .mtime = { -5, 3 } }), 0);
	cr_assert_eq(cf_attr(ino).mtime.tv_sec, 0);
	cr_assert_eq(cf_attr(ino).mtime.tv_nsec, 0);
}

Test(core_attr, reading_moves_atime_as_the_option_says)
{
	static const struct {
		enum cairn_atime option;
		bool first, second;
	} cases[] = { { CAIRN_NOATIME, false, false },
		      { CAIRN_RELATIME, true, false },
		      { CAIRN_STRICTATIME, true, true } };
	char byte;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char name[] = { (char)('a' + i), 0 };
		struct timespec later = { 1U << 31, 0 };
		struct cairn_attr attr;
		uint64_t ino;

		cr_assert_eq(cf_close(), 0);
		cf.options.atime = cases[i].option;
		cf_open();
		ino = cf_file(CF_ROOT, name);
		cf_write_text(ino, "text");
		set_all_times(ino);
		cairn_core_read(cf.core, ino, &byte, 1, 0);
		attr = cf_attr(ino);
		cr_assert_eq(!is_past(&attr.atime), cases[i].first, "case %zu", i);
		set(ino, CAIRN_SET_ATIME, (struct cairn_attr){ .atime = later });
		cairn_core_read(cf.core, ino, &byte, 1, 0);
		attr = cf_attr(ino);
		cr_assert_eq(attr.atime.tv_sec != later.tv_sec, cases[i].second, "case %zu", i);
	}
}

Test(core_attr, noatime_reads_write_nothing)
{
	uint64_t ino = cf_file(CF_ROOT, "a");
	unsigned long begins;
	char byte;

	cf_write_text(ino, "text");
	cf_settle();
	begins = fault_store_calls(cf.fault, FAULT_BEGIN);
	cairn_core_read(cf.core, ino, &byte, 1, 0);
	cf_count(CF_ROOT);
	cf_lookup(CF_ROOT, "a", NULL);
	cr_assert_eq(cairn_core_dirty(cf.core), 0);
	cr_assert_eq(fault_store_calls(cf.fault, FAULT_BEGIN), begins);
}

static int64_t stored_atime(uint64_t ino)
{
	char sql[100];

	snprintf(sql, sizeof(sql), "SELECT atime FROM fs_inode WHERE ino = %llu",
		 (unsigned long long)ino);
	return cf_number(cf.db, sql);
}

/* A file that has not been read for long, all of it stored. */
static uint64_t make_unread(enum cairn_atime option, unsigned int commit_interval_ms)
{
	uint64_t ino;

	cr_assert_eq(cf_close(), 0);
	cf.options.atime = option;
	cf.options.commit_interval_ms = commit_interval_ms;
	cf_open();
	ino = cf_file(CF_ROOT, option == CAIRN_RELATIME ? "r" : "s");
	cf_write_text(ino, "text");
	set_all_times(ino);
	cf_settle();
	cr_assert_eq(stored_atime(ino), past.tv_sec);
	return ino;
}

Test(core_attr, an_atime_that_moves_is_seen_at_once_and_stored_with_the_next_commit)
{
	static const enum cairn_atime options[] = { CAIRN_RELATIME, CAIRN_STRICTATIME };
	unsigned long begins;
	uint64_t ino;
	char byte;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		ino = make_unread(options[i], 1U << 30);
		begins = fault_store_calls(cf.fault, FAULT_BEGIN);
		for (int n = 0; n < 100; n++)
			cr_assert_eq(cairn_core_read(cf.core, ino, &byte, 1, 0), 1);
		cr_expect_neq(cf_attr(ino).atime.tv_sec, past.tv_sec);
		cr_expect_eq(fault_store_calls(cf.fault, FAULT_BEGIN), begins);
		cr_expect_eq(stored_atime(ino), past.tv_sec);
		cf_mkdir(CF_ROOT, options[i] == CAIRN_RELATIME ? "d" : "e");
		cf_settle();
		cr_expect_eq(stored_atime(ino), cf_attr(ino).atime.tv_sec);
	}
}

Test(core_attr, an_atime_that_moves_is_stored_by_itself_after_the_interval)
{
	uint64_t ino = make_unread(CAIRN_STRICTATIME, 1);
	char byte;

	cr_assert_eq(cairn_core_read(cf.core, ino, &byte, 1, 0), 1);
	while (cairn_core_dirty(cf.core) > 0)
		usleep(1000);
	cr_expect_neq(stored_atime(ino), past.tv_sec);
}

/* The answer tells how much of the file is stored; the change does not fail for want of that. */
Test(core_attr, a_change_that_is_made_is_told_as_made)
{
	uint64_t ino = cf_file(CF_ROOT, "a");
	static char block[200000];

	cf_write(ino, block, sizeof(block), 0);
	cf_reopen();
	cf_attr(CF_ROOT);
	fault_store_fail(cf.fault, FAULT_BIT(FAULT_DATA_SCAN), 1, -EIO, false);
	cr_assert_eq(set(ino, CAIRN_SET_MODE, (struct cairn_attr){ .mode = 0400 }), 0);
	fault_store_clear(cf.fault);
	cr_expect_eq(mode_of(ino), 0400);
}

TestSuite(core_xattr, .init = setup, .fini = cf_teardown);

static bool has(uint64_t ino, const char *name, const char *value)
{
	char buf[64];
	ssize_t n = cairn_core_getxattr(cf.core, ino, name, buf, sizeof(buf));

	return n == (ssize_t)strlen(value) && memcmp(buf, value, (size_t)n) == 0;
}

Test(core_xattr, flags_and_sizes_are_judged)
{
	uint64_t ino = cf_file(CF_ROOT, "a");
	static char big[CAIRN_XATTR_MAX + 1];
	char small[2];

	cr_assert_eq(cairn_core_setxattr(cf.core, ino, "user.a", "1", 1, XATTR_REPLACE), -ENODATA);
	cr_assert_eq(cairn_core_setxattr(cf.core, ino, "user.a", "1", 1, XATTR_CREATE), 0);
	cr_assert_eq(cairn_core_setxattr(cf.core, ino, "user.a", "2", 1, XATTR_CREATE), -EEXIST);
	cr_assert_eq(cairn_core_setxattr(cf.core, ino, "user.a", "three", 5, XATTR_REPLACE), 0);
	cr_assert_eq(cairn_core_getxattr(cf.core, ino, "user.a", NULL, 0), 5);
	cr_assert_eq(cairn_core_getxattr(cf.core, ino, "user.a", small, 2), -ERANGE);
	cr_assert_eq(cairn_core_setxattr(cf.core, ino, "user.b", big, sizeof(big), 0), -E2BIG);
	cr_assert_eq(cairn_core_removexattr(cf.core, ino, "user.b"), -ENODATA);
	cr_assert(has(ino, "user.a", "three"));
}

Test(core_xattr, the_layers_answer_as_one)
{
	uint64_t ino = cf_file(CF_ROOT, "a");
	char list[64];

	cairn_core_setxattr(cf.core, ino, "user.a", "stored", 6, 0);
	cairn_core_setxattr(cf.core, ino, "user.b", "stored", 6, 0);
	cf_settle();
	cairn_core_setxattr(cf.core, ino, "user.a", "committing", 10, 0);
	cr_assert_eq(cairn_core_removexattr(cf.core, ino, "user.b"), 0);
	cf_hold_commit();
	cairn_core_setxattr(cf.core, ino, "user.b", "running", 7, 0);
	cr_assert_eq(cairn_core_removexattr(cf.core, ino, "user.a"), 0);
	cr_assert_eq(cairn_core_getxattr(cf.core, ino, "user.a", NULL, 0), -ENODATA);
	cr_assert(has(ino, "user.b", "running"));
	cr_assert_eq(cairn_core_listxattr(cf.core, ino, list, sizeof(list)), 7);
	cr_assert_str_eq(list, "user.b");
	cf_let_go();
	cf_reopen();
	ino = cf_ino(CF_ROOT, "a");
	cr_assert(has(ino, "user.b", "running"));
	cr_assert_eq(cairn_core_listxattr(cf.core, ino, NULL, 0), 7);
}

Test(core_xattr, an_empty_value_is_a_value)
{
	uint64_t ino = cf_file(CF_ROOT, "a");

	cr_assert_eq(cairn_core_setxattr(cf.core, ino, "user.a", NULL, 0, 0), 0);
	cf_reopen();
	cr_assert_eq(cairn_core_getxattr(cf.core, cf_ino(CF_ROOT, "a"), "user.a", NULL, 0), 0);
}

Test(core_xattr, they_go_with_their_inode)
{
	uint64_t ino = cf_file(CF_ROOT, "a");

	cairn_core_setxattr(cf.core, ino, "user.a", "v", 1, 0);
	cf_settle();
	cr_assert_eq(cairn_core_unlink(cf.core, CF_ROOT, "a"), 0);
	cairn_core_forget(cf.core, ino, 1);
	cf_settle();
	cr_assert_eq(cf_number(cf.db, "SELECT COUNT(*) FROM cairn_xattr"), 0);
}
