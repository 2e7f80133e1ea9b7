/* cairnfs exec: a workspace that is mounted for one command alone.
 *
 * Three processes: the command, in a mount namespace of its own (mount/private.h); the daemon that
 * serves its mount, outside of it; and this one, which passes signals on to the command, and after
 * its end unmounts, waits until the daemon has written everything, and ends with its status. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cli/branch_args.h"
#include "cli/cli.h"
#include "cli/serve.h"
#include "mount/checks.h"
#include "mount/mark.h"
#include "mount/private.h"
#include "mount/resolve.h"
#include "mount/unmount.h"
#include "store/store.h"

enum { KEY_DIR = 256, KEY_BASE };

struct exec_args {
	struct cairn_cli_args args;
	const char *base; /* as given, or NULL */
	const char *dir;  /* the same */
	char **command;   /* up to a NULL */
	struct cairn_options options;
};

static error_t add_options(struct exec_args *in, const char *list)
{
	struct cairn_error err = { 0 };
	int r = cairn_options_parse(&in->options, list, &err);

	if (r == 0)
		return 0;
	cairn_cli_fail_with(r, &err);
	return -r;
}

/* The command begins at the second word, with or without "--", and all after it is its own. */
static error_t add_argument(struct exec_args *in, char *arg, struct argp_state *state)
{
	if (in->args.count < in->args.want)
		return cairn_cli_parse_common(ARGP_KEY_ARG, arg, state, &in->args);
	in->command = &state->argv[state->next - 1];
	state->next = state->argc;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct exec_args *in = state->input;

	switch (key) {
	case KEY_BASE:
		in->base = arg;
		return 0;
	case KEY_DIR:
		in->dir = arg;
		return 0;
	case 'o':
		return add_options(in, arg);
	case ARGP_KEY_ARG:
		return add_argument(in, arg, state);
	case ARGP_KEY_END:
		if (in->args.count == in->args.want && !in->command)
			return cairn_cli_usage_error(in->args.command, "no command to run");
		return cairn_cli_parse_common(key, arg, state, &in->args);
	default:
		return cairn_cli_parse_common(key, arg, state, &in->args);
	}
}

