/* The order of locks: what is in order passes, what is not aborts. Built with lock_check only. */
#include <criterion/criterion.h>
#include <signal.h>

#include "core_fixture.h"

static struct cairn_rwlock gate, inode[3];
static struct cairn_mutex writer, leaf[2];

static void setup(void)
{
	cairn_rwlock_init(&gate, CAIRN_LOCK_GATE, 0);
	for (unsigned int i = 0; i < 3; i++)
		cairn_rwlock_init(&inode[i], CAIRN_LOCK_INODE, i + 1);
	cairn_mutex_init(&writer, CAIRN_LOCK_WRITER);
	cairn_mutex_init(&leaf[0], CAIRN_LOCK_LEAF);
	cairn_mutex_init(&leaf[1], CAIRN_LOCK_LEAF);
}

TestSuite(core_lock, .init = setup);

Test(core_lock, all_of_them_in_order_pass)
{
	for (int i = 0; i < 2; i++) {
		cairn_rwlock_rdlock(&gate);
		cairn_rwlock_wrlock(&inode[0]);
		cairn_rwlock_rdlock(&inode[2]);
		cairn_mutex_lock(&writer);
		cairn_mutex_lock(&leaf[0]);
		/* Given back in any order. */
		cairn_rwlock_unlock(&inode[0]);
		cairn_mutex_unlock(&leaf[0]);
		cairn_rwlock_unlock(&gate);
		cairn_mutex_unlock(&writer);
		cairn_rwlock_unlock(&inode[2]);
		cairn_lock_expect_none();
	}
}

Test(core_lock, what_nobody_knows_may_be_taken_out_of_order)
{
	cairn_rwlock_wrlock(&inode[2]);
	cairn_rwlock_wrlock_new(&inode[1]);
	cairn_mutex_lock(&leaf[0]);
	cairn_mutex_unlock(&leaf[0]);
	cairn_rwlock_unlock(&inode[1]);
	cairn_rwlock_unlock(&inode[2]);
}

Test(core_lock, the_gate_behind_an_inode_aborts, .signal = SIGABRT)
{
	cairn_rwlock_rdlock(&inode[0]);
	cairn_rwlock_rdlock(&gate);
}

Test(core_lock, an_inode_behind_the_writer_aborts, .signal = SIGABRT)
{
	cairn_mutex_lock(&writer);
	cairn_rwlock_rdlock(&inode[0]);
}

Test(core_lock, inodes_in_descending_order_abort, .signal = SIGABRT)
{
	cairn_rwlock_wrlock(&inode[2]);
	cairn_rwlock_wrlock(&inode[1]);
}

Test(core_lock, an_inode_behind_a_new_one_is_judged_by_the_order, .signal = SIGABRT)
{
	cairn_rwlock_wrlock_new(&inode[2]);
	cairn_rwlock_wrlock(&inode[1]);
}

Test(core_lock, an_inode_twice_aborts, .signal = SIGABRT)
{
	cairn_rwlock_rdlock(&inode[1]);
	cairn_rwlock_rdlock(&inode[1]);
}

Test(core_lock, anything_behind_a_leaf_aborts, .signal = SIGABRT)
{
	cairn_mutex_lock(&leaf[0]);
	cairn_mutex_lock(&leaf[1]);
}

Test(core_lock, the_writer_behind_a_leaf_aborts, .signal = SIGABRT)
{
	cairn_mutex_lock(&leaf[0]);
	cairn_mutex_lock(&writer);
}

Test(core_lock, giving_back_what_is_not_held_aborts, .signal = SIGABRT)
{
	cairn_mutex_lock(&leaf[0]);
	cairn_rwlock_unlock(&inode[0]);
}

Test(core_lock, waiting_with_another_lock_aborts, .signal = SIGABRT)
{
	pthread_cond_t never = PTHREAD_COND_INITIALIZER;

	cairn_rwlock_rdlock(&inode[0]);
	cairn_mutex_lock(&writer);
	cairn_mutex_wait(&writer, &never);
}

/* The waits of the writer's callers, in a core: nothing may be held even where they return at
 * once. */
static void hold_the_root(void)
{
	struct cairn_inode *root;

	cf_setup_open();
	cf_file(CF_ROOT, "a");
	cf_settle();
	CF_OK(cairn_inode_get(cf.core, CF_ROOT, NULL, &root));
	cairn_rwlock_rdlock(&root->lock);
	/* The directory stays behind where the test aborts. */
	cf_remove_dir();
}

TestSuite(core_lock_wait, .init = hold_the_root);

Test(core_lock_wait, for_a_commit_aborts, .signal = SIGABRT)
{
	cairn_writer_wait(cf.core, 0, false);
}

Test(core_lock_wait, for_room_aborts, .signal = SIGABRT)
{
	cairn_writer_admit(cf.core, false);
}

Test(core_lock_wait, for_news_of_others_aborts, .signal = SIGABRT)
{
	cairn_core_refresh(cf.core);
}
