/* Numbers and sizes as people write them in options: decimal, sizes with an optional suffix K, M, G
 * or T (powers of 1024). Nothing else may stand before or after them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* -EINVAL when `text` is no decimal number, -ERANGE when it is not in min ... max. */
int cairn_number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

/* Bytes. The same errors; a product past 2^64-1 is -ERANGE. */
int cairn_size_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

#define CAIRN_SIZE_TEXT_MAX 32

/* "64 KiB", "1.5 GiB", "512 bytes": at most one decimal, cut off rather than rounded up. */
void cairn_size_format(uint64_t bytes, char ret_text[CAIRN_SIZE_TEXT_MAX]);
