/* A program that uses the workspace's database while it is mounted, as an agent's SDK does.
 *
 *	foreign DB NAME SECONDS HOLD-MS [LONG-HOLD-MS]
 *
 * For so many seconds it adds rows to kv_store and to tool_calls and counts up in kv_store, in
 * transactions that keep the write lock for a random time of up to HOLD-MS; now and then one keeps
 * it for LONG-HOLD-MS. Prints how many transactions there were: each left one row `NAME-<n>` in
 * kv_store, one row NAME in tool_calls, and one more in the count `NAME`. Any error ends it with
 * status 1: it waits for a lock for two minutes, and a mount never needs one that long. */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "crash/listing.h"

#define WAIT_MS    120000
#define LONG_EVERY 40 /* transactions */

struct foreign {
	sqlite3 *db;
	const char *name;
	struct rng rng;
	uint32_t hold_ms, long_hold_ms;
};

static bool run(struct foreign *foreign, char *text)
{
	char *message = NULL;
	int rc = text ? sqlite3_exec(foreign->db, text, NULL, NULL, &message) : SQLITE_NOMEM;

	if (rc != SQLITE_OK)
		fprintf(stderr, "foreign: %s in: %s\n", message ? message : sqlite3_errstr(rc),
			text);
	sqlite3_free(message);
	sqlite3_free(text);
	return rc == SQLITE_OK;
}

static void hold(struct foreign *foreign, unsigned int number)
{
	bool is_long = foreign->long_hold_ms && number % LONG_EVERY == LONG_EVERY / 2;
	uint32_t limit = rng_below(&foreign->rng, 4) ? 50 : foreign->hold_ms;
	uint32_t ms = is_long ? foreign->long_hold_ms : rng_below(&foreign->rng, limit + 1);
	const struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

static bool transaction(struct foreign *foreign, unsigned int number)
{
	const char *name = foreign->name;

	if (!run(foreign, sqlite3_mprintf("BEGIN IMMEDIATE")) ||
	    !run(foreign, sqlite3_mprintf("INSERT INTO kv_store (key, value) VALUES ('%q-%u', "
					  "'{\"number\":%u}')",
					  name, number, number)))
		return false;
	hold(foreign, number);
	return run(foreign, sqlite3_mprintf("INSERT INTO tool_calls (name, parameters, status, "
					    "started_at) VALUES ('%q', '%u', 'success', %u)",
					    name, number, number)) &&
	       run(foreign, sqlite3_mprintf("INSERT INTO kv_store (key, value) VALUES ('%q', '1') "
					    "ON CONFLICT (key) DO UPDATE SET value = value + 1",
					    name)) &&
	       run(foreign, sqlite3_mprintf("COMMIT"));
}

static bool work(struct foreign *foreign, time_t seconds, unsigned int *ret)
{
	time_t end = time(NULL) + seconds;
	unsigned int number = 0;

	while (time(NULL) < end) {
		const struct timespec pause = { .tv_nsec =
							rng_below(&foreign->rng, 300) * 1000000L };

		if (!transaction(foreign, ++number))
			return false;
		nanosleep(&pause, NULL);
	}
	*ret = number;
	return true;
}

int main(int argc, char **argv)
{
	struct foreign foreign = { 0 };
	unsigned int count = 0;
	bool ok;

	if (argc < 5) {
		fprintf(stderr, "usage: foreign DB NAME SECONDS HOLD-MS [LONG-HOLD-MS]\n");
		return 2;
	}
	foreign.name = argv[2];
	foreign.rng.state = hash_bytes(argv[2], 1);
	foreign.hold_ms = (uint32_t)strtoul(argv[4], NULL, 10);
	foreign.long_hold_ms = argc > 5 ? (uint32_t)strtoul(argv[5], NULL, 10) : 0;
	ok = sqlite3_open_v2(argv[1], &foreign.db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK;
	if (ok)
		sqlite3_busy_timeout(foreign.db, WAIT_MS);
	else
		fprintf(stderr, "foreign: %s: %s\n", argv[1], sqlite3_errmsg(foreign.db));
	ok = ok && work(&foreign, strtol(argv[3], NULL, 10), &count);
	sqlite3_close(foreign.db);
	if (!ok)
		return 1;
	printf("%u\n", count);
	return 0;
}
