/* cairnfs list: the cairnfs mounts this process sees. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "mount/holder.h"
#include "mount/json.h"
#include "mount/mountinfo.h"
#include "mount/process.h"
#include "store/store.h"

static const struct argp_option option_table[] = {
	{ "json", 'j', NULL, 0, "Print a JSON array", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = option_table,
	.parser = cairn_cli_parse_plain,
	.children = cairn_cli_help,
	.doc = "List the mounts of workspaces: directory, workspace, the process that serves it "
	       "with its user, and what lies under an overlay.\vA mount whose process was killed "
	       "is listed as gone; cairnfs umount "
	       "removes it.",
};

struct live_mount {
	const struct cairn_mount_entry *entry;
	struct cairn_holder holder;
	uid_t uid;
	bool uid_known;
	char user[CAIRN_USER_NAME_MAX];
	char *base; /* that the workspace names; NULL: none, or it cannot be told */
};

struct live_mounts {
	struct cairn_mount_table table;
	struct live_mount *mounts;
	size_t count;
};

static void live_mounts_done(struct live_mounts *live)
{
	for (size_t i = 0; i < live->count; i++) {
		cairn_holder_done(&live->mounts[i].holder);
		free(live->mounts[i].base);
	}
	free(live->mounts);
	cairn_mount_table_done(&live->table);
}

/* The user of the process that serves; the one who mounted where there is none we see. */
static void find_user(struct live_mount *mount)
{
	mount->uid_known = (mount->holder.pid > 0 &&
			    cairn_process_user(mount->holder.pid, &mount->uid) == 0) ||
			   cairn_mount_owner(mount->entry, &mount->uid) == 0;
	if (mount->uid_known)
		cairn_cli_user_name(mount->uid, mount->user);
	else
		strcpy(mount->user, "?");
}

/* Another namespace may have the workspace where we do not see it. */
static void find_base(struct live_mount *mount)
{
	struct cairn_store_info info = { 0 };

	if (mount->holder.state == CAIRN_HOLDER_LIVE &&
	    cairn_sqlite_store_info(mount->holder.workspace, &info, NULL) == 0)
		mount->base = info.base_path;
}

static int find_mounts(struct live_mounts *live)
{
	int r;

	r = cairn_mount_table_read(NULL, &live->table);
	if (r < 0)
		return r;
	live->mounts = calloc(live->table.count + 1, sizeof(*live->mounts));
	if (!live->mounts)
		return -ENOMEM;
	for (size_t i = 0; i < live->table.count; i++) {
		struct live_mount *mount = &live->mounts[live->count];

		mount->entry = &live->table.entries[i];
		if (!cairn_mount_is_ours(mount->entry))
			continue;
		r = cairn_holder_find(mount->entry, &mount->holder);
		if (r < 0)
			return r;
		find_user(mount);
		find_base(mount);
		live->count++;
	}
	return 0;
}

static const char *state_name(enum cairn_holder_state state)
{
	static const char *const name[] = {
		[CAIRN_HOLDER_LIVE] = "live",
		[CAIRN_HOLDER_GONE] = "gone",
		[CAIRN_HOLDER_UNKNOWN] = "unknown",
	};

	return name[state];
}

static int print_json(const struct live_mounts *live)
{
	json_t *root = json_array();

	for (size_t i = 0; i < live->count; i++) {
		const struct live_mount *mount = &live->mounts[i];
		const struct cairn_holder *holder = &mount->holder;
		json_t *object = json_object();

		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): every mount has its entry */
		json_object_set_new(object, "directory", cairn_json_text(mount->entry->directory));
		json_object_set_new(object, "workspace", cairn_json_text(holder->workspace));
		json_object_set_new(object, "pid",
				    holder->pid ? json_integer(holder->pid) : json_null());
		json_object_set_new(object, "uid",
				    mount->uid_known ? json_integer(mount->uid) : json_null());
		json_object_set_new(object, "user",
				    cairn_json_text(mount->uid_known ? mount->user : NULL));
		json_object_set_new(object, "base", cairn_json_text(mount->base));
		json_object_set_new(object, "state", cairn_json_text(state_name(holder->state)));
		json_array_append_new(root, object);
	}
	return cairn_cli_print_json(root);
}

static int widest(int width, const char *text)
{
	return MAX(width, (int)strlen(text));
}

static void print_text(const struct live_mounts *live)
{
	int directory_width = widest(0, "DIRECTORY"), workspace_width = widest(0, "WORKSPACE");

	if (live->count == 0)
		return;
	for (size_t i = 0; i < live->count; i++) {
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): every mount has its entry */
		directory_width = widest(directory_width, live->mounts[i].entry->directory);
		workspace_width = widest(workspace_width, live->mounts[i].holder.workspace);
	}
	printf("%-*s  %-*s  %7s  %-8s  %s\n", directory_width, "DIRECTORY", workspace_width,
	       "WORKSPACE", "PID", "USER", "BASE");
	for (size_t i = 0; i < live->count; i++) {
		const struct live_mount *mount = &live->mounts[i];
		char pid[16];

		if (mount->holder.state == CAIRN_HOLDER_LIVE)
			snprintf(pid, sizeof(pid), "%d", mount->holder.pid);
		else
			snprintf(pid, sizeof(pid), "%s", state_name(mount->holder.state));
		printf("%-*s  %-*s  %7s  %-8s  %s\n", directory_width, mount->entry->directory,
		       workspace_width, mount->holder.workspace, pid, mount->user,
		       mount->base ? mount->base : "-");
	}
}

int cairn_cmd_list(int argc, char **argv)
{
	struct cairn_cli_args in = { .command = "cairnfs list" };
	_cleanup_(live_mounts_done) struct live_mounts live = { 0 };
	int r;

	r = cairn_cli_parse(&argp, argc, argv, &in);
	if (r != 0)
		return r;
	r = find_mounts(&live);
	if (r < 0)
		return cairn_cli_fail("the mounts cannot be listed: %s", strerror(-r));
	if (in.json)
		return print_json(&live);
	print_text(&live);
	return 0;
}
