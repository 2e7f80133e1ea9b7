/* kill -9 of the mount's daemon at random moments under load.
 *
 *	kill --dir DIR --invariants FILE [--kills N] [--seed S] [--callers N] [--durability D]
 *		[--branches N]
 *
 * One workspace lives through all kills. In each round some callers, each a thread with a tree of
 * its own, work in the mount; the daemon is killed (in some rounds while it starts, in some while
 * it ends); then the file must be sound, and the trees must be from one moment that holds all
 * that was durable. The next round begins with what was found. With --branches, N times in the
 * run, evenly, the workspace becomes the base of a new one, which lives through the kills from
 * then on. The environment names the program: CAIRNFS_BIN. Counts go to stdout. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon.h"
#include "history.h"
#include "listing.h"
#include "mount_tree.h"
#include "workspace.h"

#define CAPACITY 12000 /* operations of a caller in a round */

enum when {
	KILL_UNDER_LOAD,
	KILL_WHILE_STARTING,
	KILL_WHILE_ENDING,
};

struct test {
	char db[512], mount[512], log[512], options[256];
	const char *invariants;
	const char *durability;
	unsigned int kills;
	unsigned int branches, branched; /* to make, and made */
	uint64_t seed;
	struct rng rng;
	struct mount_daemon daemon;
	struct history history;
	struct mount_tree trees[HISTORY_CALLERS];
	_Atomic bool over;   /* callers finish the operation they are at */
	_Atomic bool killed; /* from now on operations may fail */
	_Atomic unsigned int failures;
	/* What was counted. */
	unsigned int under_load, starting, ending;
	uint64_t done, lost;
};

struct worker {
	struct test *test;
	unsigned int number;
	pthread_t thread;
};

/* How the end of the daemon shows. */
static bool is_dead_mount(int r)
{
	return r == -ENOTCONN || r == -ECONNABORTED || r == -EIO || r == -ENODEV;
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct test *test = worker->test;
	const struct op *op;
	int r = 0;

	while (r == 0 && !atomic_load(&test->over))
		r = history_step(&test->history, worker->number, mount_tree_run,
				 &test->trees[worker->number]);
	if (r >= 0 || (atomic_load(&test->killed) && is_dead_mount(r)))
		return NULL;
	op = &test->history.callers[worker->number]
		      .ops[atomic_load(&test->history.callers[worker->number].acked)];
	printf("caller %u: %s %s %s: %s\n", worker->number, op_name(op->kind), op->path, op->path2,
	       strerror(-r));
	atomic_fetch_add(&test->failures, 1);
	return NULL;
}

static void pause_us(uint32_t us)
{
	const struct timespec ts = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L };

	nanosleep(&ts, NULL);
}

static void start_workers(struct test *test, struct worker *workers)
{
	atomic_store(&test->over, false);
	atomic_store(&test->killed, false);
	for (unsigned int i = 0; i < test->history.count; i++) {
		workers[i] = (struct worker){ .test = test, .number = i };
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
			abort();
	}
}

static void join_workers(struct test *test, struct worker *workers)
{
	for (unsigned int i = 0; i < test->history.count; i++)
		pthread_join(workers[i].thread, NULL);
}

/* Runs the callers and kills the daemon: while they work, or right after they stopped and it was
 * told to end. */
static void load_and_kill(struct test *test, enum when when)
{
	struct worker workers[HISTORY_CALLERS];

	start_workers(test, workers);
	pause_us(1000 + rng_below(&test->rng, rng_below(&test->rng, 3) ? 300000 : 1500000));
	if (when == KILL_WHILE_ENDING) {
		atomic_store(&test->over, true);
		join_workers(test, workers);
		for (unsigned int i = 0; i < test->history.count; i++)
			mount_tree_close(&test->trees[i]);
		daemon_signal(&test->daemon, SIGTERM);
		pause_us(rng_below(&test->rng, 20000));
	}
	atomic_store(&test->killed, true);
	daemon_signal(&test->daemon, SIGKILL);
	if (when != KILL_WHILE_ENDING)
		join_workers(test, workers);
}

