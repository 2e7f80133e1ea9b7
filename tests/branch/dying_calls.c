/* Makes a command die before the n-th system call by which it would change files: n is in the
 * environment, as CAIRNFS_DIE_AT_CALL. The functions stand in front of the C library's, for the
 * libraries of the program as well. */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static unsigned long die_at, count;

__attribute__((constructor)) static void prepare(void)
{
	const char *text = getenv("CAIRNFS_DIE_AT_CALL");

	die_at = text ? strtoul(text, NULL, 10) : 0;
}

static void *real(const char *name)
{
	if (die_at && ++count == die_at)
		_exit(99);
	return dlsym(RTLD_NEXT, name);
}

#define CALL(type, name, parameters, arguments)                                                    \
	type name parameters;                                                                      \
	type name parameters                                                                       \
	{                                                                                          \
		type(*call) parameters;                                                            \
                                                                                                   \
		*(void **)&call = real(#name);                                                     \
		return call arguments;                                                             \
	}

CALL(int, renameat, (int a, const char *b, int c, const char *d), (a, b, c, d))
CALL(int, renameat2, (int a, const char *b, int c, const char *d, unsigned int e), (a, b, c, d, e))
CALL(int, linkat, (int a, const char *b, int c, const char *d, int e), (a, b, c, d, e))
CALL(int, unlinkat, (int a, const char *b, int c), (a, b, c))
CALL(int, mkdirat, (int a, const char *b, mode_t c), (a, b, c))
CALL(int, mknodat, (int a, const char *b, mode_t c, dev_t d), (a, b, c, d))
CALL(int, symlinkat, (const char *a, int b, const char *c), (a, b, c))
CALL(int, fchownat, (int a, const char *b, uid_t c, gid_t d, int e), (a, b, c, d, e))
CALL(int, fchmodat, (int a, const char *b, mode_t c, int d), (a, b, c, d))
CALL(int, fchmod, (int a, mode_t b), (a, b))
CALL(int, futimens, (int a, const struct timespec b[2]), (a, b))
CALL(int, utimensat, (int a, const char *b, const struct timespec c[2], int d), (a, b, c, d))
CALL(int, lsetxattr, (const char *a, const char *b, const void *c, size_t d, int e),
     (a, b, c, d, e))
CALL(int, lremovexattr, (const char *a, const char *b), (a, b))
CALL(int, ftruncate64, (int a, off_t b), (a, b))
CALL(ssize_t, pwrite64, (int a, const void *b, size_t c, off_t d), (a, b, c, d))
CALL(ssize_t, copy_file_range, (int a, off_t *b, int c, off_t *d, size_t e, unsigned int f),
     (a, b, c, d, e, f))
