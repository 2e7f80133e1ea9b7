/* Steps as a file: one JSON object a line, the head first, then the steps and the notes. What is no
 * printable ASCII in a path, and '%', is written as %XX; values are written so as a whole. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "branch/host.h"
#include "store/branch.h"

#define VERSION   1
#define HEAD_MAX  (64U << 10) /* bytes; all but the path of a branch is numbers */
#define LINE_MAX_ (64U << 20) /* attributes make the longest */

static const char *const kinds[CAIRN_STEP_KINDS] = {
	[CAIRN_STEP_TAKE] = "take",   [CAIRN_STEP_PUT] = "put",   [CAIRN_STEP_SWAP] = "swap",
	[CAIRN_STEP_WRITE] = "write", [CAIRN_STEP_ATTR] = "attr", [CAIRN_STEP_TIMES] = "times",
};

static json_t *text_of(const void *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	_cleanup_(cairn_freep) char *text = malloc(3 * len + 1);
	char *to = text;

	if (!text)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = ((const unsigned char *)bytes)[i];

		if (c > 0x20 && c < 0x7f && c != '%') {
			*to++ = (char)c;
			continue;
		}
		*to++ = '%';
		*to++ = digits[c >> 4];
		*to++ = digits[c & 15];
	}
	return json_stringn(text, (size_t)(to - text));
}

static void set_text(json_t *object, const char *key, const char *text)
{
	if (text)
		json_object_set_new(object, key, text_of(text, strlen(text)));
}

static void set_int(json_t *object, const char *key, int64_t value)
{
	json_object_set_new(object, key, json_integer(value));
}

static void set_time(json_t *object, const struct timespec *time)
{
	set_int(object, "sec", time->tv_sec);
	set_int(object, "nsec", time->tv_nsec);
}

static json_t *attr_json(const struct cairn_host_attr *attr)
{
	json_t *object = json_object(), *xattrs;

	if (attr->has_mode)
		set_int(object, "mode", attr->mode);
	if (attr->has_owner) {
		set_int(object, "uid", attr->uid);
		set_int(object, "gid", attr->gid);
	}
	if (attr->has_mtime)
		set_time(object, &attr->mtime);
	if (!attr->has_xattrs)
		return object;
	xattrs = json_object();
	for (size_t i = 0; i < attr->xattrs.count; i++) {
		const struct cairn_xattr_item *item = &attr->xattrs.list[i];
		json_t *name = text_of(item->name, strlen(item->name));

		json_object_set_new(xattrs, json_string_value(name) ?: "",
				    text_of(item->value, item->len));
		json_decref(name);
	}
	json_object_set_new(object, "xattrs", xattrs);
	return object;
}

static json_t *head_json(const struct cairn_steps *steps)
{
	json_t *head = json_object();

	set_int(head, "version", VERSION);
	set_int(head, "id", steps->id);
	set_int(head, "time", steps->time);
	set_int(head, "changes", steps->changes);
	set_int(head, "of", steps->of);
	set_text(head, "source", steps->source);
	set_int(head, "steps", (int64_t)steps->count);
	set_int(head, "notes", (int64_t)steps->note_count);
	return head;
}

static json_t *step_json(const struct cairn_step *step)
{
	json_t *object = json_object();

	json_object_set_new(object, "step", json_string(kinds[step->kind]));
	set_text(object, "path", step->path);
	set_text(object, "before", step->before);
	set_text(object, "file", step->file);
	set_text(object, "from", step->from);
	set_text(object, "old", step->old);
	set_text(object, "other", step->other);
	if (step->dir)
		json_object_set_new(object, "dir", json_true());
	set_int(object, "ino", (int64_t)step->ino);
	set_int(object, "was_ino", (int64_t)step->was);
	if (step->kind == CAIRN_STEP_ATTR || step->kind == CAIRN_STEP_TIMES) {
		json_object_set_new(object, "was", attr_json(&step->was_attr));
		json_object_set_new(object, "is", attr_json(&step->attr));
	}
	return object;
}

static json_t *note_json(const struct cairn_host_note *note)
{
	json_t *object = json_object();

	set_text(object, "note", note->path);
	json_object_set_new(object, "loose", json_boolean(note->loose));
	json_object_set_new(object, "made", json_boolean(note->made));
	set_int(object, "mode", note->mode);
	set_int(object, "uid", note->uid);
	set_int(object, "gid", note->gid);
	set_int(object, "size", note->size);
	set_time(object, &note->mtime);
	return object;
}

