#include "cli/bulk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "cli/cli.h"
#include "mount/number.h"
#include "util/clock.h"

/* Of a path, the end is shown, on a terminal of 80 columns. */
#define PATH_SHOWN 30U

static int show(void *arg, const struct cairn_bulk *bulk, const char *path)
{
	struct cairn_cli_bulk *run = arg;
	uint64_t ms = (cairn_mono_ns() - run->progress.began_ns) / 1000000U;
	char bytes[CAIRN_SIZE_TEXT_MAX], speed[CAIRN_SIZE_TEXT_MAX];
	size_t len = strlen(path);

	/* The text is made for nobody most of the time. */
	if (!cairn_progress_is_due(&run->progress))
		return cairn_progress_interrupted(&run->progress);
	cairn_size_format(bulk->bytes, bytes);
	cairn_size_format(bulk->bytes / MAX(ms, UINT64_C(1)) * 1000U, speed);
	return cairn_progress_show(&run->progress, "%s %" PRIu64 " entries, %s, %s/s %s%s",
				   run->progress.what, bulk->entries, bytes, speed,
				   len > PATH_SHOWN ? "..." : "",
				   path + (len > PATH_SHOWN ? len - PATH_SHOWN : 0));
}

static void leave_out(void *arg, const char *text)
{
	struct cairn_cli_bulk *run = arg;

	cairn_progress_clear(&run->progress);
	cairn_cli_fail("%s", text);
}

/* Trees may be deeper than the files that a process may have open by default. */
static void raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

bool cairn_cli_bulk_option(struct cairn_cli_bulk *run, int key)
{
	switch (key) {
	case CAIRN_BULK_OVERWRITE:
		run->bulk.overwrite = true;
		return true;
	case CAIRN_BULK_SAME_OWNER:
	case CAIRN_BULK_NO_SAME_OWNER:
		run->bulk.keep_owner = key == CAIRN_BULK_SAME_OWNER;
		run->owner_set = true;
		return true;
	default:
		return false;
	}
}

void cairn_cli_bulk_begin(struct cairn_cli_bulk *run, const char *what)
{
	run->bulk.progress = show;
	run->bulk.left_out = leave_out;
	run->bulk.arg = run;
	if (!run->owner_set)
		run->bulk.keep_owner = geteuid() == 0;
	raise_files();
	cairn_progress_begin(&run->progress, what);
}

void cairn_cli_bulk_end(struct cairn_cli_bulk *run)
{
	cairn_progress_end(&run->progress);
}

static int exit_status(const struct cairn_cli_bulk *run)
{
	return run->bulk.left > 0 ? CAIRN_EXIT_FAILURE : 0;
}

int cairn_cli_bulk_print(const struct cairn_cli_bulk *run, const char *done, const char *where,
			 const char *name)
{
	char bytes[CAIRN_SIZE_TEXT_MAX];

	cairn_size_format(run->bulk.bytes, bytes);
	printf("%s %" PRIu64 " entries, %s, %s %s", done, run->bulk.entries, bytes, where, name);
	if (run->bulk.left > 0)
		printf("; %" PRIu64 " left out", run->bulk.left);
	putchar('\n');
	return exit_status(run);
}

int cairn_cli_bulk_json(const struct cairn_cli_bulk *run, json_t *root)
{
	json_object_set_new(root, "entries", json_integer((json_int_t)run->bulk.entries));
	json_object_set_new(root, "bytes", json_integer((json_int_t)run->bulk.bytes));
	json_object_set_new(root, "left_out", json_integer((json_int_t)run->bulk.left));
	return cairn_cli_print_json(root) == 0 ? exit_status(run) : CAIRN_EXIT_FAILURE;
}
