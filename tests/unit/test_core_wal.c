/* The bound of the write-ahead log: how large it gets, and who waits for whom at its limit. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core_fixture.h"

#define MIB       (1UL << 20)
#define LIMIT     (2 * MIB)
#define MAX_DIRTY (512UL << 10)

/* One batch more than the limit; a batch is little more than its data. */
#define BOUND (LIMIT + 2 * MAX_DIRTY)

static atomic_uint news;

static void on_foreign(void *arg)
{
	atomic_fetch_add(&news, 1);
}

static void setup(void)
{
	cf_setup();
	cf.faulty = true;
	cf.options.wal_limit = LIMIT;
	cf.options.max_dirty = MAX_DIRTY;
	cf.options.on_foreign = on_foreign;
	cf_make();
	cf_open();
}

TestSuite(core_wal, .init = setup, .fini = cf_teardown);

static size_t size_of(const char *suffix)
{
	char path[600];
	struct stat st;

	snprintf(path, sizeof(path), "%s%s", cf.db, suffix);
	return stat(path, &st) < 0 ? 0 : (size_t)st.st_size;
}

/* Another program's connection, which never checkpoints. */
static sqlite3 *connect(void)
{
	sqlite3 *db;

	cr_assert_eq(sqlite3_open(cf.db, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 10000);
	sqlite3_wal_autocheckpoint(db, 0);
	return db;
}

static void run(sqlite3 *db, const char *sql)
{
	cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s: %s", sql,
		     sqlite3_errmsg(db));
}

static sqlite3 *read_forever(void)
{
	sqlite3 *db = connect();

	run(db, "BEGIN; SELECT COUNT(*) FROM fs_inode");
	return db;
}

/* Writes to a file of its own without end, again and again over the same blocks. */
struct flood {
	pthread_t thread;
	uint64_t ino;
	atomic_bool stop;
	atomic_size_t written;
	size_t wal_max; /* bytes, the largest that was seen */
	int r;
};

static void *flood(void *arg)
{
	static char block[32768];
	struct flood *f = arg;
	off_t at = 0;

	while (!atomic_load(&f->stop) && f->r == 0) {
		f->r = cf_write(f->ino, block, sizeof(block), at % (off_t)(16 * MIB));
		at += (off_t)sizeof(block);
		atomic_fetch_add(&f->written, sizeof(block));
		f->wal_max = MAX(f->wal_max, size_of("-wal"));
	}
	return NULL;
}

static struct flood *flood_start(void)
{
	static struct flood f;

	f.ino = cf_file(CF_ROOT, "flood");
	cr_assert_eq(pthread_create(&f.thread, NULL, flood, &f), 0);
	return &f;
}

static void flood_wait(struct flood *f, size_t more)
{
	size_t until = atomic_load(&f->written) + more;

	while (atomic_load(&f->written) < until)
		usleep(1000);
}

static void flood_stop(struct flood *f)
{
	atomic_store(&f->stop, true);
	pthread_join(f->thread, NULL);
	cr_assert_eq(f->r, 0);
}

/* Some attempts to start over later, all that will ever be written has been. */
static void wait_until_full(void)
{
	unsigned long tries;

	while (!cf_log_has("cannot start over"))
		usleep(1000);
	tries = fault_store_calls(cf.fault, FAULT_CHECKPOINT);
	while (fault_store_calls(cf.fault, FAULT_CHECKPOINT) < tries + 6)
		usleep(1000);
}

static unsigned int times_told(const char *text)
{
	static char log[1 << 16];
	int fd = open(cf.log, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, log, sizeof(log) - 1);
	unsigned int times = 0;

	close(fd);
	log[MAX(n, 0)] = 0;
	for (const char *at = log; (at = strstr(at, text)); at++)
		times++;
	return times;
}

Test(core_wal, a_long_reader_makes_changes_wait_and_fails_nobody)
{
	uint64_t ino = cf_file(CF_ROOT, "other");
	struct flood *f;
	sqlite3 *reader;
	size_t written;

	cf_write_text(ino, "text");
	cf_settle();
	reader = read_forever();
	f = flood_start();
	wait_until_full();
	written = atomic_load(&f->written);
	cr_expect_geq(size_of("-wal"), LIMIT);
	cr_expect_leq(size_of("-wal"), BOUND);
	cr_expect_leq(cairn_core_dirty(cf.core), MAX_DIRTY + 2 * 65536);
	wait_until_full();
	cr_expect_eq(atomic_load(&f->written), written, "something went on");
	/* Reads do. */
	cr_expect(cf_holds(ino, "text", 4));
	cr_expect_eq(cf_count(CF_ROOT), 2);
	cr_expect_eq(times_told("cannot start over"), 1);

	sqlite3_close(reader);
	flood_wait(f, 8 * MIB);
	flood_stop(f);
	cr_expect(cf_log_has("starts over"));
	cr_expect_leq(f->wal_max, BOUND);
	cr_expect_eq(cairn_core_fsync(cf.core, f->ino), 0);
	cr_expect_eq(cf_close(), 0);
	cf_expect_sound(cf.db);
}

