/* The bytes of files: chunks of the branch, and where there is none, up to an offset, the base. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/overlay_internal.h"

/* Bytes that are read of the base in one go. */
#define READ_SIZE (1 << 20)

/* A stretch of a file as it is put together, chunk by chunk in order. */
struct merge {
	struct cairn_overlay *overlay;
	uint64_t node; /* of the base; 0: it has nothing of the file */
	int64_t end;   /* bytes of the base count before this offset */
	bool gone;     /* the base has lost what should count */
	bool with_data;
	int64_t chunk_size;
	int64_t next, last; /* indexes: those before `next` are done */
	int64_t run_end;    /* bytes from `next` to here are known to be data of the base */
	unsigned char *buf;
	size_t buf_size;
	cairn_chunk_fn fn;
	void *arg;
};

static void mergep(struct merge *merge)
{
	free(merge->buf);
}

static int64_t start_of(const struct merge *merge, int64_t index)
{
	return index > INT64_MAX / merge->chunk_size ? INT64_MAX : index * merge->chunk_size;
}

/* Moves on to the next chunk up to `last` with data of the base. -ENXIO: there is none. */
static int seek_data(struct merge *merge, int64_t last)
{
	struct cairn_base *base = merge->overlay->base;
	int64_t at = start_of(merge, merge->next), from, to;
	int r;

	if (at < merge->run_end)
		return 0;
	if (at >= merge->end)
		return -ENXIO;
	r = base->ops->next_data(base, merge->node, at, &from, &to);
	if (r < 0)
		return r;
	if (from >= merge->end || from / merge->chunk_size > last)
		return -ENXIO;
	merge->next = from / merge->chunk_size;
	merge->run_end = MIN(to, merge->end);
	return 0;
}

static int get_buffer(struct merge *merge)
{
	if (merge->buf)
		return 0;
	merge->buf_size =
		(size_t)MAX(merge->chunk_size, READ_SIZE / merge->chunk_size * merge->chunk_size);
	merge->buf = malloc(merge->buf_size);
	return merge->buf ? 0 : -ENOMEM;
}

/* Hands on the chunks of a stretch that was read, the last of which may be short. */
static int hand_on(struct merge *merge, size_t len)
{
	size_t chunk_size = (size_t)merge->chunk_size;
	int r = 0;

	for (size_t at = 0; r == 0 && at < len; at += chunk_size)
		r = merge->fn(merge->arg, merge->next++, merge->buf + at,
			      MIN(chunk_size, len - at));
	return r;
}

static int read_run(struct merge *merge, int64_t last)
{
	struct cairn_base *base = merge->overlay->base;
	int64_t at = start_of(merge, merge->next), size;
	ssize_t n;
	int r;

	r = get_buffer(merge);
	if (r < 0)
		return r;
	/* Whole chunks: what lies in the hole behind the data of one reads as zeros. */
	size = MIN(last - merge->next + 1, (int64_t)merge->buf_size / merge->chunk_size);
	size = MIN(size, (merge->run_end - at - 1) / merge->chunk_size + 1) * merge->chunk_size;
	size = MIN(size, merge->end - at);
	n = base->ops->read(base, merge->node, merge->buf, (size_t)size, at);
	if (n < 0)
		return (int)n;
	if (n == 0)
		merge->end = MIN(merge->end, at); /* shorter by now */
	return hand_on(merge, (size_t)n);
}

/* The base's part of what lies before `index`. */
static int fill_up_to(struct merge *merge, int64_t index)
{
	int r = 0;

	while (r == 0 && merge->next < index && start_of(merge, merge->next) < merge->end) {
		if (merge->gone)
			return -EIO;
		r = seek_data(merge, index - 1);
		if (r == -ENXIO)
			break;
		if (r < 0)
			return r;
		if (merge->with_data)
			r = read_run(merge, index - 1);
		else
			r = merge->fn(merge->arg, merge->next++, NULL, 0);
	}
	if (r >= 0 || r == -ENXIO)
		merge->next = MAX(merge->next, index);
	return r == -ENXIO ? 0 : r;
}

static int add_chunk(void *arg, int64_t index, const void *data, size_t len)
{
	struct merge *merge = arg;
	int r;

	r = fill_up_to(merge, index);
	if (r != 0)
		return r;
	merge->next = index + 1;
	/* An empty one is a hole. */
	if (len == 0)
		return 0;
	return merge->fn(merge->arg, index, data, merge->with_data ? len : 0);
}

