/* The steps that a change of a directory is made of, and what they leave: see host.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "util/error.h"

enum cairn_step_kind {
	CAIRN_STEP_TAKE,  /* from `path` to `file` */
	CAIRN_STEP_PUT,   /* from `file` to `path` */
	CAIRN_STEP_SWAP,  /* each to the other's place */
	CAIRN_STEP_WRITE, /* the bytes, mode and time of `from` over those of the file */
	CAIRN_STEP_ATTR,  /* attributes become `after` */
	CAIRN_STEP_TIMES, /* a directory's time of last change does; or, taken back, was */
	CAIRN_STEP_KINDS,
};

struct cairn_xattr_list {
	struct cairn_xattr_item {
		char *name;
		void *value;
		size_t len;
	} * list;
	size_t count;
};
void cairn_xattr_list_free(struct cairn_xattr_list *list);
/* A copy of the value is the list's. */
int cairn_xattr_list_add(struct cairn_xattr_list *list, const char *name, const void *value,
			 size_t len);

struct cairn_host_attr {
	bool has_mode, has_owner, has_mtime, has_xattrs;
	mode_t mode; /* permissions alone */
	uid_t uid;
	gid_t gid;
	struct timespec mtime;
	struct cairn_xattr_list xattrs;
};

struct cairn_step {
	enum cairn_step_kind kind;
	char *path;   /* NULL: of a WRITE, what lies in `file`; of TIMES, see `before` */
	char *before; /* of TIMES, instead of `path`: nothing is to be done but on the way back */
	char *file;   /* names in kept/ */
	char *from, *old; /* of a WRITE: what is written, and what was there */
	/* The thing is another name of the file that lies here where it is not in the tree: there
	 * it is a link, and counted. */
	char *other;
	bool dir;     /* a directory is moved */
	uint64_t ino; /* what is moved, or changed; of SWAP, what begins in `file` */
	uint64_t was; /* of SWAP: what begins at `path` */
	struct cairn_host_attr was_attr, attr;
};

/* How a path is left. */
struct cairn_host_note {
	char *path;
	bool loose; /* its type alone counts */
	bool made;  /* a directory that has nothing in it but what is noted, too */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	int64_t size;
	struct timespec mtime;
};

struct cairn_steps {
	/* What the list of records tells: struct cairn_undo_record. */
	int64_t id, time, changes, of;
	char *source;
	struct cairn_step *list;
	size_t count, capacity;
	struct cairn_host_note *notes;
	size_t note_count, note_capacity;
};

void cairn_steps_free(struct cairn_steps *steps);
/* The next one, empty but for its kind; NULL: no memory. */
struct cairn_step *cairn_steps_add(struct cairn_steps *steps, enum cairn_step_kind kind);
struct cairn_host_note *cairn_steps_note(struct cairn_steps *steps, const char *path);

/* Brings a note, or all notes, up to what is set. */
void cairn_host_note_settle(struct cairn_host_note *note, const struct cairn_host_attr *attr);
int cairn_steps_settle(struct cairn_steps *steps);

struct cairn_host;
/* Does one step, or takes it back; what is done already is left. */
int cairn_step_run(const struct cairn_host *host, const struct cairn_step *step, bool back);
/* For the words: where it does something. */
const char *cairn_step_path(const struct cairn_step *step);
