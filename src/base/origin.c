#include "base/origin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/macro.h"

int cairn_origins_init(struct cairn_origins *origins)
{
	*origins = (struct cairn_origins){ .next_alias = CAIRN_ALIAS_FIRST };
	return -pthread_rwlock_init(&origins->lock, NULL);
}

void cairn_origins_destroy(struct cairn_origins *origins)
{
	struct cairn_origin_node *node, *next;

	HASH_CLEAR(hh_delta, origins->by_delta);
	HASH_CLEAR(hh_alias, origins->by_alias);
	HASH_ITER (hh_merged, origins->by_merged, node, next) {
		HASH_DELETE(hh_merged, origins->by_merged, node);
		free((char *)node->path);
		free(node);
	}
	for (size_t i = 0; i < origins->graves; i++)
		free(origins->graveyard[i]);
	free(origins->graveyard);
	pthread_rwlock_destroy(&origins->lock);
}

static struct cairn_origin_node *find_locked(struct cairn_origins *origins, uint64_t merged)
{
	struct cairn_origin_node *node;

	HASH_FIND(hh_merged, origins->by_merged, &merged, sizeof(merged), node);
	return node;
}

static struct cairn_origin_node *get_locked(struct cairn_origins *origins, uint64_t merged)
{
	struct cairn_origin_node *node = find_locked(origins, merged);

	if (node)
		return node;
	node = calloc(1, sizeof(*node));
	if (!node)
		return NULL;
	node->merged = merged;
	node->path = strdup("");
	if (node->path)
		HASH_ADD(hh_merged, origins->by_merged, merged, sizeof(node->merged), node);
	if (!node->path || !node->hh_merged.tbl) {
		free((char *)node->path);
		free(node);
		return NULL;
	}
	return node;
}

static int bury_locked(struct cairn_origins *origins, const char *path)
{
	if (origins->graves == origins->graves_capacity) {
		size_t capacity = origins->graves_capacity ? 2 * origins->graves_capacity : 16;
		void *graveyard = reallocarray(origins->graveyard, capacity, sizeof(char *));

		if (!graveyard)
			return -ENOMEM;
		origins->graveyard = graveyard;
		origins->graves_capacity = capacity;
	}
	origins->graveyard[origins->graves++] = (char *)path;
	return 0;
}

/* Others may be reading the old path, and a rollback may want it back. */
static int set_path_locked(struct cairn_origins *origins, struct cairn_origin_node *node,
			   const char *path)
{
	char *copy;

	if (strcmp(node->path, path) == 0)
		return 0;
	copy = strdup(path);
	if (!copy || bury_locked(origins, node->path) < 0) {
		free(copy);
		return -ENOMEM;
	}
	node->path = copy;
	node->target.generation = 0;
	return 0;
}

static void unhash_row_locked(struct cairn_origins *origins, struct cairn_origin_node *node)
{
	if (node->delta)
		HASH_DELETE(hh_delta, origins->by_delta, node);
	node->delta = 0;
}

static int hash_row_locked(struct cairn_origins *origins, struct cairn_origin_node *node,
			   uint64_t delta)
{
	node->delta = delta;
	HASH_ADD(hh_delta, origins->by_delta, delta, sizeof(node->delta), node);
	if (!node->hh_delta.tbl) {
		node->delta = 0;
		return -ENOMEM;
	}
	return 0;
}

/* The number of an origin as its row has it; where that cannot be, the inode's own. Two of one
 * number are damage: the second is numbered by itself. */
static uint64_t number_of(struct cairn_origins *origins, const struct cairn_origin *origin)
{
	const struct cairn_origin_node *taken, *heir;
	uint64_t merged;

	if (origin->base_ino == 0 || origin->base_ino > CAIRN_INO_MAX - CAIRN_LAYER_STEP)
		return origin->delta_ino;
	HASH_FIND(hh_alias, origins->by_alias, &origin->base_ino, sizeof(origin->base_ino), heir);
	merged = heir && heir->merged < CAIRN_LAYER_STEP ? heir->merged
							 : origin->base_ino + CAIRN_LAYER_STEP;
	taken = find_locked(origins, merged);
	return taken && taken->live ? origin->delta_ino : merged;
}

