/* A tar archive as the source of a tree, by libarchive. */
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bulk/path.h"
#include "bulk/tree.h"
#include "util/macro.h"

#define BUFFER_SIZE (UINT64_C(1) << 18)

/* How often a stream that gives nothing is left, to look whether the work is to end. */
#define POLL_MS 200

struct tar_source {
	struct cairn_tree_source base;
	struct archive *archive;
	/* Names in an archive may be declared UTF-8; libarchive then wants to know what ours are.
	 * With this locale they are that, and what is not valid stays as it is. */
	locale_t locale;
	int fd;
	char *name;
	char *buffer;
	bool ended; /* by the caller, while waiting for the stream */

	/* Of the present entry: */
	char *path, *target, *link;
	struct cairn_tree_xattr *xattrs;
	size_t xattr_count;
};

static struct tar_source *source_of(struct cairn_tree_source *base)
{
	return CONTAINER_OF(base, struct tar_source, base);
}

/* libarchive's errno values below 0 are its own. */
static int failed(const struct tar_source *source, struct cairn_error *err)
{
	const char *why = archive_error_string(source->archive);
	int e = archive_errno(source->archive);

	if (source->ended)
		return -EINTR;
	return cairn_error_set(err, e > 0 ? -e : -EIO, "cannot read the archive '%s': %s",
			       source->name, why ? why : "unknown error");
}

static int wait_for_input(struct tar_source *source)
{
	const struct cairn_bulk *bulk = source->base.bulk;
	struct pollfd pfd = { .fd = source->fd, .events = POLLIN };

	while (poll(&pfd, 1, POLL_MS) == 0) {
		if (bulk->progress && bulk->progress(bulk->arg, bulk, "") != 0) {
			source->ended = true;
			return -EINTR;
		}
	}
	return 0;
}

static la_ssize_t read_input(struct archive *archive, void *arg, const void **ret)
{
	struct tar_source *source = arg;
	ssize_t n;
	int r;

	r = wait_for_input(source);
	if (r < 0) {
		archive_set_error(archive, -r, "interrupted");
		return -1;
	}
	do
		n = read(source->fd, source->buffer, BUFFER_SIZE);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		archive_set_error(archive, errno, "%s", strerror(errno));
	*ret = source->buffer;
	return n;
}

static void forget_entry(struct tar_source *source)
{
	free(TAKE_PTR(source->path));
	free(TAKE_PTR(source->target));
	free(TAKE_PTR(source->link));
	for (size_t i = 0; i < source->xattr_count; i++) {
		free(source->xattrs[i].name);
		free(source->xattrs[i].value);
	}
	free(TAKE_PTR(source->xattrs));
	source->xattr_count = 0;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789ABCDEF0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)((at - digits) % 16) : -1;
}

/* In the names of extended attributes GNU tar writes '=' and '%' as %3D and %25, libarchive other
 * bytes, too. */
