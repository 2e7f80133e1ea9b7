#include "model.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX  3
#define WRITE_MAX  (48U << 10)
#define TARGET_MAX 200U
#define ROOT       0
#define PAGE       4096U

/* 100 bytes, so that three of them fit into a path. */
#define LONG_NAME                                                                                  \
	"long-long-long-long-long-long-long-long-long-long-"                                       \
	"long-long-long-long-long-long-long-long-long-name-"

static const char *const names[MODEL_NAMES] = {
	"a",        "b",        "c.txt", "d",    "e",       ".hidden", "with a space",
	"\xc3\xbc", "\xff\xfe", "-x",    "it's", LONG_NAME,
};

struct xattr {
	uint32_t len;
	uint64_t seed;
	bool set;
};

struct node {
	mode_t mode; /* 0: free */
	uint32_t nlink;
	unsigned char *data; /* of a file, or a symbolic link's target */
	uint32_t size;
	uint64_t hash; /* of data */
	struct xattr xattr[XATTR_COUNT];
	int child[MODEL_NAMES]; /* of a directory: node numbers, -1 for none */
	int parent, depth;      /* of a directory */
	uint64_t changed;
};

struct model {
	struct node nodes[MODEL_NODES];
};

static void init_dir(struct node *node, mode_t mode, int parent, int depth)
{
	*node = (struct node){ .mode = S_IFDIR | mode, .nlink = 2 };
	node->parent = parent;
	node->depth = depth;
	for (int i = 0; i < MODEL_NAMES; i++)
		node->child[i] = -1;
}

struct model *model_new(void)
{
	struct model *model = must_alloc(sizeof(*model));

	init_dir(&model->nodes[ROOT], 0755, ROOT, 0);
	return model;
}

struct model *model_clone(const struct model *model)
{
	struct model *clone = must_alloc(sizeof(*clone));

	*clone = *model;
	for (int i = 0; i < MODEL_NODES; i++) {
		struct node *node = &clone->nodes[i];

		if (!node->data)
			continue;
		node->data = must_alloc(node->size);
		memcpy(node->data, model->nodes[i].data, node->size);
	}
	return clone;
}

void model_free(struct model *model)
{
	if (!model)
		return;
	for (int i = 0; i < MODEL_NODES; i++)
		free(model->nodes[i].data);
	free(model);
}

/* Drawing */

static void path_of(const struct model *model, int dir, int name, char *ret)
{
	char tail[MODEL_PATH_MAX];

	strcpy(ret, name < 0 ? "" : names[name]);
	while (dir != ROOT) {
		const struct node *parent = &model->nodes[model->nodes[dir].parent];
		int i = 0;

		while (parent->child[i] != dir)
			i++;
		strcpy(tail, ret);
		snprintf(ret, MODEL_PATH_MAX, "%s%s%s", names[i], *tail ? "/" : "", tail);
		dir = model->nodes[dir].parent;
	}
	if (!*ret)
		strcpy(ret, ".");
}

enum want {
	WANT_FREE,
	WANT_FILE,
	WANT_DIR,  /* an empty one */
	WANT_LEAF, /* what unlink takes */
	WANT_ANY,
};

static bool is_empty(const struct node *dir)
{
	for (int i = 0; i < MODEL_NAMES; i++)
		if (dir->child[i] >= 0)
			return false;
	return true;
}

static bool suits(const struct model *model, int node, enum want want)
{
	const struct node *n = node < 0 ? NULL : &model->nodes[node];

	switch (want) {
	case WANT_FREE:
		return !n;
	case WANT_FILE:
		return n && S_ISREG(n->mode);
	case WANT_DIR:
		return n && S_ISDIR(n->mode) && is_empty(n);
	case WANT_LEAF:
		return n && !S_ISDIR(n->mode);
	default:
		return n;
	}
}

