#include "base/node.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "util/hash.h"
#include "util/macro.h"

struct cairn_node {
	UT_hash_handle hh;
	uint64_t ino;
	uint64_t dir;
	uint32_t children; /* nodes whose `dir` this is */
	uint32_t given;    /* when, in seconds of the monotonic clock */
	uint8_t type;      /* S_IFMT >> 12 */
	bool forgotten;    /* goes with its last child */
	uint8_t name_len;
	char name[];
};

static uint32_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint32_t)ts.tv_sec;
}

static struct cairn_node *find_locked(struct cairn_nodes *nodes, uint64_t ino)
{
	struct cairn_node *node;

	HASH_FIND(hh, nodes->table, &ino, sizeof(ino), node);
	return node;
}

static bool insert_locked(struct cairn_nodes *nodes, struct cairn_node *node)
{
	HASH_ADD(hh, nodes->table, ino, sizeof(node->ino), node);
	return node->hh.tbl;
}

/* Takes one child away from a directory, and what nobody needs any more out of the table. */
static void release_locked(struct cairn_nodes *nodes, uint64_t dir)
{
	struct cairn_node *node = find_locked(nodes, dir);

	while (node) {
		uint64_t up = node->dir;

		assert(node->children > 0);
		if (--node->children > 0 || !node->forgotten)
			return;
		HASH_DEL(nodes->table, node);
		free(node);
		node = find_locked(nodes, up);
	}
}

int cairn_nodes_init(struct cairn_nodes *nodes, uint64_t root)
{
	struct cairn_node *node = calloc(1, sizeof(*node) + 1);

	*nodes = (struct cairn_nodes){ .root = root, .linger = CAIRN_NODE_LINGER };
	pthread_mutex_init(&nodes->lock, NULL);
	if (!node)
		return -ENOMEM;
	node->ino = root;
	node->type = S_IFDIR >> 12;
	if (!insert_locked(nodes, node)) {
		free(node);
		return -ENOMEM;
	}
	return 0;
}

void cairn_nodes_destroy(struct cairn_nodes *nodes)
{
	struct cairn_node *node, *next;

	HASH_ITER (hh, nodes->table, node, next) {
		HASH_DEL(nodes->table, node);
		free(node);
	}
	pthread_mutex_destroy(&nodes->lock);
}

static bool stands_at(const struct cairn_node *node, uint64_t dir, const char *name, size_t len)
{
	return node->dir == dir && node->name_len == len && memcmp(node->name, name, len) == 0;
}

/* Whether `ino` is `dir` or one of the directories above it. */
static bool is_above_locked(struct cairn_nodes *nodes, uint64_t ino, uint64_t dir)
{
	while (dir != ino && dir != nodes->root) {
		const struct cairn_node *node = find_locked(nodes, dir);

		if (!node)
			return false;
		dir = node->dir;
	}
	return dir == ino;
}

static void set_place(struct cairn_node *node, uint64_t dir, const char *name, size_t len)
{
	node->dir = dir;
	node->name_len = (uint8_t)len;
	memcpy(node->name, name, len);
	node->name[len] = '\0';
}

static int add_locked(struct cairn_nodes *nodes, struct cairn_node *parent, const char *name,
		      size_t len, uint64_t ino, struct cairn_node **ret)
{
	struct cairn_node *node = calloc(1, sizeof(*node) + len + 1);

	if (!node)
		return -ENOMEM;
	node->ino = ino;
	set_place(node, parent->ino, name, len);
	if (!insert_locked(nodes, node)) {
		free(node);
		return -ENOMEM;
	}
	parent->children++;
	*ret = node;
	return 0;
}

/* The node may get another address: nothing points to it but the table. */
static int move_locked(struct cairn_nodes *nodes, struct cairn_node *node,
		       struct cairn_node *parent, const char *name, size_t len,
		       struct cairn_node **ret)
{
	uint64_t old = node->dir;
	struct cairn_node *moved = malloc(sizeof(*moved) + len + 1);

	if (!moved)
		return -ENOMEM;
	memcpy(moved, node, sizeof(*moved));
	set_place(moved, parent->ino, name, len);
	HASH_DEL(nodes->table, node);
	free(node);
	if (!insert_locked(nodes, moved)) {
		free(moved);
		release_locked(nodes, old);
		return -ENOMEM;
	}
	parent->children++;
	release_locked(nodes, old);
	*ret = moved;
	return 0;
}

