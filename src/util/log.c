#include "util/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <syslog.h>
#include <time.h>

static const char *const level_name[] = {
	[CAIRN_LOG_ERR] = "error",
	[CAIRN_LOG_WARNING] = "warning",
	[CAIRN_LOG_INFO] = "info",
	[CAIRN_LOG_DEBUG] = "debug",
};

static const int syslog_priority[] = {
	[CAIRN_LOG_ERR] = LOG_ERR,
	[CAIRN_LOG_WARNING] = LOG_WARNING,
	[CAIRN_LOG_INFO] = LOG_INFO,
	[CAIRN_LOG_DEBUG] = LOG_DEBUG,
};

int cairn_log_to_file(struct cairn_log *log, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

	if (fd < 0)
		return -errno;
	cairn_log_close(log);
	log->target = CAIRN_LOG_FILE;
	log->fd = fd;
	return 0;
}

void cairn_log_to_syslog(struct cairn_log *log)
{
	cairn_log_close(log);
	openlog("cairnfs", LOG_PID, LOG_DAEMON);
	log->target = CAIRN_LOG_SYSLOG;
}

void cairn_log_close(struct cairn_log *log)
{
	if (log->target == CAIRN_LOG_FILE)
		close(log->fd);
	else if (log->target == CAIRN_LOG_SYSLOG)
		closelog();
	log->target = CAIRN_LOG_STDERR;
	log->fd = STDERR_FILENO;
}

/* A file gets the time in front of each line; a person at a terminal does not need it. */
static size_t line_prefix(const struct cairn_log *log, enum cairn_log_level level, char *buf,
			  size_t size)
{
	struct tm tm;
	time_t now = time(NULL);
	size_t n = 0;

	if (log->target == CAIRN_LOG_FILE && localtime_r(&now, &tm))
		n = strftime(buf, size, "%Y-%m-%d %H:%M:%S ", &tm);
	n += (size_t)snprintf(buf + n, size - n, "cairnfs: %s%s",
			      level == CAIRN_LOG_INFO ? "" : level_name[level],
			      level == CAIRN_LOG_INFO ? "" : ": ");
	return n;
}

void cairn_log(const struct cairn_log *log, enum cairn_log_level level, const char *fmt, ...)
{
	char line[1024];
	int keep = errno;
	size_t n = 0;
	va_list ap;
	int m;

	if (!log || level > log->level)
		return;

	if (log->target != CAIRN_LOG_SYSLOG)
		n = line_prefix(log, level, line, sizeof(line));
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	if (m > 0)
		n = MIN(n + (size_t)m, sizeof(line) - 2);

	if (log->target == CAIRN_LOG_SYSLOG) {
		syslog(syslog_priority[level], "%s", line);
	} else {
		line[n++] = '\n';
		/* A log that cannot be written must not fail the operation it tells of. */
		if (write(log->fd, line, n) < 0)
			errno = keep;
	}
	errno = keep;
}
