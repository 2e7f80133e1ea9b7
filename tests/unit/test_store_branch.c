/* The tables of a workspace with a base: what is written is read again, paths of any bytes, and
 * what a hostile file may hold. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store/branch.h"
#include "store_fixture.h"

#define OPS    (sx.store->ops)
#define BRANCH (sx.store->branch)

static void make_branch(void)
{
	struct cairn_init_options options = { .base = "/srv/base" };

	cr_assert_eq(cairn_sqlite_store_init(sx.db, &options, &sx.err), 0, "%s", sx.err.text);
}

static void setup(void)
{
	sx_setup();
	make_branch();
	sx_open(false);
}

TestSuite(store_branch, .init = setup, .fini = sx_teardown);

struct list {
	unsigned int count;
	char text[16][64];
};

static int add(struct list *list, const char *text, size_t len)
{
	cr_assert_lt(list->count, 16);
	cr_assert_lt(len, sizeof(list->text[0]));
	memcpy(list->text[list->count], text, len);
	list->text[list->count++][len] = 0;
	return 0;
}

static int add_name(void *arg, const char *name, size_t len)
{
	return add(arg, name, len);
}

static int add_path(void *arg, const char *path)
{
	return add(arg, path, strlen(path));
}

static bool has(const struct list *list, const char *text)
{
	for (unsigned int i = 0; i < list->count; i++)
		if (strcmp(list->text[i], text) == 0)
			return true;
	return false;
}

static void hide(const char *path)
{
	sx_commit(cr_assert_eq(BRANCH->whiteout_put(sx.store, path), 0));
}

static struct list hidden_in(const char *dir)
{
	struct list list = { 0 };

	cr_assert_eq(BRANCH->whiteout_list(sx.reader, dir, add_name, &list), 0);
	return list;
}

Test(store_branch, init_names_the_base_and_makes_the_tables)
{
	_cleanup_(cairn_freep) char *path = NULL;

	cr_assert_eq(BRANCH->base_path(sx.store, &path), 0);
	cr_expect_str_eq(path, "/srv/base");
	cr_expect_eq(sx_number("SELECT COUNT(*) FROM sqlite_schema WHERE name IN ('fs_whiteout', "
			       "'fs_origin', 'cairn_origin', 'cairn_seen', 'cairn_heir', "
			       "'idx_fs_whiteout_parent')"),
		     6);
}

Test(store_branch, workspace_without_a_base_has_none_of_it)
{
	sx_close();
	remove(sx.db);
	sx_make();
	sx_open(false);
	cr_expect_null(sx.store->branch);
	cr_expect_eq(sx_number("SELECT COUNT(*) FROM sqlite_schema WHERE name LIKE '%origin' "
			       "OR name LIKE '%whiteout%' OR name = 'cairn_seen' OR "
			       "name = 'cairn_heir'"),
		     0);
}

Test(store_branch, root_has_the_attributes_that_init_was_given)
{
	struct cairn_attr root = sx_attr(99, S_IFDIR | 0750), got;
	struct cairn_init_options options = { .base = "/srv/base", .root = &root, .force = true };

	sx_close();
	cr_assert_eq(cairn_sqlite_store_init(sx.db, &options, &sx.err), 0);
	sx_open(true);
	cr_assert_eq(OPS->inode_get(sx.reader, 1, &got), 0);
	cr_expect_eq(got.mode, S_IFDIR | 0750);
	cr_expect_eq(got.uid, 1000);
	cr_expect_eq(got.mtime.tv_sec, 1700000002);
	cr_expect_eq(got.mtime.tv_nsec, 22);
}

Test(store_branch, origin_is_read_as_it_was_put_and_agentfs_has_it_too)
{
	struct cairn_origin origin = {
		.delta_ino = 7, .base_ino = 5, .path = "/a/b", .data_end = CAIRN_DATA_OF_BASE
	};
	struct cairn_origin got = { 0 };

	sx_commit(cr_assert_eq(BRANCH->origin_put(sx.store, &origin), 0));
	cr_assert_eq(BRANCH->origin_get(sx.reader, 7, &got), 0);
	cr_expect_eq(got.base_ino, 5);
	cr_expect_str_eq(got.path, "/a/b");
	cr_expect_eq(got.data_end, CAIRN_DATA_OF_BASE);
	free((char *)got.path);
	cr_expect_eq(sx_number("SELECT base_ino FROM fs_origin WHERE delta_ino = 7"), 5);

	origin.base_ino = 0;
	origin.path = "";
	origin.data_end = 12;
	sx_commit(cr_assert_eq(BRANCH->origin_put(sx.store, &origin), 0));
	cr_assert_eq(BRANCH->origin_get(sx.reader, 7, &got), 0);
	cr_expect_eq(got.base_ino, 0);
	cr_expect_str_eq(got.path, "");
	cr_expect_eq(got.data_end, 12);
	free((char *)got.path);
	cr_expect_eq(sx_number("SELECT COUNT(*) FROM fs_origin"), 0);

	sx_commit(cr_assert_eq(BRANCH->origin_delete(sx.store, 7), 0));
	cr_expect_eq(BRANCH->origin_get(sx.reader, 7, &got), -ENOENT);
}

static int sum_origin(void *arg, const struct cairn_origin *origin)
{
	*(uint64_t *)arg += origin->delta_ino;
	return 0;
}

Test(store_branch, origins_that_make_no_sense_are_passed_over)
{
	uint64_t sum = 0;

	sx_sql(NULL, "INSERT INTO cairn_origin VALUES (1, 2, '/a', -1), (2, -2, '/b', 0), "
		     "(4, 3, 'relative', 0), (8, 3, x'2f61', 0), (16, 3, x'2fff', 7), "
		     "(32, 'x', '/c', 0), (64, 3, '/d', -2), (-128, 3, '/e', 0)");
	cr_expect_eq(BRANCH->origin_scan(sx.reader, sum_origin, &sum), 0);
	cr_expect_eq(sum, 1 + 16);
}

Test(store_branch, whiteout_hides_just_its_path)
{
	hide("/a/b");
	cr_expect_eq(BRANCH->whiteout_get(sx.reader, "/a/b"), 0);
	cr_expect_eq(BRANCH->whiteout_get(sx.reader, "/a"), -ENOENT);
	cr_expect_eq(BRANCH->whiteout_get(sx.reader, "/a/b/c"), -ENOENT);
	cr_expect_str_eq(sx_text("SELECT parent_path FROM fs_whiteout"), "/a");
	hide("/a/b");
	sx_commit(cr_assert_eq(BRANCH->whiteout_delete(sx.store, "/a/b"), 0));
	cr_expect_eq(BRANCH->whiteout_get(sx.reader, "/a/b"), -ENOENT);
}

Test(store_branch, whiteout_of_the_root_or_of_no_path_is_refused)
{
	cr_assert_eq(OPS->begin(sx.store), 0);
	cr_expect_eq(BRANCH->whiteout_put(sx.store, "/"), -EINVAL);
	cr_expect_eq(BRANCH->whiteout_put(sx.store, "a"), -EINVAL);
	OPS->rollback(sx.store);
}

Test(store_branch, listing_names_what_is_hidden_in_one_directory_only)
{
	struct list list;

	hide("/a");
	hide("/a/b");
	hide("/a/b/deep");
	hide("/a/b/deep/er");
	hide("/a/b!");
	hide("/a/c");
	hide("/ab");
	list = hidden_in("/a");
	cr_expect_eq(list.count, 3);
	cr_expect(has(&list, "b") && has(&list, "b!") && has(&list, "c"));
	list = hidden_in("/");
	cr_expect_eq(list.count, 2);
	cr_expect(has(&list, "a") && has(&list, "ab"));
	cr_expect_eq(hidden_in("/a/c").count, 0);
	cr_expect_eq(hidden_in("/a/b/deep").count, 1);
}

Test(store_branch, names_that_are_no_utf8_are_hidden_and_listed)
{
	struct list list;

	hide("/a/\xff");
	hide("/a/z");
	hide("/\xff");
	hide("/\xff/x");
	list = hidden_in("/a");
	cr_expect_eq(list.count, 2);
	cr_expect(has(&list, "\xff") && has(&list, "z"));
	list = hidden_in("/\xff");
	cr_expect_eq(list.count, 1);
	cr_expect(has(&list, "x"));
	cr_expect_eq(BRANCH->whiteout_get(sx.reader, "/a/\xff"), 0);
	cr_expect_str_eq(sx_text("SELECT group_concat(DISTINCT typeof(path)) FROM fs_whiteout "
				 "WHERE instr(path, x'ff')"),
			 "blob");
}

Test(store_branch, whiteouts_that_make_no_sense_hide_nothing)
{
	struct list list = { 0 };

	sx_sql(NULL, "INSERT INTO fs_whiteout (path, created_at) VALUES ('/', 0), ('a', 0), "
		     "('', 0), (NULL, 0), (x'2f62', 0), ('/c' || char(0) || 'd', 0), "
		     "('/' || printf('%.300c', 'x'), 0), ('//e', 0), ('/ok', 0)");
	list = hidden_in("/");
	cr_expect_eq(list.count, 1);
	cr_expect_str_eq(list.text[0], "ok");
	cr_expect_eq(BRANCH->whiteout_get(sx.reader, "/b"), -ENOENT);
}

Test(store_branch, scan_gives_every_whiteout_in_order)
{
	struct list list = { 0 };

	hide("/b");
	hide("/a/c");
	hide("/\xff");
	cr_expect_eq(BRANCH->whiteout_scan(sx.reader, add_path, &list), 0);
	cr_expect_eq(list.count, 3);
	cr_expect_str_eq(list.text[0], "/a/c");
	cr_expect_str_eq(list.text[1], "/b");
	cr_expect_str_eq(list.text[2], "/\xff");
}

static struct cairn_seen seen_file(void)
{
	return (struct cairn_seen){
		.mode = S_IFREG | 0640,
		.uid = 3,
		.gid = 4,
		.rdev = 5,
		.size = 6,
		.mtime = { 7, 8 },
		.ctime = { 9, 10 },
		.target = "to",
		.has_digest = true,
		.digest = { 1, 2, 3 },
	};
}

Test(store_branch, what_was_seen_first_stays)
{
	struct cairn_seen seen = seen_file(), got = { 0 };

	sx_commit(cr_assert_eq(BRANCH->seen_put(sx.store, "/a", &seen), 0));
	seen.size = 66;
	sx_commit(cr_assert_eq(BRANCH->seen_put(sx.store, "/a", &seen), 0));
	cr_assert_eq(BRANCH->seen_get(sx.reader, "/a", &got), 0);
	cr_expect_eq(got.mode, S_IFREG | 0640);
	cr_expect_eq(got.uid, 3);
	cr_expect_eq(got.gid, 4);
	cr_expect_eq(got.rdev, 5);
	cr_expect_eq(got.size, 6);
	cr_expect_eq(got.mtime.tv_nsec, 8);
	cr_expect_eq(got.ctime.tv_sec, 9);
	cr_expect_str_eq(got.target, "to");
	cr_expect(got.has_digest && got.digest[2] == 3 && got.digest[3] == 0);
	free((char *)got.target);
	sx_commit(cr_assert_eq(BRANCH->seen_delete(sx.store, "/a"), 0));
	cr_expect_eq(BRANCH->seen_get(sx.reader, "/a", &got), -ENOENT);
}

static int add_seen(void *arg, const char *path, const struct cairn_seen *seen)
{
	cr_expect_eq(seen->has_digest, false);
	return add_path(arg, path);
}

Test(store_branch, notes_with_nonsense_are_harmless)
{
	struct list list = { 0 };

	sx_sql(NULL, "INSERT INTO cairn_seen VALUES ('/a', 'x', -1, '', 0, 0, 0, -5, 0, 0, NULL, "
		     "x'00'), ('b', 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL), "
		     "('/c', 0, 0, 0, 0, 0, 0, 0, 0, 0, x'ff', 'text')");
	cr_expect_eq(BRANCH->seen_scan(sx.reader, add_seen, &list), 0);
	cr_expect_eq(list.count, 2);
}

Test(store_branch, writer_sees_what_it_has_changed)
{
	struct cairn_attr attr = sx_attr(0, S_IFREG | 0600);
	uint64_t ino = 0, parent = 0, found = 0;
	char name[CAIRN_NAME_MAX + 1];
	uint32_t mode = 0;

	cr_assert_eq(OPS->begin(sx.store), 0);
	cr_assert_eq(BRANCH->inode_add(sx.store, &attr, &ino), 0);
	cr_expect_gt(ino, 1);
	cr_expect_eq(BRANCH->entry(sx.store, 1, "f", 1, &found), -ENOENT);
	cr_expect_eq(BRANCH->place(sx.store, ino, &parent, name), -ENOENT);
	cr_assert_eq(OPS->dentry_put(sx.store, 1, "f", 1, 0, ino), 0);
	cr_expect_eq(BRANCH->entry(sx.store, 1, "f", 1, &found), 0);
	cr_expect_eq(found, ino);
	cr_expect_eq(BRANCH->mode(sx.store, ino, &mode), 0);
	cr_expect_eq(mode, S_IFREG | 0600);
	cr_expect_eq(BRANCH->mode(sx.store, ino + 1, &mode), -ENOENT);
	cr_expect_eq(BRANCH->place(sx.store, ino, &parent, name), 0);
	cr_expect_eq(parent, 1);
	cr_expect_str_eq(name, "f");
	cr_expect_eq(BRANCH->hidden(sx.store, "/f"), -ENOENT);
	cr_assert_eq(BRANCH->whiteout_put(sx.store, "/f"), 0);
	cr_expect_eq(BRANCH->hidden(sx.store, "/f"), 0);
	OPS->rollback(sx.store);
	cr_expect_eq(BRANCH->whiteout_get(sx.reader, "/f"), -ENOENT);
}

Test(store_branch, numbers_of_the_sequence_lie_behind_all_leases)
{
	struct cairn_attr attr = sx_attr(0, S_IFREG | 0600);
	uint64_t first = 0, ino = 0;

	cr_assert_eq(OPS->lease(sx.store, CAIRN_SEQUENCE_INODE, 1000, &first), 0);
	sx_commit(cr_assert_eq(BRANCH->inode_add(sx.store, &attr, &ino), 0));
	cr_expect_geq(ino, first + 1000);
	cr_assert_eq(OPS->lease(sx.store, CAIRN_SEQUENCE_INODE, 1000, &first), 0);
	cr_expect_gt(first, ino);
}

Test(store_branch, entry_keeps_its_row_when_it_is_put_again_without_a_number)
{
	sx_commit(cr_assert_eq(OPS->dentry_put(sx.store, 1, "f", 1, 0, 5), 0));
	sx_commit(cr_assert_eq(OPS->dentry_put(sx.store, 1, "f", 1, 0, 6), 0));
	cr_expect_eq(sx_number("SELECT COUNT(*) FROM fs_dentry"), 1);
	cr_expect_eq(sx_number("SELECT ino FROM fs_dentry"), 6);
	cr_expect_gt(sx_number("SELECT id FROM fs_dentry"), 0);
}

Test(store_branch, sizes_of_chunks_tell_holes)
{
	struct sx_chunks chunks = { 0 };

	sx_sql(NULL,
	       "INSERT INTO fs_data VALUES (9, 0, x'0102'), (9, 2, x''), (9, 5, zeroblob(7))");
	cr_expect_eq(BRANCH->data_sizes(sx.reader, 9, 0, 100, sx_collect_chunk, &chunks), 0);
	cr_expect_eq(chunks.count, 3);
	cr_expect_eq(chunks.len[0], 2);
	cr_expect_eq(chunks.index[1], 2);
	cr_expect_eq(chunks.len[1], 0);
	cr_expect_eq(chunks.len[2], 7);
}

/* What AgentFS's Rust SDK makes of a plain workspace. */
static const char agentfs_tables[] =
	"CREATE TABLE fs_whiteout (path TEXT PRIMARY KEY, created_at INTEGER NOT NULL);"
	"CREATE TABLE fs_overlay_config (key TEXT PRIMARY KEY, value TEXT NOT NULL);"
	"CREATE TABLE fs_origin (delta_ino INTEGER PRIMARY KEY, base_ino INTEGER NOT NULL);"
	"INSERT INTO fs_overlay_config VALUES ('base_path', '/srv/base');"
	"INSERT INTO fs_whiteout VALUES ('/a', 1), ('/a/b', 2);"
	"INSERT INTO fs_origin VALUES (12, 3);";

