/* Trees in and out of workspaces, in bulk.
 *
 * A tree comes from a source, entry by entry, and goes into a sink; cairn_tree_copy() moves it.
 * Sources are a directory, a tar archive and the core; so are sinks. Each is used by one thread.
 *
 *	dir_source.c  tar_source.c  core_source.c	 ->  copy.c  ->
 *	dir_sink.c    tar_sink.c    core_sink.c
 *
 * Paths are relative, bytes without a meaning of their own, with single '/' between names that are
 * neither empty nor "." nor ".."; "" is the top of the tree. A directory comes before what is in
 * it; in an archive its own entry may be missing, or come later.
 *
 * What cannot be carried over but does not stop the rest is left out: the caller is told in words,
 * and counts it. Everything else that goes wrong is a negative errno with words in `err`. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"
#include "util/error.h"

struct cairn_tree_xattr {
	char *name;
	void *value;
	size_t size;
};

struct cairn_tree_extent {
	int64_t offset, size; /* bytes */
};

struct cairn_tree_entry {
	const char *path;
	/* mode, uid, gid, rdev, size and times; ino and nlink say nothing. */
	struct cairn_attr attr;
	const char *target; /* of a symbolic link */
	/* The path of an earlier entry that is the same file: only the name is new then. */
	const char *link;
	const struct cairn_tree_xattr *xattrs;
	size_t xattr_count;
	/* Of a file with holes: where its data is, in order. */
	bool sparse;
	const struct cairn_tree_extent *extents;
	size_t extent_count;
};

/* How a tree is copied, and what came of it. */
struct cairn_bulk {
	bool overwrite;  /* files that are there are replaced */
	bool clean;      /* a directory is made equal: what is of another type goes, too */
	bool keep_owner; /* or everything belongs to the caller */
	/* Called often. Other than 0 ends the work, which returns it. May be NULL. */
	int (*progress)(void *arg, const struct cairn_bulk *bulk, const char *path);
	/* Something was left out; one line, no newline at the end. */
	void (*left_out)(void *arg, const char *text);
	void *arg;

	uint64_t entries; /* so far */
	uint64_t bytes;   /* of file data that is no hole, so far */
	uint64_t left;    /* how often left_out() was called */
};

struct cairn_tree_source;
struct cairn_tree_source_ops {
	/* 1 and the next entry, valid until the next call; 0 at the end. */
	int (*next)(struct cairn_tree_source *source, struct cairn_tree_entry *ret,
		    struct cairn_error *err);
	/* 1 and the next stretch of the data of the entry, a regular file without `link`, valid
	 * until the next call; 0 at the end. What lies between two stretches is a hole. The data
	 * need not be asked for. */
	int (*data)(struct cairn_tree_source *source, const void **ret, size_t *ret_size,
		    int64_t *ret_offset, struct cairn_error *err);
	void (*close)(struct cairn_tree_source *source);
};
struct cairn_tree_source {
	const struct cairn_tree_source_ops *ops;
	struct cairn_bulk *bulk;
	/* The same path may come twice, and the later one counts: an archive that was added to. */
	bool repeats;
};

struct cairn_tree_sink;
struct cairn_tree_sink_ops {
	/* 1: the data of the entry is wanted, and ends with end(). 0: it is done with. */
	int (*begin)(struct cairn_tree_sink *sink, const struct cairn_tree_entry *entry,
		     struct cairn_error *err);
	int (*data)(struct cairn_tree_sink *sink, const void *buf, size_t size, int64_t offset,
		    struct cairn_error *err);
	int (*end)(struct cairn_tree_sink *sink, struct cairn_error *err);
	/* After the last entry: what can be set only then, such as the times of directories. */
	int (*finish)(struct cairn_tree_sink *sink, struct cairn_error *err);
	void (*close)(struct cairn_tree_sink *sink);
};
struct cairn_tree_sink {
	const struct cairn_tree_sink_ops *ops;
	struct cairn_bulk *bulk;
};

/* Copies all of the source into the sink; finish() is still to come. 0, or what went wrong, or what
 * bulk->progress() said. */
int cairn_tree_copy_entries(struct cairn_tree_source *source, struct cairn_tree_sink *sink,
			    struct cairn_error *err);
/* The same, and finishes. */
int cairn_tree_copy(struct cairn_tree_source *source, struct cairn_tree_sink *sink,
		    struct cairn_error *err);

static inline void cairn_tree_source_closep(struct cairn_tree_source **source)
{
	if (*source)
		(*source)->ops->close(*source);
}

static inline void cairn_tree_sink_closep(struct cairn_tree_sink **sink)
{
	if (*sink)
		(*sink)->ops->close(*sink);
}

/* Tells of something that is left out. */
void cairn_bulk_leave_out(struct cairn_bulk *bulk, const char *fmt, ...) _printf_(2, 3);

/* The sources. `bulk` must outlive them. */

/* A directory of the host, without what is mounted below it. Neither symbolic links nor mounts are
 * followed. `skip` is a file that is passed over wherever it is found, with what its name followed
 * by '-' begins (a workspace, absolute; NULL: none). */
int cairn_dir_source_open(const char *dir, const char *skip, struct cairn_bulk *bulk,
			  struct cairn_tree_source **ret, struct cairn_error *err);
/* A tar archive, compressed or not, from a descriptor that stays the caller's; `name` is for the
 * words. Names are taken for what they would be below an empty root: a leading '/' and each ".."
 * lead no further up than that. */
int cairn_tar_source_open(int fd, const char *name, struct cairn_bulk *bulk,
			  struct cairn_tree_source **ret, struct cairn_error *err);
/* A directory of a workspace. */
struct cairn_core;
int cairn_core_source_open(struct cairn_core *core, uint64_t dir, struct cairn_bulk *bulk,
			   struct cairn_tree_source **ret, struct cairn_error *err);

/* The directory at `path`, from the top; with `make` it is made where it is missing, with those
 * above it. `path` is cleaned like that of an archive, and no link on it is followed. -ENOENT,
 * -ENOTDIR. */
int cairn_core_below(struct cairn_core *core, const char *path, bool make, uint64_t *ret_dir);
/* The same below a directory that is open; a descriptor. */
int cairn_dir_below(int fd, const char *path, bool make);

/* The sinks. Nothing is written through a symbolic link that is there, and a directory stays one:
 * -EEXIST for what is in the way and not to be replaced, -ENOTDIR, -EISDIR. */

/* A directory that is open at `fd`, which stays the caller's; `name` is for the words. */
int cairn_dir_sink_open(int fd, const char *name, struct cairn_bulk *bulk, bool repeats,
			struct cairn_tree_sink **ret, struct cairn_error *err);
/* An archive in the pax format, to a descriptor that stays the caller's. `name` also says how it is
 * compressed: .gz, .tgz, .bz2, .xz, .txz, .zst, .tzst; otherwise not at all. */
int cairn_tar_sink_open(int fd, const char *name, struct cairn_bulk *bulk,
			struct cairn_tree_sink **ret, struct cairn_error *err);
/* A directory of a workspace. */
int cairn_core_sink_open(struct cairn_core *core, uint64_t dir, struct cairn_bulk *bulk,
			 struct cairn_tree_sink **ret, struct cairn_error *err);
