#include "sweep.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core_fixture.h"
#include "fault_vfs.h"
#include "workload.h"

#define CHUNK_SIZE 64U
#define CALLS_MAX  20000U /* there are fewer */

/* What goes wrong with memory on the way goes wrong at many calls, and costs three times as much to
 * find: a sanitized run takes each third call. The other takes all. */
#ifdef __SANITIZE_ADDRESS__
#define EVERY 3U
#else
#define EVERY 1U
#endif

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

/* One run; false when the fault had no call to hit. The reader that opening has left is held, so
 * that another connection is opened amid the workload. */
static bool run_once(struct tally *tally, const struct sweep *sweep, unsigned long n)
{
	struct workload_run run = { .error = sweep->error };
	struct cairn_reading held;
	unsigned long fired;

	set_up(sweep, &run);
	cf.busy_timeout_ms = 20;
	cf_open();
	CF_OK(cairn_reading(&cf.core->readers, &held));
	sweep->arm(sweep, n);
	workload_run(&run);
	fault_vfs_freeze();
	cf_crash_copy();
	fault_vfs_thaw();
	fired = sweep->fired();
	sweep->disarm();
	cairn_readingp(&held);
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

/* What a crash leaves behind: a log to be recovered, with all of the workload in it, and an inode
 * that was unlinked while somebody had it open. */
static void leave_a_crash(struct workload_run *run)
{
	uint64_t ino;

	cf_setup();
	cf.chunk_size = CHUNK_SIZE;
	cf.busy_timeout_ms = 20;
	cf.options.commit_interval_ms = 1U << 30;
	cf_make();
	cf_open();
	workload_run(run);
	ino = cf_file(CF_ROOT, "o");
	CF_OK(cf_write_text(ino, "orphan"));
	CF_OK(cf_truncate(ino, 5L * CHUNK_SIZE));
	CF_OK(cairn_core_fsync(cf.core, ino));
	CF_OK(cairn_core_unlink(cf.core, CF_ROOT, "o"));
	CF_OK(cairn_core_fsync(cf.core, CF_ROOT));
	cf_crash_copy();
	CF_OK(cf_close());
}

/* The sweep that before_core() arms, and how. */
static const struct sweep *armed;
static unsigned long armed_n;

static void arm_store(void)
{
	armed->arm(armed, armed_n);
}

static bool may_fail_to_open(const struct sweep *sweep, int r)
{
	return r == sweep->error || (r == -EBUSY && sweep->error == -EAGAIN);
}

/* Opens what the crash left and syncs it, once with the fault and, where it did not open, without.
 * False when the fault had no call to hit. */
static bool open_once(struct tally *tally, const struct sweep *sweep, unsigned long n,
		      const struct workload_run *run)
{
	unsigned long fired;
	int r, which;

	cf_restore_crash();
	armed_n = n;
	cf.before_core = sweep->of_store ? arm_store : NULL;
	if (!sweep->of_store)
		sweep->arm(sweep, n);
	r = cf_try_open();
	cf.before_core = NULL;
	if (r == 0) {
		/* What opening has left to be written, such as the end of the orphan. */
		r = touch_and_sync();
		if (r < 0 && r != sweep->error)
			complain(tally, sweep, n, "the first fsync has an errno that may not be");
		tally->failed += r < 0;
		r = 0;
	}
	fired = sweep->fired();
	sweep->disarm();
	tally->runs++;
	tally->faults += fired;
	tally->failed += r < 0;
	if (r < 0 && !may_fail_to_open(sweep, r)) {
		fprintf(stderr, "%s\n", strerror(-r));
		complain(tally, sweep, n, "it does not open, with an errno that may not be");
	}
	if (r < 0)
		cf_open();
	if (!recovers())
		complain(tally, sweep, n, "it does not recover after it was opened");
	if (!shows(run, run->pictures - 1, &which))
		complain(tally, sweep, n, "what was opened is not what the crash left");
	if (cf_close() < 0 || cf_broken_rules(cf.db) > 0)
		complain(tally, sweep, n, "a rule is broken after it was opened");
	return fired > 0;
}

/* Closes after the workload: the last commit, the checkpoint, the end of the connections. One fault
 * loses nothing there, whatever the close says. */
static bool close_once(struct tally *tally, const struct sweep *sweep, unsigned long n)
{
	struct workload_run run = { 0 };
	unsigned long fired;
	int r, which;

	cf_setup();
	cf.chunk_size = CHUNK_SIZE;
	cf.faulty = sweep->of_store;
	cf.busy_timeout_ms = 20;
	cf.options.commit_interval_ms = 1U << 30;
	cf_make();
	cf_open();
	workload_run(&run);
	sweep->arm(sweep, n);
	r = cf_close();
	fired = sweep->fired();
	sweep->disarm();
	tally->runs++;
	tally->faults += fired;
	tally->failed += r < 0;
	if (r < 0 && r != sweep->error)
		complain(tally, sweep, n, "the close has an errno that may not be");
	if (cf_broken_rules(cf.db) > 0)
		complain(tally, sweep, n, "a rule is broken after the close");
	cf_open();
	if (!shows(&run, run.pictures - 1, &which))
		complain(tally, sweep, n, "the close lost something");
	cf_close();
	workload_free(&run);
	cf_teardown();
	return fired > 0;
}

static void report(const struct tally *tally, unsigned int number, const char *name,
		   const char *when)
{
	printf("# %lu runs, %lu faults injected, %lu operations failed\n", tally->runs,
	       tally->faults, tally->failed);
	/* A call that cannot be hit is a test that tests nothing. */
	printf("%sok %u - %s%s\n", tally->wrong || !tally->faults ? "not " : "", number, name,
	       when);
	fflush(stdout);
}

static bool sweep_opening(const struct sweep *sweep, unsigned int number)
{
	struct workload_run run = { 0 };
	struct tally tally = { 0 };
	unsigned long n = 1;

	leave_a_crash(&run);
	armed = sweep;
	cf.faulty = sweep->of_store;
	while (open_once(&tally, sweep, n, &run) && n < CALLS_MAX && tally.wrong < 5)
		n += EVERY;
	report(&tally, number, sweep->name, ", while it is opened");
	workload_free(&run);
	cf_teardown();
	return tally.wrong == 0 && tally.faults > 0;
}

static bool sweep_closing(const struct sweep *sweep, unsigned int number)
{
	struct tally tally = { 0 };
	unsigned long n = 1;

	while (close_once(&tally, sweep, n) && n < CALLS_MAX && tally.wrong < 5)
		n += EVERY;
	report(&tally, number, sweep->name, ", while it is closed");
	return tally.wrong == 0 && tally.faults > 0;
}

static bool sweep_work(const struct sweep *sweep, unsigned int number)
{
	struct tally tally = { 0 };
	unsigned long n = 1;

	while (run_once(&tally, sweep, n) && n < CALLS_MAX && tally.wrong < 5)
		n += EVERY;
	report(&tally, number, sweep->name, "");
	return tally.wrong == 0 && tally.faults > 0;
}

static bool sweep_to_the_end(const struct sweep *sweep, unsigned int number)
{
	struct tally tally = { 0 };
	unsigned long before;
	unsigned long n = 1;

	do {
		before = tally.faults;
		run_to_the_end(&tally, sweep, n);
		tally.runs++;
		n += sweep->stays;
	} while (tally.faults > before && n < CALLS_MAX && tally.wrong < 5);
	report(&tally, number, sweep->name, "");
	return tally.wrong == 0 && tally.faults > 0;
}

int sweep_all(const struct sweep *sweeps, unsigned int count)
{
	unsigned int tests = 0, failures = 0;

	fault_vfs_register();
	for (unsigned int i = 0; i < count; i++)
		tests += sweeps[i].stays || sweeps[i].base_steps ? 1 : sweeps[i].no_close ? 2 : 3;
	printf("1..%u\n", tests);
	tests = 0;
	for (unsigned int i = 0; i < count; i++) {
		if (sweeps[i].stays) {
			failures += !sweep_to_the_end(&sweeps[i], ++tests);
			continue;
		}
		failures += !sweep_work(&sweeps[i], ++tests);
		if (sweeps[i].base_steps)
			continue; /* what opening and closing do is the same over a base */
		failures += !sweep_opening(&sweeps[i], ++tests);
		if (!sweeps[i].no_close)
			failures += !sweep_closing(&sweeps[i], ++tests);
	}
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
