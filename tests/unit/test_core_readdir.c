/* Listings: positions stay valid while entries come and go. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core_fixture.h"

static void setup(void)
{
	cf_setup();
	cf.faulty = true;
	cf.options.commit_interval_ms = 1U << 30;
	cf_make();
	cf_open();
}

TestSuite(core_readdir, .init = setup, .fini = cf_teardown);

#define COUNT 500U

static const char *name_of(unsigned int i)
{
	static char name[16];

	snprintf(name, sizeof(name), "f%u", i);
	return name;
}

static void fill_dir(uint64_t dir)
{
	for (unsigned int i = 0; i < COUNT; i++)
		cairn_core_forget(cf.core, cf_file(dir, name_of(i)), 1);
}

struct reader {
	unsigned char seen[4 * COUNT];
	unsigned int room; /* entries a call takes */
	off_t next;
	bool end;
};

static bool take(void *arg, const struct cairn_dirent *entry)
{
	struct reader *reader = arg;

	if (reader->room == 0)
		return true;
	reader->room--;
	reader->end = false;
	reader->next = entry->next;
	if (entry->name[0] == 'f')
		reader->seen[strtoul(entry->name + 1, NULL, 10)]++;
	return false;
}

static bool read_some(uint64_t dir, struct reader *reader, unsigned int room)
{
	reader->room = room;
	reader->end = true;
	cr_assert_eq(cairn_core_readdir(cf.core, dir, reader->next, false, take, reader), 0);
	return !reader->end;
}

static void drop_listing(uint64_t ino)
{
	struct cairn_inode *dir;

	cr_assert_eq(cairn_inode_get(cf.core, ino, NULL, &dir), 0);
	cairn_rwlock_wrlock(&dir->lock);
	cairn_listing_drop(cf.core, dir);
	cairn_rwlock_unlock(&dir->lock);
	cairn_inode_unref(cf.core, dir);
}

/* Between the calls odd entries go, new ones come, batches are committed, the listing is built
 * again: even ones are there throughout. */
Test(core_readdir, what_is_there_throughout_is_listed_once)
{
	struct reader reader = { .next = 0 };
	uint64_t dir = cf_mkdir(CF_ROOT, "d");
	unsigned int step = 0;

	fill_dir(dir);
	while (read_some(dir, &reader, 7)) {
		unsigned int odd = (step * 37 % (COUNT / 2)) * 2 + 1;

		cairn_core_unlink(cf.core, dir, name_of(odd));
		if (step < COUNT)
			cairn_core_forget(cf.core, cf_file(dir, name_of(COUNT + step)), 1);
		if (step % 5 == 0)
			cf_settle();
		if (step % 3 == 0)
			drop_listing(dir);
		step++;
	}
	for (unsigned int i = 0; i < COUNT; i += 2)
		cr_assert_eq(reader.seen[i], 1, "%s: %d times", name_of(i), reader.seen[i]);
	for (unsigned int i = 0; i < 2 * COUNT; i++)
		cr_assert_leq(reader.seen[i], 1, "%s", name_of(i));
}

Test(core_readdir, an_entry_renamed_over_keeps_its_place)
{
	uint64_t dir = cf_mkdir(CF_ROOT, "d");

	cf_file(dir, "a");
	cf_file(dir, "b");
	cf_file(dir, "c");
	cr_assert_str_eq(cf_list(dir), "a/b/c/");
	cr_assert_eq(cairn_core_rename(cf.core, dir, "c", dir, "a", 0), 0);
	cr_assert_str_eq(cf_list(dir), "a/b/");
	drop_listing(dir);
	cr_assert_str_eq(cf_list(dir), "a/b/");
}

Test(core_readdir, the_layers_are_listed_as_one)
{
	uint64_t dir = cf_mkdir(CF_ROOT, "d");

	cf_file(dir, "a");
	cf_file(dir, "b");
	cf_settle();
	cf_file(dir, "c");
	cr_assert_eq(cairn_core_unlink(cf.core, dir, "a"), 0);
	cf_hold_commit();
	cf_file(dir, "a");
	cr_assert_eq(cairn_core_unlink(cf.core, dir, "c"), 0);
	cr_assert_str_eq(cf_list(dir), "b/a/");
	drop_listing(dir);
	cr_assert_str_eq(cf_list(dir), "b/a/");
	cf_let_go();
	cf_settle();
	drop_listing(dir);
	cr_assert_str_eq(cf_list(dir), "b/a/");
}

Test(core_readdir, positions_outlive_a_remount)
{
	struct reader reader = { .next = 0 };

	fill_dir(CF_ROOT);
	cr_assert(read_some(CF_ROOT, &reader, 100));
	cf_reopen();
	while (read_some(CF_ROOT, &reader, 100))
		;
	for (unsigned int i = 0; i < COUNT; i++)
		cr_assert_eq(reader.seen[i], 1);
}

struct plus {
	unsigned int room, pinned, without;
	uint64_t inos[COUNT];
};

static bool take_plus(void *arg, const struct cairn_dirent *entry)
{
	struct plus *plus = arg;

	if (plus->room == 0)
		return true;
	plus->room--;
	if (entry->attr)
		plus->inos[plus->pinned++] = entry->ino;
	else
		plus->without++;
	return false;
}

