/* Advisory locks between processes: flock(), POSIX record locks, open file description locks. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>

#include "fsutil.h"

static void setup(void)
{
	fx_setup();
	must(put_text("f", "some content to lock ranges of"));
}

TestSuite(lock, .init = setup, .fini = fx_teardown, .timeout = 60);

/* A child process that takes a lock, says so, and holds it until told to end. */
struct holder {
	pid_t pid;
	int release;
};

static int set_lock(int fd, int command, short type, off_t start, off_t len)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len
	};

	return fcntl(fd, command, &lock);
}

static struct holder hold(int (*take)(int fd))
{
	struct holder holder;
	int ready[2], release[2];
	char byte;

	must(pipe2(ready, O_CLOEXEC));
	must(pipe2(release, O_CLOEXEC));
	holder.pid = fx_fork();
	if (holder.pid == 0) {
		int fd = open("f", O_RDWR);

		close(release[1]);
		if (fd < 0 || take(fd) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		_exit(read(release[0], &byte, 1) == 0 ? 0 : 1);
	}
	close(ready[1]);
	close(release[0]);
	holder.release = release[1];
	cr_assert_eq(read(ready[0], &byte, 1), 1, "the other process got no lock");
	close(ready[0]);
	return holder;
}

static void release(struct holder holder)
{
	must(close(holder.release));
	cr_assert_eq(fx_wait(holder.pid), 0);
}

static int take_flock_exclusive(int fd)
{
	return flock(fd, LOCK_EX);
}

static int take_flock_shared(int fd)
{
	return flock(fd, LOCK_SH);
}

static int take_write_lock(int fd)
{
	return set_lock(fd, F_SETLK, F_WRLCK, 10, 10);
}

static int take_read_lock(int fd)
{
	return set_lock(fd, F_SETLK, F_RDLCK, 10, 10);
}

static int take_ofd_write_lock(int fd)
{
	return set_lock(fd, F_OFD_SETLK, F_WRLCK, 10, 10);
}

Test(lock, an_exclusive_flock_excludes_others_until_it_ends)
{
	struct holder holder = hold(take_flock_exclusive);
	int fd = must(open("f", O_RDWR));

	fails_with(EWOULDBLOCK, flock(fd, LOCK_EX | LOCK_NB));
	fails_with(EWOULDBLOCK, flock(fd, LOCK_SH | LOCK_NB));
	release(holder);
	must(flock(fd, LOCK_EX | LOCK_NB));
	must(flock(fd, LOCK_UN));
	must(close(fd));
}

Test(lock, shared_flocks_go_together)
{
	struct holder holder = hold(take_flock_shared);
	int fd = must(open("f", O_RDWR));

	must(flock(fd, LOCK_SH | LOCK_NB));
	fails_with(EWOULDBLOCK, flock(fd, LOCK_EX | LOCK_NB));
	release(holder);
	must(flock(fd, LOCK_EX | LOCK_NB));
	must(close(fd));
}

Test(lock, a_waiting_flock_gets_it_when_the_other_ends)
{
	struct holder holder = hold(take_flock_exclusive);
	pid_t waiter = fx_fork();

	if (waiter == 0) {
		int fd = open("f", O_RDWR);

		close(holder.release);
		_exit(flock(fd, LOCK_EX) < 0 ? errno : 0);
	}
	tick();
	release(holder);
	cr_assert_eq(fx_wait(waiter), 0);
}

Test(lock, two_descriptors_of_one_process_exclude_each_other_by_flock)
{
	int a = must(open("f", O_RDWR)), b = must(open("f", O_RDWR)), c = must(dup(a));

	must(flock(a, LOCK_EX | LOCK_NB));
	fails_with(EWOULDBLOCK, flock(b, LOCK_EX | LOCK_NB));
	must(flock(c, LOCK_UN));
	must(flock(b, LOCK_EX | LOCK_NB));
	must(close(a));
	must(close(b));
	must(close(c));
}

Test(lock, a_killed_holder_releases_its_locks)
{
	struct holder by_flock = hold(take_flock_exclusive), by_record = hold(take_write_lock);
	int fd = must(open("f", O_RDWR));

	must(kill(by_flock.pid, SIGKILL));
	must(kill(by_record.pid, SIGKILL));
	cr_assert_eq(fx_wait(by_flock.pid), 128 + SIGKILL);
	cr_assert_eq(fx_wait(by_record.pid), 128 + SIGKILL);
	must(flock(fd, LOCK_EX | LOCK_NB));
	must(set_lock(fd, F_SETLK, F_WRLCK, 0, 0));
	must(close(by_flock.release));
	must(close(by_record.release));
	must(close(fd));
}

Test(lock, record_locks_conflict_where_they_overlap)
{
	struct holder holder = hold(take_write_lock);
	int fd = must(open("f", O_RDWR));

	fails_with(EAGAIN, set_lock(fd, F_SETLK, F_WRLCK, 0, 0));
	fails_with(EAGAIN, set_lock(fd, F_SETLK, F_RDLCK, 19, 1));
	must(set_lock(fd, F_SETLK, F_WRLCK, 0, 10));
	must(set_lock(fd, F_SETLK, F_WRLCK, 20, 10));
	release(holder);
	must(set_lock(fd, F_SETLK, F_WRLCK, 0, 0));
	must(close(fd));
}

Test(lock, shared_record_locks_go_together)
{
	struct holder holder = hold(take_read_lock);
	int fd = must(open("f", O_RDWR));

	must(set_lock(fd, F_SETLK, F_RDLCK, 0, 0));
	fails_with(EAGAIN, set_lock(fd, F_SETLK, F_WRLCK, 10, 1));
	release(holder);
	must(set_lock(fd, F_SETLK, F_WRLCK, 10, 1));
	must(close(fd));
}

Test(lock, getlk_names_the_holder)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct holder holder = hold(take_write_lock);
	int fd = must(open("f", O_RDWR));

