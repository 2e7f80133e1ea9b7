/* Threads in a branch, while others change its base through a core of their own.
 *
 *	overlay_threads [OPERATIONS [SEED]]	operations a thread
 *
 * Both have the same directories and draw from the same few names, so that what is copied up,
 * renamed, hidden and listed is what the others make and change. Files of the base hold one byte
 *again and again, what is written in the branch another: a file shows nothing else. At the end both
 *files keep the rules of the format, and the branch shows the same tree after it was opened again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/overlay.h"
#include "core_fixture.h"
#include "threads.h"

#define IN_BRANCH  6U
#define IN_BASE    2U
#define DIRS       3U
#define NAMES      10U
#define CHUNK_SIZE 256U
#define FILE_MAX   (24 * CHUNK_SIZE)
#define COPY_WHOLE (8 * CHUNK_SIZE) /* larger files are copied up by the chunk */
#define TEXT_MAX   (1U << 16)

static struct cairn_core *base;

/* What one of the two needs of an operation. */
struct side {
	struct cairn_core *core;
	unsigned char byte;
	uint64_t dirs[DIRS];
};

static struct side branch_side = { .byte = 'w' }, base_side = { .byte = 'b' };

static uint64_t draw_dir(struct worker *w, const struct side *side)
{
	return side->dirs[draw(w, DIRS)];
}

static const char *draw_name(struct worker *w)
{
	static const char names[NAMES][4] = { "n0", "n1", "n2", "n3", "n4",
					      "n5", "n6", "n7", "n8", "n9" };

	return names[draw(w, NAMES)];
}

static void make_some(struct worker *w, const struct side *side)
{
	uint64_t dir = draw_dir(w, side);
	struct cairn_attr attr;
	int r;

	switch (draw(w, 4)) {
	case 0:
		r = cairn_core_mkdir(side->core, &cf_caller, dir, draw_name(w), 0755, &attr);
		break;
	case 1:
		r = cairn_core_symlink(side->core, &cf_caller, dir, draw_name(w), "to", &attr);
		break;
	default:
		r = cairn_core_mknod(side->core, &cf_caller, dir, draw_name(w), S_IFREG | 0644, 0,
				     &attr);
	}
	judge("making", r);
	if (r == 0)
		cairn_core_forget(side->core, attr.ino, 1);
}

static void write_some(struct worker *w, const struct side *side, uint64_t ino)
{
	unsigned char buf[3 * CHUNK_SIZE];

	memset(buf, side->byte, sizeof(buf));
	judge("write", cairn_core_write(side->core, &cf_caller, ino, buf, 1 + draw(w, sizeof(buf)),
					draw(w, FILE_MAX), false, false));
}

static void read_some(struct worker *w, const struct side *side, uint64_t ino)
{
	unsigned char buf[FILE_MAX];
	ssize_t n = cairn_core_read(side->core, ino, buf, sizeof(buf), draw(w, FILE_MAX));

	judge("read", n);
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] == 0 || buf[i] == 'b' || (buf[i] == 'w' && side == &branch_side))
			continue;
		judge("a byte that nobody wrote", -EIO);
		break;
	}
}

static void truncate_some(struct worker *w, const struct side *side, uint64_t ino)
{
	struct cairn_attr to = { .size = draw(w, FILE_MAX) }, attr;

	judge("truncate",
	      cairn_core_setattr(side->core, &cf_caller, ino, CAIRN_SET_SIZE, &to, &attr));
}

static void chmod_some(struct worker *w, const struct side *side, uint64_t ino)
{
	struct cairn_attr to = { .mode = 0600 + draw(w, 64) }, attr;

	judge("chmod", cairn_core_setattr(side->core, &cf_caller, ino, CAIRN_SET_MODE, &to, &attr));
}

static void xattr_some(struct worker *w, const struct side *side, uint64_t ino)
{
	char list[512];

	if (draw(w, 2))
		judge("setxattr", cairn_core_setxattr(side->core, ino, "user.a", "value", 5, 0));
	else
		judge("listxattr", cairn_core_listxattr(side->core, ino, list, sizeof(list)));
}

static void link_some(struct worker *w, const struct side *side, uint64_t ino)
{
	struct cairn_attr attr;
	int r;

	r = cairn_core_link(side->core, ino, draw_dir(w, side), draw_name(w), &attr);
	judge("link", r);
	if (r == 0)
		cairn_core_forget(side->core, ino, 1);
}

static void fsync_some(struct worker *w, const struct side *side, uint64_t ino)
{
	if (draw(w, 4) == 0)
		judge("fsync", cairn_core_fsync(side->core, ino));
}

