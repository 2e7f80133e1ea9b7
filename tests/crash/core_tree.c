#include "core_tree.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/macro.h"

#define VALUE_MAX 512

static const struct cairn_caller nobody = { 0 };

/* Looks a name up and gives the pin back: nothing here is removed by anyone else. */
static int look_up(struct cairn_core *core, uint64_t dir, const char *name, struct cairn_attr *ret)
{
	int r = cairn_core_lookup(core, dir, name, ret);

	if (r == 0)
		cairn_core_forget(core, ret->ino, 1);
	return r;
}

/* The inode at a path, and the directory and the last name on the way there. */
struct spot {
	uint64_t dir;
	char path[MODEL_PATH_MAX]; /* `name` points into it */
	const char *name;
};

static int find_spot(const struct core_tree *tree, const char *path, struct spot *ret)
{
	struct cairn_attr attr;
	char *at = ret->path, *slash;
	int r;

	strcpy(ret->path, path);
	ret->dir = tree->root;
	while ((slash = strchr(at, '/'))) {
		*slash = '\0';
		r = look_up(tree->core, ret->dir, at, &attr);
		if (r < 0)
			return r;
		ret->dir = attr.ino;
		at = slash + 1;
	}
	ret->name = at;
	return 0;
}

static int find_attr(const struct core_tree *tree, const char *path, struct cairn_attr *ret)
{
	struct spot spot;
	int r;

	if (strcmp(path, ".") == 0)
		return cairn_core_getattr(tree->core, tree->root, ret);
	r = find_spot(tree, path, &spot);
	return r < 0 ? r : look_up(tree->core, spot.dir, spot.name, ret);
}

int core_tree_open(struct core_tree *tree, struct cairn_core *core, const char *name)
{
	struct cairn_attr attr;
	int r;

	*tree = (struct core_tree){ .core = core };
	r = look_up(core, CAIRN_ROOT_INO, name, &attr);
	if (r == -ENOENT) {
		r = cairn_core_mkdir(core, &nobody, CAIRN_ROOT_INO, name, 0755, &attr);
		if (r == 0)
			cairn_core_forget(core, attr.ino, 1);
	}
	if (r == 0)
		tree->root = attr.ino;
	return r;
}

void core_tree_close(struct core_tree *tree)
{
	for (int i = 0; i < HELD_INODES; i++) {
		if (tree->held[i])
			cairn_core_forget(tree->core, tree->held[i], 1);
		tree->held[i] = 0;
	}
}

static int run_make(struct core_tree *tree, const struct op *op, const struct spot *spot)
{
	char target[MODEL_PATH_MAX] = "";
	struct cairn_attr attr;
	int r;

	if (op->kind == OP_CREATE) {
		r = cairn_core_mknod(tree->core, &nobody, spot->dir, spot->name, S_IFREG | op->mode,
				     0, &attr);
	} else if (op->kind == OP_MKDIR) {
		r = cairn_core_mkdir(tree->core, &nobody, spot->dir, spot->name, op->mode, &attr);
	} else {
		op_fill(op, target);
		r = cairn_core_symlink(tree->core, &nobody, spot->dir, spot->name, target, &attr);
	}
	if (r == 0)
		cairn_core_forget(tree->core, attr.ino, 1);
	return r;
}

static int run_link(struct core_tree *tree, const struct op *op, const struct spot *spot)
{
	struct cairn_attr attr;
	int r;

	r = find_attr(tree, op->path2, &attr);
	if (r == 0)
		r = cairn_core_link(tree->core, attr.ino, spot->dir, spot->name, &attr);
	if (r == 0)
		cairn_core_forget(tree->core, attr.ino, 1);
	return r;
}

static int run_unlink_open(struct core_tree *tree, const struct spot *spot)
{
	uint64_t *held = &tree->held[tree->next++ % HELD_INODES];
	struct cairn_attr attr;
	int r;

	r = cairn_core_lookup(tree->core, spot->dir, spot->name, &attr);
	if (r < 0)
		return r;
	if (*held)
		cairn_core_forget(tree->core, *held, 1);
	*held = attr.ino;
	return cairn_core_unlink(tree->core, spot->dir, spot->name);
}

static int run_rename(struct core_tree *tree, const struct op *op, const struct spot *spot)
{
	struct spot to;
	int r;

	r = find_spot(tree, op->path2, &to);
	if (r < 0)
		return r;
	return cairn_core_rename(tree->core, spot->dir, spot->name, to.dir, to.name,
				 op->kind == OP_EXCHANGE ? RENAME_EXCHANGE : 0);
}

static int run_write(struct core_tree *tree, const struct op *op, uint64_t ino)
{
	_cleanup_(cairn_freep) void *data = must_alloc(op->len);

	op_fill(op, data);
	return cairn_core_write(tree->core, &nobody, ino, data, op->len, op->offset, false,
				op->kind == OP_WRITE_SYNC);
}

static int run_setattr(struct core_tree *tree, const struct op *op, uint64_t ino)
{
	struct cairn_attr to = { .mode = op->mode, .size = op->offset }, attr;

	return cairn_core_setattr(tree->core, &nobody, ino,
				  op->kind == OP_CHMOD ? CAIRN_SET_MODE : CAIRN_SET_SIZE, &to,
				  &attr);
}

static int run_setxattr(struct core_tree *tree, const struct op *op, uint64_t ino)
{
	char value[VALUE_MAX];

	op_fill(op, value);
	return cairn_core_setxattr(tree->core, ino, xattr_names[op->xattr], value, op->len, 0);
}

