/* snapshot, fork and restore as commands: of mounted workspaces under load, with what is in memory
 * alone, and when they are killed. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "fsutil.h"

/* Nothing is committed unless somebody asks for it. */
#define LAZY "commit_interval_ms=600000"

static void setup(void)
{
	fx_need_cairnfs();
	fx_prepare();
	must(mkdir(fx_tmp_path("copy"), 0755));
}

TestSuite(snapshot, .init = setup, .fini = fx_teardown, .timeout = 120);
TestSuite(fork, .init = setup, .fini = fx_teardown, .timeout = 60);
TestSuite(restore, .init = setup, .fini = fx_teardown, .timeout = 60);

static struct output o;

#define succeeds(...)                                                                              \
	do {                                                                                       \
		fx_cairnfs(&o, __VA_ARGS__);                                                       \
		cr_assert_eq(o.status, 0, "status %d: %s", o.status, o.err);                       \
	} while (0)

#define refused(...)                                                                               \
	do {                                                                                       \
		fx_cairnfs(&o, __VA_ARGS__);                                                       \
		cr_assert_eq(o.status, 1, "status %d: %s", o.status, o.out);                       \
		cr_assert_str_empty(o.out);                                                        \
	} while (0)

static bool says(const char *text)
{
	return strstr(o.err, text) || strstr(o.out, text);
}

static char *at(const char *name)
{
	return (char *)fx_tmp_path(name);
}

static char *copy_path(void)
{
	return at("copy.db");
}

/* Mounts a copy beside the original, read-only, and takes it away again. */
static void mount_copy(const char *db)
{
	succeeds("mount", (char *)db, at("copy"), "-o", "ro");
}

static void umount_copy(void)
{
	succeeds("umount", at("copy"));
}

static const char *in_copy(const char *name)
{
	char below[PATH_MAX + 8];

	snprintf(below, sizeof(below), "copy/%s", name);
	return fx_tmp_path(below);
}

static size_t count_drafts(void)
{
	glob_t found = { 0 };
	size_t n = 0;

	if (glob(fx_tmp_path(".cairnfs-draft-*"), 0, NULL, &found) == 0)
		n = found.gl_pathc;
	globfree(&found);
	return n;
}

Test(snapshot, of_an_unmounted_workspace)
{
	fx_mount(NULL);
	must(put_text("f", "text"));
	fx_umount();
	succeeds("snapshot", fx.db, copy_path());
	cr_assert(says("holds"));
	mount_copy(copy_path());
	cr_assert(holds_text(in_copy("f"), "text"));
	umount_copy();
}

Test(snapshot, has_what_the_mount_has_in_memory_alone)
{
	fx_mount(LAZY);
	must(put_text("f", "text"));
	must(mkdir("d", 0750));
	succeeds("snapshot", fx.db, copy_path());
	succeeds("check", copy_path());
	mount_copy(copy_path());
	cr_assert(holds_text(in_copy("f"), "text"));
	cr_assert_eq(mode_of(in_copy("d")), 0750);
	umount_copy();
}

/* It is another process that has the file open: the kernel hands all over at each close. */
Test(snapshot, has_what_the_kernel_has_gathered)
{
	int ends[2], fd;
	pid_t child;
	char byte = 0;

	fx_mount(LAZY ",writeback_cache");
	must(pipe(ends));
	child = fx_fork();
	if (child == 0) {
		fd = open("f", O_RDWR | O_CREAT, 0644);
		if (write_at(fd, 0, "text", 4) < 0 || write(ends[1], &byte, 1) != 1)
			_exit(1);
		_exit(pause());
	}
	cr_assert_eq(read(ends[0], &byte, 1), 1);
	succeeds("snapshot", fx.db, copy_path());
	kill(child, SIGKILL);
	fx_wait(child);
	mount_copy(copy_path());
	cr_assert(holds_text(in_copy("f"), "text"));
	umount_copy();
}

Test(snapshot, of_a_read_only_mount)
{
	fx_mount("ro");
	succeeds("snapshot", fx.db, copy_path());
	succeeds("check", copy_path());
}

Test(snapshot, takes_an_id_and_prints_json)
{
	must(chdir(fx.tmp));
	succeeds("snapshot", "work", "copy.db", "--json");
	cr_assert(says("\"file\": \"copy.db\""), "%s", o.out);
	cr_assert(says("\"workspace\": "));
	cr_assert(says("\"size\": "));
	cr_assert_str_empty(o.err);
}

