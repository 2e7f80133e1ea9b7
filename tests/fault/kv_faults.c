/* Keys and values while calls of SQLite's VFS or of its allocator fail: each once in its turn, or
 * all from then on. A change is there whole or not at all, what was acknowledged stays, and a lock
 * that another process has for a moment fails nobody. */
#include <errno.h>
#include <sqlite3.h>
#include <string.h>

#include "core_fixture.h"
#include "fault_memory.h"
#include "fault_vfs.h"
#include "store/kv.h"

#define CALLS_MAX   5000U /* there are fewer */
#define BUSY_MS     20U
#define PICTURE_MAX 8192
#define VALUE_MAX   6000

enum act { SET, GET, LOOK, LIST, DROP, ADD, SWAP };

struct step {
	enum act act;
	char key[2];
	const char *value, *expected; /* NULL: no value */
	int number;
};

#define LONG_VALUE "L" /* stands for one of several pages */

static const struct step steps[] = {
	{ GET, "a", NULL, NULL, 0 },   { SET, "a", "one", NULL, 0 },
	{ SET, "b", "text", NULL, 0 }, { GET, "a", NULL, NULL, 0 },
	{ ADD, "n", NULL, NULL, 5 },   { SWAP, "a", "two", "one", 0 },
	{ SWAP, "a", "x", "one", 0 },  { SWAP, "c", "new", NULL, 0 },
	{ LIST, "", NULL, NULL, 0 },   { SET, "b", LONG_VALUE, NULL, 0 },
	{ LOOK, "b", NULL, NULL, 0 },  { DROP, "c", NULL, NULL, 0 },
	{ DROP, "c", NULL, NULL, 0 },  { ADD, "n", NULL, NULL, -7 },
	{ ADD, "a", NULL, NULL, 1 },   { SWAP, "b", NULL, LONG_VALUE, 0 },
	{ GET, "n", NULL, NULL, 0 },   { SET, "a", "last", NULL, 0 },
	{ LIST, "", NULL, NULL, 0 },
};

/* Values by the letter of their key; "": none. */
struct model {
	char value['z' + 1][VALUE_MAX + 1];
};

struct sweep {
	const char *name;
	int error; /* what a call may get besides its right result; 0: nothing */
	/* From the n-th call on, not only that one; only one n in so many is tried. 0: once. */
	unsigned int stays;
	bool memory;          /* the allocator, else the VFS */
	enum fault_call call; /* of the VFS */
	int code;
};

struct tally {
	unsigned long runs, faults, failed, wrong;
};

/* One run. */
struct run {
	const struct sweep *sweep;
	struct tally *tally;
	unsigned long n;
	struct cairn_store *store;
	struct cairn_kv *kv;
	/* What was acknowledged, and what is there besides if a change that failed is. */
	struct model model, maybe[ARRAY_SIZE(steps)];
	unsigned int maybes;
};

static void complain(const struct run *run, const char *what)
{
	fprintf(stderr, "%s, call %lu: %s\n", run->sweep->name, run->n, what);
	run->tally->wrong++;
}

static void arm(const struct sweep *sweep, unsigned long n)
{
	if (sweep->memory)
		fault_memory_fail(n, sweep->stays > 0);
	else
		fault_vfs_fail(sweep->call, n, sweep->code, sweep->stays > 0);
}

static unsigned long disarm(const struct sweep *sweep)
{
	if (sweep->memory) {
		fault_memory_clear();
		return fault_memory_fired();
	}
	fault_vfs_clear();
	return fault_vfs_fired();
}

static const char *text_of(const char *value)
{
	static char text[VALUE_MAX + 1];

	if (!value || strcmp(value, LONG_VALUE) != 0)
		return value;
	memset(text, 'v', VALUE_MAX);
	return text;
}

/* The same change in the model, and what it must say. */
static int model_apply(struct model *model, const struct step *step)
{
	char *value = model->value[(unsigned char)step->key[0]], *end;
	const char *to = text_of(step->value), *expected = text_of(step->expected);
	long number;

	switch (step->act) {
	case SET:
		strcpy(value, to);
		return 0;
	case DROP:
		if (!value[0])
			return -ENOENT;
		value[0] = '\0';
		return 0;
	case ADD:
		number = strtol(value, &end, 10);
		if (*end)
			return -EINVAL;
		snprintf(value, VALUE_MAX, "%ld", number + step->number);
		return 0;
	case SWAP:
		if (strcmp(value, expected ?: "") != 0)
			return 0;
		strcpy(value, to ?: "");
		return 1;
	case LIST:
		return 0;
	default:
		return value[0] ? 0 : -ENOENT;
	}
}

static void add_line(char *text, const char *key, const char *value)
{
	size_t len = strlen(text);

	snprintf(text + len, PICTURE_MAX - len, "%s=%s\n", key, value);
}

