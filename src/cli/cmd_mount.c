/* cairnfs mount, in its three spellings: checks, then the daemon, then the proof that it answers.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/branch_args.h"
#include "cli/cli.h"
#include "cli/serve.h"
#include "mount/checks.h"
#include "mount/daemon.h"
#include "mount/holder.h"
#include "mount/mountinfo.h"
#include "mount/options.h"
#include "mount/resolve.h"
#include "mount/unmount.h"

struct mount_args {
	struct cairn_cli_args args;
	const char **lists; /* what stood after each -o */
	size_t list_count;
	bool foreground;
	bool check_only; /* mount(8) -f: all but the mount itself */
	struct cairn_options options;
};

static error_t add_list(struct mount_args *in, const char *list)
{
	const char **lists = reallocarray(in->lists, in->list_count + 1, sizeof(*lists));

	if (!lists)
		return ENOMEM;
	in->lists = lists;
	in->lists[in->list_count++] = list;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct mount_args *in = state->input;

	switch (key) {
	case 'f':
		in->foreground = true;
		return 0;
	case 'o':
		return add_list(in, arg);
	default:
		return cairn_cli_parse_common(key, arg, state, &in->args);
	}
}

/* The arguments that mount(8) gives its helpers, mount(8) "EXTERNAL HELPERS". */
static error_t parse_helper(int key, char *arg, struct argp_state *state)
{
	struct mount_args *in = state->input;

	switch (key) {
	case 's':
		in->options.sloppy = true;
		return 0;
	case 'f':
		in->check_only = true;
		return 0;
	case 'r':
		return add_list(in, "ro");
	case 'w':
		return add_list(in, "rw");
	case 'n':
	case 'v':
	case 't':
		return 0;
	default:
		return parse(key, arg, state);
	}
}

static char *add_option_help(int key, const char *text, void *input)
{
	_cleanup_(cairn_freep) char *options = NULL;
	char *joined;

	if (key != ARGP_KEY_HELP_POST_DOC || !text)
		return (char *)text;
	options = cairn_options_help();
	if (!options || asprintf(&joined, "%s\n\n%s", text, options) < 0)
		return (char *)text;
	return joined;
}

static const char doc[] =
	"Mount a workspace on a directory. Returns when the mount answers; a daemon serves it "
	"until "
	"it is unmounted."
	"\v"
	"WORKSPACE is a path, or an id that stands for .agentfs/ID.db below the working directory. "
	"A comma in the value of a mount option is written \\,. The mount options:";

