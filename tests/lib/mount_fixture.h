/* A workspace, a mount of it and the clean-up of both, one set for each test.
 *
 * Criterion runs every test in a process of its own, so the fixture is that process's `fx`. The
 * set-up makes a temporary directory, a workspace in it, mounts the workspace and changes into
 * the mount: tests name files relative to its root. A guard process outlives a test that crashes
 * or is killed; it unmounts, ends the daemon of this fixture and removes the directory.
 *
 *   CAIRNFS_BIN          the cairnfs binary
 *   CAIRNFS_TEST_OPTS    mount options to add to those of each test
 *   CAIRNFS_TEST_PLAIN   non-empty: no mount, a plain directory, to try the tests themselves
 */
#ifndef CAIRN_TEST_MOUNT_FIXTURE_H
#define CAIRN_TEST_MOUNT_FIXTURE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct fixture {
	char tmp[PATH_MAX / 4]; /* holds everything below; removed at the end */
	char db[PATH_MAX / 2];  /* the workspace */
	char mnt[PATH_MAX / 2]; /* where it is mounted */
	char options[512];      /* of the mount, as after -o; empty for none */
	bool plain;
	int guard_pipe;
	pid_t guard;
};

extern struct fixture fx;

/* What a command left behind. Longer output is cut. */
struct output {
	int status; /* the exit status, 128 + n after signal n */
	char out[16384];
	char err[16384];
};

/* Set-up and tear-down for .init and .fini. A workspace that does not mount, or does not unmount,
 * fails the test. `options` may be NULL. */
void fx_setup(void);
void fx_setup_opts(const char *options);
void fx_teardown(void);

/* Set-up without a mount: the temporary directory, the guard and, but for the second, a new
 * workspace. The working directory is the temporary directory. */
void fx_prepare(void);
void fx_prepare_empty(void);

/* Mounts the workspace and changes into it; changes out of it and unmounts. Fails the test where
 * that does not work. Nothing happens with a plain directory. */
void fx_mount(const char *options);
void fx_umount(void);
void fx_remount(void);

/* Kills the daemon with SIGKILL, removes what is left of the mount and mounts again. */
void fx_kill9_remount(void);

/* Removes a mount whose daemon is dead. */
void fx_detach(void);

/* The absolute path of a name in the mount, or in the temporary directory. Valid until the eighth
 * call after this one. */
const char *fx_path(const char *name);
const char *fx_tmp_path(const char *name);

/* The pid the daemon wrote beside the workspace, 0 if there is none. */
pid_t fx_daemon_pid(void);

/* True once the daemon is gone; false where it stays. */
bool fx_daemon_ends(pid_t pid);

bool fx_is_mounted(void);

/* Skips the test unless run by root, or where there is no cairnfs below. */
void fx_need_root(void);
void fx_need_cairnfs(void);

/* Runs a program to its end: arguments up to a NULL; fx_cairnfs puts the binary first. */
void fx_run(struct output *ret_output, char *const argv[]);
#define fx_cairnfs(ret_output, ...)                                                                \
	fx_run(ret_output, (char *const[]){ (char *)fx_binary(), __VA_ARGS__, NULL })
const char *fx_binary(void);

/* Starts a program with its output going to /dev/null; the caller waits for it. */
pid_t fx_spawn(char *const argv[]);

/* fork() for a child that dies with the test and does not keep the guard waiting. The child must
 * leave by _exit() and must not use Criterion's assertions. The second one takes the identity of
 * another user, without supplementary groups. */
pid_t fx_fork(void);
pid_t fx_fork_as(uid_t uid, gid_t gid);

/* Waits for a child: its exit status, 128 + n after signal n. */
int fx_wait(pid_t pid);

#endif
