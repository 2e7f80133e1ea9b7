/* cairnfs exec: a command in a workspace that is mounted for nobody else. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "fsutil.h"

#define NOBODY 65534 /* who has a name, which fusermount3 wants to know */

/* A shell that starts something in the background has it ignore some signals, and what is ignored
 * from the start a shell cannot trap. */
static void mind_signals(void)
{
	static const int signals[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2 };

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		signal(signals[i], SIG_DFL);
}

static void setup(void)
{
	struct output out;

	fx_need_cairnfs();
	fx_prepare();
	mind_signals();
	/* Where the directories of our own are made, so that what is left of them is found. */
	must(mkdir(fx_tmp_path("tmp"), 0700));
	must(setenv("TMPDIR", fx_tmp_path("tmp"), 1));
	fx_cairnfs(&out, "exec", fx.db, "--", "true");
	if (out.status != 0 && geteuid() != 0)
		cr_skip_test("no namespaces here: %s", out.err);
	if (strstr(out.err, "can see the mount"))
		cr_skip_test("no namespaces here: %s", out.err);
}

static void setup_for_root(void)
{
	fx_need_root();
	setup();
}

TestSuite(exec, .init = setup, .fini = fx_teardown, .timeout = 60);
TestSuite(exec_root, .init = setup_for_root, .fini = fx_teardown, .timeout = 60);

/* Runs a shell script in the workspace. */
static void run_script(struct output *out, const char *script)
{
	fx_cairnfs(out, "exec", fx.db, "--", "sh", "-c", (char *)script);
}

static void script_succeeds(const char *script)
{
	struct output out;

	run_script(&out, script);
	cr_assert_eq(out.status, 0, "%d: %s%s", out.status, out.out, out.err);
	cr_assert_str_empty(out.err);
}

static pid_t spawn_script(const char *script)
{
	return fx_spawn((char *const[]){ (char *)fx_binary(), "exec", fx.db, "--", "sh", "-c",
					 (char *)script, NULL });
}

static pid_t pid_in(const char *path)
{
	int pid = 0;
	FILE *file = fopen(path, "re");

	cr_assert(file && fscanf(file, "%d", &pid) == 1 && pid > 1);
	fclose(file);
	return pid;
}

static void wait_for(const char *path)
{
	const struct timespec pause = { .tv_nsec = 10000000 };

	while (!exists(path))
		nanosleep(&pause, NULL);
}

static void assert_one_line(const char *text)
{
	const char *newline = strchr(text, '\n');

	cr_assert(newline && newline != text && newline[1] == '\0', "not one line: \"%s\"", text);
}

/* Nothing runs, is mounted or lies around any more. */
static void assert_nothing_left(void)
{
	char path[PATH_MAX];

	cr_assert_eq(fx_daemon_pid(), 0, "somebody still serves the workspace");
	cr_assert_eq(count_entries(fx_tmp_path("tmp")), 0, "a directory is left");
	snprintf(path, sizeof(path), "%s-wal", fx.db);
	cr_assert(!exists(path) || size_of(path) == 0);
}

Test(exec, command_works_in_the_workspace_and_what_it_made_is_there_afterwards)
{
	script_succeeds("mkdir d && echo text > d/file && ln -s d/file link && mv d/file d/moved");
	assert_nothing_left();
	script_succeeds("test \"$(cat d/moved)\" = text && test -L link && test ! -e d/file");
	fx_mount(NULL);
	cr_assert(holds_text("d/moved", "text\n"));
}

Test(exec, command_starts_in_the_root_of_the_workspace)
{
	struct output out;

	script_succeeds("touch here");
	run_script(&out, "pwd; echo \"$PWD\"; ls");
	cr_assert_eq(strncmp(out.out, fx_tmp_path("tmp/cairnfs-"), strlen(fx_tmp_path("tmp/"))), 0,
		     "%s", out.out);
	cr_assert_not_null(strstr(out.out, "\nhere\n"));
}

