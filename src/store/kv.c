#include "store/kv.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "store/sqlite_store.h"
#include "util/backoff.h"
#include "util/clock.h"

#define CACHE_KIB 512U

/* In WAL mode only a recovery or another process closing the file blocks a reader, both for a
 * moment. */
#define READ_ROUNDS 10U

/* The pauses between two attempts at a transaction double from the one to the other. */
#define PAUSE_MIN_NS UINT64_C(1000000)
#define PAUSE_MAX_NS UINT64_C(200000000)

#define VERSION_BITS 53

struct cairn_kv {
	struct sqlite_store *store;
	struct {
		pthread_mutex_t lock; /* guards the rest of it */
		struct cairn_sql sql;
		bool has_table; /* kv_store was seen */
	} read, write;
};

enum {
	KV_VERSION,
	KV_TABLE,
	KV_GET,
	KV_LOOK,
	KV_LIST,
	KV_SET,
	KV_DELETE,
	KV_BEGIN,
	KV_COMMIT,
	KV_STATEMENTS,
};

static const char *const kv_texts[KV_STATEMENTS] = {
	[KV_VERSION] = "PRAGMA data_version",
	/* A view or a virtual table has no root page, and would let the file run code of its own.
	 */
	[KV_TABLE] = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 "
		     "AND name = 'kv_store' COLLATE NOCASE",
	[KV_GET] = "SELECT value FROM kv_store WHERE key = ?1",
	[KV_LOOK] = "SELECT key, value, created_at, updated_at FROM kv_store WHERE key = ?1",
	[KV_LIST] = "SELECT key, value, created_at, updated_at FROM kv_store WHERE key >= ?1 "
		    "ORDER BY key",
	[KV_SET] = "INSERT INTO kv_store (key, value, created_at, updated_at) "
		   "VALUES (?1, ?2, ?3, ?3) ON CONFLICT (key) DO UPDATE "
		   "SET value = excluded.value, updated_at = excluded.updated_at",
	[KV_DELETE] = "DELETE FROM kv_store WHERE key = ?1",
	[KV_BEGIN] = "BEGIN IMMEDIATE",
	[KV_COMMIT] = "COMMIT",
};

/* As AgentFS makes them. */
static const char *const create_texts[] = {
	"CREATE TABLE kv_store (key TEXT PRIMARY KEY, value TEXT NOT NULL, "
	"created_at INTEGER DEFAULT (unixepoch()), updated_at INTEGER DEFAULT (unixepoch()))",
	"CREATE INDEX IF NOT EXISTS idx_kv_store_created_at ON kv_store(created_at)",
};

static void unlockp(pthread_mutex_t **lock)
{
	pthread_mutex_unlock(*lock);
}

static int open_read(struct cairn_kv *kv, struct cairn_sql_target target)
{
	int r;

	target.read_only = true;
	target.gather = false;
	r = cairn_sqlite_connect(&kv->read.sql, &target, kv->store);
	if (r < 0)
		return r;
	kv->read.sql.busy_rounds = READ_ROUNDS;
	r = cairn_sql_configure(&kv->read.sql, CACHE_KIB, true);
	if (r < 0)
		return r;
	return cairn_sql_use(&kv->read.sql, kv_texts, KV_STATEMENTS);
}

static int after_commit(void *arg, sqlite3 *db, const char *schema, int frames)
{
	struct sqlite_store *store = arg;

	store->wal_size = cairn_sqlite_wal_bytes(store, (uint32_t)MAX(frames, 0));
	return SQLITE_OK;
}

