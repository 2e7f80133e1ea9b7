#include "fault_base.h"

#include <stdlib.h>

struct fault_base {
	struct cairn_base base;
	struct cairn_base *real;
	struct fault_store *fault;
};

static struct fault_base *from(struct cairn_base *base)
{
	return (struct fault_base *)base; /* its first member */
}

/* Each function: count the call, then fail or pass it on. */
#define PASS(type, name, parameters, ...)                                                          \
	static type fault_##name parameters                                                        \
	{                                                                                          \
		struct fault_base *f = from(base);                                                 \
		int r = fault_store_enter(f->fault, FAULT_BASE);                                   \
                                                                                                   \
		return r < 0 ? r : f->real->ops->name(f->real, __VA_ARGS__);                       \
	}

PASS(int, lookup,
     (struct cairn_base * base, uint64_t dir, const char *name, size_t len, struct cairn_attr *ret),
     dir, name, len, ret)
PASS(int, getattr, (struct cairn_base * base, uint64_t ino, struct cairn_attr *ret), ino, ret)
PASS(int, list, (struct cairn_base * base, uint64_t dir, cairn_base_fn fn, void *arg), dir, fn, arg)
PASS(int, readlink, (struct cairn_base * base, uint64_t ino, char **ret), ino, ret)
PASS(ssize_t, read,
     (struct cairn_base * base, uint64_t ino, void *buf, size_t size, int64_t offset), ino, buf,
     size, offset)
PASS(int, next_data,
     (struct cairn_base * base, uint64_t ino, int64_t offset, int64_t *ret, int64_t *ret_end), ino,
     offset, ret, ret_end)
PASS(int, xattr_get,
     (struct cairn_base * base, uint64_t ino, const char *name, void **ret, size_t *ret_len), ino,
     name, ret, ret_len)
PASS(int, xattr_scan, (struct cairn_base * base, uint64_t ino, cairn_xattr_fn fn, void *arg), ino,
     fn, arg)
PASS(int, path, (struct cairn_base * base, uint64_t ino, char **ret), ino, ret)
PASS(int, place,
     (struct cairn_base * base, uint64_t ino, uint64_t *ret_dir, char ret_name[CAIRN_NAME_MAX + 1]),
     ino, ret_dir, ret_name)
PASS(int, resolve, (struct cairn_base * base, const char *path, struct cairn_attr *ret), path, ret)
PASS(int, poll, (struct cairn_base * base, enum cairn_base_change *ret), ret)

static uint64_t fault_root(struct cairn_base *base)
{
	return from(base)->real->ops->root(from(base)->real);
}

static void fault_forget(struct cairn_base *base, uint64_t ino)
{
	from(base)->real->ops->forget(from(base)->real, ino);
}

static void fault_renew(struct cairn_base *base)
{
	from(base)->real->ops->renew(from(base)->real);
}

static void fault_close(struct cairn_base *base)
{
	from(base)->real->ops->close(from(base)->real);
	free(base);
}

static const struct cairn_base_ops fault_ops = {
	.root = fault_root,
	.lookup = fault_lookup,
	.getattr = fault_getattr,
	.list = fault_list,
	.readlink = fault_readlink,
	.read = fault_read,
	.next_data = fault_next_data,
	.xattr_get = fault_xattr_get,
	.xattr_scan = fault_xattr_scan,
	.path = fault_path,
	.place = fault_place,
	.resolve = fault_resolve,
	.forget = fault_forget,
	.renew = fault_renew,
	.poll = fault_poll,
	.close = fault_close,
};

struct cairn_base *fault_base_new(struct cairn_base *real, struct fault_store *fault)
{
	struct fault_base *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	f->base = *real;
	f->base.ops = &fault_ops;
	f->real = real;
	f->fault = fault;
	return &f->base;
}
