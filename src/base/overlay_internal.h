/* The inside of the overlay, shared by its files:
 *
 *	overlay_open.c	opening: the workspace, its base, the two put together
 *	overlay.c	what is passed on to the branch; transactions; changes by others
 *	overlay_tree.c	directories: their counterparts, numbers, names that are hidden
 *	overlay_read.c	readers: inodes, entries, listings
 *	overlay_data.c	the bytes of files, read
 *	overlay_write.c	the write side
 *	turn.c		what readers know and what they see, kept together
 *	copyup.c	copying up
 *	lost.c		what the base loses meanwhile
 *	seen.c		what was seen of the base, noted
 *	before.c	what the batch saw of it
 *	origin.c	the numbers of what was copied up
 *	dirs.c		where the directories of the branch lie
 *
 * Numbers: `merged` is a number of the merged tree, as the core knows it; `delta` the row of the
 *branch for it; `node` the number of the base. */
#pragma once

#include <stdatomic.h>

#include "base/before.h"
#include "base/dirs.h"
#include "base/lost.h"
#include "base/origin.h"
#include "base/overlay.h"
#include "store/branch.h"
#include "store/readers.h"
#include "util/macro.h"

struct cairn_overlay {
	struct cairn_store store; /* what the core sees */
	struct cairn_store *branch;
	struct cairn_base *base;
	const struct cairn_log *log;
	size_t copy_whole; /* as in struct cairn_store_options */
	struct cairn_origins origins;
	struct cairn_dirs dirs;
	/* Of the base: moves when it has changed, so that what was found there is looked for anew.
	 */
	atomic_uint_fast64_t generation;
	atomic_uint searches;      /* since then, for the place of a row; see overlay_tree.c */
	pthread_mutex_t turn_lock; /* held while what is held in memory is exchanged */
	/* Of the branch, as it is held in memory (see branch.h); meanwhile CAIRN_TURN_CHANGES. */
	atomic_uint_fast64_t turn;
	atomic_bool has_whiteouts; /* there may be some; false: there is none */
	atomic_bool gone_said;     /* a warning about bytes that the base has lost was written */
	bool base_trouble;         /* the last poll of the base failed; the writer's */
	bool stale;                /* another process has changed the branch; the writer's */
	/* The write side's, in a transaction: */
	struct cairn_before before;
	struct cairn_lost lost;
	unsigned int attempts; /* at the batch, that failed */
	unsigned char *buffer; /* copy_whole bytes, made at first use */
};

/* A reader of the overlay: one of the branch. The core knows it as a struct cairn_reader. */
struct cairn_overlay_reader {
	struct cairn_overlay *overlay;
	struct cairn_reader *branch;
};

static inline struct cairn_overlay *cairn_overlay_of(struct cairn_store *store)
{
	return CONTAINER_OF(store, struct cairn_overlay, store);
}

static inline struct cairn_overlay_reader *cairn_overlay_reader_of(struct cairn_reader *reader)
{
	return (struct cairn_overlay_reader *)reader;
}

/* overlay.c: reads again what of the branch is held in memory, and sees to it that the base is at
 * least as new. Under turn_lock. */
int cairn_overlay_load(struct cairn_overlay *o);

/* overlay_tree.c */

/* The node of the base that a directory of the merged tree shows beside its own entries. -ENOENT:
 * there is none. `reader` may be NULL for the writer, who is asked in its place where a directory
 * lies. */
int cairn_overlay_counterpart(struct cairn_overlay *o, struct cairn_reader *reader, uint64_t merged,
			      uint64_t *ret_node);
/* The path in the base of an entry of such a node, as a new string. */
int cairn_overlay_path(struct cairn_overlay *o, uint64_t node, const char *name, size_t len,
		       char **ret);
/* The node whose data, target and attributes an inode shows where it has none of its own. `view` is
 * its origin. -ENOENT: there is none, or none any more. */
int cairn_overlay_node(struct cairn_overlay *o, struct cairn_reader *reader, uint64_t merged,
		       const struct cairn_origin_view *view, uint64_t *ret_node);
/* The same for an origin as the writer knows it, directory or not. */
int cairn_overlay_origin_node(struct cairn_overlay *o, struct cairn_origin_node *node,
			      uint64_t *ret);
/* The number that a node of the base, found as `name` in the node `dir`, is shown as. */
int cairn_overlay_shown(struct cairn_overlay *o, struct cairn_reader *reader, uint64_t dir,
			const char *name, size_t len, uint64_t node, uint64_t *ret_merged);
/* The row of the branch for a directory or file: itself for what the branch made. 0: it has none.
 */
