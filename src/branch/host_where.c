#include "branch/host_where.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cairn_wherep(const struct cairn_where *where)
{
	free(where->text);
}

void cairn_moves_free(struct cairn_moves *moves)
{
	cairn_names_free(&moves->first);
	cairn_names_free(&moves->last);
}

static bool is_move(const struct cairn_step *step)
{
	return step->kind == CAIRN_STEP_TAKE || step->kind == CAIRN_STEP_PUT ||
	       step->kind == CAIRN_STEP_SWAP;
}

/* `count` is the number of the step, from 1. */
static int note_place(struct cairn_moves *moves, const char *place, size_t count)
{
	struct cairn_name *name;
	int r;

	r = cairn_names_put(&moves->first, place, NULL);
	if (r == 0)
		r = cairn_names_put(&moves->last, place, NULL);
	if (r < 0)
		return r;
	HASH_FIND(hh, moves->first.table, place, strlen(place), name);
	if (name && !name->count)
		name->count = count;
	HASH_FIND(hh, moves->last.table, place, strlen(place), name);
	if (name)
		name->count = count;
	return 0;
}

int cairn_moves_init(struct cairn_moves *moves, const struct cairn_steps *steps)
{
	int r = 0;

	*moves = (struct cairn_moves){ .steps = steps };
	for (size_t i = 0; r == 0 && i < steps->count; i++) {
		const struct cairn_step *step = &steps->list[i];

		if (!is_move(step))
			continue;
		/* Paths begin with a slash, names in kept/ do not. */
		r = note_place(moves, step->path, i + 1);
		if (r == 0)
			r = note_place(moves, step->file, i + 1);
		if (!step->dir)
			continue;
		if (!moves->first_dir)
			moves->first_dir = i + 1;
		moves->last_dir = i + 1;
	}
	return r;
}

static size_t count_of(const struct cairn_names *names, const char *place)
{
	struct cairn_name *name;

	HASH_FIND(hh, names->table, place, strlen(place), name);
	return name ? name->count : 0;
}

static bool is_below(const char *text, const char *top)
{
	size_t len = strlen(top);

	return strncmp(text, top, len) == 0 && (!text[len] || text[len] == '/');
}

static int follow_to(struct cairn_where *where, const char *from, const char *to, bool kept)
{
	char *text;

	if (asprintf(&text, "%s%s", to, where->text + strlen(from)) < 0)
		return -ENOMEM;
	free(where->text);
	where->text = text;
	where->kept = kept;
	return 0;
}

static int follow(struct cairn_where *where, const struct cairn_step *step, bool back)
{
	bool out = step->kind == (back ? CAIRN_STEP_PUT : CAIRN_STEP_TAKE);
	bool in = step->kind == (back ? CAIRN_STEP_TAKE : CAIRN_STEP_PUT);
	bool both = step->kind == CAIRN_STEP_SWAP;

	if (!where->kept && (out || both) && is_below(where->text, step->path))
		return follow_to(where, step->path, step->file, true);
	if (where->kept && (in || both) && is_below(where->text, step->file))
		return follow_to(where, step->file, step->path, false);
	return 0;
}

int cairn_where_after(const struct cairn_moves *moves, size_t i, bool kept, const char *text,
		      struct cairn_where *ret, bool *ret_filled)
{
	const struct cairn_steps *steps = moves->steps;
	struct cairn_where where = { .kept = kept, .text = strdup(text) };
	int r = where.text ? 0 : -ENOMEM;
	size_t end = steps->count;

	if (moves->last_dir <= i + 1 && count_of(&moves->last, text) <= i + 1)
		end = 0;
	for (size_t j = i + 1; r == 0 && j < end; j++) {
		const struct cairn_step *step = &steps->list[j];

		if (ret_filled && step->kind == CAIRN_STEP_PUT && !where.kept &&
		    strcmp(step->path, where.text) == 0)
			*ret_filled = true;
		r = follow(&where, step, false);
	}
	if (r < 0) {
		free(where.text);
		return r;
	}
	*ret = where;
	return 0;
}

int cairn_where_before(const struct cairn_moves *moves, size_t i, bool kept, const char *text,
		       struct cairn_where *ret)
{
	const struct cairn_steps *steps = moves->steps;
	struct cairn_where where = { .kept = kept, .text = strdup(text) };
	size_t first = count_of(&moves->first, text);
	int r = where.text ? 0 : -ENOMEM;

	if ((!moves->first_dir || moves->first_dir > i) && (!first || first > i))
		i = 0;
	for (size_t j = i; r == 0 && j > 0; j--)
		r = follow(&where, &steps->list[j - 1], true);
	if (r < 0) {
		free(where.text);
		return r;
	}
	*ret = where;
	return 0;
}