static void filep(FILE **file)
{
	if (*file)
		fclose(*file);
}

static int put_line(FILE *file, json_t *object)
{
	int r = object ? json_dumpf(object, file, JSON_COMPACT) : -1;

	json_decref(object);
	return r < 0 || putc_unlocked('\n', file) == EOF ? -1 : 0;
}

static int write_lines(FILE *file, const struct cairn_steps *steps)
{
	int r = put_line(file, head_json(steps));

	for (size_t i = 0; r == 0 && i < steps->count; i++)
		r = put_line(file, step_json(&steps->list[i]));
	for (size_t i = 0; r == 0 && i < steps->note_count; i++)
		r = put_line(file, note_json(&steps->notes[i]));
	return r < 0 || fflush(file) != 0 ? -(errno ? errno : EIO) : 0;
}

int cairn_host_journal_write(int dir, const char *name, const struct cairn_steps *steps)
{
	_cleanup_(filep) FILE *file = NULL;
	int fd, r;

	fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "w");
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	errno = 0;
	r = write_lines(file, steps);
	return r == 0 && fsync(fd) < 0 ? -errno : r;
}

/* Reading. Nothing of it is believed. */

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes of a text, with a NUL behind them. */
static int bytes_of(const json_t *json, char **ret, size_t *ret_len)
{
	const char *text = json_string_value(json);
	_cleanup_(cairn_freep) char *bytes = NULL;
	char *to;

	if (!text)
		return -EINVAL;
	to = bytes = malloc(strlen(text) + 1);
	if (!bytes)
		return -ENOMEM;
	for (; *text; text++) {
		int high, low;

		if (*text != '%') {
			*to++ = *text;
			continue;
		}
		high = digit(text[1]);
		low = high < 0 ? -1 : digit(text[2]);
		if (low < 0)
			return -EINVAL;
		*to++ = (char)(high << 4 | low);
		text += 2;
	}
	*to = '\0';
	*ret_len = (size_t)(to - bytes);
	*ret = TAKE_PTR(bytes);
	return 0;
}

/* "/", or names that lead down and not into the hidden folder. */
static bool is_path(const char *path, size_t len)
{
	if (path[0] != '/' || strlen(path) != len || len >= CAIRN_BASE_PATH_MAX)
		return false;
	for (const char *name = path + 1; path[1]; name += strcspn(name, "/") + 1) {
		size_t size = strcspn(name, "/");

		if (size == 0 || size > NAME_MAX || (size == 1 && name[0] == '.') ||
		    (size == 2 && name[0] == '.' && name[1] == '.'))
			return false;
		if (name == path + 1 && size == strlen(CAIRN_BASE_HIDDEN) &&
		    strncmp(name, CAIRN_BASE_HIDDEN, size) == 0)
			return false;
		if (!name[size])
			break;
	}
	return true;
}

/* "12-3" */
static bool is_file(const char *name, size_t len)
{
	size_t id = strspn(name, "0123456789"), number;

	if (id == 0 || id > 19 || name[id] != '-')
		return false;
	number = strspn(name + id + 1, "0123456789");
	return number > 0 && number <= 10 && id + 1 + number == len && !name[len];
}

/* Without the key, none. */
static int get_text(const json_t *object, const char *key, bool (*check)(const char *, size_t),
		    char **ret)
{
	const json_t *json = json_object_get(object, key);
	_cleanup_(cairn_freep) char *bytes = NULL;
	size_t len;
	int r;

	if (!json)
		return 0;
	r = bytes_of(json, &bytes, &len);
	if (r < 0)
		return r;
	if (strlen(bytes) != len || (check && !check(bytes, len)))
		return -EINVAL;
	*ret = TAKE_PTR(bytes);
	return 0;
}

static int get_int(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *ret)
{
	const json_t *json = json_object_get(object, key);
	int64_t value = json_integer_value(json);

	if (!json_is_integer(json) || value < min || value > max)
		return -EINVAL;
	*ret = value;
	return 0;
}

static int get_time(const json_t *object, struct timespec *ret)
{
	int64_t sec, nsec;
	int r;

	r = get_int(object, "sec", INT64_MIN, INT64_MAX, &sec);
	if (r == 0)
		r = get_int(object, "nsec", 0, 999999999, &nsec);
	if (r == 0)
		*ret = (struct timespec){ .tv_sec = sec, .tv_nsec = nsec };
	return r;
}

