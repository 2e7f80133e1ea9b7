/* The files of a host directory that are being read: each is opened once for a whole series of
 * requests, and closed when it has not been asked for some time. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <utlist.h>

#include "base/dir.h"
#include "util/hash.h"

/* Files that stay open without a user. */
#define IDLE_MAX 64U

struct cairn_dir_file {
	UT_hash_handle hh;
	struct cairn_dir_file *prev, *next; /* in `idle` or `kept` */
	uint64_t ino;
	int fd;
	unsigned int users;
	bool hashed; /* in the table, for the next one who asks */
	bool keep;   /* until the base is closed */
	bool aging;  /* not used since the last trim */
};

int cairn_dir_file_fd(const struct cairn_dir_file *file)
{
	return file->fd;
}

void cairn_dir_files_init(struct cairn_dir_files *files)
{
	*files = (struct cairn_dir_files){ 0 };
	pthread_mutex_init(&files->lock, NULL);
}

static void free_file(struct cairn_dir_file *file)
{
	close(file->fd);
	free(file);
}

static void unhash_locked(struct cairn_dir_files *files, struct cairn_dir_file *file)
{
	if (file->hashed)
		HASH_DEL(files->table, file);
	file->hashed = false;
}

/* The end of a file that is neither in the table nor in use. */
static void retire_locked(struct cairn_dir_files *files, struct cairn_dir_file *file)
{
	if (file->keep)
		DL_APPEND(files->kept, file);
	else
		free_file(file);
}

static void drop_idle_locked(struct cairn_dir_files *files, struct cairn_dir_file *file)
{
	DL_DELETE(files->idle, file);
	files->idle_count--;
	unhash_locked(files, file);
	retire_locked(files, file);
}

void cairn_dir_files_destroy(struct cairn_dir_files *files)
{
	struct cairn_dir_file *file, *next;

	HASH_ITER (hh, files->table, file, next) {
		HASH_DEL(files->table, file);
		free_file(file);
	}
	DL_FOREACH_SAFE (files->kept, file, next) {
		DL_DELETE(files->kept, file);
		free_file(file);
	}
	pthread_mutex_destroy(&files->lock);
}

static bool same_file(const struct stat *st, const struct statx *stx)
{
	struct cairn_dir_id id = cairn_dir_id(stx);

	return st->st_ino == id.ino && major(st->st_dev) == id.dev >> 32 &&
	       minor(st->st_dev) == (id.dev & UINT32_MAX);
}

/* Whether SQLite, in this process, may have locks on the file: it is the workspace of an overlay
 * above, or the index of its WAL, which lies beside it. */
static bool is_locked_by_us(const struct dir_base *b, const struct statx *stx)
{
	struct cairn_dir_id id = cairn_dir_id(stx);

	for (size_t i = 0; i < b->own_count; i++) {
		const struct cairn_dir_own *own = &b->own[i];
		char shm[PATH_MAX];
		struct stat st;

		if (own->file.dev == id.dev && own->file.ino == id.ino)
			return true;
		if (snprintf(shm, sizeof(shm), "%s-shm", own->path) < (int)sizeof(shm) &&
		    stat(shm, &st) == 0 && same_file(&st, stx))
			return true;
	}
	return false;
}

static int open_file(struct dir_base *b, uint64_t ino, struct cairn_dir_file **ret)
{
	_cleanup_(dir_nodep) struct dir_node node = { .fd = -1 };
	struct cairn_dir_file *file;
	int r;

	r = cairn_dir_open_node(b, ino, &node);
	if (r < 0)
		return r;
	if (!S_ISREG(node.stx.stx_mode))
		return -EINVAL;
	file = calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;
	*file = (struct cairn_dir_file){ .ino = ino, .users = 1 };
	file->keep = is_locked_by_us(b, &node.stx);
	file->fd = cairn_dir_reopen(node.fd, O_RDONLY);
	if (file->fd < 0) {
		r = file->fd;
		free(file);
		return r;
	}
	*ret = file;
	return 0;
}

static struct cairn_dir_file *take_locked(struct cairn_dir_files *files, uint64_t ino)
{
	struct cairn_dir_file *file;

	HASH_FIND(hh, files->table, &ino, sizeof(ino), file);
	if (!file)
		return NULL;
	if (file->users++ == 0 && !file->keep) {
		DL_DELETE(files->idle, file);
		files->idle_count--;
	}
	file->aging = false;
	return file;
}

int cairn_dir_file_get(struct dir_base *b, uint64_t ino, struct cairn_dir_file **ret)
{
	struct cairn_dir_files *files = &b->files;
	struct cairn_dir_file *file, *other;
	int r;

	pthread_mutex_lock(&files->lock);
	file = take_locked(files, ino);
	pthread_mutex_unlock(&files->lock);
	if (file) {
		*ret = file;
		return 0;
	}

	r = open_file(b, ino, &file);
	if (r < 0)
		return r;
	/* Who comes second uses his own, and closes it after. */
	pthread_mutex_lock(&files->lock);
	HASH_FIND(hh, files->table, &ino, sizeof(ino), other);
	if (!other) {
		HASH_ADD(hh, files->table, ino, sizeof(file->ino), file);
		file->hashed = file->hh.tbl;
	}
	pthread_mutex_unlock(&files->lock);
	*ret = file;
	return 0;
}

static void rest_locked(struct cairn_dir_files *files, struct cairn_dir_file *file)
{
	if (!file->hashed) {
		retire_locked(files, file);
		return;
	}
	if (file->keep)
		return;
	DL_PREPEND(files->idle, file);
	if (++files->idle_count > IDLE_MAX)
		drop_idle_locked(files, files->idle->prev); /* the tail, as utlist keeps it */
}

void cairn_dir_file_put(struct dir_base *b, struct cairn_dir_file *file)
{
	struct cairn_dir_files *files = &b->files;

	pthread_mutex_lock(&files->lock);
	if (--file->users == 0)
		rest_locked(files, file);
	pthread_mutex_unlock(&files->lock);
}

static bool is_deleted(const struct cairn_dir_file *file)
{
	struct stat st;

	return fstat(file->fd, &st) == 0 && st.st_nlink == 0;
}

/* What is in use answers the requests that it was opened for, and no later ones. */
static void renew_locked(struct cairn_dir_files *files)
{
	struct cairn_dir_file *file, *next;

	HASH_ITER (hh, files->table, file, next) {
		if (file->keep && !is_deleted(file))
			continue;
		unhash_locked(files, file);
		if (file->users == 0)
			retire_locked(files, file);
	}
}

void cairn_dir_files_trim(struct dir_base *b, bool all)
{
	struct cairn_dir_files *files = &b->files;
	struct cairn_dir_file *file, *next;

	pthread_mutex_lock(&files->lock);
	DL_FOREACH_SAFE (files->idle, file, next) {
		if (all || file->aging)
			drop_idle_locked(files, file);
		else
			file->aging = true;
	}
	if (all)
		renew_locked(files);
	pthread_mutex_unlock(&files->lock);
}
