/* A directory of the host as what is accepted into: see host.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "branch/accept.h"
#include "branch/host.h"
#include "util/clock.h"

struct stable_host {
	struct cairn_stable base;
	struct cairn_host host;
	bool begun;
};

static struct stable_host *of(struct cairn_stable *base)
{
	return CONTAINER_OF(base, struct stable_host, base);
}

static const char *words(int r)
{
	return r == -EINVAL ? "it is damaged" : strerror(-r);
}

static int unreadable(const struct stable_host *s, int64_t id, int r, struct cairn_error *err)
{
	return cairn_error_set(err, r, "record %" PRId64 " of '%s' cannot be read: %s", id,
			       s->base.path, words(r));
}

struct found {
	int64_t *list; /* numbers */
	size_t count;
};

/* "12" and "12.undone" */
static int find_record(void *arg, const char *name)
{
	struct found *found = arg;
	char *end;
	int64_t id = strtoll(name, &end, 10);
	int64_t *list;

	if (id <= 0 || (*end && strcmp(end, ".undone") != 0))
		return 0;
	list = reallocarray(found->list, found->count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	found->list = list;
	list[found->count++] = id;
	return 0;
}

static int latest_first(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x < *y) - (*x > *y);
}

static int read_record(const struct cairn_host *host, int64_t id, bool head, bool *ret_undone,
		       struct cairn_steps *ret)
{
	char name[32];
	int r;

	snprintf(name, sizeof(name), "%" PRId64, id);
	r = cairn_host_journal_read(host->records, name, head, ret);
	*ret_undone = r == -ENOENT;
	if (r != -ENOENT)
		return r;
	snprintf(name, sizeof(name), "%" PRId64 ".undone", id);
	return cairn_host_journal_read(host->records, name, head, ret);
}

static int tell_record(const struct cairn_host *host, int64_t id, cairn_undo_fn fn, void *arg)
{
	_cleanup_(cairn_steps_free) struct cairn_steps head = { 0 };
	struct cairn_undo_record record = { .id = id };
	int r;

	r = read_record(host, id, true, &record.undone, &head);
	if (r < 0)
		return r == -ENOENT ? 0 : r; /* forgotten just now */
	record.time = head.time;
	record.kind = head.of ? "undo" : "accept";
	record.source = head.source;
	record.changes = head.changes;
	record.of = head.of;
	return fn(arg, &record);
}

static int host_list(struct cairn_stable *base, cairn_undo_fn fn, void *arg)
{
	const struct cairn_host *host = &of(base)->host;
	struct found found = { 0 };
	int r;

	if (host->records < 0)
		return 0;
	r = cairn_host_list(host->records, ".", find_record, &found);
	if (r == 0 && found.count > 1)
		qsort(found.list, found.count, sizeof(*found.list), latest_first);
	for (size_t i = 0; r == 0 && i < found.count; i++)
		r = tell_record(host, found.list[i], fn, arg);
	free(found.list);
	return r;
}

static int host_begin(struct cairn_stable *base, struct cairn_error *err)
{
	struct stable_host *s = of(base);
	int r;

	r = cairn_host_lock(&s->host, true, err);
	if (r == 0)
		r = cairn_host_recover(&s->host, err);
	s->begun = r == 0;
	return r < 0 ? cairn_error_set(err, r, "'%s' cannot be changed: %s", base->path,
				       strerror(-r))
		     : 0;
}

static void host_end(struct cairn_stable *base)
{
	struct stable_host *s = of(base);

	cairn_closep(&s->host.lock);
	s->host.lock = -1;
	s->begun = false;
}

/* The steps, once all is in kept/. Nothing is left of what comes to nothing. */
static int run(struct stable_host *s, struct cairn_steps *steps, int64_t *ret_id,
	       struct cairn_error *err)
{
	int r;

	steps->id = s->host.last;
	steps->time = cairn_now().tv_sec;
	r = cairn_host_run(&s->host, steps, err);
	if (r == 0)
		*ret_id = steps->id;
	return r;
}

static int host_apply(struct cairn_stable *base, struct cairn_branch *branch,
		      const struct cairn_changes *changes, size_t count, int64_t *ret_id,
		      struct cairn_left_out *ret_left, struct cairn_error *err)
{
	_cleanup_(cairn_steps_free) struct cairn_steps steps = { .changes = (int64_t)count };
	struct stable_host *s = of(base);
	int r;

	r = cairn_host_next(&s->host, err);
	if (r < 0)
		return r;
	steps.source = strdup(branch->path);
	r = steps.source ? cairn_host_plan(&s->host, branch, changes, &steps, ret_left, err)
			 : -ENOMEM;
	if (r == 0)
		r = run(s, &steps, ret_id, err);
	if (r < 0)
		cairn_host_abandon(&s->host);
	return r < 0 ? cairn_error_set(err, r, "'%s' cannot be changed: %s; nothing was accepted",
				       base->path, strerror(-r))
		     : 0;
}

/* The steps do that by themselves. */
static int host_sync(struct cairn_stable *base)
{
	return 0;
}

