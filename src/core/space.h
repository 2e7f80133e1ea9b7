/* How much the workspace may hold: the quota. */
#pragma once

#include <stdint.h>

struct cairn_core;

/* What a new entry and inode take, roughly, in bytes: two rows and their index. */
#define CAIRN_SPACE_OF_ENTRY 512U

/* 0 if `bytes` more fit, else -ENOSPC. Near the limit it first commits what is pending, so that
 * space freed by deletions counts. Called before an operation begins. */
int cairn_space_admit(struct cairn_core *core, uint64_t bytes);
