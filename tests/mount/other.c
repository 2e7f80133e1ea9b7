#include "other.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>

enum { BUSY_MS = 10000 };

pid_t start_other(int (*what)(const void *arg), const void *arg)
{
	int ends[2];
	pid_t child;
	char byte;

	must(pipe2(ends, O_CLOEXEC));
	child = fx_fork();
	if (child == 0) {
		close(ends[0]);
		if (what(arg) == 0 && write(ends[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	must(close(ends[1]));
	cr_assert_eq(read(ends[0], &byte, 1), 1, "the other process could not do its part");
	must(close(ends[0]));
	return child;
}

void end_other(pid_t pid)
{
	must(kill(pid, SIGKILL));
	fx_wait(pid);
}

struct hold {
	const char *lock;
	unsigned int seconds;
};

static sqlite3 *held;

static void let_go(int number)
{
	_exit(sqlite3_exec(held, "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK ? 0 : 1);
}

static int take(const void *arg)
{
	const struct hold *hold = arg;

	if (sqlite3_open_v2(fx.db, &held, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		return -1;
	sqlite3_busy_timeout(held, BUSY_MS);
	if (sqlite3_exec(held, hold->lock, NULL, NULL, NULL) != SQLITE_OK)
		return -1;
	/* It comes while the process only waits. */
	signal(SIGALRM, let_go);
	alarm(hold->seconds);
	return 0;
}

pid_t start_holder(const char *lock, unsigned int seconds)
{
	const struct hold hold = { .lock = lock, .seconds = seconds };

	return start_other(take, &hold);
}

static void assert_integrity(void)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = NULL;

	cr_assert_eq(sqlite3_open(fx.db, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
	cr_assert_str_eq((const char *)sqlite3_column_text(stmt, 0), "ok");
	sqlite3_finalize(stmt);
	cr_assert_eq(sqlite3_close(db), SQLITE_OK);
}

void assert_sound(void)
{
	struct output o;

	assert_integrity();
	fx_cairnfs(&o, "check", fx.db);
	cr_assert_eq(o.status, 0, "check: status %d: %s%s", o.status, o.out, o.err);
}
