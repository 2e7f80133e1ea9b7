/* Bytes of files: sequences of changes against an array, with the layers in every arrangement. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>

#include "core_fixture.h"

TestSuite(core_data, .init = cf_setup, .fini = cf_teardown);

#define MODEL_MAX 400000

struct model {
	uint64_t ino;
	uint64_t random;
	int64_t size;
	int64_t most; /* sizes and offsets stay below */
	unsigned char bytes[MODEL_MAX];
};

static struct model model;
static bool held; /* the writer stands before a commit */

static int64_t draw(int64_t below)
{
	model.random = model.random * 6364136223846793005U + 1442695040888963407U;
	return (int64_t)(model.random >> 33) % below;
}

static void make(size_t chunk_size)
{
	cf.chunk_size = chunk_size;
	cf.faulty = true;
	cf.options.commit_interval_ms = 1U << 30;
	cf_make();
	cf_open();
	memset(&model, 0, sizeof(model));
	model.random = chunk_size;
	model.most = MIN((int64_t)MODEL_MAX, 6 * (int64_t)chunk_size + 60);
	model.ino = cf_file(CF_ROOT, "f");
}

static void do_write(void)
{
	static unsigned char buf[MODEL_MAX];
	int64_t at = draw(model.most), size = 1 + draw(model.most - at);
	bool append = draw(5) == 0 && model.size + size <= model.most;

	if (append)
		at = model.size;
	for (int64_t i = 0; i < size; i++)
		buf[i] = (unsigned char)(1 + draw(255));
	cr_assert_eq(cairn_core_write(cf.core, &cf_caller, model.ino, buf, (size_t)size,
				      append ? 0 : at, append, false),
		     0);
	memcpy(model.bytes + at, buf, (size_t)size);
	model.size = MAX(model.size, at + size);
}

static void do_resize(void)
{
	int64_t size = draw(model.most);

	cr_assert_eq(cf_truncate(model.ino, size), 0);
	if (size < model.size)
		memset(model.bytes + size, 0, (size_t)(model.size - size));
	model.size = size;
}

static void do_zero(void)
{
	static const int modes[] = { FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_ZERO_RANGE,
				     FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0 };
	int mode = modes[draw(4)];
	int64_t at = draw(model.most), size = 1 + draw(model.most - at);

	cr_assert_eq(cairn_core_fallocate(cf.core, &cf_caller, model.ino, mode, at, size), 0);
	if (mode && at < model.size)
		memset(model.bytes + at, 0, (size_t)(MIN(at + size, model.size) - at));
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		model.size = MAX(model.size, at + size);
}

/* Moves the layers on: running to committing, committing to the store, all out of core. */
static void do_layers(void)
{
	switch (draw(4)) {
	case 0:
		if (!held)
			cf_hold_commit();
		held = true;
		break;
	case 1:
	case 2:
		if (held)
			cf_let_go();
		held = false;
		cf_settle();
		break;
	default:
		if (held)
			cf_let_go();
		held = false;
		cf_reopen();
		model.ino = cf_ino(CF_ROOT, "f");
	}
}

static bool all_zero(int64_t from, int64_t to)
{
	while (from < to && !model.bytes[from])
		from++;
	return from == to;
}

/* Data is where lseek says, and no byte but zero is elsewhere. */
static void check_holes(void)
{
	int64_t chunk = (int64_t)cf.core->store->chunk_size, allocated = 0;
	off_t data = 0, hole = 0;

	while (hole < model.size) {
		int r = cairn_core_lseek(cf.core, model.ino, hole, SEEK_DATA, &data);

		cr_assert(r == 0 || r == -ENXIO);
		if (r < 0)
			data = model.size;
		cr_assert(all_zero(hole, data), "bytes lie in the hole %ld-%ld", (long)hole,
			  (long)data);
		if (r < 0)
			break;
		cr_assert_eq(cairn_core_lseek(cf.core, model.ino, data, SEEK_HOLE, &hole), 0);
		cr_assert_gt(hole, data);
		cr_assert(hole % chunk == 0 || hole == model.size);
		allocated += hole - data;
	}
	/* Of a file of one chunk it is not counted. */
	if (model.size > chunk)
		cr_assert_eq(cf_attr(model.ino).allocated, allocated);
}

