/* Content through read() and write(): offsets, sizes, open and unlinked files, limits. Holes and
 * mappings have files of their own. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "fsutil.h"

static void setup_for_own_mount(void)
{
	fx_need_cairnfs();
	fx_prepare();
}

TestSuite(data, .init = fx_setup, .fini = fx_teardown, .timeout = 120);
TestSuite(limits, .init = setup_for_own_mount, .fini = fx_teardown, .timeout = 60);

enum { MIB = 1 << 20 };

/* What a chunk or a page could be, so that the edges of every plausible one are crossed. */
static const size_t edges[] = { 4096, 65536, 131072, 262144, MIB };
enum { N_EDGES = sizeof(edges) / sizeof(*edges) };

Test(data, sizes_around_every_edge_read_back)
{
	for (size_t i = 0; i < N_EDGES; i++) {
		for (size_t size = edges[i] - 1; size <= edges[i] + 1; size++) {
			unsigned char *data = new_pattern(size, (unsigned)size);
			char name[32];

			snprintf(name, sizeof(name), "f%zu", size);
			must(put_bytes(name, data, size));
			cr_assert(holds_bytes(name, data, size), "%zu bytes", size);
			free(data);
		}
	}
	fx_remount();
	for (size_t i = 0; i < N_EDGES; i++) {
		for (size_t size = edges[i] - 1; size <= edges[i] + 1; size++) {
			unsigned char *data = new_pattern(size, (unsigned)size);
			char name[32];

			snprintf(name, sizeof(name), "f%zu", size);
			cr_assert(holds_bytes(name, data, size), "%zu bytes remounted", size);
			free(data);
		}
	}
}

Test(data, small_writes_across_every_edge_change_those_bytes_only)
{
	const size_t size = 2 * MIB;
	unsigned char *model = new_pattern(size, 1);
	int fd = must(open("f", O_CREAT | O_RDWR, 0644));

	must(write_at(fd, 0, model, size));
	for (size_t i = 0; i < N_EDGES; i++) {
		for (size_t len = 1; len <= 5; len++) {
			off_t at = (off_t)(edges[i] - len + len / 2);
			unsigned char patch[5];

			fill_pattern(patch, len, (unsigned)(i * 10 + len));
			must(write_at(fd, at, patch, len));
			memcpy(model + at, patch, len);
		}
	}
	cr_assert(range_holds(fd, 0, model, size));
	must(close(fd));
	fx_remount();
	cr_assert(holds_bytes("f", model, size));
	free(model);
}

static size_t random_below(unsigned *state, size_t limit)
{
	*state = *state * 1664525u + 1013904223u;
	return (size_t)(*state >> 4) % limit;
}

Test(data, random_writes_truncates_and_reads_agree_with_a_model)
{
	const size_t max = 3 * MIB;
	unsigned char *model = calloc(1, max), *patch = malloc(max);
	unsigned state = 42;
	size_t size = 0;
	int fd = must(open("f", O_CREAT | O_RDWR, 0644));

	cr_assert(model && patch);
	for (int round = 0; round < 400; round++) {
		size_t at = random_below(&state, max), len = random_below(&state, 300000);

		len = at + len > max ? max - at : len;
		switch (random_below(&state, 4)) {
		case 0:
			must(ftruncate(fd, (off_t)at));
			if (at < size)
				memset(model + at, 0, size - at);
			size = at;
			break;
		case 1:
			if (at + len > size)
				len = at < size ? size - at : 0;
			cr_assert(range_holds(fd, (off_t)at, model + at, len), "round %d", round);
			break;
		default:
			fill_pattern(patch, len, (unsigned)round);
			must(write_at(fd, (off_t)at, patch, len));
			memcpy(model + at, patch, len);
			if (len && at + len > size)
				size = at + len;
		}
		cr_assert_eq(fstat_of(fd).st_size, (off_t)size, "round %d", round);
		if (round % 100 == 99)
			must(fsync(fd));
	}
	must(close(fd));
	cr_assert(holds_bytes("f", model, size));
	fx_remount();
	cr_assert(holds_bytes("f", model, size));
	free(model);
	free(patch);
}

