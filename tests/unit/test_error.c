/* Messages as people get them: one cause, and all of it that says what to do. */
#include <criterion/criterion.h>
#include <string.h>

#include "util/error.h"

static char *repeat(const char *text, size_t count)
{
	char *all = calloc(count, strlen(text) + 1);

	cr_assert_not_null(all);
	for (size_t i = 0; i < count; i++)
		strcat(all, text);
	return all;
}

static bool ends_with(const char *text, const char *end)
{
	return strlen(text) >= strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

Test(error, keeps_the_first_cause)
{
	struct cairn_error err = { 0 };

	cr_assert_eq(cairn_error_set(&err, -5, "'%s' is damaged", "/a"), -5);
	cr_assert_eq(cairn_error_set(&err, -2, "another"), -2);
	cr_assert_str_eq(err.text, "'/a' is damaged");
	cr_assert_eq(cairn_error_set(NULL, -2, "nobody listens"), -2);
}

Test(error, keeps_the_end_of_a_message_with_long_paths)
{
	struct cairn_error err = { 0 };
	char *path = repeat("/directory", 400);

	cairn_error_set(&err, -17, "'%s' was not moved to '%s': it is there; remove it first", path,
			path);
	cr_assert_eq(strncmp(err.text, "'/directory/directory", 21), 0);
	cr_assert(ends_with(err.text, "/directory': it is there; remove it first"));
	cr_assert_not_null(strstr(err.text, " ... "));
	free(path);
}

Test(error, leaves_out_nothing_that_has_room)
{
	struct cairn_error err = { 0 };
	char *text = repeat("x", sizeof(err.text) - 1);

	cairn_error_set(&err, -5, "%s", text);
	cr_assert_str_eq(err.text, text);
	free(text);
}

Test(error, cuts_between_characters)
{
	for (size_t shift = 0; shift < 4; shift++) {
		struct cairn_error err = { 0 };
		char *text = repeat("\xf0\x9f\x8c\xb2", 300);
		const char *tail;

		cairn_error_set(&err, -5, "%.*s%s", (int)shift, "abc", text);
		tail = strstr(err.text, " ... ");
		cr_assert_not_null(tail);
		cr_assert_eq((size_t)(tail - err.text - (long)shift) % 4, 0);
		cr_assert_eq(strlen(tail + 5) % 4, 0);
		free(text);
	}
}
