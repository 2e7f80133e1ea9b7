#include "core/data.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/internal.h"

/* Where bytes of an inode come from: the batches, and below them the store up to an offset. */
struct source {
	struct cairn_layers layers;
	int64_t lower_end; /* bytes of layers.lower count only before this offset */
	int64_t store_end; /* bytes of the store count only before this offset */
};

static struct source source_of(const struct cairn_inode *inode)
{
	struct source source = {
		.layers = cairn_inode_layers(inode),
		.lower_end = INT64_MAX,
		.store_end = inode->attr.size,
	};

	if (source.layers.upper) {
		source.lower_end = source.layers.upper->cut;
		source.store_end = source.layers.upper->cut;
	}
	if (source.layers.lower)
		source.store_end = MIN(source.store_end, source.layers.lower->cut);
	if (inode->fresh)
		source.store_end = 0;
	return source;
}

/* The chunk in the batches that says what stands at `index`, and how many of its bytes count. NULL:
 * ask the store. */
static const struct cairn_delta_chunk *find_batched(const struct source *source, int64_t index,
						    size_t chunk_size, size_t *ret_len)
{
	const struct cairn_delta_chunk *chunk;
	int64_t start = index * (int64_t)chunk_size;

	if (source->layers.upper) {
		chunk = cairn_delta_find_chunk(source->layers.upper, index);
		if (chunk) {
			*ret_len = chunk->len;
			return chunk;
		}
	}
	if (source->layers.lower) {
		chunk = cairn_delta_find_chunk(source->layers.lower, index);
		if (chunk) {
			int64_t room = MAX(source->lower_end - start, 0);

			*ret_len = (size_t)MIN((int64_t)chunk->len, room);
			return chunk;
		}
	}
	return NULL;
}

/* A window of a file that is being filled. */
struct window {
	const struct source *source;
	size_t chunk_size;
	unsigned char *buf;
	int64_t start, end; /* offsets in the file */
	int64_t next;       /* the first chunk that the store has not spoken of */
	bool found;         /* some chunk of it is no hole */
};

/* Copies the part of a chunk's first `len` bytes that lies in the window. */
static void copy_in(const struct window *w, int64_t index, const void *data, size_t len)
{
	int64_t chunk_start = index * (int64_t)w->chunk_size;
	int64_t from = MAX(chunk_start, w->start);
	int64_t to = MIN(chunk_start + (int64_t)len, w->end);

	if (from < to)
		memcpy(w->buf + (from - w->start),
		       (const unsigned char *)data + (from - chunk_start), (size_t)(to - from));
}

/* Zeros the part of a chunk from its byte `from` on that lies in the window. */
static void zero_in(const struct window *w, int64_t index, size_t from)
{
	int64_t chunk_start = index * (int64_t)w->chunk_size;
	int64_t start = MAX(chunk_start + (int64_t)from, w->start);
	int64_t end = chunk_start + MIN((int64_t)w->chunk_size, w->end - chunk_start);

	if (start < end)
		memset(w->buf + (start - w->start), 0, (size_t)(end - start));
}

/* Zeros in the window for the stored chunks from w->next up to `index`: there are none. */
static void fill_holes(struct window *w, int64_t index)
{
	size_t batched;

	for (; w->next < index; w->next++)
		if (!find_batched(w->source, w->next, w->chunk_size, &batched))
			zero_in(w, w->next, 0);
}

static int copy_stored(void *arg, int64_t index, const void *data, size_t len)
{
	struct window *w = arg;
	int64_t room = MAX(w->source->store_end - index * (int64_t)w->chunk_size, 0);
	size_t batched;

	fill_holes(w, index);
	w->next = index + 1;
	if (find_batched(w->source, index, w->chunk_size, &batched))
		return 0;
	len = (size_t)MIN((int64_t)len, room);
	copy_in(w, index, data, len);
	zero_in(w, index, len);
	w->found |= room > 0;
	return 0;
}

