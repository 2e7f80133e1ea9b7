#include "workload.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "core_fixture.h"

#define NODES     32
#define ENTRIES   32
#define BYTES_MAX 4096
#define TEXT_MAX  16384

enum act {
	MAKE_FILE,
	MAKE_DIR,
	MAKE_LINK,
	MAKE_SYMLINK,
	WRITE,
	RESIZE,
	ZERO,
	CHMOD,
	SET_XATTR,
	DROP_XATTR,
	RENAME,
	EXCHANGE,
	UNLINK,
	RMDIR,
	FSYNC,
	READ,
	LIST,
	HOLD,      /* keeps a pin on a file */
	LET_GO,    /* and gives it back */
	WRITE_HELD /* to the file that is held */
};

/* Directories are one letter below the root; names are the letters behind it. */
struct step {
	enum act act;
	const char *path, *to;
	int at, size; /* bytes, or a mode */
};

static const struct step steps[] = {
	{ MAKE_DIR, "d", NULL, 0, 0 },
	{ MAKE_FILE, "d/a", NULL, 0, 0 },
	{ WRITE, "d/a", NULL, 0, 700 },
	{ MAKE_FILE, "b", NULL, 0, 0 },
	{ WRITE, "b", NULL, 100, 300 },
	{ SET_XATTR, "b", NULL, 0, 40 },
	{ FSYNC, "d/a", NULL, 0, 0 },
	{ LIST, "d", NULL, 0, 0 },
	{ RENAME, "b", "d/b", 0, 0 },
	{ MAKE_SYMLINK, "s", NULL, 0, 0 },
	{ MAKE_LINK, "d/a", "l", 0, 0 },
	{ WRITE, "d/a", NULL, 250, 600 },
	{ READ, "d/a", NULL, 0, 0 },
	{ MAKE_DIR, "e", NULL, 0, 0 },
	{ FSYNC, "d", NULL, 0, 0 },
	{ RESIZE, "d/a", NULL, 0, 90 },
	{ RESIZE, "d/a", NULL, 0, 500 },
	{ ZERO, "d/b", NULL, 64, 200 },
	{ CHMOD, "d/b", NULL, 0, 0600 },
	{ MAKE_FILE, "e/c", NULL, 0, 0 },
	{ WRITE, "e/c", NULL, 0, 128 },
	{ HOLD, "e/c", NULL, 0, 0 },
	{ FSYNC, "e/c", NULL, 0, 0 },
	{ UNLINK, "e/c", NULL, 0, 0 },
	{ WRITE_HELD, "e/c", NULL, 10, 200 },
	{ RMDIR, "e", NULL, 0, 0 },
	{ FSYNC, "", NULL, 0, 0 },
	{ LET_GO, "e/c", NULL, 0, 0 },
	{ RENAME, "d/b", "l", 0, 0 },
	{ SET_XATTR, "d/a", NULL, 0, 3000 },
	{ DROP_XATTR, "l", NULL, 0, 0 },
	{ MAKE_DIR, "f", NULL, 0, 0 },
	{ EXCHANGE, "d/a", "f", 0, 0 },
	{ LIST, "", NULL, 0, 0 },
	{ WRITE, "f", NULL, 0, 20 },
	{ UNLINK, "s", NULL, 0, 0 },
	{ FSYNC, "f", NULL, 0, 0 },
	{ MAKE_FILE, "d/z", NULL, 0, 0 },
	{ WRITE, "d/z", NULL, 0, 64 },
	{ RENAME, "d", "g", 0, 0 },
};

struct node {
	mode_t mode;
	int links;
	int size;
	unsigned char bytes[BYTES_MAX];
	int xattr; /* bytes of the value; -1: none */
};

struct model {
	struct node node[NODES];
	int nodes;
	struct {
		int parent, node; /* node -1: free */
		char name[4];
	} entry[ENTRIES];
	int held; /* the node; it may have no entry any more */
};

static struct model model;
static uint64_t held_ino;

/* What a value or a write holds is told by the step that made it. */
static void fill(unsigned char *to, int size, unsigned int seed)
{
	for (int i = 0; i < size; i++)
		to[i] = (unsigned char)(1 + (seed * 31 + (unsigned int)i * 7) % 255);
}

