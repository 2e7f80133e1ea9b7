/* A mount that only one command and its children see: in a mount namespace of their own.
 *
 * A child makes the namespace, mounts there, hands the connection to /dev/fuse back and waits to be
 * told to become the command. Who serves the connection stays outside: whatever the mount hides
 * from the command, the workspace itself for example, it goes on to see.
 *
 * Who may not make mount namespaces gets one in a user namespace, where nobody else is known: every
 * owner but the user himself is "nobody" there, and no file of theirs can be written. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "util/error.h"

struct cairn_private {
	pid_t pid;   /* of the child */
	int socket;  /* to it */
	int fuse_fd; /* the connection */
	int user_ns; /* -1: none of its own */
	int mount_ns;
	bool forbidden; /* after a failure: namespaces are not allowed here */
};

/* What the child does when it is told to go; the value is its exit status. */
typedef int (*cairn_private_fn)(void *arg);

/* Starts the child. It mounts on `dir` with `options`, the comma list of struct
 * cairn_mount_options, of which `source` is shown as the source. The caller reaps `pid`. On failure
 * nothing is left behind and `err` has words; ret->forbidden then tells whether it was for the
 * namespaces. */
int cairn_private_start(const char *source, const char *dir, const char *options,
			cairn_private_fn fn, void *arg, struct cairn_private *ret,
			struct cairn_error *err);

/* Lets the child go on. */
void cairn_private_go(struct cairn_private *child);

/* Unmounts `dir` in the namespace, after the child has ended. -EBUSY where somebody still uses it:
 * it is detached then, with what the kernel cached handed over. */
int cairn_private_unmount(const struct cairn_private *child, const char *dir);

/* Closes what is open; a child that was not told to go ends. */
void cairn_private_done(struct cairn_private *child);
