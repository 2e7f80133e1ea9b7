/* Many processes with many threads each, on one workspace through libcairnfs: nothing is lost,
 * counts are exact, and every call succeeds. The same beside a live mount. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../lib/mount_fixture.h"
#include "cairnfs/cairnfs.h"

TestSuite(api_processes, .init = fx_prepare, .fini = fx_teardown);
TestSuite(api_mounted, .init = fx_setup, .fini = fx_teardown);

enum {
	PROCESSES = 4,
	THREADS = 4,
	ROUNDS = 40,
	ALL = PROCESSES * THREADS * ROUNDS,
	LINE = 16, /* bytes of a line in the log, newline included */
};

/* What one thread of one process does; `number` is unique among all. Returns 0 or -errno. */
typedef int (*work_fn)(struct cairnfs *ws, unsigned int number);

struct shared {
	atomic_uint won; /* calls that came first */
};
static struct shared *shared;

struct worker {
	struct cairnfs *ws;
	work_fn work;
	unsigned int number;
	pthread_t thread;
	bool failed;
};

static void *work(void *arg)
{
	struct worker *worker = arg;
	int r = worker->work(worker->ws, worker->number);

	if (r < 0) {
		fprintf(stderr, "worker %u: %s: %s\n", worker->number, strerror(-r),
			cairnfs_last_error());
		worker->failed = true;
	}
	return NULL;
}

static struct cairnfs *open_workspace(const char *log)
{
	struct cairnfs_options options = CAIRNFS_OPTIONS_INIT;
	struct cairnfs *ws;

	options.log_file = log;
	if (cairnfs_open(fx.db, &options, &ws) < 0) {
		fprintf(stderr, "%s\n", cairnfs_last_error());
		return NULL;
	}
	return ws;
}

