/* The fuzzer without a fuzzing engine: cases from a seed, each in a process of its own.
 *
 *	fuzz [--count N] [--seed N] [--case N] [--keep FILE]
 *
 * Runs N cases of each kind with a fixed seed, then as many with a random one, which is printed.
 * With --seed only that; with --case too only that case, in this process, for a debugger (--keep
 * leaves its input in FILE). TAP on stdout. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"
#include "util/macro.h"

#define FIXED_SEED   20250101U
#define CASE_SECONDS 60U /* a case that takes longer hangs; most take some milliseconds */

static const char options_seed[] =
	"ro,noatime,busy_timeout_ms=5000,durability=commit,commit_interval_ms=20,max_dirty=64M,"
	"quota=10G,max_file_size=1T,uid=1000,gid=1000,allow_other,threads=4,fsname=a\\,b,"
	"log=/tmp/x,x-a.b=\"c,d\",nosuid,_netdev,user=me,debug";
static const char mountinfo_seed[] =
	"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	"90 22 0:45 / /srv/a\\040b rw,nosuid,nodev - fuse.cairnfs /srv/w.db "
	"rw,user_id=1000,group_id=0\n"
	"91 22 0:46 / /x rw master:2 propagate_from:3 - fuse.cairnfs \\011 rw,user_id=\n";

struct run {
	char dir[200];
	char seed_db[256], db[256];        /* the valid workspace, and the case's */
	char seed_overlay[256], base[256]; /* the valid overlay, and the base it names */
	const char *keep;
};

static void copy_file(const char *from, const char *to)
{
	static char buf[1 << 16];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t n;

	FUZZ_CHECK(in >= 0 && out >= 0, "%s, %s: %s", from, to, strerror(errno));
	while ((n = read(in, buf, sizeof(buf))) > 0)
		FUZZ_CHECK(write(out, buf, (size_t)n) == n, "%s", to);
	close(in);
	close(out);
}

static void write_text(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	FUZZ_CHECK(fd >= 0 && write(fd, text, len) == (ssize_t)len, "%s", path);
	close(fd);
}

static void remove_beside(const char *db)
{
	static const char *const suffixes[] = { "-wal", "-shm", "-journal" };
	char path[300];

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		snprintf(path, sizeof(path), "%s%s", db, suffixes[i]);
		unlink(path);
	}
}

static void run_database(const struct run *run, struct fuzz_rng *rng, bool sql, bool bytes)
{
	char again[300];

	copy_file(run->seed_db, run->db);
	remove_beside(run->db);
	if (sql)
		fuzz_mutate_sql(run->db, rng);
	if (bytes)
		fuzz_mutate_bytes(run->db, rng);
	if (run->keep)
		copy_file(run->db, run->keep);
	snprintf(again, sizeof(again), "%s-copy", run->db);
	copy_file(run->db, again);
	remove_beside(again);
	fuzz_target_check(run->db);
	fuzz_target_core(again);
}

static void run_sql(const struct run *run, struct fuzz_rng *rng)
{
	run_database(run, rng, true, false);
}

static void run_bytes(const struct run *run, struct fuzz_rng *rng)
{
	run_database(run, rng, fuzz_below(rng, 4) == 0, true);
}

static void mutate_overlay(const struct run *run, struct fuzz_rng *rng)
{
	copy_file(run->seed_db, run->base);
	remove_beside(run->base);
	copy_file(run->seed_overlay, run->db);
	remove_beside(run->db);
	if (fuzz_below(rng, 3) == 0)
		fuzz_mutate_sql(run->base, rng);
	fuzz_mutate_sql(run->db, rng);
	if (run->keep)
		copy_file(run->db, run->keep);
}

static void run_overlay(const struct run *run, struct fuzz_rng *rng)
{
	mutate_overlay(run, rng);
	fuzz_target_overlay(run->db);
}

static void run_branch(const struct run *run, struct fuzz_rng *rng)
{
	mutate_overlay(run, rng);
	fuzz_target_branch(run->db, run->base);
}

/* Cheap, so many at a time. */
static void run_options(const struct run *run, struct fuzz_rng *rng)
{
	for (int i = 0; i < 200; i++) {
		char text[1024] = "";
		size_t len = sizeof(options_seed) - 1;

		memcpy(text, options_seed, len);
		fuzz_mutate_text(text, &len, sizeof(text) - 1, rng);
		text[len] = 0;
		fuzz_target_options(text);
	}
}

static void run_mountinfo(const struct run *run, struct fuzz_rng *rng)
{
	for (int i = 0; i < 50; i++) {
		char text[1024] = "";
		size_t len = sizeof(mountinfo_seed) - 1;

		memcpy(text, mountinfo_seed, len);
		fuzz_mutate_text(text, &len, sizeof(text), rng);
		write_text(run->db, text, len);
		fuzz_target_mountinfo(run->db);
	}
}