static void check_model(void)
{
	static unsigned char got[MODEL_MAX];
	ssize_t n = cairn_core_read(cf.core, model.ino, got, sizeof(got), 0);
	int64_t at = draw(model.most);

	cr_assert_eq(n, model.size);
	cr_assert_eq(memcmp(got, model.bytes, (size_t)n), 0);
	n = cairn_core_read(cf.core, model.ino, got, 100, at);
	cr_assert_eq(n, MIN(MAX(model.size - at, 0), 100));
	cr_assert_eq(memcmp(got, model.bytes + at, (size_t)n), 0);
	check_holes();
}

static size_t chunk_sizes[] = { 1, 2, 7, 100, 4096, 65536 };

ParameterizedTestParameters(core_data, every_sequence_reads_as_an_array_would)
{
	return cr_make_param_array(size_t, chunk_sizes, ARRAY_SIZE(chunk_sizes));
}

ParameterizedTest(size_t *chunk_size, core_data, every_sequence_reads_as_an_array_would)
{
	static void (*const steps[])(void) = { do_write,  do_write, do_write, do_resize,
					       do_resize, do_zero,  do_zero,  do_layers };

	make(*chunk_size);
	for (int i = 0; i < 300; i++) {
		steps[draw(ARRAY_SIZE(steps))]();
		check_model();
	}
	if (held)
		cf_let_go();
	cr_assert_eq(cf_close(), 0);
	cf_expect_sound(cf.db);
	cf_open();
	model.ino = cf_ino(CF_ROOT, "f");
	check_model();
}

Test(core_data, newer_layers_win_over_older_ones)
{
	make(4);
	cf_write_text(model.ino, "aaaabbbbcccc");
	cf_settle();
	cf_write(model.ino, "BBBB", 4, 4);
	cf_hold_commit();
	cf_write(model.ino, "C", 1, 8);
	cr_assert(cf_holds(model.ino, "aaaaBBBBCccc", 12));
	cf_let_go();
	cf_settle();
	cr_assert(cf_holds(model.ino, "aaaaBBBBCccc", 12));
}

Test(core_data, what_was_cut_off_does_not_come_back)
{
	make(4);
	cf_write_text(model.ino, "aaaabbbbcccc");
	cf_settle();
	cr_assert_eq(cf_truncate(model.ino, 5), 0);
	cf_hold_commit();
	cr_assert_eq(cf_truncate(model.ino, 12), 0);
	cr_assert(cf_holds(model.ino, "aaaab\0\0\0\0\0\0\0", 12));
	cf_let_go();
	cf_reopen();
	cr_assert(cf_holds(cf_ino(CF_ROOT, "f"), "aaaab\0\0\0\0\0\0\0", 12));
}

/* Peers join the chunks they find: one before the last that is short moves what follows. */
Test(core_data, a_chunk_that_is_last_no_more_is_stored_whole)
{
	make(4);
	cf_write_text(model.ino, "aaa");
	cf_settle();
	cr_assert_eq(cf_truncate(model.ino, 4), 0);
	cf_settle();
	cf_write(model.ino, "b", 1, 4);
	cf_settle();
	cr_assert_eq(cf_number(cf.db, "SELECT length(data) FROM fs_data WHERE chunk_index = 0"), 4);
}

Test(core_data, holes_are_not_stored)
{
	make(4096);
	cf_write(model.ino, "x", 1, 1 << 30);
	cf_settle();
	cr_assert_eq(cf_number(cf.db, "SELECT COUNT(*) FROM fs_data"), 1);
	cr_assert_eq(cf_attr(model.ino).size, (1 << 30) + 1);
}

Test(core_data, the_greatest_file_can_be_written_read_and_punched)
{
	unsigned char byte = 0;

	make(65536);
	cr_assert_eq(cf_write(model.ino, "x", 1, INT64_MAX - 1), 0);
	cr_assert_eq(cf_attr(model.ino).size, INT64_MAX);
	cr_assert_eq(cf_write(model.ino, "x", 1, INT64_MAX), -EFBIG);
	cr_assert_eq(cairn_core_read(cf.core, model.ino, &byte, 1, INT64_MAX - 1), 1);
	cr_assert_eq(byte, 'x');
	cr_assert_eq(cairn_core_fallocate(cf.core, &cf_caller, model.ino,
					  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, INT64_MAX),
		     0);
	cr_assert_eq(cairn_core_read(cf.core, model.ino, &byte, 1, INT64_MAX - 1), 1);
	cr_assert_eq(byte, 0);
}

