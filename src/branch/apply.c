/* Making the changes of a branch in the workspace that is its base: links first, then attributes,
 * then what belongs to each inode. Readers of the store see it as it was before the transaction,
 * all the time: what comes of it is kept here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "branch/accept.h"
#include "branch/descent.h"
#include "util/clock.h"
#include "util/macro.h"

/* An inode of the store that changes. */
struct inode {
	UT_hash_handle hh;
	uint64_t ino;
	struct cairn_attr attr;
	bool made, dirty;
	int64_t links; /* more than attr.nlink says */
};

struct applier {
	struct cairn_branch *branch;
	struct cairn_store *stable;
	struct cairn_reader *reader;
	const struct cairn_changes *changes;
	struct inode *inodes;
	struct timespec now;
	unsigned char *buffer;        /* a chunk of the store */
	struct cairn_descent descent; /* below what one change removes */
	struct cairn_error *err;
};

static void applierp(struct applier *a)
{
	struct inode *inode, *next;

	HASH_ITER (hh, a->inodes, inode, next) {
		HASH_DEL(a->inodes, inode);
		free(inode);
	}
	if (a->reader)
		a->stable->ops->reader_close(a->reader);
	free(a->buffer);
	cairn_descent_done(&a->descent);
}

static int failed(struct applier *a, int r, const char *path)
{
	return cairn_error_set(a->err, r, "'%s' cannot be accepted: %s", path, strerror(-r));
}

static int add_inode(struct applier *a, const struct cairn_attr *attr, bool made,
		     struct inode **ret)
{
	struct inode *inode = calloc(1, sizeof(*inode));

	if (!inode)
		return -ENOMEM;
	inode->ino = attr->ino;
	inode->attr = *attr;
	inode->made = inode->dirty = made;
	HASH_ADD(hh, a->inodes, ino, sizeof(inode->ino), inode);
	if (!inode->hh.tbl) {
		free(inode);
		return -ENOMEM;
	}
	*ret = inode;
	return 0;
}

static int get_inode(struct applier *a, uint64_t ino, struct inode **ret)
{
	struct cairn_attr attr = { 0 };
	int r;

	HASH_FIND(hh, a->inodes, &ino, sizeof(ino), *ret);
	if (*ret)
		return 0;
	r = a->stable->ops->inode_get(a->reader, ino, &attr);
	return r < 0 ? r : add_inode(a, &attr, false, ret);
}

/* The entry at the end of a path, in the store as it was. */
static int resolve(struct applier *a, const char *path, uint64_t *ret)
{
	uint64_t ino = CAIRN_ROOT_INO;

	for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
		size_t len = strcspn(path, "/");
		struct cairn_dentry_row row = { 0 };
		int r;

		r = a->stable->ops->dentry_get(a->reader, ino, path, len, &row);
		if (r < 0)
			return r;
		ino = row.ino;
		path += len;
	}
	*ret = ino;
	return 0;
}

static int resolve_parent(struct applier *a, const char *path, char **ret_path, uint64_t *ret)
{
	char *parent = strdup(path), *slash = parent ? strrchr(parent, '/') : NULL;
	int r;

	if (!parent)
		return -ENOMEM;
	slash[slash == parent] = '\0';
	r = resolve(a, parent, ret);
	*ret_path = parent;
	return r;
}

/* Its entries have changed. It is as old as the branch has it, where the branch has it. */
static int touch_dir(struct applier *a, uint64_t ino, const struct cairn_change *c)
{
	struct inode *dir;
	int r;

	r = get_inode(a, ino, &dir);
	if (r < 0)
		return r;
	dir->attr.mtime = c ? c->now.mtime : a->now;
	dir->attr.ctime = a->now;
	dir->dirty = true;
	return 0;
}

static int add_links(struct applier *a, uint64_t ino, int64_t more)
{
	struct inode *inode;
	int r;

	r = get_inode(a, ino, &inode);
	if (r < 0)
		return r;
	inode->links += more;
	inode->attr.ctime = a->now;
	inode->dirty = true;
	return 0;
}

