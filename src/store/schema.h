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
};

/* Reads and checks. -EINVAL with words: not a workspace, or one this version cannot read. */
int cairn_schema_check(struct cairn_sql *sql, const char *path, struct cairn_schema *ret,
		       struct cairn_error *err);

/* Adds what the current format has and the file lacks, in one transaction; nothing to add, nothing
 * written. `schema` comes from cairn_schema_check() and is brought up to date. */
int cairn_schema_upgrade(struct cairn_sql *sql, const char *path, struct cairn_schema *schema,
			 struct cairn_error *err);

/* Fills an empty database, in the caller's transaction: all tables, the configuration, and a root
 * directory that belongs to the caller. */
int cairn_schema_create(struct cairn_sql *sql, size_t chunk_size);
