/* cairnfs umount: takes the mount away and waits until its daemon has written everything and is
 * gone, so that a copy of the workspace made right after is complete. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "mount/copies.h"
#include "mount/holder.h"
#include "mount/mark.h"
#include "mount/mountinfo.h"
#include "mount/process.h"
#include "mount/resolve.h"
#include "mount/unmount.h"

enum {
	LOOK_MS = 200, /* how often the mark is looked at while the process lives */
	/* How long after the mark is gone the process may take to end: it has nothing to do any
	 * more. Longer, and the pid is one of another PID namespace. */
	END_MS = 5000,
	SAY_MS = 1000, /* after which it is said what is waited for */
};

static const struct argp argp = {
	.parser = cairn_cli_parse_plain,
	.args_doc = "DIR",
	.children = cairn_cli_help,
	.doc = "Unmount a workspace. Returns when everything is written and the process that "
	       "served "
	       "it is gone: a copy of the workspace file has all that was in the "
	       "mount.\vfusermount3 "
	       "-u DIR, umount DIR and SIGTERM to the process lead to the same, but do not wait.",
};

static bool mark_is_live(const char *workspace)
{
	_cleanup_(cairn_mark_info_done) struct cairn_mark_info mark = { 0 };

	return cairn_mark_read(workspace, &mark) == 0 && mark.live;
}

/* What keeps the process from ending. */
static void say_waiting(const struct cairn_mount_entry *mount, const struct cairn_holder *holder)
{
	const char *directory = mount->directory;
	struct cairn_copy copy;

	if (cairn_copy_find(mount, holder->pid, &copy) < 0)
		fprintf(stderr,
			"cairnfs: %s is unmounted; waiting for process %d, which writes what is "
			"left to %s, or is still in use where we may not look\n",
			directory, holder->pid, holder->workspace);
	else if (copy.pid)
		fprintf(stderr,
			"cairnfs: %s is unmounted here; waiting for process %d (%s), whose mount "
			"namespace still has it at %s: end that process, or unmount it there\n",
			directory, copy.pid, copy.name, copy.directory);
	else
		fprintf(stderr,
			"cairnfs: %s is unmounted; waiting for it to be unmounted at %s, too\n",
			directory, copy.directory);
}

static void wait_for_end(const struct cairn_process *process, const struct cairn_mount_entry *mount,
			 const struct cairn_holder *holder, bool had_mark)
{
	int total = 0;

	for (int waited = 0; waited < END_MS; waited += LOOK_MS) {
		if (cairn_process_wait(process, LOOK_MS) == 0)
			return;
		if (!had_mark || mark_is_live(holder->workspace))
			waited = 0;
		if (total < SAY_MS && (total += LOOK_MS) >= SAY_MS)
			say_waiting(mount, holder);
	}
}

/* A daemon removes its mark when all is written; where it left it, the mark says why. */
static int check_last_words(const char *directory, const struct cairn_holder *holder,
			    struct cairn_error *err)
{
	_cleanup_(cairn_mark_info_done) struct cairn_mark_info mark = { 0 };

	if (cairn_mark_read(holder->workspace, &mark) < 0 || mark.live || mark.pid != holder->pid)
		return 0;
	if (mark.error)
		return cairn_error_set(err, -EIO, "%s is unmounted, but %s", directory, mark.error);
	return cairn_error_set(err, -EIO,
			       "%s is unmounted, but process %d ended before it said that all was "
			       "written to %s; its log may say why",
			       directory, holder->pid, holder->workspace);
}

static int unmount_live(const struct cairn_mount_entry *mount, const struct cairn_holder *holder,
			struct cairn_error *err)
{
	_cleanup_(cairn_process_done) struct cairn_process process = { .pidfd = -1 };
	bool had_mark = mark_is_live(holder->workspace);
	int r, found;

	/* Before it can end, so that its number cannot have passed to another. */
	found = cairn_process_open(holder->pid, &process);
	r = cairn_unmount(mount->directory, false, err);
	if (r < 0)
		return r;
	if (found == 0)
		wait_for_end(&process, mount, holder, had_mark);
	return check_last_words(mount->directory, holder, err);
}

static int unmount_gone(const char *directory, const struct cairn_holder *holder,
			struct cairn_error *err)
{
	int r;

	r = cairn_unmount(directory, true, err);
	if (r == 0)
		fprintf(stderr,
			"cairnfs: the process that served %s was gone already; %s has what it had "
			"committed\n",
			directory, holder->workspace);
	return r;
}

static int unmount_unknown(const char *directory, struct cairn_error *err)
{
	int r;

	r = cairn_unmount(directory, false, err);
	if (r < 0)
		return r;
	return cairn_error_set(err, -EIO,
			       "%s is unmounted, but the process that served it did not say who it "
			       "is; it may still be writing",
			       directory);
}

static int unmount(const char *dir, struct cairn_error *err)
{
	_cleanup_(cairn_mount_table_done) struct cairn_mount_table table = { 0 };
	_cleanup_(cairn_holder_done) struct cairn_holder holder = { 0 };
	_cleanup_(cairn_freep) char *directory = NULL;
	const struct cairn_mount_entry *mount;
	int r;

	r = cairn_resolve_directory(dir, &directory);
	if (r < 0)
		return cairn_error_set(err, r, "%s: %s", dir, strerror(-r));
	r = cairn_mount_table_read(NULL, &table);
	if (r < 0)
		return cairn_error_set(err, r, "/proc/self/mountinfo: %s", strerror(-r));
	mount = cairn_mount_table_find(&table, directory);
	if (!mount)
		return cairn_error_set(err, -EINVAL,
				       "%s is not a mount point; cairnfs list shows what is "
				       "mounted",
				       directory);
	if (!cairn_mount_is_ours(mount))
		return cairn_error_set(err, -EINVAL,
				       "%s is a mount of type %s, not of cairnfs; see umount(8)",
				       directory, mount->type);

	r = cairn_holder_find(mount, &holder);
	if (r < 0)
		return r;
	switch (holder.state) {
	case CAIRN_HOLDER_LIVE:
		return unmount_live(mount, &holder, err);
	case CAIRN_HOLDER_GONE:
		return unmount_gone(directory, &holder, err);
	case CAIRN_HOLDER_UNKNOWN:
		break;
	}
	return unmount_unknown(directory, err);
}

int cairn_cmd_umount(int argc, char **argv)
{
	struct cairn_cli_args args = { .command = "cairnfs umount", .names = "DIR", .want = 1 };
	struct cairn_error err = { 0 };
	int r;

	r = cairn_cli_parse(&argp, argc, argv, &args);
	if (r != 0)
		return r;
	r = unmount(args.value[0], &err);
	return r < 0 ? cairn_cli_fail_with(r, &err) : 0;
}
