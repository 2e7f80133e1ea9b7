/* libcairnfs: keys and values. */
#include <stdio.h>
#include <stdlib.h>

#include "fixture.h"

TestSuite(api_keys, .init = ax_setup_open, .fini = ax_teardown);

static bool has(const char *key, const char *want)
{
	char *value;
	size_t size;
	bool same;

	if (cairnfs_kv_get(ax.ws, key, &value, &size) < 0)
		return false;
	same = strcmp(value, want) == 0 && size == strlen(want);
	free(value);
	return same;
}

Test(api_keys, set_get_replace_delete)
{
	char *value = (char *)"untouched";

	ax_fails(cairnfs_kv_get(ax.ws, "a", &value, NULL), ENOENT);
	cr_assert_str_eq(value, "untouched");
	ax_ok(cairnfs_kv_set(ax.ws, "a", "1"));
	cr_assert(has("a", "1"));
	ax_ok(cairnfs_kv_set(ax.ws, "a", ""));
	cr_assert(has("a", ""));
	ax_ok(cairnfs_kv_set(ax.ws, "", "the empty key"));
	cr_assert(has("", "the empty key"));
	ax_ok(cairnfs_kv_delete(ax.ws, "a"));
	ax_fails(cairnfs_kv_get(ax.ws, "a", &value, NULL), ENOENT);
	ax_fails(cairnfs_kv_delete(ax.ws, "a"), ENOENT);
	cr_assert_not_null(strstr(cairnfs_last_error(), "'a'"));
}

Test(api_keys, rows_are_as_agentfs_has_them)
{
	ax_ok(cairnfs_kv_set(ax.ws, "a", "{\"n\":1}"));
	cr_assert_eq(ax_number("SELECT typeof(value) = 'text' FROM kv_store"), 1);
	cr_assert_eq(ax_number("SELECT abs(created_at - unixepoch()) < 100 FROM kv_store"), 1);
	ax_sql("UPDATE kv_store SET created_at = 5, updated_at = 5");
	ax_ok(cairnfs_kv_set(ax.ws, "a", "2"));
	cr_assert_eq(ax_number("SELECT created_at FROM kv_store"), 5);
	cr_assert_gt(ax_number("SELECT updated_at FROM kv_store"), 5);
	ax_sql("INSERT INTO kv_store (key, value) VALUES ('theirs', '[1]')");
	cr_assert(has("theirs", "[1]"));
}

Test(api_keys, text_must_be_utf8)
{
	char *value;

	ax_fails(cairnfs_kv_set(ax.ws, "\xff", "x"), EINVAL);
	ax_fails(cairnfs_kv_set(ax.ws, "x", "\xc3("), EINVAL);
	ax_fails(cairnfs_kv_get(ax.ws, "\xff", &value, NULL), EINVAL);
	ax_fails(cairnfs_kv_set(ax.ws, NULL, "x"), EINVAL);
	ax_fails(cairnfs_kv_set(ax.ws, "x", NULL), EINVAL);
	ax_fails(cairnfs_kv_get(ax.ws, "x", NULL, NULL), EINVAL);
	ax_fails(cairnfs_kv_delete(ax.ws, NULL), EINVAL);
	ax_ok(cairnfs_kv_set(ax.ws, "schl\u00fcssel", "\u4e2d"));
	cr_assert(has("schl\u00fcssel", "\u4e2d"));
}

Test(api_keys, values_may_be_large_but_not_without_end)
{
	size_t size = 17 << 20;
	char *value = malloc(size + 1);

	memset(value, 'x', size);
	value[size] = '\0';
	ax_fails(cairnfs_kv_set(ax.ws, "a", value), EFBIG);
	value[16 << 20] = '\0';
	ax_ok(cairnfs_kv_set(ax.ws, "a", value));
	cr_assert(has("a", value));
	free(value);
}

struct seen {
	char text[256];
	int stop_after;
};

static int note(void *arg, const char *key, const char *value)
{
	struct seen *seen = arg;
	size_t len = strlen(seen->text);

	snprintf(seen->text + len, sizeof(seen->text) - len, "%s=%s ", key, value);
	return --seen->stop_after == 0 ? 42 : 0;
}

Test(api_keys, list_has_the_keys_of_a_prefix_in_order)
{
	struct seen seen = { 0 };

	ax_ok(cairnfs_kv_list(ax.ws, "", note, &seen));
	cr_assert_str_eq(seen.text, "");
	ax_ok(cairnfs_kv_set(ax.ws, "b/2", "two"));
	ax_ok(cairnfs_kv_set(ax.ws, "b/1", "one"));
	ax_ok(cairnfs_kv_set(ax.ws, "b/", "none"));
	ax_ok(cairnfs_kv_set(ax.ws, "b", "x"));
	ax_ok(cairnfs_kv_set(ax.ws, "a", "x"));
	ax_ok(cairnfs_kv_set(ax.ws, "c%_", "x"));
	ax_ok(cairnfs_kv_list(ax.ws, "b/", note, &seen));
	cr_assert_str_eq(seen.text, "b/=none b/1=one b/2=two ");
	seen = (struct seen){ 0 };
	ax_ok(cairnfs_kv_list(ax.ws, "", note, &seen));
	cr_assert_str_eq(seen.text, "a=x b=x b/=none b/1=one b/2=two c%_=x ");
	seen = (struct seen){ 0 };
	ax_ok(cairnfs_kv_list(ax.ws, "%", note, &seen));
	cr_assert_str_eq(seen.text, "");
	seen = (struct seen){ .stop_after = 2 };
	cr_assert_eq(cairnfs_kv_list(ax.ws, "b", note, &seen), 42);
	cr_assert_str_eq(seen.text, "b=x b/=none ");
	ax_fails(cairnfs_kv_list(ax.ws, "b", NULL, NULL), EINVAL);
	ax_fails(cairnfs_kv_list(ax.ws, NULL, note, &seen), EINVAL);
}

