/* The parts of the fuzzers: inputs from a seed, and the targets that must live through any input.
 *
 * An input is the bytes of a workspace file. A target may find anything wrong with it; it must not
 * crash, hang or read what is not its own, and what `cairnfs check` calls clean must open and read
 * without an I/O error. A violation aborts the process. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_CHECK(condition, ...)                                                                 \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);            \
			fprintf(stderr, __VA_ARGS__);                                              \
			fputc('\n', stderr);                                                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* Random numbers that a seed repeats. */
struct fuzz_rng {
	uint64_t state;
};

uint64_t fuzz_next(struct fuzz_rng *rng);
/* 0 ... limit - 1 */
uint32_t fuzz_below(struct fuzz_rng *rng, uint32_t limit);

/* Makes the workspace `path` with something of everything: files, directories, hard links,
 * symbolic links, attributes, holes, names that are not UTF-8, an orphan. */
void fuzz_make_workspace(const char *path);

/* A workspace over that one, with changes of every kind. */
void fuzz_make_overlay(const char *path, const char *base);

/* Writes nonsense into a few places through SQL, tables and schema included. */
void fuzz_mutate_sql(const char *path, struct fuzz_rng *rng);
/* Flips, overwrites, moves and cuts bytes of the file. */
void fuzz_mutate_bytes(const char *path, struct fuzz_rng *rng);
/* The same for a text: *len bytes of at most `max`. */
void fuzz_mutate_text(char *text, size_t *len, size_t max, struct fuzz_rng *rng);

/* Filling the holes of a file of gigabytes is no hang, but takes as long. */
bool fuzz_is_small(const char *path);

/* The targets. The file may be changed, and others appear beside it. */
void fuzz_target_check(const char *path);
void fuzz_target_core(const char *path);
/* Both, of an overlay: what it lacks of its base may be an I/O error. */
void fuzz_target_overlay(const char *path);
/* The commands on branches, of an overlay and the base that it names. */
void fuzz_target_branch(const char *path, const char *base);
/* Of mount options, and of a mount table in the file `path`. */
void fuzz_target_options(const char *text);
void fuzz_target_mountinfo(const char *path);
