/* cairnfs stats: that what it counts is what was done, and who may ask. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <pwd.h>
#include <signal.h>
#include <sqlite3.h>
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

enum { MANY = 1500 };

static int make_files(int n)
{
	char name[16];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		if (put_text(name, "x") < 0)
			return -1;
	}
	return 0;
}

/* Reads the whole directory first and looks at its files then, as find(1) does. */
static int list_and_stat(int n)
{
	struct stat st;
	char name[16];

	if (count_entries(".") != n)
		return -1;
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		if (lstat(name, &st) < 0)
			return -1;
	}
	return 0;
}

Test(stats, what_was_listed_is_looked_at_without_a_request)
{
	must(make_files(MANY));
	fx_remount();
	adds_requests("lookup", 0, list_and_stat(MANY));
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
	static struct cairn_ioc_spread histogram;
	int root = must(open(".", O_RDONLY));

	histogram.version = CAIRN_STATS_VERSION;
	must(ioctl(root, CAIRN_IOC_SPREAD, &histogram));
	cr_expect(histogram.name[0]);
	histogram.index = CAIRN_STATS_SPREADS;
	fails_with(ENXIO, ioctl(root, CAIRN_IOC_SPREAD, &histogram));
	histogram.index = UINT32_MAX;
	fails_with(ENXIO, ioctl(root, CAIRN_IOC_SPREAD, &histogram));
	histogram.index = 0;
	histogram.version = CAIRN_STATS_VERSION + 1;
	fails_with(EPROTO, ioctl(root, CAIRN_IOC_SPREAD, &histogram));
	must(close(root));
}

/* More figures. */

static json_int_t figure(const char *group, const char *name, const char *field)
{
	json_t *root = read_stats();
	json_int_t n = number_of(root, group, name, field);

	json_decref(root);
	return n;
}

Test(stats, bytes_read_and_written_are_those_of_files)
{
	unsigned char *data = new_pattern(300000, 1);

	must(put_bytes("f", data, 300000));
	cr_expect_eq(figure("data", "written", NULL), 300000);
	fx_remount();
	must(read_through("f"));
	cr_expect_eq(figure("data", "written", NULL), 0);
	cr_expect_eq(figure("data", "read", NULL), 300000);
	must(read_through("f"));
	cr_expect_eq(figure("data", "read", NULL), 300000, "from the kernel's cache");
	free(data);
}

Test(stats, an_fsync_is_a_commit_and_a_sync)
{
	json_int_t commits, syncs, callers;

	/* Nothing is committed by itself, and the numbers for new files are there. */
	fx_umount();
	fx_mount("commit_interval_ms=600000");
	must(put_text("first", "x"));
	must(sync_file("first"));
	must(put_text("f", "x"));
	commits = figure("writer", "commit", "count");
	syncs = figure("writer", "sync", "count");
	callers = figure("writer", "sync_callers", NULL);
	must(sync_file("f"));
	cr_expect_eq(figure("writer", "commit", "count"), commits + 1);
	cr_expect_eq(figure("writer", "sync", "count"), syncs + 1);
	cr_expect_eq(figure("writer", "sync_callers", NULL), callers + 1);
	cr_expect_gt(figure("store", "wal_size", NULL), 0);
	cr_expect_gt(figure("store", "write_statements", NULL), 0);
}

Test(stats, a_file_made_anew_is_found_in_core)
{
	json_int_t absent = figure("cache", "entries_absent", NULL);

	must(put_text("f", "x"));
	cr_expect_gt(figure("cache", "entries_absent", NULL), absent);
	cr_expect_gt(figure("cache", "inode_hits", NULL), 0);
	cr_expect_geq(figure("cache", "pinned", NULL), 1);
	cr_expect_gt(figure("readers", "open", NULL), 0);
}

/* Another process that holds the write lock until `release` is closed. */
static pid_t hold_write_lock(int *ret_release)
{
	int ready[2], release[2];
	sqlite3 *db;
	char byte;
	pid_t pid;

	must(pipe2(ready, O_CLOEXEC));
	must(pipe2(release, O_CLOEXEC));
	pid = fx_fork();
	if (pid == 0) {
		close(release[1]);
		if (sqlite3_open(fx.db, &db) != SQLITE_OK ||
		    sqlite3_busy_timeout(db, 10000) != SQLITE_OK ||
		    sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		_exit(read(release[0], &byte, 1) == 0 ? 0 : 1);
	}
	close(ready[1]);
	close(release[0]);
	cr_assert_eq(read(ready[0], &byte, 1), 1, "the other process got no lock");
	close(ready[0]);
	*ret_release = release[1];
	return pid;
}

Test(stats, waiting_for_the_lock_of_another_process_is_told_while_it_lasts)
{
	pid_t holder, waiter;
	int release;

	must(put_text("f", "x"));
	must(sync_file("f"));
	cr_expect_eq(figure("store", "busy_retries", NULL), 0);
	holder = hold_write_lock(&release);
	must(put_text("g", "x"));
	waiter = fx_fork();
	if (waiter == 0) {
		close(release);
		_exit(sync_file("g") < 0);
	}
	while (figure("store", "busy_retries", NULL) < 3)
		tick();
	cr_expect_gt(figure("store", "busy_time", NULL), 1000000);
	cr_expect_eq(figure("requests", "fsync", "under_way"), 1);
	cr_expect_eq(figure("writer", "commit", "under_way"), 1);
	cr_expect_gt(figure("writer", "dirty_bytes", NULL), 0);
	must(close(release));
	cr_assert_eq(fx_wait(holder), 0);
	cr_assert_eq(fx_wait(waiter), 0);
	cr_expect_eq(figure("requests", "fsync", "under_way"), 0);
	cr_expect_eq(figure("writer", "commit", "under_way"), 0);
}

/* Watching. */

/* Starts `cairnfs stats --watch --json`; its lines arrive at the stream. */
static pid_t start_watching(FILE **ret)
{
	int ends[2];
	pid_t pid;

	must(pipe2(ends, O_CLOEXEC));
	pid = fx_fork();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		if (chdir("/") < 0)
			_exit(127);
		execl(fx_binary(), "cairnfs", "stats", "--watch", "--json", fx.mnt, NULL);
		_exit(127);
	}
	close(ends[1]);
	*ret = fdopen(ends[0], "r");
	cr_assert(*ret);
	return pid;
}

