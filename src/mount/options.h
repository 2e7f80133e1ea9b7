/* The options of a mount: what stands after -o, in /etc/fstab too.
 *
 * One table in options.c knows every option: what it does and what `cairnfs mount --help` says
 * about it. Options come in comma lists; a comma that belongs to a value is written "\," or stands
 * between double quotes. The last of two contradicting options wins. */
#pragma once

#include <stdbool.h>

#include "fuse/session.h"
#include "util/error.h"

struct cairn_options {
	/* For the session. fuse_options holds all that libfuse is told, `default_permissions`
	 * included, but for the name and type of the file system. */
	struct cairn_mount_options mount;

	/* For the one who mounts. */
	char *log_file; /* absolute, or NULL */
	bool nonempty;  /* mount over what is in the directory */
	bool allow_other;
	bool allow_root;
	bool auto_unmount;
	bool sloppy; /* mount(8) -s: pass over unknown options instead of refusing them */
};

/* The defaults. cairn_options_done() frees what parsing adds. */
void cairn_options_init(struct cairn_options *ret);
void cairn_options_done(struct cairn_options *options);

/* Applies one comma list. -EINVAL for an unknown option or a bad value, which `err` names; the
 * options are then good for cairn_options_done() only. */
int cairn_options_parse(struct cairn_options *options, const char *list, struct cairn_error *err);

/* To be called once after the last list: refuses options that exclude each other (-EINVAL) and
 * completes fuse_options. */
int cairn_options_finish(struct cairn_options *options, struct cairn_error *err);

/* The table as text for a terminal of 80 columns, or NULL when out of memory; free() it. */
char *cairn_options_help(void);