Test(exec, exit_status_is_the_commands)
{
	struct output out;

	run_script(&out, "exit 0");
	cr_assert_eq(out.status, 0);
	run_script(&out, "exit 1");
	cr_assert_eq(out.status, 1);
	run_script(&out, "exit 77");
	cr_assert_eq(out.status, 77);
	run_script(&out, "kill -TERM $$");
	cr_assert_eq(out.status, 128 + SIGTERM);
	run_script(&out, "kill -KILL $$");
	cr_assert_eq(out.status, 128 + SIGKILL);
	assert_nothing_left();
}

Test(exec, command_that_is_not_there_is_127_and_one_that_does_not_run_126)
{
	struct output out;

	/* A directory of it that may not be searched makes it another error. */
	must(setenv("PATH", "/usr/bin:/bin", 1));
	fx_cairnfs(&out, "exec", fx.db, "--", "no-such-command", "argument");
	cr_assert_eq(out.status, 127);
	assert_one_line(out.err);
	cr_assert_not_null(strstr(out.err, "no-such-command"));
	script_succeeds("echo text > file");
	fx_cairnfs(&out, "exec", fx.db, "--", "./file");
	cr_assert_eq(out.status, 126);
	assert_one_line(out.err);
	assert_nothing_left();
}

Test(exec, arguments_input_and_output_are_the_commands_own)
{
	struct output out;

	fx_cairnfs(&out, "exec", fx.db, "printf", "<%s>", "--dir", "-o", "", "a b", "--");
	cr_assert_eq(out.status, 0);
	cr_assert_str_eq(out.out, "<--dir><-o><><a b><-->");
	cr_assert_str_empty(out.err);
	run_script(&out, "cat; echo out; echo err >&2");
	cr_assert_str_eq(out.out, "out\n");
	cr_assert_str_eq(out.err, "err\n");
}

Test(exec, command_inherits_nothing_else)
{
	struct output out;

	/* The fourth is the directory that ls(1) reads. */
	run_script(&out, "ls /proc/self/fd; grep SigBlk /proc/self/status");
	cr_assert_str_eq(out.out, "0\n1\n2\n3\nSigBlk:\t0000000000000000\n");
}

Test(exec, what_cannot_be_run_is_125_and_one_line)
{
	struct output out;

	fx_cairnfs(&out, "exec", fx.db);
	cr_assert_eq(out.status, 125);
	assert_one_line(out.err);
	fx_cairnfs(&out, "exec", (char *)fx_tmp_path("none.db"), "--", "true");
	cr_assert_eq(out.status, 125);
	assert_one_line(out.err);
	cr_assert_not_null(strstr(out.err, "none.db"));
	fx_cairnfs(&out, "exec", "--dir", (char *)fx_tmp_path("none"), fx.db, "--", "true");
	cr_assert_eq(out.status, 125);
	assert_one_line(out.err);
	fx_cairnfs(&out, "exec", "--dir", fx.db, fx.db, "--", "true");
	cr_assert_eq(out.status, 125);
	assert_one_line(out.err);
	fx_cairnfs(&out, "exec", "-o", "nonsense", fx.db, "--", "true");
	cr_assert_eq(out.status, 125);
	assert_one_line(out.err);
	fx_cairnfs(&out, "exec", "-o", "allow_root", fx.db, "--", "true");
	cr_assert_eq(out.status, 125);
	assert_one_line(out.err);
	must(put_text(fx_tmp_path("text"), "no database"));
	fx_cairnfs(&out, "exec", (char *)fx_tmp_path("text"), "--", "true");
	cr_assert_eq(out.status, 125);
	assert_one_line(out.err);
	assert_nothing_left();
}

/* As systemd has it: what is mounted in one namespace is mounted in those that were made of it. */
static void share_mounts(void)
{
	if (geteuid() != 0)
		return;
	must(unshare(CLONE_NEWNS));
	must(mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL));
	must(mount("none", "/", NULL, MS_REC | MS_SHARED, NULL));
}

