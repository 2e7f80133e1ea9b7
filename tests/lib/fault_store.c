#include "fault_store.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/branch.h"

struct fault_store {
	struct cairn_store base;
	struct cairn_store_ops table; /* without those that the real one lacks */
	struct cairn_store *real;
	atomic_ulong calls[FAULT_OPS];

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t moved;
	uint64_t ops; /* that may fail */
	unsigned long countdown;
	int error; /* 0: none is to fail */
	bool stays;
	unsigned long fired;
	atomic_ulong *counter; /* or NULL */
	int pause_at;          /* -1: nowhere */
	bool paused;
};

struct cairn_reader {
	struct fault_store *fault;
	struct cairn_reader *real;
};

static struct fault_store *from_base(struct cairn_store *base)
{
	return (struct fault_store *)base; /* its first member */
}

static void pause_locked(struct fault_store *f)
{
	f->paused = true;
	pthread_cond_broadcast(&f->moved);
	while (f->paused)
		pthread_cond_wait(&f->moved, &f->lock);
}

/* Counts a call: 0, or the error that it is to fail with. */
int fault_store_enter(struct fault_store *f, enum fault_op op)
{
	int r = 0;

	atomic_fetch_add(&f->calls[op], 1);
	pthread_mutex_lock(&f->lock);
	if (f->pause_at == (int)op) {
		f->pause_at = -1;
		pause_locked(f);
	}
	if (f->error && (f->ops & FAULT_BIT(op)) && (f->countdown == 0 || --f->countdown == 0)) {
		r = f->error;
		f->fired++;
		if (f->counter)
			atomic_fetch_add(f->counter, 1);
		if (!f->stays)
			f->error = 0;
	}
	pthread_mutex_unlock(&f->lock);
	return r;
}

static int reader_open(struct cairn_store *base, struct cairn_reader **ret)
{
	struct fault_store *f = from_base(base);
	struct cairn_reader *reader;
	int r;

	r = fault_store_enter(f, FAULT_READER_OPEN);
	if (r < 0)
		return r;
	reader = malloc(sizeof(*reader));
	if (!reader)
		return -ENOMEM;
	reader->fault = f;
	r = f->real->ops->reader_open(f->real, &reader->real);
	if (r < 0) {
		free(reader);
		return r;
	}
	*ret = reader;
	return 0;
}

static void reader_rest(struct cairn_reader *reader)
{
	reader->fault->real->ops->reader_rest(reader->real);
}

static void reader_close(struct cairn_reader *reader)
{
	reader->fault->real->ops->reader_close(reader->real);
	free(reader);
}

/* Each function of the interface: count the call, then fail or pass it on. */
#define READ(name, op, parameters, ...)                                                            \
	static int fault_##name parameters                                                         \
	{                                                                                          \
		struct fault_store *f = reader->fault;                                             \
		int r = fault_store_enter(f, op);                                                  \
                                                                                                   \
		return r < 0 ? r : f->real->ops->name(reader->real, __VA_ARGS__);                  \
	}
