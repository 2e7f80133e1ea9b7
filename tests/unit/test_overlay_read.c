/* What an overlay shows of its two layers, and that it says of neither what the other was asked. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "overlay_fixture.h"

TestSuite(overlay_read, .init = of_setup, .fini = cf_teardown);

Test(overlay_read, files_of_the_base_are_shown_as_they_are)
{
	struct cairn_attr attr;
	char *target = NULL, value[8];
	unsigned char big[OF_BIG_SIZE];

	cr_assert_eq(of_try("file", &attr), 0);
	cr_expect_eq(attr.mode, S_IFREG | 0640);
	cr_expect_eq(attr.uid, cf_caller.uid);
	cr_expect_eq(attr.size, 9);
	cr_expect_eq(attr.nlink, 1);
	cr_expect_geq(attr.ino, CAIRN_LAYER_STEP);
	cr_expect(of_holds_text(attr.ino, "base file"));
	cr_expect_eq(cairn_core_getxattr(cf.core, attr.ino, "user.color", value, sizeof(value)), 4);
	cr_expect_eq(memcmp(value, "blue", 4), 0);
	cr_expect_eq(cairn_core_listxattr(cf.core, attr.ino, value, 0), sizeof("user.color"));
	cr_assert_eq(cairn_core_readlink(cf.core, of_find("link"), &target), 0);
	cr_expect_str_eq(target, "file");
	free(target);
	cr_expect(of_holds_text(of_find("dir/sub/deep"), "deep"));
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = of_big_byte(i);
	cr_expect(cf_holds(of_find("big"), big, sizeof(big)));
}

Test(overlay_read, every_name_is_listed_once)
{
	cr_expect_eq(cf_count(CF_ROOT), 8);
	cr_expect_eq(cf_count(of_find("dir")), 3);
	cr_expect_eq(cf_count(of_find("empty")), 0);
	cf_file(CF_ROOT, "new");
	CF_OK(of_chmod(of_find("file"), 0600));
	CF_OK(of_chmod(of_find("dir/a"), 0600));
	cr_expect_eq(cf_count(CF_ROOT), 9);
	cf_settle();
	cr_expect_eq(cf_count(CF_ROOT), 9);
	cr_expect_eq(cf_count(of_find("dir")), 3);
	cf_reopen();
	cr_expect_eq(cf_count(CF_ROOT), 9);
	cr_expect_eq(cf_count(of_find("dir")), 3);
}

Test(overlay_read, directories_do_not_count_their_subdirectories)
{
	cr_expect_eq(cf_attr(CF_ROOT).nlink, 1);
	cr_expect_eq(cf_attr(of_find("dir")).nlink, 1);
	cf_mkdir(of_find("dir"), "more");
	cr_expect_eq(cf_attr(of_find("dir")).nlink, 1);
	cf_mkdir(of_find("dir/more"), "again");
	cf_settle();
	cr_expect_eq(cf_attr(of_find("dir")).nlink, 1);
	/* What the branch alone has made is counted. */
	cr_expect_eq(cf_attr(of_find("dir/more")).nlink, 3);
	cf_reopen();
	cr_expect_eq(cf_attr(of_find("dir/more")).nlink, 3);
}

/* Everything that asks, over all that is there. */
static int walk(uint64_t dir)
{
	static const char *const paths[] = { "file", "big", "holed", "one", "two", "dir/a" };
	char buf[2000];
	off_t at;

	cf_list(dir);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		uint64_t ino = of_find(paths[i]);

		cf_attr(ino);
		CF_OK(cairn_core_read(cf.core, ino, buf, sizeof(buf), 0));
		CF_OK(cairn_core_lseek(cf.core, ino, 0, SEEK_HOLE, &at));
		CF_OK(cairn_core_listxattr(cf.core, ino, buf, sizeof(buf)));
	}
	cr_expect_eq(of_try("nothing", NULL), -ENOENT);
	cr_expect_eq(of_try("dir/nothing", NULL), -ENOENT);
	return 0;
}

Test(overlay_read, reading_writes_nothing)
{
	unsigned long before;

	walk(CF_ROOT);
	cf_settle();
	before = fault_store_calls(cf.fault, FAULT_COMMIT);
	walk(CF_ROOT);
	walk(of_find("dir"));
	cf_settle();
	cr_expect_eq(fault_store_calls(cf.fault, FAULT_COMMIT), before);
	cr_expect_eq(fault_store_calls(cf.fault, FAULT_BRANCH_WRITE), 0);
	cr_expect_eq(cf_number(cf.db, "SELECT (SELECT COUNT(*) FROM cairn_origin) + "
				      "(SELECT COUNT(*) FROM cairn_seen) + "
				      "(SELECT COUNT(*) FROM fs_dentry) + "
				      "(SELECT COUNT(*) FROM fs_inode)"),
		     1);
}