uint64_t cairn_overlay_row(struct cairn_overlay *o, uint64_t merged,
			   const struct cairn_origin_view *view);
/* Whether a number is that of a row of the branch, by itself. */
bool cairn_overlay_is_own(struct cairn_overlay *o, uint64_t merged);
/* Whether the base still knows a node that it gave out. */
bool cairn_overlay_knows(struct cairn_overlay *o, uint64_t node);
/* The same for attributes, its extended ones included: those of the root are the base's until they
 * are changed. */
uint64_t cairn_overlay_attr_row(struct cairn_overlay *o, uint64_t merged,
				const struct cairn_origin_view *view);
/* Looks an entry of the base up; the number in ret is the node's. -ENOENT, also where `dir` is no
 * directory by now; -ESTALE where the base has forgotten `dir`. */
int cairn_overlay_base_lookup(struct cairn_overlay *o, uint64_t dir, const char *name, size_t len,
			      struct cairn_attr *ret);
/* The same for an entry that the branch does not hide. */
int cairn_overlay_visible(struct cairn_overlay *o, struct cairn_reader *reader, uint64_t dir,
			  const char *name, size_t len, struct cairn_attr *ret);
/* What the base was found to have counts no more: it is looked for again. */
void cairn_overlay_look_anew(struct cairn_overlay *o);
/* The position of an entry in a listing: a number made of its name alone, so that it is the same
 * wherever the entry comes from. */
uint64_t cairn_overlay_dentry_id(struct cairn_store *store, const char *name, size_t len);

/* turn.c */

#define CAIRN_TURN_CHANGES UINT64_MAX

/* One look at the branch: { 0 } at first, and cairn_look_endp() afterwards. */
struct cairn_look {
	uint64_t turn;
	unsigned int looks;
	bool held;
	struct cairn_overlay_reader *reader; /* while held */
};

/* What is held in memory and what the reader sees are of one turn. */
int cairn_overlay_enter(struct cairn_overlay_reader *reader, struct cairn_look *look);
/* Whether they have become two since: then what was found out means nothing, and everything is
 * looked up again, from cairn_overlay_enter() on. Else, with `hold`, the reader sees this one state
 * until the look ends. */
bool cairn_overlay_moved(struct cairn_overlay_reader *reader, struct cairn_look *look, bool hold);
void cairn_look_endp(struct cairn_look *look);

/* overlay_read.c */
int cairn_overlay_reader_open(struct cairn_store *store, struct cairn_reader **ret);
void cairn_overlay_reader_close(struct cairn_reader *reader);
void cairn_overlay_reader_rest(struct cairn_reader *reader);
int cairn_overlay_inode_get(struct cairn_reader *reader, uint64_t ino, struct cairn_attr *ret);
int cairn_overlay_dentry_get(struct cairn_reader *reader, uint64_t parent, const char *name,
			     size_t len, struct cairn_dentry_row *ret);
int cairn_overlay_dentry_scan(struct cairn_reader *reader, uint64_t parent, bool with_attr,
			      cairn_dentry_fn fn, void *arg);
int cairn_overlay_dentry_count(struct cairn_reader *reader, uint64_t ino, uint32_t *ret);
int cairn_overlay_dentry_name(struct cairn_reader *reader, uint64_t ino, uint64_t *ret_parent,
			      char ret_name[CAIRN_NAME_MAX + 1]);
int cairn_overlay_symlink_get(struct cairn_reader *reader, uint64_t ino, char **ret);
int cairn_overlay_xattr_get(struct cairn_reader *reader, uint64_t ino, const char *name, void **ret,
			    size_t *ret_len);
int cairn_overlay_xattr_scan(struct cairn_reader *reader, uint64_t ino, cairn_xattr_fn fn,
			     void *arg);
int cairn_overlay_orphan_scan(struct cairn_reader *reader, cairn_ino_fn fn, void *arg);
/* Where a node of the base is found in the merged tree. */
int cairn_overlay_merged_place(struct cairn_overlay *o, struct cairn_reader *reader, uint64_t node,
			       uint64_t *ret_parent, uint64_t *ret_dir,
			       char ret_name[CAIRN_NAME_MAX + 1]);
/* The attributes of a node as the merged tree shows them. */
void cairn_overlay_show_attr(uint64_t merged, struct cairn_attr *attr);
/* No time before 1970: the branch does not keep it. */
static inline struct timespec cairn_overlay_storable(struct timespec ts)
{
	return ts.tv_sec < 0 ? (struct timespec){ 0 } : ts;
}

