/* A tar archive as the sink of a tree, by libarchive, in the pax format: names of any length and
 * bytes, times to the nanosecond, extended attributes, holes. GNU tar and bsdtar read it.
 *
 * Owners are numbers: those of a workspace have no names. */
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bulk/path.h"
#include "bulk/tree.h"
#include "util/macro.h"

#define ZEROS_SIZE 65536U

struct tar_sink {
	struct cairn_tree_sink base;
	struct archive *archive;
	locale_t locale; /* see tar_source.c */
	int fd;
	char *name;
	char *zeros;
	int64_t at, size;
	bool finished;
	bool given_up; /* nothing more is written */
};

static struct tar_sink *sink_of(struct cairn_tree_sink *base)
{
	return CONTAINER_OF(base, struct tar_sink, base);
}

static int failed(const struct tar_sink *sink, struct cairn_error *err)
{
	const char *why = archive_error_string(sink->archive);
	int e = archive_errno(sink->archive);

	return cairn_error_set(err, e > 0 ? -e : -EIO, "cannot write the archive '%s': %s",
			       sink->name, why ? why : "unknown error");
}

/* libarchive's own writer gives up at the first signal. */
static la_ssize_t write_output(struct archive *archive, void *arg, const void *buf, size_t size)
{
	const struct tar_sink *sink = arg;
	ssize_t n;

	if (sink->given_up)
		return (la_ssize_t)size;
	do
		n = write(sink->fd, buf, size);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		archive_set_error(archive, errno, "%s", strerror(errno));
	return n;
}

static void describe(struct archive_entry *to, const struct cairn_tree_entry *entry)
{
	const struct cairn_attr *attr = &entry->attr;

	archive_entry_copy_pathname(to, entry->path[0] ? entry->path : "./");
	archive_entry_set_mode(to, attr->mode);
	archive_entry_set_uid(to, attr->uid);
	archive_entry_set_gid(to, attr->gid);
	archive_entry_set_mtime(to, attr->mtime.tv_sec, attr->mtime.tv_nsec);
	archive_entry_set_atime(to, attr->atime.tv_sec, attr->atime.tv_nsec);
	archive_entry_set_size(to, S_ISREG(attr->mode) && !entry->link ? attr->size : 0);
	if (S_ISCHR(attr->mode) || S_ISBLK(attr->mode))
		archive_entry_set_rdev(to, (dev_t)attr->rdev);
	if (entry->link) {
		archive_entry_copy_hardlink(to, entry->link);
		return;
	}
	if (S_ISLNK(attr->mode))
		archive_entry_copy_symlink(to, entry->target);
	for (size_t i = 0; i < entry->xattr_count; i++)
		archive_entry_xattr_add_entry(to, entry->xattrs[i].name, entry->xattrs[i].value,
					      entry->xattrs[i].size);
	/* All of it a hole: no data, at its end. */
	if (entry->sparse && entry->extent_count == 0)
		archive_entry_sparse_add_entry(to, attr->size, 0);
	for (size_t i = 0; entry->sparse && i < entry->extent_count; i++)
		archive_entry_sparse_add_entry(to, entry->extents[i].offset,
					       entry->extents[i].size);
}

static void entry_freep(struct archive_entry **entry)
{
	archive_entry_free(*entry);
}

static int write_header(struct tar_sink *sink, struct archive_entry *entry)
{
	locale_t before = uselocale(sink->locale);
	int status = archive_write_header(sink->archive, entry);

	uselocale(before);
	return status;
}

static int tar_begin(struct cairn_tree_sink *base, const struct cairn_tree_entry *entry,
		     struct cairn_error *err)
{
	_cleanup_(entry_freep) struct archive_entry *to = archive_entry_new();
	struct tar_sink *sink = sink_of(base);

	if (!to)
		return cairn_error_set(err, -ENOMEM, "out of memory");
	if (S_ISSOCK(entry->attr.mode)) {
		cairn_bulk_leave_out(base->bulk,
				     "'/%s' is a socket, which an archive cannot hold; it is left "
				     "out",
				     entry->path);
		return 0;
	}
	describe(to, entry);
	/* A warning is about characters: a name that is no UTF-8 is marked as what it is. */
	if (write_header(sink, to) < ARCHIVE_WARN)
		return failed(sink, err);
	if (!S_ISREG(entry->attr.mode) || entry->link)
		return 0;
	sink->at = 0;
	sink->size = entry->attr.size;
	return 1;
}

static int write_data(struct tar_sink *sink, const char *bytes, size_t size,
		      struct cairn_error *err)
{
	la_ssize_t n;

