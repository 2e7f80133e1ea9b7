#include "branch/patch.h"

#include <errno.h>
#include <git2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "branch/patch_big.h"
#include "branch/patch_files.h"
#include "util/macro.h"

/* Larger ones than this are left out: who applies a patch has to have the files in memory. */
#define SIZE_MAX_BYTES (INT64_C(1) << 30)
/* Larger files than this, or with more lines, are told as binary ones, a buffer at a time.
 * Comparing lines takes several times the size of both sides, and 200 bytes for each line. */
#define TEXT_MAX  (INT64_C(32) << 20)
#define LINES_MAX ((size_t)1 << 20)
#define READ_SIZE ((size_t)4 << 20)

/* One side of a file. */
struct side {
	uint32_t mode; /* as git has it: 0100644, 0100755, 0120000; 0: there is none */
	char *name;    /* without a slash in front */
	struct cairn_content content;
	/* Of a small one; of a link, its target. */
	void *data;
	size_t len;
};

struct writer {
	struct cairn_branch *branch;
	bool texts;
	cairn_patch_fn fn;
	void *arg;
	size_t left_out;
	struct cairn_error *err;
};

static void sidep(struct side *side)
{
	free(side->name);
	free(side->data);
}

static int failed(struct writer *w, int r, const char *path)
{
	return cairn_error_set(w->err, r, "'%s' cannot be read for the patch: %s", path,
			       strerror(-r));
}

/* Not the bytes of a file yet. `target` is taken. -EFBIG. */
static int set_content(const struct cairn_attr *attr, const struct cairn_content *content,
		       char *target, struct side *ret)
{
	if (S_ISLNK(attr->mode)) {
		ret->data = target;
		ret->len = strlen(target);
		return 0;
	}
	ret->content = *content;
	return content->size > SIZE_MAX_BYTES ? -EFBIG : 0;
}

/* In steps, so that others hear of it. */
static int load(struct writer *w, struct side *side)
{
	size_t len = (size_t)side->content.size;
	int r = 0;

	if (!side->mode || side->data)
		return 0;
	side->data = malloc(len + 1);
	if (!side->data)
		return -ENOMEM;
	side->len = len;
	for (size_t at = 0; r == 0 && at < len; at += READ_SIZE)
		r = cairn_content_read(w->branch, &side->content, (int64_t)at,
				       (char *)side->data + at, MIN(READ_SIZE, len - at));
	return r;
}

static bool has_many_lines(const struct side *side)
{
	const char *at = side->data, *end = at + side->len;
	size_t lines = 0;

	while (at && lines <= LINES_MAX && (at = memchr(at, '\n', (size_t)(end - at)))) {
		lines++;
		at++;
	}
	return lines > LINES_MAX;
}

static int set_base(struct writer *w, const char *path, const struct cairn_attr *attr,
		    struct side *ret)
{
	const struct cairn_content content = { .node = attr->ino, .size = attr->size };
	char *target = NULL;
	int r = 0;

	ret->mode = cairn_patch_mode(attr->mode);
	ret->name = strdup(path + 1);
	if (!ret->name)
		return -ENOMEM;
	if (S_ISLNK(attr->mode))
		r = w->branch->base->ops->readlink(w->branch->base, attr->ino, &target);
	return r < 0 ? r : set_content(attr, &content, target, ret);
}

static int set_branch(struct writer *w, const struct cairn_change *c, struct side *ret)
{
	char *target = NULL;
	int r = 0;

	ret->mode = cairn_patch_mode(c->now.mode);
	ret->name = strdup(c->path + 1);
	if (!ret->name)
		return -ENOMEM;
	if (S_ISLNK(c->now.mode))
		r = w->branch->own->ops->symlink_get(w->branch->reader, c->row, &target);
	return r < 0 ? r : set_content(&c->now, &c->content, target, ret);
}

void cairn_patch_quote(FILE *to, const char *prefix, const char *name)
{
	static const char letters[] = "abtnvfr";

	fprintf(to, "\"%s", prefix);
	for (const char *c = name; *c; c++) {
		unsigned char b = (unsigned char)*c;

		if (b == '"' || b == '\\')
			fprintf(to, "\\%c", b);
		else if (b >= 7 && b <= 13)
			fprintf(to, "\\%c", letters[b - 7]);
		else if (b < 0x20 || b >= 0x7f)
			fprintf(to, "\\%03o", b);
		else
			fputc(b, to);
	}
	fputc('"', to);
}