static void seek_some(struct worker *w, const struct side *side, uint64_t ino)
{
	off_t at;

	judge("lseek", cairn_core_lseek(side->core, ino, 0, SEEK_HOLE, &at));
}

/* On some file while it is pinned, and perhaps unlinked, here or below, meanwhile. */
static void use_some(struct worker *w, const struct side *side)
{
	static void (*const on_files[])(struct worker *, const struct side *, uint64_t) = {
		write_some, write_some, read_some,  read_some, truncate_some,
		chmod_some, xattr_some, fsync_some, seek_some, link_some,
	};
	/* Not the last in the base. */
	unsigned int count = ARRAY_SIZE(on_files) - (side == &base_side);
	struct cairn_attr attr;
	int r;

	r = cairn_core_lookup(side->core, draw_dir(w, side), draw_name(w), &attr);
	judge("lookup", r);
	if (r < 0)
		return;
	if (S_ISREG(attr.mode))
		on_files[draw(w, count)](w, side, attr.ino);
	cairn_core_forget(side->core, attr.ino, 1);
}

/* Names go in the branch alone. */
static void remove_some(struct worker *w, const struct side *side)
{
	if (draw(w, 3))
		judge("unlink", cairn_core_unlink(side->core, draw_dir(w, side), draw_name(w)));
	else
		judge("rmdir", cairn_core_rmdir(side->core, draw_dir(w, side), draw_name(w)));
}

static void rename_some(struct worker *w, const struct side *side)
{
	static const unsigned int flags[] = { 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE };

	judge("rename",
	      cairn_core_rename(side->core, draw_dir(w, side), draw_name(w), draw_dir(w, side),
				draw_name(w), flags[draw(w, ARRAY_SIZE(flags))]));
}

static bool forget_entry(void *arg, const struct cairn_dirent *entry)
{
	if (entry->attr)
		cairn_core_forget(arg, entry->ino, 1);
	return false;
}

static void list_some(struct worker *w, const struct side *side)
{
	judge("readdir", cairn_core_readdir(side->core, draw_dir(w, side), 0, draw(w, 2),
					    forget_entry, side->core));
}

/* It looks what has become of the base more often than it would by itself. */
static void step_branch(struct worker *w)
{
	const struct side *side = &branch_side;

	switch (draw(w, 10)) {
	case 0:
	case 1:
		make_some(w, side);
		break;
	case 2:
		remove_some(w, side);
		break;
	case 3:
		rename_some(w, side);
		break;
	case 4:
		list_some(w, side);
		if (draw(w, 5) == 0)
			judge("refresh", cairn_core_refresh(side->core));
		break;
	default:
		use_some(w, side);
	}
}

/* It makes things and changes them, and takes no name away. */
static void step_base(struct worker *w)
{
	switch (draw(w, 6)) {
	case 0:
	case 1:
		make_some(w, &base_side);
		break;
	case 2:
		list_some(w, &base_side);
		break;
	default:
		use_some(w, &base_side);
	}
}

/* A picture of a tree: a line for each path. */
struct text {
	char buf[TEXT_MAX];
	size_t len;
};

struct entries {
	char name[DIRS * NAMES][4];
	unsigned int count;
};

