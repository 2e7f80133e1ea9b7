#include "mount/copies.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mount/number.h"
#include "util/macro.h"

/* The kernel gives the number of a file system that has ended to the next. */
static bool is_same(const struct cairn_mount_entry *a, const struct cairn_mount_entry *b)
{
	return a->device == b->device && strcmp(a->type, b->type) == 0 &&
	       strcmp(a->source, b->source) == 0;
}

/* 0 where it is mounted in the table that `path` names (NULL: our own). */
static int find_in_table(const char *path, const struct cairn_mount_entry *mount,
			 struct cairn_copy *ret)
{
	_cleanup_(cairn_mount_table_done) struct cairn_mount_table table = { 0 };
	int r;

	r = cairn_mount_table_read(path, &table);
	if (r < 0)
		return r;
	for (size_t i = 0; i < table.count; i++) {
		if (!is_same(&table.entries[i], mount))
			continue;
		snprintf(ret->directory, sizeof(ret->directory), "%s", table.entries[i].directory);
		return 0;
	}
	return -ENOENT;
}

/* The mount namespace of a process; 0 where we may not know. */
static ino_t namespace_of(int pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

static void dir_closep(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int cairn_copy_find(const struct cairn_mount_entry *mount, int server_pid, struct cairn_copy *ret)
{
	_cleanup_(dir_closep) DIR *proc = opendir("/proc");
	/* Most processes share one with the process before. */
	ino_t own = namespace_of(getpid()), last = own, this;
	const struct dirent *entry;
	char path[64];
	uint64_t pid;

	ret->pid = 0;
	if (find_in_table(NULL, mount, ret) == 0)
		return 0;
	while (proc && (entry = readdir(proc))) {
		if (cairn_number_parse(entry->d_name, 1, INT_MAX, &pid) < 0 ||
		    (int)pid == server_pid)
			continue;
		this = namespace_of((int)pid);
		if (!this || this == own || this == last)
			continue;
		last = this;
		snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
		if (find_in_table(path, mount, ret) < 0)
			continue;
		ret->pid = (int)pid;
		cairn_process_name(ret->pid, ret->name);
		return 0;
	}
	return -ENOENT;
}
