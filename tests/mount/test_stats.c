/* cairnfs stats: that what it counts is what was done, and who may ask. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "fsutil.h"
#include "fuse/session.h"
#include "fuse/stats.h"

static void setup(void)
{
	fx_need_cairnfs();
	fx_setup();
}

static void setup_for_others(void)
{
	fx_need_root();
	fx_need_cairnfs();
	fx_prepare();
}

TestSuite(stats, .init = setup, .fini = fx_teardown, .timeout = 60);
TestSuite(stats_root, .init = setup_for_others, .fini = fx_teardown, .timeout = 60);

static json_t *read_stats(void)
{
	static struct output o;
	json_error_t error;
	json_t *root;

	fx_cairnfs(&o, "stats", "--json", fx.mnt);
	cr_assert_eq(o.status, 0, "status %d: %s", o.status, o.err);
	root = json_loads(o.out, 0, &error);
	cr_assert(root, "%s, in: %s", error.text, o.out);
	return root;
}

static const json_t *member(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	cr_assert(value, "no '%s' in the figures", name);
	return value;
}

static json_int_t number_of(const json_t *root, const char *group, const char *name,
			    const char *field)
{
	const json_t *value = member(member(root, group), name);

	if (field)
		value = member(value, field);
	cr_assert(json_is_integer(value), "%s.%s is no number", group, name);
	return json_integer_value(value);
}

/* How many requests of a kind there were, of all kinds for NULL. */
static json_int_t requests(const char *kind)
{
	json_t *root = read_stats();
	json_int_t n = 0;
	const char *name;
	json_t *value;

	json_object_foreach(json_object_get(root, "requests"), name, value)
	{
		if (!kind || strcmp(name, kind) == 0)
			n += number_of(root, "requests", name, "count");
	}
	json_decref(root);
	return n;
}

#define adds_requests(kind, wanted, expr)                                                          \
	do {                                                                                       \
		json_int_t before_ = requests(kind), got_;                                         \
		must(expr);                                                                        \
		got_ = requests(kind) - before_;                                                   \
		cr_expect_eq(got_, (wanted), "%s: %lld requests %s, wanted %d", #expr,             \
			     (long long)got_, kind ? kind : "", (wanted));                         \
	} while (0)

static int make_directories(int n)
{
	char name[16];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		if (mkdir(name, 0755) < 0)
			return -1;
	}
	return 0;
}

Test(stats, each_request_is_counted_once)
{
	adds_requests("mkdir", 10, make_directories(10));
	adds_requests("rmdir", 1, rmdir("d3"));
	adds_requests("mknod", 1, put_text("f", "x"));
	adds_requests("write", 1, put_text("g", "x"));
	adds_requests("link", 1, link("f", "h"));
	adds_requests("symlink", 1, symlink("f", "s"));
	adds_requests("rename", 1, rename("h", "i"));
	adds_requests("unlink", 1, unlink("i"));
	adds_requests("setattr", 1, chmod("f", 0600));
}

Test(stats, a_request_that_fails_is_counted)
{
	must(mkdir("d", 0755));
	adds_requests("rmdir", 1, errno_in(fx_fork(), rmdir("d")) == 0 ? 0 : -1);
	must(mkdir("d", 0755));
	must(put_text("d/f", "x"));
	adds_requests("rmdir", 1, errno_in(fx_fork(), rmdir("d")) == ENOTEMPTY ? 0 : -1);
}

static int sync_file(const char *name)
{
	int fd = open(name, O_RDONLY);
	int r = fd < 0 ? -1 : fsync(fd);

	close(fd);
	return r;
}

Test(stats, syncs_are_told_apart)
{
	must(put_text("f", "x"));
	must(mkdir("d", 0755));
	adds_requests("fsync", 1, sync_file("f"));
	adds_requests("fsyncdir", 0, sync_file("f"));
	adds_requests("fsyncdir", 1, sync_file("d"));
}

Test(stats, a_cached_file_is_read_without_a_request)
{
	must(put_text("f", "content"));
	must(read_through("f"));
	requests(NULL); /* asking looks at the root directory, whose attributes are cached then */
	adds_requests(NULL, 0, read_through("f"));
}

Test(stats, asking_is_no_request)
{
	requests(NULL);
	adds_requests(NULL, 0, 0);
}

