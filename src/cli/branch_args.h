/* What the commands that deal with branches share. */
#pragma once

#include <stdio.h>

#include "branch/change.h"
#include "cli/cli.h"
#include "cli/progress.h"

/* Arguments: one workspace, then any number of paths. */
struct cairn_branch_args {
	const char *command; /* "cairnfs diff" */
	const char *workspace;
	char **paths; /* from the root of the workspace: "/a/b" */
	size_t path_count;
};

/* As cairn_cli_parse_common(). */
error_t cairn_branch_parse(int key, char *arg, struct argp_state *state,
			   struct cairn_branch_args *args);
void cairn_branch_args_done(struct cairn_branch_args *args);

/* The absolute path of a workspace, of which a live mount has committed what it had in memory.
 * free() it. */
int cairn_cli_settled(const char *workspace, char **ret, struct cairn_error *err);

/* Whether it is a directory that is meant, and not the workspace whose id it is as well. */
bool cairn_cli_names_directory(const char *arg);

/* Ends what an accept into a base directory has left when it was killed; where that does not work,
 * a line says so. `base`, where it is not NULL, is in the place of the base that the workspace
 * names. */
void cairn_cli_settle_base(const char *workspace, const char *base);

/* Opens the branch and its base. */
int cairn_cli_open_branch(const char *workspace, bool read_only, struct cairn_branch *ret,
			  struct cairn_error *err);

/* Progress of what is read of a branch and its base: `what`, and how many bytes of it. */
struct cairn_branch_progress {
	struct cairn_progress progress;
	uint64_t bytes;
};
void cairn_branch_progress_begin(struct cairn_branch_progress *ret, struct cairn_branch *branch,
				 const char *what);
void cairn_branch_progress_end(struct cairn_branch_progress *progress);

/* Whether to print in colours. */
bool cairn_cli_colours(FILE *to);

/* "added", "renamed", ... */
const char *cairn_cli_change_word(const struct cairn_change *change);
/* One line a change, as `cairnfs diff` prints it. */
void cairn_cli_print_change(FILE *to, const struct cairn_change *change, bool colours);
/* The same as a JSON object. */
json_t *cairn_cli_change_json(const struct cairn_change *change);
