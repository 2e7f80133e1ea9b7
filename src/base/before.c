#include "base/before.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "util/clock.h"

struct cairn_before_row {
	UT_hash_handle hh;
	uint64_t merged;
	const struct cairn_attr *attr;
};

int cairn_before_put(struct cairn_before *before, const struct cairn_attr *attr)
{
	struct cairn_before_row *row = calloc(1, sizeof(*row));

	if (!row)
		return -ENOMEM;
	row->merged = attr->ino;
	row->attr = attr;
	HASH_ADD(hh, before->rows, merged, sizeof(row->merged), row);
	if (!row->hh.tbl) {
		free(row);
		return -ENOMEM;
	}
	return 0;
}

void cairn_before_clear(struct cairn_before *before)
{
	struct cairn_before_row *row, *next;

	HASH_ITER (hh, before->rows, row, next) {
		HASH_DELETE(hh, before->rows, row);
		free(row);
	}
}

const struct cairn_attr *cairn_before_get(const struct cairn_before *before, uint64_t merged)
{
	struct cairn_before_row *row;

	HASH_FIND(hh, before->rows, &merged, sizeof(merged), row);
	return row ? row->attr : NULL;
}

bool cairn_before_same(const struct cairn_attr *before, const struct cairn_attr *now)
{
	return before->mode == now->mode && before->uid == now->uid && before->gid == now->gid &&
	       before->rdev == now->rdev && (S_ISDIR(now->mode) || before->size == now->size) &&
	       cairn_same_time(&before->mtime, &now->mtime) &&
	       cairn_same_time(&before->ctime, &now->ctime);
}
