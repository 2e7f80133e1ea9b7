/* A workspace in a temporary directory, open through libcairnfs, one for each test: `ax`. */
#pragma once

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "cairnfs/cairnfs.h"

struct api_fixture {
	char dir[256];
	char db[512];
	struct cairnfs_options options; /* of ax_open() */
	struct cairnfs *ws;             /* NULL: not open */
};

extern struct api_fixture ax;

/* An empty directory; then with a workspace, open. */
void ax_setup(void);
void ax_setup_open(void);
void ax_teardown(void);

void ax_open(void);
void ax_close(void);
/* A second handle on the same workspace, as another process has it. */
struct cairnfs *ax_open_other(void);

/* Runs SQL on the file through a connection of its own; the second answers one integer,
 * INT64_MIN where there is none. */
void ax_sql(const char *sql);
int64_t ax_number(const char *sql);

/* Whether the file holds just this text. */
bool ax_holds(struct cairnfs *ws, const char *path, const char *text);

#define ax_ok(call)                                                                                \
	do {                                                                                       \
		long long r_ = (call);                                                             \
		cr_assert_geq(r_, 0, "%s: %lld: %s", #call, r_, cairnfs_last_error());             \
	} while (0)
#define ax_fails(call, error)                                                                      \
	do {                                                                                       \
		long long r_ = (call);                                                             \
		cr_assert_eq(r_, -(error), "%s: %lld, not " #error, #call, r_);                    \
		cr_assert(cairnfs_last_error()[0]);                                                \
	} while (0)
