/* The kinds of bases, behind cairn_base_open(). */
#pragma once

#include "base/base.h"

/* Another workspace, opened without writing. */
int cairn_base_store_open(const char *path, const struct cairn_base_options *options,
			  struct cairn_base **ret, struct cairn_error *err);

/* A directory of the host. */
int cairn_base_dir_open(const char *path, const struct cairn_base_options *options,
			struct cairn_base **ret, struct cairn_error *err);

/* resolve() by one lookup() after the other. */
int cairn_base_walk(struct cairn_base *base, const char *path, struct cairn_attr *ret);