/* What is there in the base alone, what is hidden, what is in both and what is nowhere. */
static void make_every_case(void)
{
	CF_OK(cairn_core_unlink(cf.core, CF_ROOT, "link"));
	cf_file(CF_ROOT, "link");
	cf_file(CF_ROOT, "own");
	CF_OK(cairn_core_unlink(cf.core, CF_ROOT, "file"));
	CF_OK(of_chmod(of_find("big"), 0600));
	CF_OK(of_chmod(of_find("dir"), 0700));
	CF_OK(cairn_core_unlink(cf.core, of_find("dir"), "a"));
	CF_OK(cf_close());
	cf_open();
}

/* What was found in the base before counts no more: it is asked again. */
static void forget_all(void)
{
	of_change_base("UPDATE fs_inode SET atime = atime + 1");
	cairn_icache_drop_idle(cf.core);
}

/* The n-th call of a question fails, for every n: the answer is that failure or the true one. */
static void expect_no_false_answer(const char *name, uint64_t dir, int error)
{
	struct cairn_attr attr = { 0 }, truth = { 0 };
	int true_result = cf_lookup(dir, name, &truth), r;

	for (unsigned long n = 1; n < 100; n++) {
		forget_all();
		fault_store_fail(cf.fault, FAULT_READS, n, error, false);
		r = cairn_core_lookup(cf.core, dir, name, &attr);
		fault_store_clear(cf.fault);
		if (r == 0)
			cairn_core_forget(cf.core, attr.ino, 1);
		cr_expect(r == error || (r == true_result && (r < 0 || attr.ino == truth.ino)),
			  "%s, call %lu: %d", name, n, r);
		if (fault_store_fired(cf.fault) > 0)
			continue;
		cr_expect_eq(r, true_result, "%s", name);
		cr_expect_gt(n, 1);
		return;
	}
	cr_assert_fail("no end of calls");
}

Test(overlay_read, an_error_of_one_layer_is_never_an_answer_of_the_next)
{
	static const int errors[] = { -EIO, -EAGAIN, -EACCES };

	make_every_case();
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		uint64_t dir = of_find("dir");

		for (const char *const *name = (const char *const[]){ "one", "big", "file", "link",
								      "own", "nothing", NULL };
		     *name; name++)
			expect_no_false_answer(*name, CF_ROOT, errors[i]);
		expect_no_false_answer("a", dir, errors[i]);
		expect_no_false_answer("b", dir, errors[i]);
	}
}

static bool count_entry(void *arg, const struct cairn_dirent *entry)
{
	if (entry->name[0] != '.')
		++*(unsigned int *)arg;
	return false;
}

Test(overlay_read, a_listing_is_whole_or_an_error)
{
	unsigned int count;
	uint64_t dir;
	int r;

	make_every_case();
	dir = of_find("dir");
	for (unsigned long n = 1;; n++) {
		forget_all();
		fault_store_fail(cf.fault, FAULT_READS, n, -EIO, false);
		count = 0;
		r = cairn_core_readdir(cf.core, dir, 0, false, count_entry, &count);
		fault_store_clear(cf.fault);
		cr_expect(r == -EIO || (r == 0 && count == 2), "call %lu: %d, %u", n, r, count);
		if (fault_store_fired(cf.fault) == 0)
			break;
	}
}

Test(overlay_read, whiteout_hides_an_entry_and_all_below_it)
{
	cf_close();
	cf_sql(cf.db, "INSERT INTO fs_whiteout (path, parent_path, created_at) VALUES "
		      "('/dir', '/', 1), ('/big', '/', 1)");
	cf_open();
	cr_expect_eq(of_try("dir", NULL), -ENOENT);
	cr_expect_eq(of_try("dir/sub/deep", NULL), -ENOENT);
	cr_expect_eq(of_try("big", NULL), -ENOENT);
	cr_expect_eq(cf_count(CF_ROOT), 6);
}

