#include "cli/kv_text.h"

#include <string.h>

#include "mount/json.h"
#include "util/macro.h"
#include "util/utf8.h"

/* Any JSON text, not only an object or an array; a number beyond 64 bits is one, too. NULL where it
 * is none. */
static json_t *parse(const char *text, size_t size)
{
	const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
	json_t *root = json_loadb(text, size, flags, NULL);

	return root ?: json_loadb(text, size, flags | JSON_DECODE_INT_AS_REAL, NULL);
}

static bool is_json(const char *text, size_t size)
{
	json_t *root = parse(text, size);

	json_decref(root);
	return root != NULL;
}

/* White space around JSON text says nothing, and a number with it is none to others. */
static char *without_space(const char *text, size_t size)
{
	static const char space[] = " \t\r\n";

	while (size > 0 && strchr(space, text[0])) {
		text++;
		size--;
	}
	while (size > 0 && strchr(space, text[size - 1]))
		size--;
	return strndup(text, size);
}

int cairn_kv_text_store(const char *text, size_t size, bool as_string, char **ret)
{
	json_t *string;

	if (memchr(text, '\0', size) || !cairn_utf8_valid(text, size))
		return -EILSEQ;
	if (!as_string && is_json(text, size)) {
		*ret = without_space(text, size);
		return *ret ? 0 : -ENOMEM;
	}
	string = json_stringn(text, size);
	*ret = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
	json_decref(string);
	return *ret ? 0 : -ENOMEM;
}

int cairn_kv_text_show(const char *value, size_t size, char **ret, size_t *ret_size)
{
	json_t *root = parse(value, size);
	char *text;

	if (json_is_string(root)) {
		value = json_string_value(root);
		size = json_string_length(root);
	}
	text = malloc(size + 1);
	if (text) {
		memcpy(text, value, size);
		text[size] = '\0';
	}
	json_decref(root);
	if (!text)
		return -ENOMEM;
	*ret = text;
	*ret_size = size;
	return 0;
}

json_t *cairn_kv_text_json(const char *value, size_t size)
{
	json_t *root = json_loadb(value, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

	return root ?: cairn_json_text(value);
}
