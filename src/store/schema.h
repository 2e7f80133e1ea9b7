/* The tables of a workspace: making them, checking those of a file that was opened, and bringing
 * an older file to the current format. docs/format.md describes the format itself.
 *
 * `path` is for the words in `err`. A failed SQL statement leaves `err` empty and its errno as the
 * result; the caller, who knows how the file was opened, finds the words for that. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "store/sql.h"
#include "util/error.h"

#define CAIRN_SCHEMA_VERSION "0.4"

struct cairn_attr;

/* Which tables of a branch are there. */
struct cairn_schema_branch {
	bool whiteout;        /* fs_whiteout */
	bool whiteout_parent; /* and its column parent_path, which an older form lacks */
	bool whiteout_filled; /* and every row has it: AgentFS's Rust SDK leaves it out */
	bool fs_origin;
	bool origin; /* cairn_origin */
	bool seen;   /* cairn_seen */
	bool heir;   /* cairn_heir */
};

/* What a file turned out to hold. */
struct cairn_schema {
	char version[16];       /* as stored, or by the columns where nothing is stored */
	bool version_current;   /* the stored version is CAIRN_SCHEMA_VERSION */
	unsigned int missing;   /* bit n: the nth column that 0.4 added to fs_inode is not there */
	bool chunk_size_stored; /* false: AgentFS's default holds */
	size_t chunk_size;      /* bytes */
	bool has_xattr;         /* table cairn_xattr is there */
	bool has_orphan;        /* table cairn_orphan is there */
	bool has_overlay;       /* table fs_overlay_config is there */
	bool has_base;          /* and names a base */
	struct cairn_schema_branch branch;
};

/* Reads and checks. -EINVAL with words: not a workspace, or one this version cannot read. */
int cairn_schema_check(struct cairn_sql *sql, const char *path, struct cairn_schema *ret,
		       struct cairn_error *err);

/* Adds what the current format has and the file lacks, in one transaction; nothing to add, nothing
 * written. `schema` comes from cairn_schema_check() and is brought up to date. */
int cairn_schema_upgrade(struct cairn_sql *sql, const char *path, struct cairn_schema *schema,
			 struct cairn_error *err);

/* Fills an empty database, in the caller's transaction: all tables, the configuration, and a root
 * directory with the attributes of `root` or, where that is NULL, one that belongs to the caller.
 * With a base (else NULL) also the tables of a branch. */
int cairn_schema_create(struct cairn_sql *sql, size_t chunk_size, const char *base,
			const char *base_ignore, const struct cairn_attr *root);

/* The part of a branch, for the functions above (schema_branch.c). */
int cairn_schema_branch_check(struct cairn_sql *sql, const char *path, struct cairn_schema *schema,
			      struct cairn_error *err);
bool cairn_schema_branch_is_current(const struct cairn_schema *schema);
int cairn_schema_branch_add(struct cairn_sql *sql, const struct cairn_schema *schema);
int cairn_schema_branch_create(struct cairn_sql *sql, const char *base, const char *ignore);
/* Whether a table is there; then with the columns named, at most up to the first NULL. */
int cairn_schema_find_table(struct cairn_sql *sql, const char *path, const char *name,
			    const char *const *columns, bool *ret_present, struct cairn_error *err);
int cairn_schema_find_column(struct cairn_sql *sql, const char *table, const char *column);
