/* What a tree holds, as sorted lines of text: made from a model, a mount or a core, and the same
 * for all three when they hold the same. Two listings are compared by their digest; the lines are
 * there to show how they differ. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define XATTR_COUNT 3

/* The names of the extended attributes that the tests use. */
extern const char *const xattr_names[XATTR_COUNT];

/* One name in a tree. */
struct seen {
	const char *path;
	uint64_t id; /* the same for all names of one file */
	mode_t mode;
	uint32_t nlink;
	int64_t size;                /* regular files */
	uint64_t hash;               /* of the content, or of a symbolic link's target */
	uint64_t xattr[XATTR_COUNT]; /* hashes of the values, 0 for none */
};

/* The link counts of directories do not count: over a base they say nothing. */
extern bool listing_no_directory_links;

struct line {
	char *path;
	struct seen seen;
};

struct listing {
	struct line *lines;
	size_t count, capacity;
};

void listing_add(struct listing *listing, const struct seen *seen);
/* To be called once, after the last listing_add(). */
uint64_t listing_digest(struct listing *listing);
/* Prints what differs, and returns how many paths do; `out` may be NULL. Both must have been
 * digested. */
unsigned int listing_diff(FILE *out, const struct listing *a, const struct listing *b);
void listing_clear(struct listing *listing);

/* `dir`/`name`, or `name` where `dir` is "". */
void join_path(char *ret, const char *dir, const char *name);

/* A hash of bytes, never 0. */
uint64_t hash_bytes(const void *data, size_t len);

/* Random numbers that a seed repeats. */
struct rng {
	uint64_t state;
};

uint64_t rng_next(struct rng *rng);
/* 0 ... limit - 1 */
uint32_t rng_below(struct rng *rng, uint32_t limit);
/* Bytes that a seed repeats. */
void rng_fill(uint64_t seed, void *data, size_t len);

/* malloc() and realloc() for tests: a program without memory ends. */
void *must_alloc(size_t size);
void *must_realloc(void *old, size_t count, size_t size);