static void set_options(struct test *test)
{
	static const unsigned int intervals[] = { 1, 10, 100, 1000 };
	static const char *const limits[] = { "64M", "1M", "256K" };

	snprintf(test->options, sizeof(test->options),
		 "xattr,durability=%s,commit_interval_ms=%u,max_dirty=%s", test->durability,
		 intervals[rng_below(&test->rng, 4)], limits[rng_below(&test->rng, 3)]);
	test->history.no_sync = rng_below(&test->rng, 3) == 0;
}

static bool say(const char *what, int r)
{
	if (r < 0)
		printf("%s: %s\n", what, strerror(-r));
	return r == 0;
}

static bool open_trees(struct test *test)
{
	char name[16];

	for (unsigned int i = 0; i < test->history.count; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		if (!say("opening a tree", mount_tree_open(&test->trees[i], test->mount, name)))
			return false;
	}
	return true;
}

static void close_trees(struct test *test)
{
	for (unsigned int i = 0; i < test->history.count; i++)
		mount_tree_close(&test->trees[i]);
}

static bool mount(struct test *test)
{
	set_options(test);
	if (!say("starting the daemon", daemon_start(&test->daemon)))
		return false;
	return say("mounting", daemon_wait_ready(&test->daemon)) && open_trees(test);
}

/* Ends the daemon in peace. */
static bool unmount(struct test *test)
{
	int status;

	close_trees(test);
	daemon_signal(&test->daemon, SIGTERM);
	status = daemon_end(&test->daemon);
	if (status != 0)
		printf("the daemon ended with status %#x\n", (unsigned int)status);
	return status == 0;
}

/* Compares the trees in the mount with the histories, and has these start over from there. */
static bool match(struct test *test, const struct moment *moment)
{
	struct listing found[HISTORY_CALLERS] = { 0 };
	uint64_t held[HISTORY_CALLERS] = { 0 };
	bool ok = true;

	for (unsigned int i = 0; ok && i < test->history.count; i++)
		ok = say("reading a tree", mount_tree_list(&test->trees[i], &found[i]));
	ok = ok && history_match(&test->history, moment, found, held, stdout);
	for (unsigned int i = 0; i < test->history.count; i++) {
		uint64_t acked = atomic_load(&test->history.callers[i].acked);

		listing_clear(&found[i]);
		test->done += acked;
		test->lost += acked > held[i] ? acked - held[i] : 0;
	}
	if (ok)
		history_restart(&test->history, held);
	return ok;
}

/* Kills a daemon that is just starting, with no caller yet; the file is as it was. */
static bool kill_starting(struct test *test)
{
	set_options(test);
	if (!say("starting the daemon", daemon_start(&test->daemon)))
		return false;
	pause_us(rng_below(&test->rng, 30000));
	daemon_signal(&test->daemon, SIGKILL);
	daemon_end(&test->daemon);
	return workspace_check(test->db, test->invariants, false, stdout);
}

static enum when draw_when(struct test *test)
{
	uint32_t at = rng_below(&test->rng, 10);

	return at == 0 ? KILL_WHILE_STARTING : at == 1 ? KILL_WHILE_ENDING : KILL_UNDER_LOAD;
}

/* From a mount that is up to the next one. */
static bool one_kill(struct test *test)
{
	enum when when = draw_when(test);
	struct moment moment;
	bool ok;

	load_and_kill(test, when == KILL_WHILE_ENDING ? when : KILL_UNDER_LOAD);
	history_before_crash(&test->history, &moment);
	history_after_crash(&test->history, &moment);
	close_trees(test);
	daemon_end(&test->daemon);
	ok = atomic_load(&test->failures) == 0 &&
	     workspace_check(test->db, test->invariants, false, stdout);
	if (ok && when == KILL_WHILE_STARTING)
		ok = kill_starting(test);
	test->under_load += when != KILL_WHILE_ENDING;
	test->starting += when == KILL_WHILE_STARTING;
	test->ending += when == KILL_WHILE_ENDING;
	return ok && mount(test) && match(test, &moment);
}

/* The trees' own directories are there before the first kill. */
static bool prepare(struct test *test)
{
	struct moment moment;

	if (!mount(test) || !unmount(test) || !mount(test))
		return false;
	history_before_crash(&test->history, &moment);
	history_after_crash(&test->history, &moment);
	return match(test, &moment);
}

