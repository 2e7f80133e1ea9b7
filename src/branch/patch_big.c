#include "branch/patch_big.h"

#include <errno.h>
#include <inttypes.h>
#include <nettle/sha1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "util/macro.h"

#define BUFFER      (256 << 10)
#define BLOCK       64       /* what is compared at a time; an instruction to copy takes 8 bytes */
#define COPY_MAX    0xffffff /* of one instruction of a delta */
#define INSERT_MAX  127
#define LINE_BYTES  52 /* that a line of the patch holds */
#define LINE_LENGTH (1 + LINE_BYTES / 4 * 5 + 1)

/* Bytes of a delta, or of a file. */
struct sink {
	int (*put)(struct sink *sink, const void *bytes, size_t len);
};

/* Only counts. */
struct counter {
	struct sink sink;
	size_t size;
};

static int count(struct sink *sink, const void *bytes, size_t len)
{
	((struct counter *)sink)->size += len;
	return 0;
}

/* Compresses, and makes lines of it. */
struct packer {
	struct sink sink;
	z_stream zip;
	cairn_patch_big_fn put;
	void *arg;
	unsigned char bytes[LINE_BYTES];
	size_t count;    /* of `bytes` */
	size_t size;     /* that came in */
	size_t text_len; /* of `text` */
	char text[64 << 10];
};

static void packerp(struct packer **packer)
{
	if (*packer)
		deflateEnd(&(*packer)->zip);
	free(*packer);
}

static int flush_text(struct packer *p)
{
	int r = p->text_len ? p->put(p->arg, p->text, p->text_len) : 0;

	p->text_len = 0;
	return r;
}

/* How many bytes it holds, as a letter, then each four of them as five digits to the base 85. */
static int flush_line(struct packer *p)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
	char *text = p->text + p->text_len;

	if (p->count == 0)
		return 0;
	memset(p->bytes + p->count, 0, LINE_BYTES - p->count);
	*text++ = (char)(p->count <= 26 ? 'A' + p->count - 1 : 'a' + p->count - 27);
	for (size_t i = 0; i < p->count; i += 4, text += 5) {
		uint32_t word = (uint32_t)p->bytes[i] << 24 | (uint32_t)p->bytes[i + 1] << 16 |
				(uint32_t)p->bytes[i + 2] << 8 | p->bytes[i + 3];

		for (int digit = 4; digit >= 0; digit--, word /= 85)
			text[digit] = digits[word % 85];
	}
	*text++ = '\n';
	p->text_len = (size_t)(text - p->text);
	p->count = 0;
	return sizeof(p->text) - p->text_len < LINE_LENGTH ? flush_text(p) : 0;
}

static int zip(struct packer *p, int flush)
{
	int r = 0, z = Z_OK;

	do {
		p->zip.next_out = p->bytes + p->count;
		p->zip.avail_out = (uInt)(LINE_BYTES - p->count);
		z = deflate(&p->zip, flush);
		if (z == Z_STREAM_ERROR)
			return -EIO;
		p->count = LINE_BYTES - p->zip.avail_out;
		if (p->count == LINE_BYTES)
			r = flush_line(p);
	} while (r == 0 && z != Z_STREAM_END && (p->zip.avail_out == 0 || flush == Z_FINISH));
	return r;
}

static int pack(struct sink *sink, const void *bytes, size_t len)
{
	struct packer *p = (struct packer *)sink;

	p->zip.next_in = (unsigned char *)bytes;
	p->zip.avail_in = (uInt)len;
	p->size += len;
	return zip(p, Z_NO_FLUSH);
}

static int packer_new(cairn_patch_big_fn put, void *arg, struct packer **ret)
{
	struct packer *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	if (deflateInit(&p->zip, Z_DEFAULT_COMPRESSION) != Z_OK) {
		free(p);
		return -ENOMEM;
	}
	p->sink.put = pack;
	p->put = put;
	p->arg = arg;
	*ret = p;
	return 0;
}

