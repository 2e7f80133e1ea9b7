/* Power cuts under a core, without a mount.
 *
 *	power --dir DIR --invariants FILE [--cuts N] [--seed S]
 *
 * In each round some callers, each a thread with a tree of its own, work on a new workspace, over
 * the VFS of power_vfs.h; the core is closed and opened again meanwhile. At random calls the files
 * are copied as a power cut could leave them. After the round each copy is opened without that
 * VFS: it must be sound, and its trees must be from one moment that holds all that was durable.
 * Counts go to stdout. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core_tree.h"
#include "history.h"
#include "power_vfs.h"
#include "util/macro.h"
#include "workspace.h"

#define CAPACITY  2500 /* operations of a caller in a round */
#define CUTS_MAX  40   /* in a round */
#define PATH_SIZE 512

struct cut {
	char dir[PATH_SIZE + 16];
	struct moment moment;
};

struct test {
	const char *dir;
	char db[PATH_SIZE];
	const char *invariants;
	unsigned int wanted;
	uint64_t seed;
	struct rng rng;
	struct cairn_log log;
	struct cairn_core_options options;
	struct history history;
	struct cairn_core *core;
	struct core_tree trees[HISTORY_CALLERS];
	unsigned int steps; /* operations of each caller before the core is closed */
	_Atomic unsigned int failures;
	/* Under the VFS's lock. */
	struct cut cuts[CUTS_MAX];
	unsigned int cut_count;
	uint32_t gap, until_cut; /* moments */
	struct rng cut_rng;
	/* What was counted. */
	unsigned int rounds, survived;
	uint64_t operations, undone;
	struct power_counts counts;
};

struct worker {
	struct test *test;
	unsigned int number;
	pthread_t thread;
};

static bool say(const char *what, int r)
{
	if (r < 0)
		printf("%s: %s\n", what, strerror(-r));
	return r == 0;
}

static int open_core(struct test *test, const char *db)
{
	struct cairn_store_options options = { .busy_timeout_ms = 5000, .log = &test->log };
	struct cairn_error err = { 0 };
	struct cairn_store *store;
	char name[16];
	int r;

	r = cairn_sqlite_store_open(db, &options, &store, &err);
	if (r < 0) {
		printf("%s\n", err.text);
		return r;
	}
	r = cairn_core_open(store, &test->options, &test->log, &test->core);
	for (unsigned int i = 0; r == 0 && i < test->history.count; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		r = core_tree_open(&test->trees[i], test->core, name);
	}
	return r;
}

static int close_core(struct test *test)
{
	struct cairn_core *core = test->core;

	for (unsigned int i = 0; i < test->history.count; i++)
		core_tree_close(&test->trees[i]);
	test->core = NULL;
	return core ? cairn_core_close(core) : 0;
}

/* Called at each moment at which the power may fail, with the VFS locked. */
static void maybe_cut(void *arg)
{
	struct test *test = arg;
	struct cut *cut = &test->cuts[test->cut_count];

	if (test->until_cut-- > 0 || test->cut_count == CUTS_MAX)
		return;
	test->until_cut = rng_below(&test->cut_rng, test->gap);
	snprintf(cut->dir, sizeof(cut->dir), "%s/cut-%u", test->dir, test->cut_count);
	history_before_crash(&test->history, &cut->moment);
	if (mkdir(cut->dir, 0755) < 0 || !say("the cut", power_vfs_cut(&test->cut_rng, cut->dir)))
		atomic_fetch_add(&test->failures, 1);
	history_after_crash(&test->history, &cut->moment);
	test->cut_count++;
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct test *test = worker->test;
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < test->steps; i++)
		r = history_step(&test->history, worker->number, core_tree_run,
				 &test->trees[worker->number]);
	if (r < 0) {
		printf("caller %u: %s\n", worker->number, strerror(-r));
		atomic_fetch_add(&test->failures, 1);
	}
	return NULL;
}

static void run_callers(struct test *test)
{
	struct worker workers[HISTORY_CALLERS];

	for (unsigned int i = 0; i < test->history.count; i++) {
		workers[i] = (struct worker){ .test = test, .number = i };
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
			abort();
	}
	for (unsigned int i = 0; i < test->history.count; i++)
		pthread_join(workers[i].thread, NULL);
}

static void set_options(struct test *test)
{
	static const unsigned int intervals[] = { 1, 5, 20, 1000 };

	test->options = (struct cairn_core_options)CAIRN_CORE_OPTIONS_DEFAULT;
	test->options.commit_interval_ms = intervals[rng_below(&test->rng, 4)];
	test->options.max_dirty = rng_below(&test->rng, 2) ? 1U << 20 : 64U << 20;
	if (rng_below(&test->rng, 4) == 0)
		test->options.durability = CAIRN_DURABILITY_COMMIT;
	else if (rng_below(&test->rng, 4) == 0)
		test->options.durability = CAIRN_DURABILITY_FULL;
	test->history.all_durable = test->options.durability == CAIRN_DURABILITY_FULL;
	test->history.no_sync = rng_below(&test->rng, 4) == 0;
}

/* A workspace with the callers' empty trees, made without power cuts. */
static bool make_workspace(struct test *test)
{
	static const size_t chunks[] = { 4096, 65536, 1000 };
	struct cairn_init_options options = {
		.chunk_size = chunks[rng_below(&test->rng, 3)],
		.page_size = 1024U << rng_below(&test->rng, 4),
		.force = true,
	};
	struct cairn_error err = { 0 };

	test->options = (struct cairn_core_options)CAIRN_CORE_OPTIONS_DEFAULT;
	if (cairn_sqlite_store_init(test->db, &options, &err) < 0) {
		printf("%s\n", err.text);
		return false;
	}
	return say("opening", open_core(test, test->db)) && say("closing", close_core(test));
}

