/* Runs a long random sequence of operations on two directories and stops at the first
 * difference. See differential.h for the parts.
 *
 *	differential --dir-a MOUNT --dir-b PLAIN [--seed N] [--ops N] [--compare-every N]
 *		     [--remount-every N --remount-cmd CMD] [--xattr] [--no-dir-nlink]
 *		     [--go-on SECONDS] [--grow]
 *
 * With --go-on the directories are not empty but alike: left by a run that began at that time
 * (seconds since 1970), or copied from such. With --grow they are filled first, and no operation
 *takes anything away.
 *
 * Exit status: 0 no difference, 1 a difference, 2 the test could not run. */
#include "differential.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define HISTORY 50 /* operations printed on a mismatch */

struct options {
	uint64_t seed, ops, compare_every, remount_every;
	const char *remount_cmd;
	uint64_t go_on; /* when the run began that this one continues; 0: none */
	bool no_dir_nlink;
};

struct history {
	char *lines[HISTORY];
	uint64_t n;
};

static void die(const char *what)
{
	fprintf(stderr, "differential: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* With CAP_FSETID, which root has, a disk file system keeps the set-id bits of a file that is
 * written to. The kernel does not tell a FUSE server who may, so that it clears them for all:
 * without the capability both do the same. */
static void drop_cap_fsetid(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		die("capget");
	data[0].effective &= ~(1U << CAP_FSETID);
	if (syscall(SYS_capset, &header, data) < 0)
		die("capset");
}

static void open_root(struct side *side)
{
	side->root_fd = open(side->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (side->root_fd < 0)
		die(side->root);
}

static void close_side(struct side *side)
{
	for (int i = 0; i < N_SLOTS; i++) {
		if (side->slots[i] >= 0)
			close(side->slots[i]);
		side->slots[i] = -1;
	}
	close(side->root_fd);
}

static void prepare_side(struct side *side)
{
	for (int i = 0; i < N_SLOTS; i++)
		side->slots[i] = -1;
	open_root(side);
}

/* The two roots begin alike. */
static void reset_root(const struct side *side)
{
	static const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };

	if (fchown(side->root_fd, geteuid(), getegid()) < 0 || fchmod(side->root_fd, 0755) < 0 ||
	    futimens(side->root_fd, times) < 0)
		die(side->root);
}

static void begin_alike(const struct world *world, const struct options *o)
{
	if (world->features.grow) {
		grow_tree(&world->a, o->seed);
		grow_tree(&world->b, o->seed);
	}
	reset_root(&world->a);
	reset_root(&world->b);
}

static char *outcome_text(const struct outcome *out)
{
	char *text = NULL;
	int r;

	if (out->result == SKIPPED)
		r = asprintf(&text, "skipped");
	else if (out->result < 0 && out->n_data > 0)
		r = asprintf(&text, "%.*s", (int)out->n_data, (const char *)out->data);
	else if (out->result < 0)
		r = asprintf(&text, "%s", strerrorname_np(out->error));
	else
		r = asprintf(&text, "%ld", out->result);
	return r < 0 ? NULL : text;
}

static void remember(struct history *history, const struct op *op, const struct outcome *out)
{
	char *text = describe_op(op), *outcome = outcome_text(out), **line;

	line = &history->lines[history->n % HISTORY];
	free(*line);
	if (asprintf(line, "%" PRIu64 ": %s = %s", history->n, text, outcome) < 0)
		*line = NULL;
	history->n++;
	free(text);
	free(outcome);
}

static void print_history(const struct history *history)
{
	uint64_t first = history->n > HISTORY ? history->n - HISTORY : 0;

	printf("# the last operations, with what the mount said:\n");
	for (uint64_t i = first; i < history->n; i++)
		printf("#   %s\n", history->lines[i % HISTORY]);
}

static bool same_outcome(const struct outcome *a, const struct outcome *b)
{
	return a->result == b->result && a->error == b->error && a->n_data == b->n_data &&
	       memcmp(a->data, b->data, a->n_data) == 0;
}

static void print_outcomes(const struct outcome *a, const struct outcome *b)
{
	char *text_a = outcome_text(a), *text_b = outcome_text(b);
	size_t i = 0;

	printf("# mount: %s\n# plain: %s\n", text_a, text_b);
	while (i < a->n_data && i < b->n_data && a->data[i] == b->data[i])
		i++;
	if (i < a->n_data || i < b->n_data)
		printf("# %zu and %zu bytes, the first difference is at %zu\n", a->n_data,
		       b->n_data, i);
	if (i < 100 && i < a->n_data && i < b->n_data)
		printf("# from there: %.*s and %.*s\n", (int)strnlen((char *)a->data + i, 40),
		       a->data + i, (int)strnlen((char *)b->data + i, 40), b->data + i);
	free(text_a);
	free(text_b);
}

static void print_stat(const struct world *world, const char *whose, const struct watch *w, int i)
{
	printf("# %s:", whose);
	if (!w->found[i]) {
		printf(" none\n");
		return;
	}
	print_attributes(world, stdout, &w->st[i]);
	printf("; before, after: the mtime is %jd.%09ld, the ctime %jd.%09ld\n",
	       (intmax_t)w->st[i].st_mtim.tv_sec, w->st[i].st_mtim.tv_nsec,
	       (intmax_t)w->st[i].st_ctim.tv_sec, w->st[i].st_ctim.tv_nsec);
}

static void print_watches(const struct world *world, const struct watch a[2],
			  const struct watch b[2], int i)
{
	printf("# the attributes of %s, or whether its times moved, differ\n", watch_name(i));
	print_stat(world, "mount before", &a[0], i);
	print_stat(world, "mount after", &a[1], i);
	print_stat(world, "plain before", &b[0], i);
	print_stat(world, "plain after", &b[1], i);
}

static bool step(struct world *world, struct history *history)
{
	static struct outcome out_a, out_b;
	struct watch a[2], b[2];
	struct op op;
	int differs = -1;

	draw_op(world, &op);
	if (op.watched)
		take_watch(&world->a, &op, &a[0]);
	run_op(&world->a, &op, &out_a);
	if (op.watched)
		take_watch(&world->b, &op, &b[0]);
	run_op(&world->b, &op, &out_b);
	remember(history, &op, &out_a);
	if (out_a.result >= 0)
		note_success(world, &op);

	if (!same_outcome(&out_a, &out_b)) {
		print_outcomes(&out_a, &out_b);
		return false;
	}
	if (op.watched) {
		take_watch(&world->a, &op, &a[1]);
		take_watch(&world->b, &op, &b[1]);
		differs = compare_watches(world, a, b);
	}
	if (differs >= 0)
		print_watches(world, a, b, differs);
	return differs < 0;
}

/* Prints the first few lines that only one of two trees has. */
static void print_tree_difference(char *a, char *b)
{
	char *save_a, *save_b;
	char *line_a = strtok_r(a, "\n", &save_a), *line_b = strtok_r(b, "\n", &save_b);

	while (line_a != NULL && line_b != NULL && strcmp(line_a, line_b) == 0) {
		line_a = strtok_r(NULL, "\n", &save_a);
		line_b = strtok_r(NULL, "\n", &save_b);
	}
	printf("# the trees differ, first here:\n# mount: %s\n# plain: %s\n",
	       line_a != NULL ? line_a : "(end)", line_b != NULL ? line_b : "(end)");
}

static bool trees_agree(const struct world *world)
{
	char *a = print_tree(world, &world->a), *b = print_tree(world, &world->b);
	bool same = a != NULL && b != NULL && strcmp(a, b) == 0;

	if (!same && a != NULL && b != NULL)
		print_tree_difference(a, b);
	free(a);
	free(b);
	return same;
}

static bool remount(struct world *world, const char *command)
{
	int status;

	if (!trees_agree(world))
		return false;
	close_side(&world->a);
	close_side(&world->b);
	status = system(command);
	if (status != 0) {
		printf("# the remount command failed with status %d\n", status);
		return false;
	}
	open_root(&world->a);
	open_root(&world->b);
	if (trees_agree(world))
		return true;
	printf("# ... after a remount\n");
	return false;
}

static bool is_due(uint64_t n, uint64_t every)
{
	return every > 0 && n % every == 0;
}

static bool run_all(struct world *world, const struct options *o, struct history *history)
{
	for (uint64_t n = 1; n <= o->ops; n++) {
		if (!step(world, history))
			return false;
		if (is_due(n, o->compare_every) && !trees_agree(world))
			return false;
		if (o->remount_cmd != NULL && is_due(n, o->remount_every) &&
		    !remount(world, o->remount_cmd))
			return false;
		if (n % 100000 == 0)
			printf("# %" PRIu64 " operations\n", n);
	}
	return trees_agree(world);
}

static uint64_t parse_number(const char *text)
{
	char *end;
	uint64_t number;

	errno = 0;
	number = strtoull(text, &end, 0);
	if (errno != 0 || end == text || *end != '\0') {
		fprintf(stderr, "differential: not a number: %s\n", text);
		exit(2);
	}
	return number;
}

static void parse_options(int argc, char **argv, struct options *o, struct world *world)
{
	static const struct option longs[] = {
		{ "dir-a", required_argument, NULL, 'a' },
		{ "dir-b", required_argument, NULL, 'b' },
		{ "seed", required_argument, NULL, 's' },
		{ "ops", required_argument, NULL, 'n' },
		{ "compare-every", required_argument, NULL, 'c' },
		{ "remount-every", required_argument, NULL, 'r' },
		{ "remount-cmd", required_argument, NULL, 'm' },
		{ "xattr", no_argument, NULL, 'x' },
		{ "no-dir-nlink", no_argument, NULL, 'l' },
		{ "go-on", required_argument, NULL, 'g' },
		{ "grow", no_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};

	for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;)
		switch (c) {
		case 'a':
			world->a.root = optarg;
			break;
		case 'b':
			world->b.root = optarg;
			break;
		case 's':
			o->seed = parse_number(optarg);
			break;
		case 'n':
			o->ops = parse_number(optarg);
			break;
		case 'c':
			o->compare_every = parse_number(optarg);
			break;
		case 'r':
			o->remount_every = parse_number(optarg);
			break;
		case 'm':
			o->remount_cmd = optarg;
			break;
		case 'x':
			world->features.xattr = true;
			break;
		case 'l':
			o->no_dir_nlink = true;
			break;
		case 'w':
			world->features.grow = true;
			break;
		case 'g':
			o->go_on = parse_number(optarg);
			break;
		default:
			exit(2);
		}
	if (world->a.root == NULL || world->b.root == NULL || optind < argc) {
		fprintf(stderr, "differential: --dir-a and --dir-b are needed\n");
		exit(2);
	}
}

static void free_history(struct history *history)
{
	for (size_t i = 0; i < HISTORY; i++)
		free(history->lines[i]);
}

int main(int argc, char **argv)
{
	static struct world world;
	struct options o = { .ops = 20000, .compare_every = 500, .remount_every = 5000 };
	struct history history = { .n = 0 };
	bool good;

	clock_gettime(CLOCK_REALTIME, &world.start);
	o.seed = (uint64_t)world.start.tv_sec * 1000000 + (uint64_t)world.start.tv_nsec / 1000;
	parse_options(argc, argv, &o, &world);
	world.random = o.seed;
	if (o.go_on)
		world.start = (struct timespec){ .tv_sec = (time_t)o.go_on };
	world.start.tv_sec -= 60; /* the coarse clock is behind; what is set lies years back */

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("# seed %" PRIu64 ", %" PRIu64 " operations\n", o.seed, o.ops);
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	drop_cap_fsetid();
	prepare_side(&world.a);
	prepare_side(&world.b);
	probe_features(&world);
	world.features.dir_nlink &= !o.no_dir_nlink;
	if (!o.go_on)
		begin_alike(&world, &o);

	good = (!o.go_on || trees_agree(&world)) && run_all(&world, &o, &history);
	if (!good)
		print_history(&history);
	printf("# %s after %" PRIu64 " operations, seed %" PRIu64 "\n",
	       good ? "no difference" : "a difference", history.n, o.seed);
	free_history(&history);
	close_side(&world.a);
	close_side(&world.b);
	return good ? 0 : 1;
}
