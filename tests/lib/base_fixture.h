/* A host directory as a base, a new one for each test.
 *
 * Criterion runs every test in a process of its own, so the fixture is that process's `bx`. Paths
 * are relative to the directory. */
#pragma once

#include <criterion/criterion.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/dir.h"
#include "util/error.h"
#include "util/log.h"

struct base_fixture {
	char top[PATH_MAX / 4]; /* holds the directory, and what must not be reached from it */
	char dir[PATH_MAX / 2];
	char log_path[PATH_MAX / 2];
	struct cairn_log log;
	struct cairn_base_options options;
	struct cairn_error err;
	struct cairn_base *base; /* NULL: not open */
	char mounts[8][PATH_MAX];
	unsigned int mount_count;
};

extern struct base_fixture bx;

void bx_setup(void);
/* And opens it. */
void bx_setup_open(void);
void bx_teardown(void);

int bx_try_open(void);
void bx_open(void);
void bx_close(void);
/* The inside of the open base. */
struct dir_base *bx_inside(void);

/* `name` in the directory. Valid until the fourth call after this one. */
const char *bx_path(const char *name);
void bx_mkdir(const char *name);
void bx_write(const char *name, const char *text);
void bx_symlink(const char *target, const char *name);
struct stat bx_stat(const char *name);

/* resolve(): the result; and the number of what must be there. */
int bx_resolve(const char *path, struct cairn_attr *ret);
uint64_t bx_find(const char *path);
int bx_lookup(uint64_t dir, const char *name, struct cairn_attr *ret);
/* The first bytes of a file as text, or the error in *ret. Valid until the next call. */
const char *bx_text(uint64_t ino, ssize_t *ret);
enum cairn_base_change bx_poll(void);

/* What list() delivered. */
struct bx_names {
	unsigned int count;
	char names[512][CAIRN_NAME_MAX + 1];
	struct cairn_base_entry entries[512];
};
int bx_list(uint64_t dir, struct bx_names *ret);
const struct cairn_base_entry *bx_entry(const struct bx_names *names, const char *name);

/* Goes on as an ordinary user where this is root. */
void bx_drop_root(void);
/* Goes on in a mount namespace of its own; skips the test where this is not root. */
void bx_private_mounts(void);
/* mount(2) on `name`, until the end of the test or bx_umount(). */
void bx_mount(const char *source, const char *name, const char *type, unsigned long flags,
	      const char *options);
void bx_umount(const char *name);
unsigned int bx_open_fds(void);
bool bx_log_has(const char *text);
