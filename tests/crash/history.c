#include "history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NEVER UINT64_MAX

/* Between these two tickets a tree was in the state after operation `held`. */
struct span {
	uint64_t from, to;
	uint64_t held;
};

struct spans {
	struct span *list;
	size_t count;
};

void history_init(struct history *history, unsigned int callers, size_t capacity, uint64_t seed)
{
	*history = (struct history){ .count = callers };
	for (unsigned int i = 0; i < callers; i++) {
		struct caller *caller = &history->callers[i];

		caller->base = model_new();
		caller->now = model_clone(caller->base);
		caller->rng.state = seed * HISTORY_CALLERS + i;
		caller->capacity = capacity;
		caller->ops = must_alloc(capacity * sizeof(*caller->ops));
		caller->begun = must_alloc(capacity * sizeof(*caller->begun));
		caller->ended = must_alloc(capacity * sizeof(*caller->ended));
	}
}

void history_clear(struct history *history)
{
	for (unsigned int i = 0; i < history->count; i++) {
		struct caller *caller = &history->callers[i];

		model_free(caller->base);
		model_free(caller->now);
		free(caller->ops);
		free(caller->begun);
		free(caller->ended);
	}
	history->count = 0;
}

static void note_success(struct history *history, struct caller *caller, uint64_t k)
{
	const struct op *op = &caller->ops[k - 1];
	uint64_t durable = atomic_load(&caller->durable);

	model_apply(caller->now, op, k);
	if (history->all_durable || op->kind == OP_WRITE_SYNC)
		durable = k;
	else if (op->kind == OP_FSYNC && model_changed(caller->now, op) > durable)
		durable = model_changed(caller->now, op);
	caller->ended[k - 1] = atomic_fetch_add(&history->ticket, 1);
	atomic_store(&caller->acked, k);
	atomic_store(&caller->durable, durable);
}

int history_step(struct history *history, unsigned int number, run_fn run, void *arg)
{
	struct caller *caller = &history->callers[number];
	uint64_t k = atomic_load(&caller->acked) + 1;
	struct op *op = &caller->ops[k - 1];
	int r;

	if (k > caller->capacity)
		return 1;
	do
		model_draw(caller->now, &caller->rng, history->aligned, op);
	while (history->no_sync && (op->kind == OP_FSYNC || op->kind == OP_WRITE_SYNC));
	caller->ended[k - 1] = NEVER;
	caller->begun[k - 1] = atomic_fetch_add(&history->ticket, 1);
	atomic_store(&caller->started, k);
	r = run(arg, op);
	if (r == 0)
		note_success(history, caller, k);
	return r;
}

void history_all_durable(struct history *history)
{
	for (unsigned int i = 0; i < history->count; i++)
		atomic_store(&history->callers[i].durable, atomic_load(&history->callers[i].acked));
}

void history_before_crash(struct history *history, struct moment *ret)
{
	for (unsigned int i = 0; i < history->count; i++)
		ret->durable[i] = atomic_load(&history->callers[i].durable);
}

void history_after_crash(struct history *history, struct moment *ret)
{
	for (unsigned int i = 0; i < history->count; i++)
		ret->started[i] = atomic_load(&history->callers[i].started);
	ret->ticket = atomic_fetch_add(&history->ticket, 1);
}

static uint64_t digest_of(struct model *model)
{
	struct listing listing = { 0 };
	uint64_t digest;

	model_list(model, &listing);
	digest = listing_digest(&listing);
	listing_clear(&listing);
	return digest;
}

/* The model after `held` operations. */
static struct model *state_after(const struct caller *caller, uint64_t held)
{
	struct model *model = model_clone(caller->base);

	for (uint64_t k = 1; k <= held; k++)
		model_apply(model, &caller->ops[k - 1], k);
	return model;
}

/* All spans in which the tree was as found, from what is durable to what was begun. */
static void find_spans(const struct caller *caller, uint64_t durable, uint64_t started,
		       uint64_t digest, struct spans *ret)
{
	struct model *model = state_after(caller, durable);

	ret->list = must_alloc((started - durable + 1) * sizeof(*ret->list));
	for (uint64_t k = durable;; k++) {
		if (digest_of(model) == digest)
			ret->list[ret->count++] = (struct span){
				.from = k > 0 ? caller->begun[k - 1] : 0,
				.to = k < started ? caller->ended[k] : NEVER,
				.held = k,
			};
		if (k == started)
			break;
		model_apply(model, &caller->ops[k], k + 1);
	}
	model_free(model);
}

static const struct span *span_at(const struct spans *spans, uint64_t ticket)
{
	for (size_t i = 0; i < spans->count; i++)
		if (spans->list[i].from <= ticket && ticket < spans->list[i].to)
			return &spans->list[i];
	return NULL;
}

