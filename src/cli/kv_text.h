/* Values of the key-value store as people write and read them.
 *
 * AgentFS's libraries keep JSON text as values: what is stored here is JSON, too. A text that is
 * JSON already is stored as it is; any other becomes a JSON string. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* What to store for a text: a new string, free(3) it. With `as_string` always a JSON string.
 * -EILSEQ where the text is no UTF-8 or holds a NUL. */
int cairn_kv_text_store(const char *text, size_t size, bool as_string, char **ret);

/* What to show of a stored value, as a new string with its size: the characters of a JSON string,
 * anything else as it is. */
int cairn_kv_text_show(const char *value, size_t size, char **ret, size_t *ret_size);

/* A stored value as JSON; one that is no JSON becomes a string. */
json_t *cairn_kv_text_json(const char *value, size_t size);
