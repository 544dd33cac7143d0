/* SPDX-License-Identifier: MIT */
/*
 * plat/taskinfo.c: this process's threads, and the CPUs.
 */
#include "../../lib/plat/sys.h"
#include "../../lib/plat/taskinfo.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static void burn(uint64_t ns)
{
	uint64_t until = nb_thread_cpu_ns() + ns;

	while (nb_thread_cpu_ns() < until)
		;
}

static void test_self(void **state)
{
	struct nb_taskinfo a, b;
	pid_t tid = (pid_t)nb_sys_gettid();

	(void)state;
	assert_int_equal(nb_taskinfo_read(tid, &a), 0);
	assert_int_equal(a.state, 'R');
	assert_in_range(a.cpu, 0, sysconf(_SC_NPROCESSORS_CONF) - 1);
	burn(50 * NB_NSEC_PER_MSEC);
	assert_int_equal(nb_taskinfo_read(tid, &b), 0);
	/* The coarse times, where there are no better ones, have 10 ms. */
	assert_true(b.run_ns >= a.run_ns + 30 * NB_NSEC_PER_MSEC);
	assert_true(b.wait_ns >= a.wait_ns);
	/* The scheduler's clock and ours. */
	assert_true(b.run_ns <= nb_thread_cpu_ns() + NB_NSEC_PER_SEC / 10);
}

/* A name that looks like the fields behind it. */
static void test_comm(void **state)
{
	static const char *const names[] = {
		"plain",     ") Z 1 (2) 3",	"a b c",
		"((((",	     "))))))))))))))",	"",
		"new\nline", "fifteen-letters",
	};
	pid_t tid = (pid_t)nb_sys_gettid();
	struct nb_taskinfo ti;
	char comm[NB_COMM_LEN];

	(void)state;
	for (size_t i = 0; i < nb_array_size(names); i++) {
		assert_int_equal(prctl(PR_SET_NAME, names[i]), 0);
		assert_int_equal(nb_taskinfo_comm(tid, comm), 0);
		assert_string_equal(comm, names[i]);
		assert_int_equal(nb_taskinfo_read(tid, &ti), 0);
		assert_int_equal(ti.state, 'R');
		assert_in_range(ti.cpu, 0, sysconf(_SC_NPROCESSORS_CONF) - 1);
	}
}

static void test_no_such_thread(void **state)
{
	struct nb_taskinfo ti;
	char comm[NB_COMM_LEN];

	(void)state;
	/* Init is not a thread of ours. */
	assert_int_equal(nb_taskinfo_read(1, &ti), -ESRCH);
	assert_int_equal(nb_taskinfo_comm(1, comm), -ESRCH);
	assert_int_equal(nb_taskinfo_read(-1, &ti), -ESRCH);
	assert_int_equal(nb_taskinfo_read(INT32_MAX, &ti), -ESRCH);
}

enum { NR_THREADS = 200 };

struct threads {
	_Atomic int nr_started;
	_Atomic pid_t tids[NR_THREADS];
	pthread_barrier_t done;
};

static void *run_thread(void *arg)
{
	struct threads *t = arg;
	int i = atomic_fetch_add(&t->nr_started, 1);

	atomic_store(&t->tids[i], (pid_t)nb_sys_gettid());
	pthread_barrier_wait(&t->done);
	return NULL;
}

struct seen {
	struct threads *threads;
	int nr;
	int nr_ours;
};

static int see_tid(pid_t tid, void *arg)
{
	struct seen *seen = arg;

	seen->nr++;
	for (int i = 0; i < NR_THREADS; i++)
		seen->nr_ours += tid == seen->threads->tids[i];
	return 0;
}

static int stop_at_once(pid_t tid, void *arg)
{
	*(pid_t *)arg = tid;
	return 5;
}