Test(core_data, sizes_beyond_the_option_are_efbig)
{
	cf.options.max_file_size = 100;
	make(4096);
	cr_assert_eq(cf_write(model.ino, "xy", 2, 99), -EFBIG);
	cr_assert_eq(cf_truncate(model.ino, 101), -EFBIG);
	cr_assert_eq(cf_truncate(model.ino, 100), 0);
	cr_assert_eq(cf_write(model.ino, "y", 1, 99), 0);
}

/* The write covers the first chunk and a part of the second, which cannot be read. */
Test(core_data, a_write_that_fails_changes_nothing)
{
	make(4);
	cf_write_text(model.ino, "aaaabbbbcccc");
	cf_settle();
	for (int round = 0; round < 2; round++) {
		fault_store_fail(cf.fault, FAULT_BIT(FAULT_DATA_READ), 1, -EIO, false);
		cr_assert_eq(cf_write(model.ino, "XXXXXX", 6, 0), -EIO);
		cr_expect(cf_holds(model.ino, "aaaabbbbcccc", 12));
		cf_settle();
	}
	cf_reopen();
	cr_expect(cf_holds(cf_ino(CF_ROOT, "f"), "aaaabbbbcccc", 12));
}

Test(core_data, a_write_past_the_end_that_fails_leaves_no_chunk_there)
{
	make(4);
	cf_write_text(model.ino, "aaaabb");
	cf_settle();
	fault_store_fail(cf.fault, FAULT_BIT(FAULT_DATA_READ), 1, -EIO, false);
	cr_assert_eq(cf_write(model.ino, "XXXXXXXX", 8, 5), -EIO);
	cr_assert_eq(cf_attr(model.ino).size, 6);
	cr_assert_eq(cf_close(), 0);
	cf_expect_sound(cf.db);
}

Test(core_data, a_hole_that_cannot_be_punched_stays_unpunched)
{
	make(4);
	cf_write_text(model.ino, "aaaabbbbcccc");
	cf_settle();
	fault_store_fail(cf.fault, FAULT_BIT(FAULT_DATA_READ), 2, -EIO, false);
	cr_assert_eq(
		cairn_core_fallocate(cf.core, &cf_caller, model.ino, FALLOC_FL_ZERO_RANGE, 2, 8),
		-EIO);
	fault_store_clear(cf.fault);
	cr_expect(cf_holds(model.ino, "aaaabbbbcccc", 12));
}

/* While a batch is being written, its chunks are still read, in any order. */
Test(core_data, a_file_without_holes_shows_none_while_it_is_committed)
{
	enum { CHUNKS = 300 };
	static const char text[] = "1234";
	off_t at = 0;

	make(4);
	for (int i = 0; i < CHUNKS; i++)
		cr_assert_eq(cf_write(model.ino, text, 4, 4 * ((i * 7919) % CHUNKS)), 0);
	fault_store_pause(cf.fault, FAULT_DATA_PUT);
	cairn_mutex_lock(&cf.core->writer.lock);
	cf.core->writer.want_commit = cf.core->seq;
	pthread_cond_signal(&cf.core->writer.work);
	cairn_mutex_unlock(&cf.core->writer.lock);
	fault_store_wait_paused(cf.fault);
	cr_expect_eq(cairn_core_lseek(cf.core, model.ino, 0, SEEK_HOLE, &at), 0);
	cr_expect_eq(at, 4 * CHUNKS);
	cr_expect_eq(cf_attr(model.ino).allocated, 4 * CHUNKS);
	fault_store_resume(cf.fault);
}

Test(core_data, copies_read_what_the_layers_say)
{
	uint64_t to;

	make(4);
	to = cf_file(CF_ROOT, "to");
	cf_write_text(model.ino, "aaaabbbbcccc");
	cf_settle();
	cf_write(model.ino, "BB", 2, 5);
	cr_assert_eq(cairn_core_copy(cf.core, &cf_caller, model.ino, 2, to, 1, 100), 10);
	cr_assert(cf_holds(to, "\0aabBBbcccc", 11));
	cr_assert_eq(cairn_core_copy(cf.core, &cf_caller, to, 0, to, 5, 6), -EINVAL);
	cr_assert_eq(cairn_core_copy(cf.core, &cf_caller, to, 0, to, 11, 2), 2);
	cr_assert_eq(cairn_core_copy(cf.core, &cf_caller, to, 100, model.ino, 0, 2), 0);
}