Test(stats, an_ioctl_of_others_is_one)
{
	int fd = must(open(".", O_RDONLY));

	adds_requests("ioctl", 1, isatty(fd) ? -1 : 0);
	must(close(fd));
}

Test(stats, times_lie_between_the_least_and_the_largest)
{
	json_t *root;
	json_int_t p50, p90, p99, max, sum;

	must(make_directories(20));
	root = read_stats();
	p50 = number_of(root, "requests", "mkdir", "p50");
	p90 = number_of(root, "requests", "mkdir", "p90");
	p99 = number_of(root, "requests", "mkdir", "p99");
	max = number_of(root, "requests", "mkdir", "max");
	sum = number_of(root, "requests", "mkdir", "sum");
	cr_expect(0 < p50 && p50 <= p90 && p90 <= p99 && p99 <= max);
	cr_expect(max <= sum && sum <= 20 * max);
	cr_expect_eq(number_of(root, "requests", "mkdir", "mean"), sum / 20);
	cr_expect_eq(number_of(root, "requests", "mkdir", "under_way"), 0);
	cr_expect_eq(number_of(root, "requests", "unlink", "max"), 0);
	cr_expect_gt(number_of(root, "process", "resident", NULL), 1 << 20);
	cr_expect_geq(number_of(root, "process", "resident_peak", NULL),
		      number_of(root, "process", "resident", NULL));
	cr_expect_gt(number_of(root, "process", "uptime", NULL), 0);
	json_decref(root);
}

Test(stats, a_new_mount_begins_at_nothing)
{
	must(make_directories(3));
	fx_remount();
	cr_expect_eq(requests("mkdir"), 0);
}

Test(stats, the_table_shows_what_there_was)
{
	struct output o;
	char line[64];

	must(make_directories(3));
	fx_cairnfs(&o, "stats", fx.mnt);
	cr_assert_eq(o.status, 0, "%s", o.err);
	snprintf(line, sizeof(line), "\n%-16s %10d ", "mkdir", 3);
	cr_expect(strstr(o.out, line), "no line '%s' in: %s", line, o.out);
	cr_expect(strstr(o.out, fx.db));
	cr_expect_not(strstr(o.out, "rmdir"), "shows what there was not: %s", o.out);
}

/* What is refused: exit status 1 and one line that has `words` in it. */
static void expect_refusal(const char *dir, const char *words)
{
	struct output o;

	fx_cairnfs(&o, "stats", "--json", (char *)dir);
	cr_expect_eq(o.status, 1, "%s: status %d", dir, o.status);
	cr_expect_str_empty(o.out);
	cr_expect(strstr(o.err, words), "%s: \"%s\"", dir, o.err);
	cr_expect_eq(strcspn(o.err, "\n"), strlen(o.err) - 1, "not one line: %s", o.err);
}

Test(stats, what_is_no_mount_of_ours_is_refused)
{
	must(mkdir("d", 0755));
	must(put_text("f", "x"));
	expect_refusal(fx.tmp, "is not the root of a cairnfs mount");
	expect_refusal("/proc", "is not the root of a cairnfs mount");
	expect_refusal(fx_path("d"), "is not the root of a cairnfs mount");
	expect_refusal(fx_path("f"), strerror(ENOTDIR));
	expect_refusal(fx_path("nothing"), strerror(ENOENT));
	expect_refusal("", strerror(ENOENT));
}

Test(stats, a_mount_whose_daemon_is_gone_is_said_to_be)
{
	pid_t daemon = fx_daemon_pid();

	must(chdir(fx.tmp));
	must(kill(daemon, SIGKILL));
	cr_assert(fx_daemon_ends(daemon));
	expect_refusal(fx.mnt, "is gone");
	fx_detach();
}

Test(stats, wrong_arguments_are_usage_errors)
{
	struct output o;

	fx_cairnfs(&o, "stats");
	cr_expect_eq(o.status, 2);
	fx_cairnfs(&o, "stats", fx.mnt, fx.mnt);
	cr_expect_eq(o.status, 2);
	fx_cairnfs(&o, "stats", "--jsno", fx.mnt);
	cr_expect_eq(o.status, 2);
}