/* Picks one of the entries (free ones included) that suit, each as likely as any other. */
static bool pick(const struct model *model, struct rng *rng, enum want want, int *dir, int *name)
{
	uint32_t found = 0;

	for (int d = 0; d < MODEL_NODES; d++) {
		const struct node *node = &model->nodes[d];

		if (!S_ISDIR(node->mode))
			continue;
		for (int i = 0; i < MODEL_NAMES; i++) {
			if (!suits(model, node->child[i], want) || rng_below(rng, ++found) != 0)
				continue;
			*dir = d;
			*name = i;
		}
	}
	return found > 0;
}

static int free_node(const struct model *model)
{
	for (int i = 0; i < MODEL_NODES; i++)
		if (!model->nodes[i].mode)
			return i;
	return -1;
}

/* Whether `node` lies at or above `dir`. */
static bool holds(const struct model *model, int node, int dir)
{
	for (;; dir = model->nodes[dir].parent) {
		if (dir == node)
			return true;
		if (dir == ROOT)
			return false;
	}
}

static bool draw_place(const struct model *model, struct rng *rng, enum want want, struct op *op)
{
	if (!pick(model, rng, want, &op->dir, &op->name))
		return false;
	op->node = model->nodes[op->dir].child[op->name];
	path_of(model, op->dir, op->name, op->path);
	return true;
}

static bool draw_new(const struct model *model, struct rng *rng, struct op *op)
{
	if (free_node(model) < 0 || !draw_place(model, rng, WANT_FREE, op))
		return false;
	return op->kind != OP_MKDIR || model->nodes[op->dir].depth + 1 < DEPTH_MAX;
}

static bool draw_link(const struct model *model, struct rng *rng, struct op *op)
{
	if (!pick(model, rng, WANT_LEAF, &op->dir2, &op->name2) ||
	    !draw_place(model, rng, WANT_FREE, op))
		return false;
	op->node = model->nodes[op->dir2].child[op->name2];
	path_of(model, op->dir2, op->name2, op->path2);
	return true;
}

/* Directories only change places where they are, so that no path grows too deep. */
static bool draw_rename(const struct model *model, struct rng *rng, struct op *op)
{
	enum want want = WANT_FREE;
	bool from_dir;
	int other;

	if (!draw_place(model, rng, WANT_ANY, op))
		return false;
	from_dir = S_ISDIR(model->nodes[op->node].mode);
	if (op->kind == OP_EXCHANGE)
		want = WANT_LEAF;
	else if (rng_below(rng, 2))
		want = from_dir ? WANT_DIR : WANT_LEAF;
	if (!pick(model, rng, want, &op->dir2, &op->name2))
		return false;
	other = model->nodes[op->dir2].child[op->name2];
	if (other == op->node || (from_dir && holds(model, op->node, op->dir2)))
		return false;
	if (from_dir && model->nodes[op->dir2].depth != model->nodes[op->dir].depth)
		return false;
	path_of(model, op->dir2, op->name2, op->path2);
	return true;
}

static bool draw_fsync(const struct model *model, struct rng *rng, struct op *op)
{
	if (rng_below(rng, 2))
		return draw_place(model, rng, WANT_FILE, op);
	if (!pick(model, rng, rng_below(rng, 2) ? WANT_ANY : WANT_FREE, &op->dir, &op->name))
		return false;
	op->node = op->dir;
	path_of(model, op->dir, -1, op->path);
	return true;
}

static void draw_bytes(const struct model *model, struct rng *rng, struct op *op)
{
	uint32_t size = model->nodes[op->node].size;

	op->len = 1 + rng_below(rng, rng_below(rng, 4) ? 6000 : WRITE_MAX);
	if (rng_below(rng, 2))
		op->offset = size;
	else
		op->offset = rng_below(rng, rng_below(rng, 3) ? size + 1 : MODEL_FILE_MAX);
	if (op->offset + op->len > MODEL_FILE_MAX)
		op->offset = MODEL_FILE_MAX - op->len;
}

