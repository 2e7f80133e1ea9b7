/* Opening a workspace with what lies under it. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ignore.h"
#include "base/overlay_internal.h"

/* Two layers that are open, until they are handed on. */
struct layers {
	struct cairn_store *branch;
	struct cairn_base *base;
};

static void layersp(struct layers *layers)
{
	if (layers->branch)
		layers->branch->ops->close(layers->branch);
	if (layers->base)
		layers->base->ops->close(layers->base);
}

/* The path of a base as a workspace names it: where that is not absolute, from the directory of the
 * workspace. */
static int absolute(const char *workspace, const char *path, char **ret)
{
	_cleanup_(cairn_freep) char *copy = NULL;

	if (path[0] == '/') {
		*ret = strdup(path);
		return *ret ? 0 : -ENOMEM;
	}
	copy = strdup(workspace);
	if (!copy || asprintf(ret, "%s/%s", dirname(copy), path) < 0)
		return -ENOMEM;
	return 0;
}

static int find_base(const struct cairn_store_options *options, struct cairn_store *branch,
		     const char *workspace, char **ret)
{
	_cleanup_(cairn_freep) char *named = NULL;
	int r;

	if (options->base) {
		*ret = strdup(options->base);
		return *ret ? 0 : -ENOMEM;
	}
	r = branch->branch->base_path(branch, &named);
	if (r < 0)
		return r;
	return named ? absolute(workspace, named, ret) : -EINVAL;
}

static int open_base(const char *path, const struct cairn_store_options *options,
		     struct layers *layers, struct cairn_error *err)
{
	_cleanup_(cairn_freep) char *base = NULL, *real = realpath(path, NULL);
	struct cairn_base_above above = { .workspace = real, .next = options->above };
	struct cairn_base_options base_options = {
		.busy_timeout_ms = options->busy_timeout_ms,
		.log = options->log,
		.ignore = options->base_ignore,
		.ignore_count = options->base_ignore_count,
		.above = &above,
		.mount_point = options->mount_point,
	};
	_cleanup_(cairn_base_ignore_free) struct cairn_base_ignore ignore = { 0 };
	struct cairn_error why = { 0 };
	int r;

	if (!real)
		return -errno;
	r = cairn_base_ignore_read(layers->branch, &ignore);
	if (r == 0 && ignore.count && options->base_ignore_count)
		return cairn_error_set(err, -EINVAL,
				       "'%s' has stored what is not shown of its base, so that "
				       "'diff' and 'accept' keep to it too; leave base_ignore= out",
				       path);
	if (ignore.count) {
		base_options.ignore = ignore.list;
		base_options.ignore_count = ignore.count;
	}
	if (r == 0)
		r = find_base(options, layers->branch, real, &base);
	if (r < 0)
		return cairn_error_set(err, r, "'%s' has a base that cannot be read: %s", path,
				       strerror(-r));
	r = cairn_base_open(base, &base_options, &layers->base, &why);
	if (r < 0)
		return cairn_error_set(err, r, "'%s' is an overlay: %s", path, why.text);
	return 0;
}

int cairn_store_open(const char *path, const struct cairn_store_options *options,
		     struct cairn_store **ret, struct cairn_error *err)
{
	_cleanup_(layersp) struct layers layers = { 0 };
	struct cairn_store *branch;
	struct cairn_base *base;
	int r;

	r = cairn_sqlite_store_open(path, options, &layers.branch, err);
	if (r < 0)
		return r;
	if (!layers.branch->branch) {
		if (options->base)
			return cairn_error_set(err, -EINVAL,
					       "'%s' has no base, so no other can be given for it; "
					       "leave base= out, or make an overlay with 'cairnfs "
					       "init --base'",
					       path);
		*ret = TAKE_PTR(layers.branch);
		return 0;
	}
	r = open_base(path, options, &layers, err);
	if (r < 0)
		return r;
	/* What stays there does no harm. */
	if (!options->read_only)
		(void)layers.branch->branch->heirs_forget(layers.branch);
	branch = TAKE_PTR(layers.branch);
	base = TAKE_PTR(layers.base);
	r = cairn_overlay_new(branch, base, options, ret);
	if (r < 0)
		return cairn_error_set(err, r, "'%s' cannot be opened over its base: %s", path,
				       strerror(-r));
	return 0;
}
