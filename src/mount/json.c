#include "mount/json.h"

#include <string.h>

#include "util/macro.h"
#include "util/utf8.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* The length of the valid UTF-8 character at `s`, 0 if none begins there. */
static size_t character_length(const char *s)
{
	size_t left = strnlen(s, 4);

	for (size_t len = 1; len <= left; len++) {
		if (cairn_utf8_valid(s, len))
			return len;
	}
	return 0;
}

json_t *cairn_json_text(const char *bytes)
{
	_cleanup_(cairn_freep) char *text = NULL;
	char *p;

	if (!bytes)
		return json_null();
	if (cairn_utf8_valid(bytes, strlen(bytes)))
		return json_string(bytes);

	text = malloc(strlen(bytes) * strlen(REPLACEMENT) + 1);
	if (!text)
		return NULL;
	for (p = text; *bytes;) {
		size_t len = character_length(bytes);

		if (len > 0) {
			p = mempcpy(p, bytes, len);
			bytes += len;
		} else {
			p = stpcpy(p, REPLACEMENT);
			bytes++;
		}
	}
	*p = '\0';
	return json_string(text);
}
