/* The overlay as a store: what is passed on to the branch as it is, transactions, and what others
 * do to either layer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/overlay_internal.h"

static int overlay_space(struct cairn_reader *base, struct cairn_space *ret)
{
	struct cairn_overlay_reader *reader = cairn_overlay_reader_of(base);

	return reader->overlay->branch->ops->space(reader->branch, ret);
}

static int overlay_begin(struct cairn_store *store)
{
	struct cairn_overlay *o = cairn_overlay_of(store);

	cairn_lost_clear(&o->lost);
	cairn_before_clear(&o->before);
	return o->branch->ops->begin(o->branch);
}

static int overlay_commit(struct cairn_store *store)
{
	struct cairn_overlay *o = cairn_overlay_of(store);
	int r;

	r = cairn_lost_settle(o);
	if (r < 0)
		return r;
	/* When it is done, others may begin the next turn. */
	pthread_mutex_lock(&o->turn_lock);
	r = o->branch->ops->commit(o->branch);
	if (r == 0) {
		cairn_origins_committed(&o->origins);
		cairn_dirs_committed(&o->dirs);
	} else {
		cairn_origins_rolled_back(&o->origins);
		cairn_dirs_rolled_back(&o->dirs);
	}
	pthread_mutex_unlock(&o->turn_lock);
	cairn_before_clear(&o->before);
	if (r == 0)
		o->attempts = 0;
	return r;
}

/* Of the base are the root and what is numbered after it. */
static int overlay_before(struct cairn_store *store, const struct cairn_attr *attr)
{
	struct cairn_overlay *o = cairn_overlay_of(store);

	if (cairn_overlay_is_own(o, attr->ino) && attr->ino != CAIRN_ROOT_INO)
		return 0;
	return cairn_before_put(&o->before, attr);
}

static void overlay_rollback(struct cairn_store *store)
{
	struct cairn_overlay *o = cairn_overlay_of(store);

	o->attempts++;
	cairn_before_clear(&o->before);
	pthread_mutex_lock(&o->turn_lock);
	o->branch->ops->rollback(o->branch);
	cairn_origins_rolled_back(&o->origins);
	cairn_dirs_rolled_back(&o->dirs);
	pthread_mutex_unlock(&o->turn_lock);
}

static int overlay_sync(struct cairn_store *store)
{
	struct cairn_store *branch = cairn_overlay_of(store)->branch;

	return branch->ops->sync(branch);
}

static int overlay_checkpoint(struct cairn_store *store, enum cairn_checkpoint how)
{
	struct cairn_store *branch = cairn_overlay_of(store)->branch;

	return branch->ops->checkpoint(branch, how);
}

static uint64_t overlay_wal_size(struct cairn_store *store)
{
	struct cairn_store *branch = cairn_overlay_of(store)->branch;

	return branch->ops->wal_size(branch);
}

static void overlay_wal_readers(struct cairn_store *store, char *buf, size_t size)
{
	struct cairn_store *branch = cairn_overlay_of(store)->branch;

	branch->ops->wal_readers(branch, buf, size);
}

static int overlay_present(struct cairn_store *store)
{
	struct cairn_store *branch = cairn_overlay_of(store)->branch;

	return branch->ops->present(branch);
}

static int overlay_lease(struct cairn_store *store, enum cairn_sequence which, uint64_t count,
			 uint64_t *ret_first)
{
	struct cairn_store *branch = cairn_overlay_of(store)->branch;

	return branch->ops->lease(branch, which, count, ret_first);
}

static int find_whiteout(void *arg, const char *path)
{
	return 1;
}

/* An heir that is gone has no use for the number. */
static int add_heir(void *arg, uint64_t ino, const char *path)
{
	struct cairn_overlay *o = arg;
	struct cairn_attr attr = { 0 };
	int r;

	r = o->base->ops->resolve(o->base, path, &attr);
	if (r < 0)
		return r == -EAGAIN || r == -ENOMEM ? r : 0;
	return cairn_origin_inherit(&o->origins, ino, attr.ino);
}

