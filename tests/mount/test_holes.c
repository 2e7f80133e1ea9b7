/* Sparse files: where data is said to be, what holes cost, and fallocate(). */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "fsutil.h"

TestSuite(holes, .init = fx_setup, .fini = fx_teardown, .timeout = 120);
TestSuite(fallocate, .init = fx_setup, .fini = fx_teardown, .timeout = 120);

static const off_t GIB = 1 << 30;

/* Walks the file by SEEK_DATA and SEEK_HOLE: the bytes in its data ranges, having checked that
 * everything between them reads as zeros. */
static off_t data_bytes(int fd)
{
	off_t size = fstat_of(fd).st_size, at = 0, data = 0;

	while (at < size) {
		off_t start = lseek(fd, at, SEEK_DATA), end;

		if (start < 0) {
			cr_assert_eq(errno, ENXIO, "%s", strerror(errno));
			start = size;
		}
		cr_assert_geq(start, at);
		if (start - at <= 64 << 20)
			cr_assert(range_is_zero(fd, at, (size_t)(start - at)),
				  "data in the hole at %ld", (long)at);
		if (start == size)
			break;
		end = must(lseek(fd, start, SEEK_HOLE));
		cr_assert(end > start && end <= size, "%ld to %ld", (long)start, (long)end);
		data += end - start;
		at = end;
	}
	return data;
}

Test(holes, seek_finds_all_data_in_a_sparse_file)
{
	static const off_t islands[] = { 0, 100000, 131071, 1000000, 1048576, 5000001 };
	const size_t n = sizeof(islands) / sizeof(*islands);
	int fd = must(open("f", O_CREAT | O_RDWR, 0644));

	for (size_t i = 0; i < n; i++)
		must(write_at(fd, islands[i], "island", 6));
	for (int pass = 0; pass < 3; pass++) {
		for (size_t i = 0; i < n; i++) {
			cr_assert_eq(lseek(fd, islands[i], SEEK_DATA), islands[i]);
			cr_assert_gt(lseek(fd, islands[i], SEEK_HOLE), islands[i]);
		}
		cr_assert_lt(data_bytes(fd), 4 << 20);
		if (pass == 0) {
			must(fsync(fd));
		} else if (pass == 1) {
			must(close(fd));
			fx_remount();
			fd = must(open("f", O_RDONLY));
		}
	}
	must(close(fd));
}

Test(holes, seek_beyond_the_end_fails)
{
	int fd;

	must(put_text("f", "content"));
	fd = must(open("f", O_RDONLY));
	cr_assert_eq(lseek(fd, 0, SEEK_DATA), 0);
	cr_assert_eq(lseek(fd, 6, SEEK_DATA), 6);
	cr_assert_eq(lseek(fd, 0, SEEK_HOLE), 7);
	fails_with(ENXIO, lseek(fd, 7, SEEK_DATA));
	fails_with(ENXIO, lseek(fd, 7, SEEK_HOLE));
	fails_with(ENXIO, lseek(fd, 1000000, SEEK_HOLE));
	cr_assert_eq(lseek(fd, -2, SEEK_END), 5);
	fails_with(EINVAL, lseek(fd, -1, SEEK_SET));
	must(close(fd));
}

Test(holes, a_file_of_one_hole_has_no_data)
{
	int fd = must(open("f", O_CREAT | O_RDWR, 0644));

	must(ftruncate(fd, 10 << 20));
	cr_assert_eq(lseek(fd, 0, SEEK_HOLE), 0);
	fails_with(ENXIO, lseek(fd, 0, SEEK_DATA));
	cr_assert(range_is_zero(fd, 0, 10 << 20));
	cr_assert_eq(fstat_of(fd).st_blocks, 0);
	must(close(fd));
}

Test(holes, a_hole_of_a_gibibyte_costs_next_to_nothing)
{
	int fd = must(open("f", O_CREAT | O_RDWR, 0644));

	must(write_at(fd, 0, "start", 5));
	must(write_at(fd, GIB, "end", 3));
	must(fsync(fd));
	cr_assert_lt(fstat_of(fd).st_blocks, (1 << 20) / 512);
	cr_assert_lt(data_bytes(fd), 1 << 20);
	must(close(fd));
	fx_umount();
	if (!fx.plain)
		cr_assert_lt(size_of(fx.db), 2 << 20);
	fx_mount(NULL);
	fd = must(open("f", O_RDONLY));
	cr_assert(range_holds(fd, GIB, "end", 3));
	cr_assert(range_is_zero(fd, GIB / 2, 1 << 20));
	must(close(fd));
}

Test(holes, a_byte_at_two_to_the_62_is_kept)
{
	const off_t far = (off_t)1 << 62;
	int fd;

	fx_need_cairnfs();
	fd = must(open("f", O_CREAT | O_RDWR, 0644));
	must(write_at(fd, far, "far", 3));
	must(close(fd));
	fx_remount();
	fd = must(open("f", O_RDWR));
	cr_assert_eq(fstat_of(fd).st_size, far + 3);
	cr_assert(range_holds(fd, far, "far", 3));
	cr_assert(range_is_zero(fd, far - 65536, 65536));
	cr_assert_gt(lseek(fd, 0, SEEK_DATA), far - (1 << 20));
	must(ftruncate(fd, 1));
	must(close(fd));
	cr_assert(holds_bytes("f", "", 1));
}

enum { LEN = 700000 };

/* A file of LEN patterned bytes; what fallocate() does to it is done to the copy in memory too. */
static unsigned char *make_patterned(int *ret_fd)
{
	unsigned char *model = new_pattern(LEN, 20);

	*ret_fd = must(open("f", O_CREAT | O_TRUNC | O_RDWR, 0644));
	must(write_at(*ret_fd, 0, model, LEN));
	return model;
}

