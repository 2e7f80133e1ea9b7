#include "branch/patch.h"

#include <errno.h>
#include <git2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "branch/patch_files.h"
#include "util/macro.h"

/* Larger ones than this are left out: both sides have to be in memory. */
#define SIZE_MAX_BYTES (INT64_C(1) << 30)
#define READ_SIZE      ((size_t)4 << 20)

/* One side of a file. */
struct side {
	uint32_t mode; /* as git has it: 0100644, 0100755, 0120000; 0: there is none */
	char *name;    /* without a slash in front */
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

/* The whole content of either. `target` is taken. -EFBIG. */
static int load(struct writer *w, const struct cairn_attr *attr,
		const struct cairn_content *content, char *target, struct side *ret)
{
	int r = 0;

	if (S_ISLNK(attr->mode)) {
		ret->data = target;
		ret->len = strlen(target);
		return 0;
	}
	if (content->size > SIZE_MAX_BYTES)
		return -EFBIG;
	ret->len = (size_t)content->size;
	ret->data = malloc(ret->len + 1);
	if (!ret->data)
		return -ENOMEM;
	/* In steps, so that others hear of it. */
	for (size_t at = 0; r == 0 && at < ret->len; at += READ_SIZE)
		r = cairn_content_read(w->branch, content, (int64_t)at, (char *)ret->data + at,
				       MIN(READ_SIZE, ret->len - at));
	return r;
}

static int load_base(struct writer *w, const char *path, const struct cairn_attr *attr,
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
	return r < 0 ? r : load(w, attr, &content, target, ret);
}

static int load_branch(struct writer *w, const struct cairn_change *c, struct side *ret)
{
	char *target = NULL;
	int r = 0;

	ret->mode = cairn_patch_mode(c->now.mode);
	ret->name = strdup(c->path + 1);
	if (!ret->name)
		return -ENOMEM;
	if (S_ISLNK(c->now.mode))
		r = w->branch->own->ops->symlink_get(w->branch->reader, c->row, &target);
	return r < 0 ? r : load(w, &c->now, &c->content, target, ret);
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

static void put_index(FILE *to, const struct side *old, const struct side *new)
{
	const struct side *sides[2] = { old, new };

	fputs("index ", to);
	for (int i = 0; i < 2; i++) {
		char text[GIT_OID_HEXSZ + 1] = "0000000000000000000000000000000000000000";
		git_oid oid;

		if (sides[i]->mode &&
		    git_odb_hash(&oid, sides[i]->data, sides[i]->len, GIT_OBJECT_BLOB) == 0)
			git_oid_tostr(text, sizeof(text), &oid);
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
	int r = 0;

	put_header(to, old, new, same);
	if (!same) {
		put_index(to, old, new);
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

static int load_sides(struct writer *w, const struct cairn_patch_path *from,
		      const struct cairn_patch_path *to, struct side *ret_old, struct side *ret_new)
{
	int r = 0;

	if (from && to && !to->change && to->same.ino == from->was.ino)
		return load_names(from, to, ret_old, ret_new);
	if (from)
		r = load_base(w, from->path, &from->was, ret_old);
	if (r == 0 && to)
		r = to->change ? load_branch(w, to->change, ret_new)
			       : load_base(w, to->path, &to->same, ret_new);
	return r;
}

/* NULL: it is new, or deleted. */
static int write_pair(struct writer *w, const struct cairn_patch_path *from,
		      const struct cairn_patch_path *to)
{
	_cleanup_(sidep) struct side old = { 0 };
	_cleanup_(sidep) struct side new = { 0 };
	int r;

	r = load_sides(w, from, to, &old, &new);
	if (r < 0)
		return left_out(w, r, from ? from->path : to->path);
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
