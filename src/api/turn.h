/* Whose turn it is: one process at a time changes the files of a workspace through the library.
 *
 * Each process has a core of its own, which checks a change against the state as it knows it and
 * commits it a moment later. Between the two, no other process may commit a change of its own, or
 * one of them would be lost. So a call that changes something has the turn from before it looks
 * until it is committed. All threads of a handle share the turn, and their changes one commit.
 *
 * The turn is a write lock on byte 0 of the file `<workspace>-api` (open file description locks,
 * fcntl(2): they end with the process, and two handles in one process are two owners). Who waits
 * for it holds byte 1 meanwhile, so that a process which has just given the turn up cannot take it
 * again before the one that waits. Byte 2 is held for reading as long as a handle is open; who
 * gets it for writing is the last, and removes the file. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct cairn_turn {
	int fd; /* -1: there are no turns */
	char *path;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* held or taking changed */
	bool held;              /* all below guarded by lock */
	bool taking;            /* a thread is waiting for the other processes */
	unsigned int users;     /* calls that share the turn */
	uint64_t since;         /* when it was taken, monotonic ns */
	unsigned int failures;  /* how often it was not to be had */
	int error;              /* why, the last time */
};

/* Without turns: entering one does nothing. */
void cairn_turn_init(struct cairn_turn *turn);
/* With turns from here on. `workspace` is a path without symbolic links. -errno of open(2), or
 * -ENOLCK where the file system has no such locks. */
int cairn_turn_open(struct cairn_turn *turn, const char *workspace);
void cairn_turn_close(struct cairn_turn *turn);

/* Waits for the turn. -EAGAIN when other processes kept it for CAIRN_TURN_BUDGET_MS. */
#define CAIRN_TURN_BUDGET_MS 60000U
int cairn_turn_enter(struct cairn_turn *turn);
void cairn_turn_leave(struct cairn_turn *turn);