/* All of one state. The numbers of origins depend on the heirs. */
static int load(struct cairn_overlay *o, struct cairn_reader *reader, uint64_t *ret_turn)
{
	const struct cairn_branch_ops *ops = o->branch->branch;
	uint64_t turn;
	int r;

	r = ops->hold(reader, &turn);
	if (r < 0)
		return r;
	o->base->ops->renew(o->base);
	r = ops->heir_scan(reader, add_heir, o);
	if (r == 0)
		r = cairn_origins_load(&o->origins, ops, reader);
	if (r == 0)
		r = ops->whiteout_scan(reader, find_whiteout, NULL);
	ops->release(reader);
	if (r < 0)
		return r;
	atomic_store(&o->has_whiteouts, r > 0);
	cairn_dirs_clear(&o->dirs);
	*ret_turn = turn;
	return 0;
}

int cairn_overlay_load(struct cairn_overlay *o)
{
	uint64_t turn = atomic_exchange(&o->turn, CAIRN_TURN_CHANGES);
	struct cairn_reader *reader;
	int r;

	/* The branch first: what has gone from it is in the base by then. */
	r = o->branch->ops->reader_open(o->branch, &reader);
	if (r == 0) {
		r = load(o, reader, &turn);
		o->branch->ops->reader_close(reader);
	}
	cairn_overlay_look_anew(o);
	atomic_store(&o->turn, turn);
	return r;
}

/* A base in trouble keeps nobody from writing to the branch. */
static bool base_has_changed(struct cairn_overlay *o)
{
	enum cairn_base_change found = CAIRN_BASE_SAME;
	int r;

	r = o->base->ops->poll(o->base, &found);
	if (r < 0 && !o->base_trouble)
		cairn_warn(o->log, "looking for changes of the base '%s': %s", o->base->path,
			   strerror(-r));
	o->base_trouble = r < 0;
	return r == 0 && found == CAIRN_BASE_CHANGED;
}

static int overlay_foreign(struct cairn_store *store, enum cairn_foreign *ret)
{
	struct cairn_overlay *o = cairn_overlay_of(store);
	enum cairn_foreign found = CAIRN_FOREIGN_NONE;
	int r;

	r = o->branch->ops->foreign(o->branch, &found);
	/* What was missed here would be missed for good. */
	if (r == 0 && (found == CAIRN_FOREIGN_FILES || o->stale)) {
		o->stale = true;
		pthread_mutex_lock(&o->turn_lock);
		r = cairn_overlay_load(o);
		pthread_mutex_unlock(&o->turn_lock);
		o->stale = r < 0;
		found = CAIRN_FOREIGN_FILES;
	}
	if (r < 0)
		return r;
	if (base_has_changed(o)) {
		cairn_overlay_look_anew(o);
		if (found != CAIRN_FOREIGN_FILES)
			found = CAIRN_FOREIGN_BASE;
	}
	*ret = found;
	return 0;
}

static void overlay_forget(struct cairn_store *store, uint64_t ino)
{
	struct cairn_overlay *o = cairn_overlay_of(store);
	struct cairn_origin_view view = cairn_origin_find(&o->origins, ino);
	struct cairn_origin_target target;

	if (!view.delta && (ino >= CAIRN_LAYER_STEP || view.alias_of)) {
		o->base->ops->forget(o->base,
				     view.alias_of ? view.alias_of : ino - CAIRN_LAYER_STEP);
	} else if (view.delta && view.path[0]) {
		target = cairn_origin_target(&o->origins, view.node);
		cairn_origin_learn(&o->origins, view.node, &(struct cairn_origin_target){ 0 });
		if (target.node)
			o->base->ops->forget(o->base, target.node);
	} else {
		cairn_dirs_forget(&o->dirs, ino);
	}
}

static void overlay_close(struct cairn_store *store)
{
	struct cairn_overlay *o = cairn_overlay_of(store);

	o->branch->ops->close(o->branch);
	o->base->ops->close(o->base);
	cairn_origins_destroy(&o->origins);
	cairn_dirs_destroy(&o->dirs);
	cairn_lost_clear(&o->lost);
	cairn_before_clear(&o->before);
	pthread_mutex_destroy(&o->turn_lock);
	free(o->buffer);
	free(o);
}

