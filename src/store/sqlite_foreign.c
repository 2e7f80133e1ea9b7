/* What other processes commit while the store is open.
 *
 * PRAGMA data_version tells that somebody else has committed. Most of what others write does not
 * concern a mount at all (kv_store, tool_calls, tables of their own), and a mount that dropped its
 * caches each time would be no faster than one without. So the pages that were written are read
 * from the WAL, in the layout of "WAL-mode File Format" at sqlite.org, and compared with the pages
 * of the tables that do not matter, which the dbstat virtual table lists. Whatever cannot be told
 * for certain counts as a change of files. */
#include <stdlib.h>
#include <string.h>

#include "store/sqlite_store.h"

#define WAL_SALT_AT   16U /* in the header */
#define FRAME_SALT_AT 8U

static uint32_t big_endian(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool read_wal(sqlite3_file *wal, void *buf, size_t size, uint64_t at)
{
	return wal->pMethods->xRead(wal, buf, (int)size, (sqlite3_int64)at) == SQLITE_OK;
}

static bool read_salt(sqlite3_file *wal, unsigned char *salt)
{
	return read_wal(wal, salt, CAIRN_WAL_SALT_SIZE, WAL_SALT_AT);
}

/* A growing list of page numbers. */
static int pages_add(struct cairn_pages *pages, uint32_t page)
{
	if (pages->count == pages->capacity) {
		size_t capacity = pages->capacity ? 2 * pages->capacity : 256;
		void *list = reallocarray(pages->list, capacity, sizeof(page));

		if (!list)
			return -ENOMEM;
		pages->list = list;
		pages->capacity = capacity;
	}
	pages->list[pages->count++] = page;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void pages_sort(struct cairn_pages *pages)
{
	if (pages->count > 1)
		qsort(pages->list, pages->count, sizeof(*pages->list), by_number);
}

static bool pages_have(const struct cairn_pages *pages, uint32_t page)
{
	return pages->count > 0 &&
	       bsearch(&page, pages->list, pages->count, sizeof(page), by_number);
}

void cairn_pages_free(struct cairn_pages *pages)
{
	free(pages->list);
	*pages = (struct cairn_pages){ 0 };
}

/* Collects the pages of the frames behind the ones already known, up to the last that commits;
 * moves *frames there. 1: they cannot be told, because the WAL started over meanwhile. */
static int written_pages(struct sqlite_store *store, uint32_t *frames, struct cairn_pages *ret)
{
	sqlite3_file *wal = cairn_sqlite_wal_file(store);
	unsigned char header[CAIRN_WAL_FRAME_HEADER_SIZE], salt[CAIRN_WAL_SALT_SIZE];
	size_t committed = 0;
	int r;

	if (!wal || !read_salt(wal, salt) || memcmp(salt, store->foreign.salt, sizeof(salt)) != 0)
		return 1;
	for (uint32_t frame = *frames;; frame++) {
		uint64_t at = CAIRN_WAL_HEADER_SIZE +
			      frame * (store->page_size + CAIRN_WAL_FRAME_HEADER_SIZE);

		if (!read_wal(wal, header, sizeof(header), at) ||
		    memcmp(header + FRAME_SALT_AT, salt, sizeof(salt)) != 0)
			break;
		r = pages_add(ret, big_endian(header));
		if (r < 0)
			return r;
		if (big_endian(header + 4) != 0) { /* the size after a commit, else 0 */
			committed = ret->count;
			*frames = frame + 1;
		}
	}
	ret->count = committed;
	return 0;
}

/* Adds the pages of one table or index. */
static int add_pages_of(struct sqlite_store *store, const char *name, size_t len,
			struct cairn_pages *pages)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	cairn_query_once(&q, &store->sql, "SELECT pageno FROM dbstat WHERE name = ?1");
	cairn_query_text(&q, name, len);
	while ((r = cairn_query_step(&q)) > 0) {
		r = pages_add(pages, (uint32_t)sqlite3_column_int64(q.stmt, 0));
		if (r < 0)
			return r;
	}
	return r;
}

/* The pages of everything that a mount has no interest in. Page 1 is among them: it changes with
 * the size of the file, and a table of ours that is dropped changes other pages too.
 * sqlite_sequence is, because numbers are leased. */
static int list_harmless(struct sqlite_store *store)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	struct cairn_pages *pages = &store->foreign.harmless;
	int r;

	pages->count = 0;
	r = pages_add(pages, 1);
	if (r < 0)
		return r;
	cairn_query_once(&q, &store->sql,
			 "SELECT name FROM sqlite_schema WHERE type IN ('table', 'index') "
			 "AND rootpage > 0 AND substr(tbl_name, 1, 3) <> 'fs_' "
			 "AND substr(tbl_name, 1, 6) <> 'cairn_'");
	while ((r = cairn_query_step(&q)) > 0) {
		r = add_pages_of(store, (const char *)sqlite3_column_text(q.stmt, 0),
				 (size_t)sqlite3_column_bytes(q.stmt, 0), pages);
		if (r < 0)
			return r;
	}
	pages_sort(pages);
	return r;
}

