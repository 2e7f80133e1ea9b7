/* SHA-256, FIPS 180-4. */
#pragma once

#include <stddef.h>

void cairn_sha256(const void *data, size_t len, unsigned char ret_digest[32]);