static int find_entry(int parent, const char *name)
{
	for (int i = 0; i < ENTRIES; i++)
		if (model.entry[i].node >= 0 && model.entry[i].parent == parent &&
		    strcmp(model.entry[i].name, name) == 0)
			return i;
	return -1;
}

/* Splits a path; the parent is -1 where there is none. */
static int model_parent(const char *path, const char **name)
{
	char dir[2] = { path[0], 0 };
	int at;

	*name = path[0] && path[1] == '/' ? path + 2 : path;
	if (*name == path)
		return 0;
	at = find_entry(0, dir);
	return at < 0 ? -1 : model.entry[at].node;
}

static int model_entry(const char *path)
{
	const char *name;
	int parent = model_parent(path, &name);

	return parent < 0 ? -1 : find_entry(parent, name);
}

static int model_node(const char *path)
{
	int at = model_entry(path);

	return !path[0] ? 0 : at < 0 ? -1 : model.entry[at].node;
}

static void model_add(const char *path, int node)
{
	const char *name;
	int parent = model_parent(path, &name);

	for (int i = 0; i < ENTRIES; i++) {
		if (model.entry[i].node >= 0)
			continue;
		model.entry[i].parent = parent;
		model.entry[i].node = node;
		strcpy(model.entry[i].name, name);
		return;
	}
	CF_CHECK(false, "the model is full");
}

static int model_make(const char *path, mode_t mode)
{
	struct node *node = &model.node[model.nodes];

	*node = (struct node){ .mode = mode, .links = 1, .xattr = -1 };
	model_add(path, model.nodes);
	return model.nodes++;
}

static void model_drop(const char *path)
{
	int at = model_entry(path);

	if (at < 0)
		return;
	model.node[model.entry[at].node].links--;
	model.entry[at].node = -1;
}

static void model_rename(const struct step *step)
{
	int from = model_entry(step->path), to = model_entry(step->to), node;
	const char *name;

	if (step->act == EXCHANGE) {
		node = model.entry[from].node;
		model.entry[from].node = model.entry[to].node;
		model.entry[to].node = node;
		return;
	}
	model_drop(step->to);
	model.entry[from].parent = model_parent(step->to, &name);
	strcpy(model.entry[from].name, name);
}

static void model_write(struct node *node, const struct step *step, unsigned int seed)
{
	fill(node->bytes + step->at, step->size, seed);
	node->size = MAX(node->size, step->at + step->size);
}

/* The same change in the model. */
static void model_apply(const struct step *step, unsigned int seed)
{
	int at = model_node(step->path);
	struct node *node = at < 0 ? NULL : &model.node[at];

	switch (step->act) {
	case MAKE_FILE:
		model_make(step->path, S_IFREG | 0644);
		break;
	case MAKE_DIR:
		model_make(step->path, S_IFDIR | 0755);
		break;
	case MAKE_SYMLINK:
		model_make(step->path, S_IFLNK | 0777);
		break;
	case MAKE_LINK:
		model_add(step->to, at);
		node->links++;
		break;
	case WRITE:
		model_write(node, step, seed);
		break;
	case HOLD:
		model.held = at;
		break;
	case WRITE_HELD:
		model_write(&model.node[model.held], step, seed);
		break;
	case RESIZE:
		if (step->size < node->size)
			memset(node->bytes + step->size, 0, (size_t)(node->size - step->size));
		node->size = step->size;
		break;
	case ZERO:
		memset(node->bytes + step->at, 0, (size_t)MIN(step->size, node->size - step->at));
		break;
	case CHMOD:
		node->mode = (node->mode & S_IFMT) | (mode_t)step->size;
		break;
	case SET_XATTR:
		node->xattr = step->size;
		break;
	case DROP_XATTR:
		node->xattr = -1;
		break;
	case RENAME:
	case EXCHANGE:
		model_rename(step);
		break;
	case UNLINK:
	case RMDIR:
		model_drop(step->path);
		break;
	default:
		break;
	}
}

struct text {
	char *buf;
	size_t len;
};

/* One line of a picture: the path, what it is, and a sum of what it holds. */
static void add_line(struct text *text, const char *path, mode_t mode, unsigned int links,
		     int64_t size, const unsigned char *bytes, ssize_t xattr)
{
	uint32_t sum = 2166136261U;

	for (int64_t i = 0; bytes && i < size; i++)
		sum = (sum ^ bytes[i]) * 16777619U;
	text->len += (size_t)snprintf(
		text->buf + text->len, TEXT_MAX - text->len, "%s %o %u %ld %08x %zd\n", path, mode,
		S_ISDIR(mode) ? 0 : links, S_ISREG(mode) ? (long)size : 0L, sum, xattr);
}

