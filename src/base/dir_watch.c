/* What others change in a host directory, as far as inotify(7) can tell: what is done in a watched
 * directory by this machine's system calls. It does not see what another machine does to a network
 * file system, a write through a shared mapping, or one by another name of the same file in a
 * directory that nobody has looked into.
 *
 * A directory is watched from the first time that something is looked up or listed in it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/dir.h"
#include "util/clock.h"
#include "util/hash.h"

#define EVENTS                                                                                     \
	(IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |             \
	 IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

/* How often what cannot be watched counts as changed. */
#define UNWATCHED_NS 1000000000U

/* A directory that is watched. Two numbers may share a descriptor: one directory that is mounted at
 * two places. The descriptor of one that was deleted is gone, and the kernel uses none twice. */
struct cairn_dir_watch_node {
	UT_hash_handle hh;
	uint64_t ino;
	int wd;
};
struct cairn_dir_watch_wd {
	UT_hash_handle hh;
	uint64_t ino; /* one of them, for its path */
	int wd;
	unsigned int nodes;
};

static struct cairn_dir_watch_wd *find_wd(struct cairn_dir_watch *watch, int wd)
{
	struct cairn_dir_watch_wd *found;

	HASH_FIND(hh, watch->by_wd, &wd, sizeof(wd), found);
	return found;
}

static struct cairn_dir_watch_node *find_node(struct cairn_dir_watch *watch, uint64_t ino)
{
	struct cairn_dir_watch_node *found;

	HASH_FIND(hh, watch->by_ino, &ino, sizeof(ino), found);
	return found;
}

static void drop_wd(struct cairn_dir_watch *watch, struct cairn_dir_watch_wd *wd)
{
	HASH_DEL(watch->by_wd, wd);
	free(wd);
}

static void drop_node(struct cairn_dir_watch *watch, struct cairn_dir_watch_node *node)
{
	struct cairn_dir_watch_wd *wd = find_wd(watch, node->wd);

	if (wd && --wd->nodes == 0) {
		inotify_rm_watch(watch->fd, wd->wd);
		drop_wd(watch, wd);
	}
	HASH_DEL(watch->by_ino, node);
	free(node);
}

void cairn_dir_watch_init(struct cairn_dir_watch *watch)
{
	*watch = (struct cairn_dir_watch){ 0 };
	pthread_mutex_init(&watch->lock, NULL);
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	watch->exhausted = watch->fd < 0;
}

void cairn_dir_watch_destroy(struct cairn_dir_watch *watch)
{
	struct cairn_dir_watch_node *node, *next_node;
	struct cairn_dir_watch_wd *wd, *next_wd;

	/* All watches at once, before what describes them. */
	if (watch->fd >= 0)
		close(watch->fd);
	HASH_ITER (hh, watch->by_ino, node, next_node) {
		HASH_DEL(watch->by_ino, node);
		free(node);
	}
	HASH_ITER (hh, watch->by_wd, wd, next_wd)
		drop_wd(watch, wd);
	pthread_mutex_destroy(&watch->lock);
}

static struct cairn_dir_watch_wd *add_wd(struct cairn_dir_watch *watch, int wd, uint64_t ino)
{
	struct cairn_dir_watch_wd *added = find_wd(watch, wd);

	if (added)
		return added;
	added = calloc(1, sizeof(*added));
	if (!added)
		return NULL;
	added->wd = wd;
	added->ino = ino;
	HASH_ADD(hh, watch->by_wd, wd, sizeof(added->wd), added);
	if (!added->hh.tbl) {
		free(added);
		return NULL;
	}
	return added;
}

static int add_node(struct cairn_dir_watch *watch, uint64_t ino, int wd)
{
	struct cairn_dir_watch_node *node = calloc(1, sizeof(*node));
	struct cairn_dir_watch_wd *shared;

	if (!node)
		return -ENOMEM;
	node->ino = ino;
	node->wd = wd;
	HASH_ADD(hh, watch->by_ino, ino, sizeof(node->ino), node);
	if (!node->hh.tbl) {
		free(node);
		return -ENOMEM;
	}
	shared = add_wd(watch, wd, ino);
	if (!shared) {
		drop_node(watch, node);
		return -ENOMEM;
	}
	shared->nodes++;
	return 0;
}