Test(overlay_read, directory_of_the_branch_shows_that_in_its_place_too)
{
	cf_close();
	/* As AgentFS makes one: without an origin of ours. */
	cf_sql(cf.db, "INSERT INTO fs_inode (ino, mode, nlink, atime, mtime, ctime) VALUES "
		      "(10, 16877, 2, 1, 1, 1), (11, 33188, 1, 1, 1, 1), (12, 16877, 2, 1, 1, 1);"
		      "INSERT INTO fs_dentry (name, parent_ino, ino) VALUES ('dir', 1, 10), "
		      "('own', 10, 11), ('sub', 10, 12);"
		      "INSERT INTO fs_whiteout (path, created_at) VALUES ('/dir/a', 1)");
	cf_open();
	cr_expect_eq(of_find("dir"), 10);
	cr_expect_eq(cf_count(10), 3);
	cr_expect_eq(of_try("dir/a", NULL), -ENOENT);
	cr_expect(of_holds_text(of_find("dir/b"), "b"));
	cr_expect(of_holds_text(of_find("dir/sub/deep"), "deep"));
	/* It keeps what it shows of the base when it is moved. */
	CF_OK(cairn_core_rename(cf.core, CF_ROOT, "dir", CF_ROOT, "moved", 0));
	cf_settle();
	cr_expect(of_holds_text(of_find("moved/sub/deep"), "deep"));
	cr_expect_eq(of_try("dir", NULL), -ENOENT);
	cf_reopen();
	cr_expect_eq(cf_count(of_find("moved")), 3);
	cr_expect_eq(of_try("moved/a", NULL), -ENOENT);
	cr_expect(of_holds_text(of_find("moved/sub/deep"), "deep"));
}

Test(overlay_read, hostile_origins_do_no_harm)
{
	cf_close();
	cf_sql(cf.db,
	       "INSERT INTO fs_inode (ino, mode, nlink, size, atime, mtime, ctime) VALUES "
	       "(10, 33188, 1, 100, 1, 1, 1), (11, 33188, 1, 100, 1, 1, 1), "
	       "(12, 16877, 2, 0, 1, 1, 1), (13, 33188, 1, 100, 1, 1, 1), "
	       "(72057594037927940, 33188, 1, 0, 1, 1, 1);"
	       "INSERT INTO fs_dentry (name, parent_ino, ino) VALUES ('p', 1, 10), ('q', 1, 11), "
	       "('r', 1, 12), ('s', 1, 13), ('huge', 1, 72057594037927940), "
	       "('layered', 1, 72057594037927938);"
	       "INSERT INTO cairn_origin VALUES (1, 77, '/nowhere', 5), (10, 5, '/dir', -1), "
	       "(11, 5, '/../../etc/passwd', 100), (12, 9223372036854775807, '/file', 0), "
	       "(13, 3, '/dir/../big', 9223372036854775807), (72057594037927940, 9, '/file', -1)");
	cf_open();
	cf_list(CF_ROOT);
	for (const char *const *name =
		     (const char *const[]){ "p", "q", "r", "s", "huge", "layered", NULL };
	     *name; name++) {
		struct cairn_attr attr;
		char buf[200];

		if (cf_lookup(CF_ROOT, *name, &attr) < 0)
			continue;
		cairn_core_read(cf.core, attr.ino, buf, sizeof(buf), 0);
		of_chmod(attr.ino, 0700);
		cf_write(attr.ino, "x", 1, 50);
	}
	cf_settle();
	cr_expect(of_holds_text(of_find("file"), "base file"));
}

Test(overlay_read, what_the_base_gets_is_seen)
{
	cr_expect_eq(of_try("late", NULL), -ENOENT);
	of_change_base("INSERT INTO fs_inode (ino, mode, nlink, size, atime, mtime, ctime) VALUES "
		       "(500, 33188, 1, 4, 1, 1, 1); INSERT INTO fs_data VALUES (500, 0, 'late');"
		       "INSERT INTO fs_dentry (name, parent_ino, ino) VALUES ('late', 1, 500)");
	cr_expect(of_holds_text(of_find("late"), "late"));
	cr_expect_eq(cf_count(CF_ROOT), 9);
	of_change_base("DELETE FROM fs_dentry WHERE name = 'late'; "
		       "UPDATE fs_data SET data = 'BASE FILE' WHERE data = CAST('base file' AS "
		       "BLOB); UPDATE fs_inode SET mode = 33261 WHERE size = 9 AND nlink = 1");
	cr_expect_eq(of_try("late", NULL), -ENOENT);
	cr_expect(of_holds_text(of_find("file"), "BASE FILE"));
	cr_expect_eq(cf_attr(of_find("file")).mode, S_IFREG | 0755);
}

