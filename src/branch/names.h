/* A set of strings, each with a pointer. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/hash.h"

struct cairn_name {
	UT_hash_handle hh;
	void *value;
	size_t count; /* for whoever put it there; 0 at first */
	char text[];
};

/* Empty: { NULL }. */
struct cairn_names {
	struct cairn_name *table;
};

/* What was put first stays. -ENOMEM. */
int cairn_names_put(struct cairn_names *names, const char *text, void *value);
/* Whether it is there; `ret_value` may be NULL. */
bool cairn_names_get(const struct cairn_names *names, const char *text, void **ret_value);
/* Notes a number. -EIO: it was there already, which is damage. -ENOMEM. */
int cairn_names_visit(struct cairn_names *names, uint64_t number);
void cairn_names_free(struct cairn_names *names);
