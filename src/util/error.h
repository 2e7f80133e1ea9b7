/* An error that a person reads: what happened, to which path, what to do next.
 *
 * Functions that run before a mount is up (opening, checking, mounting) take a
 * `struct cairn_error *` and fill it next to their negative errno. */
#pragma once

#include "util/macro.h"

struct cairn_error {
	/* One line, no newline at the end; empty when nothing was said. What is longer, for its
	 * paths, lacks some of its middle. */
	char text[640];
};

/* Formats the text unless an earlier cause already stands there; returns `r`, so that a caller can
 * write `return cairn_error_set(err, -EINVAL, "...")`. `err` may be NULL. */
int cairn_error_set(struct cairn_error *err, int r, const char *fmt, ...) _printf_(3, 4);
