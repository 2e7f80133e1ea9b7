#include "api/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How long a read waits for a commit of its own process that is under way, which another process
 * may hold up for long. */
#define READ_PATIENCE_MS 100U

/* The one thing that belongs to no workspace: cairnfs_open() fails without one. */
static _Thread_local char last_error[640];

const char *cairnfs_last_error(void)
{
	return last_error;
}

int cairn_call_failed_with(int r, const char *text)
{
	snprintf(last_error, sizeof(last_error), "%s", text);
	return r;
}

int cairn_call_failed(int r, const char *what, const char *path)
{
	const char *words = strerror(-r);

	if (r == -EAGAIN)
		words = "another process kept the workspace locked for more than 60 seconds";
	if (path)
		snprintf(last_error, sizeof(last_error), "cannot %s '%.400s': %s", what, path,
			 words);
	else
		snprintf(last_error, sizeof(last_error), "cannot %s: %s", what, words);
	return r;
}

/* What others committed before now must not be covered by what the core has kept. */
static int refresh(struct cairnfs *ws, bool change)
{
	int64_t version;
	int r;

	r = cairn_kv_version(ws->kv, &version);
	if (r < 0)
		return r;
	if (version == (change ? ws->known : ws->known_to_reads) && !ws->has_base)
		return 0;
	r = cairn_core_refresh_fully(ws->core, change ? 0 : READ_PATIENCE_MS);
	if (r < 0 && r != -ETIMEDOUT)
		return r;
	/* After a timeout, the commit that was not waited for will bring the core up to date. */
	ws->known_to_reads = version;
	if (r == 0)
		ws->known = version;
	return 0;
}

int cairn_call_begin(struct cairn_call *call)
{
	struct cairnfs *ws = call->ws;
	int r;

	if (!ws || !call->path)
		return -EINVAL;
	if (call->change && ws->read_only)
		return -EROFS;
	/* A read that moves the atime is a change like any other. */
	call->change |= ws->update_atime && !ws->read_only;
	if (call->change) {
		r = cairn_turn_enter(&ws->turn);
		if (r < 0)
			return r;
		call->turn = true;
	}
	return refresh(ws, call->change);
}

static int settle(struct cairnfs *ws)
{
	if (ws->durability == CAIRNFS_DURABILITY_ASYNC)
		return 0;
	return cairn_core_settle(ws->core, ws->durability == CAIRNFS_DURABILITY_FULL);
}

int cairn_call_end(struct cairn_call *call, int r)
{
	int settled = 0;

	if (call->turn) {
		/* A call that failed may have changed something before it did. */
		if (r == 0 || !cairn_core_is_clean(call->ws->core))
			settled = settle(call->ws);
		cairn_turn_leave(&call->ws->turn);
	}
	if (r == 0)
		r = settled;
	return r < 0 ? cairn_call_failed(r, call->what, call->path) : r;
}

struct cairn_caller cairn_call_caller(void)
{
	return (struct cairn_caller){ .uid = geteuid(), .gid = getegid(), .pid = getpid() };
}