static const struct cairn_store_ops overlay_ops = {
	.reader_open = cairn_overlay_reader_open,
	.reader_close = cairn_overlay_reader_close,
	.reader_rest = cairn_overlay_reader_rest,
	.inode_get = cairn_overlay_inode_get,
	.dentry_get = cairn_overlay_dentry_get,
	.dentry_scan = cairn_overlay_dentry_scan,
	.dentry_count = cairn_overlay_dentry_count,
	.dentry_name = cairn_overlay_dentry_name,
	.dentry_id = cairn_overlay_dentry_id,
	.symlink_get = cairn_overlay_symlink_get,
	.data_read = cairn_overlay_data_read,
	.data_scan = cairn_overlay_data_scan,
	.xattr_get = cairn_overlay_xattr_get,
	.xattr_scan = cairn_overlay_xattr_scan,
	.orphan_scan = cairn_overlay_orphan_scan,
	.space = overlay_space,
	.forget = overlay_forget,
	.begin = overlay_begin,
	.commit = overlay_commit,
	.rollback = overlay_rollback,
	.sync = overlay_sync,
	.checkpoint = overlay_checkpoint,
	.wal_size = overlay_wal_size,
	.wal_readers = overlay_wal_readers,
	.foreign = overlay_foreign,
	.present = overlay_present,
	.lease = overlay_lease,
	.before = overlay_before,
	.inode_insert = cairn_overlay_inode_insert,
	.inode_update = cairn_overlay_inode_update,
	.inode_delete = cairn_overlay_inode_delete,
	.dentry_put = cairn_overlay_dentry_put,
	.dentry_delete = cairn_overlay_dentry_delete,
	.symlink_put = cairn_overlay_symlink_put,
	.data_put = cairn_overlay_data_put,
	.data_delete = cairn_overlay_data_delete,
	.data_cut = cairn_overlay_data_cut,
	.xattr_put = cairn_overlay_xattr_put,
	.xattr_delete = cairn_overlay_xattr_delete,
	.orphan_put = cairn_overlay_orphan_put,
	.close = overlay_close,
};

static void on_busy(void *arg)
{
	struct cairn_overlay *o = arg;

	if (o->store.on_busy)
		o->store.on_busy(o->store.on_busy_arg);
}

static int overlay_init(struct cairn_overlay *o)
{
	int r;

	atomic_init(&o->generation, 1);
	r = -pthread_mutex_init(&o->turn_lock, NULL);
	if (r == 0)
		r = cairn_origins_init(&o->origins);
	if (r == 0)
		r = cairn_dirs_init(&o->dirs);
	if (r < 0)
		return r;
	o->store = (struct cairn_store){
		.ops = &overlay_ops,
		.own = o->branch->own ? o->branch->own : o->branch,
		.base_path = o->base->path,
		.chunk_size = o->branch->chunk_size,
		.read_only = o->branch->read_only,
		.has_xattrs = o->branch->has_xattrs || o->base->has_xattrs,
	};
	o->branch->on_busy = on_busy;
	o->branch->on_busy_arg = o;
	return o->branch->branch ? cairn_overlay_load(o) : -EINVAL;
}

int cairn_overlay_new(struct cairn_store *branch, struct cairn_base *base,
		      const struct cairn_store_options *options, struct cairn_store **ret)
{
	struct cairn_overlay *o = calloc(1, sizeof(*o));
	int r;

	if (!o) {
		branch->ops->close(branch);
		base->ops->close(base);
		return -ENOMEM;
	}
	o->branch = branch;
	o->base = base;
	o->log = options->log;
	o->copy_whole = options->copy_whole ? options->copy_whole : CAIRN_COPY_WHOLE;
	r = overlay_init(o);
	if (r < 0) {
		overlay_close(&o->store);
		return r;
	}
	*ret = &o->store;
	return 0;
}
