/* How many requests of each kind came and how long their answers took.
 *
 * A request is counted before its callback runs, so that a caller who was answered finds it
 * counted; its time is that from there to the end of the callback, the reply included. What libfuse
 * answers by itself (a callback that is NULL, INIT, INTERRUPT) is not seen. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "util/clock.h"
#include "util/histogram.h"
#include "util/shard.h"

/* By the kernel's names (enum fuse_opcode in <linux/fuse.h>), in the order they are shown. */
#define CAIRN_REQUESTS(X)                                                                          \
	X(lookup)                                                                                  \
	X(getattr)                                                                                 \
	X(setattr)                                                                                 \
	X(forget)                                                                                  \
	X(batch_forget)                                                                            \
	X(opendir)                                                                                 \
	X(readdir)                                                                                 \
	X(readdirplus)                                                                             \
	X(releasedir)                                                                              \
	X(fsyncdir)                                                                                \
	X(mknod)                                                                                   \
	X(mkdir)                                                                                   \
	X(symlink)                                                                                 \
	X(link)                                                                                    \
	X(unlink)                                                                                  \
	X(rmdir)                                                                                   \
	X(rename)                                                                                  \
	X(readlink)                                                                                \
	X(open)                                                                                    \
	X(read)                                                                                    \
	X(write)                                                                                   \
	X(lseek)                                                                                   \
	X(fallocate)                                                                               \
	X(copy_file_range)                                                                         \
	X(fsync)                                                                                   \
	X(release)                                                                                 \
	X(getxattr)                                                                                \
	X(setxattr)                                                                                \
	X(listxattr)                                                                               \
	X(removexattr)                                                                             \
	X(statfs)                                                                                  \
	X(ioctl)

#define CAIRN_REQUEST_ENUM(name) CAIRN_REQUEST_##name,
enum cairn_request { CAIRN_REQUESTS(CAIRN_REQUEST_ENUM) CAIRN_REQUEST_KINDS };
#undef CAIRN_REQUEST_ENUM

struct cairn_meter_kind {
	_Atomic uint64_t begun;
	struct cairn_histogram took; /* ns */
};

struct cairn_meter_shard {
	struct cairn_meter_kind kind[CAIRN_REQUEST_KINDS];
};

struct cairn_meter {
	unsigned int count; /* of shards */
	struct cairn_meter_shard *shards;
};

/* -ENOMEM; destroy it in any case. */
int cairn_meter_init(struct cairn_meter *meter);
void cairn_meter_destroy(struct cairn_meter *meter);

const char *cairn_request_name(enum cairn_request kind);

/* All shards together. `*ret_begun` counts those that are not answered yet, too. */
void cairn_meter_read(const struct cairn_meter *meter, enum cairn_request kind,
		      struct cairn_distribution *ret, uint64_t *ret_begun);

/* One request under way. */
struct cairn_metering {
	struct cairn_meter *meter;
	enum cairn_request kind;
	uint64_t since;
};

static inline struct cairn_meter_kind *cairn_meter_here(struct cairn_meter *meter,
							enum cairn_request kind)
{
	return &meter->shards[cairn_shard(meter->count)].kind[kind];
}

static inline struct cairn_metering cairn_metering_begin(struct cairn_meter *meter,
							 enum cairn_request kind)
{
	atomic_fetch_add_explicit(&cairn_meter_here(meter, kind)->begun, 1, memory_order_relaxed);
	return (struct cairn_metering){ .meter = meter, .kind = kind, .since = cairn_mono_ns() };
}

static inline void cairn_metering_end(const struct cairn_metering *m)
{
	cairn_histogram_add(&cairn_meter_here(m->meter, m->kind)->took, cairn_mono_ns() - m->since);
}