Test(exec, mount_is_seen_by_the_command_alone)
{
	char script[PATH_MAX], line[PATH_MAX];
	FILE *mounts;
	pid_t pid;

	share_mounts();
	snprintf(script, sizeof(script),
		 "touch file; pwd > %s; mkdir %s; while test -e %s; do "
		 "sleep 0.05; done",
		 fx_tmp_path("where"), fx_tmp_path("ready"), fx_tmp_path("ready"));
	pid = spawn_script(script);
	wait_for(fx_tmp_path("ready"));
	mounts = fopen("/proc/self/mountinfo", "re");
	while (fgets(line, sizeof(line), mounts))
		cr_expect_null(strstr(line, fx.tmp), "%s", line);
	fclose(mounts);
	cr_expect_eq(count_entries(fx_tmp_path("tmp")), 1);
	cr_expect_not(exists(fx_tmp_path("tmp/file")));
	must(rmdir(fx_tmp_path("ready")));
	cr_assert_eq(fx_wait(pid), 0);
	assert_nothing_left();
}

Test(exec, workspace_in_use_is_refused_in_one_line)
{
	char script[PATH_MAX], pid_text[32];
	struct output out;
	pid_t pid;

	snprintf(script, sizeof(script), "mkdir %s; while test -e %s; do sleep 0.05; done",
		 fx_tmp_path("ready"), fx_tmp_path("ready"));
	pid = spawn_script(script);
	wait_for(fx_tmp_path("ready"));
	snprintf(pid_text, sizeof(pid_text), "process %d", fx_daemon_pid());
	run_script(&out, "true");
	cr_expect_eq(out.status, 125);
	assert_one_line(out.err);
	cr_expect_not_null(strstr(out.err, pid_text), "%s", out.err);
	must(mkdir(fx_tmp_path("elsewhere"), 0755));
	fx_cairnfs(&out, "mount", fx.db, (char *)fx_tmp_path("elsewhere"));
	cr_expect_eq(out.status, 1);
	assert_one_line(out.err);
	cr_expect_not_null(strstr(out.err, pid_text), "%s", out.err);
	fx_cairnfs(&out, "info", fx.db);
	cr_expect_not_null(strstr(out.out, "in use      by process"), "%s", out.out);
	must(rmdir(fx_tmp_path("ready")));
	cr_assert_eq(fx_wait(pid), 0);
	fx_mount(NULL);
	run_script(&out, "true");
	cr_expect_eq(out.status, 125);
	assert_one_line(out.err);
	cr_expect_not_null(strstr(out.err, fx.mnt), "%s", out.err);
}

/* The command sees the workspace in the place of the directory that holds it. */
Test(exec, dir_is_covered_for_the_command_alone)
{
	struct output out;

	script_succeeds("mkdir sub; echo inside > file");
	must(put_text(fx_tmp_path("file"), "outside"));
	must(mkdir(fx_tmp_path("sub"), 0755));
	must(mkdir(fx_tmp_path("only-here"), 0755));
	fx_cairnfs(&out, "exec", "--dir", fx.tmp, fx.db, "--", "sh", "-c",
		   "pwd; cat file; echo more >> file; ls");
	cr_assert_eq(out.status, 0, "%s", out.err);
	cr_assert_eq(strncmp(out.out, fx.tmp, strlen(fx.tmp)), 0, "%s", out.out);
	cr_assert_not_null(strstr(out.out, "\ninside\nfile\nsub\n"), "%s", out.out);
	cr_assert(holds_text(fx_tmp_path("file"), "outside"));
	script_succeeds("test \"$(cat file)\" = 'inside\nmore'");
}

Test(exec, command_stays_in_the_directory_of_the_same_name)
{
	struct output out;

	script_succeeds("mkdir -p sub/deeper");
	must(mkdir(fx_tmp_path("sub"), 0755));
	must(mkdir(fx_tmp_path("sub/deeper"), 0755));
	must(mkdir(fx_tmp_path("only-here"), 0755));
	must(chdir(fx_tmp_path("sub/deeper")));
	fx_cairnfs(&out, "exec", "--dir", fx.tmp, fx.db, "--", "pwd");
	cr_assert_not_null(strstr(out.out, "/sub/deeper\n"), "%s%s", out.out, out.err);
	must(chdir(fx_tmp_path("only-here")));
	fx_cairnfs(&out, "exec", "--dir", fx.tmp, fx.db, "--", "pwd");
	cr_assert_eq(strlen(out.out), strlen(fx.tmp) + 1, "%s%s", out.out, out.err);
	must(chdir(fx.tmp));
}

