/* Carrying steps out: all of them, or back to where it began. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "branch/host.h"

struct name {
	char text[64];
};

static struct name record_name(int64_t id, const char *suffix)
{
	struct name name;

	snprintf(name.text, sizeof(name.text), "%" PRId64 "%s", id, suffix);
	return name;
}

/* What of kept/ belongs to the record that was begun. */
static int find_of(void *arg, const char *file)
{
	const struct cairn_host *host = arg;
	char *end;

	return strtoll(file, &end, 10) == host->last && *end == '-';
}

static int remove_of(void *arg, const char *file)
{
	const struct cairn_host *host = arg;

	return find_of(arg, file) ? cairn_host_remove(host->kept, file) : 0;
}

static void remove_made(struct cairn_host *host)
{
	unlinkat(host->folder, CAIRN_HOST_WRITING, 0);
	(void)cairn_host_list(host->kept, ".", remove_of, host);
}

static bool is_under_way(const struct cairn_host *host)
{
	return faccessat(host->folder, CAIRN_HOST_JOURNAL, F_OK, 0) == 0 ||
	       faccessat(host->folder, CAIRN_HOST_BACK, F_OK, 0) == 0;
}

void cairn_host_abandon(struct cairn_host *host)
{
	if (!is_under_way(host))
		remove_made(host);
}

static bool has_record(const struct cairn_host *host, int64_t id)
{
	static const char *const suffixes[] = { "", ".undone", ".dropped" };

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (faccessat(host->records, record_name(id, suffixes[i]).text, F_OK, 0) == 0)
			return true;
	return false;
}

bool cairn_host_was_left(struct cairn_host *host)
{
	if (host->records < 0)
		return false;
	return is_under_way(host) ||
	       (cairn_host_read_last(host) == 0 && !has_record(host, host->last) &&
		cairn_host_list(host->kept, ".", find_of, host) > 0);
}

static int sync_kept(const struct cairn_host *host)
{
	if (!host->sync_each)
		return syncfs(host->root) < 0 ? -errno : 0;
	return fsync(host->kept) < 0 || fsync(host->folder) < 0 ? -errno : 0;
}

static int rename_journal(const struct cairn_host *host, const char *from, const char *to)
{
	if (renameat(host->folder, from, host->folder, to) < 0)
		return -errno;
	return fsync(host->folder) < 0 ? -errno : 0;
}

/* All steps are done: what it was to take back is taken back, and it can be itself. */
static int finish(const struct cairn_host *host, const struct cairn_steps *steps)
{
	for (size_t i = 0; i < steps->count; i++) {
		const struct cairn_step *step = &steps->list[i];

		if (step->kind == CAIRN_STEP_TAKE && step->other &&
		    unlinkat(host->kept, step->file, 0) < 0 && errno != ENOENT)
			return -errno;
	}
	if (steps->of &&
	    renameat(host->records, record_name(steps->of, "").text, host->records,
		     record_name(steps->of, ".undone").text) < 0 &&
	    errno != ENOENT)
		return -errno;
	if (renameat(host->folder, CAIRN_HOST_JOURNAL, host->records,
		     record_name(steps->id, "").text) < 0)
		return -errno;
	if (fsync(host->records) < 0 || fsync(host->folder) < 0)
		return -errno;
	return 0;
}

static int go(const struct cairn_host *host, const struct cairn_steps *steps,
	      const struct cairn_step **ret_failed)
{
	for (size_t i = 0; i < steps->count; i++) {
		int r = cairn_step_run(host, &steps->list[i], false);

		if (r < 0) {
			*ret_failed = &steps->list[i];
			return r;
		}
	}
	return 0;
}

static int go_back(struct cairn_host *host, const struct cairn_steps *steps,
		   struct cairn_error *err)
{
	host->strict = false;
	for (size_t i = steps->count; i > 0; i--) {
		const struct cairn_step *step = &steps->list[i - 1];
		int r = cairn_step_run(host, step, true);

		if (r < 0)
			return cairn_error_set(
				err, r,
				"'%s' is changed in part, and '%s' in it cannot be put back: %s; "
				"when that is mended, 'cairnfs undo --list %s' ends it",
				host->path, cairn_step_path(step) + 1, strerror(-r), host->path);
	}
	return 0;
}

static int back_out(struct cairn_host *host, const struct cairn_steps *steps,
		    struct cairn_error *err)
{
	int r = go_back(host, steps, err);

