/* Who owns the files, as the kernel is told, and who the callers are. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuse/internal.h"

#define CAP_FSETID_BIT 4 /* CAP_FSETID in <linux/capability.h> */

static uid_t shown_uid(const struct cairn_session *session, uid_t stored)
{
	if (session->options.uid_set)
		return session->options.uid;
	return session->squash && stored == 0 ? session->mounter_uid : stored;
}

static gid_t shown_gid(const struct cairn_session *session, gid_t stored)
{
	if (session->options.gid_set)
		return session->options.gid;
	return session->squash && stored == 0 ? session->mounter_gid : stored;
}

void cairn_show_attr(const struct cairn_session *session, const struct cairn_attr *attr,
		     struct stat *ret)
{
	*ret = (struct stat){
		.st_ino = attr->ino,
		.st_mode = attr->mode,
		.st_nlink = attr->nlink,
		.st_uid = shown_uid(session, attr->uid),
		.st_gid = shown_gid(session, attr->gid),
		.st_rdev = attr->rdev,
		.st_size = attr->size,
		.st_blksize = 4096,
		.st_blocks =
			attr->allocated / 512 + (attr->allocated % 512 != 0), /* of 512 bytes */
		.st_atim = attr->atime,
		.st_mtim = attr->mtime,
		.st_ctim = attr->ctime,
	};
}

int cairn_check_owner(const struct cairn_session *session, unsigned int *set,
		      const struct cairn_attr *to)
{
	if (session->options.uid_set && *set & CAIRN_SET_UID) {
		if (to->uid != session->options.uid)
			return -EPERM;
		*set &= ~(unsigned int)CAIRN_SET_UID;
	}
	if (session->options.gid_set && *set & CAIRN_SET_GID) {
		if (to->gid != session->options.gid)
			return -EPERM;
		*set &= ~(unsigned int)CAIRN_SET_GID;
	}
	return 0;
}

bool cairn_caller_keeps_setid(const struct cairn_caller *caller)
{
	static const char field[] = "CapEff:";
	unsigned long long effective = 0;
	char path[64], line[256];
	FILE *f;

	if (caller->pid <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/status", caller->pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, field, strlen(field)) == 0)
			effective = strtoull(line + strlen(field), NULL, 16);
	fclose(f);
	return effective & (1ULL << CAP_FSETID_BIT);
}