/* A name as git writes it: in quotes where it has bytes that could mislead. On a line with two of
 * them, a space could. */
static void put_name(FILE *to, const char *prefix, const char *name, bool alone)
{
	bool plain = alone || !strchr(name, ' ');

	for (const char *c = name; *c; c++)
		plain &= (unsigned char)*c >= 0x20 && (unsigned char)*c < 0x7f && *c != '"' &&
			 *c != '\\';
	if (plain)
		fprintf(to, "%s%s", prefix, name);
	else
		cairn_patch_quote(to, prefix, name);
}

static void put_file_line(FILE *to, const char *mark, const char *prefix, const struct side *side)
{
	fprintf(to, "%s ", mark);
	if (!side->mode) {
		fputs("/dev/null\n", to);
		return;
	}
	put_name(to, prefix, side->name, true);
	fputs(strchr(side->name, ' ') ? "\t\n" : "\n", to);
}

/* Of both, as git names them. */
static void put_index(FILE *to, const struct side *old, const struct side *new,
		      const git_oid ids[2])
{
	const struct side *sides[2] = { old, new };

	fputs("index ", to);
	for (int i = 0; i < 2; i++) {
		char text[GIT_OID_HEXSZ + 1] = "0000000000000000000000000000000000000000";

		if (sides[i]->mode)
			git_oid_tostr(text, sizeof(text), &ids[i]);
		fprintf(to, "%s%s", i ? ".." : "", text);
	}
	if (old->mode == new->mode)
		fprintf(to, " %06o", old->mode);
	fputc('\n', to);
}

static void put_header(FILE *to, const struct side *old, const struct side *new, bool same)
{
	const char *from = old->mode ? old->name : new->name;
	const char *at = new->mode ? new->name : old->name;

	fputs("diff --git ", to);
	put_name(to, "a/", from, false);
	fputc(' ', to);
	put_name(to, "b/", at, false);
	fputc('\n', to);
	if (!old->mode)
		fprintf(to, "new file mode %06o\n", new->mode);
	else if (!new->mode)
		fprintf(to, "deleted file mode %06o\n", old->mode);
	else if (old->mode != new->mode)
		fprintf(to, "old mode %06o\nnew mode %06o\n", old->mode, new->mode);
	if (strcmp(from, at) != 0) {
		fprintf(to, "%srename from ", same ? "similarity index 100%\n" : "");
		put_name(to, "", from, true);
		fputs("\nrename to ", to);
		put_name(to, "", at, true);
		fputc('\n', to);
	}
}

