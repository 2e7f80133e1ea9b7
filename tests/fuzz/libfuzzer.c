/* The same targets for libFuzzer (https://llvm.org/docs/LibFuzzer.html): an input is a workspace
 * file. Start it with a corpus of such files. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_input(const char *path, const uint8_t *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size, "%s", path);
	close(fd);
}

static void remove_all(const char *path)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
	char name[128];

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		unlink(name);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/tmp/cairnfs-libfuzzer-%d.db", getpid());
	write_input(path, data, size);
	fuzz_target_check(path);
	remove_all(path);
	write_input(path, data, size);
	fuzz_target_core(path);
	remove_all(path);
	return 0;
}
