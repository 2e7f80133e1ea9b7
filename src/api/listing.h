/* The entries of a directory, some at a time. */
#pragma once

#include "core/core.h"

#define CAIRN_PAGE_ENTRIES 256U

struct cairn_page {
	struct cairn_page_entry {
		uint64_t ino;
		mode_t type; /* S_IFMT bits */
		char name[CAIRN_NAME_MAX + 1];
	} entries[CAIRN_PAGE_ENTRIES];
	size_t count; /* 0: the listing has ended */
	off_t next;   /* where the next page begins */
};

/* Fills the page from page->next on, without "." and "..". Begin with an empty page. */
int cairn_page_read(struct cairn_core *core, uint64_t dir, struct cairn_page *page);
