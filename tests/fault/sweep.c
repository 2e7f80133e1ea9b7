#include "sweep.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core_fixture.h"
#include "fault_vfs.h"
#include "workload.h"

#define CHUNK_SIZE 64U
#define CALLS_MAX  5000U /* the workload makes fewer */

struct tally {
	unsigned long runs, faults, failed, wrong;
};

static void complain(struct tally *tally, const struct sweep *sweep, unsigned long n,
		     const char *what)
{
	fprintf(stderr, "%s, call %lu: %s\n", sweep->name, n, what);
	tally->wrong++;
}

static int touch_and_sync(void)
{
	struct cairn_attr attr;
	int r;

	r = cairn_core_getattr(cf.core, CF_ROOT, &attr);
	if (r == 0)
		r = cairn_core_setattr(cf.core, &cf_caller, CF_ROOT, CAIRN_SET_MODE, &attr, &attr);
	return r < 0 ? r : cairn_core_fsync(cf.core, CF_ROOT);
}

/* With the fault gone, everything works again sooner or later: it may be between two attempts. */
static bool recovers(void)
{
	for (unsigned int i = 0; i < 10000; i++) {
		if (touch_and_sync() == 0)
			return true;
		usleep(1000);
	}
	return false;
}

static bool shows(const struct workload_run *run, unsigned int least, int *ret)
{
	char *picture = workload_look();

	*ret = picture ? workload_find(run, picture, least) : -1;
	if (*ret < 0 && picture)
		fprintf(stderr, "seen:\n%sthe last one expected:\n%s", picture,
			run->picture[run->pictures - 1]);
	free(picture);
	return *ret >= 0;
}

/* What kill -9 right after the workload would have left. */
static void check_crash(struct tally *tally, const struct sweep *sweep, unsigned long n,
			const struct workload_run *run)
{
	char live[sizeof(cf.db)];
	int which;

	strcpy(live, cf.db);
	cf_switch_to_crash();
	if (cf_broken_rules(cf.db) > 0)
		complain(tally, sweep, n, "a rule is broken after a crash");
	cf_open();
	if (!shows(run, run->kept, &which))
		complain(tally, sweep, n, "after a crash: no state since the last fsync");
	if (cf_close() < 0 || cf_broken_rules(cf.db) > 0)
		complain(tally, sweep, n, "a rule is broken after a crash and a mount");
	strcpy(cf.db, live);
}

static void check_live(struct tally *tally, const struct sweep *sweep, unsigned long n,
		       const struct workload_run *run)
{
	unsigned int last = run->pictures - 1;
	int which;

	if (!recovers())
		complain(tally, sweep, n, "it does not recover");
	if (!shows(run, last, &which))
		complain(tally, sweep, n, "the tree is not what succeeded");
	if (cf_close() < 0)
		complain(tally, sweep, n, "the close failed");
	if (cf_broken_rules(cf.db) > 0)
		complain(tally, sweep, n, "a rule is broken");
	cf_open();
	if (!shows(run, last, &which))
		complain(tally, sweep, n, "the tree is not what succeeded, after a remount");
	cf_close();
}

/* A workspace that shows what the first steps made, as its base. */
static void make_base(const struct sweep *sweep, struct workload_run *run)
{
	char own[sizeof(cf.db)];

	strcpy(own, cf.db);
	snprintf(cf.db, sizeof(cf.db), "%s/base.db", cf.dir);
	cf.faulty = false;
	cf_make();
	cf_open();
	workload_begin(run, sweep->base_steps);
	CF_OK(cf_close());
	strcpy(cf.base, cf.db);
	strcpy(cf.db, own);
}

static void set_up(const struct sweep *sweep, struct workload_run *run)
{
	cf_setup();
	cf.chunk_size = CHUNK_SIZE;
	cf.options.commit_interval_ms = 1U << 30; /* the fsyncs commit */
	if (sweep->base_steps)
		make_base(sweep, run);
	cf.faulty = true;
	cf_make();
}

/* One run; false when the fault had no call to hit. */
static bool run_once(struct tally *tally, const struct sweep *sweep, unsigned long n)
{
	struct workload_run run = { .error = sweep->error };
	unsigned long fired;

	set_up(sweep, &run);
	cf.busy_timeout_ms = 20;
	cf_open();
	sweep->arm(sweep, n);
	workload_run(&run);
	fault_vfs_freeze();
	cf_crash_copy();
	fault_vfs_thaw();
	fired = sweep->fired();
	sweep->disarm();
	tally->runs++;
	tally->faults += fired;
	tally->failed += run.failed;
	if (run.wrong > 0)
		complain(tally, sweep, n, "a result that may not be");
	check_live(tally, sweep, n, &run);
	check_crash(tally, sweep, n, &run);
	workload_free(&run);
	cf_teardown();
	return fired > 0;
}

/* A fault that stays until the end: the close says so, and the file is a state of the past. */
static void run_to_the_end(struct tally *tally, const struct sweep *sweep, unsigned long n)
{
	struct workload_run run = { .error = sweep->error };
	unsigned long fired;
	int r, which;

	set_up(sweep, &run);
	cf_open();
	sweep->arm(sweep, n);
	workload_run(&run);
	r = cf_close();
	fired = sweep->fired();
	sweep->disarm();
	tally->faults += fired;
	if (cf_broken_rules(cf.db) > 0)
		complain(tally, sweep, n, "a rule is broken after a close that gave up");
	cf_open();
	if (!shows(&run, run.kept, &which))
		complain(tally, sweep, n, "a close that gave up left no state since the fsync");
	else if (r == 0 && !shows(&run, run.pictures - 1, &which))
		complain(tally, sweep, n, "a close lost something and did not say so");
	workload_free(&run);
	cf_teardown();
}

static bool sweep_one(const struct sweep *sweep, unsigned int number)
{
	struct tally tally = { 0 };
	unsigned long n = 1;

	while (run_once(&tally, sweep, n) && n < CALLS_MAX && tally.wrong < 5)
		n++;
	printf("# %lu runs, %lu faults injected, %lu operations failed\n", tally.runs, tally.faults,
	       tally.failed);
	/* Whether a connection is opened amid the workload is up to the threads. */
	printf("%sok %u - %s%s\n", tally.wrong ? "not " : "", number, sweep->name,
	       tally.faults == 0 ? " # SKIP there was no such call" : "");
	fflush(stdout);
	return tally.wrong == 0;
}

/* Of the faults that stay every third call is enough: they differ little from one to the next. */
static bool sweep_to_the_end(const struct sweep *sweep, unsigned int number)
{
	struct tally tally = { 0 };
	unsigned long before;
	unsigned long n = 1;

	do {
		before = tally.faults;
		run_to_the_end(&tally, sweep, n);
		tally.runs++;
		n += 3;
	} while (tally.faults > before && n < CALLS_MAX && tally.wrong < 5);
	printf("# %lu runs, %lu faults injected\n", tally.runs, tally.faults);
	printf("%sok %u - %s\n", tally.wrong ? "not " : "", number, sweep->name);
	fflush(stdout);
	return tally.wrong == 0;
}

int sweep_all(const struct sweep *sweeps, unsigned int count)
{
	unsigned int failures = 0;

	fault_vfs_register();
	printf("1..%u\n", count);
	for (unsigned int i = 0; i < count; i++)
		failures += sweeps[i].stays ? !sweep_to_the_end(&sweeps[i], i + 1)
					    : !sweep_one(&sweeps[i], i + 1);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
