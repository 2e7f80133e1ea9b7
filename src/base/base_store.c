/* Another workspace as a base: its numbers are the row numbers of its inodes.
 *
 * The store is opened anew when it no longer shows what lies at the path: the file was replaced, or
 * it was opened without locks (see store.h, `frozen`) and has been written to since. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/kinds.h"
#include "base/node.h"
#include "base/overlay.h"
#include "store/readers.h"
#include "util/macro.h"

/* The highest number that still fits when the overlay above has added its step. */
#define INO_MAX (CAIRN_INO_MAX - CAIRN_LAYER_STEP)

/* Chunks that next_data() looks at in one go. */
#define DATA_RUN_MAX 4096

/* The workspace as it was opened last. */
struct opened {
	struct cairn_store *store;
	struct cairn_readers readers;
	struct stat file;
};

struct store_base {
	struct cairn_base base;
	struct cairn_nodes nodes;
	const struct cairn_log *log;
	unsigned int busy_timeout_ms;
	char *path;
	pthread_rwlock_t lock; /* held while `opened` is used; for writing to put another there */
	struct opened *opened;
	bool reopen_failed; /* belongs to poll() */
};

/* One question to the store: the lock and a reader, given back with the scope. */
struct asking {
	struct store_base *base;
	struct cairn_reading reading;
	const struct cairn_store *store;
	const struct cairn_store_ops *ops;
	struct cairn_reader *reader;
};

static void askingp(struct asking *asking)
{
	if (!asking->base)
		return;
	cairn_readingp(&asking->reading);
	pthread_rwlock_unlock(&asking->base->lock);
}

static int ask(struct cairn_base *base, struct asking *ret)
{
	struct store_base *b = CONTAINER_OF(base, struct store_base, base);
	int r;

	pthread_rwlock_rdlock(&b->lock);
	r = cairn_reading(&b->opened->readers, &ret->reading);
	if (r < 0) {
		pthread_rwlock_unlock(&b->lock);
		return r;
	}
	ret->base = b;
	ret->store = b->opened->store;
	ret->ops = ret->store->ops;
	ret->reader = ret->reading.reader;
	return 0;
}

static struct cairn_nodes *nodes_of(struct cairn_base *base)
{
	return &CONTAINER_OF(base, struct store_base, base)->nodes;
}

/* 0 where the node is known as one of this type; `otherwise` where it is another. */
static int expect_type(struct cairn_base *base, uint64_t ino, uint32_t type, int otherwise)
{
	uint32_t known;
	int r;

	r = cairn_node_type(nodes_of(base), ino, &known);
	if (r < 0)
		return r;
	return known == type ? 0 : otherwise;
}

static uint64_t base_root(struct cairn_base *base)
{
	return CAIRN_ROOT_INO;
}

static int base_getattr(struct cairn_base *base, uint64_t ino, struct cairn_attr *ret)
{
	_cleanup_(askingp) struct asking asking = { 0 };
	int r;

	r = ask(base, &asking);
	if (r < 0)
		return r;
	return asking.ops->inode_get(asking.reader, ino, ret);
}

/* The entry is there: an inode that is not is damage, and no "no such file". */
static int base_lookup(struct cairn_base *base, uint64_t dir, const char *name, size_t len,
		       struct cairn_attr *ret)
{
	_cleanup_(askingp) struct asking asking = { 0 };
	struct cairn_dentry_row row = { 0 };
	int r;

	r = expect_type(base, dir, S_IFDIR, -ENOTDIR);
	if (r < 0)
		return r;
	r = ask(base, &asking);
	if (r < 0)
		return r;
	r = asking.ops->dentry_get(asking.reader, dir, name, len, &row);
	if (r < 0)
		return r;
	if (!row.has_attr || row.ino > INO_MAX)
		return -EIO;
	r = cairn_node_give(nodes_of(base), dir, name, len, row.ino, row.attr.mode);
	if (r < 0)
		return r;
	*ret = row.attr;
	return 0;
}

struct listing {
	struct cairn_base *base;
	uint64_t dir;
	cairn_base_fn fn;
	void *arg;
};