static void decode_name(char *name)
{
	char *to = name;

	for (const char *from = name; *from; from++) {
		if (from[0] == '%' && hex_digit(from[1]) >= 0 && hex_digit(from[2]) >= 0) {
			*to++ = (char)(hex_digit(from[1]) * 16 + hex_digit(from[2]));
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
}

static int add_xattr(struct tar_source *source, const char *name, const void *value, size_t size)
{
	_cleanup_(cairn_freep) char *copy = strdup(name);
	_cleanup_(cairn_freep) char *value_copy = malloc(size + 1);
	struct cairn_tree_xattr *xattrs;

	xattrs = reallocarray(source->xattrs, source->xattr_count + 1, sizeof(*xattrs));
	if (xattrs)
		source->xattrs = xattrs;
	if (!copy || !value_copy || !xattrs)
		return -ENOMEM;
	decode_name(copy);
	if (size > 0)
		memcpy(value_copy, value, size);
	xattrs[source->xattr_count++] = (struct cairn_tree_xattr){
		.name = TAKE_PTR(copy),
		.value = TAKE_PTR(value_copy),
		.size = size,
	};
	return 0;
}

static int read_xattrs(struct tar_source *source, struct archive_entry *entry)
{
	const char *name;
	const void *value;
	size_t size;
	int r = 0;

	archive_entry_xattr_reset(entry);
	while (r == 0 && archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK)
		if (name)
			r = add_xattr(source, name, value, size);
	return r;
}

static struct cairn_attr attr_of(struct archive_entry *entry)
{
	struct cairn_attr attr = {
		.mode = archive_entry_mode(entry),
		.uid = (uint32_t)archive_entry_uid(entry),
		.gid = (uint32_t)archive_entry_gid(entry),
		.mtime = { .tv_sec = archive_entry_mtime(entry),
			   .tv_nsec = archive_entry_mtime_nsec(entry) },
	};

	attr.atime = attr.mtime;
	if (archive_entry_atime_is_set(entry))
		attr.atime = (struct timespec){ .tv_sec = archive_entry_atime(entry),
						.tv_nsec = archive_entry_atime_nsec(entry) };
	if (S_ISREG(attr.mode) && archive_entry_size_is_set(entry))
		attr.size = archive_entry_size(entry);
	if (S_ISCHR(attr.mode) || S_ISBLK(attr.mode))
		attr.rdev = archive_entry_rdev(entry);
	return attr;
}

static int copy_path(const char *from, char **ret)
{
	char *path = from ? strdup(from) : NULL;

	if (!from)
		return -EILSEQ;
	if (!path)
		return -ENOMEM;
	cairn_tree_path_clean(path);
	*ret = path;
	return 0;
}

/* Fills the entry from the archive's. 0: it is of a kind that no tree has. */
static int take_entry(struct tar_source *source, struct archive_entry *entry,
		      struct cairn_tree_entry *ret)
{
	const char *link = archive_entry_hardlink(entry);
	int r;

	r = copy_path(archive_entry_pathname(entry), &source->path);
	if (r < 0)
		return r;
	*ret = (struct cairn_tree_entry){ .path = source->path, .attr = attr_of(entry) };
	if (link) {
		r = copy_path(link, &source->link);
		ret->link = source->link;
		/* What it says of itself besides is nothing that counts. */
		ret->attr.mode = S_IFREG | (ret->attr.mode & 07777);
		return r < 0 ? r : 1;
	}
	if (S_ISLNK(ret->attr.mode)) {
		if (!archive_entry_symlink(entry))
			return -EILSEQ;
		source->target = strdup(archive_entry_symlink(entry));
		if (!source->target)
			return -ENOMEM;
		ret->target = source->target;
	}
	if ((ret->attr.mode & S_IFMT) == 0)
		return 0;
	r = read_xattrs(source, entry);
	ret->xattrs = source->xattrs;
	ret->xattr_count = source->xattr_count;
	return r < 0 ? r : 1;
}

/* The top is a directory, whatever an archive says. */
static bool is_usable(const struct cairn_tree_entry *entry)
{
	if (entry->link && !entry->link[0])
		return false;
	return entry->path[0] || (S_ISDIR(entry->attr.mode) && !entry->link);
}

static int read_header(struct tar_source *source, struct archive_entry **ret)
{
	locale_t before = uselocale(source->locale);
	int status;

	do
		status = archive_read_next_header(source->archive, ret);
	while (status == ARCHIVE_RETRY);
	uselocale(before);
	return status;
}

static int tar_next(struct cairn_tree_source *base, struct cairn_tree_entry *ret,
		    struct cairn_error *err)
{
	struct tar_source *source = source_of(base);
	struct archive_entry *entry;
	int status, r;

	for (;;) {
		forget_entry(source);
		status = read_header(source, &entry);
		if (status == ARCHIVE_EOF)
			return 0;
		/* A warning is about characters: names that are no UTF-8 are as good as others. */
		if (status < ARCHIVE_WARN)
			return failed(source, err);
		r = take_entry(source, entry, ret);
		if (r < 0)
			return cairn_error_set(err, r, "cannot read the archive '%s': %s",
					       source->name, strerror(-r));
		if (r > 0 && is_usable(ret))
			return 1;
		cairn_bulk_leave_out(base->bulk,
				     "'%s' in the archive is of a kind that no file system has; it "
				     "is left out",
				     source->path);
	}
}

static int tar_data(struct cairn_tree_source *base, const void **ret, size_t *ret_size,
		    int64_t *ret_offset, struct cairn_error *err)
{
	struct tar_source *source = source_of(base);
	la_int64_t offset = 0;
	size_t size = 0;
	int status;

	do
		status = archive_read_data_block(source->archive, ret, &size, &offset);
	while (status == ARCHIVE_RETRY || (status == ARCHIVE_OK && size == 0));
	if (status == ARCHIVE_EOF)
		return 0;
	if (status < ARCHIVE_WARN)
		return failed(source, err);
	*ret_size = size;
	*ret_offset = offset;
	return 1;
}

static void tar_close(struct cairn_tree_source *base)
{
	struct tar_source *source = source_of(base);

	forget_entry(source);
	archive_read_free(source->archive);
	if (source->locale)
		freelocale(source->locale);
	free(source->name);
	free(source->buffer);
	free(source);
}

static const struct cairn_tree_source_ops tar_ops = {
	.next = tar_next,
	.data = tar_data,
	.close = tar_close,
};

/* Those that libarchive has inside; it would start other programs for the rest. */
static void support_formats(struct archive *archive)
{
	archive_read_support_format_tar(archive);
	archive_read_support_filter_gzip(archive);
	archive_read_support_filter_bzip2(archive);
	archive_read_support_filter_xz(archive);
	archive_read_support_filter_lzma(archive);
	archive_read_support_filter_zstd(archive);
	archive_read_support_filter_lz4(archive);
	archive_read_support_filter_compress(archive);
}

int cairn_tar_source_open(int fd, const char *name, struct cairn_bulk *bulk,
			  struct cairn_tree_source **ret, struct cairn_error *err)
{
	struct tar_source *source = calloc(1, sizeof(*source));
	_cleanup_(cairn_tree_source_closep) struct cairn_tree_source *base = NULL;

	if (!source)
		return cairn_error_set(err, -ENOMEM, "out of memory");
	source->base = (struct cairn_tree_source){ .ops = &tar_ops, .bulk = bulk, .repeats = true };
	base = &source->base;
	source->fd = fd;
	source->name = strdup(name);
	source->buffer = malloc(BUFFER_SIZE);
	source->archive = archive_read_new();
	source->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (!source->name || !source->buffer || !source->archive)
		return cairn_error_set(err, -ENOMEM, "out of memory");
	support_formats(source->archive);
	if (archive_read_open2(source->archive, source, NULL, read_input, NULL, NULL) != ARCHIVE_OK)
		return failed(source, err);
	*ret = TAKE_PTR(base);
	return 0;
}