Test(snapshot, never_overwrites_unless_told)
{
	must(put_text(copy_path(), "mine"));
	refused("snapshot", fx.db, copy_path());
	cr_assert(says("already exists"));
	cr_assert(holds_text(copy_path(), "mine"));
	succeeds("snapshot", fx.db, copy_path(), "--force");
	succeeds("check", copy_path());
	refused("snapshot", fx.db, fx.db, "--force");
	cr_assert(says("the workspace itself"));
	cr_assert_eq(count_drafts(), 0);
}

Test(snapshot, does_not_replace_a_mounted_workspace)
{
	succeeds("fork", fx.db, copy_path());
	mount_copy(copy_path());
	refused("snapshot", fx.db, copy_path(), "--force");
	cr_assert(says("is already mounted on"));
	umount_copy();
}

Test(snapshot, of_what_is_no_workspace_says_so)
{
	refused("snapshot", at("absent"), copy_path());
	cr_assert(says("there is no workspace"), "%s", o.err);
	must(put_text(fx_tmp_path("text"), "no database\n"));
	refused("snapshot", at("text"), copy_path());
	cr_assert(says("no SQLite file"));
	cr_assert_not(exists(copy_path()));
}

/* A mount in a mount namespace of its own, as a sandbox has it. */
Test(snapshot, reaches_a_mount_in_another_namespace)
{
	char command[3 * PATH_MAX];
	pid_t daemon;

	fx_need_root();
	snprintf(command, sizeof(command), "'%s' mount '%s' '%s' -o " LAZY " && echo text > '%s/f'",
		 fx_binary(), fx.db, fx.mnt, fx.mnt);
	fx_run(&o, (char *const[]){ "unshare", "-m", "sh", "-c", command, NULL });
	cr_assert_eq(o.status, 0, "%s", o.err);
	daemon = fx_daemon_pid();
	cr_assert_not(fx_is_mounted());
	succeeds("snapshot", fx.db, copy_path());
	kill(daemon, SIGTERM);
	cr_assert(fx_daemon_ends(daemon));
	mount_copy(copy_path());
	cr_assert(holds_text(in_copy("f"), "text\n"));
	umount_copy();
}

static void mount_as_nobody(void)
{
	pid_t child;

	fx_need_root();
	must(chmod("/dev/fuse", 0666));
	must(chown(fx.mnt, 65534, 65534));
	must(chown(fx_tmp_path(".agentfs"), 65534, 65534));
	must(chown(fx.db, 65534, 65534));
	child = fx_fork_as(65534, 65534);
	if (child == 0) {
		execl(fx_binary(), "cairnfs", "mount", fx.db, fx.mnt, "-o", LAZY, NULL);
		_exit(127);
	}
	cr_assert_eq(fx_wait(child), 0);
	child = fx_fork_as(65534, 65534);
	if (child == 0)
		_exit(chdir(fx.mnt) < 0 || put_text("f", "text") < 0);
	cr_assert_eq(fx_wait(child), 0);
}

Test(snapshot, by_root_of_another_users_mount)
{
	mount_as_nobody();
	succeeds("snapshot", fx.db, copy_path());
	mount_copy(copy_path());
	cr_assert(holds_text(in_copy("f"), "text"));
	umount_copy();
}

Test(snapshot, of_another_users_mount_is_refused_to_others)
{
	pid_t child;

	mount_as_nobody();
	must(chmod(fx.tmp, 0777));
	child = fx_fork_as(65533, 65533);
	if (child == 0) {
		execl(fx_binary(), "cairnfs", "snapshot", fx.db, copy_path(), NULL);
		_exit(127);
	}
	cr_assert_eq(fx_wait(child), 1);
	cr_assert_not(exists(copy_path()));
}

/* Under load. Each writer makes files 0, 1, 2, ... of its own with a text that tells the number,
 * renames the one before, and counts what it has done. */

enum {
	WRITERS = 4,
	SNAPSHOTS = 12,
	SIZE = 20000,
	BATCH = 50,  /* files in a directory */
	SHARE = 100, /* that a writer makes around each snapshot, at most */
};

