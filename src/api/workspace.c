/* Opening and closing a workspace. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/call.h"
#include "base/overlay.h"
#include "store/store.h"
#include "util/backoff.h"
#include "util/clock.h"
#include "util/macro.h"

/* How long a workspace that a program has for itself alone is tried again. */
#define OPEN_BUDGET_MS 60000U
/* And the pauses between the attempts. */
#define PAUSE_MIN_NS UINT64_C(5000000)
#define PAUSE_MAX_NS UINT64_C(200000000)

const char *cairnfs_version(void)
{
	return CAIRNFS_VERSION;
}

static bool is_zero(const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return false;
	return true;
}

/* The options as this version has them, from a program compiled with an older or a newer one. */
static int take_options(const struct cairnfs_options *from, struct cairnfs_options *to)
{
	*to = (struct cairnfs_options)CAIRNFS_OPTIONS_INIT;
	if (!from)
		return 0;
	if (from->size < sizeof(*to))
		return -EINVAL; /* there is no older version yet */
	if (from->size > sizeof(*to) &&
	    !is_zero((const unsigned char *)from + sizeof(*to), from->size - sizeof(*to)))
		return -E2BIG;
	memcpy(to, from, sizeof(*to));
	to->size = sizeof(*to);
	if (to->concurrency != CAIRNFS_SERIALIZED)
		return -EINVAL;
	switch (to->durability) {
	case CAIRNFS_DURABILITY_ASYNC:
	case CAIRNFS_DURABILITY_COMMIT:
	case CAIRNFS_DURABILITY_FULL:
		return 0;
	default:
		return -EINVAL;
	}
}

static int make_if_missing(const char *path, struct cairn_error *err)
{
	struct cairn_init_options options = { 0 };
	struct cairn_error why = { 0 };
	struct stat st;
	int r;

	if (lstat(path, &st) == 0)
		return 0;
	r = cairn_sqlite_store_init(path, &options, &why);
	if (r == -EEXIST) /* another process was quicker */
		return 0;
	return r < 0 ? cairn_error_set(err, r, "%s", why.text) : 0;
}

static int open_store(const char *path, const struct cairn_store_options *options,
		      struct cairn_store **ret, struct cairn_error *err)
{
	uint64_t since = cairn_mono_ns();
	int r;

	for (unsigned int tries = 0;; tries++) {
		*err = (struct cairn_error){ 0 };
		r = cairn_store_open(path, options, ret, err);
		if (r != -EBUSY || cairn_mono_ns() - since > UINT64_C(1000000) * OPEN_BUDGET_MS)
			return r;
		cairn_backoff_sleep(tries, PAUSE_MIN_NS, PAUSE_MAX_NS);
	}
}

/* What stands over the store: the core, the keys, the turn. */
static int open_parts(struct cairnfs *ws, const char *path, const struct cairnfs_options *options,
		      struct cairn_error *err)
{
	const struct cairn_log *log = ws->has_log ? &ws->log : NULL;
	struct cairn_core_options core_options = CAIRN_CORE_OPTIONS_DEFAULT;
	struct cairn_store_options store_options = {
		.read_only = ws->read_only,
		.yield_checkpoints = true,
		.wal_limit = core_options.wal_limit,
		.busy_timeout_ms = options->busy_timeout_ms,
		.log = log,
	};
	bool turns = !ws->read_only && ws->durability != CAIRNFS_DURABILITY_ASYNC;
	bool sync = ws->durability == CAIRNFS_DURABILITY_FULL;
	_cleanup_(cairn_freep) char *real = NULL;
	struct cairn_store *store;
	int r;

	core_options.read_only = ws->read_only;
	core_options.keep_orphans = true; /* a mount may have them open */
	core_options.atime = ws->update_atime ? CAIRN_RELATIME : CAIRN_NOATIME;
	r = open_store(path, &store_options, &store, err);
	if (r < 0)
		return r;
	ws->has_base = store->base_path != NULL;
	r = cairn_kv_open(store->own ? store->own : store, options->busy_timeout_ms, sync, &ws->kv);
	if (r < 0) {
		store->ops->close(store);
		return r;
	}
	r = cairn_core_open(store, &core_options, log, &ws->core);
	if (r < 0)
		return r;
	if (!turns)
		return 0;
	real = realpath(path, NULL);
	return real ? cairn_turn_open(&ws->turn, real) : -errno;
}

/* Takes half-built ones. */
static int free_workspace(struct cairnfs *ws)
{
	int r = 0;

	cairn_kv_close(ws->kv);
	if (ws->core)
		r = cairn_core_close(ws->core);
	cairn_turn_close(&ws->turn);
	pthread_mutex_destroy(&ws->rename_lock);
	if (ws->has_log)
		cairn_log_close(&ws->log);
	free(ws);
	return r;
}

static int open_workspace(struct cairnfs *ws, const char *path,
			  const struct cairnfs_options *options, struct cairn_error *err)
{
	int r;

	cairn_turn_init(&ws->turn);
	ws->read_only = options->read_only;
	ws->update_atime = options->update_atime;
	ws->durability = options->durability;
	ws->log = (struct cairn_log)CAIRN_LOG_INIT;
	pthread_mutex_init(&ws->rename_lock, NULL);
	if (options->log_file) {
		r = cairn_log_to_file(&ws->log, options->log_file);
		if (r < 0)
			return cairn_error_set(err, r, "the log '%s' cannot be written: %s",
					       options->log_file, strerror(-r));
		ws->has_log = true;
	}
	if (options->create && !options->read_only) {
		r = make_if_missing(path, err);
		if (r < 0)
			return r;
	}
	return open_parts(ws, path, options, err);
}

int cairnfs_open(const char *path, const struct cairnfs_options *options, struct cairnfs **ret)
{
	struct cairn_error err = { 0 };
	struct cairnfs_options taken;
	struct cairnfs *ws;
	int r;

	r = path && ret ? take_options(options, &taken) : -EINVAL;
	if (r < 0)
		return cairn_call_failed(r, "open the workspace", path);
	ws = calloc(1, sizeof(*ws));
	if (!ws)
		return cairn_call_failed(-ENOMEM, "open the workspace", path);
	r = open_workspace(ws, path, &taken, &err);
	if (r < 0) {
		free_workspace(ws);
		return err.text[0] ? cairn_call_failed_with(r, err.text)
				   : cairn_call_failed(r, "open the workspace", path);
	}
	*ret = ws;
	return 0;
}

int cairnfs_close(struct cairnfs *ws)
{
	int r;

	if (!ws)
		return 0;
	r = free_workspace(ws);
	return r < 0 ? cairn_call_failed(r, "write all changes while closing", NULL) : 0;
}

int cairnfs_sync(struct cairnfs *ws)
{
	int r;

	r = ws ? cairn_core_settle(ws->core, true) : -EINVAL;
	return r < 0 ? cairn_call_failed(r, "sync the workspace", NULL) : 0;
}
