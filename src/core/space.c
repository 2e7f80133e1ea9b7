#include "core/space.h"

#include <errno.h>

#include "core/internal.h"

/* The block size that statfs counts in, bytes. */
#define BLOCK_SIZE 4096U

static bool fits(struct cairn_core *core, uint64_t bytes)
{
	return atomic_load(&core->used) + cairn_core_dirty(core) + bytes <= core->options.quota;
}

int cairn_space_admit(struct cairn_core *core, uint64_t bytes)
{
	uint64_t seq;
	int r;

	if (!core->options.quota || bytes == 0 || fits(core, bytes))
		return 0;
	pthread_rwlock_rdlock(&core->gate);
	seq = core->seq;
	pthread_rwlock_unlock(&core->gate);
	r = cairn_writer_wait(core, seq, false);
	if (r < 0)
		return r;
	return fits(core, bytes) ? 0 : -ENOSPC;
}

int cairn_core_statfs(struct cairn_core *core, const struct statvfs *disk, struct statvfs *ret)
{
	uint64_t used = atomic_load(&core->used) + cairn_core_dirty(core);
	uint64_t free_bytes = (uint64_t)disk->f_bavail * disk->f_frsize;

	if (core->options.quota) {
		uint64_t left = core->options.quota > used ? core->options.quota - used : 0;

		free_bytes = MIN(free_bytes, left);
	}
	*ret = (struct statvfs){
		.f_bsize = BLOCK_SIZE,
		.f_frsize = BLOCK_SIZE,
		.f_blocks = (used + free_bytes) / BLOCK_SIZE,
		.f_bfree = free_bytes / BLOCK_SIZE,
		.f_bavail = free_bytes / BLOCK_SIZE,
		/* Inodes are not counted; there may be as many as find room. */
		.f_files = free_bytes / CAIRN_SPACE_OF_ENTRY,
		.f_ffree = free_bytes / CAIRN_SPACE_OF_ENTRY,
		.f_favail = free_bytes / CAIRN_SPACE_OF_ENTRY,
		.f_namemax = CAIRN_NAME_MAX,
	};
	return 0;
}
