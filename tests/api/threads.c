/* Threads on two handles of one workspace, every kind of call at once. A plain program, because
 * Criterion does not start under ThreadSanitizer; TAP on stdout. */
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cairnfs/cairnfs.h"

#define THREADS 8U
#define ROUNDS  60U

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("not ok 1 - %s:%d: %s: %s\n", __FILE__, __LINE__, #condition,       \
			       cairnfs_last_error());                                              \
			fflush(stdout);                                                            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static struct cairnfs *handles[2];

static int count_entry(void *arg, const struct cairnfs_entry *entry)
{
	(*(unsigned int *)arg)++;
	return 0;
}

static int count_key(void *arg, const char *key, const char *value)
{
	(*(unsigned int *)arg)++;
	return 0;
}

static void look_around(struct cairnfs *ws)
{
	struct cairnfs_stat st;
	unsigned int n = 0;
	size_t size;
	void *buf;

	CHECK(cairnfs_read_file(ws, "/log", &buf, &size) == 0 && size % 8 == 0);
	free(buf);
	CHECK(cairnfs_stat(ws, "/log", &st) == 0 && st.size >= size);
	CHECK(cairnfs_list(ws, "/", count_entry, &n) == 0 && n > 0);
	CHECK(cairnfs_kv_list(ws, "", count_key, &n) == 0);
	CHECK(cairnfs_exists(ws, "/never") == 0);
}

static void change_things(struct cairnfs *ws, unsigned int number, unsigned int round)
{
	char dir[32], from[64], to[64];

	snprintf(dir, sizeof(dir), "/dir-%u", number);
	snprintf(from, sizeof(from), "/dir-%u/a", number);
	snprintf(to, sizeof(to), "/shared/%u-%u", number, round);
	CHECK(cairnfs_append(ws, "/log", "1234567\n", 8) == 0);
	CHECK(cairnfs_mkdir(ws, dir, 0755, CAIRNFS_PARENTS) == 0);
	CHECK(cairnfs_write_file(ws, from, to, strlen(to)) == 0);
	CHECK(cairnfs_rename(ws, from, to, 0) == 0);
	CHECK(cairnfs_symlink(ws, to, from) == 0);
	CHECK(cairnfs_truncate(ws, from, 3) == 0);
	CHECK(cairnfs_remove(ws, dir, CAIRNFS_RECURSIVE) == 0);
	CHECK(cairnfs_kv_increment(ws, "n", 1, NULL) == 0);
}

static void *run(void *arg)
{
	unsigned int number = (unsigned int)(uintptr_t)arg;
	struct cairnfs *ws = handles[number % 2];

	for (unsigned int round = 0; round < ROUNDS; round++) {
		change_things(ws, number, round);
		look_around(ws);
	}
	CHECK(cairnfs_fsync(ws, "/log") == 0);
	return NULL;
}

static void check_totals(struct cairnfs *ws)
{
	struct cairnfs_stat st;
	unsigned int n = 0;
	char *value;

	CHECK(cairnfs_stat(ws, "/log", &st) == 0 && st.size == 8 * (THREADS * ROUNDS + 1));
	CHECK(cairnfs_list(ws, "/shared", count_entry, &n) == 0 && n == THREADS * ROUNDS);
	CHECK(cairnfs_kv_get(ws, "n", &value, NULL) == 0);
	CHECK(strtoul(value, NULL, 10) == THREADS * ROUNDS);
	free(value);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

int main(void)
{
	struct cairnfs_options options = CAIRNFS_OPTIONS_INIT;
	const char *tmp = getenv("TMPDIR");
	pthread_t threads[THREADS];
	char dir[256], db[300];

	printf("1..1\n");
	snprintf(dir, sizeof(dir), "%s/cairnfs-threads-XXXXXX", tmp ? tmp : "/tmp");
	CHECK(mkdtemp(dir));
	snprintf(db, sizeof(db), "%s/work.db", dir);
	options.create = true;
	for (int i = 0; i < 2; i++)
		CHECK(cairnfs_open(db, &options, &handles[i]) == 0);
	CHECK(cairnfs_mkdir(handles[0], "/shared", 0755, 0) == 0);
	CHECK(cairnfs_append(handles[1], "/log", "1234567\n", 8) == 0);
	for (unsigned int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, run, (void *)(uintptr_t)i) == 0);
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	check_totals(handles[0]);
	check_totals(handles[1]);
	for (int i = 0; i < 2; i++)
		CHECK(cairnfs_close(handles[i]) == 0);
	nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	printf("ok 1 - threads on two handles lose nothing\n");
	return 0;
}
