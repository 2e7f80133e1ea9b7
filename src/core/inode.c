#include "core/inode.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "core/data.h"
#include "core/internal.h"

/* Clean inodes that stay in core for the next use; about 400 bytes each. */
#define IDLE_MAX 16384U

int cairn_icache_init(struct cairn_icache *cache)
{
	*cache = (struct cairn_icache){ .idle_max = IDLE_MAX };
	return cairn_mutex_init(&cache->lock, CAIRN_LOCK_LEAF);
}

static struct cairn_inode *inode_alloc(uint64_t ino)
{
	struct cairn_inode *inode = calloc(1, sizeof(*inode));

	if (!inode)
		return NULL;
	inode->ino = ino;
	inode->refs = 1;
	cairn_rwlock_init(&inode->lock, CAIRN_LOCK_INODE, ino);
	return inode;
}

static void inode_free(struct cairn_inode *inode)
{
	assert(!inode->delta[0] && !inode->delta[1]);
	cairn_listing_free(inode->listing);
	cairn_rwlock_destroy(&inode->lock);
	free(inode);
}

void cairn_icache_destroy(struct cairn_icache *cache)
{
	struct cairn_inode *inode, *next;

	DL_FOREACH_SAFE (cache->idle, inode, next) {
		HASH_DEL(cache->table, inode);
		inode_free(inode);
	}
	assert(!cache->table);
	cairn_mutex_destroy(&cache->lock);
}

static struct cairn_inode *find_locked(struct cairn_icache *cache, uint64_t ino)
{
	struct cairn_inode *inode;

	HASH_FIND(hh, cache->table, &ino, sizeof(ino), inode);
	if (inode && inode->refs++ == 0) {
		DL_DELETE(cache->idle, inode);
		cache->idle_count--;
	}
	return inode;
}

static bool insert_locked(struct cairn_icache *cache, struct cairn_inode *inode)
{
	HASH_ADD(hh, cache->table, ino, sizeof(inode->ino), inode);
	inode->hashed = inode->hh.tbl;
	return inode->hashed;
}

static void unhash_locked(struct cairn_icache *cache, struct cairn_inode *inode)
{
	HASH_DEL(cache->table, inode);
	inode->hashed = false;
}

/* Takes the least recently used inodes out of the cache until `max` are left; returns them as a
 * list. */
static struct cairn_inode *shrink_locked(struct cairn_icache *cache, unsigned int max)
{
	struct cairn_inode *victims = NULL;

	while (cache->idle && cache->idle_count > max) {
		struct cairn_inode *last = cache->idle->prev; /* the tail, as utlist keeps it */

		/* NOLINTBEGIN(clang-analyzer-core.NullDereference): the list has a tail */
		DL_DELETE(cache->idle, last);
		cache->idle_count--;
		HASH_DEL(cache->table, last);
		/* NOLINTEND(clang-analyzer-core.NullDereference) */
		LL_PREPEND(victims, last);
	}
	return victims;
}

static void free_victims(struct cairn_core *core, struct cairn_inode *victims)
{
	struct cairn_inode *inode, *next;

	LL_FOREACH_SAFE (victims, inode, next) {
		cairn_listing_forget(&core->listings, inode);
		cairn_forget_listing(core, inode->listing);
		inode_free(inode);
	}
}

void cairn_inode_ref(struct cairn_core *core, struct cairn_inode *inode)
{
	cairn_mutex_lock(&core->icache.lock);
	assert(inode->refs > 0);
	inode->refs++;
	cairn_mutex_unlock(&core->icache.lock);
}

void cairn_inode_unref(struct cairn_core *core, struct cairn_inode *inode)
{
	struct cairn_icache *cache = &core->icache;
	struct cairn_inode *victims = NULL;

	cairn_mutex_lock(&cache->lock);
	assert(inode->refs > 0);
	if (--inode->refs == 0) {
		if (inode->dead && inode->hashed)
			unhash_locked(cache, inode);
		if (inode->hashed) {
			DL_PREPEND(cache->idle, inode);
			cache->idle_count++;
			victims = shrink_locked(cache, cache->idle_max);
		} else {
			LL_PREPEND(victims, inode);
		}
	}
	cairn_mutex_unlock(&cache->lock);

	free_victims(core, victims);
}

void cairn_icache_drop_idle(struct cairn_core *core)
{
	struct cairn_icache *cache = &core->icache;
	struct cairn_inode *victims;

	cairn_mutex_lock(&cache->lock);
	victims = shrink_locked(cache, 0);
	cairn_mutex_unlock(&cache->lock);
	free_victims(core, victims);
}