static int host_changed(struct cairn_stable *base, int64_t id, cairn_stable_changed_fn fn,
			void *arg)
{
	_cleanup_(cairn_steps_free) struct cairn_steps record = { 0 };
	bool undone;
	int r;

	r = read_record(&of(base)->host, id, false, &undone, &record);
	return r < 0 ? r : cairn_host_changed(&of(base)->host, &record, fn, arg);
}

static int host_undo(struct cairn_stable *base, int64_t id, int64_t changes, int64_t *ret_id,
		     struct cairn_error *err)
{
	_cleanup_(cairn_steps_free) struct cairn_steps record = { 0 };
	_cleanup_(cairn_steps_free) struct cairn_steps steps = { .changes = changes, .of = id };
	struct stable_host *s = of(base);
	bool undone;
	int r;

	r = read_record(&s->host, id, false, &undone, &record);
	if (r < 0)
		return unreadable(s, id, r, err);
	r = cairn_host_next(&s->host, err);
	if (r < 0)
		return r;
	s->host.sync_each = record.count <= 100;
	steps.source = strdup(base->path);
	r = steps.source ? cairn_host_turn(&s->host, &record, &steps, err) : -ENOMEM;
	if (r == 0)
		r = run(s, &steps, ret_id, err);
	if (r < 0)
		cairn_host_abandon(&s->host);
	return r < 0 ? cairn_error_set(err, r, "'%s' cannot be changed: %s", base->path,
				       strerror(-r))
		     : 0;
}

struct forgetting {
	const struct cairn_host *host;
	int64_t before, count;
	int error;
};

static int forget_one(void *arg, const struct cairn_undo_record *record)
{
	struct forgetting *f = arg;
	char name[32], dropped[48];

	if (record->time >= f->before)
		return 0;
	snprintf(name, sizeof(name), "%" PRId64 "%s", record->id, record->undone ? ".undone" : "");
	snprintf(dropped, sizeof(dropped), "%s.dropped", name);
	/* What an undone one kept is another's by now. */
	if (record->undone ? unlinkat(f->host->records, name, 0) < 0
			   : renameat(f->host->records, name, f->host->records, dropped) < 0)
		return -errno;
	f->count++;
	return 0;
}

static int host_forget(struct cairn_stable *base, int64_t before, int64_t *ret_count,
		       struct cairn_error *err)
{
	struct forgetting f = { .host = &of(base)->host, .before = before };
	int r;

	r = host_list(base, forget_one, &f);
	if (r < 0)
		return cairn_error_set(err, r, "'%s' cannot be cleaned: %s", base->path, words(r));
	r = cairn_host_recover(&of(base)->host, err);
	if (r == 0)
		*ret_count = f.count;
	return r;
}

static void host_close(struct cairn_stable *base)
{
	struct stable_host *s = of(base);

	cairn_host_close(&s->host);
	free(base->path);
	free(s);
}

static const struct cairn_stable_ops host_ops = {
	.list = host_list,
	.begin = host_begin,
	.apply = host_apply,
	.sync = host_sync,
	.changed = host_changed,
	.undo = host_undo,
	.forget = host_forget,
	.end = host_end,
	.close = host_close,
};

bool cairn_stable_is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int cairn_stable_host_open(const char *path, struct cairn_stable **ret, struct cairn_error *err)
{
	struct stable_host *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->base.ops = &host_ops;
	s->base.path = strdup(path);
	r = s->base.path ? cairn_host_open(path, &s->host, err) : -ENOMEM;
	if (r < 0) {
		free(s->base.path);
		free(s);
		return r;
	}
	*ret = &s->base;
	return 0;
}

/* What we may not look into we cannot even tell of. */
static int is_another_users(const char *path, struct cairn_error *err)
{
	_cleanup_(cairn_freep) char *journal = NULL;
	struct stat st;

	if (asprintf(&journal, "%s/" CAIRN_BASE_HIDDEN "/" CAIRN_HOST_JOURNAL, path) < 0) {
		journal = NULL;
		return -ENOMEM;
	}
	if (lstat(journal, &st) < 0)
		return 0;
	return cairn_error_set(
		err, -EPERM,
		"something was accepted into '%s', or taken back, in part; 'cairnfs "
		"undo --list %s' ends it, by the user whose the folder " CAIRN_BASE_HIDDEN
		" in it is",
		path, path);
}

int cairn_stable_settle(const char *path, struct cairn_error *err)
{
	struct cairn_error why = { 0 };
	struct cairn_host host;
	int r;

	if (!cairn_stable_is_directory(path))
		return 0;
	r = cairn_host_open(path, &host, NULL);
	if (r < 0)
		return is_another_users(path, err);
	if (cairn_host_was_left(&host)) {
		r = cairn_host_lock(&host, false, &why);
		if (r == 0)
			r = cairn_host_recover(&host, &why);
		/* Somebody is at it. */
		if (r == -EAGAIN)
			r = 0;
	}
	cairn_host_close(&host);
	return r < 0 ? cairn_error_set(
			       err, r,
			       "something was accepted into '%s', or taken back, in part: %s; "
			       "'cairnfs undo --list %s' ends it",
			       path, why.text[0] ? why.text : strerror(-r), path)
		     : 0;
}