static unsigned int kills_so_far(const struct test *test)
{
	return test->under_load + test->starting + test->ending;
}

static bool branch_is_due(const struct test *test)
{
	return test->branched < test->branches &&
	       kills_so_far(test) * (test->branches + 1) >= test->kills * (test->branched + 1);
}

/* The workspace becomes the base of a new one, in which everything is as it was. */
static bool branch(struct test *test)
{
	char base[560];
	struct moment moment = { 0 };

	snprintf(base, sizeof(base), "%s.%u", test->db, test->branched++);
	if (!unmount(test) || !say("renaming", rename(test->db, base) < 0 ? -errno : 0) ||
	    !workspace_check(base, test->invariants, true, stdout) ||
	    !say("making a branch", daemon_branch(&test->daemon, base)) || !mount(test))
		return false;
	return match(test, &moment);
}

static bool run(struct test *test)
{
	if (!prepare(test))
		return false;
	for (unsigned int i = 0; kills_so_far(test) < test->kills; i++) {
		if ((!branch_is_due(test) || branch(test)) && one_kill(test))
			continue;
		printf("round %u, options %s: to repeat, --seed %" PRIu64 "\n", i, test->options,
		       test->seed);
		return false;
	}
	return unmount(test) && workspace_check(test->db, test->invariants, true, stdout);
}

static bool parse(struct test *test, int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "invariants", required_argument, NULL, 'i' },
		{ "kills", required_argument, NULL, 'k' },
		{ "seed", required_argument, NULL, 's' },
		{ "callers", required_argument, NULL, 'c' },
		{ "durability", required_argument, NULL, 'D' },
		{ "branches", required_argument, NULL, 'b' },
		{ 0 },
	};
	unsigned int callers = 1;
	const char *dir = NULL;
	int c;

	*test = (struct test){ .kills = 10, .seed = 1, .durability = "async" };
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'd':
			dir = optarg;
			break;
		case 'i':
			test->invariants = optarg;
			break;
		case 'k':
			test->kills = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 's':
			test->seed = strtoull(optarg, NULL, 10);
			break;
		case 'c':
			callers = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'D':
			test->durability = optarg;
			break;
		case 'b':
			test->branches = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		default:
			return false;
		}
	}
	if (!dir || !test->invariants || callers < 1 || callers > HISTORY_CALLERS)
		return false;
	snprintf(test->db, sizeof(test->db), "%s/workspace.db", dir);
	snprintf(test->mount, sizeof(test->mount), "%s/mount", dir);
	snprintf(test->log, sizeof(test->log), "%s/log", dir);
	test->rng.state = test->seed;
	history_init(&test->history, callers, CAPACITY, test->seed);
	test->history.aligned = true;
	listing_no_directory_links = test->branches > 0;
	test->history.all_durable = strcmp(test->durability, "async") != 0;
	for (unsigned int i = 0; i < callers; i++)
		test->trees[i].root = -1;
	return true;
}

int main(int argc, char **argv)
{
	static struct test test;
	bool ok;

	if (!parse(&test, argc, argv) || !getenv("CAIRNFS_BIN")) {
		fprintf(stderr, "usage: CAIRNFS_BIN=FILE kill --dir DIR --invariants FILE "
				"[--kills N] [--seed S] [--callers N] [--durability D] "
				"[--branches N]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	umask(0);
	test.daemon = (struct mount_daemon){
		.binary = getenv("CAIRNFS_BIN"),
		.db = test.db,
		.dir = test.mount,
		.log = test.log,
		.options = test.options,
	};
	ok = run(&test);
	if (test.daemon.pid > 0) {
		close_trees(&test);
		daemon_signal(&test.daemon, SIGKILL);
		daemon_end(&test.daemon);
	}
	printf("%u kills under load, %u of a daemon that started, %u of one that ended; "
	       "%" PRIu64 " operations, %" PRIu64 " of them undone\n",
	       test.under_load, test.starting, test.ending, test.done, test.lost);
	history_clear(&test.history);
	return ok ? 0 : 1;
}