/* A subdirectory more or less; peers write 1 for a count that says nothing. */
static int add_subdir(struct applier *a, uint64_t dir, int64_t more)
{
	struct inode *inode;
	int r;

	r = get_inode(a, dir, &inode);
	if (r == 0 && (inode->attr.nlink >= 2 || inode->made))
		inode->links += more;
	return r;
}

/* Removing what is below a directory that goes. */
struct removal {
	struct applier *a;
	const char *path;
	uint64_t dir;
	struct entry {
		char *name;
		uint64_t ino;
		uint32_t mode;
	} * list;
	size_t count;
};

static void removalp(struct removal *removal)
{
	for (size_t i = 0; i < removal->count; i++)
		free(removal->list[i].name);
	free(removal->list);
}

static int collect(void *arg, const struct cairn_dentry_row *row)
{
	struct removal *removal = arg;
	void *list = reallocarray(removal->list, removal->count + 1, sizeof(*removal->list));

	if (!list)
		return -ENOMEM;
	removal->list = list;
	removal->list[removal->count] = (struct entry){
		.name = strndup(row->name, row->name_len),
		.ino = row->ino,
		.mode = row->has_attr ? row->attr.mode : 0,
	};
	return removal->list[removal->count++].name ? 0 : -ENOMEM;
}

static int remove_inode(struct applier *a, const char *path, uint64_t ino, uint32_t mode);

/* What was renamed away goes on living elsewhere. */
static bool is_moved(const struct applier *a, const char *path)
{
	void *moved = NULL;

	return cairn_names_get(&a->changes->moved, path, &moved) &&
	       ((struct cairn_change *)moved)->selected;
}

static int remove_entry(struct removal *removal, const struct entry *entry)
{
	struct applier *a = removal->a;
	_cleanup_(cairn_freep) char *path = NULL;
	int r;

	if (asprintf(&path, "%s/%s", removal->path, entry->name) < 0)
		return -ENOMEM;
	r = a->stable->ops->dentry_delete(a->stable, removal->dir, entry->name,
					  strlen(entry->name));
	if (r < 0 || is_moved(a, path))
		return r;
	return remove_inode(a, path, entry->ino, entry->mode);
}

static int remove_below(struct applier *a, const char *path, uint64_t dir)
{
	_cleanup_(removalp) struct removal removal = { .a = a, .path = path, .dir = dir };
	int r;

	r = cairn_descent_enter(&a->descent, dir);
	if (r < 0)
		return r;
	r = a->stable->ops->dentry_scan(a->reader, dir, true, collect, &removal);
	for (size_t i = 0; r == 0 && i < removal.count; i++)
		r = remove_entry(&removal, &removal.list[i]);
	cairn_descent_leave(&a->descent);
	return r;
}

/* A name of it has gone; of a directory, the only one. */
static int remove_inode(struct applier *a, const char *path, uint64_t ino, uint32_t mode)
{
	struct inode *inode;
	int r;

	if (!S_ISDIR(mode))
		return add_links(a, ino, -1);
	r = get_inode(a, ino, &inode);
	if (r < 0)
		return r;
	inode->links = -(int64_t)inode->attr.nlink;
	inode->dirty = true;
	return remove_below(a, path, ino);
}

static const struct cairn_change *change_at(const struct applier *a, const char *place)
{
	void *found = NULL;

	if (cairn_names_get(&a->changes->places, place, &found))
		return found;
	for (size_t i = 0; i < a->changes->count; i++)
		if (!a->changes->list[i]->parent && strcmp(place, "/") == 0 &&
		    a->changes->list[i]->row)
			return a->changes->list[i];
	return NULL;
}

