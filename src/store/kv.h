/* The key-value store of a workspace: AgentFS's table kv_store.
 *
 * It stands beside the core, on two connections of its own, so that a read never waits for a
 * write. Each function is one transaction. Another process that holds the write lock, or a
 * reader that keeps the write-ahead log at its limit, is waited for: the busy timeout, then again
 * and again with pauses that grow, until CAIRN_KV_BUDGET_MS have passed. Only then, and for nothing
 * else, the answer is -EAGAIN.
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

/* `store` must be the SQLite store, and outlive this; its writer makes the checkpoints. With
 * `sync`, a change is on the disk when its function returns. */
int cairn_kv_open(struct cairn_store *store, unsigned int busy_timeout_ms, bool sync,
		  struct cairn_kv **ret);
void cairn_kv_close(struct cairn_kv *kv); /* NULL is allowed */

/* The version of the database: a number that moves whenever a commit was made to the database, by
 * anyone. */
int cairn_kv_version(struct cairn_kv *kv, int64_t *ret);

/* The value as a new string; its length without the NUL. -ENOENT: no such key. */
int cairn_kv_get(struct cairn_kv *kv, const char *key, char **ret, size_t *ret_size);
int cairn_kv_set(struct cairn_kv *kv, const char *key, const char *value);
/* -ENOENT: no such key. */
int cairn_kv_delete(struct cairn_kv *kv, const char *key);

struct cairn_kv_pair {
	char *key, *value;
	size_t size;                    /* bytes of the value */
	int64_t created_at, updated_at; /* seconds since 1970; 0: not known */
};

/* The same as cairn_kv_get(), with what else is in the row. Free it with cairn_kv_pair_done(). */
int cairn_kv_look(struct cairn_kv *kv, const char *key, struct cairn_kv_pair *ret);
void cairn_kv_pair_done(struct cairn_kv_pair *pair);

/* The keys that begin with `prefix`, in the order of their bytes, at one moment. Free it with
 * cairn_kv_list_done(). */
struct cairn_kv_list {
	struct cairn_kv_pair *pairs;
	size_t count, capacity;
};
int cairn_kv_list(struct cairn_kv *kv, const char *prefix, struct cairn_kv_list *ret);
void cairn_kv_list_done(struct cairn_kv_list *list);

/* The version of a value: a number made from its bytes, so that equal versions mean equal values,
 * whoever wrote them and with what program (for certain up to chance: it has 53 bits, which is what
 * every reader of JSON can take). 0 is no value's; it stands for "no such key". */
uint64_t cairn_kv_version_of(const char *value, size_t size);

/* Changes with a condition. Where `if_version` is not NULL, the key must have that version, or
 * nothing changes and the result is -ESTALE. *ret_version (may be NULL) is the version that the key
 * has afterwards, also with -ESTALE. Otherwise as the functions without "_if". */
int cairn_kv_set_if(struct cairn_kv *kv, const char *key, const char *value,
		    const uint64_t *if_version, uint64_t *ret_version);
int cairn_kv_delete_if(struct cairn_kv *kv, const char *key, const uint64_t *if_version,
		       uint64_t *ret_version);
int cairn_kv_add_if(struct cairn_kv *kv, const char *key, int64_t delta, const uint64_t *if_version,
		    int64_t *ret, uint64_t *ret_version);

/* Adds `delta` to the number in `key` (none: 0). -EINVAL: no whole number, -ERANGE. */
int cairn_kv_add(struct cairn_kv *kv, const char *key, int64_t delta, int64_t *ret);
/* 1: the key had the value `expected` (NULL: no value) and has `value` now (NULL: none). 0: it
 * had another. */
int cairn_kv_swap(struct cairn_kv *kv, const char *key, const char *expected, const char *value);
