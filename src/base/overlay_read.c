/* What a reader of the overlay finds. Of several questions that make up an answer, each sees what
 * was committed before it, and a commit may come between two: it changes nothing then that is not
 * hidden by the batch it came from, which the core holds until later. Copying up, for one, changes
 * no answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/overlay_internal.h"
#include "util/clock.h"
#include "util/hash.h"

int cairn_overlay_reader_open(struct cairn_store *store, struct cairn_reader **ret)
{
	struct cairn_overlay *o = cairn_overlay_of(store);
	struct cairn_overlay_reader *reader = calloc(1, sizeof(*reader));
	int r;

	if (!reader)
		return -ENOMEM;
	reader->overlay = o;
	r = o->branch->ops->reader_open(o->branch, &reader->branch);
	if (r < 0) {
		free(reader);
		return r;
	}
	*ret = (struct cairn_reader *)reader;
	return 0;
}

void cairn_overlay_reader_close(struct cairn_reader *base)
{
	struct cairn_overlay_reader *reader = cairn_overlay_reader_of(base);

	reader->overlay->branch->ops->reader_close(reader->branch);
	free(reader);
}

void cairn_overlay_reader_rest(struct cairn_reader *base)
{
	struct cairn_overlay_reader *reader = cairn_overlay_reader_of(base);

	reader->overlay->branch->ops->reader_rest(reader->branch);
	reader->overlay->base->ops->renew(reader->overlay->base);
}

/* A directory that shows something of the base has no count of its subdirectories: 1 says so. */
void cairn_overlay_show_attr(uint64_t merged, struct cairn_attr *attr)
{
	attr->ino = merged;
	attr->nlink = S_ISDIR(attr->mode) ? 1 : MAX(attr->nlink, 1U);
	attr->atime = cairn_overlay_storable(attr->atime);
	attr->mtime = cairn_overlay_storable(attr->mtime);
	attr->ctime = cairn_overlay_storable(attr->ctime);
}

/* A file whose data are all the base's is as long as that, and as old as its data unless the branch
 * has set its time. */
static int show_base_data(struct cairn_overlay_reader *reader, uint64_t merged,
			  const struct cairn_origin_view *view, struct cairn_attr *attr)
{
	struct cairn_overlay *o = reader->overlay;
	struct cairn_attr now = { 0 };
	struct cairn_seen seen = { 0 };
	uint64_t node;
	int r;

	r = cairn_overlay_node(o, reader->branch, merged, view, &node);
	if (r == 0)
		r = o->base->ops->getattr(o->base, node, &now);
	/* Gone from the base: what is known of it stands, and reading it is an error. */
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (!S_ISREG(now.mode))
		return 0;
	attr->size = now.size;
	r = o->branch->branch->seen_get(reader->branch, view->path, &seen);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	free((char *)seen.target);
	if (cairn_same_time(&attr->mtime, &seen.mtime))
		attr->mtime = cairn_overlay_storable(now.mtime);
	if (!cairn_same_time(&now.ctime, &seen.ctime) && cairn_later_time(&now.ctime, &attr->ctime))
		attr->ctime = now.ctime;
	return 0;
}

/* Attributes of a row of the branch, as the merged tree shows them. */
static int show_row(struct cairn_overlay_reader *reader, uint64_t merged,
		    const struct cairn_origin_view *view, struct cairn_attr *attr)
{
	uint64_t node;
	int r;

	attr->ino = merged;
	if (view->delta && view->data_end == CAIRN_DATA_OF_BASE && S_ISREG(attr->mode))
		return show_base_data(reader, merged, view, attr);
	if (!S_ISDIR(attr->mode) || attr->nlink == 0)
		return 0;
	r = cairn_overlay_counterpart(reader->overlay, reader->branch, merged, &node);
	if (r == 0)
		attr->nlink = 1;
	return r == -ENOENT ? 0 : r;
}

/* A row that goes by another number is not to be had by its own. */
static int check_number(struct cairn_overlay *o, uint64_t merged, uint64_t delta)
{
	uint64_t shown;
	int r;

	r = cairn_origin_shown(&o->origins, delta, &shown);
	if (r < 0)
		return r;
	return shown == merged ? 0 : -ENOENT;
}

