#include "mount/options.h"

#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "mount/number.h"
#include "mount/resolve.h"
#include "store/store.h"
#include "util/macro.h"

/* Where the help lists an option. */
enum section {
	SECTION_WRITING,
	SECTION_LIMITS,
	SECTION_ACCESS,
	SECTION_CACHE,
	SECTION_BASE,
	SECTION_DAEMON,
	SECTION_KERNEL,
	SECTION_IGNORED, /* by name only: accepted, without effect on a mount */
	SECTION_REFUSED, /* not at all: known, and refused with a reason of its own */
};

static const char *const section_title[] = {
	[SECTION_WRITING] = "What is written, and when",
	[SECTION_LIMITS] = "Limits",
	[SECTION_ACCESS] = "Who may do what",
	[SECTION_CACHE] = "Kernel and threads",
	[SECTION_BASE] = "Overlays",
	[SECTION_DAEMON] = "The daemon",
	[SECTION_KERNEL] = "Known from mount(8)",
};

struct option;
typedef int (*apply_fn)(struct cairn_options *options, const struct option *option,
			const char *value, struct cairn_error *err);

struct option {
	const char *name; /* a '*' at its end stands for anything */
	const char *arg;  /* what the help calls the value; NULL: takes none */
	enum section section;
	apply_fn apply;
	const char *help;
	size_t offset;     /* of the field it sets, in struct cairn_options */
	uint64_t min, max; /* of a number or size */
	int value;         /* what an option without an argument stands for */
};

static void *field(struct cairn_options *options, const struct option *option)
{
	return (char *)options + option->offset;
}

static int bad_value(const struct option *option, const char *value, struct cairn_error *err)
{
	bool is_size = strcmp(option->arg, "SIZE") == 0;

	return cairn_error_set(err, -EINVAL,
			       "mount option %s=%s: not a %s from %" PRIu64 " to %" PRIu64 "%s",
			       option->name, value, is_size ? "size" : "number", option->min,
			       option->max, is_size ? " bytes (suffixes K, M, G, T)" : "");
}

static int apply_flag(struct cairn_options *options, const struct option *option, const char *value,
		      struct cairn_error *err)
{
	*(bool *)field(options, option) = true;
	return 0;
}

static int apply_uint(struct cairn_options *options, const struct option *option, const char *value,
		      struct cairn_error *err)
{
	uint64_t number;

	if (cairn_number_parse(value, option->min, option->max, &number) < 0)
		return bad_value(option, value, err);
	*(unsigned int *)field(options, option) = (unsigned int)number;
	return 0;
}

/* Fills a uint64_t, or an int64_t where the maximum is INT64_MAX. */
static int apply_size(struct cairn_options *options, const struct option *option, const char *value,
		      struct cairn_error *err)
{
	uint64_t size;

	if (cairn_size_parse(value, option->min, option->max, &size) < 0)
		return bad_value(option, value, err);
	*(uint64_t *)field(options, option) = size;
	return 0;
}

static int apply_tristate(struct cairn_options *options, const struct option *option,
			  const char *value, struct cairn_error *err)
{
	*(enum cairn_tristate *)field(options, option) = (enum cairn_tristate)option->value;
	return 0;
}

static int apply_owner(struct cairn_options *options, const struct option *option,
		       const char *value, struct cairn_error *err)
{
	uint64_t id;

	if (cairn_number_parse(value, option->min, option->max, &id) < 0)
		return bad_value(option, value, err);
	if (strcmp(option->name, "uid") == 0) {
		options->mount.uid = (uid_t)id;
		options->mount.uid_set = true;
	} else {
		options->mount.gid = (gid_t)id;
		options->mount.gid_set = true;
	}
	return 0;
}

static int apply_atime(struct cairn_options *options, const struct option *option,
		       const char *value, struct cairn_error *err)
{
	options->mount.core.atime = (enum cairn_atime)option->value;
	return 0;
}

