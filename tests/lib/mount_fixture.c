#include "mount_fixture.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	DAEMON_GRACE_MS = 10000, /* what a daemon whose mount is gone gets to end by itself */
};

struct fixture fx = { .guard_pipe = -1 };

/* Ends the test as failed. Works in .init too, where an assertion would crash. */
__attribute__((format(printf, 1, 2), noreturn)) static void give_up(const char *format, ...)
{
	char message[4096];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	cr_expect(false, "%s", message);
	fflush(NULL);
	_exit(EXIT_FAILURE);
}

const char *fx_binary(void)
{
	const char *binary = getenv("CAIRNFS_BIN");

	if (!binary || !*binary)
		give_up("CAIRNFS_BIN does not name the cairnfs binary");
	return binary;
}

static const char *join(const char *dir, const char *name)
{
	static char ring[8][PATH_MAX];
	static unsigned next;
	char *path = ring[next++ % 8];

	if (snprintf(path, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
		give_up("path too long: %s/%s", dir, name);
	return path;
}

const char *fx_path(const char *name)
{
	return join(fx.mnt, name);
}

const char *fx_tmp_path(const char *name)
{
	return join(fx.tmp, name);
}

/* Processes. */

pid_t fx_fork(void)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		give_up("fork: %s", strerror(errno));
	if (pid == 0) {
		close(fx.guard_pipe);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(EXIT_FAILURE);
	}
	return pid;
}

pid_t fx_fork_as(uid_t uid, gid_t gid)
{
	pid_t pid = fx_fork();

	if (pid == 0 && (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
			 setresuid(uid, uid, uid) < 0))
		_exit(EXIT_FAILURE + 254);
	return pid;
}

int fx_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			give_up("waitpid: %s", strerror(errno));
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Output goes to files: a daemon that keeps them open cannot hold up the reader. */
static pid_t spawn_to(char *const argv[], const char *out, const char *err)
{
	pid_t pid = fx_fork();
	int in_fd, out_fd, err_fd;

	if (pid != 0)
		return pid;

	in_fd = open("/dev/null", O_RDONLY);
	out_fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	err_fd = open(err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (in_fd < 0 || out_fd < 0 || err_fd < 0)
		_exit(126);
	if (dup2(in_fd, 0) < 0 || dup2(out_fd, 1) < 0 || dup2(err_fd, 2) < 0)
		_exit(126);
	close_range(3, UINT_MAX, 0);
	execvp(argv[0], argv);
	_exit(127);
}

pid_t fx_spawn(char *const argv[])
{
	return spawn_to(argv, "/dev/null", "/dev/null");
}

static void slurp(const char *path, char *buf, size_t size)
{
	size_t n = 0;
	FILE *f = fopen(path, "re");

	if (f) {
		n = fread(buf, 1, size - 1, f);
		fclose(f);
	}
	buf[n] = '\0';
}

void fx_run(struct output *ret_output, char *const argv[])
{
	const char *out = fx_tmp_path(".stdout"), *err = fx_tmp_path(".stderr");

	ret_output->status = fx_wait(spawn_to(argv, out, err));
	slurp(out, ret_output->out, sizeof(ret_output->out));
	slurp(err, ret_output->err, sizeof(ret_output->err));
	unlink(out);
	unlink(err);
}

/* The daemon, as the file beside the workspace names it. */

static pid_t read_pid(const char *path)
{
	char json[4096], *at;

	slurp(path, json, sizeof(json));
	at = strstr(json, "\"pid\"");
	if (!at)
		return 0;
	at += strcspn(at, ":");
	return *at ? (pid_t)strtol(at + 1, NULL, 10) : 0;
}

pid_t fx_daemon_pid(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s-mount", fx.db);
	return read_pid(path);
}

/* True while `pid` still is a process of our binary: a number alone may have been reused. */
static bool runs_our_binary(pid_t pid)
{
	char link[64], exe[PATH_MAX], binary[PATH_MAX];
	const char *name = getenv("CAIRNFS_BIN");
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	n = readlink(link, exe, sizeof(exe) - 1);
	if (n < 0 || !name || !realpath(name, binary))
		return false;
	exe[n] = '\0';
	return strcmp(exe, binary) == 0;
}

/* A pidfd tells when the last thread is gone, and with it the descriptors and their locks. */
bool fx_daemon_ends(pid_t pid)
{
	struct pollfd poll_fd = { .events = POLLIN };
	bool ended;

	poll_fd.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (poll_fd.fd < 0)
		return errno == ESRCH;
	ended = poll(&poll_fd, 1, DAEMON_GRACE_MS) == 1;
	close(poll_fd.fd);
	return ended;
}

/* The newest mount at `dir`, or with `below` the newest anywhere in it. */
static bool find_mount(const char *dir, bool below, char ret_path[PATH_MAX])
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[PATH_MAX * 2], path[PATH_MAX];
	size_t len = strlen(dir);
	bool found = false;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %*s %*s %*s %4095s", path) != 1 ||
		    strncmp(path, dir, len) != 0)
			continue;
		if (path[len] != (below ? '/' : '\0'))
			continue;
		strcpy(ret_path, path);
		found = true;
	}
	if (f)
		fclose(f);
	return found;
}