static int process_main(work_fn fn, unsigned int process)
{
	struct worker workers[THREADS];
	struct cairnfs *ws = open_workspace(fx_tmp_path("api.log"));
	bool failed = !ws;

	for (unsigned int i = 0; ws && i < THREADS; i++) {
		workers[i] = (struct worker){ ws, fn, process * THREADS + i, 0, false };
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (unsigned int i = 0; ws && i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		failed |= workers[i].failed;
	}
	if (ws && cairnfs_close(ws) < 0) {
		fprintf(stderr, "close: %s\n", cairnfs_last_error());
		failed = true;
	}
	return failed;
}

static void run_everywhere(work_fn fn)
{
	pid_t pids[PROCESSES];

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	cr_assert_neq(shared, MAP_FAILED);
	for (unsigned int i = 0; i < PROCESSES; i++) {
		pids[i] = fx_fork();
		if (pids[i] == 0)
			_exit(process_main(fn, i));
	}
	for (unsigned int i = 0; i < PROCESSES; i++)
		cr_expect_eq(fx_wait(pids[i]), 0, "process %u failed", i);
}

static long number_of(const char *sql)
{
	sqlite3_stmt *stmt;
	sqlite3 *db;
	long n = -1;

	cr_assert_eq(sqlite3_open(fx.db, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK, "%s",
		     sqlite3_errmsg(db));
	if (sqlite3_step(stmt) == SQLITE_ROW)
		n = (long)sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return n;
}

/* Of a workspace that nobody has open. */
static void expect_sound(void)
{
	cr_expect_eq(number_of("SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
	cr_expect_eq(number_of("SELECT COUNT(*) FROM fs_dentry WHERE ino NOT IN "
			       "(SELECT ino FROM fs_inode)"),
		     0, "dangling entries");
	cr_expect_eq(number_of("SELECT COUNT(*) FROM fs_inode WHERE ino <> 1 AND ino NOT IN "
			       "(SELECT ino FROM fs_dentry)"),
		     0, "inodes without an entry");
	cr_expect_eq(
		number_of("SELECT COUNT(*) FROM fs_inode AS i WHERE mode & 61440 = 32768 AND "
			  "nlink <> (SELECT COUNT(*) FROM fs_dentry AS d WHERE d.ino = i.ino)"),
		0, "link counts of files");
	cr_expect_eq(number_of("SELECT COUNT(*) FROM fs_inode AS i WHERE mode & 61440 = 16384 AND "
			       "nlink <> 2 + (SELECT COUNT(*) FROM fs_dentry AS d JOIN fs_inode AS "
			       "c ON c.ino = d.ino WHERE d.parent_ino = i.ino AND "
			       "c.mode & 61440 = 16384)"),
		     0, "link counts of directories");
	cr_expect_neq(access(fx_tmp_path(".agentfs/work.db-api"), F_OK), 0,
		      "the last to close removes the lock file");
	cr_expect_neq(access(fx_tmp_path(".agentfs/work.db-wal"), F_OK), 0);
}

static int append_lines(struct cairnfs *ws, unsigned int number)
{
	char line[LINE + 1];
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < ROUNDS; i++) {
		snprintf(line, sizeof(line), "%07u %07u\n", number, i);
		r = cairnfs_append(ws, "/log", line, LINE);
	}
	return r;
}

/* Each line is there once, and those of one thread in their order. */
static void check_log(const char *text, size_t size)
{
	unsigned int next[PROCESSES * THREADS] = { 0 }, number, round;

	cr_assert_eq(size, (size_t)ALL * LINE);
	for (size_t at = 0; at < size; at += LINE) {
		cr_assert_eq(sscanf(text + at, "%u %u", &number, &round), 2);
		cr_assert_lt(number, PROCESSES * THREADS);
		cr_assert_eq(round, next[number]++, "line %zu is of round %u", at / LINE, round);
	}
}

static void check_log_in_workspace(void)
{
	struct cairnfs *ws = open_workspace(NULL);
	void *text;
	size_t size;

	cr_assert_not_null(ws);
	cr_assert_eq(cairnfs_read_file(ws, "/log", &text, &size), 0, "%s", cairnfs_last_error());
	check_log(text, size);
	free(text);
	cr_assert_eq(cairnfs_close(ws), 0);
}

Test(api_processes, appends_to_one_file_all_arrive)
{
	run_everywhere(append_lines);
	check_log_in_workspace();
	expect_sound();
}

static int increment(struct cairnfs *ws, unsigned int number)
{
	int64_t sum, before = 0;
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < ROUNDS; i++) {
		r = cairnfs_kv_increment(ws, "count", 1, &sum);
		if (r == 0 && sum <= before)
			r = -EILSEQ;
		before = sum;
	}
	return r;
}

/* The same by hand: read, add, set if nobody was quicker. */
static int compare_and_set(struct cairnfs *ws, unsigned int number)
{
	char *old, sum[24];
	int r = 0;

	for (unsigned int i = 0; r >= 0 && i<ROUNDS; i += r> 0) {
		old = NULL;
		r = cairnfs_kv_get(ws, "swapped", &old, NULL);
		if (r < 0 && r != -ENOENT)
			return r;
		snprintf(sum, sizeof(sum), "%ld", (old ? atol(old) : 0) + 1);
		r = cairnfs_kv_compare_and_set(ws, "swapped", old, sum);
		free(old);
	}
	return r < 0 ? r : 0;
}

static int count_keys(struct cairnfs *ws, unsigned int number)
{
	int r;

	r = increment(ws, number);
	return r < 0 ? r : compare_and_set(ws, number);
}

static void check_counts(void)
{
	cr_expect_eq(number_of("SELECT value FROM kv_store WHERE key = 'count'"), ALL);
	cr_expect_eq(number_of("SELECT value FROM kv_store WHERE key = 'swapped'"), ALL);
}

Test(api_processes, increments_and_swaps_are_exact)
{
	run_everywhere(count_keys);
	check_counts();
	expect_sound();
}

/* Files of its own, and directories that all want to make, of which one may. */
static int make_things(struct cairnfs *ws, unsigned int number)
{
	char path[64], text[64];
	int r;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		snprintf(path, sizeof(path), "/files/%u/%u", number % 3, i * 1000 + number);
		snprintf(text, sizeof(text), "%u of %u", i, number);
		r = cairnfs_mkdir(ws, number % 3 == 0 ? "/files/0" : path, 0755, CAIRNFS_PARENTS);
		if (r == 0 && number % 3)
			r = cairnfs_remove(ws, path, 0);
		if (r == 0)
			r = cairnfs_write_file(ws, path, text, strlen(text));
		if (r < 0)
			return r;
		snprintf(path, sizeof(path), "/dir-%u", i);
		r = cairnfs_mkdir(ws, path, 0755, 0);
		if (r == 0)
			atomic_fetch_add(&shared->won, 1);
		else if (r != -EEXIST)
			return r;
	}
	return 0;
}

static int count_entry(void *arg, const struct cairnfs_entry *entry)
{
	(*(unsigned int *)arg)++;
	return 0;
}

static void check_things(void)
{
	struct cairnfs *ws = open_workspace(NULL);
	unsigned int count = 0;

	cr_assert_not_null(ws);
	cr_expect_eq(atomic_load(&shared->won), ROUNDS, "one mkdir of a name succeeds, not %u",
		     atomic_load(&shared->won));
	for (int i = 0; i < 3; i++)
		cr_assert_eq(cairnfs_list(ws,
					  (char[]){ '/', 'f', 'i', 'l', 'e', 's', '/',
						    (char)('0' + i), 0 },
					  count_entry, &count),
			     0);
	cr_expect_eq(count, ALL, "%u files of %u", count, ALL);
	cr_assert_eq(cairnfs_close(ws), 0);
}

Test(api_processes, files_are_all_made_and_a_name_only_once)
{
	run_everywhere(make_things);
	check_things();
	expect_sound();
}

/* Each token is taken by one of all who try to rename it away. */
static int take_tokens(struct cairnfs *ws, unsigned int number)
{
	char from[32], to[32];
	int r;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		snprintf(from, sizeof(from), "/token-%u", i);
		snprintf(to, sizeof(to), "/taken-%u-%u", i, number);
		r = cairnfs_rename(ws, from, to, 0);
		if (r == 0)
			atomic_fetch_add(&shared->won, 1);
		else if (r != -ENOENT)
			return r;
	}
	return 0;
}