/* From one open of the core to its close, after which everything is durable. */
static bool one_session(struct test *test)
{
	set_options(test);
	if (!say("opening", open_core(test, test->db)))
		return false;
	test->steps = 20 + rng_below(&test->rng, CAPACITY / 3);
	run_callers(test);
	if (!say("closing", close_core(test)))
		return false;
	history_all_durable(&test->history);
	return atomic_load(&test->failures) == 0;
}

static bool match_cut(struct test *test, const struct cut *cut)
{
	struct listing found[HISTORY_CALLERS] = { 0 };
	uint64_t held[HISTORY_CALLERS];
	char db[PATH_SIZE + 64];
	bool ok;

	snprintf(db, sizeof(db), "%s/workspace.db", cut->dir);
	if (!workspace_check(db, test->invariants, false, stdout))
		return false;
	ok = say("opening", open_core(test, db));
	for (unsigned int i = 0; ok && i < test->history.count; i++)
		ok = say("reading a tree", core_tree_list(&test->trees[i], &found[i]));
	ok = say("closing", close_core(test)) && ok;
	ok = ok && history_match(&test->history, &cut->moment, found, held, stdout);
	for (unsigned int i = 0; i < test->history.count; i++) {
		listing_clear(&found[i]);
		test->undone += ok ? cut->moment.started[i] - held[i] : 0;
	}
	return ok && workspace_check(db, test->invariants, true, stdout);
}

static void remove_cut(const struct cut *cut)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
	char path[PATH_SIZE + 64];

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		snprintf(path, sizeof(path), "%s/workspace.db%s", cut->dir, suffixes[i]);
		unlink(path);
	}
	rmdir(cut->dir);
}

/* All of a round's copies; one that is wrong is left where it is. */
static bool match_cuts(struct test *test)
{
	test->options = (struct cairn_core_options)CAIRN_CORE_OPTIONS_DEFAULT;
	for (unsigned int i = 0; i < test->cut_count; i++) {
		if (!match_cut(test, &test->cuts[i])) {
			printf("%s is wrong\n", test->cuts[i].dir);
			return false;
		}
		remove_cut(&test->cuts[i]);
		test->survived++;
	}
	return true;
}

static void add_counts(struct power_counts *sum, const struct power_counts *counts)
{
	sum->writes += counts->writes;
	sum->syncs += counts->syncs;
	sum->directory_syncs += counts->directory_syncs;
	sum->database_syncs += counts->database_syncs;
	sum->truncates += counts->truncates;
	sum->removals += counts->removals;
}

static bool one_round(struct test *test)
{
	struct power_counts counts;
	bool ok;

	history_init(&test->history, 1 + rng_below(&test->rng, 3), CAPACITY, rng_next(&test->rng));
	test->cut_count = 0;
	test->gap = 20U << rng_below(&test->rng, 7);
	test->until_cut = rng_below(&test->rng, test->gap);
	test->cut_rng.state = rng_next(&test->rng);
	ok = make_workspace(test);
	if (ok) {
		power_vfs_start(maybe_cut, test);
		for (uint32_t i = 1 + rng_below(&test->rng, 3); ok && i > 0; i--)
			ok = one_session(test);
		if (test->core)
			close_core(test);
		power_vfs_stop(&counts);
		add_counts(&test->counts, &counts);
	}
	for (unsigned int i = 0; i < test->history.count; i++)
		test->operations += atomic_load(&test->history.callers[i].acked);
	ok = ok && match_cuts(test);
	history_clear(&test->history);
	test->rounds++;
	return ok;
}

static bool parse(struct test *test, int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "invariants", required_argument, NULL, 'i' },
		{ "cuts", required_argument, NULL, 'c' },
		{ "seed", required_argument, NULL, 's' },
		{ 0 },
	};
	int c;

	*test = (struct test){ .wanted = 100, .seed = 1, .log = CAIRN_LOG_INIT };
	test->log.level = CAIRN_LOG_WARNING;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'd':
			test->dir = optarg;
			break;
		case 'i':
			test->invariants = optarg;
			break;
		case 'c':
			test->wanted = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 's':
			test->seed = strtoull(optarg, NULL, 10);
			break;
		default:
			return false;
		}
	}
	if (!test->dir)
		return false;
	snprintf(test->db, sizeof(test->db), "%s/workspace.db", test->dir);
	test->rng.state = test->seed;
	return test->invariants;
}

int main(int argc, char **argv)
{
	static struct test test;
	bool ok = true;

	if (!parse(&test, argc, argv)) {
		fprintf(stderr, "usage: power --dir DIR --invariants FILE [--cuts N] [--seed S]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (ok && test.survived < test.wanted)
		ok = one_round(&test);
	if (!ok)
		printf("round %u: to repeat, --seed %" PRIu64 "\n", test.rounds, test.seed);
	printf("%u power cuts survived in %u rounds; %" PRIu64 " operations, %" PRIu64
	       " undone by a cut on average; %" PRIu64 " writes, %" PRIu64
	       " syncs of files (%" PRIu64 " of the database), %" PRIu64 " of directories, %" PRIu64
	       " truncates, %" PRIu64 " removals\n",
	       test.survived, test.rounds, test.operations,
	       test.survived ? test.undone / test.survived : 0, test.counts.writes,
	       test.counts.syncs, test.counts.database_syncs, test.counts.directory_syncs,
	       test.counts.truncates, test.counts.removals);
	return ok ? 0 : 1;
}
