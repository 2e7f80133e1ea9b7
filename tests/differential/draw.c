/* Draws operations. The name space is small, so that operations meet the same files again and
 * again; offsets and lengths prefer the edges of pages and chunks. Everything comes from the
 * seed, so that a seed repeats a run. */
#include "differential.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define TEN      "0123456789"
#define FIFTY    TEN TEN TEN TEN TEN
#define LONGEST  FIFTY FIFTY FIFTY FIFTY FIFTY "abcde" /* 255 bytes */
#define TOO_LONG LONGEST "f"

static const char *const names[] = {
	"a",         "b",  "c",        "d",     "e.txt", "f g", "new\nline", "\xc3\xa9t\xc3\xa9",
	"latin\xe9", ".h", "%5f'\"\\", LONGEST,
};

/* No target climbs with "..": it could leave the directory under test. */
static const char *const targets[] = {
	"a", "b", "c", "a/b", "d/a", "./a", "e.txt", "nowhere", "latin\xe9", "\xc3\xa9t\xc3\xa9",
};

/* A set-group-ID bit without group execute is kept or dropped by who asks, which a FUSE server
 * cannot know: no such mode here. */
static const mode_t modes[] = {
	0644, 0600, 0755, 0700, 0777, 0000, 0444, 0640, 01777, 02775, 04755, 06711,
};

static const char *const xattr_names[] = {
	"user.one", "user.two", "user.\xc3\xa9", "trusted.one", "unknown.one",
};

/* splitmix64, Vigna 2015: any seed will do, and it is the same everywhere. */
uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t draw_number(struct world *world, uint64_t limit)
{
	return next_random(&world->random) % limit;
}

static bool one_in(struct world *world, uint64_t n)
{
	return draw_number(world, n) == 0;
}

const char *name_at(uint32_t i)
{
	return i < ARRAY_SIZE(names) ? names[i] : NULL;
}

static const char *draw_name(struct world *world)
{
	if (one_in(world, 400))
		return TOO_LONG;
	return names[draw_number(world, ARRAY_SIZE(names))];
}

static void draw_path(struct world *world, char *path)
{
	static const uint64_t depths[] = { 1, 1, 1, 2, 2, 3 };
	const char *known = world->known[draw_number(world, N_KNOWN)];
	uint64_t depth = depths[draw_number(world, ARRAY_SIZE(depths))];
	size_t used = 0;

	if (known[0] != '\0' && one_in(world, 2)) {
		strcpy(path, known);
		return;
	}

	if (one_in(world, 300)) {
		strcpy(path, ".");
		return;
	}

	for (uint64_t i = 0; i < depth; i++)
		used += (size_t)snprintf(path + used, PATH_LEN - used, "%s%s", i > 0 ? "/" : "",
					 draw_name(world));
	if (one_in(world, 100))
		strcpy(path + used, "/");
}

static int64_t draw_offset(struct world *world)
{
	static const int64_t edges[] = { 4096, 32768, 65536 };
	int64_t edge = edges[draw_number(world, ARRAY_SIZE(edges))];

	switch (draw_number(world, 8)) {
	case 0:
		return 0;
	case 1:
	case 2:
		return (int64_t)draw_number(world, 5) * edge;
	case 3:
	case 4:
		return (int64_t)(1 + draw_number(world, 4)) * edge +
		       (int64_t)draw_number(world, 3) - 1;
	case 5:
		return (int64_t)draw_number(world, 100);
	default:
		return (int64_t)draw_number(world, 300 * 1000);
	}
}

static size_t draw_length(struct world *world)
{
	switch (draw_number(world, 10)) {
	case 0:
		return draw_number(world, 2);
	case 1:
		return 4096;
	case 2:
		return 65536;
	case 3:
		return draw_number(world, MAX_IO);
	default:
		return draw_number(world, 6000);
	}
}

static int draw_open_flags(struct world *world)
{
	static const int accesses[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR };
	int flags = accesses[draw_number(world, ARRAY_SIZE(accesses))];

	flags |= one_in(world, 2) ? O_CREAT : 0;
	flags |= one_in(world, 6) ? O_EXCL : 0;
	flags |= one_in(world, 6) ? O_TRUNC : 0;
	flags |= one_in(world, 5) ? O_APPEND : 0;
	flags |= one_in(world, 15) ? O_DIRECTORY : 0;
	flags |= one_in(world, 15) ? O_NOFOLLOW : 0;
	/* O_EXCL without O_CREAT is undefined, O_CREAT with O_DIRECTORY changed in Linux 6.4. */
	if (!(flags & O_CREAT))
		flags &= ~O_EXCL;
	else
		flags &= ~O_DIRECTORY;
	return flags | O_NONBLOCK | O_CLOEXEC;
}

/* Times lie between 1970 and 2020: before the test, so that they can be told from "now". */
static struct timespec draw_time(struct world *world)
{
	struct timespec t = { .tv_nsec = (long)draw_number(world, 1000 * 1000 * 1000) };

	t.tv_sec = (time_t)draw_number(world, UINT64_C(1577836800));
	if (one_in(world, 6))
		t.tv_nsec = UTIME_NOW;
	else if (one_in(world, 6))
		t.tv_nsec = UTIME_OMIT;
	return t;
}

static uint32_t draw_owner(struct world *world)
{
	static const uint32_t owners[] = { 0, 1, 1000, 65534, UINT32_MAX };
	uint64_t i = draw_number(world, ARRAY_SIZE(owners) + 1);

	return i < ARRAY_SIZE(owners) ? owners[i] : (uint32_t)geteuid();
}

