/* What the files of the check share:
 *
 *	check.c		  opening, the course of a check, integrity
 *	check_rules.c	  the rules: a query each, and what mends them
 *	check_repair.c	  what a statement alone cannot mend; filling holes
 *	check_functions.c SQL functions about names and bytes
 *
 * A survey runs every rule. What the rules have in common is worked out before, into tables of the
 * connection's own `temp` schema (see cairn_check_prepare()). */
#pragma once

#include "store/check.h"
#include "store/sqlite_store.h"

/* 2^62: a row number beyond it is nonsense, and may leave no room for the next. */
#define CAIRN_CHECK_FAR_OUT "4611686018427387904"

/* What a rule needs to be there. */
enum cairn_check_need {
	CAIRN_CHECK_ADDED_COLUMNS = 1 << 0, /* those of fs_inode that came with 0.4 */
	CAIRN_CHECK_XATTR = 1 << 1,         /* cairn_xattr */
	CAIRN_CHECK_ORPHAN = 1 << 2,        /* cairn_orphan */
	CAIRN_CHECK_ORIGIN = 1 << 3,        /* fs_origin */
	CAIRN_CHECK_WHITEOUT = 1 << 4,      /* fs_whiteout */
	CAIRN_CHECK_SEQUENCE = 1 << 5,      /* sqlite_sequence */
	CAIRN_CHECK_NO_SEQUENCE = 1 << 6,   /* the lack of it */
	CAIRN_CHECK_BASED = 1 << 7,         /* cairn_origin */
	CAIRN_CHECK_SEEN = 1 << 8,          /* cairn_seen */
};

struct cairn_check {
	struct sqlite_store *store; /* opened for this; its table of functions is not used */
	struct cairn_sql *sql;      /* the store's */
	const struct cairn_check_options *options;
	struct cairn_check_result *result;
	size_t chunk_size; /* bytes; 0: not known yet */
	unsigned int have; /* CAIRN_CHECK_… */
	bool structural;   /* integrity_check found more than wrong indexes: nothing is written */
	uint64_t reported; /* bit n: rule n was reported as found */
	const char *step;  /* for progress */
	unsigned int done, total;
};

/* A rule. Stages are mended one after the other, each from a fresh survey, so that a repair can
 * rely on what the stages before it put in order. */
struct cairn_check_rule {
	const char *code, *what, *action;
	bool note;
	unsigned int stage;
	unsigned int needs;
	const char *find;      /* a line of text for each place where the rule is broken */
	const char *repair[4]; /* run in order */
	int (*mend)(struct cairn_check *check); /* or this */
};

extern const struct cairn_check_rule cairn_check_rules[];
extern const unsigned int cairn_check_rule_count;

/* The rule that cannot wait for the others: without a root no workspace opens. */
extern const struct cairn_check_rule cairn_check_root_rule;

/* Fills the temp tables that rules read:
 *
 *	cairn_named(ino, names, entry)	every inode number in fs_dentry, how often, the least id
 *	cairn_orphaned(ino)		cairn_orphan, empty where there is none
 *	cairn_based(ino, data_end)	what has something of the base of an overlay
 *	cairn_rooted(ino)		what is below the root or below an inode without a name */
int cairn_check_prepare(struct cairn_check *check);

/* Registers the SQL functions:
 *
 *	cairn_name(x)	    0 a good name, 1 good but for its storage type, 2 no name
 *	cairn_xattr_name(x) the same for names of attributes
 *	cairn_path(x)	    the same for paths in a base, "/a/b"
 *	cairn_parent(x)	    the path of the directory that such a path lies in
 *	cairn_store_name(x) the name or path with the right storage type
 *	cairn_target(x)	    1 where it is the target of a symbolic link
 *	cairn_show(x)	    any value as short printable text
 *	cairn_fit(x, n)	    the bytes of x, cut to n or filled with zeros to n
 *	cairn_chunk_size(), cairn_chunk_last()	bytes; the last index a chunk can have */
int cairn_check_add_functions(struct cairn_check *check);

/* Runs texts up to the first NULL, at most `max`. */
int cairn_check_run(struct cairn_check *check, const char *const *texts, size_t max);

/* The repairs that are more than statements, see check_repair.c. */
int cairn_check_mend_numbers(struct cairn_check *check);
int cairn_check_mend_loops(struct cairn_check *check);
int cairn_check_mend_nameless(struct cairn_check *check);

/* Brings the link counts of directories up to date that have one (peers write 1). */
int cairn_check_count_directories(struct cairn_check *check);

/* Fills the holes of all files. -ENOSPC with words where the disk has no room for them. */
int cairn_check_fill_holes(struct cairn_check *check, struct cairn_error *err);