int cairn_icache_used(struct cairn_core *core, struct cairn_inode ***ret, size_t *ret_count)
{
	struct cairn_icache *cache = &core->icache;
	struct cairn_inode *inode, *next, **used;
	size_t count = 0;

	cairn_mutex_lock(&cache->lock);
	used = reallocarray(NULL, HASH_COUNT(cache->table) + 1, sizeof(struct cairn_inode *));
	if (used) {
		HASH_ITER (hh, cache->table, inode, next) {
			if (inode->refs == 0)
				continue;
			inode->refs++;
			used[count++] = inode;
		}
	}
	cairn_mutex_unlock(&cache->lock);
	if (!used)
		return -ENOMEM;
	*ret = used;
	*ret_count = count;
	return 0;
}

bool cairn_icache_is_used(struct cairn_core *core, uint64_t ino)
{
	struct cairn_icache *cache = &core->icache;
	struct cairn_inode *inode;
	bool used;

	cairn_mutex_lock(&cache->lock);
	HASH_FIND(hh, cache->table, &ino, sizeof(ino), inode);
	used = inode && inode->refs > 0;
	cairn_mutex_unlock(&cache->lock);
	return used;
}

static int read_attr(struct cairn_core *core, uint64_t ino, struct cairn_attr *ret)
{
	_cleanup_(cairn_readingp) struct cairn_reading reading = { 0 };
	int r;

	r = cairn_reading(&core->readers, &reading);
	if (r < 0)
		return r;
	return core->store->ops->inode_get(reading.reader, ino, ret);
}

/* A peer stores the length of a symbolic link's target in other units than bytes: measure it. */
static int load_symlink_size(struct cairn_core *core, struct cairn_inode *inode)
{
	_cleanup_(cairn_readingp) struct cairn_reading reading = { 0 };
	_cleanup_(cairn_freep) char *target = NULL;
	struct cairn_attr attr;
	int r;

	r = cairn_reading(&core->readers, &reading);
	if (r < 0)
		return r;
	r = core->store->ops->symlink_get(reading.reader, inode->ino, &target);
	if (r == -ENOENT) {
		/* Damage, unless all of it has just gone elsewhere. */
		r = core->store->ops->inode_get(reading.reader, inode->ino, &attr);
		return r < 0 ? r : -EIO;
	}
	if (r < 0)
		return r;
	inode->attr.size = (int64_t)strlen(target);
	return 0;
}

static bool hint_holds(struct cairn_core *core, const struct cairn_attr_hint *hint)
{
	return hint && hint->attr && hint->commits == atomic_load(&core->commits);
}

/* A file of one chunk is taken to have it: looking costs more than the answer is worth. */
static bool needs_count(const struct cairn_core *core, const struct cairn_attr *attr)
{
	return S_ISREG(attr->mode) && attr->size > (int64_t)core->store->chunk_size;
}

int cairn_inode_attr(struct cairn_core *core, struct cairn_inode *inode, struct cairn_attr *ret)
{
	int64_t allocated = atomic_load(&inode->allocated);
	int r;

	if (allocated < 0) {
		r = cairn_data_allocated(core, inode, &allocated);
		if (r < 0)
			return r;
		atomic_store(&inode->allocated, allocated);
	}
	*ret = inode->attr;
	ret->allocated = allocated;
	return 0;
}

struct cairn_attr cairn_inode_changed_attr(struct cairn_core *core, struct cairn_inode *inode)
{
	struct cairn_attr attr;

	if (cairn_inode_attr(core, inode, &attr) < 0) {
		attr = inode->attr;
		attr.allocated = attr.size;
	}
	return attr;
}

/* Fills an inode that is in the table already, so that nobody can change it meanwhile: they
 * wait for the lock that we hold. That is also why the hint is judged only here. */
static int load(struct cairn_core *core, struct cairn_inode *inode,
		const struct cairn_attr_hint *hint)
{
	int r;

	if (hint_holds(core, hint)) {
		inode->attr = *hint->attr;
	} else {
		r = read_attr(core, inode->ino, &inode->attr);
		if (r < 0)
			return r;
	}
	if (S_ISLNK(inode->attr.mode)) {
		r = load_symlink_size(core, inode);
		if (r < 0)
			return r;
	}
	inode->allocated = needs_count(core, &inode->attr) ? -1 : inode->attr.size;
	/* A peer may store 0 for an inode that has names: count before trusting it. */
	if (inode->attr.nlink == 0 && !cairn_pin_is_orphan(&core->pins, inode->ino)) {
		inode->recount = !S_ISDIR(inode->attr.mode);
		inode->attr.nlink = 1;
	}
	return 0;
}

