/* Another process at work beside a mount, and its workspace when nobody has it. */
#ifndef CAIRN_TEST_OTHER_H
#define CAIRN_TEST_OTHER_H

#include "fsutil.h"

/* A child that does `what`, with `arg`, and then lives until it is killed. Returns when it has done
 * it; fails the test where it could not. */
pid_t start_other(int (*what)(const void *arg), const void *arg);
/* One that runs SQL on the workspace and keeps what that locks: for so many seconds, and ends with
 * status 0 after a ROLLBACK, or, with 0, until it is killed. */
pid_t start_holder(const char *lock, unsigned int seconds);
void end_other(pid_t pid);

/* The workspace, which is not mounted, is in order. */
void assert_sound(void);

#endif
