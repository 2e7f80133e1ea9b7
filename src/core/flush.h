/* Writing a batch to the store, statement by statement, inside a transaction of the caller's. */
#pragma once

struct cairn_batch;
struct cairn_core;

/* -errno of the first statement that failed; the caller rolls back and may call again. */
int cairn_flush_batch(struct cairn_core *core, struct cairn_batch *batch);
/* After the commit: detaches the deltas from their inodes and frees them. */
void cairn_flush_drop(struct cairn_core *core, struct cairn_batch *batch);
/* Logs the files that lose something with a batch that could not be written (mourn.c). */
void cairn_flush_mourn(struct cairn_core *core, const struct cairn_batch *batch);