Test(exec, caller_stays_who_he_is)
{
	char expected[256];
	struct output out;

	snprintf(expected, sizeof(expected), "%u %u\n%u %u\n", geteuid(), getegid(), geteuid(),
		 getegid());
	run_script(&out, "echo $(id -u) $(id -g); touch new; stat -c '%u %g' new");
	cr_assert_str_eq(out.out, expected);
	/* Nothing more is allowed than outside. */
	if (geteuid() != 0) {
		run_script(&out, "grep CapEff /proc/self/status");
		cr_assert_not_null(strstr(out.out, "0000000000000000"), "%s", out.out);
		run_script(&out, "cat /etc/shadow");
		cr_assert_neq(out.status, 0);
	}
}

/* A command outside has the mount commit first, which it reaches as the command inside sees it. */
Test(exec, workspace_is_read_from_outside_with_all_that_was_written)
{
	char script[PATH_MAX];
	struct output out;
	pid_t pid;

	snprintf(script, sizeof(script),
		 "echo text > file; mkdir %s; while test -e %s; do sleep 0.05; done",
		 fx_tmp_path("ready"), fx_tmp_path("ready"));
	pid = fx_spawn((char *const[]){ (char *)fx_binary(), "exec", "-o",
					"commit_interval_ms=600000", fx.db, "--", "sh", "-c",
					script, NULL });
	wait_for(fx_tmp_path("ready"));
	fx_cairnfs(&out, "snapshot", fx.db, (char *)fx_tmp_path("copy.db"));
	cr_expect_eq(out.status, 0, "%s", out.err);
	must(rmdir(fx_tmp_path("ready")));
	cr_assert_eq(fx_wait(pid), 0);
	fx_cairnfs(&out, "exec", (char *)fx_tmp_path("copy.db"), "--", "cat", "file");
	cr_expect_str_eq(out.out, "text\n", "%s", out.err);
}

/* Over a base. */

static void make_base_dir(void)
{
	must(mkdir(fx_tmp_path("base"), 0755));
	must(put_text(fx_tmp_path("base/file"), "of the base"));
	must(mkdir(fx_tmp_path("base/dir"), 0755));
	must(put_text(fx_tmp_path("base/dir/deep"), "of the base"));
}

Test(exec, branch_is_made_where_there_is_none_and_used_where_there_is)
{
	char *agent = strdup(fx_tmp_path("agent.db")), *base = strdup(fx_tmp_path("base"));
	struct output out;

	make_base_dir();
	fx_cairnfs(&out, "exec", "--base", base, agent, "--", "sh", "-c",
		   "cat file && echo changed > file && rm -r dir && echo new > new");
	cr_assert_eq(out.status, 0, "%s", out.err);
	cr_assert_str_eq(out.out, "of the base");
	cr_assert(holds_text(fx_tmp_path("base/file"), "of the base"));
	cr_assert(exists(fx_tmp_path("base/dir/deep")));
	cr_assert_not(exists(fx_tmp_path("base/new")));
	fx_cairnfs(&out, "exec", "--base", base, agent, "--", "sh", "-c", "cat file new; ls");
	cr_assert_str_eq(out.out, "changed\nnew\nfile\nnew\n", "%s", out.err);
	fx_cairnfs(&out, "exec", agent, "--", "cat", "file");
	cr_assert_str_eq(out.out, "changed\n", "%s", out.err);
	assert_nothing_left();
}

