#include "overlay_base.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>

static enum base_kind kind;
static bool is_open;

const char *ob_base(void)
{
	return fx_tmp_path(kind == BASE_DIRECTORY ? "base" : "base.db");
}

static void run_cairnfs(const char *what, const char *a, const char *b, const char *options)
{
	struct output o;

	fx_cairnfs(&o, (char *)what, (char *)a, (char *)b, options ? "-o" : NULL, (char *)options);
	cr_assert_eq(o.status, 0, "cairnfs %s: %s", what, o.err);
}

const char *ob_open_base(void)
{
	if (kind == BASE_DIRECTORY)
		return fx_tmp_path("base");
	if (!is_open) {
		must(mkdir(fx_tmp_path("base-mount"), 0755) < 0 && errno != EEXIST ? -1 : 0);
		run_cairnfs("mount", ob_base(), fx_tmp_path("base-mount"), "xattr");
	}
	is_open = true;
	return fx_tmp_path("base-mount");
}

void ob_close_base(void)
{
	if (is_open)
		run_cairnfs("umount", fx_tmp_path("base-mount"), NULL, NULL);
	is_open = false;
}

const char *ob_in_base(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", kind == BASE_DIRECTORY ? "base" : "base-mount", name);
	return fx_tmp_path(path);
}

off_t ob_large_at(unsigned int part)
{
	static const off_t at[] = { 0, LARGE / 2 + 12345, LARGE - LARGE_PART };

	return at[part];
}

void ob_large_part(unsigned char *ret, unsigned int part)
{
	fill_pattern(ret, LARGE_PART, 7 + part);
}

static void make_large(void)
{
	unsigned char *bytes = malloc(LARGE_PART);
	int fd = must(open(ob_in_base("large"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));

	for (unsigned int part = 0; part < 3; part++) {
		ob_large_part(bytes, part);
		must(write_at(fd, ob_large_at(part), bytes, LARGE_PART));
	}
	close(fd);
	free(bytes);
}

static void make_many(void)
{
	char name[64];

	must(mkdir(ob_in_base("tree"), 0755));
	for (int i = 0; i < TREE_FILES; i++) {
		snprintf(name, sizeof(name), "tree/f%d", i);
		must(put_text(ob_in_base(name), name));
	}
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "tree/d%d", i);
		must(mkdir(ob_in_base(name), 0755));
		strcat(name, "/g");
		must(put_text(ob_in_base(name), name));
	}
}

static void set_times(void)
{
	static const char *const names[] = {
		"file", "one", "large", "dir/a", "dir/b", "dir", "link"
	};
	struct timespec times[2] = { { 1000000000, 123456789 }, { 1100000000, 987654321 } };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		must(utimensat(AT_FDCWD, ob_in_base(names[i]), times, AT_SYMLINK_NOFOLLOW));
}

static void make_tree(void)
{
	must(put_text(ob_in_base("file"), "base file\n"));
	must(chmod(ob_in_base("file"), 0640));
	must(put_text(ob_in_base("one"), "two names\n"));
	must(link(ob_in_base("one"), ob_in_base("two")));
	must(symlink("file", ob_in_base("link")));
	must(symlink("gone", ob_in_base("nowhere")));
	make_large();
	must(mkdir(ob_in_base("dir"), 0755));
	must(mkdir(ob_in_base("dir/sub"), 0755));
	must(mkdir(ob_in_base("dir/sub/deep"), 0755));
	must(put_text(ob_in_base("dir/a"), "a\n"));
	must(put_text(ob_in_base("dir/b"), "b\n"));
	must(put_text(ob_in_base("dir/sub/deep/c"), "c\n"));
	must(mkdir(ob_in_base("empty"), 0755));
	make_many();
	set_times();
}

void ob_prepare(enum base_kind wanted)
{
	struct output o;

	fx_need_cairnfs();
	fx_prepare_empty();
	kind = wanted;
	if (kind == BASE_DIRECTORY)
		must(mkdir(ob_base(), 0755));
	else
		run_cairnfs("init", ob_base(), NULL, NULL);
	ob_open_base();
	make_tree();
	ob_close_base();
	fx_cairnfs(&o, "init", fx.db, "--base", (char *)ob_base());
	cr_assert_eq(o.status, 0, "init --base: %s", o.err);
}

void ob_setup(enum base_kind wanted)
{
	ob_prepare(wanted);
	fx_mount("xattr");
}

const char *ob_sum_of_base(void)
{
	static struct output o;
	char command[2 * PATH_MAX];

	if (kind == BASE_WORKSPACE)
		snprintf(command, sizeof(command), "sha256sum <%s", ob_base());
	else
		snprintf(command, sizeof(command),
			 "cd %s && { find . -printf '%%P %%y %%m %%U:%%G %%n %%s %%T@ %%C@ %%l\\n' "
			 "| "
			 "sort; find . -type f ! -name large -exec sha256sum {} + | sort; } | "
			 "sha256sum",
			 ob_base());
	fx_run(&o, (char *const[]){ "sh", "-c", command, NULL });
	cr_assert_eq(o.status, 0, "%s", o.err);
	return o.out;
}

off_t ob_size(void)
{
	return stat_of(fx.db).st_size;
}

int64_t ob_number(const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	int64_t number;
	sqlite3 *db;

	cr_assert_eq(sqlite3_open_v2(fx.db, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK, "%s",
		     sqlite3_errmsg(db));
	cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW, "%s", sql);
	number = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return number;
}