/* norelatime and nostrictatime: back to the default if the named mode was asked for before. */
static int apply_not_atime(struct cairn_options *options, const struct option *option,
			   const char *value, struct cairn_error *err)
{
	if (options->mount.core.atime == (enum cairn_atime)option->value)
		options->mount.core.atime = CAIRN_NOATIME;
	return 0;
}

static int apply_durability(struct cairn_options *options, const struct option *option,
			    const char *value, struct cairn_error *err)
{
	static const char *const name[] = {
		[CAIRN_DURABILITY_ASYNC] = "async",
		[CAIRN_DURABILITY_COMMIT] = "commit",
		[CAIRN_DURABILITY_FULL] = "full",
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(name); i++) {
		if (strcmp(value, name[i]) != 0)
			continue;
		options->mount.core.durability = (enum cairn_durability)i;
		return 0;
	}
	return cairn_error_set(err, -EINVAL,
			       "mount option durability=%s: not one of async, commit, full", value);
}

static int apply_log_file(struct cairn_options *options, const struct option *option,
			  const char *value, struct cairn_error *err)
{
	char *path;
	int r;

	r = cairn_resolve_absolute(value, &path);
	if (r < 0)
		return cairn_error_set(err, r, "mount option log=%s: %s", value, strerror(-r));
	free(options->log_file);
	options->log_file = path;
	return 0;
}

static int apply_base(struct cairn_options *options, const struct option *option, const char *value,
		      struct cairn_error *err)
{
	char *path;
	int r;

	r = cairn_resolve_absolute(value, &path);
	if (r < 0)
		return cairn_error_set(err, r, "mount option base=%s: %s", value, strerror(-r));
	free(options->mount.base);
	options->mount.base = path;
	return 0;
}

static int apply_base_ignore(struct cairn_options *options, const struct option *option,
			     const char *value, struct cairn_error *err)
{
	struct cairn_mount_options *mount = &options->mount;
	char **patterns =
		reallocarray(mount->base_ignore, mount->base_ignore_count + 1, sizeof(*patterns));

	if (!patterns)
		return -ENOMEM;
	mount->base_ignore = patterns;
	patterns[mount->base_ignore_count] = strdup(value);
	if (!patterns[mount->base_ignore_count])
		return -ENOMEM;
	mount->base_ignore_count++;
	return 0;
}

/* Adds one option to the comma list for libfuse, which takes "\," and "\\" for ',' and '\'. */
static int hand_on(struct cairn_options *options, const char *name, const char *value)
{
	const char *old = options->mount.fuse_options;
	size_t old_len = old ? strlen(old) : 0, value_len = value ? strlen(value) : 0;
	char *list, *p;

	list = malloc(old_len + 1 + strlen(name) + 1 + 2 * value_len + 1);
	if (!list)
		return -ENOMEM;
	p = stpcpy(list, old ? old : "");
	if (old)
		*p++ = ',';
	p = stpcpy(p, name);
	if (value)
		*p++ = '=';
	for (size_t i = 0; i < value_len; i++) {
		if (value[i] == ',' || value[i] == '\\')
			*p++ = '\\';
		*p++ = value[i];
	}
	*p = '\0';
	free(options->mount.fuse_options);
	options->mount.fuse_options = list;
	return 0;
}

static int apply_kernel(struct cairn_options *options, const struct option *option,
			const char *value, struct cairn_error *err)
{
	return hand_on(options, option->name, value);
}

static int apply_io_uring(struct cairn_options *options, const struct option *option,
			  const char *value, struct cairn_error *err)
{
	int version = cairn_fuse_version();
	uint64_t depth;

	if (version < CAIRN_FUSE_IO_URING)
		return cairn_error_set(err, -EINVAL,
				       "mount option %s needs libfuse %d.%d or newer, and this is "
				       "%d.%d; leave it out",
				       option->name, CAIRN_FUSE_IO_URING / 100,
				       CAIRN_FUSE_IO_URING % 100, version / 100, version % 100);
	if (value && cairn_number_parse(value, option->min, option->max, &depth) < 0)
		return bad_value(option, value, err);
	return hand_on(options, option->name, value);
}

