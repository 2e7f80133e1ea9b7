#include <stdio.h>
#include <string.h>

#include "store/check_internal.h"
#include "store/sqlite_row.h"
#include "util/utf8.h"

#define SHOW_MAX 64U /* bytes of a value that a line shows */

static bool is_bytes(sqlite3_value *value)
{
	int type = sqlite3_value_type(value);

	return type == SQLITE_TEXT || type == SQLITE_BLOB;
}

/* The order matters: sqlite3_value_blob() may move what sqlite3_value_bytes() counts. */
static const char *get_bytes(sqlite3_value *value, size_t *ret_len)
{
	const char *bytes = sqlite3_value_blob(value);

	*ret_len = bytes ? (size_t)sqlite3_value_bytes(value) : 0;
	return bytes ? bytes : "";
}

static int judge_name(sqlite3_value *value, bool path_name)
{
	int type = sqlite3_value_type(value); /* before anything that may change it */
	const char *name;
	size_t len;

	name = get_bytes(value, &len);
	return cairn_row_judge_name(type, name, len, path_name);
}

static void name_function(sqlite3_context *context, int count, sqlite3_value **values)
{
	sqlite3_result_int(context, judge_name(values[0], true));
}

static void xattr_name_function(sqlite3_context *context, int count, sqlite3_value **values)
{
	sqlite3_result_int(context, judge_name(values[0], false));
}

/* "/a/b": names of path components, each after a slash. */
static bool is_base_path(const char *path, size_t len)
{
	const char *end = path + len;

	if (len < 2 || len >= CAIRN_BASE_PATH_MAX || memchr(path, 0, len))
		return false;
	while (path < end) {
		const char *name = path + 1, *slash = memchr(name, '/', (size_t)(end - name));
		size_t name_len = (size_t)((slash ? slash : end) - name);

		if (path[0] != '/' || name_len < 1 || name_len > CAIRN_NAME_MAX ||
		    !cairn_row_is_path_name(name, name_len))
			return false;
		path = name + name_len;
	}
	return true;
}

static void path_function(sqlite3_context *context, int count, sqlite3_value **values)
{
	size_t len;
	const char *path = get_bytes(values[0], &len);
	int judged = CAIRN_NAME_GOOD;

	if (!is_bytes(values[0]) || !is_base_path(path, len))
		judged = CAIRN_NAME_BAD;
	else if ((sqlite3_value_type(values[0]) == SQLITE_TEXT) != cairn_utf8_valid(path, len))
		judged = CAIRN_NAME_STORAGE;
	sqlite3_result_int(context, judged);
}

static void result_name(sqlite3_context *context, const char *name, size_t len)
{
	if (cairn_utf8_valid(name, len))
		sqlite3_result_text64(context, name, len, SQLITE_TRANSIENT, SQLITE_UTF8);
	else
		sqlite3_result_blob64(context, name, len, SQLITE_TRANSIENT);
}

static void parent_function(sqlite3_context *context, int count, sqlite3_value **values)
{
	size_t len;
	const char *path = get_bytes(values[0], &len);
	const char *slash = memrchr(path, '/', len);

	if (slash)
		result_name(context, path, MAX((size_t)(slash - path), (size_t)1));
}

static void store_name_function(sqlite3_context *context, int count, sqlite3_value **values)
{
	size_t len;
	const char *name = get_bytes(values[0], &len);

	result_name(context, name, len);
}

static void target_function(sqlite3_context *context, int count, sqlite3_value **values)
{
	size_t len;
	const char *target = get_bytes(values[0], &len);

	sqlite3_result_int(context, is_bytes(values[0]) && len >= 1 && len <= CAIRN_SYMLINK_MAX &&
					    !memchr(target, 0, len));
}

/* Control characters and what is not ASCII go as \xNN, so that a name cannot pass for something
 * else on a terminal. */
static void show_function(sqlite3_context *context, int count, sqlite3_value **values)
{
	char text[4 * SHOW_MAX + 8], *p = text;
	const char *bytes;
	size_t len;

	if (sqlite3_value_type(values[0]) == SQLITE_NULL) {
		sqlite3_result_text(context, "NULL", -1, SQLITE_STATIC);
		return;
	}
	if (!is_bytes(values[0])) {
		sqlite3_result_value(context, values[0]);
		return;
	}
	bytes = get_bytes(values[0], &len);
	*p++ = '\'';
	for (size_t i = 0; i < MIN(len, SHOW_MAX); i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c >= ' ' && c < 0x7f && c != '\\' && c != '\'')
			*p++ = (char)c;
		else
			p += sprintf(p, "\\x%02x", c);
	}
	p = stpcpy(p, len > SHOW_MAX ? "'..." : "'");
	sqlite3_result_text(context, text, (int)(p - text), SQLITE_TRANSIENT);
}

static void fit_function(sqlite3_context *context, int count, sqlite3_value **values)
{
	sqlite3_int64 want = sqlite3_value_int64(values[1]);
	unsigned char *fitted;
	const char *bytes;
	size_t len, size;

	if (want < 0 || want > (sqlite3_int64)CAIRN_CHUNK_MAX) {
		sqlite3_result_error_toobig(context);
		return;
	}
	bytes = get_bytes(values[0], &len);
	size = (size_t)want;
	fitted = sqlite3_malloc64(size + 1);
	if (!fitted) {
		sqlite3_result_error_nomem(context);
		return;
	}
	len = MIN(len, size);
	memcpy(fitted, bytes, len);
	memset(fitted + len, 0, size - len);
	sqlite3_result_blob64(context, fitted, size, sqlite3_free);
}

static void chunk_size_function(sqlite3_context *context, int count, sqlite3_value **values)
{
	const struct cairn_check *check = sqlite3_user_data(context);

	sqlite3_result_int64(context, (sqlite3_int64)check->chunk_size);
}

static void chunk_last_function(sqlite3_context *context, int count, sqlite3_value **values)
{
	const struct cairn_check *check = sqlite3_user_data(context);
	sqlite3_int64 size = MAX((sqlite3_int64)check->chunk_size, 1);

	sqlite3_result_int64(context, (CAIRN_FILE_SIZE_MAX - 1) / size);
}

int cairn_check_add_functions(struct cairn_check *check)
{
	static const struct {
		const char *name;
		int arguments;
		void (*function)(sqlite3_context *, int, sqlite3_value **);
	} functions[] = {
		{ "cairn_name", 1, name_function },
		{ "cairn_xattr_name", 1, xattr_name_function },
		{ "cairn_path", 1, path_function },
		{ "cairn_parent", 1, parent_function },
		{ "cairn_store_name", 1, store_name_function },
		{ "cairn_target", 1, target_function },
		{ "cairn_show", 1, show_function },
		{ "cairn_fit", 2, fit_function },
		{ "cairn_chunk_size", 0, chunk_size_function },
		{ "cairn_chunk_last", 0, chunk_last_function },
	};
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		rc = sqlite3_create_function_v2(
			check->sql->db, functions[i].name, functions[i].arguments,
			SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, check,
			functions[i].function, NULL, NULL, NULL);
		if (rc != SQLITE_OK)
			return cairn_sql_failed(check->sql, rc, functions[i].name);
	}
	return 0;
}
