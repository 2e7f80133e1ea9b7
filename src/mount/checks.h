/* What must be so before a mount is tried, each with its own line of explanation: what libfuse and
 * fusermount3 would say from inside the daemon helps nobody. Nothing is changed by a check, and a
 * check that passed promises nothing: the mount itself still reports what goes wrong. */
#pragma once

#include "mount/options.h"
#include "util/error.h"

/* A file stands at `workspace` (absolute). `name` is what the user called it. */
int cairn_check_workspace(const char *workspace, const char *name, struct cairn_error *err);

/* `dir` is an empty directory (any, with the option nonempty), no cairnfs mount, and does not hide
 * the workspace, which is mounted nowhere else. Returns its absolute path; free() it. */
int cairn_check_mount_point(const char *dir, const char *workspace,
			    const struct cairn_options *options, char **ret_dir,
			    struct cairn_error *err);

/* /dev/fuse can be opened. */
int cairn_check_device(struct cairn_error *err);

/* This user can make FUSE mounts with these options: /dev/fuse, fusermount3 and, for allow_other,
 * /etc/fuse.conf. */
int cairn_check_fuse(const struct cairn_options *options, struct cairn_error *err);