/* The root stands for the root of the base whatever is said of it. */
static int load_row(void *arg, const struct cairn_origin *origin)
{
	struct cairn_origins *origins = arg;
	bool is_root = origin->delta_ino == CAIRN_ROOT_INO;
	struct cairn_origin_node *node;
	int r;

	if (origin->delta_ino == 0 || origin->delta_ino >= CAIRN_LAYER_STEP)
		return 0;
	node = get_locked(origins, is_root ? CAIRN_ROOT_INO : number_of(origins, origin));
	if (!node)
		return -ENOMEM;
	r = set_path_locked(origins, node, is_root ? "/" : origin->path);
	if (r == 0)
		r = hash_row_locked(origins, node, origin->delta_ino);
	if (r < 0)
		return r;
	node->data_end = origin->data_end;
	node->live = true;
	return 0;
}

int cairn_origins_load(struct cairn_origins *origins, const struct cairn_branch_ops *ops,
		       struct cairn_reader *reader)
{
	struct cairn_origin_node *node, *next;
	int r;

	pthread_rwlock_wrlock(&origins->lock);
	HASH_CLEAR(hh_delta, origins->by_delta);
	HASH_ITER (hh_merged, origins->by_merged, node, next) {
		node->live = false;
		node->delta = 0;
	}
	origins->gone = NULL;
	r = ops->origin_scan(reader, load_row, origins);
	pthread_rwlock_unlock(&origins->lock);
	return r;
}

struct cairn_origin_view cairn_origin_find(struct cairn_origins *origins, uint64_t merged)
{
	struct cairn_origin_view view = { 0 };

	pthread_rwlock_rdlock(&origins->lock);
	view.node = find_locked(origins, merged);
	if (view.node) {
		view.delta = view.node->live ? view.node->delta : 0;
		view.path = view.node->path;
		view.data_end = view.node->data_end;
		view.alias_of = view.node->alias_of;
	}
	pthread_rwlock_unlock(&origins->lock);
	return view;
}

int cairn_origin_shown(struct cairn_origins *origins, uint64_t delta, uint64_t *ret)
{
	struct cairn_origin_node *node;

	if (delta >= CAIRN_LAYER_STEP)
		return -EIO;
	pthread_rwlock_rdlock(&origins->lock);
	HASH_FIND(hh_delta, origins->by_delta, &delta, sizeof(delta), node);
	*ret = node ? node->merged : delta;
	pthread_rwlock_unlock(&origins->lock);
	return 0;
}

struct cairn_origin_target cairn_origin_target(struct cairn_origins *origins,
					       const struct cairn_origin_node *node)
{
	struct cairn_origin_target target;

	pthread_rwlock_rdlock(&origins->lock);
	target = node->target;
	pthread_rwlock_unlock(&origins->lock);
	return target;
}

void cairn_origin_learn(struct cairn_origins *origins, struct cairn_origin_node *node,
			const struct cairn_origin_target *target)
{
	pthread_rwlock_wrlock(&origins->lock);
	node->target = *target;
	pthread_rwlock_unlock(&origins->lock);
}

static int hash_alias_locked(struct cairn_origins *origins, struct cairn_origin_node *node,
			     uint64_t of)
{
	node->alias_of = of;
	HASH_ADD(hh_alias, origins->by_alias, alias_of, sizeof(node->alias_of), node);
	if (node->hh_alias.tbl)
		return 0;
	node->alias_of = 0;
	return -ENOMEM;
}

int cairn_origin_inherit(struct cairn_origins *origins, uint64_t ino, uint64_t node)
{
	struct cairn_origin_node *found, *heir;
	int r = 0;

	if (ino <= CAIRN_ROOT_INO || ino >= CAIRN_LAYER_STEP)
		return 0;
	pthread_rwlock_wrlock(&origins->lock);
	HASH_FIND(hh_alias, origins->by_alias, &node, sizeof(node), found);
	heir = found ? NULL : get_locked(origins, ino);
	if (heir && !heir->alias_of && !heir->delta)
		r = hash_alias_locked(origins, heir, node);
	else if (!heir && !found)
		r = -ENOMEM;
	pthread_rwlock_unlock(&origins->lock);
	return r;
}

static int make_alias_locked(struct cairn_origins *origins, uint64_t of, uint64_t *ret)
{
	struct cairn_origin_node *node;
	int r;

	while (find_locked(origins, origins->next_alias))
		origins->next_alias++;
	if (origins->next_alias > CAIRN_ALIAS_LAST)
		return -ENOSPC;
	node = get_locked(origins, origins->next_alias++);
	if (!node)
		return -ENOMEM;
	r = hash_alias_locked(origins, node, of);
	if (r < 0)
		return r;
	*ret = node->merged;
	return 0;
}