static int open_write(struct cairn_kv *kv, struct cairn_sql_target target, bool sync)
{
	struct cairn_sql *sql = &kv->write.sql;
	int r;

	r = cairn_sqlite_connect(sql, &target, kv->store);
	if (r < 0)
		return r;
	r = cairn_sql_configure(sql, CACHE_KIB, false);
	if (r < 0)
		return r;
	r = cairn_sql_exec(sql, sync ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
	if (r < 0)
		return r;
	sqlite3_wal_hook(sql->db, after_commit, kv->store);
	return cairn_sql_use(sql, kv_texts, KV_STATEMENTS);
}

int cairn_kv_open(struct cairn_store *base, unsigned int busy_timeout_ms, bool sync,
		  struct cairn_kv **ret)
{
	struct sqlite_store *store = CONTAINER_OF(base, struct sqlite_store, base);
	struct cairn_sql_target target = store->target;
	struct cairn_kv *kv = calloc(1, sizeof(*kv));
	int r;

	if (!kv)
		return -ENOMEM;
	pthread_mutex_init(&kv->read.lock, NULL);
	pthread_mutex_init(&kv->write.lock, NULL);
	kv->store = store;
	target.busy_timeout_ms = busy_timeout_ms;
	r = open_read(kv, target);
	if (r == 0 && !base->read_only)
		r = open_write(kv, target, sync);
	if (r < 0) {
		cairn_kv_close(kv);
		return r;
	}
	*ret = kv;
	return 0;
}

void cairn_kv_close(struct cairn_kv *kv)
{
	if (!kv)
		return;
	cairn_sql_close(&kv->read.sql);
	cairn_sql_close(&kv->write.sql);
	pthread_mutex_destroy(&kv->read.lock);
	pthread_mutex_destroy(&kv->write.lock);
	free(kv);
}

int cairn_kv_version(struct cairn_kv *kv, int64_t *ret)
{
	_cleanup_(unlockp) pthread_mutex_t *lock = &kv->read.lock;
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	pthread_mutex_lock(lock);
	cairn_query_begin(&q, &kv->read.sql, KV_VERSION);
	r = cairn_query_step(&q);
	if (r <= 0)
		return r < 0 ? r : -EIO;
	*ret = sqlite3_column_int64(q.stmt, 0);
	return 0;
}

/* 1 where the table is there. */
static int find_table(struct cairn_sql *sql, bool *has_table)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	if (*has_table)
		return 1;
	cairn_query_begin(&q, sql, KV_TABLE);
	r = cairn_query_step(&q);
	*has_table = r > 0;
	return r;
}

static int copy_text(struct cairn_query *q, int column, char **ret, size_t *ret_size)
{
	const void *text = sqlite3_column_blob(q->stmt, column);
	size_t size = (size_t)sqlite3_column_bytes(q->stmt, column);
	char *copy;

	if (!text && size > 0)
		return -ENOMEM;
	copy = malloc(size + 1);
	if (!copy)
		return -ENOMEM;
	if (size > 0)
		memcpy(copy, text, size);
	copy[size] = '\0';
	*ret = copy;
	if (ret_size)
		*ret_size = size;
	return 0;
}

static int get(struct cairn_sql *sql, const char *key, char **ret, size_t *ret_size)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	cairn_query_begin(&q, sql, KV_GET);
	cairn_query_text(&q, key, strlen(key));
	r = cairn_query_step(&q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return copy_text(&q, 0, ret, ret_size);
}

int cairn_kv_get(struct cairn_kv *kv, const char *key, char **ret, size_t *ret_size)
{
	_cleanup_(unlockp) pthread_mutex_t *lock = &kv->read.lock;
	int r;

	pthread_mutex_lock(lock);
	r = find_table(&kv->read.sql, &kv->read.has_table);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return get(&kv->read.sql, key, ret, ret_size);
}

void cairn_kv_pair_done(struct cairn_kv_pair *pair)
{
	free(TAKE_PTR(pair->key));
	free(TAKE_PTR(pair->value));
}

/* The columns key, value, created_at, updated_at. */
static int copy_pair(struct cairn_query *q, struct cairn_kv_pair *ret)
{
	_cleanup_(cairn_kv_pair_done) struct cairn_kv_pair pair = {
		.created_at = sqlite3_column_int64(q->stmt, 2),
		.updated_at = sqlite3_column_int64(q->stmt, 3),
	};
	int r;

	r = copy_text(q, 0, &pair.key, NULL);
	if (r == 0)
		r = copy_text(q, 1, &pair.value, &pair.size);
	if (r < 0)
		return r;
	*ret = pair;
	pair.key = pair.value = NULL;
	return 0;
}

static int look(struct cairn_sql *sql, const char *key, struct cairn_kv_pair *ret)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	cairn_query_begin(&q, sql, KV_LOOK);
	cairn_query_text(&q, key, strlen(key));
	r = cairn_query_step(&q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return copy_pair(&q, ret);
}

int cairn_kv_look(struct cairn_kv *kv, const char *key, struct cairn_kv_pair *ret)
{
	_cleanup_(unlockp) pthread_mutex_t *lock = &kv->read.lock;
	int r;

	pthread_mutex_lock(lock);
	r = find_table(&kv->read.sql, &kv->read.has_table);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return look(&kv->read.sql, key, ret);
}

void cairn_kv_list_done(struct cairn_kv_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		cairn_kv_pair_done(&list->pairs[i]);
	free(list->pairs);
	*list = (struct cairn_kv_list){ 0 };
}

static int add_pair(struct cairn_kv_list *list, struct cairn_query *q)
{
	int r;

	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 32;
		void *pairs = reallocarray(list->pairs, capacity, sizeof(*list->pairs));

		if (!pairs)
			return -ENOMEM;
		list->pairs = pairs;
		list->capacity = capacity;
	}
	r = copy_pair(q, &list->pairs[list->count]);
	if (r == 0)
		list->count++;
	return r;
}

