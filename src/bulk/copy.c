#include <stdio.h>

#include "bulk/tree.h"

static int tell(const struct cairn_bulk *bulk, const char *path)
{
	return bulk->progress ? bulk->progress(bulk->arg, bulk, path) : 0;
}

void cairn_bulk_leave_out(struct cairn_bulk *bulk, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	bulk->left++;
	if (!bulk->left_out)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	bulk->left_out(bulk->arg, text);
}

static int copy_data(struct cairn_tree_source *source, struct cairn_tree_sink *sink,
		     const char *path, struct cairn_error *err)
{
	struct cairn_bulk *bulk = source->bulk;
	int64_t offset = 0;
	const void *data;
	size_t size = 0;
	int r;

	while ((r = source->ops->data(source, &data, &size, &offset, err)) > 0) {
		r = sink->ops->data(sink, data, size, offset, err);
		if (r < 0)
			return r;
		bulk->bytes += size;
		r = tell(bulk, path);
		if (r != 0)
			return r;
	}
	return r < 0 ? r : sink->ops->end(sink, err);
}

int cairn_tree_copy_entries(struct cairn_tree_source *source, struct cairn_tree_sink *sink,
			    struct cairn_error *err)
{
	struct cairn_bulk *bulk = source->bulk;
	struct cairn_tree_entry entry;
	int r;

	while ((r = source->ops->next(source, &entry, err)) > 0) {
		bulk->entries++;
		r = tell(bulk, entry.path);
		if (r != 0)
			return r;
		r = sink->ops->begin(sink, &entry, err);
		if (r > 0)
			r = copy_data(source, sink, entry.path, err);
		if (r != 0)
			return r;
	}
	return r;
}

int cairn_tree_copy(struct cairn_tree_source *source, struct cairn_tree_sink *sink,
		    struct cairn_error *err)
{
	int r = cairn_tree_copy_entries(source, sink, err);

	return r == 0 ? sink->ops->finish(sink, err) : r;
}
