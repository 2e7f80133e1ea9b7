/* What the commands share: exit statuses, error lines, argument parsing and output.
 *
 * Each command is a function with the arguments that follow its name (argv[0] is "cairnfs") and the
 * exit status as its value. An error is one line on standard error, "cairnfs: ...", which says what
 * happened, to which path, and what to do next. */
#pragma once

#include <argp.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "util/error.h"
#include "util/macro.h"

enum {
	CAIRN_EXIT_FAILURE = 1,
	CAIRN_EXIT_USAGE = 2,
	/* Of `exec`, where the others may be the command's: as those of env(1). */
	CAIRN_EXIT_NOT_RUN = 125,
	CAIRN_EXIT_NO_EXEC = 126,
	CAIRN_EXIT_NO_COMMAND = 127,
};

int cairn_cmd_init(int argc, char **argv);
int cairn_cmd_mount(int argc, char **argv);
int cairn_cmd_umount(int argc, char **argv);
int cairn_cmd_exec(int argc, char **argv);
int cairn_cmd_info(int argc, char **argv);
int cairn_cmd_check(int argc, char **argv);
int cairn_cmd_list(int argc, char **argv);
int cairn_cmd_stats(int argc, char **argv);
int cairn_cmd_snapshot(int argc, char **argv);
int cairn_cmd_restore(int argc, char **argv);
int cairn_cmd_fork(int argc, char **argv);
int cairn_cmd_kv(int argc, char **argv);
int cairn_cmd_diff(int argc, char **argv);
int cairn_cmd_accept(int argc, char **argv);
int cairn_cmd_undo(int argc, char **argv);
int cairn_cmd_reset(int argc, char **argv);
int cairn_cmd_reject(int argc, char **argv);
int cairn_cmd_relocate(int argc, char **argv);
int cairn_cmd_gc(int argc, char **argv);
int cairn_cmd_import(int argc, char **argv);
int cairn_cmd_export(int argc, char **argv);

/* `cairnfs WORKSPACE DIR [-o OPTION,...]`, as mount(8) calls it by way of mount.fuse3(8). */
int cairn_cmd_mount_direct(int argc, char **argv);

/* `mount.fuse.cairnfs WORKSPACE DIR [-sfnvrw] [-t TYPE] [-o OPTION,...]`, as mount(8) calls it. */
int cairn_cmd_mount_helper(int argc, char **argv);

/* Names may hold anything: control characters are printed as \xNN. */
void cairn_cli_print_path(FILE *to, const char *text);

/* Prints an error line; the value is CAIRN_EXIT_FAILURE. The second takes the text from `err`, or
 * the name of errno -r where nothing was said. */
int cairn_cli_fail(const char *fmt, ...) _printf_(1, 2);
int cairn_cli_fail_with(int r, const struct cairn_error *err);

/* Prints an error line about the arguments that ends in a pointer to the help of `command` (as
 * "cairnfs mount"); the value is EINVAL, which ends argp_parse(3). */
int cairn_cli_usage_error(const char *command, const char *fmt, ...) _printf_(2, 3);

/* The arguments of a command that are no options: `want` of them, of which the last `optional` may
 * be missing. */
struct cairn_cli_args {
	const char *command; /* "cairnfs mount" */
	const char *names;   /* "WORKSPACE DIR" */
	const char *value[4];
	unsigned int want, optional;
	unsigned int count;
	bool json; /* --json, 'j' in the table of options of those commands that have it */
};

/* --help, --usage and --version: the one child of every command's parser. (argp's own would call
 * the command by argv[0], which getopt(3) puts in front of its error lines.) */
extern const struct argp_child cairn_cli_help[];

/* Handles the keys of an argp parser that are alike in all commands; ARGP_ERR_UNKNOWN for others.
 */
error_t cairn_cli_parse_common(int key, char *arg, struct argp_state *state,
			       struct cairn_cli_args *args);
/* The parser of a command that has no others; its input is the struct cairn_cli_args. */
error_t cairn_cli_parse_plain(int key, char *arg, struct argp_state *state);

/* Parses; errors are printed, one line each. 0, or CAIRN_EXIT_USAGE. --help and --version exit. */
int cairn_cli_parse(const struct argp *argp, int argc, char **argv, void *input);

/* Prints `root` to standard output, indented or on one line, and frees it. The value is an exit
 * status. */
int cairn_cli_print_json(json_t *root);
int cairn_cli_print_json_line(json_t *root);

/* The name of a user, or the number where it has none. */
#define CAIRN_USER_NAME_MAX 64
void cairn_cli_user_name(uid_t uid, char ret_name[CAIRN_USER_NAME_MAX]);

/* The path of a workspace that is to be made, from a path or an id; the directory that an id stands
 * in is made where it is missing. *ret_made_dir is that directory then, to be removed where the
 * workspace is not made after all; else NULL. free() both. */
int cairn_cli_new_workspace(const char *workspace, char **ret_path, char **ret_made_dir,
			    struct cairn_error *err);

/* Makes a workspace from a path or an id: an empty one, or with `base` (as given; NULL: none) a
 * branch of that. Returns its absolute path, free() it. -EEXIST when something stands there. */
struct cairn_init_options;
int cairn_cli_init(const char *workspace, const char *base,
		   const struct cairn_init_options *options, char **ret_path,
		   struct cairn_error *err);
/* The absolute path of a base, which is a path or an id; free() it. */
int cairn_cli_resolve_base(const char *base, char **ret, struct cairn_error *err);

/* Copies the workspace at an absolute path as it is at this moment, what a mount of it has in
 * memory included, with progress. */
struct cairn_clone_result;
int cairn_cli_copy(const char *workspace, const char *to, bool force,
		   struct cairn_clone_result *ret, struct cairn_error *err);

/* The arguments with those that begin like a negative number after all options, behind "--", so
 * that they are no options: a new array, free(3) it, with *argc elements; NULL: no memory.
 * `with_value` is the one option whose value may follow as an argument of its own. */
char **cairn_cli_numbers_last(int *argc, char **argv, const char *with_value);

/* Bold on a terminal that has it, and off; nothing elsewhere, nor where NO_COLOR is set. */
void cairn_cli_bold(FILE *to, bool on);

/* Prints text that may hold anything: control characters as \n, \x1b and the like. At most `max`
 * characters, with "..." where some are left out. */
void cairn_cli_print_escaped(FILE *to, const char *text, size_t size, size_t max);