static void align_write(struct rng *rng, struct op *op)
{
	uint32_t within = (uint32_t)op->offset % PAGE;

	if (op->kind != OP_WRITE && op->kind != OP_WRITE_SYNC)
		return;
	if (rng_below(rng, 2))
		op->offset -= within;
	else if (within + op->len > PAGE)
		op->len = PAGE - within;
}

static bool draw_file_op(const struct model *model, struct rng *rng, struct op *op)
{
	if (!draw_place(model, rng, WANT_FILE, op))
		return false;
	if (op->kind == OP_TRUNCATE)
		op->offset = rng_below(rng, rng_below(rng, 2) ? model->nodes[op->node].size + 1
							      : MODEL_FILE_MAX);
	else
		draw_bytes(model, rng, op);
	return true;
}

static bool draw_xattr(const struct model *model, struct rng *rng, struct op *op)
{
	if (!draw_place(model, rng, WANT_ANY, op) || S_ISLNK(model->nodes[op->node].mode))
		return false;
	op->xattr = rng_below(rng, XATTR_COUNT);
	op->len = rng_below(rng, 300);
	return op->kind == OP_SETXATTR || model->nodes[op->node].xattr[op->xattr].set;
}

static bool draw_chmod(const struct model *model, struct rng *rng, struct op *op)
{
	if (!draw_place(model, rng, WANT_ANY, op))
		return false;
	op->mode |= 0700;
	return !S_ISLNK(model->nodes[op->node].mode);
}

static bool draw_of_kind(const struct model *model, struct rng *rng, struct op *op)
{
	switch (op->kind) {
	case OP_CREATE:
	case OP_MKDIR:
	case OP_SYMLINK:
		return draw_new(model, rng, op);
	case OP_LINK:
		return draw_link(model, rng, op);
	case OP_WRITE:
	case OP_WRITE_SYNC:
	case OP_TRUNCATE:
		return draw_file_op(model, rng, op);
	case OP_RMDIR:
		return draw_place(model, rng, WANT_DIR, op);
	case OP_UNLINK:
		return draw_place(model, rng, WANT_LEAF, op);
	case OP_UNLINK_OPEN:
		return draw_place(model, rng, WANT_FILE, op);
	case OP_RENAME:
	case OP_EXCHANGE:
		return draw_rename(model, rng, op);
	case OP_CHMOD:
		return draw_chmod(model, rng, op);
	case OP_SETXATTR:
	case OP_REMOVEXATTR:
		return draw_xattr(model, rng, op);
	default:
		return draw_fsync(model, rng, op);
	}
}

void model_draw(const struct model *model, struct rng *rng, bool aligned, struct op *ret)
{
	/* How often each kind is tried, of 100. */
	static const unsigned char weight[OP_KINDS] = {
		[OP_CREATE] = 16, [OP_WRITE] = 24,      [OP_WRITE_SYNC] = 1,  [OP_TRUNCATE] = 6,
		[OP_MKDIR] = 5,   [OP_RMDIR] = 3,       [OP_SYMLINK] = 3,     [OP_LINK] = 6,
		[OP_UNLINK] = 9,  [OP_UNLINK_OPEN] = 2, [OP_RENAME] = 9,      [OP_EXCHANGE] = 3,
		[OP_CHMOD] = 3,   [OP_SETXATTR] = 5,    [OP_REMOVEXATTR] = 2, [OP_FSYNC] = 3,
	};
	struct op op;

	do {
		uint32_t at = rng_below(rng, 100);

		op = (struct op){ .seed = rng_next(rng), .mode = rng_below(rng, 0777) | 0600 };
		while (at >= weight[op.kind])
			at -= weight[op.kind++];
		if (op.kind == OP_MKDIR)
			op.mode |= 0700;
		if (op.kind == OP_SYMLINK)
			op.len = 1 + rng_below(rng, TARGET_MAX);
	} while (!draw_of_kind(model, rng, &op));
	if (aligned)
		align_write(rng, &op);
	*ret = op;
}

