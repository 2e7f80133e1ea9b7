/* Extended attributes. */
#include <errno.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "core/internal.h"
#include "core/op.h"
#include "core/space.h"

static int check_name(const char *name)
{
	size_t len = strlen(name);

	return len == 0 || len > XATTR_NAME_MAX ? -ERANGE : 0;
}

/* What the batches say about a name; NULL when they say nothing. */
static const struct cairn_delta_xattr *find_batched(const struct cairn_inode *inode,
						    const char *name)
{
	struct cairn_layers layers = cairn_inode_layers(inode);
	const struct cairn_delta_xattr *xattr = NULL;

	if (layers.upper)
		xattr = cairn_delta_find_xattr(layers.upper, name);
	if (!xattr && layers.lower)
		xattr = cairn_delta_find_xattr(layers.lower, name);
	return xattr;
}

/* The value as a new buffer; -ENODATA if there is none. The caller holds the inode's lock. */
static int load_value(struct cairn_core *core, const struct cairn_inode *inode, const char *name,
		      void **ret, size_t *ret_len)
{
	_cleanup_(cairn_readingp) struct cairn_reading reading = { 0 };
	const struct cairn_delta_xattr *batched = find_batched(inode, name);
	int r;

	if (batched && batched->removed)
		return -ENODATA;
	if (batched) {
		*ret = malloc(batched->len ? batched->len : 1);
		if (!*ret)
			return -ENOMEM;
		if (batched->len > 0)
			memcpy(*ret, batched->value, batched->len);
		*ret_len = batched->len;
		return 0;
	}
	if (inode->fresh)
		return -ENODATA;
	r = cairn_reading(&core->readers, &reading);
	if (r < 0)
		return r;
	r = core->store->ops->xattr_get(reading.reader, inode->ino, name, ret, ret_len);
	return r == -ENOENT ? -ENODATA : r;
}

/* Answers as getxattr(2) and listxattr(2) do: the length for size 0, -ERANGE if it does not fit. */
static ssize_t answer(const void *value, size_t len, void *buf, size_t size)
{
	if (size == 0)
		return (ssize_t)len;
	if (len > size)
		return -ERANGE;
	if (len > 0)
		memcpy(buf, value, len);
	return (ssize_t)len;
}

ssize_t cairn_core_getxattr(struct cairn_core *core, uint64_t ino, const char *name, void *buf,
			    size_t size)
{
	_cleanup_(cairn_inode_viewp) struct cairn_inode_view view = { 0 };
	_cleanup_(cairn_freep) void *value = NULL;
	size_t len;
	int r;

	r = check_name(name);
	if (r < 0)
		return r;
	r = cairn_inode_view(core, ino, &view);
	if (r < 0)
		return r;
	r = load_value(core, view.inode, name, &value, &len);
	if (r < 0)
		return r;
	return answer(value, len, buf, size);
}

/* A list of names in the form listxattr(2) returns. */
struct names {
	struct cairn_layers layers;
	char *buf;
	size_t len, capacity;
};

static int add_name(struct names *names, const char *name)
{
	size_t size = strlen(name) + 1;

	if (names->len + size > names->capacity) {
		size_t capacity = MAX(2 * names->capacity, names->len + size);
		char *buf = realloc(names->buf, capacity);

		if (!buf)
			return -ENOMEM;
		names->buf = buf;
		names->capacity = capacity;
	}
	memcpy(names->buf + names->len, name, size);
	names->len += size;
	return 0;
}

static int add_stored(void *arg, const char *name)
{
	struct names *names = arg;

	if ((names->layers.upper && cairn_delta_find_xattr(names->layers.upper, name)) ||
	    (names->layers.lower && cairn_delta_find_xattr(names->layers.lower, name)))
		return 0;
	return add_name(names, name);
}

static int add_layer(struct names *names, const struct cairn_delta *layer,
		     const struct cairn_delta *above)
{
	struct cairn_delta_xattr *xattr, *next;
	int r;

	if (!layer)
		return 0;
	HASH_ITER (hh, layer->xattrs, xattr, next) {
		if (xattr->removed || (above && cairn_delta_find_xattr(above, xattr->name)))
			continue;
		r = add_name(names, xattr->name);
		if (r < 0)
			return r;
	}
	return 0;
}

static int collect_names(struct cairn_core *core, const struct cairn_inode *inode,
			 struct names *names)
{
	_cleanup_(cairn_readingp) struct cairn_reading reading = { 0 };
	int r;

	names->layers = cairn_inode_layers(inode);
	r = add_layer(names, names->layers.upper, NULL);
	if (r < 0)
		return r;
	r = add_layer(names, names->layers.lower, names->layers.upper);
	if (r < 0 || inode->fresh)
		return r;
	r = cairn_reading(&core->readers, &reading);
	if (r < 0)
		return r;
	return core->store->ops->xattr_scan(reading.reader, inode->ino, add_stored, names);
}

ssize_t cairn_core_listxattr(struct cairn_core *core, uint64_t ino, char *buf, size_t size)
{
	_cleanup_(cairn_inode_viewp) struct cairn_inode_view view = { 0 };
	struct names names = { 0 };
	ssize_t n;
	int r;

	r = cairn_inode_view(core, ino, &view);
	if (r < 0)
		return r;
	r = collect_names(core, view.inode, &names);
	n = r < 0 ? r : answer(names.buf, names.len, buf, size);
	free(names.buf);
	return n;
}

/* Judges the flags against what is there. 1: it is there with just this value, nothing to do. */
static int check_change(struct cairn_core *core, const struct cairn_inode *inode, const char *name,
			const void *value, size_t size, int flags)
{
	_cleanup_(cairn_freep) void *old = NULL;
	size_t len;
	int r;

	r = load_value(core, inode, name, &old, &len);
	if (r == -ENODATA)
		return flags & XATTR_REPLACE ? -ENODATA : 0;
	if (r < 0)
		return r;
	if (flags & XATTR_CREATE)
		return -EEXIST;
	return value && len == size && memcmp(old, value, size) == 0;
}

/* Sets (value) or removes (NULL) one attribute. */
static int change(struct cairn_core *core, uint64_t ino, const char *name, const void *value,
		  size_t size, int flags)
{
	_cleanup_(cairn_op_endp) struct cairn_op op = { 0 };
	struct cairn_inode *inode;
	struct cairn_delta *delta;
	int r;

	r = check_name(name);
	if (r < 0)
		return r;
	r = cairn_op_begin_on(&op, core, 0, ino, &inode);
	if (r < 0)
		return r;
	r = check_change(core, inode, name, value, size, flags);
	if (r != 0)
		return MIN(r, 0);
	r = cairn_op_change(&op, inode, &delta);
	if (r < 0)
		return r;
	r = cairn_delta_set_xattr(delta, name, value, size);
	if (r < 0)
		return r;
	inode->attr.ctime = op.now;
	return cairn_op_finish(&op);
}

int cairn_core_setxattr(struct cairn_core *core, uint64_t ino, const char *name, const void *value,
			size_t size, int flags)
{
	int r;

	if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	if (size > CAIRN_XATTR_MAX)
		return -E2BIG;
	r = cairn_space_admit(core, size);
	if (r < 0)
		return r;
	return change(core, ino, name, value ? value : "", size, flags);
}

int cairn_core_removexattr(struct cairn_core *core, uint64_t ino, const char *name)
{
	return change(core, ino, name, NULL, 0, XATTR_REPLACE);
}