Test(exec, branch_of_a_workspace_leaves_it_alone)
{
	char *agent = strdup(fx_tmp_path("agent.db"));
	struct output out;

	script_succeeds("echo stable > file; mkdir d; echo stable > d/file");
	fx_cairnfs(&out, "exec", "--base", fx.db, agent, "--", "sh", "-c",
		   "cat file d/file; echo agent > file; mv d moved");
	cr_assert_str_eq(out.out, "stable\nstable\n", "%s", out.err);
	script_succeeds("test \"$(cat file)\" = stable && test -f d/file && test ! -e moved");
	/* Also where the mount covers it. */
	fx_cairnfs(&out, "exec", "--dir", fx.tmp, agent, "--", "cat", "file", "moved/file");
	cr_assert_str_eq(out.out, "agent\nstable\n", "%s", out.err);
}

/* In the place of the directory that is the base and holds the workspace, as one would work with a
 * project: what lies under the mount is read all the same. */
Test(exec, branch_takes_the_place_of_its_own_base)
{
	char *base = strdup(fx_tmp_path("base"));
	struct output out;

	make_base_dir();
	must(chdir(base));
	fx_cairnfs(&out, "exec", "--base", ".", "--dir", ".", "agent", "--", "sh", "-c",
		   "pwd && cat file dir/deep && echo changed > file && ls -A && "
		   "find . -type f -exec cat {} + > /dev/null");
	must(chdir(fx.tmp));
	cr_assert_eq(out.status, 0, "%s", out.err);
	cr_assert_eq(strncmp(out.out, base, strlen(base)), 0, "%s", out.out);
	cr_assert_not_null(strstr(out.out, "of the baseof the base.agentfs\ndir\nfile\n"), "%s",
			   out.out);
	cr_assert(holds_text(fx_tmp_path("base/file"), "of the base"));
	cr_assert(exists(fx_tmp_path("base/.agentfs/agent.db")));
	fx_cairnfs(&out, "exec", (char *)fx_tmp_path("base/.agentfs/agent.db"), "--", "cat",
		   "file");
	cr_assert_str_eq(out.out, "changed\n", "%s", out.err);
}

Test(exec, another_base_than_the_branchs_is_refused)
{
	char *agent = strdup(fx_tmp_path("agent.db")), *base = strdup(fx_tmp_path("base"));
	struct output out;

	make_base_dir();
	fx_cairnfs(&out, "exec", "--base", (char *)fx_tmp_path("none"), agent, "--", "true");
	cr_expect_eq(out.status, 125);
	assert_one_line(out.err);
	cr_expect_not(exists(agent));
	fx_cairnfs(&out, "exec", "--base", base, fx.db, "--", "true");
	cr_expect_eq(out.status, 125);
	assert_one_line(out.err);
	cr_expect_not_null(strstr(out.err, "no base"), "%s", out.err);
	fx_cairnfs(&out, "exec", "--base", base, agent, "--", "true");
	cr_expect_eq(out.status, 0, "%s", out.err);
	fx_cairnfs(&out, "exec", "--base", fx.db, agent, "--", "true");
	cr_expect_eq(out.status, 125);
	assert_one_line(out.err);
	cr_expect_not_null(strstr(out.err, base), "%s", out.err);
}

Test(exec, mount_options_are_those_of_the_mount)
{
	struct output out;

	script_succeeds("printf '#!/bin/sh\\necho ran\\n' > file; chmod 755 file");
	fx_cairnfs(&out, "exec", "-o", "ro", fx.db, "--", "touch", "new");
	cr_assert_eq(out.status, 1);
	cr_assert_not_null(strstr(out.err, "Read-only"), "%s", out.err);
	fx_cairnfs(&out, "exec", fx.db, "--", "./file");
	cr_assert_str_eq(out.out, "ran\n");
	fx_cairnfs(&out, "exec", "-o", "noexec", fx.db, "--", "./file");
	cr_assert_eq(out.status, 126);
	fx_cairnfs(&out, "exec", "-o", "fsname=a\\,name,durability=commit", fx.db, "--", "sh", "-c",
		   "grep a,name /proc/self/mountinfo");
	cr_assert_eq(out.status, 0);
	cr_assert_not_null(strstr(out.out, "nosuid,nodev,noatime"), "%s", out.out);
	cr_assert_not_null(strstr(out.out, "default_permissions"), "%s", out.out);
}