/* Applying */

static void touch(struct model *model, int node, uint64_t number)
{
	model->nodes[node].changed = number;
}

static void resize(struct node *node, uint32_t size)
{
	node->data = must_realloc(node->data, size, 1);
	if (size > node->size)
		memset(node->data + node->size, 0, size - node->size);
	node->size = size;
	node->hash = 0;
}

static void drop_link(struct model *model, int number)
{
	struct node *node = &model->nodes[number];

	if (S_ISDIR(node->mode)) {
		model->nodes[node->parent].nlink--;
	} else if (--node->nlink > 0) {
		return;
	}
	free(node->data);
	*node = (struct node){ 0 };
}

static void make(struct model *model, const struct op *op)
{
	int number = free_node(model);
	struct node *dir = &model->nodes[op->dir], *node = &model->nodes[number];

	dir->child[op->name] = number;
	if (op->kind == OP_MKDIR) {
		init_dir(node, op->mode, op->dir, dir->depth + 1);
		dir->nlink++;
		return;
	}
	*node = (struct node){ .mode = S_IFREG | op->mode, .nlink = 1 };
	if (op->kind == OP_SYMLINK) {
		node->mode = S_IFLNK | 0777;
		resize(node, op->len);
		op_fill(op, node->data);
	}
}

static void write_bytes(struct node *node, const struct op *op)
{
	uint32_t end = (uint32_t)op->offset + op->len;

	if (end > node->size)
		resize(node, end);
	op_fill(op, node->data + op->offset);
	node->hash = 0;
}

static void adopt(struct model *model, int dir, int node)
{
	if (!S_ISDIR(model->nodes[node].mode))
		return;
	model->nodes[model->nodes[node].parent].nlink--;
	model->nodes[dir].nlink++;
	model->nodes[node].parent = dir;
	model->nodes[node].depth = model->nodes[dir].depth + 1;
}

static void move(struct model *model, const struct op *op)
{
	struct node *from = &model->nodes[op->dir], *to = &model->nodes[op->dir2];
	int other = to->child[op->name2];

	to->child[op->name2] = op->node;
	from->child[op->name] = op->kind == OP_EXCHANGE ? other : -1;
	if (op->kind == OP_EXCHANGE)
		adopt(model, op->dir, other);
	else if (other >= 0)
		drop_link(model, other);
	adopt(model, op->dir2, op->node);
}

static void change_xattr(struct node *node, const struct op *op)
{
	node->xattr[op->xattr] = (struct xattr){
		.set = op->kind == OP_SETXATTR,
		.len = op->len,
		.seed = op->seed,
	};
}

static void apply(struct model *model, const struct op *op)
{
	struct node *dir = &model->nodes[op->dir], *node = &model->nodes[op->node];

	switch (op->kind) {
	case OP_CREATE:
	case OP_MKDIR:
	case OP_SYMLINK:
		make(model, op);
		break;
	case OP_WRITE:
	case OP_WRITE_SYNC:
		write_bytes(node, op);
		break;
	case OP_TRUNCATE:
		resize(node, (uint32_t)op->offset);
		break;
	case OP_LINK:
		dir->child[op->name] = op->node;
		node->nlink++;
		break;
	case OP_RMDIR:
	case OP_UNLINK:
	case OP_UNLINK_OPEN:
		dir->child[op->name] = -1;
		drop_link(model, op->node);
		break;
	case OP_RENAME:
	case OP_EXCHANGE:
		move(model, op);
		break;
	case OP_CHMOD:
		node->mode = (node->mode & S_IFMT) | op->mode;
		break;
	case OP_SETXATTR:
	case OP_REMOVEXATTR:
		change_xattr(node, op);
		break;
	default:
		break;
	}
}

