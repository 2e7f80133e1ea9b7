/* Changes of keys with a condition. */
#include <stdio.h>
#include <string.h>

#include "store/kv.h"
#include "store_fixture.h"

static struct cairn_kv *kv;

static void setup(void)
{
	sx_setup_open();
	cr_assert_eq(cairn_kv_open(sx.store, 1000, false, &kv), 0);
}

static void teardown(void)
{
	cairn_kv_close(kv);
	sx_teardown();
}

TestSuite(kv, .init = setup, .fini = teardown);

static uint64_t version_of(const char *value)
{
	return cairn_kv_version_of(value, strlen(value));
}

static const char *value_now(const char *key)
{
	char sql[128];

	snprintf(sql, sizeof(sql), "SELECT value FROM kv_store WHERE key = '%s'", key);
	return sx_text(sql);
}

Test(kv, version_is_of_the_value_alone)
{
	cr_assert_eq(version_of("a"), version_of("a"));
	cr_assert_neq(version_of("a"), version_of("b"));
	cr_assert_neq(version_of(""), 0);
	for (char c = 0; c < 127; c++)
		cr_assert_lt(cairn_kv_version_of(&c, 1), UINT64_C(1) << 53);
	/* The same on every machine and in every release: it is kept by callers. */
	cr_assert_eq(version_of("cairnfs"), UINT64_C(2872665250532222));
}

Test(kv, set_if_changes_what_has_the_version)
{
	uint64_t version = 0, stale = 12345;

	cr_assert_eq(cairn_kv_set_if(kv, "k", "1", NULL, &version), 0);
	cr_assert_eq(version, version_of("1"));
	cr_assert_eq(cairn_kv_set_if(kv, "k", "2", &version, &version), 0);
	cr_assert_eq(version, version_of("2"));
	cr_assert_eq(cairn_kv_set_if(kv, "k", "3", &stale, &version), -ESTALE);
	cr_assert_eq(version, version_of("2"), "it is told what is there");
	cr_assert_str_eq(value_now("k"), "2");
	cr_assert_eq(cairn_kv_set_if(kv, "k", "3", &version, NULL), 0);
}

Test(kv, version_0_is_no_key)
{
	uint64_t none = 0, version = 99;

	cr_assert_eq(cairn_kv_set_if(kv, "k", "1", &none, NULL), 0);
	cr_assert_eq(cairn_kv_set_if(kv, "k", "2", &none, &version), -ESTALE);
	cr_assert_eq(version, version_of("1"));
	cr_assert_eq(cairn_kv_delete_if(kv, "k", &version, &version), 0);
	cr_assert_eq(version, 0);
	cr_assert_eq(cairn_kv_delete_if(kv, "k", &none, NULL), -ENOENT);
	version = version_of("1");
	cr_assert_eq(cairn_kv_delete_if(kv, "k", &version, &version), -ESTALE);
	cr_assert_eq(version, 0);
}

Test(kv, add_if_adds_to_what_has_the_version)
{
	uint64_t version = 0;
	int64_t number = 7;

	cr_assert_eq(cairn_kv_add_if(kv, "k", 5, &version, &number, &version), 0);
	cr_assert_eq(number, 5);
	cr_assert_eq(version, version_of("5"));
	cr_assert_eq(cairn_kv_add_if(kv, "k", -8, &version, &number, &version), 0);
	cr_assert_eq(number, -3);
	sx_sql(NULL, "UPDATE kv_store SET value = '10'");
	cr_assert_eq(cairn_kv_add_if(kv, "k", 1, &version, &number, &version), -ESTALE);
	cr_assert_eq(number, -3);
	cr_assert_eq(version, version_of("10"));
	cr_assert_str_eq(value_now("k"), "10");
}

Test(kv, look_tells_the_whole_row)
{
	struct cairn_kv_pair pair = { 0 };

	cr_assert_eq(cairn_kv_look(kv, "k", &pair), -ENOENT);
	sx_sql(NULL, "INSERT INTO kv_store VALUES ('k', 'val', 5, 6)");
	cr_assert_eq(cairn_kv_look(kv, "k", &pair), 0);
	cr_assert_str_eq(pair.key, "k");
	cr_assert_str_eq(pair.value, "val");
	cr_assert_eq(pair.size, 3);
	cr_assert_eq(pair.created_at, 5);
	cr_assert_eq(pair.updated_at, 6);
	cairn_kv_pair_done(&pair);
}
