#include "store/restore.h"

#include <string.h>
#include <sys/stat.h>

#include "store/check.h"
#include "store/sql.h"

/* What the callbacks of the check get. */
struct checking {
	bool damaged;
	void (*progress)(void *arg, const char *step, unsigned int done, unsigned int total);
	void *arg;
};

static void report(void *arg, const struct cairn_check_finding *finding, bool left)
{
	struct checking *checking = arg;

	if (!left && strcmp(finding->code, "damaged") == 0)
		checking->damaged = true;
}

static void show(void *arg, const char *step, unsigned int done, unsigned int total)
{
	const struct checking *checking = arg;

	if (checking->progress)
		checking->progress(checking->arg, step, done, total);
}

int cairn_restore_check(const char *from, unsigned int busy_timeout_ms,
			void (*progress)(void *arg, const char *step, unsigned int done,
					 unsigned int total),
			void *arg, uint64_t *ret_errors, struct cairn_error *err)
{
	struct checking checking = { .progress = progress, .arg = arg };
	const struct cairn_check_options options = {
		.busy_timeout_ms = busy_timeout_ms,
		.report = report,
		.progress = show,
		.arg = &checking,
	};
	struct cairn_check_result result = { 0 };
	int r;

	r = cairn_check(from, &options, &result, err);
	if (r < 0)
		return r;
	if (checking.damaged)
		return cairn_error_set(err, -EIO,
				       "'%s' is damaged and nothing was restored; 'cairnfs check' "
				       "says what is wrong with it",
				       from);
	*ret_errors = result.errors;
	return 0;
}

static int look(const char *from, const char *to, struct stat *ret_original, struct stat *ret_there,
		bool *ret_is_there, struct cairn_error *err)
{
	int r;

	r = cairn_clone_stat(from, ret_original, err);
	if (r < 0)
		return r;
	*ret_is_there = stat(to, ret_there) == 0;
	if (*ret_is_there && ret_original->st_dev == ret_there->st_dev &&
	    ret_original->st_ino == ret_there->st_ino)
		return cairn_error_set(err, -EINVAL,
				       "'%s' and '%s' are the same file; name a copy of the "
				       "workspace first",
				       from, to);
	return 0;
}

static void set_checkpoint_on_close(struct cairn_sql *sql, bool on)
{
	if (sql->db)
		sqlite3_db_config(sql->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !on, NULL);
}

/* That no process has the workspace open; its WAL is folded in by that. One that SQLite cannot open
 * is what a restore is there for, and nobody has it open. */
int cairn_restore_check_unused(const char *to, unsigned int busy_timeout_ms,
			       struct cairn_error *err)
{
	_cleanup_(cairn_sql_target_clear) struct cairn_sql_target target = { 0 };
	_cleanup_(cairn_sql_close) struct cairn_sql sql = { 0 };
	char real[PATH_MAX];
	int r;

	if (!realpath(to, real))
		return cairn_error_set(err, -errno, "cannot resolve '%s': %m", to);
	r = cairn_sql_target_set(&target, real, false, false, busy_timeout_ms);
	if (r < 0)
		return r;
	r = cairn_sql_open(&sql, &target, NULL);
	/* In this mode the first access takes the lock that no other connection may stand beside.
	 */
	if (r == 0)
		r = cairn_sql_exec(&sql, "PRAGMA locking_mode = EXCLUSIVE");
	set_checkpoint_on_close(&sql, false);
	if (r == 0)
		r = cairn_sql_exec(&sql, "BEGIN IMMEDIATE");
	if (r == 0)
		r = cairn_sql_exec(&sql, "COMMIT");
	set_checkpoint_on_close(&sql, r == 0);
	if (r == -EAGAIN)
		return cairn_error_set(err, -EBUSY,
				       "'%s' is open in another process; end that (fuser '%s' "
				       "finds it) and try again",
				       to, to);
	return 0;
}

static int place(struct cairn_draft *draft, const struct stat *there, bool force,
		 char ret_kept[PATH_MAX], struct cairn_error *err)
{
	if (!there)
		return cairn_draft_place(draft, false, err);
	/* Whose it was and who might read it stays so, as far as we may. */
	if (fchmod(draft->fd, there->st_mode & 0777) < 0)
		return cairn_draft_failed(draft, -errno, err);
	if (fchown(draft->fd, there->st_uid, there->st_gid) < 0 && errno != EPERM)
		return cairn_draft_failed(draft, -errno, err);
	return force ? cairn_draft_place(draft, true, err)
		     : cairn_draft_swap(draft, "before-restore", ret_kept, err);
}

int cairn_restore(const char *from, const char *to, const struct cairn_clone_options *options,
		  struct cairn_restore_result *ret, struct cairn_error *err)
{
	_cleanup_(cairn_draft_done) struct cairn_draft draft = CAIRN_DRAFT_NONE;
	struct cairn_restore_result result = { 0 };
	struct stat original, there;
	bool is_there;
	int r;

	r = look(from, to, &original, &there, &is_there, err);
	if (r < 0)
		return r;
	r = cairn_draft_begin(&draft, to, is_there, original.st_mode & 0777, err);
	if (r == 0)
		r = cairn_clone_fill(from, &draft, options, &result.clone, err);
	if (r == 0 && is_there)
		r = cairn_restore_check_unused(to, options->busy_timeout_ms, err);
	if (r == 0)
		r = place(&draft, is_there ? &there : NULL, options->force, result.kept, err);
	if (r == 0)
		*ret = result;
	return r;
}