/* What libgit2 says of the bytes, without the header that it knows no better. */
static const char *find_body(const git_buf *text, bool *ret_binary)
{
	*ret_binary = false;
	for (const char *line = text->ptr; line && *line;) {
		if (strncmp(line, "GIT binary patch", 16) == 0) {
			*ret_binary = true;
			return line;
		}
		if (strncmp(line, "@@ ", 3) == 0)
			return line;
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return NULL;
}

static int put_bytes(FILE *to, const struct side *old, const struct side *new,
		     struct cairn_patch_file *file)
{
	git_diff_options options;
	git_buf text = { 0 };
	git_patch *patch = NULL;
	const char *body;
	int r = 0;

	git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
	options.flags = GIT_DIFF_SHOW_BINARY;
	if (git_patch_from_buffers(&patch, old->mode ? old->data : NULL, old->len, "f",
				   new->mode ? new->data : NULL, new->len, "f", &options) < 0 ||
	    git_patch_to_buf(&text, patch) < 0) {
		r = -ENOMEM;
	} else {
		git_patch_line_stats(NULL, &file->added, &file->removed, patch);
		body = find_body(&text, &file->binary);
		if (body && !file->binary) {
			put_file_line(to, "---", "a/", old);
			put_file_line(to, "+++", "b/", new);
		}
		if (body)
			fwrite(body, 1, text.size - (size_t)(body - text.ptr), to);
	}
	git_buf_dispose(&text);
	git_patch_free(patch);
	return r;
}

static int write_text(FILE *to, const struct side *old, const struct side *new,
		      struct cairn_patch_file *file)
{
	bool same = old->mode && new->mode &&
		    old->len == new->len &&memcmp(old->data, new->data, old->len) == 0;
	git_oid ids[2] = { 0 };
	int r = 0;

	put_header(to, old, new, same);
	if (!same) {
		git_odb_hash(&ids[0], old->data, old->len, GIT_OBJECT_BLOB);
		git_odb_hash(&ids[1], new->data, new->len, GIT_OBJECT_BLOB);
		put_index(to, old, new, ids);
		r = put_bytes(to, old, new, file);
	}
	return ferror(to) ? -ENOMEM : r;
}

static int count_lines(const struct side *old, const struct side *new,
		       struct cairn_patch_file *file)
{
	git_patch *patch = NULL;
	int r = 0;

	if (git_patch_from_buffers(&patch, old->mode ? old->data : NULL, old->len, "f",
				   new->mode ? new->data : NULL, new->len, "f", NULL) < 0)
		return -ENOMEM;
	file->binary = git_patch_get_delta(patch)->flags & GIT_DIFF_FLAG_BINARY;
	if (git_patch_line_stats(NULL, &file->added, &file->removed, patch) < 0)
		r = -ENOMEM;
	git_patch_free(patch);
	return r;
}

static int write_file(struct writer *w, const struct side *old, const struct side *new)
{
	_cleanup_(cairn_freep) char *text = NULL;
	struct cairn_patch_file file = {
		.from = old->mode ? old->name : NULL,
		.to = new->mode ? new->name : NULL,
		.old_size = (int64_t)old->len,
		.new_size = (int64_t) new->len,
	};
	size_t len = 0;
	FILE *to;
	int r;

	file.renamed = file.from && file.to && strcmp(file.from, file.to) != 0;
	if (!w->texts) {
		r = count_lines(old, new, &file);
		return r < 0 ? r : w->fn(w->arg, &file);
	}
	to = open_memstream(&text, &len);
	if (!to)
		return -ENOMEM;
	r = write_text(to, old, new, &file);
	if (fclose(to) != 0 || r < 0)
		return r < 0 ? r : -ENOMEM;
	file.text = text;
	file.len = len;
	return w->fn(w->arg, &file);
}

/* The lines of a large file, in pieces. */
struct pieces {
	struct writer *w;
	struct cairn_patch_file *file;
	int r; /* what `fn` said last */
};

static int put_piece(void *arg, const char *lines, size_t len)
{
	struct pieces *pieces = arg;

	pieces->file->text = lines;
	pieces->file->len = len;
	return pieces->r = pieces->w->fn(pieces->w->arg, pieces->file);
}

static int write_big_header(struct pieces *pieces, const struct side *old, const struct side *new,
			    const struct cairn_patch_big *big)
{
	_cleanup_(cairn_freep) char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);
	git_oid ids[2];
	bool bad;

	if (!to)
		return -ENOMEM;
	put_header(to, old, new, big->same);
	if (!big->same) {
		git_oid_fromraw(&ids[0], big->old_hash);
		git_oid_fromraw(&ids[1], big->new_hash);
		put_index(to, old, new, ids);
		fputs("GIT binary patch\n", to);
	}
	bad = ferror(to);
	if (fclose(to) != 0 || bad)
		return -ENOMEM;
	return put_piece(pieces, text, len);
}

static int write_big(struct writer *w, const struct side *old, const struct side *new,
		     bool in_place, const char *path)
{
	struct cairn_patch_big big = {
		.branch = w->branch,
		.old = old->mode ? &old->content : NULL,
		.new = new->mode ? &new->content : NULL,
	};
	struct cairn_patch_file file = {
		.from = old->mode ? old->name : NULL,
		.to = new->mode ? new->name : NULL,
		.binary = true,
		.old_size = old->content.size,
		.new_size = new->content.size,
	};
	struct pieces pieces = { .w = w, .file = &file };
	int r;

	r = cairn_patch_big_scan(&big);
	if (r < 0)
		return failed(w, r, path);
	if (in_place && big.same && old->mode == new->mode)
		return 0;
	file.renamed = file.from && file.to && strcmp(file.from, file.to) != 0;
	if (!w->texts)
		return w->fn(w->arg, &file);
	r = write_big_header(&pieces, old, new, &big);
	if (r == 0 && !big.same)
		r = cairn_patch_big_write(&big, put_piece, &pieces);
	return r < 0 && pieces.r == 0 ? failed(w, r, path) : r;
}