Test(data, reads_stop_at_the_end)
{
	char buf[16];
	int fd;

	must(put_text("f", "content"));
	fd = must(open("f", O_RDONLY));
	cr_assert_eq(pread(fd, buf, sizeof(buf), 0), 7);
	cr_assert_eq(pread(fd, buf, sizeof(buf), 5), 2);
	cr_assert_eq(pread(fd, buf, sizeof(buf), 7), 0);
	cr_assert_eq(pread(fd, buf, sizeof(buf), 1 << 30), 0);
	cr_assert_eq(pread(fd, buf, 0, 0), 0);
	fails_with(EBADF, write(fd, buf, 1));
	must(close(fd));
	fd = must(open("f", O_WRONLY));
	fails_with(EBADF, read(fd, buf, 1));
	must(close(fd));
	must(mkdir("d", 0755));
	fd = must(open("d", O_RDONLY));
	fails_with(EISDIR, read(fd, buf, 1));
	must(close(fd));
}

Test(data, vectored_io_keeps_the_order)
{
	char a[3], b[4];
	struct iovec out[] = { { "abc", 3 }, { "", 0 }, { "defg", 4 } };
	struct iovec in[] = { { a, 3 }, { b, 4 } };
	int fd = must(open("f", O_CREAT | O_RDWR, 0644));

	cr_assert_eq(pwritev(fd, out, 3, 65533), 7);
	cr_assert_eq(preadv(fd, in, 2, 65533), 7);
	cr_assert_eq(memcmp(a, "abc", 3), 0);
	cr_assert_eq(memcmp(b, "defg", 4), 0);
	must(close(fd));
}

Test(data, writing_beyond_the_end_makes_zeros)
{
	int fd = must(open("f", O_CREAT | O_RDWR, 0644));

	must(write_at(fd, 0, "start", 5));
	must(write_at(fd, 500001, "end", 3));
	cr_assert_eq(fstat_of(fd).st_size, 500004);
	cr_assert(range_holds(fd, 0, "start", 5));
	cr_assert(range_is_zero(fd, 5, 500001 - 5));
	cr_assert(range_holds(fd, 500001, "end", 3));
	must(close(fd));
	fx_remount();
	fd = must(open("f", O_RDONLY));
	cr_assert(range_is_zero(fd, 5, 500001 - 5));
	cr_assert(range_holds(fd, 500001, "end", 3));
	must(close(fd));
}

Test(data, what_a_shrink_cut_off_never_comes_back)
{
	static const off_t cuts[] = {
		0, 1, 4095, 4096, 65535, 65536, 65537, 262143, 262145, 299999
	};
	unsigned char *data = new_pattern(300000, 3);

	for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
		int fd = must(open("f", O_CREAT | O_TRUNC | O_RDWR, 0644));

		must(write_at(fd, 0, data, 300000));
		if (i % 2)
			must(fsync(fd));
		must(ftruncate(fd, cuts[i]));
		must(ftruncate(fd, 400000));
		cr_assert(range_holds(fd, 0, data, (size_t)cuts[i]), "cut at %ld", (long)cuts[i]);
		cr_assert(range_is_zero(fd, cuts[i], (size_t)(400000 - cuts[i])), "cut at %ld",
			  (long)cuts[i]);
		must(close(fd));
		fx_remount();
		fd = must(open("f", O_RDONLY));
		cr_assert(range_is_zero(fd, cuts[i], (size_t)(400000 - cuts[i])),
			  "cut at %ld, remounted", (long)cuts[i]);
		must(close(fd));
	}
	free(data);
}

Test(data, a_write_beyond_a_shrunk_end_finds_zeros_between)
{
	unsigned char *data = new_pattern(200000, 4);
	int fd = must(open("f", O_CREAT | O_RDWR, 0644));

	must(write_at(fd, 0, data, 200000));
	must(ftruncate(fd, 1000));
	must(write_at(fd, 150000, "x", 1));
	cr_assert(range_holds(fd, 0, data, 1000));
	cr_assert(range_is_zero(fd, 1000, 149000));
	must(close(fd));
	free(data);
}