/* One moment, if there is one, is just after the beginning of some span. */
static bool find_moment(const struct spans *spans, unsigned int count, uint64_t *ret)
{
	for (unsigned int i = 0; i < count; i++) {
		for (size_t j = 0; j < spans[i].count; j++) {
			uint64_t ticket = spans[i].list[j].from;
			unsigned int fit = 0;

			while (fit < count && span_at(&spans[fit], ticket))
				fit++;
			if (fit < count)
				continue;
			for (unsigned int c = 0; c < count; c++)
				ret[c] = span_at(&spans[c], ticket)->held;
			return true;
		}
	}
	return false;
}

/* The state between `first` and `last` that the tree is nearest to. */
static uint64_t find_nearest(const struct caller *caller, uint64_t first, uint64_t last,
			     const struct listing *found)
{
	unsigned int best = UINT32_MAX, count;
	uint64_t nearest = first;

	for (uint64_t k = first; k <= last; k++) {
		struct model *model = state_after(caller, k);
		struct listing listing = { 0 };

		model_list(model, &listing);
		listing_digest(&listing);
		count = listing_diff(NULL, &listing, found);
		if (count < best) {
			best = count;
			nearest = k;
		}
		listing_clear(&listing);
		model_free(model);
	}
	return nearest;
}

/* Shows how far the tree is from the state it comes nearest to, and what was done around there. */
static void explain(FILE *out, const struct caller *caller, unsigned int number, uint64_t durable,
		    uint64_t started, const struct listing *found)
{
	uint64_t nearest = find_nearest(caller, durable, started, found);
	uint64_t from = nearest > 10 ? nearest - 10 : 0;
	struct model *model = state_after(caller, nearest);
	struct listing listing = { 0 };

	fprintf(out,
		"caller %u: the tree is no state from operation %" PRIu64 " (durable) to %" PRIu64
		" (begun); nearest is %" PRIu64 ":\n",
		number, durable, started, nearest);
	model_list(model, &listing);
	listing_digest(&listing);
	listing_diff(out, &listing, found);
	listing_clear(&listing);
	model_free(model);
	for (uint64_t k = from; k < started && k < from + 20; k++)
		fprintf(out, "  %" PRIu64 ": %s %s %s offset %" PRId64 " length %u\n", k + 1,
			op_name(caller->ops[k].kind), caller->ops[k].path, caller->ops[k].path2,
			caller->ops[k].offset, caller->ops[k].len);
}

/* Whether the tree is some state at all: one that lacks what was durable, or none. */
static void explain_lost(FILE *out, const struct caller *caller, unsigned int number,
			 uint64_t durable, uint64_t digest)
{
	struct spans early = { 0 };

	find_spans(caller, 0, durable, digest, &early);
	if (early.count > 0)
		fprintf(out,
			"caller %u: the tree is the state after operation %" PRIu64
			": durable operations are lost\n",
			number, early.list[early.count - 1].held);
	free(early.list);
}

bool history_match(struct history *history, const struct moment *moment, struct listing *found,
		   uint64_t *ret, FILE *out)
{
	struct spans spans[HISTORY_CALLERS] = { 0 };
	bool all = true, fits = false;

	for (unsigned int i = 0; i < history->count; i++) {
		const struct caller *caller = &history->callers[i];
		uint64_t digest = listing_digest(&found[i]);

		find_spans(caller, moment->durable[i], moment->started[i], digest, &spans[i]);
		if (spans[i].count > 0)
			continue;
		all = false;
		explain(out, caller, i, moment->durable[i], moment->started[i], &found[i]);
		explain_lost(out, caller, i, moment->durable[i], digest);
	}
	if (all)
		fits = find_moment(spans, history->count, ret);
	if (all && !fits) {
		fprintf(out, "the callers' trees are from different moments:\n");
		for (unsigned int i = 0; i < history->count; i++)
			for (size_t j = 0; j < spans[i].count && j < 10; j++)
				fprintf(out,
					"caller %u: after operation %" PRIu64
					", from ticket %" PRIu64 " to %" PRIu64 "\n",
					i, spans[i].list[j].held, spans[i].list[j].from,
					spans[i].list[j].to);
	}
	for (unsigned int i = 0; i < history->count; i++)
		free(spans[i].list);
	return fits;
}

void history_restart(struct history *history, const uint64_t *held)
{
	for (unsigned int i = 0; i < history->count; i++) {
		struct caller *caller = &history->callers[i];
		struct model *model = state_after(caller, held[i]);

		model_forget_changes(model);
		model_free(caller->base);
		model_free(caller->now);
		caller->base = model;
		caller->now = model_clone(model);
		atomic_store(&caller->started, 0);
		atomic_store(&caller->acked, 0);
		atomic_store(&caller->durable, 0);
	}
	atomic_store(&history->ticket, 0);
}