static int get_inode(struct cairn_overlay_reader *reader, uint64_t ino, struct cairn_attr *ret)
{
	struct cairn_overlay *o = reader->overlay;
	struct cairn_origin_view view = cairn_origin_find(&o->origins, ino);
	uint64_t delta = cairn_overlay_attr_row(o, ino, &view), node;
	struct cairn_attr attr = { 0 };
	int r;

	if (delta) {
		r = check_number(o, ino, delta);
		if (r == 0)
			r = o->branch->ops->inode_get(reader->branch, delta, &attr);
		if (r == 0)
			r = show_row(reader, ino, &view, &attr);
	} else {
		r = cairn_overlay_node(o, reader->branch, ino, &view, &node);
		if (r == 0)
			r = o->base->ops->getattr(o->base, node, &attr);
		if (r == 0)
			cairn_overlay_show_attr(ino, &attr);
	}
	if (r == 0)
		*ret = attr;
	return r;
}

int cairn_overlay_inode_get(struct cairn_reader *base, uint64_t ino, struct cairn_attr *ret)
{
	struct cairn_overlay_reader *reader = cairn_overlay_reader_of(base);
	struct cairn_look look = { 0 };
	int r;

	do {
		r = cairn_overlay_enter(reader, &look);
		if (r == 0)
			r = get_inode(reader, ino, ret);
	} while (cairn_overlay_moved(reader, &look, false));
	return r;
}

/* An entry of the branch: its number and attributes as they are shown, its position by its name. */
static int show_entry(struct cairn_overlay_reader *reader, uint64_t parent, const char *name,
		      size_t len, struct cairn_dentry_row *row)
{
	struct cairn_overlay *o = reader->overlay;
	struct cairn_origin_view view;
	uint64_t merged;
	int r;

	r = cairn_origin_shown(&o->origins, row->ino, &merged);
	if (r < 0)
		return r;
	if (row->has_attr && S_ISDIR(row->attr.mode) && merged < CAIRN_LAYER_STEP)
		cairn_dirs_found(&o->dirs, merged, parent, name, len);
	row->id = cairn_overlay_dentry_id(&o->store, name, len);
	row->ino = merged;
	if (!row->has_attr)
		return 0;
	view = cairn_origin_find(&o->origins, merged);
	/* Between the commit and the moment it counts here, the row is there already. */
	return show_row(reader, merged, &view, &row->attr);
}

/* An entry of the base. What was copied up under another name has the attributes of the branch. */
static int show_node(struct cairn_overlay_reader *reader, uint64_t dir, const char *name,
		     size_t len, const struct cairn_attr *attr, struct cairn_dentry_row *row)
{
	struct cairn_overlay *o = reader->overlay;
	struct cairn_origin_view view;
	uint64_t merged;
	int r;

	r = cairn_overlay_shown(o, reader->branch, dir, name, len, attr->ino, &merged);
	if (r < 0)
		return r;
	*row = (struct cairn_dentry_row){
		.id = cairn_overlay_dentry_id(&o->store, name, len),
		.ino = merged,
		.has_attr = true,
		.attr = *attr,
	};
	view = cairn_origin_find(&o->origins, merged);
	if (view.delta)
		return cairn_overlay_inode_get((struct cairn_reader *)reader, merged, &row->attr);
	cairn_overlay_show_attr(merged, &row->attr);
	return 0;
}

static int get_from_branch(struct cairn_overlay_reader *reader, uint64_t parent, const char *name,
			   size_t len, struct cairn_dentry_row *ret)
{
	struct cairn_overlay *o = reader->overlay;
	struct cairn_origin_view view = cairn_origin_find(&o->origins, parent);
	uint64_t delta = cairn_overlay_row(o, parent, &view);
	struct cairn_dentry_row row = { 0 };
	int r;

	if (!delta)
		return -ENOENT;
	r = o->branch->ops->dentry_get(reader->branch, delta, name, len, &row);
	if (r == 0)
		r = show_entry(reader, parent, name, len, &row);
	if (r == 0)
		*ret = row;
	return r;
}

static int get_from_base(struct cairn_overlay_reader *reader, uint64_t parent, const char *name,
			 size_t len, struct cairn_dentry_row *ret)
{
	struct cairn_overlay *o = reader->overlay;
	struct cairn_attr attr = { 0 };
	uint64_t dir;
	int r;

	r = cairn_overlay_counterpart(o, reader->branch, parent, &dir);
	if (r == 0)
		r = cairn_overlay_visible(o, reader->branch, dir, name, len, &attr);
	return r < 0 ? r : show_node(reader, dir, name, len, &attr, ret);
}

static int get_entry(struct cairn_overlay_reader *reader, uint64_t parent, const char *name,
		     size_t len, struct cairn_dentry_row *ret)
{
	int r;

	r = get_from_branch(reader, parent, name, len, ret);
	if (r != -ENOENT)
		return r;
	r = get_from_base(reader, parent, name, len, ret);
	if (r == -ESTALE) {
		cairn_overlay_look_anew(reader->overlay);
		r = get_from_base(reader, parent, name, len, ret);
	}
	return r;
}

