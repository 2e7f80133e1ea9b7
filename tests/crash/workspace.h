/* What SQL says of a workspace file that is not mounted. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* Runs PRAGMA integrity_check and the queries of `invariants`, a file. The write-ahead log stays
 * where it is, for the next to recover. With `no_orphans`, a file that is unlinked and not yet
 * gone is wrong as well. False if anything is wrong; `out` then has the words. */
bool workspace_check(const char *db, const char *invariants, bool no_orphans, FILE *out);
