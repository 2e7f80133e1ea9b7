/* UTF-8 validity, as RFC 3629 defines it: no overlong forms, no surrogates, at most U+10FFFF. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

bool cairn_utf8_valid(const char *s, size_t len);