/* Whose attributes or entries an operation changes. */
static void note_changes(struct model *model, const struct op *op, uint64_t number)
{
	bool renames = op->kind == OP_RENAME || op->kind == OP_EXCHANGE;
	int there = model->nodes[op->dir].child[op->name];

	if (op->kind == OP_FSYNC)
		return;
	switch (op->kind) {
	case OP_WRITE:
	case OP_WRITE_SYNC:
	case OP_TRUNCATE:
	case OP_CHMOD:
	case OP_SETXATTR:
	case OP_REMOVEXATTR:
		break;
	default:
		touch(model, op->dir, number);
	}
	if (there >= 0)
		touch(model, there, number);
	if (renames) {
		touch(model, op->dir2, number);
		touch(model, op->node, number);
	}
	/* The other names of what an unlink took one from. */
	if (op->kind == OP_UNLINK || op->kind == OP_UNLINK_OPEN)
		if (model->nodes[op->node].mode)
			touch(model, op->node, number);
}

void model_apply(struct model *model, const struct op *op, uint64_t number)
{
	apply(model, op);
	note_changes(model, op, number);
}

uint64_t model_changed(const struct model *model, const struct op *op)
{
	return model->nodes[op->node].changed;
}

void model_forget_changes(struct model *model)
{
	for (int i = 0; i < MODEL_NODES; i++)
		model->nodes[i].changed = 0;
}

/* Listing */

static void see(struct model *model, int number, const char *path, struct listing *ret)
{
	struct node *node = &model->nodes[number];
	struct seen seen = { .path = path, .mode = node->mode, .nlink = node->nlink };
	unsigned char value[512];

	seen.id = (uint64_t)number;
	if (!S_ISDIR(node->mode)) {
		if (!node->hash)
			node->hash = hash_bytes(node->data, node->size);
		seen.hash = node->hash;
		seen.size = node->size;
	}
	for (int i = 0; i < XATTR_COUNT; i++) {
		if (!node->xattr[i].set)
			continue;
		rng_fill(node->xattr[i].seed, value, node->xattr[i].len);
		seen.xattr[i] = hash_bytes(value, node->xattr[i].len);
	}
	listing_add(ret, &seen);
}

static void list_dir(struct model *model, int dir, const char *path, struct listing *ret)
{
	char below[MODEL_PATH_MAX];

	for (int i = 0; i < MODEL_NAMES; i++) {
		int child = model->nodes[dir].child[i];

		if (child < 0)
			continue;
		join_path(below, path, names[i]);
		see(model, child, below, ret);
		if (S_ISDIR(model->nodes[child].mode))
			list_dir(model, child, below, ret);
	}
}

void model_list(struct model *model, struct listing *ret)
{
	see(model, ROOT, "", ret);
	list_dir(model, ROOT, "", ret);
}

void op_fill(const struct op *op, void *data)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char *p = data;

	rng_fill(op->seed, data, op->len);
	if (op->kind == OP_SYMLINK)
		for (uint32_t i = 0; i < op->len; i++)
			p[i] = (unsigned char)digits[p[i] & 15];
}

const char *op_name(enum op_kind kind)
{
	static const char *const kinds[OP_KINDS] = {
		[OP_CREATE] = "create",
		[OP_WRITE] = "write",
		[OP_WRITE_SYNC] = "write (O_DSYNC)",
		[OP_TRUNCATE] = "truncate",
		[OP_MKDIR] = "mkdir",
		[OP_RMDIR] = "rmdir",
		[OP_SYMLINK] = "symlink",
		[OP_LINK] = "link",
		[OP_UNLINK] = "unlink",
		[OP_UNLINK_OPEN] = "unlink while open",
		[OP_RENAME] = "rename",
		[OP_EXCHANGE] = "exchange",
		[OP_CHMOD] = "chmod",
		[OP_SETXATTR] = "setxattr",
		[OP_REMOVEXATTR] = "removexattr",
		[OP_FSYNC] = "fsync",
	};

	return kinds[kind];
}
