/* cairnfs kv: the keys and values of a workspace, in AgentFS's table. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/kv_text.h"
#include "mount/json.h"
#include "mount/number.h"
#include "mount/resolve.h"
#include "store/kv.h"
#include "util/utf8.h"

/* Beside those of all commands: what a script tells apart. */
enum {
	EXIT_NO_KEY = 3,
	EXIT_CONFLICT = 4,
};

enum {
	KEY_IF_VERSION = 256,
	KEY_STRING,
	KEY_RAW,
};

#define BUSY_TIMEOUT_MS 5000U
#define TEXT_MAX        (16U << 20) /* bytes of a key or a value, as in libcairnfs */
#define SHOWN_MAX       64U         /* characters of a value in a list on a terminal */

struct kv_args {
	struct cairn_cli_args args; /* WORKSPACE ACTION [KEY [VALUE]] */
	bool has_version;
	uint64_t version;
	bool string, raw, json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct kv_args *in = state->input;

	switch (key) {
	case KEY_IF_VERSION:
		in->has_version = true;
		if (cairn_number_parse(arg, 0, INT64_MAX, &in->version) < 0)
			return cairn_cli_usage_error(in->args.command,
						     "--if-version %s: not a version", arg);
		return 0;
	case KEY_STRING:
		in->string = true;
		return 0;
	case KEY_RAW:
		in->raw = true;
		return 0;
	case 'j':
		in->json = true;
		return 0;
	default:
		return cairn_cli_parse_common(key, arg, state, &in->args);
	}
}

