/* The key-value store of a workspace: AgentFS's table kv_store.
 *
 * It stands beside the core, on two connections of its own, so that a read never waits for a
 * write. Each function is one transaction. Another process that holds the write lock is waited
 * for: the busy timeout, then again and again with pauses that grow, until CAIRN_KV_BUDGET_MS have
 * passed. Only then, and for nothing else, the answer is -EAGAIN.
 *
 * Every function may be called from any thread. Keys and values are NUL-terminated; whoever calls
 * has checked that they are UTF-8. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

#define CAIRN_KV_BUDGET_MS 60000U

struct cairn_kv;

/* `store` must be the SQLite store, and outlive this. With `sync`, a change is on the disk when
 * its function returns. */
int cairn_kv_open(struct cairn_store *store, unsigned int busy_timeout_ms, bool sync,
		  struct cairn_kv **ret);
void cairn_kv_close(struct cairn_kv *kv); /* NULL is allowed */

/* A number that moves whenever a commit was made to the database, by anyone. */
int cairn_kv_version(struct cairn_kv *kv, int64_t *ret);

/* The value as a new string; its length without the NUL. -ENOENT: no such key. */
int cairn_kv_get(struct cairn_kv *kv, const char *key, char **ret, size_t *ret_size);
int cairn_kv_set(struct cairn_kv *kv, const char *key, const char *value);
/* -ENOENT: no such key. */
int cairn_kv_delete(struct cairn_kv *kv, const char *key);

/* The keys that begin with `prefix`, in the order of their bytes, at one moment. Free it with
 * cairn_kv_list_done(). */
struct cairn_kv_list {
	struct cairn_kv_pair {
		char *key, *value;
	} * pairs;
	size_t count, capacity;
};
int cairn_kv_list(struct cairn_kv *kv, const char *prefix, struct cairn_kv_list *ret);
void cairn_kv_list_done(struct cairn_kv_list *list);

/* Adds `delta` to the number in `key` (none: 0). -EINVAL: no whole number, -ERANGE. */
int cairn_kv_add(struct cairn_kv *kv, const char *key, int64_t delta, int64_t *ret);
/* 1: the key had the value `expected` (NULL: no value) and has `value` now (NULL: none). 0: it
 * had another. */
int cairn_kv_swap(struct cairn_kv *kv, const char *key, const char *expected, const char *value);
