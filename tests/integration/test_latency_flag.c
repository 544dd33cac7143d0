/* SPDX-License-Identifier: MIT */
/*
 * numabal_thread_register_flags(): a thread that needs it takes one hint fault
 * in each block of memory that is armed all the time, and as many as any other
 * when it needs that no more.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <numabal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE 4096UL
#define BYTES ((size_t)8 << 20)
/* Of 2 MiB: the ends may be parts; and variables of ours and of libc's. */
#define NR_BLOCKS (5 + 3)
#define FAULTS 1000
#define WAIT_S 30

static unsigned char *mem;

#define CHECK(cond)                                                            \
	do {                                                                   \
		if (!(cond)) {                                                 \
			fprintf(stderr, "line %d: not true: %s\n", __LINE__,   \
				#cond);                                        \
			exit(1);                                               \
		}                                                              \
	} while (0)

static struct numabal_stats stats(void)
{
	struct numabal_stats st = {.sz = sizeof(st)};

	CHECK(!numabal_get_stats(&st));
	return st;
}

static void use(void)
{
	for (size_t at = 0; at < BYTES; at += PAGE)
		mem[at]++;
}

/* Until there were @faults more hint faults, or @passes more over memory. */
static void use_until(uint64_t faults, uint64_t passes)
{
	struct numabal_stats st = stats();
	time_t until = time(NULL) + WAIT_S;

	faults += st.numa_hint_faults;
	passes += st.numa_scan_seq;
	do {
		CHECK(time(NULL) < until);
		use();
		st = stats();
	} while (st.numa_hint_faults < faults && st.numa_scan_seq < passes);
}

int main(void)
{
	struct numabal_opts opts = {.sz = sizeof(opts),
				    .flags = NUMABAL_F_FORCE,
				    .scan_delay_ms = 1,
				    .scan_period_min_ms = 1,
				    .scan_period_max_ms = 1,
				    .max_overhead_pct = 100,
				    .min_rss_mb = 1,
				    .min_region_kb = 4,
				    .chunk_kb = 4};
	uint64_t marked;

	mem = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mem != MAP_FAILED);
	use();
	CHECK(numabal_thread_register_flags(0) == -ESRCH);
	if (numabal_start(&opts)) {
		puts("numabal does not start here");
		return 77;
	}
	CHECK(numabal_thread_register_flags(1U << 31) == -EINVAL);
	CHECK(!numabal_include(mem, BYTES));
	use_until(FAULTS, UINT64_MAX / 2);
	CHECK(stats().latency_hint_faults == 0);

	CHECK(!numabal_thread_register_flags(NUMABAL_THREAD_LATENCY));
	use_until(UINT64_MAX / 2, 6);
	marked = stats().latency_hint_faults;
	CHECK(marked <= NR_BLOCKS);

	CHECK(!numabal_thread_register_flags(0));
	use_until(FAULTS, UINT64_MAX / 2);
	CHECK(stats().latency_hint_faults == marked);
	CHECK(!numabal_stop());
	return 0;
}
