/* The differential test: one random sequence of operations, run on two directories.
 *
 * An operation is drawn once and run on side A (the mount) and on side B (a plain directory).
 * Whatever it says (result, errno, bytes or text) must be the same on both, and so must the
 * attributes of what it touched; from time to time the two trees are compared as a whole.
 *
 *	differential.c	options, the main loop, what is printed on a mismatch
 *	draw.c		draws an operation from the seed, and writes it down for people
 *	run.c		runs one operation on one side
 *	observe.c	attributes, listings and whole trees as text
 *	grow.c		a tree to begin with
 */
#pragma once

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

#define N_SLOTS  10
#define N_KNOWN  24
#define PATH_LEN 1200
#define MAX_IO   (160 * 1024)
#define MAX_DATA (512 * 1024) /* an outcome: the bytes of one read, or a listing as text */
#define SKIPPED  (-2)         /* the result of an operation that does not apply here */

/* What the plain side can do; what it lacks is not asked of the mount either. */
struct features {
	bool dir_nlink; /* a directory counts its subdirectories */
	bool punch_hole;
	bool zero_range;
	bool exchange;
	bool xattr;
	bool trusted_xattr;
	bool grow; /* no operation that takes anything away */
};

struct op {
	uint32_t type; /* index into op_types */
	uint32_t slot, slot2;
	int flags;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	int64_t offset, offset2;
	size_t length;
	struct timespec times[2];
	uint64_t pattern; /* seed of the bytes written */
	bool watched;     /* attributes are looked at before and after */
	char path[PATH_LEN];
	char path2[PATH_LEN]; /* second path, symlink target, or the name of an xattr */
};

struct outcome {
	long result; /* of the call, or SKIPPED */
	int error;   /* errno where result is -1, else 0 */
	size_t n_data;
	unsigned char data[MAX_DATA];
};

struct side {
	const char *root;
	int root_fd;
	int slots[N_SLOTS]; /* open files and directories, -1 where free */
};

/* Everything the two sides share. */
struct world {
	struct side a, b;
	struct features features;
	struct timespec start; /* times before this were set explicitly, and must agree */
	uint64_t random;
	char known[N_KNOWN][PATH_LEN]; /* paths that an operation found or made */
};

enum {
	USES_PATH = 1 << 0,
	USES_PATH2 = 1 << 1,
	USES_TARGET = 1 << 2, /* path2 is a symlink's target */
	USES_SLOT = 1 << 3,
	USES_SLOT2 = 1 << 4,
	USES_OFFSET = 1 << 5,
	USES_LENGTH = 1 << 6,
	USES_FLAGS = 1 << 7,
	USES_MODE = 1 << 8,
	USES_OWNER = 1 << 9,
	USES_TIMES = 1 << 10,
	USES_XATTR = 1 << 11, /* path2 is the name of an extended attribute */
	FREE_SLOT = 1 << 12,  /* the slot is filled, so an empty one is as good */
	IS_RENAME = 1 << 13,  /* flags are those of renameat2(2) */
	IS_FALLOCATE = 1 << 14,
	SHRINKS = 1 << 15, /* the tree, or may */
};

struct op_type {
	const char *name;
	uint32_t weight; /* out of the sum of all */
	uint32_t uses;
	const int *flags; /* to choose from; NULL: those of open(2) */
	uint32_t n_flags;
	void (*run)(struct side *side, const struct op *op, struct outcome *out);
};

extern const struct op_type op_types[];
extern const uint32_t n_op_types;

/* draw.c: `describe_op` returns text the caller frees. */
uint64_t next_random(uint64_t *state);
uint64_t draw_number(struct world *world, uint64_t limit);
/* The names that paths are made of; NULL from the last one on. */
const char *name_at(uint32_t i);
void draw_op(struct world *world, struct op *ret_op);
/* The operation succeeded: its paths are drawn more often. */
void note_success(struct world *world, const struct op *op);
char *describe_op(const struct op *op);

/* grow.c: fills an empty side with a tree of hundreds of entries, which the seed alone decides. */
void grow_tree(const struct side *side, uint64_t seed);

/* run.c */
void run_op(struct side *side, const struct op *op, struct outcome *ret_out);
void fill_pattern(unsigned char *data, size_t length, uint64_t pattern);

/* observe.c */
enum { N_WATCHED = 6 };

/* Attributes of what an operation may touch: its paths, their parents, its open files. */
struct watch {
	struct timespec since; /* taken just before */
	bool found[N_WATCHED];
	struct stat st[N_WATCHED];
};

/* Appends what must agree between the sides to `out`: no inode number, no time of day. */
void print_attributes(const struct world *world, FILE *out, const struct stat *st);
/* Text of the whole tree, a line an entry, freed by the caller. NULL when it cannot be read. */
char *print_tree(const struct world *world, const struct side *side);
/* Appends the sorted names and types in the directory open at `fd`; takes `fd` over. */
int print_listing(FILE *out, int fd);
/* Opens a directory and lists it, sorted, without "." and "..". The number of entries, or -1
 * with errno; the fd (-1 where there is none) and the entries are the caller's either way. */
int scan_directory(int dir_fd, const char *name, int *ret_fd, struct dirent ***ret_entries);
void take_watch(const struct side *side, const struct op *op, struct watch *ret_watch);
/* The index of the first target whose attributes, or change of times, differ; -1 if none. */
int compare_watches(const struct world *world, const struct watch a[2], const struct watch b[2]);
const char *watch_name(int index);
void probe_features(struct world *world);
