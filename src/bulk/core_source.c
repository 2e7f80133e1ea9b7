/* A directory of a workspace as the source of a tree, through the core and no kernel.
 *
 * What the workspace says is not trusted: a directory that comes twice, as no directory can, ends
 * the walk, which otherwise might have no end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bulk/links.h"
#include "bulk/path.h"
#include "bulk/tree.h"
#include "core/core.h"
#include "util/macro.h"

#define BUFFER_SIZE  (UINT64_C(1) << 20)
#define PAGE_ENTRIES 512U

/* Some entries of a directory. */
struct page {
	struct page_entry {
		uint64_t ino;
		size_t name_at;
		bool has_attr;
		struct cairn_attr attr;
	} * list;
	size_t count, at;
	char *names;
	size_t names_len, names_capacity;
	off_t next; /* where the next page begins */
	bool failed;
};

struct level {
	uint64_t ino;
	size_t path_len;
	struct page page;
};

struct core_source {
	struct cairn_tree_source base;
	struct cairn_core *core;
	uint64_t top;
	struct level *levels;
	size_t depth, capacity;
	struct cairn_tree_path path;
	struct cairn_links links; /* files with several names, and all directories */
	bool begun;

	/* Of the present entry: */
	uint64_t ino;
	int64_t size;
	char *target;
	struct cairn_tree_xattr *xattrs;
	size_t xattr_count;
	struct cairn_tree_extent *extents;
	size_t extent_count, extent_capacity;
	size_t extent;  /* the next to be read */
	int64_t offset; /* in it */
	char *buffer;
};

static struct core_source *source_of(struct cairn_tree_source *base)
{
	return CONTAINER_OF(base, struct core_source, base);
}

static int failed(const struct core_source *source, int r, struct cairn_error *err)
{
	return cairn_error_set(err, r,
			       "cannot read '/%s' in the workspace: %s; see 'cairnfs check'",
			       source->path.text ? source->path.text : "", strerror(-r));
}

static void page_done(struct page *page)
{
	free(page->list);
	free(page->names);
	*page = (struct page){ 0 };
}

static int page_room(struct page *page, size_t name_size)
{
	if (!page->list) {
		page->list = calloc(PAGE_ENTRIES, sizeof(*page->list));
		if (!page->list)
			return -ENOMEM;
	}
	if (page->names_len + name_size > page->names_capacity) {
		size_t capacity = MAX(2 * page->names_capacity, (size_t)8192);
		char *names = realloc(page->names, capacity);

		if (!names)
			return -ENOMEM;
		page->names = names;
		page->names_capacity = capacity;
	}
	return 0;
}

static bool add_entry(void *arg, const struct cairn_dirent *dirent)
{
	struct page *page = arg;
	size_t name_size = strlen(dirent->name) + 1;
	struct page_entry *entry;

	if (page->count == PAGE_ENTRIES)
		return true;
	if (strcmp(dirent->name, ".") != 0 && strcmp(dirent->name, "..") != 0) {
		if (page_room(page, name_size) < 0) {
			page->failed = true;
			return true;
		}
		entry = &page->list[page->count++];
		*entry = (struct page_entry){ .ino = dirent->ino, .name_at = page->names_len };
		if (dirent->attr) {
			entry->has_attr = true;
			entry->attr = *dirent->attr;
		}
		memcpy(page->names + page->names_len, dirent->name, name_size);
		page->names_len += name_size;
	}
	page->next = dirent->next;
	return false;
}

/* 1: there is a page; 0: the directory has ended. */
static int read_page(struct core_source *source, struct level *level)
{
	struct page *page = &level->page;
	int r;

	page->count = page->at = 0;
	page->names_len = 0;
	r = cairn_core_readdir(source->core, level->ino, page->next, true, add_entry, page);
	/* What came with attributes is pinned for us. */
	for (size_t i = 0; i < page->count; i++)
		if (page->list[i].has_attr)
			cairn_core_forget(source->core, page->list[i].ino, 1);
	if (r < 0)
		return r;
	return page->failed ? -ENOMEM : page->count > 0;
}

static int enter(struct core_source *source, uint64_t ino)
{
	int r;

	if (cairn_links_has(&source->links, 0, ino))
		return -EUCLEAN;
	r = cairn_links_add(&source->links, 0, ino, NULL);
	if (r < 0)
		return r;
	if (source->depth == source->capacity) {
		size_t capacity = source->capacity ? 2 * source->capacity : 16;
		void *levels = reallocarray(source->levels, capacity, sizeof(*source->levels));

		if (!levels)
			return -ENOMEM;
		source->levels = levels;
		source->capacity = capacity;
	}
	source->levels[source->depth++] =
		(struct level){ .ino = ino, .path_len = source->path.len };
	return 0;
}