static const struct {
	off_t at;
	off_t len;
} zero_ranges[] = {
	{ 10, 100 },     { 4096, 4096 }, { 4000, 200 },     { 65536, 65536 },   { 65535, 65538 },
	{ 0, 1 },        { LEN - 1, 1 }, { LEN - 10, 100 }, { LEN + 1000, 50 }, { 131072, 262144 },
	{ 100, 600000 }, { 262143, 2 },  { 0, LEN },        { 0, 2 * LEN },
};
enum { N_ZERO_RANGES = sizeof(zero_ranges) / sizeof(*zero_ranges) };

static void assert_zeroes_range(int mode, off_t at, off_t len, bool synced)
{
	off_t end = at + len, size;
	unsigned char *model;
	int fd;

	model = make_patterned(&fd);
	if (synced)
		must(fsync(fd));
	must(fallocate(fd, mode, at, len));
	size = (mode & FALLOC_FL_KEEP_SIZE) || end < LEN ? LEN : end;
	if (at < LEN)
		memset(model + at, 0, (size_t)((end < LEN ? end : LEN) - at));
	cr_assert_eq(fstat_of(fd).st_size, size, "%ld+%ld", (long)at, (long)len);
	cr_assert(range_holds(fd, 0, model, LEN), "%ld+%ld", (long)at, (long)len);
	cr_assert(range_is_zero(fd, LEN, (size_t)(size - LEN)), "%ld+%ld", (long)at, (long)len);
	(void)data_bytes(fd);
	must(close(fd));
	fx_remount();
	fd = must(open("f", O_RDONLY));
	cr_assert(range_holds(fd, 0, model, LEN), "%ld+%ld remounted", (long)at, (long)len);
	must(close(fd));
	free(model);
}

Test(fallocate, punch_hole_zeroes_the_range_and_keeps_the_size)
{
	for (size_t i = 0; i < N_ZERO_RANGES; i++)
		assert_zeroes_range(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, zero_ranges[i].at,
				    zero_ranges[i].len, i % 2);
}

Test(fallocate, zero_range_zeroes_and_extends)
{
	for (size_t i = 0; i < N_ZERO_RANGES; i++)
		assert_zeroes_range(FALLOC_FL_ZERO_RANGE, zero_ranges[i].at, zero_ranges[i].len,
				    i % 2);
}

Test(fallocate, zero_range_with_keep_size_zeroes_and_does_not_extend)
{
	for (size_t i = 0; i < N_ZERO_RANGES; i++)
		assert_zeroes_range(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, zero_ranges[i].at,
				    zero_ranges[i].len, i % 2);
}

Test(fallocate, punched_data_is_a_hole_and_frees_blocks)
{
	unsigned char *model;
	blkcnt_t before;
	int fd;

	model = make_patterned(&fd);
	must(fsync(fd));
	before = fstat_of(fd).st_blocks;
	must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 524288));
	must(fsync(fd));
	cr_assert_lt(fstat_of(fd).st_blocks, before);
	cr_assert_geq(lseek(fd, 0, SEEK_DATA), 65536);
	must(close(fd));
	free(model);
}

Test(fallocate, plain_extends_with_zeros)
{
	int fd;

	must(put_text("f", "content"));
	fd = must(open("f", O_RDWR));
	must(fallocate(fd, 0, 0, 200000));
	cr_assert_eq(fstat_of(fd).st_size, 200000);
	cr_assert(range_holds(fd, 0, "content", 7));
	cr_assert(range_is_zero(fd, 7, 200000 - 7));
	must(fallocate(fd, 0, 10, 10));
	cr_assert_eq(fstat_of(fd).st_size, 200000);
	must(close(fd));
	cr_assert_eq(size_of("f"), 200000);
}

Test(fallocate, keep_size_never_extends)
{
	int fd;

	must(put_text("f", "content"));
	fd = must(open("f", O_RDWR));
	must(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1 << 20));
	cr_assert_eq(fstat_of(fd).st_size, 7);
	must(ftruncate(fd, 1000));
	cr_assert(range_holds(fd, 0, "content", 7));
	cr_assert(range_is_zero(fd, 7, 993));
	must(close(fd));
}

Test(fallocate, moves_mtime_and_ctime_where_content_changes)
{
	int fd;

	must(put_text("f", "content"));
	fd = must(open("f", O_RDWR));
	cr_assert(
		moves_mtime("f", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 3)));
	cr_assert(moves_ctime("f", fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 100)));
	cr_assert(moves_ctime("f", fallocate(fd, 0, 0, 1000)));
	must(close(fd));
}

Test(fallocate, refuses_what_makes_no_sense)
{
	int fd;

	must(put_text("f", "content"));
	fd = must(open("f", O_RDWR));
	fails_with(EINVAL, fallocate(fd, 0, -1, 10));
	fails_with(EINVAL, fallocate(fd, 0, 0, 0));
	fails_with(EOPNOTSUPP, fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1));
	fails_with(EFBIG, fallocate(fd, 0, INT64_MAX - 1, 10));
	must(close(fd));
	fd = must(open("f", O_RDONLY));
	fails_with(EBADF, fallocate(fd, 0, 0, 10));
	must(close(fd));
	cr_assert(holds_text("f", "content"));
}

Test(fallocate, does_not_know_how_to_collapse_or_insert)
{
	int fd;

	fx_need_cairnfs();
	must(put_text("f", "content"));
	must(truncate("f", 1 << 20));
	fd = must(open("f", O_RDWR));
	fails_with(EOPNOTSUPP, fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 65536));
	fails_with(EOPNOTSUPP, fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 65536));
	cr_assert(range_holds(fd, 0, "content", 7));
	must(close(fd));
}
