/* A line of progress on a terminal, for what takes longer than a second; and ending such work when
 * a signal asks for it, so that it can clean up after itself.
 *
 *	_cleanup_(cairn_progress_end) struct cairn_progress progress = { 0 };
 *
 *	cairn_progress_begin(&progress, "copying");
 *	r = cairn_clone(from, to, &(struct cairn_clone_options){
 *		.progress = cairn_progress_bytes, .arg = &progress }, &result, &err);
 *
 * Between begin and end SIGINT, SIGTERM and SIGHUP wait: the functions below tell of one with
 * -EINTR, and the end hands it on, so that the process dies of it then. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/macro.h"

struct cairn_progress {
	const char *what;
	uint64_t began_ns, shown_ns, looked_ns;
	bool on_terminal;
	bool line_open; /* a line of progress stands on the terminal */
	bool holding;   /* signals wait */
	sigset_t before;
};

void cairn_progress_begin(struct cairn_progress *ret, const char *what);
/* The same for work that signals may end at any moment. */
void cairn_progress_begin_unheld(struct cairn_progress *ret, const char *what);
/* Clears the line and lets signals through. Harmless without a begin. */
void cairn_progress_end(struct cairn_progress *progress);

/* Shows the text, if it is time for it. 0, or -EINTR. */
int cairn_progress_show(struct cairn_progress *progress, const char *fmt, ...) _printf_(2, 3);
/* Whether it is time for it; and whether a signal asks for the end: 0, or -EINTR. For those whose
 * text is costly to make. */
bool cairn_progress_is_due(const struct cairn_progress *progress);
int cairn_progress_interrupted(struct cairn_progress *progress);
/* For others to write: clears the line. */
void cairn_progress_clear(struct cairn_progress *progress);

/* Shows "<what> 1.2 GiB of 3 GiB, 410 MiB/s"; `arg` is the progress. 0, or -EINTR. */
int cairn_progress_bytes(void *arg, uint64_t done, uint64_t total);
