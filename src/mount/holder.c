#include "mount/holder.h"

#include <string.h>

#include "mount/control.h"
#include "mount/mark.h"
#include "util/macro.h"

void cairn_holder_done(struct cairn_holder *holder)
{
	free(TAKE_PTR(holder->workspace));
}

/* The pid in the mark of `workspace` if it is live and speaks of this mount, else 0. */
static int marked_pid(const char *workspace, const char *directory)
{
	_cleanup_(cairn_mark_info_done) struct cairn_mark_info mark = { 0 };

	if (cairn_mark_read(workspace, &mark) < 0 || !mark.live || !mark.directory)
		return 0;
	return strcmp(mark.directory, directory) == 0 ? mark.pid : 0;
}

int cairn_holder_find(const struct cairn_mount_entry *mount, struct cairn_holder *ret)
{
	_cleanup_(cairn_holder_done) struct cairn_holder holder = { .state = CAIRN_HOLDER_LIVE };
	struct cairn_ioc_info info;
	int r;

	r = cairn_control_info(mount->directory, &info);
	if (r == 0)
		holder.pid = info.pid;
	else if (r == -ENOTCONN)
		holder.state = CAIRN_HOLDER_GONE;
	else
		holder.pid = marked_pid(mount->source, mount->directory);
	if (holder.state == CAIRN_HOLDER_LIVE && holder.pid <= 0)
		holder.state = CAIRN_HOLDER_UNKNOWN;

	holder.workspace = strdup(r == 0 ? info.workspace : mount->source);
	if (!holder.workspace)
		return -ENOMEM;
	*ret = holder;
	holder.workspace = NULL;
	return 0;
}