static int apply_read_only(struct cairn_options *options, const struct option *option,
			   const char *value, struct cairn_error *err)
{
	options->mount.core.read_only = option->value != 0;
	return hand_on(options, option->name, value);
}

static int apply_sync(struct cairn_options *options, const struct option *option, const char *value,
		      struct cairn_error *err)
{
	options->mount.core.durability = CAIRN_DURABILITY_FULL;
	return hand_on(options, option->name, value);
}

/* A flag that both of us act on. */
static int apply_shared(struct cairn_options *options, const struct option *option,
			const char *value, struct cairn_error *err)
{
	apply_flag(options, option, value, err);
	return hand_on(options, option->name, value);
}

static int apply_nothing(struct cairn_options *options, const struct option *option,
			 const char *value, struct cairn_error *err)
{
	return 0;
}

static int apply_subtype(struct cairn_options *options, const struct option *option,
			 const char *value, struct cairn_error *err)
{
	if (strcmp(value, "cairnfs") == 0)
		return 0;
	return cairn_error_set(err, -EINVAL,
			       "mount option subtype=%s: the type is always fuse.cairnfs, by which "
			       "umount and list know the mount",
			       value);
}

static int apply_remount(struct cairn_options *options, const struct option *option,
			 const char *value, struct cairn_error *err)
{
	return cairn_error_set(err, -EINVAL,
			       "mount option remount: a mount keeps its options; unmount it and "
			       "mount it again");
}

#define FIELD(member) .offset = offsetof(struct cairn_options, member)
#define CORE(member)  FIELD(mount.core.member)

#define OPTION(word, what, in, how, text, ...)                                                     \
	{                                                                                          \
		.name = word, .arg = what, .section = SECTION_##in, .apply = how, .help = text,    \
		__VA_ARGS__                                                                        \
	}
#define KERNEL(word, text)  OPTION(word, NULL, KERNEL, apply_kernel, text)
#define CONTEXT(word, text) OPTION(word, "LABEL", KERNEL, apply_kernel, text)
#define IGNORED(word)       OPTION(word, NULL, IGNORED, apply_nothing, NULL)

/* What libfuse takes: fuse_mount_opts in its lib/mount.c, fuse_ll_opts in lib/fuse_lowlevel.c. Of
 * those, atime (gone from later versions) is ours, max_read is the daemon's to negotiate, and
 * blkdev and blksize belong to another kind of mount. */
