#include "fuse/meter.h"

#include <errno.h>
#include <stdlib.h>

#include "util/macro.h"

int cairn_meter_init(struct cairn_meter *meter)
{
	meter->count = cairn_shard_count();
	meter->shards = calloc(meter->count, sizeof(*meter->shards));
	return meter->shards ? 0 : -ENOMEM;
}

void cairn_meter_destroy(struct cairn_meter *meter)
{
	free(TAKE_PTR(meter->shards));
}

const char *cairn_request_name(enum cairn_request kind)
{
#define REQUEST_NAME(name) [CAIRN_REQUEST_##name] = #name,
	static const char *const names[] = { CAIRN_REQUESTS(REQUEST_NAME) };
#undef REQUEST_NAME

	return names[kind];
}

void cairn_meter_read(const struct cairn_meter *meter, enum cairn_request kind,
		      struct cairn_distribution *ret, uint64_t *ret_begun)
{
	uint64_t begun = 0;

	*ret = (struct cairn_distribution){ 0 };
	for (unsigned int i = 0; i < meter->count; i++)
		cairn_histogram_read(&meter->shards[i].kind[kind].took, ret);
	/* After those that ended, so that it is not less; a weakly ordered CPU may do so still. */
	for (unsigned int i = 0; i < meter->count; i++)
		begun += atomic_load_explicit(&meter->shards[i].kind[kind].begun,
					      memory_order_relaxed);
	*ret_begun = MAX(begun, ret->count);
}