static const struct argp_option option_table[] = {
	{ "base", KEY_BASE, "PATH", 0,
	  "Where there is no WORKSPACE yet, make one: a branch of the workspace or directory PATH",
	  0 },
	{ "dir", KEY_DIR, "DIR", 0,
	  "Where the command finds the workspace, in the place of what is there (a new directory "
	  "below $TMPDIR)",
	  0 },
	{ "options", 'o', "OPTION,...", 0, "Mount options, see cairnfs mount --help", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.args_doc = "WORKSPACE -- COMMAND [ARGUMENT...]",
	.children = cairn_cli_help,
	.doc = "Run a command in a workspace that is mounted for it alone, and unmount it after."
	       "\v"
	       "The command starts in the workspace; with --dir, and run from below DIR, in the "
	       "directory of the same name. The exit status is the command's, 128 + N after signal "
	       "N, 127 where there is no such command, 126 where it cannot be run, and 125 where "
	       "cairnfs itself failed or could not write everything.",
};

/* One run, all paths absolute. */
struct run {
	char **command;
	char *start;          /* the working directory of the caller, NULL where it has none */
	bool has_dir;         /* it was given; otherwise it is ours to remove */
	int dir_fd;           /* of one of ours, locked */
	sigset_t old_signals; /* the mask we came with */
	sigset_t signals;     /* what we wait for; blocked */
	struct cairn_options *options;
	struct cairn_job job;
	struct cairn_private child; /* user_ns and mount_ns are -1 without a namespace */
	bool is_private;
};

static void run_done(struct run *run)
{
	cairn_private_done(&run->child);
	if (run->dir_fd >= 0)
		rmdir(run->job.directory);
	cairn_closep(&run->dir_fd);
	free(run->start);
	cairn_job_done(&run->job);
}

/* The lock tells systemd-tmpfiles(8), which deletes what is old, that it is in use. */
static int make_dir(struct run *run, struct cairn_error *err)
{
	_cleanup_(cairn_freep) char *path = NULL;
	const char *tmp = getenv("TMPDIR");

	tmp = tmp && tmp[0] ? tmp : "/tmp";
	if (asprintf(&path, "%s/cairnfs-XXXXXX", tmp) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (!mkdtemp(path))
		return cairn_error_set(err, -errno, "no directory can be made in %s: %m", tmp);
	run->job.directory = realpath(path, NULL);
	run->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!run->job.directory || run->dir_fd < 0) {
		rmdir(path);
		return -errno;
	}
	flock(run->dir_fd, LOCK_SH | LOCK_NB);
	return 0;
}

static int find_dir(struct run *run, const char *dir, struct cairn_error *err)
{
	struct stat st;
	int r;

	if (!dir)
		return make_dir(run, err);
	run->has_dir = true;
	r = cairn_resolve_directory(dir, &run->job.directory);
	if (r == 0 && stat(run->job.directory, &st) < 0)
		r = -errno;
	if (r == 0 && !S_ISDIR(st.st_mode))
		r = -ENOTDIR;
	if (r == -ENOENT)
		return cairn_error_set(err, r, "--dir %s does not exist; make it: mkdir %s", dir,
				       dir);
	return r < 0 ? cairn_error_set(err, r, "--dir %s: %s", dir, strerror(-r)) : 0;
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat st_a, st_b;

	return stat(a, &st_a) == 0 && stat(b, &st_b) == 0 && st_a.st_dev == st_b.st_dev &&
	       st_a.st_ino == st_b.st_ino;
}

/* Who names a base expects to work over that and no other. */
static int check_base(const char *workspace, const char *base, struct cairn_error *err)
{
	_cleanup_(cairn_freep) char *named = NULL, *expected = NULL;
	struct cairn_store_info info = { 0 };
	int r;

	r = cairn_cli_resolve_base(base, &expected, err);
	if (r == 0)
		r = cairn_sqlite_store_info(workspace, &info, err);
	if (r < 0)
		return r;
	named = info.base_path;
	if (!named)
		return cairn_error_set(err, -EINVAL,
				       "%s is there and has no base; leave --base out, or name "
				       "another workspace",
				       workspace);
	if (is_same_file(named, expected))
		return 0;
	return cairn_error_set(err, -EINVAL,
			       "%s is a branch of %s and not of %s; leave --base out, or where its "
			       "base was moved, name it with -o base=",
			       workspace, named, expected);
}

/* Somebody else may make it at the same time. */
static int make_branch(const char *workspace, const char *base, struct cairn_error *err)
{
	static const struct cairn_init_options options = {
		.chunk_size = CAIRN_DEFAULT_CHUNK_SIZE,
		.page_size = CAIRN_DEFAULT_PAGE_SIZE,
	};
	_cleanup_(cairn_freep) char *made = NULL;
	struct cairn_error why = { 0 };
	int r;

	r = cairn_cli_init(workspace, base, &options, &made, &why);
	if (r == 0 || r == -EEXIST)
		return 0;
	return cairn_error_set(err, r, "%s", why.text[0] ? why.text : strerror(-r));
}

static int find_workspace(struct run *run, const struct exec_args *in, struct cairn_error *err)
{
	const char *workspace = in->args.value[0];
	int r;

	r = cairn_resolve_workspace(workspace, &run->job.workspace, NULL, err);
	if (r == 0 && in->base && access(run->job.workspace, F_OK) < 0)
		r = make_branch(workspace, in->base, err);
	if (r == 0)
		r = cairn_check_workspace(run->job.workspace, workspace, err);
	if (r == 0 && in->base)
		r = check_base(run->job.workspace, in->base, err);
	return r;
}

static int prepare(struct run *run, const struct exec_args *in, struct cairn_error *err)
{
	int r;

	r = cairn_check_device(err);
	if (r == 0)
		r = find_workspace(run, in, err);
	if (r < 0)
		return r;
	cairn_cli_settle_base(run->job.workspace, run->options->mount.base);
	run->start = getcwd(NULL, 0);
	return find_dir(run, in->dir, err);
}

/* In the place of the caller's directory, where the mount has one of that name. */
static int change_dir(const struct run *run)
{
	const char *dir = run->job.directory;

	if (run->has_dir && run->start && cairn_path_is_below(run->start, dir) &&
	    chdir(run->start) == 0)
		dir = run->start;
	else if (chdir(dir) < 0)
		return -errno;
	return setenv("PWD", dir, 1) < 0 ? -errno : 0;
}

/* The child. */
static int become_command(void *arg)
{
	const struct run *run = arg;
	int r;

	r = change_dir(run);
	if (r < 0) {
		cairn_cli_fail("%s: %s", run->job.directory, strerror(-r));
		return CAIRN_EXIT_NOT_RUN;
	}
	sigprocmask(SIG_SETMASK, &run->old_signals, NULL);
	execvp(run->command[0], run->command);
	r = errno;
	cairn_cli_fail("%s: %s", run->command[0], strerror(r));
	return r == ENOENT ? CAIRN_EXIT_NO_COMMAND : CAIRN_EXIT_NO_EXEC;
}

/* The daemon. It does not outlive this process, however that ends. */
static int serve(struct run *run, pid_t parent)
{
	struct cairn_job *job = &run->job;
	struct cairn_error err = { 0 };
	int r;

	sigprocmask(SIG_SETMASK, &run->old_signals, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		return CAIRN_EXIT_FAILURE;
	job->private_pid = run->is_private ? run->child.pid : 0;
	r = cairn_job_open_log(job, false, &err);
	if (r < 0) {
		cairn_daemon_failed(&job->daemon, r, &err);
		return CAIRN_EXIT_FAILURE;
	}
	r = cairn_job_run_daemon(job);
	/* Where nobody is left to do it. */
	if (!run->has_dir)
		rmdir(job->directory);
	return r;
}

static int start_daemon(struct run *run, struct cairn_error *err)
{
	struct cairn_job *job = &run->job;
	pid_t parent = getpid();
	int r;

	run->options->mount.fuse_fd = run->is_private ? run->child.fuse_fd : 0;
	fflush(NULL);
	r = cairn_daemon_fork(&job->daemon, run->is_private ? run->child.fuse_fd : -1, err);
	if (r == 0)
		_exit(serve(run, parent));
	/* It is the daemon's alone: with its end the mount shall end. */
	if (run->is_private)
		close(TAKE_FD(run->child.fuse_fd));
	return r > 0 ? cairn_daemon_wait(&job->daemon, job->directory, err) : r;
}

/* In the user namespace that the mount belongs to the user is the only one there is. */
static int own_all_files(struct run *run, struct cairn_error *err)
{
	struct cairn_mount_options *mount = &run->options->mount;

	if ((mount->uid_set && mount->uid != geteuid()) ||
	    (mount->gid_set && mount->gid != getegid()))
		return cairn_error_set(
			err, -EPERM,
			"mount options uid= and gid= can name nobody else in a mount "
			"that an ordinary user makes for himself; leave them out");
	mount->uid_set = mount->gid_set = true;
	mount->uid = geteuid();
	mount->gid = getegid();
	return 0;
}

static int start_privately(struct run *run, struct cairn_error *err)
{
	int r;

	r = cairn_private_start(run->job.workspace, run->job.directory,
				run->options->mount.fuse_options, become_command, run, &run->child,
				err);
	if (r < 0)
		return r;
	run->is_private = true;
	if (run->child.user_ns >= 0)
		r = own_all_files(run, err);
	if (r == 0)
		r = start_daemon(run, err);
	if (r == 0) {
		cairn_private_go(&run->child);
		return 0;
	}
	cairn_private_done(&run->child);
	waitpid(run->child.pid, NULL, 0);
	return r;
}

/* Where namespaces are forbidden the mount is made as any other, on a directory that nobody knows.
 */
static int start_in_sight(struct run *run, struct cairn_error *why, struct cairn_error *err)
{
	int r;

	if (run->has_dir)
		return cairn_error_set(err, -EPERM,
				       "%s, and only there can a mount on --dir be private; leave "
				       "--dir out, or use cairnfs mount",
				       why->text);
	r = cairn_check_fuse(run->options, err);
	if (r < 0)
		return r;
	cairn_cli_fail("%s; other processes of yours can see the mount on %s", why->text,
		       run->job.directory);
	r = start_daemon(run, err);
	if (r < 0)
		return r;
	run->child.pid = fork();
	if (run->child.pid == 0)
		_exit(become_command(run));
	return run->child.pid < 0 ? cairn_error_set(err, -errno,
						    "the command cannot be started: "
						    "%m")
				  : 0;
}

static int start(struct run *run, struct cairn_error *err)
{
	struct cairn_error why = { 0 };
	int r;

	sigemptyset(&run->signals);
	for (size_t i = 0; i < 7; i++)
		sigaddset(&run->signals, (int[]){ SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM,
						  SIGUSR1, SIGUSR2 }[i]);
	sigprocmask(SIG_BLOCK, &run->signals, &run->old_signals);
	r = start_privately(run, &why);
	if (r < 0 && run->child.forbidden)
		return start_in_sight(run, &why, err);
	*err = why;
	return r;
}

/* Passes signals on until the command has ended; returns how, as waitpid(2) does. What the terminal
 * sends the command gets from the terminal, too. */
static int wait_command(const struct run *run)
{
	int status = 0;

	while (waitpid(run->child.pid, &status, WNOHANG) != run->child.pid) {
		siginfo_t info;
		int signal = sigwaitinfo(&run->signals, &info);

		if (signal > 0 && signal != SIGCHLD && info.si_code <= 0)
			kill(run->child.pid, signal);
	}
	return status;
}

static void unmount(struct run *run)
{
	int r;

	if (run->is_private)
		r = cairn_private_unmount(&run->child, run->job.directory);
	else
		r = cairn_unmount(run->job.directory, false, NULL);
	if (r < 0)
		cairn_cli_fail("what the command left running has lost the workspace %s",
			       run->job.workspace);
	/* A private mount may live on in a namespace that was made of this one. */
	if (r < 0 || run->is_private)
		kill(run->job.daemon.pid, SIGTERM);
}

/* The end of the daemon: whether everything is written. */
static int wait_daemon(const struct run *run, struct cairn_error *err)
{
	_cleanup_(cairn_mark_info_done) struct cairn_mark_info mark = { 0 };
	int status = 0;

	while (waitpid(run->job.daemon.pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (cairn_mark_read(run->job.workspace, &mark) == 0 && !mark.live && mark.error)
		return cairn_error_set(err, -EIO, "%s", mark.error);
	return cairn_error_set(err, -EIO,
			       "the process that served %s ended before it had said that "
			       "everything is written; its log may say why",
			       run->job.workspace);
}

static int finish(struct run *run, int status)
{
	struct cairn_error err = { 0 };
	int r, value = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);

	unmount(run);
	r = wait_daemon(run, &err);
	if (r == 0)
		return value;
	cairn_cli_fail_with(r, &err);
	return value ? value : CAIRN_EXIT_NOT_RUN;
}

static int finish_options(struct cairn_options *options, struct cairn_error *err)
{
	if (options->allow_root || options->auto_unmount)
		return cairn_error_set(err, -EINVAL,
				       "mount option %s is nothing for cairnfs exec, whose mount "
				       "has no outside and ends with the command",
				       options->allow_root ? "allow_root" : "auto_unmount");
	return cairn_options_finish(options, err);
}

static void exec_args_done(struct exec_args *in)
{
	cairn_options_done(&in->options);
}

int cairn_cmd_exec(int argc, char **argv)
{
	_cleanup_(exec_args_done) struct exec_args in = {
		.args = { .command = "cairnfs exec", .names = "WORKSPACE -- COMMAND", .want = 1 },
	};
	_cleanup_(run_done) struct run run = {
		.dir_fd = -1,
		.options = &in.options,
		.job = { .options = &in.options,
			 .log = CAIRN_LOG_INIT,
			 .daemon = { .report_fd = -1, .capture_fd = -1 } },
		.child = { .socket = -1, .fuse_fd = -1, .user_ns = -1, .mount_ns = -1 },
	};
	struct cairn_error err = { 0 };
	int r;

	cairn_options_init(&in.options);
	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP | ARGP_IN_ORDER, NULL, &in) != 0)
		return CAIRN_EXIT_NOT_RUN;
	run.command = in.command;
	r = finish_options(&in.options, &err);
	if (r == 0)
		r = prepare(&run, &in, &err);
	if (r == 0)
		r = start(&run, &err);
	if (r < 0) {
		cairn_cli_fail_with(r, &err);
		return CAIRN_EXIT_NOT_RUN;
	}
	return finish(&run, wait_command(&run));
}
