#include "mount/mountinfo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "mount/number.h"
#include "util/macro.h"

static void entry_done(struct cairn_mount_entry *entry)
{
	free(TAKE_PTR(entry->directory));
	free(TAKE_PTR(entry->type));
	free(TAKE_PTR(entry->source));
	free(TAKE_PTR(entry->options));
}

void cairn_mount_table_done(struct cairn_mount_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		entry_done(&table->entries[i]);
	free(TAKE_PTR(table->entries));
	table->count = 0;
}

static bool is_octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' &&
	       s[2] <= '7';
}

/* Undoes the kernel's mangle(): space, tab, newline, '\' and '#' stand there as \ooo. In place. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && is_octal(s + 1)) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

static char *take_field(char *field)
{
	char *copy = strdup(field);

	if (copy)
		unescape(copy);
	return copy;
}

/* The fields of a line, proc(5): id, parent id, major:minor, root, (4) mount point, (5) options,
 * any number of optional fields, "-", then type, source and the options of the file system. */
enum {
	FIELD_DEVICE = 2,
	FIELD_DIRECTORY = 4,
	FIELD_OPTIONS = 5,
	FIELDS_BEFORE_OPTIONAL = 6,
	FIELDS_MAX = 64
};

static size_t split(char *line, char *field[FIELDS_MAX])
{
	size_t n = 0;
	char *at, *save;

	for (at = strtok_r(line, " \n", &save); at && n < FIELDS_MAX;
	     at = strtok_r(NULL, " \n", &save))
		field[n++] = at;
	return n;
}

/* -EINVAL for a line of another format; takes `line` apart. */
static int parse_line(char *line, struct cairn_mount_entry *ret)
{
	_cleanup_(entry_done) struct cairn_mount_entry entry = { 0 };
	size_t n, dash = FIELDS_BEFORE_OPTIONAL;
	char *field[FIELDS_MAX];
	unsigned int major, minor;

	n = split(line, field);
	while (dash < n && strcmp(field[dash], "-") != 0)
		dash++;
	if (dash + 3 >= n || sscanf(field[FIELD_DEVICE], "%u:%u", &major, &minor) != 2)
		return -EINVAL;

	entry.device = makedev(major, minor);
	entry.directory = take_field(field[FIELD_DIRECTORY]);
	entry.type = take_field(field[dash + 1]);
	entry.source = take_field(field[dash + 2]);
	if (!entry.directory || !entry.type || !entry.source)
		return -ENOMEM;
	if (asprintf(&entry.options, "%s,%s", field[FIELD_OPTIONS], field[dash + 3]) < 0) {
		entry.options = NULL;
		return -ENOMEM;
	}
	unescape(entry.options);
	*ret = entry;
	/* NOLINTNEXTLINE(clang-analyzer-deadcode.DeadStores): the cleanup at the end reads it */
	entry = (struct cairn_mount_entry){ 0 };
	return 0;
}

static int table_add(struct cairn_mount_table *table, char *line)
{
	struct cairn_mount_entry *entries;
	int r;

	entries = reallocarray(table->entries, table->count + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	table->entries = entries;
	r = parse_line(line, &entries[table->count]);
	if (r == 0)
		table->count++;
	return r == -EINVAL ? 0 : r;
}

static void file_closep(FILE **file)
{
	if (*file)
		fclose(*file);
}

int cairn_mount_table_read(const char *path, struct cairn_mount_table *ret)
{
	_cleanup_(cairn_mount_table_done) struct cairn_mount_table table = { 0 };
	_cleanup_(cairn_freep) char *line = NULL;
	_cleanup_(file_closep) FILE *file = fopen(path ? path : "/proc/self/mountinfo", "re");
	size_t size = 0;
	int r;

	if (!file)
		return -errno;
	while (getline(&line, &size, file) > 0) {
		r = table_add(&table, line);
		if (r < 0)
			return r;
	}
	if (ferror(file))
		return -EIO;
	*ret = table;
	table = (struct cairn_mount_table){ 0 };
	return 0;
}

const struct cairn_mount_entry *cairn_mount_table_find(const struct cairn_mount_table *table,
						       const char *directory)
{
	for (size_t i = table->count; i > 0; i--) {
		if (strcmp(table->entries[i - 1].directory, directory) == 0)
			return &table->entries[i - 1];
	}
	return NULL;
}

bool cairn_mount_is_ours(const struct cairn_mount_entry *entry)
{
	return strcmp(entry->type, CAIRN_FS_TYPE) == 0;
}

/* A number of the options, which all FUSE mounts have. */
static int id_option(const struct cairn_mount_entry *entry, const char *key, uint32_t *ret)
{
	const char *at = strstr(entry->options, key);
	char digits[16] = "";
	uint64_t id;
	int r;

	if (!at)
		return -ENOENT;
	at += strlen(key);
	strncat(digits, at, MIN(strcspn(at, ","), sizeof(digits) - 1));
	r = cairn_number_parse(digits, 0, UINT32_MAX, &id);
	if (r < 0)
		return r;
	*ret = (uint32_t)id;
	return 0;
}

int cairn_mount_owner(const struct cairn_mount_entry *entry, uid_t *ret)
{
	return id_option(entry, ",user_id=", ret);
}

int cairn_mount_group(const struct cairn_mount_entry *entry, gid_t *ret)
{
	return id_option(entry, ",group_id=", ret);
}
