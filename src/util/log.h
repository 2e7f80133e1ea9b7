/* The process's log: one line an event, to stderr, a file or syslog.
 *
 * A `struct cairn_log` is shared by all threads of a mount; writing a line takes no lock of ours
 * (one write(2) or syslog(3) call a line). */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

#include "util/macro.h"

enum cairn_log_level {
	CAIRN_LOG_ERR,
	CAIRN_LOG_WARNING,
	CAIRN_LOG_INFO,
	CAIRN_LOG_DEBUG,
};

enum cairn_log_target {
	CAIRN_LOG_STDERR,
	CAIRN_LOG_SYSLOG,
	CAIRN_LOG_FILE,
};

struct cairn_log {
	enum cairn_log_target target;
	enum cairn_log_level level; /* lines above it are dropped */
	int fd;                     /* CAIRN_LOG_FILE and CAIRN_LOG_STDERR: where lines go */
};

#define CAIRN_LOG_INIT                                                                             \
	{                                                                                          \
		.target = CAIRN_LOG_STDERR, .level = CAIRN_LOG_INFO, .fd = 2                       \
	}

/* Opens `path` for appending (created 0640) and sends the log there. -errno from open(2). */
int cairn_log_to_file(struct cairn_log *log, const char *path);

/* Sends the log to syslog, facility daemon, identity "cairnfs". */
void cairn_log_to_syslog(struct cairn_log *log);

/* Closes what cairn_log_to_file() opened; the log goes to stderr after that. */
void cairn_log_close(struct cairn_log *log);

/* Writes one line; `log` may be NULL (dropped). Keeps errno. */
void cairn_log(const struct cairn_log *log, enum cairn_log_level level, const char *fmt, ...)
	_printf_(3, 4);

#define cairn_err(log, ...)   cairn_log(log, CAIRN_LOG_ERR, __VA_ARGS__)
#define cairn_warn(log, ...)  cairn_log(log, CAIRN_LOG_WARNING, __VA_ARGS__)
#define cairn_info(log, ...)  cairn_log(log, CAIRN_LOG_INFO, __VA_ARGS__)
#define cairn_debug(log, ...) cairn_log(log, CAIRN_LOG_DEBUG, __VA_ARGS__)