static int delete_it(void *arg, const char *key, const char *value)
{
	return cairnfs_kv_delete(ax.ws, key);
}

Test(api_keys, a_callback_may_call_the_library)
{
	ax_ok(cairnfs_kv_set(ax.ws, "a", "1"));
	ax_ok(cairnfs_kv_set(ax.ws, "b", "1"));
	ax_ok(cairnfs_kv_list(ax.ws, "", delete_it, NULL));
	cr_assert_eq(ax_number("SELECT COUNT(*) FROM kv_store"), 0);
}

Test(api_keys, increment_adds_and_says_the_sum)
{
	int64_t n = -1;

	ax_ok(cairnfs_kv_increment(ax.ws, "n", 5, &n));
	cr_assert_eq(n, 5);
	ax_ok(cairnfs_kv_increment(ax.ws, "n", -7, &n));
	cr_assert_eq(n, -2);
	ax_ok(cairnfs_kv_increment(ax.ws, "n", 0, NULL));
	cr_assert(has("n", "-2"));
}

Test(api_keys, increment_refuses_what_is_no_number)
{
	static const char *const bad[] = { "", "1.0", "x", "1 ", " 1", "+1", "0x1", "-", "\"1\"" };
	int64_t n = 77;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		ax_ok(cairnfs_kv_set(ax.ws, "n", bad[i]));
		ax_fails(cairnfs_kv_increment(ax.ws, "n", 1, &n), EINVAL);
		cr_assert(has("n", bad[i]));
	}
	ax_ok(cairnfs_kv_set(ax.ws, "n", "9223372036854775807"));
	ax_fails(cairnfs_kv_increment(ax.ws, "n", 1, &n), ERANGE);
	ax_ok(cairnfs_kv_set(ax.ws, "n", "9223372036854775808"));
	ax_fails(cairnfs_kv_increment(ax.ws, "n", 1, &n), ERANGE);
	ax_ok(cairnfs_kv_set(ax.ws, "n", "-9223372036854775808"));
	ax_fails(cairnfs_kv_increment(ax.ws, "n", -1, &n), ERANGE);
	cr_assert_eq(n, 77);
}

Test(api_keys, compare_and_set_sets_only_what_is_as_expected)
{
	cr_assert_eq(cairnfs_kv_compare_and_set(ax.ws, "a", "x", "1"), 0);
	cr_assert_eq(cairnfs_kv_compare_and_set(ax.ws, "a", NULL, "1"), 1);
	cr_assert_eq(cairnfs_kv_compare_and_set(ax.ws, "a", NULL, "2"), 0);
	cr_assert(has("a", "1"));
	cr_assert_eq(cairnfs_kv_compare_and_set(ax.ws, "a", "", "2"), 0);
	cr_assert_eq(cairnfs_kv_compare_and_set(ax.ws, "a", "11", "2"), 0);
	cr_assert_eq(cairnfs_kv_compare_and_set(ax.ws, "a", "1", "2"), 1);
	cr_assert(has("a", "2"));
	cr_assert_eq(cairnfs_kv_compare_and_set(ax.ws, "a", "1", NULL), 0);
	cr_assert_eq(cairnfs_kv_compare_and_set(ax.ws, "a", "2", NULL), 1);
	cr_assert_not(has("a", "2"));
	cr_assert_eq(cairnfs_kv_compare_and_set(ax.ws, "a", NULL, NULL), 1);
	ax_fails(cairnfs_kv_compare_and_set(ax.ws, "a", "\xff", "1"), EINVAL);
	ax_fails(cairnfs_kv_compare_and_set(ax.ws, "a", NULL, "\xff"), EINVAL);
	ax_fails(cairnfs_kv_compare_and_set(ax.ws, NULL, NULL, "1"), EINVAL);
}

Test(api_keys, a_workspace_without_the_table_gets_it)
{
	struct seen seen = { 0 };
	char *value;

	ax_close();
	ax_sql("DROP TABLE kv_store");
	ax_open();
	ax_fails(cairnfs_kv_get(ax.ws, "a", &value, NULL), ENOENT);
	ax_ok(cairnfs_kv_list(ax.ws, "", note, &seen));
	ax_ok(cairnfs_kv_set(ax.ws, "a", "1"));
	cr_assert(has("a", "1"));
	cr_assert_eq(ax_number("SELECT COUNT(*) FROM sqlite_schema WHERE name = "
			       "'idx_kv_store_created_at'"),
		     1);
}

/* A view could run code of the file's choosing. */
Test(api_keys, a_view_is_no_table)
{
	char *value;

	ax_close();
	ax_sql("DROP TABLE kv_store; CREATE VIEW kv_store AS SELECT 'a' AS key, 'b' AS value");
	ax_open();
	ax_fails(cairnfs_kv_get(ax.ws, "a", &value, NULL), ENOENT);
	ax_fails(cairnfs_kv_set(ax.ws, "a", "1"), EIO);
}