struct counters {
	atomic_int allowed; /* how many files each may make by now */
	atomic_int done[WRITERS];
};

static struct counters *counters;

static void content_of(int writer, int n, unsigned char ret[SIZE])
{
	fill_pattern(ret, SIZE, (unsigned)(writer * 100000 + n));
}

static void name_of(int writer, int n, bool renamed, char ret[64])
{
	snprintf(ret, 64, "w%d/%d/%s%d", writer, n / BATCH, renamed ? "old" : "new", n);
}

static int make_one(int writer, int n)
{
	unsigned char content[SIZE];
	char name[64], before[64], after[64];

	if (n % BATCH == 0) {
		snprintf(name, sizeof(name), "w%d/%d", writer, n / BATCH);
		if (mkdir(name, 0755) < 0)
			return -1;
	}
	content_of(writer, n, content);
	name_of(writer, n, false, name);
	if (put_bytes(name, content, SIZE) < 0)
		return -1;
	if (n == 0)
		return 0;
	name_of(writer, n - 1, false, before);
	name_of(writer, n - 1, true, after);
	return rename(before, after);
}

static void start_writers(pid_t pids[WRITERS])
{
	char name[64];

	counters = mmap(NULL, sizeof(*counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	for (int w = 0; w < WRITERS; w++) {
		snprintf(name, sizeof(name), "w%d", w);
		must(mkdir(name, 0755));
		pids[w] = fx_fork();
		if (pids[w] != 0)
			continue;
		for (int n = 0;; n++) {
			if (make_one(w, n) < 0)
				_exit(1);
			atomic_store(&counters->done[w], n + 1);
			while (n + 1 >= atomic_load(&counters->allowed))
				usleep(1000);
		}
	}
}

static void stop_writers(const pid_t pids[WRITERS])
{
	for (int w = 0; w < WRITERS; w++) {
		kill(pids[w], SIGKILL);
		cr_assert_eq(fx_wait(pids[w]), 128 + SIGKILL, "writer %d has failed", w);
	}
}

/* Whether file `n` is there, under the one name or the other. What was renamed is followed by
 * another. */
static bool find_file(int writer, int n, char ret_path[PATH_MAX])
{
	char name[64];
	bool there[2];

	for (int renamed = 0; renamed < 2; renamed++) {
		name_of(writer, n, renamed, name);
		there[renamed] = exists(in_copy(name));
		if (there[renamed])
			strcpy(ret_path, in_copy(name));
	}
	cr_assert_not(there[0] && there[1], "%s has both its names", name);
	return there[0] || there[1];
}

static void check_file(int writer, int n)
{
	unsigned char content[SIZE];
	char path[PATH_MAX];

	cr_assert(find_file(writer, n, path));
	content_of(writer, n, content);
	cr_assert(holds_bytes(path, content, SIZE), "%s", path);
}

/* The files of a writer are 0 to some number between what was done before and after, all whole but
 * for the last one that it had begun. */
static void check_writer(int writer, int before, int after)
{
	char path[PATH_MAX];
	int count = 0;

	while (find_file(writer, count, path))
		count++;
	for (int n = count + 1; n < count + 4; n++)
		cr_assert_not(find_file(writer, n, path), "%s without %d", path, count);
	cr_assert_geq(count, before, "writer %d", writer);
	cr_assert_leq(count, after + 1, "writer %d", writer);
	for (int n = 0; n < count && (n < before || n < count - 1); n++)
		check_file(writer, n);
	for (int n = 0; n < count - 2; n++) {
		name_of(writer, n, false, path);
		cr_assert_not(exists(in_copy(path)), "%s was renamed", path);
	}
}

static void snapshot_under_load(const char *options)
{
	int before[WRITERS], after[WRITERS];
	pid_t pids[WRITERS];

	fx_mount(options);
	start_writers(pids);
	for (int i = 0; i < SNAPSHOTS; i++) {
		atomic_fetch_add(&counters->allowed, SHARE);
		usleep(30000);
		for (int w = 0; w < WRITERS; w++)
			before[w] = atomic_load(&counters->done[w]);
		succeeds("snapshot", fx.db, copy_path());
		for (int w = 0; w < WRITERS; w++)
			after[w] = atomic_load(&counters->done[w]);
		succeeds("check", copy_path());
		mount_copy(copy_path());
		for (int w = 0; w < WRITERS; w++)
			check_writer(w, before[w], after[w]);
		umount_copy();
		must(unlink(copy_path()));
	}
	stop_writers(pids);
	for (int w = 0; w < WRITERS; w++)
		cr_assert_gt(atomic_load(&counters->done[w]), 0);
}

Test(snapshot, under_load_is_a_state_that_was)
{
	snapshot_under_load("commit_interval_ms=20");
}

Test(snapshot, under_load_with_large_batches)
{
	snapshot_under_load(NULL);
}

/* A workspace that takes a while to copy. */
static void make_large(void)
{
	unsigned char *content = new_pattern(1 << 20, 1);
	int fd;

	fx_mount(NULL);
	fd = must(open("large", O_WRONLY | O_CREAT, 0644));
	for (int i = 0; i < 96; i++)
		must(write_at(fd, (off_t)i << 20, content, 1 << 20));
	close(fd);
	free(content);
	fx_umount();
	succeeds("init", at("small.db"));
}

/* Starts a snapshot and sends it a signal, `after_us` after it has begun to copy; its status. */
static int interrupt(int signal, int after_us)
{
	char *const argv[] = { (char *)fx_binary(), "snapshot", fx.db, copy_path(), NULL };
	size_t before = count_drafts();
	pid_t pid = fx_spawn(argv);

	for (int i = 0; i < 2000 && count_drafts() == before && !exists(copy_path()); i++)
		usleep(500);
	usleep((useconds_t)after_us);
	kill(pid, signal);
	return fx_wait(pid);
}

Test(snapshot, that_is_killed_leaves_nothing_half_made)
{
	int killed = 0;

	make_large();
	for (int i = 0; i < 25; i++) {
		interrupt(SIGKILL, 2000 * i);
		/* With what SQLite puts beside it while its log is tried. */
		cr_assert_leq(count_drafts(), 3);
		killed += count_drafts() > 0;
		if (exists(copy_path())) {
			succeeds("check", copy_path());
			must(unlink(copy_path()));
		}
		/* The next one removes what this one left. */
		succeeds("fork", at("small.db"), at("other.db"));
		cr_assert_eq(count_drafts(), 0);
		must(unlink(at("other.db")));
	}
	cr_assert_gt(killed, 0, "none was killed in the middle");
	succeeds("check", fx.db);
}

Test(snapshot, that_is_ended_cleans_up)
{
	int ended = 0;

	make_large();
	for (int i = 0; i < 25; i++) {
		cr_assert_eq(interrupt(SIGTERM, 0), 128 + SIGTERM);
		cr_assert_eq(count_drafts(), 0);
		ended += unlink(copy_path()) < 0;
	}
	cr_assert_gt(ended, 0, "none was ended in the middle");
}

/* fork. */

Test(fork, goes_its_own_way)
{
	fx_mount(LAZY);
	must(put_text("f", "common"));
	must(chdir(fx.tmp));
	succeeds("fork", "work", "new");
	cr_assert(says("cairnfs mount new"));
	must(chdir(fx.mnt));
	must(put_text("f", "old way"));
	succeeds("mount", at(".agentfs/new.db"), at("copy"));
	cr_assert(holds_text(in_copy("f"), "common"));
	must(put_text(in_copy("f"), "new way"));
	must(put_text(in_copy("g"), "new"));
	umount_copy();
	cr_assert(holds_text("f", "old way"));
	cr_assert_not(exists("g"));
	fx_umount();
	succeeds("check", fx.db);
	succeeds("check", at(".agentfs/new.db"));
}

Test(fork, makes_the_directory_of_an_id_or_leaves_none)
{
	must(mkdir(fx_tmp_path("elsewhere"), 0755));
	must(chdir(fx_tmp_path("elsewhere")));
	refused("fork", at("absent"), "new");
	cr_assert_not(exists(".agentfs"));
	succeeds("fork", fx.db, "new");
	cr_assert(exists(".agentfs/new.db"));
	refused("fork", fx.db, "new");
	cr_assert(says("already exists"));
}

Test(fork, of_a_fork_prints_json)
{
	succeeds("fork", fx.db, copy_path(), "--json");
	cr_assert(says("\"new\": "), "%s", o.out);
	cr_assert(says("\"shared\": "));
	succeeds("fork", copy_path(), at("third.db"));
	succeeds("check", at("third.db"));
}

/* A file that was unlinked while it was open is nobody's in the fork. */
Test(fork, frees_what_was_unlinked_but_open)
{
	int fd;

	fx_mount(LAZY);
	fd = must(open("f", O_RDWR | O_CREAT, 0644));
	must(write_at(fd, 0, "text", 4));
	must(unlink("f"));
	succeeds("fork", fx.db, copy_path());
	succeeds("check", copy_path());
	succeeds("mount", copy_path(), at("copy"));
	umount_copy();
	succeeds("check", copy_path());
	cr_assert(says("1 inodes, 0 entries"), "%s", o.out);
	cr_assert(range_holds(fd, 0, "text", 4));
	close(fd);
}

/* restore. */

static void make_snapshot(void)
{
	fx_mount(NULL);
	must(put_text("f", "then"));
	succeeds("snapshot", fx.db, copy_path());
	must(put_text("f", "now"));
	must(put_text("g", "now"));
}

Test(restore, puts_back_and_keeps)
{
	make_snapshot();
	fx_umount();
	succeeds("restore", copy_path(), fx.db);
	cr_assert(says(".before-restore"));
	fx_mount(NULL);
	cr_assert(holds_text("f", "then"));
	cr_assert_not(exists("g"));
	mount_copy(fx_tmp_path(".agentfs/work.db.before-restore"));
	cr_assert(holds_text(in_copy("f"), "now"));
	cr_assert(holds_text(in_copy("g"), "now"));
	umount_copy();
}

Test(restore, is_refused_while_mounted)
{
	char pid[32];

	make_snapshot();
	refused("restore", copy_path(), fx.db);
	snprintf(pid, sizeof(pid), "process %d", fx_daemon_pid());
	cr_assert(says(pid), "%s", o.err);
	cr_assert(says(fx.mnt));
	cr_assert(holds_text("f", "now"));
	fx_umount();
	cr_assert_not(exists(fx_tmp_path(".agentfs/work.db.before-restore")));
}

Test(restore, of_a_damaged_file_changes_nothing)
{
	char zeros[8192] = { 0 };
	int fd;

	make_snapshot();
	fx_umount();
	fd = must(open(copy_path(), O_WRONLY));
	must(pwrite(fd, zeros, sizeof(zeros), 8192));
	close(fd);
	refused("restore", copy_path(), fx.db);
	cr_assert(says("damaged"), "%s", o.err);
	must(put_text(copy_path(), "no database\n"));
	refused("restore", copy_path(), fx.db);
	cr_assert(says("no SQLite file"), "%s", o.err);
	fx_mount(NULL);
	cr_assert(holds_text("f", "now"));
}

Test(restore, with_force_keeps_nothing)
{
	make_snapshot();
	fx_umount();
	succeeds("restore", copy_path(), fx.db, "--force", "--json");
	cr_assert(says("\"kept\": null"), "%s", o.out);
	cr_assert_not(exists(fx_tmp_path(".agentfs/work.db.before-restore")));
	fx_mount(NULL);
	cr_assert(holds_text("f", "then"));
}

Test(restore, to_a_new_place)
{
	make_snapshot();
	must(chdir(fx.tmp));
	succeeds("restore", copy_path(), "new");
	cr_assert(exists(".agentfs/new.db"));
	succeeds("check", "new");
	must(chdir(fx.mnt));
}

Test(restore, from_a_mounted_workspace_has_what_is_in_memory)
{
	fx_mount(LAZY);
	must(put_text("f", "text"));
	succeeds("restore", fx.db, copy_path());
	mount_copy(copy_path());
	cr_assert(holds_text(in_copy("f"), "text"));
	umount_copy();
}

Test(restore, tells_of_broken_rules)
{
	sqlite3 *db = NULL;

	make_snapshot();
	fx_umount();
	cr_assert_eq(sqlite3_open(copy_path(), &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db,
				  "INSERT INTO fs_inode (ino, mode, nlink, size, atime, mtime, "
				  "ctime) VALUES (700, 33188, 1, 0, 1, 1, 1)",
				  NULL, NULL, NULL),
		     SQLITE_OK);
	sqlite3_close(db);
	succeeds("restore", copy_path(), fx.db);
	cr_assert(says("breaks rules of the format in 1 places"), "%s", o.out);
}