static int read_stored(struct cairn_core *core, uint64_t ino, struct window *w, int64_t first,
		       int64_t last)
{
	_cleanup_(cairn_readingp) struct cairn_reading reading = { 0 };
	int r;

	r = cairn_reading(&core->readers, &reading);
	if (r < 0)
		return r;
	w->next = first;
	r = core->store->ops->data_read(reading.reader, ino, first, last, copy_stored, w);
	if (r == 0)
		fill_holes(w, last + 1);
	return r;
}

/* Fills the window, which is not empty. */
static int read_window(struct cairn_core *core, const struct cairn_inode *inode, struct window *w)
{
	int64_t chunk_size = (int64_t)w->chunk_size, missing_first = -1, missing_last = -1;

	for (int64_t index = w->start / chunk_size; index <= (w->end - 1) / chunk_size; index++) {
		const struct cairn_delta_chunk *chunk;
		size_t len = 0;

		chunk = find_batched(w->source, index, w->chunk_size, &len);
		if (!chunk && index * chunk_size < w->source->store_end) {
			if (missing_first < 0)
				missing_first = index;
			missing_last = index;
			continue;
		}
		if (chunk) {
			copy_in(w, index, chunk->data, len);
			w->found |= chunk->data != NULL;
		}
		zero_in(w, index, len);
	}
	if (missing_first < 0)
		return 0;
	return read_stored(core, inode->ino, w, missing_first, missing_last);
}

int cairn_data_read(struct cairn_core *core, const struct cairn_inode *inode, void *buf,
		    size_t size, int64_t offset)
{
	struct source source = source_of(inode);
	struct window w = {
		.source = &source,
		.chunk_size = core->store->chunk_size,
		.buf = buf,
		.start = offset,
		.end = offset + (int64_t)size,
	};

	return size == 0 ? 0 : read_window(core, inode, &w);
}

/* The bytes of one chunk inside the file, as a new buffer; NULL when it is a hole. */
static int load_chunk(struct cairn_core *core, const struct cairn_inode *inode, int64_t index,
		      size_t len, unsigned char **ret)
{
	_cleanup_(cairn_freep) unsigned char *data = malloc(len);
	struct source source = source_of(inode);
	struct window w = {
		.source = &source,
		.chunk_size = core->store->chunk_size,
		.buf = data,
		.start = index * (int64_t)core->store->chunk_size,
		.end = index * (int64_t)core->store->chunk_size + (int64_t)len,
	};
	int r;

	if (!data)
		return -ENOMEM;
	r = read_window(core, inode, &w);
	if (r < 0)
		return r;
	*ret = w.found ? TAKE_PTR(data) : NULL;
	return 0;
}

/* How many bytes of a chunk lie inside the file. */
static size_t chunk_len(const struct cairn_op *op, const struct cairn_inode *inode, int64_t index)
{
	int64_t chunk_size = (int64_t)op->core->store->chunk_size;

	return (size_t)MAX(MIN(chunk_size, inode->attr.size - index * chunk_size), 0);
}

/* Brings a chunk into the running batch with the bytes it has now; *ret is NULL if it is a hole. */
static int take_chunk(struct cairn_op *op, struct cairn_inode *inode, int64_t index,
		      struct cairn_delta_chunk **ret)
{
	_cleanup_(cairn_freep) unsigned char *data = NULL;
	size_t len = chunk_len(op, inode, index);
	struct cairn_delta *delta;
	int r;

	r = cairn_op_change(op, inode, &delta);
	if (r < 0)
		return r;
	*ret = cairn_delta_find_chunk(delta, index);
	if (*ret || len == 0)
		return 0;
	r = load_chunk(op->core, inode, index, len, &data);
	if (r < 0 || !data)
		return r;
	*ret = cairn_delta_add_chunk(delta, index);
	if (!*ret)
		return -ENOMEM;
	cairn_delta_fill_chunk(delta, *ret, TAKE_PTR(data), len);
	return 0;
}

/* A chunk whose bytes `from` to `to` are about to be written, with room for them. What it holds now
 * is loaded if some of it will stay. A chunk that is made for this is `tentative` until it is
 * written. */
