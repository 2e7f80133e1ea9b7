#include "store/sqlite_store.h"

#include <inttypes.h>
#include <string.h>

#include "store/place.h"

/* What remains of the WAL file after it starts over. Blocks that are there already are cheaper to
 * write than new ones. */
#define WAL_KEEP_BYTES "67108864"

static void store_close(struct cairn_store *base)
{
	struct sqlite_store *store = CONTAINER_OF(base, struct sqlite_store, base);

	cairn_sqlite_freep(&store);
}

static int store_present(struct cairn_store *base)
{
	return cairn_probe_present(&CONTAINER_OF(base, struct sqlite_store, base)->probe);
}

int cairn_sqlite_connect(struct cairn_sql *ret, const struct cairn_sql_target *target,
			 const struct sqlite_store *store)
{
	int moved = 0, r;

	r = cairn_sql_open(ret, target, store->log);
	if (r < 0)
		return r;
	/* Nothing is read yet. What is open is what is at the path, and that is ours. */
	if (sqlite3_file_control(ret->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
	    moved)
		return -EIO;
	return cairn_probe_present(&store->probe);
}

static const struct cairn_store_ops sqlite_ops = {
	.reader_open = cairn_sqlite_reader_open,
	.reader_close = cairn_sqlite_reader_close,
	.reader_rest = cairn_sqlite_reader_rest,
	.inode_get = cairn_sqlite_inode_get,
	.dentry_get = cairn_sqlite_dentry_get,
	.dentry_scan = cairn_sqlite_dentry_scan,
	.dentry_count = cairn_sqlite_dentry_count,
	.dentry_name = cairn_sqlite_dentry_name,
	.symlink_get = cairn_sqlite_symlink_get,
	.data_read = cairn_sqlite_data_read,
	.data_scan = cairn_sqlite_data_scan,
	.xattr_get = cairn_sqlite_xattr_get,
	.xattr_scan = cairn_sqlite_xattr_scan,
	.orphan_scan = cairn_sqlite_orphan_scan,
	.space = cairn_sqlite_space,
	.begin = cairn_sqlite_begin,
	.commit = cairn_sqlite_commit,
	.rollback = cairn_sqlite_rollback,
	.sync = cairn_sqlite_sync,
	.checkpoint = cairn_sqlite_checkpoint,
	.wal_size = cairn_sqlite_wal_size,
	.wal_readers = cairn_sqlite_wal_readers,
	.foreign = cairn_sqlite_foreign,
	.present = store_present,
	.lease = cairn_sqlite_lease,
	.inode_insert = cairn_sqlite_inode_insert,
	.inode_update = cairn_sqlite_inode_update,
	.inode_delete = cairn_sqlite_inode_delete,
	.dentry_put = cairn_sqlite_dentry_put,
	.dentry_delete = cairn_sqlite_dentry_delete,
	.symlink_put = cairn_sqlite_symlink_put,
	.data_put = cairn_sqlite_data_put,
	.data_delete = cairn_sqlite_data_delete,
	.data_cut = cairn_sqlite_data_cut,
	.xattr_put = cairn_sqlite_xattr_put,
	.xattr_delete = cairn_sqlite_xattr_delete,
	.orphan_put = cairn_sqlite_orphan_put,
	.close = store_close,
};

/* Whether the last connection to close may checkpoint. While a file is only being looked at, a
 * WAL that lies beside it stays as it is. */
static void set_checkpoint_on_close(struct sqlite_store *store, bool on)
{
	sqlite3_db_config(store->sql.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !on, NULL);
}

/* Even reading a WAL database makes a -wal and a -shm, and a connection that may not write leaves
 * them behind. One that may write takes them away when it is the last to close; with an empty
 * WAL it has nothing else to do. */
static void remove_empty_wal(const struct sqlite_store *store)
{
	_cleanup_(cairn_sql_close) struct cairn_sql sql = { 0 };
	struct cairn_sql_target target = store->target;

	if (!target.read_only || target.immutable || store->probe.has_wal ||
	    !store->probe.dir_writable)
		return;
	if (cairn_probe_present(&store->probe) < 0)
		return;
	if (cairn_probe_beside(store->probe.real_path, "-wal") != 0)
		return;
	target.read_only = false;
	target.busy_timeout_ms = 0;
	if (cairn_sql_open(&sql, &target, NULL) == 0)
		cairn_sql_exec(&sql, "PRAGMA schema_version");
}

void cairn_sqlite_freep(struct sqlite_store **store)
{
	struct sqlite_store *s = *store;

	if (!s)
		return;
	cairn_sqlite_end_one(s);
	if (s->sql.db) {
		if (cairn_sqlite_must_yield(s))
			set_checkpoint_on_close(s, false);
		cairn_sql_close(&s->guard);
		cairn_sql_unshare(&s->branch);
		cairn_sql_unshare(&s->undo);
		cairn_sql_close(&s->sql);
		remove_empty_wal(s);
	}
	cairn_sql_target_clear(&s->target);
	cairn_pages_free(&s->foreign.harmless);
	cairn_stats_destroy(&s->stats);
	free(s);
	*store = NULL;
}

static int configure_writer(struct cairn_sql *sql)
{
	static const char *const pragmas[] = {
		"PRAGMA synchronous = NORMAL",
		"PRAGMA journal_size_limit = " WAL_KEEP_BYTES,
		"PRAGMA temp_store = MEMORY",
		/* Some builds overwrite each deleted row with zeros. */
		"PRAGMA secure_delete = OFF",
	};
	int persist_wal = 0, rc, r;

	for (size_t i = 0; i < ARRAY_SIZE(pragmas); i++) {
		r = cairn_sql_exec(sql, pragmas[i]);
		if (r < 0)
			return r;
	}
	rc = sqlite3_file_control(sql->db, "main", SQLITE_FCNTL_PERSIST_WAL, &persist_wal);
	/* Another VFS may not know it; the -wal then is not ours to remove. */
	if (rc != SQLITE_OK && rc != SQLITE_NOTFOUND)
		return cairn_sql_failed(sql, rc, "PERSIST_WAL");
	return 0;
}

static void while_busy(void *arg)
{
	struct sqlite_store *store = arg;

	if (store->base.on_busy)
		store->base.on_busy(store->base.on_busy_arg);
}

static int open_writer(struct sqlite_store *store, const char *path, struct cairn_error *err)
{
	enum cairn_foreign nothing;
	int r;

	r = cairn_place_set_wal_mode(&store->sql, path, err);
	if (r < 0)
		return r;
	r = configure_writer(&store->sql);
	if (r < 0)
		return r;
	store->sql.on_busy = while_busy;
	store->sql.on_busy_arg = store;
	r = cairn_schema_upgrade(&store->sql, path, &store->schema, err);
	if (r < 0)
		return r;
	r = cairn_sqlite_write_prepare(store, path, err);
	if (r < 0)
		return r;
	r = cairn_sqlite_guard_open(store);
	if (r < 0)
		return r;
	r = cairn_sqlite_branch_write(store);
	if (r < 0)
		return r;

	/* From here on, what others commit is noticed. What a crash left behind is in the WAL. */
	r = cairn_sqlite_foreign(&store->base, &nothing);
	cairn_sqlite_foreign_resume(store);
	store->wal_size = cairn_sqlite_wal_bytes(store, store->foreign.frames);
	return r;
}

static int check_file(struct sqlite_store *store, const char *path, struct cairn_error *err)
{
	bool read_only = store->target.read_only, auto_vacuum = false;
	int64_t page_size = 0;
	int r;

	r = cairn_probe_header(&store->sql, path, &auto_vacuum, err);
	if (r < 0)
		return r;
	if (auto_vacuum)
		cairn_warn(store->log,
			   "'%s' has auto_vacuum on, and AgentFS corrupts such a file when it "
			   "writes; turn it off with PRAGMA auto_vacuum = NONE and VACUUM",
			   path);
	r = cairn_sql_configure(&store->sql,
				read_only ? CAIRN_READER_CACHE_KIB : CAIRN_WRITER_CACHE_KIB,
				read_only);
	if (r < 0)
		return r;
	r = cairn_schema_check(&store->sql, path, &store->schema, err);
	if (r < 0)
		return r;
	r = cairn_sql_get_int(&store->sql, "PRAGMA page_size", &page_size);
	if (r < 0)
		return r;
	store->page_size = (uint64_t)page_size;
	store->base.chunk_size = store->schema.chunk_size;
	store->base.read_only = read_only;
	store->base.frozen = store->target.immutable;
	return 0;
}

/* Without a writable directory SQLite cannot make the -wal and -shm it needs even to read; where
 * no other process has them either, nobody is writing, and the file can be read without. */
static bool is_immutable(const struct cairn_probe *probe, bool read_only)
{
	return read_only && !probe->dir_writable &&
	       (!probe->has_wal || (probe->wal_size == 0 && !probe->has_shm));
}

int cairn_sqlite_find(struct sqlite_store *store, const char *path, bool read_only,
		      unsigned int busy_timeout_ms, struct cairn_error *err)
{
	int r;

	r = cairn_probe_path(path, !read_only, &store->probe, err);
	if (r < 0)
		return r;
	return cairn_sql_target_set(&store->target, store->probe.real_path, read_only,
				    is_immutable(&store->probe, read_only), busy_timeout_ms);
}

static int look_for_xattrs(struct sqlite_store *store)
{
	int64_t found = 0;
	int r;

	if (!store->schema.has_xattr)
		return 0;
	r = cairn_sql_get_int(&store->sql, "SELECT EXISTS (SELECT 1 FROM cairn_xattr)", &found);
	store->base.has_xattrs = found;
	return r;
}

static int open_file(struct sqlite_store *store, const char *path,
		     const struct cairn_store_options *options, struct cairn_error *err)
{
	bool read_only = options->read_only;
	int r;

	r = cairn_sqlite_find(store, path, read_only, options->busy_timeout_ms, err);
	if (r < 0)
		return r;
	store->target.stats = &store->stats;
	store->target.gather = !store->target.read_only;
	store->target.shared = options->one != NULL;
	store->one = options->one;
	store->one_moment = options->one_moment;
	store->base.stats = &store->stats;
	r = cairn_sqlite_connect(&store->sql, &store->target, store);
	if (r < 0)
		return r;
	set_checkpoint_on_close(store, store->probe.wal_size == 0);
	r = check_file(store, path, err);
	if (r < 0)
		return r;
	if (!read_only) {
		r = open_writer(store, path, err);
		if (r < 0)
			return r;
	}
	set_checkpoint_on_close(store, true);
	r = cairn_sqlite_undo_share(store);
	if (r < 0)
		return r;
	store->base.branch = store->schema.has_base ? &cairn_sqlite_branch : NULL;
	return look_for_xattrs(store);
}

int cairn_sqlite_say_locked(const char *path, struct cairn_error *err)
{
	pid_t pid = cairn_probe_lock_holder(path);

	if (pid > 0)
		return cairn_error_set(err, -EBUSY,
				       "'%s' is locked by another process (pid %d; an AgentFS "
				       "process has the file open?); end it and try again",
				       path, pid);
	return cairn_error_set(err, -EBUSY,
			       "'%s' is locked by another process (an AgentFS process has the file "
			       "open?); end it and try again",
			       path);
}

static int say_unreadable(sqlite3 *db, const char *path, struct cairn_error *err)
{
	int code = sqlite3_extended_errcode(db);
	const char *why;

	if (cairn_place_failed(db, &why))
		return cairn_error_set(
			err, -EIO,
			"'%s' cannot be opened where it lies: a write-ahead log "
			"needs files beside it that processes can lock and map "
			"together, and that failed: %s (SQLite error %d); move it to "
			"a local disk",
			path, why, code);
	return cairn_error_set(err, -EIO,
			       "'%s' cannot be read: %s (SQLite error %d); it may be damaged, see "
			       "'cairnfs check'",
			       path, sqlite3_errmsg(db), code);
}

/* Words for a failure that has none yet, from the connection that met it. */
static int say_failure(struct sqlite_store *store, const char *path, int r, struct cairn_error *err)
{
	sqlite3 *db = store->sql.db;

	if (r == -EROFS)
		return cairn_error_set(err, r, "'%s' cannot be opened %s: %s; try it %s", path,
				       store->target.read_only ? "without writing" : "for writing",
				       db ? sqlite3_errmsg(db) : strerror(-r),
				       store->target.read_only ? "once without -o ro"
							       : "with -o ro");
	if (r == -EIO && db && sqlite3_errcode(db) != SQLITE_OK)
		return say_unreadable(db, path, err);
	return cairn_error_set(err, r, "cannot open '%s': %s; check the path and the log", path,
			       strerror(-r));
}

int cairn_sqlite_open(const char *path, const struct cairn_store_options *options,
		      struct sqlite_store **ret, struct cairn_error *err)
{
	_cleanup_(cairn_sqlite_freep) struct sqlite_store *store = calloc(1, sizeof(*store));
	int r;

	if (!store)
		return cairn_error_set(err, -ENOMEM, "cannot open '%s': out of memory", path);
	store->base.ops = &sqlite_ops;
	store->base.undo = &cairn_sqlite_undo;
	store->log = options->log;
	store->yield_checkpoints = options->yield_checkpoints;
	store->wal_limit = options->wal_limit;
	r = cairn_stats_init(&store->stats, &cairn_sql_stats_names);
	if (r == 0)
		r = open_file(store, path, options, err);
	if (r == -EAGAIN) {
		cairn_sqlite_freep(&store);
		return cairn_sqlite_say_locked(path, err);
	}
	if (r < 0)
		return say_failure(store, path, r, err);
	*ret = TAKE_PTR(store);
	return 0;
}

int cairn_sqlite_store_open(const char *path, const struct cairn_store_options *options,
			    struct cairn_store **ret, struct cairn_error *err)
{
	struct sqlite_store *store = NULL;
	int r;

	r = cairn_sqlite_open(path, options, &store, err);
	if (r < 0)
		return r;
	*ret = &store->base;
	return 0;
}
