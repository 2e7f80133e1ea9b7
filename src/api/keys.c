/* Keys and values. They are transactions of their own: no turn, nothing to bring up to date. */
#include <errno.h>
#include <string.h>

#include "api/call.h"
#include "util/macro.h"
#include "util/utf8.h"

#define TEXT_MAX (16U << 20) /* bytes of a key or a value */

static int check_text(const char *text)
{
	size_t len;

	if (!text)
		return -EINVAL;
	len = strlen(text);
	if (len > TEXT_MAX)
		return -EFBIG;
	return cairn_utf8_valid(text, len) ? 0 : -EINVAL;
}

static int check(const struct cairnfs *ws, const char *key)
{
	return ws ? check_text(key) : -EINVAL;
}

static int done(int r, const char *what, const char *key)
{
	return r < 0 ? cairn_call_failed(r, what, key) : r;
}

int cairnfs_kv_get(struct cairnfs *ws, const char *key, char **ret, size_t *ret_size)
{
	int r;

	r = ret ? check(ws, key) : -EINVAL;
	if (r == 0)
		r = cairn_kv_get(ws->kv, key, ret, ret_size);
	return done(r, "get the key", key);
}

int cairnfs_kv_set(struct cairnfs *ws, const char *key, const char *value)
{
	int r;

	r = check(ws, key) ?: check_text(value);
	if (r == 0)
		r = cairn_kv_set(ws->kv, key, value);
	return done(r, "set the key", key);
}

int cairnfs_kv_delete(struct cairnfs *ws, const char *key)
{
	int r;

	r = check(ws, key);
	if (r == 0)
		r = cairn_kv_delete(ws->kv, key);
	return done(r, "delete the key", key);
}

int cairnfs_kv_list(struct cairnfs *ws, const char *prefix, cairnfs_kv_list_fn fn, void *arg)
{
	_cleanup_(cairn_kv_list_done) struct cairn_kv_list list = { 0 };
	int r;

	r = fn ? check(ws, prefix) : -EINVAL;
	if (r == 0)
		r = cairn_kv_list(ws->kv, prefix, &list);
	if (r < 0)
		return cairn_call_failed(r, "list the keys", prefix);
	for (size_t i = 0; r == 0 && i < list.count; i++)
		r = fn(arg, list.pairs[i].key, list.pairs[i].value);
	return r;
}

int cairnfs_kv_increment(struct cairnfs *ws, const char *key, int64_t delta, int64_t *ret)
{
	int r;

	r = check(ws, key);
	if (r == 0)
		r = cairn_kv_add(ws->kv, key, delta, ret);
	return done(r, "increment the key", key);
}

int cairnfs_kv_compare_and_set(struct cairnfs *ws, const char *key, const char *expected,
			       const char *value)
{
	int r;

	r = check(ws, key);
	if (r == 0 && expected)
		r = check_text(expected);
	if (r == 0 && value)
		r = check_text(value);
	if (r == 0)
		r = cairn_kv_swap(ws->kv, key, expected, value);
	return done(r, "compare and set the key", key);
}