/* The keys with a prefix stand together in the order of the index, from the prefix itself on. */
static int list_from(struct cairn_sql *sql, const char *prefix, struct cairn_kv_list *list)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	size_t len = strlen(prefix);
	const void *key;
	int r;

	cairn_query_begin(&q, sql, KV_LIST);
	cairn_query_text(&q, prefix, len);
	while ((r = cairn_query_step(&q)) > 0) {
		key = sqlite3_column_blob(q.stmt, 0);
		if ((size_t)sqlite3_column_bytes(q.stmt, 0) < len ||
		    (len > 0 && memcmp(key, prefix, len) != 0))
			return 0;
		r = add_pair(list, &q);
		if (r < 0)
			return r;
	}
	return r;
}

int cairn_kv_list(struct cairn_kv *kv, const char *prefix, struct cairn_kv_list *ret)
{
	_cleanup_(unlockp) pthread_mutex_t *lock = &kv->read.lock;
	struct cairn_kv_list list = { 0 };
	int r;

	pthread_mutex_lock(lock);
	r = find_table(&kv->read.sql, &kv->read.has_table);
	if (r > 0)
		r = list_from(&kv->read.sql, prefix, &list);
	if (r < 0) {
		cairn_kv_list_done(&list);
		return r;
	}
	*ret = list;
	return 0;
}

/* Changes, each inside a transaction on the writing connection. */

static int make_table(struct cairn_sql *sql, bool *has_table)
{
	int r;

	r = find_table(sql, has_table);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(create_texts); i++)
		r = cairn_sql_exec(sql, create_texts[i]);
	return MIN(r, 0);
}

static int run_plain(struct cairn_sql *sql, unsigned int statement)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_query_begin(&q, sql, statement);
	return cairn_query_run(&q);
}

static int put(struct cairn_sql *sql, const char *key, const char *value)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };

	cairn_query_begin(&q, sql, KV_SET);
	cairn_query_text(&q, key, strlen(key));
	cairn_query_text(&q, value, strlen(value));
	cairn_query_int(&q, MAX(cairn_now().tv_sec, 0));
	return cairn_query_run(&q);
}

static int drop(struct cairn_sql *sql, const char *key)
{
	_cleanup_(cairn_query_endp) struct cairn_query q = { 0 };
	int r;

	cairn_query_begin(&q, sql, KV_DELETE);
	cairn_query_text(&q, key, strlen(key));
	r = cairn_query_run(&q);
	if (r < 0)
		return r;
	return sqlite3_changes(sql->db) > 0 ? 0 : -ENOENT;
}

/* One change of one key. */
struct change {
	int (*run)(struct cairn_sql *sql, struct change *change);
	const char *key, *expected, *value;
	int64_t number; /* in: what to add; out: the sum */
	bool matched;
	const uint64_t *if_version; /* NULL: whatever it is */
	uint64_t version;           /* out: of the key */
};

/* FNV-1a, www.isthe.com/chongo/tech/comp/fnv; the upper bits are folded in. */
uint64_t cairn_kv_version_of(const char *value, size_t size)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < size; i++) {
		hash ^= (unsigned char)value[i];
		hash *= UINT64_C(1099511628211);
	}
	hash = (hash >> VERSION_BITS) ^ (hash & ((UINT64_C(1) << VERSION_BITS) - 1));
	return MAX(hash, UINT64_C(1));
}

static int find_version(struct cairn_sql *sql, const char *key, uint64_t *ret)
{
	_cleanup_(cairn_freep) char *value = NULL;
	size_t size;
	int r;

	r = get(sql, key, &value, &size);
	if (r == 0)
		*ret = cairn_kv_version_of(value, size);
	else if (r == -ENOENT)
		*ret = 0;
	return r == -ENOENT ? 0 : r;
}

static int check_version(struct cairn_sql *sql, struct change *change)
{
	int r;

	if (!change->if_version)
		return 0;
	r = find_version(sql, change->key, &change->version);
	if (r < 0)
		return r;
	return change->version == *change->if_version ? 0 : -ESTALE;
}

static int attempt(struct cairn_kv *kv, struct change *change)
{
	_cleanup_(cairn_sql_rollbackp) struct cairn_sql *sql = &kv->write.sql;
	bool had_table = kv->write.has_table;
	int r;

	if (kv->store->wal_limit && kv->store->wal_size >= kv->store->wal_limit)
		return -EAGAIN;
	cairn_sql_rollback(sql);
	r = run_plain(sql, KV_BEGIN);
	if (r < 0)
		return r;
	r = make_table(sql, &kv->write.has_table);
	if (r == 0)
		r = check_version(sql, change);
	if (r == 0)
		r = change->run(sql, change);
	if (r == 0)
		r = run_plain(sql, KV_COMMIT);
	if (r < 0 && !had_table)
		kv->write.has_table = false;
	return r;
}

