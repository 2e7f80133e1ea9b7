/* Paths of trees. */
#include <criterion/criterion.h>
#include <string.h>

#include "bulk/links.h"
#include "bulk/path.h"

static void cleans_to(const char *from, const char *want)
{
	char path[256];

	strcpy(path, from);
	cairn_tree_path_clean(path);
	cr_assert_str_eq(path, want, "'%s' becomes '%s', not '%s'", from, path, want);
}

Test(bulk_path, clean_leaves_what_is_clean)
{
	cleans_to("", "");
	cleans_to("a", "a");
	cleans_to("a/b/c", "a/b/c");
	cleans_to("...", "...");
	cleans_to("..a/.b", "..a/.b");
}

Test(bulk_path, clean_drops_what_means_nothing)
{
	cleans_to("./", "");
	cleans_to("./a/", "a");
	cleans_to("a//b/./c///", "a/b/c");
	cleans_to(".", "");
}

Test(bulk_path, clean_never_leads_above_the_top)
{
	cleans_to("/etc/passwd", "etc/passwd");
	cleans_to("///", "");
	cleans_to("../a", "a");
	cleans_to("../../../../a/../b", "b");
	cleans_to("a/..", "");
	cleans_to("a/../..", "");
	cleans_to("a/b/../c", "a/c");
	cleans_to("a/../../../b/..//../c", "c");
}

Test(bulk_path, push_and_cut)
{
	struct cairn_tree_path path = { 0 };
	char name[256];

	memset(name, 'n', 255);
	name[255] = '\0';
	cr_assert_eq(cairn_tree_path_push(&path, "a"), 0);
	cr_assert_str_eq(path.text, "a");
	cr_assert_eq(cairn_tree_path_push(&path, "bc"), 0);
	cr_assert_str_eq(path.text, "a/bc");
	cairn_tree_path_cut(&path, 1);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(cairn_tree_path_push(&path, name), 0);
	cr_assert_eq(path.len, 1 + 100 * 256);
	cr_assert_eq(strlen(path.text), path.len);
	cairn_tree_path_cut(&path, 0);
	cr_assert_eq(cairn_tree_path_push(&path, "z"), 0);
	cr_assert_str_eq(path.text, "z");
	cairn_tree_path_done(&path);
}

Test(bulk_path, name)
{
	cr_assert_str_eq(cairn_tree_path_name("a/b/c"), "c");
	cr_assert_str_eq(cairn_tree_path_name("a"), "a");
	cr_assert_str_eq(cairn_tree_path_name(""), "");
}

Test(bulk_path, attributes_that_count)
{
	cr_assert(cairn_tree_xattr_counts("user.a", false));
	cr_assert_not(cairn_tree_xattr_counts("user.", false));
	cr_assert_not(cairn_tree_xattr_counts("trusted.a", false));
	cr_assert(cairn_tree_xattr_counts("trusted.a", true));
	cr_assert(cairn_tree_xattr_counts("security.capability", true));
	cr_assert_not(cairn_tree_xattr_counts("security.selinux", true));
	cr_assert_not(cairn_tree_xattr_counts("system.posix_acl_access", true));
}

Test(bulk_path, links_know_device_and_number)
{
	struct cairn_links links = { 0 };

	cr_assert_null(cairn_links_find(&links, 1, 2));
	cr_assert_eq(cairn_links_add(&links, 1, 2, "a/b"), 0);
	cr_assert_eq(cairn_links_add(&links, 1, 3, NULL), 0);
	cr_assert_str_eq(cairn_links_find(&links, 1, 2), "a/b");
	cr_assert_null(cairn_links_find(&links, 2, 2));
	cr_assert(cairn_links_has(&links, 1, 3));
	cr_assert_null(cairn_links_find(&links, 1, 3));
	cairn_links_remove(&links, 1, 3);
	cr_assert_not(cairn_links_has(&links, 1, 3));
	cairn_links_done(&links);
}