/* More threads than one read of the directory returns. */
static void test_threads(void **state)
{
	static struct threads t;
	static pthread_t threads[NR_THREADS];
	struct seen seen = {.threads = &t};
	pthread_attr_t attr;
	pid_t tid = 0;

	(void)state;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	pthread_barrier_init(&t.done, NULL, NR_THREADS + 1);
	for (int i = 0; i < NR_THREADS; i++)
		assert_int_equal(
			pthread_create(&threads[i], &attr, run_thread, &t), 0);
	for (int i = 0; i < NR_THREADS; i++)
		while (!atomic_load(&t.tids[i]))
			sched_yield();
	assert_int_equal(nb_for_each_tid(see_tid, &seen), 0);
	assert_int_equal(seen.nr_ours, NR_THREADS);
	assert_true(seen.nr > NR_THREADS);
	pthread_barrier_wait(&t.done);
	for (int i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(nb_for_each_tid(stop_at_once, &tid), 5);
	assert_true(tid > 0);
}

static void test_cpu_times(void **state)
{
	static struct nb_cpu_times a[NB_MAX_CPUS], b[NB_MAX_CPUS];
	int cpu = -1, other;
	struct nb_cpumask mask = {{0}}, old;
	uint64_t busy;

	(void)state;
	assert_true(nb_sys_linux.sched_getaffinity(0, &old) > 0);
	assert_int_equal(nb_sys_getcpu(&cpu, NULL), 0);
	nb_cpu_set(&mask, cpu);
	assert_int_equal(nb_sys_linux.sched_setaffinity(0, &mask), 0);
	memset(a, 0xff, sizeof(a));
	assert_int_equal(nb_cpu_times_read(a, NB_MAX_CPUS), 0);
	burn(200 * NB_NSEC_PER_MSEC);
	assert_int_equal(nb_cpu_times_read(b, NB_MAX_CPUS), 0);
	nb_sys_linux.sched_setaffinity(0, &old);
	assert_true(b[cpu].total > a[cpu].total);
	assert_true(b[cpu].idle >= a[cpu].idle);
	busy = (b[cpu].total - b[cpu].idle) - (a[cpu].total - a[cpu].idle);
	assert_true(busy >= 10);
	/* No such CPU. */
	other = (int)sysconf(_SC_NPROCESSORS_CONF);
	assert_true(a[other].total == 0 && a[other].idle == 0);
	assert_int_equal(nb_cpu_times_read(a, 1), 0);
	assert_true(a[0].total > 0);
	assert_int_equal(nb_cpu_times_read(a, 0), -EINVAL);
}

static void test_memory(void **state)
{
	size_t len = 32 * NB_MIB;
	uint64_t rss = nb_rss_bytes();
	uint64_t locked = nb_locked_bytes();
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(p != MAP_FAILED);
	memset(p, 1, len);
	/* The kernel's count may lag by some pages of each CPU. */
	assert_true(nb_rss_bytes() >= rss + len - 4 * NB_MIB);
	/* mlock(3) of a sanitizer does nothing. */
	if (nb_syscall6(SYS_mlock, (long)p, 4096, 0, 0, 0, 0) == 0)
		assert_true(nb_locked_bytes() >= locked + 4096);
	munmap(p, len);
}

static void test_idle_by_node(void **state)
{
	struct nb_topology t = {.nr_cpus = 4};
	struct nb_cpu_times before[4] = {{.idle = 10, .total = 100},
					 {.idle = 10, .total = 100},
					 {.idle = 10, .total = 100},
					 {.idle = 10, .total = 100}};
	struct nb_cpu_times now[4] = {{.idle = 60, .total = 200},
				      {.idle = 110, .total = 200},
				      {.idle = 9, .total = 200},
				      {.idle = 10, .total = 100}};
	uint64_t idle[NB_MAX_NODES];

	(void)state;
	t.online.bits = t.has_cpu.bits = 3;
	for (int cpu = 0; cpu < 5; cpu++) {
		nb_cpu_set(&t.cpus_allowed, cpu);
		nb_cpu_set(&t.node_cpus[cpu & 1], cpu);
		t.cpu_to_nid[cpu] = (int16_t)(cpu & 1);
	}
	idle[63] = 7;
	nb_cpu_times_idle(&t, before, now, idle);
	assert_int_equal(idle[0], 500);	 /* CPU 2's count went backwards */
	assert_int_equal(idle[1], 1000); /* CPU 3's stood still */
	assert_int_equal(idle[63], 0);
	assert_int_equal(nb_free_cpus(799), 0);
	assert_int_equal(nb_free_cpus(800), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_self),
		cmocka_unit_test(test_idle_by_node),
		cmocka_unit_test(test_comm),
		cmocka_unit_test(test_no_such_thread),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_cpu_times),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