/* 0 for what is too large, which is counted. */
static int left_out(struct writer *w, int r, const char *path)
{
	if (r != -EFBIG)
		return failed(w, r, path);
	w->left_out++;
	return 0;
}

static bool is_same_type(const struct cairn_patch_path *p)
{
	uint32_t now = p->change ? p->change->now.mode : p->same.mode;

	return (now & S_IFMT) == (p->was.mode & S_IFMT);
}

/* Neither side is read where both are one file of the base. */
static int load_names(const struct cairn_patch_path *from, const struct cairn_patch_path *to,
		      struct side *ret_old, struct side *ret_new)
{
	ret_old->mode = ret_new->mode = cairn_patch_mode(to->same.mode);
	ret_old->name = strdup(from->path + 1);
	ret_new->name = strdup(to->path + 1);
	ret_old->data = calloc(1, 1);
	ret_new->data = calloc(1, 1);
	return ret_old->name && ret_new->name && ret_old->data && ret_new->data ? 0 : -ENOMEM;
}

static int set_sides(struct writer *w, const struct cairn_patch_path *from,
		     const struct cairn_patch_path *to, struct side *ret_old, struct side *ret_new)
{
	int r = 0;

	if (from && to && !to->change && to->same.ino == from->was.ino)
		return load_names(from, to, ret_old, ret_new);
	if (from)
		r = set_base(w, from->path, &from->was, ret_old);
	if (r == 0 && to)
		r = to->change ? set_branch(w, to->change, ret_new)
			       : set_base(w, to->path, &to->same, ret_new);
	return r;
}

/* NULL: it is new, or deleted. */
static int write_pair(struct writer *w, const struct cairn_patch_path *from,
		      const struct cairn_patch_path *to)
{
	_cleanup_(sidep) struct side old = { 0 };
	_cleanup_(sidep) struct side new = { 0 };
	const char *path = from ? from->path : to->path;
	int r;

	r = set_sides(w, from, to, &old, &new);
	if (r < 0)
		return left_out(w, r, path);
	if (MAX(old.content.size, new.content.size) > TEXT_MAX)
		return write_big(w, &old, &new, from == to, path);
	r = load(w, &old);
	if (r == 0)
		r = load(w, &new);
	if (r < 0)
		return failed(w, r, path);
	if (has_many_lines(&old) || has_many_lines(&new))
		return write_big(w, &old, &new, from == to, path);
	if (from == to &&
	    old.mode == new.mode &&old.len == new.len &&memcmp(old.data, new.data, old.len) == 0)
		return 0;
	return write_file(w, &old, &new);
}

/* What goes, so that there is room for what comes. */
static int write_deleted(struct writer *w, const struct cairn_patch_path *p)
{
	if (!p->in_base || p->renamed || (p->in_branch && is_same_type(p)))
		return 0;
	return write_pair(w, p, NULL);
}

static int write_renamed(struct writer *w, const struct cairn_patch_path *p)
{
	return p->in_branch && p->from ? write_pair(w, p->from, p) : 0;
}

static int write_rest(struct writer *w, const struct cairn_patch_path *p)
{
	if (!p->in_branch || p->from)
		return 0;
	return write_pair(w, p->in_base && is_same_type(p) ? p : NULL, p);
}

int cairn_patch(struct cairn_branch *branch, const struct cairn_changes *changes,
		const char *const *paths, size_t path_count, bool texts, cairn_patch_fn fn,
		void *arg, size_t *ret_left_out, struct cairn_error *err)
{
	static int (*const rounds[])(struct writer * w, const struct cairn_patch_path *p) = {
		write_deleted, write_renamed, write_rest
	};
	_cleanup_(cairn_patch_paths_free) struct cairn_patch_paths files = { 0 };
	struct writer w = { .branch = branch, .texts = texts, .fn = fn, .arg = arg, .err = err };
	int r;

	r = cairn_patch_paths_find(branch, changes, paths, path_count, &files, err);
	git_libgit2_init();
	for (size_t i = 0; i < ARRAY_SIZE(rounds); i++)
		for (struct cairn_patch_path *p = files.table; r == 0 && p; p = p->hh.next)
			r = rounds[i](&w, p);
	git_libgit2_shutdown();
	if (r == 0)
		*ret_left_out = files.left_out + w.left_out;
	return r;
}
