/* The table of nodes given out. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/node.h"

#define ROOT 1U

static struct cairn_nodes nodes;

static void setup(void)
{
	cr_assert_eq(cairn_nodes_init(&nodes, ROOT), 0);
	nodes.linger = 0;
}

static void teardown(void)
{
	cairn_nodes_destroy(&nodes);
}

TestSuite(base_node, .init = setup, .fini = teardown);

static int give(uint64_t dir, const char *name, uint64_t ino, uint32_t type)
{
	return cairn_node_give(&nodes, dir, name, strlen(name), ino, type);
}

static void expect_path(uint64_t ino, const char *expected)
{
	char *path = NULL;

	cr_assert_eq(cairn_node_path(&nodes, ino, &path), 0);
	cr_expect_str_eq(path, expected);
	free(path);
}

static int path_error(uint64_t ino)
{
	char *path = NULL;

	return cairn_node_path(&nodes, ino, &path);
}

Test(base_node, root_is_known_and_has_no_place)
{
	char name[CAIRN_NAME_MAX + 1];
	uint64_t dir;
	uint32_t type;

	expect_path(ROOT, "/");
	cr_expect_eq(cairn_node_place(&nodes, ROOT, &dir, name), -ENOENT);
	cr_assert_eq(cairn_node_type(&nodes, ROOT, &type), 0);
	cr_expect_eq(type, S_IFDIR);
	cairn_node_forget(&nodes, ROOT);
	expect_path(ROOT, "/");
}

Test(base_node, node_has_the_place_and_type_it_was_given_out_with)
{
	char name[CAIRN_NAME_MAX + 1];
	uint64_t dir;
	uint32_t type;

	cr_assert_eq(give(ROOT, "a", 2, S_IFDIR | 0755), 0);
	cr_assert_eq(give(2, "b", 3, S_IFREG | 0644), 0);
	cr_assert_eq(cairn_node_place(&nodes, 3, &dir, name), 0);
	cr_expect_eq(dir, 2);
	cr_expect_str_eq(name, "b");
	cr_assert_eq(cairn_node_type(&nodes, 3, &type), 0);
	cr_expect_eq(type, S_IFREG);
	expect_path(3, "/a/b");
}

Test(base_node, unknown_numbers_are_enoent)
{
	char name[CAIRN_NAME_MAX + 1];
	uint64_t dir = 7;
	uint32_t type = 7;

	cr_expect_eq(give(99, "x", 2, S_IFREG), -ENOENT);
	cr_expect_eq(cairn_node_place(&nodes, 99, &dir, name), -ENOENT);
	cr_expect_eq(cairn_node_type(&nodes, 99, &type), -ENOENT);
	cr_expect_eq(path_error(99), -ENOENT);
	cr_expect_eq(dir, 7);
	cr_expect_eq(type, 7);
	cairn_node_forget(&nodes, 99);
}

Test(base_node, directory_found_elsewhere_takes_along_all_below_it)
{
	give(ROOT, "a", 2, S_IFDIR);
	give(2, "b", 3, S_IFDIR);
	give(3, "c", 4, S_IFREG);
	cr_assert_eq(give(ROOT, "a name of another length", 2, S_IFDIR), 0);
	expect_path(4, "/a name of another length/b/c");
	cr_assert_eq(give(ROOT, "b", 3, S_IFDIR), 0);
	expect_path(4, "/b/c");
}

Test(base_node, directory_never_lies_in_itself)
{
	give(ROOT, "a", 2, S_IFDIR);
	give(2, "b", 3, S_IFDIR);
	cr_assert_eq(give(3, "loop", 2, S_IFDIR), 0);
	cr_assert_eq(give(2, "self", 2, S_IFDIR), 0);
	cr_assert_eq(give(3, "top", ROOT, S_IFDIR), 0);
	expect_path(3, "/a/b");
	expect_path(2, "/a");
}

Test(base_node, names_hold_any_byte_and_255_of_them)
{
	char name[CAIRN_NAME_MAX + 2], path[CAIRN_NAME_MAX + 2] = "/";

	memset(name, 0xff, sizeof(name));
	cr_assert_eq(cairn_node_give(&nodes, ROOT, name, CAIRN_NAME_MAX, 2, S_IFREG), 0);
	memcpy(path + 1, name, CAIRN_NAME_MAX);
	expect_path(2, path);
	cr_expect_eq(cairn_node_give(&nodes, ROOT, name, CAIRN_NAME_MAX + 1, 3, S_IFREG), -ENOENT);
	cr_expect_eq(cairn_node_give(&nodes, ROOT, name, 0, 3, S_IFREG), -ENOENT);
}

Test(base_node, forgotten_node_is_gone)
{
	give(ROOT, "a", 2, S_IFREG);
	cairn_node_forget(&nodes, 2);
	cr_expect_eq(path_error(2), -ENOENT);
	cr_expect_eq(cairn_nodes_count(&nodes), 1);
}

Test(base_node, forgotten_directory_stays_as_long_as_what_is_in_it)
{
	give(ROOT, "a", 2, S_IFDIR);
	give(2, "b", 3, S_IFDIR);
	give(3, "c", 4, S_IFREG);
	cairn_node_forget(&nodes, 2);
	cairn_node_forget(&nodes, 3);
	expect_path(4, "/a/b/c");
	cairn_node_forget(&nodes, 4);
	cr_expect_eq(cairn_nodes_count(&nodes), 1);
}

Test(base_node, forgotten_directory_goes_when_its_child_is_found_elsewhere)
{
	give(ROOT, "a", 2, S_IFDIR);
	give(2, "b", 3, S_IFREG);
	cairn_node_forget(&nodes, 2);
	give(ROOT, "b", 3, S_IFREG);
	expect_path(3, "/b");
	cr_expect_eq(path_error(2), -ENOENT);
}

Test(base_node, forgotten_directory_that_is_given_out_again_stays)
{
	give(ROOT, "a", 2, S_IFDIR);
	give(2, "b", 3, S_IFREG);
	cairn_node_forget(&nodes, 2);
	give(ROOT, "a", 2, S_IFDIR);
	cairn_node_forget(&nodes, 3);
	expect_path(2, "/a");
	cr_expect_eq(path_error(3), -ENOENT);
}

/* The clock of the test does not move as far as this. */
Test(base_node, node_given_out_just_now_is_not_forgotten)
{
	nodes.linger = UINT32_MAX;
	give(ROOT, "a", 2, S_IFREG);
	cairn_node_forget(&nodes, 2);
	expect_path(2, "/a");
}

Test(base_node, many_nodes_keep_their_places)
{
	char name[32];

	for (uint64_t i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "n%u", (unsigned int)i);
		cr_assert_eq(give(i ? i / 3 + ROOT : ROOT, name, i + 2, S_IFDIR), 0);
	}
	expect_path(2, "/n0");
	expect_path(20001, "/n1/n7/n25/n80/n245/n739/n2220/n6665/n19999");
	for (uint64_t i = 0; i < 20000; i++)
		cairn_node_forget(&nodes, i + 2);
	cr_expect_eq(cairn_nodes_count(&nodes), 1);
}