static int list_row(void *arg, const struct cairn_dentry_row *row)
{
	struct listing *listing = arg;
	struct cairn_base_entry entry = {
		.name = row->name,
		.name_len = row->name_len,
		.ino = row->ino,
		.mode = row->has_attr ? row->attr.mode : 0,
		.has_attr = row->has_attr,
		.attr = row->attr,
	};
	int r;

	if (row->ino > INO_MAX)
		return 0;
	r = cairn_node_give(nodes_of(listing->base), listing->dir, row->name, row->name_len,
			    row->ino, entry.mode);
	if (r < 0)
		return r;
	return listing->fn(listing->arg, &entry);
}

static int base_list(struct cairn_base *base, uint64_t dir, cairn_base_fn fn, void *arg)
{
	_cleanup_(askingp) struct asking asking = { 0 };
	struct listing listing = { .base = base, .dir = dir, .fn = fn, .arg = arg };
	int r;

	r = expect_type(base, dir, S_IFDIR, -ENOTDIR);
	if (r < 0)
		return r;
	r = ask(base, &asking);
	if (r < 0)
		return r;
	return asking.ops->dentry_scan(asking.reader, dir, true, list_row, &listing);
}

static int base_readlink(struct cairn_base *base, uint64_t ino, char **ret)
{
	_cleanup_(askingp) struct asking asking = { 0 };
	int r;

	r = expect_type(base, ino, S_IFLNK, -EINVAL);
	if (r < 0)
		return r;
	r = ask(base, &asking);
	if (r < 0)
		return r;
	r = asking.ops->symlink_get(asking.reader, ino, ret);
	return r == -ENOENT ? -EIO : r;
}

/* The bytes that are asked for, as chunks fill them in. */
struct window {
	char *buf;
	int64_t from, to; /* in the file */
	int64_t chunk_size;
};

static int fill_window(void *arg, int64_t index, const void *data, size_t len)
{
	const struct window *w = arg;
	int64_t at = index * w->chunk_size; /* < w->to */
	int64_t from = MAX(at, w->from);
	int64_t to = at + MIN((int64_t)len, w->to - at);

	if (from < to)
		memcpy(w->buf + (from - w->from), (const char *)data + (from - at),
		       (size_t)(to - from));
	return 0;
}

static int regular_size(struct asking *asking, uint64_t ino, int64_t *ret)
{
	struct cairn_attr attr;
	int r;

	r = asking->ops->inode_get(asking->reader, ino, &attr);
	if (r < 0)
		return r;
	if (!S_ISREG(attr.mode))
		return -EINVAL;
	*ret = attr.size;
	return 0;
}

static ssize_t base_read(struct cairn_base *base, uint64_t ino, void *buf, size_t size,
			 int64_t offset)
{
	_cleanup_(askingp) struct asking asking = { 0 };
	int64_t end, chunk_size;
	struct window window;
	int r;

	if (offset < 0)
		return -EINVAL;
	r = ask(base, &asking);
	if (r < 0)
		return r;
	r = regular_size(&asking, ino, &end);
	if (r < 0)
		return r;
	if (offset >= end || size == 0)
		return 0;
	end = offset + (int64_t)MIN((uint64_t)(end - offset), (uint64_t)size);
	chunk_size = (int64_t)asking.store->chunk_size;
	window = (struct window){ .buf = buf, .from = offset, .to = end, .chunk_size = chunk_size };
	memset(buf, 0, (size_t)(end - offset));
	r = asking.ops->data_read(asking.reader, ino, offset / chunk_size, (end - 1) / chunk_size,
				  fill_window, &window);
	return r < 0 ? r : end - offset;
}

/* A run of chunks without a gap. */
struct run {
	int64_t first, last; /* indexes; first -1: none yet */
};

static int extend_run(void *arg, int64_t index, const void *data, size_t len)
{
	struct run *run = arg;

	if (run->first < 0)
		run->first = index;
	else if (index != run->last + 1)
		return 1;
	run->last = index;
	return run->last - run->first < DATA_RUN_MAX ? 0 : 1;
}

static int base_next_data(struct cairn_base *base, uint64_t ino, int64_t offset, int64_t *ret,
			  int64_t *ret_end)
{
	_cleanup_(askingp) struct asking asking = { 0 };
	struct run run = { .first = -1 };
	int64_t size, chunk_size;
	int r;

	if (offset < 0)
		return -EINVAL;
	r = ask(base, &asking);
	if (r < 0)
		return r;
	r = regular_size(&asking, ino, &size);
	if (r < 0)
		return r;
	if (offset >= size)
		return -ENXIO;
	chunk_size = (int64_t)asking.store->chunk_size;
	r = asking.ops->data_scan(asking.reader, ino, offset / chunk_size, (size - 1) / chunk_size,
				  extend_run, &run);
	if (r < 0)
		return r;
	if (run.first < 0)
		return -ENXIO;
	*ret = MAX(offset, run.first * chunk_size);
	*ret_end = run.last >= size / chunk_size ? size : (run.last + 1) * chunk_size;
	return 0;
}

