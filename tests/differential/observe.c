/* Attributes, listings and trees as text: what two file systems must say alike is printed,
 * what may differ (inode numbers, the time of day, sizes of directories) is not. */
#include "differential.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static bool is_before(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

/* Writing into a pipe moves the times of its inode in the kernel, and a FUSE server never hears
 * of it: times of fifos are not compared. */
void print_attributes(const struct world *world, FILE *out, const struct stat *st)
{
	fprintf(out, " mode=%06o uid=%u gid=%u", st->st_mode, st->st_uid, st->st_gid);
	if (!S_ISDIR(st->st_mode) || world->features.dir_nlink)
		fprintf(out, " nlink=%ju", (uintmax_t)st->st_nlink);
	if (!S_ISDIR(st->st_mode))
		fprintf(out, " size=%jd", (intmax_t)st->st_size);
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		fprintf(out, " rdev=%u:%u", major(st->st_rdev), minor(st->st_rdev));
	if (S_ISFIFO(st->st_mode))
		return;
	if (is_before(st->st_mtim, world->start))
		fprintf(out, " mtime=%jd.%09ld", (intmax_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	else
		fputs(" mtime=now", out);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int is_entry(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int compare_entries(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int print_listing(FILE *out, int fd)
{
	DIR *dir = fdopendir(fd);
	char *lines[4096];
	size_t n = 0;
	int r;

	if (dir == NULL) {
		r = -errno;
		close(fd);
		return r;
	}
	rewinddir(dir);
	errno = 0;
	for (struct dirent *entry; n < 4096 && (entry = readdir(dir)) != NULL;)
		if (asprintf(&lines[n], "%s %d\n", entry->d_name, entry->d_type) >= 0)
			n++;
	r = -errno;
	closedir(dir);

	qsort(lines, n, sizeof(lines[0]), compare_names);
	for (size_t i = 0; i < n; i++) {
		fputs(lines[i], out);
		free(lines[i]);
	}
	return r;
}

/* FNV-1a over the bytes of a file, taken eight at a time. */
static void print_contents(FILE *out, int dir_fd, const char *name)
{
	static union {
		unsigned char bytes[65536];
		uint64_t words[65536 / sizeof(uint64_t)];
	} buffer;
	uint64_t hash = UINT64_C(0xcbf29ce484222325), total = 0;
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		fprintf(out, " open: %s", strerror(errno));
		return;
	}
	for (;;) {
		n = pread(fd, buffer.bytes, sizeof(buffer.bytes), (off_t)total);
		if (n <= 0)
			break;
		total += (uint64_t)n;
		memset(buffer.bytes + n, 0, sizeof(buffer.bytes) - (size_t)n);
		for (size_t i = 0; i < ((size_t)n + 7) / 8; i++)
			hash = (hash ^ buffer.words[i]) * UINT64_C(0x100000001b3);
	}
	if (n < 0)
		fprintf(out, " read: %s", strerror(errno));
	fprintf(out, " bytes=%" PRIu64 " hash=%016" PRIx64, total, hash);
	close(fd);
}

static void print_target(FILE *out, int dir_fd, const char *name)
{
	char target[4096];
	ssize_t n = readlinkat(dir_fd, name, target, sizeof(target) - 1);

	if (n < 0) {
		fprintf(out, " readlink: %s", strerror(errno));
		return;
	}
	target[n] = '\0';
	fprintf(out, " -> %s", target);
}

static void print_xattrs(FILE *out, const struct side *side, const char *path)
{
	char full[PATH_LEN + 256], names[4096], value[4096], *sorted[64];
	ssize_t n;
	size_t n_names = 0;

	snprintf(full, sizeof(full), "%s/%s", side->root, path);
	n = llistxattr(full, names, sizeof(names));
	if (n < 0) {
		fprintf(out, " llistxattr: %s", strerror(errno));
		return;
	}
	/* security.* and system.* belong to the machine, not to the test. */
	for (char *at = names; at < names + n && n_names < 64; at += strlen(at) + 1)
		if (strncmp(at, "user.", 5) == 0 || strncmp(at, "trusted.", 8) == 0)
			sorted[n_names++] = at;
	qsort(sorted, n_names, sizeof(sorted[0]), compare_names);
	for (size_t i = 0; i < n_names; i++) {
		n = lgetxattr(full, sorted[i], value, sizeof(value));
		fprintf(out, " %s=%.*s", sorted[i], n < 0 ? 0 : (int)n, value);
	}
}

/* Which names are one inode must agree, though its number need not: an inode with several
 * names prints the first path that led to it. */
struct seen {
	struct seen *next;
	ino_t ino;
	char path[];
};

static void print_identity(FILE *out, struct seen **seen, const struct stat *st, const char *path)
{
	struct seen *s;

	for (s = *seen; s != NULL; s = s->next)
		if (s->ino == st->st_ino) {
			fprintf(out, " is %s", s->path);
			return;
		}
	s = malloc(sizeof(*s) + strlen(path) + 1);
	if (s == NULL)
		return;
	s->ino = st->st_ino;
	strcpy(s->path, path);
	s->next = *seen;
	*seen = s;
}

struct tree {
	const struct world *world;
	const struct side *side;
	struct seen *seen;
	FILE *out;
};

static void print_entry(struct tree *tree, int dir_fd, const char *name, const char *path,
			mode_t *ret_mode)
{
	struct stat st;

	fprintf(tree->out, "%s:", path);
	*ret_mode = 0;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		fprintf(tree->out, " lstat: %s\n", strerror(errno));
		return;
	}
	*ret_mode = st.st_mode;
	print_attributes(tree->world, tree->out, &st);
	if (!S_ISDIR(st.st_mode) && st.st_nlink > 1)
		print_identity(tree->out, &tree->seen, &st, path);
	if (S_ISREG(st.st_mode))
		print_contents(tree->out, dir_fd, name);
	if (S_ISLNK(st.st_mode))
		print_target(tree->out, dir_fd, name);
	if (tree->world->features.xattr)
		print_xattrs(tree->out, tree->side, path);
	fputc('\n', tree->out);
}

int scan_directory(int dir_fd, const char *name, int *ret_fd, struct dirent ***ret_entries)
{
	*ret_fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*ret_fd < 0)
		return -1;
	return scandirat(*ret_fd, ".", ret_entries, is_entry, compare_entries);
}

/* Recursion is bounded by the depth of the paths drawn, and by renames of directories. */
static void print_directory(struct tree *tree, int dir_fd, const char *name, const char *path)
{
	struct dirent **entries = NULL;
	int fd, n = scan_directory(dir_fd, name, &fd, &entries);
	char *child;
	mode_t mode;

	if (n < 0)
		fprintf(tree->out, "%s: listing: %s\n", path, strerror(errno));
	for (int i = 0; i < n; i++) {
		if (asprintf(&child, "%s/%s", path, entries[i]->d_name) < 0)
			abort();
		print_entry(tree, fd, entries[i]->d_name, child, &mode);
		if (S_ISDIR(mode))
			print_directory(tree, fd, entries[i]->d_name, child);
		free(child);
		free(entries[i]);
	}
	free(entries);
	if (fd >= 0)
		close(fd);
}

char *print_tree(const struct world *world, const struct side *side)
{
	struct tree tree = { .world = world, .side = side };
	char *text = NULL;
	size_t size = 0;
	mode_t mode;

	tree.out = open_memstream(&text, &size);
	if (tree.out == NULL)
		return NULL;
	print_entry(&tree, side->root_fd, ".", ".", &mode);
	print_directory(&tree, side->root_fd, ".", ".");
	fclose(tree.out);

	while (tree.seen != NULL) {
		struct seen *next = tree.seen->next;

		free(tree.seen);
		tree.seen = next;
	}
	return text;
}

const char *watch_name(int index)
{
	static const char *const what[N_WATCHED] = {
		"the path",        "the path's parent",
		"the second path", "the second path's parent",
		"the open file",   "the second open file",
	};

	return what[index];
}

static bool look_at(const struct side *side, const char *path, struct stat *st)
{
	return fstatat(side->root_fd, path, st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool look_at_parent(const struct side *side, const char *path, struct stat *st)
{
	char parent[PATH_LEN];
	size_t length = strlen(path);
	char *slash;

	memcpy(parent, path, length + 1);
	while (length > 1 && parent[length - 1] == '/')
		parent[--length] = '\0';
	slash = strrchr(parent, '/');
	if (slash == NULL)
		return look_at(side, ".", st);
	*slash = '\0';
	return fstatat(side->root_fd, parent, st, 0) == 0;
}

void take_watch(const struct side *side, const struct op *op, struct watch *ret_watch)
{
	uint32_t uses = op_types[op->type].uses;
	struct watch *w = ret_watch;

	memset(w, 0, sizeof(*w));
	if (uses & USES_PATH) {
		w->found[0] = look_at(side, op->path, &w->st[0]);
		w->found[1] = look_at_parent(side, op->path, &w->st[1]);
	}
	if (uses & USES_PATH2) {
		w->found[2] = look_at(side, op->path2, &w->st[2]);
		w->found[3] = look_at_parent(side, op->path2, &w->st[3]);
	}
	if (uses & USES_SLOT)
		w->found[4] = fstat(side->slots[op->slot], &w->st[4]) == 0;
	if (uses & USES_SLOT2)
		w->found[5] = fstat(side->slots[op->slot2], &w->st[5]) == 0;
	/* The coarse clock: disk file systems stamp with it, and it is never ahead of the fine. */
	clock_gettime(CLOCK_REALTIME_COARSE, &w->since);
}

static bool same_text(const struct world *world, const struct stat *a, const struct stat *b)
{
	char text_a[512] = "", text_b[512] = "";
	FILE *out;

	out = fmemopen(text_a, sizeof(text_a), "w");
	print_attributes(world, out, a);
	fclose(out);
	out = fmemopen(text_b, sizeof(text_b), "w");
	print_attributes(world, out, b);
	fclose(out);
	return strcmp(text_a, text_b) == 0;
}

/* A time certainly moved when it lay before the operation began, and does not afterwards; it
 * certainly stayed when it still does. In between (the clock's tick is longer than an
 * operation) nothing can be said. Returns 1, 0 or -1. */
static int has_moved(struct timespec before, struct timespec after, struct timespec since)
{
	if (is_before(after, since))
		return 0;
	return is_before(before, since) ? 1 : -1;
}

static bool moved_alike(int a, int b)
{
	return a < 0 || b < 0 || a == b;
}

static bool is_same_inode(const struct watch w[2], int i)
{
	return w[0].found[i] && w[1].found[i] && w[0].st[i].st_ino == w[1].st[i].st_ino &&
	       w[0].st[i].st_dev == w[1].st[i].st_dev;
}

static bool times_agree(const struct watch a[2], const struct watch b[2], int i)
{
	const struct stat *a0 = &a[0].st[i], *a1 = &a[1].st[i];
	const struct stat *b0 = &b[0].st[i], *b1 = &b[1].st[i];

	if (!is_same_inode(a, i) || !is_same_inode(b, i) || S_ISFIFO(a1->st_mode))
		return true;
	return moved_alike(has_moved(a0->st_ctim, a1->st_ctim, a[0].since),
			   has_moved(b0->st_ctim, b1->st_ctim, b[0].since)) &&
	       moved_alike(has_moved(a0->st_mtim, a1->st_mtim, a[0].since),
			   has_moved(b0->st_mtim, b1->st_mtim, b[0].since));
}

int compare_watches(const struct world *world, const struct watch a[2], const struct watch b[2])
{
	for (int i = 0; i < N_WATCHED; i++) {
		if (a[1].found[i] != b[1].found[i])
			return i;
		if (!a[1].found[i])
			continue;
		if (!same_text(world, &a[1].st[i], &b[1].st[i]) || !times_agree(a, b, i))
			return i;
	}
	return -1;
}

static bool probe_fallocate(int dir_fd, int mode)
{
	int fd = openat(dir_fd, "probe", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	bool works = fd >= 0 && ftruncate(fd, 8192) == 0 && fallocate(fd, mode, 0, 4096) == 0;

	close(fd);
	unlinkat(dir_fd, "probe", 0);
	return works;
}

static bool probe_dir_nlink(int dir_fd)
{
	struct stat st = { 0 };

	mkdirat(dir_fd, "probe", 0700);
	mkdirat(dir_fd, "probe/sub", 0700);
	fstatat(dir_fd, "probe", &st, 0);
	unlinkat(dir_fd, "probe/sub", AT_REMOVEDIR);
	unlinkat(dir_fd, "probe", AT_REMOVEDIR);
	return st.st_nlink == 3;
}

static bool probe_exchange(int dir_fd)
{
	bool works;

	mkdirat(dir_fd, "probe", 0700);
	mkdirat(dir_fd, "probe2", 0700);
	works = renameat2(dir_fd, "probe", dir_fd, "probe2", RENAME_EXCHANGE) == 0;
	unlinkat(dir_fd, "probe", AT_REMOVEDIR);
	unlinkat(dir_fd, "probe2", AT_REMOVEDIR);
	return works;
}

/* Asked of the plain side only: the mount is not excused from anything the plain one can do. */
void probe_features(struct world *world)
{
	struct features *f = &world->features;
	int fd = world->b.root_fd;
	struct stat before;

	if (fstat(fd, &before) < 0)
		abort();
	f->dir_nlink = probe_dir_nlink(fd);
	f->punch_hole = probe_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
	f->zero_range = probe_fallocate(fd, FALLOC_FL_ZERO_RANGE);
	f->exchange = probe_exchange(fd);
	if (f->xattr) {
		f->xattr = fsetxattr(fd, "user.probe", "", 0, 0) == 0;
		f->trusted_xattr = fsetxattr(fd, "trusted.probe", "", 0, 0) == 0;
		fremovexattr(fd, "user.probe");
		fremovexattr(fd, "trusted.probe");
	}
	/* What follows a run that has ended has its times. */
	futimens(fd, (struct timespec[2]){ before.st_atim, before.st_mtim });
	printf("# the plain side: directory nlink %d, punch hole %d, zero range %d, exchange %d, "
	       "xattr %d, trusted xattr %d\n",
	       f->dir_nlink, f->punch_hole, f->zero_range, f->exchange, f->xattr, f->trusted_xattr);
}
