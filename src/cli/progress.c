#include "cli/progress.h"

#include <stdarg.h>
#include <stdio.h>

#include "mount/number.h"
#include "util/clock.h"

/* Progress is shown from here on, and so often. */
#define AFTER_NS UINT64_C(1000000000)
#define EVERY_NS UINT64_C(200000000)

/* How often it is looked whether a signal has come. */
#define LOOK_NS UINT64_C(5000000)

/* One that is ignored (nohup(1)) ends nothing, but would be pending all the same if it were
 * blocked.
 */
static void ending_signals(sigset_t *ret)
{
	static const int ending[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action;

	sigemptyset(ret);
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
		if (sigaction(ending[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(ret, ending[i]);
}

void cairn_progress_begin_unheld(struct cairn_progress *ret, const char *what)
{
	*ret = (struct cairn_progress){
		.what = what,
		.began_ns = cairn_mono_ns(),
		.on_terminal = isatty(STDERR_FILENO),
	};
}

void cairn_progress_begin(struct cairn_progress *ret, const char *what)
{
	sigset_t ending;

	cairn_progress_begin_unheld(ret, what);
	ending_signals(&ending);
	ret->holding = sigprocmask(SIG_BLOCK, &ending, &ret->before) == 0;
}

void cairn_progress_clear(struct cairn_progress *progress)
{
	if (progress->line_open)
		fputs("\r\033[K", stderr);
	progress->line_open = false;
}

void cairn_progress_end(struct cairn_progress *progress)
{
	cairn_progress_clear(progress);
	if (progress->holding)
		sigprocmask(SIG_SETMASK, &progress->before, NULL);
	progress->holding = false;
}

/* The look takes system calls, which others may ask for with every entry of a tree. */
int cairn_progress_interrupted(struct cairn_progress *progress)
{
	uint64_t now = cairn_mono_ns();
	sigset_t pending, ours;

	if (!progress->holding || now - progress->looked_ns < LOOK_NS || sigpending(&pending) < 0)
		return 0;
	ending_signals(&ours);
	if (sigandset(&pending, &pending, &ours) == 0 && !sigisemptyset(&pending))
		return -EINTR;
	progress->looked_ns = now;
	return 0;
}

bool cairn_progress_is_due(const struct cairn_progress *progress)
{
	uint64_t now = progress->on_terminal ? cairn_mono_ns() : 0;

	return progress->on_terminal && now - progress->began_ns >= AFTER_NS &&
	       now - progress->shown_ns >= EVERY_NS;
}

int cairn_progress_show(struct cairn_progress *progress, const char *fmt, ...)
{
	va_list ap;

	if (cairn_progress_is_due(progress)) {
		progress->shown_ns = cairn_mono_ns();
		progress->line_open = true;
		fputc('\r', stderr);
		va_start(ap, fmt);
		vfprintf(stderr, fmt, ap);
		va_end(ap);
		fputs("\033[K", stderr);
	}
	return cairn_progress_interrupted(progress);
}

int cairn_progress_bytes(void *arg, uint64_t done, uint64_t total)
{
	char done_text[CAIRN_SIZE_TEXT_MAX], total_text[CAIRN_SIZE_TEXT_MAX];
	char speed_text[CAIRN_SIZE_TEXT_MAX];
	struct cairn_progress *progress = arg;
	uint64_t ms = (cairn_mono_ns() - progress->began_ns) / 1000000U;

	cairn_size_format(done, done_text);
	cairn_size_format(total, total_text);
	cairn_size_format(done / MAX(ms, UINT64_C(1)) * 1000U, speed_text);
	return cairn_progress_show(progress, "%s %s of %s, %s/s", progress->what, done_text,
				   total_text, speed_text);
}
