/* Which number a file of the host has.
 *
 * In the file system of the root it is simply the host's, which costs nothing and is the same in
 * every process. Behind a mount, on another device (a subvolume), or where the host's number is too
 * large, it is one of the upper half of the range, kept in a table as long as the node. A mount
 * seen at two places is two, so that no directory lies in itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/dir.h"
#include "util/hash.h"

/* Numbers from here to CAIRN_LAYER_STEP are those of the table. */
#define ODD_FIRST (CAIRN_LAYER_STEP / 2)

struct cairn_dir_odd {
	UT_hash_handle by_id, by_number;
	struct cairn_dir_id id;
	uint64_t number;
};

struct cairn_dir_id cairn_dir_id(const struct statx *stx)
{
	return (struct cairn_dir_id){
		.ino = stx->stx_ino,
		.mount = stx->stx_mask & STATX_MNT_ID ? stx->stx_mnt_id : 0,
		.dev = (uint64_t)stx->stx_dev_major << 32 | stx->stx_dev_minor,
	};
}

bool cairn_dir_id_equal(const struct cairn_dir_id *a, const struct cairn_dir_id *b)
{
	return a->ino == b->ino && a->mount == b->mount && a->dev == b->dev;
}

static bool is_plain(const struct cairn_dir_numbers *numbers, const struct cairn_dir_id *id)
{
	return id->mount == numbers->root.mount && id->dev == numbers->root.dev && id->ino > 0 &&
	       id->ino < ODD_FIRST;
}

static struct cairn_dir_odd *find_id(const struct cairn_dir_numbers *numbers,
				     const struct cairn_dir_id *id)
{
	struct cairn_dir_odd *odd;

	HASH_FIND(by_id, numbers->by_id, id, sizeof(*id), odd);
	return odd;
}

static struct cairn_dir_odd *find_number(const struct cairn_dir_numbers *numbers, uint64_t number)
{
	struct cairn_dir_odd *odd;

	HASH_FIND(by_number, numbers->by_number, &number, sizeof(number), odd);
	return odd;
}

/* A free number, the same in every process as long as two do not want the same. The finalizer of
 * SplitMix64 (Steele, Lea and Flood, 2014). */
static uint64_t choose(const struct cairn_dir_numbers *numbers, const struct cairn_dir_id *id)
{
	uint64_t x = id->ino + 0x9e3779b97f4a7c15U * (id->dev + 1);

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
	x = (x ^ x >> 27) * 0x94d049bb133111ebU;
	x ^= x >> 31;
	while (find_number(numbers, ODD_FIRST + x % ODD_FIRST))
		x++;
	return ODD_FIRST + x % ODD_FIRST;
}

static int add_odd(struct cairn_dir_numbers *numbers, const struct cairn_dir_id *id,
		   struct cairn_dir_odd **ret)
{
	struct cairn_dir_odd *odd = calloc(1, sizeof(*odd));

	if (!odd)
		return -ENOMEM;
	odd->id = *id;
	odd->number = choose(numbers, id);
	HASH_ADD(by_id, numbers->by_id, id, sizeof(odd->id), odd);
	if (!odd->by_id.tbl) {
		free(odd);
		return -ENOMEM;
	}
	HASH_ADD(by_number, numbers->by_number, number, sizeof(odd->number), odd);
	if (!odd->by_number.tbl) {
		HASH_DELETE(by_id, numbers->by_id, odd);
		free(odd);
		return -ENOMEM;
	}
	*ret = odd;
	return 0;
}

static void remove_odd(struct cairn_dir_numbers *numbers, struct cairn_dir_odd *odd)
{
	HASH_DELETE(by_id, numbers->by_id, odd);
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is in both tables */
	HASH_DELETE(by_number, numbers->by_number, odd);
	free(odd);
}

void cairn_dir_numbers_init(struct cairn_dir_numbers *numbers)
{
	*numbers = (struct cairn_dir_numbers){ 0 };
	pthread_mutex_init(&numbers->lock, NULL);
}

void cairn_dir_numbers_destroy(struct cairn_dir_numbers *numbers)
{
	struct cairn_dir_odd *odd, *next;

	HASH_ITER (by_id, numbers->by_id, odd, next)
		remove_odd(numbers, odd);
	pthread_mutex_destroy(&numbers->lock);
}

/* The root is never looked up, so any number will do that nothing else can have. */
uint64_t cairn_dir_number_root(const struct cairn_dir_numbers *numbers)
{
	return is_plain(numbers, &numbers->root) ? numbers->root.ino : ODD_FIRST - 1;
}

/* Under the lock from choosing the number to giving it out: forgetting the node takes it away. */
static int give_odd(struct dir_base *b, uint64_t dir, const char *name, size_t len,
		    const struct cairn_dir_id *id, uint32_t type, uint64_t *ret)
{
	struct cairn_dir_numbers *numbers = &b->numbers;
	struct cairn_dir_odd *odd;
	int r = 0;

	pthread_mutex_lock(&numbers->lock);
	odd = find_id(numbers, id);
	if (!odd)
		r = add_odd(numbers, id, &odd);
	if (r == 0)
		r = cairn_node_give(&b->nodes, dir, name, len, odd->number, type);
	if (r == 0)
		*ret = odd->number;
	pthread_mutex_unlock(&numbers->lock);
	return r;
}

int cairn_dir_number_give(struct dir_base *b, uint64_t dir, const char *name, size_t len,
			  const struct cairn_dir_id *id, uint32_t type, uint64_t *ret)
{
	if (!is_plain(&b->numbers, id))
		return give_odd(b, dir, name, len, id, type, ret);
	*ret = id->ino;
	return cairn_node_give(&b->nodes, dir, name, len, id->ino, type);
}

bool cairn_dir_number_is(struct cairn_dir_numbers *numbers, uint64_t ino,
			 const struct cairn_dir_id *id)
{
	const struct cairn_dir_odd *odd;
	bool same;

	if (cairn_dir_id_equal(id, &numbers->root))
		return ino == cairn_dir_number_root(numbers);
	if (is_plain(numbers, id))
		return ino == id->ino;
	pthread_mutex_lock(&numbers->lock);
	odd = find_id(numbers, id);
	same = odd && odd->number == ino;
	pthread_mutex_unlock(&numbers->lock);
	return same;
}

void cairn_dir_number_forget(struct dir_base *b, uint64_t ino)
{
	struct cairn_dir_odd *odd;
	uint32_t type;

	if (ino < ODD_FIRST) {
		cairn_node_forget(&b->nodes, ino);
		return;
	}
	pthread_mutex_lock(&b->numbers.lock);
	cairn_node_forget(&b->nodes, ino);
	odd = find_number(&b->numbers, ino);
	if (odd && cairn_node_type(&b->nodes, ino, &type) < 0)
		remove_odd(&b->numbers, odd);
	pthread_mutex_unlock(&b->numbers.lock);
}