static int get_owner(const json_t *object, uid_t *ret_uid, gid_t *ret_gid)
{
	int64_t uid, gid;
	int r;

	r = get_int(object, "uid", 0, UINT32_MAX, &uid);
	if (r == 0)
		r = get_int(object, "gid", 0, UINT32_MAX, &gid);
	if (r < 0)
		return r;
	*ret_uid = (uid_t)uid;
	*ret_gid = (gid_t)gid;
	return 0;
}

static int get_xattrs(const json_t *xattrs, struct cairn_xattr_list *ret)
{
	const char *key;
	json_t *json;
	int r = 0;

	if (!json_is_object(xattrs))
		return -EINVAL;
	json_object_foreach((json_t *)xattrs, key, json)
	{
		_cleanup_(cairn_freep) char *value = NULL, *name = NULL;
		json_t *coded = json_string(key);
		size_t len, name_len;

		r = bytes_of(coded, &name, &name_len);
		json_decref(coded);
		if (r == 0)
			r = bytes_of(json, &value, &len);
		if (r == 0 && (strlen(name) != name_len || !cairn_base_xattr_is_shown(name) ||
			       name_len > NAME_MAX || len > CAIRN_XATTR_MAX))
			r = -EINVAL;
		if (r == 0)
			r = cairn_xattr_list_add(ret, name, value, len);
		if (r < 0)
			return r;
	}
	return 0;
}

static int get_attr(const json_t *object, struct cairn_host_attr *ret)
{
	const json_t *xattrs = json_object_get(object, "xattrs");
	int64_t mode = 0;
	int r = json_is_object(object) ? 0 : -EINVAL;

	ret->has_mode = json_object_get(object, "mode");
	ret->has_owner = json_object_get(object, "uid");
	ret->has_mtime = json_object_get(object, "sec");
	ret->has_xattrs = xattrs;
	if (r == 0 && ret->has_mode)
		r = get_int(object, "mode", 0, 07777, &mode);
	ret->mode = (mode_t)mode;
	if (r == 0 && ret->has_owner)
		r = get_owner(object, &ret->uid, &ret->gid);
	if (r == 0 && ret->has_mtime)
		r = get_time(object, &ret->mtime);
	return r == 0 && xattrs ? get_xattrs(xattrs, &ret->xattrs) : r;
}

/* What each kind cannot do without. */
static bool is_whole(const struct cairn_step *step)
{
	switch (step->kind) {
	case CAIRN_STEP_TAKE:
	case CAIRN_STEP_PUT:
	case CAIRN_STEP_SWAP:
		return step->path && step->path[1] && step->file;
	case CAIRN_STEP_WRITE:
		return (step->path || step->file) && step->from && step->old;
	case CAIRN_STEP_ATTR:
		return step->path;
	case CAIRN_STEP_TIMES:
		return step->path || step->before;
	case CAIRN_STEP_KINDS:
		break;
	}
	return false;
}

static int read_step(const json_t *object, struct cairn_steps *steps)
{
	const char *word = json_string_value(json_object_get(object, "step"));
	unsigned int kind = 0;
	struct cairn_step *step;
	int64_t ino, was;
	int r;

	while (word && kind < CAIRN_STEP_KINDS && strcmp(word, kinds[kind]) != 0)
		kind++;
	if (!word || kind == CAIRN_STEP_KINDS)
		return -EINVAL;
	step = cairn_steps_add(steps, (enum cairn_step_kind)kind);
	r = step ? get_text(object, "path", is_path, &step->path) : -ENOMEM;
	if (r == 0)
		r = get_text(object, "before", is_path, &step->before);
	if (r == 0)
		r = get_text(object, "file", is_file, &step->file);
	if (r == 0)
		r = get_text(object, "from", is_file, &step->from);
	if (r == 0)
		r = get_text(object, "old", is_file, &step->old);
	if (r == 0)
		r = get_text(object, "other", is_path, &step->other);
	if (r == 0)
		r = get_int(object, "ino", INT64_MIN, INT64_MAX, &ino);
	if (r == 0)
		r = get_int(object, "was_ino", INT64_MIN, INT64_MAX, &was);
	if (r < 0)
		return r;
	step->dir = json_is_true(json_object_get(object, "dir"));
	step->ino = (uint64_t)ino;
	step->was = (uint64_t)was;
	if (!is_whole(step))
		return -EINVAL;
	if (kind != CAIRN_STEP_ATTR && kind != CAIRN_STEP_TIMES)
		return 0;
	r = get_attr(json_object_get(object, "was"), &step->was_attr);
	return r < 0 ? r : get_attr(json_object_get(object, "is"), &step->attr);
}