static const struct {
	const char *name;
	void (*run)(const struct run *run, struct fuzz_rng *rng);
	unsigned int share; /* one case of this many */
} kinds[] = {
	{ "rows and schema", run_sql, 1 },      { "bytes of the file", run_bytes, 1 },
	{ "overlay and base", run_overlay, 1 }, { "mount options", run_options, 10 },
	{ "mount table", run_mountinfo, 10 },   { "commands on branches", run_branch, 1 },
};

static void run_case(const struct run *run, uint64_t seed, unsigned int kind, unsigned int number)
{
	struct fuzz_rng rng = { .state = seed ^ (uint64_t)number << 32 ^ (uint64_t)kind << 60 };

	kinds[kind].run(run, &rng);
}

/* True when the case's process ended well. */
static bool run_apart(const struct run *run, uint64_t seed, unsigned int kind, unsigned int number)
{
	pid_t child;
	int status;

	fflush(NULL);
	child = fork();
	FUZZ_CHECK(child >= 0, "fork: %s", strerror(errno));
	if (child == 0) {
		alarm(CASE_SECONDS);
		run_case(run, seed, kind, number);
		exit(0);
	}
	while (waitpid(child, &status, 0) < 0)
		FUZZ_CHECK(errno == EINTR, "waitpid: %s", strerror(errno));
	if (status == 0)
		return true;
	printf("# %s %d; again: fuzz --seed %lu --kind %u --case %u\n",
	       WIFSIGNALED(status) ? "signal" : "exit status",
	       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), (unsigned long)seed,
	       kind, number);
	return false;
}

static bool run_kind(const struct run *run, uint64_t seed, unsigned int kind, unsigned int count,
		     unsigned int test)
{
	unsigned int failed = 0;

	count = MAX(count / kinds[kind].share, 1U);
	for (unsigned int i = 0; i < count && failed < 10; i++)
		failed += !run_apart(run, seed, kind, i);
	printf("%s %u - %s, %u cases, seed %lu\n", failed ? "not ok" : "ok", test, kinds[kind].name,
	       count, (unsigned long)seed);
	return failed == 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void make_run(struct run *run)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(run->dir, sizeof(run->dir), "%s/cairnfs-fuzz-XXXXXX", tmp ? tmp : "/tmp");
	FUZZ_CHECK(mkdtemp(run->dir), "%s: %s", run->dir, strerror(errno));
	snprintf(run->seed_db, sizeof(run->seed_db), "%s/seed.db", run->dir);
	snprintf(run->db, sizeof(run->db), "%s/case.db", run->dir);
	snprintf(run->seed_overlay, sizeof(run->seed_overlay), "%s/overlay.db", run->dir);
	snprintf(run->base, sizeof(run->base), "%s/base.db", run->dir);
	/* In a process of its own: the core has threads, and this one forks. */
	if (fork() == 0) {
		fuzz_make_workspace(run->seed_db);
		copy_file(run->seed_db, run->base);
		fuzz_make_overlay(run->seed_overlay, run->base);
		_exit(0);
	}
	wait(NULL);
	FUZZ_CHECK(access(run->seed_overlay, F_OK) == 0, "%s", run->seed_overlay);
}

static bool run_all(const struct run *run, const uint64_t *seeds, unsigned int seed_count,
		    unsigned int count)
{
	bool ok = true;

	printf("1..%u\n", (unsigned int)ARRAY_SIZE(kinds) * seed_count);
	for (unsigned int s = 0; s < seed_count; s++)
		for (unsigned int k = 0; k < ARRAY_SIZE(kinds); k++)
			ok &= run_kind(run, seeds[s], k, count,
				       s * (unsigned int)ARRAY_SIZE(kinds) + k + 1);
	return ok;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "count", required_argument, NULL, 'n' }, { "seed", required_argument, NULL, 's' },
		{ "kind", required_argument, NULL, 'k' },  { "case", required_argument, NULL, 'c' },
		{ "keep", required_argument, NULL, 'o' },  { 0 },
	};
	uint64_t seeds[2] = { FIXED_SEED, (uint64_t)time(NULL) ^ (uint64_t)getpid() << 32 };
	unsigned int count = 100, kind = 0, seed_count = 2;
	long only = -1;
	struct run run = { 0 };
	bool ok = true;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'n')
			count = (unsigned int)strtoul(optarg, NULL, 10);
		else if (c == 's') {
			seeds[0] = strtoull(optarg, NULL, 10);
			seed_count = 1;
		} else if (c == 'k')
			kind = (unsigned int)strtoul(optarg, NULL, 10) % ARRAY_SIZE(kinds);
		else if (c == 'c')
			only = strtol(optarg, NULL, 10);
		else if (c == 'o')
			run.keep = optarg;
		else
			return 2;
	}
	make_run(&run);
	if (only >= 0)
		run_case(&run, seeds[0], kind, (unsigned int)only);
	else
		ok = run_all(&run, seeds, seed_count, count);
	nftw(run.dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return ok ? 0 : 1;
}
