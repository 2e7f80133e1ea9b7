/* What one batch changes of one inode.
 *
 * Later changes to the same thing merge into the earlier ones here. A delta of the running batch
 * is guarded by its inode's lock; once its batch is swapped out it is read-only until the writer
 * has committed and frees it. An inode has at most two: one in the running batch, one in the batch
 * being committed. To read something, ask the running one, then the committing one, then the store.
 */
#pragma once

#include "util/hash.h"

#include "store/store.h"

struct cairn_inode;

/* A name in a directory: what it points to now. */
struct cairn_delta_entry {
	UT_hash_handle hh; /* by name */
	uint64_t id;
	uint64_t ino;       /* 0: there is no such entry any more */
	uint32_t type;      /* S_IFMT bits of the inode */
	bool lower;         /* the layers below have an entry of this name */
	uint64_t lower_ino; /* what that entry points to; 0: there is none */
	bool keep; /* a removal that does not apply: another process has put in a new one */
	size_t name_len;
	char name[]; /* NUL-terminated */
};

/* A chunk of a file. Bytes past `len` are zero. */
struct cairn_delta_chunk {
	UT_hash_handle hh; /* by index */
	int64_t index;
	size_t len;          /* bytes that are set, at most the chunk size */
	size_t capacity;     /* bytes allocated */
	unsigned char *data; /* NULL: a hole, whatever the layers below hold */
	bool tentative;      /* made for a change that may still fail */
};

struct cairn_delta_xattr {
	UT_hash_handle hh; /* by name */
	void *value;       /* NULL and removed, or len bytes */
	size_t len;
	bool removed;
	char name[];
};

struct cairn_delta {
	struct cairn_inode *inode;       /* a reference */
	struct cairn_delta *prev, *next; /* batch->deltas */
	uint64_t seq;                    /* the batch it belongs to */
	bool create;                     /* the row is in no layer below */
	bool destroy;                    /* the row goes, with all it owns */
	struct cairn_attr attr;          /* at the end of the last operation of the batch */
	struct cairn_attr base;          /* before the first one */
	int64_t cut;   /* bytes of the layers below count only before this offset */
	bool resized;  /* chunks below `cut` and past it may be in the store */
	char *symlink; /* the target, for a symbolic link made in this batch */
	struct cairn_delta_entry *entries;
	struct cairn_delta_chunk *chunks;
	struct cairn_delta_xattr *xattrs;
	size_t bytes; /* memory held, counted in the batch */
};

/* Memory that a delta counts for beyond its contents, in bytes. */
#define CAIRN_DELTA_OVERHEAD 512U

struct cairn_delta *cairn_delta_new(struct cairn_inode *inode);
void cairn_delta_free(struct cairn_delta *delta);

struct cairn_delta_entry *cairn_delta_find_entry(const struct cairn_delta *delta, const char *name,
						 size_t len);
struct cairn_delta_entry *cairn_delta_add_entry(struct cairn_delta *delta, const char *name,
						size_t len);
void cairn_delta_drop_entry(struct cairn_delta *delta, struct cairn_delta_entry *entry);

struct cairn_delta_chunk *cairn_delta_find_chunk(const struct cairn_delta *delta, int64_t index);
/* An empty hole at `index`, which must not be there yet. */
struct cairn_delta_chunk *cairn_delta_add_chunk(struct cairn_delta *delta, int64_t index);
void cairn_delta_drop_chunk(struct cairn_delta *delta, struct cairn_delta_chunk *chunk);
/* Makes room for `len` bytes, zeroed past chunk->len; the hole becomes data. Of a tentative chunk
 * only what comes before `from` is zeroed: the caller writes the rest. */
int cairn_delta_grow_chunk(struct cairn_delta *delta, struct cairn_delta_chunk *chunk, size_t from,
			   size_t len, size_t chunk_size);
/* Gives a hole its bytes: `data`, of malloc(), belongs to the chunk from here on. */
void cairn_delta_fill_chunk(struct cairn_delta *delta, struct cairn_delta_chunk *chunk, void *data,
			    size_t len);
void cairn_delta_make_hole(struct cairn_delta *delta, struct cairn_delta_chunk *chunk);

struct cairn_delta_xattr *cairn_delta_find_xattr(const struct cairn_delta *delta, const char *name);
/* Sets the value (copied), or with value NULL records the removal. */
int cairn_delta_set_xattr(struct cairn_delta *delta, const char *name, const void *value,
			  size_t len);