/* A hunk ends with an empty line. */
static int packer_end(struct packer *p)
{
	int r = zip(p, Z_FINISH);

	if (r == 0)
		r = flush_line(p);
	if (r == 0)
		r = flush_text(p);
	return r < 0 ? r : p->put(p->arg, "\n", 1);
}

/* A delta of git's: the sizes of both sides, then what is copied from the old one and what is put
 * in. */
struct delta {
	struct sink *sink;
	int64_t copy_from, copy_len; /* not put yet */
	unsigned char insert[1 + INSERT_MAX];
	size_t insert_len;
	bool inserted; /* anything */
};

/* Seven bits at a time, the lowest first. */
static int put_size(struct sink *sink, int64_t size)
{
	unsigned char bytes[10];
	size_t len = 0;

	for (; size >= 0x80; size >>= 7)
		bytes[len++] = (unsigned char)(size & 0x7f) | 0x80;
	bytes[len++] = (unsigned char)size;
	return sink->put(sink, bytes, len);
}

/* All four bytes of where and all three of how much. */
static int flush_copy(struct delta *d)
{
	unsigned char code[8] = { 0xff };
	int r;

	if (d->copy_len == 0)
		return 0;
	for (int i = 0; i < 4; i++)
		code[1 + i] = (unsigned char)(d->copy_from >> (8 * i));
	for (int i = 0; i < 3; i++)
		code[5 + i] = (unsigned char)(d->copy_len >> (8 * i));
	r = d->sink->put(d->sink, code, sizeof(code));
	d->copy_len = 0;
	return r;
}

static int flush_insert(struct delta *d)
{
	int r;

	if (d->insert_len == 0)
		return 0;
	d->insert[0] = (unsigned char)d->insert_len;
	r = d->sink->put(d->sink, d->insert, 1 + d->insert_len);
	d->insert_len = 0;
	return r;
}

static int delta_copy(struct delta *d, int64_t from, size_t len)
{
	int r = flush_insert(d);

	if (r == 0 && d->copy_len + (int64_t)len > COPY_MAX)
		r = flush_copy(d);
	if (d->copy_len == 0)
		d->copy_from = from;
	d->copy_len += (int64_t)len;
	return r;
}

static int delta_insert(struct delta *d, const unsigned char *bytes, size_t len)
{
	int r = flush_copy(d);

	d->inserted = true;
	while (r == 0 && len > 0) {
		size_t n = MIN(len, INSERT_MAX - d->insert_len);

		memcpy(d->insert + 1 + d->insert_len, bytes, n);
		d->insert_len += n;
		bytes += n;
		len -= n;
		if (d->insert_len == INSERT_MAX)
			r = flush_insert(d);
	}
	return r;
}

/* The old and the new bytes at one place. */
static int delta_bytes(struct delta *d, int64_t at, const unsigned char *old, size_t old_len,
		       const unsigned char *new, size_t new_len)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < new_len; i += BLOCK) {
		size_t len = MIN((size_t)BLOCK, new_len - i);

		if (i + len <= old_len && memcmp(old + i, new + i, len) == 0)
			r = delta_copy(d, at + (int64_t)i, len);
		else
			r = delta_insert(d, new + i, len);
	}
	return r;
}

/* Both sides from the beginning on, a buffer of each at a time. */
struct reading {
	struct cairn_patch_big *big;
	int64_t old_size, new_size, at;
	unsigned char *old, *new;
	size_t old_len, new_len;
};

static void readingp(struct reading *reading)
{
	free(reading->old);
	free(reading->new);
}

static int reading_begin(struct cairn_patch_big *big, struct reading *ret)
{
	ret->big = big;
	ret->old_size = big->old ? big->old->size : 0;
	ret->new_size = big->new ? big->new->size : 0;
	ret->old = malloc(BUFFER);
	ret->new = malloc(BUFFER);
	return ret->old && ret->new ? 0 : -ENOMEM;
}

static int read_side(struct reading *reading, const struct cairn_content *content, void *buffer,
		     int64_t size, size_t *ret_len)
{
	size_t len = (size_t)MAX(MIN(size - reading->at, (int64_t)BUFFER), INT64_C(0));
	int r = 0;

	if (len > 0)
		r = cairn_content_read(reading->big->branch, content, reading->at, buffer, len);
	*ret_len = len;
	return r;
}