static bool take_name(void *arg, const struct cairn_dirent *entry)
{
	struct entries *entries = arg;

	if (entry->name[0] != '.' && entries->count < DIRS * NAMES)
		snprintf(entries->name[entries->count++], 4, "%s", entry->name);
	return false;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* What cannot be read is told, too. */
static uint32_t sum_of(const struct cairn_attr *attr)
{
	unsigned char buf[FILE_MAX + 3 * CHUNK_SIZE];
	uint32_t sum = 2166136261U;
	ssize_t n;

	if (!S_ISREG(attr->mode))
		return 0;
	n = cairn_core_read(cf.core, attr->ino, buf, sizeof(buf), 0);
	for (ssize_t i = 0; i < n; i++)
		sum = (sum ^ buf[i]) * 16777619U;
	return n < 0 ? (uint32_t)n : sum;
}

static void look_at(struct text *text, uint64_t dir, const char *prefix)
{
	struct entries entries = { .count = 0 };
	struct cairn_attr attr;
	char path[64];

	CF_OK(cairn_core_readdir(cf.core, dir, 0, false, take_name, &entries));
	qsort(entries.name, entries.count, sizeof(entries.name[0]), compare_names);
	for (unsigned int i = 0; i < entries.count; i++) {
		snprintf(path, sizeof(path), "%s/%s", prefix, entries.name[i]);
		CF_OK(cf_lookup(dir, entries.name[i], &attr));
		text->len +=
			(size_t)snprintf(text->buf + text->len, TEXT_MAX - text->len,
					 "%s %o %u %ld %08x\n", path, attr.mode, attr.nlink,
					 S_ISREG(attr.mode) ? (long)attr.size : 0L, sum_of(&attr));
		CF_CHECK(text->len < TEXT_MAX);
		if (S_ISDIR(attr.mode) && strlen(path) < sizeof(path) - 5)
			look_at(text, attr.ino, path);
	}
}

static const char *look(struct text *text)
{
	text->len = 0;
	text->buf[0] = '\0';
	look_at(text, CF_ROOT, "");
	return text->buf;
}

static void name_dir(unsigned int i, char ret[2])
{
	ret[0] = (char)('a' + i);
	ret[1] = '\0';
}

static void open_base(void)
{
	struct cairn_store_options options = { .busy_timeout_ms = 5000, .log = &cf.log_to };
	struct cairn_error err = { 0 };
	struct cairn_store *store;
	char name[2];

	CF_CHECK(cairn_store_open(cf.base, &options, &store, &err) == 0, "%s", err.text);
	CF_OK(cairn_core_open(store, &cf.options, &cf.log_to, &base));
	base_side.core = base;
	for (unsigned int i = 0; i < DIRS; i++) {
		struct cairn_attr attr;

		name_dir(i, name);
		CF_OK(cairn_core_mkdir(base, &cf_caller, CF_ROOT, name, 0755, &attr));
		base_side.dirs[i] = attr.ino;
	}
	CF_OK(cairn_core_settle(base, false));
}

static void open_branch(void)
{
	char name[2];

	cf_open();
	branch_side.core = cf.core;
	for (unsigned int i = 0; i < DIRS; i++) {
		struct cairn_attr attr;

		name_dir(i, name);
		CF_OK(cairn_core_lookup(cf.core, CF_ROOT, name, &attr));
		branch_side.dirs[i] = attr.ino;
	}
}

static void let_go(const struct side *side)
{
	for (unsigned int i = 0; i < DIRS; i++)
		cairn_core_forget(side->core, side->dirs[i], 1);
}

static void set_up(void)
{
	cf_setup();
	cf.chunk_size = CHUNK_SIZE;
	cf.copy_whole = COPY_WHOLE;
	cf.options.commit_interval_ms = 2;
	cf.options.max_dirty = 1 << 20;
	cf.busy_timeout_ms = 5000;
	snprintf(cf.base, sizeof(cf.base), "%s/base.db", cf.dir);
}

/* An empty workspace as the base, and a branch of it. */
static void make_both(void)
{
	char own[sizeof(cf.db)], base_path[sizeof(cf.base)];

	strcpy(own, cf.db);
	strcpy(base_path, cf.base);
	strcpy(cf.db, cf.base);
	cf.base[0] = '\0';
	cf_make();
	strcpy(cf.db, own);
	strcpy(cf.base, base_path);
	open_base();
	cf_make();
	open_branch();
}

int main(int argc, char *argv[])
{
	unsigned long operations = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000;
	unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
	struct worker workers[IN_BRANCH + IN_BASE];
	static struct text before, after;

	printf("1..9\n# %u threads in a branch, %u in its base, %lu operations each, seed %lu\n",
	       IN_BRANCH, IN_BASE, operations, seed);
	set_up();
	make_both();
	for (unsigned int i = 0; i < ARRAY_SIZE(workers); i++)
		workers[i] = (struct worker){
			.step = i < IN_BRANCH ? step_branch : step_base,
			.operations = operations,
		};
	run_threads(workers, ARRAY_SIZE(workers), seed);
	tell(all_explained(), "every result is one that can be");
	let_go(&base_side);
	let_go(&branch_side);
	CF_OK(cairn_core_settle(base, false));
	check_given_back(cf.core);
	tell(cairn_core_close(base) == 0, "the core of the base closes");
	cairn_core_refresh(cf.core);
	look(&before);
	tell(cf_close() == 0, "the core of the branch closes");
	tell(cf_broken_rules(cf.base) == 0, "the base keeps the rules of the format");
	tell(cf_broken_rules(cf.db) == 0, "the branch keeps the rules of the format");
	cf_open();
	tell(strcmp(before.buf, look(&after)) == 0, "the branch shows the same, opened again");
	if (strcmp(before.buf, after.buf) != 0)
		fprintf(stderr, "before:\n%safter:\n%s", before.buf, after.buf);
	cf_close();
	cf_teardown();
	return exit_status();
}