static int run_change(struct cairn_kv *kv, struct change *change)
{
	_cleanup_(unlockp) pthread_mutex_t *lock = &kv->write.lock;
	uint64_t since = cairn_mono_ns();
	struct change once;
	int r;

	pthread_mutex_lock(lock);
	if (kv->store->base.read_only)
		return -EROFS;
	for (unsigned int tries = 0;; tries++) {
		once = *change;
		r = attempt(kv, &once);
		if (r != -EAGAIN ||
		    cairn_mono_ns() - since >= UINT64_C(1000000) * CAIRN_KV_BUDGET_MS)
			break;
		cairn_backoff_sleep(tries, PAUSE_MIN_NS, PAUSE_MAX_NS);
	}
	*change = once;
	return r;
}

/* The same, and tells the version that the key has afterwards. */
static int run_change_if(struct cairn_kv *kv, struct change *change, const uint64_t *if_version,
			 uint64_t *ret_version)
{
	int r;

	change->if_version = if_version;
	r = run_change(kv, change);
	if (ret_version && (r == 0 || r == -ESTALE))
		*ret_version = change->version;
	return r;
}

static int run_set(struct cairn_sql *sql, struct change *change)
{
	change->version = cairn_kv_version_of(change->value, strlen(change->value));
	return put(sql, change->key, change->value);
}

int cairn_kv_set_if(struct cairn_kv *kv, const char *key, const char *value,
		    const uint64_t *if_version, uint64_t *ret_version)
{
	struct change change = { .run = run_set, .key = key, .value = value };

	return run_change_if(kv, &change, if_version, ret_version);
}

int cairn_kv_set(struct cairn_kv *kv, const char *key, const char *value)
{
	return cairn_kv_set_if(kv, key, value, NULL, NULL);
}

static int run_delete(struct cairn_sql *sql, struct change *change)
{
	change->version = 0;
	return drop(sql, change->key);
}

int cairn_kv_delete_if(struct cairn_kv *kv, const char *key, const uint64_t *if_version,
		       uint64_t *ret_version)
{
	struct change change = { .run = run_delete, .key = key };

	return run_change_if(kv, &change, if_version, ret_version);
}

int cairn_kv_delete(struct cairn_kv *kv, const char *key)
{
	return cairn_kv_delete_if(kv, key, NULL, NULL);
}

/* A decimal number and nothing else. */
static int parse_number(const char *text, size_t size, int64_t *ret)
{
	char *end;
	int64_t number;

	if (strlen(text) != size || !strchr("-0123456789", text[0]) || !text[0])
		return -EINVAL;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (*end || end == text)
		return -EINVAL;
	if (errno)
		return -ERANGE;
	*ret = number;
	return 0;
}

static int run_add(struct cairn_sql *sql, struct change *change)
{
	_cleanup_(cairn_freep) char *text = NULL;
	int64_t number = 0;
	char sum[24];
	size_t size;
	int r;

	r = get(sql, change->key, &text, &size);
	if (r == 0)
		r = parse_number(text, size, &number);
	if (r < 0 && r != -ENOENT)
		return r;
	if (__builtin_add_overflow(number, change->number, &change->number))
		return -ERANGE;
	snprintf(sum, sizeof(sum), "%" PRId64, change->number);
	change->version = cairn_kv_version_of(sum, strlen(sum));
	return put(sql, change->key, sum);
}

int cairn_kv_add_if(struct cairn_kv *kv, const char *key, int64_t delta, const uint64_t *if_version,
		    int64_t *ret, uint64_t *ret_version)
{
	struct change change = { .run = run_add, .key = key, .number = delta };
	int r;

	r = run_change_if(kv, &change, if_version, ret_version);
	if (r == 0 && ret)
		*ret = change.number;
	return r;
}

int cairn_kv_add(struct cairn_kv *kv, const char *key, int64_t delta, int64_t *ret)
{
	return cairn_kv_add_if(kv, key, delta, NULL, ret, NULL);
}

static int run_swap(struct cairn_sql *sql, struct change *change)
{
	_cleanup_(cairn_freep) char *text = NULL;
	size_t size = 0;
	int r;

	r = get(sql, change->key, &text, &size);
	if (r < 0 && r != -ENOENT)
		return r;
	if (!change->expected || !text)
		change->matched = !change->expected && !text;
	else
		change->matched = strlen(change->expected) == size &&
				  memcmp(change->expected, text, size) == 0;
	if (!change->matched || (!text && !change->value))
		return 0;
	return change->value ? put(sql, change->key, change->value) : drop(sql, change->key);
}

int cairn_kv_swap(struct cairn_kv *kv, const char *key, const char *expected, const char *value)
{
	struct change change = {
		.run = run_swap,
		.key = key,
		.expected = expected,
		.value = value,
	};
	int r;

	r = run_change(kv, &change);
	return r < 0 ? r : change.matched;
}
