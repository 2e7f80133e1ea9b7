/* What import and export share: progress, what is left out, owners, the summary. */
#pragma once

#include <jansson.h>

#include "bulk/tree.h"
#include "cli/progress.h"

struct cairn_cli_bulk {
	struct cairn_bulk bulk;
	struct cairn_progress progress;
	bool owner_set; /* --same-owner or --no-same-owner was given */
};

/* Keys of the options that both have; a command's own follow. */
enum {
	CAIRN_BULK_OVERWRITE = 256,
	CAIRN_BULK_SAME_OWNER,
	CAIRN_BULK_NO_SAME_OWNER,
	CAIRN_BULK_KEYS,
};

/* Takes such an option; false for another. */
bool cairn_cli_bulk_option(struct cairn_cli_bulk *run, int key);

/* Before anything is opened. `what` is "importing" or the like. Root keeps owners unless told
 * otherwise; others do not. Signals wait until the end. */
void cairn_cli_bulk_begin(struct cairn_cli_bulk *run, const char *what);
void cairn_cli_bulk_end(struct cairn_cli_bulk *run);

/* Says what was done, as "imported 12 entries, 3 KiB into work.db"; or as JSON, in `root`, which is
 * the function's then. The exit status: 1 where something was left out. */
int cairn_cli_bulk_print(const struct cairn_cli_bulk *run, const char *done, const char *where,
			 const char *name);
int cairn_cli_bulk_json(const struct cairn_cli_bulk *run, json_t *root);