/* 1: there is more. */
static int reading_next(struct reading *reading)
{
	int r;

	if (reading->at >= MAX(reading->old_size, reading->new_size))
		return 0;
	r = read_side(reading, reading->big->old, reading->old, reading->old_size,
		      &reading->old_len);
	if (r == 0)
		r = read_side(reading, reading->big->new, reading->new, reading->new_size,
			      &reading->new_len);
	return r < 0 ? r : 1;
}

static void hash_begin(struct sha1_ctx *sha, int64_t size)
{
	char head[32];
	int len = snprintf(head, sizeof(head), "blob %" PRId64, size);

	sha1_init(sha);
	sha1_update(sha, (size_t)len + 1, (const uint8_t *)head);
}

int cairn_patch_big_scan(struct cairn_patch_big *big)
{
	_cleanup_(readingp) struct reading reading = { 0 };
	struct counter counter = { .sink.put = count };
	struct delta delta = { .sink = &counter.sink };
	struct sha1_ctx old, new;
	int r;

	r = reading_begin(big, &reading);
	if (r < 0)
		return r;
	hash_begin(&old, reading.old_size);
	hash_begin(&new, reading.new_size);
	put_size(&counter.sink, reading.old_size);
	put_size(&counter.sink, reading.new_size);
	for (; (r = reading_next(&reading)) > 0; reading.at += BUFFER) {
		sha1_update(&old, reading.old_len, reading.old);
		sha1_update(&new, reading.new_len, reading.new);
		delta_bytes(&delta, reading.at, reading.old, reading.old_len, reading.new,
			    reading.new_len);
	}
	flush_insert(&delta);
	flush_copy(&delta);
	sha1_digest(&old, CAIRN_SHA1_SIZE, big->old_hash);
	sha1_digest(&new, CAIRN_SHA1_SIZE, big->new_hash);
	big->same = big->old && big->new &&reading.old_size == reading.new_size && !delta.inserted;
	big->delta_size = counter.size;
	return r;
}

static int write_literal(struct reading *reading, struct sink *sink)
{
	int r;

	for (; (r = reading_next(reading)) > 0; reading->at += BUFFER) {
		r = sink->put(sink, reading->new, reading->new_len);
		if (r != 0)
			return r;
	}
	return r;
}

static int write_delta(struct reading *reading, struct sink *sink)
{
	struct delta delta = { .sink = sink };
	int r;

	r = put_size(sink, reading->old_size);
	if (r == 0)
		r = put_size(sink, reading->new_size);
	if (r != 0)
		return r;
	for (; (r = reading_next(reading)) > 0; reading->at += BUFFER) {
		r = delta_bytes(&delta, reading->at, reading->old, reading->old_len, reading->new,
				reading->new_len);
		if (r != 0)
			return r;
	}
	if (r == 0)
		r = flush_insert(&delta);
	return r == 0 ? flush_copy(&delta) : r;
}

int cairn_patch_big_write(struct cairn_patch_big *big, cairn_patch_big_fn put, void *arg)
{
	_cleanup_(readingp) struct reading reading = { 0 };
	_cleanup_(packerp) struct packer *packer = NULL;
	bool is_delta = big->old && big->new;
	size_t size;
	char line[32];
	int r;

	r = reading_begin(big, &reading);
	if (r == 0)
		r = packer_new(put, arg, &packer);
	if (r < 0)
		return r;
	/* Of what goes away, nothing is read. */
	if (!big->new)
		reading.old_size = 0;
	size = is_delta ? big->delta_size : (size_t)reading.new_size;
	snprintf(line, sizeof(line), "%s %zu\n", is_delta ? "delta" : "literal", size);
	r = put(arg, line, strlen(line));
	if (r == 0)
		r = (is_delta ? write_delta : write_literal)(&reading, &packer->sink);
	if (r == 0 && packer->size != size)
		r = -EIO;
	return r == 0 ? packer_end(packer) : r;
}
