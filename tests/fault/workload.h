/* A fixed sequence of operations on a core, and a model of what the tree must look like.
 *
 * The model takes over an operation only when the core said that it succeeded, and keeps a
 * picture of the tree after each: text, one line for each path. What a core or a file shows is
 * put into the same words, so that two states can be compared. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Runs everything on cf.core. A result other than 0 and `error` is told and counted. */
struct workload_run {
	int error;             /* the only one allowed; 0: none is */
	unsigned int applied;  /* operations that succeeded */
	unsigned int failed;   /* operations that got `error` */
	unsigned int wrong;    /* results that may not be */
	unsigned int kept;     /* the picture that the last successful fsync made durable */
	unsigned int pictures; /* taken so far: the first before any operation */
	unsigned int begun;    /* steps done by workload_begin() */
	char *picture[128];
};

/* The first steps on cf.core, which is empty, without a fault; workload_run() goes on from there,
 * on what shows the same tree. Else it begins with an empty one. */
void workload_begin(struct workload_run *run, unsigned int steps);
void workload_run(struct workload_run *run);
void workload_free(struct workload_run *run);
/* The picture of the whole tree of cf.core; free() it. NULL: it could not be read. */
char *workload_look(void);
/* Which picture from `least` on this is; -1: none. */
int workload_find(const struct workload_run *run, const char *picture, unsigned int least);