int cairn_origin_alias(struct cairn_origins *origins, uint64_t node, bool make, uint64_t *ret)
{
	struct cairn_origin_node *found;
	int r = -ENOENT;

	pthread_rwlock_wrlock(&origins->lock);
	HASH_FIND(hh_alias, origins->by_alias, &node, sizeof(node), found);
	if (found) {
		*ret = found->merged;
		r = 0;
	} else if (make) {
		r = make_alias_locked(origins, node, ret);
	}
	pthread_rwlock_unlock(&origins->lock);
	return r;
}

struct cairn_origin_node *cairn_origin_of(struct cairn_origins *origins, uint64_t merged)
{
	struct cairn_origin_node *node;

	pthread_rwlock_rdlock(&origins->lock);
	node = find_locked(origins, merged);
	if (node && (node->pending ? node->removed : !node->live))
		node = NULL;
	pthread_rwlock_unlock(&origins->lock);
	return node;
}

static void make_pending_locked(struct cairn_origins *origins, struct cairn_origin_node *node)
{
	if (node->pending)
		return;
	node->pending = true;
	node->removed = false;
	node->new_end = node->data_end;
	node->before.delta = node->live ? node->delta : 0;
	node->before.live = node->live;
	node->before.path = node->path;
	node->next = origins->pending;
	origins->pending = node;
}

static void remove_gone_locked(struct cairn_origins *origins, struct cairn_origin_node *node)
{
	struct cairn_origin_node **p = &origins->gone;

	while (*p && *p != node)
		p = &(*p)->next;
	if (*p)
		*p = node->next;
}

int cairn_origin_add(struct cairn_origins *origins, uint64_t merged, uint64_t delta,
		     const char *path, int64_t data_end)
{
	struct cairn_origin_node *node;
	int r = -ENOMEM;

	pthread_rwlock_wrlock(&origins->lock);
	node = get_locked(origins, merged);
	if (node) {
		remove_gone_locked(origins, node);
		make_pending_locked(origins, node);
		unhash_row_locked(origins, node);
		node->live = false;
		node->removed = false;
		node->new_end = data_end;
		r = set_path_locked(origins, node, path);
		if (r == 0)
			r = hash_row_locked(origins, node, delta);
	}
	pthread_rwlock_unlock(&origins->lock);
	return r;
}

void cairn_origin_set_end(struct cairn_origins *origins, struct cairn_origin_node *node,
			  int64_t data_end)
{
	pthread_rwlock_wrlock(&origins->lock);
	make_pending_locked(origins, node);
	node->new_end = data_end;
	pthread_rwlock_unlock(&origins->lock);
}

void cairn_origin_remove(struct cairn_origins *origins, struct cairn_origin_node *node)
{
	pthread_rwlock_wrlock(&origins->lock);
	make_pending_locked(origins, node);
	node->removed = true;
	pthread_rwlock_unlock(&origins->lock);
}

void cairn_origins_committed(struct cairn_origins *origins)
{
	struct cairn_origin_node *node;

	if (!origins->pending && !origins->gone)
		return;
	pthread_rwlock_wrlock(&origins->lock);
	while ((node = origins->gone) != NULL) {
		origins->gone = node->next;
		unhash_row_locked(origins, node);
	}
	while ((node = origins->pending) != NULL) {
		origins->pending = node->next;
		node->pending = false;
		node->live = !node->removed;
		node->data_end = node->new_end;
		if (node->removed) {
			node->next = origins->gone;
			origins->gone = node;
		}
	}
	pthread_rwlock_unlock(&origins->lock);
}

/* Rows that were there before are hashed again; there is memory for that: they were. */
void cairn_origins_rolled_back(struct cairn_origins *origins)
{
	struct cairn_origin_node *node;

	if (!origins->pending)
		return;
	pthread_rwlock_wrlock(&origins->lock);
	while ((node = origins->pending) != NULL) {
		origins->pending = node->next;
		node->pending = false;
		node->removed = false;
		if (node->delta != node->before.delta) {
			unhash_row_locked(origins, node);
			if (node->before.delta)
				(void)hash_row_locked(origins, node, node->before.delta);
		}
		node->live = node->before.live && node->delta;
		if (node->path != node->before.path && node->before.live)
			(void)set_path_locked(origins, node, node->before.path);
	}
	pthread_rwlock_unlock(&origins->lock);
}
