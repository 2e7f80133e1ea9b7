#include "util/utf8.h"

#include <stdint.h>

/* The length of a sequence by its first byte (0: no valid first byte) and the least code point
 * that may take that many bytes. */
static size_t sequence_length(unsigned char first, uint32_t *ret_least)
{
	if (first < 0x80) {
		*ret_least = 0;
		return 1;
	}
	if ((first & 0xe0) == 0xc0) {
		*ret_least = 0x80;
		return 2;
	}
	if ((first & 0xf0) == 0xe0) {
		*ret_least = 0x800;
		return 3;
	}
	if ((first & 0xf8) == 0xf0) {
		*ret_least = 0x10000;
		return 4;
	}
	return 0;
}

bool cairn_utf8_valid(const char *s, size_t len)
{
	static const unsigned char first_mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	const unsigned char *p = (const unsigned char *)s, *end = p + len;

	while (p < end) {
		uint32_t least, point;
		size_t n = sequence_length(*p, &least);

		if (n == 0 || n > (size_t)(end - p))
			return false;
		point = *p & first_mask[n];
		for (size_t i = 1; i < n; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return false;
			point = point << 6 | (p[i] & 0x3f);
		}
		if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
			return false;
		p += n;
	}
	return true;
}
