/* Paths of a tree (tree.h): made longer and shorter, and cleaned. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A path that grows and shrinks by names. */
struct cairn_tree_path {
	char *text; /* terminated; NULL before the first use */
	size_t len, capacity;
};

void cairn_tree_path_done(struct cairn_tree_path *path);
/* Appends a name, with a '/' where the path is not empty. -ENOMEM. */
int cairn_tree_path_push(struct cairn_tree_path *path, const char *name);
/* Cuts it back to a length it had. */
void cairn_tree_path_cut(struct cairn_tree_path *path, size_t len);

/* What a path from elsewhere means below an empty root, as a path of a tree: empty names and "."
 * go, ".." takes the name before it along, and no further than the top. In place. */
void cairn_tree_path_clean(char *path);

/* The last name of a path; the whole of one without '/'. */
const char *cairn_tree_path_name(const char *path);

/* What an extended attribute must be like to be carried over: user's always, trusted and file
 * capabilities for root alone. What else there is are labels and rules of the host. */
bool cairn_tree_xattr_counts(const char *name, bool root);