/* What is done to an entry. */
static int run_at(struct core_tree *tree, const struct op *op)
{
	struct spot spot;
	int r;

	r = find_spot(tree, op->path, &spot);
	if (r < 0)
		return r;
	switch (op->kind) {
	case OP_LINK:
		return run_link(tree, op, &spot);
	case OP_RMDIR:
		return cairn_core_rmdir(tree->core, spot.dir, spot.name);
	case OP_UNLINK:
		return cairn_core_unlink(tree->core, spot.dir, spot.name);
	case OP_UNLINK_OPEN:
		return run_unlink_open(tree, &spot);
	case OP_RENAME:
	case OP_EXCHANGE:
		return run_rename(tree, op, &spot);
	default:
		return run_make(tree, op, &spot);
	}
}

int core_tree_run(void *arg, const struct op *op)
{
	struct core_tree *tree = arg;
	struct cairn_attr attr;
	int r;

	switch (op->kind) {
	case OP_WRITE:
	case OP_WRITE_SYNC:
	case OP_TRUNCATE:
	case OP_CHMOD:
	case OP_SETXATTR:
	case OP_REMOVEXATTR:
	case OP_FSYNC:
		r = find_attr(tree, op->path, &attr);
		break;
	default:
		return run_at(tree, op);
	}
	if (r < 0)
		return r;
	if (op->kind == OP_FSYNC)
		return cairn_core_fsync(tree->core, attr.ino);
	if (op->kind == OP_SETXATTR)
		return run_setxattr(tree, op, attr.ino);
	if (op->kind == OP_REMOVEXATTR)
		return cairn_core_removexattr(tree->core, attr.ino, xattr_names[op->xattr]);
	if (op->kind == OP_TRUNCATE || op->kind == OP_CHMOD)
		return run_setattr(tree, op, attr.ino);
	return run_write(tree, op, attr.ino);
}

static int hash_file(struct cairn_core *core, uint64_t ino, struct seen *seen)
{
	_cleanup_(cairn_freep) char *data = must_alloc((size_t)seen->size + 1);
	ssize_t n = cairn_core_read(core, ino, data, (size_t)seen->size + 1, 0);

	if (n < 0)
		return (int)n;
	if (n != seen->size)
		return -ENODATA;
	seen->hash = hash_bytes(data, (size_t)n);
	return 0;
}

static int see_symlink(struct cairn_core *core, uint64_t ino, struct seen *seen)
{
	_cleanup_(cairn_freep) char *target = NULL;
	int r = cairn_core_readlink(core, ino, &target);

	if (r == 0)
		seen->hash = hash_bytes(target, strlen(target));
	return r;
}

static int see_xattrs(struct cairn_core *core, uint64_t ino, struct seen *seen)
{
	char value[VALUE_MAX];
	ssize_t n;

	for (int i = 0; i < XATTR_COUNT; i++) {
		n = cairn_core_getxattr(core, ino, xattr_names[i], value, sizeof(value));
		if (n < 0 && n != -ENODATA)
			return (int)n;
		if (n >= 0)
			seen->xattr[i] = hash_bytes(value, (size_t)n);
	}
	return 0;
}

static int see(struct cairn_core *core, const struct cairn_attr *attr, const char *path,
	       struct listing *ret)
{
	struct seen seen = {
		.path = path,
		.id = attr->ino,
		.mode = attr->mode,
		.nlink = attr->nlink,
		.size = S_ISDIR(attr->mode) ? 0 : attr->size,
	};
	int r = 0;

	if (S_ISREG(attr->mode))
		r = hash_file(core, attr->ino, &seen);
	else if (S_ISLNK(attr->mode))
		r = see_symlink(core, attr->ino, &seen);
	if (r == 0 && !S_ISLNK(attr->mode))
		r = see_xattrs(core, attr->ino, &seen);
	if (r == 0)
		listing_add(ret, &seen);
	return r;
}

/* The names in a directory, read before they are looked at. */
struct names {
	char name[MODEL_NODES][CAIRN_NAME_MAX + 1];
	unsigned int count;
};

static bool add_name(void *arg, const struct cairn_dirent *entry)
{
	struct names *names = arg;

	if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
		return false;
	if (names->count == MODEL_NODES)
		return true;
	strcpy(names->name[names->count++], entry->name);
	return false;
}

static int list_below(struct cairn_core *core, const struct cairn_attr *attr, const char *path,
		      struct listing *ret)
{
	struct names *names = NULL;
	char below[2 * MODEL_PATH_MAX];
	struct cairn_attr child;
	int r;

	r = see(core, attr, path, ret);
	if (r < 0 || !S_ISDIR(attr->mode))
		return r;
	names = must_alloc(sizeof(*names));
	r = cairn_core_readdir(core, attr->ino, 0, false, add_name, names);
	for (unsigned int i = 0; r == 0 && i < names->count; i++) {
		join_path(below, path, names->name[i]);
		r = look_up(core, attr->ino, names->name[i], &child);
		if (r == 0)
			r = list_below(core, &child, below, ret);
	}
	free(names);
	return r;
}

int core_tree_list(struct core_tree *tree, struct listing *ret)
{
	struct cairn_attr attr;
	int r = cairn_core_getattr(tree->core, tree->root, &attr);

	return r < 0 ? r : list_below(tree->core, &attr, "", ret);
}
