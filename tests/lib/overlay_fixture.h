/* A core over an overlay whose base is a workspace with this tree, in chunks of 64 bytes:
 *
 *	/file	    "base file", mode 0640, user.color = "blue"
 *	/one, /two  one file, "two names"
 *	/big	    1000 bytes: big_byte() of each offset
 *	/holed	    "x" at 0, a hole, "y" at 640
 *	/link	    to "file"
 *	/dir/a, /dir/b, /dir/sub/deep	"a", "b", "deep"
 *	/empty/
 *
 * Everything else is as in core_fixture.h. Faults can be injected in branch and base. */
#pragma once

#include "core_fixture.h"

#define OF_CHUNK    64
#define OF_BIG_SIZE 1000

void of_setup(void);
unsigned char of_big_byte(size_t at);
bool of_holds_text(uint64_t ino, const char *text);
/* The number of a path, "dir/sub". */
uint64_t of_find(const char *path);
/* 0, or the errno of its lookup. */
int of_try(const char *path, struct cairn_attr *ret);
/* Runs SQL on the base, as another process does, and waits until it is seen. */
void of_change_base(const char *sql);
int of_chmod(uint64_t ino, uint32_t mode);