static void *fsync_thread(void *arg)
{
	uint64_t ino = *(uint64_t *)arg;

	return (void *)(intptr_t)cairn_core_fsync(cf.core, ino);
}

Test(core_wal, fsync_waits_at_the_limit_and_does_not_fail)
{
	sqlite3 *reader = read_forever();
	uint64_t ino = cf_file(CF_ROOT, "a");
	struct flood *f = flood_start();
	pthread_t thread;
	void *r;

	wait_until_full();
	cr_assert_eq(pthread_create(&thread, NULL, fsync_thread, &ino), 0);
	wait_until_full();
	sqlite3_close(reader);
	pthread_join(thread, &r);
	cr_expect_null(r);
	flood_stop(f);
}

static atomic_bool done;

static void *read_all_the_time(void *arg)
{
	static _Thread_local char buf[65536];
	uint64_t ino = *(uint64_t *)arg;
	intptr_t bad = 0;

	while (!atomic_load(&done)) {
		struct cairn_attr attr;

		bad += cairn_core_read(cf.core, ino, buf, sizeof(buf), 0) != sizeof(buf);
		bad += cf_lookup(CF_ROOT, "none", &attr) != -ENOENT;
	}
	return (void *)bad;
}

/* However many there are, and although each holds the log for the time of its query. */
Test(core_wal, readers_of_our_own_never_keep_the_log_from_starting_over)
{
	static char block[65536];
	uint64_t ino = cf_file(CF_ROOT, "read");
	pthread_t threads[6];
	struct flood *f;
	void *bad;

	cr_assert_eq(cf_write(ino, block, sizeof(block), 0), 0);
	cf_settle();
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, read_all_the_time, &ino), 0);
	f = flood_start();
	flood_wait(f, 48 * MIB);
	flood_stop(f);
	atomic_store(&done, true);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], &bad);
		cr_expect_null(bad);
	}
	cr_expect_leq(f->wal_max, BOUND);
	cr_expect_not(cf_log_has("cannot start over"));
}

/* A workspace that is closed loses nothing for the sake of the bound. */
Test(core_wal, a_close_writes_what_is_left_beyond_the_limit)
{
	static char block[65536];
	uint64_t ino = cf_file(CF_ROOT, "a");
	sqlite3 *reader;

	cf_settle();
	reader = read_forever();
	while (size_of("-wal") < LIMIT) {
		cr_assert_eq(cf_write(ino, block, sizeof(block), 0), 0);
		cf_commit();
	}
	cr_assert_eq(cf_write(ino, "the last word", 13, 0), 0);
	wait_until_full();
	cr_assert_eq(cf_close(), 0);
	sqlite3_close(reader);
	cf_expect_sound(cf.db);
	cr_expect_eq(cf_number(cf.db, "SELECT substr(data, 1, 13) = CAST('the last word' AS BLOB) "
				      "FROM fs_data"),
		     1);
}

Test(core_wal, what_others_commit_is_noticed_while_changes_wait)
{
	sqlite3 *reader = read_forever(), *other = connect();
	struct flood *f = flood_start();
	unsigned int before;

	wait_until_full();
	before = atomic_load(&news);
	run(other, "UPDATE fs_inode SET mode = 16832 WHERE ino = 1");
	while (atomic_load(&news) == before)
		usleep(1000);
	cr_expect_eq(size_of("-wal") > BOUND + MIB, 0);
	sqlite3_close(other);
	sqlite3_close(reader);
	flood_stop(f);
}

Test(core_wal, what_others_commit_is_copied_home)
{
	sqlite3 *other = connect();

	run(other, "CREATE TABLE mine (x)");
	for (size_t round = 1; round <= 3; round++) {
		for (int i = 0; i < 50; i++)
			run(other, "INSERT INTO mine VALUES (zeroblob(100000))");
		while (size_of("") < 4 * MIB * round)
			usleep(1000);
	}
	sqlite3_close(other);
}