	sink->at += (int64_t)size;
	while (size > 0) {
		n = archive_write_data(sink->archive, bytes, size);
		if (n <= 0)
			return failed(sink, err);
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

/* libarchive wants all bytes of a file, and leaves those of its holes out itself. A hole may be so
 * large that somebody gives up. */
static int write_zeros(struct tar_sink *sink, int64_t to, struct cairn_error *err)
{
	const struct cairn_bulk *bulk = sink->base.bulk;
	int r = 0;

	while (r == 0 && sink->at < to) {
		r = write_data(sink, sink->zeros, (size_t)MIN(to - sink->at, (int64_t)ZEROS_SIZE),
			       err);
		if (r == 0 && bulk->progress)
			r = bulk->progress(bulk->arg, bulk, "");
	}
	return r;
}

static int tar_data(struct cairn_tree_sink *base, const void *buf, size_t size, int64_t offset,
		    struct cairn_error *err)
{
	struct tar_sink *sink = sink_of(base);
	int r;

	r = write_zeros(sink, offset, err);
	return r == 0 ? write_data(sink, buf, size, err) : r;
}

static int tar_end(struct cairn_tree_sink *base, struct cairn_error *err)
{
	struct tar_sink *sink = sink_of(base);
	int r;

	r = write_zeros(sink, sink->size, err);
	if (r < 0)
		return r;
	return archive_write_finish_entry(sink->archive) < ARCHIVE_WARN ? failed(sink, err) : 0;
}

static int tar_finish(struct cairn_tree_sink *base, struct cairn_error *err)
{
	struct tar_sink *sink = sink_of(base);

	sink->finished = true;
	return archive_write_close(sink->archive) < ARCHIVE_WARN ? failed(sink, err) : 0;
}

static void tar_close(struct cairn_tree_sink *base)
{
	struct tar_sink *sink = sink_of(base);

	/* It writes an end, with which what was not finished would look whole. */
	sink->given_up = !sink->finished;
	archive_write_free(sink->archive);
	if (sink->locale)
		freelocale(sink->locale);
	free(sink->name);
	free(sink->zeros);
	free(sink);
}

static const struct cairn_tree_sink_ops tar_ops = {
	.begin = tar_begin,
	.data = tar_data,
	.end = tar_end,
	.finish = tar_finish,
	.close = tar_close,
};

static int add_filter(struct archive *archive, const char *name)
{
	static const struct {
		const char *suffix;
		int (*add)(struct archive *archive);
	} filters[] = {
		{ ".gz", archive_write_add_filter_gzip },
		{ ".tgz", archive_write_add_filter_gzip },
		{ ".bz2", archive_write_add_filter_bzip2 },
		{ ".xz", archive_write_add_filter_xz },
		{ ".txz", archive_write_add_filter_xz },
		{ ".zst", archive_write_add_filter_zstd },
		{ ".tzst", archive_write_add_filter_zstd },
	};
	size_t len = strlen(name), suffix_len;

	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		suffix_len = strlen(filters[i].suffix);
		if (len <= suffix_len || strcmp(name + len - suffix_len, filters[i].suffix) != 0)
			continue;
		/* A tape's blocks are full; what is compressed ends where it ends. */
		archive_write_set_bytes_in_last_block(archive, 1);
		return filters[i].add(archive);
	}
	return ARCHIVE_OK;
}

static int open_archive(struct tar_sink *sink)
{
	struct archive *archive = sink->archive;
	int status;

	status = add_filter(archive, sink->name);
	if (status == ARCHIVE_OK)
		status = archive_write_set_format_pax(archive);
	/* The header that GNU tar knows, and no second one. */
	if (status == ARCHIVE_OK)
		status = archive_write_set_options(archive, "xattrheader=SCHILY");
	if (status == ARCHIVE_OK)
		status = archive_write_open2(archive, sink, NULL, write_output, NULL, NULL);
	return status;
}

int cairn_tar_sink_open(int fd, const char *name, struct cairn_bulk *bulk,
			struct cairn_tree_sink **ret, struct cairn_error *err)
{
	struct tar_sink *sink = calloc(1, sizeof(*sink));
	_cleanup_(cairn_tree_sink_closep) struct cairn_tree_sink *base = NULL;

	if (!sink)
		return cairn_error_set(err, -ENOMEM, "out of memory");
	sink->base = (struct cairn_tree_sink){ .ops = &tar_ops, .bulk = bulk };
	sink->fd = fd;
	sink->name = strdup(name);
	sink->zeros = calloc(1, ZEROS_SIZE);
	sink->archive = archive_write_new();
	sink->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	base = &sink->base;
	if (!sink->name || !sink->zeros || !sink->archive)
		return cairn_error_set(err, -ENOMEM, "out of memory");
	if (open_archive(sink) != ARCHIVE_OK)
		return failed(sink, err);
	*ret = TAKE_PTR(base);
	return 0;
}
