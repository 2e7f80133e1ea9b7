#include "util/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAP      " ... "
#define TAIL_MAX 240 /* bytes; more than any message says behind its last path */

static bool is_inside_character(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* Leaves out of the middle what is too much: the end says what to do next. */
static void shorten(struct cairn_error *err, const char *whole)
{
	size_t len = strlen(whole);
	size_t head = sizeof(err->text) - 1 - strlen(GAP) - TAIL_MAX;
	const char *tail = whole + len - TAIL_MAX;

	while (head > 0 && is_inside_character(whole[head]))
		head--;
	while (is_inside_character(*tail))
		tail++;
	snprintf(err->text, sizeof(err->text), "%.*s" GAP "%s", (int)head, whole, tail);
}

int cairn_error_set(struct cairn_error *err, int r, const char *fmt, ...)
{
	_cleanup_(cairn_freep) char *whole = NULL;
	va_list ap;
	int len;

	if (!err || err->text[0])
		return r;
	va_start(ap, fmt);
	len = vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	if (len < (int)sizeof(err->text))
		return r;
	va_start(ap, fmt);
	len = vasprintf(&whole, fmt, ap);
	va_end(ap);
	if (len >= 0)
		shorten(err, whole);
	else
		whole = NULL;
	return r;
}
