/* Making what is new beside its place, in kept/: see host.h. */
#pragma once

#include "branch/accept.h"
#include "branch/host.h"

struct cairn_stager {
	struct cairn_host *host;
	struct cairn_branch *branch;
	struct cairn_left_out *left;
};

/* A name in kept/ that is free. */
struct cairn_kept_name {
	char text[48];
};
struct cairn_kept_name cairn_stage_name(struct cairn_host *host);

/* Whether something of ours can be given this owner. */
bool cairn_stage_may_give(const struct cairn_host *host, uid_t uid, gid_t gid);
/* Makes what the change is in the branch, at a path below kept/, with all its attributes. A
 * directory stays open to its owner, and gets its time last: cairn_stage_close_dir(). */
int cairn_stage_new(const struct cairn_stager *stager, const struct cairn_change *c,
		    const char *path);
int cairn_stage_close_dir(const struct cairn_stager *stager, const struct cairn_change *c,
			  const char *path);
/* A copy of a file of the directory: bytes, mode and time. */
int cairn_stage_copy(const struct cairn_stager *stager, const char *from, const char *path);
/* Another name of something: of a file of the directory, or of one below kept/. */
int cairn_stage_link(const struct cairn_stager *stager, const char *from, bool is_kept,
		     const char *path);
/* The attributes that are the branch's. */
int cairn_stage_row_xattrs(struct cairn_branch *branch, uint64_t row, struct cairn_xattr_list *ret);
