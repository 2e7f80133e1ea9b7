#include "util/error.h"

#include <stdarg.h>
#include <stdio.h>

int cairn_error_set(struct cairn_error *err, int r, const char *fmt, ...)
{
	va_list ap;

	if (!err || err->text[0])
		return r;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return r;
}
