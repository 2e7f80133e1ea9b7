#include "base_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define NOBODY 65534

struct base_fixture bx;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void bx_setup(void)
{
	const char *tmp = getenv("TMPDIR");

	bx = (struct base_fixture){ .log = CAIRN_LOG_INIT };
	snprintf(bx.top, sizeof(bx.top), "%s/cairnfs-base-XXXXXX", tmp ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(bx.top));
	cr_assert_eq(chmod(bx.top, 0755), 0);
	snprintf(bx.dir, sizeof(bx.dir), "%s/dir", bx.top);
	snprintf(bx.log_path, sizeof(bx.log_path), "%s/log", bx.top);
	cr_assert_eq(mkdir(bx.dir, 0755), 0);
	cr_assert_eq(cairn_log_to_file(&bx.log, bx.log_path), 0);
	cr_assert_eq(chmod(bx.log_path, 0666), 0);
	bx.options.log = &bx.log;
}

void bx_setup_open(void)
{
	bx_setup();
	bx_open();
}

void bx_teardown(void)
{
	if (getuid() == 0)
		cr_assert_eq(seteuid(0), 0);
	bx_close();
	while (bx.mount_count > 0)
		umount2(bx.mounts[--bx.mount_count], MNT_DETACH);
	cairn_log_close(&bx.log);
	nftw(bx.top, remove_entry, 64, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

int bx_try_open(void)
{
	bx.err.text[0] = '\0';
	return cairn_base_open(bx.dir, &bx.options, &bx.base, &bx.err);
}

void bx_open(void)
{
	cr_assert_eq(bx_try_open(), 0, "%s", bx.err.text);
}

void bx_close(void)
{
	if (bx.base)
		bx.base->ops->close(bx.base);
	bx.base = NULL;
}

struct dir_base *bx_inside(void)
{
	return CONTAINER_OF(bx.base, struct dir_base, base);
}

const char *bx_path(const char *name)
{
	static char ring[4][PATH_MAX];
	static unsigned int next;
	char *path = ring[next++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", bx.dir, name);
	return path;
}

void bx_mkdir(const char *name)
{
	cr_assert_eq(mkdir(bx_path(name), 0755), 0, "%s: %m", name);
}

void bx_write(const char *name, const char *text)
{
	int fd = open(bx_path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	cr_assert_geq(fd, 0, "%s: %m", name);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

void bx_symlink(const char *target, const char *name)
{
	cr_assert_eq(symlink(target, bx_path(name)), 0);
}

struct stat bx_stat(const char *name)
{
	struct stat st;

	cr_assert_eq(lstat(bx_path(name), &st), 0);
	return st;
}

int bx_resolve(const char *path, struct cairn_attr *ret)
{
	return bx.base->ops->resolve(bx.base, path, ret);
}

uint64_t bx_find(const char *path)
{
	struct cairn_attr attr = { 0 };
	int r = bx_resolve(path, &attr);

	cr_assert_eq(r, 0, "%s: %s", path, strerror(-r));
	return attr.ino;
}

int bx_lookup(uint64_t dir, const char *name, struct cairn_attr *ret)
{
	return bx.base->ops->lookup(bx.base, dir, name, strlen(name), ret);
}

const char *bx_text(uint64_t ino, ssize_t *ret)
{
	static char text[4096];
	ssize_t n = bx.base->ops->read(bx.base, ino, text, sizeof(text) - 1, 0);

	text[MAX(n, 0)] = '\0';
	if (ret)
		*ret = n;
	return text;
}

enum cairn_base_change bx_poll(void)
{
	enum cairn_base_change change = CAIRN_BASE_SAME;

	cr_assert_eq(bx.base->ops->poll(bx.base, &change), 0);
	return change;
}

static int collect(void *arg, const struct cairn_base_entry *entry)
{
	struct bx_names *names = arg;

	cr_assert_lt(names->count, ARRAY_SIZE(names->names));
	memcpy(names->names[names->count], entry->name, entry->name_len);
	names->names[names->count][entry->name_len] = '\0';
	names->entries[names->count] = *entry;
	names->entries[names->count].name = names->names[names->count];
	names->count++;
	return 0;
}

int bx_list(uint64_t dir, struct bx_names *ret)
{
	*ret = (struct bx_names){ 0 };
	return bx.base->ops->list(bx.base, dir, collect, ret);
}

const struct cairn_base_entry *bx_entry(const struct bx_names *names, const char *name)
{
	for (unsigned int i = 0; i < names->count; i++)
		if (strcmp(names->names[i], name) == 0)
			return &names->entries[i];
	return NULL;
}

void bx_drop_root(void)
{
	if (geteuid() == 0)
		cr_assert_eq(seteuid(NOBODY), 0);
}

void bx_private_mounts(void)
{
	if (getuid() != 0)
		cr_skip_test("needs root");
	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

void bx_mount(const char *source, const char *name, const char *type, unsigned long flags,
	      const char *options)
{
	const char *path = bx_path(name);

	cr_assert_lt(bx.mount_count, ARRAY_SIZE(bx.mounts));
	cr_assert_eq(mount(source, path, type, flags, options), 0, "%s: %m", name);
	strcpy(bx.mounts[bx.mount_count++], path);
}

void bx_umount(const char *name)
{
	cr_assert_eq(umount2(bx_path(name), MNT_DETACH), 0, "%s: %m", name);
}

unsigned int bx_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

bool bx_log_has(const char *text)
{
	static char log[1 << 16];
	int fd = open(bx.log_path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, log, sizeof(log) - 1);

	close(fd);
	log[MAX(n, 0)] = '\0';
	return strstr(log, text) != NULL;
}
