/* What the library needs of the core beyond core.h. This is the one place in src/api that knows the
 * inside of the core.
 *
 * The library opens the core with durability async and waits itself, once a call: a call that takes
 * several steps then costs one commit. */
#pragma once

#include "core/core.h"

/* Returns when the core has dropped what others had made old by committing before the call, a
 * commit of its own that is under way included. -ETIMEDOUT after `timeout_ms` (0: never). */
int cairn_engine_refresh(struct cairn_core *core, unsigned int timeout_ms);

/* True where nothing waits to be committed. */
bool cairn_engine_is_clean(struct cairn_core *core);

/* Makes `buf` the content of the file `name` in `dir`, made with `mode` if it is missing, in one
 * operation. -EISDIR, -EINVAL for what is no regular file. */
int cairn_engine_put(struct cairn_core *core, const struct cairn_caller *caller, uint64_t dir,
		     const char *name, mode_t mode, const void *buf, size_t size);