static int read_note(const json_t *object, struct cairn_steps *steps)
{
	_cleanup_(cairn_freep) char *path = NULL;
	struct cairn_host_note *note;
	int64_t mode = 0, size = 0;
	int r;

	r = get_text(object, "note", is_path, &path);
	if (r == 0 && !path)
		r = -EINVAL;
	if (r == 0)
		r = get_int(object, "mode", 0, S_IFMT | 07777, &mode);
	if (r == 0)
		r = get_int(object, "size", 0, INT64_MAX, &size);
	if (r < 0)
		return r;
	note = cairn_steps_note(steps, path);
	if (!note)
		return -ENOMEM;
	note->mode = (mode_t)mode;
	note->size = size;
	note->loose = json_is_true(json_object_get(object, "loose"));
	note->made = json_is_true(json_object_get(object, "made"));
	r = get_owner(object, &note->uid, &note->gid);
	return r < 0 ? r : get_time(object, &note->mtime);
}

struct counts {
	int64_t steps, notes;
};

static int read_head(const json_t *object, struct cairn_steps *steps, struct counts *ret)
{
	int64_t version;
	int r;

	r = get_int(object, "version", VERSION, VERSION, &version);
	if (r == 0)
		r = get_int(object, "id", 1, INT64_MAX, &steps->id);
	if (r == 0)
		r = get_int(object, "time", INT64_MIN, INT64_MAX, &steps->time);
	if (r == 0)
		r = get_int(object, "changes", 0, INT64_MAX, &steps->changes);
	if (r == 0)
		r = get_int(object, "of", 0, INT64_MAX, &steps->of);
	if (r == 0)
		r = get_text(object, "source", NULL, &steps->source);
	if (r == 0 && !steps->source)
		r = -EINVAL;
	if (r == 0)
		r = get_int(object, "steps", 0, INT64_MAX, &ret->steps);
	return r < 0 ? r : get_int(object, "notes", 0, INT64_MAX, &ret->notes);
}

static int read_line(const char *line, size_t len, struct cairn_steps *steps)
{
	json_t *object = json_loadb(line, len, 0, NULL);
	int r;

	if (!json_is_object(object))
		r = -EINVAL;
	else if (json_object_get(object, "note"))
		r = read_note(object, steps);
	else
		r = read_step(object, steps);
	json_decref(object);
	return r;
}

struct line {
	char *text;
	size_t len, size;
};

static void linep(struct line *line)
{
	free(line->text);
}

/* 1 with the next line, its newline included; 0 at the end. -EINVAL for one of more than `max`
 * bytes, before there is memory for it. */
static int next_line(FILE *file, size_t max, struct line *line)
{
	int c = 0;

	line->len = 0;
	while (c != '\n' && (c = getc_unlocked(file)) != EOF) {
		if (line->len == max)
			return -EINVAL;
		if (line->len == line->size) {
			size_t size = line->size ? 2 * line->size : 4096;
			char *text = realloc(line->text, size);

			if (!text)
				return -ENOMEM;
			line->text = text;
			line->size = size;
		}
		line->text[line->len++] = (char)c;
	}
	return ferror(file) ? -EIO : line->len > 0;
}

static int read_lines(FILE *file, bool head_only, struct cairn_steps *steps)
{
	_cleanup_(linep) struct line line = { 0 };
	struct counts counts = { 0 };
	json_t *head;
	int r, more;

	more = next_line(file, HEAD_MAX, &line);
	if (more < 0)
		return more;
	head = more > 0 ? json_loadb(line.text, line.len, 0, NULL) : NULL;
	r = head ? read_head(head, steps, &counts) : -EINVAL;
	json_decref(head);
	if (head_only)
		return r;
	while (r == 0 && (more = next_line(file, LINE_MAX_, &line)) > 0)
		r = read_line(line.text, line.len, steps);
	if (r == 0)
		r = more;
	if (r == 0 &&
	    ((int64_t)steps->count != counts.steps || (int64_t)steps->note_count != counts.notes))
		r = -EINVAL;
	return r;
}

int cairn_host_journal_read(int dir, const char *name, bool head, struct cairn_steps *ret)
{
	_cleanup_(cairn_steps_free) struct cairn_steps steps = { 0 };
	_cleanup_(filep) FILE *file = NULL;
	int fd, r;

	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	r = read_lines(file, head, &steps);
	if (r < 0)
		return r;
	*ret = steps;
	steps = (struct cairn_steps){ 0 };
	return 0;
}
