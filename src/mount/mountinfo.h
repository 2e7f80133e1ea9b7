/* The kernel's mount table, as /proc/self/mountinfo lists it (proc(5)). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CAIRN_FS_TYPE "fuse.cairnfs"

struct cairn_mount_entry {
	dev_t device; /* of the file system: the same in each mount of it */
	char *directory;
	char *type;
	char *source;  /* of a cairnfs mount: the workspace, unless fsname= says otherwise */
	char *options; /* of the mount, a comma and those of the file system */
};

struct cairn_mount_table {
	struct cairn_mount_entry *entries; /* in the order of mounting */
	size_t count;
};

/* Reads the table from `path` (NULL: /proc/self/mountinfo). Lines that are not in its format are
 * passed over. -errno from open(2), -ENOMEM. */
int cairn_mount_table_read(const char *path, struct cairn_mount_table *ret);

void cairn_mount_table_done(struct cairn_mount_table *table);

/* What is mounted on `directory` (see cairn_resolve_directory()), the topmost of several; NULL if
 * nothing is. Belongs to the table. */
const struct cairn_mount_entry *cairn_mount_table_find(const struct cairn_mount_table *table,
						       const char *directory);

bool cairn_mount_is_ours(const struct cairn_mount_entry *entry);

/* The user who mounted, and the group, from the options user_id and group_id of every FUSE mount;
 * -ENOENT if they are not there. */
int cairn_mount_owner(const struct cairn_mount_entry *entry, uid_t *ret);
int cairn_mount_group(const struct cairn_mount_entry *entry, gid_t *ret);
