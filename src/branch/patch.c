#include "branch/patch.h"

#include <errno.h>
#include <git2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/macro.h"

/* Larger ones than this are left out: both sides have to be in memory. */
#define SIZE_MAX_BYTES (INT64_C(1) << 30)

/* One side of a file. */
struct side {
	uint32_t mode; /* as git has it: 0100644, 0100755, 0120000; 0: there is none */
	char *name;    /* without a slash in front */
	void *data;
	size_t len;
};

struct writer {
	struct cairn_branch *branch;
	const struct cairn_changes *changes;
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

static uint32_t git_mode(uint32_t mode)
{
	if (S_ISLNK(mode))
		return 0120000;
	if (S_ISREG(mode))
		return mode & 0111 ? 0100755 : 0100644;
	return 0;
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
	return ret->len ? cairn_content_read(w->branch, content, 0, ret->data, ret->len) : 0;
}

static int load_base(struct writer *w, const char *path, const struct cairn_attr *attr,
		     struct side *ret)
{
	const struct cairn_content content = { .node = attr->ino, .size = attr->size };
	char *target = NULL;
	int r = 0;

	ret->mode = git_mode(attr->mode);
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

	ret->mode = git_mode(c->now.mode);
	ret->name = strdup(c->path + 1);
	if (!ret->name)
		return -ENOMEM;
	if (S_ISLNK(c->now.mode))
		r = w->branch->own->ops->symlink_get(w->branch->reader, c->row, &target);
	return r < 0 ? r : load(w, &c->now, &c->content, target, ret);
}

/* A name as git writes it: in quotes where it has bytes that could mislead. On a line with two of
 * them, a space could. */
static void put_name(FILE *to, const char *prefix, const char *name, bool alone)
{
	static const char letters[] = "abtnvfr";
	bool plain = alone || !strchr(name, ' ');

	for (const char *c = name; *c; c++)
		plain &= (unsigned char)*c >= 0x20 && (unsigned char)*c < 0x7f && *c != '"' &&
			 *c != '\\';
	if (plain) {
		fprintf(to, "%s%s", prefix, name);
		return;
	}
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

static int write_sides(struct writer *w, const char *from, const struct cairn_attr *was,
		       const struct cairn_change *to)
{
	_cleanup_(sidep) struct side old = { 0 };
	_cleanup_(sidep) struct side new = { 0 };
	int r = 0;

	if (from)
		r = load_base(w, from, was, &old);
	if (r == 0 && to)
		r = load_branch(w, to, &new);
	return r < 0 ? left_out(w, r, from ? from : to->path) : write_file(w, &old, &new);
}

static int write_rename(struct writer *w, const char *from, const char *path,
			const struct cairn_attr *was)
{
	_cleanup_(sidep) struct side old = { 0 };
	struct side new;
	char *name = strdup(path + 1);
	int r;

	if (!name)
		return -ENOMEM;
	old.mode = git_mode(was->mode);
	old.name = strdup(from + 1);
	new = old;
	new.name = name;
	old.data = calloc(1, 1);
	new.data = old.data;
	r = old.name && old.data ? write_file(w, &old, &new) : -ENOMEM;
	free(name);
	return r;
}

struct names {
	char **list;
	size_t count;
};

static void namesp(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->list[i]);
	free(names->list);
}

static int collect(void *arg, const struct cairn_base_entry *entry)
{
	struct names *names = arg;
	void *list = reallocarray(names->list, names->count + 1, sizeof(char *));

	if (!list)
		return -ENOMEM;
	names->list = list;
	names->list[names->count] = strndup(entry->name, entry->name_len);
	return names->list[names->count++] ? 0 : -ENOMEM;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Files below a directory of the base: deleted, or, where `to` says so, renamed with it. */
static int write_below(struct writer *w, const char *from, uint64_t dir, const char *to);

/* A directory that is only gone through is not: what lies in it may be as it was. */
static bool is_changed(const struct writer *w, const char *path)
{
	void *at = NULL;

	if (cairn_names_get(&w->changes->places, path, &at)) {
		const struct cairn_change *c = at;

		return !S_ISDIR(c->now.mode) || !c->in_place;
	}
	return cairn_names_get(&w->changes->whiteouts, path, NULL);
}

/* What has an entry of its own in the branch, or was renamed from here, is another change. */
static int write_one_below(struct writer *w, const char *from, uint64_t dir, const char *to,
			   const char *name)
{
	_cleanup_(cairn_freep) char *path = NULL, *target = NULL;
	struct cairn_base *base = w->branch->base;
	struct cairn_attr attr = { 0 };
	int r;

	if (asprintf(&path, "%s/%s", from, name) < 0)
		return -ENOMEM;
	if (to && asprintf(&target, "%s/%s", to, name) < 0)
		return -ENOMEM;
	if (cairn_names_get(&w->changes->moved, path, NULL))
		return 0;
	r = base->ops->lookup(base, dir, name, strlen(name), &attr);
	if (r < 0)
		return r == -ENOENT ? 0 : failed(w, r, path);
	if (to && is_changed(w, path))
		return 0;
	if (S_ISDIR(attr.mode))
		return write_below(w, path, attr.ino, target);
	if (!git_mode(attr.mode)) {
		w->left_out++;
		return 0;
	}
	return to ? write_rename(w, path, target, &attr) : write_sides(w, path, &attr, NULL);
}

static int write_below(struct writer *w, const char *from, uint64_t dir, const char *to)
{
	_cleanup_(namesp) struct names names = { 0 };
	int r;

	r = w->branch->base->ops->list(w->branch->base, dir, collect, &names);
	if (r < 0)
		return failed(w, r, from);
	if (names.count > 1)
		qsort(names.list, names.count, sizeof(*names.list), by_name);
	for (size_t i = 0; r == 0 && i < names.count; i++)
		r = write_one_below(w, from, dir, to, names.list[i]);
	return r;
}

static int write_deleted(struct writer *w, const char *from, const struct cairn_attr *was)
{
	if (S_ISDIR(was->mode))
		return write_below(w, from, was->ino, NULL);
	if (git_mode(was->mode))
		return write_sides(w, from, was, NULL);
	w->left_out++;
	return 0;
}

static bool is_file(const struct cairn_change *c)
{
	return git_mode(c->now.mode) != 0;
}

/* Whether the old name of what was renamed has something else by now. */
static bool is_taken(const struct writer *w, const struct cairn_change *c)
{
	return cairn_names_get(&w->changes->places, c->from, NULL);
}

/* What goes, in the first round, so that there is room for what comes. */
static int write_going(struct writer *w, const struct cairn_change *c)
{
	switch (c->kind) {
	case CAIRN_CHANGE_DELETED:
		return write_deleted(w, c->from, &c->was);
	case CAIRN_CHANGE_TYPE:
		return write_deleted(w, c->place, &c->there);
	case CAIRN_CHANGE_RENAMED:
		if (!is_file(c) || !c->replaces)
			return 0;
		if ((c->there.mode & S_IFMT) != (c->now.mode & S_IFMT)) {
			int r = write_deleted(w, c->place, &c->there);

			if (r != 0)
				return r;
		}
		return is_taken(w, c) ? 0 : write_deleted(w, c->from, &c->was);
	default:
		return 0;
	}
}

static int write_renamed(struct writer *w, const struct cairn_change *c)
{
	if (S_ISDIR(c->now.mode))
		return write_below(w, c->from, c->was.ino, c->path);
	if (c->replaces && (c->there.mode & S_IFMT) == (c->now.mode & S_IFMT))
		return write_sides(w, c->place, &c->there, c);
	if (c->replaces || is_taken(w, c))
		return write_sides(w, NULL, NULL, c);
	return write_sides(w, c->from, &c->was, c);
}

static int write_modified(struct writer *w, const struct cairn_change *c)
{
	bool moved = strcmp(c->from, c->path) != 0;

	if (!is_file(c)) {
		w->left_out += c->kind == CAIRN_CHANGE_MODIFIED;
		return 0;
	}
	if (!moved && !(c->what & CAIRN_CHANGED_DATA) &&
	    git_mode(c->now.mode) == git_mode(c->was.mode)) {
		w->left_out += c->kind == CAIRN_CHANGE_MODIFIED;
		return 0;
	}
	return write_sides(w, c->from, &c->was, c);
}

static int write_coming(struct writer *w, const struct cairn_change *c)
{
	switch (c->kind) {
	case CAIRN_CHANGE_ADDED:
	case CAIRN_CHANGE_TYPE:
		if (is_file(c))
			return write_sides(w, NULL, NULL, c);
		w->left_out += !S_ISDIR(c->now.mode);
		return 0;
	case CAIRN_CHANGE_NONE:
	case CAIRN_CHANGE_MODIFIED:
		return c->has_was ? write_modified(w, c) : 0;
	case CAIRN_CHANGE_RENAMED:
		if (!is_file(c) && !S_ISDIR(c->now.mode)) {
			w->left_out++;
			return 0;
		}
		return write_renamed(w, c);
	default:
		return 0;
	}
}

int cairn_patch(struct cairn_branch *branch, const struct cairn_changes *changes,
		const char *const *paths, size_t path_count, cairn_patch_fn fn, void *arg,
		size_t *ret_left_out, struct cairn_error *err)
{
	struct writer w = {
		.branch = branch,
		.changes = changes,
		.fn = fn,
		.arg = arg,
		.err = err,
	};
	int r = 0;

	git_libgit2_init();
	for (int round = 0; r == 0 && round < 2; round++) {
		for (size_t i = 0; r == 0 && i < changes->count; i++) {
			const struct cairn_change *c = changes->list[i];

			if (!cairn_change_matches(c, paths, path_count))
				continue;
			r = round == 0 ? write_going(&w, c) : write_coming(&w, c);
		}
	}
	git_libgit2_shutdown();
	if (r == 0)
		*ret_left_out = w.left_out;
	return r;
}
