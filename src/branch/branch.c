#include "branch/branch.h"

#include <errno.h>
#include <libgen.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/ignore.h"
#include "util/macro.h"

#define BUSY_TIMEOUT_MS 5000U
#define DIGEST_BUFFER   (256 << 10)

/* The path of a base as a workspace names it: where that is not absolute, from the directory of the
 * workspace. */
static int absolute(const char *workspace, char *named, char **ret)
{
	_cleanup_(cairn_freep) char *path = named, *copy = NULL;

	if (path[0] == '/') {
		*ret = TAKE_PTR(path);
		return 0;
	}
	copy = strdup(workspace);
	if (!copy || asprintf(ret, "%s/%s", dirname(copy), path) < 0)
		return -ENOMEM;
	return 0;
}

static int open_own(struct cairn_branch *branch, bool read_only, struct cairn_error *err)
{
	const struct cairn_store_options options = {
		.read_only = read_only,
		.busy_timeout_ms = BUSY_TIMEOUT_MS,
	};
	char *named = NULL;
	int r;

	r = cairn_sqlite_store_open(branch->path, &options, &branch->own, err);
	if (r < 0)
		return r;
	if (!branch->own->branch)
		return cairn_error_set(err, -EINVAL,
				       "'%s' is no branch: it has no base that it could be "
				       "compared with; make one with 'cairnfs init --base'",
				       branch->path);
	r = branch->own->branch->base_path(branch->own, &named);
	if (r == 0 && !named)
		r = -EINVAL;
	if (r == 0)
		r = absolute(branch->path, named, &branch->base_path);
	if (r == 0)
		r = branch->own->ops->reader_open(branch->own, &branch->reader);
	return r < 0 ? cairn_error_set(err, r, "'%s' cannot be read: %s", branch->path,
				       strerror(-r))
		     : 0;
}

int cairn_branch_open(const char *path, bool read_only, struct cairn_branch *ret,
		      struct cairn_error *err)
{
	struct cairn_branch branch = { .path = strdup(path) };
	int r;

	r = branch.path ? open_own(&branch, read_only, err) : -ENOMEM;
	if (r < 0) {
		cairn_branch_close(&branch);
		return r;
	}
	*ret = branch;
	return 0;
}

int cairn_branch_open_base(struct cairn_branch *branch, struct cairn_error *err)
{
	const struct cairn_base_above above = { .workspace = branch->path };
	_cleanup_(cairn_base_ignore_free) struct cairn_base_ignore ignore = { 0 };
	struct cairn_base_options options = {
		.busy_timeout_ms = BUSY_TIMEOUT_MS,
		.above = &above,
	};
	int r;

	r = cairn_base_ignore_read(branch->own, &ignore);
	if (r < 0)
		return cairn_error_set(err, r, "'%s' cannot be read: %s", branch->path,
				       strerror(-r));
	options.ignore = ignore.list;
	options.ignore_count = ignore.count;
	return cairn_base_open(branch->base_path, &options, &branch->base, err);
}

void cairn_branch_close(struct cairn_branch *branch)
{
	if (branch->reader)
		branch->own->ops->reader_close(branch->reader);
	if (branch->own)
		branch->own->ops->close(branch->own);
	if (branch->base)
		branch->base->ops->close(branch->base);
	free(branch->path);
	free(branch->base_path);
	*branch = (struct cairn_branch){ 0 };
}

static void tell(const struct cairn_branch *branch, size_t bytes)
{
	if (branch->progress)
		branch->progress(branch->progress_arg, bytes);
}

struct fill {
	int64_t chunk_size;
	int64_t from, to; /* of the file, in bytes */
	unsigned char *buf;
};

/* A chunk stands for all its bytes, zeros behind what is stored of it. */
static int fill_chunk(void *arg, int64_t index, const void *data, size_t len)
{
	const struct fill *fill = arg;
	int64_t start = index * fill->chunk_size;
	int64_t from = MAX(start, fill->from), to = MIN(start + fill->chunk_size, fill->to);
	int64_t end = MIN(start + (int64_t)len, to);

	if (from >= to)
		return 0;
	memset(fill->buf + (from - fill->from), 0, (size_t)(to - from));
	if (from < end)
		memcpy(fill->buf + (from - fill->from), (const char *)data + (from - start),
		       (size_t)(end - from));
	return 0;
}

