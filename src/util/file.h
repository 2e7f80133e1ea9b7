/* Files. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Writes all `size` bytes, from the offset `at` on. What pwrite(2) says, or 0. */
int cairn_write_all(int fd, const void *bytes, size_t size, off_t at);