static const struct argp_option option_table[] = {
	{ "if-version", KEY_IF_VERSION, "N", 0,
	  "Change the key only if it has this version, as get --json told it; 0: only if there is "
	  "no such key",
	  0 },
	{ "string", KEY_STRING, NULL, 0, "set: store VALUE as a string whatever it looks like", 0 },
	{ "raw", KEY_RAW, NULL, 0, "get: print what is stored, a string with its quotes", 0 },
	{ "json", 'j', NULL, 0, "Print JSON", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = parse,
	.args_doc = "WORKSPACE get KEY\nWORKSPACE set KEY VALUE\nWORKSPACE del KEY\n"
		    "WORKSPACE list [PREFIX]\nWORKSPACE incr KEY [N]",
	.children = cairn_cli_help,
	.doc = "Read and change the keys and values of a workspace, mounted or not.\vVALUE is "
	       "stored as it is where it is JSON (a number, true, [1,2], {\"a\":1}, \"text\"), and "
	       "as a JSON string otherwise; - reads it from standard input. Each change is atomic "
	       "between all processes, and on the disk when the command returns. The exit status "
	       "is 0, 1 for an error, 2 for wrong usage, 3 where there is no such key, 4 where it "
	       "has another version than --if-version says.",
};

/* A run of the command. */
struct run {
	const struct kv_args *in;
	const char *key; /* NULL: none was given */
	struct cairn_store *store;
	struct cairn_kv *kv;
	struct cairn_error err;
};

static void run_done(struct run *run)
{
	cairn_kv_close(run->kv);
	if (run->store)
		run->store->ops->close(run->store);
}

static int open_workspace(struct run *run, bool read_only)
{
	_cleanup_(cairn_freep) char *path = NULL;
	struct cairn_store_options options = {
		.read_only = read_only,
		.yield_checkpoints = true,
		.busy_timeout_ms = BUSY_TIMEOUT_MS,
	};
	int r;

	r = cairn_resolve_workspace(run->in->args.value[0], &path, NULL, &run->err);
	if (r == 0)
		r = cairn_sqlite_store_open(path, &options, &run->store, &run->err);
	if (r < 0)
		return r;
	return cairn_kv_open(run->store, BUSY_TIMEOUT_MS, true, &run->kv);
}

/* The exit status for a failure. */
static int fail(struct run *run, int r, uint64_t version)
{
	const char *workspace = run->in->args.value[0], *key = run->key ?: "";

	if (r == -ENOENT && run->kv) {
		cairn_cli_fail("there is no key '%s' in %s", key, workspace);
		return EXIT_NO_KEY;
	}
	if (r == -ESTALE) {
		if (version == 0)
			cairn_cli_fail("there is no key '%s' any more; nothing was changed", key);
		else
			cairn_cli_fail("the key '%s' has version %" PRIu64 ", not %" PRIu64
				       ": somebody has changed it; nothing was changed now",
				       key, version, run->in->version);
		return EXIT_CONFLICT;
	}
	if (r == -EAGAIN)
		cairn_error_set(&run->err, r,
				"%s: another process kept it locked for %u seconds; try again "
				"later",
				workspace, CAIRN_KV_BUDGET_MS / 1000);
	return cairn_cli_fail_with(r, &run->err);
}

static const uint64_t *condition(const struct run *run)
{
	return run->in->has_version ? &run->in->version : NULL;
}

static json_t *pair_json(const struct cairn_kv_pair *pair)
{
	json_t *root = json_object();

	json_object_set_new(root, "key", cairn_json_text(pair->key));
	json_object_set_new(root, "value", cairn_kv_text_json(pair->value, pair->size));
	json_object_set_new(root, "version",
			    json_integer((json_int_t)cairn_kv_version_of(pair->value, pair->size)));
	json_object_set_new(root, "created_at", json_integer(pair->created_at));
	json_object_set_new(root, "updated_at", json_integer(pair->updated_at));
	return root;
}

static int print_change(const struct run *run, json_t *value, uint64_t version)
{
	json_t *root = json_object();

	json_object_set_new(root, "key", cairn_json_text(run->key));
	if (value)
		json_object_set_new(root, "value", value);
	json_object_set_new(root, "version", json_integer((json_int_t)version));
	return cairn_cli_print_json(root);
}

/* For a person the line ends; for a program the value is all there is. */
static int print_value(const char *value, size_t size)
{
	fwrite(value, 1, size, stdout);
	if (isatty(STDOUT_FILENO))
		putchar('\n');
	return 0;
}

static int run_get(struct run *run)
{
	_cleanup_(cairn_kv_pair_done) struct cairn_kv_pair pair = { 0 };
	_cleanup_(cairn_freep) char *shown = NULL;
	size_t size;
	int r;

	r = open_workspace(run, true);
	if (r == 0)
		r = cairn_kv_look(run->kv, run->key, &pair);
	if (r < 0)
		return fail(run, r, 0);
	if (run->in->json)
		return cairn_cli_print_json(pair_json(&pair));
	if (run->in->raw)
		return print_value(pair.value, pair.size);
	r = cairn_kv_text_show(pair.value, pair.size, &shown, &size);
	return r < 0 ? fail(run, r, 0) : print_value(shown, size);
}

static int read_input(char **ret, size_t *ret_size)
{
	_cleanup_(cairn_freep) char *text = malloc(TEXT_MAX + 1);
	size_t size;

	if (!text)
		return -ENOMEM;
	size = fread(text, 1, TEXT_MAX + 1, stdin);
	if (ferror(stdin))
		return -EIO;
	if (size > TEXT_MAX)
		return -EFBIG;
	*ret = TAKE_PTR(text);
	*ret_size = size;
	return 0;
}

/* What is to be stored for the argument. */
static int take_value(struct run *run, char **ret)
{
	_cleanup_(cairn_freep) char *input = NULL;
	const char *text = run->in->args.value[3];
	size_t size = strlen(text);
	int r;

	if (strcmp(text, "-") == 0) {
		r = read_input(&input, &size);
		if (r < 0)
			return cairn_error_set(&run->err, r, "standard input: %s", strerror(-r));
		text = input;
	}
	r = cairn_kv_text_store(text, size, run->in->string, ret);
	if (r == -EILSEQ)
		return cairn_error_set(&run->err, r,
				       "the value is no UTF-8 text, and the table holds nothing "
				       "else; encode it, with base64(1) for example");
	return r;
}

static int run_set(struct run *run)
{
	_cleanup_(cairn_freep) char *value = NULL;
	uint64_t version = 0;
	int r;

	r = take_value(run, &value);
	if (r == 0)
		r = open_workspace(run, false);
	if (r == 0)
		r = cairn_kv_set_if(run->kv, run->key, value, condition(run), &version);
	if (r < 0)
		return fail(run, r, version);
	return run->in->json ? print_change(run, NULL, version) : 0;
}

static int run_del(struct run *run)
{
	uint64_t version = 0;
	int r;

	r = open_workspace(run, false);
	if (r == 0)
		r = cairn_kv_delete_if(run->kv, run->key, condition(run), &version);
	if (r < 0)
		return fail(run, r, version);
	return run->in->json ? print_change(run, NULL, version) : 0;
}

static int parse_delta(struct run *run, int64_t *ret)
{
	const char *text = run->in->args.value[3];
	bool negative = text && text[0] == '-';
	uint64_t number = 1;

	if (text && cairn_number_parse(text + negative, 0, INT64_MAX, &number) < 0)
		return cairn_error_set(&run->err, -EINVAL, "'%s' is no whole number to add", text);
	*ret = negative ? -(int64_t)number : (int64_t)number;
	return 0;
}

static int run_incr(struct run *run)
{
	uint64_t version = 0;
	int64_t delta = 1, number = 0;
	int r;

	r = parse_delta(run, &delta);
	if (r == 0)
		r = open_workspace(run, false);
	if (r < 0)
		return fail(run, r, 0);
	r = cairn_kv_add_if(run->kv, run->key, delta, condition(run), &number, &version);
	if (r == -EINVAL)
		cairn_error_set(&run->err, r, "the value of '%s' is no whole number, and stays",
				run->key);
	if (r == -ERANGE)
		cairn_error_set(&run->err, r, "the value of '%s' would not fit 64 bits, and stays",
				run->key);
	if (r < 0)
		return fail(run, r, version);
	if (run->in->json)
		return print_change(run, json_integer(number), version);
	printf("%" PRId64 "\n", number);
	return 0;
}

static void print_line(const struct cairn_kv_pair *pair, bool on_terminal)
{
	cairn_cli_bold(stdout, true);
	cairn_cli_print_escaped(stdout, pair->key, strlen(pair->key), SIZE_MAX);
	cairn_cli_bold(stdout, false);
	putchar('\t');
	cairn_cli_print_escaped(stdout, pair->value, pair->size,
				on_terminal ? SHOWN_MAX : SIZE_MAX);
	putchar('\n');
}

static int run_list(struct run *run)
{
	_cleanup_(cairn_kv_list_done) struct cairn_kv_list list = { 0 };
	json_t *root;
	int r;

	r = open_workspace(run, true);
	if (r == 0)
		r = cairn_kv_list(run->kv, run->key ?: "", &list);
	if (r < 0)
		return fail(run, r, 0);
	if (!run->in->json) {
		for (size_t i = 0; i < list.count; i++)
			print_line(&list.pairs[i], isatty(STDOUT_FILENO));
		return 0;
	}
	root = json_array();
	for (size_t i = 0; i < list.count; i++)
		json_array_append_new(root, pair_json(&list.pairs[i]));
	return cairn_cli_print_json(root);
}

static const struct action {
	const char *name;
	unsigned int least, most; /* arguments after it */
	const char *names;
	bool changes;
	int (*run)(struct run *run);
} action_table[] = {
	{ "get", 1, 1, "KEY", false, run_get },      { "set", 2, 2, "KEY VALUE", true, run_set },
	{ "del", 1, 1, "KEY", true, run_del },       { "list", 0, 1, "[PREFIX]", false, run_list },
	{ "incr", 1, 2, "KEY [N]", true, run_incr },
};

static int check_usage(const struct kv_args *in, const struct action *action)
{
	const char *command = in->args.command, *key = in->args.value[2];

	if (!action)
		return cairn_cli_usage_error(command, "there is no action '%s'", in->args.value[1]);
	if (in->args.count < 2 + action->least || in->args.count > 2 + action->most)
		return cairn_cli_usage_error(command, "%s takes %s", action->name, action->names);
	if (in->has_version && !action->changes)
		return cairn_cli_usage_error(command, "--if-version is for what changes a key");
	if (in->string && action->run != run_set)
		return cairn_cli_usage_error(command, "--string is for set");
	if (in->raw && (action->run != run_get || in->json))
		return cairn_cli_usage_error(command, "--raw is for get without --json");
	if (key && !cairn_utf8_valid(key, strlen(key)))
		return cairn_cli_usage_error(command, "the key is no UTF-8 text");
	return 0;
}

static const struct action *find_action(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(action_table); i++)
		if (strcmp(action_table[i].name, name) == 0)
			return &action_table[i];
	return NULL;
}

int cairn_cmd_kv(int argc, char **argv)
{
	struct kv_args in = {
		.args = { .command = "cairnfs kv",
			  .names = "WORKSPACE ACTION ...",
			  .want = 4,
			  .optional = 2 },
	};
	_cleanup_(run_done) struct run run = { .in = &in };
	_cleanup_(cairn_freep) char **sorted = NULL;
	const struct action *action;
	int r;

	sorted = cairn_cli_numbers_last(&argc, argv, "--if-version");
	if (!sorted)
		return cairn_cli_fail("out of memory");
	r = cairn_cli_parse(&argp, argc, sorted, &in);
	if (r != 0)
		return r;
	action = find_action(in.args.value[1]);
	if (check_usage(&in, action) != 0)
		return CAIRN_EXIT_USAGE;
	run.key = in.args.value[2];
	return action->run(&run);
}