static void model_picture(const struct model *model, char text[PICTURE_MAX])
{
	text[0] = '\0';
	for (char key[2] = "a"; key[0] <= 'z'; key[0]++)
		if (model->value[(unsigned char)key[0]][0])
			add_line(text, key, model->value[(unsigned char)key[0]]);
}

static int look(struct cairn_kv *kv, char text[PICTURE_MAX])
{
	struct cairn_kv_list list;
	int r;

	r = cairn_kv_list(kv, "", &list);
	if (r < 0)
		return r;
	text[0] = '\0';
	for (size_t i = 0; i < list.count; i++)
		add_line(text, list.pairs[i].key, list.pairs[i].value);
	cairn_kv_list_done(&list);
	return 0;
}

static bool shows(struct cairn_kv *kv, const struct model *model)
{
	char seen[PICTURE_MAX], expected[PICTURE_MAX];

	model_picture(model, expected);
	return look(kv, seen) == 0 && strcmp(seen, expected) == 0;
}

static void expect_value(const struct run *run, const struct step *step, const char *value)
{
	if (strcmp(value, run->model.value[(unsigned char)step->key[0]]) != 0)
		complain(run, "a value is not what was set");
}

/* A reading step; what it reads is compared. */
static int read_step(const struct run *run, const struct step *step)
{
	_cleanup_(cairn_kv_pair_done) struct cairn_kv_pair pair = { 0 };
	_cleanup_(cairn_freep) char *value = NULL;
	char seen[PICTURE_MAX], expected[PICTURE_MAX];
	size_t size;
	int r;

	switch (step->act) {
	case GET:
		r = cairn_kv_get(run->kv, step->key, &value, &size);
		if (r == 0)
			expect_value(run, step, value);
		return r;
	case LOOK:
		r = cairn_kv_look(run->kv, step->key, &pair);
		if (r == 0)
			expect_value(run, step, pair.value);
		return r;
	default:
		r = look(run->kv, seen);
		model_picture(&run->model, expected);
		if (r == 0 && strcmp(seen, expected) != 0)
			complain(run, "a list is not what was set");
		return r;
	}
}

static int write_step(struct cairn_kv *kv, const struct step *step)
{
	_cleanup_(cairn_freep) char *expected = NULL;

	switch (step->act) {
	case SET:
		return cairn_kv_set(kv, step->key, text_of(step->value));
	case DROP:
		return cairn_kv_delete(kv, step->key);
	case ADD:
		return cairn_kv_add(kv, step->key, step->number, NULL);
	default:
		if (step->expected)
			expected = strdup(text_of(step->expected));
		return cairn_kv_swap(kv, step->key, expected, text_of(step->value));
	}
}

static void run_step(struct run *run, const struct step *step)
{
	bool reads = step->act == GET || step->act == LOOK || step->act == LIST;
	struct model after = run->model;
	int right = model_apply(&after, step), r;

	r = reads ? read_step(run, step) : write_step(run->kv, step);
	if (r == right) {
		run->model = after;
		/* The log goes on where it was before what failed. */
		if (!reads && r >= 0)
			run->maybes = 0;
	} else if (run->sweep->error && r == run->sweep->error) {
		run->tally->failed++;
		if (!reads)
			run->maybe[run->maybes++] = after;
	} else {
		fprintf(stderr, "step %td: %d, not %d\n", step - steps, r, right);
		complain(run, "a result that may not be");
	}
}

static struct cairn_store *open_store(void)
{
	struct cairn_store_options options = { .busy_timeout_ms = BUSY_MS, .log = &cf.log_to };
	struct cairn_error err = { 0 };
	struct cairn_store *store;

	CF_CHECK(cairn_sqlite_store_open(cf.db, &options, &store, &err) == 0, "%s", err.text);
	return store;
}

/* Opens the keys with the fault armed, and once more without where that failed. */
static void open_keys(struct run *run)
{
	int r;

	r = cairn_kv_open(run->store, BUSY_MS, true, &run->kv);
	if (r == 0)
		return;
	if (!run->sweep->error || r != run->sweep->error) {
		fprintf(stderr, "opening: %s\n", strerror(-r));
		complain(run, "they do not open, with an errno that may not be");
	}
	run->tally->failed++;
	disarm(run->sweep);
	CF_OK(cairn_kv_open(run->store, BUSY_MS, true, &run->kv));
}

static void close_keys(struct run *run)
{
	cairn_kv_close(run->kv);
	run->store->ops->close(run->store);
	if (cf_broken_rules(cf.db) > 0)
		complain(run, "a rule is broken");
}

static bool shows_model_or_more(const struct run *run)
{
	if (shows(run->kv, &run->model))
		return true;
	for (unsigned int i = 0; i < run->maybes; i++)
		if (shows(run->kv, &run->maybe[i]))
			return true;
	return false;
}

