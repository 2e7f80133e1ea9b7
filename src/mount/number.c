#include "mount/number.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/macro.h"

/* Reads the digits `text` begins with; `*ret_end` is what follows them. */
static int digits_parse(const char *text, uint64_t *ret, const char **ret_end)
{
	unsigned long long number;
	char *end;

	/* strtoull(3) would take spaces and a sign. */
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno == ERANGE)
		return -ERANGE;
	*ret = number;
	*ret_end = end;
	return 0;
}

int cairn_number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	const char *end;
	uint64_t number;
	int r;

	r = digits_parse(text, &number, &end);
	if (r < 0)
		return r;
	if (*end)
		return -EINVAL;
	if (number < min || number > max)
		return -ERANGE;
	*ret = number;
	return 0;
}

/* The power of two a suffix stands for, -EINVAL if it stands for none. */
static int suffix_shift(const char *suffix)
{
	static const char letters[] = "KMGT";
	const char *at;

	if (!suffix[0])
		return 0;
	at = strchr(letters, toupper((unsigned char)suffix[0]));
	if (!at || suffix[1])
		return -EINVAL;
	return 10 * (int)(at - letters + 1);
}

int cairn_size_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	const char *end;
	uint64_t number;
	int r, shift;

	r = digits_parse(text, &number, &end);
	if (r < 0)
		return r;
	shift = suffix_shift(end);
	if (shift < 0)
		return shift;
	if (number > UINT64_MAX >> shift)
		return -ERANGE;
	number <<= shift;
	if (number < min || number > max)
		return -ERANGE;
	*ret = number;
	return 0;
}

void cairn_size_format(uint64_t bytes, char ret_text[CAIRN_SIZE_TEXT_MAX])
{
	static const char *const unit[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	uint64_t whole = bytes, rest = 0;
	size_t n = 0;

	if (bytes < 1024) {
		snprintf(ret_text, CAIRN_SIZE_TEXT_MAX, "%" PRIu64 " byte%s", bytes,
			 bytes == 1 ? "" : "s");
		return;
	}
	while (whole >= 1024 && n < ARRAY_SIZE(unit)) {
		rest = whole % 1024;
		whole /= 1024;
		n++;
	}
	rest = rest * 10 / 1024;
	if (rest)
		snprintf(ret_text, CAIRN_SIZE_TEXT_MAX, "%" PRIu64 ".%" PRIu64 " %s", whole, rest,
			 unit[n - 1]);
	else
		snprintf(ret_text, CAIRN_SIZE_TEXT_MAX, "%" PRIu64 " %s", whole, unit[n - 1]);
}
