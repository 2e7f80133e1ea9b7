/* Mapped files: what a mapping sees of writes, and the reverse. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "fsutil.h"

TestSuite(mapping, .init = fx_setup, .fini = fx_teardown, .timeout = 60);

enum { LEN = 300000, PAGE = 4096 };

static unsigned char *map_file(int fd, size_t len, int prot, int flags)
{
	void *map = mmap(NULL, len, prot, flags, fd, 0);

	cr_assert(map != MAP_FAILED, "%s", strerror(errno));
	return map;
}

static int make_mapped_file(unsigned char **ret_data)
{
	int fd = must(open("f", O_CREAT | O_RDWR, 0644));

	*ret_data = new_pattern(LEN, 1);
	must(write_at(fd, 0, *ret_data, LEN));
	return fd;
}

Test(mapping, a_shared_mapping_shows_the_content)
{
	unsigned char *data, *map;
	int fd = make_mapped_file(&data);

	map = map_file(fd, LEN, PROT_READ, MAP_SHARED);
	cr_assert_eq(memcmp(map, data, LEN), 0);
	for (size_t i = LEN; i % PAGE; i++)
		cr_assert_eq(map[i], 0, "byte %zu beyond the end", i);
	must(munmap(map, LEN));
	must(close(fd));
	fx_remount();
	fd = must(open("f", O_RDONLY));
	map = map_file(fd, LEN, PROT_READ, MAP_PRIVATE);
	cr_assert_eq(memcmp(map, data, LEN), 0);
	must(munmap(map, LEN));
	must(close(fd));
	free(data);
}

Test(mapping, stores_to_a_shared_mapping_reach_readers_and_the_workspace)
{
	unsigned char *data, *map;
	int fd = make_mapped_file(&data), reader = must(open("f", O_RDONLY));

	map = map_file(fd, LEN, PROT_READ | PROT_WRITE, MAP_SHARED);
	for (size_t i = 0; i < LEN; i += 9973) {
		map[i] = (unsigned char)~map[i];
		data[i] = (unsigned char)~data[i];
	}
	must(msync(map, LEN, MS_SYNC));
	cr_assert(range_holds(reader, 0, data, LEN));
	map[LEN - 1] = 'z';
	data[LEN - 1] = 'z';
	must(munmap(map, LEN));
	must(close(reader));
	must(close(fd));
	cr_assert_eq(size_of("f"), LEN);
	fx_remount();
	cr_assert(holds_bytes("f", data, LEN));
	free(data);
}

Test(mapping, synced_stores_survive_a_killed_daemon)
{
	unsigned char *data, *map;
	int fd = make_mapped_file(&data);

	must(fsync(fd));
	map = map_file(fd, LEN, PROT_READ | PROT_WRITE, MAP_SHARED);
	memcpy(map + 100000, "mapped", 6);
	memcpy(data + 100000, "mapped", 6);
	must(msync(map, LEN, MS_SYNC));
	must(munmap(map, LEN));
	must(close(fd));
	fx_kill9_remount();
	cr_assert(holds_bytes("f", data, LEN));
	free(data);
}

Test(mapping, writes_show_in_a_shared_mapping)
{
	unsigned char *data, *map;
	int fd = make_mapped_file(&data);

	map = map_file(fd, LEN, PROT_READ, MAP_SHARED);
	cr_assert_eq(map[65536], data[65536]);
	must(write_at(fd, 65530, "across the edge", 15));
	cr_assert_eq(memcmp(map + 65530, "across the edge", 15), 0);
	must(munmap(map, LEN));
	must(close(fd));
	free(data);
}

Test(mapping, stores_move_the_mtime)
{
	unsigned char *data, *map;
	int fd = make_mapped_file(&data);
	struct stat before;

	must(fsync(fd));
	before = fstat_of(fd);
	tick();
	map = map_file(fd, LEN, PROT_READ | PROT_WRITE, MAP_SHARED);
	map[0] = 'x';
	must(msync(map, LEN, MS_SYNC));
	must(munmap(map, LEN));
	must(fsync(fd));
	cr_assert(later(fstat_of(fd).st_mtim, before.st_mtim));
	cr_assert(later(fstat_of(fd).st_ctim, before.st_ctim));
	must(close(fd));
	free(data);
}

Test(mapping, stores_to_a_private_mapping_stay_private)
{
	unsigned char *data, *map;
	int fd = make_mapped_file(&data);

	map = map_file(fd, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	memset(map, 'x', LEN);
	cr_assert(range_holds(fd, 0, data, LEN));
	must(munmap(map, LEN));
	must(close(fd));
	fx_remount();
	cr_assert(holds_bytes("f", data, LEN));
	free(data);
}

Test(mapping, two_processes_share_one_mapping)
{
	enum { ROUNDS = 1000 };
	int fd = must(open("f", O_CREAT | O_RDWR, 0644));
	int *counters;
	pid_t child;

	must(ftruncate(fd, 2 * PAGE));
	counters = (int *)(void *)map_file(fd, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	child = fx_fork();
	if (child == 0) {
		int own = open("f", O_RDWR);
		int *shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, own, 0);

		for (int i = 0; i < ROUNDS; i++)
			__atomic_fetch_add(shared, 1, __ATOMIC_SEQ_CST);
		_exit(0);
	}
	for (int i = 0; i < ROUNDS; i++)
		__atomic_fetch_add(counters, 1, __ATOMIC_SEQ_CST);
	cr_assert_eq(fx_wait(child), 0);
	cr_assert_eq(counters[0], 2 * ROUNDS);
	must(munmap(counters, 2 * PAGE));
	must(close(fd));
	fx_remount();
	fd = must(open("f", O_RDONLY));
	cr_assert(range_holds(fd, 0, &(int){ 2 * ROUNDS }, sizeof(int)));
	must(close(fd));
}

Test(mapping, a_mapping_outlives_close_and_unlink)
{
	unsigned char *data, *map;
	int fd = make_mapped_file(&data);

	map = map_file(fd, LEN, PROT_READ | PROT_WRITE, MAP_SHARED);
	must(close(fd));
	must(unlink("f"));
	cr_assert_eq(memcmp(map, data, LEN), 0);
	map[7] = 'x';
	must(msync(map, LEN, MS_SYNC));
	cr_assert_eq(map[7], 'x');
	must(munmap(map, LEN));
	cr_assert_eq(count_entries("."), 0);
	free(data);
}

Test(mapping, a_store_beyond_the_end_is_not_kept)
{
	unsigned char *map;
	int fd;

	must(put_text("f", "content"));
	fd = must(open("f", O_RDWR));
	map = map_file(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	memcpy(map, "CONTENT and more", 16);
	must(msync(map, PAGE, MS_SYNC));
	must(munmap(map, PAGE));
	cr_assert_eq(fstat_of(fd).st_size, 7);
	must(close(fd));
	/* Older kernels keep such bytes in their page cache, over FUSE; what counts is the file. */
	fx_remount();
	fd = must(open("f", O_RDWR));
	must(ftruncate(fd, 100));
	cr_assert(range_holds(fd, 0, "CONTENT", 7));
	cr_assert(range_is_zero(fd, 7, 93));
	must(close(fd));
}

