/* The mark of a live mount: one holder at a time, and nothing that outlives it. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mount/mark.h"
#include "store/probe.h"
#include "util/macro.h"

#define NOBODY 65534

static char tmp[PATH_MAX];
static struct cairn_error err;

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static void setup(void)
{
	char template[] = "/tmp/cairnfs-mark-XXXXXX";

	cr_assert_not_null(mkdtemp(template));
	cr_assert_not_null(realpath(template, tmp));
	cr_assert_eq(chdir(tmp), 0);
	write_file("work.db", "");
}

static void teardown(void)
{
	char command[PATH_MAX + 16];

	snprintf(command, sizeof(command), "rm -rf '%s'", tmp);
	cr_expect_eq(chdir("/"), 0);
	cr_expect_eq(system(command), 0);
}

TestSuite(mark, .init = setup, .fini = teardown);

static struct cairn_mark *take(const char *workspace, const char *directory)
{
	struct cairn_mark *mark = NULL;
	int r;

	err.text[0] = '\0';
	r = cairn_mark_take(workspace, directory, false, &mark, &err);
	cr_assert_eq(r, 0, "%s", err.text);
	cr_assert_not_null(mark);
	return mark;
}

static int try_take(const char *workspace)
{
	struct cairn_mark *mark = NULL;
	int r;

	err.text[0] = '\0';
	r = cairn_mark_take(workspace, "/elsewhere", false, &mark, &err);
	cairn_mark_release(mark, NULL);
	return r;
}

static struct cairn_mark_info read_mark(void)
{
	struct cairn_mark_info info;

	cr_assert_eq(cairn_mark_read("work.db", &info), 0);
	return info;
}

/* A process that takes the mark, says so and then waits to be killed. */
static pid_t start_holder(void)
{
	struct cairn_mark *mark;
	int ends[2];
	pid_t pid;
	char c;

	cr_assert_eq(pipe(ends), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		if (cairn_mark_take("work.db", "/held", false, &mark, NULL) == 0 &&
		    write(ends[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ends[1]);
	cr_assert_eq(read(ends[0], &c, 1), 1);
	close(ends[0]);
	return pid;
}

static void kill_holder(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

Test(mark, says_who_holds_it)
{
	struct cairn_mark *mark = take("work.db", "/mnt/x");
	_cleanup_(cairn_mark_info_done) struct cairn_mark_info info = read_mark();
	char workspace[PATH_MAX + 16];

	snprintf(workspace, sizeof(workspace), "%s/work.db", tmp);
	cr_expect(info.live);
	cr_expect_eq(info.pid, getpid());
	cr_expect_str_eq(info.directory, "/mnt/x");
	cr_expect_str_eq(info.workspace, workspace);
	cr_expect_not_null(info.started);
	cr_expect_null(info.error);
	cairn_mark_release(mark, NULL);
}

Test(mark, release_leaves_no_file)
{
	struct cairn_mark_info info;

	cairn_mark_release(take("work.db", "/mnt"), NULL);
	cr_expect_not(exists("work.db-mount"));
	cr_expect_eq(cairn_mark_read("work.db", &info), -ENOENT);
}

Test(mark, second_holder_is_refused_with_pid_and_directory_of_the_first)
{
	struct cairn_mark *mark = take("work.db", "/mnt/first");
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	cr_expect_eq(try_take("work.db"), -EBUSY);
	cr_expect(strstr(err.text, "/mnt/first"), "%s", err.text);
	cr_expect(strstr(err.text, pid), "%s", err.text);
	cairn_mark_release(mark, NULL);
	cr_expect_eq(try_take("work.db"), 0);
}

Test(mark, holder_in_another_process_counts)
{
	pid_t holder = start_holder();

	cr_expect_eq(try_take("work.db"), -EBUSY);
	cr_expect(strstr(err.text, "/held"));
	kill_holder(holder);
}

Test(mark, killed_holder_blocks_nobody)
{
	_cleanup_(cairn_mark_info_done) struct cairn_mark_info info = { 0 };

	kill_holder(start_holder());
	info = read_mark();
	cr_expect_not(info.live);
	cr_expect_str_eq(info.directory, "/held");
	cr_expect_eq(try_take("work.db"), 0);
}

Test(mark, all_spellings_of_a_workspace_meet)
{
	struct cairn_mark *mark;

	cr_assert_eq(mkdir("dir", 0700), 0);
	cr_assert_eq(symlink("../work.db", "dir/link.db"), 0);
	mark = take("dir/link.db", "/mnt");
	cr_expect(exists("work.db-mount"));
	cr_expect_not(exists("dir/link.db-mount"));
	cr_expect_eq(try_take("./dir/../work.db"), -EBUSY);
	cairn_mark_release(mark, NULL);
}

Test(mark, reading_does_not_disturb_a_taker)
{
	int fd;

	write_file("work.db-mount", "");
	fd = open("work.db-mount", O_RDONLY | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	for (int i = 0; i < 100; i++) {
		_cleanup_(cairn_mark_info_done) struct cairn_mark_info info = read_mark();

		cr_expect_not(info.live);
	}
	cr_expect_eq(try_take("work.db"), 0);
	close(fd);
}

Test(mark, last_words_stay_until_the_next_holder)
{
	_cleanup_(cairn_mark_info_done) struct cairn_mark_info info = { 0 };
	struct cairn_mark *mark;

	cairn_mark_release(take("work.db", "/mnt"), "the disk is full");
	info = read_mark();
	cr_expect_not(info.live);
	cr_expect_eq(info.pid, getpid());
	cr_expect_str_eq(info.error, "the disk is full");

	mark = take("work.db", "/m");
	cairn_mark_info_done(&info);
	info = read_mark();
	cr_expect(info.live);
	cr_expect_null(info.error);
	cr_expect_str_eq(info.directory, "/m");
	cairn_mark_release(mark, NULL);
}

Test(mark, garbage_in_the_file_does_not_matter)
{
	static const char *const garbage[] = { "", "{", "[1, 2]", "{\"pid\": \"x\"}", "\xff\xfe" };

	for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
		_cleanup_(cairn_mark_info_done) struct cairn_mark_info info = { 0 };

		write_file("work.db-mount", garbage[i]);
		info = read_mark();
		cr_expect_not(info.live);
		cr_expect_eq(info.pid, 0);
		cr_expect_eq(try_take("work.db"), 0);
	}
}

/* A holder writes over the text of an old one and cuts off the rest after that. */
Test(mark, rest_of_an_older_text_does_not_matter)
{
	_cleanup_(cairn_mark_info_done) struct cairn_mark_info info = { 0 };

	write_file("work.db-mount", "{\"pid\": 12, \"directory\": \"/new\"}lder-directory\"}");
	info = read_mark();
	cr_expect_eq(info.pid, 12);
	cr_expect_str_eq(info.directory, "/new");
}

Test(mark, name_that_is_not_utf8_can_be_marked)
{
	struct cairn_mark *mark = take("work.db", "/mnt/\xff");

	cr_expect_eq(try_take("work.db"), -EBUSY);
	cr_expect(strstr(err.text, "/mnt/\xef\xbf\xbd"), "%s", err.text);
	cairn_mark_release(mark, NULL);
}

Test(mark, symbolic_link_in_its_place_is_not_followed)
{
	write_file("victim", "precious");
	cr_assert_eq(symlink("victim", "work.db-mount"), 0);
	cr_expect_lt(try_take("work.db"), 0);
	cr_expect(strstr(err.text, "work.db-mount"));
}

Test(mark, missing_workspace_is_enoent)
{
	struct cairn_mark_info info;

	cr_expect_eq(try_take("nothing.db"), -ENOENT);
	cr_expect_eq(cairn_mark_read("nothing.db", &info), -ENOENT);
	cr_expect_not(exists("nothing.db-mount"));
}

/* What an ordinary user makes of it: 0 as the exit status when `check` holds. */
static void as_nobody(int (*check)(void))
{
	int status;
	pid_t pid;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	pid = fork();
	if (pid == 0) {
		if (setregid(NOBODY, NOBODY) < 0 || setreuid(NOBODY, NOBODY) < 0)
			_exit(99);
		_exit(check());
	}
	waitpid(pid, &status, 0);
	cr_expect(WIFEXITED(status));
	cr_expect_eq(WEXITSTATUS(status), 0, "check number %d failed", WEXITSTATUS(status));
}

/* Others look at it before they make a checkpoint. */
Test(mark, tells_whether_its_holder_writes)
{
	struct cairn_mark *mark = take("work.db", "/mnt");
	struct cairn_mark_info info;

	cr_expect(cairn_probe_is_marked("work.db"));
	cairn_mark_release(mark, NULL);
	cr_expect_not(cairn_probe_is_marked("work.db"));
	cr_assert_eq(cairn_mark_take("work.db", "/mnt", true, &mark, &err), 0);
	cr_expect_not(cairn_probe_is_marked("work.db"));
	cr_assert_eq(cairn_mark_read("work.db", &info), 0);
	cr_expect(info.live);
	cairn_mark_info_done(&info);
	cr_expect_eq(try_take("work.db"), -EBUSY);
	cairn_mark_release(mark, NULL);
}

static int read_only_goes_without(void)
{
	struct cairn_mark *mark = NULL;

	if (cairn_mark_take("work.db", "/mnt", true, &mark, &err) != 0)
		return 1;
	return mark ? 2 : 0;
}

Test(mark, read_only_mount_goes_without_in_a_read_only_directory)
{
	cr_assert_eq(chmod(".", 0755), 0);
	as_nobody(read_only_goes_without);
	cr_expect_not(exists("work.db-mount"));
}

static int writable_is_refused(void)
{
	struct cairn_mark *mark = NULL;

	if (cairn_mark_take("work.db", "/mnt", false, &mark, &err) != -EACCES)
		return 1;
	return strstr(err.text, " ro") ? 0 : 2;
}

Test(mark, writable_mount_in_a_read_only_directory_is_refused_with_advice)
{
	cr_assert_eq(chmod(".", 0755), 0);
	as_nobody(writable_is_refused);
}

static int read_only_is_refused(void)
{
	struct cairn_mark *mark = NULL;

	return cairn_mark_take("work.db", "/mnt", true, &mark, &err) == -EBUSY ? 0 : 1;
}

Test(mark, read_only_mount_yields_to_a_holder_whose_file_it_cannot_write)
{
	struct cairn_mark *mark;

	cr_assert_eq(chmod(".", 0755), 0);
	mark = take("work.db", "/mnt");
	as_nobody(read_only_is_refused);
	cairn_mark_release(mark, NULL);
}

static int takes_over(void)
{
	struct cairn_mark *mark = NULL;
	struct stat st;

	if (cairn_mark_take("work.db", "/mnt", false, &mark, &err) != 0)
		return 1;
	if (stat("work.db-mount", &st) < 0 || st.st_uid != NOBODY)
		return 2;
	cairn_mark_release(mark, NULL);
	return exists("work.db-mount") ? 3 : 0;
}

Test(mark, leftover_of_another_user_is_replaced_where_the_directory_allows_it)
{
	kill_holder(start_holder());
	cr_assert_eq(chmod(".", 0777), 0);
	as_nobody(takes_over);
}

static int empties(void)
{
	struct cairn_mark *mark = NULL;
	struct stat st;

	if (cairn_mark_take("work.db", "/mnt", true, &mark, &err) != 0 || !mark)
		return 1;
	cairn_mark_release(mark, NULL);
	return stat("work.db-mount", &st) == 0 && st.st_size == 0 ? 0 : 2;
}

Test(mark, file_that_cannot_be_removed_is_emptied)
{
	write_file("work.db-mount", "{\"pid\": 1}");
	cr_assert_eq(chmod("work.db-mount", 0666), 0);
	cr_assert_eq(chmod(".", 0755), 0);
	as_nobody(empties);
}

enum { RIVALS = 4, ROUNDS = 1500 };

/* Takes and releases so many times; `inside` is there only while someone holds the mark. */
static int compete(void)
{
	struct cairn_mark *mark;

	for (int i = 0; i < ROUNDS; i++) {
		while (cairn_mark_take("work.db", "/mnt", false, &mark, NULL) < 0)
			sched_yield();
		if (mkdir("inside", 0700) < 0)
			return 1;
		if (rmdir("inside") < 0)
			return 2;
		cairn_mark_release(mark, NULL);
	}
	return 0;
}

Test(mark, private_mount_is_told_of_apart)
{
	struct cairn_mark *mark = take("work.db", NULL);
	struct cairn_mark_info info;

	cr_assert_eq(cairn_mark_set_private(mark, "/where it is", 4711), 0);
	cr_assert_eq(cairn_mark_read("work.db", &info), 0);
	cr_expect(info.live);
	cr_expect_null(info.directory);
	cr_expect_str_eq(info.private_directory, "/where it is");
	cr_expect_eq(info.private_pid, 4711);
	cairn_mark_info_done(&info);
	cairn_mark_release(mark, NULL);
	cr_expect_eq(cairn_mark_set_private(NULL, "/x", 1), 0);
}

Test(mark, never_two_holders_while_many_take_and_release)
{
	pid_t rival[RIVALS];

	for (int i = 0; i < RIVALS; i++) {
		rival[i] = fork();
		if (rival[i] == 0)
			_exit(compete());
	}
	for (int i = 0; i < RIVALS; i++) {
		int status;

		waitpid(rival[i], &status, 0);
		cr_expect(WIFEXITED(status));
		cr_expect_eq(WEXITSTATUS(status), 0, "two held the mark at once");
	}
	cr_expect_not(exists("work.db-mount"));
}