static json_t *next_line(FILE *from)
{
	char *line = NULL;
	size_t size = 0;
	json_t *root;

	cr_assert_gt(getline(&line, &size, from), 0, "no line came");
	root = json_loads(line, 0, NULL);
	cr_assert(root, "not JSON: %s", line);
	free(line);
	return root;
}

Test(stats, watching_tells_what_happened_in_between)
{
	json_int_t made = 0;
	json_t *root;
	FILE *lines;
	pid_t pid;

	must(mkdir("before", 0755));
	pid = start_watching(&lines);
	json_decref(next_line(lines));
	must(make_directories(5));
	for (int i = 0; i < 3; i++) {
		root = next_line(lines);
		made += number_of(root, "requests", "mkdir", "count");
		cr_expect_gt(number_of(root, "process", "uptime", NULL), 0);
		cr_expect_gt(number_of(root, "process", "resident", NULL), 1 << 20);
		json_decref(root);
	}
	cr_expect_eq(made, 5);
	must(kill(pid, SIGTERM));
	cr_expect_eq(fx_wait(pid), 128 + SIGTERM);
	fclose(lines);
}

Test(stats, watching_does_not_keep_the_mount_and_ends_with_it)
{
	FILE *lines;
	pid_t pid;
	char *line = NULL;
	size_t size = 0;

	pid = start_watching(&lines);
	json_decref(next_line(lines));
	fx_umount();
	while (getline(&line, &size, lines) > 0)
		;
	free(line);
	fclose(lines);
	cr_expect_eq(fx_wait(pid), 1);
}

Test(stats, an_interval_that_is_none_is_refused)
{
	static const char *const wrong[] = { "0", "-1", "x", "1.5", "", "86401" };
	char option[32];
	struct output o;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		snprintf(option, sizeof(option), "--watch=%s", wrong[i]);
		fx_cairnfs(&o, "stats", option, fx.mnt);
		cr_expect_eq(o.status, 2, "%s: status %d", option, o.status);
		cr_expect(strstr(o.err, "--watch takes"), "%s: %s", option, o.err);
	}
}

/* Other versions, and what is none of ours. */

static pid_t start_stranger(const char *how)
{
	char *program = getenv("CAIRNFS_STRANGER");
	int ends[2];
	char byte;
	pid_t pid;

	cr_assert(program, "CAIRNFS_STRANGER does not name tests/mount/stranger");
	must(pipe2(ends, O_CLOEXEC));
	pid = fx_fork();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		execl(program, "stranger", fx.mnt, how, NULL);
		_exit(127);
	}
	close(ends[1]);
	cr_assert_eq(read(ends[0], &byte, 1), 1, "it did not mount");
	close(ends[0]);
	return pid;
}

static void expect_refusal_of(const char *how, const char *words)
{
	pid_t pid = start_stranger(how);

	expect_refusal(fx.mnt, words);
	kill(pid, SIGKILL); /* what it has not answered would wait for ever */
	fx_wait(pid);
	fx_detach();
}

static void setup_stranger(void)
{
	fx_need_cairnfs();
	fx_prepare();
}

TestSuite(stranger, .init = setup_stranger, .fini = fx_teardown, .timeout = 60);

Test(stranger, a_cairnfs_without_statistics_is_another_version)
{
	expect_refusal_of("older", "another version");
}

Test(stranger, a_cairnfs_with_other_statistics_is_another_version)
{
	expect_refusal_of("newer", "another version");
}

Test(stranger, nonsense_is_another_version)
{
	expect_refusal_of("nonsense", "another version");
}

Test(stranger, one_that_does_not_answer_is_not_waited_for)
{
	expect_refusal_of("silent", "does not answer");
}

/* Who may ask. */

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
	fails_as(BOB, EACCES, ask_raw(CAIRN_IOC_SPREAD));
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