Test(data, o_trunc_empties_the_file)
{
	ino_t ino;

	must(put_text("f", "content"));
	ino = ino_of("f");
	must(open_and_close("f", O_WRONLY | O_TRUNC, 0));
	cr_assert_eq(size_of("f"), 0);
	cr_assert_eq(ino_of("f"), ino);
	must(put_text("f", "again"));
	must(open_and_close("f", O_RDWR | O_CREAT | O_TRUNC, 0644));
	cr_assert_eq(size_of("f"), 0);
	fx_remount();
	cr_assert_eq(size_of("f"), 0);
}

Test(data, o_append_writes_at_the_end_wherever_the_offset_is)
{
	int fd;

	must(put_text("f", "one"));
	fd = must(open("f", O_WRONLY | O_APPEND));
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	cr_assert_eq(write(fd, "two", 3), 3);
	cr_assert_eq(lseek(fd, 0, SEEK_CUR), 6);
	must(truncate("f", 1));
	cr_assert_eq(write(fd, "three", 5), 5);
	must(close(fd));
	cr_assert(holds_text("f", "othree"));
}

enum { APPENDERS = 4, RECORDS = 300, RECORD_LEN = 100 };

static void fill_record(char *ret_record, int appender, int number)
{
	memset(ret_record, 'a' + appender, RECORD_LEN);
	snprintf(ret_record, RECORD_LEN, "%d:%d", appender, number);
	ret_record[RECORD_LEN - 1] = '\n';
}

static int append_records(int appender)
{
	char record[RECORD_LEN];
	int fd = open("log", O_WRONLY | O_APPEND);

	for (int n = 0; n < RECORDS; n++) {
		fill_record(record, appender, n);
		if (write(fd, record, RECORD_LEN) != RECORD_LEN)
			return 1;
	}
	return close(fd) < 0;
}

Test(data, concurrent_appenders_lose_no_record)
{
	char record[RECORD_LEN], wanted[RECORD_LEN];
	int next[APPENDERS] = { 0 }, fd;
	pid_t children[APPENDERS];

	must(put_text("log", ""));
	for (int i = 0; i < APPENDERS; i++) {
		children[i] = fx_fork();
		if (children[i] == 0)
			_exit(append_records(i));
	}
	for (int i = 0; i < APPENDERS; i++)
		cr_assert_eq(fx_wait(children[i]), 0);

	cr_assert_eq(size_of("log"), APPENDERS * RECORDS * RECORD_LEN);
	fx_remount();
	fd = must(open("log", O_RDONLY));
	for (off_t at = 0; at < APPENDERS * RECORDS * RECORD_LEN; at += RECORD_LEN) {
		int appender;

		cr_assert_eq(read_at(fd, at, record, RECORD_LEN), RECORD_LEN);
		appender = record[0] - '0';
		cr_assert(appender >= 0 && appender < APPENDERS);
		fill_record(wanted, appender, next[appender]++);
		cr_assert_eq(memcmp(record, wanted, RECORD_LEN), 0, "record at %ld", (long)at);
	}
	must(close(fd));
}

Test(data, a_writer_is_seen_by_every_other_descriptor_at_once)
{
	int a = must(open("f", O_CREAT | O_RDWR, 0644)), b = must(open("f", O_RDONLY));
	char buf[8] = { 0 };
	pid_t child;

	for (char c = 'a'; c < 'a' + 20; c++) {
		must(write_at(a, 70000 * (c - 'a'), &c, 1));
		cr_assert_eq(fstat_of(b).st_size, 70000 * (c - 'a') + 1);
		cr_assert_eq(read_at(b, 70000 * (c - 'a'), buf, sizeof(buf)), 1);
		cr_assert_eq(buf[0], c);
	}
	child = fx_fork();
	if (child == 0)
		_exit(put_text("f", "child") < 0 ? errno : 0);
	cr_assert_eq(fx_wait(child), 0);
	cr_assert_eq(read_at(b, 0, buf, sizeof(buf)), 5);
	cr_assert_eq(memcmp(buf, "child", 5), 0);
	must(close(a));
	must(close(b));
}