/* An entry of the base goes, and with `inode` what it names. */
static int remove_path(struct applier *a, const char *path, const struct cairn_attr *was,
		       bool inode)
{
	_cleanup_(cairn_freep) char *parent = NULL;
	const char *name = strrchr(path, '/') + 1;
	uint64_t dir = 0, ino = 0;
	int r;

	r = resolve_parent(a, path, &parent, &dir);
	if (r == 0)
		r = resolve(a, path, &ino);
	if (r == 0)
		r = a->stable->ops->dentry_delete(a->stable, dir, name, strlen(name));
	if (r == 0)
		r = touch_dir(a, dir, change_at(a, parent));
	if (r == 0 && S_ISDIR(was->mode))
		r = add_subdir(a, dir, -1);
	if (r < 0 || !inode)
		return r;
	cairn_descent_done(&a->descent);
	return remove_inode(a, path, ino, was->mode);
}

static int remove_old(struct applier *a, struct cairn_change *c)
{
	uint64_t ino = 0;
	int r = 0;

	if (c->kind == CAIRN_CHANGE_DELETED)
		return remove_path(a, c->from, &c->was, true);
	if (c->kind == CAIRN_CHANGE_RENAMED) {
		r = remove_path(a, c->from, &c->was, false);
		if (r == 0 && !S_ISDIR(c->was.mode) && resolve(a, c->from, &ino) == 0)
			r = add_links(a, ino, -1);
	}
	if (r < 0 || !c->replaces || is_moved(a, c->place))
		return r;
	return remove_path(a, c->place, &c->there, true);
}

static int make_inode(struct applier *a, struct cairn_change *c)
{
	struct cairn_attr attr = c->now;
	struct inode *inode;
	int r;

	r = a->stable->ops->lease(a->stable, CAIRN_SEQUENCE_INODE, 1, &attr.ino);
	if (r < 0)
		return r;
	attr.nlink = 0;
	attr.ctime = a->now;
	r = add_inode(a, &attr, true, &inode);
	if (r < 0)
		return r;
	inode->links = S_ISDIR(attr.mode) ? 1 : 0;
	c->target = attr.ino;
	return 0;
}

/* The inode of the store that a change is about. */
static int find_target(struct applier *a, struct cairn_change *c)
{
	int r;

	if (c->target)
		return 0;
	if (c->link_of && c->link_of != c && (c->link_of->selected || c->link_of->from)) {
		r = find_target(a, c->link_of);
		c->target = c->link_of->target;
		return r;
	}
	if (c->from && (c->in_place || c->kind == CAIRN_CHANGE_RENAMED ||
			c->kind == CAIRN_CHANGE_ADDED || (!c->replaces && c->has_was)))
		return resolve(a, c->from, &c->target);
	return make_inode(a, c);
}

static int put_entry(struct applier *a, struct cairn_change *c)
{
	const char *name = strrchr(c->path, '/') + 1;
	struct cairn_store *stable = a->stable;
	size_t len = strlen(name);
	uint64_t id = stable->ops->dentry_id ? stable->ops->dentry_id(stable, name, len) : 0;
	int r;

	r = find_target(a, c->parent);
	if (r == 0)
		r = find_target(a, c);
	if (r == 0)
		r = stable->ops->dentry_put(stable, c->parent->target, name, len, id, c->target);
	if (r == 0)
		r = touch_dir(a, c->parent->target, c->parent);
	if (r == 0 && S_ISDIR(c->now.mode))
		r = add_subdir(a, c->parent->target, 1);
	if (r == 0 && (!S_ISDIR(c->now.mode) || c->kind != CAIRN_CHANGE_RENAMED))
		r = add_links(a, c->target, 1);
	return r;
}

/* Whether the entry itself is there already. */
static bool has_entry(const struct cairn_change *c)
{
	return c->in_place || (c->has_was && !c->replaces && c->kind == CAIRN_CHANGE_MODIFIED);
}

static bool is_other_name(const struct cairn_change *c)
{
	return (c->link_of && (c->link_of->selected || c->link_of->from)) ||
	       (c->kind == CAIRN_CHANGE_ADDED && c->from);
}

