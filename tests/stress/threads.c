#include "threads.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <utlist.h>

#include "core_fixture.h"

/* SQLite is not built with ThreadSanitizer, and processes share its index of the WAL by rules of
 * their own. The barrier of the index takes a mutex and gives it back in a tail call, which looks
 * as if it came from us. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "called_from_lib:libsqlite3.so\n"
	       "mutex:gather_shm_barrier\n";
}

static atomic_ulong unexpected;
static unsigned int tests, failures;

unsigned int draw(struct worker *w, unsigned int below)
{
	w->random = w->random * 6364136223846793005U + 1442695040888963407U;
	return (unsigned int)(w->random >> 33) % below;
}

void judge(const char *what, long r)
{
	static const int explained[] = { 0,         ENOENT,  EEXIST, ENOTDIR, EISDIR, EINVAL,
					 ENOTEMPTY, ENODATA, ENXIO,  ERANGE,  EPERM };

	if (r >= 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(explained); i++)
		if (r == -explained[i])
			return;
	fprintf(stderr, "%s: %s\n", what, strerror((int)-r));
	atomic_fetch_add(&unexpected, 1);
}

bool all_explained(void)
{
	return atomic_load(&unexpected) == 0;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (w->done = 0; w->done < w->operations; w->done++)
		w->step(w);
	return NULL;
}

void run_threads(struct worker *workers, unsigned int count, unsigned long seed)
{
	for (unsigned int i = 0; i < count; i++) {
		workers[i].random = seed * count + i;
		CF_OK(-pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	for (unsigned int i = 0; i < count; i++)
		pthread_join(workers[i].thread, NULL);
}

void tell(bool ok, const char *what)
{
	printf("%sok %u - %s\n", ok ? "" : "not ", ++tests, what);
	failures += !ok;
}

/* With nothing under way and nothing dirty, only the cache holds inodes. */
void check_given_back(struct cairn_core *core)
{
	struct cairn_listing *listing;
	size_t listed = 0;

	CF_OK(cairn_core_settle(core, false));
	while (cairn_core_dirty(core) > 0)
		usleep(100);
	/* Who waits for a commit is woken before its deltas are dropped; a look at others comes
	 * after. */
	cairn_core_refresh(core);
	tell(cairn_core_dirty(core) == 0 && core->batch[0].count + core->batch[1].count == 0,
	     "no bytes and no changes are left in the batches");
	cairn_mutex_lock(&core->icache.lock);
	tell(core->icache.idle_count == HASH_COUNT(core->icache.table),
	     "no inode is referred to any more");
	cairn_mutex_unlock(&core->icache.lock);
	cairn_mutex_lock(&core->listings.lock);
	DL_FOREACH (core->listings.list, listing)
		listed += listing->counted;
	tell(listed == core->listings.bytes, "the listings take what was counted");
	cairn_mutex_unlock(&core->listings.lock);
}

int exit_status(void)
{
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