Test(data, an_unlinked_open_file_is_readable_and_writable)
{
	unsigned char *data = new_pattern(300000, 5);
	int fd = must(open("f", O_CREAT | O_RDWR, 0644));

	must(write_at(fd, 0, data, 300000));
	must(fsync(fd));
	must(unlink("f"));
	must(put_text("f", "another"));
	cr_assert(range_holds(fd, 0, data, 300000));
	must(write_at(fd, 300000, data, 300000));
	must(fsync(fd));
	cr_assert(range_holds(fd, 0, data, 300000));
	cr_assert(range_holds(fd, 300000, data, 300000));
	must(ftruncate(fd, 10));
	cr_assert_eq(fstat_of(fd).st_size, 10);
	must(close(fd));
	cr_assert(holds_text("f", "another"));
	free(data);
}

Test(data, an_unlinked_file_can_be_written_before_it_ever_was_committed)
{
	int fd = must(open("f", O_CREAT | O_RDWR | O_EXCL, 0600));

	must(unlink("f"));
	must(write_at(fd, 100000, "x", 1));
	must(fsync(fd));
	cr_assert(range_is_zero(fd, 0, 100000));
	cr_assert(range_holds(fd, 100000, "x", 1));
	must(close(fd));
	cr_assert_eq(count_entries("."), 0);
}

static void *aligned_pattern(size_t len, unsigned seed)
{
	void *p = aligned_alloc(4096, len);

	cr_assert(p);
	fill_pattern(p, len, seed);
	return p;
}

Test(data, direct_and_buffered_io_see_each_other)
{
	enum { LEN = 1 << 19 };
	unsigned char *data = aligned_pattern(LEN, 6), *more = aligned_pattern(LEN, 7);
	int direct = must(open("f", O_CREAT | O_RDWR | O_DIRECT, 0644));
	int buffered = must(open("f", O_RDWR));
	void *buf = aligned_pattern(LEN, 8);

	must(write_at(direct, 0, data, LEN));
	cr_assert(range_holds(buffered, 0, data, LEN));
	must(write_at(buffered, 4096, more, 65536));
	cr_assert_eq(read_at(direct, 0, buf, LEN), LEN);
	memcpy(data + 4096, more, 65536);
	cr_assert_eq(memcmp(buf, data, LEN), 0);
	must(write_at(direct, 8192, data, 4096));
	memmove(data + 8192, data, 4096);
	cr_assert(range_holds(buffered, 0, data, LEN));
	cr_assert_eq(pread(direct, buf, 4096, LEN), 0);
	must(close(direct));
	must(close(buffered));
	fx_remount();
	cr_assert(holds_bytes("f", data, LEN));
	free(data);
	free(more);
	free(buf);
}

Test(data, fsync_of_every_kind_succeeds)
{
	int dir, fd;

	must(mkdir("d", 0755));
	dir = must(open("d", O_RDONLY | O_DIRECTORY));
	fd = must(openat(dir, "f", O_CREAT | O_WRONLY, 0644));
	must(fdatasync(fd));
	must(write_at(fd, 0, "x", 1));
	must(fdatasync(fd));
	must(fsync(fd));
	must(fsync(dir));
	must(fdatasync(dir));
	must(syncfs(dir));
	must(unlinkat(dir, "f", 0));
	must(fsync(fd));
	must(close(fd));
	must(rmdir("d"));
	must(fsync(dir));
	must(close(dir));
}

/* Nothing commits meanwhile but what the writes themselves ask for. */
Test(limits, a_synchronous_write_survives_a_killed_daemon)
{
	static const struct {
		const char *name;
		int open_flags, write_flags;
	} ways[] = {
		{ "sync", O_SYNC, 0 },
		{ "dsync", O_DSYNC, 0 },
		{ "direct-sync", O_SYNC | O_DIRECT, 0 },
		{ "direct-dsync", O_DSYNC | O_DIRECT, 0 },
		{ "one-sync", 0, RWF_SYNC },
		{ "one-dsync", 0, RWF_DSYNC },
	};
	unsigned char *data = aligned_alloc(4096, 8192);
	struct iovec part = { .iov_base = data, .iov_len = 8192 };
	int fd;

	cr_assert(data);
	fill_pattern(data, 8192, 3);
	fx_mount("commit_interval_ms=600000");
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		/* The first file that a mount makes comes with a commit. */
		must(put_text("numbers", "x"));
		must(sync_file("numbers"));
		fd = must(open(ways[i].name, O_CREAT | O_WRONLY | ways[i].open_flags, 0644));
		cr_assert_eq(pwritev2(fd, &part, 1, 0, ways[i].write_flags), 8192, "%s: %s",
			     ways[i].name, strerror(errno));
		must(close(fd));
		fx_kill9_remount();
		cr_expect(holds_bytes(ways[i].name, data, 8192), "%s", ways[i].name);
	}
	free(data);
}

