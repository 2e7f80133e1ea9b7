/* fsync: which batch it waits for, and those that no thread waits for (cairn_core_fsync_begin()).
 */
#pragma once

struct cairn_core;

/* After a sync, or an attempt at one that failed: answers those who have their result by that. The
 * writer's, without locks. */
void cairn_fsync_answer(struct cairn_core *core);