static void forget_entry(struct core_source *source)
{
	free(TAKE_PTR(source->target));
	for (size_t i = 0; i < source->xattr_count; i++) {
		free(source->xattrs[i].name);
		free(source->xattrs[i].value);
	}
	free(TAKE_PTR(source->xattrs));
	source->xattr_count = 0;
	source->extent_count = 0;
	source->extent = 0;
	source->offset = 0;
}

static int add_xattr(struct core_source *source, const char *name)
{
	_cleanup_(cairn_freep) char *copy = strdup(name);
	_cleanup_(cairn_freep) void *value = NULL;
	struct cairn_tree_xattr *xattrs;
	ssize_t size;

	size = cairn_core_getxattr(source->core, source->ino, name, NULL, 0);
	if (size < 0)
		return (int)size;
	value = malloc((size_t)size + 1);
	xattrs = reallocarray(source->xattrs, source->xattr_count + 1, sizeof(*xattrs));
	if (xattrs)
		source->xattrs = xattrs;
	if (!copy || !value || !xattrs)
		return -ENOMEM;
	if (size > 0)
		size = cairn_core_getxattr(source->core, source->ino, name, value, (size_t)size);
	if (size < 0)
		return (int)size;
	xattrs[source->xattr_count++] = (struct cairn_tree_xattr){
		.name = TAKE_PTR(copy),
		.value = TAKE_PTR(value),
		.size = (size_t)size,
	};
	return 0;
}

static int read_xattrs(struct core_source *source)
{
	_cleanup_(cairn_freep) char *list = NULL;
	ssize_t size;
	int r = 0;

	size = cairn_core_listxattr(source->core, source->ino, NULL, 0);
	if (size <= 0)
		return (int)size;
	list = malloc((size_t)size);
	if (!list)
		return -ENOMEM;
	size = cairn_core_listxattr(source->core, source->ino, list, (size_t)size);
	if (size < 0)
		return (int)size;
	for (char *at = list; r == 0 && at < list + size; at += strlen(at) + 1)
		r = add_xattr(source, at);
	return r;
}

static int add_extent(struct core_source *source, int64_t from, int64_t to)
{
	struct cairn_tree_extent *last;

	if (source->extent_count > 0) {
		last = &source->extents[source->extent_count - 1];
		if (last->offset + last->size == from) {
			last->size += to - from;
			return 0;
		}
	}
	if (source->extent_count == source->extent_capacity) {
		size_t capacity = source->extent_capacity ? 2 * source->extent_capacity : 16;
		void *extents = reallocarray(source->extents, capacity, sizeof(*source->extents));

		if (!extents)
			return -ENOMEM;
		source->extents = extents;
		source->extent_capacity = capacity;
	}
	source->extents[source->extent_count++] =
		(struct cairn_tree_extent){ .offset = from, .size = to - from };
	return 0;
}

static int find_extents(struct core_source *source, const struct cairn_attr *attr)
{
	off_t from = 0, to = 0;
	int r;

	source->size = attr->size;
	if (attr->allocated >= attr->size)
		return attr->size > 0 ? add_extent(source, 0, attr->size) : 0;
	while (from < attr->size) {
		r = cairn_core_lseek(source->core, source->ino, from, SEEK_DATA, &from);
		if (r == -ENXIO)
			return 0;
		if (r == 0)
			r = cairn_core_lseek(source->core, source->ino, from, SEEK_HOLE, &to);
		if (r == 0)
			r = add_extent(source, from, to);
		if (r < 0)
			return r;
		from = to;
	}
	return 0;
}

static bool has_names(const struct cairn_attr *attr)
{
	return !S_ISDIR(attr->mode) && attr->nlink > 1;
}

static int find_link(struct core_source *source, const struct cairn_attr *attr,
		     struct cairn_tree_entry *ret)
{
	if (!has_names(attr))
		return 0;
	ret->link = cairn_links_find(&source->links, 0, source->ino);
	return ret->link ? 0 : cairn_links_add(&source->links, 0, source->ino, source->path.text);
}

/* Fills the entry for an inode; its path is there already. */
static int look(struct core_source *source, const struct cairn_attr *attr,
		struct cairn_tree_entry *ret)
{
	int r;