static int take_chunk_to_write(struct cairn_op *op, struct cairn_inode *inode, int64_t index,
			       size_t from, size_t to)
{
	size_t chunk_size = op->core->store->chunk_size;
	struct cairn_delta_chunk *chunk = NULL;
	struct cairn_delta *delta;
	int r;

	r = cairn_op_change(op, inode, &delta);
	if (r < 0)
		return r;
	if (from == 0 && to >= chunk_len(op, inode, index)) {
		chunk = cairn_delta_find_chunk(delta, index);
	} else {
		r = take_chunk(op, inode, index, &chunk);
		if (r < 0)
			return r;
	}
	if (!chunk) {
		chunk = cairn_delta_add_chunk(delta, index);
		if (!chunk)
			return -ENOMEM;
		chunk->tentative = true;
	}
	return cairn_delta_grow_chunk(delta, chunk, from, to, chunk_size);
}

/* Before a file grows: the chunk its end lies in comes along, so that it is stored as far as the
 * file goes, and nothing that a peer left behind the end comes to light. */
static int take_end(struct cairn_op *op, struct cairn_inode *inode, int64_t new_size)
{
	int64_t chunk_size = (int64_t)op->core->store->chunk_size;
	int64_t index = inode->attr.size / chunk_size;
	struct cairn_delta_chunk *chunk;
	struct cairn_delta *delta;
	int r;

	if (new_size <= inode->attr.size)
		return 0;
	r = cairn_op_change(op, inode, &delta);
	if (r < 0)
		return r;
	delta->resized = true;
	if (inode->attr.size % chunk_size == 0)
		return 0;
	return take_chunk(op, inode, index, &chunk);
}

/* One chunk's part of a write. */
struct piece {
	int64_t index;
	size_t from, to;
};

static struct piece piece_at(const struct cairn_op *op, int64_t offset, int64_t end)
{
	int64_t chunk_size = (int64_t)op->core->store->chunk_size;
	int64_t index = offset / chunk_size, start = index * chunk_size;

	return (struct piece){
		.index = index,
		.from = (size_t)(offset - start),
		.to = (size_t)MIN(end - start, chunk_size),
	};
}