/* With the fault gone. */
static void check_live(struct run *run)
{
	static const struct step one_more = { SET, "z", "works", NULL, 0 };

	if (!shows(run->kv, &run->model))
		complain(run, "the keys are not what succeeded");
	model_apply(&run->model, &one_more);
	if (write_step(run->kv, &one_more) != 0)
		complain(run, "it does not recover");
	close_keys(run);
	run->store = open_store();
	CF_OK(cairn_kv_open(run->store, BUSY_MS, true, &run->kv));
	if (!shows(run->kv, &run->model))
		complain(run, "the keys are not what succeeded, after they were opened again");
	close_keys(run);
}

/* What kill -9 right after the steps would have left. */
static void check_crash(struct run *run)
{
	cf_switch_to_crash();
	run->store = open_store();
	CF_OK(cairn_kv_open(run->store, BUSY_MS, true, &run->kv));
	if (!shows_model_or_more(run))
		complain(run, "after a crash: not what was acknowledged");
	close_keys(run);
}

/* False when the fault had no call to hit. */
static bool run_once(struct tally *tally, const struct sweep *sweep, unsigned long n)
{
	static struct run run;
	static struct model before_recovery;
	unsigned long fired;

	memset(&run, 0, sizeof(run));
	run.sweep = sweep;
	run.tally = tally;
	run.n = n;
	cf_setup_made();
	run.store = open_store();
	arm(sweep, n);
	open_keys(&run);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		run_step(&run, &steps[i]);
	cf_crash_copy();
	fired = disarm(sweep);
	tally->runs++;
	tally->faults += fired;
	before_recovery = run.model;
	check_live(&run);
	run.model = before_recovery;
	check_crash(&run);
	cf_teardown();
	return fired > 0;
}

#define VFS(text, call_, code_, errno_, stays_)                                                    \
	{                                                                                          \
		.name = text, .error = errno_, .stays = stays_, .call = call_, .code = code_       \
	}

static const struct sweep sweeps[] = {
	VFS("a read fails once", FAULT_READ, SQLITE_IOERR_READ, -EIO, 0),
	VFS("a write fails once", FAULT_WRITE, SQLITE_IOERR_WRITE, -EIO, 0),
	VFS("a write finds the disk full once", FAULT_WRITE, SQLITE_FULL, -ENOSPC, 0),
	VFS("a sync fails once", FAULT_FSYNC, SQLITE_IOERR_FSYNC, -EIO, 0),
	VFS("a lock is taken once", FAULT_LOCK, SQLITE_BUSY, 0, 0),
	VFS("a lock fails once", FAULT_LOCK, SQLITE_IOERR_LOCK, -EIO, 0),
	VFS("a lock of the log is taken once", FAULT_SHM_LOCK, SQLITE_BUSY, 0, 0),
	VFS("a lock of the log is another connection's once", FAULT_SHM_LOCK, SQLITE_LOCKED, 0, 0),
	VFS("a map of the log's index fails once", FAULT_SHM_MAP, SQLITE_IOERR_SHMMAP, -EIO, 0),
	VFS("the size of a file is not known once", FAULT_FILE_SIZE, SQLITE_IOERR_FSTAT, -EIO, 0),
	VFS("a file does not open once", FAULT_OPEN, SQLITE_CANTOPEN, -EIO, 0),
	{ .name = "no memory is found once", .error = -ENOMEM, .memory = true },
	VFS("writes fail for good", FAULT_WRITE, SQLITE_IOERR_WRITE, -EIO, 1),
	VFS("the disk is full for good", FAULT_WRITE, SQLITE_FULL, -ENOSPC, 1),
	VFS("syncs fail for good", FAULT_FSYNC, SQLITE_IOERR_FSYNC, -EIO, 1),
	{ .name = "no memory is found for good", .error = -ENOMEM, .memory = true, .stays = 29 },
};

static bool sweep_one(const struct sweep *sweep, unsigned int number)
{
	struct tally tally = { 0 };
	unsigned long n = 1;

	while (run_once(&tally, sweep, n) && n < CALLS_MAX && tally.wrong < 5)
		n += MAX(sweep->stays, 1U);
	printf("# %lu runs, %lu faults injected, %lu calls failed\n", tally.runs, tally.faults,
	       tally.failed);
	/* A call that cannot be hit is a test that tests nothing. */
	printf("%sok %u - keys: %s\n", tally.wrong || !tally.faults ? "not " : "", number,
	       sweep->name);
	fflush(stdout);
	return tally.wrong == 0 && tally.faults > 0;
}

int main(void)
{
	unsigned int failures = 0;

	fault_memory_install();
	fault_vfs_register();
	printf("1..%zu\n", ARRAY_SIZE(sweeps));
	for (unsigned int i = 0; i < ARRAY_SIZE(sweeps); i++)
		failures += !sweep_one(&sweeps[i], i + 1);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