Test(stats, questions_that_are_none_of_ours_are_enotty)
{
	static struct cairn_ioc_stats stats;
	int root = must(open(".", O_RDONLY)), dir;

	must(mkdir("d", 0755));
	dir = must(open("d", O_RDONLY));
	must(ioctl(root, CAIRN_IOC_STATS, &stats));
	cr_expect_eq(stats.version, CAIRN_STATS_VERSION);
	fails_with(ENOTTY, ioctl(dir, CAIRN_IOC_STATS, &stats));
	fails_with(ENOTTY, ioctl(root, _IOR('c', 2, char[16]), &stats));
	fails_with(ENOTTY, ioctl(root, _IO('c', 2), &stats));
	fails_with(ENOTTY, ioctl(root, _IOR('c', 99, struct cairn_ioc_stats), &stats));
	must(close(dir));
	must(close(root));
}

Test(stats, a_histogram_has_to_be_there_and_of_our_version)
{
	static struct cairn_ioc_histogram histogram;
	int root = must(open(".", O_RDONLY));

	histogram.version = CAIRN_STATS_VERSION;
	must(ioctl(root, CAIRN_IOC_HISTOGRAM, &histogram));
	cr_expect(histogram.name[0]);
	histogram.index = CAIRN_STATS_HISTOGRAMS;
	fails_with(ENXIO, ioctl(root, CAIRN_IOC_HISTOGRAM, &histogram));
	histogram.index = UINT32_MAX;
	fails_with(ENXIO, ioctl(root, CAIRN_IOC_HISTOGRAM, &histogram));
	histogram.index = 0;
	histogram.version = CAIRN_STATS_VERSION + 1;
	fails_with(EPROTO, ioctl(root, CAIRN_IOC_HISTOGRAM, &histogram));
	must(close(root));
}

static int ask_raw(unsigned long question)
{
	static struct cairn_ioc_stats answer; /* the largest */
	int fd = open(fx.mnt, O_RDONLY), r;

	if (fd < 0)
		return -1;
	r = ioctl(fd, question, &answer);
	close(fd);
	return r;
}

Test(stats_root, users_whom_the_mount_lets_in_may_not_ask)
{
	fx_mount("allow_other");
	must_as(BOB, ask_raw(CAIRN_IOC_INFO));
	fails_as(BOB, EACCES, ask_raw(CAIRN_IOC_STATS));
	fails_as(BOB, EACCES, ask_raw(CAIRN_IOC_HISTOGRAM));
	must(ask_raw(CAIRN_IOC_STATS));
}

/* Mounts fx.db on fx.mnt as a user of the system, whom fusermount3(1) wants to know by name; the
 * user need not reach the binary. */
static void mount_as(const struct passwd *user)
{
	char *argv[] = { (char *)"cairnfs", (char *)"mount", fx.db, fx.mnt, NULL };
	int binary = must(open(fx_binary(), O_RDONLY | O_CLOEXEC));
	pid_t pid;

	must(chown(fx_tmp_path(".agentfs"), user->pw_uid, user->pw_gid));
	must(chown(fx.db, user->pw_uid, user->pw_gid));
	must(chown(fx.mnt, user->pw_uid, user->pw_gid));
	pid = fx_fork_as(user->pw_uid, user->pw_gid);
	if (pid == 0) {
		fexecve(binary, argv, environ);
		_exit(EXIT_FAILURE);
	}
	cr_assert_eq(fx_wait(pid), 0);
	must(close(binary));
}

Test(stats_root, root_may_ask_about_a_mount_that_lets_nobody_in)
{
	const struct passwd *nobody = getpwnam("nobody");
	json_t *root;

	if (!nobody || errno_as(nobody->pw_uid, open("/dev/fuse", O_RDWR)) != 0)
		cr_skip_test("/dev/fuse is not for ordinary users");
	mount_as(nobody);
	cr_assert_eq(
		errno_in(fx_fork_as(nobody->pw_uid, nobody->pw_gid), mkdir(fx_path("d"), 0755)), 0);
	fails_with(EACCES, open(fx.mnt, O_RDONLY));
	fails_as(BOB, EACCES, ask_raw(CAIRN_IOC_STATS));

	must(chmod(fx.tmp, 0700)); /* the user who mounted may not go there any more */
	root = read_stats();
	must(chmod(fx.tmp, 0755));
	cr_expect_eq(number_of(root, "requests", "mkdir", "count"), 1);
	cr_expect_eq(json_integer_value(member(root, "pid")), fx_daemon_pid());
	json_decref(root);
}
