#include <stdio.h>

#include "store/draft.h"
#include "store/place.h"
#include "store/sqlite_store.h"

static int check_sizes(const char *path, size_t chunk_size, size_t page_size,
		       struct cairn_error *err)
{
	if (chunk_size < 1 || chunk_size > CAIRN_CHUNK_MAX)
		return cairn_error_set(err, -EINVAL,
				       "cannot make '%s' with chunks of %zu bytes; choose a size "
				       "from 1 to %u",
				       path, chunk_size, CAIRN_CHUNK_MAX);
	if (page_size < 512 || page_size > 65536 || (page_size & (page_size - 1)))
		return cairn_error_set(err, -EINVAL,
				       "cannot make '%s' with pages of %zu bytes; choose a power "
				       "of two from 512 to 65536",
				       path, page_size);
	return 0;
}

/* The file comes into being under these. Nothing but this process sees it yet, so its safety
 * rests on the sync at the end alone. */
static int configure_new(struct cairn_sql *sql, size_t page_size)
{
	static const char *const pragmas[] = {
		"PRAGMA auto_vacuum = NONE",
		"PRAGMA encoding = 'UTF-8'",
		"PRAGMA synchronous = OFF",
		"PRAGMA journal_mode = MEMORY",
	};
	char text[64];
	int r;

	snprintf(text, sizeof(text), "PRAGMA page_size = %zu", page_size);
	r = cairn_sql_exec(sql, text);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(pragmas); i++)
		r = cairn_sql_exec(sql, pragmas[i]);
	return r;
}

static int fill(struct cairn_sql *sql, const struct cairn_init_options *options)
{
	int r;

	r = configure_new(sql, options->page_size);
	if (r < 0)
		return r;
	r = cairn_sql_exec(sql, "BEGIN IMMEDIATE");
	if (r < 0)
		return r;
	r = cairn_schema_create(sql, options->chunk_size, options->base, options->base_ignore,
				options->root);
	if (r < 0)
		return r;
	r = cairn_sql_exec(sql, "COMMIT");
	if (r < 0)
		return r;
	return cairn_sql_exec(sql, "PRAGMA journal_mode = WAL");
}

static int build(const struct cairn_draft *draft, const struct cairn_init_options *options,
		 struct cairn_error *err)
{
	_cleanup_(cairn_sql_close) struct cairn_sql sql = { 0 };
	int r;

	r = cairn_sql_open_draft(&sql, draft->temp);
	if (r == 0)
		r = fill(&sql, options);
	if (r < 0 && sql.db)
		return cairn_error_set(err, r,
				       "cannot make the workspace '%s': %s; check its directory",
				       draft->path, sqlite3_errmsg(sql.db));
	return r < 0 ? cairn_draft_failed(draft, r, err) : 0;
}

int cairn_sqlite_store_init(const char *path, const struct cairn_init_options *options,
			    struct cairn_error *err)
{
	_cleanup_(cairn_draft_done) struct cairn_draft draft = CAIRN_DRAFT_NONE;
	struct cairn_init_options filled = *options;
	int r;

	filled.chunk_size = options->chunk_size ?: CAIRN_DEFAULT_CHUNK_SIZE;
	filled.page_size = options->page_size ?: CAIRN_DEFAULT_PAGE_SIZE;
	r = check_sizes(path, filled.chunk_size, filled.page_size, err);
	if (r < 0)
		return r;
	r = cairn_draft_begin(&draft, path, options->force, 0644, err);
	if (r < 0)
		return r;
	r = cairn_place_try(&draft, err);
	if (r < 0)
		return r;
	r = build(&draft, &filled, err);
	if (r < 0)
		return r;
	return cairn_draft_place(&draft, options->force, err);
}