bool fx_is_mounted(void)
{
	return find_mount(fx.mnt, false, (char[PATH_MAX]){ 0 });
}

static void wait_for_program(pid_t pid)
{
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void run_quietly(char *const argv[])
{
	pid_t pid = fork();

	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	wait_for_program(pid);
}

static void detach(const char *dir, bool below)
{
	char path[PATH_MAX];

	for (int tries = 0; tries < 8 && find_mount(dir, below, path); tries++) {
		if (geteuid() == 0)
			umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
		else
			run_quietly((char *const[]){ "fusermount3", "-uzq", path, NULL });
	}
}

void fx_detach(void)
{
	detach(fx.mnt, false);
}

static void remove_everything(void)
{
	run_quietly((char *const[]){ "rm", "-rf", "--one-file-system", "--", fx.tmp, NULL });
}

/* The guard: waits for the end of the test, however it comes, and clears up what is left. */

/* The daemons of every workspace in the temporary directory, as many as fit. */
static size_t find_daemons(pid_t *ret_pids, size_t max)
{
	glob_t paths = { 0 };
	size_t n = 0;

	glob(fx_tmp_path("*-mount"), 0, NULL, &paths);
	glob(fx_tmp_path(".agentfs/*-mount"), GLOB_APPEND, NULL, &paths);
	for (size_t i = 0; i < paths.gl_pathc && n < max; i++) {
		pid_t pid = read_pid(paths.gl_pathv[i]);

		if (pid > 1 && runs_our_binary(pid))
			ret_pids[n++] = pid;
	}
	globfree(&paths);
	return n;
}

__attribute__((noreturn)) static void guard_main(int pipe_fd)
{
	pid_t daemons[8];
	size_t n_daemons;
	char byte;

	setsid();
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	dup2(pipe_fd, 3);
	close_range(4, UINT_MAX, 0);
	for (int fd = 0; fd < 3; fd++) {
		close(fd);
		open("/dev/null", O_RDWR);
	}
	if (chdir("/") < 0)
		_exit(EXIT_FAILURE);

	while (read(3, &byte, 1) < 0 && errno == EINTR)
		;

	n_daemons = find_daemons(daemons, sizeof(daemons) / sizeof(*daemons));
	detach(fx.tmp, true);
	for (size_t i = 0; i < n_daemons; i++) {
		if (!fx_daemon_ends(daemons[i]))
			kill(daemons[i], SIGKILL);
	}
	remove_everything();
	_exit(EXIT_SUCCESS);
}

static void start_guard(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		give_up("pipe: %s", strerror(errno));
	fx.guard = fork();
	if (fx.guard < 0)
		give_up("fork: %s", strerror(errno));
	if (fx.guard == 0) {
		close(ends[1]);
		guard_main(ends[0]);
	}
	close(ends[0]);
	fx.guard_pipe = ends[1];
}

static void end_guard(void)
{
	close(fx.guard_pipe);
	fx.guard_pipe = -1;
	wait_for_program(fx.guard);
}

/* Set-up and tear-down. */

static void make_directories(void)
{
	const char *tmpdir = getenv("TMPDIR"), *dir;
	char template[sizeof(fx.tmp)];

	snprintf(template, sizeof(template), "%s/cairnfs-test-XXXXXX",
		 tmpdir && *tmpdir ? tmpdir : "/tmp");
	dir = mkdtemp(template);
	if (!dir || !realpath(dir, fx.tmp))
		give_up("%s: %s", template, strerror(errno));
	snprintf(fx.db, sizeof(fx.db), "%s/.agentfs/work.db", fx.tmp);
	snprintf(fx.mnt, sizeof(fx.mnt), "%s/mnt", fx.tmp);
	start_guard();
	/* Other users reach the mount through here. */
	if (chmod(fx.tmp, 0755) < 0 || mkdir(fx.mnt, 0755) < 0 ||
	    mkdir(fx_tmp_path(".agentfs"), 0755) < 0 || chdir(fx.tmp) < 0)
		give_up("%s: %s", fx.tmp, strerror(errno));
}

void fx_prepare_empty(void)
{
	const char *plain = getenv("CAIRNFS_TEST_PLAIN");

	fx.plain = plain && *plain;
	umask(022);
	make_directories();
}

void fx_prepare(void)
{
	struct output o;

	fx_prepare_empty();
	if (fx.plain)
		return;
	fx_cairnfs(&o, "init", fx.db);
	if (o.status != 0)
		give_up("cairnfs init: status %d: %s", o.status, o.err);
}

static void compose_options(const char *options)
{
	const char *extra = getenv("CAIRNFS_TEST_OPTS");
	bool both = options && *options && extra && *extra;

	snprintf(fx.options, sizeof(fx.options), "%s%s%s", options ? options : "", both ? "," : "",
		 extra ? extra : "");
}

static void mount_again(void)
{
	struct output o;

	if (!fx.plain) {
		if (fx.options[0])
			fx_cairnfs(&o, "mount", fx.db, fx.mnt, "-o", fx.options);
		else
			fx_cairnfs(&o, "mount", fx.db, fx.mnt);
		if (o.status != 0)
			give_up("cairnfs mount: status %d: %s", o.status, o.err);
		if (!fx_is_mounted())
			give_up("cairnfs mount returned 0, but %s is not a mount: %s", fx.mnt,
				o.err);
	}
	if (chdir(fx.mnt) < 0)
		give_up("%s: %s", fx.mnt, strerror(errno));
}

void fx_mount(const char *options)
{
	compose_options(options);
	mount_again();
}

static bool unmounts(struct output *ret_output)
{
	if (chdir(fx.tmp) < 0)
		give_up("%s: %s", fx.tmp, strerror(errno));
	ret_output->status = 0;
	ret_output->err[0] = '\0';
	if (!fx.plain)
		fx_cairnfs(ret_output, "umount", fx.mnt);
	return ret_output->status == 0;
}

void fx_umount(void)
{
	struct output o;

	if (!unmounts(&o))
		give_up("cairnfs umount: status %d: %s", o.status, o.err);
}

void fx_remount(void)
{
	fx_umount();
	mount_again();
}

void fx_kill9_remount(void)
{
	pid_t daemon = fx_daemon_pid();

	if (fx.plain)
		return;
	if (daemon <= 1 || !runs_our_binary(daemon))
		give_up("no daemon to kill: pid %d", daemon);
	if (kill(daemon, SIGKILL) < 0 || chdir(fx.tmp) < 0)
		give_up("kill %d: %s", daemon, strerror(errno));
	if (!fx_daemon_ends(daemon))
		give_up("daemon %d survives SIGKILL", daemon);
	fx_detach();
	mount_again();
}

void fx_setup_opts(const char *options)
{
	fx_prepare();
	fx_mount(options);
}

void fx_setup(void)
{
	fx_setup_opts(NULL);
}

void fx_teardown(void)
{
	struct output o;

	if (!fx.tmp[0])
		return;
	if (fx_is_mounted() && !unmounts(&o))
		cr_expect(false, "cairnfs umount: status %d: %s", o.status, o.err);
	if (chdir("/") == 0)
		end_guard();
}

/* Criterion prints what fails in a .fini, and passes the test: it has counted it before. */
ReportHook(POST_ALL)(struct criterion_global_stats *all)
{
	for (struct criterion_suite_stats *suite = all->suites; suite; suite = suite->next) {
		for (struct criterion_test_stats *test = suite->tests; test; test = test->next) {
			if (test->failed_asserts == 0 || test->test_status != CR_STATUS_PASSED)
				continue;
			test->test_status = CR_STATUS_FAILED;
			suite->tests_passed--;
			suite->tests_failed++;
			all->tests_passed--;
			all->tests_failed++;
		}
	}
}

void fx_need_root(void)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
}

void fx_need_cairnfs(void)
{
	const char *plain = getenv("CAIRNFS_TEST_PLAIN");

	if (plain && *plain)
		cr_skip_test("a plain directory does not have this");
}
