/* The program: finds the command, or what mount(8) wants, and runs it. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
};

static const struct command command_table[] = {
	{ "init", cairn_cmd_init },         { "mount", cairn_cmd_mount },
	{ "umount", cairn_cmd_umount },     { "exec", cairn_cmd_exec },
	{ "info", cairn_cmd_info },         { "list", cairn_cmd_list },
	{ "check", cairn_cmd_check },       { "snapshot", cairn_cmd_snapshot },
	{ "restore", cairn_cmd_restore },   { "fork", cairn_cmd_fork },
	{ "stats", cairn_cmd_stats },       { "kv", cairn_cmd_kv },
	{ "diff", cairn_cmd_diff },         { "accept", cairn_cmd_accept },
	{ "undo", cairn_cmd_undo },         { "reset", cairn_cmd_reset },
	{ "reject", cairn_cmd_reject },     { "gc", cairn_cmd_gc },
	{ "import", cairn_cmd_import },     { "export", cairn_cmd_export },
	{ "relocate", cairn_cmd_relocate },
};

static const char main_doc[] =
	"Mount a workspace, one SQLite file, as a file system.\n"
	"\n"
	"  cairnfs init WORKSPACE            make an empty workspace\n"
	"  cairnfs mount WORKSPACE DIR       mount it\n"
	"  cairnfs umount DIR                write what is left and unmount it\n"
	"  cairnfs exec WORKSPACE -- COMMAND run a command in it, mounted for nobody else\n"
	"  cairnfs info WORKSPACE            what is in it and who has it mounted\n"
	"  cairnfs list                      live mounts\n"
	"  cairnfs stats DIR                 what a mount has done so far\n"
	"  cairnfs check WORKSPACE           look for damage, and --repair it\n"
	"  cairnfs snapshot WORKSPACE FILE   copy it as it is now, mounted or not\n"
	"  cairnfs restore FILE WORKSPACE    put it back to what such a copy holds\n"
	"  cairnfs fork WORKSPACE NEW        make another workspace that begins as this one\n"
	"  cairnfs kv WORKSPACE get KEY      keys and values: get, set, del, list, incr\n"
	"  cairnfs diff BRANCH [PATH...]     what a branch has changed\n"
	"  cairnfs accept BRANCH [PATH...]   make its changes in its base\n"
	"  cairnfs undo WORKSPACE [ID]       take back what was accepted into it\n"
	"  cairnfs reset BRANCH PATH...      drop changes\n"
	"  cairnfs reject BRANCH             drop all of them, and keep them for a while\n"
	"  cairnfs relocate BRANCH BASE      say where its base has been moved to\n"
	"  cairnfs gc [WORKSPACE...]         let go of what was kept\n"
	"  cairnfs import WORKSPACE DIR      bring in a directory, or a tar archive\n"
	"  cairnfs export WORKSPACE DIR      write all of it to a directory, or to a tar archive\n"
	"\n"
	"WORKSPACE is a path, or an id that stands for .agentfs/ID.db below the working "
	"directory; write ./NAME for a file named like a command. cairnfs COMMAND --help says more "
	"about a command."
	"\v"
	"The second form is the one of mount(8) and /etc/fstab (type fuse.cairnfs):\n"
	"\n"
	"  /srv/work.db  /srv/work  fuse.cairnfs  noauto,user  0  0\n";

static error_t parse_main(int key, char *arg, struct argp_state *state)
{
	return cairn_cli_parse_common(key, arg, state, state->input);
}

static const struct argp main_argp = {
	.parser = parse_main,
	.args_doc = "COMMAND ARGUMENT...\nWORKSPACE DIR [-o OPTION,...]",
	.doc = main_doc,
	.children = cairn_cli_help,
};

/* No command: --help and the like, or a mistake. */
static int run_main(int argc, char **argv)
{
	struct cairn_cli_args args = { .command = "cairnfs" };

	if (argc < 2) {
		cairn_cli_usage_error("cairnfs", "no command given");
		return CAIRN_EXIT_USAGE;
	}
	if (argv[1][0] != '-') {
		cairn_cli_usage_error("cairnfs", "there is no command '%s'", argv[1]);
		return CAIRN_EXIT_USAGE;
	}
	return cairn_cli_parse(&main_argp, argc, argv, &args);
}

static int run(int argc, char **argv)
{
	const char *program = strrchr(argv[0], '/');
	char **command_argv = argv + 1;

	program = program ? program + 1 : argv[0];
	if (strncmp(program, "mount.", strlen("mount.")) == 0) {
		argv[0] = (char *)"cairnfs";
		return cairn_cmd_mount_helper(argc, argv);
	}

	/* getopt(3) puts it in front of its messages. */
	argv[0] = (char *)"cairnfs";
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(command_table); i++) {
		if (strcmp(argv[1], command_table[i].name) == 0) {
			command_argv[0] = argv[0];
			return command_table[i].run(argc - 1, command_argv);
		}
	}
	if (argc > 2 && argv[1][0] != '-')
		return cairn_cmd_mount_direct(argc, argv);
	return run_main(argc, argv);
}

/* Whatever is opened later must not become standard input, output or error. */
static void open_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	int status;

	open_standard_fds();
	if (argc < 1)
		return CAIRN_EXIT_USAGE;
	status = run(argc, argv);
	if (fflush(stdout) != 0 || ferror(stdout))
		return cairn_cli_fail("standard output cannot be written: %m");
	return status;
}