static void note_own(struct dir_base *b, const struct dir_node *dir, int wd)
{
	struct cairn_dir_id id = cairn_dir_id(&dir->stx);

	for (size_t i = 0; i < b->own_count; i++)
		if (id.dev == b->own[i].dir.dev && id.ino == b->own[i].dir.ino)
			b->own[i].wd = wd;
}

static int add_locked(struct dir_base *b, const struct dir_node *dir)
{
	struct cairn_dir_watch *watch = &b->watch;
	struct cairn_dir_watch_node *node = find_node(watch, dir->ino);
	struct cairn_dir_proc_path path;
	int wd;

	if (node && find_wd(watch, node->wd))
		return 0;
	if (node)
		drop_node(watch, node);
	path = cairn_dir_proc_path(dir->fd);
	wd = inotify_add_watch(watch->fd, path.text, EVENTS);
	if (wd < 0)
		return -errno;
	note_own(b, dir, wd);
	return add_node(watch, dir->ino, wd);
}

/* A directory that we may not read is not watched either, and nothing in it can be seen. */
void cairn_dir_watch_add(struct dir_base *b, const struct dir_node *dir)
{
	struct cairn_dir_watch *watch = &b->watch;
	int r;

	if (watch->fd < 0 || dir->fd < 0)
		return;
	pthread_mutex_lock(&watch->lock);
	r = add_locked(b, dir);
	if (r < 0 && r != -EACCES && !watch->exhausted) {
		watch->exhausted = true;
		cairn_warn(b->log,
			   "not all of '%s' can be watched for changes (%s), so it is taken as "
			   "changed once a second; raise fs.inotify.max_user_watches",
			   b->path, strerror(-r));
	}
	pthread_mutex_unlock(&watch->lock);
}

void cairn_dir_watch_remove(struct cairn_dir_watch *watch, uint64_t ino)
{
	struct cairn_dir_watch_node *node;

	pthread_mutex_lock(&watch->lock);
	node = find_node(watch, ino);
	if (node)
		drop_node(watch, node);
	pthread_mutex_unlock(&watch->lock);
}

/* What SQLite and a mount keep beside a workspace. */
static bool is_beside(const char *name, const struct cairn_dir_own *own)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", "-journal", "-mount", "-api" };
	size_t len = strlen(own->name);

	if (strncmp(name, own->name, len) != 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (strcmp(name + len, suffixes[i]) == 0)
			return true;
	return false;
}

static bool is_own(const struct dir_base *b, const struct inotify_event *event)
{
	for (size_t i = 0; i < b->own_count; i++)
		if (b->own[i].wd == event->wd && is_beside(event->name, &b->own[i]))
			return true;
	return false;
}

static bool counts_locked(struct dir_base *b, const struct inotify_event *event)
{
	struct cairn_dir_watch_wd *wd;

	if (event->mask & IN_Q_OVERFLOW)
		return true;
	wd = find_wd(&b->watch, event->wd);
	if (!wd)
		return false;
	if (event->mask & IN_IGNORED) {
		drop_wd(&b->watch, wd);
		return true;
	}
	if (event->len == 0)
		return true;
	return !is_own(b, event) && !cairn_dir_ignored(b, wd->ino, event->name);
}

/* Reads all that has come. */
static bool read_events(struct dir_base *b)
{
	char buf[16384] __attribute__((aligned(_Alignof(struct inotify_event))));
	bool changed = false;
	ssize_t n;

	while ((n = read(b->watch.fd, buf, sizeof(buf))) > 0) {
		const struct inotify_event *event;

		pthread_mutex_lock(&b->watch.lock);
		for (const char *at = buf; at < buf + n; at += sizeof(*event) + event->len) {
			event = (const struct inotify_event *)(const void *)at;
			changed |= counts_locked(b, event);
		}
		pthread_mutex_unlock(&b->watch.lock);
	}
	return changed;
}

static bool is_due(struct cairn_dir_watch *watch)
{
	uint64_t now = cairn_mono_ns();
	bool exhausted;

	pthread_mutex_lock(&watch->lock);
	exhausted = watch->exhausted;
	pthread_mutex_unlock(&watch->lock);
	if (!exhausted || now - watch->told_ns < UNWATCHED_NS)
		return false;
	watch->told_ns = now;
	return true;
}

bool cairn_dir_watch_changed(struct dir_base *b)
{
	bool changed = b->watch.fd >= 0 && read_events(b);

	return is_due(&b->watch) || changed;
}
