#include "base/dirs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/hash.h"

/* What a directory shows of the base. */
struct shows {
	uint64_t node;       /* 0: nothing */
	uint64_t generation; /* of the base; 0: not known */
};

struct cairn_dir {
	UT_hash_handle hh;
	uint64_t ino;
	uint64_t parent;
	struct shows shows;
	char name[];
};

struct cairn_dir_move {
	UT_hash_handle hh;
	uint64_t ino;
	uint64_t parent;
	struct shows shows;
	bool is_dir;
	char name[];
};

int cairn_dirs_init(struct cairn_dirs *dirs)
{
	*dirs = (struct cairn_dirs){ 0 };
	return -pthread_mutex_init(&dirs->lock, NULL);
}

static struct cairn_dir *find_locked(struct cairn_dirs *dirs, uint64_t ino)
{
	struct cairn_dir *dir;

	HASH_FIND(hh, dirs->table, &ino, sizeof(ino), dir);
	return dir;
}

static void drop_locked(struct cairn_dirs *dirs, struct cairn_dir *dir)
{
	HASH_DEL(dirs->table, dir);
	free(dir);
}

void cairn_dirs_clear(struct cairn_dirs *dirs)
{
	struct cairn_dir *dir, *next;

	pthread_mutex_lock(&dirs->lock);
	HASH_ITER (hh, dirs->table, dir, next)
		drop_locked(dirs, dir);
	pthread_mutex_unlock(&dirs->lock);
}

void cairn_dirs_destroy(struct cairn_dirs *dirs)
{
	cairn_dirs_rolled_back(dirs);
	cairn_dirs_clear(dirs);
	pthread_mutex_destroy(&dirs->lock);
}

void cairn_dirs_forget(struct cairn_dirs *dirs, uint64_t ino)
{
	struct cairn_dir *dir;

	pthread_mutex_lock(&dirs->lock);
	dir = find_locked(dirs, ino);
	if (dir)
		drop_locked(dirs, dir);
	pthread_mutex_unlock(&dirs->lock);
}

static bool lies_there(const struct cairn_dir *dir, uint64_t parent, const char *name, size_t len)
{
	return dir->parent == parent && strncmp(dir->name, name, len) == 0 && !dir->name[len];
}

void cairn_dirs_found(struct cairn_dirs *dirs, uint64_t ino, uint64_t parent, const char *name,
		      size_t len)
{
	struct cairn_dir *dir, *old;

	pthread_mutex_lock(&dirs->lock);
	old = find_locked(dirs, ino);
	if (old && lies_there(old, parent, name, len)) {
		pthread_mutex_unlock(&dirs->lock);
		return;
	}
	dir = calloc(1, sizeof(*dir) + len + 1);
	if (dir) {
		dir->ino = ino;
		dir->parent = parent;
		memcpy(dir->name, name, len);
	}
	/* What a directory shows of the base moves along with it. */
	if (dir && old)
		dir->shows = old->shows;
	if (old)
		drop_locked(dirs, old);
	if (dir)
		HASH_ADD(hh, dirs->table, ino, sizeof(dir->ino), dir);
	if (dir && !dir->hh.tbl)
		free(dir);
	pthread_mutex_unlock(&dirs->lock);
}

int cairn_dirs_place(struct cairn_dirs *dirs, uint64_t ino, uint64_t *ret_parent,
		     char ret_name[CAIRN_NAME_MAX + 1])
{
	struct cairn_dir *dir;

	pthread_mutex_lock(&dirs->lock);
	dir = find_locked(dirs, ino);
	if (dir) {
		*ret_parent = dir->parent;
		strcpy(ret_name, dir->name);
	}
	pthread_mutex_unlock(&dirs->lock);
	return dir ? 0 : -ENOENT;
}

static struct cairn_dir_move *find_move(struct cairn_dirs *dirs, uint64_t ino)
{
	struct cairn_dir_move *move;

	HASH_FIND(hh, dirs->moves, &ino, sizeof(ino), move);
	return move;
}

/* The writer's own record, or NULL; then the table counts. */
static struct shows *find_writers(struct cairn_dirs *dirs, bool writer, uint64_t ino)
{
	struct cairn_dir_move *move = writer ? find_move(dirs, ino) : NULL;

	return move ? &move->shows : NULL;
}

bool cairn_dirs_known(struct cairn_dirs *dirs, bool writer, uint64_t ino, uint64_t generation,
		      uint64_t *ret_node)
{
	const struct shows *own = find_writers(dirs, writer, ino);
	struct shows shows = { 0 };
	struct cairn_dir *dir;

	if (own) {
		shows = *own;
	} else {
		pthread_mutex_lock(&dirs->lock);
		dir = find_locked(dirs, ino);
		if (dir)
			shows = dir->shows;
		pthread_mutex_unlock(&dirs->lock);
	}
	if (shows.generation != generation)
		return false;
	*ret_node = shows.node;
	return true;
}

void cairn_dirs_learn(struct cairn_dirs *dirs, bool writer, uint64_t ino, uint64_t generation,
		      uint64_t node)
{
	struct shows shows = { .node = node, .generation = generation };
	struct shows *own = find_writers(dirs, writer, ino);
	struct cairn_dir *dir;

	if (own) {
		*own = shows;
		return;
	}
	pthread_mutex_lock(&dirs->lock);
	dir = find_locked(dirs, ino);
	if (dir)
		dir->shows = shows;
	pthread_mutex_unlock(&dirs->lock);
}

static void drop_move(struct cairn_dirs *dirs, struct cairn_dir_move *move)
{
	HASH_DEL(dirs->moves, move);
	free(move);
}

int cairn_dirs_move(struct cairn_dirs *dirs, uint64_t ino, uint64_t parent, const char *name,
		    size_t len)
{
	struct cairn_dir_move *move = find_move(dirs, ino);

	if (move)
		drop_move(dirs, move);
	move = calloc(1, sizeof(*move) + len + 1);
	if (!move)
		return -ENOMEM;
	move->ino = ino;
	move->parent = parent;
	memcpy(move->name, name, len);
	HASH_ADD(hh, dirs->moves, ino, sizeof(move->ino), move);
	if (!move->hh.tbl) {
		free(move);
		return -ENOMEM;
	}
	return 0;
}

void cairn_dirs_is_dir(struct cairn_dirs *dirs, uint64_t ino)
{
	struct cairn_dir_move *move = find_move(dirs, ino);

	if (move)
		move->is_dir = true;
}

int cairn_dirs_moved(struct cairn_dirs *dirs, uint64_t ino, uint64_t *ret_parent,
		     char ret_name[CAIRN_NAME_MAX + 1])
{
	const struct cairn_dir_move *move = find_move(dirs, ino);

	if (!move)
		return -ENOENT;
	*ret_parent = move->parent;
	strcpy(ret_name, move->name);
	return 0;
}

void cairn_dirs_committed(struct cairn_dirs *dirs)
{
	struct cairn_dir_move *move, *next;

	HASH_ITER (hh, dirs->moves, move, next) {
		struct shows shows = move->shows;
		uint64_t ino = move->ino;
		bool is_dir = move->is_dir;

		if (is_dir)
			cairn_dirs_found(dirs, ino, move->parent, move->name, strlen(move->name));
		drop_move(dirs, move);
		if (is_dir && shows.generation)
			cairn_dirs_learn(dirs, false, ino, shows.generation, shows.node);
	}
}

void cairn_dirs_rolled_back(struct cairn_dirs *dirs)
{
	struct cairn_dir_move *move, *next;

	HASH_ITER (hh, dirs->moves, move, next)
		drop_move(dirs, move);
}