static int give_locked(struct cairn_nodes *nodes, uint64_t dir, const char *name, size_t len,
		       uint64_t ino, uint32_t type)
{
	struct cairn_node *parent = find_locked(nodes, dir), *node = find_locked(nodes, ino);
	int r = 0;

	if (!parent)
		return -ENOENT;
	if (ino == nodes->root)
		return 0;
	if (!node)
		r = add_locked(nodes, parent, name, len, ino, &node);
	else if (!stands_at(node, dir, name, len) && !is_above_locked(nodes, ino, dir))
		r = move_locked(nodes, node, parent, name, len, &node);
	if (r < 0)
		return r;
	node->type = (uint8_t)((type & S_IFMT) >> 12);
	node->given = now();
	node->forgotten = false;
	return 0;
}

int cairn_node_give(struct cairn_nodes *nodes, uint64_t dir, const char *name, size_t len,
		    uint64_t ino, uint32_t type)
{
	int r;

	if (len == 0 || len > CAIRN_NAME_MAX)
		return -ENOENT;
	pthread_mutex_lock(&nodes->lock);
	r = give_locked(nodes, dir, name, len, ino, type);
	pthread_mutex_unlock(&nodes->lock);
	return r;
}

static void forget_locked(struct cairn_nodes *nodes, uint64_t ino)
{
	struct cairn_node *node = find_locked(nodes, ino);
	uint64_t dir;

	if (!node || ino == nodes->root || now() - node->given < nodes->linger)
		return;
	node->forgotten = true;
	if (node->children > 0)
		return;
	dir = node->dir;
	HASH_DEL(nodes->table, node);
	free(node);
	release_locked(nodes, dir);
}

void cairn_node_forget(struct cairn_nodes *nodes, uint64_t ino)
{
	pthread_mutex_lock(&nodes->lock);
	forget_locked(nodes, ino);
	pthread_mutex_unlock(&nodes->lock);
}

int cairn_node_type(struct cairn_nodes *nodes, uint64_t ino, uint32_t *ret)
{
	const struct cairn_node *node;

	pthread_mutex_lock(&nodes->lock);
	node = find_locked(nodes, ino);
	if (node)
		*ret = (uint32_t)node->type << 12;
	pthread_mutex_unlock(&nodes->lock);
	return node ? 0 : -ENOENT;
}

int cairn_node_place(struct cairn_nodes *nodes, uint64_t ino, uint64_t *ret_dir,
		     char ret_name[CAIRN_NAME_MAX + 1])
{
	const struct cairn_node *node = NULL;

	pthread_mutex_lock(&nodes->lock);
	if (ino != nodes->root)
		node = find_locked(nodes, ino);
	if (node) {
		*ret_dir = node->dir;
		memcpy(ret_name, node->name, node->name_len + 1U);
	}
	pthread_mutex_unlock(&nodes->lock);
	return node ? 0 : -ENOENT;
}

/* Writes the path that ends before `end`, backwards, or only counts where `end` is NULL. Returns
 * its length, -1 where a step is not known. No directory is its own ancestor, so it comes to an
 * end. */
static ssize_t path_locked(struct cairn_nodes *nodes, uint64_t ino, char *end)
{
	size_t len = 0;

	while (ino != nodes->root) {
		const struct cairn_node *node = find_locked(nodes, ino);

		if (!node)
			return -1;
		len += node->name_len + 1U;
		if (end) {
			memcpy(end - len + 1, node->name, node->name_len);
			*(end - len) = '/';
		}
		ino = node->dir;
	}
	return (ssize_t)len;
}

int cairn_node_locate(struct cairn_nodes *nodes, uint64_t ino, char **ret, uint32_t *ret_type)
{
	char *path = NULL;
	uint32_t type = 0;
	ssize_t len;
	int r = 0;

	pthread_mutex_lock(&nodes->lock);
	len = path_locked(nodes, ino, NULL);
	if (len >= 0)
		path = malloc((size_t)len + 2);
	if (len < 0)
		r = -ENOENT;
	else if (!path)
		r = -ENOMEM;
	else
		type = (uint32_t)find_locked(nodes, ino)->type << 12;
	if (path)
		(void)path_locked(nodes, ino, path + len);
	pthread_mutex_unlock(&nodes->lock);
	if (r < 0)
		return r;
	strcpy(path + len, len > 0 ? "" : "/");
	*ret = path;
	*ret_type = type;
	return 0;
}

int cairn_node_path(struct cairn_nodes *nodes, uint64_t ino, char **ret)
{
	uint32_t type;

	return cairn_node_locate(nodes, ino, ret, &type);
}

size_t cairn_nodes_count(struct cairn_nodes *nodes)
{
	size_t count;

	pthread_mutex_lock(&nodes->lock);
	count = HASH_COUNT(nodes->table);
	pthread_mutex_unlock(&nodes->lock);
	return count;
}