Test(api_processes, a_rename_has_one_winner)
{
	struct cairnfs *ws = open_workspace(NULL);
	char path[32];

	cr_assert_not_null(ws);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		snprintf(path, sizeof(path), "/token-%u", i);
		cr_assert_eq(cairnfs_write_file(ws, path, "x", 1), 0);
	}
	cr_assert_eq(cairnfs_close(ws), 0);
	run_everywhere(take_tokens);
	cr_expect_eq(atomic_load(&shared->won), ROUNDS);
	expect_sound();
}

static int make_and_use(struct cairnfs *ws, unsigned int number)
{
	return cairnfs_kv_increment(ws, "opened", 1, NULL);
}

static int open_and_create(unsigned int process)
{
	struct cairnfs_options options = CAIRNFS_OPTIONS_INIT;
	struct cairnfs *ws;
	int r;

	options.create = true;
	r = cairnfs_open(fx.db, &options, &ws);
	if (r < 0) {
		fprintf(stderr, "%s\n", cairnfs_last_error());
		return 1;
	}
	r = make_and_use(ws, process);
	return cairnfs_close(ws) < 0 || r < 0;
}

Test(api_processes, many_open_and_make_a_workspace_at_once, .init = fx_prepare_empty)
{
	pid_t pids[16];

	for (unsigned int round = 1; round <= 5; round++) {
		for (unsigned int i = 0; i < 16; i++) {
			pids[i] = fx_fork();
			if (pids[i] == 0)
				_exit(open_and_create(i));
		}
		for (unsigned int i = 0; i < 16; i++)
			cr_expect_eq(fx_wait(pids[i]), 0);
		cr_expect_eq(number_of("SELECT value FROM kv_store WHERE key = 'opened'"),
			     16 * round);
	}
	expect_sound();
}

Test(api_processes, a_killed_process_holds_nobody_up)
{
	struct cairnfs *ws;
	int ready[2];
	char byte;
	pid_t pid;

	cr_assert_eq(pipe(ready), 0);
	pid = fx_fork();
	if (pid == 0) {
		ws = open_workspace(NULL);
		for (unsigned int i = 0; ws; i++) {
			cairnfs_append(ws, "/busy", "0123456789abcdef", 16);
			if (i == 5 && write(ready[1], "x", 1) != 1)
				_exit(1);
		}
		_exit(1);
	}
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	kill(pid, SIGKILL);
	fx_wait(pid);
	ws = open_workspace(NULL);
	cr_assert_not_null(ws);
	cr_assert_eq(cairnfs_append(ws, "/after", "x", 1), 0, "%s", cairnfs_last_error());
	cr_assert_eq(cairnfs_close(ws), 0);
	expect_sound();
}