static const struct option option_table[] = {
	OPTION("ro", NULL, WRITING, apply_read_only, "mount read-only", .value = 1),
	OPTION("rw", NULL, WRITING, apply_read_only, "mount read-write (default)"),
	OPTION("durability", "WHAT", WRITING, apply_durability,
	       "what a change waits for: async (nothing, the default), commit (its commit: "
	       "survives a crash of the daemon) or full (its sync: survives a power cut); fsync "
	       "always syncs"),
	OPTION("commit_interval_ms", "N", WRITING, apply_uint,
	       "longest time until a change is committed (default 1000)", CORE(commit_interval_ms),
	       .max = 600000),
	OPTION("sync", NULL, WRITING, apply_sync,
	       "as durability=full, and the kernel syncs each write"),
	OPTION("dirsync", NULL, WRITING, apply_sync, "as durability=full"),
	OPTION("noatime", NULL, WRITING, apply_atime, "reads never change atime (default)",
	       .value = CAIRN_NOATIME),
	OPTION("relatime", NULL, WRITING, apply_atime,
	       "a read moves an atime that is not after mtime and ctime, or a day old",
	       .value = CAIRN_RELATIME),
	OPTION("strictatime", NULL, WRITING, apply_atime, "each read moves atime",
	       .value = CAIRN_STRICTATIME),
	OPTION("busy_timeout_ms", "N", WRITING, apply_uint,
	       "how long to wait for another process's lock on the workspace before a retry "
	       "(default 5000)",
	       FIELD(mount.busy_timeout_ms), .max = 3600000),

	OPTION("max_dirty", "SIZE", LIMITS, apply_size,
	       "changes kept in memory before callers wait (default 64M)", CORE(max_dirty),
	       .min = UINT64_C(64) << 10, .max = UINT64_C(1) << 40),
	OPTION("wal_limit", "SIZE", LIMITS, apply_size,
	       "size of the write-ahead log at which changes wait for other processes that read "
	       "the workspace (default 1G)",
	       CORE(wal_limit), .min = CAIRN_WAL_LIMIT_LEAST, .max = UINT64_C(1) << 40),
	OPTION("quota", "SIZE", LIMITS, apply_size,
	       "bytes the workspace may take (default 0: no limit)", CORE(quota), .max = INT64_MAX),
	OPTION("max_file_size", "SIZE", LIMITS, apply_size, "bytes of one file (default 2^63-1)",
	       CORE(max_file_size), .min = 1, .max = INT64_MAX),

	OPTION("uid", "N", ACCESS, apply_owner, "every file is shown as owned by user N",
	       .max = UINT32_MAX - 1),
	OPTION("gid", "N", ACCESS, apply_owner, "every file is shown as owned by group N",
	       .max = UINT32_MAX - 1),
	OPTION("allow_other", NULL, ACCESS, apply_shared,
	       "other users may use the mount, as file permissions allow", FIELD(allow_other)),
	OPTION("allow_root", NULL, ACCESS, apply_shared, "root may use it, but no other user",
	       FIELD(allow_root)),
	OPTION("default_permissions", NULL, ACCESS, apply_nothing,
	       "the kernel checks permissions (always on)"),

	OPTION("threads", "N", CACHE, apply_uint, "most requests served at a time (default: 256)",
	       FIELD(mount.threads), .min = 1, .max = 1000),
	OPTION("io_uring", NULL, CACHE, apply_io_uring,
	       "talk to the kernel over io_uring, where it allows that (needs libfuse 3.18)"),
	OPTION("io_uring_q_depth", "N", CACHE, apply_io_uring,
	       "requests per processor that io_uring holds (default: libfuse's)", .min = 1,
	       .max = 4096),
	OPTION("writeback_cache", NULL, CACHE, apply_tristate,
	       "the kernel collects small writes (default: off)", FIELD(mount.writeback_cache),
	       .value = CAIRN_ON),
	OPTION("no_writeback_cache", NULL, CACHE, apply_tristate, "it does not",
	       FIELD(mount.writeback_cache), .value = CAIRN_OFF),
	OPTION("xattr", NULL, CACHE, apply_tristate,
	       "extended attributes (default: if the workspace has some)", FIELD(mount.xattr),
	       .value = CAIRN_ON),
	OPTION("noxattr", NULL, CACHE, apply_tristate, "no extended attributes", FIELD(mount.xattr),
	       .value = CAIRN_OFF),

	OPTION("base", "PATH", BASE, apply_base,
	       "what lies under an overlay, in the place of the base that it names: where that "
	       "was moved"),
	OPTION("base_ignore", "PATTERN", BASE, apply_base_ignore,
	       "do not show what matches of a base directory, as fnmatch(3): a name, or with a "
	       "slash a path from its root; may be given again and again"),
	OPTION("copy_whole", "SIZE", BASE, apply_size,
	       "files of the base up to this size are copied whole when their data are first "
	       "changed, larger ones only where they are (default 1M)",
	       FIELD(mount.copy_whole), .min = 1, .max = CAIRN_COPY_WHOLE_MAX),

	OPTION("log", "FILE", DAEMON, apply_log_file, "log to FILE instead of syslog"),
	OPTION("debug", NULL, DAEMON, apply_flag, "log every request", FIELD(mount.debug)),
	OPTION("auto_unmount", NULL, DAEMON, apply_shared,
	       "remove the mount if the daemon is killed (needs fusermount3)", FIELD(auto_unmount)),
	OPTION("nonempty", NULL, DAEMON, apply_flag, "mount over a directory that is not empty",
	       FIELD(nonempty)),

	KERNEL("suid", "honour set-id bits (as root)"),
	KERNEL("nosuid", "ignore set-id bits (default)"),
	KERNEL("dev", "honour device files (as root)"),
	KERNEL("nodev", "ignore device files (default)"),
	KERNEL("exec", "programs may run (default)"),
	KERNEL("noexec", "no program may run"),
	KERNEL("async", "undo sync for the kernel (default)"),
	OPTION("atime", NULL, KERNEL, apply_atime, "as relatime", .value = CAIRN_RELATIME),
	OPTION("norelatime", NULL, KERNEL, apply_not_atime, "undo relatime",
	       .value = CAIRN_RELATIME),
	OPTION("nostrictatime", NULL, KERNEL, apply_not_atime, "undo strictatime",
	       .value = CAIRN_STRICTATIME),
	OPTION("fsname", "NAME", KERNEL, apply_kernel,
	       "the source shown in the mount table (default: the workspace)"),
	CONTEXT("context", "SELinux label of all files"),
	CONTEXT("fscontext", "SELinux label of the file system"),
	CONTEXT("defcontext", "SELinux label of files without one"),
	CONTEXT("rootcontext", "SELinux label of the root directory"),

	IGNORED("defaults"),
	IGNORED("auto"),
	IGNORED("noauto"),
	IGNORED("user"),
	IGNORED("nouser"),
	IGNORED("users"),
	IGNORED("nousers"),
	IGNORED("owner"),
	IGNORED("noowner"),
	IGNORED("group"),
	IGNORED("nogroup"),
	IGNORED("_netdev"),
	IGNORED("nofail"),
	IGNORED("diratime"),
	IGNORED("nodiratime"),
	IGNORED("lazytime"),
	IGNORED("nolazytime"),
	IGNORED("iversion"),
	IGNORED("noiversion"),
	IGNORED("silent"),
	IGNORED("loud"),
	IGNORED("comment"),
	IGNORED("uhelper"),
	IGNORED("x-*"),
	IGNORED("X-*"),

	OPTION("subtype", "cairnfs", REFUSED, apply_subtype, NULL),
	OPTION("remount", NULL, REFUSED, apply_remount, NULL),
};