	source->ino = attr->ino;
	ret->attr = *attr;
	r = find_link(source, attr, ret);
	if (r < 0 || ret->link)
		return r;
	r = read_xattrs(source);
	if (r == 0 && S_ISDIR(attr->mode))
		r = enter(source, attr->ino);
	if (r == 0 && S_ISREG(attr->mode)) {
		r = find_extents(source, attr);
		ret->sparse = attr->allocated < attr->size;
		ret->extents = source->extents;
		ret->extent_count = source->extent_count;
	}
	if (r == 0 && S_ISLNK(attr->mode)) {
		r = cairn_core_readlink(source->core, attr->ino, &source->target);
		ret->target = source->target;
	}
	return r;
}

/* 1 with the next entry of the innermost directory, 0 at its end. */
static int next_in(struct core_source *source, struct level *level, struct cairn_tree_entry *ret)
{
	const struct page_entry *entry;
	struct cairn_attr attr;
	int r = 1;

	if (level->page.at == level->page.count)
		r = read_page(source, level);
	if (r <= 0)
		return r;
	entry = &level->page.list[level->page.at++];
	r = cairn_tree_path_push(&source->path, level->page.names + entry->name_at);
	if (r < 0)
		return r;
	attr = entry->attr;
	if (!entry->has_attr)
		r = cairn_core_getattr(source->core, entry->ino, &attr);
	if (r == -ENOENT)
		r = -EIO; /* the entry is there: an inode that is not is damage */
	if (r == 0)
		r = look(source, &attr, ret);
	return r < 0 ? r : 1;
}

static int core_next(struct cairn_tree_source *base, struct cairn_tree_entry *ret,
		     struct cairn_error *err)
{
	struct core_source *source = source_of(base);
	struct cairn_attr attr;
	int r = 0;

	forget_entry(source);
	*ret = (struct cairn_tree_entry){ 0 };
	if (!source->begun) {
		source->begun = true;
		r = cairn_core_getattr(source->core, source->top, &attr);
		if (r == 0)
			r = look(source, &attr, ret) ?: 1;
	}
	while (r == 0 && source->depth > 0) {
		struct level *level = &source->levels[source->depth - 1];

		cairn_tree_path_cut(&source->path, level->path_len);
		r = next_in(source, level, ret);
		if (r == 0) {
			page_done(&level->page);
			source->depth--;
		}
	}
	if (r < 0)
		return failed(source, r, err);
	ret->path = source->path.text ? source->path.text : "";
	ret->xattrs = source->xattrs;
	ret->xattr_count = source->xattr_count;
	return r;
}

static int core_data(struct cairn_tree_source *base, const void **ret, size_t *ret_size,
		     int64_t *ret_offset, struct cairn_error *err)
{
	struct core_source *source = source_of(base);
	const struct cairn_tree_extent *extent;
	ssize_t n;

	if (source->extent == source->extent_count)
		return 0;
	extent = &source->extents[source->extent];
	n = cairn_core_read(source->core, source->ino, source->buffer,
			    (size_t)MIN((uint64_t)(extent->size - source->offset), BUFFER_SIZE),
			    extent->offset + source->offset);
	if (n <= 0)
		return failed(source, n < 0 ? (int)n : -EIO, err);
	*ret = source->buffer;
	*ret_size = (size_t)n;
	*ret_offset = extent->offset + source->offset;
	source->offset += n;
	if (source->offset == extent->size) {
		source->extent++;
		source->offset = 0;
	}
	return 1;
}

static void core_close(struct cairn_tree_source *base)
{
	struct core_source *source = source_of(base);

	forget_entry(source);
	while (source->depth > 0)
		page_done(&source->levels[--source->depth].page);
	free(source->levels);
	free(source->extents);
	free(source->buffer);
	cairn_links_done(&source->links);
	cairn_tree_path_done(&source->path);
	free(source);
}

static const struct cairn_tree_source_ops core_ops = {
	.next = core_next,
	.data = core_data,
	.close = core_close,
};

int cairn_core_source_open(struct cairn_core *core, uint64_t dir, struct cairn_bulk *bulk,
			   struct cairn_tree_source **ret, struct cairn_error *err)
{
	struct core_source *source = calloc(1, sizeof(*source));

	if (!source)
		return cairn_error_set(err, -ENOMEM, "out of memory");
	source->base = (struct cairn_tree_source){ .ops = &core_ops, .bulk = bulk };
	source->core = core;
	source->top = dir;
	source->buffer = malloc(BUFFER_SIZE);
	if (!source->buffer) {
		free(source);
		return cairn_error_set(err, -ENOMEM, "out of memory");
	}
	*ret = &source->base;
	return 0;
}