static char *new_text(void)
{
	char *text = malloc(TEXT_MAX);

	CF_CHECK(text);
	text[0] = 0;
	return text;
}

/* Entries of the model in the order of their names. */
static void picture_dir(struct text *text, int parent, const char *prefix)
{
	char last[4] = "";

	for (;;) {
		int best = -1;
		char path[16];

		for (int i = 0; i < ENTRIES; i++)
			if (model.entry[i].node >= 0 && model.entry[i].parent == parent &&
			    strcmp(model.entry[i].name, last) > 0 &&
			    (best < 0 || strcmp(model.entry[i].name, model.entry[best].name) < 0))
				best = i;
		if (best < 0)
			return;
		strcpy(last, model.entry[best].name);
		snprintf(path, sizeof(path), "%s/%s", prefix, last);

		struct node *node = &model.node[model.entry[best].node];

		add_line(text, path, node->mode, (unsigned int)node->links, node->size,
			 S_ISREG(node->mode) ? node->bytes : NULL, node->xattr);
		if (S_ISDIR(node->mode))
			picture_dir(text, model.entry[best].node, path);
	}
}

static char *model_picture(void)
{
	struct text text = { .buf = new_text() };

	picture_dir(&text, 0, "");
	return text.buf;
}

struct names {
	char name[ENTRIES][4];
	unsigned int count;
};

