/* Files that come into being beside their place. */
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/draft.h"
#include "store_fixture.h"

TestSuite(draft, .init = sx_setup, .fini = sx_teardown);

static struct cairn_draft draft = CAIRN_DRAFT_NONE;

static int begin(bool force)
{
	sx.err.text[0] = '\0';
	return cairn_draft_begin(&draft, sx.db, force, 0666, &sx.err);
}

static size_t drafts(void)
{
	glob_t found = { 0 };
	size_t n;

	n = glob(sx_path(".cairnfs-draft-*"), 0, NULL, &found) == 0 ? found.gl_pathc : 0;
	globfree(&found);
	return n;
}

/* A child that begins a draft and is killed. */
static void leave_one(void)
{
	pid_t child = fork();

	if (child == 0) {
		begin(false);
		_exit(kill(getpid(), SIGKILL));
	}
	cr_assert_eq(waitpid(child, NULL, 0), child);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

Test(draft, stands_in_its_place_when_it_is_placed)
{
	cr_assert_eq(begin(false), 0);
	cr_assert_eq(drafts(), 1);
	cr_assert_not(sx_exists("work.db"));
	cr_assert_eq(write(draft.fd, "whole", 5), 5);
	cr_assert_eq(cairn_draft_place(&draft, false, &sx.err), 0, "%s", sx.err.text);
	cr_assert_eq(sx_size(sx.db), 5);
	cairn_draft_done(&draft);
	cr_assert_eq(sx_size(sx.db), 5);
	cr_assert_eq(drafts(), 0);
}

Test(draft, is_gone_unless_it_is_placed)
{
	char beside[PATH_MAX + 8];

	cr_assert_eq(begin(false), 0);
	snprintf(beside, sizeof(beside), "%s-wal", draft.temp);
	put(beside, "frames");
	cairn_draft_done(&draft);
	cr_assert_eq(drafts(), 0);
	cr_assert_not(sx_exists("work.db"));
}

Test(draft, place_taken_meanwhile_is_left_alone)
{
	cr_assert_eq(begin(false), 0);
	put(sx.db, "theirs");
	cr_assert_eq(cairn_draft_place(&draft, false, &sx.err), -EEXIST);
	cairn_draft_done(&draft);
	cr_assert_eq(sx_size(sx.db), 6);
	cr_assert_eq(drafts(), 0);
}

Test(draft, replaces_with_force_alone)
{
	put(sx.db, "old");
	put(sx_path("work.db-wal"), "frames");
	cr_assert_eq(begin(false), -EEXIST);
	cr_assert_eq(begin(true), 0);
	cr_assert_eq(sx_size(sx.db), 3);
	cr_assert_eq(cairn_draft_place(&draft, true, &sx.err), 0, "%s", sx.err.text);
	cairn_draft_done(&draft);
	cr_assert_eq(sx_size(sx.db), 0);
	cr_assert_not(sx_exists("work.db-wal"));
}

Test(draft, mode_is_less_the_umask)
{
	struct stat st;

	umask(027);
	cr_assert_eq(begin(false), 0);
	cr_assert_eq(fstat(draft.fd, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0640);
	cairn_draft_done(&draft);
}

Test(draft, what_a_killed_process_left_goes_with_the_next)
{
	leave_one();
	leave_one();
	cr_assert_eq(drafts(), 1, "the second one has removed the first");
	put(sx_path(".cairnfs-draft-by hand"), "not ours");
	cr_assert_eq(begin(false), 0);
	cairn_draft_done(&draft);
	cr_assert_eq(drafts(), 1, "only what has the form of a draft");
}

Test(draft, of_a_live_process_stays)
{
	struct cairn_draft other = CAIRN_DRAFT_NONE;
	int ends[2];
	pid_t child;
	char byte;

	cr_assert_eq(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		begin(false);
		byte = 'x';
		if (write(ends[1], &byte, 1) < 0)
			_exit(1);
		_exit(pause());
	}
	cr_assert_eq(read(ends[0], &byte, 1), 1);
	cr_assert_eq(cairn_draft_begin(&other, sx.db, false, 0666, &sx.err), 0);
	cr_assert_eq(drafts(), 2);
	cairn_draft_done(&other);
	cr_assert_eq(drafts(), 1);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}