/* A writer in the mount meanwhile, with files of its own. */
static volatile sig_atomic_t stop;

static void on_term(int signal)
{
	stop = 1;
}

static pid_t start_mount_writer(void)
{
	pid_t pid = fx_fork();
	unsigned int i;

	if (pid)
		return pid;
	signal(SIGTERM, on_term);
	for (i = 0; !stop; i++) {
		char name[32];
		int fd;

		snprintf(name, sizeof(name), "mine-%u", i % 50);
		fd = open(name, O_CREAT | O_WRONLY | O_APPEND, 0644);
		if (fd < 0 || write(fd, name, strlen(name)) < 0)
			_exit(1);
		close(fd);
		if (i % 3 == 2 && unlink(name) < 0)
			_exit(1);
		usleep(2000);
	}
	_exit(0);
}

static void run_beside_mount(work_fn fn)
{
	pid_t writer = start_mount_writer();

	run_everywhere(fn);
	kill(writer, SIGTERM);
	cr_expect_eq(fx_wait(writer), 0, "the writer in the mount failed");
}

Test(api_mounted, keys_are_exact_beside_a_mount)
{
	run_beside_mount(count_keys);
	fx_umount();
	check_counts();
	expect_sound();
}

Test(api_mounted, appends_all_arrive_beside_a_mount)
{
	run_beside_mount(append_lines);
	fx_umount();
	check_log_in_workspace();
	expect_sound();
}

Test(api_mounted, files_are_all_made_beside_a_mount)
{
	run_beside_mount(make_things);
	fx_umount();
	check_things();
	expect_sound();
}

/* Tries until it is so, for five seconds: what is late is not wrong on a busy machine. */
static bool soon(bool (*is_so)(void))
{
	for (int i = 0; i < 500; i++) {
		if (is_so())
			return true;
		usleep(10000);
	}
	return false;
}

static bool mount_has_second_content(void)
{
	char buf[16] = { 0 };
	int fd = open("shown", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	if (fd >= 0)
		close(fd);
	return n == 6 && memcmp(buf, "second", 6) == 0;
}

static bool mount_has_no_file(void)
{
	return access("shown", F_OK) < 0 && errno == ENOENT;
}

static bool mount_has_file(void)
{
	return access("shown", F_OK) == 0;
}

Test(api_mounted, changes_of_the_library_show_in_the_mount)
{
	struct cairnfs *ws = open_workspace(NULL);

	cr_assert_not_null(ws);
	cr_assert(mount_has_no_file()); /* and the kernel remembers that */
	cr_assert_eq(cairnfs_write_file(ws, "/shown", "first", 5), 0);
	cr_expect(soon(mount_has_file));
	cr_assert_eq(cairnfs_write_file(ws, "/shown", "second", 6), 0);
	cr_expect(soon(mount_has_second_content));
	cr_assert_eq(cairnfs_remove(ws, "/shown", 0), 0);
	cr_expect(soon(mount_has_no_file));
	cr_assert_eq(cairnfs_close(ws), 0);
}

Test(api_mounted, synced_changes_of_the_mount_show_in_the_library_at_once)
{
	struct cairnfs *ws = open_workspace(NULL);
	int fd;

	cr_assert_not_null(ws);
	fd = open("mine", O_CREAT | O_RDWR, 0644);
	cr_assert_geq(fd, 0);
	for (int i = 0; i < 50; i++) {
		char byte = 0;

		cr_assert_eq(pwrite(fd, (char[]){ (char)i }, 1, 0), 1);
		cr_assert_eq(fsync(fd), 0);
		cr_assert_eq(cairnfs_read(ws, "/mine", &byte, 1, 0), 1, "%s", cairnfs_last_error());
		cr_assert_eq(byte, i);
	}
	close(fd);
	cr_assert_eq(cairnfs_close(ws), 0);
}