static bool take_name(void *arg, const struct cairn_dirent *entry)
{
	struct names *names = arg;

	if (entry->name[0] != '.' && names->count < ENTRIES)
		snprintf(names->name[names->count++], 4, "%s", entry->name);
	return false;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int look_dir(struct text *text, uint64_t dir, const char *prefix)
{
	static unsigned char bytes[BYTES_MAX];
	struct names names = { .count = 0 };
	int r;

	r = cairn_core_readdir(cf.core, dir, 0, false, take_name, &names);
	qsort(names.name, names.count, sizeof(names.name[0]), compare_names);
	for (unsigned int i = 0; r == 0 && i < names.count; i++) {
		struct cairn_attr attr;
		ssize_t xattr, n = 0;
		char path[16];

		snprintf(path, sizeof(path), "%s/%s", prefix, names.name[i]);
		r = cf_lookup(dir, names.name[i], &attr);
		if (r < 0)
			return r;
		xattr = cairn_core_getxattr(cf.core, attr.ino, "user.x", NULL, 0);
		if (xattr < 0 && xattr != -ENODATA)
			return (int)xattr;
		if (S_ISREG(attr.mode))
			n = cairn_core_read(cf.core, attr.ino, bytes, sizeof(bytes), 0);
		if (n < 0)
			return (int)n;
		add_line(text, path, attr.mode, attr.nlink, attr.size,
			 S_ISREG(attr.mode) ? bytes : NULL, MAX(xattr, -1));
		if (S_ISDIR(attr.mode))
			r = look_dir(text, attr.ino, path);
	}
	return r;
}

char *workload_look(void)
{
	struct text text = { .buf = new_text() };
	int r = look_dir(&text, CF_ROOT, "");

	if (r == 0)
		return text.buf;
	fprintf(stderr, "looking at the tree: %s\n", strerror(-r));
	free(text.buf);
	return NULL;
}

/* The parent directory of a path, by lookups of its own. */
static int core_parent(const char *path, uint64_t *ret, const char **name)
{
	char dir[2] = { path[0], 0 };
	struct cairn_attr attr;
	int r;

	*name = path[0] && path[1] == '/' ? path + 2 : path;
	*ret = CF_ROOT;
	if (*name == path)
		return 0;
	r = cf_lookup(CF_ROOT, dir, &attr);
	if (r == 0)
		*ret = attr.ino;
	return r;
}

static int core_find(const char *path, uint64_t *ret)
{
	struct cairn_attr attr;
	const char *name;
	uint64_t parent;
	int r;

	r = core_parent(path, &parent, &name);
	*ret = parent;
	if (r < 0 || !name[0])
		return r;
	r = cf_lookup(parent, name, &attr);
	if (r == 0)
		*ret = attr.ino;
	return r;
}

static int core_make(const struct step *step)
{
	struct cairn_attr attr;
	const char *name;
	uint64_t parent;
	int r;

	r = core_parent(step->path, &parent, &name);
	if (r < 0)
		return r;
	if (step->act == MAKE_FILE)
		r = cairn_core_mknod(cf.core, &cf_caller, parent, name, S_IFREG | 0644, 0, &attr);
	else if (step->act == MAKE_DIR)
		r = cairn_core_mkdir(cf.core, &cf_caller, parent, name, 0755, &attr);
	else
		r = cairn_core_symlink(cf.core, &cf_caller, parent, name, "target", &attr);
	if (r == 0)
		cairn_core_forget(cf.core, attr.ino, 1);
	return r;
}

static int core_names(const struct step *step)
{
	uint64_t parent, other = 0, ino = 0;
	const char *name, *to = NULL;
	struct cairn_attr attr;
	int r;

	r = core_parent(step->path, &parent, &name);
	if (r == 0 && step->to)
		r = core_parent(step->to, &other, &to);
	if (r == 0 && step->act == MAKE_LINK)
		r = core_find(step->path, &ino);
	if (r < 0)
		return r;
	switch (step->act) {
	case MAKE_LINK:
		r = cairn_core_link(cf.core, ino, other, to, &attr);
		if (r == 0)
			cairn_core_forget(cf.core, ino, 1);
		return r;
	case UNLINK:
		return cairn_core_unlink(cf.core, parent, name);
	case RMDIR:
		return cairn_core_rmdir(cf.core, parent, name);
	default:
		return cairn_core_rename(cf.core, parent, name, other, to,
					 step->act == EXCHANGE ? RENAME_EXCHANGE : 0);
	}
}

/* The change puts the inode into the running batch, so that the fsync keeps all of that. */
static int change_and_fsync(uint64_t ino)
{
	struct cairn_attr attr;
	int r;

	r = cairn_core_getattr(cf.core, ino, &attr);
	if (r == 0)
		r = cairn_core_setattr(cf.core, &cf_caller, ino, CAIRN_SET_MODE, &attr, &attr);
	return r < 0 ? r : cairn_core_fsync(cf.core, ino);
}

static int core_bytes(const struct step *step, uint64_t ino, unsigned int seed)
{
	static unsigned char bytes[BYTES_MAX];
	struct cairn_attr to = { .mode = (uint32_t)step->size }, attr;

	fill(bytes, step->size, seed);
	switch (step->act) {
	case WRITE:
	case WRITE_HELD:
		return cf_write(ino, bytes, (size_t)step->size, step->at);
	case RESIZE:
		return cf_truncate(ino, step->size);
	case ZERO:
		return cairn_core_fallocate(cf.core, &cf_caller, ino,
					    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, step->at,
					    step->size);
	case CHMOD:
		return cairn_core_setattr(cf.core, &cf_caller, ino, CAIRN_SET_MODE, &to, &attr);
	case SET_XATTR:
		return cairn_core_setxattr(cf.core, ino, "user.x", bytes, (size_t)step->size, 0);
	case DROP_XATTR:
		return cairn_core_removexattr(cf.core, ino, "user.x");
	case READ:
		return (int)MIN(cairn_core_read(cf.core, ino, bytes, sizeof(bytes), 0), 0);
	case FSYNC:
		return change_and_fsync(ino);
	default:
		return 0;
	}
}

static int core_hold(const struct step *step)
{
	struct cairn_attr attr;
	const char *name;
	uint64_t parent;
	int r;

	if (step->act == LET_GO) {
		if (held_ino)
			cairn_core_forget(cf.core, held_ino, 1);
		held_ino = 0;
		return 0;
	}
	r = core_parent(step->path, &parent, &name);
	r = r < 0 ? r : cairn_core_lookup(cf.core, parent, name, &attr);
	if (r == 0)
		held_ino = attr.ino;
	return r;
}

static int core_apply(const struct step *step, unsigned int seed)
{
	struct names names = { .count = 0 };
	uint64_t ino;
	int r;

	switch (step->act) {
	case MAKE_FILE:
	case MAKE_DIR:
	case MAKE_SYMLINK:
		return core_make(step);
	case MAKE_LINK:
	case RENAME:
	case EXCHANGE:
	case UNLINK:
	case RMDIR:
		return core_names(step);
	case HOLD:
	case LET_GO:
		return core_hold(step);
	case WRITE_HELD:
		return held_ino ? core_bytes(step, held_ino, seed) : 0;
	default:
		break;
	}
	r = core_find(step->path, &ino);
	if (r == 0 && step->act == LIST)
		return cairn_core_readdir(cf.core, ino, 0, true, take_name, &names);
	return r < 0 ? r : core_bytes(step, ino, seed);
}

static bool is_directory(int node)
{
	return node >= 0 && S_ISDIR(model.node[node].mode);
}

static bool is_empty(int node)
{
	for (int i = 0; i < ENTRIES; i++)
		if (model.entry[i].node >= 0 && model.entry[i].parent == node)
			return false;
	return true;
}

/* After earlier failures a step may make no sense any more. */
static bool makes_sense(const struct step *step)
{
	const char *name;
	int parent = model_parent(step->path, &name), node = model_node(step->path);
	int to_parent = step->to ? model_parent(step->to, &name) : 0;
	int to = step->to ? model_node(step->to) : -1;

	if (!is_directory(parent) || !is_directory(to_parent))
		return false;
	switch (step->act) {
	case MAKE_FILE:
	case MAKE_DIR:
	case MAKE_SYMLINK:
		return node < 0;
	case MAKE_LINK:
		return node >= 0 && !is_directory(node) && to < 0;
	case RENAME:
		return node >= 0 && node != to &&
		       (to < 0 || is_directory(node) == is_directory(to));
	case EXCHANGE:
		return node >= 0 && to >= 0 && node != to && to != parent;
	case RMDIR:
		return is_directory(node) && is_empty(node);
	case UNLINK:
		return node >= 0 && !is_directory(node);
	case DROP_XATTR:
		return node >= 0 && model.node[node].xattr >= 0;
	case WRITE_HELD:
	case LET_GO:
		return held_ino != 0;
	case CHMOD:
	case FSYNC:
	case SET_XATTR:
		return node >= 0;
	case LIST:
		return is_directory(node);
	case ZERO:
		return node >= 0 && S_ISREG(model.node[node].mode) &&
		       step->at < model.node[node].size;
	default:
		return node >= 0 && S_ISREG(model.node[node].mode);
	}
}

static void start_model(void)
{
	memset(&model, 0, sizeof(model));
	model.nodes = 1;
	model.node[0].mode = S_IFDIR | 0755;
	for (int i = 0; i < ENTRIES; i++)
		model.entry[i].node = -1;
	held_ino = 0;
}

static void run_step(struct workload_run *run, unsigned int i)
{
	int r;

	if (!makes_sense(&steps[i]))
		return;
	r = core_apply(&steps[i], i);
	if (r == 0) {
		model_apply(&steps[i], i);
		run->picture[run->pictures++] = model_picture();
		run->applied++;
		/* An fsync keeps all that came before it: batches are in order. */
		if (steps[i].act == FSYNC)
			run->kept = run->pictures - 1;
	} else if (r == run->error) {
		run->failed++;
	} else {
		fprintf(stderr, "step %u (%s): %s\n", i, steps[i].path, strerror(-r));
		run->wrong++;
	}
}

void workload_begin(struct workload_run *run, unsigned int count)
{
	start_model();
	for (unsigned int i = 0; i < count; i++) {
		if (!makes_sense(&steps[i]))
			continue;
		CF_OK(core_apply(&steps[i], i));
		model_apply(&steps[i], i);
	}
	run->begun = count;
}

void workload_run(struct workload_run *run)
{
	if (!run->begun)
		start_model();
	run->picture[run->pictures++] = model_picture();
	for (unsigned int i = run->begun; i < ARRAY_SIZE(steps); i++)
		run_step(run, i);
	if (held_ino)
		cairn_core_forget(cf.core, held_ino, 1);
}

void workload_free(struct workload_run *run)
{
	for (unsigned int i = 0; i < run->pictures; i++)
		free(run->picture[i]);
	*run = (struct workload_run){ 0 };
}

int workload_find(const struct workload_run *run, const char *picture, unsigned int least)
{
	for (unsigned int i = run->pictures; i-- > least;)
		if (strcmp(run->picture[i], picture) == 0)
			return (int)i;
	return -1;
}