int cairn_overlay_dentry_get(struct cairn_reader *base, uint64_t parent, const char *name,
			     size_t len, struct cairn_dentry_row *ret)
{
	struct cairn_overlay_reader *reader = cairn_overlay_reader_of(base);
	struct cairn_look look = { 0 };
	int r;

	do {
		r = cairn_overlay_enter(reader, &look);
		if (r == 0)
			r = get_entry(reader, parent, name, len, ret);
	} while (cairn_overlay_moved(reader, &look, false));
	return r;
}

/* A name that the base's entry of it is not shown under. */
struct taken {
	UT_hash_handle hh;
	size_t len;
	char name[];
};

struct scan {
	struct cairn_overlay_reader *reader;
	uint64_t parent;
	uint64_t dir; /* the counterpart; 0: there is none */
	struct taken *taken;
	cairn_dentry_fn fn;
	void *arg;
};

static void scanp(struct scan *scan)
{
	struct taken *taken, *next;

	HASH_ITER (hh, scan->taken, taken, next) {
		HASH_DEL(scan->taken, taken);
		free(taken);
	}
}

static bool is_taken(const struct scan *scan, const char *name, size_t len)
{
	struct taken *taken;

	HASH_FIND(hh, scan->taken, name, len, taken);
	return taken;
}

static int take_name(void *arg, const char *name, size_t len)
{
	struct scan *scan = arg;
	struct taken *taken;

	if (is_taken(scan, name, len))
		return 0;
	taken = malloc(sizeof(*taken) + len);
	if (!taken)
		return -ENOMEM;
	taken->len = len;
	memcpy(taken->name, name, len);
	HASH_ADD(hh, scan->taken, name, len, taken);
	if (!taken->hh.tbl) {
		free(taken);
		return -ENOMEM;
	}
	return 0;
}

/* An entry whose inode makes no sense is listed all the same, as by the store below; one with a
 * number that no row of a branch has is not. */
static int scan_branch_row(void *arg, const struct cairn_dentry_row *row)
{
	struct scan *scan = arg;
	struct cairn_dentry_row shown = *row;
	int r;

	if (row->ino >= CAIRN_LAYER_STEP)
		return 0;
	if (scan->dir) {
		r = take_name(scan, row->name, row->name_len);
		if (r < 0)
			return r;
	}
	r = show_entry(scan->reader, scan->parent, row->name, row->name_len, &shown);
	if (r < 0 && r != -EIO && r != -ENOENT)
		return r;
	shown.has_attr &= r == 0;
	return scan->fn(scan->arg, &shown);
}

static int scan_base_entry(void *arg, const struct cairn_base_entry *entry)
{
	struct scan *scan = arg;
	struct cairn_dentry_row row = { 0 };
	struct cairn_attr attr = entry->attr;
	int r;

	if (is_taken(scan, entry->name, entry->name_len))
		return 0;
	attr.ino = entry->ino;
	if (!entry->has_attr)
		attr.mode = entry->mode;
	r = show_node(scan->reader, scan->dir, entry->name, entry->name_len, &attr, &row);
	if (r < 0 && r != -EIO)
		return r;
	if (r < 0)
		return 0;
	/* The type is in the attributes or nowhere. */
	row.has_attr = entry->has_attr;
	row.name = entry->name;
	row.name_len = entry->name_len;
	return scan->fn(scan->arg, &row);
}

/* The attributes are asked for even where the caller does not: what a row of the branch is depends
 * on whether it is a directory. */
static int scan_branch(struct scan *scan)
{
	struct cairn_overlay *o = scan->reader->overlay;
	struct cairn_origin_view view = cairn_origin_find(&o->origins, scan->parent);
	uint64_t delta = cairn_overlay_row(o, scan->parent, &view);

	if (!delta)
		return 0;
	return o->branch->ops->dentry_scan(scan->reader->branch, delta, true, scan_branch_row,
					   scan);
}

static int hide_names(struct scan *scan)
{
	_cleanup_(cairn_freep) char *path = NULL;
	struct cairn_overlay *o = scan->reader->overlay;
	int r;

	if (!atomic_load(&o->has_whiteouts))
		return 0;
	r = o->base->ops->path(o->base, scan->dir, &path);
	if (r < 0)
		return r == -ENOENT ? -ESTALE : r;
	return o->branch->branch->whiteout_list(scan->reader->branch, path, take_name, scan);
}

/* Finds the counterpart, which the base must still know: what it has forgotten has no entries, but
 * that is not an answer. */