static const struct argp_option option_table[] = {
	{ "options", 'o', "OPTION,...", 0, "Mount options, see below", 0 },
	{ "foreground", 'f', NULL, 0, "Stay in front, and log to standard error", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.args_doc = "WORKSPACE DIR",
	.children = cairn_cli_help,
	.doc = doc,
	.help_filter = add_option_help,
};

static const struct argp_option helper_option_table[] = {
	{ "options", 'o', "OPTION,...", 0, "Mount options, see below", 0 },
	{ NULL, 'f', NULL, 0, "Fake: check everything, mount nothing", 0 },
	{ NULL, 's', NULL, 0, "Sloppy: pass over unknown mount options", 0 },
	{ NULL, 'r', NULL, 0, "As -o ro", 0 },
	{ NULL, 'w', NULL, 0, "As -o rw", 0 },
	{ NULL, 'n', NULL, 0, "Without effect", 0 },
	{ NULL, 'v', NULL, 0, "Without effect", 0 },
	{ NULL, 't', "TYPE", 0, "Without effect", 0 },
	{ 0 },
};

static const struct argp helper_argp = {
	.options = helper_option_table,
	.parser = parse_helper,
	.args_doc = "WORKSPACE DIR",
	.children = cairn_cli_help,
	.doc = doc,
	.help_filter = add_option_help,
};

static void mount_args_done(struct mount_args *in)
{
	free(in->lists);
	cairn_options_done(&in->options);
}

static int parse_options(struct mount_args *in, struct cairn_error *err)
{
	int r;

	for (size_t i = 0; i < in->list_count; i++) {
		r = cairn_options_parse(&in->options, in->lists[i], err);
		if (r < 0)
			return r;
	}
	return cairn_options_finish(&in->options, err);
}

static int run_foreground(struct cairn_job *job)
{
	struct cairn_error err = { 0 };
	int r;

	r = cairn_job_serve(job, &err);
	return r < 0 ? cairn_cli_fail_with(r, &err) : 0;
}

/* The parent: what it can reach is what the user can reach. */
static int check_answers(const struct cairn_job *job, dev_t before, struct cairn_error *err)
{
	struct stat st;
	int r;

	r = stat(job->directory, &st) < 0 ? -errno : 0;
	if (r == 0 && st.st_dev != before)
		return 0;
	kill(job->daemon.pid, SIGTERM);
	if (r == 0)
		return cairn_error_set(err, -EIO,
				       "%s was mounted and is no mount any more; the log says why",
				       job->directory);
	return cairn_error_set(err, r, "%s was mounted but does not answer: %s", job->directory,
			       strerror(-r));
}

/* A daemon that dies while it starts may leave a mount that answers nobody. */
static void remove_dead_mount(const char *directory)
{
	_cleanup_(cairn_mount_table_done) struct cairn_mount_table table = { 0 };
	_cleanup_(cairn_holder_done) struct cairn_holder holder = { 0 };
	const struct cairn_mount_entry *mount;

	if (cairn_mount_table_read(NULL, &table) < 0)
		return;
	mount = cairn_mount_table_find(&table, directory);
	if (mount && cairn_mount_is_ours(mount) && cairn_holder_find(mount, &holder) == 0 &&
	    holder.state == CAIRN_HOLDER_GONE)
		cairn_unmount(directory, true, NULL);
}

static int run_background(struct cairn_job *job)
{
	struct cairn_error err = { 0 };
	struct stat before;
	int r;

	if (stat(job->directory, &before) < 0)
		return cairn_cli_fail("the mount point %s: %m", job->directory);
	fflush(NULL);
	r = cairn_daemon_fork(&job->daemon, job->log.target == CAIRN_LOG_FILE ? job->log.fd : -1,
			      &err);
	if (r == 0)
		return cairn_job_run_daemon(job);
	if (r > 0)
		r = cairn_daemon_wait(&job->daemon, job->directory, &err);
	if (r == 0)
		r = check_answers(job, before.st_dev, &err);
	if (r == 0)
		return 0;
	remove_dead_mount(job->directory);
	return cairn_cli_fail_with(r, &err);
}

/* Everything that can be said before anything is done. */
static int prepare(struct cairn_job *job, const struct mount_args *in, struct cairn_error *err)
{
	const char *workspace = in->args.value[0];
	int r;

	r = cairn_resolve_workspace(workspace, &job->workspace, NULL, err);
	if (r < 0)
		return r;
	r = cairn_check_workspace(job->workspace, workspace, err);
	if (r < 0)
		return r;
	r = cairn_check_mount_point(in->args.value[1], job->workspace, job->options,
				    &job->directory, err);
	if (r < 0)
		return r;
	r = cairn_check_fuse(job->options, err);
	if (r < 0)
		return r;
	if (!in->check_only)
		cairn_cli_settle_base(job->workspace, job->options->mount.base);
	return cairn_job_open_log(job, in->foreground, err);
}

static int mount_workspace(const struct argp *how, const char *command, int argc, char **argv)
{
	_cleanup_(mount_args_done) struct mount_args in = {
		.args = { .command = command, .names = "WORKSPACE DIR", .want = 2 },
	};
	_cleanup_(cairn_job_done) struct cairn_job job = {
		.options = &in.options,
		.log = CAIRN_LOG_INIT,
		.daemon = { .report_fd = -1, .capture_fd = -1 },
	};
	struct cairn_error err = { 0 };
	int r;

	cairn_options_init(&in.options);
	r = cairn_cli_parse(how, argc, argv, &in);
	if (r != 0)
		return r;
	r = parse_options(&in, &err);
	if (r < 0) {
		cairn_cli_fail_with(r, &err);
		return r == -EINVAL ? CAIRN_EXIT_USAGE : CAIRN_EXIT_FAILURE;
	}
	r = prepare(&job, &in, &err);
	if (r < 0)
		return cairn_cli_fail_with(r, &err);
	if (in.check_only)
		return 0;
	return in.foreground ? run_foreground(&job) : run_background(&job);
}

int cairn_cmd_mount(int argc, char **argv)
{
	return mount_workspace(&argp, "cairnfs mount", argc, argv);
}

int cairn_cmd_mount_direct(int argc, char **argv)
{
	_cleanup_(cairn_freep) char *workspace = NULL;
	bool is_id;

	/* A misspelled command looks like an id. */
	if (cairn_resolve_workspace(argv[1], &workspace, &is_id, NULL) == 0 && is_id &&
	    access(workspace, F_OK) < 0) {
		cairn_cli_usage_error("cairnfs", "there is no command '%s' and no workspace %s",
				      argv[1], workspace);
		return CAIRN_EXIT_USAGE;
	}
	return mount_workspace(&argp, "cairnfs", argc, argv);
}

int cairn_cmd_mount_helper(int argc, char **argv)
{
	return mount_workspace(&helper_argp, "mount.fuse.cairnfs", argc, argv);
}
