/* The mounts below the root of a host directory.
 *
 * What is mounted there is shown, with one exception: a mount of cairnfs. It may be the one that we
 * serve ourselves, and whoever asks it anything waits for us; or another branch over the same
 * directory, and each of the two would show the other without end. It is shown as an empty
 * directory.
 *
 * The mount table (proc(5), /proc/PID/mountinfo) is read again when the kernel says that it has
 * changed, which poll(2) tells at the cost of one system call. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/dir.h"

#define TYPE "fuse.cairnfs"

/* One line of the table, its strings inside the line. */
struct mount_line {
	uint64_t id;
	uint64_t dev;
	char *directory;
	const char *type;
};

static bool is_octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' &&
	       s[2] <= '7';
}

/* Space, tab, newline and '\' stand in the table as \ooo. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && is_octal(s + 1)) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue" */
static bool parse(char *line, struct mount_line *ret)
{
	unsigned int major_no, minor_no;
	unsigned long long id;
	int at = 0;
	char *end;

	if (sscanf(line, "%llu %*u %u:%u %*s %n", &id, &major_no, &minor_no, &at) != 3 || at == 0)
		return false;
	ret->directory = line + at;
	end = strchr(ret->directory, ' ');
	if (!end)
		return false;
	*end = '\0';
	ret->type = strstr(end + 1, " - ");
	if (!ret->type)
		return false;
	ret->type += strlen(" - ");
	unescape(ret->directory);
	ret->id = id;
	ret->dev = (uint64_t)major_no << 32 | minor_no;
	return true;
}

static bool is_ours(const struct mount_line *line)
{
	return strncmp(line->type, TYPE " ", strlen(TYPE " ")) == 0;
}

/* Where the root has no path that the table could show, any mount may lie below it. */
static bool is_below(const char *directory, const char *root)
{
	size_t len = strlen(root);

	if (root[0] != '/')
		return true;
	if (len == 1)
		return directory[1] != '\0';
	return strncmp(directory, root, len) == 0 && directory[len] == '/';
}

/* The digest of FNV-1a (Fowler, Noll and Vo). */
static uint64_t digest(uint64_t sum, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ ((const unsigned char *)data)[i]) * 0x100000001b3U;
	return sum;
}

static int add_line(struct cairn_dir_mounts *mounts, const struct mount_line *line,
		    const char *root, uint64_t *sum)
{
	uint64_t *devs;

	if (!is_below(line->directory, root))
		return 0;
	*sum = digest(*sum, &line->id, sizeof(line->id));
	*sum = digest(*sum, &line->dev, sizeof(line->dev));
	*sum = digest(*sum, line->directory, strlen(line->directory));
	if (!is_ours(line))
		return 0;
	devs = reallocarray(mounts->devs, mounts->dev_count + 1, sizeof(*devs));
	if (!devs)
		return -ENOMEM;
	mounts->devs = devs;
	mounts->devs[mounts->dev_count++] = line->dev;
	return 0;
}

static void file_closep(FILE **file)
{
	if (*file)
		fclose(*file);
}

static int load_locked(struct dir_base *b)
{
	_cleanup_(file_closep) FILE *file = fopen("/proc/self/mountinfo", "re");
	_cleanup_(cairn_freep) char *line = NULL;
	struct cairn_dir_mounts *mounts = &b->mounts;
	struct cairn_dir_proc_path link = cairn_dir_proc_path(b->root_fd);
	struct mount_line parsed;
	char root[PATH_MAX] = "";
	uint64_t sum = 0xcbf29ce484222325U;
	size_t size = 0;
	ssize_t len;
	int r;

	if (!file)
		return -errno;
	len = readlink(link.text, root, sizeof(root) - 1);
	root[MAX(len, 0)] = '\0';
	mounts->dev_count = 0;
	while (getline(&line, &size, file) > 0) {
		if (!parse(line, &parsed))
			continue;
		r = add_line(mounts, &parsed, root, &sum);
		if (r < 0)
			return r;
	}
	if (ferror(file))
		return -EIO;
	mounts->changed |= mounts->below && sum != mounts->below;
	mounts->below = sum;
	mounts->loaded = true;
	return 0;
}

/* Reads the table again where that is due. The kernel says once to each open file that the table
 * has changed. */
static void update_locked(struct dir_base *b)
{
	struct pollfd table = { .fd = b->mounts.table_fd, .events = POLLPRI };

	if (table.fd < 0 || poll(&table, 1, 0) > 0)
		b->mounts.loaded = false;
	if (!b->mounts.loaded)
		(void)load_locked(b);
}

void cairn_dir_mounts_init(struct cairn_dir_mounts *mounts)
{
	*mounts = (struct cairn_dir_mounts){ 0 };
	pthread_mutex_init(&mounts->lock, NULL);
	mounts->table_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
}

void cairn_dir_mounts_destroy(struct cairn_dir_mounts *mounts)
{
	if (mounts->table_fd >= 0)
		close(mounts->table_fd);
	free(mounts->devs);
	pthread_mutex_destroy(&mounts->lock);
}

bool cairn_dir_mounts_any(struct dir_base *b)
{
	bool any;

	pthread_mutex_lock(&b->mounts.lock);
	update_locked(b);
	any = !b->mounts.loaded || b->mounts.dev_count > 0;
	pthread_mutex_unlock(&b->mounts.lock);
	return any;
}

bool cairn_dir_mounts_hide(struct dir_base *b, uint64_t dev)
{
	bool hide;

	pthread_mutex_lock(&b->mounts.lock);
	hide = !b->mounts.loaded; /* it could be anything */
	for (size_t i = 0; !hide && i < b->mounts.dev_count; i++)
		hide = b->mounts.devs[i] == dev;
	pthread_mutex_unlock(&b->mounts.lock);
	return hide;
}

bool cairn_dir_mounts_changed(struct dir_base *b)
{
	bool changed;

	pthread_mutex_lock(&b->mounts.lock);
	update_locked(b);
	changed = b->mounts.changed;
	b->mounts.changed = false;
	pthread_mutex_unlock(&b->mounts.lock);
	return changed;
}
