/* Attributes and what follows from them: times, set-id bits, links. The inodes are held by an
 * operation. */
#pragma once

#include "core/inode.h"
#include "core/op.h"

/* Most names an inode may have; the column is wider, nlink_t in a FUSE reply is 32 bits. */
#define CAIRN_LINK_MAX INT32_MAX

/* -ENOTDIR; -ENOENT for a directory that was removed and takes no more entries. */
int cairn_dir_check_alive(const struct cairn_inode *dir);
/* A subdirectory comes or goes. Directories whose count a peer does not keep (it is below 2) are
 * left as they are: 1 tells tools that the count says nothing. */
void cairn_dir_add_link(struct cairn_inode *dir);
void cairn_dir_drop_link(struct cairn_inode *dir);

/* The entries or the data changed: mtime and ctime. */
void cairn_attr_touch(struct cairn_inode *inode, const struct timespec *now);
/* A write, truncation or change of owner takes the set-id bits, as Linux does on disk file systems.
 */
void cairn_attr_drop_setid(struct cairn_inode *inode, const struct cairn_caller *caller);

/* Takes one name away from an inode that is held and has a delta, and with the last one the inode,
 * at once or when the last pin goes. -errno only before anything was changed. */
int cairn_inode_prepare_drop(struct cairn_op *op, struct cairn_inode *inode);
void cairn_inode_drop_link(struct cairn_op *op, struct cairn_inode *inode);
/* The end of an orphan. */
void cairn_inode_destroy(struct cairn_core *core, uint64_t ino);
