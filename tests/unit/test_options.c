/* Mount options, and the numbers in them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mount/number.h"
#include "mount/options.h"
#include "util/macro.h"

static struct cairn_options options;
static struct cairn_error err;

static void setup(void)
{
	cairn_options_init(&options);
	err.text[0] = '\0';
}

static void teardown(void)
{
	cairn_options_done(&options);
}

TestSuite(options, .init = setup, .fini = teardown);

static void parse(const char *list)
{
	int r = cairn_options_parse(&options, list, &err);

	cr_assert_eq(r, 0, "%s: %s", list, err.text);
}

static void finish(void)
{
	int r = cairn_options_finish(&options, &err);

	cr_assert_eq(r, 0, "%s", err.text);
}

/* The list is refused as invalid, and the message has `text` in it. */
static void refused(const char *list, const char *text)
{
	struct cairn_options other;

	err.text[0] = '\0';
	cairn_options_init(&other);
	cr_expect_eq(cairn_options_parse(&other, list, &err), -EINVAL, "%s", list);
	cr_expect(strstr(err.text, text), "%s: '%s' says nothing of '%s'", list, err.text, text);
	cairn_options_done(&other);
}

/* Whether one of the options for libfuse is `option`, escapes and all. */
static bool handed_on(const char *option)
{
	const char *list = options.mount.fuse_options, *at = list;
	size_t len = strlen(option);

	while (at && (at = strstr(at, option))) {
		bool begins = at == list || (at[-1] == ',' && (at == list + 1 || at[-2] != '\\'));

		if (begins && (at[len] == ',' || at[len] == '\0'))
			return true;
		at += len;
	}
	return false;
}

Test(options, defaults_are_the_documented_ones)
{
	const struct cairn_mount_options *mount = &options.mount;

	parse("");
	finish();
	cr_expect_not(mount->core.read_only);
	cr_expect_eq(mount->core.atime, CAIRN_NOATIME);
	cr_expect_eq(mount->core.durability, CAIRN_DURABILITY_ASYNC);
	cr_expect_eq(mount->core.commit_interval_ms, 1000);
	cr_expect_eq(mount->core.max_dirty, 64U << 20);
	cr_expect_eq(mount->core.wal_limit, 1U << 30);
	cr_expect_eq(mount->core.quota, 0);
	cr_expect_eq(mount->core.max_file_size, INT64_MAX);
	cr_expect_eq(mount->busy_timeout_ms, 5000);
	cr_expect_not(mount->uid_set || mount->gid_set);
	cr_expect_eq(mount->threads, 0);
	cr_expect_eq(mount->writeback_cache, CAIRN_AUTO);
	cr_expect_eq(mount->xattr, CAIRN_AUTO);
	cr_expect_not(mount->debug);
	cr_expect_null(options.log_file);
	cr_expect_not(options.nonempty);
}

Test(options, kernel_always_checks_permissions)
{
	finish();
	cr_expect(handed_on("default_permissions"));
}

Test(options, every_value_arrives)
{
	const struct cairn_mount_options *mount = &options.mount;

	parse("busy_timeout_ms=7,durability=commit,commit_interval_ms=20,max_dirty=3M,quota=2G");
	parse("wal_limit=7M,max_file_size=5K,uid=12,gid=4294967294,threads=9,writeback_cache,"
	      "noxattr,debug");
	cr_expect_eq(mount->busy_timeout_ms, 7);
	cr_expect_eq(mount->core.durability, CAIRN_DURABILITY_COMMIT);
	cr_expect_eq(mount->core.commit_interval_ms, 20);
	cr_expect_eq(mount->core.max_dirty, 3U << 20);
	cr_expect_eq(mount->core.wal_limit, 7U << 20);
	cr_expect_eq(mount->core.quota, 2ULL << 30);
	cr_expect_eq(mount->core.max_file_size, 5 << 10);
	cr_expect(mount->uid_set);
	cr_expect_eq(mount->uid, 12);
	cr_expect(mount->gid_set);
	cr_expect_eq(mount->gid, 4294967294U);
	cr_expect_eq(mount->threads, 9);
	cr_expect_eq(mount->writeback_cache, CAIRN_ON);
	cr_expect_eq(mount->xattr, CAIRN_OFF);
	cr_expect(mount->debug);
}

Test(options, uid_zero_is_not_the_absence_of_uid)
{
	parse("uid=0");
	cr_expect(options.mount.uid_set);
	cr_expect_not(options.mount.gid_set);
}