	must(fcntl(fd, F_GETLK, &lock));
	cr_assert_eq(lock.l_type, F_WRLCK);
	cr_assert_eq(lock.l_pid, holder.pid);
	cr_assert_eq(lock.l_start, 10);
	cr_assert_eq(lock.l_len, 10);
	release(holder);
	lock = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
	must(fcntl(fd, F_GETLK, &lock));
	cr_assert_eq(lock.l_type, F_UNLCK);
	must(close(fd));
}

Test(lock, a_waiting_record_lock_gets_it_when_the_other_ends)
{
	struct holder holder = hold(take_write_lock);
	pid_t waiter = fx_fork();

	if (waiter == 0) {
		int fd = open("f", O_RDWR);

		close(holder.release);
		_exit(set_lock(fd, F_SETLKW, F_WRLCK, 15, 1) < 0 ? errno : 0);
	}
	tick();
	release(holder);
	cr_assert_eq(fx_wait(waiter), 0);
}

Test(lock, closing_any_descriptor_drops_the_record_locks_of_the_process)
{
	int fd = must(open("f", O_RDWR));

	must(set_lock(fd, F_SETLK, F_WRLCK, 10, 10));
	must(open_and_close("f", O_RDONLY, 0));
	release(hold(take_write_lock));
	must(close(fd));
}

Test(lock, ofd_locks_belong_to_the_open_file)
{
	int a = must(open("f", O_RDWR)), b = must(open("f", O_RDWR));

	must(set_lock(a, F_OFD_SETLK, F_WRLCK, 10, 10));
	fails_with(EAGAIN, set_lock(b, F_OFD_SETLK, F_WRLCK, 15, 1));
	fails_with(EAGAIN, set_lock(b, F_OFD_SETLK, F_RDLCK, 0, 0));
	must(open_and_close("f", O_RDONLY, 0));
	fails_with(EAGAIN, set_lock(b, F_OFD_SETLK, F_WRLCK, 15, 1));
	must(close(a));
	must(set_lock(b, F_OFD_SETLK, F_WRLCK, 15, 1));
	must(close(b));
}

Test(lock, ofd_locks_conflict_with_those_of_another_process)
{
	struct holder holder = hold(take_ofd_write_lock);
	int fd = must(open("f", O_RDWR));

	fails_with(EAGAIN, set_lock(fd, F_OFD_SETLK, F_WRLCK, 10, 1));
	fails_with(EAGAIN, set_lock(fd, F_SETLK, F_WRLCK, 10, 1));
	release(holder);
	must(set_lock(fd, F_SETLK, F_WRLCK, 10, 1));
	must(close(fd));
}

static int count_up(int times)
{
	int fd = open("counter", O_RDWR), value;

	for (int i = 0; i < times; i++) {
		if (flock(fd, LOCK_EX) < 0 || pread(fd, &value, sizeof(value), 0) != sizeof(value))
			return 1;
		value++;
		if (pwrite(fd, &value, sizeof(value), 0) != sizeof(value) || flock(fd, LOCK_UN) < 0)
			return 1;
	}
	return 0;
}

Test(lock, a_counter_under_flock_counts_every_process)
{
	enum { COUNTERS = 4, TIMES = 200 };
	const int total = COUNTERS * TIMES, zero = 0;
	pid_t children[COUNTERS];

	must(put_bytes("counter", &zero, sizeof(zero)));
	for (int i = 0; i < COUNTERS; i++) {
		children[i] = fx_fork();
		if (children[i] == 0)
			_exit(count_up(TIMES));
	}
	for (int i = 0; i < COUNTERS; i++)
		cr_assert_eq(fx_wait(children[i]), 0);
	cr_assert(holds_bytes("counter", &total, sizeof(total)));
}
