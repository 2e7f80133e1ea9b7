/* One call of the library: what every public function does before and after its work.
 *
 *	struct cairn_call call = { .ws = ws, .what = "truncate", .path = path, .change = true };
 *	int r;
 *
 *	r = cairn_call_begin(&call);
 *	if (r == 0)
 *		r = truncate_file(ws, path, size);
 *	return cairn_call_end(&call, r);
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/turn.h"
#include "cairnfs/cairnfs.h"
#include "core/core.h"
#include "store/kv.h"
#include "util/log.h"

struct cairnfs {
	struct cairn_core *core;
	struct cairn_kv *kv;
	struct cairn_turn turn;
	struct cairn_log log;
	bool has_log;
	bool read_only;
	bool update_atime;
	bool has_base; /* `known` says nothing of what others do there */
	enum cairnfs_durability durability;

	/* Held while a directory is looked for a new place: two that move at once could end up
	 * below each other. Taken inside the turn, before any lock of the core. */
	pthread_mutex_t rename_lock;

	/* The version of the database (see cairn_kv_version()) up to which the core knows what
	 * others did: for certain, and as far as reads are concerned. */
	_Atomic int64_t known, known_to_reads;
};

struct cairn_call {
	struct cairnfs *ws;
	const char *what; /* for the words of an error */
	const char *path; /* the path or the key; NULL is -EINVAL */
	bool change;      /* it may change files */
	bool turn;        /* set: it has the turn */
};

/* For files and directories: waits for the turn if it is a change, and brings the core up to date.
 * -EINVAL, -EROFS, -EAGAIN. */
int cairn_call_begin(struct cairn_call *call);
/* Commits as far as the durability asks for it, gives the turn up, keeps the words of a failure.
 * Returns `r`, or what went wrong in committing. Follows every begin, also one that failed. */
int cairn_call_end(struct cairn_call *call, int r);

/* Keeps the words of a failure for cairnfs_last_error(). Returns `r`. */
int cairn_call_failed(int r, const char *what, const char *path);
int cairn_call_failed_with(int r, const char *text);

/* The calling process, who owns what it makes. */
struct cairn_caller cairn_call_caller(void);
