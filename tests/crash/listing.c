#include "listing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *const xattr_names[XATTR_COUNT] = { "user.a", "user.color", "user.long.name" };

bool listing_no_directory_links;

void *must_realloc(void *old, size_t count, size_t size)
{
	void *p = reallocarray(old, count ? count : 1, size);

	if (!p) {
		fprintf(stderr, "out of memory\n");
		exit(2);
	}
	return p;
}

void *must_alloc(size_t size)
{
	void *p = must_realloc(NULL, size, 1);

	memset(p, 0, size);
	return p;
}

/* splitmix64, public domain, by Sebastiano Vigna */
uint64_t rng_next(struct rng *rng)
{
	uint64_t z = (rng->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint32_t rng_below(struct rng *rng, uint32_t limit)
{
	return (uint32_t)(rng_next(rng) % limit);
}

void rng_fill(uint64_t seed, void *data, size_t len)
{
	struct rng rng = { .state = seed };
	unsigned char *p = data;

	while (len > 0) {
		uint64_t word = rng_next(&rng);
		size_t n = len < sizeof(word) ? len : sizeof(word);

		memcpy(p, &word, n);
		p += n;
		len -= n;
	}
}

void join_path(char *ret, const char *dir, const char *name)
{
	ret = stpcpy(ret, dir);
	if (*dir)
		*ret++ = '/';
	strcpy(ret, name);
}

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * UINT64_C(0xff51afd7ed558ccd);
	return h ^ (h >> 32);
}

uint64_t hash_bytes(const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t h = mix(UINT64_C(0x2545f4914f6cdd1d), len);

	while (len > 0) {
		uint64_t word = 0;
		size_t n = len < sizeof(word) ? len : sizeof(word);

		memcpy(&word, p, n);
		h = mix(h, word);
		p += n;
		len -= n;
	}
	return h ? h : 1;
}

void listing_add(struct listing *listing, const struct seen *seen)
{
	struct line *line;

	if (listing->count == listing->capacity) {
		listing->capacity = listing->capacity ? 2 * listing->capacity : 64;
		listing->lines =
			must_realloc(listing->lines, listing->capacity, sizeof(*listing->lines));
	}
	line = &listing->lines[listing->count++];
	line->seen = *seen;
	line->path = strdup(seen->path);
	line->seen.path = line->path;
}

static int by_path(const void *a, const void *b)
{
	const struct line *la = a, *lb = b;

	return strcmp(la->path, lb->path);
}

/* Which line is the first name of this line's file: the same in every listing of the same tree,
 * which an inode number is not. */
static size_t first_name(const struct listing *listing, size_t i)
{
	const struct seen *seen = &listing->lines[i].seen;

	if (S_ISDIR(seen->mode) || seen->nlink < 2)
		return i;
	for (size_t j = 0; j < i; j++)
		if (listing->lines[j].seen.id == seen->id)
			return j;
	return i;
}

static uint64_t line_hash(const struct listing *listing, size_t i)
{
	const struct seen *seen = &listing->lines[i].seen;
	const char *first = listing->lines[first_name(listing, i)].path;
	uint64_t h = 1;

	/* Not from the hash of the path on: with that of the first name, mostly the same, it would
	 * cancel out, and no name would count. */
	h = mix(h, hash_bytes(seen->path, strlen(seen->path)));
	h = mix(h, hash_bytes(first, strlen(first)));
	h = mix(h, seen->mode);
	h = mix(h, S_ISDIR(seen->mode) && listing_no_directory_links ? 1 : seen->nlink);
	h = mix(h, (uint64_t)seen->size);
	h = mix(h, seen->hash);
	for (int x = 0; x < XATTR_COUNT; x++)
		h = mix(h, seen->xattr[x]);
	return h;
}

uint64_t listing_digest(struct listing *listing)
{
	uint64_t h = 1;

	qsort(listing->lines, listing->count, sizeof(*listing->lines), by_path);
	for (size_t i = 0; i < listing->count; i++)
		h = mix(h, line_hash(listing, i));
	return h;
}

static void print_line(FILE *out, char sign, const struct listing *listing, size_t i)
{
	const struct seen *seen = &listing->lines[i].seen;

	if (!out)
		return;
	fprintf(out,
		"%c %s mode %o nlink %u size %" PRId64 " hash %016" PRIx64 " xattr %" PRIx64
		" %" PRIx64 " %" PRIx64,
		sign, *seen->path ? seen->path : ".", seen->mode, seen->nlink, seen->size,
		seen->hash, seen->xattr[0], seen->xattr[1], seen->xattr[2]);
	if (first_name(listing, i) != i)
		fprintf(out, " link of %s", listing->lines[first_name(listing, i)].path);
	fputc('\n', out);
}

unsigned int listing_diff(FILE *out, const struct listing *a, const struct listing *b)
{
	unsigned int count = 0;
	size_t i = 0, j = 0;

	while (i < a->count || j < b->count) {
		int order = i >= a->count   ? 1
			    : j >= b->count ? -1
					    : strcmp(a->lines[i].path, b->lines[j].path);

		if (order == 0 && line_hash(a, i) == line_hash(b, j)) {
			i++;
			j++;
			continue;
		}
		if (order <= 0)
			print_line(out, '-', a, i++);
		if (order >= 0)
			print_line(out, '+', b, j++);
		count++;
	}
	return count;
}

void listing_clear(struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++)
		free(listing->lines[i].path);
	free(listing->lines);
	*listing = (struct listing){ 0 };
}