/* A slot in use, mostly; or, for an operation that fills one, any. */
static uint32_t draw_slot(struct world *world, bool any)
{
	uint32_t slot = (uint32_t)draw_number(world, N_SLOTS);

	if (any || one_in(world, 30))
		return slot;
	for (uint32_t i = 0; i < N_SLOTS; i++) {
		uint32_t candidate = (slot + i) % N_SLOTS;

		if (world->a.slots[candidate] >= 0)
			return candidate;
	}
	return slot;
}

static bool is_available(const struct world *world, const struct op_type *type)
{
	if (world->features.grow && (type->uses & SHRINKS))
		return false;
	return world->features.xattr || !(type->uses & USES_XATTR);
}

static uint32_t draw_type(struct world *world)
{
	uint64_t sum = 0, at;

	for (uint32_t i = 0; i < n_op_types; i++)
		sum += is_available(world, &op_types[i]) ? op_types[i].weight : 0;
	at = draw_number(world, sum);
	for (uint32_t i = 0; i < n_op_types; i++) {
		uint32_t weight = is_available(world, &op_types[i]) ? op_types[i].weight : 0;

		if (at < weight)
			return i;
		at -= weight;
	}
	return 0;
}

static int draw_flags(struct world *world, const struct op_type *type)
{
	const struct features *f = &world->features;
	int flags;

	if (type->flags == NULL)
		return draw_open_flags(world);
	flags = type->flags[draw_number(world, type->n_flags)];
	if ((type->uses & IS_RENAME) && (flags & RENAME_EXCHANGE) && !f->exchange)
		return 0;
	if ((type->uses & IS_FALLOCATE) && (flags & FALLOC_FL_PUNCH_HOLE) && !f->punch_hole)
		return 0;
	if ((type->uses & IS_FALLOCATE) && (flags & FALLOC_FL_ZERO_RANGE) && !f->zero_range)
		return 0;
	return flags;
}

static const char *draw_xattr_name(struct world *world)
{
	const char *name = xattr_names[draw_number(world, ARRAY_SIZE(xattr_names))];

	if (strncmp(name, "trusted.", 8) == 0 && !world->features.trusted_xattr)
		return xattr_names[0];
	return name;
}

static void draw_second_path(struct world *world, uint32_t uses, char *path)
{
	if (uses & USES_PATH2)
		draw_path(world, path);
	if (uses & USES_TARGET)
		strcpy(path, targets[draw_number(world, ARRAY_SIZE(targets))]);
	if (uses & USES_XATTR)
		strcpy(path, draw_xattr_name(world));
}

void draw_op(struct world *world, struct op *ret_op)
{
	struct op *op = ret_op;
	const struct op_type *type;

	memset(op, 0, sizeof(*op));
	op->type = draw_type(world);
	type = &op_types[op->type];

	draw_path(world, op->path);
	draw_second_path(world, type->uses, op->path2);
	op->slot = draw_slot(world, type->uses & FREE_SLOT);
	op->slot2 = draw_slot(world, false);
	op->flags = type->uses & USES_FLAGS ? draw_flags(world, type) : 0;
	op->mode = modes[draw_number(world, ARRAY_SIZE(modes))];
	op->uid = draw_owner(world);
	op->gid = draw_owner(world);
	op->offset = draw_offset(world);
	op->offset2 = draw_offset(world);
	op->length = draw_length(world);
	op->times[0] = draw_time(world);
	op->times[1] = draw_time(world);
	op->pattern = draw_number(world, UINT64_MAX);
	op->watched = !one_in(world, 3);
}

void note_success(struct world *world, const struct op *op)
{
	uint32_t uses = op_types[op->type].uses;

	if (uses & USES_PATH2)
		strcpy(world->known[draw_number(world, N_KNOWN)], op->path2);
	else if (uses & USES_PATH)
		strcpy(world->known[draw_number(world, N_KNOWN)], op->path);
}

static void print_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++)
		if (*c < ' ' || *c >= 0x7f || *c == '"' || *c == '\\')
			fprintf(out, "\\%03o", *c);
		else
			fputc(*c, out);
	fputc('"', out);
}

static void print_time(FILE *out, struct timespec t)
{
	if (t.tv_nsec == UTIME_NOW)
		fputs(" now", out);
	else if (t.tv_nsec == UTIME_OMIT)
		fputs(" omit", out);
	else
		fprintf(out, " %jd.%09ld", (intmax_t)t.tv_sec, t.tv_nsec);
}

static void print_numbers(FILE *out, const struct op *op, uint32_t uses)
{
	if (uses & USES_OFFSET)
		fprintf(out, " offset=%" PRId64, op->offset);
	if (uses & USES_SLOT2)
		fprintf(out, " offset2=%" PRId64, op->offset2);
	if (uses & USES_LENGTH)
		fprintf(out, " length=%zu", op->length);
	if (uses & USES_FLAGS)
		fprintf(out, " flags=%#o", (unsigned int)op->flags);
	if (uses & USES_MODE)
		fprintf(out, " mode=%#o", op->mode);
	if (uses & USES_OWNER)
		fprintf(out, " owner=%d:%d", (int)op->uid, (int)op->gid);
	if (uses & USES_TIMES) {
		print_time(out, op->times[0]);
		print_time(out, op->times[1]);
	}
}

char *describe_op(const struct op *op)
{
	const struct op_type *type = &op_types[op->type];
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;

	fputs(type->name, out);
	if (type->uses & USES_SLOT)
		fprintf(out, " [%u]", op->slot);
	if (type->uses & USES_SLOT2)
		fprintf(out, " [%u]", op->slot2);
	if (type->uses & USES_PATH) {
		fputc(' ', out);
		print_quoted(out, op->path);
	}
	if (type->uses & (USES_PATH2 | USES_TARGET | USES_XATTR)) {
		fputc(' ', out);
		print_quoted(out, op->path2);
	}
	print_numbers(out, op, type->uses);
	fclose(out);
	return text;
}