Test(exec, signals_reach_the_command)
{
	static const int signals[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2 };
	char script[PATH_MAX];
	pid_t pid;

	snprintf(script, sizeof(script),
		 "for s in TERM HUP INT QUIT USR1 USR2; do trap \"echo $s >> got\" $s; done; "
		 "mkdir %s; n=0; while test \"$(wc -l < got 2>/dev/null || echo 0)\" -lt 6; do "
		 "sleep 0.02; done; exit 5",
		 fx_tmp_path("ready"));
	pid = spawn_script(script);
	wait_for(fx_tmp_path("ready"));
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		must(kill(pid, signals[i]));
	cr_assert_eq(fx_wait(pid), 5);
	script_succeeds("test \"$(sort got | uniq | wc -l)\" = 6");
}

Test(exec, signal_that_ends_the_command_is_its_exit_status)
{
	char script[PATH_MAX];
	pid_t pid;

	snprintf(script, sizeof(script), "echo text > file; mkdir %s; exec sleep 60",
		 fx_tmp_path("ready"));
	pid = spawn_script(script);
	wait_for(fx_tmp_path("ready"));
	must(kill(pid, SIGTERM));
	cr_assert_eq(fx_wait(pid), 128 + SIGTERM);
	assert_nothing_left();
	script_succeeds("test \"$(cat file)\" = text");
}

static void read_until(int fd, const char *text)
{
	char seen[4096] = "";
	size_t n = 0;
	ssize_t got;

	while (!strstr(seen, text) && (got = read(fd, seen + n, sizeof(seen) - 1 - n)) > 0) {
		n += (size_t)got;
		seen[n] = '\0';
	}
}