Test(options, last_of_two_contradicting_ones_wins)
{
	parse("ro,rw,strictatime,relatime,quota=1,quota=2");
	parse("durability=full,durability=async,no_writeback_cache,writeback_cache");
	cr_expect_not(options.mount.core.read_only);
	cr_expect_eq(options.mount.core.atime, CAIRN_RELATIME);
	cr_expect_eq(options.mount.core.quota, 2);
	cr_expect_eq(options.mount.core.durability, CAIRN_DURABILITY_ASYNC);
	cr_expect_eq(options.mount.writeback_cache, CAIRN_ON);
}

Test(options, ro_is_for_the_kernel_too)
{
	parse("ro");
	cr_expect(options.mount.core.read_only);
	cr_expect(handed_on("ro"));
}

Test(options, sync_is_full_durability)
{
	parse("sync");
	cr_expect_eq(options.mount.core.durability, CAIRN_DURABILITY_FULL);
	cr_expect(handed_on("sync"));
}

Test(options, dirsync_is_full_durability)
{
	parse("dirsync");
	cr_expect_eq(options.mount.core.durability, CAIRN_DURABILITY_FULL);
}

Test(options, noatime_shows_in_the_mount_table_and_only_then)
{
	parse("strictatime");
	finish();
	cr_expect_not(handed_on("noatime"));
	cairn_options_done(&options);

	cairn_options_init(&options);
	finish();
	cr_expect(handed_on("noatime"));
}

Test(options, no_form_of_an_atime_option_undoes_only_that_option)
{
	parse("strictatime,norelatime");
	cr_expect_eq(options.mount.core.atime, CAIRN_STRICTATIME);
	parse("nostrictatime");
	cr_expect_eq(options.mount.core.atime, CAIRN_NOATIME);
	parse("atime");
	cr_expect_eq(options.mount.core.atime, CAIRN_RELATIME);
}

Test(options, unknown_option_is_refused_by_name)
{
	refused("ro,frobnicate,rw", "'frobnicate'");
	refused("frobnicate=7", "'frobnicate'");
	refused("nosymfollow", "'nosymfollow'");
	refused("read_only", "'read_only'");
	refused("x", "'x'");
}

Test(options, sloppy_passes_over_unknown_options)
{
	options.sloppy = true;
	parse("frobnicate,ro");
	cr_expect(options.mount.core.read_only);
}