void cairn_options_init(struct cairn_options *ret)
{
	*ret = (struct cairn_options){
		.mount =
			{
				.core = CAIRN_CORE_OPTIONS_DEFAULT,
				.busy_timeout_ms = 5000,
				.writeback_cache = CAIRN_AUTO,
				.xattr = CAIRN_AUTO,
			},
	};
}

void cairn_options_done(struct cairn_options *options)
{
	for (size_t i = 0; i < options->mount.base_ignore_count; i++)
		free(options->mount.base_ignore[i]);
	options->mount.base_ignore_count = 0;
	free(TAKE_PTR(options->mount.base_ignore));
	free(TAKE_PTR(options->mount.base));
	free(TAKE_PTR(options->mount.fuse_options));
	free(TAKE_PTR(options->log_file));
}

/* Copies the option at `list` to `token`, without the escapes, and returns what follows it. Quotes
 * stay: the kernel wants them around SELinux labels. */
static const char *next_token(const char *list, char *token)
{
	bool quoted = false;

	for (; *list && (quoted || *list != ','); list++) {
		if (*list == '\\' && list[1])
			list++;
		else if (*list == '"')
			quoted = !quoted;
		*token++ = *list;
	}
	*token = '\0';
	return *list ? list + 1 : list;
}

static bool name_matches(const char *pattern, const char *name)
{
	size_t len = strlen(pattern);

	if (pattern[len - 1] == '*')
		return strncmp(name, pattern, len - 1) == 0;
	return strcmp(pattern, name) == 0;
}