static int scan_begin(struct scan *scan)
{
	struct cairn_overlay *o = scan->reader->overlay;
	int r;

	scan->dir = 0;
	r = cairn_overlay_counterpart(o, scan->reader->branch, scan->parent, &scan->dir);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return cairn_overlay_knows(o, scan->dir) ? hide_names(scan) : -ESTALE;
}

/* What the branch has, and what it hides, of one turn. What it may have ceased to have by the time
 * the base is listed, the base has. */
static int scan_own(struct scan *scan)
{
	_cleanup_(cairn_look_endp) struct cairn_look look = { 0 };
	int r;

	do {
		r = cairn_overlay_enter(scan->reader, &look);
		if (r == 0)
			r = scan_begin(scan);
		if (r == -ESTALE) {
			cairn_overlay_look_anew(scan->reader->overlay);
			r = scan_begin(scan);
		}
	} while (cairn_overlay_moved(scan->reader, &look, true));
	return r < 0 ? r : scan_branch(scan);
}

int cairn_overlay_dentry_scan(struct cairn_reader *base, uint64_t parent, bool with_attr,
			      cairn_dentry_fn fn, void *arg)
{
	struct cairn_overlay_reader *reader = cairn_overlay_reader_of(base);
	struct cairn_overlay *o = reader->overlay;
	_cleanup_(scanp) struct scan scan = {
		.reader = reader, .parent = parent, .fn = fn, .arg = arg
	};
	int r;

	r = scan_own(&scan);
	if (r != 0 || !scan.dir)
		return r;
	r = o->base->ops->list(o->base, scan.dir, scan_base_entry, &scan);
	/* It was a directory a moment ago; its end is noticed when others ask. */
	return r == -ENOENT || r == -ENOTDIR ? 0 : r;
}

static int count_names(struct cairn_overlay_reader *reader, uint64_t ino, uint32_t *ret)
{
	struct cairn_overlay *o = reader->overlay;
	struct cairn_origin_view view = cairn_origin_find(&o->origins, ino);
	uint64_t delta = cairn_overlay_row(o, ino, &view), node;
	struct cairn_attr attr = { 0 };
	int r;

	if (delta)
		return o->branch->ops->dentry_count(reader->branch, delta, ret);
	r = cairn_overlay_node(o, reader->branch, ino, &view, &node);
	if (r == 0)
		r = o->base->ops->getattr(o->base, node, &attr);
	if (r < 0 && r != -ENOENT)
		return r;
	*ret = r == 0 ? MAX(attr.nlink, 1U) : 0;
	return 0;
}

int cairn_overlay_dentry_count(struct cairn_reader *base, uint64_t ino, uint32_t *ret)
{
	struct cairn_overlay_reader *reader = cairn_overlay_reader_of(base);
	struct cairn_look look = { 0 };
	int r;

	do {
		r = cairn_overlay_enter(reader, &look);
		if (r == 0)
			r = count_names(reader, ino, ret);
	} while (cairn_overlay_moved(reader, &look, false));
	return r;
}

/* The directory that has the node of the base `dir` for its counterpart: what was copied up from
 * it, or it itself. */
static int merged_dir(struct cairn_overlay *o, struct cairn_reader *reader, uint64_t dir,
		      uint64_t *ret)
{
	char name[CAIRN_NAME_MAX + 1];
	uint64_t above;
	int r;

	if (dir == o->base->ops->root(o->base)) {
		*ret = CAIRN_ROOT_INO;
		return 0;
	}
	r = o->base->ops->place(o->base, dir, &above, name);
	return r < 0 ? r : cairn_overlay_shown(o, reader, above, name, strlen(name), dir, ret);
}

int cairn_overlay_merged_place(struct cairn_overlay *o, struct cairn_reader *reader, uint64_t node,
			       uint64_t *ret_parent, uint64_t *ret_dir,
			       char ret_name[CAIRN_NAME_MAX + 1])
{
	uint64_t dir;
	int r;

	r = o->base->ops->place(o->base, node, &dir, ret_name);
	if (r == 0 && ret_dir)
		*ret_dir = dir;
	return r < 0 ? r : merged_dir(o, reader, dir, ret_parent);
}

static int find_name(struct cairn_overlay_reader *reader, uint64_t ino, uint64_t *ret_parent,
		     char ret_name[CAIRN_NAME_MAX + 1])
{
	struct cairn_overlay *o = reader->overlay;
	struct cairn_origin_view view = cairn_origin_find(&o->origins, ino);
	uint64_t delta = cairn_overlay_row(o, ino, &view), parent, node;
	int r;

	if (delta) {
		r = o->branch->ops->dentry_name(reader->branch, delta, &parent, ret_name);
		if (r == 0)
			return cairn_origin_shown(&o->origins, parent, ret_parent);
		if (r != -ENOENT)
			return r;
	}
	r = cairn_overlay_node(o, reader->branch, ino, &view, &node);
	return r < 0 ? r
		     : cairn_overlay_merged_place(o, reader->branch, node, ret_parent, NULL,
						  ret_name);
}