Test(core_readdir, with_attributes_it_pins_what_it_hands_on_and_no_more)
{
	static struct plus plus = { .room = 50 };

	fill_dir(CF_ROOT);
	cf_reopen();
	cr_assert_eq(cairn_core_readdir(cf.core, CF_ROOT, 0, true, take_plus, &plus), 0);
	cr_assert_eq(plus.without, 2);
	cr_assert_eq(plus.pinned, 48);
	cr_assert_not_null(cf.core->pins.table);
	for (unsigned int i = 0; i < plus.pinned; i++)
		cairn_core_forget(cf.core, plus.inos[i], 1);
	cr_assert_null(cf.core->pins.table);
}

static bool take_size(void *arg, const struct cairn_dirent *entry)
{
	if (entry->attr) {
		*(int64_t *)arg = entry->attr->size;
		cairn_core_forget(cf.core, entry->ino, 1);
	}
	return false;
}

/* The listing remembers attributes; it must not tell those of before a change. */
Test(core_readdir, attributes_are_those_of_now)
{
	uint64_t ino = cf_file(CF_ROOT, "a");
	int64_t size = -1;

	cf_settle();
	cr_assert_eq(cairn_core_readdir(cf.core, CF_ROOT, 0, true, take_size, &size), 0);
	cr_assert_eq(size, 0);
	cf.core->icache.idle_max = 0;
	cf_write_text(ino, "text");
	cr_assert_eq(cairn_core_readdir(cf.core, CF_ROOT, 0, true, take_size, &size), 0);
	cr_assert_eq(size, 4);
	cf_settle();
	cr_assert_eq(cairn_core_readdir(cf.core, CF_ROOT, 0, true, take_size, &size), 0);
	cr_assert_eq(size, 4);
}

struct late {
	uint64_t small, large;
	unsigned int right, wrong;
};

/* As soon as a listing has what it tells, both files change, the change is committed, and neither
 * is in core any more. */
static bool change_then_compare(void *arg, const struct cairn_dirent *entry)
{
	struct cairn_attr attr = { .mode = S_IFREG | 0604 };
	struct late *late = arg;

	if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
		return false;
	if (strcmp(entry->name, "first") == 0) {
		CF_OK(cairn_core_setattr(cf.core, &cf_caller, late->small, CAIRN_SET_MODE, &attr,
					 &attr));
		CF_OK(cairn_core_setattr(cf.core, &cf_caller, late->large, CAIRN_SET_MODE, &attr,
					 &attr));
		cf_settle();
		cairn_icache_drop_idle(cf.core);
		CF_CHECK(!cairn_icache_is_used(cf.core, late->small));
		CF_CHECK(!cairn_icache_is_used(cf.core, late->large));
	} else if (entry->attr && (entry->attr->mode & 07777) == 0604) {
		late->right++;
	} else {
		late->wrong++;
	}
	return false;
}

/* The larger file has to be brought into core: attributes that are of before would stay there. */
Test(core_readdir, attributes_that_change_while_a_listing_is_handed_on_are_not_those_of_before)
{
	struct late late = { 0 };

	cf_file(CF_ROOT, "first");
	late.small = cf_file(CF_ROOT, "small");
	late.large = cf_file(CF_ROOT, "large");
	cr_assert_eq(cf_truncate(late.large, 2 * CAIRN_DEFAULT_CHUNK_SIZE), 0);
	cf_settle();
	drop_listing(CF_ROOT);
	cairn_icache_drop_idle(cf.core);
	cr_assert_eq(cairn_core_readdir(cf.core, CF_ROOT, 0, true, change_then_compare, &late), 0);
	cr_expect_eq(late.wrong, 0);
	cr_expect_eq(late.right, 2);
	cr_expect_eq(cf_attr(late.small).mode & 07777, 0604);
	cr_expect_eq(cf_attr(late.large).mode & 07777, 0604);
}

Test(core_readdir, a_scan_that_fails_is_an_error_and_no_short_list)
{
	struct reader reader = { .next = 0, .room = 100 };

	cf_file(CF_ROOT, "a");
	cf_reopen();
	fault_store_fail(cf.fault, FAULT_BIT(FAULT_DENTRY_SCAN), 1, -EIO, false);
	cr_assert_eq(cairn_core_readdir(cf.core, CF_ROOT, 0, false, take, &reader), -EIO);
	cr_assert_eq(cf_count(CF_ROOT), 1);
}

/* A directory that was listed once and then sees files come and go. */
Test(core_readdir, a_listing_does_not_grow_with_what_is_gone)
{
	uint64_t dir = cf_mkdir(CF_ROOT, "d");
	size_t before;

	cf_file(dir, "a");
	cf_count(dir);
	before = cf.core->listings.bytes;
	for (unsigned int i = 0; i < 20000; i++) {
		cairn_core_forget(cf.core, cf_file(dir, "temporary"), 1);
		cr_assert_eq(cairn_core_unlink(cf.core, dir, "temporary"), 0);
	}
	cr_assert_leq(cf.core->listings.bytes, before + 100000);
}

Test(core_readdir, dots_lead_here_and_up)
{
	uint64_t dir = cf_mkdir(CF_ROOT, "d"), other = cf_mkdir(CF_ROOT, "o"), sub;

	sub = cf_mkdir(dir, "sub");
	cr_assert_eq(cairn_pin_parent(&cf.core->pins, sub), dir);
	cr_assert_eq(cairn_core_rename(cf.core, dir, "sub", other, "sub", 0), 0);
	cr_assert_eq(cairn_pin_parent(&cf.core->pins, sub), other);
}