int cairn_content_read(struct cairn_branch *branch, const struct cairn_content *content,
		       int64_t offset, void *buf, size_t size)
{
	int64_t chunk_size = (int64_t)branch->own->chunk_size;
	int64_t limit = !content->row || content->data_end == CAIRN_DATA_OF_BASE
				? INT64_MAX
				: content->data_end;
	struct fill fill = {
		.chunk_size = chunk_size,
		.from = offset,
		.to = offset + (int64_t)size,
		.buf = buf,
	};

	tell(branch, size);
	memset(buf, 0, size);
	if (content->node && offset < limit) {
		ssize_t n =
			branch->base->ops->read(branch->base, content->node, buf,
						(size_t)MIN((int64_t)size, limit - offset), offset);

		if (n < 0)
			return (int)n;
	}
	if (!content->row || content->data_end == CAIRN_DATA_OF_BASE)
		return 0;
	return branch->own->ops->data_read(branch->reader, content->row, offset / chunk_size,
					   (fill.to - 1) / chunk_size, fill_chunk, &fill);
}

/* Stretches that touch become one. */
struct stretches {
	int64_t chunk_size, size;
	int64_t from, to;
	cairn_stretch_fn fn;
	void *arg;
};

static int stretch_end(struct stretches *s)
{
	int r = 0;

	if (s->from < s->to)
		r = s->fn(s->arg, s->from, s->to);
	s->from = s->to = 0;
	return r;
}

static int stretch_add(struct stretches *s, int64_t from, int64_t to)
{
	int r = 0;

	to = MIN(to, s->size);
	if (from >= to)
		return 0;
	if (from > s->to || s->from == s->to) {
		r = stretch_end(s);
		s->from = from;
	}
	s->to = MAX(s->to, to);
	return r;
}

static int stretch_chunk(void *arg, int64_t index, const void *data, size_t len)
{
	struct stretches *s = arg;

	if (index < 0 || index > (s->size - 1) / s->chunk_size)
		return 0;
	return stretch_add(s, index * s->chunk_size, (index + 1) * s->chunk_size);
}

/* All of the file from `from` on that a file of the base has data in. */
static int stretch_base(struct cairn_branch *branch, struct stretches *s, uint64_t node,
			int64_t from)
{
	int64_t start, end;
	int r = 0;

	while (r == 0 && from < s->size) {
		r = branch->base->ops->next_data(branch->base, node, from, &start, &end);
		if (r == 0)
			r = stretch_add(s, start, end);
		from = MAX(end, from + 1);
	}
	return r == -ENXIO ? 0 : r;
}

int cairn_content_changed(struct cairn_branch *branch, const struct cairn_content *content,
			  cairn_stretch_fn fn, void *arg)
{
	int64_t chunk_size = (int64_t)branch->own->chunk_size;
	struct stretches s = {
		.chunk_size = chunk_size,
		.size = content->size,
		.fn = fn,
		.arg = arg,
	};
	int r = 0;

	if (content->size <= 0 || (content->row && content->data_end == CAIRN_DATA_OF_BASE))
		return 0;
	if (content->row)
		r = branch->own->branch->data_sizes(branch->reader, content->row, 0,
						    (content->size - 1) / chunk_size, stretch_chunk,
						    &s);
	if (r == 0)
		r = stretch_end(&s);
	/* Behind what counts of it, the base's bytes are zeros here. */
	if (r == 0 && content->node)
		r = stretch_base(branch, &s, content->node, content->row ? content->data_end : 0);
	return r == 0 ? stretch_end(&s) : r;
}

int cairn_branch_base_digest(struct cairn_branch *branch, uint64_t node, int64_t size,
			     unsigned char ret[32])
{
	_cleanup_(cairn_freep) unsigned char *buf = malloc(DIGEST_BUFFER);
	struct sha256_ctx sha;
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	sha256_init(&sha);
	for (int64_t at = 0; at < size; at += n) {
		n = branch->base->ops->read(branch->base, node, buf,
					    (size_t)MIN(size - at, (int64_t)DIGEST_BUFFER), at);
		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		tell(branch, (size_t)n);
		sha256_update(&sha, (size_t)n, buf);
	}
	sha256_digest(&sha, 32, ret);
	return 0;
}
