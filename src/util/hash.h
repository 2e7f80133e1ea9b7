/* uthash, set up so that running out of memory is an error to return, not the end of the process:
 * after HASH_ADD…, `elt->hh.tbl` is NULL where there was no memory. */
#pragma once

#define HASH_NONFATAL_OOM        1
#define uthash_nonfatal_oom(elt) ((void)(elt))
#include <uthash.h>
