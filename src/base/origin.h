/* The origins of an overlay: which inode of the branch stands for which number of the merged tree,
 * and what it has of the base. All of cairn_origin, in memory: as large as what was changed.
 *
 * A number of the merged tree is
 *
 *	n + CAIRN_LAYER_STEP	node n of the base, copied up or not
 *	CAIRN_ALIAS_FIRST + k	a node of the base whose own number stands for something else by
 *				now: for what was copied up from a file that has made way since
 *	any below		an inode that the branch made, by its row; or its heir, a node of
 *				the base that took over the number with the row's contents: an
 *				alias, too
 *	CAIRN_ROOT_INO		the root of both; it has an origin when it was copied up
 *
 * The writer adds an origin before its transaction commits: a row of the branch that a reader sees
 *is never taken for a number of its own. It counts (`live`) from the commit on; a reader that finds
 *the origin and not the row yet asks the base, and that is still right. Where its data end changes
 *at the commit, too: a reader that looks here before it looks at the rows never sees the new end
 *with the old rows. (That the new rows are seen with the old end does no harm: until after the
 *commit the core covers the difference with what it holds in memory.)
 *
 * An origin is never freed while the overlay is open, so that a pointer may be used without a lock.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "store/branch.h"
#include "util/hash.h"

/* Higher than the numbers of CAIRN_BASE_DEPTH_MAX overlays, and with room for as many steps. */
#define CAIRN_ALIAS_FIRST (UINT64_C(0x40) << 56)
#define CAIRN_ALIAS_LAST  (CAIRN_ALIAS_FIRST + CAIRN_LAYER_STEP - 1)

/* What a path in the base led to. */
struct cairn_origin_target {
	uint64_t generation; /* of the base, when it did; 0: not looked yet */
	uint64_t node;       /* 0: to nothing */
	uint32_t mode;
};

struct cairn_origin_node {
	uint64_t merged; /* fixed */
	UT_hash_handle hh_merged, hh_delta, hh_alias;
	/* Guarded by origins.lock and changed by the writer alone, but for the last two. */
	uint64_t delta;    /* the row; 0: none */
	bool live;         /* the row is committed and stays */
	const char *path;  /* in the base; "": nothing of it. Not freed before the end */
	int64_t data_end;  /* as in struct cairn_origin */
	uint64_t alias_of; /* the node of the base that an alias was made for; 0: this is none */
	struct cairn_origin_target target;
	/* The writer's own, for the transaction under way: */
	bool pending; /* listed in origins.pending */
	bool removed; /* the row goes */
	int64_t new_end;
	struct {
		uint64_t delta;
		bool live;
		const char *path;
	} before;
	struct cairn_origin_node *next; /* in pending or gone */
};

/* A copy of what is guarded, taken at one moment. */
struct cairn_origin_view {
	struct cairn_origin_node *node; /* NULL: the number has no origin */
	uint64_t delta;                 /* for readers: 0 unless live */
	const char *path;
	int64_t data_end;
	uint64_t alias_of;
};

struct cairn_origins {
	pthread_rwlock_t lock;
	struct cairn_origin_node *by_merged, *by_delta, *by_alias;
	uint64_t next_alias;
	/* The writer's: */
	struct cairn_origin_node *pending;
	/* Their rows went with the last commit; a scan that began before it may still meet them. */
	struct cairn_origin_node *gone;
	char **graveyard; /* paths that were replaced */
	size_t graves, graves_capacity;
};

int cairn_origins_init(struct cairn_origins *origins);
void cairn_origins_destroy(struct cairn_origins *origins);

/* Takes what the branch's table holds in the place of what was known: for the opening, and when
 * another process has changed it. The writer, with nothing pending. */
int cairn_origins_load(struct cairn_origins *origins, const struct cairn_branch_ops *ops,
		       struct cairn_reader *reader);

struct cairn_origin_view cairn_origin_find(struct cairn_origins *origins, uint64_t merged);
/* The number that a row of the branch is shown as. -EIO for a row beyond the numbers of a layer. */
int cairn_origin_shown(struct cairn_origins *origins, uint64_t delta, uint64_t *ret);

/* What the path of an origin leads to, as it was learned last. */
struct cairn_origin_target cairn_origin_target(struct cairn_origins *origins,
					       const struct cairn_origin_node *node);
void cairn_origin_learn(struct cairn_origins *origins, struct cairn_origin_node *node,
			const struct cairn_origin_target *target);

/* The number of the alias of a node of the base; `make` where there is none. -ENOENT, -ENOMEM. */
int cairn_origin_alias(struct cairn_origins *origins, uint64_t node, bool make, uint64_t *ret);

/* Makes a number of the branch, whose row is gone, that of a node of the base; not where that has
 * an alias already. -ENOMEM. */
int cairn_origin_inherit(struct cairn_origins *origins, uint64_t ino, uint64_t node);

/* The writer, in a transaction: what is to be at its commit. */
/* The origin of a number that has a row now, or will have at the commit; else NULL. */
struct cairn_origin_node *cairn_origin_of(struct cairn_origins *origins, uint64_t merged);
/* A row was added for a number. The path is copied. -ENOMEM. */
int cairn_origin_add(struct cairn_origins *origins, uint64_t merged, uint64_t delta,
		     const char *path, int64_t data_end);
static inline int64_t cairn_origin_end(const struct cairn_origin_node *node)
{
	return node->pending ? node->new_end : node->data_end;
}
void cairn_origin_set_end(struct cairn_origins *origins, struct cairn_origin_node *node,
			  int64_t data_end);
void cairn_origin_remove(struct cairn_origins *origins, struct cairn_origin_node *node);
void cairn_origins_committed(struct cairn_origins *origins);
void cairn_origins_rolled_back(struct cairn_origins *origins);
