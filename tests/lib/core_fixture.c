#include "core_fixture.h"

#include "base/overlay.h"
#include "fault_base.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct core_fixture cf;
const struct cairn_caller cf_caller = { .uid = 1000, .gid = 1001, .pid = 1 };

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void cf_remove_dir(void)
{
	nftw(cf.dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void cf_die(const char *file, int line, const char *condition, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%s:%d: %s: ", file, line, condition);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	cf_remove_dir();
	abort();
}

void cf_setup(void)
{
	const char *tmp = getenv("TMPDIR");

	cf = (struct core_fixture){
		.options = CAIRN_CORE_OPTIONS_DEFAULT,
		.log_to = CAIRN_LOG_INIT,
		.busy_timeout_ms = 100,
	};
	snprintf(cf.dir, sizeof(cf.dir), "%s/cairnfs-core-XXXXXX", tmp ? tmp : "/tmp");
	CF_CHECK(mkdtemp(cf.dir), "%s", cf.dir);
	snprintf(cf.db, sizeof(cf.db), "%s/work.db", cf.dir);
	snprintf(cf.log, sizeof(cf.log), "%s/log", cf.dir);
	CF_OK(cairn_log_to_file(&cf.log_to, cf.log));
}

void cf_setup_made(void)
{
	cf_setup();
	cf_make();
}

void cf_setup_open(void)
{
	cf_setup_made();
	cf_open();
}

void cf_teardown(void)
{
	if (cf.core)
		cf_close();
	cairn_log_close(&cf.log_to);
	cf_remove_dir();
}

void cf_make(void)
{
	struct cairn_init_options options = {
		.chunk_size = cf.chunk_size,
		.force = true,
		.base = cf.base[0] ? cf.base : NULL,
	};
	struct cairn_error err = { 0 };

	CF_CHECK(cairn_sqlite_store_init(cf.db, &options, &err) == 0, "%s", err.text);
}

/* The store of cf.db; with its base, if it has one, and faults in both where they are asked for. */
static int open_store(const struct cairn_store_options *options, struct cairn_store **ret)
{
	const struct cairn_base_options base_options = {
		.busy_timeout_ms = options->busy_timeout_ms,
		.log = options->log,
	};
	struct cairn_error err = { 0 };
	struct cairn_base *base;
	int r;

	r = cf.faulty ? cairn_sqlite_store_open(cf.db, options, ret, &err)
		      : cairn_store_open(cf.db, options, ret, &err);
	if (r < 0)
		CF_CHECK(err.text[0], "no words for %d", r);
	if (r < 0 || !cf.faulty)
		return r;
	cf.fault = fault_store_new(*ret);
	*ret = fault_store_base(cf.fault);
	if (!cf.base[0])
		return 0;
	CF_CHECK(cairn_base_open(cf.base, &base_options, &base, &err) == 0, "%s", err.text);
	return cairn_overlay_new(*ret, fault_base_new(base, cf.fault), options, ret);
}

int cf_try_open(void)
{
	struct cairn_store_options options = {
		.read_only = cf.options.read_only,
		.busy_timeout_ms = cf.busy_timeout_ms,
		.log = &cf.log_to,
		.copy_whole = cf.copy_whole,
	};
	struct cairn_store *store;
	int r;

	r = open_store(&options, &store);
	if (r < 0)
		return r;
	if (cf.before_core)
		cf.before_core();
	r = cairn_core_open(store, &cf.options, &cf.log_to, &cf.core);
	if (r < 0)
		cf.fault = NULL;
	return r;
}

void cf_open(void)
{
	CF_OK(cf_try_open());
}

int cf_close(void)
{
	int r;

	/* A test that failed may have left the writer held. */
	if (cf.fault)
		fault_store_resume(cf.fault);
	r = cairn_core_close(cf.core);
	cf.core = NULL;
	cf.fault = NULL;
	return r;
}

void cf_reopen(void)
{
	CF_OK(cf_close());
	cf_expect_sound(cf.db);
	cf_open();
}

static void copy_file(const char *from, const char *to)
{
	static char buf[1 << 16];
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	ssize_t n;

	unlink(to);
	if (in < 0)
		return;
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	CF_CHECK(out >= 0, "%s: %s", to, strerror(errno));
	while ((n = read(in, buf, sizeof(buf))) > 0)
		CF_CHECK(write(out, buf, (size_t)n) == n, "%s", to);
	close(in);
	close(out);
}

const char *cf_crash_db(void)
{
	static char path[600];

	snprintf(path, sizeof(path), "%s/crash.db", cf.dir);
	return path;
}

static void copy_workspace(const char *from_db, const char *to_db)
{
	static const char *const parts[] = { "", "-wal" };
	char from[700], to[700];

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		snprintf(from, sizeof(from), "%s%s", from_db, parts[i]);
		snprintf(to, sizeof(to), "%s%s", to_db, parts[i]);
		copy_file(from, to);
	}
	snprintf(to, sizeof(to), "%s-shm", to_db);
	unlink(to);
}

void cf_crash_copy(void)
{
	copy_workspace(cf.db, cf_crash_db());
}

void cf_restore_crash(void)
{
	copy_workspace(cf_crash_db(), cf.db);
}

void cf_switch_to_crash(void)
{
	snprintf(cf.db, sizeof(cf.db), "%s/crash.db", cf.dir);
}

static uint64_t running(void)
{
	uint64_t seq;

	cairn_rwlock_rdlock(&cf.core->gate);
	seq = cf.core->seq;
	cairn_rwlock_unlock(&cf.core->gate);
	return seq;
}

void cf_commit(void)
{
	CF_OK(cairn_writer_wait(cf.core, running(), false));
}

void cf_settle(void)
{
	cf_commit();
	/* The copies in core go right after the commit. */
	while (cairn_core_dirty(cf.core) > 0)
		usleep(100);
}

void cf_hold_commit(void)
{
	struct cairn_attr attr = cf_attr(CF_ROOT);
	uint64_t seq;

	/* An empty batch would not be written at all. */
	CF_OK(cairn_core_setattr(cf.core, &cf_caller, CF_ROOT, CAIRN_SET_MODE, &attr, &attr));
	seq = running();
	fault_store_pause(cf.fault, FAULT_BEGIN);
	cairn_mutex_lock(&cf.core->writer.lock);
	cf.core->writer.want_commit = seq;
	pthread_cond_signal(&cf.core->writer.work);
	cairn_mutex_unlock(&cf.core->writer.lock);
	fault_store_wait_paused(cf.fault);
}

void cf_let_go(void)
{
	fault_store_resume(cf.fault);
}

uint64_t cf_file(uint64_t parent, const char *name)
{
	struct cairn_attr attr;

	CF_OK(cairn_core_mknod(cf.core, &cf_caller, parent, name, S_IFREG | 0644, 0, &attr));
	return attr.ino;
}

uint64_t cf_mkdir(uint64_t parent, const char *name)
{
	struct cairn_attr attr;

	CF_OK(cairn_core_mkdir(cf.core, &cf_caller, parent, name, 0755, &attr));
	return attr.ino;
}

int cf_lookup(uint64_t parent, const char *name, struct cairn_attr *ret)
{
	struct cairn_attr attr;
	int r;

	r = cairn_core_lookup(cf.core, parent, name, &attr);
	if (r < 0)
		return r;
	cairn_core_forget(cf.core, attr.ino, 1);
	if (ret)
		*ret = attr;
	return 0;
}

uint64_t cf_ino(uint64_t parent, const char *name)
{
	struct cairn_attr attr;

	CF_OK(cf_lookup(parent, name, &attr));
	return attr.ino;
}

struct cairn_attr cf_attr(uint64_t ino)
{
	struct cairn_attr attr;

	CF_OK(cairn_core_getattr(cf.core, ino, &attr));
	return attr;
}

int cf_write(uint64_t ino, const void *buf, size_t size, off_t offset)
{
	return cairn_core_write(cf.core, &cf_caller, ino, buf, size, offset, false, false);
}

int cf_write_text(uint64_t ino, const char *text)
{
	return cf_write(ino, text, strlen(text), 0);
}

int cf_truncate(uint64_t ino, int64_t size)
{
	struct cairn_attr to = { .size = size }, attr;

	return cairn_core_setattr(cf.core, &cf_caller, ino, CAIRN_SET_SIZE, &to, &attr);
}

bool cf_holds(uint64_t ino, const void *bytes, size_t size)
{
	_cleanup_(cairn_freep) char *buf = malloc(size + 1);
	ssize_t n = cairn_core_read(cf.core, ino, buf, size + 1, 0);

	return n == (ssize_t)size && memcmp(buf, bytes, size) == 0;
}

struct list {
	char text[1 << 16];
	size_t len;
	unsigned int count;
};

static bool add_name(void *arg, const struct cairn_dirent *entry)
{
	struct list *list = arg;

	if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
		return false;
	list->count++;
	if (list->len + strlen(entry->name) + 2 < sizeof(list->text))
		list->len += (size_t)snprintf(list->text + list->len,
					      sizeof(list->text) - list->len, "%s/", entry->name);
	return false;
}

static const struct list *list_of(uint64_t ino)
{
	static struct list list;

	list.len = 0;
	list.text[0] = 0;
	list.count = 0;
	CF_OK(cairn_core_readdir(cf.core, ino, 0, false, add_name, &list));
	return &list;
}

const char *cf_list(uint64_t ino)
{
	return list_of(ino)->text;
}

unsigned int cf_count(uint64_t ino)
{
	return list_of(ino)->count;
}

bool cf_log_has(const char *text)
{
	static char log[1 << 18];
	int fd = open(cf.log, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, log, sizeof(log) - 1);

	close(fd);
	log[n < 0 ? 0 : n] = 0;
	return strstr(log, text) != NULL;
}