Test(data, what_was_synced_survives_a_killed_daemon)
{
	unsigned char *data = new_pattern(1000000, 9);
	int fd, dir;

	must(mkdir("d", 0755));
	fd = must(open("d/f", O_CREAT | O_WRONLY, 0600));
	must(write_at(fd, 0, data, 1000000));
	must(fsync(fd));
	must(close(fd));
	must(mkdir("e", 0755));
	must(rename("d/f", "e/g"));
	dir = must(open("e", O_RDONLY | O_DIRECTORY));
	must(fsync(dir));
	must(close(dir));
	fx_kill9_remount();
	cr_assert(holds_bytes("e/g", data, 1000000));
	cr_assert(!exists("d/f"));
	cr_assert_eq(mode_of("e/g"), 0600);
	free(data);
}

Test(data, sixty_four_mib_survive_a_remount)
{
	enum { BLOCK = 4 * MIB, BLOCKS = 16 };
	unsigned char *data = malloc(BLOCK);
	int fd = must(open("f", O_CREAT | O_RDWR, 0644));

	cr_assert(data);
	for (unsigned i = 0; i < BLOCKS; i++) {
		fill_pattern(data, BLOCK, i);
		must(write_at(fd, (off_t)i * BLOCK, data, BLOCK));
	}
	must(close(fd));
	fx_remount();
	cr_assert_eq(size_of("f"), (off_t)BLOCK * BLOCKS);
	fd = must(open("f", O_RDONLY));
	for (unsigned i = 0; i < BLOCKS; i++) {
		fill_pattern(data, BLOCK, i);
		cr_assert(range_holds(fd, (off_t)i * BLOCK, data, BLOCK), "block %u", i);
	}
	must(close(fd));
	free(data);
}

Test(data, many_writers_of_many_files_do_not_mix)
{
	enum { WRITERS = 6, FILES = 40 };
	pid_t children[WRITERS];
	char name[32], content[64];

	for (int w = 0; w < WRITERS; w++) {
		children[w] = fx_fork();
		for (int f = 0; children[w] == 0 && f < FILES; f++) {
			snprintf(name, sizeof(name), "w%d-%d", w, f);
			snprintf(content, sizeof(content), "writer %d file %d", w, f);
			if (put_text(name, content) < 0 || !holds_text(name, content))
				_exit(1);
		}
		if (children[w] == 0)
			_exit(0);
	}
	for (int w = 0; w < WRITERS; w++)
		cr_assert_eq(fx_wait(children[w]), 0);
	fx_remount();
	cr_assert_eq(count_entries("."), WRITERS * FILES);
	for (int w = 0; w < WRITERS; w++) {
		for (int f = 0; f < FILES; f++) {
			snprintf(name, sizeof(name), "w%d-%d", w, f);
			snprintf(content, sizeof(content), "writer %d file %d", w, f);
			cr_assert(holds_text(name, content), "%s", name);
		}
	}
}

static void copy_range(int in, off_t from, int out, off_t to, size_t len)
{
	while (len > 0) {
		ssize_t n = must(copy_file_range(in, &from, out, &to, len, 0));

		cr_assert_gt(n, 0, "%zu bytes to go", len);
		len -= (size_t)n;
	}
}

