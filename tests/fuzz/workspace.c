#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/overlay.h"
#include "core/core.h"
#include "fuzz.h"

#define CHUNK_SIZE 1024U

static const struct cairn_caller caller = { .uid = 1000, .gid = 1000 };

#define MUST(call)                                                                                 \
	do {                                                                                       \
		long r_ = (long)(call);                                                            \
		FUZZ_CHECK(r_ >= 0, "%s = %ld", #call, r_);                                        \
	} while (0)

static struct cairn_core *open_core(const char *path, const char *base)
{
	const struct cairn_init_options init = {
		.chunk_size = CHUNK_SIZE, .page_size = 1024, .force = true, .base = base
	};
	/* Some of the files are copied whole, some in part. */
	const struct cairn_store_options options = { .busy_timeout_ms = 100, .copy_whole = 1100 };
	const struct cairn_core_options core_options = CAIRN_CORE_OPTIONS_DEFAULT;
	struct cairn_error err = { 0 };
	struct cairn_store *store;
	struct cairn_core *core;

	FUZZ_CHECK(cairn_sqlite_store_init(path, &init, &err) == 0, "%s", err.text);
	FUZZ_CHECK(cairn_store_open(path, &options, &store, &err) == 0, "%s", err.text);
	MUST(cairn_core_open(store, &core_options, NULL, &core));
	return core;
}

static void make_file(struct cairn_core *core, uint64_t parent, const char *name, size_t size,
		      off_t hole)
{
	static char bytes[8 * CHUNK_SIZE];
	struct cairn_attr attr;

	memset(bytes, 'a' + (int)(size % 26), sizeof(bytes));
	MUST(cairn_core_mknod(core, &caller, parent, name, S_IFREG | 0644, 0, &attr));
	MUST(cairn_core_write(core, &caller, attr.ino, bytes, size, 0, false, false));
	if (hole > 0)
		MUST(cairn_core_write(core, &caller, attr.ino, bytes, 100, hole, false, false));
	MUST(cairn_core_setxattr(core, attr.ino, "user.color", name, strlen(name), 0));
}

static void make_tree(struct cairn_core *core)
{
	struct cairn_attr attr, sub;
	char name[32];

	make_file(core, CAIRN_ROOT_INO, "small", 10, 0);
	make_file(core, CAIRN_ROOT_INO, "large", 5 * CHUNK_SIZE + 7, 0);
	make_file(core, CAIRN_ROOT_INO, "sparse", 10, 100 * CHUNK_SIZE);
	make_file(core, CAIRN_ROOT_INO, "not \xff utf-8", 3, 0);
	MUST(cairn_core_mkdir(core, &caller, CAIRN_ROOT_INO, "dir", 0755, &attr));
	MUST(cairn_core_mkdir(core, &caller, attr.ino, "sub", 0755, &sub));
	for (int i = 0; i < 30; i++) {
		sprintf(name, "file-%d", i);
		make_file(core, i % 2 ? sub.ino : attr.ino, name, (size_t)i * 40 + 1, 0);
	}
	MUST(cairn_core_symlink(core, &caller, attr.ino, "link", "sub/file-1", &sub));
	MUST(cairn_core_mknod(core, &caller, attr.ino, "fifo", S_IFIFO | 0600, 0, &sub));
	MUST(cairn_core_mknod(core, &caller, attr.ino, "two", S_IFREG | 0600, 0, &sub));
	MUST(cairn_core_link(core, sub.ino, CAIRN_ROOT_INO, "names", &sub));
}

void fuzz_make_workspace(const char *path)
{
	struct cairn_core *core = open_core(path, NULL);

	make_tree(core);
	MUST(cairn_core_close(core));
}

static uint64_t find(struct cairn_core *core, uint64_t parent, const char *name)
{
	struct cairn_attr attr;

	MUST(cairn_core_lookup(core, parent, name, &attr));
	return attr.ino;
}

void fuzz_make_overlay(const char *path, const char *base)
{
	struct cairn_core *core = open_core(path, base);
	struct cairn_attr attr, to = { .mode = 0600, .size = 2000 };
	uint64_t dir = find(core, CAIRN_ROOT_INO, "dir"), sub = find(core, dir, "sub");

	make_file(core, dir, "mine", 3000, 0);
	MUST(cairn_core_write(core, &caller, find(core, CAIRN_ROOT_INO, "large"), "x", 1, 2000,
			      false, false));
	MUST(cairn_core_write(core, &caller, find(core, CAIRN_ROOT_INO, "small"), "x", 1, 2, false,
			      false));
	MUST(cairn_core_setattr(core, &caller, find(core, CAIRN_ROOT_INO, "names"), CAIRN_SET_MODE,
				&to, &attr));
	MUST(cairn_core_setattr(core, &caller, find(core, CAIRN_ROOT_INO, "sparse"), CAIRN_SET_SIZE,
				&to, &attr));
	MUST(cairn_core_unlink(core, dir, "link"));
	MUST(cairn_core_unlink(core, sub, "file-1"));
	MUST(cairn_core_unlink(core, CAIRN_ROOT_INO, "not \xff utf-8"));
	MUST(cairn_core_rename(core, dir, "sub", CAIRN_ROOT_INO, "moved", 0));
	MUST(cairn_core_mkdir(core, &caller, dir, "sub", 0755, &attr));
	MUST(cairn_core_close(core));
}
