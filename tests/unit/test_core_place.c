/* A core over a file system that becomes read-only, and writable again. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core_fixture.h"
#include "fault_system.h"

static void setup(void)
{
	cf_setup();
	cf.options.commit_interval_ms = 1U << 30; /* commits are asked for */
	cf_make();
	cf_open();
}

static void teardown(void)
{
	fault_system_be(FAULT_PLACE_SOUND);
	cf_teardown();
}

TestSuite(core_place, .init = setup, .fini = teardown, .timeout = 60);

static uint64_t make(const char *name)
{
	uint64_t ino = cf_file(CF_ROOT, name);

	cr_assert_geq(cf_write_text(ino, name), 0);
	return ino;
}

static bool holds_name(const char *name)
{
	struct cairn_attr attr;

	return cf_lookup(CF_ROOT, name, &attr) == 0 && cf_holds(attr.ino, name, strlen(name));
}

static void fsync_until_it_works(uint64_t ino)
{
	while (cairn_core_fsync(cf.core, ino) < 0)
		usleep(1000);
}

Test(core_place, read_only_fails_changes_alone_and_nothing_is_lost)
{
	uint64_t durable = make("durable"), waiting;
	struct cairn_attr attr;

	cr_assert_eq(cairn_core_fsync(cf.core, durable), 0);
	waiting = make("waiting");
	fault_system_be(FAULT_PLACE_READ_ONLY);
	cr_expect_eq(cairn_core_fsync(cf.core, waiting), -EROFS);
	cr_expect_eq(cairn_core_mkdir(cf.core, &cf_caller, CF_ROOT, "d", 0755, &attr), -EROFS);
	cr_expect_eq(cf_write_text(durable, "changed"), -EROFS);
	cr_expect(holds_name("durable"));
	cr_expect(holds_name("waiting"));
	cr_expect_eq(cf_count(CF_ROOT), 2);
	cr_expect_eq(cf_lookup(CF_ROOT, "d", &attr), -ENOENT);

	fault_system_be(FAULT_PLACE_SOUND);
	fsync_until_it_works(waiting);
	cf_mkdir(CF_ROOT, "after");
	cr_expect(cf_log_has("can be written again"));
	cf_reopen();
	cr_expect(holds_name("durable"));
	cr_expect(holds_name("waiting"));
	cr_expect_eq(cf_count(CF_ROOT), 3);
}

Test(core_place, an_end_while_it_is_read_only_keeps_what_was_durable_and_names_the_rest)
{
	uint64_t durable = make("durable");

	cr_assert_eq(cairn_core_fsync(cf.core, durable), 0);
	make("waiting");
	fault_system_be(FAULT_PLACE_READ_ONLY);
	cr_expect_eq(cf_close(), -EROFS);
	cr_expect(cf_log_has("/waiting"));
	fault_system_be(FAULT_PLACE_SOUND);
	cf_expect_sound(cf.db);
	cf_open();
	cr_expect(holds_name("durable"));
	cr_expect_eq(cf_count(CF_ROOT), 1);
}