Test(overlay_read, a_directory_that_the_base_gets_in_the_place_of_one_of_the_branch_is_merged)
{
	uint64_t dir = cf_mkdir(CF_ROOT, "both");

	cf_file(dir, "mine");
	cf_settle();
	cr_expect_str_eq(cf_list(dir), "mine/");
	of_change_base("INSERT INTO fs_inode (ino, mode, nlink, size, atime, mtime, ctime) VALUES "
		       "(500, 16877, 2, 0, 1, 1, 1), (501, 33188, 1, 0, 1, 1, 1);"
		       "INSERT INTO fs_dentry (name, parent_ino, ino) VALUES ('both', 1, 500), "
		       "('theirs', 500, 501)");
	cr_expect_eq(of_find("both"), dir);
	cr_expect_eq(cf_count(dir), 2);
	CF_OK(of_try("both/theirs", NULL));
	cr_expect_eq(cf_attr(dir).nlink, 1);
}

/* A host gives the number of a file that is gone to the next one. */
Test(overlay_read, a_number_that_is_used_again_is_another_file)
{
	uint64_t file = of_find("file"), other;

	CF_OK(cf_write(file, "BRANCH", 6, 0));
	cf_settle();
	of_change_base("UPDATE fs_dentry SET name = 'other' WHERE name = 'file'");
	other = of_find("other");
	cr_expect_neq(other, file);
	cr_expect(of_holds_text(other, "base file"));
	cr_expect(of_holds_text(file, "BRANCHile"));
	cr_expect_eq(of_find("file"), file);
	CF_OK(cf_write(other, "OTHER", 5, 0));
	cf_settle();
	cf_reopen();
	cr_expect(of_holds_text(of_find("other"), "OTHERfile"));
	cr_expect(of_holds_text(of_find("file"), "BRANCHile"));
	cr_expect_neq(of_find("other"), of_find("file"));
}

Test(overlay_read, a_directory_that_the_base_has_moved_is_not_in_two_places)
{
	uint64_t dir = of_find("dir"), moved;

	CF_OK(of_chmod(of_find("dir/a"), 0600));
	cf_settle();
	of_change_base("UPDATE fs_dentry SET name = 'away' WHERE name = 'dir'");
	moved = of_find("away");
	cr_expect_neq(moved, dir);
	cr_expect_eq(cf_count(moved), 3);
	cr_expect_str_eq(cf_list(of_find("dir")), "a/");
	cr_expect_eq(cf_attr(of_find("dir/a")).mode, S_IFREG | 0600);
	cr_expect_eq(cf_attr(of_find("away/a")).mode, S_IFREG | 0644);
}

struct positions {
	unsigned int seen[300];
	off_t next;
	unsigned int room;
	bool end;
};

static bool take(void *arg, const struct cairn_dirent *entry)
{
	struct positions *p = arg;

	if (p->room == 0)
		return true;
	p->room--;
	p->end = false;
	p->next = entry->next;
	if (entry->name[0] == 'f' && entry->name[1] >= '0' && entry->name[1] <= '9')
		p->seen[strtoul(entry->name + 1, NULL, 10)]++;
	return false;
}

static void fill_base_dir(void)
{
	cf_close();
	cf_sql(cf.base,
	       "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE "
	       "i < 199) INSERT INTO fs_inode (ino, mode, nlink, size, atime, mtime, ctime) "
	       "SELECT 1000 + i, 33188, 1, 0, 1, 1, 1 FROM n;"
	       "INSERT INTO fs_dentry (name, parent_ino, ino) SELECT 'f' || (ino - 1000), "
	       "(SELECT ino FROM fs_dentry WHERE name = 'empty'), ino FROM fs_inode "
	       "WHERE ino >= 1000");
	cf_open();
}

Test(overlay_read, entries_keep_their_positions_when_they_are_copied_up)
{
	struct positions p = { .room = 50 };
	uint64_t dir;
	char name[16];

	fill_base_dir();
	dir = of_find("empty");
	CF_OK(cairn_core_readdir(cf.core, dir, 0, true, take, &p));
	for (int i = 0; i < 200; i += 2) {
		snprintf(name, sizeof(name), "f%d", i);
		CF_OK(of_chmod(cf_ino(dir, name), 0600));
	}
	for (int i = 200; i < 250; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		cf_file(dir, name);
	}
	cf_settle();
	cf_close();
	cf_open();
	dir = of_find("empty");
	do {
		p.room = 50;
		p.end = true;
		CF_OK(cairn_core_readdir(cf.core, dir, p.next, false, take, &p));
	} while (!p.end);
	for (int i = 0; i < 200; i++)
		cr_expect_eq(p.seen[i], 1, "f%d: %u", i, p.seen[i]);
	for (int i = 200; i < 250; i++)
		cr_expect_leq(p.seen[i], 1, "f%d: %u", i, p.seen[i]);
}