static int base_xattr_get(struct cairn_base *base, uint64_t ino, const char *name, void **ret,
			  size_t *ret_len)
{
	_cleanup_(askingp) struct asking asking = { 0 };
	int r;

	r = ask(base, &asking);
	if (r < 0)
		return r;
	return asking.ops->xattr_get(asking.reader, ino, name, ret, ret_len);
}

static int base_xattr_scan(struct cairn_base *base, uint64_t ino, cairn_xattr_fn fn, void *arg)
{
	_cleanup_(askingp) struct asking asking = { 0 };
	int r;

	r = ask(base, &asking);
	if (r < 0)
		return r;
	return asking.ops->xattr_scan(asking.reader, ino, fn, arg);
}

static int base_path(struct cairn_base *base, uint64_t ino, char **ret)
{
	return cairn_node_path(nodes_of(base), ino, ret);
}

static int base_place(struct cairn_base *base, uint64_t ino, uint64_t *ret_dir,
		      char ret_name[CAIRN_NAME_MAX + 1])
{
	return cairn_node_place(nodes_of(base), ino, ret_dir, ret_name);
}

static int base_resolve(struct cairn_base *base, const char *path, struct cairn_attr *ret)
{
	return cairn_base_walk(base, path, ret);
}

/* What it holds of a base of its own goes with the node. */
static void base_forget(struct cairn_base *base, uint64_t ino)
{
	struct store_base *b = CONTAINER_OF(base, struct store_base, base);
	struct cairn_store *store;
	uint32_t type;

	cairn_node_forget(&b->nodes, ino);
	if (cairn_node_type(&b->nodes, ino, &type) != -ENOENT)
		return;
	pthread_rwlock_rdlock(&b->lock);
	store = b->opened->store;
	if (store->ops->forget)
		store->ops->forget(store, ino);
	pthread_rwlock_unlock(&b->lock);
}

static void opened_freep(struct opened **opened)
{
	struct opened *o = TAKE_PTR(*opened);

	if (!o)
		return;
	if (o->store) {
		cairn_readers_destroy(&o->readers);
		o->store->ops->close(o->store);
	}
	free(o);
}

static int open_store(const struct store_base *b, const struct cairn_base_options *asked,
		      struct opened *o, struct cairn_error *err)
{
	struct cairn_store_options options = {
		.read_only = true,
		.busy_timeout_ms = b->busy_timeout_ms,
		.log = b->log,
		.above = asked ? asked->above : NULL,
		.mount_point = asked ? asked->mount_point : NULL,
	};
	struct cairn_store *store;
	int r;

	if (stat(b->path, &o->file) < 0)
		return -errno;
	r = cairn_store_open(b->path, &options, &store, err);
	if (r < 0)
		return r;
	r = cairn_readers_init(&o->readers, store);
	if (r < 0) {
		store->ops->close(store);
		return r;
	}
	o->store = store;
	return 0;
}

/* Opens what lies at the path now; what others commit from here on is noticed. */
static int open_file(const struct store_base *b, const struct cairn_base_options *asked,
		     struct opened **ret, struct cairn_error *err)
{
	_cleanup_(opened_freep) struct opened *o = calloc(1, sizeof(*o));
	enum cairn_foreign nothing;
	int r;

	if (!o)
		return -ENOMEM;
	r = open_store(b, asked, o, err);
	if (r == 0)
		r = o->store->ops->foreign(o->store, &nothing);
	if (r < 0)
		return cairn_error_set(err, r, "the base '%s' cannot be opened: %s", b->path,
				       strerror(-r));
	*ret = TAKE_PTR(o);
	return 0;
}

static bool differ(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec || a->tv_nsec != b->tv_nsec;
}

static bool has_wal(const char *path)
{
	_cleanup_(cairn_freep) char *wal = NULL;
	struct stat st;

	if (asprintf(&wal, "%s-wal", path) < 0) {
		wal = NULL;
		return false;
	}
	return stat(wal, &st) == 0 && st.st_size > 0;
}

