/* A base, of one kind or the other, and an overlay over it mounted as the fixture's workspace.
 *
 * The tree of the base (every time lies in the past, to the nanosecond):
 *
 *	file		"base file\n", mode 0640
 *	one, two	one file, "two names\n"
 *	link -> file	nowhere -> "gone"
 *	large		LARGE bytes, of which LARGE_DATA are there, at both ends and in the middle
 *	dir/a, dir/b, dir/sub/deep/c	"a\n", "b\n", "c\n"
 *	tree/f0 ... tree/f299, tree/d0/g ... tree/d9/g
 *	empty/
 */
#ifndef CAIRN_TEST_OVERLAY_BASE_H
#define CAIRN_TEST_OVERLAY_BASE_H

#include <stdbool.h>
#include <stdint.h>

#include "fsutil.h"

#define LARGE      ((off_t)1 << 30)
#define LARGE_PART 300000
#define TREE_FILES 300

enum base_kind { BASE_DIRECTORY, BASE_WORKSPACE };

/* Makes the base and the workspace over it; the second also mounts. */
void ob_prepare(enum base_kind kind);
void ob_setup(enum base_kind kind);
/* The path of the base: a directory or a workspace. */
const char *ob_base(void);

/* Where the base can be changed: the directory itself, or a mount of the base beside the other one,
 * which begins and ends with these calls. */
const char *ob_open_base(void);
void ob_close_base(void);
/* A name in it; between the two. */
const char *ob_in_base(const char *name);

/* Something that tells any change of the base. Not while it is open. */
const char *ob_sum_of_base(void);
/* Bytes of the workspace file, unmounted. */
off_t ob_size(void);
/* What a statement about the workspace answers: a number; unmounted. */
int64_t ob_number(const char *sql);

/* The bytes that `large` has at an offset of one of its parts. */
void ob_large_part(unsigned char *ret, unsigned int part);
off_t ob_large_at(unsigned int part);

/* Both kinds run each test. */
#define BOTH(name)                                                                                 \
	static void check_##name(void);                                                            \
	Test(overlay_over_directory, name)                                                         \
	{                                                                                          \
		check_##name();                                                                    \
	}                                                                                          \
	Test(overlay_over_workspace, name)                                                         \
	{                                                                                          \
		check_##name();                                                                    \
	}                                                                                          \
	static void check_##name(void)

#define BOTH_SUITES(setup)                                                                         \
	static void setup##_directory(void)                                                        \
	{                                                                                          \
		setup(BASE_DIRECTORY);                                                             \
	}                                                                                          \
	static void setup##_workspace(void)                                                        \
	{                                                                                          \
		setup(BASE_WORKSPACE);                                                             \
	}                                                                                          \
	TestSuite(overlay_over_directory, .init = setup##_directory, .fini = fx_teardown,          \
		  .timeout = 120);                                                                 \
	TestSuite(overlay_over_workspace, .init = setup##_workspace, .fini = fx_teardown,          \
		  .timeout = 120)

#endif