/* What the base has of a file. */
static int find_base(struct merge *merge, struct cairn_reader *reader, uint64_t ino,
		     const struct cairn_origin_view *view)
{
	struct cairn_overlay *o = merge->overlay;
	int r;

	if (view->delta) {
		merge->end = view->data_end == CAIRN_DATA_OF_BASE ? INT64_MAX : view->data_end;
		if (!view->path[0])
			merge->end = 0;
	} else {
		merge->end = INT64_MAX;
	}
	if (merge->end == 0)
		return 0;
	r = cairn_overlay_node(o, reader, ino, view, &merge->node);
	if (r != -ENOENT || !view->delta)
		return r;
	if (!atomic_exchange(&o->gone_said, true))
		cairn_err(o->log,
			  "'%s' is gone from the base '%s', and with it what was never changed of "
			  "inode %" PRIu64 ": reading that is an error (said once)",
			  view->path, o->base->path, ino);
	merge->gone = true;
	return 0;
}

static int read_merged(struct cairn_overlay_reader *reader, uint64_t delta, struct merge *merge)
{
	struct cairn_store *branch = reader->overlay->branch;
	int64_t first = merge->next;
	int r = 0;

	if (delta && merge->with_data)
		r = branch->ops->data_read(reader->branch, delta, first, merge->last, add_chunk,
					   merge);
	else if (delta)
		r = branch->branch->data_sizes(reader->branch, delta, first, merge->last, add_chunk,
					       merge);
	if (r != 0)
		return r;
	return fill_up_to(merge, merge->last == INT64_MAX ? INT64_MAX : merge->last + 1);
}

/* What there is of a file. The look holds the reader to a state that has its row; a newer one than
 * the origin is of does no harm, see origin.h. */
static int find_data(struct cairn_overlay_reader *reader, uint64_t ino, struct cairn_look *look,
		     struct merge *merge, uint64_t *ret_delta, bool *ret_own)
{
	struct cairn_overlay *o = reader->overlay;
	struct cairn_origin_view view;
	int r;

	do {
		r = cairn_overlay_enter(reader, look);
		if (r < 0)
			continue;
		view = cairn_origin_find(&o->origins, ino);
		*ret_delta = cairn_overlay_row(o, ino, &view);
		*ret_own = *ret_delta && (!view.delta || !view.path[0]);
		merge->gone = false;
		r = *ret_own ? 0 : find_base(merge, reader->branch, ino, &view);
	} while (cairn_overlay_moved(reader, look, true));
	return r;
}

static int data_merge(struct cairn_reader *base, uint64_t ino, int64_t first, int64_t last,
		      bool with_data, cairn_chunk_fn fn, void *arg)
{
	struct cairn_overlay_reader *reader = cairn_overlay_reader_of(base);
	struct cairn_overlay *o = reader->overlay;
	const struct cairn_store_ops *ops = o->branch->ops;
	_cleanup_(cairn_look_endp) struct cairn_look look = { 0 };
	_cleanup_(mergep) struct merge merge = {
		.overlay = o,
		.with_data = with_data,
		.chunk_size = (int64_t)o->store.chunk_size,
		.next = MAX(first, 0),
		.last = last,
		.fn = fn,
		.arg = arg,
	};
	uint64_t delta = 0;
	bool own = false;
	int r;

	r = find_data(reader, ino, &look, &merge, &delta, &own);
	if (r < 0)
		return r;
	if (own)
		return with_data ? ops->data_read(reader->branch, delta, first, last, fn, arg)
				 : ops->data_scan(reader->branch, delta, first, last, fn, arg);
	r = read_merged(reader, delta, &merge);
	/* What there is of a file that was copied up is no matter of the base. */
	return r == -ENOENT && delta ? -EIO : r;
}

int cairn_overlay_data_read(struct cairn_reader *reader, uint64_t ino, int64_t first, int64_t last,
			    cairn_chunk_fn fn, void *arg)
{
	return data_merge(reader, ino, first, last, true, fn, arg);
}

int cairn_overlay_data_scan(struct cairn_reader *reader, uint64_t ino, int64_t first, int64_t last,
			    cairn_chunk_fn fn, void *arg)
{
	return data_merge(reader, ino, first, last, false, fn, arg);
}
