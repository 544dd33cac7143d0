/* SPDX-License-Identifier: MIT */
/*
 * plat/sys.c and plat/features.c: results, errors, and errno left alone.
 */
#include "../../lib/plat/features.h"
#include "../../lib/plat/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static long page;

static uint64_t addr_of(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static char *map(size_t pages)
{
	char *p = mmap(NULL, pages * (size_t)page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

static void test_memory(void **state)
{
	const struct nb_sys *sys = &nb_sys_linux;
	char *p = map(2);
	void *pages[2] = {p, p + page};
	int status[2] = {99, 99};
	unsigned char vec[2];
	int mode = 99;

	(void)state;
	errno = 12345;
	p[0] = 1;
	assert_int_equal(sys->mincore(addr_of(p), 2 * (uint64_t)page, vec), 0);
	assert_int_equal(vec[0] & 1, 1);
	assert_int_equal(vec[1] & 1, 0);
	assert_int_equal(sys->move_pages(2, pages, NULL, status), 0);
	assert_in_range(status[0], 0, NB_MAX_NODES - 1);
	assert_int_equal(status[1], -ENOENT);
	assert_int_equal(sys->move_pages(1, pages, &status[0], &status[1]), 0);
	assert_int_equal(status[1], status[0]);
	assert_int_equal(sys->get_vma_policy(addr_of(p), &mode), 0);
	assert_int_equal(mode, MPOL_DEFAULT);
	assert_int_equal(sys->mprotect(addr_of(p), (uint64_t)page, PROT_NONE),
			 0);
	assert_int_equal(nb_sys_write_all(-1, "x", 1), -EBADF);
	assert_int_equal(sys->mprotect(addr_of(p), (uint64_t)page, PROT_READ),
			 0);
	assert_int_equal(*p, 1);
	munmap(p, 2 * (size_t)page);
	errno = 12345;
	assert_int_equal(sys->mprotect(addr_of(p), (uint64_t)page, PROT_READ),
			 -ENOMEM);
	assert_int_equal(sys->mprotect(addr_of(p) + 1, 1, PROT_READ), -EINVAL);
	assert_int_equal(sys->get_vma_policy(addr_of(p), &mode), -EFAULT);
	assert_int_equal(errno, 12345);
}

/* A policy of the memory's own is seen, without the kernel's flags. */
static void test_policy(void **state)
{
	char *p = map(1);
	unsigned long nodes = 1;
	int mode = 99;
	long ret;

	(void)state;
	ret = nb_syscall6(SYS_mbind, (long)p, page,
			  MPOL_BIND | MPOL_F_STATIC_NODES, (long)&nodes, 64, 0);
	if (ret == -EPERM || ret == -ENOSYS)
		skip();
	assert_int_equal(ret, 0);
	assert_int_equal(nb_sys_linux.get_vma_policy(addr_of(p), &mode), 0);
	assert_int_equal(mode, MPOL_BIND);
	munmap(p, (size_t)page);
}

static void test_affinity(void **state)
{
	const struct nb_sys *sys = &nb_sys_linux;
	static struct nb_cpumask mask, one, none;
	cpu_set_t set;
	int cpu = -1;

	(void)state;
	errno = 12345;
	/* What the kernel does not write must be cleared. */
	memset(&mask, 0xff, sizeof(mask));
	assert_true(sys->sched_getaffinity(0, &mask) > 0);
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	assert_int_equal(nb_cpus_weight(&mask), CPU_COUNT(&set));
	assert_int_equal(nb_sys_getcpu(&cpu, NULL), 0);
	nb_cpu_set(&one, cpu);
	assert_int_equal(sys->sched_setaffinity(0, &one), 0);
	assert_true(sys->sched_getaffinity((pid_t)nb_sys_gettid(), &mask) > 0);
	assert_true(nb_cpus_equal(&mask, &one));
	assert_int_equal(sys->sched_setaffinity(0, &none), -EINVAL);
	assert_int_equal(sys->sched_getaffinity(-1, &mask), -ESRCH);
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
	assert_int_equal(errno, 12345);
}

static void test_read_file(void **state)
{
	const struct nb_sys *sys = &nb_sys_linux;
	char path[] = "/tmp/nb-sys-XXXXXX";
	static char text[20000], buf[30000];
	int fd = mkstemp(path);

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
	close(fd);
	errno = 12345;
	memset(buf, 'y', sizeof(buf));
	assert_int_equal(sys->read_file(path, buf, sizeof(buf)), 20000);
	assert_int_equal(buf[20000], '\0');
	assert_int_equal(sys->read_file(path, buf, 11), 10);
	assert_string_equal(buf, "xxxxxxxxxx");
	assert_int_equal(sys->read_file(path, buf, 1), 0);
	assert_string_equal(buf, "");
	assert_int_equal(sys->read_file(path, buf, 0), -EINVAL);
	unlink(path);
	assert_int_equal(sys->read_file(path, buf, sizeof(buf)), -ENOENT);
	assert_string_equal(buf, "");
	assert_int_equal(sys->read_file("/proc", buf, sizeof(buf)), -EISDIR);
	assert_int_equal(errno, 12345);
	assert_true(sys->read_file("/proc/self/maps", buf, sizeof(buf)) > 0);
	/* No descriptor is left open. */
	fd = open("/dev/null", O_RDONLY);
	close(fd);
	for (int i = 0; i < 10; i++)
		sys->read_file("/proc/self/stat", buf, sizeof(buf));
	assert_int_equal(open("/dev/null", O_RDONLY), fd);
	close(fd);
}

static void test_node_free(void **state)
{
	uint64_t bytes = 0, page_bytes = (uint64_t)page;

	(void)state;
	assert_int_equal(nb_sys_linux.node_free_bytes(-1, &bytes), -EINVAL);
	assert_int_equal(nb_sys_linux.node_free_bytes(64, &bytes), -EINVAL);
	assert_int_equal(nb_sys_linux.node_free_bytes(63, &bytes), -ENOENT);
	if (access("/sys/devices/system/node/node0/meminfo", R_OK))
		skip();
	assert_int_equal(nb_sys_linux.node_free_bytes(0, &bytes), 0);
	assert_true(bytes > 0 && bytes % 1024 == 0);
	assert_true(bytes <= (uint64_t)sysconf(_SC_PHYS_PAGES) * page_bytes);
}

static void test_clocks(void **state)
{
	uint64_t start = nb_clock_ns(), thread = nb_thread_cpu_ns();
	int cpu = -1, nid = -1;

	(void)state;
	errno = 12345;
	while (nb_clock_ns() < start + 5 * NB_NSEC_PER_MSEC)
		;
	assert_true(nb_clock_ns() >= start + 5 * NB_NSEC_PER_MSEC);
	assert_true(nb_thread_cpu_ns() > thread);
	assert_true(nb_process_cpu_ns() >= nb_thread_cpu_ns() - thread);
	assert_int_equal(nb_sys_getcpu(&cpu, &nid), 0);
	assert_in_range(cpu, 0, NB_MAX_CPUS - 1);
	assert_in_range(nid, 0, NB_MAX_NODES - 1);
	assert_int_equal(nb_sys_getpid(), getpid());
	assert_int_equal(nb_sys_gettid(), syscall(SYS_gettid));
	assert_int_equal(nb_sys_sched_yield(), 0);
	assert_int_equal(nb_syscall6(-1, 0, 0, 0, 0, 0, 0), -ENOSYS);
	assert_int_equal(errno, 12345);
}

static _Atomic uint32_t word;

static void *wait_for_word(void *arg)
{
	(void)arg;
	while (!atomic_load(&word))
		nb_futex_wait((uint32_t *)&word, 0, UINT64_MAX);
	return NULL;
}

static void test_futex(void **state)
{
	uint64_t start = nb_clock_ns();
	uint32_t w = 7;
	pthread_t t;

	(void)state;
	assert_int_equal(nb_futex_wait(&w, 8, UINT64_MAX), -EAGAIN);
	assert_int_equal(nb_futex_wait(&w, 7, 0), -ETIMEDOUT);
	assert_int_equal(nb_futex_wait(&w, 7, 2 * NB_NSEC_PER_MSEC),
			 -ETIMEDOUT);
	assert_true(nb_clock_ns() - start >= 2 * NB_NSEC_PER_MSEC);
	assert_int_equal(nb_futex_wake(&w, 1), 0);
	assert_int_equal(pthread_create(&t, NULL, wait_for_word, NULL), 0);
	atomic_store(&word, 1);
	nb_futex_wake((uint32_t *)&word, 1);
	pthread_join(t, NULL);
}

static void on_signal(int sig)
{
	(void)sig;
}

/* A pipe that takes little at a time, and one that nobody reads. */
static void test_write_all(void **state)
{
	static char buf[300000], got[300000];
	sigset_t pending;
	int fds[2];

	(void)state;
	signal(SIGPIPE, on_signal);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(nb_sys_write_all(fds[1], "abc", 3), 0);
	assert_int_equal(nb_sys_write_all(fds[1], "", 0), 0);
	assert_int_equal(read(fds[0], got, sizeof(got)), 3);
	assert_memory_equal(got, "abc", 3);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	assert_int_equal(nb_sys_write_all(fds[1], buf, sizeof(buf)), -EAGAIN);
	close(fds[0]);
	assert_int_equal(nb_sys_write_all(fds[1], buf, 1), -EPIPE);
	sigpending(&pending);
	assert_false(sigismember(&pending, SIGPIPE));
	close(fds[1]);
}

static void test_features(void **state)
{
	struct nb_feature_state f[NB_NR_FEATURES];
	struct nb_cpumask before, after;
	enum nb_thp_mode thp = nb_thp_mode();

	(void)state;
	nb_sys_linux.sched_getaffinity(0, &before);
	nb_features_probe(f);
	nb_sys_linux.sched_getaffinity(0, &after);
	assert_true(nb_cpus_equal(&before, &after));
	for (int i = 0; i < NB_NR_FEATURES; i++) {
		assert_non_null(f[i].name);
		assert_non_null(f[i].doc);
		assert_in_range(-f[i].err, 0, 4095);
	}
	assert_string_equal(f[NB_FEATURE_proc].name, "proc");
	assert_int_equal(f[NB_FEATURE_proc].err, 0);
	assert_int_equal(f[NB_FEATURE_setaffinity].err, 0);
	assert_in_range(thp, NB_THP_NEVER, NB_THP_ALWAYS);
	assert_true(nb_kernel_numa_balancing() >= 0 ||
		    access("/proc/sys/kernel/numa_balancing", R_OK) != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_affinity),
		cmocka_unit_test(test_read_file),
		cmocka_unit_test(test_node_free),
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_futex),
		cmocka_unit_test(test_write_all),
		cmocka_unit_test(test_features),
	};

	page = sysconf(_SC_PAGESIZE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
