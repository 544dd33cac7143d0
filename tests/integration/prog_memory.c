/* SPDX-License-Identifier: MIT */
/*
 * A program that maps, moves, protects and unmaps large memory, from several
 * threads, and checks what is in it.  Knows nothing of numabal; run by
 * test_preload_memory.sh.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>

#define NR_THREADS 4
#define CHURN_S 3

/* Thread-local storage takes its place from every thread's stack. */
static __thread volatile char large_tls[300 * 1024];

static bool moves(void)
{
	large_tls[0]++;
	for (int how = 0; how < 4; how++) {
		unsigned char *p = armed_buffer(), *q, *old = p;
		size_t len = how == 0 ? BUF_BYTES * 2 : BUF_BYTES;

		if (how == 0) {
			q = mremap(p, BUF_BYTES, len, MREMAP_MAYMOVE);
		} else if (how == 1) {
			q = mremap(p, BUF_BYTES, BUF_BYTES / 2, 0);
			len = BUF_BYTES / 2;
		} else if (how == 2) {
			unsigned char *to = new_buffer(BUF_BYTES);

			CHECK(wait_armed(to));
			q = mremap(p, BUF_BYTES, BUF_BYTES,
				   MREMAP_MAYMOVE | MREMAP_FIXED, to);
		} else {
			q = (unsigned char *)syscall(SYS_mremap, p, BUF_BYTES,
						     len, MREMAP_MAYMOVE, 0L);
		}
		CHECK(q != MAP_FAILED);
		CHECK(pattern_ok(q, len < BUF_BYTES ? len : BUF_BYTES));
		/* Nobody gives access to what is not there any more. */
		if (how == 2)
			CHECK(msync(old, 4096, MS_ASYNC) == -1);
		if (len >= BUF_BYTES) {
			CHECK(wait_armed(q));
			CHECK(pattern_ok(q, BUF_BYTES));
		}
		CHECK(mremap(q, len, len * 2, 77) == MAP_FAILED &&
		      errno == EINVAL);
		munmap(q, len);
	}
	return true;
}

/* New memory in the place of armed memory has its own protection. */
static bool replaced(void)
{
	unsigned char *p = armed_buffer(), *q;

	q = mmap(p, BUF_BYTES, PROT_READ,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(q == p);
	for (size_t i = 0; i < BUF_BYTES; i += 4096)
		CHECK(q[i] == 0);
	CHECK(!is_armed(p));
	q = (void *)syscall(SYS_mmap, p, BUF_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0L);
	CHECK(q == p);
	memset(q, 5, BUF_BYTES);
	CHECK(wait_armed(p) && p[77] == 5);
	CHECK(!munmap(p + BUF_BYTES / 2, 4096));
	CHECK(msync(p + BUF_BYTES / 2, 4096, MS_ASYNC) == -1 &&
	      errno == ENOMEM);
	CHECK(p[0] == 5 && p[BUF_BYTES - 1] == 5);
	munmap(p, BUF_BYTES);
	return true;
}

/* Memory that took the place of what is gone keeps its own protection. */
static bool reused(void)
{
	int zero = open("/dev/zero", O_RDONLY);

	for (int i = 0; i < 3; i++) {
		unsigned char *p = armed_buffer(), *other = armed_buffer(), *q;

		CHECK(!munmap(p, BUF_BYTES));
		q = mmap(p, BUF_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
		CHECK(q == p);
		for (size_t k = 0; k < BUF_BYTES; k += 4096)
			CHECK(q[k] == 0);
		for (int pass = 0; pass < 4; pass++) {
			CHECK(wait_armed(other));
			CHECK(!is_armed(q));
			CHECK(pattern_ok(other, BUF_BYTES));
		}
		for (size_t k = 0; k < BUF_BYTES; k += 65536)
			CHECK(read(zero, q + k, 1) == -1 && errno == EFAULT);
		munmap(q, BUF_BYTES);
		munmap(other, BUF_BYTES);
	}
	close(zero);
	return true;
}

static bool locked(void)
{
	unsigned char *p = armed_buffer();

	CHECK(!mlock(p, 64 * 1024));
	CHECK(pattern_ok(p, BUF_BYTES));
	CHECK(!munlock(p, 64 * 1024));
	munmap(p, BUF_BYTES);
	p = armed_buffer();
	CHECK(!mlock2(p, 64 * 1024, MLOCK_ONFAULT));
	CHECK(!munlock(p, 64 * 1024) && pattern_ok(p, BUF_BYTES));
	munmap(p, BUF_BYTES);
	return true;
}

static bool advised(void)
{
	unsigned char *p = armed_buffer();

	CHECK(!madvise(p, BUF_BYTES / 2, MADV_DONTNEED));
	for (size_t i = 0; i < BUF_BYTES / 2; i += 4096)
		CHECK(p[i] == 0);
	CHECK(p[BUF_BYTES - 512] ==
	      (unsigned char)((BUF_BYTES - 512) / 512 * 7));
	munmap(p, BUF_BYTES);
#ifdef MADV_POPULATE_WRITE
	p = new_buffer(4096);
	/* Linux 5.14 has it. */
	if (!madvise(p, 4096, MADV_POPULATE_WRITE)) {
		unsigned char *q = armed_buffer();

		CHECK(!madvise(q, BUF_BYTES, MADV_POPULATE_WRITE));
		CHECK(pattern_ok(q, BUF_BYTES));
		munmap(q, BUF_BYTES);
	}
	munmap(p, 4096);
#endif
	return true;
}

long mbind(void *addr, unsigned long len, int mode, const unsigned long *nodes,
	   unsigned long maxnode, unsigned int flags) __attribute__((weak));
long set_mempolicy(int mode, const unsigned long *nodes, unsigned long maxnode)
	__attribute__((weak));
long get_mempolicy(int *mode, unsigned long *nodes, unsigned long maxnode,
		   void *addr, unsigned long flags) __attribute__((weak));

/* libnuma's functions without libnuma: only where somebody brings them. */
static bool policies(void)
{
	unsigned long node0 = 1;
	unsigned char *p = armed_buffer();
	int mode = -1;

	CHECK(!syscall(SYS_get_mempolicy, &mode, NULL, 0L, NULL, 0L));
	CHECK(mode == 0);
	CHECK(!syscall(SYS_mbind, p, BUF_BYTES, 2L, &node0, 64L, 0L));
	CHECK(pattern_ok(p, BUF_BYTES));
	CHECK(!syscall(SYS_get_mempolicy, &mode, NULL, 0L, p, 2L));
	CHECK(mode == 2);
	if (mbind && set_mempolicy && get_mempolicy) {
		CHECK(!mbind(p, BUF_BYTES, 0, NULL, 0, 0));
		CHECK(!set_mempolicy(2, &node0, 64));
		CHECK(!get_mempolicy(&mode, NULL, 0, NULL, 0) && mode == 2);
		CHECK(!set_mempolicy(0, NULL, 0));
		CHECK(!get_mempolicy(&mode, NULL, 0, NULL, 0) && mode == 0);
		CHECK(mbind(p, BUF_BYTES, 99, NULL, 0, 0) == -1 &&
		      errno == EINVAL);
	}
	munmap(p, BUF_BYTES);
	return true;
}

/* ---- four threads, the same addresses over and over --------------------- */

static void fill(unsigned char *p, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i += 1024)
		*(unsigned int *)(p + i) = seed ^ (unsigned int)i;
}

static bool is_filled(const unsigned char *p, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i += 1024)
		if (*(const unsigned int *)(p + i) != (seed ^ (unsigned int)i))
			return false;
	return true;
}

