/* Text from file names, which are bytes, as JSON strings, which are UTF-8. */
#pragma once

#include <jansson.h>

/* A new JSON string; what is not UTF-8 in `bytes` becomes U+FFFD. JSON null for NULL. NULL when out
 * of memory. */
json_t *cairn_json_text(const char *bytes);