/* Whether the open store no longer shows what the path names. Where nothing is there any more the
 * open one is the best there is. */
static bool is_stale(const struct store_base *b)
{
	const struct stat *file = &b->opened->file;
	struct stat st;

	if (stat(b->path, &st) < 0)
		return false;
	if (st.st_dev != file->st_dev || st.st_ino != file->st_ino)
		return true;
	return b->opened->store->frozen &&
	       (st.st_size != file->st_size || differ(&st.st_mtim, &file->st_mtim) ||
		has_wal(b->path));
}

/* Without success the old store stays, and the next poll tries again. */
static bool reopen(struct store_base *b)
{
	struct opened *old, *fresh = NULL;
	struct cairn_error err = { 0 };

	/* One that lies under itself by now meets itself below. */
	if (open_file(b, NULL, &fresh, &err) < 0) {
		if (!b->reopen_failed)
			cairn_warn(b->log, "the base has changed, and is shown as it was: %s",
				   err.text);
		b->reopen_failed = true;
		return false;
	}
	pthread_rwlock_wrlock(&b->lock);
	old = b->opened;
	b->opened = fresh;
	pthread_rwlock_unlock(&b->lock);
	opened_freep(&old);
	b->reopen_failed = false;
	return true;
}

static void base_renew(struct cairn_base *base)
{
	struct store_base *b = CONTAINER_OF(base, struct store_base, base);

	pthread_rwlock_rdlock(&b->lock);
	cairn_readers_rest(&b->opened->readers);
	pthread_rwlock_unlock(&b->lock);
}

static int base_poll(struct cairn_base *base, enum cairn_base_change *ret)
{
	struct store_base *b = CONTAINER_OF(base, struct store_base, base);
	struct cairn_store *store = b->opened->store;
	enum cairn_foreign found;
	int r;

	if (is_stale(b) && reopen(b)) {
		*ret = CAIRN_BASE_CHANGED;
		return 0;
	}
	/* Whoever writes the base is not kept from emptying its log by what we look at. */
	cairn_readers_rest(&b->opened->readers);
	r = store->ops->foreign(store, &found);
	if (r < 0)
		return r;
	*ret = found >= CAIRN_FOREIGN_BASE ? CAIRN_BASE_CHANGED : CAIRN_BASE_SAME;
	return 0;
}

static void base_close(struct cairn_base *base)
{
	struct store_base *b = CONTAINER_OF(base, struct store_base, base);

	opened_freep(&b->opened);
	cairn_nodes_destroy(&b->nodes);
	pthread_rwlock_destroy(&b->lock);
	free(b->path);
	free(b);
}

static const struct cairn_base_ops store_base_ops = {
	.root = base_root,
	.lookup = base_lookup,
	.getattr = base_getattr,
	.list = base_list,
	.readlink = base_readlink,
	.read = base_read,
	.next_data = base_next_data,
	.xattr_get = base_xattr_get,
	.xattr_scan = base_xattr_scan,
	.path = base_path,
	.place = base_place,
	.resolve = base_resolve,
	.forget = base_forget,
	.renew = base_renew,
	.poll = base_poll,
	.close = base_close,
};

static int init(struct store_base *b, const char *path, const struct cairn_base_options *options)
{
	int r;

	b->base.ops = &store_base_ops;
	b->log = options->log;
	b->busy_timeout_ms = options->busy_timeout_ms;
	b->path = strdup(path);
	b->base.path = b->path;
	pthread_rwlock_init(&b->lock, NULL);
	r = cairn_nodes_init(&b->nodes, CAIRN_ROOT_INO);
	return r < 0 || b->path ? r : -ENOMEM;
}

int cairn_base_store_open(const char *path, const struct cairn_base_options *options,
			  struct cairn_base **ret, struct cairn_error *err)
{
	struct store_base *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return cairn_error_set(err, -ENOMEM, "the base '%s': out of memory", path);
	r = init(b, path, options);
	if (r == 0)
		r = open_file(b, options, &b->opened, err);
	if (r < 0) {
		base_close(&b->base);
		return cairn_error_set(err, r, "the base '%s': %s", path, strerror(-r));
	}
	b->base.has_xattrs = b->opened->store->has_xattrs;
	*ret = &b->base;
	return 0;
}
