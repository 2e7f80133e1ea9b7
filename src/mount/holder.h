/* Who serves a cairnfs mount: the mount is asked first, then the mark beside the workspace. */
#pragma once

#include "mount/mountinfo.h"

enum cairn_holder_state {
	CAIRN_HOLDER_LIVE,    /* a daemon serves it: pid */
	CAIRN_HOLDER_GONE,    /* its daemon is dead; every access fails with ENOTCONN */
	CAIRN_HOLDER_UNKNOWN, /* it did not say, and there is no mark we may read */
};

struct cairn_holder {
	enum cairn_holder_state state;
	int pid; /* 0 unless LIVE */
	char *workspace;
};

/* Fills `ret`; the caller frees it with cairn_holder_done(). -ENOMEM. */
int cairn_holder_find(const struct cairn_mount_entry *mount, struct cairn_holder *ret);

void cairn_holder_done(struct cairn_holder *holder);