int cairn_overlay_dentry_name(struct cairn_reader *base, uint64_t ino, uint64_t *ret_parent,
			      char ret_name[CAIRN_NAME_MAX + 1])
{
	struct cairn_overlay_reader *reader = cairn_overlay_reader_of(base);
	struct cairn_look look = { 0 };
	int r;

	do {
		r = cairn_overlay_enter(reader, &look);
		if (r == 0)
			r = find_name(reader, ino, ret_parent, ret_name);
	} while (cairn_overlay_moved(reader, &look, false));
	return r;
}

/* Whatever of an inode lies in its row, or in the base where it has none. The look holds the reader
 * to a state that has that row. */
static int find_node(struct cairn_overlay_reader *reader, uint64_t ino, struct cairn_look *look,
		     uint64_t *ret_delta, uint64_t *ret_node)
{
	struct cairn_overlay *o = reader->overlay;
	struct cairn_origin_view view;
	int r;

	do {
		r = cairn_overlay_enter(reader, look);
		if (r < 0)
			continue;
		view = cairn_origin_find(&o->origins, ino);
		*ret_delta = cairn_overlay_attr_row(o, ino, &view);
		r = *ret_delta ? 0 : cairn_overlay_node(o, reader->branch, ino, &view, ret_node);
	} while (cairn_overlay_moved(reader, look, true));
	return r;
}

int cairn_overlay_symlink_get(struct cairn_reader *base, uint64_t ino, char **ret)
{
	struct cairn_overlay_reader *reader = cairn_overlay_reader_of(base);
	struct cairn_overlay *o = reader->overlay;
	_cleanup_(cairn_look_endp) struct cairn_look look = { 0 };
	uint64_t delta = 0, node;
	int r;

	r = find_node(reader, ino, &look, &delta, &node);
	if (r < 0)
		return r;
	if (delta)
		return o->branch->ops->symlink_get(reader->branch, delta, ret);
	return o->base->ops->readlink(o->base, node, ret);
}

int cairn_overlay_xattr_get(struct cairn_reader *base, uint64_t ino, const char *name, void **ret,
			    size_t *ret_len)
{
	struct cairn_overlay_reader *reader = cairn_overlay_reader_of(base);
	struct cairn_overlay *o = reader->overlay;
	_cleanup_(cairn_look_endp) struct cairn_look look = { 0 };
	uint64_t delta = 0, node;
	int r;

	r = find_node(reader, ino, &look, &delta, &node);
	if (r < 0)
		return r;
	if (delta)
		return o->branch->ops->xattr_get(reader->branch, delta, name, ret, ret_len);
	return o->base->ops->xattr_get(o->base, node, name, ret, ret_len);
}

int cairn_overlay_xattr_scan(struct cairn_reader *base, uint64_t ino, cairn_xattr_fn fn, void *arg)
{
	struct cairn_overlay_reader *reader = cairn_overlay_reader_of(base);
	struct cairn_overlay *o = reader->overlay;
	_cleanup_(cairn_look_endp) struct cairn_look look = { 0 };
	uint64_t delta = 0, node;
	int r;

	r = find_node(reader, ino, &look, &delta, &node);
	if (r < 0)
		return r;
	if (delta)
		return o->branch->ops->xattr_scan(reader->branch, delta, fn, arg);
	return o->base->ops->xattr_scan(o->base, node, fn, arg);
}

struct orphans {
	struct cairn_overlay *overlay;
	cairn_ino_fn fn;
	void *arg;
};

static int show_orphan(void *arg, uint64_t ino)
{
	const struct orphans *orphans = arg;
	uint64_t merged;

	if (cairn_origin_shown(&orphans->overlay->origins, ino, &merged) < 0)
		return 0;
	return orphans->fn(orphans->arg, merged);
}

int cairn_overlay_orphan_scan(struct cairn_reader *base, cairn_ino_fn fn, void *arg)
{
	struct cairn_overlay_reader *reader = cairn_overlay_reader_of(base);
	struct cairn_overlay *o = reader->overlay;
	struct orphans orphans = { .overlay = o, .fn = fn, .arg = arg };

	return o->branch->ops->orphan_scan(reader->branch, show_orphan, &orphans);
}