static const struct option *find_option(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(option_table); i++) {
		if (name_matches(option_table[i].name, name))
			return &option_table[i];
	}
	return NULL;
}

/* `token` is cut in two at its '='. */
static int apply_token(struct cairn_options *options, char *token, struct cairn_error *err)
{
	char *value = strchr(token, '=');
	const struct option *option;

	if (value)
		*value++ = '\0';
	option = find_option(token);
	if (!option && options->sloppy)
		return 0;
	if (!option)
		return cairn_error_set(
			err, -EINVAL, "unknown mount option '%s'; see cairnfs mount --help", token);
	if (option->arg && (!value || !*value))
		return cairn_error_set(err, -EINVAL, "mount option %s needs a value: %s=%s",
				       option->name, option->name, option->arg);
	if (!option->arg && value && option->section != SECTION_IGNORED)
		return cairn_error_set(err, -EINVAL, "mount option %s takes no value, not '%s'",
				       option->name, value);
	return option->apply(options, option, value, err);
}

int cairn_options_parse(struct cairn_options *options, const char *list, struct cairn_error *err)
{
	_cleanup_(cairn_freep) char *token = malloc(strlen(list) + 1);
	int r;

	if (!token)
		return -ENOMEM;
	while (*list) {
		list = next_token(list, token);
		if (!*token)
			continue;
		r = apply_token(options, token, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int cairn_options_finish(struct cairn_options *options, struct cairn_error *err)
{
	int r;

	options->mount.ask_always = options->allow_root;
	if (options->allow_other && options->allow_root)
		return cairn_error_set(err, -EINVAL,
				       "mount options allow_other and allow_root exclude each "
				       "other; allow_other includes root");
	r = hand_on(options, "default_permissions", NULL);
	/* So that the mount table says it too; FUSE itself leaves atime to the file system. */
	if (r == 0 && options->mount.core.atime == CAIRN_NOATIME)
		r = hand_on(options, "noatime", NULL);
	return r;
}

enum {
	HELP_NAME_COLUMN = 2,
	HELP_TEXT_COLUMN = 26,
	HELP_WIDTH = 78,
};

/* Writes `text` from the current column, going on at `indent` where a line is full. */
static void print_wrapped(FILE *out, const char *text, int column, int indent)
{
	while (*text) {
		int word = (int)strcspn(text, " ");

		if (column > indent && column + 1 + word > HELP_WIDTH) {
			fprintf(out, "\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', out);
			column++;
		}
		fprintf(out, "%.*s", word, text);
		column += word;
		text += word;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void print_option(FILE *out, const struct option *option)
{
	int column = fprintf(out, "%*s%s%s%s", HELP_NAME_COLUMN, "", option->name,
			     option->arg ? "=" : "", option->arg ? option->arg : "");

	if (column + 1 >= HELP_TEXT_COLUMN) {
		fputc('\n', out);
		column = 0;
	}
	fprintf(out, "%*s", HELP_TEXT_COLUMN - column, "");
	print_wrapped(out, option->help, HELP_TEXT_COLUMN, HELP_TEXT_COLUMN);
}

static void print_ignored(FILE *out)
{
	char names[1024] = "";
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(option_table); i++) {
		const struct option *option = &option_table[i];

		if (option->section != SECTION_IGNORED)
			continue;
		n += (size_t)snprintf(names + n, sizeof(names) - n, "%s ", option->name);
	}
	fputs("\nAccepted for the sake of mount(8) and /etc/fstab, without effect here:\n  ", out);
	print_wrapped(out, names, HELP_NAME_COLUMN, HELP_NAME_COLUMN);
}

char *cairn_options_help(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (size_t section = 0; section < ARRAY_SIZE(section_title); section++) {
		fprintf(out, "%s%s:\n", section ? "\n" : "", section_title[section]);
		for (size_t i = 0; i < ARRAY_SIZE(option_table); i++) {
			if (option_table[i].section == section)
				print_option(out, &option_table[i]);
		}
	}
	print_ignored(out);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
