#include "cli/cli.h"

#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/progress.h"
#include "mount/live.h"
#include "mount/resolve.h"
#include "store/clone.h"

#define BUSY_TIMEOUT_MS 5000U

void cairn_cli_print_path(FILE *to, const char *text)
{
	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			fprintf(to, "\\x%02x", (unsigned char)*c);
		else
			fputc(*c, to);
	}
}

/* One line, whatever names are in it. */
static void print_error(const char *fmt, va_list ap)
{
	_cleanup_(cairn_freep) char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	fputs("cairnfs: ", stderr);
	cairn_cli_print_path(stderr, text ?: "out of memory");
}

int cairn_cli_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_error(fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return CAIRN_EXIT_FAILURE;
}

int cairn_cli_fail_with(int r, const struct cairn_error *err)
{
	return cairn_cli_fail("%s", err->text[0] ? err->text : strerror(-r));
}

int cairn_cli_usage_error(const char *command, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_error(fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see %s --help\n", command);
	return EINVAL;
}

enum { KEY_USAGE = 1000 };

static error_t parse_help(int key, char *arg, struct argp_state *state)
{
	const struct cairn_cli_args *args = state->input;

	if (key == '?' || key == KEY_USAGE) {
		state->name = (char *)args->command;
		argp_state_help(state, state->out_stream,
				key == '?' ? ARGP_HELP_STD_HELP
					   : ARGP_HELP_USAGE | ARGP_HELP_EXIT_OK);
	} else if (key == 'V') {
		puts("cairnfs " CAIRNFS_VERSION);
		exit(0);
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_option help_option_table[] = {
	{ "help", '?', NULL, 0, "Print this help", -1 },
	{ "usage", KEY_USAGE, NULL, 0, "Print the options in short", -1 },
	{ "version", 'V', NULL, 0, "Print the version", -1 },
	{ 0 },
};

static const struct argp help_argp = {
	.options = help_option_table,
	.parser = parse_help,
};

const struct argp_child cairn_cli_help[] = {
	{ .argp = &help_argp },
	{ 0 },
};

error_t cairn_cli_parse_common(int key, char *arg, struct argp_state *state,
			       struct cairn_cli_args *args)
{
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args;
		/* argp's second line ("Try ...") goes nowhere, and no error exits. */
		state->err_stream = NULL;
		return 0;
	case 'j':
		args->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (args->count == args->want)
			return cairn_cli_usage_error(args->command, "unexpected argument '%s'",
						     arg);
		args->value[args->count++] = arg;
		return 0;
	case ARGP_KEY_END:
		if (args->count + args->optional < args->want)
			return cairn_cli_usage_error(args->command, "too few arguments, not %s",
						     args->names);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

error_t cairn_cli_parse_plain(int key, char *arg, struct argp_state *state)
{
	return cairn_cli_parse_common(key, arg, state, state->input);
}

int cairn_cli_parse(const struct argp *argp, int argc, char **argv, void *input)
{
	return argp_parse(argp, argc, argv, ARGP_NO_HELP, NULL, input) == 0 ? 0 : CAIRN_EXIT_USAGE;
}

static int print_json(json_t *root, size_t flags)
{
	_cleanup_(cairn_freep) char *text = json_dumps(root, flags);

	json_decref(root);
	if (!text)
		return cairn_cli_fail("out of memory");
	puts(text);
	return 0;
}

int cairn_cli_print_json(json_t *root)
{
	return print_json(root, JSON_INDENT(2));
}

int cairn_cli_print_json_line(json_t *root)
{
	return print_json(root, JSON_COMPACT);
}

void cairn_cli_user_name(uid_t uid, char ret_name[CAIRN_USER_NAME_MAX])
{
	const struct passwd *user = getpwuid(uid);

	if (user)
		snprintf(ret_name, CAIRN_USER_NAME_MAX, "%s", user->pw_name);
	else
		snprintf(ret_name, CAIRN_USER_NAME_MAX, "%u", uid);
}

/* The directory of `path`, as a new string where it was missing and is made. */
static int make_directory(const char *path, char **ret_made, struct cairn_error *err)
{
	_cleanup_(cairn_freep) char *dir = strndup(path, (size_t)(strrchr(path, '/') - path));

	if (!dir)
		return -ENOMEM;
	if (mkdir(dir, 0777) == 0)
		*ret_made = TAKE_PTR(dir);
	else if (errno != EEXIST)
		return cairn_error_set(err, -errno, "the directory %s cannot be made: %m", dir);
	return 0;
}

int cairn_cli_new_workspace(const char *workspace, char **ret_path, char **ret_made_dir,
			    struct cairn_error *err)
{
	_cleanup_(cairn_freep) char *path = NULL;
	bool is_id;
	int r;

	*ret_made_dir = NULL;
	r = cairn_resolve_workspace(workspace, &path, &is_id, err);
	if (r == 0 && is_id)
		r = make_directory(path, ret_made_dir, err);
	if (r == 0)
		*ret_path = TAKE_PTR(path);
	return r;
}

int cairn_cli_copy(const char *workspace, const char *to, bool force,
		   struct cairn_clone_result *ret, struct cairn_error *err)
{
	_cleanup_(cairn_progress_end) struct cairn_progress progress = { 0 };
	const struct cairn_clone_options options = {
		.force = force,
		.busy_timeout_ms = BUSY_TIMEOUT_MS,
		.progress = cairn_progress_bytes,
		.arg = &progress,
	};
	int r;

	r = cairn_live_settle(workspace, err);
	if (r < 0)
		return r;
	cairn_progress_begin(&progress, "copying");
	return cairn_clone(workspace, to, &options, ret, err);
}

static bool is_negative_number(const char *arg)
{
	return arg[0] == '-' && arg[1] >= '0' && arg[1] <= '9';
}

/* An option of which the value comes next, perhaps abbreviated. */
static bool takes_next(const char *arg, const char *with_value)
{
	return strlen(arg) > 2 && strncmp(arg, with_value, strlen(arg)) == 0;
}

char **cairn_cli_numbers_last(int *argc, char **argv, const char *with_value)
{
	_cleanup_(cairn_freep) char **others = calloc((size_t)*argc + 1, sizeof(*others));
	char **sorted = calloc((size_t)*argc + 2, sizeof(*sorted));
	int options = 0, count = 0;
	bool no_more = false;

	if (!others || !sorted) {
		free(sorted);
		return NULL;
	}
	sorted[options++] = argv[0];
	for (int i = 1; i < *argc; i++) {
		if (!no_more && strcmp(argv[i], "--") == 0) {
			no_more = true;
		} else if (no_more || argv[i][0] != '-' || !argv[i][1] ||
			   is_negative_number(argv[i])) {
			others[count++] = argv[i];
		} else {
			sorted[options++] = argv[i];
			if (takes_next(argv[i], with_value) && i + 1 < *argc)
				sorted[options++] = argv[++i];
		}
	}
	sorted[options++] = (char *)"--";
	memcpy(sorted + options, others, (size_t)count * sizeof(*sorted));
	*argc = options + count;
	return sorted;
}

void cairn_cli_bold(FILE *to, bool on)
{
	const char *terminal = getenv("TERM");

	if (!isatty(fileno(to)) || getenv("NO_COLOR") || !terminal || strcmp(terminal, "dumb") == 0)
		return;
	fputs(on ? "\033[1m" : "\033[0m", to);
}

static void print_control(FILE *to, unsigned char c)
{
	static const char named[] = "\a\b\t\n\v\f\r", letters[] = "abtnvfr";
	const char *at = c ? strchr(named, c) : NULL;

	if (at)
		fprintf(to, "\\%c", letters[at - named]);
	else
		fprintf(to, "\\x%02x", c);
}

/* The control characters of Unicode's second block, in UTF-8: terminals obey some of them. */
static bool is_control(const unsigned char *text, size_t size)
{
	return text[0] < 0x20 || text[0] == 0x7f ||
	       (size > 1 && text[0] == 0xc2 && text[1] >= 0x80 && text[1] <= 0x9f);
}

void cairn_cli_print_escaped(FILE *to, const char *text, size_t size, size_t max)
{
	const unsigned char *c = (const unsigned char *)text, *end = c + size;

	for (; c < end && max > 0; max--) {
		bool control = is_control(c, (size_t)(end - c));

		do {
			if (control)
				print_control(to, *c);
			else
				fputc(*c, to);
		} while (++c < end && (*c & 0xc0) == 0x80);
	}
	if (c < end)
		fputs("...", to);
}