Test(options, bad_numbers_are_refused)
{
	static const char *const lists[] = {
		"threads=0",
		"threads=1001",
		"threads=4x",
		"threads=-1",
		"threads=+1",
		"threads= 1",
		"threads=1K",
		"threads=0x10",
		"uid=4294967295",
		"uid=root",
		"gid=-1",
		"max_dirty=1",
		"max_dirty=1MB",
		"max_dirty=M",
		"max_dirty=1.5G",
		"wal_limit=1023K",
		"max_file_size=0",
		"quota=16777216T",
		"max_file_size=8388608T",
		"quota=-1",
		"busy_timeout_ms=99999999999999999999",
		"commit_interval_ms=1s",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		refused(lists[i], lists[i]);
}

Test(options, missing_value_is_refused)
{
	refused("quota", "quota=SIZE");
	refused("uid=", "uid=N");
	refused("log=", "log=FILE");
}

Test(options, value_where_none_belongs_is_refused)
{
	refused("ro=1", "'1'");
	refused("allow_other=yes", "'yes'");
}

Test(options, unknown_durability_is_refused)
{
	refused("durability=sometimes", "sometimes");
}

Test(options, remount_is_refused_with_its_own_reason)
{
	refused("remount,ro", "unmount");
}

Test(options, type_of_the_file_system_stays)
{
	parse("subtype=cairnfs");
	cr_expect_null(options.mount.fuse_options);
	refused("subtype=other", "fuse.cairnfs");
}

Test(options, words_of_mount8_are_accepted_without_effect)
{
	parse("defaults,auto,noauto,user,user=joe,nouser,users,owner,group,_netdev,nofail");
	parse("lazytime,nodiratime,comment=hello,x-systemd.automount,x-foo=bar,X-mount.mkdir=0755");
	cr_expect_null(options.mount.fuse_options);
}

Test(options, what_libfuse_knows_goes_to_libfuse)
{
	parse("nosuid,nodev,noexec,suid,dev,exec,async,allow_other,auto_unmount,fsname=here");
	cr_expect_str_eq(options.mount.fuse_options,
			 "nosuid,nodev,noexec,suid,dev,exec,async,allow_other,auto_unmount,"
			 "fsname=here");
	cr_expect(options.allow_other);
	cr_expect(options.auto_unmount);
}

Test(options, our_own_options_do_not_reach_libfuse)
{
	parse("nonempty,threads=2,log=x,quota=1M,xattr,writeback_cache,debug");
	cr_expect_null(options.mount.fuse_options);
	cr_expect(options.nonempty);
}

Test(options, empty_options_are_passed_over)
{
	parse(",,ro,,");
	cr_expect(options.mount.core.read_only);
}

Test(options, escaped_comma_belongs_to_the_value)
{
	parse("fsname=a\\,b\\\\c,ro");
	cr_expect_str_eq(options.mount.fuse_options, "fsname=a\\,b\\\\c,ro");
	parse("log=/x\\,y");
	cr_expect_str_eq(options.log_file, "/x,y");
}

Test(options, quoted_comma_belongs_to_the_value)
{
	parse("context=\"u:r:t:s0:c1,c2\",ro");
	cr_expect_str_eq(options.mount.fuse_options, "context=\"u:r:t:s0:c1\\,c2\",ro");
}

Test(options, log_file_is_made_absolute)
{
	cr_assert_eq(chdir("/usr"), 0);
	parse("log=some/file");
	cr_expect_str_eq(options.log_file, "/usr/some/file");
}

Test(options, allow_other_and_allow_root_exclude_each_other)
{
	parse("allow_other,allow_root");
	cr_expect_eq(cairn_options_finish(&options, &err), -EINVAL);
	cr_expect(strstr(err.text, "allow_root"));
}

Test(options, help_names_every_option_of_the_contract_and_fits_a_terminal)
{
	static const char *const names[] = {
		"ro",
		"noatime",
		"relatime",
		"strictatime",
		"busy_timeout_ms=N",
		"durability=WHAT",
		"commit_interval_ms=N",
		"max_dirty=SIZE",
		"wal_limit=SIZE",
		"quota=SIZE",
		"max_file_size=SIZE",
		"uid=N",
		"gid=N",
		"allow_other",
		"allow_root",
		"auto_unmount",
		"default_permissions",
		"threads=N",
		"writeback_cache",
		"no_writeback_cache",
		"xattr",
		"noxattr",
		"log=FILE",
		"debug",
		"fsname=NAME",
		"nosuid",
		"nodev",
		"noexec",
		"nonempty",
	};
	_cleanup_(cairn_freep) char *help = cairn_options_help();
	char *line, *save, pattern[64];

	cr_assert_not_null(help);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(pattern, sizeof(pattern), "\n  %s ", names[i]);
		cr_expect(strstr(help, pattern), "no line for %s", names[i]);
	}
	cr_expect(strstr(help, "_netdev"));
	for (line = strtok_r(help, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		cr_expect_lt(strlen(line), 80, "too wide: %s", line);
}

Test(number, sizes_take_suffixes_of_1024)
{
	uint64_t size;

	cr_expect_eq(cairn_size_parse("12", 0, UINT64_MAX, &size), 0);
	cr_expect_eq(size, 12);
	cr_expect_eq(cairn_size_parse("3k", 0, UINT64_MAX, &size), 0);
	cr_expect_eq(size, 3072);
	cr_expect_eq(cairn_size_parse("16777215T", 0, UINT64_MAX, &size), 0);
	cr_expect_eq(size, 16777215ULL << 40);
	cr_expect_eq(cairn_size_parse("16777216T", 0, UINT64_MAX, &size), -ERANGE);
	cr_expect_eq(cairn_size_parse("18446744073709551616", 0, UINT64_MAX, &size), -ERANGE);
}

Test(number, output_is_untouched_on_failure)
{
	uint64_t number = 42;

	cr_expect_eq(cairn_number_parse("7x", 0, 100, &number), -EINVAL);
	cr_expect_eq(cairn_number_parse("", 0, 100, &number), -EINVAL);
	cr_expect_eq(cairn_number_parse("101", 0, 100, &number), -ERANGE);
	cr_expect_eq(cairn_size_parse("1KK", 0, 1 << 20, &number), -EINVAL);
	cr_expect_eq(number, 42);
}

static void formats(uint64_t bytes, const char *text)
{
	char buf[CAIRN_SIZE_TEXT_MAX];

	cairn_size_format(bytes, buf);
	cr_expect_str_eq(buf, text);
}

Test(number, sizes_are_written_for_people)
{
	formats(0, "0 bytes");
	formats(1, "1 byte");
	formats(1023, "1023 bytes");
	formats(65536, "64 KiB");
	formats(1536 << 10, "1.5 MiB");
	formats((1ULL << 30) - 1, "1023.9 MiB");
	formats(UINT64_MAX, "15.9 EiB");
}

Test(options, io_uring_is_for_a_libfuse_that_has_it)
{
	if (cairn_fuse_version() < CAIRN_FUSE_IO_URING) {
		refused("io_uring", "libfuse 3.18");
		refused("io_uring_q_depth=8", "libfuse 3.18");
		return;
	}
	parse("io_uring,io_uring_q_depth=8");
	cr_expect(strstr(options.mount.fuse_options, "io_uring,io_uring_q_depth=8"));
	refused("io_uring_q_depth=0", "io_uring_q_depth");
}