static int insert_and_load(struct cairn_core *core, uint64_t ino,
			   const struct cairn_attr_hint *hint, struct cairn_inode **ret)
{
	struct cairn_inode *inode = inode_alloc(ino), *other;
	bool inserted = false;
	int r;

	if (!inode)
		return -ENOMEM;
	cairn_rwlock_wrlock_new(&inode->lock);

	cairn_mutex_lock(&core->icache.lock);
	other = find_locked(&core->icache, ino);
	if (!other)
		inserted = insert_locked(&core->icache, inode);
	cairn_mutex_unlock(&core->icache.lock);

	if (!inserted) {
		cairn_rwlock_unlock(&inode->lock);
		inode_free(inode);
		if (!other)
			return -ENOMEM;
		*ret = other;
		return 0;
	}

	r = load(core, inode, hint);
	inode->error = r;
	if (r < 0) {
		cairn_mutex_lock(&core->icache.lock);
		unhash_locked(&core->icache, inode);
		cairn_mutex_unlock(&core->icache.lock);
	}
	cairn_rwlock_unlock(&inode->lock);
	*ret = inode;
	return 0;
}

static void count_use(struct cairn_core *core, const struct cairn_inode *found)
{
	cairn_stats_count(&core->stats, found ? CAIRN_COUNT_INODE_FOUND : CAIRN_COUNT_INODE_MISSED,
			  1);
}

int cairn_inode_get(struct cairn_core *core, uint64_t ino, const struct cairn_attr_hint *hint,
		    struct cairn_inode **ret)
{
	cairn_mutex_lock(&core->icache.lock);
	*ret = find_locked(&core->icache, ino);
	cairn_mutex_unlock(&core->icache.lock);
	count_use(core, *ret);
	if (*ret)
		return 0;
	return insert_and_load(core, ino, hint, ret);
}

int cairn_inode_new(struct cairn_core *core, const struct cairn_attr *attr,
		    struct cairn_inode **ret)
{
	struct cairn_inode *inode = inode_alloc(attr->ino);
	bool inserted;

	if (!inode)
		return -ENOMEM;
	inode->attr = *attr;
	inode->allocated = attr->size;
	inode->fresh = true;
	cairn_rwlock_wrlock_new(&inode->lock);
	cairn_mutex_lock(&core->icache.lock);
	inserted = insert_locked(&core->icache, inode);
	cairn_mutex_unlock(&core->icache.lock);
	if (!inserted) {
		cairn_rwlock_unlock(&inode->lock);
		inode_free(inode);
		return -ENOMEM;
	}
	*ret = inode;
	return 0;
}

int cairn_inode_view(struct cairn_core *core, uint64_t ino, struct cairn_inode_view *ret)
{
	struct cairn_inode *inode;
	int r;

	r = cairn_inode_get(core, ino, NULL, &inode);
	if (r < 0)
		return r;
	cairn_rwlock_rdlock(&inode->lock);
	*ret = (struct cairn_inode_view){ .core = core, .inode = inode };
	r = cairn_inode_usable(inode);
	if (r < 0)
		cairn_inode_viewp(ret);
	return r;
}

void cairn_inode_viewp(struct cairn_inode_view *view)
{
	struct cairn_inode *inode = TAKE_PTR(view->inode);

	if (!inode)
		return;
	cairn_rwlock_unlock(&inode->lock);
	cairn_inode_unref(view->core, inode);
}

int cairn_inode_peek(struct cairn_core *core, uint64_t ino, const struct cairn_attr_hint *hint,
		     struct cairn_attr *ret)
{
	struct cairn_inode *inode;
	int r;

	cairn_mutex_lock(&core->icache.lock);
	inode = find_locked(&core->icache, ino);
	cairn_mutex_unlock(&core->icache.lock);

	count_use(core, inode);
	if (!inode && hint_holds(core, hint) && !needs_count(core, hint->attr) &&
	    !S_ISLNK(hint->attr->mode)) {
		*ret = *hint->attr;
		ret->allocated = ret->size;
		ret->nlink = MAX(ret->nlink, 1U);
		return 0;
	}
	if (!inode) {
		r = insert_and_load(core, ino, hint, &inode);
		if (r < 0)
			return r;
	}
	cairn_rwlock_rdlock(&inode->lock);
	r = cairn_inode_usable(inode);
	if (r == 0)
		r = cairn_inode_attr(core, inode, ret);
	cairn_rwlock_unlock(&inode->lock);
	cairn_inode_unref(core, inode);
	return r;
}
