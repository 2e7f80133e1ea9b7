/* Processes that append to a file each and fsync after every append.
 *
 *	syncers NAME PROCESSES APPENDS
 *
 * Works in the working directory and leaves nothing behind. All begin at once. Prints, under NAME,
 * how many fsyncs a second they had together. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define APPEND 100

static void file_of(char name[64], long process)
{
	snprintf(name, 64, "syncer-%03ld", process);
}

/* Opens its file, waits until the pipe is closed, then works. */
static void work(long process, long appends, int gate)
{
	char name[64], data[APPEND];
	int fd;

	memset(data, 'a' + (int)(process % 26), sizeof(data));
	file_of(name, process);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		die("creating", name);
	if (read(gate, data, 0) < 0 || read(gate, &(char){ 0 }, 1) != 0)
		wrong("the start was not awaited", name);
	for (long i = 0; i < appends; i++) {
		if (write(fd, data, sizeof(data)) != sizeof(data))
			die("appending to", name);
		if (fsync(fd))
			die("fsync of", name);
	}
	if (close(fd))
		die("closing", name);
}

static void start(long processes, long appends, const int gate[2])
{
	for (long process = 0; process < processes; process++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork of", "a process");
		if (pid == 0) {
			close(gate[1]);
			work(process, appends, gate[0]);
			exit(0);
		}
	}
}

static void wait_for_all(long processes)
{
	int status, failed = 0;

	for (long process = 0; process < processes; process++) {
		if (wait(&status) < 0)
			die("waiting for", "a process");
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			failed = 1;
	}
	if (failed)
		exit(1);
}

static void verify_and_remove(long processes, long appends)
{
	struct stat st;
	char name[64];

	for (long process = 0; process < processes; process++) {
		file_of(name, process);
		if (stat(name, &st))
			die("stat of", name);
		if (st.st_size != appends * APPEND)
			wrong("has another size than was appended", name);
		if (unlink(name))
			die("unlinking", name);
	}
}

int main(int argc, char **argv)
{
	long processes, appends;
	uint64_t begin, end;
	int gate[2];

	if (argc != 4) {
		fprintf(stderr, "usage: syncers NAME PROCESSES APPENDS\n");
		return 2;
	}
	processes = number(argv[2], 1);
	appends = number(argv[3], 1);
	if (pipe(gate))
		die("making", "a pipe");
	start(processes, appends, gate);
	usleep(200000); /* all have opened their file by then, and if not, lose a little */
	begin = now_ns();
	close(gate[1]);
	wait_for_all(processes);
	end = now_ns();
	verify_and_remove(processes, appends);
	printf("%s\t/s\t%.3f\n", argv[1],
	       (double)(processes * appends) * 1e9 / (double)(end - begin));
	return 0;
}
