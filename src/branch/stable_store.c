/* A workspace as what is accepted into: transactions of its store. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/overlay.h"
#include "branch/accept.h"
#include "util/macro.h"

#define BUSY_TIMEOUT_MS 10000U
#define DEPTH_MAX       4096U /* of a path */

struct stable_store {
	struct cairn_stable base;
	struct cairn_store *store;
	struct cairn_reader *reader; /* of the workspace itself */
};

static struct stable_store *of(struct cairn_stable *base)
{
	return CONTAINER_OF(base, struct stable_store, base);
}

static struct cairn_store *own_of(const struct stable_store *s)
{
	return s->store->own ? s->store->own : s->store;
}

static int stable_list(struct cairn_stable *base, cairn_undo_fn fn, void *arg)
{
	struct cairn_store *own = own_of(of(base));

	return own->undo->list(own, fn, arg);
}

static int stable_begin(struct cairn_stable *base, struct cairn_error *err)
{
	struct cairn_store *store = of(base)->store;
	int r = store->ops->begin(store);

	return r < 0 ? cairn_error_set(err, r, "'%s' cannot be changed now: %s", base->path,
				       r == -EAGAIN ? "another process keeps it locked; try again"
						    : strerror(-r))
		     : 0;
}

static void stable_end(struct cairn_stable *base)
{
	struct cairn_store *store = of(base)->store;

	store->ops->rollback(store);
}

static int stable_apply(struct cairn_stable *base, struct cairn_branch *branch,
			const struct cairn_changes *changes, size_t count, int64_t *ret_id,
			struct cairn_left_out *ret_left, struct cairn_error *err)
{
	struct cairn_store *store = of(base)->store, *own = own_of(of(base));
	int64_t id = 0;
	int r;

	r = own->undo->begin(own, "accept", branch->path, 0, &id);
	if (r == 0)
		r = cairn_apply(branch, store, changes, err);
	if (r == 0)
		r = own->undo->finish(own, id, (int64_t)count);
	if (r == 0)
		r = store->ops->commit(store);
	if (r < 0)
		return cairn_error_set(err, r, "'%s' cannot be changed: %s; nothing was accepted",
				       base->path, strerror(-r));
	*ret_id = id;
	return 0;
}

static int stable_sync(struct cairn_stable *base)
{
	struct cairn_store *store = of(base)->store;

	return store->ops->sync(store);
}

struct naming {
	struct stable_store *s;
	cairn_stable_changed_fn fn;
	void *arg;
};

/* Tells the path of an inode, or of a name in it, as far as it has one. */
static int name_changed(void *arg, uint64_t ino, const char *name, size_t len)
{
	const struct naming *naming = arg;
	_cleanup_(cairn_freep) char *path = NULL;
	char one[CAIRN_NAME_MAX + 1];

	if (name && asprintf(&path, "/%.*s", (int)len, name) < 0)
		return -ENOMEM;
	for (unsigned int i = 0; ino != CAIRN_ROOT_INO && i < DEPTH_MAX; i++) {
		char *longer;

		if (own_of(naming->s)->ops->dentry_name(naming->s->reader, ino, &ino, one) < 0)
			break;
		if (asprintf(&longer, "/%s%s", one, path ? path : "") < 0)
			return -ENOMEM;
		free(path);
		path = longer;
	}
	return naming->fn(naming->arg, path ? path : "/");
}

static int stable_changed(struct cairn_stable *base, int64_t id, cairn_stable_changed_fn fn,
			  void *arg)
{
	struct naming naming = { .s = of(base), .fn = fn, .arg = arg };
	struct cairn_store *own = own_of(of(base));

	return own->undo->changed(own, id, name_changed, &naming);
}

static int stable_undo(struct cairn_stable *base, int64_t id, int64_t changes, int64_t *ret_id,
		       struct cairn_error *err)
{
	struct cairn_store *own = own_of(of(base));
	int r;

	r = own->undo->begin(own, "undo", base->path, id, ret_id);
	if (r == 0)
		r = own->undo->revert(own, id, *ret_id);
	if (r == 0)
		r = own->undo->finish(own, *ret_id, changes);
	if (r == 0)
		r = own->ops->commit(own);
	if (r == 0)
		r = own->ops->sync(own);
	return r < 0 ? cairn_error_set(err, r, "'%s' cannot be changed: %s", base->path,
				       strerror(-r))
		     : 0;
}

static int stable_forget(struct cairn_stable *base, int64_t before, int64_t *ret_count,
			 struct cairn_error *err)
{
	struct cairn_store *own = own_of(of(base));
	int r;

	r = own->undo->forget(own, before, ret_count);
	if (r == 0)
		r = own->ops->commit(own);
	return r < 0 ? cairn_error_set(err, r, "'%s' cannot be cleaned: %s", base->path,
				       strerror(-r))
		     : 0;
}

static void stable_close(struct cairn_stable *base)
{
	struct stable_store *s = of(base);

	if (s->reader)
		own_of(s)->ops->reader_close(s->reader);
	if (s->store)
		s->store->ops->close(s->store);
	free(base->path);
	free(s);
}

static const struct cairn_stable_ops stable_ops = {
	.list = stable_list,
	.begin = stable_begin,
	.apply = stable_apply,
	.sync = stable_sync,
	.changed = stable_changed,
	.undo = stable_undo,
	.forget = stable_forget,
	.end = stable_end,
	.close = stable_close,
};

int cairn_stable_store_open(const char *path, bool whole, struct cairn_stable **ret,
			    struct cairn_error *err)
{
	const struct cairn_store_options options = { .busy_timeout_ms = BUSY_TIMEOUT_MS };
	struct stable_store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->base.ops = &stable_ops;
	s->base.path = strdup(path);
	r = s->base.path ? 0 : -ENOMEM;
	if (r == 0)
		r = whole ? cairn_store_open(path, &options, &s->store, err)
			  : cairn_sqlite_store_open(path, &options, &s->store, err);
	if (r == 0)
		r = own_of(s)->ops->reader_open(own_of(s), &s->reader);
	if (r < 0) {
		stable_close(&s->base);
		return r;
	}
	*ret = &s->base;
	return 0;
}

int cairn_stable_open(const char *path, bool whole, struct cairn_stable **ret,
		      struct cairn_error *err)
{
	return cairn_stable_is_directory(path) ? cairn_stable_host_open(path, ret, err)
					       : cairn_stable_store_open(path, whole, ret, err);
}
