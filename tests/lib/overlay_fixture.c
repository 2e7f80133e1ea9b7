#include "overlay_fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

unsigned char of_big_byte(size_t at)
{
	return (unsigned char)(1 + at * 7 % 255);
}

static uint64_t make(uint64_t parent, const char *name, const char *text)
{
	uint64_t ino = cf_file(parent, name);

	CF_OK(cf_write_text(ino, text));
	return ino;
}

static void make_big(void)
{
	unsigned char bytes[OF_BIG_SIZE];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = of_big_byte(i);
	CF_OK(cf_write(cf_file(CF_ROOT, "big"), bytes, sizeof(bytes), 0));
}

static void make_tree(void)
{
	struct cairn_attr attr;
	uint64_t ino, dir;

	ino = make(CF_ROOT, "file", "base file");
	CF_OK(of_chmod(ino, 0640));
	CF_OK(cairn_core_setxattr(cf.core, ino, "user.color", "blue", 4, 0));
	ino = make(CF_ROOT, "one", "two names");
	CF_OK(cairn_core_link(cf.core, ino, CF_ROOT, "two", &attr));
	make_big();
	ino = make(CF_ROOT, "holed", "x");
	CF_OK(cf_write(ino, "y", 1, 10L * OF_CHUNK));
	CF_OK(cairn_core_symlink(cf.core, &cf_caller, CF_ROOT, "link", "file", &attr));
	dir = cf_mkdir(CF_ROOT, "dir");
	make(dir, "a", "a");
	make(dir, "b", "b");
	make(cf_mkdir(dir, "sub"), "deep", "deep");
	cf_mkdir(CF_ROOT, "empty");
}

void of_setup(void)
{
	char own[sizeof(cf.db)];

	cf_setup();
	cf.chunk_size = OF_CHUNK;
	cf.options.commit_interval_ms = 1U << 30;
	strcpy(own, cf.db);
	snprintf(cf.db, sizeof(cf.db), "%s/base.db", cf.dir);
	cf_make();
	cf_open();
	make_tree();
	CF_OK(cf_close());
	strcpy(cf.base, cf.db);
	strcpy(cf.db, own);
	cf.faulty = true;
	cf_make();
	cf_open();
}

bool of_holds_text(uint64_t ino, const char *text)
{
	return cf_holds(ino, text, strlen(text));
}

int of_try(const char *path, struct cairn_attr *ret)
{
	struct cairn_attr attr = { .ino = CF_ROOT };
	char copy[256], *save, *name;
	int r = 0;

	strcpy(copy, path);
	for (name = strtok_r(copy, "/", &save); name && r == 0; name = strtok_r(NULL, "/", &save))
		r = cf_lookup(attr.ino, name, &attr);
	if (r == 0 && ret)
		*ret = attr;
	return r;
}

uint64_t of_find(const char *path)
{
	struct cairn_attr attr = { 0 };
	int r = of_try(path, &attr);

	CF_CHECK(r == 0, "%s: %s", path, strerror(-r));
	return attr.ino;
}

void of_change_base(const char *sql)
{
	cf_sql(cf.base, sql);
	CF_OK(cairn_core_refresh(cf.core));
}

int of_chmod(uint64_t ino, uint32_t mode)
{
	struct cairn_attr to = { .mode = mode }, attr;

	return cairn_core_setattr(cf.core, &cf_caller, ino, CAIRN_SET_MODE, &to, &attr);
}