#define WRITE(name, op, parameters, ...)                                                           \
	static int fault_##name parameters                                                         \
	{                                                                                          \
		struct fault_store *f = from_base(base);                                           \
		int r = fault_store_enter(f, op);                                                  \
                                                                                                   \
		return r < 0 ? r : f->real->ops->name(f->real, ##__VA_ARGS__);                     \
	}

READ(inode_get, FAULT_INODE_GET,
     (struct cairn_reader * reader, uint64_t ino, struct cairn_attr *ret), ino, ret)
READ(dentry_get, FAULT_DENTRY_GET,
     (struct cairn_reader * reader, uint64_t parent, const char *name, size_t len,
      struct cairn_dentry_row *ret),
     parent, name, len, ret)
READ(dentry_scan, FAULT_DENTRY_SCAN,
     (struct cairn_reader * reader, uint64_t parent, bool with_attr, cairn_dentry_fn fn, void *arg),
     parent, with_attr, fn, arg)
READ(dentry_count, FAULT_DENTRY_COUNT, (struct cairn_reader * reader, uint64_t ino, uint32_t *ret),
     ino, ret)
READ(dentry_name, FAULT_DENTRY_NAME,
     (struct cairn_reader * reader, uint64_t ino, uint64_t *ret_parent,
      char ret_name[CAIRN_NAME_MAX + 1]),
     ino, ret_parent, ret_name)
READ(symlink_get, FAULT_SYMLINK_GET, (struct cairn_reader * reader, uint64_t ino, char **ret), ino,
     ret)
READ(data_read, FAULT_DATA_READ,
     (struct cairn_reader * reader, uint64_t ino, int64_t first, int64_t last, cairn_chunk_fn fn,
      void *arg),
     ino, first, last, fn, arg)
READ(data_scan, FAULT_DATA_SCAN,
     (struct cairn_reader * reader, uint64_t ino, int64_t first, int64_t last, cairn_chunk_fn fn,
      void *arg),
     ino, first, last, fn, arg)
READ(xattr_get, FAULT_XATTR_GET,
     (struct cairn_reader * reader, uint64_t ino, const char *name, void **ret, size_t *ret_len),
     ino, name, ret, ret_len)
READ(xattr_scan, FAULT_XATTR_SCAN,
     (struct cairn_reader * reader, uint64_t ino, cairn_xattr_fn fn, void *arg), ino, fn, arg)
READ(orphan_scan, FAULT_ORPHAN_SCAN, (struct cairn_reader * reader, cairn_ino_fn fn, void *arg), fn,
     arg)
READ(space, FAULT_SPACE, (struct cairn_reader * reader, struct cairn_space *ret), ret)

WRITE(begin, FAULT_BEGIN, (struct cairn_store * base))
WRITE(commit, FAULT_COMMIT, (struct cairn_store * base))
WRITE(sync, FAULT_SYNC, (struct cairn_store * base))
WRITE(checkpoint, FAULT_CHECKPOINT, (struct cairn_store * base, enum cairn_checkpoint how), how)
WRITE(foreign, FAULT_FOREIGN, (struct cairn_store * base, enum cairn_foreign *ret), ret)
WRITE(present, FAULT_PRESENT, (struct cairn_store * base))
WRITE(lease, FAULT_LEASE,
      (struct cairn_store * base, enum cairn_sequence which, uint64_t count, uint64_t *ret), which,
      count, ret)
WRITE(inode_insert, FAULT_INODE_INSERT, (struct cairn_store * base, const struct cairn_attr *attr),
      attr)
WRITE(inode_update, FAULT_INODE_UPDATE, (struct cairn_store * base, const struct cairn_attr *attr),
      attr)
WRITE(inode_delete, FAULT_INODE_DELETE, (struct cairn_store * base, uint64_t ino, uint32_t mode),
      ino, mode)
WRITE(dentry_put, FAULT_DENTRY_PUT,
      (struct cairn_store * base, uint64_t parent, const char *name, size_t len, uint64_t id,
       uint64_t ino),
      parent, name, len, id, ino)
WRITE(dentry_delete, FAULT_DENTRY_DELETE,
      (struct cairn_store * base, uint64_t parent, const char *name, size_t len), parent, name, len)
WRITE(symlink_put, FAULT_SYMLINK_PUT, (struct cairn_store * base, uint64_t ino, const char *target),
      ino, target)
WRITE(data_put, FAULT_DATA_PUT,
      (struct cairn_store * base, uint64_t ino, int64_t index, const void *data, size_t len), ino,
      index, data, len)
WRITE(data_delete, FAULT_DATA_DELETE, (struct cairn_store * base, uint64_t ino, int64_t index), ino,
      index)
WRITE(data_cut, FAULT_DATA_CUT, (struct cairn_store * base, uint64_t ino, int64_t first), ino,
      first)
WRITE(xattr_put, FAULT_XATTR_PUT,
      (struct cairn_store * base, uint64_t ino, const char *name, const void *value, size_t len),
      ino, name, value, len)
WRITE(xattr_delete, FAULT_XATTR_DELETE, (struct cairn_store * base, uint64_t ino, const char *name),
      ino, name)
WRITE(orphan_put, FAULT_ORPHAN_PUT, (struct cairn_store * base, uint64_t ino), ino)

/* The same for the tables of a branch. */
#define BRANCH_READ(name, parameters, ...)                                                         \
	static int fault_##name parameters                                                         \
	{                                                                                          \
		struct fault_store *f = reader->fault;                                             \
		int r = fault_store_enter(f, FAULT_BRANCH_READ);                                   \
                                                                                                   \
		return r < 0 ? r : f->real->branch->name(reader->real, __VA_ARGS__);               \
	}
#define BRANCH_WRITE(name, parameters, ...)                                                        \
	static int fault_##name parameters                                                         \
	{                                                                                          \
		struct fault_store *f = from_base(base);                                           \
		int r = fault_store_enter(f, FAULT_BRANCH_WRITE);                                  \
                                                                                                   \
		return r < 0 ? r : f->real->branch->name(f->real, __VA_ARGS__);                    \
	}

BRANCH_READ(origin_get,
	    (struct cairn_reader * reader, uint64_t delta_ino, struct cairn_origin *ret), delta_ino,
	    ret)
BRANCH_READ(origin_scan, (struct cairn_reader * reader, cairn_origin_fn fn, void *arg), fn, arg)
BRANCH_READ(whiteout_get, (struct cairn_reader * reader, const char *path), path)
BRANCH_READ(whiteout_list,
	    (struct cairn_reader * reader, const char *dir, cairn_name_fn fn, void *arg), dir, fn,
	    arg)
BRANCH_READ(whiteout_scan, (struct cairn_reader * reader, cairn_path_fn fn, void *arg), fn, arg)
BRANCH_READ(seen_get, (struct cairn_reader * reader, const char *path, struct cairn_seen *ret),
	    path, ret)
BRANCH_READ(seen_scan, (struct cairn_reader * reader, cairn_seen_fn fn, void *arg), fn, arg)
BRANCH_READ(data_sizes,
	    (struct cairn_reader * reader, uint64_t ino, int64_t first, int64_t last,
	     cairn_chunk_fn fn, void *arg),
	    ino, first, last, fn, arg)
BRANCH_READ(hold, (struct cairn_reader * reader, uint64_t *ret), ret)
BRANCH_READ(heir_scan, (struct cairn_reader * reader, cairn_heir_fn fn, void *arg), fn, arg)
BRANCH_WRITE(base_path, (struct cairn_store * base, char **ret), ret)
BRANCH_WRITE(base_ignore, (struct cairn_store * base, char **ret), ret)
BRANCH_WRITE(base_path_put, (struct cairn_store * base, const char *path), path)
BRANCH_WRITE(entry,
	     (struct cairn_store * base, uint64_t parent, const char *name, size_t len,
	      uint64_t *ret),
	     parent, name, len, ret)
BRANCH_WRITE(mode, (struct cairn_store * base, uint64_t ino, uint32_t *ret), ino, ret)
BRANCH_WRITE(place,
	     (struct cairn_store * base, uint64_t ino, uint64_t *ret_parent,
	      char ret_name[CAIRN_NAME_MAX + 1]),
	     ino, ret_parent, ret_name)
BRANCH_WRITE(hidden, (struct cairn_store * base, const char *path), path)
BRANCH_WRITE(inode_add, (struct cairn_store * base, const struct cairn_attr *attr, uint64_t *ret),
	     attr, ret)
BRANCH_WRITE(origin_put, (struct cairn_store * base, const struct cairn_origin *origin), origin)
BRANCH_WRITE(origin_delete, (struct cairn_store * base, uint64_t delta_ino), delta_ino)
BRANCH_WRITE(whiteout_put, (struct cairn_store * base, const char *path), path)
BRANCH_WRITE(whiteout_delete, (struct cairn_store * base, const char *path), path)
BRANCH_WRITE(seen_put, (struct cairn_store * base, const char *path, const struct cairn_seen *seen),
	     path, seen)
BRANCH_WRITE(seen_data,
	     (struct cairn_store * base, const char *path, const struct cairn_seen *seen), path,
	     seen)
BRANCH_WRITE(seen_delete, (struct cairn_store * base, const char *path), path)
BRANCH_WRITE(heir_put, (struct cairn_store * base, uint64_t ino, const char *path), ino, path)

static void release(struct cairn_reader *reader)
{
	reader->fault->real->branch->release(reader->real);
}

#define BRANCH_WRITE_ALL(name)                                                                     \
	static int fault_##name(struct cairn_store *base)                                          \
	{                                                                                          \
		struct fault_store *f = from_base(base);                                           \
		int r = fault_store_enter(f, FAULT_BRANCH_WRITE);                                  \
                                                                                                   \
		return r < 0 ? r : f->real->branch->name(f->real);                                 \
	}

BRANCH_WRITE_ALL(turn)
BRANCH_WRITE_ALL(heirs_forget)
BRANCH_WRITE_ALL(clear)

static const struct cairn_branch_ops fault_branch = {
	.base_path = fault_base_path,
	.base_ignore = fault_base_ignore,
	.base_path_put = fault_base_path_put,
	.origin_get = fault_origin_get,
	.origin_scan = fault_origin_scan,
	.whiteout_get = fault_whiteout_get,
	.whiteout_list = fault_whiteout_list,
	.whiteout_scan = fault_whiteout_scan,
	.seen_get = fault_seen_get,
	.seen_scan = fault_seen_scan,
	.data_sizes = fault_data_sizes,
	.hold = fault_hold,
	.release = release,
	.heir_scan = fault_heir_scan,
	.entry = fault_entry,
	.mode = fault_mode,
	.place = fault_place,
	.hidden = fault_hidden,
	.inode_add = fault_inode_add,
	.origin_put = fault_origin_put,
	.origin_delete = fault_origin_delete,
	.whiteout_put = fault_whiteout_put,
	.whiteout_delete = fault_whiteout_delete,
	.seen_put = fault_seen_put,
	.seen_data = fault_seen_data,
	.seen_delete = fault_seen_delete,
	.turn = fault_turn,
	.heir_put = fault_heir_put,
	.heirs_forget = fault_heirs_forget,
	.clear = fault_clear,
};

static uint64_t dentry_id(struct cairn_store *base, const char *name, size_t len)
{
	struct fault_store *f = from_base(base);

	return f->real->ops->dentry_id(f->real, name, len);
}

static int before(struct cairn_store *base, const struct cairn_attr *attr)
{
	struct fault_store *f = from_base(base);

	return f->real->ops->before(f->real, attr);
}

static void forget(struct cairn_store *base, uint64_t ino)
{
	struct fault_store *f = from_base(base);

	f->real->ops->forget(f->real, ino);
}

static void rollback(struct cairn_store *base)
{
	struct fault_store *f = from_base(base);

	f->real->ops->rollback(f->real);
}

static uint64_t wal_size(struct cairn_store *base)
{
	struct fault_store *f = from_base(base);

	return f->real->ops->wal_size(f->real);
}

static void wal_readers(struct cairn_store *base, char *buf, size_t size)
{
	struct fault_store *f = from_base(base);

	f->real->ops->wal_readers(f->real, buf, size);
}

static void close_both(struct cairn_store *base)
{
	struct fault_store *f = from_base(base);

	f->real->ops->close(f->real);
	pthread_cond_destroy(&f->moved);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static const struct cairn_store_ops fault_ops = {
	.reader_open = reader_open,
	.reader_close = reader_close,
	.reader_rest = reader_rest,
	.inode_get = fault_inode_get,
	.dentry_get = fault_dentry_get,
	.dentry_scan = fault_dentry_scan,
	.dentry_count = fault_dentry_count,
	.dentry_name = fault_dentry_name,
	.symlink_get = fault_symlink_get,
	.data_read = fault_data_read,
	.data_scan = fault_data_scan,
	.xattr_get = fault_xattr_get,
	.xattr_scan = fault_xattr_scan,
	.orphan_scan = fault_orphan_scan,
	.space = fault_space,
	.begin = fault_begin,
	.commit = fault_commit,
	.sync = fault_sync,
	.checkpoint = fault_checkpoint,
	.foreign = fault_foreign,
	.present = fault_present,
	.lease = fault_lease,
	.inode_insert = fault_inode_insert,
	.inode_update = fault_inode_update,
	.inode_delete = fault_inode_delete,
	.dentry_put = fault_dentry_put,
	.dentry_delete = fault_dentry_delete,
	.symlink_put = fault_symlink_put,
	.data_put = fault_data_put,
	.data_delete = fault_data_delete,
	.data_cut = fault_data_cut,
	.xattr_put = fault_xattr_put,
	.xattr_delete = fault_xattr_delete,
	.orphan_put = fault_orphan_put,
	.dentry_id = dentry_id,
	.forget = forget,
	.before = before,
	.rollback = rollback,
	.wal_size = wal_size,
	.wal_readers = wal_readers,
	.close = close_both,
};

/* A function that an interface has and this file does not would be a jump to nowhere. */
static void check_complete(const void *table, size_t size, const char *what)
{
	const unsigned char *slots = table;

	for (size_t at = 0; at < size; at += sizeof(void (*)(void))) {
		static const unsigned char none[sizeof(void (*)(void))];

		if (memcmp(slots + at, none, sizeof(none)) != 0)
			continue;
		fprintf(stderr, "fault_store.c lacks function %zu of struct %s\n",
			at / sizeof(none), what);
		abort();
	}
}

struct fault_store *fault_store_new(struct cairn_store *real)
{
	struct fault_store *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	check_complete(&fault_ops, sizeof(fault_ops), "cairn_store_ops");
	check_complete(&fault_branch, sizeof(fault_branch), "cairn_branch_ops");
	f->table = fault_ops;
	if (!real->ops->dentry_id)
		f->table.dentry_id = NULL;
	if (!real->ops->forget)
		f->table.forget = NULL;
	if (!real->ops->before)
		f->table.before = NULL;
	f->base = *real;
	f->base.ops = &f->table;
	f->base.branch = real->branch ? &fault_branch : NULL;
	f->real = real;
	f->pause_at = -1;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->moved, NULL);
	return f;
}

struct cairn_store *fault_store_base(struct fault_store *f)
{
	return &f->base;
}

void fault_store_fail(struct fault_store *f, uint64_t ops, unsigned long n, int error, bool stays)
{
	pthread_mutex_lock(&f->lock);
	f->ops = ops;
	f->countdown = n;
	f->error = error;
	f->stays = stays;
	f->fired = 0;
	pthread_mutex_unlock(&f->lock);
}

void fault_store_clear(struct fault_store *f)
{
	pthread_mutex_lock(&f->lock);
	f->error = 0;
	pthread_mutex_unlock(&f->lock);
}

unsigned long fault_store_fired(struct fault_store *f)
{
	unsigned long fired;

	pthread_mutex_lock(&f->lock);
	fired = f->fired;
	pthread_mutex_unlock(&f->lock);
	return fired;
}

void fault_store_count_in(struct fault_store *f, atomic_ulong *counter)
{
	pthread_mutex_lock(&f->lock);
	f->counter = counter;
	pthread_mutex_unlock(&f->lock);
}

unsigned long fault_store_calls(struct fault_store *f, enum fault_op op)
{
	return atomic_load(&f->calls[op]);
}

void fault_store_pause(struct fault_store *f, enum fault_op op)
{
	pthread_mutex_lock(&f->lock);
	f->pause_at = (int)op;
	pthread_mutex_unlock(&f->lock);
}

void fault_store_wait_paused(struct fault_store *f)
{
	pthread_mutex_lock(&f->lock);
	while (!f->paused)
		pthread_cond_wait(&f->moved, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

void fault_store_resume(struct fault_store *f)
{
	pthread_mutex_lock(&f->lock);
	f->pause_at = -1;
	f->paused = false;
	pthread_cond_broadcast(&f->moved);
	pthread_mutex_unlock(&f->lock);
}
