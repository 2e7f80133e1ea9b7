/* A base that stands before another and fails chosen calls, as its fault_store says: each counts
 * there as FAULT_BASE. Plain C. */
#pragma once

#include "base/base.h"
#include "fault_store.h"

/* Owns `real`. Must be closed after the last call of a function of `fault`'s store that may fail,
 * and before or with it. Aborts without memory. */
struct cairn_base *fault_base_new(struct cairn_base *real, struct fault_store *fault);