static int take_chunks_to_write(struct cairn_op *op, struct cairn_inode *inode, int64_t offset,
				int64_t end)
{
	struct piece piece;
	int r;

	r = take_end(op, inode, end);
	if (r < 0)
		return r;
	for (int64_t at = offset; at < end; at += (int64_t)(piece.to - piece.from)) {
		piece = piece_at(op, at, end);
		r = take_chunk_to_write(op, inode, piece.index, piece.from, piece.to);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Takes back the chunks that were made for a write that cannot be: what lies below them counts
 * again. */
static void drop_tentative(struct cairn_op *op, struct cairn_inode *inode, int64_t offset,
			   int64_t end)
{
	struct cairn_delta *delta = inode->delta[op->seq & 1];
	struct piece piece;

	for (int64_t at = offset; delta && at < end; at += (int64_t)(piece.to - piece.from)) {
		struct cairn_delta_chunk *chunk;

		piece = piece_at(op, at, end);
		chunk = cairn_delta_find_chunk(delta, piece.index);
		if (chunk && chunk->tentative)
			cairn_delta_drop_chunk(delta, chunk);
	}
}

/* Fills chunks that are all there. Cannot fail. */
static void fill_chunks(struct cairn_op *op, struct cairn_inode *inode, const unsigned char *from,
			int64_t offset, int64_t end)
{
	struct piece piece;

	for (int64_t at = offset; at < end; at += (int64_t)(piece.to - piece.from)) {
		struct cairn_delta_chunk *chunk;

		piece = piece_at(op, at, end);
		chunk = cairn_delta_find_chunk(inode->delta[op->seq & 1], piece.index);
		memcpy(chunk->data + piece.from, from, piece.to - piece.from);
		chunk->tentative = false;
		from += piece.to - piece.from;
	}
}

int cairn_data_write(struct cairn_op *op, struct cairn_inode *inode, const void *buf, size_t size,
		     int64_t offset)
{
	int64_t end = offset + (int64_t)size;
	int r;

	r = take_chunks_to_write(op, inode, offset, end);
	if (r < 0) {
		drop_tentative(op, inode, offset, end);
		return r;
	}
	fill_chunks(op, inode, buf, offset, end);
	/* A file without holes that is written from its end or before has none after that. */
	if (inode->allocated != inode->attr.size || offset > inode->attr.size)
		inode->allocated = -1;
	inode->attr.size = MAX(inode->attr.size, end);
	if (inode->allocated >= 0)
		inode->allocated = inode->attr.size;
	return 0;
}

static int shrink(struct cairn_op *op, struct cairn_inode *inode, int64_t size)
{
	int64_t chunk_size = (int64_t)op->core->store->chunk_size;
	struct cairn_delta_chunk *chunk, *next, *edge = NULL;
	struct cairn_delta *delta;
	int r;

	r = cairn_op_change(op, inode, &delta);
	if (r < 0)
		return r;
	if (size % chunk_size != 0) {
		r = take_chunk(op, inode, size / chunk_size, &edge);
		if (r < 0)
			return r;
	}
	if (edge)
		edge->len = MIN(edge->len, (size_t)(size % chunk_size));
	HASH_ITER (hh, delta->chunks, chunk, next) {
		if (chunk->index * chunk_size >= size)
			cairn_delta_drop_chunk(delta, chunk);
	}
	delta->cut = MIN(delta->cut, size);
	delta->resized = true;
	inode->allocated = inode->allocated == inode->attr.size ? size : -1;
	inode->attr.size = size;
	return 0;
}

int cairn_data_resize(struct cairn_op *op, struct cairn_inode *inode, int64_t size)
{
	int r;

	if (size < inode->attr.size)
		return shrink(op, inode, size);
	r = take_end(op, inode, size);
	if (r < 0)
		return r;
	if (size > inode->attr.size)
		inode->allocated = -1;
	inode->attr.size = size;
	return 0;
}

/* What zeroing a range comes to: bytes of the chunks at its edges, and chunks that become holes. */
struct zeroing {
	struct cairn_delta_chunk *edge[2];
	struct piece part[2];
	unsigned int edges;
	int64_t *holes;
	size_t count, capacity;
};

static void zeroing_done(struct zeroing *zeroing)
{
	free(zeroing->holes);
}

static int add_hole(struct zeroing *zeroing, int64_t index)
{
	if (zeroing->count == zeroing->capacity) {
		size_t capacity = zeroing->capacity ? 2 * zeroing->capacity : 64;
		void *holes = reallocarray(zeroing->holes, capacity, sizeof(index));

		if (!holes)
			return -ENOMEM;
		zeroing->holes = holes;
		zeroing->capacity = capacity;
	}
	zeroing->holes[zeroing->count++] = index;
	return 0;
}

/* Finds all that is to be zeroed and loads the edges; nothing is zeroed yet. */
static int plan_zeroing(struct cairn_op *op, struct cairn_inode *inode, int64_t offset, int64_t end,
			struct zeroing *zeroing)
{
	int64_t chunk_size = (int64_t)op->core->store->chunk_size;
	int r;

	for (int64_t at = offset; at < end;) {
		struct piece piece = piece_at(op, at, end);
		int64_t found = piece.index;

		if (piece.from > 0 || piece.to < chunk_len(op, inode, piece.index)) {
			zeroing->part[zeroing->edges] = piece;
			r = take_chunk(op, inode, piece.index, &zeroing->edge[zeroing->edges++]);
			if (r < 0)
				return r;
			at += (int64_t)(piece.to - piece.from);
			continue;
		}
		/* On to the next chunk that exists: the range may span the whole number line. */
		r = cairn_data_next(op->core, inode, &found);
		if (r == -ENXIO || (r == 0 && found > (end - 1) / chunk_size))
			return 0;
		if (r < 0)
			return r;
		piece = piece_at(op, MAX(at, found * chunk_size), end);
		if (piece.to >= chunk_len(op, inode, found)) {
			r = add_hole(zeroing, found);
			if (r < 0)
				return r;
			if (found == (end - 1) / chunk_size)
				return 0;
			found++;
		}
		at = found * chunk_size;
	}
	return 0;
}

/* Makes sure that every hole has a record, of what is there now. */
static int prepare_holes(struct cairn_op *op, struct cairn_inode *inode,
			 const struct zeroing *zeroing)
{
	struct cairn_delta *delta = inode->delta[op->seq & 1];
	struct cairn_delta_chunk *chunk;
	int r;

	for (size_t i = 0; i < zeroing->count; i++) {
		chunk = cairn_delta_find_chunk(delta, zeroing->holes[i]);
		if (chunk)
			continue;
		chunk = cairn_delta_add_chunk(delta, zeroing->holes[i]);
		r = chunk ? 0 : -ENOMEM;
		if (r < 0)
			return r;
		chunk->tentative = true;
	}
	return 0;
}

static void drop_tentative_holes(struct cairn_op *op, struct cairn_inode *inode,
				 const struct zeroing *zeroing)
{
	struct cairn_delta *delta = inode->delta[op->seq & 1];

	for (size_t i = 0; i < zeroing->count; i++) {
		struct cairn_delta_chunk *chunk = cairn_delta_find_chunk(delta, zeroing->holes[i]);

		if (chunk && chunk->tentative)
			cairn_delta_drop_chunk(delta, chunk);
	}
}

/* Cannot fail. */
static void apply_zeroing(struct cairn_op *op, struct cairn_inode *inode,
			  const struct zeroing *zeroing)
{
	struct cairn_delta *delta = inode->delta[op->seq & 1];

	for (unsigned int i = 0; i < zeroing->edges; i++) {
		struct cairn_delta_chunk *chunk = zeroing->edge[i];
		const struct piece *part = &zeroing->part[i];

		if (chunk && part->from < chunk->len)
			memset(chunk->data + part->from, 0, MIN(part->to, chunk->len) - part->from);
	}
	for (size_t i = 0; i < zeroing->count; i++) {
		struct cairn_delta_chunk *chunk = cairn_delta_find_chunk(delta, zeroing->holes[i]);

		chunk->tentative = false;
		cairn_delta_make_hole(delta, chunk);
	}
}

int cairn_data_zero(struct cairn_op *op, struct cairn_inode *inode, int64_t offset, int64_t size)
{
	_cleanup_(zeroing_done) struct zeroing zeroing = { 0 };
	struct cairn_delta *delta;
	int r;

	r = cairn_op_change(op, inode, &delta);
	if (r < 0)
		return r;
	r = plan_zeroing(op, inode, offset, offset + size, &zeroing);
	if (r < 0)
		return r;
	r = prepare_holes(op, inode, &zeroing);
	if (r < 0) {
		drop_tentative_holes(op, inode, &zeroing);
		return r;
	}
	apply_zeroing(op, inode, &zeroing);
	inode->allocated = -1;
	return 0;
}

/* The least index >= `from` of a chunk with bytes in a batch's delta; INT64_MAX when there is none.
 */
static int64_t next_in_delta(const struct cairn_delta *delta, int64_t from)
{
	struct cairn_delta_chunk *chunk, *next;
	int64_t best = INT64_MAX;

	if (!delta)
		return best;
	HASH_ITER (hh, delta->chunks, chunk, next) {
		if (chunk->data && chunk->index >= from && chunk->index < best)
			best = chunk->index;
	}
	return best;
}

struct seek {
	const struct source *source;
	size_t chunk_size;
	int64_t index;
	bool found;
};

static int seek_stored(void *arg, int64_t index, _unused_ const void *data, _unused_ size_t len)
{
	struct seek *seek = arg;
	size_t batched;

	if (find_batched(seek->source, index, seek->chunk_size, &batched))
		return 0; /* the batches have spoken */
	seek->index = index;
	seek->found = true;
	return 1;
}

/* The least index >= `from` and < `limit` of a stored chunk that the batches do not hide. */
static int next_in_store(struct cairn_core *core, const struct cairn_inode *inode, int64_t from,
			 int64_t limit, struct seek *seek)
{
	_cleanup_(cairn_readingp) struct cairn_reading reading = { 0 };
	int r;

	if (from >= limit)
		return 0;
	r = cairn_reading(&core->readers, &reading);
	if (r < 0)
		return r;
	r = core->store->ops->data_scan(reading.reader, inode->ino, from, limit - 1, seek_stored,
					seek);
	return r < 0 ? r : 0;
}

static int64_t chunks_up_to(int64_t end, int64_t chunk_size)
{
	return end / chunk_size + (end % chunk_size != 0);
}

int cairn_data_next(struct cairn_core *core, const struct cairn_inode *inode, int64_t *index)
{
	int64_t chunk_size = (int64_t)core->store->chunk_size;
	struct source source = source_of(inode);
	struct seek seek = { .source = &source, .chunk_size = core->store->chunk_size };
	int64_t best = next_in_delta(source.layers.upper, *index);
	int64_t lower = next_in_delta(source.layers.lower, *index);
	int r;

	/* The older batch counts only where the newer one is silent and before its cut. */
	while (lower < best &&
	       (lower * chunk_size >= source.lower_end ||
		(source.layers.upper && cairn_delta_find_chunk(source.layers.upper, lower))))
		lower = next_in_delta(source.layers.lower, lower + 1);
	best = MIN(best, lower);

	r = next_in_store(core, inode, *index,
			  MIN(best, chunks_up_to(source.store_end, chunk_size)), &seek);
	if (r < 0)
		return r;
	if (seek.found)
		best = MIN(best, seek.index);
	if (best >= chunks_up_to(inode->attr.size, chunk_size))
		return -ENXIO;
	*index = best;
	return 0;
}

int cairn_data_next_hole(struct cairn_core *core, const struct cairn_inode *inode, int64_t *index)
{
	int64_t found = *index;
	int r;

	for (;;) {
		r = cairn_data_next(core, inode, &found);
		if (r == -ENXIO || (r == 0 && found > *index))
			return 0;
		if (r < 0)
			return r;
		found = ++*index;
	}
}

/* A count of the bytes in chunks. */
struct tally {
	const struct source *source;
	size_t chunk_size;
	int64_t size; /* of the file */
	int64_t bytes;
};

static void tally_chunk(struct tally *tally, int64_t index)
{
	int64_t chunk_size = (int64_t)tally->chunk_size;

	tally->bytes += MAX(MIN(chunk_size, tally->size - index * chunk_size), 0);
}

static int tally_stored(void *arg, int64_t index, _unused_ const void *data, _unused_ size_t len)
{
	struct tally *tally = arg;
	size_t batched;

	if (!find_batched(tally->source, index, tally->chunk_size, &batched))
		tally_chunk(tally, index);
	return 0;
}

static void tally_layer(struct tally *tally, const struct cairn_delta *layer,
			const struct cairn_delta *above, int64_t end)
{
	struct cairn_delta_chunk *chunk, *next;

	if (!layer)
		return;
	HASH_ITER (hh, layer->chunks, chunk, next) {
		if (chunk->data && chunk->index < end &&
		    !(above && cairn_delta_find_chunk(above, chunk->index)))
			tally_chunk(tally, chunk->index);
	}
}

int cairn_data_allocated(struct cairn_core *core, const struct cairn_inode *inode, int64_t *ret)
{
	_cleanup_(cairn_readingp) struct cairn_reading reading = { 0 };
	int64_t chunk_size = (int64_t)core->store->chunk_size, stored;
	struct source source = source_of(inode);
	struct tally tally = {
		.source = &source,
		.chunk_size = core->store->chunk_size,
		.size = inode->attr.size,
	};
	int r;

	tally_layer(&tally, source.layers.upper, NULL, INT64_MAX);
	tally_layer(&tally, source.layers.lower, source.layers.upper,
		    chunks_up_to(source.lower_end, chunk_size));
	stored = chunks_up_to(source.store_end, chunk_size);
	if (stored > 0) {
		r = cairn_reading(&core->readers, &reading);
		if (r < 0)
			return r;
		r = core->store->ops->data_scan(reading.reader, inode->ino, 0, stored - 1,
						tally_stored, &tally);
		if (r < 0)
			return r;
	}
	*ret = tally.bytes;
	return 0;
}
