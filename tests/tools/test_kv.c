/* The command kv: what it prints, its exit statuses, and many of it at once beside a mount. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "fsutil.h"

enum {
	DONE = 0,
	ERROR = 1,
	USAGE = 2,
	NO_KEY = 3,
	CONFLICT = 4,
};

static void setup(void)
{
	fx_need_cairnfs();
	fx_prepare();
}

TestSuite(kv, .init = setup, .fini = fx_teardown, .timeout = 120);

static struct output o;

/* Runs `cairnfs kv` on the workspace; its exit status is `want`. */
#define kv(want, ...)                                                                              \
	do {                                                                                       \
		fx_cairnfs(&o, "kv", fx.db, __VA_ARGS__);                                          \
		cr_assert_eq(o.status, want, "status %d: %s%s", o.status, o.out, o.err);           \
	} while (0)

#define prints(text) cr_assert_str_eq(o.out, text)

static bool says(const char *text)
{
	return strstr(o.out, text) || strstr(o.err, text);
}

/* The stored text itself. */
static const char *stored(const char *key)
{
	static char text[256];
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = NULL;

	text[0] = '\0';
	sqlite3_open(fx.db, &db);
	sqlite3_prepare_v2(db, "SELECT value FROM kv_store WHERE key = ?1", -1, &stmt, NULL);
	sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
	if (sqlite3_step(stmt) == SQLITE_ROW)
		snprintf(text, sizeof(text), "%s", sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return text;
}

static void store(const char *key, const char *value)
{
	char *sql = sqlite3_mprintf("INSERT OR REPLACE INTO kv_store (key, value) VALUES (%Q, %Q)",
				    key, value);
	sqlite3 *db = NULL;

	sqlite3_open(fx.db, &db);
	cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
	sqlite3_close(db);
	sqlite3_free(sql);
}

/* The version in the JSON that was printed last. */
static char *version(void)
{
	static char text[32];
	const char *at = strstr(o.out, "\"version\": ");

	cr_assert_not_null(at, "%s", o.out);
	snprintf(text, sizeof(text), "%lld", atoll(at + strlen("\"version\": ")));
	return text;
}

Test(kv, set_get_del)
{
	kv(NO_KEY, "get", "k");
	cr_assert(says("there is no key 'k'"));
	prints("");
	kv(DONE, "set", "k", "some text");
	prints("");
	kv(DONE, "get", "k");
	prints("some text");
	kv(DONE, "set", "k", "");
	kv(DONE, "get", "k");
	prints("");
	kv(DONE, "del", "k");
	kv(NO_KEY, "del", "k");
	kv(NO_KEY, "get", "k");
}

Test(kv, takes_an_id)
{
	must(chdir(fx.tmp));
	fx_cairnfs(&o, "kv", "work", "set", "k", "v");
	cr_assert_eq(o.status, DONE, "%s", o.err);
	kv(DONE, "get", "k");
	prints("v");
}

Test(kv, stores_json_as_agentfs_does)
{
	static const char *const texts[][2] = {
		{ "hello", "\"hello\"" },
		{ "say \"hi\"", "\"say \\\"hi\\\"\"" },
		{ "5", "5" },
		{ "-1.5e3", "-1.5e3" },
		{ "true", "true" },
		{ "null", "null" },
		{ "{\"a\": [1, 2]}", "{\"a\": [1, 2]}" },
		{ " [1]\n", "[1]" },
		{ "\"quoted\"", "\"quoted\"" },
		{ "123456789012345678901234567890", "123456789012345678901234567890" },
		{ "{broken", "\"{broken\"" },
		{ "1 2", "\"1 2\"" },
		{ "\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87", "\"\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87\"" },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		kv(DONE, "set", "k", (char *)texts[i][0]);
		cr_assert_str_eq(stored("k"), texts[i][1]);
		kv(DONE, "get", "k", "--raw");
		prints(texts[i][1]);
	}
}

Test(kv, string_comes_back_as_it_went)
{
	static const char *const texts[] = { "5", "\"x\"", "[1]", " true ", "two\nlines\n", "" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		kv(DONE, "set", "k", (char *)texts[i], "--string");
		kv(DONE, "get", "k");
		prints(texts[i]);
	}
	kv(DONE, "set", "k", "5", "--string");
	cr_assert_str_eq(stored("k"), "\"5\"");
}

Test(kv, shows_what_others_stored_without_json)
{
	store("k", "no json at all");
	kv(DONE, "get", "k");
	prints("no json at all");
	kv(DONE, "get", "k", "--json");
	cr_assert(says("\"value\": \"no json at all\""));
}

static int run_with_input(const char *input, size_t size, char *const argv[])
{
	int ends[2];
	pid_t pid;

	must(pipe(ends));
	pid = fx_fork();
	if (pid == 0) {
		dup2(ends[0], 0);
		dup2(open("/dev/null", O_RDWR), 1);
		dup2(1, 2);
		close(ends[1]);
		execv(argv[0], argv);
		_exit(127);
	}
	close(ends[0]);
	cr_assert_eq(write(ends[1], input, size), (ssize_t)size);
	close(ends[1]);
	return fx_wait(pid);
}

Test(kv, value_from_standard_input)
{
	char *const argv[] = { (char *)fx_binary(), "kv", fx.db, "set", "k", "-", NULL };

	cr_assert_eq(run_with_input("line\n", 5, argv), DONE);
	kv(DONE, "get", "k");
	prints("line\n");
	cr_assert_eq(run_with_input("42\n", 3, argv), DONE);
	cr_assert_str_eq(stored("k"), "42");
	/* What the table cannot hold is refused. */
	cr_assert_eq(run_with_input("a\xff", 2, argv), ERROR);
	cr_assert_eq(run_with_input("a\0b", 3, argv), ERROR);
	cr_assert_str_eq(stored("k"), "42");
}

Test(kv, json_has_value_version_and_times)
{
	kv(DONE, "set", "k", "{\"a\":1}", "--json");
	cr_assert(says("\"key\": \"k\""));
	version();
	kv(DONE, "get", "k", "--json");
	cr_assert(says("\"a\": 1"));
	cr_assert(says("\"created_at\": 1"));
	cr_assert(says("\"updated_at\": 1"));
	kv(DONE, "incr", "n", "--json");
	cr_assert(says("\"value\": 1"));
	kv(DONE, "del", "k", "--json");
	cr_assert(says("\"version\": 0"));
}

Test(kv, if_version_changes_only_what_was_seen)
{
	char seen[32];

	kv(CONFLICT, "set", "k", "1", "--if-version", "77");
	kv(DONE, "set", "k", "1", "--if-version", "0");
	kv(CONFLICT, "set", "k", "2", "--if-version", "0");
	cr_assert(says("somebody has changed it"));
	kv(DONE, "get", "k", "--json");
	strcpy(seen, version());
	store("k", "other");
	kv(CONFLICT, "set", "k", "2", "--if-version", seen);
	kv(CONFLICT, "del", "k", "--if-version", seen);
	kv(CONFLICT, "incr", "k", "--if-version", seen);
	cr_assert_str_eq(stored("k"), "other");
	kv(DONE, "get", "k", "--json");
	strcpy(seen, version());
	kv(DONE, "set", "k", "2", "--if-version", seen, "--json");
	strcpy(seen, version());
	kv(DONE, "incr", "k", "--if-version", seen);
	prints("3\n");
	kv(DONE, "get", "k", "--json");
	kv(DONE, "del", "k", "--if-version", version());
	kv(CONFLICT, "del", "k", "--if-version", seen);
	cr_assert(says("no key 'k' any more"));
}

Test(kv, incr_counts)
{
	kv(DONE, "incr", "n");
	prints("1\n");
	kv(DONE, "incr", "n", "41");
	prints("42\n");
	kv(DONE, "incr", "n", "-50");
	prints("-8\n");
	cr_assert_str_eq(stored("n"), "-8");
	kv(ERROR, "incr", "n", "half");
	kv(DONE, "set", "n", "text");
	kv(ERROR, "incr", "n");
	cr_assert(says("no whole number"));
	kv(DONE, "set", "n", "9223372036854775807");
	kv(ERROR, "incr", "n");
	cr_assert(says("64 bits"));
	cr_assert_str_eq(stored("n"), "9223372036854775807");
}

Test(kv, list_is_sorted_and_safe_to_look_at)
{
	kv(DONE, "list");
	prints("");
	kv(DONE, "set", "b/2", "two");
	kv(DONE, "set", "b/1", "1");
	store("a\033[31m", "line\nline\t\xc2\x9b");
	kv(DONE, "list");
	prints("a\\x1b[31m\tline\\nline\\t\\xc2\\x9b\nb/1\t1\nb/2\t\"two\"\n");
	kv(DONE, "list", "b/");
	prints("b/1\t1\nb/2\t\"two\"\n");
	kv(DONE, "list", "c");
	prints("");
	kv(DONE, "list", "b/", "--json");
	cr_assert(says("\"key\": \"b/2\""));
	cr_assert(says("\"value\": \"two\""));
	kv(DONE, "list", "c", "--json");
	prints("[]\n");
}

Test(kv, key_may_look_like_an_option_or_a_number)
{
	kv(DONE, "set", "-5", "minus five");
	kv(DONE, "get", "-5");
	prints("minus five");
	kv(DONE, "set", "--", "--json", "dashes");
	kv(DONE, "get", "--", "--json");
	prints("dashes");
}

Test(kv, wrong_usage_is_told_apart)
{
	kv(USAGE, "frob");
	kv(USAGE, "get");
	kv(USAGE, "get", "a", "b");
	kv(USAGE, "set", "a");
	kv(USAGE, "get", "a", "--if-version", "1");
	kv(USAGE, "set", "a", "b", "--if-version", "x");
	kv(USAGE, "set", "a", "b", "--raw");
	kv(USAGE, "get", "\xff");
	fx_cairnfs(&o, "kv", (char *)fx_tmp_path("absent.db"), "get", "k");
	cr_assert_eq(o.status, ERROR);
	cr_assert(says("there is no workspace"));
}

Test(kv, reading_changes_nothing)
{
	struct stat before, after;

	kv(DONE, "set", "k", "v");
	before = stat_of(fx.db);
	tick();
	kv(DONE, "get", "k");
	kv(DONE, "list");
	after = stat_of(fx.db);
	cr_assert(same_time(before.st_mtim, after.st_mtim));
	cr_assert_not(exists(fx_tmp_path(".agentfs/work.db-wal")));
}

static int run_as_nobody(char *const argv[])
{
	pid_t pid = fx_fork_as(65534, 65534);

	if (pid == 0) {
		dup2(open("/dev/null", O_RDWR), 1);
		dup2(1, 2);
		execv(argv[0], argv);
		_exit(127);
	}
	return fx_wait(pid);
}

Test(kv, reading_needs_no_permission_to_write)
{
	fx_need_root();
	kv(DONE, "set", "k", "v");
	cr_assert_eq(run_as_nobody(
			     (char *const[]){ (char *)fx_binary(), "kv", fx.db, "get", "k", NULL }),
		     DONE);
	cr_assert_eq(run_as_nobody((char *const[]){ (char *)fx_binary(), "kv", fx.db, "set", "k",
						    "w", NULL }),
		     ERROR);
}

/* Many at once, while files are written in a mount. */

enum {
	PROCESSES = 6,
	ROUNDS = 20,
};

static int run_quiet(char *const argv[])
{
	return fx_wait(fx_spawn(argv));
}

static _Noreturn void count_up(void)
{
	char *const argv[] = { (char *)fx_binary(), "kv", fx.db, "incr", "count", NULL };

	for (int i = 0; i < ROUNDS; i++)
		if (run_quiet(argv) != DONE)
			_exit(1);
	_exit(0);
}

/* Adds a letter by reading and a condition, until nobody was quicker. */
static _Noreturn void append_letters(char letter)
{
	char text[PROCESSES * ROUNDS + 2], seen[32];
	struct output out;

	for (int i = 0; i < ROUNDS;) {
		char *at;

		fx_cairnfs(&out, "kv", fx.db, "get", "text", "--json");
		if (out.status != DONE)
			_exit(1);
		o = out;
		strcpy(seen, version());
		at = strstr(out.out, "\"value\": \"") + strlen("\"value\": \"");
		snprintf(text, sizeof(text), "%.*s%c", (int)strcspn(at, "\""), at, letter);
		fx_cairnfs(&out, "kv", fx.db, "set", "text", text, "--if-version", seen);
		if (out.status != DONE && out.status != CONFLICT)
			_exit(1);
		i += out.status == DONE;
	}
	_exit(0);
}

static void wait_all(const pid_t *pids)
{
	for (int i = 0; i < PROCESSES; i++)
		cr_assert_eq(fx_wait(pids[i]), 0);
}

Test(kv, increments_of_many_processes_beside_a_mount)
{
	pid_t pids[PROCESSES];
	char want[32];

	fx_mount("commit_interval_ms=5");
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fx_fork();
		if (pids[i] == 0)
			count_up();
	}
	for (int i = 0; i < 500; i++)
		must(put_text("f", "text"));
	wait_all(pids);
	snprintf(want, sizeof(want), "%d", PROCESSES * ROUNDS);
	kv(DONE, "get", "count");
	prints(want);
	cr_assert(holds_text("f", "text"));
	fx_umount();
	fx_cairnfs(&o, "check", fx.db);
	cr_assert_eq(o.status, 0, "%s", o.out);
}

Test(kv, conditions_of_many_processes_lose_nothing)
{
	pid_t pids[PROCESSES];

	fx_mount(NULL);
	kv(DONE, "set", "text", "", "--string");
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fx_fork();
		if (pids[i] == 0) {
			/* Output files of its own. */
			snprintf(fx.tmp + strlen(fx.tmp), 8, "/p%d", i);
			must(mkdir(fx.tmp, 0755));
			append_letters((char)('a' + i));
		}
	}
	wait_all(pids);
	kv(DONE, "get", "text");
	cr_assert_eq(strlen(o.out), PROCESSES * ROUNDS);
	for (int i = 0; i < PROCESSES; i++) {
		size_t n = 0;

		for (const char *c = o.out; *c; c++)
			n += *c == 'a' + i;
		cr_assert_eq(n, ROUNDS);
	}
}