static bool all_harmless(const struct sqlite_store *store, const struct cairn_pages *pages)
{
	for (size_t i = 0; i < pages->count; i++)
		if (!pages_have(&store->foreign.harmless, pages->list[i]))
			return false;
	return true;
}

/* Pages that were found harmless once stay in the list: one that has since become a page of a file
 * table comes with a change of its parent page, which has not. */
static int classify(struct sqlite_store *store, enum cairn_foreign *ret)
{
	_cleanup_(cairn_pages_free) struct cairn_pages pages = { 0 };
	int r;

	*ret = CAIRN_FOREIGN_FILES;
	r = written_pages(store, &store->foreign.frames, &pages);
	if (r < 0)
		return r;
	if (r > 0 || pages.count == 0)
		return 0;
	if (!all_harmless(store, &pages)) {
		/* Where dbstat is not compiled in, every change counts. */
		if (list_harmless(store) < 0 || !all_harmless(store, &pages))
			return 0;
	}
	*ret = CAIRN_FOREIGN_OTHER;
	return 0;
}

void cairn_sqlite_foreign_committed(struct sqlite_store *store, int frames)
{
	sqlite3_file *wal = cairn_sqlite_wal_file(store);

	store->foreign.frames = (uint32_t)MAX(frames, 0);
	if (!wal || !read_salt(wal, store->foreign.salt))
		memset(store->foreign.salt, 0, sizeof(store->foreign.salt));
}

int cairn_sqlite_foreign(struct cairn_store *base, enum cairn_foreign *ret)
{
	struct sqlite_store *store = CONTAINER_OF(base, struct sqlite_store, base);
	enum cairn_foreign found = CAIRN_FOREIGN_NONE;
	int64_t version;
	int r;

	r = cairn_sql_get_int(&store->sql, "PRAGMA data_version", &version);
	if (r < 0)
		return r;
	if (version != store->foreign.version)
		atomic_fetch_add(&store->generation, 1);
	if (version != store->foreign.version && store->foreign.version != 0) {
		r = classify(store, &found);
		if (r < 0)
			return r;
		if (found == CAIRN_FOREIGN_FILES)
			cairn_sqlite_foreign_resume(store);
		store->wal_size = cairn_sqlite_wal_bytes(store, store->foreign.frames);
	}
	store->foreign.version = version;
	*ret = found;
	return 0;
}

/* Takes up the WAL where it ends now, for what comes after. */
void cairn_sqlite_foreign_resume(struct sqlite_store *store)
{
	_cleanup_(cairn_pages_free) struct cairn_pages pages = { 0 };

	cairn_sqlite_foreign_committed(store, 0);
	(void)written_pages(store, &store->foreign.frames, &pages);
}