/* Types ^C once the script is ready; the exit status. */
static int interrupt_by_terminal(char *const argv[])
{
	int terminal, status = -1;
	pid_t pid;

	pid = forkpty(&terminal, NULL, NULL, NULL);
	if (pid == 0) {
		execv(fx_binary(), argv);
		_exit(127);
	}
	cr_assert_gt(pid, 0);
	read_until(terminal, "ready");
	cr_assert_eq(write(terminal, "\003", 1), 1);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	close(terminal);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The terminal sends it to both. A command that has left the terminal behind does not want it from
 * there, and any other must not get it twice. */
Test(exec, interrupt_from_the_terminal_is_not_passed_on)
{
	char script[] = "trap 'exit 6' INT; echo ready; sleep 0.5; sleep 0.5; exit 5";
	char *binary = (char *)fx_binary();

	cr_expect_eq(interrupt_by_terminal((char *const[]){ binary, "exec", fx.db, "--", "sh", "-c",
							    script, NULL }),
		     6);
	cr_expect_eq(interrupt_by_terminal((char *const[]){ binary, "exec", fx.db, "--", "setsid",
							    "sh", "-c", script, NULL }),
		     5);
}

/* kill -9 leaves nobody to clean up, and this command does not mind being told to end. What was
 * done is written all the same. */
Test(exec, killed_exec_takes_its_daemon_along)
{
	char script[PATH_MAX];
	pid_t pid, daemon;

	snprintf(script, sizeof(script),
		 "trap '' TERM; echo text > file; echo $$ > %s; mkdir %s; exec sleep 60",
		 fx_tmp_path("pid"), fx_tmp_path("ready"));
	pid = spawn_script(script);
	wait_for(fx_tmp_path("ready"));
	daemon = fx_daemon_pid();
	cr_assert_gt(daemon, 0);
	must(kill(pid, SIGKILL));
	cr_assert_eq(fx_wait(pid), 128 + SIGKILL);
	cr_assert(fx_daemon_ends(daemon));
	assert_nothing_left();
	script_succeeds("test \"$(cat file)\" = text");
	must(kill(pid_in(fx_tmp_path("pid")), SIGKILL));
}

/* Told to end, the command ends. */
Test(exec, killed_exec_takes_its_command_along)
{
	char script[PATH_MAX];
	pid_t pid, command;

	snprintf(script, sizeof(script), "echo $$ > %s; mkdir %s; exec sleep 60",
		 fx_tmp_path("pid"), fx_tmp_path("ready"));
	pid = spawn_script(script);
	wait_for(fx_tmp_path("ready"));
	command = pid_in(fx_tmp_path("pid"));
	must(kill(pid, SIGKILL));
	cr_assert_eq(fx_wait(pid), 128 + SIGKILL);
	cr_assert(fx_daemon_ends(command));
}

/* Not even what the kernel has only gathered so far: it hands a file over at each close of it, and
 * nobody has closed this one. */
Test(exec, what_the_command_leaves_running_keeps_nothing_from_being_written)
{
	struct output out;
	char script[PATH_MAX];
	pid_t left;

	snprintf(script, sizeof(script),
		 "trap ready=1 USR1; echo text > file; "
		 "sh -c 'exec >open; echo more; kill -USR1 '$$'; exec sleep 60' 2>%s & "
		 "echo $!; while test -z \"$ready\"; do sleep 0.02; done",
		 fx_tmp_path("err"));
	fx_cairnfs(&out, "exec", "-o", "writeback_cache", fx.db, "--", "sh", "-c", script);
	left = (pid_t)strtol(out.out, NULL, 10);
	cr_assert_eq(out.status, 0);
	assert_one_line(out.err);
	cr_assert_not_null(strstr(out.err, fx.db));
	assert_nothing_left();
	script_succeeds("test \"$(cat file)\" = text && test \"$(cat open)\" = more");
	must(kill(left, SIGKILL));
}

Test(exec, daemon_that_was_killed_is_told_of)
{
	char script[PATH_MAX];
	struct output out;
	pid_t pid;

	snprintf(script, sizeof(script),
		 "echo text > file; kill -9 $(sed -n 's/.*\"pid\": "
		 "\\([0-9]*\\),/\\1/p' %s-mount); sleep 0.1; cat file",
		 fx.db);
	run_script(&out, script);
	cr_assert_eq(out.status, 1);
	cr_assert_not_null(strstr(out.err, "everything is written"), "%s", out.err);
	snprintf(script, sizeof(script),
		 "kill -9 $(sed -n 's/.*\"pid\": \\([0-9]*\\),/\\1/p' "
		 "%s-mount); sleep 0.1; exit 0",
		 fx.db);
	run_script(&out, script);
	cr_assert_eq(out.status, 125, "%s", out.err);
	pid = fx_daemon_pid();
	cr_assert(pid == 0 || fx_daemon_ends(pid));
}

Test(exec, many_at_once_each_in_its_own)
{
	pid_t pids[6];
	struct output out;
	char db[PATH_MAX], script[256];

	for (size_t i = 0; i < 6; i++) {
		snprintf(db, sizeof(db), "%s%zu", fx_tmp_path("many"), i);
		fx_cairnfs(&out, "init", db);
		cr_assert_eq(out.status, 0, "%s", out.err);
		snprintf(script, sizeof(script),
			 "for i in 1 2 3; do echo %zu > f$i; done; "
			 "test \"$(cat f*)\" = '%zu\n%zu\n%zu' && exit 1%zu",
			 i, i, i, i, i);
		pids[i] = fx_spawn((char *const[]){ (char *)fx_binary(), "exec", db, "--", "sh",
						    "-c", script, NULL });
	}
	for (size_t i = 0; i < 6; i++)
		cr_expect_eq(fx_wait(pids[i]), 10 + (int)i);
	assert_nothing_left();
}

/* The daemon does not see the mount. Told to end while somebody uses that, it must not take the
 * other one for it. */
Test(exec_root, mount_that_was_on_the_directory_stays)
{
	struct output out;

	share_mounts();
	must(mkdir(fx_tmp_path("dir"), 0755));
	must(mount("tmpfs", fx_tmp_path("dir"), "tmpfs", 0, NULL));
	must(put_text(fx_tmp_path("dir/file"), "on tmpfs"));
	fx_cairnfs(&out, "exec", "--dir", (char *)fx_tmp_path("dir"), fx.db, "--", "sh", "-c",
		   "test ! -e file && echo text > file && sleep 60 >/dev/null 2>&1 & echo $!; "
		   "while ! test -e file; do sleep 0.02; done");
	cr_expect_eq(out.status, 0, "%s", out.err);
	must(kill((pid_t)strtol(out.out, NULL, 10), SIGKILL));
	cr_expect(holds_text(fx_tmp_path("dir/file"), "on tmpfs"));
	must(umount2(fx_tmp_path("dir"), MNT_DETACH));
	script_succeeds("test \"$(cat file)\" = text");
}

/* As another user, in the workspace, with a file of Bob's and one of a group that a user namespace
 * does not know: both are his, because nobody else is there. */
Test(exec_root, files_of_others_are_the_users_in_a_user_namespace)
{
	struct output out;
	pid_t pid;

	fx_mount(NULL);
	must(put_text("bobs", "b"));
	must(chown("bobs", BOB, BOB));
	must(put_text("groups", "g"));
	must(chown("groups", ALICE, BOB));
	fx_umount();
	must(chmod(fx.tmp, 0777));
	must(chmod(fx_tmp_path(".agentfs"), 0777));
	must(chmod(fx_tmp_path("tmp"), 0777));
	must(chown(fx.db, ALICE, ALICE));
	pid = fx_fork_as(ALICE, ALICE);
	if (pid == 0) {
		execl(fx_binary(), "cairnfs", "exec", fx.db, "--", "sh", "-c",
		      "test \"$(stat -c %u:%g bobs groups | uniq)\" = 12001:12001 && "
		      "echo more >> bobs && echo more >> groups && touch new",
		      NULL);
		_exit(127);
	}
	cr_assert_eq(fx_wait(pid), 0);
	fx_cairnfs(&out, "exec", fx.db, "--", "stat", "-c", "%u:%g", "bobs", "groups", "new");
	cr_assert_str_eq(out.out, "12002:12002\n12001:12002\n12001:12001\n");
}

static pid_t fork_without_namespaces(uid_t uid)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_unshare, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = 4, .filter = code };
	pid_t pid = fx_fork();

	if (pid != 0)
		return pid;
	/* As root, so that fusermount3 keeps its set-user-ID bit. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 || setgid(uid) < 0 ||
	    setuid(uid) < 0)
		_exit(120);
	return 0;
}

/* As in a container that keeps unshare(2) from its processes. */
Test(exec_root, without_namespaces_the_mount_is_made_as_any_other)
{
	const char *err = fx_tmp_path("tmp/err");
	char text[4096] = "";
	ssize_t n;
	pid_t pid;
	int fd;

	must(chmod(fx.tmp, 0777));
	must(chmod(fx_tmp_path(".agentfs"), 0777));
	must(chmod(fx_tmp_path("tmp"), 0777));
	must(chown(fx.db, NOBODY, NOBODY));
	for (int with_dir = 0; with_dir < 2; with_dir++) {
		pid = fork_without_namespaces(NOBODY);
		if (pid == 0) {
			fd = open(err, O_WRONLY | O_CREAT | O_TRUNC, 0644);
			dup2(fd, STDERR_FILENO);
			if (with_dir)
				execl(fx_binary(), "cairnfs", "exec", "--dir", fx.tmp, fx.db, "--",
				      "true", NULL);
			else
				execl(fx_binary(), "cairnfs", "exec", fx.db, "--", "sh", "-c",
				      "id -u > file; exit 9", NULL);
			_exit(127);
		}
		cr_expect_eq(fx_wait(pid), with_dir ? 125 : 9);
		fd = must(open(err, O_RDONLY));
		n = read(fd, text, sizeof(text) - 1);
		text[n > 0 ? n : 0] = '\0';
		must(close(fd));
		assert_one_line(text);
		cr_expect_not_null(strstr(text, with_dir ? "--dir" : "can see the mount"), "%s",
				   text);
		must(unlink(err));
		assert_nothing_left();
	}
	script_succeeds("test \"$(cat file)\" = 65534");
}