Test(mapping, truncation_shows_in_a_mapping)
{
	unsigned char *data, *map;
	int fd = make_mapped_file(&data);

	map = map_file(fd, LEN, PROT_READ | PROT_WRITE, MAP_SHARED);
	cr_assert_eq(memcmp(map, data, LEN), 0);
	must(ftruncate(fd, PAGE + 10));
	must(ftruncate(fd, LEN));
	cr_assert_eq(memcmp(map, data, PAGE + 10), 0);
	for (size_t i = PAGE + 10; i < LEN; i++)
		cr_assert_eq(map[i], 0, "byte %zu", i);
	must(munmap(map, LEN));
	must(close(fd));
	free(data);
}

Test(mapping, a_program_runs_from_the_mount)
{
	struct output o;

	must(put_text("script", "#!/bin/sh\necho ran \"$1\"\n"));
	must(chmod("script", 0755));
	fx_run(&o, (char *const[]){ "cp", "/bin/sh", "sh", NULL });
	cr_assert_eq(o.status, 0, "%s", o.err);
	fx_run(&o, (char *const[]){ "./sh", "./script", "well", NULL });
	cr_assert_eq(o.status, 0, "%s", o.err);
	cr_assert_str_eq(o.out, "ran well\n");
	fx_run(&o, (char *const[]){ "./script", "well", NULL });
	cr_assert_str_eq(o.out, "ran well\n");
}