Test(data, copy_file_range_copies_aligned_and_unaligned_ranges)
{
	enum { LEN = 600000 };
	static const struct {
		off_t from, to;
		size_t len;
	} ranges[] = {
		{ 0, 0, 131072 },        { 65536, 262144, 131072 }, { 1, 7, 100000 },
		{ 4095, 65537, 262145 }, { 599999, 0, 1 },          { 0, 700000, 4096 },
	};
	unsigned char *data = new_pattern(LEN, 10), *model = new_pattern(LEN, 11);
	int in, out;

	model = realloc(model, 710000);
	cr_assert(model);
	must(put_bytes("in", data, LEN));
	must(put_bytes("out", model, LEN));
	memset(model + LEN, 0, 710000 - LEN);
	in = must(open("in", O_RDONLY));
	out = must(open("out", O_RDWR));
	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
		copy_range(in, ranges[i].from, out, ranges[i].to, ranges[i].len);
		memcpy(model + ranges[i].to, data + ranges[i].from, ranges[i].len);
	}
	must(close(in));
	must(close(out));
	cr_assert(holds_bytes("out", model, 704096));
	cr_assert(holds_bytes("in", data, LEN));
	fx_remount();
	cr_assert(holds_bytes("out", model, 704096));
	free(data);
	free(model);
}

Test(data, copy_file_range_within_a_file)
{
	unsigned char *data = new_pattern(300000, 12);
	off_t from = 0, to = 1000;
	int fd;

	must(put_bytes("f", data, 300000));
	fd = must(open("f", O_RDWR));
	fails_with(EINVAL, copy_file_range(fd, &from, fd, &to, 2000, 0));
	copy_range(fd, 100000, fd, 0, 70000);
	memcpy(data, data + 100000, 70000);
	cr_assert(range_holds(fd, 0, data, 300000));
	must(close(fd));
	free(data);
}

Test(data, copy_file_range_stops_at_the_end)
{
	off_t from = 7, to = 0;
	int in, out;

	must(put_text("in", "content"));
	must(put_text("out", "kept"));
	in = must(open("in", O_RDONLY));
	out = must(open("out", O_RDWR));
	cr_assert_eq(copy_file_range(in, &from, out, &to, 100, 0), 0);
	from = 5;
	cr_assert_eq(copy_file_range(in, &from, out, &to, 100, 0), 2);
	cr_assert(range_holds(out, 0, "ntpt", 4));
	fails_with(EBADF, copy_file_range(in, NULL, in, NULL, 1, 0));
	must(close(in));
	must(close(out));
}

Test(limits, max_file_size_gives_efbig_beyond_it)
{
	unsigned char *data = new_pattern(MIB, 13);
	int fd;

	fx_mount("max_file_size=1048576");
	fd = must(open("f", O_CREAT | O_RDWR, 0644));
	must(write_at(fd, 0, data, MIB));
	must(fsync(fd));
	fails_with(EFBIG, pwrite(fd, "x", 1, MIB));
	fails_with(EFBIG, ftruncate(fd, MIB + 1));
	fails_with(EFBIG, fallocate(fd, 0, MIB, 1));
	cr_assert_eq(fstat_of(fd).st_size, MIB);
	cr_assert(range_holds(fd, 0, data, MIB));
	must(ftruncate(fd, MIB));
	must(close(fd));
	free(data);
}

/* Writes until the file system refuses, here or at the sync; the errno of it, 0 if it never does.
 */
static int fill_up(const char *name, size_t limit)
{
	unsigned char *data = new_pattern(65536, 14);
	int fd = must(open(name, O_CREAT | O_WRONLY, 0644)), error = 0;

	for (size_t at = 0; at < limit && !error; at += 65536) {
		if (write_at(fd, (off_t)at, data, 65536) < 0 || fdatasync(fd) < 0)
			error = errno;
	}
	close(fd);
	free(data);
	return error;
}

Test(limits, quota_gives_enospc_and_keeps_what_is_there)
{
	unsigned char *data = new_pattern(MIB, 15);
	int error;

	fx_mount("quota=8388608");
	must(put_bytes("kept", data, MIB));
	error = fill_up("big", 64 * (size_t)MIB);
	cr_assert_eq(error, ENOSPC, "%s", strerror(error));
	cr_assert(holds_bytes("kept", data, MIB));
	must(unlink("big"));
	must(put_bytes("again", data, MIB));
	fx_remount();
	cr_assert(holds_bytes("kept", data, MIB));
	cr_assert(holds_bytes("again", data, MIB));
	free(data);
}
