#include "branch/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cairn_names_put(struct cairn_names *names, const char *text, void *value)
{
	size_t len = strlen(text);
	struct cairn_name *name;

	if (cairn_names_get(names, text, NULL))
		return 0;
	name = malloc(sizeof(*name) + len + 1);
	if (!name)
		return -ENOMEM;
	memcpy(name->text, text, len + 1);
	name->value = value;
	name->count = 0;
	HASH_ADD_KEYPTR(hh, names->table, name->text, len, name);
	if (!name->hh.tbl) {
		free(name);
		return -ENOMEM;
	}
	return 0;
}

bool cairn_names_get(const struct cairn_names *names, const char *text, void **ret_value)
{
	struct cairn_name *name;

	HASH_FIND(hh, names->table, text, strlen(text), name);
	if (name && ret_value)
		*ret_value = name->value;
	return name;
}

int cairn_names_visit(struct cairn_names *names, uint64_t number)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	return cairn_names_get(names, text, NULL) ? -EIO : cairn_names_put(names, text, NULL);
}

void cairn_names_free(struct cairn_names *names)
{
	struct cairn_name *name, *next;

	HASH_ITER (hh, names->table, name, next) {
		HASH_DEL(names->table, name);
		free(name);
	}
}