/* overlay_data.c */
int cairn_overlay_data_read(struct cairn_reader *reader, uint64_t ino, int64_t first, int64_t last,
			    cairn_chunk_fn fn, void *arg);
int cairn_overlay_data_scan(struct cairn_reader *reader, uint64_t ino, int64_t first, int64_t last,
			    cairn_chunk_fn fn, void *arg);

/* overlay_write.c */
int cairn_overlay_inode_insert(struct cairn_store *store, const struct cairn_attr *attr);
int cairn_overlay_inode_update(struct cairn_store *store, const struct cairn_attr *attr);
int cairn_overlay_inode_delete(struct cairn_store *store, uint64_t ino, uint32_t mode);
int cairn_overlay_dentry_put(struct cairn_store *store, uint64_t parent, const char *name,
			     size_t len, uint64_t id, uint64_t ino);
int cairn_overlay_dentry_delete(struct cairn_store *store, uint64_t parent, const char *name,
				size_t len);
int cairn_overlay_symlink_put(struct cairn_store *store, uint64_t ino, const char *target);
int cairn_overlay_data_put(struct cairn_store *store, uint64_t ino, int64_t index, const void *data,
			   size_t len);
int cairn_overlay_data_delete(struct cairn_store *store, uint64_t ino, int64_t index);
int cairn_overlay_data_cut(struct cairn_store *store, uint64_t ino, int64_t first);
int cairn_overlay_xattr_put(struct cairn_store *store, uint64_t ino, const char *name,
			    const void *value, size_t len);
int cairn_overlay_xattr_delete(struct cairn_store *store, uint64_t ino, const char *name);
int cairn_overlay_orphan_put(struct cairn_store *store, uint64_t ino);

/* copyup.c */

/* The row of an inode, copied up where it has none. `attr`: what it has now, or NULL for what the
 * base says. -ENOENT: it is gone from the base, and there is no more to be had of it. */
int cairn_copy_up(struct cairn_overlay *o, uint64_t merged, const struct cairn_attr *attr,
		  uint64_t *ret_delta);
/* The row of an inode that has one, now or at the commit; 0: it has none. */
uint64_t cairn_copy_up_row(struct cairn_overlay *o, uint64_t merged);
/* The node of the base that a number without a row stands for. */
uint64_t cairn_copy_up_node(struct cairn_overlay *o, uint64_t merged);
/* The root, which has its row from the beginning. */
int cairn_copy_up_root(struct cairn_overlay *o);
/* The same for a directory in which something is to be put: made anew where the base has lost it.
 */
int cairn_copy_up_dir(struct cairn_overlay *o, uint64_t merged, uint64_t *ret_delta);
/* Before data of a file that was copied up change for the first time: takes over what stays. Bytes
 * from `keep` on are about to go. */
int cairn_copy_up_data(struct cairn_overlay *o, struct cairn_origin_node *node, int64_t keep);
/* Bytes of the base count before `end` from here on, at most. */
int cairn_copy_up_cut(struct cairn_overlay *o, struct cairn_origin_node *node, int64_t end);
/* A file that is gone from the base, with the attributes it has here; its data are what is put
 * next. */
int cairn_copy_up_lost(struct cairn_overlay *o, const struct cairn_attr *attr, uint64_t *ret_delta);
/* Whether the batch is to be tried again after an error of the base, not done without it. */
bool cairn_copy_up_waits(const struct cairn_overlay *o, int r);

/* seen.c */

/* Notes what was seen of a file of the base at a path, once. `attr` is what the base has there now,
 * `merged` the number it is shown as; `digest`: with that of the bytes of a small file. */
int cairn_note_seen(struct cairn_overlay *o, const char *path, uint64_t merged,
		    const struct cairn_attr *attr, bool digest);
/* The same for what goes away, or is put over, as `name` in the node `dir`. Where the batch knew of
 * nothing there, nothing is noted: it came since. */
int cairn_note_covered(struct cairn_overlay *o, const char *path, uint64_t dir, const char *name,
		       size_t len, const struct cairn_attr *attr, bool digest);
/* Brings the note up to date before the data of a file are changed for the first time. Of `whole`
 * (may be NULL), its `len` bytes, the digest is taken. */
int cairn_note_seen_data(struct cairn_overlay *o, const struct cairn_origin_node *node,
			 const struct cairn_attr *attr, const void *whole, size_t len);
/* The first `size` bytes of a file of the base, into o->buffer; *ret_len is what there is of them.
 */
int cairn_read_whole(struct cairn_overlay *o, uint64_t node, size_t size, size_t *ret_len);
