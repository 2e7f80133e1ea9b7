/* `cairnfs check`: whether a workspace file keeps the rules of the format, and mending it where it
 * does not. docs/format.md has the rules; check_rules.c has each as a query.
 *
 * Everything happens in one transaction. Without `repair` and `dense` that is a read transaction,
 * so a mounted workspace is seen as of its last commit and nothing is written. With them it holds
 * the write lock from the first look to the last: what is found is reported, then mended, then
 * looked for again before the commit. The caller keeps the workspace from being mounted meanwhile
 * (mount/mark.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

#define CAIRN_CHECK_EXAMPLES    5U
#define CAIRN_CHECK_EXAMPLE_MAX 160U /* bytes with the NUL */

/* All places where one rule is broken. The strings are static. */
struct cairn_check_finding {
	const char *code; /* one word, the same in every version */
	const char *what; /* in words */
	const char
		*action; /* what repairing does; where it cannot, what a person can do; or NULL */
	bool error;      /* false: a note, which no repair touches and no exit status shows */
	bool repairable;
	uint64_t count;
	unsigned int examples;                                       /* how many of: */
	char example[CAIRN_CHECK_EXAMPLES][CAIRN_CHECK_EXAMPLE_MAX]; /* printable UTF-8 */
};

struct cairn_check_options {
	bool repair;
	bool dense; /* fill holes with zeros, for peers that cannot read sparse files */
	unsigned int busy_timeout_ms;
	/* Called for each finding: once when it is found, before anything is mended, and with
	 * `left` for what is still there at the end. A repair may bring up what another finding
	 * hid; that is reported as found, too. */
	void (*report)(void *arg, const struct cairn_check_finding *finding, bool left);
	/* Called often, with the number of steps done and of all; may be NULL. */
	void (*progress)(void *arg, const char *step, unsigned int done, unsigned int total);
	void *arg;
};

struct cairn_check_result {
	uint64_t inodes, entries; /* how many there are, as found */
	uint64_t errors;          /* broken rules, each place counted */
	uint64_t notes;
	uint64_t left;     /* errors still there at the end */
	bool incomplete;   /* some rules could not be looked at before others are mended */
	bool repaired;     /* something was mended, and committed */
	uint64_t holes;    /* chunks that `dense` filled in or lengthened */
	uint64_t filled;   /* bytes of zeros it added */
	int repair_failed; /* -errno where mending or filling failed; nothing was changed then */
};

/* Checks the workspace at `path`. 0 when it could be checked, whatever was found; `err` has words
 * too where ret->repair_failed is set. Negative, with words, when it could not: -ENOENT, -EINVAL
 * not a workspace or one of a newer format, -EBUSY locked by another process, -EROFS not writable
 * (with repair or dense), -EIO damaged beyond reading. */
int cairn_check(const char *path, const struct cairn_check_options *options,
		struct cairn_check_result *ret, struct cairn_error *err);
