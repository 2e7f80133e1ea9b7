/* Looks at files of a mount, again and again, past the kernel's caches: each must be there, in the
 * listing of its directory, with the bytes that it should have and the number it had first, also
 * through a descriptor that is open from the beginning.
 *
 *	watcher READY [PATH=CONTENT]...
 *
 * Makes the file READY after the first round, and goes on until SIGTERM; then exits with 0 and says
 * how many rounds it made. What is not as it should be ends it with 1 and a line about it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREADS 3
#define ALIGNED 4096

struct file {
	char path[PATH_MAX];
	const char *content;
	int fd;
	ino_t ino;
};

static struct file *files;
static size_t file_count;
static atomic_bool stop;
static atomic_ulong rounds;

static void fail(const struct file *file, const char *what, int error)
{
	fprintf(stderr, "%s: %s: %s\n", file->path, what, error ? strerror(error) : "wrong");
	exit(1);
}

static void check_bytes(const struct file *file, int fd, const char *what, char *buf)
{
	size_t want = strlen(file->content);
	ssize_t n = pread(fd, buf, ALIGNED, 0);

	if (n < 0)
		fail(file, what, errno);
	if ((size_t)n != want || memcmp(buf, file->content, want) != 0)
		fail(file, what, 0);
}

static void check_stat(const struct file *file, int fd, const char *path, const char *what)
{
	struct statx stx;

	if (statx(fd, path, (path[0] ? 0 : AT_EMPTY_PATH) | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS,
		  &stx) < 0)
		fail(file, what, errno);
	if (stx.stx_ino != file->ino || stx.stx_size != strlen(file->content))
		fail(file, what, 0);
}

static void check_listed(const struct file *file)
{
	const char *name = strrchr(file->path, '/') + 1;
	char dir_path[PATH_MAX];
	const struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(dir_path, sizeof(dir_path), "%.*s", (int)(name - file->path), file->path);
	dir = opendir(dir_path);
	if (!dir)
		fail(file, "opendir", errno);
	while ((entry = readdir(dir)) != NULL)
		found |= strcmp(entry->d_name, name) == 0;
	closedir(dir);
	if (!found)
		fail(file, "listing", 0);
}

static void check(const struct file *file, char *buf)
{
	int fd = open(file->path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		fail(file, "open", errno);
	check_bytes(file, fd, "read", buf);
	close(fd);
	check_stat(file, AT_FDCWD, file->path, "stat");
	check_bytes(file, file->fd, "read of what is open", buf);
	check_stat(file, file->fd, "", "fstat of what is open");
	check_listed(file);
}

static void *watch(void *ready)
{
	char *buf = aligned_alloc(ALIGNED, ALIGNED);

	while (!atomic_load(&stop)) {
		for (size_t i = 0; i < file_count; i++)
			check(&files[i], buf);
		if (atomic_fetch_add(&rounds, 1) == 0)
			close(open(ready, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	}
	free(buf);
	return NULL;
}

static void add_file(char *arg)
{
	struct file *file = &files[file_count++];
	char *equals = strrchr(arg, '=');
	struct stat st;

	*equals = '\0';
	snprintf(file->path, sizeof(file->path), "%s", arg);
	file->content = equals + 1;
	file->fd = open(file->path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (file->fd < 0 || fstat(file->fd, &st) < 0)
		fail(file, "open", errno);
	file->ino = st.st_ino;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	files = calloc((size_t)argc, sizeof(*files));
	for (int i = 2; i < argc; i++)
		add_file(argv[i]);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, watch, argv[1]) != 0)
			return 1;
	sigwait(&set, &sig);
	atomic_store(&stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("%lu rounds\n", atomic_load(&rounds));
	return 0;
}