static void make_agentfs(void)
{
	sx_close();
	remove(sx.db);
	sx_make();
	sx_sql(NULL, agentfs_tables);
}

Test(store_branch, older_form_of_whiteouts_is_brought_up_when_opened_for_writing)
{
	make_agentfs();
	sx_open(false);
	cr_expect_eq(BRANCH->whiteout_get(sx.reader, "/a/b"), 0);
	cr_expect_eq(hidden_in("/a").count, 1);
	hide("/a/c");
	cr_expect_str_eq(sx_text("SELECT group_concat(parent_path) FROM "
				 "(SELECT parent_path FROM fs_whiteout ORDER BY path)"),
			 "/,/a,/a");
	/* What AgentFS goes on to write needs no column of ours, and gets it later. */
	sx_sql(NULL, "INSERT OR REPLACE INTO fs_whiteout (path, created_at) VALUES ('/d', 1)");
	cr_expect_eq(hidden_in("/").count, 2);
	sx_close();
	sx_open(false);
	cr_expect_str_eq(sx_text("SELECT parent_path FROM fs_whiteout WHERE path = '/d'"), "/");
}

Test(store_branch, older_form_is_read_as_it_is_when_opened_read_only)
{
	struct cairn_origin origin;
	uint64_t sum = 0;

	make_agentfs();
	sx_open(true);
	cr_expect_eq(BRANCH->whiteout_get(sx.reader, "/a/b"), 0);
	cr_expect_eq(hidden_in("/a").count, 1);
	cr_expect_eq(BRANCH->origin_get(sx.reader, 12, &origin), -ENOENT);
	cr_expect_eq(BRANCH->origin_scan(sx.reader, sum_origin, &sum), 0);
	cr_expect_eq(BRANCH->seen_get(sx.reader, "/a", &(struct cairn_seen){ 0 }), -ENOENT);
	cr_expect_eq(sx_number("SELECT COUNT(*) FROM sqlite_schema WHERE name LIKE 'cairn_o%in'"),
		     0);
}

Test(store_branch, tables_that_lack_a_column_are_refused)
{
	sx_close();
	sx_sql(NULL, "DROP TABLE cairn_seen; CREATE TABLE cairn_seen (path TEXT)");
	cr_expect_eq(sx_try_open(false), -EINVAL);
	cr_expect(sx_err_has("cairn_seen"));
}
