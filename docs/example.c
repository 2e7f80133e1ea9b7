/* Keeps notes in a workspace: a file, a journal and a counter that any number of processes may
 * share. Build and run it with
 *
 *	cc example.c $(pkg-config --cflags --libs cairnfs) -o example
 *	./example notes.db "remember the milk"
 */
#include <cairnfs/cairnfs.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(void)
{
	fprintf(stderr, "%s\n", cairnfs_last_error());
	return 1;
}

static int print_entry(void *arg, const struct cairnfs_entry *entry)
{
	fprintf(arg, "  %s\n", entry->name);
	return 0;
}

static int add_note(struct cairnfs *ws, const char *text)
{
	char path[64], line[256];
	int64_t number;

	/* No two callers ever get the same number. */
	if (cairnfs_kv_increment(ws, "notes", 1, &number) < 0)
		return fail();
	if (cairnfs_mkdir(ws, "/notes", 0755, CAIRNFS_PARENTS) < 0)
		return fail();
	snprintf(path, sizeof(path), "/notes/%" PRId64, number);
	if (cairnfs_write_file(ws, path, text, strlen(text)) < 0)
		return fail();
	snprintf(line, sizeof(line), "note %" PRId64 ": %.200s\n", number, text);
	if (cairnfs_append(ws, "/journal", line, strlen(line)) < 0)
		return fail();
	return 0;
}

static int show(struct cairnfs *ws)
{
	void *journal;
	size_t size;

	printf("notes:\n");
	if (cairnfs_list(ws, "/notes", print_entry, stdout) < 0)
		return fail();
	if (cairnfs_read_file(ws, "/journal", &journal, &size) < 0)
		return fail();
	printf("journal:\n%s", (const char *)journal);
	free(journal);
	return 0;
}

int main(int argc, char **argv)
{
	struct cairnfs_options options = CAIRNFS_OPTIONS_INIT;
	struct cairnfs *ws;
	int status;

	if (argc != 3) {
		fprintf(stderr, "usage: %s WORKSPACE TEXT\n", argv[0]);
		return 2;
	}
	options.create = true;
	if (cairnfs_open(argv[1], &options, &ws) < 0)
		return fail();
	status = add_note(ws, argv[2]);
	if (status == 0)
		status = show(ws);
	if (cairnfs_close(ws) < 0)
		return fail();
	return status;
}