static bool one_life(unsigned int *seed)
{
	size_t len = ((size_t)4 << 20) + (size_t)(rand_r(seed) % 64) * 65536;
	unsigned int s = *seed;
	unsigned char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return false;
	fill(p, len, s);
	for (int i = 0; i < 3; i++)
		if (!is_filled(p, len, s))
			return false;
	switch (rand_r(seed) % 4) {
	case 0:
		mprotect(p, len / 2 & ~4095UL, PROT_READ);
		break;
	case 1:
		p = mremap(p, len, len * 2, MREMAP_MAYMOVE);
		if (p == MAP_FAILED || !is_filled(p, len, s))
			return false;
		len *= 2;
		munmap(p + len / 2, len / 2);
		len /= 2;
		break;
	case 2:
		munmap(p, 65536);
		return is_filled(p + 65536, 1024, s ^ 65536) &&
		       !munmap(p + 65536, len - 65536);
	}
	return is_filled(p, len, s) && !munmap(p, len);
}

static void *churn(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	time_t until = time(NULL) + CHURN_S;

	while (time(NULL) < until)
		if (!one_life(&seed))
			return arg;
	return NULL;
}

static bool churns(void)
{
	pthread_t th[NR_THREADS];
	void *bad;

	for (uintptr_t i = 0; i < NR_THREADS; i++)
		CHECK(!pthread_create(&th[i], NULL, churn, (void *)(i + 1)));
	for (int i = 0; i < NR_THREADS; i++)
		CHECK(!pthread_join(th[i], &bad) && !bad);
	return true;
}

/* All of several threads' accesses are counted, none is lost. */
static void *count_up(void *arg)
{
	_Atomic unsigned int *p = arg;
	time_t until = time(NULL) + CHURN_S;
	unsigned long n = 0;

	while (time(NULL) < until)
		for (size_t i = 1; i < BUF_BYTES / 4; i += 1024) {
			p[i]++;
			n++;
		}
	return (void *)n;
}

static bool counts(void)
{
	unsigned char *p = armed_buffer();
	pthread_t th[NR_THREADS];
	unsigned long sum = 0, want = 0;
	void *n;

	for (int i = 0; i < NR_THREADS; i++)
		CHECK(!pthread_create(&th[i], NULL, count_up, p));
	for (int i = 0; i < NR_THREADS; i++) {
		CHECK(!pthread_join(th[i], &n));
		want += (unsigned long)n;
	}
	for (size_t i = 1; i < BUF_BYTES / 4; i += 1024)
		sum += ((unsigned int *)p)[i];
	CHECK(sum == want && sum);
	CHECK(pattern_ok(p, BUF_BYTES));
	munmap(p, BUF_BYTES);
	return true;
}

int main(int argc, char **argv)
{
	static const struct armed_case cases[] = {
		{"moves", moves},     {"replaced", replaced},
		{"reused", reused},   {"locked", locked},
		{"advised", advised}, {"policies", policies},
		{"churns", churns},   {"counts", counts},
		{NULL, NULL},
	};

	return run_cases(cases, argc, argv);
}
