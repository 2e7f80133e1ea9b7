#include "base/node.h"

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
	struct cairn_node *dir; /* NULL: the root */
	char *name;             /* `space`, or a string of its own where that is too small */
	uint32_t children;      /* nodes whose `dir` this is */
	uint32_t given;         /* when, in seconds of the monotonic clock */
	uint8_t type;           /* S_IFMT >> 12 */
	bool forgotten;         /* goes with its last child */
	uint8_t name_len;
	uint8_t space_len; /* without the NUL */
	char space[];
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

static void free_node(struct cairn_node *node)
{
	if (node->name != node->space)
		free(node->name);
	free(node);
}

/* Takes a node that has no children out of the table, and the directories above it that were only
 * waiting for that. */
static void drop_locked(struct cairn_nodes *nodes, struct cairn_node *node)
{
	while (node->dir && node->forgotten && node->children == 0) {
		struct cairn_node *dir = node->dir;

		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the node is in the table */
		HASH_DEL(nodes->table, node);
		free_node(node);
		dir->children--;
		node = dir;
	}
}

int cairn_nodes_init(struct cairn_nodes *nodes, uint64_t root)
{
	struct cairn_node *node = calloc(1, sizeof(*node) + 1);

	*nodes = (struct cairn_nodes){ .linger = CAIRN_NODE_LINGER };
	pthread_mutex_init(&nodes->lock, NULL);
	if (!node)
		return -ENOMEM;
	node->ino = root;
	node->name = node->space;
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
		free_node(node);
	}
	pthread_mutex_destroy(&nodes->lock);
}

static bool stands_at(const struct cairn_node *node, const struct cairn_node *dir, const char *name,
		      size_t len)
{
	return node->dir == dir && node->name_len == len && memcmp(node->name, name, len) == 0;
}

/* Whether `node` is `dir` or one of the directories above it. */
static bool is_above(const struct cairn_node *node, const struct cairn_node *dir)
{
	while (dir && dir != node)
		dir = dir->dir;
	return dir;
}

static int set_name(struct cairn_node *node, const char *name, size_t len)
{
	char *to = node->space;

	if (len > node->space_len) {
		to = malloc(len + 1);
		if (!to)
			return -ENOMEM;
	}
	memcpy(to, name, len);
	to[len] = '\0';
	if (node->name != node->space)
		free(node->name);
	node->name = to;
	node->name_len = (uint8_t)len;
	return 0;
}

static int add_locked(struct cairn_nodes *nodes, struct cairn_node *dir, const char *name,
		      size_t len, uint64_t ino, struct cairn_node **ret)
{
	struct cairn_node *node = calloc(1, sizeof(*node) + len + 1);

	if (!node)
		return -ENOMEM;
	node->ino = ino;
	node->dir = dir;
	node->name = node->space;
	node->space_len = (uint8_t)len;
	(void)set_name(node, name, len); /* there is room */
	if (!insert_locked(nodes, node)) {
		free(node);
		return -ENOMEM;
	}
	dir->children++;
	*ret = node;
	return 0;
}

static int move_locked(struct cairn_nodes *nodes, struct cairn_node *node, struct cairn_node *dir,
		       const char *name, size_t len)
{
	struct cairn_node *old = node->dir;
	int r;

	r = set_name(node, name, len);
	if (r < 0)
		return r;
	dir->children++;
	node->dir = dir;
	old->children--;
	drop_locked(nodes, old);
	return 0;
}

static int give_locked(struct cairn_nodes *nodes, uint64_t dir_ino, const char *name, size_t len,
		       uint64_t ino, uint32_t type)
{
	struct cairn_node *dir = find_locked(nodes, dir_ino), *node = find_locked(nodes, ino);
	int r = 0;

	if (!dir)
		return -ENOENT;
	if (node && !node->dir)
		return 0;
	if (!node)
		r = add_locked(nodes, dir, name, len, ino, &node);
	else if (!stands_at(node, dir, name, len) && !is_above(node, dir))
		r = move_locked(nodes, node, dir, name, len);
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

	if (!node || now() - node->given < nodes->linger)
		return;
	node->forgotten = true;
	drop_locked(nodes, node);
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
	const struct cairn_node *node;
	int r = -ENOENT;

	pthread_mutex_lock(&nodes->lock);
	node = find_locked(nodes, ino);
	if (node && node->dir) {
		*ret_dir = node->dir->ino;
		memcpy(ret_name, node->name, node->name_len + 1U);
		r = 0;
	}
	pthread_mutex_unlock(&nodes->lock);
	return r;
}

/* "/" for the root. No directory is its own ancestor, so it comes to an end. */
static char *make_path(const struct cairn_node *node)
{
	size_t len = node->dir ? 0 : 1;
	char *path, *at;

	for (const struct cairn_node *step = node; step->dir; step = step->dir)
		len += step->name_len + 1U;
	path = malloc(len + 1);
	if (!path)
		return NULL;
	at = path + len;
	*at = '\0';
	if (!node->dir)
		*--at = '/';
	for (; node->dir; node = node->dir) {
		at -= node->name_len;
		memcpy(at, node->name, node->name_len);
		*--at = '/';
	}
	return path;
}

int cairn_node_locate(struct cairn_nodes *nodes, uint64_t ino, char **ret, uint32_t *ret_type)
{
	const struct cairn_node *node;
	char *path = NULL;
	uint32_t type = 0;

	pthread_mutex_lock(&nodes->lock);
	node = find_locked(nodes, ino);
	if (node) {
		path = make_path(node);
		type = (uint32_t)node->type << 12;
	}
	pthread_mutex_unlock(&nodes->lock);
	if (!path)
		return node ? -ENOMEM : -ENOENT;
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