	if (r < 0)
		return r;
	r = sync_kept(host);
	if (r == 0)
		remove_made(host);
	if (r == 0 && unlinkat(host->folder, CAIRN_HOST_BACK, 0) < 0)
		r = -errno;
	return r == 0 && fsync(host->folder) < 0 ? -errno : r;
}

static const char *words(int r)
{
	switch (r) {
	case -ESTALE:
		return "somebody changes it just now; try again";
	case -EEXIST:
		return "something else is there";
	case -EXDEV:
		return "it lies on another file system, and nothing can be renamed there";
	case -EBUSY:
		return "something is mounted there";
	default:
		return strerror(-r);
	}
}

/* Forward, or where that fails, back. */
static int complete(struct cairn_host *host, const struct cairn_steps *steps,
		    struct cairn_error *err)
{
	const struct cairn_step *failed = NULL;
	struct cairn_error why = { 0 };
	int r, back;

	r = go(host, steps, &failed);
	if (r == 0)
		r = sync_kept(host);
	if (r == 0)
		return finish(host, steps);
	if (!failed)
		return r;
	cairn_error_set(&why, r, "'%s' in '%s' cannot be changed: %s; nothing was changed",
			cairn_step_path(failed) + 1, host->path, words(r));
	back = rename_journal(host, CAIRN_HOST_JOURNAL, CAIRN_HOST_BACK);
	if (back == 0)
		back = back_out(host, steps, err);
	return back < 0 ? back : cairn_error_set(err, r, "%s", why.text);
}

int cairn_host_run(struct cairn_host *host, const struct cairn_steps *steps,
		   struct cairn_error *err)
{
	int r;

	r = sync_kept(host);
	if (r == 0)
		r = cairn_host_journal_write(host->folder, CAIRN_HOST_WRITING, steps);
	if (r == 0)
		r = rename_journal(host, CAIRN_HOST_WRITING, CAIRN_HOST_JOURNAL);
	if (r < 0)
		return r;
	host->strict = true;
	r = complete(host, steps, err);
	host->strict = false;
	return r;
}

/* What is known of a record that is to be forgotten stays until its files are gone. */
static int drop_dropped(void *arg, const char *name)
{
	const struct cairn_host *host = arg;
	_cleanup_(cairn_steps_free) struct cairn_steps steps = { 0 };
	const char *dot = strchr(name, '.');
	int r;

	if (!dot || strcmp(dot, ".dropped") != 0)
		return 0;
	r = cairn_host_journal_read(host->records, name, false, &steps);
	for (size_t i = 0; r == 0 && i < steps.count; i++) {
		const struct cairn_step *step = &steps.list[i];
		const char *const files[] = { step->file, step->from, step->old };

		for (size_t j = 0; r == 0 && j < ARRAY_SIZE(files); j++)
			if (files[j])
				r = cairn_host_remove(host->kept, files[j]);
	}
	if (r == 0 && unlinkat(host->records, name, 0) < 0)
		r = -errno;
	return r;
}

static int read_journal(const struct cairn_host *host, const char *name, struct cairn_steps *ret,
			struct cairn_error *err)
{
	int r = cairn_host_journal_read(host->folder, name, false, ret);

	if (r < 0 && r != -ENOENT)
		return cairn_error_set(err, r,
				       "'%s/" CAIRN_BASE_HIDDEN "/%s' cannot be read: %s; what it "
				       "tells of is done in part",
				       host->path, name,
				       r == -EINVAL ? "it is damaged" : strerror(-r));
	return r;
}

int cairn_host_recover(struct cairn_host *host, struct cairn_error *err)
{
	_cleanup_(cairn_steps_free) struct cairn_steps steps = { 0 };
	int r;

	host->strict = false;
	r = read_journal(host, CAIRN_HOST_BACK, &steps, err);
	if (r == 0)
		return back_out(host, &steps, err);
	if (r == -ENOENT)
		r = read_journal(host, CAIRN_HOST_JOURNAL, &steps, err);
	if (r == 0)
		return complete(host, &steps, err);
	if (r != -ENOENT)
		return r;
	if (!has_record(host, host->last))
		remove_made(host);
	unlinkat(host->folder, CAIRN_HOST_WRITING, 0);
	r = cairn_host_list(host->records, ".", drop_dropped, host);
	return r < 0 ? cairn_error_set(err, r, "old records of '%s' cannot be deleted: %s",
				       host->path, strerror(-r))
		     : 0;
}
