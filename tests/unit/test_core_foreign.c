/* A core whose database another process changes meanwhile. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "core/foreign.h"
#include "core_fixture.h"

TestSuite(core_foreign, .init = cf_setup_open, .fini = cf_teardown, .timeout = 60);

/* docs/concurrency.md: what others change shows within half a second, looking and telling. */
_Static_assert(2 * CAIRN_FOREIGN_POLL_MS <= 500, "others are looked for too seldom");

#define TURNS   300U
#define LOOKERS 2U

static atomic_bool stop;
static atomic_uint found, absent, wrong;

static void *look_it_up(void *arg)
{
	struct cairn_attr attr;
	int r;

	while (!atomic_load(&stop)) {
		r = cf_lookup(CF_ROOT, "link", &attr);
		atomic_fetch_add(r == 0 ? &found : r == -ENOENT ? &absent : &wrong, 1);
	}
	return NULL;
}

static void *look_at_others(void *arg)
{
	while (!atomic_load(&stop))
		cairn_core_refresh(cf.core);
	return NULL;
}

static void run(sqlite3 *db, const char *sql)
{
	CF_CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
}

/* A link takes three questions: the entry, the inode, the target. Between two of them it goes. */
Test(core_foreign, a_name_that_comes_and_goes_is_there_or_absent)
{
	pthread_t threads[LOOKERS + 1];
	sqlite3 *db;

	cr_assert_eq(sqlite3_open(cf.db, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 10000);
	for (unsigned int i = 0; i <= LOOKERS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL,
					    i < LOOKERS ? look_it_up : look_at_others, NULL),
			     0);
	for (unsigned int i = 0; i < TURNS; i++) {
		run(db, "BEGIN IMMEDIATE;"
			"INSERT INTO fs_inode (mode, nlink, atime, mtime, ctime) "
			"VALUES (41471, 1, 0, 0, 0);"
			"INSERT INTO fs_symlink VALUES (last_insert_rowid(), 'to');"
			"INSERT INTO fs_dentry (name, parent_ino, ino) "
			"VALUES ('link', 1, last_insert_rowid());"
			"COMMIT");
		run(db, "BEGIN IMMEDIATE;"
			"DELETE FROM fs_dentry WHERE name = 'link';"
			"DELETE FROM fs_symlink;"
			"DELETE FROM fs_inode WHERE ino <> 1;"
			"COMMIT");
	}
	atomic_store(&stop, true);
	for (unsigned int i = 0; i <= LOOKERS; i++)
		pthread_join(threads[i], NULL);
	sqlite3_close(db);
	cr_expect_gt(found, 0);
	cr_expect_gt(absent, 0);
	cr_expect_eq(wrong, 0, "%u of %u", wrong, found + absent + wrong);
}
