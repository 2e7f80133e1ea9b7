/* An unmount that has to wait says what for. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "other.h"

static void setup(void)
{
	fx_need_cairnfs();
	fx_prepare();
}

static void setup_for_root(void)
{
	fx_need_root();
	setup();
}

TestSuite(umount_waits, .init = setup, .fini = fx_teardown, .timeout = 60);
TestSuite(umount_waits_root, .init = setup_for_root, .fini = fx_teardown, .timeout = 60);

/* What the command has said so far. */
static const char *said(void)
{
	static char text[4096];
	int fd = open(fx_tmp_path("said"), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static pid_t start_umount(void)
{
	char script[3 * PATH_MAX];

	must(chdir(fx.tmp));
	snprintf(script, sizeof(script), "exec %s umount %s 2> %s", fx_binary(), fx.mnt,
		 fx_tmp_path("said"));
	return fx_spawn((char *const[]){ "sh", "-c", script, NULL });
}

/* It has said one line, with these words in it, and goes on waiting. */
static void assert_waits(pid_t umount, const char *words, const char *more)
{
	eventually(strchr(said(), '\n'));
	cr_assert(strstr(said(), words) && strstr(said(), more), "%s", said());
	cr_assert_eq(waitpid(umount, NULL, WNOHANG), 0, "it did not wait");
	cr_assert(!fx_is_mounted());
}

static void assert_ends(pid_t umount)
{
	cr_assert_eq(fx_wait(umount), 0, "%s", said());
	cr_assert_eq(strchr(said(), '\n')[1], '\0', "more than one line: %s", said());
}

/* Others' mounts are not to wait for this process: it keeps copies of ours alone. */
static void drop_others(void)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char line[PATH_MAX * 2], path[PATH_MAX];

	while (mounts && fgets(line, sizeof(line), mounts))
		if (strstr(line, " - fuse.cairnfs ") &&
		    sscanf(line, "%*s %*s %*s %*s %4095s", path) == 1 && strcmp(path, fx.mnt) != 0)
			umount2(path, MNT_DETACH);
	if (mounts)
		fclose(mounts);
}

static int copy_mounts(const void *arg)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	drop_others();
	return 0;
}

Test(umount_waits_root, for_another_mount_namespace_and_names_its_process)
{
	pid_t holder, umount;
	char words[64];

	fx_mount(NULL);
	must(put_text("f", "text"));
	must(chdir(fx.tmp));
	holder = start_other(copy_mounts, NULL);
	umount = start_umount();
	snprintf(words, sizeof(words), "process %d (", holder);
	assert_waits(umount, words, fx.mnt);
	end_other(holder);
	assert_ends(umount);
	fx_mount(NULL);
	cr_assert(holds_text("f", "text"));
}

Test(umount_waits_root, for_another_mount_of_the_same_and_names_its_place)
{
	char other[PATH_MAX];
	pid_t umount;

	snprintf(other, sizeof(other), "%s/other", fx.tmp);
	fx_mount(NULL);
	must(mkdir(other, 0755));
	must(mount(fx.mnt, other, NULL, MS_BIND, NULL));
	umount = start_umount();
	assert_waits(umount, "unmounted at", other);
	must(umount2(other, 0));
	assert_ends(umount);
}

Test(umount_waits, for_what_is_left_to_be_written)
{
	char words[64];
	pid_t holder, umount;

	fx_mount("commit_interval_ms=600000");
	snprintf(words, sizeof(words), "process %d,", fx_daemon_pid());
	must(put_text("first", "brings numbers"));
	must(put_text("f", "text"));
	must(chdir(fx.tmp));
	holder = start_holder("BEGIN IMMEDIATE", 0);
	umount = start_umount();
	assert_waits(umount, words, fx.db);
	end_other(holder);
	assert_ends(umount);
	fx_mount(NULL);
	cr_assert(holds_text("f", "text"));
}