/* What the base has of it is kept where the branch has not changed that. */
static int set_attr(struct applier *a, struct cairn_change *c)
{
	struct inode *inode = NULL;
	int r;

	r = find_target(a, c);
	if (r == 0)
		r = get_inode(a, c->target, &inode);
	if (r < 0 || !inode || inode->made || is_other_name(c))
		return r;
	if (c->what & CAIRN_CHANGED_MODE)
		inode->attr.mode = c->now.mode;
	if (c->what & CAIRN_CHANGED_OWNER) {
		inode->attr.uid = c->now.uid;
		inode->attr.gid = c->now.gid;
	}
	if (c->what & CAIRN_CHANGED_DATA)
		inode->attr.size = c->now.size;
	inode->attr.mtime = c->now.mtime;
	inode->attr.ctime = a->now;
	inode->dirty = true;
	return 0;
}

static int write_inode(struct applier *a, struct inode *inode)
{
	struct cairn_attr attr = inode->attr;
	int64_t links = (int64_t)attr.nlink + inode->links;

	if (links <= 0 && !inode->made)
		return a->stable->ops->inode_delete(a->stable, inode->ino, attr.mode);
	attr.nlink = (uint32_t)MIN(MAX(links, 1), (int64_t)UINT32_MAX);
	return inode->made ? a->stable->ops->inode_insert(a->stable, &attr)
			   : a->stable->ops->inode_update(a->stable, &attr);
}

