#include "base/ignore.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/branch.h"

void cairn_base_ignore_free(struct cairn_base_ignore *ignore)
{
	free(ignore->text);
	free(ignore->list);
	*ignore = (struct cairn_base_ignore){ 0 };
}

int cairn_base_ignore_read(struct cairn_store *branch, struct cairn_base_ignore *ret)
{
	struct cairn_base_ignore ignore = { 0 };
	char *rest, *line;
	int r;

	r = branch->branch->base_ignore(branch, &ignore.text);
	if (r < 0)
		return r;
	if (ignore.text && strlen(ignore.text) > CAIRN_BASE_IGNORE_MAX)
		r = -EIO;
	if (r == 0 && ignore.text) {
		/* No more lines than bytes. */
		ignore.list = calloc(strlen(ignore.text) + 1, sizeof(*ignore.list));
		r = ignore.list ? 0 : -ENOMEM;
	}
	rest = ignore.text;
	while (r == 0 && (line = strsep(&rest, "\n")))
		if (*line)
			ignore.list[ignore.count++] = line;
	if (r < 0) {
		cairn_base_ignore_free(&ignore);
		return r;
	}
	*ret = ignore;
	return 0;
}
