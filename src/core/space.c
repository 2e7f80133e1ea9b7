#include "core/space.h"

#include <errno.h>
#include <time.h>

#include "core/internal.h"

/* The block size that statfs counts in, bytes. */
#define BLOCK_SIZE 4096U

/* How long the kernel is waited for to forget what was unlinked, and in how many steps. */
#define FORGET_WAIT_MS 200
#define FORGET_LOOKS   10

static bool fits(struct cairn_core *core, uint64_t bytes)
{
	return atomic_load(&core->used) + cairn_core_dirty(core) + bytes <= core->options.quota;
}

/* Commits what is pending, and says whether `bytes` more fit then. */
static int fits_after_commit(struct cairn_core *core, uint64_t bytes)
{
	uint64_t seq;
	int r;

	cairn_rwlock_rdlock(&core->gate);
	seq = core->seq;
	cairn_rwlock_unlock(&core->gate);
	r = cairn_writer_wait(core, seq, false);
	if (r < 0)
		return r;
	return fits(core, bytes) ? 0 : -ENOSPC;
}

int cairn_space_admit(struct cairn_core *core, uint64_t bytes)
{
	const struct timespec pause = { .tv_nsec = FORGET_WAIT_MS * 1000000L / FORGET_LOOKS };
	int r;

	if (!core->options.quota || bytes == 0 || fits(core, bytes))
		return 0;
	r = fits_after_commit(core, bytes);
	/* A file that was unlinked a moment ago is freed when the kernel lets go of it, which it
	 * does on its own time. */
	for (int i = 0; r == -ENOSPC && i < FORGET_LOOKS && cairn_pins_have_orphans(&core->pins);
	     i++) {
		nanosleep(&pause, NULL);
		r = fits_after_commit(core, bytes);
	}
	return r;
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