static bool is_zero(const unsigned char *bytes, size_t size)
{
	return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

struct copy {
	struct applier *a;
	const struct cairn_change *c;
	bool made;
};

/* Writes the chunks of the store that a stretch of bytes lies in. */
static int copy_stretch(void *arg, int64_t from, int64_t to)
{
	const struct copy *copy = arg;
	struct applier *a = copy->a;
	int64_t chunk_size = (int64_t)a->stable->chunk_size;
	int r = 0;

	for (int64_t i = from / chunk_size; r == 0 && i <= (to - 1) / chunk_size; i++) {
		size_t len = (size_t)MIN(chunk_size, copy->c->content.size - i * chunk_size);

		r = cairn_content_read(a->branch, &copy->c->content, i * chunk_size, a->buffer,
				       len);
		if (r < 0)
			return r;
		if (!is_zero(a->buffer, len))
			r = a->stable->ops->data_put(a->stable, copy->c->target, i, a->buffer, len);
		else if (!copy->made)
			r = a->stable->ops->data_delete(a->stable, copy->c->target, i);
	}
	return r;
}

/* The chunk with a byte of the file in it is to reach as far as the file does. */
static int copy_end(const struct copy *copy, int64_t at)
{
	int64_t size = copy->c->content.size;

	if (at <= 0 || at % (int64_t)copy->a->stable->chunk_size == 0 || size <= 0)
		return 0;
	return copy_stretch((void *)copy, MIN(at, size) - 1, MIN(at, size));
}

static int copy_data(struct applier *a, const struct cairn_change *c, bool made)
{
	struct copy copy = { .a = a, .c = c, .made = made };
	int64_t chunk_size = (int64_t)a->stable->chunk_size, size = c->content.size;
	int r = 0;

	if (!made && size < c->was.size)
		r = a->stable->ops->data_cut(a->stable, c->target,
					     size / chunk_size + (size % chunk_size != 0));
	if (r == 0 && !made && size != c->was.size)
		r = copy_end(&copy, MIN(size, c->was.size));
	return r < 0 ? r : cairn_content_changed(a->branch, &c->content, copy_stretch, &copy);
}

struct xattrs {
	struct applier *a;
	const struct cairn_change *c;
};

static int put_xattr(void *arg, const char *name)
{
	const struct xattrs *x = arg;
	_cleanup_(cairn_freep) void *value = NULL;
	struct cairn_store *own = x->a->branch->own;
	size_t len = 0;
	int r;

	r = own->ops->xattr_get(x->a->branch->reader, x->c->row, name, &value, &len);
	return r < 0 ? r
		     : x->a->stable->ops->xattr_put(x->a->stable, x->c->target, name, value, len);
}

static int drop_xattr(void *arg, const char *name)
{
	const struct xattrs *x = arg;

	return x->a->stable->ops->xattr_delete(x->a->stable, x->c->target, name);
}

static int copy_xattrs(struct applier *a, const struct cairn_change *c, bool made)
{
	struct xattrs x = { .a = a, .c = c };
	int r = 0;

	if (!made)
		r = a->stable->ops->xattr_scan(a->reader, c->target, drop_xattr, &x);
	return r < 0 ? r
		     : a->branch->own->ops->xattr_scan(a->branch->reader, c->row, put_xattr, &x);
}

static int copy_target(struct applier *a, const struct cairn_change *c)
{
	_cleanup_(cairn_freep) char *target = NULL;
	int r;

	r = a->branch->own->ops->symlink_get(a->branch->reader, c->row, &target);
	return r < 0 ? r : a->stable->ops->symlink_put(a->stable, c->target, target);
}

static int copy_content(struct applier *a, const struct cairn_change *c)
{
	struct inode *inode = NULL;
	int r;

	if (c->kind == CAIRN_CHANGE_DELETED || is_other_name(c))
		return 0;
	r = get_inode(a, c->target, &inode);
	if (r == 0 && S_ISREG(c->now.mode) && (inode->made || c->what & CAIRN_CHANGED_DATA))
		r = copy_data(a, c, inode->made);
	if (r == 0 && S_ISLNK(c->now.mode) && inode->made)
		r = copy_target(a, c);
	if (r == 0 && (inode->made || c->what & CAIRN_CHANGED_XATTR))
		r = copy_xattrs(a, c, inode->made);
	return r;
}

/* One step for all selected changes. */
static int for_each(struct applier *a, int (*step)(struct applier *a, struct cairn_change *c))
{
	for (size_t i = 0; i < a->changes->count; i++) {
		struct cairn_change *c = a->changes->list[i];
		int r;

		if (!c->selected || !cairn_change_is_real(c))
			continue;
		r = step(a, c);
		if (r < 0)
			return failed(a, r, c->path);
	}
	return 0;
}

static int put_new(struct applier *a, struct cairn_change *c)
{
	return c->kind == CAIRN_CHANGE_DELETED || has_entry(c) ? 0 : put_entry(a, c);
}

static int set_new_attr(struct applier *a, struct cairn_change *c)
{
	return c->kind == CAIRN_CHANGE_DELETED ? 0 : set_attr(a, c);
}

static int copy_new_content(struct applier *a, struct cairn_change *c)
{
	return copy_content(a, c);
}

static int write_inodes(struct applier *a)
{
	struct inode *inode, *next;
	int r = 0;

	HASH_ITER (hh, a->inodes, inode, next) {
		if (inode->dirty || inode->links)
			r = write_inode(a, inode);
		if (r < 0)
			return failed(a, r, "an inode");
	}
	return r;
}

int cairn_apply(struct cairn_branch *branch, struct cairn_store *stable,
		const struct cairn_changes *changes, struct cairn_error *err)
{
	_cleanup_(applierp) struct applier a = {
		.branch = branch,
		.stable = stable,
		.changes = changes,
		.now = cairn_now(),
		.buffer = malloc(stable->chunk_size),
		.err = err,
	};
	int r;

	if (!a.buffer)
		return -ENOMEM;
	r = stable->ops->reader_open(stable, &a.reader);
	if (r == 0)
		r = for_each(&a, remove_old);
	if (r == 0)
		r = for_each(&a, put_new);
	if (r == 0)
		r = for_each(&a, set_new_attr);
	if (r == 0)
		r = write_inodes(&a);
	return r < 0 ? r : for_each(&a, copy_new_content);
}
